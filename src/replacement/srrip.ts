import { checkInteger, checkOptions, type OptionNames, VmError } from '../core/index.js';
import type { PolicyKind } from './policy.js';
import { FREE, type PolicyState, policyKind, SlotPolicy, savedVector } from './slot-policy.js';

/**
 * Options of {@link srrip}.
 *
 * @public
 */
export interface SrripOptions {
  /**
   * M, the bits of a re-reference prediction value, 1 to 8.
   * @defaultValue 2
   */
  readonly bits?: number;
  /**
   * The value that a page comes with, 0 to 2^bits - 1: how far away its next use is thought to be.
   * @defaultValue 2^bits - 2, a long re-reference interval
   */
  readonly insertion?: number;
  /**
   * What a use does: `hit-priority` makes the value 0, `frequency` takes one from it.
   * @defaultValue 'hit-priority'
   */
  readonly promotion?: 'hit-priority' | 'frequency';
}

const OPTIONS: OptionNames<SrripOptions> = { bits: true, insertion: true, promotion: true };

class SrripPolicy extends SlotPolicy {
  readonly name = 'SRRIP';
  /** 2^M - 1: the next use is in the distant future. */
  private readonly distant: number;
  private readonly insertion: number;
  private readonly counts: boolean;
  /** By slot; those of free slots are distant. */
  private readonly values: Uint8Array;

  constructor(slots: number, distant: number, insertion: number, counts: boolean) {
    super(slots);
    this.distant = distant;
    this.insertion = insertion;
    this.counts = counts;
    this.values = new Uint8Array(slots).fill(distant);
  }

  protected filled(slot: number): void {
    this.values[slot] = this.insertion;
  }

  protected touched(slot: number): void {
    const value = this.values[slot]!;
    this.values[slot] = this.counts && value > 0 ? value - 1 : 0;
  }

  protected choose(): number {
    const { values } = this;
    let slot = 0;
    for (let other = 1; other < this.slots && values[slot]! < this.distant; other++) {
      if (values[other]! > values[slot]!) slot = other;
    }
    // The paper adds one to all until a value is distant: that is the first of the greatest ones.
    const missing = this.distant - values[slot]!;
    if (missing > 0) for (let other = 0; other < this.slots; other++) values[other]! += missing;
    return slot;
  }

  protected removed(slot: number): void {
    this.values[slot] = this.distant;
  }

  protected checkState(): void {
    for (const [slot, value] of this.values.entries()) {
      const least = this.pages[slot] === FREE ? this.distant : 0;
      if (value < least || value > this.distant) throw new Error(`slot ${slot} has ${value}`);
    }
  }

  protected save(): PolicyState {
    return { values: [...this.values] };
  }

  protected restoreState(state: PolicyState): void {
    this.values.set(savedVector(state, 'values', this.slots, this.distant));
  }
}

/**
 * SRRIP, static re-reference interval prediction, of processor caches: a few bits for each slot tell how far away its next use
 * is thought to be. Pages come with a long interval, a use makes it short, and the leftmost slot with the longest possible
 * one goes; where there is none, all intervals grow until there is (Jaleel et al., "High performance cache replacement
 * using re-reference interval prediction (RRIP)", ISCA 2010, static RRIP). A victim is O(slots), a use is O(1).
 *
 * @param options - The bits, the value that pages come with, and what a use does.
 * @returns The policy. Its snapshot's state has the `values` by slot.
 * @throws `VmError` for a number out of range, or another option.
 *
 * @example
 * ```ts
 * import { simulate, srrip } from 'pagewright/replacement';
 *
 * // Pages 1 and 2 were used again, and a scan drives out its own pages.
 * const { steps } = simulate(srrip(), 4, [1, 2, 1, 2, 10, 11, 12, 13, 1]);
 * steps.slice(6).map(({ victim }) => victim); // => [10, 11, null]
 * ```
 * @public
 */
export function srrip(options: SrripOptions = {}): PolicyKind {
  checkOptions('options', options, OPTIONS);
  const distant = 2 ** checkInteger('options.bits', options.bits ?? 2, 1, 8) - 1;
  const insertion = options.insertion ?? distant - 1;
  checkInteger('options.insertion', insertion, 0, distant);
  const counts = checkPromotion(options.promotion) === 'frequency';
  return policyKind('SRRIP', (slots) => new SrripPolicy(slots, distant, insertion, counts));
}

function checkPromotion(value: SrripOptions['promotion'] = 'hit-priority'): string {
  if (value === 'hit-priority' || value === 'frequency') return value;
  const expected = "'hit-priority' or 'frequency'";
  throw new VmError('bad-argument', { argument: 'options.promotion', value, expected });
}
