import type { RadixWalker } from './walker.js';

/**
 * Why a guest's walk asked its second stage.
 *
 * - `table-read`: to read an entry of the guest's tables.
 * - `table-update`: to set accessed or dirty bits in such an entry.
 * - `access`: to reach what the guest's own access reaches.
 *
 * @public
 */
export type SecondStagePurpose = 'table-read' | 'table-update' | 'access';

/**
 * A walker from guest-physical to host-physical pages: the second stage of a nested walk. By itself it is a walker like
 * any other, whose page numbers are those of guest-physical addresses. Given to a guest's walker as `secondStage`, it
 * translates every table that the guest's walk reads and, at the end, the address that the access reaches.
 *
 * @public
 */
export interface SecondStage extends RadixWalker {
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
