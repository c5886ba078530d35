import {
  type Address,
  checkInteger,
  checkOptions,
  checkVersion,
  type OptionNames,
  VmError,
} from '../core/index.js';
import { type AddressLookup, type Lookup, LookupTrace } from './lookup.js';
import { cutAddress } from './paging-arithmetic.js';
import { damaged, eachSaved } from './saved-list.js';

/**
 * What a {@link LinearTable} is made from.
 *
 * @public
 */
export interface LinearTableOptions {
  /** Bytes in a page: 1 to 2^52, also what is no power of two. */
  readonly pageBytes: number;
  /** Entries in the table: pages of the virtual address space, 1 to 2^53 - 1. */
  readonly pages: number;
}

/**
 * What {@link LinearTable.snapshot} returns.
 *
 * @public
 */
export interface LinearTableSnapshot extends LinearTableOptions {
  /** The version of this shape. */
  readonly v: 1;
  /** The tag. */
  readonly type: 'linear-table';
  /** What is mapped: page and frame, in the order of the pages. */
  readonly entries: readonly (readonly [page: number, frame: number])[];
}

const OPTIONS: OptionNames<LinearTableOptions> = { pageBytes: true, pages: true };

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

  /**
   * @param options - The shape of the table.
   * @throws `VmError` for sizes out of range, or no options.
   */
  constructor(options: LinearTableOptions) {
    checkOptions('', options, OPTIONS);
    this.pageBytes = checkInteger('pageBytes', options.pageBytes, 1, 2 ** 52);
    this.pages = checkInteger('pages', options.pages, 1, Number.MAX_SAFE_INTEGER);
  }

  /**
   * The table of a snapshot.
   *
   * @param snapshot - What `snapshot` returned.
   * @returns A table that answers as the saved one did.
   * @throws `VmError` `unsupported` for another version, `bad-image` for what was tampered with; otherwise as the
   * constructor and `map`.
   */
  static restore(snapshot: LinearTableSnapshot): LinearTable {
    checkVersion(snapshot, 1, 'linear-table');
    const { entries, pageBytes, pages } = snapshot;
    const table = new LinearTable({ pageBytes, pages });
    eachSaved('snapshot.entries', entries, 2, ([page, frame]) => {
      if (table.frames.has(page!)) throw damaged('snapshot.entries', page, 'each page once');
      table.map(page!, frame!);
    });
    return table;
  }

  /**
   * Everything; `LinearTable.restore` makes the same table of it.
   *
   * @returns Plain data, versioned. O(n log n) for n pages that are mapped.
   */
  snapshot(): LinearTableSnapshot {
    const { pageBytes, pages } = this;
    const entries = [...this.frames].sort(([a], [b]) => a - b);
    return { v: 1, type: 'linear-table', pageBytes, pages, entries };
  }

  /**
   * Verifies that only pages of the table are mapped, and to frames.
   *
   * @throws An `Error` that names the page that is not.
   */
  checkInvariants(): void {
    for (const [page, frame] of this.frames) {
      const good = Number.isSafeInteger(page) && page >= 0 && page < this.pages;
      if (!good || !Number.isSafeInteger(frame) || frame < 0) {
        throw new Error(`page ${page} is mapped to ${frame}`);
      }
    }
  }

  /**
   * Maps a page. O(1), as are `unmap` and `lookup`.
   *
   * @param page - The page number, below `pages`.
   * @param frame - The frame number, 0 to 2^53 - 1.
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
