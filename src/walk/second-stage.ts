import { VmError } from '../core/index.js';
import { RadixWalker } from './walker.js';

/**
 * Why a guest's walk asked its second stage.
 *
 * - `table-read`: to read an entry of the guest's tables.
 * - `table-update`: to set accessed or dirty bits in such an entry.
 * - `access`: to reach what the guest's own access reaches.
 * - `pdpte-load`: to load the PDPTE registers of x86 PAE paging; no walk does that.
 *
 * @public
 */
export type SecondStagePurpose = 'table-read' | 'table-update' | 'access' | 'pdpte-load';

/**
 * The second stages that there are, by the tag of their snapshots.
 *
 * @public
 */
export type SecondStageType = 'riscv-g-stage' | 'aarch64-stage2' | 'x86-ept' | 'x86-npt';

/**
 * A walker from guest-physical to host-physical pages: the second stage of a nested walk. By itself it is a walker like
 * any other, whose page numbers are those of guest-physical addresses. Given to a guest's walker as `secondStage`, it
 * translates every table that the guest's walk reads and, at the end, the address that the access reaches.
 *
 * @public
 */
export interface SecondStage extends RadixWalker {
  /** Which one it is. */
  readonly stageType: SecondStageType;

  /** The access, in this stage, that the reading of a guest's table entry is. */
  readonly tableAccess: number;

  /** The access, in this stage, that setting accessed or dirty bits in a guest's table entry is. */
  readonly updateAccess: number;

  /**
   * The fast path alone, for the fast path of a guest's walk.
   *
   * @param low - Bits 31:0 of the guest-physical page number.
   * @param high - Bits 51:26.
   * @param access - `Access` bits.
   * @returns The frame, or -1: the complete form decides.
   * @internal
   */
  fastFrame(low: number, high: number, access: number): number;
}

/**
 * Checks that a guest is given a second stage of its architecture.
 *
 * @throws `VmError` `bad-argument`.
 */
export function checkSecondStage(
  stage: SecondStage | null,
  types: readonly SecondStageType[],
): void {
  if (stage === null) return;
  if (stage instanceof RadixWalker && types.includes(stage.stageType)) return;
  const expected = `a second stage: ${types.join(' or ')}`;
  throw new VmError('bad-argument', { argument: 'secondStage', value: stage, expected });
}

/**
 * Checks that a snapshot is restored over the kind of second stage that it was taken over.
 *
 * @throws `VmError` `bad-argument`.
 */
export function checkRestoredStage(
  saved: SecondStageType | null,
  given: SecondStage | undefined,
): void {
  if ((given?.stageType ?? null) === saved) return;
  const expected =
    saved === null ? 'none: the saved walker had none' : `the saved walker's ${saved}`;
  throw new VmError('bad-argument', { argument: 'secondStage', value: given, expected });
}
