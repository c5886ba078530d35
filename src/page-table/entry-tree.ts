import { bigintFromWords, type VmEvent, type VmObserver } from '../core/index.js';
import type { FrameSource, PhysicalMemory } from '../memory/index.js';
import { type ForeignRange, ForeignRanges } from './foreign-ranges.js';
import type { Invalidations } from './invalidations.js';
import { PendingMakes } from './pending-makes.js';
import { TableMemory } from './table-memory.js';
import type { TableShape } from './table-shape.js';

/** What the event of a kind says beside its number. */
type WithoutStep<Event extends VmEvent> = Event extends VmEvent ? Omit<Event, 'step'> : never;

/** What a change makes of an entry: it leaves the new words in `newLow` and `newHigh`. */
export type Edit = (low: number, high: number) => void;

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
 * Entries in a tree of tables: how they are found, and how they change. Every change goes through `put`, which knows of
 * break-before-make, counts leaves and tells the observer.
 */
export abstract class EntryTree extends TableMemory {
  protected readonly foreign: ForeignRanges = new ForeignRanges();
  protected readonly pending: PendingMakes;
  /** Entries of leaves by size, in the order of `shape.sizes`; at the end those of other sizes, in adopted tables. */
  protected readonly leafEntries: Float64Array;
  /** The path of the last `seek`, by level. */
  protected readonly tables: Float64Array;
  protected readonly indexes: Int32Array;
  /** What an `Edit` makes. */
  protected newLow = 0;
  protected newHigh = 0;
  /** The address space. */
  readonly context: number = 0;
  /** The context that records name: the same, or every one. */
  protected owedContext = 0;
  /** Bit n set: filling an entry of level n that was not present owes an invalidation. */
  protected readonly fillOwes: number = 0;
  private readonly resizeBreaks: boolean;
  private readonly observer: VmObserver | null;
  private step = 0;

  protected constructor(options: TreeOptions) {
    const { memory, shape } = options;
    super(memory, shape);
    this.context = options.context;
    this.owedContext = options.context;
    this.fillOwes = options.fillOwes;
    this.resizeBreaks = options.resizeBreaks;
    this.observer = options.observer;
    this.complete = this.observer !== null;
    const levels = shape.top + 1;
    this.leafEntries = new Float64Array(shape.sizes.length + 1);
    this.tables = new Float64Array(levels);
    this.indexes = new Int32Array(levels);
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

  /**
   * log2 of the entries that map one page together with the one that was loaded. In adopted tables members need not agree,
   * and then each stands alone, as hardware reads it.
   */
  protected groupAt(table: number, index: number, level: number): number {
    const { high, low, shape } = this;
    const group = shape.groupOf(low, high, level);
    if (group === 0) return 0;
    const first = index - (index % 2 ** group);
    const pages = shape.format.levelPages[level]!;
    const pfn = shape.entryPfn(low, high, level, index) - (index - first) * pages;
    let agree = pfn % (pages * 2 ** group) === 0;
    for (let member = 0; agree && member < 2 ** group; member++) {
      this.load(table, first + member, level);
      agree =
        this.isLeaf(this.low, this.high, level) &&
        shape.groupOf(this.low, this.high, level) === group &&
        shape.entryPfn(this.low, this.high, level, first + member) === pfn + member * pages &&
        shape.isAlike(this.low, this.high, low, high, level);
    }
    this.low = low;
    this.high = high;
    return agree ? group : 0;
  }

  /** Loads the first entry of a table, from an index on, that is not 0; its index, or -1. @internal */
  findUsed(table: number, level: number, from: number): number {
    this.refreshWindow();
    const count = this.shape.entries[level]!;
    const base = this.tableBase(table, level);
    for (let index = from; index < count; index++) {
      if (base >= 0) {
        const at = base + (index << this.wide);
        if ((this.words[at]! | this.words[at + this.wide]!) === 0) continue;
      }
      this.load(table, index, level);
      if ((this.low | this.high) !== 0) return index;
    }
    return -1;
  }

  /** The first page of an entry in a table that begins with a page; -1 for the root. @internal */
  entryPage(start: number, index: number, level: number): number {
    if (start < 0) return this.shape.rootStart(index);
    return start + index * this.shape.format.levelPages[level]!;
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
    const nowLow = breaks ? oldLow & ~this.shape.format.presentLow : low;
    const nowHigh = breaks ? oldHigh : high;
    if (waiting !== undefined) {
      waiting.low = low;
      waiting.high = high;
    } else if (!this.exchange(table, index, level, oldLow, oldHigh, nowLow, nowHigh)) {
      return false;
    }
    if (breaks) {
      const words = { brokenLow: nowLow, brokenHigh: nowHigh, low, high };
      this.pending.add({ table, index, level, owed, ...words });
      owed.addMaker(this.pending);
      this.setComplete();
    }
    if (level > 0) this.pointersChanged(level);
    const waitsFor = waiting?.owed ?? (breaks ? owed : this.pending.waitsFor(table));
    if (waitsFor !== undefined && this.isPointer(low, high, level)) {
      this.pending.unlink(this.shape.format.tablePfn(low, high), waitsFor);
    }
    this.countLeaf(oldLow, oldHigh, level, -1);
    this.countLeaf(low, high, level, 1);
    // Last, for an observer may throw.
    if (waiting === undefined) {
      this.tellChange(table, index, level, oldLow, oldHigh, nowLow, nowHigh);
    }
    return true;
  }

  /** Whoever remembers a path forgets it. */
  protected abstract pointersChanged(level: number): void;

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

  /** Forgets what waits to be made in a table that is given up. */
  protected forgetPending(table: number): void {
    if (this.pending.size === 0) return;
    this.pending.forget(table);
    this.setComplete();
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
   * changes its size, output address or memory type, or becomes global (Arm ARM DDI 0487, D8 Using break-before-make
   * when updating translation table entries). FEAT_BBM level 2 makes an exception for size alone (D8 Support levels for
   * changing table or block size).
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
    if (!bits.breakBeforeMake || this.pending.waitsFor(table) !== undefined) return false;
    if (!format.isPresent(oldLow, oldHigh, level) || !format.isPresent(low, high, level))
      return false;
    const leaf = this.isLeaf(low, high, level);
    if (leaf !== this.isLeaf(oldLow, oldHigh, level)) return this.resizeBreaks;
    if (!leaf) return format.tablePfn(low, high) !== format.tablePfn(oldLow, oldHigh);
    if (format.leafPfn(low, high, level) !== format.leafPfn(oldLow, oldHigh, level)) return true;
    if (((low ^ oldLow) & bits.typeLow) !== 0) return true;
    if (bits.isGlobal(low, high) && !bits.isGlobal(oldLow, oldHigh)) return true;
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
