import { PAGE_BYTES } from '../core/index.js';
import { type NarrowWidth, OUTSIDE, Region, type WordPair } from './region.js';
import type { SparseSnapshot } from './region-snapshot.js';

/**
 * RAM whose pages come into being at the first write; before that they read as 0. For big spaces with few pages in
 * use, at about twice the cost of flat RAM (measured).
 *
 * Pages count from the region's base, and the last one touched is kept at hand.
 */
export class SparseRegion extends Region {
  readonly kind = 'sparse';
  readonly size: number;
  /** Page number within the region -> its 4096 bytes. */
  readonly pages: Map<number, DataView>;
  private lastIndex: number;
  private lastPage: DataView | undefined;

  constructor(basePfn: number, baseOffset: number, size: number) {
    super(basePfn, baseOffset);
    this.size = size;
    this.pages = new Map();
    this.lastIndex = -1;
    this.lastPage = undefined;
  }

  get usedBytes(): number {
    return this.pages.size * PAGE_BYTES;
  }

  override isBlank(at: number): boolean {
    return at >= 0 && at % PAGE_BYTES === 0 && !this.pages.has(at / PAGE_BYTES);
  }

  read(at: number, width: NarrowWidth): number {
    if (!(at >= 0 && at + width <= this.size)) return OUTSIDE;
    const offset = at & (PAGE_BYTES - 1);
    if (offset + width > PAGE_BYTES) return this.readBytewise(at, width);
    const page = this.pageAt(at - offset);
    if (page === undefined) return 0;
    if (width === 4) return page.getUint32(offset, true);
    return width === 2 ? page.getUint16(offset, true) : page.getUint8(offset);
  }

  write(at: number, width: NarrowWidth, value: number): number {
    if (!(at >= 0 && at + width <= this.size)) return OUTSIDE;
    const offset = at & (PAGE_BYTES - 1);
    if (offset + width > PAGE_BYTES) return this.writeBytewise(at, width, value);
    const page = this.pageAt(at - offset) ?? this.addPage(at - offset);
    if (width === 4) page.setInt32(offset, value, true);
    else if (width === 2) page.setInt16(offset, value, true);
    else page.setInt8(offset, value);
    return 0;
  }

  readWords(at: number, out: WordPair): number {
    if (!(at >= 0 && at + 8 <= this.size)) return OUTSIDE;
    out.low = this.read(at, 4) | 0;
    out.high = this.read(at + 4, 4) | 0;
    return 0;
  }

  writeWords(at: number, low: number, high: number): number {
    if (!(at >= 0 && at + 8 <= this.size)) return OUTSIDE;
    this.write(at, 4, low);
    this.write(at + 4, 4, high);
    return 0;
  }

  readInto(at: number, target: Uint8Array): number {
    for (let done = 0; done < target.length; ) {
      const offset = (at + done) & (PAGE_BYTES - 1);
      const end = Math.min(done + PAGE_BYTES - offset, target.length);
      const page = this.pageAt(at + done - offset);
      if (page === undefined) target.fill(0, done, end);
      else target.set(new Uint8Array(page.buffer, offset, end - done), done);
      done = end;
    }
    return 0;
  }

  writeFrom(at: number, source: Uint8Array): number {
    for (let done = 0; done < source.length; ) {
      const offset = (at + done) & (PAGE_BYTES - 1);
      const end = Math.min(done + PAGE_BYTES - offset, source.length);
      const start = at + done - offset;
      const page = this.pageAt(start) ?? this.addPage(start);
      new Uint8Array(page.buffer, offset).set(source.subarray(done, end));
      done = end;
    }
    return 0;
  }

  save(): SparseSnapshot {
    const pages = [...this.pages].map(([index, page]) => ({
      index,
      contents: new Uint8Array(page.buffer.slice(0)),
    }));
    return { kind: this.kind, base: this.base, bytes: this.size, pages };
  }

  /** The page that begins at a position, if it was ever written. */
  private pageAt(start: number): DataView | undefined {
    const index = start / PAGE_BYTES;
    if (index === this.lastIndex) return this.lastPage;
    this.lastIndex = index;
    this.lastPage = this.pages.get(index);
    return this.lastPage;
  }

  /** Makes the page of a position, or finds it for a fractional one, which must not make a page of its own. */
  private addPage(start: number): DataView {
    const index = Math.floor(start / PAGE_BYTES);
    const page = this.pages.get(index) ?? new DataView(new ArrayBuffer(PAGE_BYTES));
    this.pages.set(index, page);
    this.lastIndex = index;
    this.lastPage = page;
    return page;
  }

  private readBytewise(at: number, width: NarrowWidth): number {
    let value = 0;
    for (let i = 0; i < width; i++) value |= this.read(at + i, 1) << (8 * i);
    return value >>> 0;
  }

  private writeBytewise(at: number, width: NarrowWidth, value: number): number {
    for (let i = 0; i < width; i++) this.write(at + i, 1, value >>> (8 * i));
    return 0;
  }
}
