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
 * What an {@link InvertedTable} is made from.
 *
 * @public
 */
export interface InvertedTableOptions {
  /** Bytes in a page: 1 to 2^52, also what is no power of two. */
  readonly pageBytes: number;
  /** Frames of physical memory: entries in the table, 1 to 2^20. */
  readonly frames: number;
}

/**
 * What {@link InvertedTable.snapshot} returns.
 *
 * @public
 */
export interface InvertedTableSnapshot extends InvertedTableOptions {
  /** The version of this shape. */
  readonly v: 1;
  /** The tag. */
  readonly type: 'inverted-table';
  /** The process for which `lookup` looks. */
  readonly process: number;
  /** What is where: process, page and frame, in the order of the frames. */
  readonly entries: readonly (readonly [process: number, page: number, frame: number])[];
}

const OPTIONS: OptionNames<InvertedTableOptions> = { pageBytes: true, frames: true };

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
  /** Bytes in a page. */
  readonly pageBytes: number;
  /** Entries in the table. */
  readonly frames: number;
  private readonly entries: ({ readonly process: number; readonly page: number } | null)[];
  private current = 0;

  /**
   * @param options - The shape of the table.
   * @throws `VmError` for sizes out of range, or no options.
   */
  constructor(options: InvertedTableOptions) {
    checkOptions('', options, OPTIONS);
    this.pageBytes = checkInteger('pageBytes', options.pageBytes, 1, 2 ** 52);
    this.frames = checkInteger('frames', options.frames, 1, 2 ** 20);
    this.entries = Array.from({ length: this.frames }, () => null);
  }

  /**
   * The table of a snapshot.
   *
   * @param snapshot - What `snapshot` returned.
   * @returns A table that answers as the saved one did.
   * @throws `VmError` `unsupported` for another version, `bad-image` for what was tampered with; otherwise as the
   * constructor and `insert`.
   */
  static restore(snapshot: InvertedTableSnapshot): InvertedTable {
    checkVersion(snapshot, 1, 'inverted-table');
    const { entries, frames, pageBytes, process } = snapshot;
    const table = new InvertedTable({ pageBytes, frames });
    table.process = process;
    eachSaved('snapshot.entries', entries, 3, ([owner, page, frame]) => {
      const taken = (table.entries[frame!] ?? null) !== null;
      if (taken) throw damaged('snapshot.entries', frame, 'each frame once');
      table.insert(owner!, page!, frame!);
    });
    return table;
  }

  /**
   * Everything; `InvertedTable.restore` makes the same table of it.
   *
   * @returns Plain data, versioned. O(frames).
   */
  snapshot(): InvertedTableSnapshot {
    const { frames, pageBytes, process } = this;
    const entries = this.entries.flatMap((entry, frame) =>
      entry === null ? [] : [[entry.process, entry.page, frame] as const],
    );
    return { v: 1, type: 'inverted-table', pageBytes, frames, process, entries };
  }

  /**
   * Verifies that no page of a process is in two frames.
   *
   * @throws An `Error` that names the page that is.
   */
  checkInvariants(): void {
    const seen = new Set<string>();
    for (const entry of this.entries) {
      if (entry === null) continue;
      const name = `page ${entry.page} of process ${entry.process}`;
      if (seen.has(name)) throw new Error(`${name} is in two frames`);
      seen.add(name);
    }
  }

  /** The process for which `lookup` looks: 0 to 2^53 - 1, at first 0; anything else is a `VmError`. */
  get process(): number {
    return this.current;
  }

  set process(process: number) {
    this.current = checkInteger('process', process, 0, Number.MAX_SAFE_INTEGER);
  }

  /**
   * Puts a page into a frame, instead of what was there. O(frames), as is `lookup`, which stops at the page.
   *
   * @param process - Whose page, 0 to 2^53 - 1.
   * @param page - Its number, 0 to 2^53 - 1.
   * @param frame - The frame, below `frames`.
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
      const matches = entry?.process === this.current && entry.page === page;
      if (!trace.read('compare entry', frame, matches)) continue;
      return trace.found(BigInt(frame) * BigInt(this.pageBytes) + BigInt(offset));
    }
    return trace.fault('not-present');
  }
}
