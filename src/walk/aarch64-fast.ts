import { AARCH64_PTE } from '../pte/index.js';
import { AArch64CompleteWalk } from './aarch64-complete.js';
import type { AArch64FastHalf } from './aarch64-fast-half.js';

const { AF, AP1, Table, Valid } = AARCH64_PTE;

/** A table, when it is not at the last level, or a page. */
const TABLE = Table | Valid;
/** What the fast path wants of a page, and of a block. */
const LEAF_MASK = AF | TABLE;
const PAGE = AF | TABLE;
const BLOCK = AF | Valid;

/**
 * The fast path of both AArch64 stages.
 *
 * @public
 */
export abstract class AArch64FastWalk extends AArch64CompleteWalk {
  /**
   * The fast path: the frame, when there is a leaf, nothing forbids the access and no bit is to set; -1 sends the caller
   * to the complete form. It has the form of `X86Walker`'s, for the same reasons; what differs from half to half is data
   * of the half.
   *
   * @param low - Bits 31:0 of the page number.
   * @param high - Bits 51:26.
   */
  protected fastWalk(low: number, high: number, access: number): number {
    // Bit 55 of the address chooses the half.
    const slot = (high >>> 17) & this.halfMask;
    const half = slot === 0 ? this.lower : this.upper;
    const { sign } = half;
    const outside = (access & 2) === 0 ? half.outsideData : half.outsideFetch;
    if ((((high ^ sign) & outside) | ((low ^ sign) & half.outsideLow)) !== 0) return -1;
    if (half.plain !== 1) return this.otherGranule(half, slot, low, high, access);
    const { wideFrames, windowLow, words } = this;
    const wanted = this.pointerWanted;
    let shift = half.topShift;
    let entry = 0;
    let upper = 0;
    let highs = 0;
    // The root may have fewer entries than its index has bits, or up to 16 tables' in a row.
    let index = (shift < 27 ? low >>> shift : high >>> (shift - 26)) & half.rootMask;
    let frame = (half.root + (index >>> 9)) | 0;
    let word = half.rootWord + ((index & 511) << 1);
    for (;;) {
      if (frame >>> 0 >= wideFrames >>> 0) {
        frame = this.hostRelative(frame);
        if (frame < 0) return -1;
      }
      const at = (frame << 10) + word;
      entry = words[at]!;
      upper = words[at + 1]!;
      if (shift === 0 || (entry & TABLE) !== TABLE) break;
      highs |= upper ^ wanted;
      frame = ((entry >>> 12) | ((upper & 0x7ff) << 20)) - windowLow;
      shift -= 9;
      index = (shift < 27 ? low >>> shift : high >>> (shift - 26)) & 511;
      word = index << 1;
    }
    if ((highs & half.pointerMask) !== 0) return -1;
    return this.leafFrame(half, slot, shift, entry, upper, highs, low, access);
  }

  /** The same where granules are larger, or descriptors have address bits below bit 12. */
  private otherGranule(
    half: AArch64FastHalf,
    slot: number,
    low: number,
    high: number,
    access: number,
  ): number {
    const { wideFrames, windowLow, words } = this;
    const wanted = this.pointerWanted;
    const { granuleShift } = half;
    const stride = granuleShift + 9;
    const mask = (1 << stride) - 1;
    let shift = half.topShift;
    let entry = 0;
    let upper = 0;
    let lows = 0;
    let highs = 0;
    let index =
      (shift < 26 ? (low >>> shift) | (high << (26 - shift)) : high >>> (shift - 26)) &
      half.rootMask;
    let frame = half.root;
    let word = half.rootWord;
    for (;;) {
      frame = (frame + (index >>> 9)) | 0;
      if (frame >>> 0 >= wideFrames >>> 0) {
        frame = this.hostRelative(frame);
        if (frame < 0) return -1;
      }
      const at = (frame << 10) + word + ((index & 511) << 1);
      entry = words[at]!;
      upper = words[at + 1]!;
      lows |= entry;
      if (shift === granuleShift || (entry & TABLE) !== TABLE) break;
      highs |= upper ^ wanted;
      frame = (((entry >>> 12) & -(1 << granuleShift)) | ((upper & 0x7ff) << 20)) - windowLow;
      word = 0;
      shift -= stride;
      index =
        (shift < 26 ? (low >>> shift) | (high << (26 - shift)) : high >>> (shift - 26)) & mask;
    }
    if (((lows & half.splitMask) | (highs & half.pointerMask)) !== 0) return -1;
    return this.leafFrame(half, slot, shift, entry, upper, highs, low, access);
  }

  /** The frame that an entry gives, when it is a leaf that allows the access and has no bit to set. */
  private leafFrame(
    half: AArch64FastHalf,
    slot: number,
    shift: number,
    entry: number,
    upper: number,
    highs: number,
    low: number,
    access: number,
  ): number {
    const kind = shift === half.granuleShift ? PAGE : BLOCK;
    const wrong =
      ((entry & LEAF_MASK) ^ kind) | ((half.noLeaf >>> shift) & 1) | (upper & half.beyondOutput);
    const tables = highs & half.tableAttributes;
    // AP[2:1] with APTable, PXN and UXN with theirs, and DBM come together as `NO_EL0_ACCESS` and its like want them.
    const permission =
      ((((entry ^ AP1) >>> 6) | (tables >>> 29)) & 3) |
      (((upper >>> 19) | (tables >>> 25)) & 12) |
      ((upper & half.dirtyMask) >>> 15);
    // Accesses that there are not are beyond the table, or have nothing there.
    if (wrong !== 0 || ((half.allowed[access]! >>> permission) & 1) === 0) return -1;
    const below = (1 << shift) - 1;
    this.slot = slot;
    this.leafShift = shift;
    this.leafLow = entry;
    this.leafHigh = upper;
    this.leafTables = tables;
    return (upper & 0xffff) * 2 ** 20 + (((entry >>> 12) & ~below) | (low & below));
  }
}
