/** The end of a list. */
export const NONE = -1;

/**
 * A doubly linked list of slots without objects: slot i's neighbours are `after[i]` and `before[i]`. Every operation is
 * O(1). Lists made with {@link SlotList.sharing} divide one set of slots among them, so a slot is in one of them at most.
 */
export class SlotList {
  /** Towards the tail. */
  private readonly after: Int32Array;
  /** Towards the head. */
  private readonly before: Int32Array;
  /** The first slot, or `NONE`. */
  head: number = NONE;
  /** The last slot, or `NONE`. */
  tail: number = NONE;
  length = 0;

  constructor(slots: number, other?: SlotList) {
    this.after = other?.after ?? new Int32Array(slots);
    this.before = other?.before ?? new Int32Array(slots);
  }

  /** Another list, empty, for slots that are in none of those that share. */
  sharing(): SlotList {
    return new SlotList(0, this);
  }

  pushHead(slot: number): void {
    this.before[slot] = NONE;
    this.after[slot] = this.head;
    if (this.head === NONE) this.tail = slot;
    else this.before[this.head] = slot;
    this.head = slot;
    this.length++;
  }

  pushTail(slot: number): void {
    this.after[slot] = NONE;
    this.before[slot] = this.tail;
    if (this.tail === NONE) this.head = slot;
    else this.after[this.tail] = slot;
    this.tail = slot;
    this.length++;
  }

  /** Takes out a slot that is in this list. */
  remove(slot: number): void {
    const after = this.after[slot]!;
    const before = this.before[slot]!;
    if (before === NONE) this.head = after;
    else this.after[before] = after;
    if (after === NONE) this.tail = before;
    else this.before[after] = before;
    this.length--;
  }

  /** The next slot towards the head, or `NONE`. */
  beforeOf(slot: number): number {
    return this.before[slot]!;
  }

  /** From head to tail. */
  toArray(): number[] {
    const list: number[] = [];
    for (let slot = this.head; slot !== NONE; slot = this.after[slot]!) list.push(slot);
    return list;
  }
}

/** Verifies that lists hold exactly the slots in use, each once. */
export function checkLists(pages: Float64Array, ...lists: readonly SlotList[]): void {
  const listed = lists.flatMap((list) => {
    const slots = list.toArray();
    if (slots.length !== list.length)
      throw new Error(`a list of ${list.length} has ${slots.length}`);
    return slots;
  });
  const used = [...pages.keys()].filter((slot) => pages[slot]! >= 0);
  if (listed.sort((a, b) => a - b).join() !== used.join()) {
    throw new Error(`the lists have slots ${listed.join()}, in use are ${used.join()}`);
  }
}
