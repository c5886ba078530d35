import { checkBoolean, checkOptions, type OptionNames, Prot, VmError } from '../core/index.js';
import type { ForeignRange } from './foreign-ranges.js';
import {
  EVERY_CONTEXT,
  EVERY_PAGE,
  GLOBAL,
  INTERMEDIATE,
  type Invalidations,
} from './invalidations.js';
import { OUT_OF_FRAMES } from './outcome.js';
import { checkRange, type PageRange } from './range-operations.js';
import { RecursiveOperations } from './recursive-operations.js';
import { LEVEL } from './table-tree.js';

/**
 * Options of `PageTable.destroy`.
 *
 * @public
 */
export interface DestroyOptions {
  /**
   * Whether the frames that were mapped go back to the source too, when the invalidation is complete; those of a large
   * page as one block. @defaultValue false
   */
  readonly release?: boolean;
}

const DESTROY: OptionNames<DestroyOptions> = { release: true };

/** All `Prot` bits. */
const ALL_RIGHTS = 15;

/** Where a foreign range comes from, for when it is given back. */
interface Loan {
  readonly range: ForeignRange;
  readonly owner: SharingOperations;
}

/** Tables that several address spaces have, and the end of a page table. */
export abstract class SharingOperations extends RecursiveOperations {
  private loans: readonly Loan[] = [];
  /** Whom they are of. */
  private owners: readonly SharingOperations[] = [];

  /**
   * Counts changes of structure, here and in tables on loan, so that who keeps a place in the tree knows when to find it
   * anew.
   *
   * @internal
   */
  get structureVersion(): number {
    let sum = this.version;
    for (const owner of this.owners) sum += owner.version;
    return sum;
  }

  /**
   * Takes the tables of another page table into this one, for a stretch of whole root entries: the kernel half of every
   * address space. What the owner then maps, changes or unmaps below them, all see; for this table they are foreign:
   * looked at, never changed, and never given up. Where the owner's root has nothing yet it gets an empty table, so that
   * what is mapped later is seen too.
   *
   * The owner's records name {@link EVERY_CONTEXT} from then on, and it may not be destroyed, until everything was given
   * back (`unshare`). Tables alone are shared: a leaf in the owner's root is to be split first.
   *
   * @param owner - A page table of the same format in the same memory.
   * @param range - Pages of whole root entries.
   * @param owed - What the change owes.
   * @returns 0, or `OUT_OF_FRAMES` when the owner has no frame for an empty table. O(root entries).
   * @throws `VmError` `overlap` when something is mapped there, when a leaf is in the owner's root or what is there is the
   * owner's only on loan, and while entries of either wait for `Invalidations.complete`; `misaligned`, `out-of-range` or
   * `bad-argument` for the rest. Nothing changed then.
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
   * const kernel = new PageTable({ format: sv39, memory, frames });
   * const shell = new PageTable({ format: sv39, memory, frames, context: 1 });
   *
   * const gigabyte = { vpn: 2 ** 52 - 2 ** 18, pages: 2 ** 18 }; // 0xffffffffc0000000 and up
   * shell.share(kernel, gigabyte, owed); // => 0
   * kernel.map(2 ** 52 - 1, 0x77, kernel.flags({ prot: Prot.Read, global: true }), owed);
   * shell.lookup(2 ** 52 - 1); // => 0x77
   * shell.foreignRanges.map((range) => [range.kind, range.vpn]); // => [['shared', gigabyte.vpn]]
   * ```
   */
  share(owner: this, range: PageRange, owed: Invalidations): number {
    const { pages, vpn } = checkRange(range);
    this.begin(owed);
    this.checkOwner(owner);
    const { format, top } = this.shape;
    const each = format.levelPages[top]!;
    this.checkPages(vpn, pages, each);
    if (pages % each !== 0) {
      const expected = `a multiple of ${each} pages, which an entry of the root covers`;
      throw new VmError('misaligned', { argument: 'pages', value: pages, expected });
    }
    this.checkOwn(vpn, pages);
    owner.checkOwn(vpn, pages);
    this.checkNothingWaits(owner);
    const slots = Array.from({ length: pages / each }, (_, slot) => vpn + slot * each);
    for (const slot of slots) {
      this.seek(slot, top);
      if ((this.low | this.high) !== 0) throw this.occupied(slot, top);
      owner.checkLendable(slot);
    }
    if (!owner.lendTables(slots, owed)) return OUT_OF_FRAMES;
    const loans = slots.map((slot) => this.borrow(owner, slot, owed));
    this.setLoans([...this.loans, ...loans]);
    this.foreign.add(...loans.map(({ range: loan }) => loan));
    return 0;
  }

  /**
   * Gives tables that were taken by `share` back to their owner.
   *
   * @param range - Pages; every loan that reaches into them ends.
   * @param owed - What the change owes: everything below.
   * @returns How many root entries were given back.
   * @throws `VmError` for pages out of range. Nothing changed then.
   */
  unshare(range: PageRange, owed: Invalidations): number {
    const { pages, vpn } = checkRange(range);
    this.begin(owed);
    this.checkPages(vpn, pages);
    const ended = this.loans.filter(
      (loan) => loan.range.vpn < vpn + pages && loan.range.vpn + loan.range.pages > vpn,
    );
    for (const loan of ended) this.giveBack(loan, owed);
    return ended.length;
  }

  /**
   * Takes everything down: all tables, the root too, go back to the source once the invalidation is complete. What was
   * shared with an owner stays the owner's. The object can't be used any more.
   *
   * O(tables), and O(entries) with `release`.
   *
   * @param owed - What it owes, the whole context, and what it releases.
   * @param options - See {@link DestroyOptions}.
   * @throws `VmError` `bad-argument` for options that are none; `overlap` while other page tables have tables of this one. Nothing changed then.
   */
  destroy(owed: Invalidations, options: DestroyOptions = {}): void {
    checkOptions('', options, DESTROY);
    const release = checkBoolean('release', options.release ?? false);
    this.begin(owed);
    if (this.lent.size > 0) {
      const expected = `no page table with tables of this one (root entries on loan: ${this.lent.size})`;
      throw new VmError('overlap', { argument: 'this', value: this.rootPfn, expected });
    }
    for (const loan of this.loans) this.giveBack(loan, owed);
    if (release) this.releaseAll(owed, this.rootPfn, this.shape.top, -1);
    owed.addContext(this.owedContext, INTERMEDIATE | GLOBAL);
    this.tell({ type: 'invalidation-owed', vpn: 0, pages: EVERY_PAGE, intermediate: true });
    // In the order in which they were taken, the root first.
    for (const [table, level] of [...this.owned]) this.giveUp(owed, table, level & LEVEL);
    this.leafEntries.fill(0);
    this.dead = true;
    this.complete = true;
    this.bindWindow();
  }

  private checkOwner(owner: SharingOperations): void {
    const { format, top } = this.shape;
    const same =
      owner instanceof SharingOperations &&
      owner !== this &&
      owner.shape.format === format &&
      owner.memory === this.memory;
    if (!same || top === 0) {
      const expected = `another page table of ${format.name}, which has tables below its root, in the same memory`;
      throw new VmError('bad-argument', { argument: 'owner', value: owner, expected });
    }
    owner.checkAlive();
    owner.refreshWindow();
  }

  /** Refuses while entries wait: what hardware does not see yet can't be shared. */
  private checkNothingWaits(owner: SharingOperations): void {
    if (this.pending.size === 0 && owner.pending.size === 0) return;
    const expected = 'page tables without entries that wait for Invalidations.complete';
    throw new VmError('overlap', { argument: 'owner', value: owner.rootPfn, expected });
  }

  /** Refuses to lend a leaf or software entry of the root. */
  private checkLendable(vpn: number): void {
    const { top } = this.shape;
    this.seek(vpn, top);
    const { high, low } = this;
    if ((low | high) === 0 || this.isPointer(low, high, top)) return;
    const found = this.spell(low, high, top);
    const expected = `a table of the owner's at ${this.spellAddress(vpn)}, where entry ${found} is`;
    throw new VmError('overlap', { argument: 'owner', value: vpn, expected, ...this.place(vpn) });
  }

  /** Sees to it that root entries of this table point at tables to lend, with all rights; `false` without frames. */
  private lendTables(slots: readonly number[], owed: Invalidations): boolean {
    const { top } = this.shape;
    const empty = slots.filter((slot) => {
      this.seek(slot, top);
      return (this.low | this.high) === 0;
    });
    this.needed.fill(0)[top - 1] = empty.length;
    if (!this.reserveTables(this.needed)) return false;
    for (const slot of empty) {
      this.seek(slot, top);
      this.extend(owed, slot, top, top - 1);
      this.link(owed, slot, top);
    }
    for (const slot of slots) {
      this.seek(slot, top);
      // Afterwards the entry may not change any more.
      this.widenEntry(owed, this.rootPfn, this.indexes[top]!, top, slot, ALL_RIGHTS);
    }
    return true;
  }

  /** Borrows an entry of the owner's root. */
  private borrow(owner: SharingOperations, vpn: number, owed: Invalidations): Loan {
    const { format, top } = this.shape;
    const pages = format.levelPages[top]!;
    const index = this.shape.indexOf(vpn, top);
    const loan = this.noteLoan(owner, vpn);
    const { high, low } = owner;
    this.change(owed, this.rootPfn, index, top, () => this.setNew(low, high));
    if (((this.fillOwes >> top) & 1) !== 0) this.oweIntermediate(owed, vpn, pages);
    return loan;
  }

  /** Notes a loan with the owner, whose entry is then loaded there. */
  private noteLoan(owner: SharingOperations, vpn: number): Loan {
    const { format, top } = this.shape;
    const pages = format.levelPages[top]!;
    const index = this.shape.indexOf(vpn, top);
    owner.load(owner.rootPfn, index, top);
    owner.lent.set(index, (owner.lent.get(index) ?? 0) + 1);
    // What is below now belongs to several contexts.
    owner.owedContext = EVERY_CONTEXT;
    return { range: { kind: 'shared', vpn, pages, level: top }, owner };
  }

  /** Notes a loan whose entry is in the root already, when that is the owner's. */
  protected borrowAgain(owner: SharingOperations, vpn: number): void {
    this.checkOwner(owner);
    owner.checkLendable(vpn);
    const { format, top } = this.shape;
    const loan = this.noteLoan(owner, vpn);
    this.setLoans([...this.loans, loan]);
    this.foreign.add(loan.range);
    this.load(this.rootPfn, this.shape.indexOf(vpn, top), top);
    // Hardware may have marked one of the two as used.
    const same = format.tablePfn(this.low, this.high) === format.tablePfn(owner.low, owner.high);
    if (same && this.isPointer(this.low, this.high, top)) return;
    const expected = `the entry of the owner's root at ${this.spellAddress(vpn)}`;
    throw new VmError('bad-image', { argument: 'snapshot', value: vpn, expected });
  }

  /** Ends all loans, when nothing came of a restoration. */
  protected endLoans(): void {
    for (const loan of this.loans) this.endLoan(loan);
  }

  /** The page table that a range is on loan from, or `null`. */
  protected ownerOf(range: ForeignRange): SharingOperations | null {
    return this.loans.find((loan) => loan.range === range)?.owner ?? null;
  }

  private setLoans(loans: readonly Loan[]): void {
    const before = this.structureVersion;
    this.loans = loans;
    this.owners = [...new Set(loans.map(({ owner }) => owner))];
    // No number that was there before, whoever's counts no longer.
    this.version += Math.max(1, before - this.structureVersion + 1);
  }

  private giveBack(loan: Loan, owed: Invalidations): void {
    const { range } = loan;
    const { top } = this.shape;
    const index = this.shape.indexOf(range.vpn, top);
    this.writeRoot(owed, index, 0, 0);
    this.owe(owed, range.vpn, range.pages, 0, INTERMEDIATE | GLOBAL);
    this.endLoan(loan);
  }

  private endLoan(loan: Loan): void {
    const { owner, range } = loan;
    this.foreign.remove(range);
    this.setLoans(this.loans.filter((other) => other !== loan));
    const index = this.shape.indexOf(range.vpn, range.level);
    const count = owner.lent.get(index) ?? 0;
    if (count > 1) owner.lent.set(index, count - 1);
    else owner.lent.delete(index);
    if (owner.lent.size === 0) owner.owedContext = owner.context;
  }

  /** Releases the frames of all leaves below a table of this tree; of the root, where `start` is -1. */
  private releaseAll(owed: Invalidations, table: number, level: number, start: number): void {
    const { format } = this.shape;
    const pages = format.levelPages[level]!;
    let index = this.findUsed(table, level, 0);
    for (; index >= 0; index = this.findUsed(table, level, index + 1)) {
      const { high, low } = this;
      const vpn = this.entryPage(start, index, level);
      if (this.foreignIn(vpn, pages)?.level === level) continue;
      this.releaseLeaf(owed, table, index, level);
      if (!this.isPointer(low, high, level)) continue;
      this.releaseAll(owed, format.tablePfn(low, high), level - 1, vpn);
    }
  }

  /** Lends what this table has on loan itself to a copy of it. */
  protected shareOn(target: SharingOperations, range: ForeignRange, owed: Invalidations): void {
    const owner = this.ownerOf(range);
    if (owner !== null) target.share(owner, { vpn: range.vpn, pages: range.pages }, owed);
  }

  /** Whether a machine's rights can be taken from leaves at all, which copy-on-write needs. */
  protected canWriteProtect(): boolean {
    return (this.shape.bits.granted(0) & Prot.Write) === 0;
  }
}
