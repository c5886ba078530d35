import { addressOf, PAGE_BYTES, PAGE_NUMBER_END } from '../core/index.js';
import type { RamSnapshot, SparseSnapshot } from './region-snapshot.js';

/**
 * What hot methods return where there is no memory, or where a device refuses. Every valid answer is 0 or above.
 *
 * @public
 */
export const BUS_ERROR = -1;

/**
 * A region's answer when the access is not wholly inside it, as it stands now. Never leaves this room: the memory
 * then looks for the right region, or goes byte by byte.
 */
export const OUTSIDE = -2;

/**
 * Greatest size of a region: 2^52 bytes. Offsets in it, and the ends of accesses that run past it, are exact numbers.
 */
export const MAX_REGION_BYTES: number = 2 ** 52;

/**
 * Where a 64-bit value is left, as two int32 words.
 *
 * @public
 */
export interface WordPair {
  /** Bits 31:0. */
  low: number;
  /** Bits 63:32. */
  high: number;
}

/**
 * What answers in a region.
 *
 * @public
 */
export type RegionKind = 'ram' | 'sparse' | 'device';

/**
 * Width in bytes of an access that fits one number.
 */
export type NarrowWidth = 1 | 2 | 4;

/**
 * A stretch of physical memory. Positions (`at`) count bytes from its base; each method checks them itself and
 * answers {@link OUTSIDE}, because a buffer may be detached or grow at any time.
 *
 * The base is kept as (frame, offset): as one number it could lose bits above 2^53.
 */
export abstract class Region {
  abstract readonly kind: RegionKind;
  readonly basePfn: number;
  readonly baseOffset: number;
  /** Bytes from the base to the next region or the end of the space: how far this one could grow. */
  room: number;

  constructor(basePfn: number, baseOffset: number) {
    this.basePfn = basePfn;
    this.baseOffset = baseOffset;
    this.room = this.distance(PAGE_NUMBER_END, 0);
  }

  /**
   * Bytes from the base to an address; negative below it. Exact below 2^53 and monotonic above, so that comparing it
   * with a size is always right. `offset` may run past its page.
   */
  distance(pfn: number, offset: number): number {
    return (pfn - this.basePfn) * PAGE_BYTES + (offset - this.baseOffset);
  }

  /** The base as an address. */
  get base(): bigint {
    return addressOf(this.basePfn, this.baseOffset);
  }

  /** Bytes that answer at this moment. */
  abstract get size(): number;

  /** Bytes of host memory behind them. */
  abstract get usedBytes(): number;

  /** Looks at the source again: it may have grown, shrunk or gone. */
  refresh(): void {}

  /** Whether the 4096 bytes from a position on, which may be below 0, are known to be 0 without being read. */
  isBlank(_at: number): boolean {
    return false;
  }

  /** An unsigned value, {@link BUS_ERROR} or {@link OUTSIDE}. */
  abstract read(at: number, width: NarrowWidth): number;

  /** 0, {@link BUS_ERROR} or {@link OUTSIDE}. Bits of `value` above the width are ignored. */
  abstract write(at: number, width: NarrowWidth, value: number): number;

  /** 0 with the value left in `out`, {@link BUS_ERROR} or {@link OUTSIDE}. */
  abstract readWords(at: number, out: WordPair): number;

  /** 0, {@link BUS_ERROR} or {@link OUTSIDE}. */
  abstract writeWords(at: number, low: number, high: number): number;

  /** Fills `target` from a stretch that the caller knows to be inside: 0 or {@link BUS_ERROR}. */
  abstract readInto(at: number, target: Uint8Array): number;

  /** Writes all of `source` to a stretch that the caller knows to be inside: 0 or {@link BUS_ERROR}. */
  abstract writeFrom(at: number, source: Uint8Array): number;

  /**
   * A copy of all contents.
   *
   * @throws VmError `unsupported` for a device.
   */
  abstract save(): RamSnapshot | SparseSnapshot;
}
