import type { PolicyKind } from './policy.js';
import { SlotHeap } from './slot-heap.js';
import {
  damaged,
  FREE,
  type PolicyState,
  policyKind,
  SlotPolicy,
  savedVector,
} from './slot-policy.js';

/** More uses than there will be, and far from where adding 1 changes nothing. */
const MAX_COUNT = 2 ** 52;

class LfuPolicy extends SlotPolicy {
  readonly name = 'LFU';
  /** By uses, then by the time of the last use. */
  private readonly heap: SlotHeap;
  /** The time of the latest use, in uses. */
  private clock = 0;

  constructor(slots: number) {
    super(slots);
    this.heap = new SlotHeap(slots);
  }

  protected filled(slot: number): void {
    this.heap.set(slot, 1, ++this.clock);
  }

  protected touched(slot: number): void {
    this.heap.set(slot, this.heap.firstOf(slot) + 1, ++this.clock);
  }

  protected choose(): number {
    const slot = this.heap.top;
    this.heap.remove(slot);
    return slot;
  }

  protected removed(slot: number): void {
    this.heap.remove(slot);
  }

  protected checkState(): void {
    this.heap.check(this.pages);
    const times = this.inUse().map((slot) => this.heap.secondOf(slot));
    if (new Set(times).size < times.length) throw new Error('two pages were used at one time');
    const late = times.find((time) => !(time > 0 && time <= this.clock));
    if (late !== undefined) throw new Error(`a page was used at ${late}, it is ${this.clock}`);
    const unused = this.inUse().find((slot) => !(this.heap.firstOf(slot) > 0));
    if (unused !== undefined) throw new Error(`slot ${unused} has no use`);
  }

  protected save(): PolicyState {
    const counts = new Array<number>(this.slots).fill(0);
    const lastUses = new Array<number>(this.slots).fill(0);
    for (const slot of this.inUse()) {
      counts[slot] = this.heap.firstOf(slot);
      lastUses[slot] = this.heap.secondOf(slot);
    }
    return { counts, lastUses };
  }

  protected restoreState(state: PolicyState): void {
    const counts = savedVector(state, 'counts', this.slots, MAX_COUNT);
    const lastUses = savedVector(state, 'lastUses', this.slots, MAX_COUNT);
    for (const [slot, page] of this.pages.entries()) {
      const [count, time] = [counts[slot]!, lastUses[slot]!];
      if (page !== FREE) this.heap.set(slot, count, time);
      else if (count + time > 0) throw damaged('state.counts', counts, `0 for free slot ${slot}`);
      this.clock = Math.max(this.clock, time);
    }
  }

  private inUse(): number[] {
    return [...this.pages.keys()].filter((slot) => this.pages[slot] !== FREE);
  }
}

/**
 * LFU: the page with the fewest uses since it came goes, coming included; of several the least recently used one
 * (Silberschatz, Galvin and Gagne, Operating System Concepts, "Counting-Based Page Replacement"). What is known of a page is
 * forgotten when it goes. Every event is O(log slots).
 *
 * @returns The policy. Its snapshot's state has `counts` and `lastUses`, one for each slot.
 *
 * @example
 * ```ts
 * import { lfu, simulate } from 'pagewright/replacement';
 *
 * simulate(lfu(), 3, [1, 1, 2, 2, 3, 4]).steps.at(-1)?.victim; // => 3
 * ```
 * @public
 */
export function lfu(): PolicyKind {
  return policyKind('LFU', (slots) => new LfuPolicy(slots));
}
