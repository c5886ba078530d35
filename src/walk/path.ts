/** The deepest radix tree here has five levels; one more leaves room for formats that start at level 5. */
const MAX_LEVELS = 6;

/**
 * What the last complete walk did, level by level, in preallocated arrays: the walk fills them as it goes, and
 * reports, observers and accessed/dirty updates read them afterwards.
 *
 * @internal
 */
export class WalkPath {
  /** The root's level, or -1 when nothing was translated. */
  first = 0;
  /** The last level read, or `first + 1` when none was. */
  last = 1;
  /** By level: the frame of the table, or -1 when the entry is a register (PAE PDPTEs). */
  readonly table: Float64Array = new Float64Array(MAX_LEVELS);
  /** By level: the entry's number. */
  readonly index: Int32Array = new Int32Array(MAX_LEVELS);
  /** By level: bits 31:0 of the entry as read. */
  readonly low: Int32Array = new Int32Array(MAX_LEVELS);
  /** By level: bits 63:32 as read. */
  readonly high: Int32Array = new Int32Array(MAX_LEVELS);
  /** By level: the accessed/dirty bits that the walk set (or would set, in a probe). */
  readonly set: Int32Array = new Int32Array(MAX_LEVELS);

  /** Forgets the previous walk. */
  begin(rootLevel: number): void {
    this.first = rootLevel;
    this.last = rootLevel + 1;
    // A loop: `fill` is a call into the runtime, 20 ns for six words (measured).
    for (let level = 0; level < MAX_LEVELS; level++) this.set[level] = 0;
  }

  /** Records an entry that was read. */
  enter(level: number, table: number, index: number, low: number, high: number): void {
    this.last = level;
    this.table[level] = table;
    this.index[level] = index;
    this.low[level] = low;
    this.high[level] = high;
  }
}
