import { Region } from './region.js';
import type { RamSnapshot } from './region-snapshot.js';

/**
 * Where a region's bytes live: `buffer` is read again whenever the region does not find what it expects.
 */
export interface Backing {
  /** The caller's object, or a box around a plain buffer. */
  readonly source: { readonly buffer: ArrayBufferLike };
  /** First byte of the region in the buffer. */
  readonly start: number;
  /** Bytes wanted: a fixed length, or `Infinity` to have all there is and grow along. */
  readonly length: number;
}

/**
 * What flat and shared regions have in common: a stretch of somebody's buffer, followed when the buffer is replaced
 * (WebAssembly `grow`), resized or transferred away.
 */
export abstract class BufferRegion extends Region {
  readonly kind = 'ram';
  abstract readonly shared: boolean;
  /** First byte of the region in the buffer. */
  readonly start: number;
  protected buffer: ArrayBufferLike;
  private readonly backing: Backing;

  constructor(basePfn: number, baseOffset: number, backing: Backing) {
    super(basePfn, baseOffset);
    this.start = backing.start;
    this.backing = backing;
    this.buffer = backing.source.buffer;
  }

  get usedBytes(): number {
    return this.size;
  }

  override refresh(): void {
    const buffer = this.backing.source.buffer;
    const available = Math.max(0, buffer.byteLength - this.start);
    const length = Math.min(this.backing.length, this.room, available);
    if (buffer === this.buffer && length === this.size) return;
    this.buffer = buffer;
    this.attach(length === 0 ? NO_BUFFER : buffer, length); // a detached buffer allows no view
  }

  /** All bytes of the region. */
  abstract get contents(): Uint8Array;

  /** Makes the views anew; with {@link NO_BUFFER} when there are no bytes. */
  protected abstract attach(buffer: ArrayBufferLike, length: number): void;

  readInto(at: number, target: Uint8Array): number {
    target.set(this.contents.subarray(at, at + target.length));
    return 0;
  }

  writeFrom(at: number, source: Uint8Array): number {
    this.contents.set(source, at);
    return 0;
  }

  save(): RamSnapshot {
    const { kind, base, shared } = this;
    return { kind, base, shared, contents: Uint8Array.from(this.contents) };
  }
}

/** Stands in where there is nothing to look at. */
export const NO_BUFFER: ArrayBuffer = new ArrayBuffer(0);
