import type { TlbContexts } from './contexts.js';
import type { Geometry } from './geometry.js';
import { ListOrder } from './list-order.js';
import { StampOrder } from './stamp-order.js';
import { checkOrder, type WayOrder } from './way-order.js';

/** No slot. */
export const NO_SLOT = -1;

/** In `kinds`: the slot is empty. */
export const EMPTY = -1;

/** More ways than this are found through a hash table: measured, a scan of 16 is as fast, of 64 three times slower. */
const SCANNED_WAYS = 16;

/** Fibonacci hashing: the golden ratio in 32 bits (Knuth, The Art of Computer Programming 3, 6.4). */
const GOLDEN = 0x9e3779b1 | 0;

/** By size: how many pages of 2^size a page number counts, as a factor. */
const PER_PAGE: Float64Array = Float64Array.from({ length: 31 }, (_, order) => 2 ** -order);

/**
 * The entries as one array for each field. Slot `set * ways + way`:
 *
 * ```
 * tags     the first page of the entry, aligned to its size; -1 when empty
 * kinds    31            5 4        0      one compare tells context and order; -1 when empty
 *         [ context place |   order   ]    the size of the entry, 0 to 30
 * pfns     the frame of that first page; -3, which is the answer, when the page is not mapped
 * rights   what the caller said; all of them when the page is not mapped
 * ```
 *
 * Fields that stay as they are made are declared, and first written by the constructor: an initial value, even undefined,
 * would make V8 take them for fields that change, and load them anew at each lookup in a TLB that the calling code has as a
 * constant (measured: 1.4x; another tenth for what is tested in a hit).
 */
export abstract class EntryStore {
  /** Entries. */
  declare readonly entries: number;
  /** Entries of a set. */
  declare readonly ways: number;
  /** Sets. */
  declare readonly sets: number;
  /** The table whose places its entries carry. */
  declare readonly contexts: TlbContexts;
  declare protected readonly tags: Float64Array;
  /**
   * The same for base pages that answer in the current context, and NaN, which equals nothing, for all others: what the fast path compares, so
   * that it need not look at `kinds` (measured: a fifth of a lookup). A context switch writes it anew.
   */
  declare protected readonly visible: Float64Array;
  declare protected readonly kinds: Int32Array;
  declare protected readonly pfns: Float64Array;
  declare protected readonly rights: Int32Array;
  declare protected readonly memoryTypes: Int32Array;
  /** The order of the page that an entry came from, which may be larger than the entry. */
  declare protected readonly pageOrders: Uint8Array;
  declare protected readonly wayOrder: WayOrder;
  /** Sets - 1, where their number is a power of two. */
  declare protected readonly setMask: number;
  /** The order of the entries that hold base pages: that of groups, where neighbours are coalesced. */
  protected baseOrder = 0;
  /** Ways that the fast path scans: all of a set, or none where the set is found in another way. */
  declare protected readonly scannedWays: number;
  declare protected readonly hashed: boolean;
  declare private readonly hashShift: number;
  /** The first slot of each chain, in hashed TLBs. */
  declare protected readonly buckets: Int32Array;
  /** The next slot of the same chain. */
  declare protected readonly chain: Int32Array;
  /** Entries of each order. */
  protected readonly perOrder: Int32Array = new Int32Array(32);
  /** A bit for each order that has entries. */
  protected orders = 0;
  /** Entries that are less than the page that they came from. */
  protected fragments = 0;
  /** Entries in use. */
  used = 0;

  constructor({ contexts, entries, policy, sets, ways }: Geometry) {
    this.entries = entries;
    this.ways = ways;
    this.sets = sets;
    this.contexts = contexts;
    this.tags = new Float64Array(entries).fill(-1);
    this.visible = new Float64Array(entries).fill(Number.NaN);
    this.kinds = new Int32Array(entries).fill(EMPTY);
    this.pfns = new Float64Array(entries);
    this.rights = new Int32Array(entries);
    this.memoryTypes = new Int32Array(entries);
    this.pageOrders = new Uint8Array(entries);
    this.hashed = sets === 1 && ways > SCANNED_WAYS;
    const lru = this.hashed ? new ListOrder(ways) : new StampOrder(sets, ways);
    this.wayOrder = policy === null ? lru : checkOrder(policy(sets, ways), entries);
    const masked = (sets & (sets - 1)) === 0;
    this.setMask = masked ? sets - 1 : 0;
    this.scannedWays = this.hashed || !masked ? 0 : ways;
    const hashBits = this.hashed ? 32 - Math.clz32(2 * entries - 1) : 0;
    this.hashShift = 32 - hashBits;
    this.buckets = new Int32Array(this.hashed ? 2 ** hashBits : 0).fill(NO_SLOT);
    this.chain = new Int32Array(this.hashed ? entries : 0);
  }

  /** The set of a page: its number among pages of its order, modulo the sets. */
  protected setOf(tag: number, order: number): number {
    const page = tag * PER_PAGE[order]!;
    return this.setMask === this.sets - 1 ? page & this.setMask : page % this.sets;
  }

  /** Whether an entry of a kind answers in the fast path. */
  protected abstract isVisible(kind: number): boolean;

  /** The current context is another, or what is visible in it. */
  protected showEntries(): void {
    const { kinds, tags, visible } = this;
    for (let slot = 0; slot < kinds.length; slot++) {
      visible[slot] = this.isVisible(kinds[slot]!) ? tags[slot]! : Number.NaN;
    }
  }

  /** Whether an entry of the right tag has the page at an offset; where entries hold all of their pages, it does. */
  protected holds(_slot: number, _offset: number): boolean {
    return true;
  }

  /** The first slot of a set that is empty, or `NO_SLOT`. */
  protected emptySlot(set: number): number {
    if (this.used === this.entries) return NO_SLOT;
    for (let slot = set * this.ways, end = slot + this.ways; slot < end; slot++) {
      if (this.kinds[slot] === EMPTY) return slot;
    }
    return NO_SLOT;
  }

  /** Puts an entry into an empty slot. */
  protected place(slot: number, tag: number, kind: number, pageOrder: number): void {
    const order = kind & 31;
    this.tags[slot] = tag;
    this.kinds[slot] = kind;
    this.pageOrders[slot] = pageOrder;
    this.visible[slot] = this.isVisible(kind) ? tag : Number.NaN;
    this.used++;
    this.perOrder[order]!++;
    this.orders |= 1 << order;
    if (pageOrder > order) this.fragments++;
    if (!this.hashed) return;
    const bucket = this.bucketOf(tag, order);
    this.chain[slot] = this.buckets[bucket]!;
    this.buckets[bucket] = slot;
  }

  /** Empties a slot that is in use; what decides about victims is not told. */
  protected vacate(slot: number): void {
    const order = this.kinds[slot]! & 31;
    if (this.hashed) this.unchain(slot, this.bucketOf(this.tags[slot]!, order));
    this.tags[slot] = -1;
    this.visible[slot] = Number.NaN;
    this.kinds[slot] = EMPTY;
    this.used--;
    if (--this.perOrder[order]! === 0) this.orders &= ~(1 << order);
    if (this.pageOrders[slot]! > order) this.fragments--;
  }

  /** The slot at which the search for an entry begins: that of its set, or of its chain. */
  protected firstOf(tag: number, order: number): number {
    if (this.hashed) return this.buckets[this.bucketOf(tag, order)]!;
    return this.setOf(tag, order) * this.ways;
  }

  /** Where a search that began at `firstOf` ends. */
  protected endOf(first: number): number {
    return this.hashed ? NO_SLOT : first + this.ways;
  }

  /** The slot after one in a search. */
  protected nextOf(slot: number): number {
    return this.hashed ? this.chain[slot]! : slot + 1;
  }

  /** The page of an entry has another size than was known. */
  protected changePageOrder(slot: number, pageOrder: number): void {
    const order = this.kinds[slot]! & 31;
    const [before, now] = [this.pageOrders[slot]! > order, pageOrder > order];
    this.fragments += Number(now) - Number(before);
    this.pageOrders[slot] = pageOrder;
  }

  /** Verifies what is derived from the entries. */
  protected checkStore(): void {
    const used = [...this.kinds.keys()].filter((slot) => this.kinds[slot] !== EMPTY);
    const fragments = used.filter((slot) => this.pageOrders[slot]! > (this.kinds[slot]! & 31));
    const derived = [this.used, this.fragments, ...this.perOrder].join();
    const counts = Array.from({ length: 32 }, (_, order) => {
      return used.filter((slot) => (this.kinds[slot]! & 31) === order).length;
    });
    const counted = [used.length, fragments.length, ...counts].join();
    if (derived !== counted) throw new Error(`counts are ${derived}, not ${counted}`);
    for (const [order, count] of counts.entries()) {
      if ((((this.orders >>> order) & 1) === 1) !== count > 0) throw new Error(`order ${order}`);
    }
    for (const slot of used) this.checkSlot(slot);
  }

  private checkSlot(slot: number): void {
    const kind = this.kinds[slot]!;
    const tag = this.tags[slot]!;
    if (!this.contexts.knows(kind >> 5)) throw new Error(`slot ${slot} has context ${kind >> 5}`);
    if (tag % 2 ** (kind & 31) !== 0) throw new Error(`slot ${slot} begins at ${tag}`);
    let at = this.firstOf(tag, kind & 31);
    const end = this.endOf(at);
    for (let left = this.entries; at !== end && at !== slot && left > 0; left--)
      at = this.nextOf(at);
    if (at !== slot) throw new Error(`slot ${slot} is not where ${tag} is looked for`);
  }

  /** The low 32 bits of the page's number decide: those above are the same for nearly all of a program's pages. */
  protected bucketOf(tag: number, order: number): number {
    return Math.imul((tag * PER_PAGE[order]!) | 0, GOLDEN) >>> this.hashShift;
  }

  private unchain(slot: number, bucket: number): void {
    const { buckets, chain } = this;
    let before = buckets[bucket]!;
    if (before === slot) {
      buckets[bucket] = chain[slot]!;
      return;
    }
    while (chain[before] !== slot) before = chain[before]!;
    chain[before] = chain[slot]!;
  }
}
