import type { PolicyKind } from './policy.js';
import { checkLists, NONE, SlotList } from './slot-list.js';
import {
  FREE,
  type PolicyState,
  policyKind,
  SlotPolicy,
  savedSlots,
  savedVector,
} from './slot-policy.js';

/** The page that came last at the head. */
class SievePolicy extends SlotPolicy {
  readonly name = 'SIEVE';
  private readonly queue: SlotList;
  private readonly visited: Uint8Array;
  /** The slot that is looked at next, or `NONE`: the tail. */
  private hand = NONE;

  constructor(slots: number) {
    super(slots);
    this.queue = new SlotList(slots);
    this.visited = new Uint8Array(slots);
  }

  protected filled(slot: number): void {
    this.queue.pushHead(slot);
  }

  protected touched(slot: number): void {
    this.visited[slot] = 1;
  }

  protected choose(): number {
    const { queue, visited } = this;
    let slot = this.hand === NONE ? queue.tail : this.hand;
    // Ends within one round: each step clears a bit.
    while (visited[slot] === 1) {
      visited[slot] = 0;
      slot = queue.beforeOf(slot);
      if (slot === NONE) slot = queue.tail;
    }
    this.hand = queue.beforeOf(slot);
    queue.remove(slot);
    return slot;
  }

  protected removed(slot: number): void {
    // The hand goes on as it does from a page that it chose.
    if (this.hand === slot) this.hand = this.queue.beforeOf(slot);
    this.visited[slot] = 0;
    this.queue.remove(slot);
  }

  protected checkState(): void {
    checkLists(this.pages, this.queue);
    const odd = this.visited.findIndex((bit, slot) => bit > Number(this.pages[slot] !== FREE));
    if (odd >= 0) throw new Error(`slot ${odd} has bit ${this.visited[odd]}`);
    if (this.hand !== NONE && !(this.pages[this.hand]! >= 0)) {
      throw new Error(`the hand is at ${this.hand}, which is not in use`);
    }
  }

  protected save(): PolicyState {
    return { queue: this.queue.toArray(), visited: [...this.visited], hand: [this.hand] };
  }

  protected restoreState(state: PolicyState): void {
    for (const slot of savedSlots(state, 'queue', this.slots)) this.queue.pushTail(slot);
    this.visited.set(savedVector(state, 'visited', this.slots, 1));
    this.hand = savedVector(state, 'hand', 1, this.slots - 1, NONE)[0]!;
  }
}

/**
 * SIEVE: a queue in the order in which pages came, and a hand that moves from its tail to its head. A page that was used
 * since the hand passed loses its bit and stays where it is; the first one that was not goes, and the hand stops before it.
 * New pages come in at the head, unvisited, so most of them meet the hand before old ones that are used do (Zhang et al.,
 * "SIEVE is simpler than LRU: an efficient turn-key eviction algorithm for web caches", NSDI 2024, Algorithm 1). A use is
 * O(1), a victim too on average: the hand takes away the bits that uses set.
 *
 * @returns The policy. Its snapshot's state has the slots in the `queue`, the head first, the `visited` bits by slot, and the
 * `hand`, -1 where it will begin at the tail.
 *
 * @example
 * ```ts
 * import { sieve, simulate } from 'pagewright/replacement';
 *
 * // The hand passes 1, which was used, and takes 2; it goes on from there, so 1 is not looked at again and 3 goes next.
 * simulate(sieve(), 3, [1, 2, 3, 1, 4, 5]).steps.map(({ victim }) => victim); // => [null, null, null, null, 2, 3]
 * ```
 * @public
 */
export function sieve(): PolicyKind {
  return policyKind('SIEVE', (slots) => new SievePolicy(slots));
}
