import { AARCH64_PTE, AARCH64_PTE_HIGH } from '../pte/index.js';
import { AArch64CompleteWalk } from './aarch64-complete.js';

const { AP2 } = AARCH64_PTE;
const { DBM } = AARCH64_PTE_HIGH;

/**
 * The fast path of both AArch64 stages.
 *
 * @public
 */
export abstract class AArch64FastWalk extends AArch64CompleteWalk {
  /** By access: its row in the permission table without state, or 64 for what is no access of this stage. */
  protected abstract readonly rows: Int32Array;

  /**
   * The fast path: the frame, when there is a leaf, nothing forbids the access and no bit is to set; -1 sends the caller
   * to the complete form. It has the form of `X86Walker`'s, for the same reasons; what differs from granule to granule is
   * data by half.
   *
   * @param low - Bits 31:0 of the page number.
   * @param high - Bits 51:26.
   */
  protected fastWalk(low: number, high: number, access: number): number {
    const { words, windowLow, wideFrames } = this;
    // Bit 55 of the address chooses the half.
    const half = (high >>> 17) & this.halfMask;
    const fetch = (access >>> 1) & 1;
    const row = this.rows[access]! | this.row;
    if (
      // Accesses that there are not have no row.
      row >= 64 ||
      ((high ^ -half) & this.outsideHigh[2 * half + fetch]!) !== 0 ||
      ((low ^ -half) & this.outsideLow[half]!) !== 0
    ) {
      return -1;
    }
    const granuleShift = this.granuleShifts[half]!;
    const stride = granuleShift + 9;
    const mask = (1 << stride) - 1;
    const splitMask = this.splitMasks[half]!;
    const wanted = this.pointerWanted;
    let shift = this.topShifts[half]!;
    let frame = this.rootsRelative[half]!;
    let word = this.rootWords[half]!;
    if (frame < 0) return -1;
    // The root may have fewer entries than its index has bits: the bits above are the half's.
    let index =
      ((shift < 26 ? (low >>> shift) | (high << (26 - shift)) : high >>> (shift - 26)) &
        this.rootMasks[half]!) |
      0;
    let entry = 0;
    let upper = 0;
    let tables = 0;
    let odd = 0;
    for (;;) {
      frame = (frame + (index >>> 9)) | 0;
      if (frame >>> 0 >= wideFrames >>> 0) {
        frame = this.hostRelative(frame);
        if (frame < 0) return -1;
      }
      const at = (frame << 10) + word + ((index & 511) << 1);
      entry = words[at]!;
      upper = words[at + 1]!;
      if (shift === granuleShift || (entry & 3) !== 3) break;
      tables |= upper;
      odd |= ((upper ^ wanted) & 0x3f800) | (entry & splitMask);
      frame = (((entry >>> 12) & -(1 << granuleShift)) | ((upper & 0x7ff) << 20)) - windowLow;
      word = 0;
      shift -= stride;
      index =
        (shift < 26 ? (low >>> shift) | (high << (26 - shift)) : high >>> (shift - 26)) & mask;
    }
    // A page has type 3, a block type 1 where there are blocks; both have AF.
    if (
      shift === granuleShift
        ? (entry & 0x403) !== 0x403
        : (entry & 0x403) !== 0x401 || shift > 20 || ((this.blockShifts[half]! >>> shift) & 1) === 0
    ) {
      return -1;
    }
    odd |= (entry & splitMask) | (upper & this.beyondOutput[half]!);
    if (odd !== 0) return -1;
    // With DBM, what may not be written may be clean: the complete form knows.
    if ((upper & DBM) !== 0 && ((entry ^ this.cleanFlip) & AP2) !== 0 && this.keepsDirty) return -1;
    tables &= this.tableAttributes[half]!;
    const user = (entry >>> 6) & 1 & ~(tables >>> 29);
    const readOnly = ((entry >>> 7) | (tables >>> 30)) & 1;
    const noEl1 = ((upper >>> 21) | (tables >>> 27)) & 1;
    const noEl0 = ((upper >>> 22) | (tables >>> 28)) & 1;
    const permission = user | (readOnly << 1) | (noEl1 << 2) | (noEl0 << 3);
    if (this.permissions[(row << 4) | permission] !== 0) return -1;
    if (this.userDisabled[half] !== 0 && (row & 4) !== 0) return -1;
    const below = (1 << shift) - 1;
    this.half = this.halves[half]!;
    this.leafShift = shift;
    this.leafLow = entry;
    this.leafHigh = upper;
    this.leafTables = tables;
    return (upper & 0xffff) * 2 ** 20 + (((entry >>> 12) & ~below) | (low & below));
  }
}
