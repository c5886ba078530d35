import { VmError } from '../core/index.js';
import { nextUsesOf } from './next-use.js';
import { checkPages } from './simulate.js';
import { SlotHeap } from './slot-heap.js';
import {
  damaged,
  FREE,
  type PolicyState,
  SlotPolicy,
  savedNumber,
  savedVector,
} from './slot-policy.js';

/** Which of the pages that are never used again goes. */
export type FutureTies = 'earliest-loaded' | 'latest-loaded';

/** What OPT and UNOPT differ in. */
export interface FutureRule {
  readonly name: string;
  /** Whether the page that is used again last goes, or the one that is used again first. */
  readonly takesLast: boolean;
  readonly ties: FutureTies;
}

/** The next use of every page is known, so the heap holds slots by it. */
export class FuturePolicy extends SlotPolicy {
  readonly name: string;
  private readonly rule: FutureRule;
  private readonly future: Float64Array;
  /** By reference: the next one to the same page, or the length of the future. */
  private readonly next: Float64Array;
  /** By next use and load, each negated where the greatest goes. */
  private readonly heap: SlotHeap;
  /** By slot: the references that brought its page in, and that used it last; -1 where it is free. */
  private readonly loads: Float64Array;
  private readonly lastUses: Float64Array;
  /** References that have been. */
  private position = 0;

  constructor(slots: number, future: ArrayLike<number>, rule: FutureRule) {
    super(slots);
    this.name = rule.name;
    this.rule = rule;
    this.future = Float64Array.from(future);
    this.next = nextUsesOf(this.future).next;
    this.heap = new SlotHeap(slots);
    this.loads = new Float64Array(slots).fill(FREE);
    this.lastUses = new Float64Array(slots).fill(FREE);
  }

  override onFill(slot: number, page: number, write = false): void {
    // Before the page is in the slot.
    this.expect(page);
    super.onFill(slot, page, write);
  }

  protected filled(slot: number): void {
    this.loads[slot] = this.position;
    this.use(slot);
  }

  protected touched(slot: number): void {
    this.expect(this.pages[slot]!);
    this.use(slot);
  }

  protected choose(page: number): number {
    this.expect(page);
    const slot = this.heap.top;
    this.removed(slot);
    return slot;
  }

  protected removed(slot: number): void {
    this.heap.remove(slot);
    this.loads[slot] = FREE;
    this.lastUses[slot] = FREE;
  }

  protected checkState(): void {
    this.heap.check(this.pages);
    for (const [slot, page] of this.pages.entries()) this.checkSlot(slot, page);
    const loads = this.loads.filter((load) => load !== FREE);
    if (new Set(loads).size < loads.length) throw new Error('one reference loaded two pages');
  }

  protected save(): PolicyState {
    const { loads, lastUses, position } = this;
    return { position: [position], loads: [...loads], lastUses: [...lastUses] };
  }

  protected restoreState(state: PolicyState): void {
    this.position = savedNumber(state, 'position', this.future.length);
    this.loads.set(savedVector(state, 'loads', this.slots, this.position - 1, FREE));
    this.lastUses.set(savedVector(state, 'lastUses', this.slots, this.position - 1, FREE));
    for (const [slot, page] of this.pages.entries()) {
      if ((page === FREE) !== (this.lastUses[slot] === FREE)) {
        throw damaged('state.lastUses', [...this.lastUses], 'a use of every page that is there');
      }
      if (page !== FREE) this.enter(slot);
    }
  }

  /** The next reference is to this page, or the future was another one. */
  private expect(page: number): void {
    const { future, position } = this;
    if (future[position] === page) return;
    const end = `no reference after the ${future.length} of the future`;
    const expected =
      position < future.length ? `page ${future[position]}, by reference ${position}` : end;
    throw new VmError('bad-argument', { argument: 'page', value: page, expected });
  }

  private use(slot: number): void {
    this.lastUses[slot] = this.position++;
    this.enter(slot);
  }

  /** Enters a slot by what is known of its page. */
  private enter(slot: number): void {
    const [next, load] = this.keysOf(slot);
    this.heap.set(slot, next, load);
  }

  private keysOf(slot: number): [next: number, load: number] {
    const next = this.next[this.lastUses[slot]!]!;
    const load = this.loads[slot]!;
    const { takesLast, ties } = this.rule;
    return [takesLast ? -next : next, ties === 'latest-loaded' ? -load : load];
  }

  private checkSlot(slot: number, page: number): void {
    const load = this.loads[slot]!;
    const last = this.lastUses[slot]!;
    if (page === FREE) {
      if (load !== FREE || last !== FREE) throw new Error(`free slot ${slot} was used`);
      return;
    }
    const inOrder = load >= 0 && load <= last && last < this.position;
    if (!inOrder || this.future[load] !== page || this.future[last] !== page) {
      throw new Error(`page ${page} was not loaded by reference ${load} and used by ${last}`);
    }
    if (this.next[last]! < this.position) throw new Error(`a use of page ${page} was not seen`);
    const [next, ties] = this.keysOf(slot);
    if (this.heap.firstOf(slot) !== next || this.heap.secondOf(slot) !== ties) {
      throw new Error(`slot ${slot} is in the heap with other keys`);
    }
  }
}

/** Refuses a future that is missing, or has what is no page. */
export function checkFuture(
  name: string,
  future: ArrayLike<number> | undefined,
): ArrayLike<number> {
  if (future === undefined || future === null) {
    const expected = `the pages that will be asked for: ${name} looks ahead`;
    throw new VmError('bad-argument', { argument: 'future', value: future, expected });
  }
  checkPages(future);
  return future;
}
