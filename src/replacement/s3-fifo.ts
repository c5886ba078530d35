import { checkOptions, type OptionNames } from '../core/index.js';
import { checkGhosts, GhostList } from './ghost-list.js';
import { ListPair } from './list-pair.js';
import type { PolicyKind } from './policy.js';
import { checkShare, slotsForShare, wholeSlots } from './share.js';
import { FREE, type PolicyState, policyKind, SlotPolicy, savedVector } from './slot-policy.js';

/**
 * Options of {@link s3Fifo}.
 *
 * @public
 */
export interface S3FifoOptions {
  /**
   * The share of the slots that S has, 0 to 1, rounded up and at least one slot. M has the others.
   * @defaultValue 0.1
   */
  readonly smallFraction?: number;
  /**
   * How many pages G remembers, as a share of the slots, 0 to 16, rounded down.
   * @defaultValue as many as M has slots
   */
  readonly ghostFraction?: number;
}

const OPTIONS: OptionNames<S3FifoOptions> = { smallFraction: true, ghostFraction: true };

/** Two bits. */
const MAX_FREQUENCY = 3;

/** S is the first list, M the second one. */
class S3FifoPolicy extends SlotPolicy {
  readonly name = 'S3-FIFO';
  private readonly smallSlots: number;
  private readonly queues: ListPair;
  private readonly ghosts: GhostList;
  /** Uses since the page came or was moved to M, less the rounds that it has had in M. */
  private readonly frequencies: Uint8Array;

  constructor(slots: number, smallFraction: number, ghostFraction: number | null) {
    super(slots);
    this.smallSlots = Math.max(1, slotsForShare(smallFraction, slots));
    const ghosts =
      ghostFraction === null ? slots - this.smallSlots : wholeSlots(ghostFraction, slots);
    this.queues = new ListPair(slots);
    this.ghosts = new GhostList(ghosts);
    this.frequencies = new Uint8Array(slots);
  }

  protected filled(slot: number, page: number): void {
    // The paper makes room first and then looks into G, which may have forgotten the page by that.
    if (this.ghosts.remove(page)) this.queues.pushSecond(slot);
    else this.queues.pushFirst(slot);
  }

  protected touched(slot: number): void {
    if (this.frequencies[slot]! < MAX_FREQUENCY) this.frequencies[slot]!++;
  }

  protected choose(): number {
    const { first: small } = this.queues;
    return small.length >= this.smallSlots ? this.evictFromSmall() : this.evictFromMain();
  }

  protected removed(slot: number): void {
    this.queues.remove(slot);
    this.frequencies[slot] = 0;
  }

  protected checkState(): void {
    this.queues.check(this.pages);
    checkGhosts(this.pages, this.ghosts);
    for (const [slot, frequency] of this.frequencies.entries()) {
      const most = this.pages[slot] === FREE ? 0 : MAX_FREQUENCY;
      if (frequency > most) throw new Error(`slot ${slot} has frequency ${frequency}`);
    }
  }

  protected save(): PolicyState {
    return {
      small: this.queues.first.toArray(),
      main: this.queues.second.toArray(),
      ghosts: this.ghosts.toArray(),
      frequencies: [...this.frequencies],
    };
  }

  protected restoreState(state: PolicyState): void {
    this.queues.restore(state, 'small', 'main');
    this.ghosts.restore(state, 'ghosts');
    this.frequencies.set(savedVector(state, 'frequencies', this.slots, MAX_FREQUENCY));
  }

  /**
   * EVICTS. The paper goes on until S has given a page, even when EVICTM gave one before. One slot is wanted here, so this
   * ends with the first page that goes. When all of S has moved, M is beyond its slots, and gives one.
   */
  private evictFromSmall(): number {
    const { first: small, second: main } = this.queues;
    for (;;) {
      const slot = small.tail;
      this.queues.remove(slot);
      if (this.frequencies[slot]! <= 1) {
        this.ghosts.pushHead(this.pages[slot]!);
        this.frequencies[slot] = 0;
        return slot;
      }
      // Section 4.1: the bits are cleared during the move.
      this.frequencies[slot] = 0;
      this.queues.pushSecond(slot);
      if (main.length >= this.slots - this.smallSlots) return this.evictFromMain();
    }
  }

  /** EVICTM. */
  private evictFromMain(): number {
    for (;;) {
      const slot = this.queues.second.tail;
      this.queues.remove(slot);
      if (this.frequencies[slot] === 0) return slot;
      this.frequencies[slot]!--;
      this.queues.pushSecond(slot);
    }
  }
}

/**
 * S3-FIFO: three FIFO queues. Pages come into the small one, S; at its tail those that were used more than once move to
 * the main one, M, and the others go and are remembered in G. A page that comes back while it is remembered comes into M.
 * At the tail of M a page that was used goes round again, for as many times as it was used, 3 at most (Yang et al., "FIFO
 * queues are all you need for cache eviction", SOSP 2023, Algorithm 1; what its lines leave open is section 4's). A use is
 * O(1), a victim too on average.
 *
 * @param options - The sizes of S and G.
 * @returns The policy. Its snapshot's state has the slots in `small` and `main` and the pages in `ghosts`, the latest first, and
 * `frequencies` by slot.
 * @throws `VmError` for a share that is no number or out of range, or another option.
 *
 * @example
 * ```ts
 * import { s3Fifo, simulate } from 'pagewright/replacement';
 *
 * // Page 1 is used twice in S and moves to M, so it is 2 that goes, and a scan passes through S.
 * const { steps } = simulate(s3Fifo(), 4, [1, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 1]);
 * steps[6]?.victim; // => 2
 * steps.at(-1)?.hit; // => true
 * ```
 * @public
 */
export function s3Fifo(options: S3FifoOptions = {}): PolicyKind {
  checkOptions('options', options, OPTIONS);
  const smallFraction = checkShare('options.smallFraction', options.smallFraction ?? 0.1, 1);
  const { ghostFraction } = options;
  const ghosts =
    ghostFraction === undefined ? null : checkShare('options.ghostFraction', ghostFraction, 16);
  return policyKind('S3-FIFO', (slots) => new S3FifoPolicy(slots, smallFraction, ghosts));
}
