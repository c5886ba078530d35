import { PAGE_BYTES, VmError } from '../core/index.js';
import { BUS_ERROR, type Region } from './region.js';

/**
 * What {@link RegionTable.eachPiece} calls: bytes `start` to `end` of the stretch lie in `region` from `at` on. A
 * negative answer stops it.
 */
export type PieceVisitor = (region: Region, at: number, start: number, end: number) => number;

/**
 * All regions, sorted by base, none overlapping another.
 */
export class RegionTable {
  regions: readonly Region[] = [];

  /**
   * Adds regions, all or none. O(n log n).
   *
   * @throws VmError `overlap`.
   */
  insert(added: readonly Region[]): void {
    for (const region of this.regions) region.refresh();
    const all = [...this.regions, ...added].sort(byBase);
    for (let i = 1; i < all.length; i++) {
      const [previous, region] = [all[i - 1]!, all[i]!];
      if (previous.size > gap(previous, region)) {
        throw new VmError('overlap', {
          argument: 'base',
          value: added.includes(region) ? region.base : previous.base,
          expected: `memory that does not overlap the region at 0x${(added.includes(region) ? previous : region).base.toString(16)}`,
        });
      }
    }
    this.regions = all;
    for (let i = 1; i < all.length; i++) all[i - 1]!.room = gap(all[i - 1]!, all[i]!);
  }

  /**
   * The region that holds an address, looked at afresh, or `null`. O(log n). `offset` may run past its page.
   */
  find(pfn: number, offset: number): Region | null {
    let low = 0;
    let high = this.regions.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.regions[middle]!.distance(pfn, offset) >= 0) low = middle + 1;
      else high = middle;
    }
    const region = this.regions[low - 1];
    if (region === undefined) return null;
    region.refresh();
    return region.distance(pfn, offset) < region.size ? region : null;
  }

  /**
   * Cuts a stretch of memory into pieces of one region each, in ascending order.
   *
   * @returns 0, or BUS_ERROR at the first byte where there is no region, or the visitor's negative answer.
   */
  eachPiece(pfn: number, offset: number, bytes: number, visit: PieceVisitor): number {
    let done = 0;
    // Not `done < bytes`: NaN must end where memory ends, and not count as nothing.
    while (!(done >= bytes)) {
      const region = this.find(pfn, offset + done);
      if (region === null) return BUS_ERROR;
      const at = region.distance(pfn, offset + done);
      const end = Math.min(done + region.size - at, bytes);
      const answer = visit(region, at, done, end);
      if (answer < 0) return answer;
      done = end;
    }
    return 0;
  }

  /** Whether all bytes of a stretch are memory. */
  contains(pfn: number, offset: number, bytes: number): boolean {
    return this.eachPiece(pfn, offset, bytes, () => 0) === 0;
  }

  /** Whether a frame holds nothing, without looking at it byte by byte. O(log n). */
  isBlank(pfn: number): boolean {
    let low = 0;
    let high = this.regions.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.regions[middle]!.distance(pfn, PAGE_BYTES - 1) >= 0) low = middle + 1;
      else high = middle;
    }
    // The last region that begins before the frame ends; those below it end where it begins, or earlier.
    const region = this.regions[low - 1];
    if (region === undefined) return true;
    region.refresh();
    const at = region.distance(pfn, 0);
    return at >= region.size || region.isBlank(at);
  }

  /** @throws VmError `bad-image` when the order is broken or a region reaches into the next. */
  checkInvariants(): void {
    for (let i = 1; i < this.regions.length; i++) {
      const [previous, region] = [this.regions[i - 1]!, this.regions[i]!];
      const distance = gap(previous, region);
      if (previous.room !== distance || previous.size > distance) {
        throw new VmError('bad-image', {
          argument: 'regions',
          value: region.base,
          expected: 'regions sorted by base, none reaching into the next',
        });
      }
    }
  }
}

function byBase(a: Region, b: Region): number {
  return a.basePfn - b.basePfn || a.baseOffset - b.baseOffset;
}

/** Bytes from the base of one region to the base of the next. */
function gap(region: Region, next: Region): number {
  return region.distance(next.basePfn, next.baseOffset);
}
