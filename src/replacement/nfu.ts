import { CounterPolicy, type CounterRule } from './counter-policy.js';
import type { PolicyKind } from './policy.js';
import { policyKind } from './slot-policy.js';

const RULE: CounterRule = {
  name: 'NFU',
  maximum: Number.MAX_SAFE_INTEGER,
  next: (counter, referenced) => Math.min(counter + referenced, Number.MAX_SAFE_INTEGER),
};

/**
 * Not frequently used: each clock interrupt adds the R bit of a page to its counter and clears it; the lowest counter goes,
 * of several the one in the lowest slot (Tanenbaum & Bos, Modern Operating Systems, 3.4.7). It forgets nothing, which
 * {@link aging} mends. A page comes with counter 0 and R set. A victim is O(slots), as is a tick; a use is O(1).
 *
 * @returns The policy. Its snapshot's state has `counters` and `referenced`, one for each slot.
 *
 * @example
 * ```ts
 * import { nfu, simulate } from 'pagewright/replacement';
 *
 * // A tick after every two references: page 1 is seen twice, page 2 once.
 * simulate(nfu(), 2, [1, 1, 1, 2, 2, 3], { tickEvery: 2 }).steps.at(-1)?.victim; // => 2
 * ```
 * @public
 */
export function nfu(): PolicyKind {
  return policyKind('NFU', (slots) => new CounterPolicy(slots, RULE));
}
