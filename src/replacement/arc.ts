import { checkExpected, checkGhosts, GhostList } from './ghost-list.js';
import { ListPair } from './list-pair.js';
import type { PolicyKind } from './policy.js';
import {
  damaged,
  FREE,
  type PolicyState,
  policyKind,
  SlotPolicy,
  savedVector,
} from './slot-policy.js';

/** T1 is the first list, T2 the second one. The paper's c is `slots`. */
class ArcPolicy extends SlotPolicy {
  readonly name = 'ARC';
  private readonly lists: ListPair;
  private readonly b1: GhostList;
  private readonly b2: GhostList;
  /** How long T1 should be; a real number, as in the paper. */
  private p = 0;
  /** The page for which room was made, and lists were adapted; it is still among the ghosts if it was one. */
  private expected = FREE;

  constructor(slots: number) {
    super(slots);
    this.lists = new ListPair(slots);
    this.b1 = new GhostList(2 * slots);
    this.b2 = new GhostList(2 * slots);
  }

  protected filled(slot: number, page: number): void {
    // No room had to be made where a page was removed, but lists and p follow the request all the same.
    if (page !== this.expected) this.adapt(page);
    this.expected = FREE;
    const known = this.b1.remove(page) || this.b2.remove(page);
    if (known) this.lists.pushSecond(slot);
    else this.lists.pushFirst(slot);
  }

  protected touched(slot: number): void {
    // Case I.
    this.lists.remove(slot);
    this.lists.pushSecond(slot);
  }

  protected choose(page: number): number {
    this.expected = page;
    const inB2 = this.b2.has(page);
    const { first: t1 } = this.lists;
    // Case IV A where B1 is empty: the page leaves no ghost, L1 is full of pages that are there.
    if (!inB2 && t1.length === this.slots) return this.take(t1.tail);
    this.adapt(page);
    return this.replace(inB2);
  }

  protected removed(slot: number): void {
    this.lists.remove(slot);
  }

  protected checkState(): void {
    this.lists.check(this.pages);
    checkGhosts(this.pages, this.b1, this.b2);
    checkExpected(this.pages, this.expected);
    if (!(this.p >= 0 && this.p <= this.slots)) throw new Error(`p is ${this.p}`);
    // Who is expected and no ghost will come on top.
    const known = this.b1.has(this.expected) || this.b2.has(this.expected);
    const coming = Number(this.expected !== FREE && !known);
    const l1 = this.lists.first.length + this.b1.length + coming;
    const all = l1 + this.lists.second.length + this.b2.length;
    if (l1 > this.slots) throw new Error(`L1 has ${l1} pages, more than ${this.slots}`);
    if (all > 2 * this.slots) throw new Error(`L1 and L2 have ${all} pages`);
  }

  protected save(): PolicyState {
    return {
      t1: this.lists.first.toArray(),
      t2: this.lists.second.toArray(),
      b1: this.b1.toArray(),
      b2: this.b2.toArray(),
      p: [this.p],
      expected: [this.expected],
    };
  }

  protected restoreState(state: PolicyState): void {
    this.lists.restore(state, 't1', 't2');
    this.b1.restore(state, 'b1');
    this.b2.restore(state, 'b2');
    this.p = savedReal(state, 'p');
    this.expected = savedVector(state, 'expected', 1, Number.MAX_SAFE_INTEGER, FREE)[0]!;
  }

  /** What cases II to IV do to p and the ghosts, before anybody has to go. */
  private adapt(page: number): void {
    const [t1, t2] = [this.lists.first.length, this.lists.second.length];
    const [b1, b2] = [this.b1.length, this.b2.length];
    if (this.b1.has(page)) {
      this.p = Math.min(this.p + Math.max(1, b2 / b1), this.slots); // case II
    } else if (this.b2.has(page)) {
      this.p = Math.max(this.p - Math.max(1, b1 / b2), 0); // case III
    } else if (t1 + b1 === this.slots) {
      this.b1.dropTail(); // case IV A
    } else if (t1 + t2 + b1 + b2 === 2 * this.slots) {
      this.b2.dropTail(); // case IV B
    }
  }

  /** REPLACE. T2 is empty only when T1 is full, and then T1 is longer than p whenever this is called. */
  private replace(inB2: boolean): number {
    const { first: t1, second: t2 } = this.lists;
    const fromT1 = t1.length > 0 && (t1.length > this.p || (inB2 && t1.length === this.p));
    const slot = fromT1 ? t1.tail : t2.tail;
    const ghosts = fromT1 ? this.b1 : this.b2;
    ghosts.pushHead(this.pages[slot]!);
    return this.take(slot);
  }

  private take(slot: number): number {
    this.lists.remove(slot);
    return slot;
  }
}

function savedReal(state: PolicyState, name: string): number {
  const list: unknown = state?.[name];
  const value: unknown = Array.isArray(list) && list.length === 1 ? list[0] : undefined;
  if (typeof value === 'number' && Number.isFinite(value)) return value;
  throw damaged(`state.${name}`, list, 'one number');
}

/**
 * ARC: pages that were used once lately are in T1, those that were used again in T2, and as many pages as there are slots
 * are remembered after they have gone from either, in B1 and B2. A page that comes back from B1 makes the target p for
 * the length of T1 greater, one from B2 smaller (Megiddo and Modha, "ARC: a self-tuning, low overhead replacement cache",
 * FAST 2003, Fig. 4). Every event is O(1) on average.
 *
 * What the paper does not have: a page that is removed leaves no ghost, and a page that comes into a slot that was free is
 * a case II, III or IV in which nobody has to go.
 *
 * @returns The policy. Its snapshot's state has `p`, the slots in `t1` and `t2`, and the pages in `b1` and `b2`, the most
 * recently used first.
 *
 * @example
 * ```ts
 * import { arc, simulate } from 'pagewright/replacement';
 *
 * // Pages 1 and 2 are used twice, and a scan of pages that are used once does not drive them out.
 * const scan = Array.from({ length: 100 }, (_, index) => 10 + index);
 * const { steps } = simulate(arc(), 4, [1, 2, 1, 2, ...scan, 1, 2]);
 * steps.slice(-2).map(({ hit }) => hit); // => [true, true]
 * ```
 * @public
 */
export function arc(): PolicyKind {
  return policyKind('ARC', (slots) => new ArcPolicy(slots));
}
