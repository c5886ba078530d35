import type { WordMask } from '../pte/index.js';
import { GLOBAL, type Invalidations } from './invalidations.js';
import { NOT_COMPATIBLE, OUT_OF_FRAMES } from './outcome.js';
import type { PageSize } from './page-size.js';
import { checkRange, type PageRange, RangeOperations } from './range-operations.js';

/** In the marks of a piece: it was used. */
const ACCESSED = 1;
/** In the marks of a piece: it was written. */
const DIRTY = 2;

/** What the pieces of a page have in common, and what they were used for. */
interface Pieces {
  pfn: number;
  flagsLow: number;
  flagsHigh: number;
  accessed: boolean;
  dirty: boolean;
  /** By piece: what it was used for, `ACCESSED` and `DIRTY`. */
  readonly marks: Uint8Array;
}

/** The same pages in other leaves: split, collapsed; and tables that hold nothing any more. */
export abstract class StructureOperations extends RangeOperations {
  /**
   * Splits the leaf that maps a page into leaves of the next smaller size: a NAPOT or contiguous group into its entries, a
   * large leaf into a table of leaves of the level below. They say what the leaf said: rights, memory type (x86's PAT bit
   * moves from 12 to 7), accessed and dirty.
   *
   * On AArch64 a live leaf is split by break-before-make unless the machine has FEAT_BBM level 2.
   *
   * @param vpn - Any page of the leaf.
   * @param owed - What the change owes.
   * @returns 0; `OUT_OF_FRAMES`; `NOT_MAPPED` or `NOT_PRESENT` when no leaf maps the page; `NOT_COMPATIBLE` for a base
   * page by itself, and for a page whose frames smaller ones can't name (4 MiB pages of 32-bit x86 above 4 GiB). O(entries of a
   * table).
   * @throws `VmError` for a page out of range or foreign. Nothing changed then.
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
   * const flags = table.flags({ prot: Prot.Read | Prot.Write, fields: { PAT: 1 } });
   * table.map(0x200, 0x600, flags, owed, 512);
   *
   * const entry = () => table.describe(0x20_0000).path.at(-1)?.entry;
   * [entry()?.raw, entry()?.pages]; // => [0x8000_0000_0060_10e3n, 512]
   * table.split(0x2ff, owed); // => 0
   * [entry()?.raw, entry()?.pages]; // => [0x8000_0000_0060_00e3n, 1]
   * ```
   */
  split(vpn: number, owed: Invalidations): number {
    const pfn = this.findOwnLeaf(vpn, owed);
    if (pfn < 0) return pfn;
    const { level, pages } = this.found;
    if (pages === 1) return NOT_COMPATIBLE;
    const grouped = pages > this.shape.format.levelPages[level]!;
    if (!grouped) {
      if (!this.canBePieces(level - 1, pfn - (vpn % pages) + pages)) return NOT_COMPATIBLE;
      if (!this.reservePath(level - 1, level)) return OUT_OF_FRAMES;
    }
    this.splitFound(owed);
    return 0;
  }

  /**
   * Makes one leaf of those that map a page of a larger size, if they are compatible: all there, frames that follow one
   * another from an aligned one, the same rights and attributes. It is accessed or dirty when one of them was. The table
   * that held them is given up.
   *
   * On AArch64 by break-before-make, unless the machine has FEAT_BBM level 2.
   *
   * @param vpn - The first page.
   * @param pages - The size of the leaf to make, in base pages: one of `sizes`. Its pieces are of the level below, or are
   * the entries of the group.
   * @param owed - What the change owes, and what it releases.
   * @returns 0, or `NOT_COMPATIBLE`: nothing changed. O(entries of a table).
   * @throws `VmError` for pages out of range, misaligned, foreign or of no size that there is. Nothing changed then.
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
   * const flags = table.flags({ prot: Prot.Read | Prot.Write, dirty: false });
   * table.mapRange({ vpn: 0x200, pfn: 0x600, pages: 512, flags, pageSize: 1 }, owed);
   * table.setDirty(0x234, true, owed);
   *
   * table.collapse(0x200, 512, owed); // => 0
   * const { pages, dirty } = table.describe(0x20_0000);
   * [pages, dirty]; // => [512, true]
   * owed.releasedCount; // => 1
   * ```
   */
  collapse(vpn: number, pages: number, owed: Invalidations): number {
    this.begin(owed);
    const size = this.sizeOf(pages);
    this.checkPages(vpn, pages, pages);
    this.checkOwn(vpn, pages);
    const { level } = size;
    if (this.seek(vpn, level) !== level) return NOT_COMPATIBLE;
    if (size.entries > 1) return this.collapseGroup(vpn, size, owed);
    if (!this.isPointer(this.low, this.high, level)) return NOT_COMPATIBLE;
    const table = this.tables[level]!;
    const index = this.indexes[level]!;
    const pointer = { low: this.low, high: this.high };
    const below = this.shape.format.tablePfn(pointer.low, pointer.high);
    if (this.isLent(index, level) || !this.isOwn(below, level - 1)) return NOT_COMPATIBLE;
    const count = this.shape.entries[level - 1]!;
    const pieces = this.piecesOf(below, level - 1, 0, count, pages);
    if (pieces === null || !this.narrowPieces(pieces, pointer, level)) return NOT_COMPATIBLE;
    this.change(owed, table, index, level, () => this.setLeaf(pieces, level, 0, 0));
    // A walk cache may lead hardware to the pieces until everything is invalidated, and what it marks there counts too.
    owed.addMaker({
      entrySteps: () => [],
      makeEntries: () => this.carryLateBits(owed, vpn, below, level - 1, pieces.marks),
    });
    this.oweCollapse(owed, vpn, pages, level - 1, pieces);
    this.oweIntermediate(owed, vpn, pages);
    this.uncount(below, level - 1);
    this.giveUp(owed, below, level - 1);
    return 0;
  }

  /**
   * Gives up the tables in a stretch that hold nothing. Operations of a page table leave none behind; adopted tables, and
   * guests that write their tables themselves, may.
   *
   * @param range - The stretch.
   * @param owed - What it owes, and what it releases.
   * @returns How many tables were given up. O(entries of the tables that the stretch has).
   * @throws `VmError` for a stretch out of range or foreign. Nothing changed then.
   */
  freeEmptyTables(range: PageRange, owed: Invalidations): number {
    const { pages, vpn } = checkRange(range);
    this.beginRange(vpn, pages, owed);
    const before = this.owned.size;
    this.freeEmpty(owed, this.rootPfn, this.shape.top, vpn, vpn + pages);
    return before - this.owned.size;
  }

  private freeEmpty(
    owed: Invalidations,
    table: number,
    level: number,
    from: number,
    end: number,
  ): void {
    const { format } = this.shape;
    if (level === 0) return;
    let next = from;
    for (let vpn = from; vpn < end; vpn = next) {
      next = Math.min(end, this.shape.entryStart(vpn, level) + format.levelPages[level]!);
      const index = this.shape.indexOf(vpn, level);
      this.load(table, index, level);
      if (!this.isPointer(this.low, this.high, level)) continue;
      const below = format.tablePfn(this.low, this.high);
      this.freeEmpty(owed, below, level - 1, vpn, next);
      if (this.isEmpty(below, level - 1)) this.unlink(owed, table, index, level, vpn);
    }
  }

  private collapseGroup(vpn: number, size: PageSize, owed: Invalidations): number {
    const { entries, level, pages } = size;
    const table = this.tables[level]!;
    const first = this.indexes[level]!;
    const pieces = this.piecesOf(table, level, first, entries, pages);
    if (pieces === null) return NOT_COMPATIBLE;
    const group = Math.log2(entries);
    const step = this.shape.groupStep(level, group);
    let changed = false;
    for (let member = 0; member < entries; member++) {
      this.change(owed, table, first + member, level, (low, high) => {
        // Bits that hardware sets meanwhile stay in this member: any counts for all.
        pieces.accessed ||= this.shape.bits.isAccessed(low);
        pieces.dirty ||= this.shape.bits.isDirty(low, high);
        this.setLeaf(pieces, level, member * step, group);
        changed ||= this.newLow !== low || this.newHigh !== high;
      });
    }
    if (changed) this.oweCollapse(owed, vpn, pages, level, pieces);
    return 0;
  }

  /** Takes from pieces what the pointer above them withholds; `false` when no leaf is left of them. */
  private narrowPieces(pieces: Pieces, pointer: WordMask, level: number): boolean {
    const { bits, format } = this.shape;
    const { flagsHigh, flagsLow } = pieces;
    pieces.flagsLow = bits.narrowLow(flagsLow, flagsHigh, pointer, level, true);
    pieces.flagsHigh = bits.narrowHigh(flagsLow, flagsHigh, pointer, level, true);
    const low = pieces.flagsLow | format.leafBits[level]!;
    return this.isLeaf(low, pieces.flagsHigh | format.leafBitsHigh[level]!, level);
  }

  private oweCollapse(
    owed: Invalidations,
    vpn: number,
    pages: number,
    level: number,
    pieces: Pieces,
  ): void {
    const global = this.shape.bits.isGlobal(pieces.flagsLow, pieces.flagsHigh);
    // What is cached are the pieces, which are of that level.
    this.owe(owed, vpn, pages, this.shape.format.levelPages[level]!, global ? GLOBAL : 0);
  }

  /** Leaves, for `change`, the words of the leaf that pieces make. */
  private setLeaf(pieces: Pieces, level: number, more: number, group: number): void {
    const { shape } = this;
    const { bits } = shape;
    let low = pieces.flagsLow | (pieces.accessed ? bits.accessed : 0);
    const high = bits.dirtyHigh(low, pieces.flagsHigh, pieces.dirty);
    low = bits.dirtyLow(low, pieces.flagsHigh, pieces.dirty);
    this.setNew(
      shape.leafLow(pieces.pfn + more, level, low, group),
      shape.leafHigh(pieces.pfn + more, level, high, group),
    );
  }

  /** What a run of entries has in common, or `null` when they don't make one page of that size. */
  private piecesOf(
    table: number,
    level: number,
    first: number,
    count: number,
    pages: number,
  ): Pieces | null {
    const { bits, format } = this.shape;
    let pieces: Pieces | null = null;
    for (let entry = 0; entry < count; entry++) {
      const index = first + entry;
      this.load(table, index, level);
      const { high, low } = this;
      if (!this.isLeaf(low, high, level)) return null;
      const pfn = this.shape.entryPfn(low, high, level, index);
      const [accessed, dirty] = [bits.isAccessed(low), bits.isDirty(low, high)];
      const [ownLow, ownHigh] = [
        this.shape.flagsLow(low, level),
        this.shape.flagsHigh(high, level),
      ];
      const flagsLow = bits.dirtyLow(ownLow & ~bits.accessed, ownHigh, false);
      const flagsHigh = bits.dirtyHigh(ownLow, ownHigh, false);
      if (pieces === null) {
        if (pfn % pages !== 0) return null;
        const marks = new Uint8Array(count);
        pieces = { pfn, flagsLow, flagsHigh, accessed: false, dirty: false, marks };
      }
      const follows = pfn === pieces.pfn + entry * format.levelPages[level]!;
      if (!follows || flagsLow !== pieces.flagsLow || flagsHigh !== pieces.flagsHigh) return null;
      pieces.accessed ||= accessed;
      pieces.dirty ||= dirty;
      pieces.marks[entry] = this.marksOf(low, high);
    }
    return pieces;
  }

  /**
   * Adds to the leaves that map the pages of pieces by now, in the same frames, what hardware set in the pieces after they
   * were looked at. What `marks` has of them is in the leaf already, or was taken away there since.
   */
  private carryLateBits(
    owed: Invalidations,
    vpn: number,
    below: number,
    level: number,
    marks: Uint8Array,
  ): void {
    if (this.dead) return;
    const { bits, entries, format } = this.shape;
    const pages = format.levelPages[level]!;
    for (let entry = 0; entry < entries[level]!; entry++) {
      this.read(below, entry, level);
      const { high: pieceHigh, low: pieceLow } = this;
      // Hardware marks nothing in an entry that is broken.
      if (!this.isLeaf(pieceLow, pieceHigh, level)) continue;
      const late = this.marksOf(pieceLow, pieceHigh) & ~marks[entry]!;
      if (late === 0) continue;
      const page = vpn + entry * pages;
      const reached = this.seek(page);
      const table = this.tables[reached]!;
      const index = this.indexes[reached]!;
      if (!this.isLeaf(this.low, this.high, reached) || !this.isOwn(table, reached)) continue;
      const pfn = this.shape.entryPfn(this.low, this.high, reached, index);
      const same = format.leafPfn(pieceLow, pieceHigh, level);
      if (pfn + (page % format.levelPages[reached]!) !== same) continue;
      this.change(owed, table, index, reached, (low, high) => {
        const used = (late & ACCESSED) !== 0 ? low | bits.accessed : low;
        if ((late & DIRTY) === 0) this.setNew(used, high);
        else this.setNew(bits.dirtyLow(used, high, true), bits.dirtyHigh(used, high, true));
      });
    }
  }

  private marksOf(low: number, high: number): number {
    const { bits } = this.shape;
    return (bits.isAccessed(low) ? ACCESSED : 0) | (bits.isDirty(low, high) ? DIRTY : 0);
  }

  /** Forgets the leaves of a table that is given up with them in it. */
  private uncount(table: number, level: number): void {
    for (let index = 0; index < this.shape.entries[level]!; index++) {
      this.load(table, index, level);
      this.countLeaf(this.low, this.high, level, -1);
    }
  }
}
