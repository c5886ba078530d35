import type { PolicyKind } from './policy.js';
import { checkLists, SlotList } from './slot-list.js';
import { type PolicyState, policyKind, SlotPolicy, savedSlots } from './slot-policy.js';

/** Pages in the order of their fill or last use, the latest at the head. */
export class RecencyPolicy extends SlotPolicy {
  readonly name: string;
  private readonly order: SlotList;
  private readonly movesOnHit: boolean;
  private readonly takesHead: boolean;

  constructor(name: string, slots: number, movesOnHit: boolean, takesHead: boolean) {
    super(slots);
    this.name = name;
    this.order = new SlotList(this.slots);
    this.movesOnHit = movesOnHit;
    this.takesHead = takesHead;
  }

  protected filled(slot: number): void {
    this.order.pushHead(slot);
  }

  protected touched(slot: number): void {
    if (!this.movesOnHit || this.order.head === slot) return;
    this.order.remove(slot);
    this.order.pushHead(slot);
  }

  protected choose(): number {
    const slot = this.takesHead ? this.order.head : this.order.tail;
    this.order.remove(slot);
    return slot;
  }

  protected removed(slot: number): void {
    this.order.remove(slot);
  }

  protected checkState(): void {
    checkLists(this.pages, this.order);
  }

  protected save(): PolicyState {
    return { order: this.order.toArray() };
  }

  protected restoreState(state: PolicyState): void {
    for (const slot of savedSlots(state, 'order', this.slots)) this.order.pushTail(slot);
  }
}

/**
 * True LRU: the page that was not used for the longest time goes (Mattson et al., "Evaluation techniques for storage
 * hierarchies", IBM Systems Journal 9(2), 1970). Every event is O(1).
 *
 * @example
 * ```ts
 * import { lru, simulate } from 'pagewright/replacement';
 *
 * simulate(lru(), 3, [1, 2, 3, 1, 4]).steps.at(-1)?.victim; // => 2
 * ```
 * @public
 */
export function lru(): PolicyKind {
  return recencyKind('LRU', true, false);
}

/** FIFO, LRU and MRU differ in two booleans. */
export function recencyKind(name: string, movesOnHit: boolean, takesHead: boolean): PolicyKind {
  const create = (slots: number): RecencyPolicy =>
    new RecencyPolicy(name, slots, movesOnHit, takesHead);
  if (takesHead) return policyKind(name, create);
  return policyKind(name, create, () => ({ kind: 'stamps', onHit: movesOnHit }));
}
