import { RecencyStack } from './recency-stack.js';
import { checkPages } from './simulate.js';

/**
 * How deep in the LRU stack each page was when it was referenced: how many pages were referenced since the last time, itself
 * among them. A memory of that many frames or more has the page (Mattson, Gecsei, Slutz and Traiger, "Evaluation techniques
 * for storage hierarchies", IBM Systems Journal 9(2), 1970). O(references x log pages), in one pass.
 *
 * @param references - Page numbers, 0 to 2^53 - 1.
 * @returns By reference: the distance from 1 on, or 0 where a page comes for the first time, which no memory can have.
 * @throws `VmError` for what is no list of page numbers.
 *
 * @example
 * ```ts
 * import { stackDistances } from 'pagewright/replacement';
 *
 * [...stackDistances([7, 8, 9, 7, 7, 8])]; // => [0, 0, 0, 3, 1, 3]
 * ```
 * @public
 */
export function stackDistances(references: ArrayLike<number>): Int32Array {
  checkPages(references);
  const distances = new Int32Array(references.length);
  new RecencyStack().reference(references, 0, distances);
  return distances;
}
