import { VmError } from '../core/index.js';
import { loadInts } from './stamp-order.js';
import type { WayOrder } from './way-order.js';

/** No slot: the end of the list. */
const NONE = -1;

/** LRU for one set with many ways: a list, the latest at its head, so that nobody looks for the least of many stamps. */
export class ListOrder implements WayOrder {
  readonly hitStamps: Int32Array = new Int32Array(0);
  /** Towards the tail. */
  private readonly after: Int32Array;
  /** Towards the head. */
  private readonly before: Int32Array;
  private head = NONE;
  private tail = NONE;

  constructor(ways: number) {
    this.after = new Int32Array(ways);
    this.before = new Int32Array(ways);
  }

  hit(_set: number, slot: number): void {
    if (slot === this.head) return;
    this.removed(0, slot);
    this.filled(0, slot);
  }

  filled(_set: number, slot: number): void {
    const { head } = this;
    this.before[slot] = NONE;
    this.after[slot] = head;
    if (head === NONE) this.tail = slot;
    else this.before[head] = slot;
    this.head = slot;
  }

  removed(_set: number, slot: number): void {
    const after = this.after[slot]!;
    const before = this.before[slot]!;
    if (before === NONE) this.head = after;
    else this.after[before] = after;
    if (after === NONE) this.tail = before;
    else this.before[after] = before;
  }

  victim(): number {
    const slot = this.tail;
    this.removed(0, slot);
    return slot;
  }

  restamp(): number {
    return 0;
  }

  save(): readonly unknown[] {
    const slots: number[] = [];
    for (let slot = this.head; slot !== NONE; slot = this.after[slot]!) slots.push(slot);
    return slots;
  }

  load(saved: readonly unknown[], used: readonly number[]): void {
    const slots = new Int32Array(used.length);
    loadInts(slots, saved);
    // Each slot in use once: a list with a slot twice would never end.
    if ([...slots].sort((a, b) => a - b).join() !== used.join()) {
      const expected = 'every slot in use, once';
      throw new VmError('bad-image', { argument: 'snapshot.order', value: saved, expected });
    }
    for (const slot of slots.reverse()) this.filled(0, slot);
  }
}
