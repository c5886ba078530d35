import { checkInteger, type Plain, plain, VmError } from '../core/index.js';
import { nextUsesOf } from './next-use.js';
import { RecencyStack } from './recency-stack.js';
import { checkPages } from './simulate.js';

/**
 * What memories of every size would have missed.
 *
 * @public
 */
export interface MissCurve {
  /** The tag. */
  readonly kind: 'miss-curve';
  /** The policy's name. */
  readonly policy: string;
  /** References. */
  readonly references: number;
  /** Different pages among them. */
  readonly pages: number;
  /**
   * Misses by frames, from 0 frames, where every reference misses, to as many as there are pages. More frames miss no less:
   * {@link missesAt} knows.
   */
  readonly misses: readonly number[];
}

/** Depths that are computed before they are counted. */
const CHUNK = 4096;

/**
 * The misses of LRU for every number of frames, from one pass over the references (Mattson et al., IBM Systems Journal
 * 9(2), 1970): each number is what `countMisses(lru(), frames, references)` counts. O(references x log pages).
 *
 * @param references - Page numbers, 0 to 2^53 - 1.
 * @returns The curve, as plain data.
 * @throws `VmError` for what is no list of page numbers.
 *
 * @example
 * ```ts
 * import { missCurve, missesAt } from 'pagewright/replacement';
 *
 * const curve = missCurve([1, 2, 3, 4, 1, 2, 5, 1, 2, 3, 4, 5]);
 * curve.misses; // => [12, 12, 12, 10, 8, 5]
 * missesAt(curve, 4); // => 8
 * missesAt(curve, 1000); // => 5
 * ```
 * @public
 */
export function missCurve(references: ArrayLike<number>): Plain<MissCurve> {
  checkPages(references);
  const stack = new RecencyStack();
  const histogram = new Histogram();
  const depths = new Int32Array(CHUNK);
  for (let from = 0; from < references.length; from += CHUNK) {
    const some = depths.subarray(0, Math.min(CHUNK, references.length - from));
    stack.reference(references, from, some);
    histogram.reserve(stack.pages);
    for (let each = 0; each < some.length; each++) histogram.count(some[each]!);
  }
  return curveOf('LRU', references.length, stack.pages, histogram);
}

/**
 * The misses of OPT for every number of frames, from one pass with the stack of Mattson et al. (IBM Systems Journal 9(2),
 * 1970), where of two pages the one that is used again earlier stays above: each number is what
 * `countMisses(opt(), frames, references)` counts, whatever decides between pages that are never used again. A reference
 * takes as long as its page is deep, without the pages below that are never used again: O(references x pages) at worst.
 *
 * @param references - Page numbers, 0 to 2^53 - 1.
 * @returns The curve, as plain data.
 * @throws `VmError` for what is no list of page numbers.
 *
 * @example
 * ```ts
 * import { optMissCurve } from 'pagewright/replacement';
 *
 * optMissCurve([1, 2, 3, 4, 1, 2, 5, 1, 2, 3, 4, 5]).misses; // => [12, 12, 9, 7, 6, 5]
 * ```
 * @public
 */
export function optMissCurve(references: ArrayLike<number>): Plain<MissCurve> {
  checkPages(references);
  const { next, pages } = nextUsesOf(references);
  // A page is known by its next use, for only one is used next at any time.
  const stack = new Float64Array(pages);
  const histogram = new Histogram();
  histogram.reserve(pages);
  // Behind the deepest page that is used again. Those below are all alike, and need no places.
  let end = 0;
  const never = next.length;
  for (let now = 0; now < never; now++) {
    const depth = pushOnOptStack(stack, end, now, next[now]!);
    if (depth === 0) end++;
    while (end > 0 && stack[end - 1] === never) end--;
    histogram.count(depth);
  }
  return curveOf('OPT', references.length, pages, histogram);
}

/**
 * Puts the page that is used now on top of the stack, and lets the one that was there sink: at each place the page that is
 * used earlier stays, and the other one goes on, to the place that has become free.
 *
 * @returns How deep the page was, or 0.
 */
function pushOnOptStack(stack: Float64Array, end: number, now: number, next: number): number {
  let sinking = next;
  for (let depth = 0; depth < end; depth++) {
    const here = stack[depth]!;
    if (here === now) {
      stack[depth] = sinking;
      return depth + 1;
    }
    if (depth === 0 || here > sinking) {
      stack[depth] = sinking;
      sinking = here;
    }
  }
  stack[end] = sinking;
  return 0;
}

/**
 * The misses of a number of frames.
 *
 * @param curve - What {@link missCurve} or {@link optMissCurve} returned.
 * @param frames - Frames, from 0 on: also more than there are pages.
 * @returns The misses.
 * @throws `VmError` for what is no number of frames.
 *
 * @example
 * ```ts
 * import { missCurve, missesAt } from 'pagewright/replacement';
 *
 * missesAt(missCurve([1, 2, 1]), 8); // => 2
 * ```
 * @public
 */
export function missesAt(curve: MissCurve, frames: number): number {
  checkInteger('frames', frames, 0, Number.MAX_SAFE_INTEGER);
  const whole =
    curve?.kind === 'miss-curve' &&
    Array.isArray(curve.misses) &&
    curve.misses.length === curve.pages + 1;
  const found: unknown = whole ? curve.misses[Math.min(frames, curve.pages)] : undefined;
  if (typeof found === 'number') return found;
  throw new VmError('bad-argument', { argument: 'curve', value: curve, expected: 'a miss curve' });
}

/** How many references had which depth. */
class Histogram {
  private counts: Float64Array = new Float64Array(1024);

  /** Makes room for depths up to so many. */
  reserve(depth: number): void {
    if (depth < this.counts.length) return;
    const counts = new Float64Array(2 * depth);
    counts.set(this.counts);
    this.counts = counts;
  }

  count(depth: number): void {
    this.counts[depth]!++;
  }

  at(depth: number): number {
    return this.counts[depth]!;
  }
}

/** A memory of n frames has the pages whose depth is 1 to n. */
function curveOf(
  policy: string,
  references: number,
  pages: number,
  depths: Histogram,
): Plain<MissCurve> {
  const misses = [references];
  for (let frames = 1; frames <= pages; frames++) {
    misses.push(misses[frames - 1]! - depths.at(frames));
  }
  return plain({ kind: 'miss-curve', policy, references, pages, misses });
}
