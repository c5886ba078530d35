import { checkInteger, checkOptions, type OptionNames } from '../core/index.js';
import type { PolicyKind } from './policy.js';
import {
  FREE,
  type PolicyState,
  policyKind,
  SlotPolicy,
  savedNumber,
  savedVector,
} from './slot-policy.js';

/**
 * Options of {@link clock}.
 *
 * @public
 */
export interface ClockOptions {
  /**
   * How far uses are counted, 1 to 255. With 1 the count is the reference bit; more is the generalized clock.
   * @defaultValue 1
   */
  readonly maximum?: number;
  /**
   * The count that a page comes with, 0 to `maximum`. With 0 it must be used again before the hand comes round.
   * @defaultValue 1
   */
  readonly initial?: number;
}

const OPTIONS: OptionNames<ClockOptions> = { maximum: true, initial: true };

class ClockPolicy extends SlotPolicy {
  readonly name = 'CLOCK';
  private readonly initial: number;
  private readonly maximum: number;
  /** Uses that the hand has not yet taken away. */
  private readonly counts: Uint8Array;
  /** The slot that is looked at next. */
  private hand = 0;

  constructor(slots: number, initial: number, maximum: number) {
    super(slots);
    this.initial = initial;
    this.maximum = maximum;
    this.counts = new Uint8Array(slots);
  }

  protected filled(slot: number): void {
    this.counts[slot] = this.initial;
  }

  protected touched(slot: number): void {
    if (this.counts[slot]! < this.maximum) this.counts[slot]!++;
  }

  protected choose(): number {
    // Ends within `maximum` rounds: each takes one from every count.
    while (this.counts[this.hand]! > 0) {
      this.counts[this.hand]!--;
      this.advance();
    }
    const slot = this.hand;
    this.advance();
    return slot;
  }

  protected removed(slot: number): void {
    this.counts[slot] = 0;
  }

  protected checkState(): void {
    for (const [slot, count] of this.counts.entries()) {
      const most = this.pages[slot] === FREE ? 0 : this.maximum;
      if (count > most) throw new Error(`slot ${slot} has count ${count}, above ${most}`);
    }
    if (!(this.hand < this.slots)) throw new Error(`the hand is at ${this.hand}`);
  }

  protected save(): PolicyState {
    return { hand: [this.hand], counts: [...this.counts] };
  }

  protected restoreState(state: PolicyState): void {
    this.counts.set(savedVector(state, 'counts', this.slots, this.maximum));
    this.hand = savedNumber(state, 'hand', this.slots - 1);
  }

  private advance(): void {
    this.hand = this.hand + 1 === this.slots ? 0 : this.hand + 1;
  }
}

/**
 * CLOCK: a hand goes round the slots; a page that was used since it passed stays and loses its reference bit, the first one
 * without goes, and the hand stops behind it (Corbató, "A paging experiment with the Multics system", 1968; Tanenbaum &
 * Bos, Modern Operating Systems, 3.4.5). With counts instead of bits: Smith, "Sequentiality and prefetching in database
 * systems", ACM TODS 3(3), 1978. A use is O(1), a victim too on average: the hand takes away what uses gave.
 *
 * @param options - How far uses are counted, and what a page comes with.
 * @returns The policy. Its snapshot has the hand and the counts.
 * @throws `VmError` for a count out of range, or another option.
 *
 * @example
 * ```ts
 * import { clock, simulate } from 'pagewright/replacement';
 *
 * // Page 4 takes all bits away and the place of 1; then 2 is used, and 3 is not.
 * simulate(clock(), 3, [1, 2, 3, 4, 2, 5]).steps.at(-1)?.victim; // => 3
 * ```
 * @public
 */
export function clock(options: ClockOptions = {}): PolicyKind {
  checkOptions('options', options, OPTIONS);
  const maximum = checkInteger('options.maximum', options.maximum ?? 1, 1, 255);
  const initial = checkInteger('options.initial', options.initial ?? 1, 0, maximum);
  return policyKind('CLOCK', (slots) => new ClockPolicy(slots, initial, maximum));
}
