/** The LRU stack as a list, the page that was used last in front: how deep each page is in it, from 1 on, or 0. */
export function referenceStackDistances(references: readonly number[]): number[] {
  const stack: number[] = [];
  return references.map((page) => {
    const depth = stack.indexOf(page);
    if (depth >= 0) stack.splice(depth, 1);
    stack.unshift(page);
    return depth + 1;
  });
}

/** By reference: the next one to the same page, or the length. */
export function referenceNextUses(references: readonly number[]): number[] {
  return references.map((page, index) => {
    const next = references.indexOf(page, index + 1);
    return next < 0 ? references.length : next;
  });
}

/** The pages of the `window` references before a time. */
export function referenceWorkingSet(
  references: readonly number[],
  window: number,
  time: number,
): number[] {
  const pages = new Set(references.slice(Math.max(0, time - window), time));
  return [...pages].sort((a, b) => a - b);
}

/** How many references find that their page is not in the working set of a window before them. */
export function referenceWorkingSetFaults(references: readonly number[], window: number): number {
  const faults = references.filter((page, index) => {
    return !references.slice(Math.max(0, index - window), index).includes(page);
  });
  return faults.length;
}
