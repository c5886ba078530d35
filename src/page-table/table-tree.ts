import { bigintFromWords, VmError, type VmEvent, type VmObserver } from '../core/index.js';
import type { FrameSource, PhysicalMemory } from '../memory/index.js';
import { type ForeignRange, ForeignRanges } from './foreign-ranges.js';
import type { Invalidations } from './invalidations.js';
import { PendingMakes } from './pending-makes.js';
import { TableMemory } from './table-memory.js';
import type { TableShape } from './table-shape.js';

/** In `owned`: the level of the table. */
export const LEVEL = 15;
/** In `owned`, beside the level: the frame is not ours to release. */
export const NOT_RELEASED = 16;
/** In `owned`, beside the level: the entries were found there, and need not be as we write them. */
export const AS_FOUND = 32;

/** What the event of a kind says beside its number. */
type WithoutStep<Event extends VmEvent> = Event extends VmEvent ? Omit<Event, 'step'> : never;

/** What a change makes of an entry: it leaves the new words in `newLow` and `newHigh`. */
export type Edit = (low: number, high: number) => void;

/** An entry that other page tables have copies of, so that it may not change. */
export interface LentEntry {
  readonly vpn: number;
  readonly pages: number;
  /** Whether it is a leaf; otherwise the table below it may change, and all see it. */
  readonly leaf: boolean;
  /** How many have a copy. */
  count: number;
}

/** What the tree needs to know. */
export interface TreeOptions {
  readonly memory: PhysicalMemory;
  readonly frames: FrameSource;
  readonly shape: TableShape;
  readonly context: number;
  readonly fillOwes: number;
  /** Whether changes of size need break-before-make, where the format has it at all. */
  readonly resizeBreaks: boolean;
  readonly observer: VmObserver | null;
}

/**
 * The tree of tables: which frames are its tables, how entries are found, and how they change. What every operation is
 * made of.
 */
export abstract class TableTree extends TableMemory {
  /** Where table pages come from, and go back to. */
  readonly frames: FrameSource;
  /** Counts changes of structure, so that who keeps a place in the tree knows when to find it anew. @internal */
  version = 0;
  /** Every table by frame, with its level. */
  protected readonly owned: Map<number, number> = new Map();
  protected readonly foreign: ForeignRanges = new ForeignRanges();
  protected readonly pending: PendingMakes;
  /** Entries that other page tables have copies of, by `table:index`. */
  protected readonly lent: Map<string, LentEntry> = new Map();
  /** Entries of leaves by size, in the order of `shape.sizes`; at the end those of other sizes, in adopted tables. */
  protected readonly leafEntries: Float64Array;
  /** Tables by level. */
  protected readonly tableCounts: Float64Array;
  /** The path of the last `seek`, by level. */
  protected readonly tables: Float64Array;
  protected readonly indexes: Int32Array;
  /** What an `Edit` makes. */
  protected newLow = 0;
  protected newHigh = 0;
  /** The context that records name. */
  protected owedContext: number;
  /** Bit n set: filling an entry of level n that was not present owes an invalidation. */
  protected readonly fillOwes: number;
  private readonly resizeBreaks: boolean;
  private readonly observer: VmObserver | null;
  private step = 0;
  /** Tables that were taken from the source for an operation, by level, and how many of them are in use. */
  private readonly reserve: number[][];
  private readonly reserveUsed: Int32Array;

  protected constructor(options: TreeOptions) {
    const { frames, memory, shape } = options;
    super(memory, shape);
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
    this.owedContext = options.context;
    this.fillOwes = options.fillOwes;
    this.resizeBreaks = options.resizeBreaks;
    this.observer = options.observer;
    this.complete = this.observer !== null;
    const levels = shape.top + 1;
    this.leafEntries = new Float64Array(shape.sizes.length + 1);
    this.tableCounts = new Float64Array(levels);
    this.tables = new Float64Array(levels);
    this.indexes = new Int32Array(levels);
    this.reserve = Array.from({ length: levels }, () => []);
    this.reserveUsed = new Int32Array(levels);
    this.pending = new PendingMakes((entry) => {
      const { index, level, table } = entry;
      this.setComplete();
      // Whoever changed the broken entry meanwhile, against the rules, is not overwritten.
      const { brokenHigh, brokenLow, high, low } = entry;
      if (!this.exchangeIf(table, index, level, brokenLow, brokenHigh, low, high)) return;
      this.tellChange(table, index, level, brokenLow, brokenHigh, low, high);
    });
  }

  /** The frame of the root, in the format's base pages. */
  get root(): number {
    return this.rootPfn;
  }

  /** Reads an entry into `low` and `high`, as it is or is to be once its invalidation is complete. */
  protected load(table: number, index: number, level: number): boolean {
    if (this.pending.size > 0) {
      const waiting = this.pending.find(table, index);
      if (waiting !== undefined) {
        this.low = waiting.low;
        this.high = waiting.high;
        return true;
      }
    }
    return this.read(table, index, level);
  }

  /** Whether an entry points at a table. At the last level none does, whatever its bits. */
  protected isPointer(low: number, high: number, level: number): boolean {
    return level > 0 && this.shape.format.kindOf(low, high, level) === 'pointer';
  }

  /** Whether an entry maps a page. */
  protected isLeaf(low: number, high: number, level: number): boolean {
    return this.shape.format.kindOf(low, high, level) === 'leaf';
  }

  /**
   * Goes from the root to the entry that decides about a page: the first that does not point at a table, or that of
   * level `until`. The path is then in `tables` and `indexes`, the entry in `low` and `high`.
   *
   * @returns The entry's level.
   */
  protected seek(vpn: number, until = 0): number {
    const { format, top } = this.shape;
    let table = this.rootPfn;
    for (let level = top; ; level--) {
      const index = this.shape.indexOf(vpn, level);
      this.tables[level] = table;
      this.indexes[level] = index;
      this.load(table, index, level);
      if (level <= until || !this.isPointer(this.low, this.high, level)) return level;
      table = format.tablePfn(this.low, this.high);
    }
  }

  /** Replaces an entry that is as it was loaded; `false`, with the present one loaded, when it is not. */
  protected put(
    owed: Invalidations,
    table: number,
    index: number,
    level: number,
    oldLow: number,
    oldHigh: number,
    low: number,
    high: number,
  ): boolean {
    const waiting = this.pending.size === 0 ? undefined : this.pending.find(table, index);
    const breaks =
      waiting === undefined && this.needsBreak(table, level, oldLow, oldHigh, low, high);
    if (waiting !== undefined) {
      waiting.low = low;
      waiting.high = high;
    } else if (breaks) {
      const brokenLow = oldLow & ~this.shape.format.presentLow;
      if (!this.exchange(table, index, level, oldLow, oldHigh, brokenLow, oldHigh)) return false;
      const words = { brokenLow, brokenHigh: oldHigh, low, high };
      this.pending.add({ table, index, level, ...words });
      owed.addMaker(this.pending);
      this.setComplete();
      this.tellChange(table, index, level, oldLow, oldHigh, brokenLow, oldHigh);
    } else if (!this.exchange(table, index, level, oldLow, oldHigh, low, high)) {
      return false;
    } else {
      this.tellChange(table, index, level, oldLow, oldHigh, low, high);
    }
    const unread = waiting !== undefined || breaks || !this.pending.isLive(table);
    if (unread && this.isPointer(low, high, level)) {
      this.pending.unlink(this.shape.format.tablePfn(low, high));
    }
    this.countLeaf(oldLow, oldHigh, level, -1);
    this.countLeaf(low, high, level, 1);
    return true;
  }

  /** Changes an entry, again and again while hardware changes it at the same time. */
  protected change(
    owed: Invalidations,
    table: number,
    index: number,
    level: number,
    edit: Edit,
  ): void {
    this.load(table, index, level);
    for (let attempt = 0; ; attempt++) {
      this.attempt(attempt, table, index);
      const { high, low } = this;
      edit(low, high);
      const { newHigh, newLow } = this;
      if (newLow === low && newHigh === high) return;
      if (this.put(owed, table, index, level, low, high, newLow, newHigh)) return;
    }
  }

  /** Records what a change of leaves owes; `flags` are those of `Invalidations.add`. */
  protected owe(
    owed: Invalidations,
    vpn: number,
    pages: number,
    stride: number,
    flags: number,
  ): void {
    owed.add(vpn, pages, stride, this.owedContext, flags);
    if (this.observer !== null) this.tellOwed(vpn, pages, false);
  }

  /** Records what a change of an entry above leaves owes. */
  protected oweIntermediate(owed: Invalidations, vpn: number, pages: number): void {
    owed.addIntermediate(vpn, pages, this.owedContext);
    if (this.observer !== null) this.tellOwed(vpn, pages, true);
  }

  /**
   * Takes tables from the source, cleared, as many of each level as `counts` says.
   *
   * @returns `false` when there are not so many; the source is then as it was.
   * @throws `VmError` when the source hands out what can't be a table; the same holds then.
   */
  protected reserveTables(counts: ArrayLike<number>): boolean {
    for (let level = 0; level < counts.length; level++) {
      for (let count = counts[level]!; count > 0; count--) {
        const table = this.allocate(level);
        if (table < 0) {
          this.returnReserve();
          return false;
        }
        this.reserve[level]!.push(table);
        if (this.isSuitable(table, level) && this.clearTable(table, level)) continue;
        this.returnReserve();
        throw this.noMemory(table);
      }
    }
    return true;
  }

  /** A frame for a root, cleared, that is nobody's table yet; -1 without frames. */
  protected reserveRoot(): number {
    const { top } = this.shape;
    const counts = Float64Array.from({ length: top + 1 }, (_, level) => (level === top ? 1 : 0));
    return this.reserveTables(counts) ? this.reserve[top]!.pop()! : -1;
  }

  /** A reserved table, which from now on is one of this tree. */
  protected takeTable(level: number): number {
    const table = this.reserve[level]![this.reserveUsed[level]!++]!;
    this.own(table, level);
    if (this.reserveUsed[level] === this.reserve[level]!.length) {
      this.reserve[level]!.length = 0;
      this.reserveUsed[level] = 0;
    }
    this.tell({ type: 'table-allocate', level, tablePfn: table });
    return table;
  }

  /** Notes that a frame is a table of this tree. */
  protected own(table: number, level: number, flags = 0): void {
    this.owned.set(table, level | flags);
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
      if (!this.isEmpty(table, level)) return;
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
    if (this.lent.has(`${table}:${index}`)) return false;
    this.load(table, index, level);
    const below = format.tablePfn(this.low, this.high);
    if (!this.isOwn(below, level - 1)) return false;
    this.change(owed, table, index, level, () => this.setNew(0, 0));
    this.oweIntermediate(owed, this.shape.entryStart(vpn, level), format.levelPages[level]!);
    this.giveUp(owed, below, level - 1);
    return true;
  }

  /** A table that nothing points at any more goes back to the source once the invalidation is complete. */
  protected giveUp(owed: Invalidations, table: number, level: number): void {
    const released = (this.owned.get(table)! & NOT_RELEASED) === 0;
    this.owned.delete(table);
    this.tableCounts[level]!--;
    this.version++;
    if (this.pending.size > 0) this.pending.forget(table);
    if (released) owed.release(table, this.shape.orders[level]!);
    this.tell({ type: 'table-release', level, tablePfn: table });
  }

  /** Whether a frame is a table of this tree, of that level. */
  protected isOwn(table: number, level: number): boolean {
    const owned = this.owned.get(table);
    return owned !== undefined && (owned & LEVEL) === level;
  }

  /** Whether a table has no entry that is not 0. */
  protected isEmpty(table: number, level: number): boolean {
    const base = this.tableBase(table, level);
    const count = this.shape.entries[level]!;
    if (base >= 0) return isZero(this.words, base, base + (count << this.wide));
    for (let index = 0; index < count; index++) {
      this.load(table, index, level);
      if ((this.low | this.high) !== 0) return false;
    }
    return true;
  }

  /** Leaves the words that an entry is to have, for `change`. */
  protected setNew(low: number, high: number): void {
    this.newLow = low;
    this.newHigh = high;
  }

  /** Counts the entry of a leaf, if it is one. */
  protected countLeaf(low: number, high: number, level: number, by: number): void {
    if (!this.isLeaf(low, high, level)) return;
    const size = this.shape.sizeIndex(low, high, level);
    this.leafEntries[size < 0 ? this.shape.sizes.length : size]! += by;
  }

  /** The foreign range that reaches into a stretch, or `null`. */
  protected foreignIn(vpn: number, pages: number): ForeignRange | null {
    const { foreign } = this;
    return vpn + pages > foreign.first && vpn < foreign.end ? foreign.find(vpn, pages) : null;
  }

  /** Tells the observer, if there is one. */
  protected tell(event: WithoutStep<VmEvent>): void {
    this.observer?.({ ...event, step: this.step++ });
  }

  private tellOwed(vpn: number, pages: number, intermediate: boolean): void {
    this.tell({ type: 'invalidation-owed', vpn, pages, intermediate });
  }

  private tellChange(
    tablePfn: number,
    index: number,
    level: number,
    oldLow: number,
    oldHigh: number,
    low: number,
    high: number,
  ): void {
    if (this.observer === null) return;
    this.tell({ type: 'entry-change', level, tablePfn, index, oldLow, oldHigh, low, high });
  }

  /** Gives the tables that were reserved and not used back, the last first: the source is then as it was. */
  protected returnReserve(): void {
    for (let level = this.reserve.length - 1; level >= 0; level--) {
      const tables = this.reserve[level]!;
      while (tables.length > this.reserveUsed[level]!) this.free(tables.pop()!, level);
      tables.length = 0;
      this.reserveUsed[level] = 0;
    }
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

  private isSuitable(table: number, level: number): boolean {
    const { orders, rootFrameEnd, tableFrameEnd, top } = this.shape;
    const frames = 2 ** orders[level]!;
    const end = level === top ? rootFrameEnd : tableFrameEnd;
    if (!Number.isInteger(table) || table < 0 || table + frames > end) return false;
    return !this.owned.has(table) && this.canHold(table, level);
  }

  /** Everything is done in the complete form while somebody watches, or entries wait to be made. */
  private setComplete(): void {
    const complete = this.observer !== null || this.pending.size > 0;
    if (complete === this.complete) return;
    this.complete = complete;
    this.bindWindow();
  }

  private exchangeIf(
    table: number,
    index: number,
    level: number,
    oldLow: number,
    oldHigh: number,
    low: number,
    high: number,
  ): boolean {
    this.read(table, index, level);
    if (this.low !== oldLow || this.high !== oldHigh) return false;
    return this.exchange(table, index, level, oldLow, oldHigh, low, high);
  }

  /**
   * Whether hardware may keep the old and the new entry at the same time, to the confusion of both: a live entry that
   * changes its size, output address or memory type (Arm ARM DDI 0487, D8 Using break-before-make when updating
   * translation table entries). FEAT_BBM level 2 makes an exception for size alone.
   */
  private needsBreak(
    table: number,
    level: number,
    oldLow: number,
    oldHigh: number,
    low: number,
    high: number,
  ): boolean {
    const { bits, format } = this.shape;
    if (!bits.breakBeforeMake || !this.pending.isLive(table)) return false;
    if (!format.isPresent(oldLow, oldHigh, level) || !format.isPresent(low, high, level))
      return false;
    const leaf = this.isLeaf(low, high, level);
    if (leaf !== this.isLeaf(oldLow, oldHigh, level)) return this.resizeBreaks;
    if (!leaf) return format.tablePfn(low, high) !== format.tablePfn(oldLow, oldHigh);
    if (format.leafPfn(low, high, level) !== format.leafPfn(oldLow, oldHigh, level)) return true;
    if (((low ^ oldLow) & bits.typeLow) !== 0) return true;
    return this.resizeBreaks && ((high ^ oldHigh) & bits.groupHigh) !== 0;
  }

  /** An entry in words for a message. */
  protected spell(low: number, high: number, level: number): string {
    return `0x${this.rawOf(low, high).toString(16)} at level ${level}`;
  }

  /** An entry as one number. @internal */
  rawOf(low: number, high: number): bigint {
    return BigInt.asUintN(8 * this.shape.format.entryBytes, bigintFromWords(low, high));
  }
}

/** Whether a run of words has none that is not 0. */
function isZero(words: Int32Array, from: number, to: number): boolean {
  for (let at = from; at < to; at++) if (words[at] !== 0) return false;
  return true;
}
