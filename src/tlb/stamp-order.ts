import { VmError } from '../core/index.js';
import type { WayOrder } from './way-order.js';

/** LRU: the entry whose stamp, from its last fill or hit, is the least goes. FIFO: the same where hits stamp something else. */
export class StampOrder implements WayOrder {
  readonly hitStamps: Int32Array;
  /** Whether a hit makes an entry the youngest, and victims the oldest. */
  readonly isLru: boolean;
  private readonly stamps: Int32Array;
  private readonly ways: number;

  constructor(sets: number, ways: number, onHit = true) {
    this.ways = ways;
    this.isLru = onHit;
    this.stamps = new Int32Array(sets * ways);
    this.hitStamps = onHit ? this.stamps : new Int32Array(sets * ways);
  }

  hit(_set: number, slot: number, now: number): void {
    this.hitStamps[slot] = now;
  }

  filled(_set: number, slot: number, now: number): void {
    this.stamps[slot] = now;
  }

  removed(): void {}

  victim(set: number): number {
    const { stamps, ways } = this;
    let slot = set * ways;
    let least = stamps[slot]!;
    for (let at = slot + 1, end = slot + ways; at < end; at++) {
      if (stamps[at]! < least) {
        least = stamps[at]!;
        slot = at;
      }
    }
    return slot;
  }

  restamp(): number {
    const order = [...this.stamps.keys()].sort((a, b) => this.stamps[a]! - this.stamps[b]!);
    for (const [rank, slot] of order.entries()) this.stamps[slot] = rank;
    return order.length;
  }

  save(): readonly unknown[] {
    return [...this.stamps];
  }

  load(saved: readonly unknown[]): void {
    loadInts(this.stamps, saved);
  }
}

/** Fills an array from saved numbers. */
export function loadInts(into: Int32Array, saved: readonly unknown[]): void {
  const sound = saved.length === into.length && Array.from(saved).every(isInt32);
  if (!sound) {
    const expected = `${into.length} int32 words`;
    throw new VmError('bad-image', { argument: 'snapshot.order', value: saved, expected });
  }
  for (const [index, item] of saved.entries()) into[index] = Number(item);
}

function isInt32(item: unknown): boolean {
  return typeof item === 'number' && item === (item | 0);
}
