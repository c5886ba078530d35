/** Int32 words of an entry of the table: the low word of a page number, and 1 + its index, or 0. */
const WORDS = 2;
const FIRST_BITS = 6;

/**
 * Numbers pages in the order in which they first come: 0, 1, 2 ... An open-addressing table in a typed array, a third of
 * whose entries or more are free. An entry's place is the top bits of its hash, so that the entries of a table that grows
 * are written in the order in which they are read.
 */
export class PageIndex {
  /** Pages that have come. */
  size = 0;
  private bits = FIRST_BITS;
  private table: Int32Array = new Int32Array(WORDS << FIRST_BITS);
  /** The high words, by index: most programs have none but 0, and then nobody reads them. */
  private highs: Int32Array = new Int32Array(1 << FIRST_BITS);
  private allLow = true;

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
    for (;;) {
      const found = table[at + 1]!;
      if (found === 0) return this.add(at, low, high);
      if (table[at] === low && (allLow || highs[found - 1] === high)) return found - 1;
      at = (at + WORDS) | 0;
      if (at === end) at = 0;
    }
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
    let at = this.placeOf(low, this.highs[found - 1]!);
    while (this.table[at + 1] !== 0) at = (at + WORDS) % this.table.length;
    this.table[at] = low;
    this.table[at + 1] = found;
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
