import { checkLists, SlotList } from './slot-list.js';
import { damaged, type PolicyState, savedSlots } from './slot-policy.js';

/** Two lists that divide the slots in use between them: pages seen once, say, and pages seen again. */
export class ListPair {
  readonly first: SlotList;
  readonly second: SlotList;
  /** By slot: whether it is in the second list. */
  private readonly seconds: Uint8Array;

  constructor(slots: number) {
    this.first = new SlotList(slots);
    this.second = this.first.sharing();
    this.seconds = new Uint8Array(slots);
  }

  inSecond(slot: number): boolean {
    return this.seconds[slot] === 1;
  }

  pushFirst(slot: number): void {
    this.first.pushHead(slot);
    this.seconds[slot] = 0;
  }

  pushSecond(slot: number): void {
    this.second.pushHead(slot);
    this.seconds[slot] = 1;
  }

  /** Takes a slot out of the list that it is in. */
  remove(slot: number): void {
    if (this.seconds[slot] === 1) this.second.remove(slot);
    else this.first.remove(slot);
  }

  check(pages: Float64Array): void {
    checkLists(pages, this.first, this.second);
    for (const [list, flag] of [[this.first, 0] as const, [this.second, 1] as const]) {
      const odd = list.toArray().find((slot) => this.seconds[slot] !== flag);
      if (odd !== undefined) throw new Error(`slot ${odd} is not in the list that it should be in`);
    }
  }

  /** Takes over two saved lists, into empty ones. */
  restore(state: PolicyState, first: string, second: string): void {
    const slots = this.seconds.length;
    const firsts = savedSlots(state, first, slots);
    const seconds = savedSlots(state, second, slots);
    // A slot in both would tie their links together.
    const others = new Set(seconds);
    const both = firsts.find((slot) => others.has(slot));
    if (both !== undefined) {
      throw damaged(`state.${second}`, seconds, `no slot of ${first}, such as ${both}`);
    }
    for (const slot of [...firsts].reverse()) this.pushFirst(slot);
    for (const slot of [...seconds].reverse()) this.pushSecond(slot);
  }
}
