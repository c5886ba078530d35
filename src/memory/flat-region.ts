import { PAGE_BYTES } from '../core/index.js';
import { type Backing, BufferRegion, NO_BUFFER } from './buffer-region.js';
import { type NarrowWidth, OUTSIDE, type WordPair } from './region.js';

/**
 * A direct view of whole frames, for a walker's fast path: `words[(pfn - firstPfn) * 1024]` is the first word of
 * frame `pfn`.
 *
 * @remarks
 * The view may end at any time: when a WebAssembly memory grows, the old buffer is detached and `words.length`
 * becomes 0. Compare the index with `words.length` before use (a walker must in any case) and ask for a new window when
 * it is not below.
 *
 * @public
 */
export interface RamWindow {
  /** The frames' contents as int32 words: no copy. Its length is a multiple of 1024. */
  readonly words: Int32Array;
  /** The frame that `words[0]` belongs to. */
  readonly firstPfn: number;
}

/** 2^21 - 1 frames have less than 2^31 words, so that every index into a window is an int32. */
const MAX_WINDOW_FRAMES = 2 ** 21 - 1;

const PAGE_WORDS = PAGE_BYTES / 4;

/**
 * RAM in an unshared buffer. A `DataView` reads at any alignment, little-endian on any host, at the speed of a typed
 * array; the `Uint8Array` beside it has no bytes any more once detached, where a `DataView` would throw.
 *
 * That it has none is seen by reading one, not by its length: code of V8 11.3 (Node 20) that has met a view of a
 * resizable buffer gives the old length of every view that is detached afterwards. For the same reason there is no
 * {@link RamWindow} of a resizable buffer, so that walkers may compare with `words.length`.
 */
export class FlatRegion extends BufferRegion {
  readonly shared = false;
  private length: number;
  private bytes: Uint8Array;
  private view: DataView;
  private lastWindow: RamWindow | null;

  constructor(basePfn: number, baseOffset: number, backing: Backing) {
    super(basePfn, baseOffset, backing);
    this.length = 0;
    this.bytes = new Uint8Array(NO_BUFFER);
    this.view = new DataView(NO_BUFFER);
    this.lastWindow = null;
    this.refresh();
  }

  get size(): number {
    return this.length;
  }

  get contents(): Uint8Array {
    return this.bytes;
  }

  protected attach(buffer: ArrayBufferLike, length: number): void {
    const start = length === 0 ? 0 : this.start;
    this.bytes = new Uint8Array(buffer, start, length);
    this.view = new DataView(buffer, start, length);
    this.length = length;
    this.lastWindow = null;
  }

  /** Whether all bytes of an access are here now. A view of fixed length has all of its bytes or none. */
  private has(at: number, width: number): boolean {
    return at >= 0 && at + width <= this.length && this.bytes[at] !== undefined;
  }

  read(at: number, width: NarrowWidth): number {
    if (!this.has(at, width)) return OUTSIDE;
    if (width === 4) return this.view.getUint32(at, true);
    return width === 2 ? this.view.getUint16(at, true) : this.bytes[at]!;
  }

  write(at: number, width: NarrowWidth, value: number): number {
    if (!this.has(at, width)) return OUTSIDE;
    if (width === 4) this.view.setInt32(at, value, true);
    else if (width === 2) this.view.setInt16(at, value, true);
    else this.bytes[at] = value;
    return 0;
  }

  readWords(at: number, out: WordPair): number {
    if (!this.has(at, 8)) return OUTSIDE;
    out.low = this.view.getInt32(at, true);
    out.high = this.view.getInt32(at + 4, true);
    return 0;
  }

  writeWords(at: number, low: number, high: number): number {
    if (!this.has(at, 8)) return OUTSIDE;
    this.view.setInt32(at, low, true);
    this.view.setInt32(at + 4, high, true);
    return 0;
  }

  /** The window that holds a frame, or `null` when the frame is not whole or its words are not aligned. */
  window(pfn: number): RamWindow | null {
    const known = this.lastWindow;
    if (known !== null && known.words.length > 0) {
      const index = (pfn - known.firstPfn) * PAGE_WORDS;
      if (index >= 0 && index < known.words.length) return known;
    }
    this.lastWindow = this.makeWindow(pfn);
    return this.lastWindow;
  }

  private makeWindow(pfn: number): RamWindow | null {
    if (isResizable(this.buffer)) return null;
    const firstPfn = this.basePfn + (this.baseOffset === 0 ? 0 : 1);
    const skipped = this.distance(firstPfn, 0);
    const frames = Math.floor((this.size - skipped) / PAGE_BYTES);
    const index = pfn - firstPfn;
    if (!(index >= 0 && index < frames) || (this.start + skipped) % 4 !== 0) return null;
    const from = Math.floor(index / MAX_WINDOW_FRAMES) * MAX_WINDOW_FRAMES;
    const length = Math.min(frames - from, MAX_WINDOW_FRAMES) * PAGE_WORDS;
    const byte = this.start + skipped + from * PAGE_BYTES;
    return { words: new Int32Array(this.buffer, byte, length), firstPfn: firstPfn + from };
  }
}

/** Node 20 has resizable buffers; the type library of ES2022, which this package asks for, does not know of them. */
function isResizable(buffer: ArrayBufferLike & { readonly resizable?: boolean }): boolean {
  return buffer.resizable === true;
}
