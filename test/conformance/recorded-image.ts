import { addressFromVpn, bigintFromWords, highWord, lowWord, pageAndOffset } from 'pagewright/core';
import { PhysicalMemory } from 'pagewright/memory';
import { Malformed } from './fields.js';

/** A memory that notes where it is written. */
export class WatchedMemory extends PhysicalMemory {
  /** Frame, offset, frame, offset ... of every write since it was last emptied. */
  readonly written: number[] = [];

  override write8(pfn: number, offset: number, value: number): number {
    this.written.push(pfn, offset);
    return super.write8(pfn, offset, value);
  }

  override write16(pfn: number, offset: number, value: number): number {
    this.written.push(pfn, offset);
    return super.write16(pfn, offset, value);
  }

  override write32(pfn: number, offset: number, value: number): number {
    this.written.push(pfn, offset);
    return super.write32(pfn, offset, value);
  }

  override writeWords(pfn: number, offset: number, low: number, high: number): number {
    this.written.push(pfn, offset);
    return super.writeWords(pfn, offset, low, high);
  }
}

/** Entries by address, as recordings write them: what a walk changed, for instance. */
export type Entries = ReadonlyMap<bigint, bigint>;

/** No entries. */
export const NOTHING: Entries = new Map();

/**
 * The entries of a recorded image, in a memory: tells what changed, and makes it fresh again.
 *
 * Every recorded word is compared, so that a change is seen however it was made, and every other word that was written.
 */
export class RecordedImage {
  readonly memory: WatchedMemory;
  private readonly entryBytes: 4 | 8;
  private readonly fresh: Entries;
  private readonly pfns: Float64Array;
  private readonly offsets: Int32Array;
  private readonly lows: Int32Array;
  private readonly highs: Int32Array;

  /**
   * @param memory - All zero.
   * @param entries - What to put there, by address.
   * @param entryBytes - The size of an entry.
   */
  constructor(memory: WatchedMemory, entries: Entries, entryBytes: 4 | 8) {
    this.memory = memory;
    this.entryBytes = entryBytes;
    this.fresh = entries;
    this.pfns = new Float64Array(entries.size);
    this.offsets = new Int32Array(entries.size);
    this.lows = new Int32Array(entries.size);
    this.highs = new Int32Array(entries.size);
    let i = 0;
    for (const [address, value] of entries) {
      if (address % BigInt(entryBytes) !== 0n || value >> BigInt(8 * entryBytes) !== 0n) {
        throw new Malformed(`mem ${address.toString(16)}: not an aligned ${entryBytes}-byte word`);
      }
      const { vpn, offset } = pageAndOffset(address);
      this.pfns[i] = vpn;
      this.offsets[i] = offset;
      this.lows[i] = lowWord(value);
      this.highs[i] = highWord(value);
      i++;
      if (!this.put(vpn, offset, value)) {
        throw new Malformed(`mem ${address.toString(16)}: there is no memory at this address`);
      }
    }
    memory.written.length = 0;
  }

  /** Every entry that is not as recorded, with its value now. */
  changes(): Entries {
    const { lows, highs, memory, offsets, pfns } = this;
    const changed = new Map<bigint, bigint>();
    for (let i = 0; i < pfns.length; i++) {
      this.fetch(pfns[i]!, offsets[i]!);
      if (memory.low === lows[i] && memory.high === highs[i]) continue;
      changed.set(addressFromVpn(pfns[i]!, offsets[i]!), bigintFromWords(memory.low, memory.high));
    }
    const { written } = memory;
    for (let i = 0; i < written.length; i += 2) {
      const offset = written[i + 1]! - (written[i + 1]! % this.entryBytes);
      const address = addressFromVpn(written[i]!, offset);
      if (this.fresh.has(address)) continue;
      this.fetch(written[i]!, offset);
      const value = bigintFromWords(memory.low, memory.high);
      if (value !== 0n) changed.set(address, value);
    }
    return changed;
  }

  /** Puts every changed entry back. */
  restore(): void {
    for (const address of this.changes().keys()) {
      const { vpn, offset } = pageAndOffset(address);
      this.put(vpn, offset, this.fresh.get(address) ?? 0n);
    }
    this.memory.written.length = 0;
  }

  /** Makes all recorded words zero, for memory that serves again. */
  clear(): void {
    this.restore();
    for (let i = 0; i < this.pfns.length; i++) this.put(this.pfns[i]!, this.offsets[i]!, 0n);
  }

  /** Reads an entry into the memory's `low` and `high`; missing memory reads as 0. */
  private fetch(pfn: number, offset: number): void {
    const { memory } = this;
    memory.low = 0;
    memory.high = 0;
    if (this.entryBytes === 8) memory.readWords(pfn, offset);
    else memory.low = memory.read32(pfn, offset) | 0;
  }

  private put(pfn: number, offset: number, value: bigint): boolean {
    const { memory } = this;
    const status =
      this.entryBytes === 8
        ? memory.writeWords(pfn, offset, lowWord(value), highWord(value))
        : memory.write32(pfn, offset, lowWord(value));
    return status >= 0;
  }
}

/** Entries as text, in the order of their addresses: equal for equal changes. */
export function entriesText(entries: Entries): string {
  if (entries.size === 0) return 'nothing';
  return [...entries]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([address, value]) => `${address.toString(16)} = ${value.toString(16)}`)
    .join(', ');
}
