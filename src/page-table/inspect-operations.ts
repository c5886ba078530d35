import {
  type Address,
  addressFromVpn,
  checkBits,
  type Plain,
  plain,
  VmError,
} from '../core/index.js';
import type { DecodedEntry } from '../pte/index.js';
import { type CursorOptions, EntryCursor, TableCursor } from './cursor.js';
import { FastOperations } from './fast-operations.js';
import type { ForeignKind, ForeignRange } from './foreign-ranges.js';

/**
 * How many tables and pages there are, and what they cost.
 *
 * @public
 */
export interface PageTableStatistics {
  /** The tag. */
  readonly type: 'page-table-statistics';
  /** Tables by level, those of other page tables not counted. */
  readonly tables: readonly number[];
  /** Leaves by size, smallest first, every size that there may be; those on loan not counted. */
  readonly leaves: readonly {
    /** Base pages in each. */
    readonly pages: number;
    /** How many. */
    readonly count: number;
  }[];
  /** Bytes that the tables take. */
  readonly tableBytes: number;
  /** Bytes that the leaves map. */
  readonly mappedBytes: number;
  /** Bytes of tables for each byte mapped; 0 when nothing is. */
  readonly overhead: number;
}

/**
 * An entry on the way to a page.
 *
 * @public
 */
export interface DescribedEntry {
  /** Its table's frame. */
  readonly table: number;
  /** Its number there. */
  readonly index: number;
  /** What it says. */
  readonly entry: DecodedEntry;
}

/**
 * What a page table says about an address.
 *
 * @public
 */
export interface PageDescription {
  /** The tag: a leaf maps it, a software entry stands for it, or nothing. */
  readonly kind: 'leaf' | 'software' | 'not-mapped';
  /** The address. */
  readonly va: bigint;
  /** The physical address, or `null`. */
  readonly pa: bigint | null;
  /** The leaf's first page, in base pages; for the other kinds that of the last entry on the way. */
  readonly vpn: number;
  /** Base pages of the leaf, or of that entry. */
  readonly pages: number;
  /** The leaf's rights by itself, as `Prot` bits. */
  readonly prot: number;
  /** Whether it was used. */
  readonly accessed: boolean;
  /** Whether it was written. */
  readonly dirty: boolean;
  /** Whether it is in every address space. */
  readonly global: boolean;
  /** Whether it is another page table's, and why. */
  readonly foreign: ForeignKind | null;
  /** The entries from the root down; the last one decides. One that waits for `Invalidations.complete` is as it will be. */
  readonly path: readonly DescribedEntry[];
}

/** What a page table tells about itself. */
export abstract class InspectOperations extends FastOperations {
  /** Whether `destroy` was called. */
  get isDestroyed(): boolean {
    return this.dead;
  }

  /** The stretches that are not this table's own, by address. */
  get foreignRanges(): readonly ForeignRange[] {
    return this.foreign.all;
  }

  /**
   * All leaves and software entries, in the order of their addresses. Changes meanwhile do no harm.
   *
   * @param options - Where to begin and end.
   * @returns A cursor: iterate it for objects, or `advance()` it in a hot loop. Empty entries cost a nanosecond each, so
   * that it takes time in proportion to the tables that there are, however sparse the space.
   * @throws `VmError` for options that are none.
   *
   * @example
   * ```ts
   * import { Prot } from 'pagewright/core';
   * import { FramePool, PhysicalMemory } from 'pagewright/memory';
   * import { Invalidations, PageTable } from 'pagewright/page-table';
   * import { sv57 } from 'pagewright/pte';
   *
   * const memory = PhysicalMemory.allocate(16 * 4096, { base: 0 });
   * const frames = new FramePool({ first: 0, frames: 16 });
   * const owed = new Invalidations({ frames });
   * const table = new PageTable({ format: sv57, memory, frames });
   * const flags = table.flags({ prot: Prot.Read | Prot.Write });
   * for (const vpn of [2 ** 52 - 1, 0x10, 0x11]) table.map(vpn, vpn & 0xff, flags, owed);
   *
   * [...table.entries()].map((page) => [page.vpn, page.pfn]); // => [[0x10, 0x10], [0x11, 0x11], [2 ** 52 - 1, 0xff]]
   * const cursor = table.entries({ from: 0x11 });
   * let pages = 0;
   * while (cursor.advance()) pages += cursor.pages;
   * pages; // => 2
   * ```
   */
  entries(options: CursorOptions = {}): EntryCursor {
    this.checkAlive();
    return new EntryCursor(this, options);
  }

  /**
   * All tables, in the order of their addresses, each before those below it.
   *
   * @param options - Where to begin and end.
   * @returns A cursor, as of `entries`.
   * @throws `VmError` for options that are none.
   */
  tablePages(options: CursorOptions = {}): TableCursor {
    this.checkAlive();
    return new TableCursor(this, options);
  }

  /**
   * How many tables and pages there are. O(levels): everything is counted as it changes.
   *
   * @returns Plain data.
   */
  statistics(): Plain<PageTableStatistics> {
    const { format, orders, sizes } = this.shape;
    const bytes = 2 ** format.pageShift;
    const leaves = sizes.map(({ entries, pages }, size) => ({
      pages,
      count: Math.floor(this.leafEntries[size]! / entries),
    }));
    const tables = [...this.tableCounts];
    const tableBytes = tables.reduce(
      (sum, count, level) => sum + count * bytes * 2 ** orders[level]!,
      0,
    );
    const mappedBytes = leaves.reduce((sum, { count, pages }) => sum + count * pages * bytes, 0);
    return plain<PageTableStatistics>({
      type: 'page-table-statistics',
      tables,
      leaves,
      tableBytes,
      mappedBytes,
      overhead: mappedBytes === 0 ? 0 : tableBytes / mappedBytes,
    });
  }

  /**
   * Everything that this page table says about an address. Rights are the leaf's: what hardware makes of all entries
   * together, a walker tells.
   *
   * @param va - The virtual address.
   * @returns Plain data. O(levels).
   * @throws `VmError` for an address that the format does not have.
   *
   * @example
   * ```ts
   * import { formatProt, Prot } from 'pagewright/core';
   * import { FramePool, PhysicalMemory } from 'pagewright/memory';
   * import { Invalidations, PageTable } from 'pagewright/page-table';
   * import { sv39 } from 'pagewright/pte';
   *
   * const memory = PhysicalMemory.allocate(16 * 4096, { base: 0 });
   * const frames = new FramePool({ first: 0, frames: 16 });
   * const owed = new Invalidations({ frames });
   * const table = new PageTable({ format: sv39, memory, frames });
   * table.map(0x200, 0x600, table.flags({ prot: Prot.Read | Prot.Write }), owed, 512);
   *
   * const { kind, pa, pages, path, prot } = table.describe(0x20_1abcn);
   * [kind, pa, pages, formatProt(prot)]; // => ['leaf', 0x60_1abcn, 512, 'rw--']
   * path.map(({ index, entry }) => [entry.level, index, entry.kind, entry.raw]);
   * // => [[2, 0, 'pointer', 0x401n], [1, 1, 'leaf', 0x18_00c7n]]
   * ```
   */
  describe(va: Address): Plain<PageDescription> {
    this.checkAlive();
    this.refreshWindow();
    const { bits, format } = this.shape;
    const pattern = checkBits('va', va);
    const page = 1n << BigInt(format.pageShift);
    const vpn = Number(pattern / page);
    const pfn = this.findLeaf(vpn);
    const { found } = this;
    const { high, low } = found;
    const leaf = pfn >= 0;
    return plain<PageDescription>({
      kind: leaf ? 'leaf' : (low | high) === 0 ? 'not-mapped' : 'software',
      va: pattern,
      pa: leaf ? addressFromVpn(pfn, Number(pattern % page), format.pageShift) : null,
      vpn: found.vpn,
      pages: found.pages,
      prot: leaf ? bits.protOf(low, high) : 0,
      accessed: leaf && this.someFound((word) => bits.isAccessed(word)),
      dirty: leaf && this.someFound((word, upper) => bits.isDirty(word, upper)),
      global: leaf && bits.isGlobal(low, high),
      foreign: this.foreignKind(vpn),
      path: this.describePath(found.level),
    });
  }

  private describePath(last: number): readonly DescribedEntry[] {
    const path: DescribedEntry[] = [];
    for (let level = this.shape.top; level >= last; level--) {
      const table = this.tables[level]!;
      const index = this.indexes[level]!;
      this.load(table, index, level);
      path.push({
        table,
        index,
        entry: this.shape.format.decode(this.rawOf(this.low, this.high), level),
      });
    }
    return path;
  }

  // What cursors ask, about the entry that `findUsed` loaded.

  /** @internal */
  get topLevel(): number {
    return this.shape.top;
  }

  /** @internal */
  get entryLow(): number {
    return this.low;
  }

  /** @internal */
  get entryHigh(): number {
    return this.high;
  }

  /** @internal */
  pagesAt(level: number): number {
    return this.shape.format.levelPages[level]!;
  }

  /** Where to begin in a table so that nothing before a page is seen. @internal */
  firstIndex(start: number, level: number, position: number): number {
    const { end, entries, highStart, top } = this.shape;
    if (level < top) {
      return position > start ? Math.floor((position - start) / this.pagesAt(level)) : 0;
    }
    if (position >= end) return entries[top]!;
    return this.shape.indexOf(this.shape.isPage(position) ? position : highStart, top);
  }

  /** Whether the entry points at a table. @internal */
  isTable(level: number): boolean {
    return this.isPointer(this.low, this.high, level);
  }

  /** The table that it points at. @internal */
  tableBelow(): number {
    return this.shape.format.tablePfn(this.low, this.high);
  }

  /** Whether a cursor goes there. @internal */
  isFollowed(vpn: number, level: number, shared: boolean): boolean {
    const range = this.foreignIn(vpn, this.pagesAt(level));
    if (range === null || range.level < level) return this.isOwn(this.tableBelow(), level - 1);
    return range.kind === 'shared' && shared;
  }

  /** Base pages of the leaf, or of the entry. @internal */
  entryPages(table: number, index: number, level: number): number {
    if (!this.isLeaf(this.low, this.high, level)) return this.pagesAt(level);
    return this.pagesAt(level) * 2 ** this.groupAt(table, index, level);
  }

  /** The first frame of the leaf, or -1. @internal */
  entryFrame(level: number, index: number, pages: number): number {
    if (!this.isLeaf(this.low, this.high, level)) return -1;
    const own = this.pagesAt(level);
    return this.shape.entryPfn(this.low, this.high, level, index) - (index % (pages / own)) * own;
  }

  /** @internal */
  protOf(low: number, high: number): number {
    return this.shape.bits.protOf(low, high);
  }

  /** @internal */
  foreignKind(vpn: number): ForeignKind | null {
    return this.foreignIn(vpn, 1)?.kind ?? null;
  }

  /** Refuses what is broken. */
  protected broken(argument: string, value: unknown, expected: string): VmError {
    return new VmError('bad-image', { argument, value, expected });
  }
}
