import { checkBoolean, checkInteger, checkOptions, type OptionNames } from '../core/index.js';

/** Where the bits are that decide an access: G, V, D in the low word, RI and XI in the high one. @internal */
export const MipsLo = {
  GLOBAL: 1,
  VALID: 2,
  DIRTY: 4,
  READ_INHIBIT: -0x8000_0000,
  EXECUTE_INHIBIT: 0x4000_0000,
} as const;

const { DIRTY, EXECUTE_INHIBIT, GLOBAL, READ_INHIBIT, VALID } = MipsLo;
/** PFN bits of the high word: with those of the low word 47, for physical addresses of 59 bits. */
const HIGH_FRAME = 0x1f_ffff;

/**
 * The fields of EntryLo0 and EntryLo1.
 *
 * @public
 */
export interface MipsEntryLoFields {
  /** PFN: the frame of 4 KiB, 0 to 2^47 - 1. Bits below the size of the page are not looked at. */
  readonly pfn: number;
  /** C: the cacheability and coherency attribute, 0 to 7. @defaultValue 0 */
  readonly cache?: number;
  /** D: stores are allowed. @defaultValue false */
  readonly dirty?: boolean;
  /** V: the page is there. @defaultValue false */
  readonly valid?: boolean;
  /** G: every address space has the entry, where the other half says so too. @defaultValue false */
  readonly global?: boolean;
  /** RI: loads are refused. @defaultValue false */
  readonly readInhibit?: boolean;
  /** XI: fetches are refused. @defaultValue false */
  readonly executeInhibit?: boolean;
}

const FIELDS: OptionNames<MipsEntryLoFields> = {
  pfn: true,
  cache: true,
  dirty: true,
  valid: true,
  global: true,
  readInhibit: true,
  executeInhibit: true,
};

/**
 * The register EntryLo0 or EntryLo1 of a MIPS64 processor, which describes one page of a pair (MIPS64 Architecture for
 * Programmers Vol. III, EntryLo0 and EntryLo1).
 *
 * ```text
 *   63   62   61     53                        6 5   3  2   1   0
 *  +----+----+---------+------------------------+-----+---+---+---+
 *  | RI | XI |    0    |          PFN           |  C  | D | V | G |
 *  +----+----+---------+------------------------+-----+---+---+---+
 * ```
 *
 * @example
 * ```ts
 * import { MipsTlb } from 'pagewright/mmu';
 *
 * const { entryLo0 } = new MipsTlb({ entries: 16 });
 * entryLo0.load(0x1006, 0); // DMTC0
 * entryLo0.fields().pfn; // => 0x40
 * entryLo0.set({ pfn: 0x41, valid: true });
 * entryLo0.low; // => 0x1042
 * ```
 * @public
 */
export class MipsEntryLo {
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
   * Writes the register as DMTC0 does; bits that it does not have are dropped. O(1), without allocation.
   *
   * @param low - Bits 31:0, as an int32 or uint32.
   * @param high - Bits 63:32.
   */
  load(low: number, high: number): void {
    this.lowWord = low | 0;
    this.highWord = high & (READ_INHIBIT | EXECUTE_INHIBIT | HIGH_FRAME);
  }

  /**
   * Writes the register by its fields.
   *
   * @param fields - See {@link MipsEntryLoFields}.
   * @throws `VmError` `bad-argument` and `out-of-range` for fields that are none; nothing has changed then.
   */
  set(fields: MipsEntryLoFields): void {
    checkOptions('', fields, FIELDS, 'fields');
    const { cache = 0, dirty = false, global = false, pfn, valid = false } = fields;
    const { executeInhibit = false, readInhibit = false } = fields;
    checkInteger('pfn', pfn, 0, 2 ** 47 - 1);
    checkInteger('cache', cache, 0, 7);
    const flags = { dirty, global, valid, executeInhibit, readInhibit };
    for (const [name, value] of Object.entries(flags)) checkBoolean(name, value);
    const bits = (cache << 3) | (dirty ? DIRTY : 0) | (valid ? VALID : 0) | (global ? GLOBAL : 0);
    const rights = (readInhibit ? READ_INHIBIT : 0) | (executeInhibit ? EXECUTE_INHIBIT : 0);
    this.lowWord = ((pfn % 2 ** 26) << 6) | bits;
    this.highWord = Math.floor(pfn / 2 ** 26) | rights;
  }

  /**
   * What the register says.
   *
   * @returns Plain data.
   */
  fields(): Required<MipsEntryLoFields> {
    return mipsEntryLoFields(this.lowWord, this.highWord);
  }
}

/** The frame of two words. @internal */
export function mipsFrame(low: number, high: number): number {
  return (high & HIGH_FRAME) * 2 ** 26 + (low >>> 6);
}

/** The fields of two words. @internal */
export function mipsEntryLoFields(low: number, high: number): Required<MipsEntryLoFields> {
  return {
    pfn: mipsFrame(low, high),
    cache: (low >>> 3) & 7,
    dirty: (low & DIRTY) !== 0,
    valid: (low & VALID) !== 0,
    global: (low & GLOBAL) !== 0,
    readInhibit: (high & READ_INHIBIT) !== 0,
    executeInhibit: (high & EXECUTE_INHIBIT) !== 0,
  };
}
