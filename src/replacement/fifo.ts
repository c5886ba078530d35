import { recencyKind } from './lru.js';
import type { PolicyKind } from './policy.js';

/**
 * FIFO: the page that was loaded first goes, used or not. Every event is O(1).
 *
 * @example
 * ```ts
 * import { fifo, simulate } from 'pagewright/replacement';
 *
 * // Belady, Nelson and Shedler, 1969: a larger memory with more faults.
 * const references = [1, 2, 3, 4, 1, 2, 5, 1, 2, 3, 4, 5];
 * simulate(fifo(), 3, references).misses; // => 9
 * simulate(fifo(), 4, references).misses; // => 10
 * ```
 * @public
 */
export function fifo(): PolicyKind {
  return recencyKind('FIFO', false, false);
}
