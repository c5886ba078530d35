import { type Address, checkInteger, VmError } from '../core/index.js';
import { type AddressLookup, type Lookup, LookupTrace } from './lookup.js';
import { cutAddress } from './paging-arithmetic.js';

/**
 * What a {@link HashedTable} is made from.
 *
 * @public
 */
export interface HashedTableOptions {
  /** Bytes in a page, 1 up. */
  readonly pageBytes: number;
  /** Chains, 1 to 2^20. */
  readonly buckets: number;
  /** The chain of a page; what it returns is taken modulo `buckets`. @defaultValue the page number */
  readonly hash?: (page: number) => number;
}

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

  /** @param options - The shape of the table. */
  constructor(options: HashedTableOptions) {
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
   * Maps a page, instead of what it was mapped to.
   *
   * @param page - The page number.
   * @param frame - The frame number.
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
