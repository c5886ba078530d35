import { checkInteger, checkOptions, checkVersion, type OptionNames } from '../core/index.js';
import type { FlushScope } from './flush-scope.js';
import { checkScope } from './flush-scope.js';
import { Tlb } from './tlb.js';
import type { TlbSnapshot } from './tlb-snapshot.js';
import type { TlbPolicy } from './way-order.js';

/**
 * What a {@link TableEntryCache} is like.
 *
 * @public
 */
export interface TableEntryCacheOptions {
  /** Entries: 1 to 2^20. */
  readonly entries: number;
  /** Entries of a set. @defaultValue `entries` */
  readonly ways?: number;
  /** Which goes. @defaultValue LRU */
  readonly policy?: TlbPolicy;
}

const OPTIONS: OptionNames<TableEntryCacheOptions> = { entries: true, ways: true, policy: true };

/**
 * What {@link TableEntryCache.snapshot} returns.
 *
 * @public
 */
export interface TableEntryCacheSnapshot {
  /** The version of this shape. */
  readonly v: 1;
  /** The tag. */
  readonly type: 'table-entry-cache';
  /** The entries, each with the number `tablePfn * 65536 + index` for a page. */
  readonly cache: TlbSnapshot;
}

/** More entries than a table has. */
const ENTRIES_OF_A_TABLE = 2 ** 16;

/**
 * A page-walk cache that is searched by the physical addresses of table entries, as AMD's was described (Bhargava et al.,
 * "Accelerating two-dimensional page walks for virtualized systems", ASPLOS 2008; Barr, Cox and Rixner, "Translation
 * caching: skip, don't walk (the page table)", ISCA 2010): the walk still visits each level, and finds its entry here
 * instead of in memory. One cache serves all levels, and the tables of guest and host alike.
 *
 * @example
 * ```ts
 * import { TableEntryCache } from 'pagewright/tlb';
 *
 * const cache = new TableEntryCache({ entries: 24 });
 * cache.fill(0x1001, 5, 0x1002067, 0);
 * cache.find(0x1001, 5); // => true
 * cache.low; // => 0x1002067
 * cache.find(0x1001, 6); // => false
 * ```
 * @public
 */
export class TableEntryCache {
  /** After `find`: bits 31:0 of the entry. */
  low = 0;
  /** After `find`: bits 63:32. */
  high = 0;
  private cache: Tlb;

  /**
   * @param options - See {@link TableEntryCacheOptions}.
   * @throws `VmError` as the constructor of `Tlb`.
   */
  constructor(options: TableEntryCacheOptions) {
    checkOptions('', options, OPTIONS);
    this.cache = new Tlb({ ...options, orders: [0] });
  }

  /**
   * The cache of a snapshot.
   *
   * @param snapshot - What `snapshot` returned.
   * @param options - The options of the saved cache.
   * @returns A cache that answers as the saved one would have.
   * @throws `VmError` `unsupported` for another version, `bad-image` for what was tampered with.
   */
  static restore(
    snapshot: TableEntryCacheSnapshot,
    options: TableEntryCacheOptions,
  ): TableEntryCache {
    checkVersion(snapshot, 1, 'table-entry-cache');
    const restored = new TableEntryCache(options);
    restored.cache = Tlb.restore(snapshot.cache, { ...options, orders: [0] });
    return restored;
  }

  /**
   * Looks for an entry.
   *
   * @param tablePfn - The frame of its table, 0 to 2^36 - 1.
   * @param index - Its number there, 0 to 65535.
   * @returns Whether it is there; `low` and `high` have it then.
   */
  find(tablePfn: number, index: number): boolean {
    const own = index >= 0 && index < ENTRIES_OF_A_TABLE;
    const slot = own ? this.cache.find(tablePfn * ENTRIES_OF_A_TABLE + index) : -1;
    if (slot < 0) return false;
    this.low = this.cache.rightsAt(slot);
    this.high = this.cache.memoryTypeAt(slot);
    return true;
  }

  /**
   * Remembers an entry.
   *
   * @param tablePfn - The frame of its table, 0 to 2^36 - 1.
   * @param index - Its number there, 0 to 65535.
   * @param low - Bits 31:0, as an int32.
   * @param high - Bits 63:32.
   * @throws `VmError` for numbers that are none.
   */
  fill(tablePfn: number, index: number, low: number, high: number): void {
    checkInteger('tablePfn', tablePfn, 0, 2 ** 36 - 1);
    checkInteger('index', index, 0, ENTRIES_OF_A_TABLE - 1);
    this.cache.fill(tablePfn * ENTRIES_OF_A_TABLE + index, 0, low, 0, false, high);
  }

  /**
   * Drops everything: physical addresses do not tell for which pages, contexts or stages an entry was read.
   *
   * @param scope - What is in reach.
   * @returns How many entries were dropped.
   * @throws `VmError` for a scope that is none.
   */
  flush(scope: FlushScope): number {
    checkScope(scope);
    return this.cache.flush({ globals: true });
  }

  /**
   * Everything but the options.
   *
   * @returns Plain data, versioned.
   */
  snapshot(): TableEntryCacheSnapshot {
    return { v: 1, type: 'table-entry-cache', cache: this.cache.snapshot() };
  }

  /** Entries in use. */
  get used(): number {
    return this.cache.used;
  }

  /**
   * Verifies the cache.
   *
   * @throws An `Error` that names what does not hold.
   */
  checkInvariants(): void {
    this.cache.checkInvariants();
  }
}
