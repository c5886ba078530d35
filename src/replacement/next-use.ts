import { PageIndex } from './page-index.js';
import { checkPages } from './simulate.js';

/**
 * When each page is referenced again, which is what OPT looks at. O(references).
 *
 * @param references - Page numbers, 0 to 2^53 - 1.
 * @returns By reference: the index of the next one to the same page, or `references.length` if there is none.
 * @throws `VmError` for what is no list of page numbers.
 *
 * @example
 * ```ts
 * import { nextUses } from 'pagewright/replacement';
 *
 * [...nextUses([7, 8, 7, 7])]; // => [2, 4, 3, 4]
 * ```
 * @public
 */
export function nextUses(references: ArrayLike<number>): Float64Array {
  checkPages(references);
  return nextUsesOf(references).next;
}

/** The same for what has been checked, and how many pages there are. */
export function nextUsesOf(references: ArrayLike<number>): { next: Float64Array; pages: number } {
  const { length } = references;
  const index = new PageIndex();
  const next = new Float64Array(length).fill(length);
  const last = new Float64Array(length);
  for (let now = 0; now < length; now++) {
    const known = index.size;
    const id = index.indexOf(references[now]!);
    if (id < known) next[last[id]!] = now;
    last[id] = now;
  }
  return { next, pages: index.size };
}
