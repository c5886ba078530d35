import { checkBoolean, checkInteger, checkOptions, type OptionNames } from '../core/index.js';

/** Where the bits are that decide an access: V, D, G in the low word, NR, NX and RPLV in the high one. @internal */
export const LoongArchLo = {
  VALID: 1,
  DIRTY: 2,
  GLOBAL: 0x40,
  NO_READ: 0x2000_0000,
  NO_EXECUTE: 0x4000_0000,
  RESTRICTED: -0x8000_0000,
} as const;

const { DIRTY, GLOBAL, NO_EXECUTE, NO_READ, RESTRICTED, VALID } = LoongArchLo;
/** PPN bits of the high word: with those of the low word 48, for physical addresses of 60 bits. */
const HIGH_FRAME = 0xfff_ffff;

/**
 * The fields of TLBELO0 and TLBELO1, and of TLBRELO0 and TLBRELO1.
 *
 * @public
 */
export interface LoongArchEntryLoFields {
  /** PPN: the frame of 4 KiB, 0 to 2^48 - 1. Bits below the size of the page are not looked at. */
  readonly pfn: number;
  /** V: the page is valid. @defaultValue false */
  readonly valid?: boolean;
  /** D: stores are allowed. @defaultValue false */
  readonly dirty?: boolean;
  /** PLV: the privilege level of the page, 0 to 3. @defaultValue 0 */
  readonly plv?: number;
  /** MAT: the memory access type, 0 to 3. @defaultValue 0 */
  readonly mat?: number;
  /** G: every address space has the entry, where the other half says so too. @defaultValue false */
  readonly global?: boolean;
  /** NR: loads are refused. @defaultValue false */
  readonly noRead?: boolean;
  /** NX: fetches are refused. @defaultValue false */
  readonly noExecute?: boolean;
  /** RPLV: only accesses of that very privilege level are allowed. @defaultValue false */
  readonly restricted?: boolean;
}

const FIELDS: OptionNames<LoongArchEntryLoFields> = {
  pfn: true,
  valid: true,
  dirty: true,
  plv: true,
  mat: true,
  global: true,
  noRead: true,
  noExecute: true,
  restricted: true,
};

/**
 * A register that describes one page of a pair (LoongArch Reference Manual Vol. 1, TLB Entry Low-order Bits, in LA64).
 *
 * ```text
 *    63    62   61   59                   12    6   5   4 3   2  1   0
 *  +------+----+----+----------------------+---+---+-----+-----+---+---+
 *  | RPLV | NX | NR |          PPN         | 0 | G | MAT | PLV | D | V |
 *  +------+----+----+----------------------+---+---+-----+-----+---+---+
 * ```
 *
 * @example
 * ```ts
 * import { LoongArchTlb } from 'pagewright/mmu';
 *
 * const { elo0 } = new LoongArchTlb();
 * elo0.load(0x4000f, 0); // CSRWR
 * elo0.fields().pfn; // => 0x40
 * elo0.set({ pfn: 0x41, valid: true, plv: 3 });
 * elo0.low; // => 0x4100d
 * ```
 * @public
 */
export class LoongArchEntryLo {
  private lowWord = 0;
  private highWord = 0;

  /** Bits 31:0, as an int32. */
  get low(): number {
    return this.lowWord;
  }

  /** Bits 63:32, as an int32. */
  get high(): number {
    return this.highWord;
  }

  /**
   * Writes the register as CSRWR does; bits that it does not have are dropped. O(1), without allocation.
   *
   * @param low - Bits 31:0, as an int32 or uint32.
   * @param high - Bits 63:32.
   */
  load(low: number, high: number): void {
    this.lowWord = low & 0xffff_f07f;
    this.highWord = high & (NO_READ | NO_EXECUTE | RESTRICTED | HIGH_FRAME);
  }

  /**
   * Writes the register by its fields.
   *
   * @param fields - See {@link LoongArchEntryLoFields}.
   * @throws `VmError` `bad-argument` and `out-of-range` for fields that are none; nothing has changed then.
   */
  set(fields: LoongArchEntryLoFields): void {
    checkOptions('', fields, FIELDS, 'fields');
    const { dirty = false, global = false, mat = 0, pfn, plv = 0, valid = false } = fields;
    const { noExecute = false, noRead = false, restricted = false } = fields;
    checkInteger('pfn', pfn, 0, 2 ** 48 - 1);
    checkInteger('plv', plv, 0, 3);
    checkInteger('mat', mat, 0, 3);
    const flags = { dirty, global, valid, noExecute, noRead, restricted };
    for (const [name, value] of Object.entries(flags)) checkBoolean(name, value);
    const bits = (valid ? VALID : 0) | (dirty ? DIRTY : 0) | (global ? GLOBAL : 0);
    const rights =
      (noRead ? NO_READ : 0) | (noExecute ? NO_EXECUTE : 0) | (restricted ? RESTRICTED : 0);
    this.lowWord = ((pfn % 2 ** 20) << 12) | (mat << 4) | (plv << 2) | bits;
    this.highWord = Math.floor(pfn / 2 ** 20) | rights;
  }

  /**
   * What the register says.
   *
   * @returns Plain data.
   */
  fields(): Required<LoongArchEntryLoFields> {
    return loongArchEntryLoFields(this.lowWord, this.highWord);
  }
}

/** The frame of two words. @internal */
export function loongArchFrame(low: number, high: number): number {
  return (high & HIGH_FRAME) * 2 ** 20 + (low >>> 12);
}

/** The fields of two words. @internal */
export function loongArchEntryLoFields(
  low: number,
  high: number,
): Required<LoongArchEntryLoFields> {
  return {
    pfn: loongArchFrame(low, high),
    valid: (low & VALID) !== 0,
    dirty: (low & DIRTY) !== 0,
    plv: (low >>> 2) & 3,
    mat: (low >>> 4) & 3,
    global: (low & GLOBAL) !== 0,
    noRead: (high & NO_READ) !== 0,
    noExecute: (high & NO_EXECUTE) !== 0,
    restricted: (high & RESTRICTED) !== 0,
  };
}
