import { checkInteger, type Plain, plain } from '../core/index.js';
import { nextUsesOf } from './next-use.js';
import { checkPages } from './simulate.js';

/**
 * The working set: the pages of the last `window` references (Denning, "The working set model for program behavior",
 * Communications of the ACM 11(5), 1968). O(window), and its sorting.
 *
 * @param references - Page numbers, 0 to 2^53 - 1.
 * @param window - References that count, 1 or more.
 * @param time - References that have been, 0 to all of them: the window ends with the one before.
 * @returns The pages, in ascending order.
 * @throws `VmError` for what is no list of page numbers, window or time.
 *
 * @example
 * ```ts
 * import { workingSetAt } from 'pagewright/replacement';
 *
 * workingSetAt([5, 1, 2, 1, 7], 3, 4); // => [1, 2]
 * ```
 * @public
 */
export function workingSetAt(
  references: ArrayLike<number>,
  window: number,
  time: number,
): number[] {
  checkPages(references);
  checkInteger('window', window, 1, Number.MAX_SAFE_INTEGER);
  checkInteger('time', time, 0, references.length);
  const pages = new Set<number>();
  for (let index = Math.max(0, time - window); index < time; index++) pages.add(references[index]!);
  return [...pages].sort((a, b) => a - b);
}

/**
 * How large the working set is at every time. O(references), whatever the window.
 *
 * @param references - Page numbers, 0 to 2^53 - 1.
 * @param window - References that count, 1 or more.
 * @returns By reference: the pages of the window that ends with it.
 * @throws `VmError` for what is no list of page numbers or window.
 *
 * @example
 * ```ts
 * import { workingSetSizes } from 'pagewright/replacement';
 *
 * [...workingSetSizes([5, 1, 2, 1, 7], 3)]; // => [1, 2, 3, 2, 3]
 * ```
 * @public
 */
export function workingSetSizes(references: ArrayLike<number>, window: number): Int32Array {
  checkPages(references);
  checkInteger('window', window, 1, Number.MAX_SAFE_INTEGER);
  const { next } = nextUsesOf(references);
  const sizes = new Int32Array(references.length);
  // A use keeps its page until the next one, or until the window has moved past it. First by how much sizes change.
  for (let now = 0; now < sizes.length; now++) {
    const gone = Math.min(next[now]!, now + window);
    sizes[now]!++;
    if (gone < sizes.length) sizes[gone]!--;
  }
  for (let now = 1; now < sizes.length; now++) sizes[now]! += sizes[now - 1]!;
  return sizes;
}

/**
 * What windows of every size would have cost.
 *
 * @public
 */
export interface WorkingSetCurve {
  /** The tag. */
  readonly kind: 'working-set-curve';
  /** References. */
  readonly references: number;
  /** Different pages among them. */
  readonly pages: number;
  /** By window, from 0 to as many references as there are: references whose page was not in the working set before. */
  readonly faults: readonly number[];
  /** By window: the mean of the sizes at every time. */
  readonly meanSizes: readonly number[];
}

/**
 * The faults and the mean size of the working set for every window, in one pass over the intervals between references to
 * the same page: a window one longer adds, to the mean size, the fault rate (Denning and Schwartz, "Properties of the
 * working-set model", Communications of the ACM 15(3), 1972). Exact also at the ends of the references: the mean is what
 * {@link workingSetSizes} has. O(references).
 *
 * @param references - Page numbers, 0 to 2^53 - 1.
 * @returns The curve, as plain data.
 * @throws `VmError` for what is no list of page numbers.
 *
 * @example
 * ```ts
 * import { workingSetCurve } from 'pagewright/replacement';
 *
 * const { faults, meanSizes } = workingSetCurve([5, 1, 2, 1]);
 * faults; // => [4, 4, 3, 3, 3]
 * meanSizes; // => [0, 1, 1.75, 2, 2.25]
 * ```
 * @public
 */
export function workingSetCurve(references: ArrayLike<number>): Plain<WorkingSetCurve> {
  checkPages(references);
  const { length } = references;
  const { next, pages } = nextUsesOf(references);
  // By length: intervals between two uses, and how long pages stay until the next use or the end.
  const intervals = new Float64Array(length + 1);
  const stays = new Float64Array(length + 1);
  for (let now = 0; now < length; now++) {
    const stay = next[now]! - now;
    if (next[now]! < length) intervals[stay]!++;
    stays[stay]!++;
  }
  const faults = [length];
  const meanSizes = [0];
  let sum = 0;
  let longer = length;
  for (let window = 1; window <= length; window++) {
    faults.push(faults[window - 1]! - intervals[window]!);
    // A use keeps its page as long as the window is, or as its stay.
    sum += longer;
    longer -= stays[window]!;
    meanSizes.push(sum / length);
  }
  return plain({ kind: 'working-set-curve', references: length, pages, faults, meanSizes });
}
