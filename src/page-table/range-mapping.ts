import { checkOptions, type OptionNames, VmError } from '../core/index.js';
import { fillRun, findUsed } from './flat-runs.js';
import { GLOBAL, type Invalidations } from './invalidations.js';
import type { LeafFlags } from './leaf-flags.js';
import { LeafOperations } from './leaf-operations.js';
import { OUT_OF_FRAMES } from './outcome.js';
import type { PageSize } from './page-size.js';

/**
 * What `PageTable.mapRange` maps.
 *
 * @public
 */
export interface MapRange {
  /** The first page, in the format's base pages. */
  readonly vpn: number;
  /** The first frame; the others follow. */
  readonly pfn: number;
  /** Base pages. */
  readonly pages: number;
  /** What the leaves say. */
  readonly flags: LeafFlags;
  /**
   * The size of the pages, in base pages; `vpn`, `pfn` and `pages` must be multiples of it. @defaultValue at each page
   * the largest that alignment and what is left allow
   */
  readonly pageSize?: number;
}

const MAP: OptionNames<MapRange> = {
  vpn: true,
  pfn: true,
  pages: true,
  flags: true,
  pageSize: true,
};

/** A stretch to map, worked out. */
interface Fill {
  readonly owed: Invalidations;
  readonly end: number;
  /** The difference between a page's frame and its number. */
  readonly delta: number;
  readonly flags: LeafFlags;
  /** The sizes that may be used, the largest first. */
  readonly sizes: readonly PageSize[];
  /** The level of the smallest of them. */
  readonly lowest: number;
}

/** Mapping stretches of pages, and splitting leaves where a stretch begins or ends within one. */
export abstract class RangeMapping extends LeafOperations {
  /**
   * Maps a stretch of pages to frames that follow one another, in the largest pages that alignment allows or in those of
   * one size. All or nothing.
   *
   * @param range - What to map where.
   * @param owed - What the change owes: nothing where entries that were not present owe nothing.
   * @returns 0, or `OUT_OF_FRAMES`. O(tables and entries that the stretch has).
   * @throws `VmError` `overlap` when something is there, mapped or a software entry, naming its address and entry;
   * otherwise for what is misaligned, out of range or foreign. Nothing changed then.
   *
   * @example
   * ```ts
   * import { Prot } from 'pagewright/core';
   * import { FramePool, PhysicalMemory } from 'pagewright/memory';
   * import { Invalidations, PageTable } from 'pagewright/page-table';
   * import { x86Long4 } from 'pagewright/pte';
   *
   * const memory = PhysicalMemory.allocate(16 * 4096, { base: 0 });
   * const frames = new FramePool({ first: 0, frames: 16 });
   * const owed = new Invalidations({ frames });
   * const table = new PageTable({ format: x86Long4, memory, frames });
   * const flags = table.flags({ prot: Prot.Read | Prot.Write | Prot.User });
   *
   * table.mapRange({ vpn: 0x1fe, pfn: 0x7fe, pages: 2 + 512 + 1, flags }, owed); // => 0
   * [...table.entries()].map((leaf) => [leaf.vpn, leaf.pages]);
   * // => [[0x1fe, 1], [0x1ff, 1], [0x200, 512], [0x400, 1]]
   * ```
   */
  mapRange(range: MapRange, owed: Invalidations): number {
    checkOptions('', range, MAP);
    const { flags, pages, pageSize, pfn, vpn } = range;
    this.begin(owed);
    this.checkFlags(flags);
    const alignment = pageSize === undefined ? 1 : this.sizeOf(pageSize).pages;
    this.checkPages(vpn, pages, alignment);
    const { level } = this.sizeOf(alignment);
    this.checkFrames(vpn, pfn, pages, level, alignment);
    if (pages % alignment !== 0) {
      const expected = `a multiple of ${alignment} pages`;
      throw new VmError('misaligned', { argument: 'pages', value: pages, expected });
    }
    this.checkOwn(vpn, pages);
    const sizes = [...this.shape.sizes].reverse();
    const fill: Fill = {
      owed,
      end: vpn + pages,
      delta: pfn - vpn,
      flags,
      sizes: pageSize === undefined ? sizes : sizes.filter((size) => size.pages === alignment),
      lowest: level,
    };
    this.needed.fill(0);
    this.countFill(fill, this.rootPfn, this.shape.top, vpn, fill.end);
    if (!this.reserveTables(this.needed)) return OUT_OF_FRAMES;
    this.fill(fill, this.rootPfn, this.shape.top, vpn, fill.end);
    return 0;
  }

  /** Counts the tables that [from, end) needs below a table that is there; refuses what is mapped. */
  private countFill(fill: Fill, table: number, level: number, from: number, end: number): void {
    const { format } = this.shape;
    if (level === 0) {
      this.checkUnused(table, from, end);
      return;
    }
    const pages = format.levelPages[level]!;
    let next = from;
    for (let vpn = from; vpn < end; vpn = next) {
      next = Math.min(end, this.shape.entryStart(vpn, level) + pages);
      this.load(table, this.shape.indexOf(vpn, level), level);
      if ((this.low | this.high) === 0) {
        this.countMissing(fill, level, vpn, next);
        // Where a leaf is to be, a table is in the way even if it is empty.
      } else if (level > fill.lowest && this.isPointer(this.low, this.high, level)) {
        this.countFill(fill, format.tablePfn(this.low, this.high), level - 1, vpn, next);
      } else {
        throw this.occupied(vpn, level);
      }
    }
  }

  /**
   * Counts the tables that [from, end) needs below empty entries of a level: without a look at each, for a stretch may be
   * as long as the address space.
   */
  private countMissing(fill: Fill, level: number, from: number, end: number): void {
    if (level === 0 || from >= end) return;
    const pages = this.shape.format.levelPages[level]!;
    const first = Math.ceil(from / pages) * pages;
    const last = Math.floor(end / pages) * pages;
    if (first < last && this.fits(fill, first, level)) {
      // Leaves between; at the edges, which cover no whole entry, smaller ones.
      this.countMissing(fill, level, from, first);
      this.countMissing(fill, level, last, end);
      return;
    }
    this.needed[level - 1]! += Math.floor((end - 1) / pages) - Math.floor(from / pages) + 1;
    this.countMissing(fill, level - 1, from, end);
  }

  /** Refuses pages of a level 0 table that are in use. */
  private checkUnused(table: number, from: number, end: number): void {
    const base = this.tableBase(table, 0);
    const first = this.shape.indexOf(from, 0);
    const count = end - from;
    if (base >= 0) {
      const start = base + (first << this.wide);
      const used = findUsed(this.words, start, start + (count << this.wide));
      if (used < 0) return;
      const index = (used - start) >> this.wide;
      this.load(table, first + index, 0);
      throw this.occupied(from + index, 0);
    }
    for (let index = 0; index < count; index++) {
      this.load(table, first + index, 0);
      if ((this.low | this.high) !== 0) throw this.occupied(from + index, 0);
    }
  }

  /** Whether a page, and all that an entry of the level covers, is to be one leaf of that level. */
  private fits(fill: Fill, vpn: number, level: number): boolean {
    const size = fill.sizes.find((other) => other.level === level);
    if (size === undefined) return false;
    const pages = this.shape.format.levelPages[level]!;
    const pfn = vpn + fill.delta;
    if (vpn % pages !== 0 || pfn % pages !== 0 || vpn + pages > fill.end) return false;
    return pfn + pages <= this.shape.leafFrameEnd[level]!;
  }

  /** Maps [from, end) under a table that may be linked or not. */
  private fill(fill: Fill, table: number, level: number, from: number, end: number): void {
    if (level === 0) {
      this.fillBase(fill, table, from, end);
      return;
    }
    const { format } = this.shape;
    const pages = format.levelPages[level]!;
    let next = from;
    for (let vpn = from; vpn < end; vpn = next) {
      const start = this.shape.entryStart(vpn, level);
      next = Math.min(end, start + pages);
      const index = this.shape.indexOf(vpn, level);
      this.load(table, index, level);
      const { high, low } = this;
      this.tables[level] = table;
      this.indexes[level] = index;
      if ((low | high) === 0 && this.fits(fill, vpn, level)) {
        next = this.fillLevel(fill, level, index, vpn, end);
        continue;
      }
      if ((low | high) !== 0) {
        this.widenEntry(fill.owed, table, index, level, vpn, fill.flags.prot);
        this.fill(fill, format.tablePfn(low, high), level - 1, vpn, next);
        continue;
      }
      const below = this.takeTable(level - 1);
      this.fill(fill, below, level - 1, vpn, next);
      // Only when it is complete does anything point at it.
      this.tables[level] = table;
      this.indexes[level] = index;
      this.tables[level - 1] = below;
      this.link(fill.owed, vpn, level);
    }
  }

  /** Writes leaves of a level, those that begin a group with the whole group; returns the page after them. */
  private fillLevel(fill: Fill, level: number, index: number, vpn: number, end: number): number {
    const own = this.shape.format.levelPages[level]!;
    const size = this.groupFor(fill, level, vpn, end);
    const entries = size === undefined ? 1 : size.entries;
    this.fillLeaves(fill.owed, level, index, entries, vpn + fill.delta, fill.flags, entries > 1);
    const pages = entries * own;
    this.oweFilling(fill.owed, vpn, pages, level);
    return vpn + pages;
  }

  /** The group of a level's entries that may begin with a page, if all of it is to be mapped and empty. */
  private groupFor(fill: Fill, level: number, vpn: number, end: number): PageSize | undefined {
    const size = fill.sizes.find((other) => other.level === level && other.entries > 1);
    if (size === undefined) return undefined;
    const { pages } = size;
    if (vpn % pages !== 0 || (vpn + fill.delta) % pages !== 0 || vpn + pages > end)
      return undefined;
    if (vpn + fill.delta + pages > this.shape.leafFrameEnd[level]!) return undefined;
    if (level === 0) return size;
    // Above level 0 there may be tables among the entries.
    const table = this.tables[level]!;
    const index = this.indexes[level]!;
    for (let member = 1; member < size.entries; member++) {
      this.load(table, index + member, level);
      if ((this.low | this.high) !== 0) return undefined;
    }
    return size;
  }

  /** Fills entries of base pages, in groups where those fit. */
  private fillBase(fill: Fill, table: number, from: number, end: number): void {
    const base = this.tableBase(table, 0);
    this.tables[0] = table;
    let vpn = from;
    while (vpn < end) {
      this.indexes[0] = this.shape.indexOf(vpn, 0);
      const group = this.groupFor(fill, 0, vpn, end);
      if (group !== undefined || base < 0) {
        vpn = this.fillLevel(fill, 0, this.indexes[0]!, vpn, end);
        continue;
      }
      const stop = this.nextGroup(fill, vpn, end);
      this.fillFlat(fill, base, vpn, stop);
      vpn = stop;
    }
  }

  /** Where the next group could begin. */
  private nextGroup(fill: Fill, vpn: number, end: number): number {
    const size = fill.sizes.find((other) => other.level === 0 && other.entries > 1);
    if (size === undefined || fill.delta % size.pages !== 0) return end;
    const next = (Math.floor(vpn / size.pages) + 1) * size.pages;
    return next + size.pages > end ? end : next;
  }

  private fillFlat(fill: Fill, base: number, from: number, end: number): void {
    const { flags, owed } = fill;
    const { shape } = this;
    const { format } = shape;
    const pfn = from + fill.delta;
    const count = end - from;
    const start = base + (shape.indexOf(from, 0) << this.wide);
    const high = shape.leafHigh(pfn, 0, flags.high, 0);
    const last = pfn + count - 1;
    const low = shape.leafLow(pfn, 0, flags.low, 0);
    // The low word alone counts on as long as no frame bit elsewhere changes.
    const sameHigh = high === shape.leafHigh(last, 0, flags.high, 0);
    const unit = 2 ** format.frameShift;
    const lowEnd = shape.leafLow(last, 0, flags.low, 0);
    if (sameHigh && ((low + (count - 1) * unit) | 0) === lowEnd) {
      fillRun(this.words, start, start + (count << this.wide), this.wide, low, high, unit | 0);
    } else {
      for (let i = 0; i < count; i++) {
        const at = start + (i << this.wide);
        this.words[at] = shape.leafLow(pfn + i, 0, flags.low, 0);
        if (this.wide === 1) this.words[at + 1] = shape.leafHigh(pfn + i, 0, flags.high, 0);
      }
    }
    this.leafEntries[0]! += count;
    if ((this.fillOwes & 1) !== 0) this.owe(owed, from, count, 1, 0);
  }

  /** Splits the leaves in which a stretch begins or ends, so that each leaf is in it or not; `false` without tables. */
  protected splitEdges(owed: Invalidations, vpn: number, pages: number): boolean {
    this.needed.fill(0);
    const begun = this.countSplit(vpn, -1);
    this.countSplit(vpn + pages, begun);
    if (!this.reserveTables(this.needed)) return false;
    this.splitAt(owed, vpn);
    this.splitAt(owed, vpn + pages);
    return true;
  }

  /**
   * Counts the tables that splitting at a boundary needs, but for those that the split at page `other` of the same leaf
   * makes already.
   *
   * @returns The boundary, when there is a leaf to split; otherwise -1.
   */
  private countSplit(boundary: number, other: number): number {
    const { format } = this.shape;
    if (!this.shape.isPage(boundary)) return -1;
    const level = this.seek(boundary);
    if (!this.isLeaf(this.low, this.high, level)) return -1;
    const pfn = format.leafPfn(this.low, this.high, level);
    const end = pfn + format.levelPages[level]!;
    for (let below = level; below > 0; below--) {
      const pages = format.levelPages[below]!;
      if (boundary % pages === 0) break;
      if (!this.canBePieces(below - 1, end)) {
        const expected = `no boundary within the page at ${this.spellAddress(boundary)}, which can't be split`;
        const place = this.place(boundary);
        throw new VmError('misaligned', { argument: 'vpn', value: boundary, expected, ...place });
      }
      const made = other >= 0 && this.sharesTable(boundary, other, below, level);
      if (!made) this.needed[below - 1]!++;
    }
    return boundary;
  }

  /** Whether leaves of a level, the pieces of a larger one, can name its frames, which end there. */
  protected canBePieces(level: number, end: number): boolean {
    const { format, leafFrameEnd } = this.shape;
    return ((format.leafLevels >> level) & 1) === 1 && end <= leafFrameEnd[level]!;
  }

  /** Whether splitting a leaf of `level` at page `other` makes the table below the level `below` entry of a boundary. */
  private sharesTable(boundary: number, other: number, below: number, level: number): boolean {
    const leaf = this.shape.format.levelPages[level]!;
    const pages = this.shape.format.levelPages[below]!;
    if (Math.floor(other / leaf) !== Math.floor(boundary / leaf)) return false;
    return Math.floor(other / pages) === Math.floor(boundary / pages) && other % pages !== 0;
  }

  private splitAt(owed: Invalidations, boundary: number): void {
    if (!this.shape.isPage(boundary)) return;
    for (;;) {
      if (this.findLeaf(boundary) < 0 || this.found.vpn === boundary) return;
      this.splitFound(owed);
    }
  }

  /** Splits the leaf that was found: a group into its entries, a larger leaf into a reserved table of smaller ones. */
  protected splitFound(owed: Invalidations): void {
    const { found, shape } = this;
    const { level, pages, vpn } = found;
    const global = shape.bits.isGlobal(found.low, found.high) ? GLOBAL : 0;
    if (pages > shape.format.levelPages[level]!) {
      this.ungroupFound(owed);
      this.owe(owed, vpn, pages, shape.format.levelPages[level]!, global);
      return;
    }
    const below = this.takeTable(level - 1);
    this.inherit(below, this.owned.get(this.tables[level]!)!);
    const { high: pointerHigh, low: pointerLow } = shape.bits.pointers[level]!;
    // When hardware sets a bit meanwhile, the leaves get it too.
    this.change(owed, this.tables[level]!, this.indexes[level]!, level, (low, high) => {
      this.fillFrom(owed, below, level - 1, low, high);
      this.setNew(
        shape.format.tableLow(below, pointerLow),
        shape.format.tableHigh(below, pointerHigh),
      );
    });
    this.owe(owed, vpn, pages, pages, global);
    this.oweIntermediate(owed, vpn, pages);
  }

  /**
   * Takes the mark of a group from the entries of the leaf that was found. Hardware may have noted the use of any page in
   * any of them, so that each has to say of its page what all of them said.
   */
  private ungroupFound(owed: Invalidations): void {
    const { found, shape } = this;
    const { bits } = shape;
    const { level } = found;
    const first = this.firstFound();
    let accessed = this.someFound((low) => bits.isAccessed(low));
    let dirty = this.someFound((low, high) => bits.isDirty(low, high));
    const edit = (low: number, high: number, member: number): void => {
      accessed ||= bits.isAccessed(low);
      dirty ||= bits.isDirty(low, high);
      const pfn = shape.entryPfn(low, high, level, first + member);
      const used = shape.flagsLow(low, level) | (accessed ? bits.accessed : 0);
      const upper = shape.flagsHigh(high, level);
      const [flagsLow, flagsHigh] = dirty
        ? [bits.dirtyLow(used, upper, true), bits.dirtyHigh(used, upper, true)]
        : [used, upper];
      this.setNew(shape.leafLow(pfn, level, flagsLow, 0), shape.leafHigh(pfn, level, flagsHigh, 0));
    };
    this.changeFound(owed, edit);
    // Once more for what hardware noted meanwhile in the later ones.
    this.changeFound(owed, edit);
  }

  /** Fills a table that nothing points at yet with the pieces of a larger leaf. */
  private fillFrom(
    owed: Invalidations,
    table: number,
    level: number,
    low: number,
    high: number,
  ): void {
    const { shape } = this;
    const pfn = shape.format.leafPfn(low, high, level + 1);
    const flagsLow = shape.flagsLow(low, level + 1);
    const flagsHigh = shape.flagsHigh(high, level + 1);
    const pages = shape.format.levelPages[level]!;
    for (let index = 0; index < shape.entries[level]!; index++) {
      const frame = pfn + index * pages;
      const newLow = shape.leafLow(frame, level, flagsLow, 0);
      const newHigh = shape.leafHigh(frame, level, flagsHigh, 0);
      this.change(owed, table, index, level, () => this.setNew(newLow, newHigh));
    }
  }
}
