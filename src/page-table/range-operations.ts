import { checkBoolean, checkOptions, type OptionNames, VmError } from '../core/index.js';
import { checkProt } from '../pte/index.js';
import { cleared, clearRun, editRun, replaced, replaceRun } from './flat-runs.js';
import { GLOBAL, type Invalidations } from './invalidations.js';
import { OUT_OF_FRAMES } from './outcome.js';
import { RangeMapping } from './range-mapping.js';

/**
 * A stretch of pages.
 *
 * @public
 */
export interface PageRange {
  /** The first page, in the format's base pages. */
  readonly vpn: number;
  /** Base pages. It may not reach from one half of the address space into the other. */
  readonly pages: number;
}

/**
 * What `PageTable.unmapRange` takes away.
 *
 * @public
 */
export interface UnmapRange extends PageRange {
  /**
   * Whether the frames that were mapped go back to the source too, when the invalidation is complete; those of a large
   * page as one block. @defaultValue false
   */
  readonly release?: boolean;
}

/**
 * What `PageTable.protectRange` changes.
 *
 * @public
 */
export interface ProtectRange extends PageRange {
  /** The rights, as `Prot` bits. */
  readonly prot: number;
}

const UNMAP: OptionNames<UnmapRange> = { vpn: true, pages: true, release: true };
const PROTECT: OptionNames<ProtectRange> = { vpn: true, pages: true, prot: true };

/** Checks that there is a stretch at all; its numbers are checked where they are used. */
export function checkRange(range: PageRange): PageRange {
  if (typeof range === 'object' && range !== null) return range;
  throw new VmError('bad-argument', { argument: 'range', value: range, expected: 'an object' });
}

/** What is unmapped: how far, and what becomes of the frames. */
export interface Zap {
  readonly owed: Invalidations;
  readonly end: number;
  readonly release: boolean;
}

/** How rights change: how far, and the words' bits for the loops over flat RAM. */
interface Reprotect {
  readonly owed: Invalidations;
  readonly end: number;
  readonly prot: number;
}

/** Operations on stretches of pages. */
export abstract class RangeOperations extends RangeMapping {
  /**
   * Unmaps a stretch, and forgets the software entries in it. Large pages that reach out of it are split first, which may
   * need tables; tables that become empty are given up.
   *
   * @param range - The stretch; holes do no harm.
   * @param owed - What the change owes, and what it releases.
   * @returns The base pages that were unmapped, or `OUT_OF_FRAMES`. O(tables and entries that the stretch has).
   * @throws `VmError` for a stretch out of range or foreign, `misaligned` for one that ends within a page that can't be
   * split (see `split`). Nothing changed then.
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
   * table.map(0x200, 0x600, table.flags({ prot: Prot.Read | Prot.Write }), owed, 512);
   *
   * table.unmapRange({ vpn: 0x210, pages: 0x1f0 }, owed); // => 0x1f0
   * [...table.entries()].length; // => 16
   * table.unmapRange({ vpn: 0, pages: 2 ** 35 }, owed); // => 16
   * owed.complete();
   * frames.free; // => 15
   * ```
   */
  unmapRange(range: UnmapRange, owed: Invalidations): number {
    checkOptions('', range, UNMAP);
    const { pages, release = false, vpn } = range;
    checkBoolean('release', release);
    this.beginRange(vpn, pages, owed);
    if (!this.splitEdges(owed, vpn, pages)) return OUT_OF_FRAMES;
    const zap = { owed, end: vpn + pages, release };
    return this.zap(zap, this.rootPfn, this.shape.top, vpn, zap.end);
  }

  /**
   * Changes the rights of all pages that a stretch maps; what is accessed or dirty stays so. Large pages that reach out of
   * it are split first, which may need tables.
   *
   * @param range - The stretch and the rights; holes do no harm.
   * @param owed - What the change owes: nothing for leaves that had these rights already.
   * @returns 0, or `OUT_OF_FRAMES`. O(tables and entries that the stretch has).
   * @throws `VmError` for a stretch out of range or foreign, or rights that are none; `misaligned` for a stretch that ends
   * within a page that can't be split (see `split`). Nothing changed then.
   */
  protectRange(range: ProtectRange, owed: Invalidations): number {
    checkOptions('', range, PROTECT);
    const { pages, vpn } = range;
    const prot = this.shape.bits.granted(checkProt(range.prot));
    this.beginRange(vpn, pages, owed);
    if (!this.splitEdges(owed, vpn, pages)) return OUT_OF_FRAMES;
    const job = { owed, end: vpn + pages, prot };
    this.reprotectTable(job, this.rootPfn, this.shape.top, vpn, job.end);
    return 0;
  }

  protected beginRange(vpn: number, pages: number, owed: Invalidations): void {
    this.begin(owed);
    this.checkPages(vpn, pages);
    this.checkOwn(vpn, pages);
  }

  /** Unmaps [from, end) under a table; returns the base pages that were. */
  private zap(job: Zap, table: number, level: number, from: number, end: number): number {
    const { format } = this.shape;
    const flat = level === 0 && !job.release && this.shape.lowTells;
    const base = flat ? this.tableBase(table, 0) : -1;
    if (base >= 0) return this.clearFlat(job.owed, base, from, end);
    const pages = format.levelPages[level]!;
    let unmapped = 0;
    let released = from;
    let next = from;
    for (let vpn = from; vpn < end; vpn = next) {
      next = Math.min(end, this.shape.entryStart(vpn, level) + pages);
      const index = this.shape.indexOf(vpn, level);
      this.load(table, index, level);
      if ((this.low | this.high) === 0) continue;
      if (!this.isPointer(this.low, this.high, level)) {
        // Of a group with the first entry, while all of them are there.
        if (job.release && vpn >= released) {
          released = vpn + this.releaseLeaf(job.owed, table, index, level);
        }
        unmapped += this.clearEntry(job.owed, table, index, level, vpn);
        continue;
      }
      const below = format.tablePfn(this.low, this.high);
      unmapped += this.zap(job, below, level - 1, vpn, next);
      if (this.isEmpty(below, level - 1)) this.unlink(job.owed, table, index, level, vpn);
    }
    return unmapped;
  }

  private clearFlat(owed: Invalidations, base: number, from: number, end: number): number {
    const { wide, words } = this;
    const start = base + (this.shape.indexOf(from, 0) << wide);
    clearRun(words, start, start + ((end - from) << wide), wide, this.shape);
    const { grouped, present } = cleared;
    if (present === 0) return 0;
    this.countBasePages(present - grouped, grouped, -1);
    // One global page among them is enough to say so.
    this.owe(owed, from, end - from, 1, this.shape.someGlobal(cleared.bits) ? GLOBAL : 0);
    return present;
  }

  /** Counts entries of base pages and of their groups at once. */
  protected countBasePages(single: number, grouped: number, sign: 1 | -1): void {
    this.leafEntries[0]! += sign * single;
    if (grouped === 0) return;
    const size = this.shape.sizes.findIndex(({ entries, level }) => level === 0 && entries > 1);
    this.leafEntries[size < 0 ? this.shape.sizes.length : size]! += sign * grouped;
  }

  /** Clears an entry that is a leaf or software's; returns the base pages that it mapped. */
  private clearEntry(
    owed: Invalidations,
    table: number,
    index: number,
    level: number,
    vpn: number,
  ): number {
    const { bits, format } = this.shape;
    let oldLow = 0;
    let oldHigh = 0;
    this.change(owed, table, index, level, (low, high) => {
      oldLow = low;
      oldHigh = high;
      this.setNew(0, 0);
    });
    if (!this.isLeaf(oldLow, oldHigh, level)) return 0;
    const pages = format.levelPages[level]!;
    this.owe(owed, vpn, pages, pages, bits.isGlobal(oldLow, oldHigh) ? GLOBAL : 0);
    return pages;
  }

  /**
   * Releases the frames of the entry that was loaded, if it is a leaf: those of a group once, with its first entry.
   *
   * @returns The base pages that they were.
   */
  protected releaseLeaf(owed: Invalidations, table: number, index: number, level: number): number {
    const { shape } = this;
    if (!this.isLeaf(this.low, this.high, level)) return 0;
    const group = this.groupAt(table, index, level);
    if (index % 2 ** group !== 0) return 0;
    const pages = shape.format.levelPages[level]! * 2 ** group;
    owed.release(shape.entryPfn(this.low, this.high, level, index), Math.log2(pages));
    return pages;
  }

  private reprotectTable(
    job: Reprotect,
    table: number,
    level: number,
    from: number,
    end: number,
  ): void {
    const { bits, format } = this.shape;
    const flat = level === 0 && this.shape.lowTells && (bits.plain || this.wide === 1);
    const base = flat ? this.tableBase(table, 0) : -1;
    if (base >= 0) {
      this.reprotectFlat(job, base, from, end);
      return;
    }
    const pages = format.levelPages[level]!;
    let next = from;
    for (let vpn = from; vpn < end; vpn = next) {
      next = Math.min(end, this.shape.entryStart(vpn, level) + pages);
      const index = this.shape.indexOf(vpn, level);
      this.load(table, index, level);
      const { high, low } = this;
      if (this.isPointer(low, high, level)) {
        this.widenEntry(job.owed, table, index, level, vpn, job.prot);
        this.reprotectTable(job, format.tablePfn(low, high), level - 1, vpn, next);
      } else if (this.isLeaf(low, high, level)) {
        this.reprotectEntry(job, table, index, level, vpn);
      }
    }
  }

  private reprotectEntry(
    job: Reprotect,
    table: number,
    index: number,
    level: number,
    vpn: number,
  ): void {
    let changed = false;
    let global = false;
    this.change(job.owed, table, index, level, (low, high) => {
      this.reprotect(low, high, job.prot);
      global = this.shape.bits.isGlobal(low, high);
      changed = this.newLow !== low || this.newHigh !== high;
    });
    const pages = this.shape.format.levelPages[level]!;
    if (changed) this.owe(job.owed, vpn, pages, pages, global ? GLOBAL : 0);
  }

  private reprotectFlat(job: Reprotect, base: number, from: number, end: number): void {
    const { prot } = job;
    const { bits, globalFlip, presentLow, requiredLow } = this.shape;
    const { wide, words } = this;
    const start = base + (this.shape.indexOf(from, 0) << wide);
    const stop = start + ((end - from) << wide);
    if (bits.plain) {
      const { protHigh, protLow, rightsHigh, rightsLow } = bits;
      const [low, high] = [protLow[prot]!, protHigh[prot]!];
      const [any, all] = [presentLow, requiredLow];
      replaceRun(words, start, stop, wide, any, all, rightsLow, low, rightsHigh, high, globalFlip);
    } else {
      const editLow = (low: number, high: number): number => bits.protectLow(low, high, prot);
      const editHigh = (low: number, high: number): number => bits.protectHigh(low, high, prot);
      editRun(words, start, stop, presentLow, requiredLow, editLow, editHigh, globalFlip);
    }
    if (replaced.changed === 0) return;
    const global = this.shape.someGlobal(replaced.bits);
    this.owe(job.owed, from, end - from, 1, global ? GLOBAL : 0);
  }
}
