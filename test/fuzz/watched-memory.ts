import { PhysicalMemory } from 'pagewright/memory';

/** Places remembered of one walk; more than any walk may touch. */
const MOST = 64;

/**
 * A memory that remembers the entries that a walk reads and changes. The walkers' fast path reads RAM directly and is
 * not seen; it changes nothing.
 */
export class WatchedMemory extends PhysicalMemory {
  /** Entries read since {@link WatchedMemory.forget}. */
  reads = 0;
  /** Entries changed by a compare-exchange. */
  changes = 0;
  /** Bits that any of them changed, of both words. */
  changedLow = 0;
  changedHigh = 0;
  /** Changes of entries that had not been read, and writes of any other kind. */
  strays = 0;
  /** Where the changes were; offsets are below 4096. */
  readonly changePfn: Float64Array = new Float64Array(MOST);
  readonly changeOffset: Int32Array = new Int32Array(MOST);
  /** What they changed in the low word. */
  readonly changeBits: Int32Array = new Int32Array(MOST);

  private readonly readPfn: Float64Array = new Float64Array(MOST);
  private readonly readOffset: Int32Array = new Int32Array(MOST);
  private exchanging = false;

  /** Begins a new walk. */
  forget(): void {
    this.reads = 0;
    this.changes = 0;
    this.changedLow = 0;
    this.changedHigh = 0;
    this.strays = 0;
  }

  override read32(pfn: number, offset: number): number {
    this.noteRead(pfn, offset);
    return super.read32(pfn, offset);
  }

  override readWords(pfn: number, offset: number): number {
    this.noteRead(pfn, offset);
    return super.readWords(pfn, offset);
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
    this.exchanging = true;
    const outcome = super.compareExchange32(pfn, offset, expected, value);
    this.exchanging = false;
    if (outcome === 1) this.noteChange(pfn, offset, expected ^ value, 0);
    return outcome;
  }

  override compareExchangeNarrow(
    pfn: number,
    offset: number,
    width: 1 | 2,
    expected: number,
    value: number,
  ): number {
    this.exchanging = true;
    const outcome = super.compareExchangeNarrow(pfn, offset, width, expected, value);
    this.exchanging = false;
    if (outcome === 1) this.noteChange(pfn, offset, expected ^ value, 0);
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
    this.exchanging = true;
    const outcome = super.compareExchangeWords(pfn, offset, expectedLow, expectedHigh, low, high);
    this.exchanging = false;
    if (outcome === 1) this.noteChange(pfn, offset, expectedLow ^ low, expectedHigh ^ high);
    return outcome;
  }

  private noteRead(pfn: number, offset: number): void {
    if (this.exchanging) return;
    const at = Math.min(this.reads++, MOST - 1);
    this.readPfn[at] = pfn;
    this.readOffset[at] = offset;
  }

  private noteWrite(): void {
    if (!this.exchanging) this.strays++;
  }

  private noteChange(pfn: number, offset: number, low: number, high: number): void {
    const at = Math.min(this.changes++, MOST - 1);
    this.changePfn[at] = pfn;
    this.changeOffset[at] = offset;
    this.changeBits[at] = low;
    this.changedLow |= low;
    this.changedHigh |= high;
    let known = false;
    for (let i = 0; i < this.reads && i < MOST; i++) {
      if (this.readPfn[i] === pfn && this.readOffset[i] === offset) known = true;
    }
    if (!known) this.strays++;
  }
}
