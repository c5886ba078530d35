import {
  checkInteger,
  checkOptions,
  type OptionNames,
  type RandomSnapshot,
  VmError,
} from '../core/index.js';
import type { LoongArchEntryLoFields } from './loongarch-entry-lo.js';
import { ExceptionKind, type ExceptionKindNumber } from './software-tlb.js';

/**
 * What a {@link LoongArchTlb} is like. What is not given is as in the Loongson 3A5000, with pages of 16 KiB.
 *
 * @public
 */
export interface LoongArchTlbOptions {
  /** Sets of the STLB: a power of two, 1 to 4096. @defaultValue 256 */
  readonly stlbSets?: number;
  /** Ways of the STLB, 1 to 16. @defaultValue 8 */
  readonly stlbWays?: number;
  /** CSR.STLBPS.PS: log2 of the bytes in each page of the STLB, 12 to 48. @defaultValue 14 */
  readonly stlbPageShift?: number;
  /** Entries of the MTLB, 1 to 1024. @defaultValue 64 */
  readonly mtlbEntries?: number;
  /**
   * Which entry TLBFILL takes: one after the other in each set of the STLB and in the MTLB, or at random from a seed.
   * @defaultValue 'round-robin'
   */
  readonly choice?:
    | 'round-robin'
    | {
        /** The seed: any int32. */
        readonly seed: number;
      };
}

/**
 * An entry of a {@link LoongArchTlb}.
 *
 * @public
 */
export interface LoongArchTlbEntry {
  /** Its index, as TLBIDX has it: those of the STLB first, way by way, then those of the MTLB. */
  readonly index: number;
  /** Where it is. */
  readonly part: 'stlb' | 'mtlb';
  /** The even page, in pages of 4 KiB. */
  readonly vpn: number;
  /** log2 of the bytes in each of its two pages. */
  readonly pageShift: number;
  /** The ASID with which it was written. */
  readonly asid: number;
  /** Whether every address space has it. */
  readonly global: boolean;
  /** The even page. */
  readonly even: Required<LoongArchEntryLoFields>;
  /** The odd page. */
  readonly odd: Required<LoongArchEntryLoFields>;
}

/**
 * What `LoongArchTlb.snapshot` returns.
 *
 * @public
 */
export interface LoongArchTlbSnapshot {
  /** The version of this shape. */
  readonly v: 1;
  /** The tag. */
  readonly type: 'loongarch-tlb';
  /** Sets of the STLB. */
  readonly stlbSets: number;
  /** Ways of the STLB. */
  readonly stlbWays: number;
  /** CSR.STLBPS.PS. */
  readonly stlbPageShift: number;
  /** Entries of the MTLB. */
  readonly mtlbEntries: number;
  /**
   * TLBIDX's Index, PS and NE; VPPN; ASID; IsTLBR; TLBREHI's VPPN and PS; the pages of BADV and TLBRBADV; DWPL0; low and
   * high words of TLBELO0, TLBELO1, TLBRELO0, TLBRELO1.
   */
  readonly registers: readonly number[];
  /** The next way of each set of the STLB, then the next entry of the MTLB; or the state of the random numbers. */
  readonly choice: readonly number[] | RandomSnapshot;
  /** Exceptions by kind, hits, writes, evictions. */
  readonly counts: readonly number[];
  /** Each entry: index, even page, pages, ASID, global, the words of both halves. */
  readonly slots: readonly (readonly number[])[];
}

/**
 * The negative numbers that stand for exceptions of a {@link LoongArchTlb}.
 *
 * @public
 */
export const LoongArchTlbAnswer = {
  /** TLBR: no entry matches, TLB refill. */
  Refill: -1,
  /** PIL: page invalid for load. */
  LoadInvalid: -2,
  /** PIS: page invalid for store. */
  StoreInvalid: -3,
  /** PIF: page invalid for fetch. */
  FetchInvalid: -4,
  /** PME: a store to a page with D=0, page modification. */
  Modified: -5,
  /** PNR: page non-readable. */
  NotReadable: -6,
  /** PNX: page non-executable. */
  NotExecutable: -7,
  /** PPI: page privilege level illegal. */
  Privilege: -8,
  /** A write that would have made two entries match, for which the manual defines no result: nothing is written. */
  MultipleHit: -9,
  /** A page size that the part of the TLB does not have, for which the manual defines no result: nothing is written. */
  PageSize: -10,
  /** INE: an INVTLB operation that there is not. */
  NoInstruction: -11,
} as const;

/** The kinds of exception, by -1 - number. */
const KINDS: readonly ExceptionKindNumber[] = [
  ExceptionKind.Refill,
  ExceptionKind.Invalid,
  ExceptionKind.Invalid,
  ExceptionKind.Invalid,
  ExceptionKind.Modified,
];

/** The kind of exception of an answer. @internal */
export function loongArchKind(answer: number): ExceptionKindNumber {
  return KINDS[-1 - answer] ?? ExceptionKind.Refused;
}

const OPTIONS: OptionNames<LoongArchTlbOptions> = {
  stlbSets: true,
  stlbWays: true,
  stlbPageShift: true,
  mtlbEntries: true,
  choice: true,
};

/** The least and the greatest page size, as log2 of bytes. @internal */
export const LEAST_PAGE_SHIFT = 12;
/** The greatest. @internal */
export const MOST_PAGE_SHIFT = 48;

/** Options with their defaults, checked; of the choice, the seed or `null`. @internal */
export interface LoongArchShape {
  readonly stlbSets: number;
  readonly stlbWays: number;
  readonly stlbPageShift: number;
  readonly mtlbEntries: number;
  readonly seed: number | null;
}

/** Checks options and fills in defaults. @internal */
export function loongArchShape(options: LoongArchTlbOptions): LoongArchShape {
  checkOptions('', options, OPTIONS);
  const { choice = 'round-robin', mtlbEntries = 64, stlbPageShift = 14 } = options;
  const { stlbSets = 256, stlbWays = 8 } = options;
  checkInteger('stlbSets', stlbSets, 1, 4096);
  if (!Number.isInteger(Math.log2(stlbSets))) {
    const expected = 'a power of two';
    throw new VmError('bad-argument', { argument: 'stlbSets', value: stlbSets, expected });
  }
  checkInteger('stlbWays', stlbWays, 1, 16);
  checkInteger('stlbPageShift', stlbPageShift, LEAST_PAGE_SHIFT, MOST_PAGE_SHIFT);
  checkInteger('mtlbEntries', mtlbEntries, 1, 1024);
  return { stlbSets, stlbWays, stlbPageShift, mtlbEntries, seed: seedOf(choice) };
}

function seedOf(choice: NonNullable<LoongArchTlbOptions['choice']>): number | null {
  if (choice === 'round-robin') return null;
  checkOptions('choice', choice, { seed: true });
  return checkInteger('choice.seed', choice.seed, -(2 ** 31), 2 ** 32 - 1);
}
