import { type Address, checkInteger, VmError } from '../core/index.js';
import { type AddressLookup, type Lookup, LookupTrace } from './lookup.js';
import { cutAddress } from './paging-arithmetic.js';

/**
 * What an {@link InvertedTable} is made from.
 *
 * @public
 */
export interface InvertedTableOptions {
  /** Bytes in a page, 1 up. */
  readonly pageBytes: number;
  /** Frames of physical memory: entries in the table, 1 to 2^20. */
  readonly frames: number;
}

/**
 * One entry a frame, which says what process's page is there. A lookup searches the table from frame 0 on; the entry's
 * place is the frame (Silberschatz et al., Operating System Concepts, "Inverted Page Tables").
 *
 * @example
 * ```ts
 * import { InvertedTable } from 'pagewright/textbook';
 *
 * const table = new InvertedTable({ pageBytes: 4096, frames: 8 });
 * table.insert(7, 0x12, 3); // page 0x12 of process 7 in frame 3
 * table.process = 7;
 * const hit = table.lookup(0x12abc);
 * hit.kind === 'found' && hit.pa; // => 0x3abcn
 * hit.references; // => 4
 * ```
 * @public
 */
export class InvertedTable implements AddressLookup {
  /** The process for which `lookup` looks. */
  process = 0;
  /** Bytes in a page. */
  readonly pageBytes: number;
  /** Entries in the table. */
  readonly frames: number;
  private readonly entries: ({ readonly process: number; readonly page: number } | null)[];

  /** @param options - The shape of the table. */
  constructor(options: InvertedTableOptions) {
    this.pageBytes = checkInteger('pageBytes', options.pageBytes, 1, 2 ** 52);
    this.frames = checkInteger('frames', options.frames, 1, 2 ** 20);
    this.entries = Array.from({ length: this.frames }, () => null);
  }

  /**
   * Puts a page into a frame, instead of what was there.
   *
   * @param process - Whose page.
   * @param page - Its number.
   * @param frame - The frame.
   * @throws `VmError` for numbers out of range, or `overlap` when the page is in another frame already.
   */
  insert(process: number, page: number, frame: number): void {
    checkInteger('process', process, 0, Number.MAX_SAFE_INTEGER);
    checkInteger('page', page, 0, Number.MAX_SAFE_INTEGER);
    checkInteger('frame', frame, 0, this.frames - 1);
    const elsewhere = this.entries.findIndex(
      (entry, at) => at !== frame && entry?.process === process && entry.page === page,
    );
    if (elsewhere >= 0) {
      const expected = `a page that is not in frame ${elsewhere}`;
      throw new VmError('overlap', { argument: 'page', value: page, expected });
    }
    this.entries[frame] = { process, page };
  }

  /**
   * Empties a frame.
   *
   * @param frame - The frame.
   * @throws `VmError` when there is no such frame.
   */
  remove(frame: number): void {
    this.entries[checkInteger('frame', frame, 0, this.frames - 1)] = null;
  }

  lookup(va: Address): Lookup {
    const { page, offset } = cutAddress('va', va, this.pageBytes);
    const trace = new LookupTrace();
    for (let frame = 0; frame < this.frames; frame++) {
      const entry = this.entries[frame];
      const matches = entry?.process === this.process && entry.page === page;
      if (!trace.read('compare entry', frame, matches)) continue;
      return trace.found(BigInt(frame) * BigInt(this.pageBytes) + BigInt(offset));
    }
    return trace.fault('not-present');
  }
}
