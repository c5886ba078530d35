import type { MappedRange } from '../walk/index.js';

/** Ranges alike at equal distances, as one. */
export interface FoldedRange {
  /** The first of them. */
  readonly range: MappedRange;
  /** How many there are. */
  readonly times: number;
  /** Bytes from one to the next; 0 for a single one. */
  readonly stride: bigint;
}

/** Fewer are not worth folding. */
const LEAST = 3;

/**
 * Folds neighbours that differ in nothing but their addresses and lie at equal distances: kernels and tests make
 * thousands of them. O(ranges).
 *
 * @param ranges - In the order of their addresses.
 * @returns The same in fewer items.
 */
export function foldRanges(ranges: readonly MappedRange[]): FoldedRange[] {
  const folded: FoldedRange[] = [];
  for (let at = 0; at < ranges.length; ) {
    const range = ranges[at]!;
    const stride = (ranges[at + 1]?.va ?? range.va) - range.va;
    let times = 1;
    while (at + times < ranges.length && follows(range, ranges[at + times]!, stride, times))
      times++;
    if (times < LEAST) times = 1;
    folded.push({ range, times, stride: times === 1 ? 0n : stride });
    at += times;
  }
  return folded;
}

/** Whether `next` is the repetition of `first` that stands `times` strides after it. */
function follows(first: MappedRange, next: MappedRange, stride: bigint, times: number): boolean {
  return next.va === first.va + stride * BigInt(times) && alike(first, next);
}

/** Whether two ranges differ in their addresses only. */
function alike(a: MappedRange, b: MappedRange): boolean {
  return (
    a.pages === b.pages &&
    a.pageBytes === b.pageBytes &&
    a.prot === b.prot &&
    a.global === b.global &&
    (a.pa === null) === (b.pa === null) &&
    a.x86?.patIndex === b.x86?.patIndex &&
    a.x86?.protectionKey === b.x86?.protectionKey &&
    a.riscv?.pbmt === b.riscv?.pbmt &&
    a.riscv?.napot === b.riscv?.napot &&
    a.ept?.memoryType === b.ept?.memoryType &&
    a.ept?.ignorePat === b.ept?.ignorePat &&
    a.ept?.execute === b.ept?.execute &&
    a.ept?.executeUser === b.ept?.executeUser &&
    a.aarch64?.attr === b.aarch64?.attr &&
    a.aarch64?.sh === b.aarch64?.sh &&
    a.aarch64?.contiguous === b.aarch64?.contiguous
  );
}
