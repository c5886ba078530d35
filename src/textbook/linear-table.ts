import { type Address, checkInteger, VmError } from '../core/index.js';
import { type AddressLookup, type Lookup, LookupTrace } from './lookup.js';
import { cutAddress } from './paging-arithmetic.js';

/**
 * What a {@link LinearTable} is made from.
 *
 * @public
 */
export interface LinearTableOptions {
  /** Bytes in a page, 1 up. */
  readonly pageBytes: number;
  /** Entries in the table: pages of the virtual address space. */
  readonly pages: number;
}

/**
 * The first page table of every book: an array of frame numbers, one entry for each page, one memory reference for each
 * lookup. The pages may have any size. For one that lies in simulated memory as bits, see `linearFormat` and
 * `FormatWalker`.
 *
 * @example
 * ```ts
 * import { LinearTable } from 'pagewright/textbook';
 *
 * const table = new LinearTable({ pageBytes: 4, pages: 4 });
 * [5, 6, 1, 2].forEach((frame, page) => table.map(page, frame));
 * const hit = table.lookup(13);
 * hit.kind === 'found' && hit.pa; // => 9n
 * hit.references; // => 1
 * ```
 * @public
 */
export class LinearTable implements AddressLookup {
  /** Bytes in a page. */
  readonly pageBytes: number;
  /** Entries in the table. */
  readonly pages: number;
  private readonly frames = new Map<number, number>();

  /** @param options - The shape of the table. */
  constructor(options: LinearTableOptions) {
    this.pageBytes = checkInteger('pageBytes', options.pageBytes, 1, 2 ** 52);
    this.pages = checkInteger('pages', options.pages, 1, Number.MAX_SAFE_INTEGER);
  }

  /**
   * Maps a page.
   *
   * @param page - The page number.
   * @param frame - The frame number.
   * @throws `VmError` for a page that the table does not have, or no frame number.
   */
  map(page: number, frame: number): void {
    checkInteger('page', page, 0, this.pages - 1);
    this.frames.set(page, checkInteger('frame', frame, 0, Number.MAX_SAFE_INTEGER));
  }

  /**
   * Unmaps a page.
   *
   * @param page - The page number.
   * @throws `VmError` `bad-argument` when it is not mapped.
   */
  unmap(page: number): void {
    if (this.frames.delete(page)) return;
    const expected = 'a page that is mapped';
    throw new VmError('bad-argument', { argument: 'page', value: page, expected });
  }

  lookup(va: Address): Lookup {
    const { page, offset } = cutAddress('va', va, this.pageBytes);
    const trace = new LookupTrace();
    if (!trace.check('compare with table size', this.pages, page < this.pages)) {
      return trace.fault('limit');
    }
    const frame = this.frames.get(page);
    if (!trace.read('read entry', page, frame !== undefined) || frame === undefined) {
      return trace.fault('not-present');
    }
    return trace.found(BigInt(frame) * BigInt(this.pageBytes) + BigInt(offset));
  }
}
