import { VmError } from '../core/index.js';
import { editRun, replaced, replaceRun } from './flat-runs.js';
import type { ForeignRange } from './foreign-ranges.js';
import { GLOBAL, type Invalidations } from './invalidations.js';
import { SharingOperations } from './sharing-operations.js';

/** Tables that an adoption looks at before it takes the rest for foreign: 512 GiB in 4 KiB pages. */
export const VISIT_LIMIT: number = 2 ** 18;

/**
 * Whether a leaf is to stay writable in both copies, as shared memory is, by its first page and base pages. Asked once
 * about each leaf, in the order of addresses, before anything is copied.
 *
 * @public
 */
export type IsShared = (vpn: number, pages: number) => boolean;

/** A copy under way. */
interface Copy {
  readonly target: CopyOperations;
  readonly owed: Invalidations;
  readonly copyOnWrite: boolean;
  /** The first pages of leaves that stay writable, if there are such. */
  readonly shared: ReadonlySet<number> | null;
}

/** Copying all tables into another page table, and taking over tables that are there. */
export abstract class CopyOperations extends SharingOperations {
  /** Whether a pointer of adopted tables withholds rights, so that mapping has to look at pointers. */
  protected narrow = false;

  /** Copies everything below the root into a fresh page table; `false` without frames. */
  protected copyInto(copy: Copy): boolean {
    const { target } = copy;
    const { top } = this.shape;
    const counts = this.tableCounts.slice(0, top);
    target.original = this;
    const { entries, format, pageBytes, tablePages } = this.shape;
    // Tables that are copied whole need no zeros first (a tenth of the time, measured).
    const whole = entries[0]! * format.entryBytes === tablePages[0]! * pageBytes;
    const reserved = target.reserveTables(counts, whole);
    target.original = null;
    if (!reserved) return false;
    this.copyTable(copy, this.rootPfn, target.rootPfn, top, -1);
    target.hasFoundTables = this.hasFoundTables;
    target.inherit(target.rootPfn, this.owned.get(this.rootPfn)!);
    target.leafEntries.set(this.leafEntries);
    target.narrow = this.narrow;
    return true;
  }

  /** Copies a table; `start` is its first page, -1 for the root, whose entries say for themselves. */
  private copyTable(copy: Copy, from: number, to: number, level: number, start: number): void {
    if (level === 0 && start >= 0) {
      if (this.copyFlat(copy, from, to, start)) return;
      if (copy.target.tableBase(to, 0) >= 0) copy.target.clearTable(to, 0);
    }
    const { format } = this.shape;
    let index = this.findUsed(from, level, 0);
    for (; index >= 0; index = this.findUsed(from, level, index + 1)) {
      const { high, low } = this;
      const vpn = this.entryPage(start, index, level);
      const foreign = this.foreignIn(vpn, format.levelPages[level]!);
      if (foreign !== null && foreign.level === level) {
        this.copyForeign(copy, foreign, index);
      } else if (this.isPointer(low, high, level)) {
        const below = copy.target.takeTable(level - 1);
        const original = format.tablePfn(low, high);
        if (this.hasFoundTables) copy.target.inherit(below, this.owned.get(original)!);
        this.copyTable(copy, original, below, level - 1, vpn);
        copy.target.pointTo(copy.owed, to, index, level, below, low, high);
      } else {
        this.copyLeaf(copy, from, to, index, level, vpn);
      }
    }
  }

  /** In flat RAM: takes the right to write from all leaves of a table, then copies it whole. */
  private copyFlat(copy: Copy, from: number, to: number, start: number): boolean {
    const { bits, entries, lowTells } = this.shape;
    const source = this.tableBase(from, 0);
    const target = this.tableBase(to, 0);
    if (source < 0 || target < 0 || copy.shared !== null) return false;
    if (!lowTells || !(bits.plain || this.wide === 1)) return false;
    const pages = entries[0]!;
    if (this.foreignIn(start, pages) !== null) return false;
    const end = source + (pages << this.wide);
    if (copy.copyOnWrite) {
      this.writeProtectRun(source, end);
      if (replaced.changed !== 0) {
        this.owe(copy.owed, start, pages, 1, this.shape.someGlobal(replaced.bits) ? GLOBAL : 0);
      }
    }
    this.words.copyWithin(target, source, end);
    return true;
  }

  private writeProtectRun(from: number, to: number): void {
    const { bits, globalFlip, presentLow, requiredLow } = this.shape;
    const { wide, words } = this;
    if (bits.plain) {
      const { writeClearHigh, writeClearLow, writeSetHigh, writeSetLow } = bits;
      const [low, high] = [writeSetLow, writeSetHigh];
      const [any, all] = [presentLow, requiredLow];
      replaceRun(
        words,
        from,
        to,
        wide,
        any,
        all,
        writeClearLow,
        low,
        writeClearHigh,
        high,
        globalFlip,
      );
    } else {
      const editLow = (low: number, high: number): number => bits.writeProtectLow(low, high);
      const editHigh = (low: number, high: number): number => bits.writeProtectHigh(low, high);
      editRun(words, from, to, presentLow, requiredLow, editLow, editHigh, globalFlip);
    }
  }

  private copyLeaf(
    copy: Copy,
    from: number,
    to: number,
    index: number,
    level: number,
    vpn: number,
  ): void {
    const { bits, format } = this.shape;
    const pages = format.levelPages[level]!;
    const leaf = this.isLeaf(this.low, this.high, level);
    let { high, low } = this;
    if (leaf && copy.copyOnWrite && !this.staysWritable(copy, from, index, level, vpn)) {
      let changed = false;
      this.change(copy.owed, from, index, level, (oldLow, oldHigh) => {
        this.setNew(bits.writeProtectLow(oldLow, oldHigh), bits.writeProtectHigh(oldLow, oldHigh));
        changed = this.newLow !== oldLow || this.newHigh !== oldHigh;
        low = this.newLow;
        high = this.newHigh;
      });
      const global = bits.isGlobal(low, high) ? GLOBAL : 0;
      if (changed) this.owe(copy.owed, vpn, pages, pages, global);
    }
    copy.target.write(copy.owed, to, index, level, low, high);
  }

  /** Whether the leaf whose entry was loaded stays writable, all of it: the entries of a group stay alike. */
  private staysWritable(
    { shared }: Copy,
    table: number,
    index: number,
    level: number,
    vpn: number,
  ): boolean {
    if (shared === null) return false;
    const entries = 2 ** this.groupAt(table, index, level);
    return shared.has(vpn - (index % entries) * this.shape.format.levelPages[level]!);
  }

  /** What is foreign here is foreign there: shared with the same owner, or recursive by a root of its own. */
  private copyForeign(copy: Copy, range: ForeignRange, index: number): void {
    const { owed, target } = copy;
    if (range.kind === 'recursive') this.copyRecursive(copy, range, index);
    else if (range.kind === 'shared') this.shareOn(target, range, owed);
  }

  /** The entry of the original as it is, pointing at the copy's root. */
  private copyRecursive({ owed, target }: Copy, range: ForeignRange, index: number): void {
    const { top } = this.shape;
    target.pointTo(owed, target.rootPfn, index, top, target.rootPfn, this.low, this.high);
    target.foreign.add(range);
  }

  /** Writes the pointer of the original into an empty entry, with another frame. */
  private pointTo(
    owed: Invalidations,
    table: number,
    index: number,
    level: number,
    pfn: number,
    low: number,
    high: number,
  ): void {
    const { format } = this.shape;
    const frameBits = format.frameLowMask | (format.splitTableMask << format.splitShift);
    const newLow = format.tableLow(pfn, low & ~frameBits);
    const newHigh = format.tableHigh(pfn, high & ~format.frameHighMask);
    this.write(owed, table, index, level, newLow, newHigh);
  }

  /** Writes an empty entry of a table that nobody reads yet. */
  private write(
    owed: Invalidations,
    table: number,
    index: number,
    level: number,
    low: number,
    high: number,
  ): void {
    if (this.put(owed, table, index, level, 0, 0, low, high)) return;
    this.attempt(Number.POSITIVE_INFINITY, table, index);
  }

  /**
   * Takes over the tables below the root as they are, but for foreign ranges that are known, and finds out which of them
   * can't be this tree's.
   */
  protected adoptTables(visitLimit: number, flags: number): void {
    const { top } = this.shape;
    if (!this.canHold(this.rootPfn, top)) {
      const expected = `a table in memory, at physical address ${this.spellAddress(this.rootPfn)}`;
      throw new VmError('out-of-range', { argument: 'root', value: this.rootPfn, expected });
    }
    const unsound: ForeignRange[] = [];
    this.own(this.rootPfn, top, flags);
    this.adoptTable(this.rootPfn, top, -1, visitLimit, flags, unsound);
    this.foreign.add(...unsound);
  }

  private adoptTable(
    table: number,
    level: number,
    start: number,
    limit: number,
    flags: number,
    unsound: ForeignRange[],
  ): void {
    const { bits, format } = this.shape;
    const pages = format.levelPages[level]!;
    let index = this.findUsed(table, level, 0);
    for (; index >= 0; index = this.findUsed(table, level, index + 1)) {
      const { high, low } = this;
      const vpn = this.entryPage(start, index, level);
      if (this.foreignIn(vpn, pages)?.level === level) continue;
      this.countLeaf(low, high, level, 1);
      if (!this.isPointer(low, high, level)) continue;
      const below = format.tablePfn(low, high);
      const sound =
        this.owned.size < limit &&
        !this.isTaken(below, level - 1) &&
        this.canHold(below, level - 1);
      if (!sound) {
        const loop = below === this.rootPfn && level === this.shape.top;
        const kind = loop && this.canRecurse() ? 'recursive' : 'unsound';
        unsound.push({ kind, vpn, pages, level });
        continue;
      }
      if (bits.pointerProt(low, high, level) !== 15) this.narrow = true;
      this.own(below, level - 1, flags);
      this.adoptTable(below, level - 1, vpn, limit, flags, unsound);
    }
  }
}
