import type { PteFormat } from '../pte/index.js';

/** The most levels that a format may have. */
export const MAX_LEVELS = 6;

/** A further place, for an entry that is read outside a walk. */
const PLACES: number = MAX_LEVELS + 1;

/**
 * What the last complete walk did, level by level, in preallocated arrays: the walk fills them as it goes, and
 * reports, observers and accessed/dirty updates read them afterwards.
 *
 * @public
 */
export class WalkPath {
  /** The format of the entries, or `null` when nothing was translated. */
  format: PteFormat | null = null;
  /** The root's level, or -1 when nothing was translated. */
  first = 0;
  /** By level: log2 of the pages that an entry maps. */
  readonly shift: Int32Array = new Int32Array(PLACES);
  /** By level: the greatest index. */
  readonly mask: Int32Array = new Int32Array(PLACES);
  /** The frame of the root table, or -1 when the roots are registers. */
  root = -1;
  /** The root table's first byte in that frame. */
  rootByte = 0;
  /** The last level read, or `first + 1` when none was. */
  last = 1;
  /** By level: the frame of the table, or -1 when the entry is a register (PAE PDPTEs). */
  readonly table: Float64Array = new Float64Array(PLACES);
  /** By level: the entry's number. */
  readonly index: Int32Array = new Int32Array(PLACES);
  /** By level: the byte of the entry, counted from the table's frame. */
  readonly byte: Float64Array = new Float64Array(PLACES);
  /** By level: the 4 KiB frame of memory that the entry was read from; under a second stage the host's. */
  readonly frame: Float64Array = new Float64Array(PLACES);
  /** By level: the byte of the entry in that frame. */
  readonly offset: Int32Array = new Int32Array(PLACES);
  /** By level: bits 31:0 of the entry as read. */
  readonly low: Int32Array = new Int32Array(PLACES);
  /** By level: bits 63:32 as read. */
  readonly high: Int32Array = new Int32Array(PLACES);
  /** By level: the accessed/dirty bits that the walk set (or would set, in a probe), in the low word. */
  readonly set: Int32Array = new Int32Array(PLACES);
  /** By level: the bits that it cleared (AArch64's read-only bit, when it stands for clean). */
  readonly cleared: Int32Array = new Int32Array(PLACES);

  private readonly pageShift: number;

  /** @param pageShift - log2 of the bytes of the pages that the walker counts in. */
  constructor(pageShift: number) {
    this.pageShift = pageShift;
  }

  /** Forgets the previous walk. */
  begin(format: PteFormat | null, rootLevel: number, root = -1, rootByte = 0): void {
    if (format !== this.format) this.useFormat(format);
    this.root = root;
    this.rootByte = rootByte;
    this.first = rootLevel;
    this.last = rootLevel + 1;
  }

  private useFormat(format: PteFormat | null): void {
    this.format = format;
    for (let level = 0; format !== null && level < format.levels; level++) {
      this.shift[level] = format.indexShift[level]! - this.pageShift;
      this.mask[level] = 2 ** format.indexBits[level]! - 1;
    }
  }

  /** Records an entry that was read. */
  enter(level: number, table: number, index: number, low: number, high: number): void {
    this.last = level;
    this.table[level] = table;
    this.index[level] = index;
    this.low[level] = low;
    this.high[level] = high;
    this.set[level] = 0;
    this.cleared[level] = 0;
  }
}
