import { PhysicalMemory } from 'pagewright/memory';

/** Places remembered of one walk; more than any walk may touch. */
const MOST = 1024;

/**
 * A memory that remembers the entries that a walk reads and changes. The walkers' fast path reads RAM directly and is
 * not seen; it changes nothing.
 */
export class WatchedMemory extends PhysicalMemory {
  /** Entries read since {@link WatchedMemory.forget}. */
  reads = 0;
  /** Entries changed by a compare-exchange. */
  changes = 0;
  /** Changes of what had not been read as an entry of that size, and writes of any other kind. */
  strays = 0;
  /** Where the changes were; offsets are below 4096. */
  readonly changePfn: Float64Array = new Float64Array(MOST);
  readonly changeOffset: Int32Array = new Int32Array(MOST);
  /** The bits that they changed, of both words. */
  readonly changeLow: Int32Array = new Int32Array(MOST);
  readonly changeHigh: Int32Array = new Int32Array(MOST);

  private readonly readPfn: Float64Array = new Float64Array(MOST);
  private readonly readOffset: Int32Array = new Int32Array(MOST);
  private readonly readWidth: Int32Array = new Int32Array(MOST);
  /** In an access: those that it is made of do not count. */
  private busy = false;

  /** Begins a new walk. */
  forget(): void {
    this.reads = 0;
    this.changes = 0;
    this.strays = 0;
  }

  override read8(pfn: number, offset: number): number {
    const outer = this.begin();
    if (outer) this.noteRead(pfn, offset, 1);
    const value = super.read8(pfn, offset);
    if (outer) this.busy = false;
    return value;
  }

  override read16(pfn: number, offset: number): number {
    const outer = this.begin();
    if (outer) this.noteRead(pfn, offset, 2);
    const value = super.read16(pfn, offset);
    if (outer) this.busy = false;
    return value;
  }

  override read32(pfn: number, offset: number): number {
    const outer = this.begin();
    if (outer) this.noteRead(pfn, offset, 4);
    const value = super.read32(pfn, offset);
    if (outer) this.busy = false;
    return value;
  }

  override readWords(pfn: number, offset: number): number {
    const outer = this.begin();
    if (outer) this.noteRead(pfn, offset, 8);
    const status = super.readWords(pfn, offset);
    if (outer) this.busy = false;
    return status;
  }

  override write8(pfn: number, offset: number, value: number): number {
    this.noteWrite();
    return super.write8(pfn, offset, value);
  }

  override write16(pfn: number, offset: number, value: number): number {
    this.noteWrite();
    return super.write16(pfn, offset, value);
  }

  override write32(pfn: number, offset: number, value: number): number {
    this.noteWrite();
    return super.write32(pfn, offset, value);
  }

  override writeWords(pfn: number, offset: number, low: number, high: number): number {
    this.noteWrite();
    return super.writeWords(pfn, offset, low, high);
  }

  override compareExchange32(pfn: number, offset: number, expected: number, value: number): number {
    this.busy = true;
    const outcome = super.compareExchange32(pfn, offset, expected, value);
    this.busy = false;
    if (outcome === 1) this.noteChange(pfn, offset, 4, expected ^ value, 0);
    return outcome;
  }

  override compareExchangeNarrow(
    pfn: number,
    offset: number,
    width: 1 | 2,
    expected: number,
    value: number,
  ): number {
    this.busy = true;
    const outcome = super.compareExchangeNarrow(pfn, offset, width, expected, value);
    this.busy = false;
    if (outcome === 1) this.noteChange(pfn, offset, width, expected ^ value, 0);
    return outcome;
  }

  override compareExchangeWords(
    pfn: number,
    offset: number,
    expectedLow: number,
    expectedHigh: number,
    low: number,
    high: number,
  ): number {
    this.busy = true;
    const outcome = super.compareExchangeWords(pfn, offset, expectedLow, expectedHigh, low, high);
    this.busy = false;
    if (outcome === 1) this.noteChange(pfn, offset, 8, expectedLow ^ low, expectedHigh ^ high);
    return outcome;
  }

  /** Begins an access; `false` inside another. */
  private begin(): boolean {
    if (this.busy) return false;
    this.busy = true;
    return true;
  }

  private noteWrite(): void {
    if (!this.busy) this.strays++;
  }

  private noteRead(pfn: number, offset: number, width: number): void {
    const at = Math.min(this.reads++, MOST - 1);
    this.readPfn[at] = pfn;
    this.readOffset[at] = offset;
    this.readWidth[at] = width;
  }

  private noteChange(pfn: number, offset: number, width: number, low: number, high: number): void {
    const at = Math.min(this.changes++, MOST - 1);
    this.changePfn[at] = pfn;
    this.changeOffset[at] = offset;
    this.changeLow[at] = low;
    this.changeHigh[at] = high;
    if (!this.wasRead(pfn, offset, width)) this.strays++;
  }

  private wasRead(pfn: number, offset: number, width: number): boolean {
    for (let i = 0; i < this.reads && i < MOST; i++) {
      const samePlace = this.readPfn[i] === pfn && this.readOffset[i] === offset;
      if (samePlace && this.readWidth[i] === width) return true;
    }
    return false;
  }
}
