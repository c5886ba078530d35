import { AARCH64_PTE_HIGH, type PteFormat } from '../pte/index.js';
import type { AArch64Half } from './aarch64-half.js';
import { STATE_E0PD } from './aarch64-permission.js';

const { APTable0, APTable1, DBM, PXNTable, UXNTable } = AARCH64_PTE_HIGH;

/** What tables take away. */
const TABLE_ATTRIBUTES = APTable1 | APTable0 | UXNTable | PXNTable;

/** Nothing is allowed. */
const NOTHING: Int32Array = new Int32Array(0);

/** {@link AArch64FastHalf.root} without one: negative, whatever page of a root of several is added. */
export const NO_ROOT = -4096;

/** The fast path has no blocks larger than this: above it the frame's alignment spans both words of an entry. */
const LARGEST_SHIFT = 20;

/**
 * What the fast path must know of one half of the address space: int32 fields in objects of one shape, so that a walk
 * finds them behind one load, whatever the halves have in common or not.
 *
 * @internal
 */
export class AArch64FastHalf {
  /** The root's frame, relative to the window; {@link NO_ROOT} when the fast path has nothing to do here. */
  root: number = NO_ROOT;
  /** The word of the root's first entry in its frame. */
  rootWord = 0;
  /** The bits of the root's index. */
  rootMask = 0;
  /** log2 of the 4 KiB pages that an entry of the root maps. */
  topShift = 0;
  /** log2 of the 4 KiB frames in a granule, which is also the shift of the last level. */
  granuleShift = 0;
  /** What the bits of a page number outside the half must all be: 0 or -1. */
  sign = 0;
  /** Those bits among bits 51:26, for data. */
  outsideData = 0;
  /** The same for fetches, whose tags may count where those of data do not. */
  outsideFetch = 0;
  /** The same among bits 25:0. */
  outsideLow = 0;
  /** Bits of a table's high word that must be the window's: those that a frame relative to it has no room for. */
  pointerMask = 0;
  /** Bits of a table's high word that count as attributes: 30:27, or none with HPD. */
  tableAttributes = 0;
  /** Bits of a low word that must be clear: those of addresses beyond 2^48. */
  splitMask = 0;
  /** Bits of a leaf's high word that lie beyond the output size. */
  beyondOutput = 0;
  /** Bit n set: an entry whose shift is `n` is neither a page nor a block that the fast path knows. */
  noLeaf = 0;
  /** 1 for 4 KiB granules whose descriptors have no address bits below 12. */
  plain = 0;
  /** DBM while hardware keeps dirty state. */
  dirtyMask = 0;
  /** {@link STATE_E0PD} when EL0 may not use the half. */
  barred = 0;
  /** By access, which permission bits allow it: one of `AArch64Permissions.allowed`. */
  allowed: Int32Array = NOTHING;

  /** Takes over what the registers say; roots are found when the window is. */
  update(half: AArch64Half, keepsDirty: boolean): void {
    const { flat, format, rootByte, userDisabled } = half;
    const stride = format.pageShift - 3;
    this.root = NO_ROOT;
    this.rootWord = rootByte >>> 2;
    this.granuleShift = format.pageShift - 12;
    this.topShift = this.granuleShift + stride * (format.levels - 1);
    this.rootMask = 2 ** format.indexBits.at(-1)! - 1;
    this.tableAttributes = flat ? 0 : TABLE_ATTRIBUTES;
    this.splitMask = (format.splitTableMask | format.splitLeafMask[0]!) << format.splitShift;
    this.setOutside(half);
    this.setOutput(half);
    this.dirtyMask = keepsDirty ? DBM : 0;
    this.barred = userDisabled ? STATE_E0PD : 0;
    this.plain = this.granuleShift === 0 && this.splitMask === 0 ? 1 : 0;
    this.noLeaf = ~leafShifts(format, this.granuleShift, stride);
  }

  /** Which addresses belong to the half. */
  private setOutside({ format, topByteIgnored }: AArch64Half): void {
    const pageBits = format.virtualBits - 12;
    const high = pageBits <= 26 ? 0x3ffffff : -(2 ** (pageBits - 26)) & 0x3ffffff;
    this.sign = format.onesExtended ? -1 : 0;
    // The tag is bits 51:44 of the page number.
    this.outsideData = high & (topByteIgnored[0] ? 0x3ffff : -1);
    this.outsideFetch = high & (topByteIgnored[1] ? 0x3ffff : -1);
    this.outsideLow = pageBits >= 26 ? 0 : -(2 ** pageBits) & 0x3ffffff;
  }

  /** Which addresses may come out: bits 49:32 of an entry, from the output size up, must be clear. */
  private setOutput({ format, frameEnd }: AArch64Half): void {
    const outputBits = Math.log2(frameEnd) + 12;
    const addressHigh = format.frameBits + format.frameShift > 48 ? 0x3ffff : 0xffff;
    this.beyondOutput =
      outputBits >= 48 ? addressHigh & ~0xffff : addressHigh & -(2 ** (outputBits - 32));
    // A frame relative to the window has bits 30:0; the window itself ends at the output size. Under a second stage
    // there is no window, and what lies beyond the output size is still an address size fault.
    this.pointerMask = 0x3f800 | this.beyondOutput;
  }
}

/** A bitmap: the shifts of pages and blocks. Modulo 32, those of the levels above have no bit there. */
function leafShifts(format: PteFormat, granuleShift: number, stride: number): number {
  let shifts = 1 << granuleShift;
  for (let level = 1; level < format.levels; level++) {
    const shift = granuleShift + stride * level;
    if ((format.leafLevels >>> level) & 1 && shift <= LARGEST_SHIFT) shifts |= 1 << shift;
  }
  return shifts;
}
