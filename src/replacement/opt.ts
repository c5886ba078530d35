import { checkOptions, type OptionNames, VmError } from '../core/index.js';
import { checkFuture, FuturePolicy, type FutureRule, type FutureTies } from './future-policy.js';
import type { PolicyKind } from './policy.js';
import { checkSnapshot } from './slot-policy.js';

/**
 * Options of {@link opt} and {@link unopt}.
 *
 * @public
 */
export interface OptOptions {
  /**
   * Which of several pages that are never used again goes: the one that came first, or last. It makes no difference to how
   * many misses there are.
   * @defaultValue 'earliest-loaded'
   */
  readonly ties?: 'earliest-loaded' | 'latest-loaded';
}

const OPTIONS: OptionNames<OptOptions> = { ties: true };

/**
 * OPT, also MIN: the page that is used again last goes, which gives the fewest misses there can be (Belady, "A study of
 * replacement algorithms for a virtual-storage computer", IBM Systems Journal 5(2), 1966; Mattson et al., IBM Systems
 * Journal 9(2), 1970). OSTEP's paging-policy.py takes the latest of several that are never used again, most figures the
 * earliest.
 *
 * It needs the future: `simulate` gives it the references; an owner gives it to `create` and `restore`. Every `onFill` and
 * `onHit` must be what the future says, or a `VmError` is thrown and nothing is changed. What comes next is found in one
 * pass, O(references); every event is O(log slots).
 *
 * @param options - What decides between pages that are never used again.
 * @returns The policy.
 * @throws `VmError` for an option that there is not.
 *
 * @example
 * ```ts
 * import { opt, simulate } from 'pagewright/replacement';
 *
 * const run = simulate(opt(), 3, [1, 2, 3, 4, 1, 2, 5, 1, 2, 3, 4, 5]);
 * run.misses; // => 7
 * run.steps[3]?.victim; // => 3
 * ```
 * @public
 */
export function opt(options: OptOptions = {}): PolicyKind {
  return futureKind({ name: 'OPT', takesLast: true, ties: checkTies(options) });
}

/**
 * UNOPT: the page that is used again first goes. A bad choice each time, to show the other end (OSTEP, Arpaci-Dusseau,
 * chapter 22, the homework's paging-policy.py). A page that is never used again counts as used at the very end. It needs
 * the future as {@link opt} does, and costs the same.
 *
 * @param options - What decides between pages that are never used again.
 * @returns The policy.
 * @throws `VmError` for an option that there is not.
 *
 * @example
 * ```ts
 * import { countMisses, opt, unopt } from 'pagewright/replacement';
 *
 * const references = [1, 2, 3, 4, 1, 2, 5, 1, 2, 3, 4, 5];
 * countMisses(unopt(), 4, references); // => 10
 * countMisses(opt(), 4, references); // => 6
 * ```
 * @public
 */
export function unopt(options: OptOptions = {}): PolicyKind {
  return futureKind({ name: 'UNOPT', takesLast: false, ties: checkTies(options) });
}

function futureKind(rule: FutureRule): PolicyKind {
  const create = (slots: number, future?: ArrayLike<number>): FuturePolicy =>
    new FuturePolicy(slots, checkFuture(rule.name, future), rule);
  return {
    name: rule.name,
    looksAhead: true,
    create,
    restore: (snapshot, future) =>
      create(checkSnapshot(snapshot).pages.length, future).load(snapshot),
  };
}

function checkTies(options: OptOptions): FutureTies {
  checkOptions('options', options, OPTIONS);
  const { ties = 'earliest-loaded' } = options;
  if (ties === 'earliest-loaded' || ties === 'latest-loaded') return ties;
  const expected = "'earliest-loaded' or 'latest-loaded'";
  throw new VmError('bad-argument', { argument: 'options.ties', value: ties, expected });
}
