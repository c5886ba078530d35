import { VmError } from '../core/index.js';
import type { FrameSource } from '../memory/index.js';
import { EntryTree, type TreeOptions } from './entry-tree.js';
import { findUsed } from './flat-runs.js';
import type { Invalidations } from './invalidations.js';

/** In `owned`: the level of the table. */
export const LEVEL = 15;
/** In `owned`, beside the level: the frame is not ours to release. */
export const NOT_RELEASED = 16;
/** In `owned`, beside the level: the entries were found there, and need not be as we write them. */
export const AS_FOUND = 32;

/** The tables of a tree: which frames they are, where they come from, how they are linked and given up. */
export abstract class TableTree extends EntryTree {
  /** Where table pages come from, and go back to. */
  readonly frames: FrameSource;
  /** Counts changes of structure. */
  protected version = 0;
  /** Every table by frame, with its level. */
  protected readonly owned: Map<number, number> = new Map();
  /** Entries of the root that other page tables have copies of, with how many have one: they may not change. */
  protected readonly lent: Map<number, number> = new Map();
  /** Whether tables were adopted, so that others may write them. */
  protected hasFoundTables = false;
  /** The further frames of tables that take several. */
  private readonly tails: Set<number> = new Set();
  /** The frames that an operation has taken so far. */
  private readonly claimed: Set<number> = new Set();
  /** The tree that this one becomes a copy of, meanwhile. */
  protected original: TableTree | null = null;
  /** Tables by level. */
  protected readonly tableCounts: Float64Array;
  /** How many tables an operation needs, by level: for `reserveTables`. */
  protected readonly needed: Float64Array;
  /** Tables that were taken from the source for an operation, by level; how many, and how many of them are in use. */
  private readonly reserve: number[][];
  private readonly reserved: Int32Array;
  private readonly reserveUsed: Int32Array;

  protected constructor(options: TreeOptions) {
    const { frames, shape } = options;
    super(options);
    if (typeof frames?.allocateFrame !== 'function' || typeof frames.releaseFrame !== 'function') {
      const expected = 'a FrameSource';
      throw new VmError('bad-argument', { argument: 'frames', value: frames, expected });
    }
    const needsBlocks = shape.orders.some((order) => order > 0);
    if (needsBlocks && (frames.allocateBlock === undefined || frames.releaseBlock === undefined)) {
      const expected = `a FrameSource with blocks, for the tables of ${shape.format.name}`;
      throw new VmError('unsupported', { argument: 'frames', value: frames, expected });
    }
    this.frames = frames;
    const levels = shape.top + 1;
    this.tableCounts = new Float64Array(levels);
    this.reserve = Array.from({ length: levels }, () => []);
    this.needed = new Float64Array(levels);
    this.reserved = new Int32Array(levels);
    this.reserveUsed = new Int32Array(levels);
  }

  /**
   * Takes tables from the source, cleared, as many of each level as `counts` says. Those of level 0 in flat RAM may have
   * `dirty` entries still, for whoever writes them whole.
   *
   * @returns `false` when there are not so many; the source is then as it was.
   * @throws `VmError` when the source hands out what can't be a table; the same holds then.
   */
  protected reserveTables(counts: ArrayLike<number>, dirty = false): boolean {
    let complete = false;
    try {
      complete = this.reserveAll(counts, dirty);
    } finally {
      // Also when the source throws, or hands out what can't be a table.
      if (!complete) this.returnReserve();
      this.claimed.clear();
    }
    return complete;
  }

  private reserveAll(counts: ArrayLike<number>, dirty: boolean): boolean {
    for (let level = 0; level < counts.length; level++) {
      const leaves = dirty && level === 0;
      for (let count = counts[level]!; count > 0; count--) {
        const table = this.allocate(level);
        if (table < 0) return false;
        if (!this.isSuitable(table, level)) {
          if (this.isFreeFrame(table, level)) this.free(table, level);
          throw this.unsuitable(table);
        }
        this.reserve[level]![this.reserved[level]!++] = table;
        this.claimed.add(table);
        if (leaves && this.tableBase(table, level) >= 0) continue;
        if (!this.clearTable(table, level)) throw this.noMemory(table);
      }
    }
    return true;
  }

  /** The same for one table of each level in [from, end). */
  protected reservePath(from: number, end: number): boolean {
    this.needed.fill(0).fill(1, from, end);
    return this.reserveTables(this.needed);
  }

  /** A frame for a root, cleared, that is nobody's table yet; -1 without frames. */
  protected reserveRoot(): number {
    const { top } = this.shape;
    if (!this.reservePath(top, top + 1)) return -1;
    this.reserved[top] = 0;
    return this.reserve[top]![0]!;
  }

  /** A reserved table, which from now on is one of this tree. */
  protected takeTable(level: number): number {
    const table = this.reserve[level]![this.reserveUsed[level]!++]!;
    this.own(table, level);
    if (this.reserveUsed[level] === this.reserved[level]) {
      this.reserved[level] = 0;
      this.reserveUsed[level] = 0;
    }
    this.tell({ type: 'table-allocate', level, tablePfn: table });
    return table;
  }

  /** A table that is filled from another one, whose entries were found somewhere, has such entries itself. */
  protected inherit(table: number, flags: number): void {
    this.owned.set(table, (this.owned.get(table)! & ~AS_FOUND) | (flags & AS_FOUND));
  }

  /** Notes that a frame is a table of this tree. */
  protected own(table: number, level: number, flags = 0): void {
    this.owned.set(table, level | flags);
    for (let more = 1; more < this.shape.tablePages[level]!; more++) this.tails.add(table + more);
    this.tableCounts[level]!++;
    this.version++;
  }

  /**
   * Makes reserved tables the path from the entry of level `from` that the last `seek` found empty down to level `to`;
   * nothing points at the first of them until `link`.
   */
  protected extend(owed: Invalidations, vpn: number, from: number, to: number): void {
    for (let level = to; level < from; level++) {
      const table = this.takeTable(level);
      const index = this.shape.indexOf(vpn, level);
      this.tables[level] = table;
      this.indexes[level] = index;
      if (level > to) this.link(owed, vpn, level, false);
    }
  }

  /** Makes the empty entry of the path at a level point at the path's table below. */
  protected link(owed: Invalidations, vpn: number, level: number, live = true): void {
    const { bits, format } = this.shape;
    const below = this.tables[level - 1]!;
    const { high, low } = bits.pointers[level]!;
    const table = this.tables[level]!;
    const index = this.indexes[level]!;
    const pointer = format.tableLow(below, low);
    if (!this.put(owed, table, index, level, 0, 0, pointer, format.tableHigh(below, high))) {
      this.attempt(Number.POSITIVE_INFINITY, table, index);
    }
    if (!live || ((this.fillOwes >> level) & 1) === 0) return;
    this.oweIntermediate(owed, this.shape.entryStart(vpn, level), format.levelPages[level]!);
  }

  /** Unlinks the tables of the path, from a level up, that have become empty. */
  protected prune(owed: Invalidations, vpn: number, from: number): void {
    for (let level = from; level < this.shape.top; level++) {
      const table = this.tables[level]!;
      if (this.hasNext(table, level) || !this.isEmpty(table, level)) return;
      if (!this.unlink(owed, this.tables[level + 1]!, this.indexes[level + 1]!, level + 1, vpn))
        return;
    }
  }

  /**
   * Takes the pointer to an empty table away and gives the table up.
   *
   * @returns `false` when it has to stay: other page tables have it too, or it is not this tree's.
   */
  protected unlink(
    owed: Invalidations,
    table: number,
    index: number,
    level: number,
    vpn: number,
  ): boolean {
    const { format } = this.shape;
    if (this.isLent(index, level)) return false;
    this.load(table, index, level);
    const below = format.tablePfn(this.low, this.high);
    if (!this.isOwn(below, level - 1)) return false;
    this.change(owed, table, index, level, () => this.setNew(0, 0));
    this.oweIntermediate(owed, this.shape.entryStart(vpn, level), format.levelPages[level]!);
    this.giveUp(owed, below, level - 1);
    return true;
  }

  /** Whether other page tables have a copy of an entry. */
  protected isLent(index: number, level: number): boolean {
    return this.lent.size > 0 && level === this.shape.top && this.lent.has(index);
  }

  /** A table that nothing points at any more goes back to the source once the invalidation is complete. */
  protected giveUp(owed: Invalidations, table: number, level: number): void {
    const released = (this.owned.get(table)! & NOT_RELEASED) === 0;
    this.owned.delete(table);
    for (let more = 1; more < this.shape.tablePages[level]!; more++)
      this.tails.delete(table + more);
    this.tableCounts[level]!--;
    this.version++;
    this.forgetPending(table);
    if (released) owed.release(table, this.shape.orders[level]!);
    this.tell({ type: 'table-release', level, tablePfn: table });
  }

  /** Whether a frame is a table of this tree, of that level. */
  protected isOwn(table: number, level: number): boolean {
    const owned = this.owned.get(table);
    return owned !== undefined && (owned & LEVEL) === level;
  }

  /** Whether the entry after that of the path is used: what tells most often that a table is not empty. */
  private hasNext(table: number, level: number): boolean {
    const next = this.indexes[level]! + 1;
    if (next === this.shape.entries[level]) return false;
    this.load(table, next, level);
    return (this.low | this.high) !== 0;
  }

  /** Whether a table has no entry that is not 0. */
  protected isEmpty(table: number, level: number): boolean {
    const base = this.tableBase(table, level);
    const count = this.shape.entries[level]!;
    if (base >= 0) return findUsed(this.words, base, base + (count << this.wide)) < 0;
    for (let index = 0; index < count; index++) {
      this.load(table, index, level);
      if ((this.low | this.high) !== 0) return false;
    }
    return true;
  }

  /** Gives the tables that were reserved and not used back, the last first: the source is then as it was. */
  protected returnReserve(): void {
    for (let level = this.reserve.length - 1; level >= 0; level--) {
      const tables = this.reserve[level]!;
      const used = this.reserveUsed[level]!;
      for (let at = this.reserved[level]! - 1; at >= used; at--) this.free(tables[at]!, level);
      this.reserved[level] = 0;
      this.reserveUsed[level] = 0;
    }
  }

  /** Gives all tables back that no hardware ever read, the last first. */
  protected abandonTables(): void {
    this.returnReserve();
    for (const [table, level] of [...this.owned].reverse()) this.free(table, level & LEVEL);
    this.forgetTables();
  }

  /** Forgets which frames are tables. */
  protected forgetTables(): void {
    this.owned.clear();
    this.tails.clear();
    this.tableCounts.fill(0);
    this.leafEntries.fill(0);
  }

  private allocate(level: number): number {
    const order = this.shape.orders[level]!;
    return order === 0 ? this.frames.allocateFrame() : this.frames.allocateBlock!(order);
  }

  /** Gives a table that was never used back at once. */
  protected free(table: number, level: number): void {
    const order = this.shape.orders[level]!;
    if (order === 0) this.frames.releaseFrame(table);
    else this.frames.releaseBlock!(table, order);
  }

  /** Whether a frame that the source hands out can be a table: nobody's yet, aligned, and memory. */
  private isSuitable(table: number, level: number): boolean {
    const { rootFrameEnd, tableFrameEnd, tablePages, top } = this.shape;
    const frames = tablePages[level]!;
    const end = level === top ? rootFrameEnd : tableFrameEnd;
    if (!Number.isInteger(table) || table < 0 || table + frames > end) return false;
    if ((frames > 1 && table % frames !== 0) || this.isTaken(table, level)) return false;
    if (this.claimed.has(table)) return false;
    return this.tableBase(table, level) >= 0 || this.canHold(table, level);
  }

  /** Whether a frame of a table that there would be is one of this tree's already, or of the tree that it is a copy of. */
  protected isTaken(table: number, level: number): boolean {
    for (let frame = table; frame < table + this.shape.tablePages[level]!; frame++) {
      if (this.owned.has(frame) || (this.tails.size > 0 && this.tails.has(frame))) return true;
      if (this.original?.isTaken(frame, 0) === true) return true;
    }
    return false;
  }

  /** Whether something that can't be a table is a frame all the same, and nobody's yet, so that it can go back. */
  private isFreeFrame(table: number, level: number): boolean {
    const frame = Number.isSafeInteger(table) && table >= 0;
    if (!frame || this.claimed.has(table)) return false;
    return !this.isTaken(table, level) || this.isNamed(table);
  }

  /** Whether a frame is a table because adopted entries say so, who may say it of frames that are the source's. */
  private isNamed(table: number): boolean {
    const flags = this.owned.get(table) ?? 0;
    return (flags & NOT_RELEASED) !== 0 || this.original?.isNamed(table) === true;
  }

  private unsuitable(table: number): VmError {
    const expected = 'a source of frames that are aligned, in memory, and no table yet';
    return new VmError('out-of-range', { argument: 'frames', value: table, expected });
  }
}
