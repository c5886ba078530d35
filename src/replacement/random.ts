import { checkInteger, checkOptions, type OptionNames, Random } from '../core/index.js';
import type { PolicyKind } from './policy.js';
import { type PolicyState, policyKind, SlotPolicy, savedNumbers } from './slot-policy.js';

/**
 * Options of {@link random}.
 *
 * @public
 */
export interface RandomOptions {
  /** Any int32; the same seed gives the same victims. */
  readonly seed: number;
}

const OPTIONS: OptionNames<RandomOptions> = { seed: true };

class RandomPolicy extends SlotPolicy {
  readonly name = 'random';
  private generator: Random;

  constructor(slots: number, seed: number) {
    super(slots);
    this.generator = new Random(seed);
  }

  protected choose(): number {
    return this.generator.below(this.slots);
  }

  protected filled(): void {}
  protected touched(): void {}
  protected removed(): void {}
  protected checkState(): void {}

  protected save(): PolicyState {
    return { generator: this.generator.snapshot().state };
  }

  protected restoreState(state: PolicyState): void {
    const words = savedNumbers(state, 'generator', -(2 ** 31), 2 ** 31 - 1);
    this.generator = Random.restore({ v: 1, state: words });
  }
}

/**
 * Any page goes, as `Random` of `pagewright/core` says. Every event is O(1), and nothing is kept for a slot.
 *
 * @param options - The seed.
 * @returns The policy. Every set of a cache begins with the same seed.
 * @throws `VmError` for a seed that is none, or another option.
 *
 * @example
 * ```ts
 * import { countMisses, random } from 'pagewright/replacement';
 *
 * const loop = Array.from({ length: 1000 }, (_, index) => index % 50);
 * countMisses(random({ seed: 1 }), 49, loop) < 200; // => true
 * ```
 * @public
 */
export function random(options: RandomOptions): PolicyKind {
  checkOptions('options', options, OPTIONS);
  const seed = checkInteger('options.seed', options.seed, -(2 ** 31), 2 ** 31 - 1);
  const create = (slots: number): RandomPolicy => new RandomPolicy(slots, seed);
  return policyKind('random', create, () => ({ kind: 'random', seed }));
}
