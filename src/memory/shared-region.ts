import { type Backing, BufferRegion, NO_BUFFER } from './buffer-region.js';
import { type NarrowWidth, OUTSIDE, type WordPair } from './region.js';

/** The crossing between one atomic 64-bit value and two words. */
const asBigint = new BigInt64Array(2);
const asWords = new Int32Array(asBigint.buffer);

/**
 * RAM in a SharedArrayBuffer, which other workers read and write at the same time.
 *
 * Every aligned access is one `Atomics` operation. It must be: for an ordinary 64-bit access, and for any access through
 * a `DataView`, the language allows tearing, so that one half may be old and one new. Only `Atomics` on a
 * `BigInt64Array` promises that a 64-bit value is read as it was written (ECMAScript, IsNoTearConfiguration and the
 * memory model's "tear free reads").
 *
 * Views start at the buffer's first byte, because alignment is that of the host's memory, not of the region.
 * An unaligned access is made of smaller atomic ones: no single agent sees garbage, but others may see it half done.
 */
export class SharedRegion extends BufferRegion {
  readonly shared = true;
  private length: number;
  private bytes: Uint8Array;
  private halves: Uint16Array;
  private words: Int32Array;
  private doubles: BigInt64Array;

  constructor(basePfn: number, baseOffset: number, backing: Backing) {
    super(basePfn, baseOffset, backing);
    this.length = 0;
    this.bytes = new Uint8Array(NO_BUFFER);
    this.halves = new Uint16Array(NO_BUFFER);
    this.words = new Int32Array(NO_BUFFER);
    this.doubles = new BigInt64Array(NO_BUFFER);
    this.refresh();
  }

  get size(): number {
    return this.length;
  }

  get contents(): Uint8Array {
    return this.bytes.subarray(this.start, this.start + this.length);
  }

  protected attach(buffer: ArrayBufferLike, length: number): void {
    const total = buffer.byteLength;
    this.length = length;
    this.bytes = new Uint8Array(buffer, 0, total);
    this.halves = new Uint16Array(buffer, 0, Math.floor(total / 2));
    this.words = new Int32Array(buffer, 0, Math.floor(total / 4));
    this.doubles = new BigInt64Array(buffer, 0, Math.floor(total / 8));
  }

  read(at: number, width: NarrowWidth): number {
    if (!(at >= 0 && at + width <= this.length)) return OUTSIDE;
    const byte = this.start + at;
    if ((byte & (width - 1)) !== 0) return this.readUnaligned(byte, width);
    if (width === 4) return Atomics.load(this.words, byte / 4) >>> 0;
    return width === 2 ? Atomics.load(this.halves, byte / 2) : Atomics.load(this.bytes, byte);
  }

  write(at: number, width: NarrowWidth, value: number): number {
    if (!(at >= 0 && at + width <= this.length)) return OUTSIDE;
    const byte = this.start + at;
    if ((byte & (width - 1)) !== 0) this.writeUnaligned(byte, width, value);
    else if (width === 4) Atomics.store(this.words, byte / 4, value);
    else if (width === 2) Atomics.store(this.halves, byte / 2, value);
    else Atomics.store(this.bytes, byte, value);
    return 0;
  }

  readWords(at: number, out: WordPair): number {
    if (!(at >= 0 && at + 8 <= this.length)) return OUTSIDE;
    const byte = this.start + at;
    if ((byte & 7) === 0) {
      asBigint[0] = Atomics.load(this.doubles, byte / 8);
      out.low = asWords[0]!;
      out.high = asWords[1]!;
    } else {
      out.low = this.read(at, 4) | 0;
      out.high = this.read(at + 4, 4) | 0;
    }
    return 0;
  }

  writeWords(at: number, low: number, high: number): number {
    if (!(at >= 0 && at + 8 <= this.length)) return OUTSIDE;
    const byte = this.start + at;
    if ((byte & 7) === 0) {
      asWords[0] = low;
      asWords[1] = high;
      Atomics.store(this.doubles, byte / 8, asBigint[0]!);
    } else {
      this.write(at, 4, low);
      this.write(at + 4, 4, high);
    }
    return 0;
  }

  /** 1 swapped, 0 not (the value found is left in `out`), or {@link OUTSIDE}, also when not aligned. */
  compareExchange32(at: number, expected: number, value: number, out: WordPair): number {
    const byte = this.start + at;
    if (!(at >= 0 && at + 4 <= this.length) || (byte & 3) !== 0) return OUTSIDE;
    const found = Atomics.compareExchange(this.words, byte / 4, expected, value);
    out.low = found;
    out.high = 0;
    return found === (expected | 0) ? 1 : 0;
  }

  /** As {@link SharedRegion.compareExchange32}, for 8 or 16 bits; `expected` has no others. */
  compareExchangeNarrow(
    at: number,
    width: 1 | 2,
    expected: number,
    value: number,
    out: WordPair,
  ): number {
    const byte = this.start + at;
    if (!(at >= 0 && at + width <= this.length) || (byte & (width - 1)) !== 0) return OUTSIDE;
    const found =
      width === 2
        ? Atomics.compareExchange(this.halves, byte / 2, expected, value)
        : Atomics.compareExchange(this.bytes, byte, expected, value);
    out.low = found;
    out.high = 0;
    return found === expected ? 1 : 0;
  }

  /** As {@link SharedRegion.compareExchange32}, for all 64 bits. */
  compareExchangeWords(
    at: number,
    expectedLow: number,
    expectedHigh: number,
    low: number,
    high: number,
    out: WordPair,
  ): number {
    const byte = this.start + at;
    if (!(at >= 0 && at + 8 <= this.length) || (byte & 7) !== 0) return OUTSIDE;
    asWords[0] = expectedLow;
    asWords[1] = expectedHigh;
    asWords[2] = low;
    asWords[3] = high;
    asBigint[0] = Atomics.compareExchange(this.doubles, byte / 8, asBigint[0]!, asBigint[1]!);
    out.low = asWords[0]!;
    out.high = asWords[1]!;
    return out.low === (expectedLow | 0) && out.high === (expectedHigh | 0) ? 1 : 0;
  }

  private readUnaligned(byte: number, width: NarrowWidth): number {
    let value = 0;
    for (let i = 0; i < width; i++) value |= Atomics.load(this.bytes, byte + i) << (8 * i);
    return value >>> 0;
  }

  private writeUnaligned(byte: number, width: NarrowWidth, value: number): void {
    for (let i = 0; i < width; i++) Atomics.store(this.bytes, byte + i, value >>> (8 * i));
  }
}
