/**
 * Why a stretch of a page table is not its own to change.
 *
 * - `shared`: it belongs to another page table, whose tables these are.
 * - `recursive`: an entry of the root points at the root.
 * - `unsound`: it was adopted, and what its entry points at can't be a table of its own: no memory, a table that was met
 *   before, or more tables than were to be looked at.
 *
 * @public
 */
export type ForeignKind = 'shared' | 'recursive' | 'unsound';

/**
 * A stretch of a page table that is not its own to change: what lies below one entry.
 *
 * @public
 */
export interface ForeignRange {
  /** Why. */
  readonly kind: ForeignKind;
  /** The first page. */
  readonly vpn: number;
  /** Base pages. */
  readonly pages: number;
  /** The level of the entry. */
  readonly level: number;
}

/** Such stretches, by address; they do not overlap. */
export class ForeignRanges {
  /** No page outside [first, end) is foreign: what hot operations ask. */
  first = 0;
  end = 0;
  private ranges: readonly ForeignRange[] = [];

  get all(): readonly ForeignRange[] {
    return this.ranges;
  }

  /** The first range that reaches into a stretch of pages, or `null`. O(log ranges). */
  find(vpn: number, pages: number): ForeignRange | null {
    const { ranges } = this;
    let low = 0;
    let high = ranges.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const range = ranges[middle]!;
      if (range.vpn + range.pages <= vpn) low = middle + 1;
      else high = middle;
    }
    const range = ranges[low];
    return range !== undefined && range.vpn < vpn + pages ? range : null;
  }

  add(...ranges: readonly ForeignRange[]): void {
    if (ranges.length > 0) this.set([...this.ranges, ...ranges]);
  }

  clear(): void {
    this.set([]);
  }

  remove(range: ForeignRange): void {
    this.set(this.ranges.filter((other) => other !== range));
  }

  private set(ranges: readonly ForeignRange[]): void {
    this.ranges = [...ranges].sort((a, b) => a.vpn - b.vpn);
    const last = this.ranges.at(-1);
    this.first = this.ranges[0]?.vpn ?? 0;
    this.end = last === undefined ? 0 : last.vpn + last.pages;
  }
}
