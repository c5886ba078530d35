import { checkVersion, VmError } from '../core/index.js';
import { CheckOperations } from './check-operations.js';
import type { ForeignRange } from './foreign-ranges.js';
import { EVERY_CONTEXT } from './invalidations.js';
import { AS_FOUND, LEVEL, NOT_RELEASED } from './table-tree.js';

/**
 * A table of a saved page table.
 *
 * @public
 */
export interface SavedTable {
  /** Its frame. */
  readonly pfn: number;
  /** Whether the frame goes back to the source when the table is given up. */
  readonly released: boolean;
  /** Whether its entries were found there, and need not be as a page table writes them. */
  readonly found: boolean;
}

/**
 * A saved page table: what is not in the memory of its tables.
 *
 * @public
 */
export interface PageTableSnapshot {
  /** The version of this form. */
  readonly v: 1;
  /** The tag. */
  readonly type: 'page-table';
  /** The format's name. */
  readonly format: string;
  /** The frame of the root. */
  readonly root: number;
  /** The root's first byte in that frame. */
  readonly rootOffset: number;
  /** The address space. */
  readonly context: number;
  /** Whether records name every context, because other page tables had tables of this one. */
  readonly everyContext: boolean;
  /** The tables. */
  readonly tables: readonly SavedTable[];
  /** What is not its own; of what is on loan, the root of the owner. */
  readonly foreign: readonly (ForeignRange & {
    /** The root of the page table that it is on loan from. */
    readonly owner?: number;
  })[];
}

/** A page table that can be saved. */
export abstract class SavedOperations extends CheckOperations {
  /**
   * Saves what is not in memory: which frames are tables, and which stretches are foreign. The tables themselves are in
   * the memory's snapshot, free frames in that of their source.
   *
   * @returns Versioned plain data, for `PageTable.restore`.
   * @throws `VmError` `unsupported` while entries wait for an invalidation.
   */
  snapshot(): PageTableSnapshot {
    this.checkAlive();
    if (this.pending.size > 0) {
      const expected = 'no entries that wait for Invalidations.complete';
      throw new VmError('unsupported', { argument: 'this', value: this.pending.size, expected });
    }
    return {
      v: 1,
      type: 'page-table',
      format: this.shape.format.name,
      root: this.rootPfn,
      rootOffset: this.rootOffset,
      context: this.context,
      everyContext: this.owedContext === EVERY_CONTEXT,
      tables: [...this.owned].map(([pfn, flags]) => ({
        pfn,
        released: (flags & NOT_RELEASED) === 0,
        found: (flags & AS_FOUND) !== 0,
      })),
      foreign: this.foreign.all.map((range) => {
        const owner = this.ownerOf(range);
        return { ...range, ...(owner === null ? {} : { owner: owner.root }) };
      }),
    };
  }

  /** Takes over what a snapshot says of tables that are in memory already, on a page table that has none. */
  protected restoreFrom(snapshot: PageTableSnapshot, owners: readonly SavedOperations[]): void {
    checkVersion(snapshot, 1, 'page-table');
    const { format, foreign, tables } = snapshot;
    if (format !== this.shape.format.name || !Array.isArray(foreign) || !Array.isArray(tables)) {
      throw this.broken('snapshot.format', format, `a snapshot of ${this.shape.format.name}`);
    }
    this.foreign.add(...foreign.flatMap((range) => this.restoreForeign(range, owners)));
    const known = this.foreign.all.length;
    this.adoptTables(tables.length, 0);
    if (this.owned.size !== tables.length || this.foreign.all.length !== known) {
      throw this.broken('snapshot.tables', this.owned.size, 'the tables that are in memory');
    }
    for (const table of tables) {
      const { found, pfn, released } = table ?? {};
      const flags = this.owned.get(pfn);
      if (flags === undefined)
        throw this.broken('snapshot.tables', pfn, 'tables that are in memory');
      const more = (released === true ? 0 : NOT_RELEASED) | (found === false ? 0 : AS_FOUND);
      // In the order in which they were saved, in which they will be given up.
      this.owned.delete(pfn);
      this.owned.set(pfn, (flags & LEVEL) | more);
    }
    if (new Set(tables.map(({ pfn }) => pfn)).size !== tables.length) {
      throw this.broken('snapshot.tables', tables.length, 'each table once');
    }
    for (const range of this.foreign.all) this.checkForeign(range);
    this.hasFoundTables = tables.some(({ found }) => found !== false);
    this.checkInvariants();
  }

  /** What leads nowhere sound, or to the root, is a pointer; what is on loan was compared with the owner's. */
  private checkForeign({ kind, level, vpn }: ForeignRange): void {
    const reached = this.seek(vpn, level);
    const pointer = this.isPointer(this.low, this.high, level);
    const root = this.shape.format.tablePfn(this.low, this.high) === this.rootPfn;
    if (
      reached === level &&
      pointer &&
      (kind !== 'recursive' || (level === this.shape.top && root))
    )
      return;
    const found = this.spell(this.low, this.high, reached);
    const expected = `${kind} entries; ${this.spellAddress(vpn)} has ${found}`;
    throw this.broken('snapshot.foreign', vpn, expected);
  }

  private restoreForeign(
    range: PageTableSnapshot['foreign'][number],
    owners: readonly SavedOperations[],
  ): readonly ForeignRange[] {
    const { kind, level, owner, pages, vpn } = range ?? {};
    const { format } = this.shape;
    const whole = this.shape.isPage(vpn) && format.levelPages[level] === pages && vpn % pages === 0;
    if (!whole || !['shared', 'recursive', 'unsound'].includes(kind)) {
      throw this.broken('snapshot.foreign', vpn, 'stretches below one entry');
    }
    if (kind !== 'shared') return [{ kind, vpn, pages, level }];
    const lender = owners.find((other) => other?.root === owner);
    if (lender === undefined) {
      const expected = `among owners, the page table whose root is ${owner}`;
      throw new VmError('bad-argument', { argument: 'owners', value: owner, expected });
    }
    this.borrowAgain(lender, vpn);
    return [];
  }
}
