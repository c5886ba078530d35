import type { PolicyKind } from './policy.js';
import { checkLists, SlotList } from './slot-list.js';
import {
  FREE,
  type PolicyState,
  policyKind,
  SlotPolicy,
  savedSlots,
  savedVector,
} from './slot-policy.js';

/** The page that came last at the head. */
class SecondChancePolicy extends SlotPolicy {
  readonly name = 'second chance';
  private readonly order: SlotList;
  private readonly referenced: Uint8Array;

  constructor(slots: number) {
    super(slots);
    this.order = new SlotList(slots);
    this.referenced = new Uint8Array(slots);
  }

  protected filled(slot: number): void {
    this.order.pushHead(slot);
    this.referenced[slot] = 1;
  }

  protected touched(slot: number): void {
    this.referenced[slot] = 1;
  }

  protected choose(): number {
    for (;;) {
      const slot = this.order.tail;
      this.order.remove(slot);
      if (this.referenced[slot] === 0) return slot;
      this.referenced[slot] = 0;
      this.order.pushHead(slot);
    }
  }

  protected removed(slot: number): void {
    this.order.remove(slot);
    this.referenced[slot] = 0;
  }

  protected checkState(): void {
    checkLists(this.pages, this.order);
    const odd = this.referenced.findIndex((bit, slot) => bit > Number(this.pages[slot] !== FREE));
    if (odd >= 0) throw new Error(`slot ${odd} has bit ${this.referenced[odd]}`);
  }

  protected save(): PolicyState {
    return { order: this.order.toArray(), referenced: [...this.referenced] };
  }

  protected restoreState(state: PolicyState): void {
    for (const slot of savedSlots(state, 'order', this.slots)) this.order.pushTail(slot);
    this.referenced.set(savedVector(state, 'referenced', this.slots, 1));
  }
}

/**
 * Second chance: FIFO, but a page that was referenced since it came or was last looked at has its bit cleared and goes to
 * the end of the queue as if it had just come (Tanenbaum & Bos, Modern Operating Systems, 3.4.4). It chooses as `clock()`
 * does while no page is removed. Coming is a reference. A use is O(1), a victim too on average.
 *
 * @returns The policy. Its snapshot has the queue, the page that came last first, and the bits.
 *
 * @example
 * ```ts
 * import { secondChance, simulate } from 'pagewright/replacement';
 *
 * simulate(secondChance(), 3, [1, 2, 3, 4, 2, 5]).steps.at(-1)?.victim; // => 3
 * ```
 * @public
 */
export function secondChance(): PolicyKind {
  return policyKind('second chance', (slots) => new SecondChancePolicy(slots));
}
