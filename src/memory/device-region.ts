import { VmError } from '../core/index.js';
import { BUS_ERROR, type NarrowWidth, OUTSIDE, Region, type WordPair } from './region.js';

/**
 * Width of a device access in bytes.
 *
 * @public
 */
export type DeviceWidth = 1 | 2 | 4 | 8;

/**
 * The two callbacks of a device region. Words rather than bigints, so that a device costs no allocation.
 *
 * @public
 */
export interface DeviceCallbacks {
  /**
   * A load.
   *
   * @param offset - Bytes from the region's base; the access lies wholly inside the region, at any alignment.
   * @param width - Bytes read.
   * @param words - For width 8 only: the answer goes here (both words are 0 beforehand). The region's own pair, used
   * again at the next access.
   * @returns For widths 1, 2 and 4 the value, unsigned (higher bits are ignored); for width 8, 0. Anything negative is a
   * bus error.
   */
  read(offset: number, width: DeviceWidth, words: WordPair): number;
  /**
   * A store.
   *
   * @param offset - Bytes from the region's base.
   * @param width - Bytes written.
   * @param low - The value; unsigned for widths 1, 2 and 4, bits 31:0 as an int32 for width 8.
   * @param high - Bits 63:32 as an int32 for width 8, otherwise 0.
   * @returns 0, or {@link BUS_ERROR} (anything negative) to refuse.
   */
  write(offset: number, width: DeviceWidth, low: number, high: number): number;
}

/**
 * Registers behind callbacks.
 */
export class DeviceRegion extends Region {
  readonly kind = 'device';
  readonly size: number;
  readonly name: string;
  private readonly device: DeviceCallbacks;
  /** Not the memory's own pair: a callback may use the memory. */
  private readonly words: WordPair;

  constructor(
    basePfn: number,
    baseOffset: number,
    size: number,
    device: DeviceCallbacks,
    name: string | undefined,
  ) {
    super(basePfn, baseOffset);
    this.size = size;
    this.device = device;
    this.words = { low: 0, high: 0 };
    this.name = name ?? `device at 0x${this.base.toString(16)}`;
  }

  get usedBytes(): number {
    return 0;
  }

  read(at: number, width: NarrowWidth): number {
    if (!(at >= 0 && at + width <= this.size)) return OUTSIDE;
    const value = this.device.read(at, width, this.words);
    if (value < 0) return BUS_ERROR;
    return width === 4 ? value >>> 0 : value & (width === 2 ? 0xffff : 0xff);
  }

  write(at: number, width: NarrowWidth, value: number): number {
    if (!(at >= 0 && at + width <= this.size)) return OUTSIDE;
    const low = width === 4 ? value >>> 0 : value & (width === 2 ? 0xffff : 0xff);
    return this.device.write(at, width, low, 0) < 0 ? BUS_ERROR : 0;
  }

  readWords(at: number, out: WordPair): number {
    if (!(at >= 0 && at + 8 <= this.size)) return OUTSIDE;
    const { words } = this;
    words.low = 0;
    words.high = 0;
    if (this.device.read(at, 8, words) < 0) return BUS_ERROR;
    out.low = words.low | 0;
    out.high = words.high | 0;
    return 0;
  }

  writeWords(at: number, low: number, high: number): number {
    if (!(at >= 0 && at + 8 <= this.size)) return OUTSIDE;
    return this.device.write(at, 8, low | 0, high | 0) < 0 ? BUS_ERROR : 0;
  }

  readInto(at: number, target: Uint8Array): number {
    for (let i = 0; i < target.length; i++) {
      const value = this.read(at + i, 1);
      if (value < 0) return BUS_ERROR;
      target[i] = value;
    }
    return 0;
  }

  writeFrom(at: number, source: Uint8Array): number {
    for (let i = 0; i < source.length; i++) {
      if (this.write(at + i, 1, source[i]!) < 0) return BUS_ERROR;
    }
    return 0;
  }

  save(): never {
    throw new VmError('unsupported', {
      argument: this.name,
      expected: 'no devices: their state is behind callbacks and cannot be saved',
    });
  }
}
