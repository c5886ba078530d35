import { RISCV_PTE, RISCV_PTE_HIGH } from '../pte/index.js';
import { RiscvCompleteWalk } from './riscv-complete.js';

const { V, R, W, X, U, A, D } = RISCV_PTE;
const { PBMT } = RISCV_PTE_HIGH;

/** The fast path follows an entry with V alone of these bits. */
const POINTER_MASK = V | R | W | X | U | A | D;

/** Bits 53:32 of an entry: the upper half of the 44-bit PPN. */
const PPN_HIGH = 0x003fffff;

/**
 * The fast path of both RISC-V stages.
 *
 * @public
 */
export abstract class RiscvFastWalk extends RiscvCompleteWalk {
  /**
   * The fast path but for the PMP: the frame, when there is a leaf, nothing forbids the access and no bit is to set; -1
   * sends the caller to the complete form. It has the form of `X86Walker`'s, for the same reasons.
   *
   * @param low - Bits 31:0 of the page number.
   * @param high - Bits 51:26.
   * @param quarter - Which quarter of a 16 KiB root holds the entry: 0 for roots of a page.
   */
  protected fastWalk(low: number, high: number, access: number, quarter: number): number {
    const { words, windowLow } = this;
    let shift = this.topShift;
    let entry = 0;
    let upper = 0;
    let any = 0;
    let frame = (this.rootRelative + quarter) | 0;
    if (this.wide === 1) {
      if (((high + this.signHalf) & this.signMask) !== 0) return -1;
      const { pointerHigh, pointerWanted, wideFrames } = this;
      for (;;) {
        if (frame >>> 0 >= wideFrames >>> 0) {
          frame = this.hostRelative(frame);
          if (frame < 0) return -1;
        }
        const index = (shift < 27 ? low >>> shift : high >>> (shift - 26)) & 511;
        const at = (frame << 10) + (index << 1);
        entry = words[at]!;
        upper = words[at + 1]!;
        any |= entry;
        if (
          shift === 0 ||
          (entry & POINTER_MASK) !== V ||
          (upper & pointerHigh) !== pointerWanted
        ) {
          break;
        }
        frame = ((entry >>> 10) | ((upper & 0x1ff) << 22)) - windowLow;
        shift -= 9;
      }
    } else {
      if (high !== 0 || low >>> 20 !== 0) return -1;
      const { frames } = this;
      for (;;) {
        if (frame >>> 0 >= frames >>> 0) {
          frame = this.hostRelative(frame);
          if (frame < 0) return -1;
        }
        entry = words[(frame << 10) + ((low >>> shift) & 1023)]!;
        any |= entry;
        if (shift === 0 || (entry & POINTER_MASK) !== V) break;
        frame = (entry >>> 10) - windowLow;
        shift -= 10;
      }
    }
    // A pointer has no rights, so every access but M-mode's, which is longer than the table, refuses it.
    if ((access & 0x7f) !== access || this.leafRule[access * 256 + (entry & 0xff)] !== 0) return -1;
    if ((upper & this.leafReserved) !== 0 || (upper & PBMT) === PBMT) return -1;
    let first = entry >>> 10;
    let below = (1 << shift) - 1;
    if (upper < 0) {
      // Svnapot: a group of 16 pages has 8 in the low bits of its frame number.
      if (shift !== 0 || (first & 15) !== 8) return -1;
      first -= 8;
      below = 15;
    }
    // Levels 3 and 4 map 512 GiB and more; their alignment spans both words, so the complete form checks it.
    if (shift > 20 || (first & below) !== 0) return -1;
    this.leafShift = shift;
    this.leafLow = entry;
    this.leafHigh = upper;
    this.leafAny = any;
    return (upper & PPN_HIGH) * 2 ** 22 + (first | (low & below));
  }
}
