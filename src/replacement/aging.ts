import { checkInteger, checkOptions, type OptionNames } from '../core/index.js';
import { CounterPolicy, type CounterRule } from './counter-policy.js';
import type { PolicyKind } from './policy.js';
import { policyKind } from './slot-policy.js';

/**
 * Options of {@link aging}.
 *
 * @public
 */
export interface AgingOptions {
  /**
   * How many bits a counter has, 1 to 32: how many ticks back it remembers.
   * @defaultValue 8
   */
  readonly counterBits?: number;
}

const OPTIONS: OptionNames<AgingOptions> = { counterBits: true };

/**
 * Aging: each clock interrupt shifts counters to the right by one and puts the R bit of the page in front, then clears it;
 * the lowest counter goes, of several the one in the lowest slot (Tanenbaum & Bos, Modern Operating Systems, 3.4.7). A page
 * comes with counter 0 and R set. A victim is O(slots), as is a tick; a use is O(1).
 *
 * @param options - The length of counters.
 * @returns The policy. Its snapshot's state has `counters` and `referenced`, one for each slot.
 * @throws `VmError` for a length out of range, or another option.
 *
 * @example
 * ```ts
 * import { aging } from 'pagewright/replacement';
 *
 * const policy = aging({ counterBits: 4 }).create(2);
 * policy.onFill(0, 7);
 * policy.onTick();
 * policy.onFill(1, 8);
 * policy.onTick();
 * policy.snapshot().state['counters']; // => [0b0100, 0b1000]
 * policy.victim(9); // => 0
 * ```
 * @public
 */
export function aging(options: AgingOptions = {}): PolicyKind {
  checkOptions('options', options, OPTIONS);
  const bits = checkInteger('options.counterBits', options.counterBits ?? 8, 1, 32);
  const first = 2 ** (bits - 1);
  const rule: CounterRule = {
    name: 'aging',
    maximum: 2 ** bits - 1,
    next: (counter, referenced) => (counter >>> 1) + referenced * first,
  };
  return policyKind('aging', (slots) => new CounterPolicy(slots, rule));
}
