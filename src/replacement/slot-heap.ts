/** The place of a slot that is not in the heap. */
const ABSENT = -1;

/**
 * A binary heap of slots, the one with the least key on top: the first key decides, of equal ones the second. The place of
 * each slot is known, so a slot's keys can be changed and any slot be taken out; that is O(log slots), the top O(1).
 */
export class SlotHeap {
  length = 0;
  /** By slot. */
  private readonly first: Float64Array;
  private readonly second: Float64Array;
  /** By place: what is at i is not above what is at 2i + 1 and 2i + 2. */
  private readonly heap: Int32Array;
  /** By slot: where it is in `heap`. */
  private readonly places: Int32Array;

  constructor(slots: number) {
    this.first = new Float64Array(slots);
    this.second = new Float64Array(slots);
    this.heap = new Int32Array(slots);
    this.places = new Int32Array(slots).fill(ABSENT);
  }

  /** The slot with the least key; there must be one. */
  get top(): number {
    return this.heap[0]!;
  }

  /** A slot's first key. */
  firstOf(slot: number): number {
    return this.first[slot]!;
  }

  /** A slot's second key. */
  secondOf(slot: number): number {
    return this.second[slot]!;
  }

  has(slot: number): boolean {
    return this.places[slot] !== ABSENT;
  }

  /** Puts in a slot, or changes the keys of one. */
  set(slot: number, first: number, second: number): void {
    this.first[slot] = first;
    this.second[slot] = second;
    let place = this.places[slot]!;
    if (place === ABSENT) place = this.length++;
    this.settle(slot, place);
  }

  /** Takes out a slot that is in. */
  remove(slot: number): void {
    const place = this.places[slot]!;
    const last = this.heap[--this.length]!;
    if (last !== slot) this.settle(last, place);
    this.places[slot] = ABSENT;
  }

  /** Verifies the order, the places, and that exactly the slots in use are in. */
  check(pages: Float64Array): void {
    for (const [slot, page] of pages.entries()) {
      if (this.has(slot) !== page >= 0) throw new Error(`the heap is wrong about slot ${slot}`);
    }
    for (let place = 0; place < this.length; place++) {
      const slot = this.heap[place]!;
      if (this.places[slot] !== place) throw new Error(`slot ${slot} is not at place ${place}`);
      if (place > 0 && this.isBelow(slot, this.heap[(place - 1) >> 1]!)) {
        throw new Error(`slot ${slot} has a parent with a greater key`);
      }
    }
  }

  /** Moves a slot up or down from a place, over what is in its way. */
  private settle(slot: number, place: number): void {
    let at = place;
    while (at > 0) {
      const parent = this.heap[(at - 1) >> 1]!;
      if (!this.isBelow(slot, parent)) break;
      this.put(parent, at);
      at = (at - 1) >> 1;
    }
    for (let child = this.leastChild(at); child < this.length; child = this.leastChild(at)) {
      const below = this.heap[child]!;
      if (!this.isBelow(below, slot)) break;
      this.put(below, at);
      at = child;
    }
    this.put(slot, at);
  }

  /** The place of the lesser child, or one past the end. */
  private leastChild(place: number): number {
    const left = 2 * place + 1;
    const right = left + 1;
    return right < this.length && this.isBelow(this.heap[right]!, this.heap[left]!) ? right : left;
  }

  private put(slot: number, place: number): void {
    this.heap[place] = slot;
    this.places[slot] = place;
  }

  private isBelow(slot: number, other: number): boolean {
    const difference = this.first[slot]! - this.first[other]!;
    return difference < 0 || (difference === 0 && this.second[slot]! < this.second[other]!);
  }
}
