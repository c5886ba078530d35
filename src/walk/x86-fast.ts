import { X86_PTE } from '../pte/index.js';
import { X86CompleteWalk } from './x86-complete.js';
import { RIGHTS_MARK, RIGHTS_XD, rowOf } from './x86-rules.js';
import { FRAME_HIGH } from './x86-state.js';

const { P, D, PS } = X86_PTE;

// The optimiser knows a module's own constants, and reads imported ones from their cells at every use (measured).
const XD_PLACE = RIGHTS_XD;
const MARK = RIGHTS_MARK;
const FRAME_BITS = FRAME_HIGH;

/**
 * The fast path of x86 walks: a CPU's own and those of nested paging.
 *
 * @public
 */
export abstract class X86FastWalk extends X86CompleteWalk {
  /**
   * The fast path: the frame, when there is a leaf, nothing forbids the access and no bit is to set; -1 sends the caller
   * to the complete form. Pointers are not judged one by one: their bits are gathered and the leaf asks once, for to
   * follow a bad one only reads RAM in vain.
   *
   * `walk` is small, so that V8 inlines it even where several walker classes meet, and hands over int32s, for which no
   * number is boxed: with eight formats 26 ns instead of 36 (measured). This function is too long to be inlined, and
   * must be: were it a little shorter, its size would count as `walk`'s, and neither would be.
   *
   * @param low - Bits 31:0 of the page number.
   * @param high - Bits 51:26.
   */
  protected fastWalk(low: number, high: number, access: number): number {
    const { words, windowLow } = this;
    let shift = this.topShift;
    let entry = 0;
    let upper = 0;
    let and = -1;
    let or = 0;
    if (this.wide === 1) {
      if (((high + this.signHalf) & this.signMask) !== 0) return -1;
      const { pointerWanted, wideFrames } = this;
      let frame = (this.rootMask === 0 ? this.rootRelative : this.paeRoot(low)) | 0;
      for (;;) {
        // Both sides unsigned: a table below the window would otherwise deoptimise the loop.
        if (frame >>> 0 >= wideFrames >>> 0) {
          frame = this.hostRelative(frame);
          if (frame < 0) return -1;
        }
        const index = (shift < 27 ? low >>> shift : high >>> (shift - 26)) & 511;
        const at = (frame << 10) + (index << 1);
        entry = words[at]!;
        upper = words[at + 1]!;
        if (shift === 0 || (entry & PS) !== 0) break;
        and &= entry;
        or |= upper ^ pointerWanted;
        frame = ((entry >>> 12) | ((upper & 0x7ff) << 20)) - windowLow;
        shift -= 9;
      }
    } else {
      // 32-bit paging. Apart, so that the loop above has constants where the formats differ (3 ns, measured).
      if (high !== 0 || low >>> 20 !== 0) return -1;
      const { frames, pointerMask } = this;
      let frame = this.rootRelative;
      for (;;) {
        if (frame >>> 0 >= frames >>> 0) {
          frame = this.hostRelative(frame);
          if (frame < 0) return -1;
        }
        entry = words[(frame << 10) + ((low >>> shift) & 1023)]!;
        if (shift === 0 || (entry & pointerMask) !== P) break;
        and &= entry;
        frame = (entry >>> 12) - windowLow;
        shift -= 10;
      }
    }
    // D counts in the leaf alone, so the AND of the upper entries must not clear it.
    const allowed = entry & (and | D);
    const any = or | upper;
    const rights = this.rights[access]!;
    const have = (allowed & 0x7f) | ((any >>> 24) & XD_PLACE);
    if (((have & (rights >>> 16)) | MARK) !== (rights & 0xffff)) return -1;
    if (((or & this.pointerHigh) | (upper & this.reservedHigh)) !== 0) return -1;
    if (this.keys !== 0 && this.keyRule(rowOf(access, this.row), allowed, upper) !== null)
      return -1;
    // 32-bit paging's pointers that are not present come here too, without PS. The low bits of a large page's frame are
    // reserved, or PSE-36's: the complete form knows.
    if (
      shift !== 0 &&
      ((entry & PS) === 0 ||
        shift > this.largestShift ||
        (entry & ((0x1000 << shift) - 0x2000)) !== 0)
    ) {
      return -1;
    }
    const below = (1 << shift) - 1;
    this.leafShift = shift;
    this.leafLow = entry;
    this.leafHigh = upper;
    this.leafAnd = allowed;
    this.leafOr = any;
    return (upper & FRAME_BITS) * 2 ** 20 + (((entry >>> 12) & ~below) | (low & below));
  }

  /** The PDPTE's table for an address below 4 GiB, relative to the window. */
  private paeRoot(low: number): number {
    if (low >>> 20 !== 0) return -1;
    return this.pdptFrame < 0 ? this.rootsRelative[low >>> 18]! : this.pdpteRoot(low >>> 18);
  }

  /** The same where the PDPTE is in memory: the guest's frame, when that has 31 bits. */
  private pdpteRoot(slot: number): number {
    const frame = this.hostRelative(this.pdptFrame);
    if (frame < 0) return -1;
    const at = (frame << 10) + (this.pdptByte >> 2) + 2 * slot;
    const low = this.words[at]!;
    const high = this.words[at + 1]!;
    if ((low & P) === 0 || high >>> 11 !== 0 || this.pdpteReserved(low, high)) return -1;
    return (low >>> 12) | (high << 20);
  }
}
