import {
  checkInteger,
  checkOptions,
  checkVersion,
  type OptionNames,
  PAGE_NUMBER_END,
} from '../core/index.js';
import type { FlushScope } from './flush-scope.js';
import { checkScope } from './flush-scope.js';
import { Tlb } from './tlb.js';
import { damagedTlb, type TlbSnapshot } from './tlb-snapshot.js';
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
  /**
   * Bits of an entry's number in its table, 1 to 16; tables are in frames below 2^(52 - indexBits). With 12 there are all
   * 4 KiB frames of a 52-bit physical address (AMD64 APM Vol. 2, 5.1 Page Translation Overview); tables of AArch64's 64 KiB
   * granules have 13 (Arm ARM, D8.2 Translation process). @defaultValue 12
   */
  readonly indexBits?: number;
}

const OPTIONS: OptionNames<TableEntryCacheOptions> = {
  entries: true,
  ways: true,
  policy: true,
  indexBits: true,
};

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
  /** Bits of an entry's number in its table. */
  readonly indexBits: number;
  /** The entries, each with the number `tablePfn * 2^indexBits + index` for a page. */
  readonly cache: TlbSnapshot;
}

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
  /** Entries that a table may have. */
  private readonly span: number;
  private cache: Tlb;

  /**
   * @param options - See {@link TableEntryCacheOptions}.
   * @throws `VmError` as the constructor of `Tlb`.
   */
  constructor(options: TableEntryCacheOptions) {
    checkOptions('', options, OPTIONS);
    const { indexBits = 12, ...others } = options;
    this.span = 2 ** checkInteger('indexBits', indexBits, 1, 16);
    this.cache = new Tlb({ ...others, orders: [0] });
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
    const { indexBits, ...others } = options;
    if (snapshot.indexBits !== Math.log2(restored.span)) {
      throw damagedTlb('indexBits', snapshot.indexBits, `those of the options, ${indexBits ?? 12}`);
    }
    restored.cache = Tlb.restore(snapshot.cache, { ...others, orders: [0] });
    return restored;
  }

  /**
   * Looks for an entry.
   *
   * @param tablePfn - The frame of its table, 0 to 2^(52 - indexBits) - 1.
   * @param index - Its number there, 0 to 2^indexBits - 1.
   * @returns Whether it is there; `low` and `high` have it then.
   */
  find(tablePfn: number, index: number): boolean {
    const own = index >= 0 && index < this.span && Number.isInteger(tablePfn);
    const slot = own ? this.cache.find(tablePfn * this.span + index) : -1;
    if (slot < 0) return false;
    this.low = this.cache.rightsAt(slot);
    this.high = this.cache.memoryTypeAt(slot);
    return true;
  }

  /**
   * Remembers an entry.
   *
   * @param tablePfn - The frame of its table, 0 to 2^(52 - indexBits) - 1.
   * @param index - Its number there, 0 to 2^indexBits - 1.
   * @param low - Bits 31:0, as an int32.
   * @param high - Bits 63:32.
   * @throws `VmError` for numbers that are none.
   */
  fill(tablePfn: number, index: number, low: number, high: number): void {
    checkInteger('tablePfn', tablePfn, 0, PAGE_NUMBER_END / this.span - 1);
    checkInteger('index', index, 0, this.span - 1);
    this.cache.fill(tablePfn * this.span + index, 0, low, 0, false, high);
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
    const indexBits = Math.log2(this.span);
    return { v: 1, type: 'table-entry-cache', indexBits, cache: this.cache.snapshot() };
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
