import { VmError } from '../core/index.js';
import { FlatRegion, type RamWindow } from './flat-region.js';
import { BUS_ERROR, type NarrowWidth, OUTSIDE, type Region } from './region.js';
import { RegionTable } from './region-table.js';
import { SharedRegion } from './shared-region.js';

/**
 * The accesses of a physical memory for inner loops, with numbers only; {@link PhysicalMemory} adds everything else.
 *
 * Addresses are `pfn` (4 KiB frames, an integer from 0 to 2^52 - 1) and `offset` (0 to 4095). Every integer in range is
 * answered with a value or {@link BUS_ERROR}; nothing throws (unless a device's callback does) and nothing is allocated.
 * Values are little-endian. An access may have any alignment and run past its page, also into an adjacent region (then
 * in smaller accesses; when a device refuses one of them, those before it have been done). On a SharedArrayBuffer,
 * accesses that are aligned in the buffer are atomic, the 64-bit ones included.
 *
 * @public
 */
export abstract class MemoryBus {
  /** Bits 31:0 of the last {@link MemoryBus.readWords} or failed compare-exchange, an int32. */
  low: number;
  /** Bits 63:32 of the same. */
  high: number;
  /** Counts additions of regions, so that who keeps a {@link RamWindow} knows when to ask again. */
  layoutVersion: number;
  /** @internal */
  protected readonly table: RegionTable;
  /** The region of the last access, tried first; at the beginning, one of no bytes. Regions check bounds themselves. */
  private last: Region;

  /** @throws `VmError` `unsupported` on a big-endian host, whose typed arrays would swap the guest's bytes. */
  constructor() {
    if (new Uint8Array(new Uint32Array([1]).buffer)[0] !== 1) {
      throw new VmError('unsupported', { argument: 'host', expected: 'a little-endian machine' });
    }
    this.low = 0;
    this.high = 0;
    this.layoutVersion = 0;
    this.table = new RegionTable();
    this.last = new FlatRegion(0, 0, { source: new Uint8Array(0), start: 0, length: 0 });
  }

  /**
   * Reads a byte.
   *
   * @param pfn - The frame.
   * @param offset - The byte in it.
   * @returns 0 to 0xff, or {@link BUS_ERROR}.
   */
  read8(pfn: number, offset: number): number {
    const region = this.last;
    const value = region.read(region.distance(pfn, offset), 1);
    return value === OUTSIDE ? this.readElsewhere(pfn, offset, 1) : value;
  }

  /**
   * Reads 16 bits.
   *
   * @param pfn - The frame.
   * @param offset - The first byte in it.
   * @returns 0 to 0xffff, or {@link BUS_ERROR}.
   */
  read16(pfn: number, offset: number): number {
    const region = this.last;
    const value = region.read(region.distance(pfn, offset), 2);
    return value === OUTSIDE ? this.readElsewhere(pfn, offset, 2) : value;
  }

  /**
   * Reads 32 bits.
   *
   * @param pfn - The frame.
   * @param offset - The first byte in it.
   * @returns 0 to 0xffffffff (unsigned), or {@link BUS_ERROR}.
   */
  read32(pfn: number, offset: number): number {
    const region = this.last;
    const value = region.read(region.distance(pfn, offset), 4);
    return value === OUTSIDE ? this.readElsewhere(pfn, offset, 4) : value;
  }

  /**
   * Reads 64 bits into {@link MemoryBus.low} and {@link MemoryBus.high}. On a SharedArrayBuffer, and
   * 8-aligned in it, both halves are of one value.
   *
   * @param pfn - The frame.
   * @param offset - The first byte in it.
   * @returns 0, or {@link BUS_ERROR} (then `low` and `high` mean nothing).
   */
  readWords(pfn: number, offset: number): number {
    const region = this.last;
    const status = region.readWords(region.distance(pfn, offset), this);
    return status === OUTSIDE ? this.readWordsElsewhere(pfn, offset) : status;
  }

  /**
   * Writes a byte.
   *
   * @param pfn - The frame.
   * @param offset - The byte in it.
   * @param value - Bits above 7 are ignored.
   * @returns 0, or {@link BUS_ERROR}.
   */
  write8(pfn: number, offset: number, value: number): number {
    const region = this.last;
    const status = region.write(region.distance(pfn, offset), 1, value);
    return status === OUTSIDE ? this.writeElsewhere(pfn, offset, 1, value) : status;
  }

  /**
   * Writes 16 bits.
   *
   * @param pfn - The frame.
   * @param offset - The first byte in it.
   * @param value - Bits above 15 are ignored.
   * @returns 0, or {@link BUS_ERROR}.
   */
  write16(pfn: number, offset: number, value: number): number {
    const region = this.last;
    const status = region.write(region.distance(pfn, offset), 2, value);
    return status === OUTSIDE ? this.writeElsewhere(pfn, offset, 2, value) : status;
  }

  /**
   * Writes 32 bits.
   *
   * @param pfn - The frame.
   * @param offset - The first byte in it.
   * @param value - An int32 or uint32.
   * @returns 0, or {@link BUS_ERROR}.
   */
  write32(pfn: number, offset: number, value: number): number {
    const region = this.last;
    const status = region.write(region.distance(pfn, offset), 4, value);
    return status === OUTSIDE ? this.writeElsewhere(pfn, offset, 4, value) : status;
  }

  /**
   * Writes 64 bits. On a SharedArrayBuffer, and 8-aligned in it, at once.
   *
   * @param pfn - The frame.
   * @param offset - The first byte in it.
   * @param low - Bits 31:0.
   * @param high - Bits 63:32.
   * @returns 0, or {@link BUS_ERROR}.
   */
  writeWords(pfn: number, offset: number, low: number, high: number): number {
    const region = this.last;
    const status = region.writeWords(region.distance(pfn, offset), low, high);
    return status === OUTSIDE ? this.writeWordsElsewhere(pfn, offset, low, high) : status;
  }

  /**
   * Replaces 32 bits if they are as expected. On a SharedArrayBuffer, and 4-aligned in it, this is one atomic step; on
   * RAM of one worker nothing can come between; a misaligned or device location is read, compared and written.
   *
   * @param pfn - The frame.
   * @param offset - The first byte in it.
   * @param expected - What should be there.
   * @param value - What to put there.
   * @returns 1 when replaced, 0 when not (`low` is what was found, `high` is 0), or {@link BUS_ERROR}.
   */
  compareExchange32(pfn: number, offset: number, expected: number, value: number): number {
    const region = this.table.find(pfn, offset);
    if (region instanceof SharedRegion) {
      const at = region.distance(pfn, offset);
      const status = region.compareExchange32(at, expected, value, this);
      if (status !== OUTSIDE) return status;
    }
    const found = this.read32(pfn, offset);
    if (found < 0) return BUS_ERROR;
    this.low = found | 0;
    this.high = 0;
    if (this.low !== (expected | 0)) return 0;
    return this.write32(pfn, offset, value) < 0 ? BUS_ERROR : 1;
  }

  /**
   * Replaces 8 or 16 bits if they are as expected; atomic as {@link MemoryBus.compareExchange32}, when aligned.
   *
   * @param pfn - The frame.
   * @param offset - The first byte in it.
   * @param width - Bytes: 1 or 2.
   * @param expected - What should be there; bits above the width are ignored, here and in `value`.
   * @param value - What to put there.
   * @returns 1 when replaced, 0 when not (`low` is what was found, `high` is 0), or {@link BUS_ERROR}.
   */
  compareExchangeNarrow(
    pfn: number,
    offset: number,
    width: 1 | 2,
    expected: number,
    value: number,
  ): number {
    const wanted = expected & (width === 2 ? 0xffff : 0xff);
    const region = this.table.find(pfn, offset);
    if (region instanceof SharedRegion) {
      const at = region.distance(pfn, offset);
      const status = region.compareExchangeNarrow(at, width, wanted, value, this);
      if (status !== OUTSIDE) return status;
    }
    const found = width === 2 ? this.read16(pfn, offset) : this.read8(pfn, offset);
    if (found < 0) return BUS_ERROR;
    this.low = found;
    this.high = 0;
    if (found !== wanted) return 0;
    const status = width === 2 ? this.write16(pfn, offset, value) : this.write8(pfn, offset, value);
    return status < 0 ? BUS_ERROR : 1;
  }

  /**
   * Replaces 64 bits if all of them are as expected; atomic as {@link MemoryBus.compareExchange32}, when 8-aligned.
   *
   * @param pfn - The frame.
   * @param offset - The first byte in it.
   * @param expectedLow - What should be in bits 31:0.
   * @param expectedHigh - What should be in bits 63:32.
   * @param low - What to put into bits 31:0.
   * @param high - What to put into bits 63:32.
   * @returns 1 when replaced, 0 when not (what was found is in `low` and `high`), or {@link BUS_ERROR}.
   */
  compareExchangeWords(
    pfn: number,
    offset: number,
    expectedLow: number,
    expectedHigh: number,
    low: number,
    high: number,
  ): number {
    const region = this.table.find(pfn, offset);
    if (region instanceof SharedRegion) {
      const at = region.distance(pfn, offset);
      const status = region.compareExchangeWords(at, expectedLow, expectedHigh, low, high, this);
      if (status !== OUTSIDE) return status;
    }
    if (this.readWords(pfn, offset) < 0) return BUS_ERROR;
    if (this.low !== (expectedLow | 0) || this.high !== (expectedHigh | 0)) return 0;
    return this.writeWords(pfn, offset, low, high) < 0 ? BUS_ERROR : 1;
  }

  /**
   * A direct view for a walker's fast path: whole frames of unshared flat RAM whose words are 4-aligned in their buffer,
   * which is not a resizable one.
   *
   * @param pfn - The frame wanted.
   * @returns The window that holds it, at most 2^21 - 1 frames, or `null`. O(log regions); the same object while it
   * stays good.
   *
   * @example
   * ```ts
   * import { PhysicalMemory } from 'pagewright/memory';
   *
   * const memory = PhysicalMemory.allocate(0x4000, { base: 0x8000_0000 });
   * memory.write32(0x80002, 16, 7);
   * const window = memory.ramWindow(0x80002)!;
   * window.words[(0x80002 - window.firstPfn) * 1024 + 4]; // => 7
   * memory.ramWindow(0x80004); // => null
   * ```
   */
  ramWindow(pfn: number): RamWindow | null {
    const region = this.table.find(pfn, 0);
    return region instanceof FlatRegion ? region.window(pfn) : null;
  }

  /**
   * Whether there is memory of any kind at every byte of a stretch. Nothing is read.
   *
   * @param pfn - The frame.
   * @param offset - The first byte in it.
   * @param bytes - How many, 0 or more (no bytes are everywhere).
   * @returns `true` when there is.
   */
  contains(pfn: number, offset: number, bytes: number): boolean {
    return this.table.contains(pfn, offset, bytes);
  }

  /**
   * Whether a frame is known to hold nothing: there is no memory, or sparse RAM that was never written. A search for
   * what is not 0 may pass over it. Nothing is read.
   *
   * @param pfn - The frame.
   * @returns `false` also for memory that happens to be 0. O(log regions).
   */
  isBlank(pfn: number): boolean {
    return this.table.isBlank(pfn);
  }

  /** The region of an access that the last one could not answer, which it becomes; `null` where there is none. */
  private seek(pfn: number, offset: number): Region | null {
    const region = this.table.find(pfn, offset);
    if (region !== null) this.last = region;
    return region;
  }

  private readElsewhere(pfn: number, offset: number, width: NarrowWidth): number {
    const region = this.seek(pfn, offset);
    if (region === null) return BUS_ERROR;
    const value = region.read(region.distance(pfn, offset), width);
    if (value !== OUTSIDE) return value;
    if (!this.contains(pfn, offset, width)) return BUS_ERROR;
    let bits = 0;
    for (let i = 0; i < width; i++) {
      const byte = this.read8(pfn, offset + i);
      if (byte < 0) return BUS_ERROR;
      bits |= byte << (8 * i);
    }
    return bits >>> 0;
  }

  private writeElsewhere(pfn: number, offset: number, width: NarrowWidth, value: number): number {
    const region = this.seek(pfn, offset);
    if (region === null) return BUS_ERROR;
    const status = region.write(region.distance(pfn, offset), width, value);
    if (status !== OUTSIDE) return status;
    if (!this.contains(pfn, offset, width)) return BUS_ERROR;
    for (let i = 0; i < width; i++) {
      if (this.write8(pfn, offset + i, value >>> (8 * i)) < 0) return BUS_ERROR;
    }
    return 0;
  }

  private readWordsElsewhere(pfn: number, offset: number): number {
    const region = this.seek(pfn, offset);
    if (region === null) return BUS_ERROR;
    const status = region.readWords(region.distance(pfn, offset), this);
    if (status !== OUTSIDE) return status;
    if (!this.contains(pfn, offset, 8)) return BUS_ERROR;
    const low = this.read32(pfn, offset);
    const high = this.read32(pfn, offset + 4);
    this.low = low | 0;
    this.high = high | 0;
    return low < 0 || high < 0 ? BUS_ERROR : 0;
  }

  private writeWordsElsewhere(pfn: number, offset: number, low: number, high: number): number {
    const region = this.seek(pfn, offset);
    if (region === null) return BUS_ERROR;
    const status = region.writeWords(region.distance(pfn, offset), low, high);
    if (status !== OUTSIDE) return status;
    if (!this.contains(pfn, offset, 8)) return BUS_ERROR;
    if (this.write32(pfn, offset, low) < 0) return BUS_ERROR;
    return this.write32(pfn, offset + 4, high);
  }
}
