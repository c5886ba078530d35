import {
  checkBoolean,
  checkInteger,
  checkOptions,
  type OptionNames,
  type Plain,
  plain,
} from '../core/index.js';
import type { ForeignKind } from './foreign-ranges.js';
import type { InspectOperations } from './inspect-operations.js';

/**
 * Which part of a page table to go through.
 *
 * @public
 */
export interface CursorOptions {
  /** The first page. If a leaf reaches over it, the cursor begins with that leaf. @defaultValue 0 */
  readonly from?: number;
  /** The end, exclusive. @defaultValue the end of the address space */
  readonly end?: number;
  /** Whether tables on loan from another page table are gone through too. @defaultValue true */
  readonly shared?: boolean;
}

const OPTIONS: OptionNames<CursorOptions> = { from: true, end: true, shared: true };

/** More than any address space has. */
const NEVER = 2 ** 53;

/**
 * Goes through a page table in the order of addresses, whatever is changed meanwhile: what was passed is not seen again
 * (but for a larger leaf that takes its place and reaches further), and what lies ahead is seen as it is when the cursor
 * gets there. Recursive entries, and adopted ones that lead nowhere
 * sound, are not followed.
 *
 * @public
 */
export abstract class TreeCursor {
  /** The level of the entry or table. */
  level = 0;
  protected readonly tree: InspectOperations;
  /** Nothing before it is seen any more. */
  protected position: number;
  private readonly end: number;
  private readonly shared: boolean;
  private version: number;
  /** By level, of the tables on the path: frame, first page (of the root: -1), the entry to look at next. */
  private readonly tables: Float64Array = new Float64Array(6);
  private readonly starts: Float64Array = new Float64Array(6);
  private readonly next: Float64Array = new Float64Array(6);
  private depth: number;

  /** @internal */
  constructor(tree: InspectOperations, options: CursorOptions) {
    checkOptions('', options, OPTIONS);
    this.tree = tree;
    this.position = checkInteger('from', options.from ?? 0, 0, NEVER);
    this.end = checkInteger('end', options.end ?? NEVER, 0, NEVER);
    this.shared = checkBoolean('shared', options.shared ?? true);
    this.version = -1;
    this.depth = 0;
  }

  /** The first page of what the cursor is at. */
  abstract readonly vpn: number;

  /** Whether what the cursor is at belongs to another page table. */
  get foreign(): ForeignKind | null {
    return this.tree.foreignKind(this.vpn);
  }

  /** Goes on to the next entry that is not 0, down into tables; `false` at the end. */
  protected step(): boolean {
    const { tree } = this;
    if (this.version !== tree.structureVersion) this.restart();
    for (;;) {
      const level = this.depth;
      if (level > tree.topLevel) return false;
      const table = this.tables[level]!;
      const index = tree.findUsed(table, level, this.next[level]!);
      if (index < 0) {
        this.depth++;
        continue;
      }
      this.next[level] = index + 1;
      const vpn = tree.entryPage(this.starts[level]!, index, level);
      if (vpn >= this.end) {
        this.depth = tree.topLevel + 1;
        return false;
      }
      this.level = level;
      if (!tree.isTable(level)) {
        if (this.meetEntry(vpn, table, index)) return true;
        continue;
      }
      if (!tree.isFollowed(vpn, level, this.shared)) continue;
      const below = tree.tableBelow();
      this.enter(below, level - 1, vpn);
      if (this.meetTable(vpn, below)) return true;
    }
  }

  /** An entry that is no pointer; `true` to stop at it. */
  protected abstract meetEntry(vpn: number, table: number, index: number): boolean;
  /** A table that was entered; `true` to stop at it. */
  protected abstract meetTable(vpn: number, table: number): boolean;

  /** Skips the entries of the current table before an index. */
  protected skipTo(level: number, index: number): void {
    this.next[level] = index;
  }

  /** Finds the position anew, from the root. */
  private restart(): void {
    const { tree } = this;
    this.version = tree.structureVersion;
    this.depth = tree.topLevel + 1;
    if (tree.isDestroyed) return;
    this.enter(tree.root, tree.topLevel, -1);
  }

  private enter(table: number, level: number, start: number): void {
    this.tables[level] = table;
    this.starts[level] = start;
    this.next[level] = this.tree.firstIndex(start, level, this.position);
    this.depth = level;
  }
}

/**
 * A leaf or software entry, as plain data.
 *
 * @public
 */
export interface PageEntry {
  /** The tag: a leaf, or an entry that is not present and not 0. */
  readonly kind: 'leaf' | 'software';
  /** The first page. */
  readonly vpn: number;
  /** The first frame of a leaf; -1 of a software entry. */
  readonly pfn: number;
  /** Base pages. */
  readonly pages: number;
  /** The level of the entry. */
  readonly level: number;
  /** The rights of the leaf by itself, as `Prot` bits. */
  readonly prot: number;
  /** The entry. */
  readonly raw: bigint;
}

/**
 * Goes through the leaves and software entries of a page table, once: hot by `while (cursor.advance())` and the fields,
 * which allocates nothing; friendly by `for (const entry of cursor)`.
 *
 * @example
 * ```ts
 * import { Prot } from 'pagewright/core';
 * import { FramePool, PhysicalMemory } from 'pagewright/memory';
 * import { Invalidations, PageTable } from 'pagewright/page-table';
 * import { sv39 } from 'pagewright/pte';
 *
 * const memory = PhysicalMemory.allocate(16 * 4096, { base: 0 });
 * const frames = new FramePool({ first: 0, frames: 16 });
 * const owed = new Invalidations({ frames });
 * const table = new PageTable({ format: sv39, memory, frames });
 * table.mapRange({ vpn: 0x13, pfn: 0x80, pages: 5, flags: table.flags({ prot: Prot.Read }) }, owed);
 *
 * // What is behind the cursor may go, also with its table.
 * const seen: number[] = [];
 * for (const cursor = table.entries(); cursor.advance(); ) {
 *   seen.push(cursor.vpn);
 *   table.unmap(cursor.vpn, owed);
 * }
 * seen; // => [0x13, 0x14, 0x15, 0x16, 0x17]
 * table.statistics().tables; // => [0, 0, 1]
 * ```
 * @public
 */
export class EntryCursor extends TreeCursor {
  /** The first page. */
  override vpn = 0;
  /** The first frame of a leaf; -1 of a software entry. */
  pfn = -1;
  /** Base pages, of a group all of them. */
  pages = 1;
  /** Bits 31:0 of the entry. */
  low = 0;
  /** Bits 63:32. */
  high = 0;

  /**
   * Moves to the next one.
   *
   * @returns `false` at the end. O(1) in full tables.
   */
  advance(): boolean {
    return this.step();
  }

  /** The current one as an object. */
  entry(): Plain<PageEntry> {
    const { high, level, low, pages, pfn, tree, vpn } = this;
    return plain<PageEntry>({
      kind: pfn < 0 ? 'software' : 'leaf',
      vpn,
      pfn,
      pages,
      level,
      prot: pfn < 0 ? 0 : tree.protOf(low, high),
      raw: tree.rawOf(low, high),
    });
  }

  /** The remaining ones as objects. */
  *[Symbol.iterator](): Generator<Plain<PageEntry>, void, undefined> {
    while (this.advance()) yield this.entry();
  }

  protected meetEntry(vpn: number, table: number, index: number): boolean {
    const { level, tree } = this;
    this.low = tree.entryLow;
    this.high = tree.entryHigh;
    this.pages = tree.entryPages(table, index, level);
    this.vpn = vpn - (vpn % this.pages);
    this.pfn = tree.entryFrame(level, index, this.pages);
    this.position = this.vpn + this.pages;
    const own = tree.pagesAt(level);
    if (this.pages > own) this.skipTo(level, index + 1 + (this.position - vpn - own) / own);
    return true;
  }

  protected meetTable(): boolean {
    return false;
  }
}

/**
 * A table, as plain data.
 *
 * @public
 */
export interface TablePage {
  /** The tag. */
  readonly kind: 'table';
  /** Its frame, the first of several where a table takes them. */
  readonly pfn: number;
  /** Its level. */
  readonly level: number;
  /** The first page below it. */
  readonly vpn: number;
}

/**
 * Goes through the tables of a page table, each before those below it; otherwise as {@link EntryCursor}.
 *
 * @example
 * ```ts
 * import { Prot } from 'pagewright/core';
 * import { FramePool, PhysicalMemory } from 'pagewright/memory';
 * import { Invalidations, PageTable } from 'pagewright/page-table';
 * import { sv39 } from 'pagewright/pte';
 *
 * const memory = PhysicalMemory.allocate(16 * 4096, { base: 0 });
 * const frames = new FramePool({ first: 0, frames: 16 });
 * const owed = new Invalidations({ frames });
 * const table = new PageTable({ format: sv39, memory, frames });
 * table.map(0x10, 0x99, table.flags({ prot: Prot.Read }), owed);
 *
 * const levels: number[] = [];
 * for (const cursor = table.tablePages(); cursor.advance(); ) levels.push(cursor.level);
 * levels; // => [2, 1, 0]
 * ```
 * @public
 */
export class TableCursor extends TreeCursor {
  /** The table's frame. */
  pfn = 0;
  /** The first page below it. */
  override vpn = 0;
  private begun = false;
  private lastVpn = -1;
  private lastLevel = -1;

  /**
   * Moves to the next one.
   *
   * @returns `false` at the end.
   */
  advance(): boolean {
    if (!this.begun) {
      this.begun = true;
      if (this.tree.isDestroyed) return false;
      this.pfn = this.tree.root;
      this.level = this.tree.topLevel;
      this.vpn = this.tree.entryPage(-1, 0, this.level);
      return true;
    }
    return this.step();
  }

  /** The current one as an object. */
  table(): Plain<TablePage> {
    const { level, pfn, vpn } = this;
    return plain<TablePage>({ kind: 'table', pfn, level, vpn });
  }

  /** The remaining ones as objects. */
  *[Symbol.iterator](): Generator<Plain<TablePage>, void, undefined> {
    while (this.advance()) yield this.table();
  }

  protected meetEntry(): boolean {
    return false;
  }

  protected meetTable(vpn: number, table: number): boolean {
    const level = this.level - 1;
    // Pages have no tables below them.
    if (level === 0) this.skipTo(0, NEVER);
    // After a restart the tables above the position are entered again.
    if (vpn < this.lastVpn || (vpn === this.lastVpn && level >= this.lastLevel)) return false;
    this.level = level;
    this.pfn = table;
    this.vpn = vpn;
    this.lastVpn = vpn;
    this.lastLevel = level;
    this.position = Math.max(this.position, vpn);
    return true;
  }
}
