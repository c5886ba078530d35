/** Int32 words of an entry of the table: the low word of a page number, and 1 + its index, or 0. */
const WORDS = 2;
const FIRST_BITS = 6;
/** Entries that are looked at for a page; random pages need more once in many millions, pages made to collide always. */
const PROBES = 128;

/**
 * Numbers pages in the order in which they first come: 0, 1, 2 ... An open-addressing table in a typed array, a third of
 * whose entries or more are free. An entry's place is the top bits of its hash, so that the entries of a table that grows
 * are written in the order in which they are read. What is not found near its place is in a Map, so that pages made to
 * collide cost no more than a Map does.
 */
export class PageIndex {
  /** Pages that have come. */
  size = 0;
  private bits = FIRST_BITS;
  private table: Int32Array = new Int32Array(WORDS << FIRST_BITS);
  /** The high words, by index: most programs have none but 0, and then nobody reads them. */
  private highs: Int32Array = new Int32Array(1 << FIRST_BITS);
  private allLow = true;
  /** Pages that are too far from their place. */
  private readonly far: Map<number, number> = new Map();

  /**
   * The number of a page, which is given to it now if it has none.
   *
   * @param page - 0 to 2^53 - 1, not checked.
   */
  indexOf(page: number): number {
    const low = page | 0;
    const high = page > 0xffffffff ? (page * 2 ** -32) | 0 : 0;
    if (high !== 0) this.allLow = false;
    const { allLow, highs, table } = this;
    const end = table.length;
    let at = this.placeOf(low, high);
    for (let left = PROBES; left > 0; left--) {
      const found = table[at + 1]!;
      if (found === 0) return this.far.get(page) ?? this.add(at, low, high);
      if (table[at] === low && (allLow || highs[found - 1] === high)) return found - 1;
      at = (at + WORDS) | 0;
      if (at === end) at = 0;
    }
    return this.far.get(page) ?? this.addFar(page, high);
  }

  private addFar(page: number, high: number): number {
    const index = this.size++;
    this.far.set(page, index);
    this.highs[index] = high;
    if (this.size * 3 > this.table.length) this.grow();
    return index;
  }

  private add(at: number, low: number, high: number): number {
    const index = this.size++;
    this.table[at] = low;
    this.table[at + 1] = index + 1;
    this.highs[index] = high;
    if (this.size * 3 > this.table.length) this.grow();
    return index;
  }

  private grow(): void {
    const old = this.table;
    const { highs } = this;
    this.bits++;
    this.table = new Int32Array(old.length * 2);
    this.highs = new Int32Array(highs.length * 2);
    this.highs.set(highs);
    for (let entry = 0; entry < old.length; entry += WORDS) {
      const found = old[entry + 1]!;
      if (found > 0) this.move(old[entry]!, found);
    }
  }

  private move(low: number, found: number): void {
    const high = this.highs[found - 1]!;
    let at = this.placeOf(low, high);
    for (let left = PROBES; left > 0; left--) {
      if (this.table[at + 1] === 0) {
        this.table[at] = low;
        this.table[at + 1] = found;
        return;
      }
      at = (at + WORDS) % this.table.length;
    }
    this.far.set(high * 2 ** 32 + (low >>> 0), found - 1);
  }

  private placeOf(low: number, high: number): number {
    return (hash(low, high) >>> (32 - this.bits)) * WORDS;
  }
}

/** MurmurHash3's finalizer: pages that lie a power of two apart are spread as well as any. */
function hash(low: number, high: number): number {
  let word = low ^ Math.imul(high, 0x9e3779b1);
  word = Math.imul(word ^ (word >>> 16), 0x85ebca6b);
  word = Math.imul(word ^ (word >>> 13), 0xc2b2ae35);
  return word ^ (word >>> 16);
}
