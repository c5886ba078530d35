import { recencyKind } from './lru.js';
import type { PolicyKind } from './policy.js';

/**
 * MRU: the page that was used last goes, which is right for loops that are larger than memory (Chou and DeWitt, "An
 * evaluation of buffer management strategies for relational database systems", VLDB 1985). Every event is O(1).
 *
 * @example
 * ```ts
 * import { countMisses, lru, mru } from 'pagewright/replacement';
 *
 * const loop = Array.from({ length: 1000 }, (_, index) => index % 50);
 * countMisses(lru(), 49, loop); // => 1000
 * countMisses(mru(), 49, loop); // => 69
 * ```
 * @public
 */
export function mru(): PolicyKind {
  return recencyKind('MRU', true, true);
}
