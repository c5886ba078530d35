import { AARCH64_PTE } from '../pte/index.js';
import { AArch64CompleteWalk } from './aarch64-complete.js';

const { AF, AP1, AP2, Table, Valid } = AARCH64_PTE;

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
  /** By access: its row in the permission table without state; those that there are not have none. */
  protected abstract readonly rows: Int32Array;

  /**
   * The fast path: the frame, when there is a leaf, nothing forbids the access and no bit is to set; -1 sends the caller
   * to the complete form. It has the form of `X86Walker`'s, for the same reasons; what differs from half to half is data
   * of the half.
   *
   * @param low - Bits 31:0 of the page number.
   * @param high - Bits 51:26.
   */
  protected fastWalk(low: number, high: number, access: number): number {
    const { windowLow, words } = this;
    // Bit 55 of the address chooses the half.
    const slot = (high >>> 17) & this.halfMask;
    const half = slot === 0 ? this.lower : this.upper;
    const { sign } = half;
    const outside = (access & 2) === 0 ? half.outsideData : half.outsideFetch;
    if (((high ^ sign) & outside) !== 0 || ((low ^ sign) & half.outsideLow) !== 0) return -1;
    const { wideFrames } = this;
    const wanted = this.pointerWanted;
    let shift = half.topShift;
    let entry = 0;
    let upper = 0;
    let lows = 0;
    let highs = 0;
    // The root may have fewer entries than its index has bits, or up to 16 tables' in a row.
    if (half.granuleShift === 0) {
      // 4 KiB granules. Apart, so that the loop has constants where the granules differ.
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
        lows |= entry;
        highs |= upper ^ wanted;
        frame = ((entry >>> 12) | ((upper & 0x7ff) << 20)) - windowLow;
        shift -= 9;
        index = (shift < 27 ? low >>> shift : high >>> (shift - 26)) & 511;
        word = index << 1;
      }
    } else {
      const { granuleShift } = half;
      const stride = granuleShift + 9;
      const mask = (1 << stride) - 1;
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
        if (shift === granuleShift || (entry & TABLE) !== TABLE) break;
        lows |= entry;
        highs |= upper ^ wanted;
        frame = (((entry >>> 12) & -(1 << granuleShift)) | ((upper & 0x7ff) << 20)) - windowLow;
        word = 0;
        shift -= stride;
        index =
          (shift < 26 ? (low >>> shift) | (high << (26 - shift)) : high >>> (shift - 26)) & mask;
      }
    }
    const wrong =
      ((lows | entry) & half.splitMask) | (highs & half.pointerMask) | (upper & half.beyondOutput);
    if (wrong !== 0) return -1;
    if (
      shift === half.granuleShift
        ? (entry & LEAF_MASK) !== PAGE
        : (entry & LEAF_MASK) !== BLOCK || ((half.blockShifts >>> shift) & 1) === 0
    ) {
      return -1;
    }
    const row = this.rows[access]! | half.row;
    // What DBM makes writable may be clean: then a store has a bit to set.
    const clean = (upper & this.dirtyMask) !== 0 && ((entry ^ this.cleanFlip) & AP2) !== 0;
    if (clean && (row & 1) !== 0) return -1;
    const seen = clean ? entry ^ AP2 : entry;
    const tables = highs & half.tableAttributes;
    const permission =
      ((((seen ^ AP1) >>> 6) | (tables >>> 29)) & 3) | (((upper >>> 19) | (tables >>> 25)) & 12);
    if (this.permissions[(row << 4) | permission] !== 0) return -1;
    const below = (1 << shift) - 1;
    this.slot = slot;
    this.leafShift = shift;
    this.leafLow = entry;
    this.leafHigh = upper;
    this.leafTables = tables;
    return (upper & 0xffff) * 2 ** 20 + (((entry >>> 12) & ~below) | (low & below));
  }
}
