import { checkOptions, type OptionNames } from '../core/index.js';
import { checkExpected, checkGhosts, GhostList } from './ghost-list.js';
import { ListPair } from './list-pair.js';
import type { PolicyKind } from './policy.js';
import { checkShare, wholeSlots } from './share.js';
import { FREE, type PolicyState, policyKind, SlotPolicy, savedVector } from './slot-policy.js';

/**
 * Options of {@link twoQ}.
 *
 * @public
 */
export interface TwoQOptions {
  /**
   * Kin as a share of the slots, 0 to 1, rounded down: how long A1in may grow while pages of Am could go.
   * @defaultValue 0.25
   */
  readonly inFraction?: number;
  /**
   * Kout as a share of the slots, 0 to 16, rounded down: how many pages are remembered after they left A1in.
   * @defaultValue 0.5
   */
  readonly outFraction?: number;
}

const OPTIONS: OptionNames<TwoQOptions> = { inFraction: true, outFraction: true };

/** A1in is the first list, Am the second one. */
class TwoQPolicy extends SlotPolicy {
  readonly name = '2Q';
  private readonly kin: number;
  private readonly queues: ListPair;
  private readonly a1out: GhostList;
  /** The page that was in A1out when room was made for it; making room may have driven it out. */
  private promoted = FREE;

  constructor(slots: number, inFraction: number, outFraction: number) {
    super(slots);
    this.kin = wholeSlots(inFraction, slots);
    this.queues = new ListPair(slots);
    this.a1out = new GhostList(wholeSlots(outFraction, slots));
  }

  protected filled(slot: number, page: number): void {
    // A page that is there is not remembered as one that is gone.
    const remembered = this.a1out.remove(page);
    if (remembered || page === this.promoted) this.queues.pushSecond(slot);
    else this.queues.pushFirst(slot);
    this.promoted = FREE;
  }

  protected touched(slot: number): void {
    // Uses of a page in A1in are taken for one: they come right after each other.
    if (!this.queues.inSecond(slot)) return;
    this.queues.remove(slot);
    this.queues.pushSecond(slot);
  }

  protected choose(page: number): number {
    this.promoted = this.a1out.has(page) ? page : FREE;
    const { first: a1in, second: am } = this.queues;
    const slot = a1in.length > this.kin || am.length === 0 ? a1in.tail : am.tail;
    // Pages of Am are not remembered: they were not used for a while.
    if (!this.queues.inSecond(slot)) this.a1out.pushHead(this.pages[slot]!);
    this.queues.remove(slot);
    return slot;
  }

  protected removed(slot: number): void {
    this.queues.remove(slot);
  }

  protected checkState(): void {
    this.queues.check(this.pages);
    checkGhosts(this.pages, this.a1out);
    checkExpected(this.pages, this.promoted);
  }

  protected save(): PolicyState {
    return {
      a1in: this.queues.first.toArray(),
      am: this.queues.second.toArray(),
      a1out: this.a1out.toArray(),
      promoted: [this.promoted],
    };
  }

  protected restoreState(state: PolicyState): void {
    this.queues.restore(state, 'a1in', 'am');
    this.a1out.restore(state, 'a1out');
    this.promoted = savedVector(state, 'promoted', 1, Number.MAX_SAFE_INTEGER, FREE)[0]!;
  }
}

/**
 * 2Q, the full version: pages come into a FIFO queue, A1in, in which uses mean nothing. Those that leave it are remembered
 * in A1out, and a page that comes back while it is remembered is hot: it goes into Am, which is LRU (Johnson and Shasha,
 * "2Q: a low overhead high performance buffer management replacement algorithm", VLDB 1994, the full version's
 * pseudocode). While A1in has more than Kin pages it gives one, otherwise Am does. Every event is O(1) on average.
 *
 * What the paper leaves open: a page that comes back is no longer remembered, and where Am is to give a page and has none,
 * A1in does.
 *
 * @param options - The sizes of A1in and A1out.
 * @returns The policy. Its snapshot's state has the slots in `a1in` and `am` and the pages in `a1out`, the head first.
 * @throws `VmError` for a share that is no number or out of range, or another option.
 *
 * @example
 * ```ts
 * import { simulate, twoQ } from 'pagewright/replacement';
 *
 * // Page 1 comes back while it is remembered, so a scan does not drive it out.
 * const { steps } = simulate(twoQ(), 4, [1, 2, 3, 4, 5, 1, 10, 11, 12, 13, 14, 1]);
 * steps.at(-1)?.hit; // => true
 * ```
 * @public
 */
export function twoQ(options: TwoQOptions = {}): PolicyKind {
  checkOptions('options', options, OPTIONS);
  const inFraction = checkShare('options.inFraction', options.inFraction ?? 0.25, 1);
  const outFraction = checkShare('options.outFraction', options.outFraction ?? 0.5, 16);
  return policyKind('2Q', (slots) => new TwoQPolicy(slots, inFraction, outFraction));
}
