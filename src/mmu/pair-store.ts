import { VmError } from '../core/index.js';

/** The tag of an entry that is not there: no address space has it. */
const NOBODY = -2;
/** The tag of an entry of every address space. */
const EVERYBODY = -1;

/**
 * The entries of a software-managed TLB, by index: each maps a pair of pages of one size, an even and an odd one, for one
 * address space or for all. What the pages allow is kept in the words that the guest wrote.
 *
 * @internal
 */
export class PairStore {
  /** How many. */
  readonly entries: number;
  /** The even page, in base pages. */
  readonly first: Float64Array;
  /** Base pages in each of the two pages. */
  readonly pages: Float64Array;
  /** Base pages in both. */
  readonly span: Float64Array;
  /** Whose: an ASID, `EVERYBODY` or `NOBODY`. */
  readonly tag: Int16Array;
  /** The ASID that was current when the entry was written, also where every address space has it. */
  readonly asid: Int16Array;
  /** The first frame of each page, the even one at `2 * index`. */
  readonly frame: Float64Array;
  /** The low word of each page's register. */
  readonly low: Int32Array;
  /** The high word. */
  readonly high: Int32Array;

  constructor(entries: number) {
    this.entries = entries;
    this.first = new Float64Array(entries);
    this.pages = new Float64Array(entries).fill(1);
    this.span = new Float64Array(entries).fill(2);
    this.tag = new Int16Array(entries).fill(NOBODY);
    this.asid = new Int16Array(entries);
    this.frame = new Float64Array(2 * entries);
    this.low = new Int32Array(2 * entries);
    this.high = new Int32Array(2 * entries);
  }

  /** Whether there is an entry. */
  isUsed(index: number): boolean {
    return this.tag[index] !== NOBODY;
  }

  /** Whether every address space has it. */
  isGlobal(index: number): boolean {
    return this.tag[index] === EVERYBODY;
  }

  /** Whether the entry answers for a page of an address space. */
  matches(index: number, vpn: number, asid: number): boolean {
    const tag = this.tag[index]!;
    if (tag !== asid && tag !== EVERYBODY) return false;
    const distance = vpn - this.first[index]!;
    return distance >= 0 && distance < this.span[index]!;
  }

  /** The first entry that answers, of those from one index on, every so many; -1 for none. */
  find(vpn: number, asid: number, from: number, to: number, stride: number): number {
    const { first, span, tag } = this;
    for (let index = from; index < to; index += stride) {
      const distance = vpn - first[index]!;
      if (distance < 0 || !(distance < span[index]!)) continue;
      const whose = tag[index]!;
      if (whose === asid || whose === EVERYBODY) return index;
    }
    return -1;
  }

  /** Where the half of an entry that has a page is. */
  half(index: number, vpn: number): number {
    return 2 * index + (vpn - this.first[index]! >= this.pages[index]! ? 1 : 0);
  }

  /** The frame of a page that the entry has, whose half is known. */
  frameOf(half: number, vpn: number): number {
    const index = half >> 1;
    const start = this.first[index]! + (half & 1) * this.pages[index]!;
    return this.frame[half]! + (vpn - start);
  }

  /** An entry, other than one, that would answer for a page for which a new one would too; -1 for none. O(entries). */
  conflict(first: number, pages: number, tag: number, except: number): number {
    for (let index = 0; index < this.entries; index++) {
      const other = this.tag[index]!;
      if (index === except || other === NOBODY) continue;
      if (other !== tag && other !== EVERYBODY && tag !== EVERYBODY) continue;
      const start = this.first[index]!;
      if (start < first + 2 * pages && first < start + this.span[index]!) return index;
    }
    return -1;
  }

  /** Writes who has which pages. The halves are written with `writeHalf`. */
  write(index: number, first: number, pages: number, asid: number, global: boolean): void {
    this.first[index] = first;
    this.pages[index] = pages;
    this.span[index] = 2 * pages;
    this.asid[index] = asid;
    this.tag[index] = tagOf(asid, global);
  }

  /** Writes one page of a pair: its frame, of which what lies below its size is not looked at, and its words. */
  writeHalf(half: number, frame: number, low: number, high: number): void {
    const pages = this.pages[half >> 1]!;
    this.frame[half] = Math.floor(frame / pages) * pages;
    this.low[half] = low;
    this.high[half] = high;
  }

  /** Takes an entry out. */
  clear(index: number): void {
    this.write(index, 0, 1, 0, false);
    this.writeHalf(2 * index, 0, 0, 0);
    this.writeHalf(2 * index + 1, 0, 0, 0);
    this.tag[index] = NOBODY;
  }

  /** The indexes of the entries that there are. */
  used(): readonly number[] {
    return [...this.tag.keys()].filter((index) => this.isUsed(index));
  }

  /** Whether the entry is of an ASID and of that alone. */
  isOf(index: number, asid: number): boolean {
    return this.tag[index] === asid;
  }

  /** Every entry as numbers: index, even page, pages, ASID, global, and the words of both halves. */
  save(): readonly (readonly number[])[] {
    const { asid, first, high, low, pages } = this;
    return this.used().map((index) => {
      const head = [index, first[index]!, pages[index]!, asid[index]!];
      const even = [low[2 * index]!, high[2 * index]!];
      const odd = [low[2 * index + 1]!, high[2 * index + 1]!];
      return [...head, Number(this.isGlobal(index)), ...even, ...odd];
    });
  }

  /**
   * Verifies that pairs are aligned, and that no two entries answer for one page.
   *
   * @throws An `Error` that names what does not hold.
   */
  checkInvariants(): void {
    for (const index of this.used()) {
      const first = this.first[index]!;
      const pages = this.pages[index]!;
      if (this.span[index] !== 2 * pages || first % (2 * pages) !== 0) {
        throw new Error(`entry ${index} is no pair of ${pages} pages from ${first}`);
      }
      const other = this.conflict(first, pages, this.tag[index]!, index);
      if (other >= 0) throw new Error(`entries ${index} and ${other} have a page in common`);
    }
  }
}

/** The tag of an entry. @internal */
export function tagOf(asid: number, global: boolean): number {
  return global ? EVERYBODY : asid;
}

/** An entry of a snapshot, as `PairStore.save` made it. @internal */
export interface SavedPair {
  readonly index: number;
  readonly first: number;
  readonly pages: number;
  readonly asid: number;
  readonly global: boolean;
  /** Low and high word of the even page, then of the odd one. */
  readonly words: readonly [number, number, number, number];
}

/**
 * Checks the entries of a snapshot as far as they can be without the rest of it.
 *
 * @param saved - What a caller gave, of any shape.
 * @param entries - How many there may be.
 * @param asids - How many ASIDs there are.
 * @param mostPages - The most base pages of a page.
 * @throws `VmError` `bad-image`.
 * @internal
 */
export function savedPairs(
  saved: unknown,
  entries: number,
  asids: number,
  mostPages: number,
): readonly SavedPair[] {
  if (!Array.isArray(saved)) throw damaged('slots', saved, 'an array');
  return Array.from(saved, (record: unknown) => {
    const numbers = savedNumbers('slots', record, 9);
    const [index, first, pages, asid, global] = numbers;
    savedIn('slots', index!, 0, entries - 1);
    savedIn('slots', pages!, 1, mostPages);
    savedIn('slots', first!, 0, 2 ** 52 - 2 * pages!);
    savedIn('slots', asid!, 0, asids - 1);
    savedIn('slots', global!, 0, 1);
    const [evenLow, evenHigh, oddLow, oddHigh] = numbers.slice(5);
    if (!Number.isInteger(Math.log2(pages!)) || first! % (2 * pages!) !== 0) {
      throw damaged('slots', record, 'a pair of pages that is aligned');
    }
    return {
      index: index!,
      first: first!,
      pages: pages!,
      asid: asid!,
      global: global === 1,
      words: [evenLow!, evenHigh!, oddLow!, oddHigh!],
    };
  });
}

/** The refusal of a snapshot. @internal */
export function damaged(part: string, value: unknown, expected: string): VmError {
  return new VmError('bad-image', { argument: `snapshot.${part}`, value, expected });
}

/** Integers of a snapshot. @internal */
export function savedNumbers(part: string, list: unknown, length: number): readonly number[] {
  const numbers: unknown[] = Array.isArray(list) ? Array.from(list) : [];
  const sound = numbers.filter((item): item is number => Number.isSafeInteger(item));
  if (!Array.isArray(list) || numbers.length !== length || sound.length !== length) {
    throw damaged(part, list, `${length} integers`);
  }
  return sound;
}

/** An integer of a snapshot within bounds. @internal */
export function savedIn(part: string, value: unknown, low: number, high: number): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= low && value <= high) {
    return value;
  }
  throw damaged(part, value, `an integer from ${low} to ${high}`);
}
