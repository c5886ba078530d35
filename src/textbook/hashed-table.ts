import {
  type Address,
  checkInteger,
  checkList,
  checkOptions,
  checkVersion,
  type OptionNames,
  VmError,
} from '../core/index.js';
import { type AddressLookup, type Lookup, LookupTrace } from './lookup.js';
import { cutAddress } from './paging-arithmetic.js';
import { damaged, eachSaved } from './saved-list.js';

/**
 * What a {@link HashedTable} is made from.
 *
 * @public
 */
export interface HashedTableOptions {
  /** Bytes in a page: 1 to 2^52, also what is no power of two. */
  readonly pageBytes: number;
  /** Chains, 1 to 2^20. */
  readonly buckets: number;
  /**
   * The chain of a page: a non-negative integer, the same for the same page; it is taken modulo `buckets`.
   * @defaultValue the page number
   */
  readonly hash?: (page: number) => number;
}

/**
 * What {@link HashedTable.snapshot} returns.
 *
 * @public
 */
export interface HashedTableSnapshot extends Pick<HashedTableOptions, 'pageBytes' | 'buckets'> {
  /** The version of this shape. */
  readonly v: 1;
  /** The tag. */
  readonly type: 'hashed-table';
  /** The chains that are not empty: the bucket, and what is in its chain from the front on. */
  readonly chains: readonly {
    /** The bucket's number. */
    readonly bucket: number;
    /** Page and frame. */
    readonly links: readonly (readonly [page: number, frame: number])[];
  }[];
}

const OPTIONS: OptionNames<HashedTableOptions> = { pageBytes: true, buckets: true, hash: true };

/** One element of a chain. */
interface Link {
  readonly page: number;
  readonly frame: number;
}

/**
 * A hashed page table with chains: the bucket is one memory reference, every element of its chain that is looked at
 * another (Silberschatz et al., Operating System Concepts, "Hashed Page Tables"). New pages go to the front.
 *
 * @example
 * ```ts
 * import { HashedTable } from 'pagewright/textbook';
 *
 * const table = new HashedTable({ pageBytes: 4096, buckets: 16 });
 * table.insert(0x21, 7);
 * table.insert(0x31, 9); // the same chain, in front
 * const hit = table.lookup(0x21004);
 * hit.kind === 'found' && hit.pa; // => 0x7004n
 * hit.references; // => 3
 * ```
 * @public
 */
export class HashedTable implements AddressLookup {
  /** Bytes in a page. */
  readonly pageBytes: number;
  /** Chains. */
  readonly buckets: number;
  private readonly hash: (page: number) => number;
  private readonly chains: Link[][];

  /**
   * @param options - The shape of the table.
   * @throws `VmError` for sizes out of range, a hash that is no function, or no options.
   */
  constructor(options: HashedTableOptions) {
    checkOptions('', options, OPTIONS);
    const { hash = (page: number) => page } = options;
    this.pageBytes = checkInteger('pageBytes', options.pageBytes, 1, 2 ** 52);
    this.buckets = checkInteger('buckets', options.buckets, 1, 2 ** 20);
    if (typeof hash !== 'function') {
      throw new VmError('bad-argument', { argument: 'hash', value: hash, expected: 'a function' });
    }
    this.hash = hash;
    this.chains = Array.from({ length: this.buckets }, () => []);
  }

  /**
   * The table of a snapshot.
   *
   * @param snapshot - What `snapshot` returned.
   * @param options - The hash of the saved table, if it had one.
   * @returns A table that answers as the saved one did, with the same references.
   * @throws `VmError` `unsupported` for another version, `bad-image` for what was tampered with or another hash;
   * otherwise as the constructor and `insert`.
   */
  static restore(
    snapshot: HashedTableSnapshot,
    options: Pick<HashedTableOptions, 'hash'> = {},
  ): HashedTable {
    checkVersion(snapshot, 1, 'hashed-table');
    const { buckets, chains, pageBytes } = snapshot;
    const table = new HashedTable({ ...options, pageBytes, buckets });
    const seen = new Set<number>();
    checkList('snapshot.chains', chains);
    for (const chain of chains) {
      checkOptions('snapshot.chains', chain, { bucket: true, links: true });
      const { bucket, links } = chain;
      eachSaved('snapshot.chains.links', links, 2, ([page, frame]) => {
        if (seen.has(page!)) throw damaged('snapshot.chains', page, 'each page once');
        seen.add(page!);
        table.insert(page!, frame!);
        if (table.bucketOf(page!) !== bucket) {
          throw damaged('snapshot.chains', page, `a page that is hashed to bucket ${bucket}`);
        }
      });
    }
    // What was inserted first is at the end now.
    for (const chain of table.chains) chain.reverse();
    return table;
  }

  /**
   * Everything but the hash; `HashedTable.restore` makes the same table of it.
   *
   * @returns Plain data, versioned. O(buckets + pages).
   */
  snapshot(): HashedTableSnapshot {
    const { buckets, pageBytes } = this;
    const chains = this.chains.map((chain, bucket) => ({
      bucket,
      links: chain.map(({ frame, page }) => [page, frame] as const),
    }));
    const used = chains.filter(({ links }) => links.length > 0);
    return { v: 1, type: 'hashed-table', pageBytes, buckets, chains: used };
  }

  /**
   * Verifies that every page is in the chain that its hash names, and once.
   *
   * @throws An `Error` that names the page that is not.
   */
  checkInvariants(): void {
    for (const [bucket, chain] of this.chains.entries()) {
      const pages = chain.map(({ page }) => page);
      for (const page of pages) {
        if (this.bucketOf(page) !== bucket) throw new Error(`page ${page} is in chain ${bucket}`);
      }
      if (new Set(pages).size < pages.length) throw new Error(`chain ${bucket} has a page twice`);
    }
  }

  /**
   * Maps a page, instead of what it was mapped to, at the front of its chain. O(chain), as are `remove` and `lookup`.
   *
   * @param page - The page number, 0 to 2^53 - 1.
   * @param frame - The frame number, 0 to 2^53 - 1.
   * @throws `VmError` for numbers out of range, or a hash that is no non-negative integer.
   */
  insert(page: number, frame: number): void {
    checkInteger('page', page, 0, Number.MAX_SAFE_INTEGER);
    checkInteger('frame', frame, 0, Number.MAX_SAFE_INTEGER);
    const bucket = this.bucketOf(page);
    const others = this.chains[bucket]!.filter((link) => link.page !== page);
    this.chains[bucket] = [{ page, frame }, ...others];
  }

  /**
   * Unmaps a page.
   *
   * @param page - The page number.
   * @throws `VmError` `bad-argument` when it is not mapped.
   */
  remove(page: number): void {
    const bucket = this.bucketOf(checkInteger('page', page, 0, Number.MAX_SAFE_INTEGER));
    const others = this.chains[bucket]!.filter((link) => link.page !== page);
    if (others.length === this.chains[bucket]!.length) {
      const expected = 'a page that is mapped';
      throw new VmError('bad-argument', { argument: 'page', value: page, expected });
    }
    this.chains[bucket] = others;
  }

  lookup(va: Address): Lookup {
    const { page, offset } = cutAddress('va', va, this.pageBytes);
    const trace = new LookupTrace();
    if (!trace.checkPage(page)) return trace.fault('limit');
    const bucket = this.bucketOf(page);
    const chain = this.chains[bucket]!;
    if (!trace.read('read bucket', bucket, chain.length > 0)) return trace.fault('not-present');
    for (const link of chain) {
      if (!trace.read('compare element', link.page, link.page === page)) continue;
      return trace.found(BigInt(link.frame) * BigInt(this.pageBytes) + BigInt(offset));
    }
    return trace.fault('not-present');
  }

  private bucketOf(page: number): number {
    return checkInteger('hash', this.hash(page), 0, Number.MAX_SAFE_INTEGER) % this.buckets;
  }
}
