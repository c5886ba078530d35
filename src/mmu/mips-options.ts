import { checkInteger, checkOptions, type OptionNames, VmError } from '../core/index.js';
import type { MipsEntryLoFields } from './mips-entry-lo.js';
import { ExceptionKind, type ExceptionKindNumber, isStore } from './software-tlb.js';

/**
 * What a {@link MipsTlb} is like.
 *
 * @public
 */
export interface MipsTlbOptions {
  /** Entries, each of two pages: 2 to 1024. */
  readonly entries: number;
  /** Bits of EntryHi.ASID; 10 with Config4.AE. @defaultValue 8 */
  readonly asidBits?: 8 | 10;
  /**
   * RI and XI: bits that the processor has not got (Config3.RXI=0), with the TLB Invalid exception (PageGrain.IEC=0), or with exceptions of
   * their own (PageGrain.IEC=1). @defaultValue 'own'
   */
  readonly inhibit?: 'none' | 'invalid' | 'own';
}

/**
 * An entry of a {@link MipsTlb}.
 *
 * @public
 */
export interface MipsTlbEntry {
  /** Its index. */
  readonly index: number;
  /** The even page, in pages of 4 KiB. */
  readonly vpn: number;
  /** Pages of 4 KiB in each of the two pages: 1, 4, 16 and so on. */
  readonly pages: number;
  /** The ASID with which it was written. */
  readonly asid: number;
  /** Whether every address space has it. */
  readonly global: boolean;
  /** Whether it is wired. */
  readonly wired: boolean;
  /** The even page. */
  readonly even: Required<MipsEntryLoFields>;
  /** The odd page. */
  readonly odd: Required<MipsEntryLoFields>;
}

/**
 * What `MipsTlb.snapshot` returns.
 *
 * @public
 */
export interface MipsTlbSnapshot extends Required<MipsTlbOptions> {
  /** The version of this shape. */
  readonly v: 1;
  /** The tag. */
  readonly type: 'mips-tlb';
  /**
   * Index, P, Random, Wired, EntryHi's VPN2, ASID and EHINV, PageMask, low and high word of EntryLo0 and of EntryLo1,
   * and the page of BadVAddr.
   */
  readonly registers: readonly number[];
  /** Exceptions by kind, hits, writes, evictions. */
  readonly counts: readonly number[];
  /** Each entry: index, even page, pages, ASID, global, the words of both halves. */
  readonly slots: readonly (readonly number[])[];
}

/**
 * The negative numbers that stand for exceptions of a {@link MipsTlb}.
 *
 * @public
 */
export const MipsTlbAnswer = {
  /** No entry matches: the TLB Refill exception, which has a vector of its own. */
  Refill: -1,
  /** The page that matches has V=0: the TLB Invalid exception. */
  Invalid: -2,
  /** A store to a page with D=0: the TLB Modified exception. */
  Modified: -3,
  /** A load from a page with RI=1: the TLB Read Inhibit exception. */
  ReadInhibit: -4,
  /** A fetch from a page with XI=1: the TLB Execute Inhibit exception. */
  ExecuteInhibit: -5,
  /** A write that would have made two entries match: the Machine Check exception. */
  MachineCheck: -6,
} as const;

/** What kinds of exception those numbers name, by -1 - number. */
const KINDS: readonly ExceptionKindNumber[] = [
  ExceptionKind.Refill,
  ExceptionKind.Invalid,
  ExceptionKind.Modified,
  ExceptionKind.Refused,
  ExceptionKind.Refused,
];

/** The kind of exception of an answer. @internal */
export function mipsKind(answer: number): ExceptionKindNumber {
  return KINDS[-1 - answer] ?? ExceptionKind.Refused;
}

/** Cause.ExcCode of those numbers, by -1 - number, for a load or fetch. */
const CODES = [2, 2, 1, 19, 20, 24] as const;

/**
 * Cause.ExcCode of an exception (MIPS64 Architecture Vol. III, Cause Register ExcCode Field): TLBL or TLBS for refill and
 * invalid, Mod, TLBRI, TLBXI, MCheck.
 *
 * @param answer - One of {@link MipsTlbAnswer}.
 * @param access - The access, as `Access` bits.
 * @returns The code, 0 to 31; -1 where the answer is no exception.
 *
 * @example
 * ```ts
 * import { Access } from 'pagewright/core';
 * import { MipsTlbAnswer, mipsExcCode } from 'pagewright/mmu';
 *
 * mipsExcCode(MipsTlbAnswer.Refill, Access.Write); // => 3
 * mipsExcCode(MipsTlbAnswer.Modified, Access.Write); // => 1
 * ```
 * @public
 */
export function mipsExcCode(answer: number, access: number): number {
  const code = CODES[-1 - answer] ?? -1;
  return code === 2 && isStore(access) ? 3 : code;
}

const OPTIONS: OptionNames<MipsTlbOptions> = { entries: true, asidBits: true, inhibit: true };

/** Options with their defaults, checked. @internal */
export function mipsOptions(options: MipsTlbOptions): Required<MipsTlbOptions> {
  checkOptions('', options, OPTIONS);
  const { asidBits = 8, entries, inhibit = 'own' } = options;
  checkInteger('entries', entries, 2, 1024);
  if (asidBits !== 8 && asidBits !== 10) {
    throw new VmError('bad-argument', {
      argument: 'asidBits',
      value: asidBits,
      expected: '8 or 10',
    });
  }
  if (inhibit !== 'none' && inhibit !== 'invalid' && inhibit !== 'own') {
    const expected = 'none, invalid or own';
    throw new VmError('bad-argument', { argument: 'inhibit', value: inhibit, expected });
  }
  return { entries, asidBits, inhibit };
}

/** The greatest value of PageMask.Mask: pages of 256 MiB. @internal */
export const MOST_MASK = 0xffff;

/** Whether a value of PageMask.Mask is one of the page sizes: an even number of ones. @internal */
export function isPageMask(mask: number): boolean {
  return mask >= 0 && mask <= MOST_MASK && Number.isInteger(Math.log2(mask + 1) / 2);
}
