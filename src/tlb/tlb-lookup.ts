import { PAGE_NUMBER_END, type VmObserver } from '../core/index.js';
import { TlbAnswer } from './answer.js';
import { type ContextUser, placeOf } from './contexts.js';
import { EntryStore, NO_SLOT } from './entry-store.js';
import { bad, type Geometry } from './geometry.js';
import { StampOrder } from './stamp-order.js';
import type { TlbStatistics } from './tlb-statistics.js';

// Copied to constants of this module: what is imported is read anew at each use (measured).
const MISS = TlbAnswer.Miss;
const DENIED = TlbAnswer.Denied;
const NOT_PRESENT = TlbAnswer.NotPresent;

/** Stamps end here, and start again. */
export const CLOCK_END = 0x7fffffff;

/** Events of a TLB, without what they all have. */
type TlbEventType = 'tlb-evict' | 'tlb-fill' | 'tlb-flush' | 'tlb-hit' | 'tlb-miss';

/** The side of a TLB that is asked: contexts, lookups and counts. */
export abstract class TlbLookup extends EntryStore implements ContextUser {
  private contextId = -1;
  /** Kinds that answer: those of the context, and those of global pages of its root, both without an order. */
  private own = -1;
  private global = 0;
  /** A page has, or may have, a global entry beside one of a context: global entries are invisible to the fast path. */
  protected twins = false;
  /** Counts hits and fills, where a hit is a stamp; elsewhere it stands at its end, so that the fast path goes no further. */
  private clock = 0;
  /** Counts hits and fills where a hit is more than a stamp. */
  private told = 0;
  /** Which of the two counts. Declared as in entry-store.ts. */
  declare private readonly stamped: boolean;
  declare private readonly stamps: Int32Array;
  /** The stamps by which victims are chosen, where hits do nothing but stamp them and the oldest goes; otherwise `null`. */
  declare protected readonly stampsOfHits: Int32Array | null;
  /** What the clock had counted when it started again. */
  private earlier = 0;
  private misses = 0;
  protected fills = 0;
  protected evictions = 0;
  /** Hits, misses and evictions of each set; empty unless they are counted. */
  declare protected readonly setCounts: Float64Array;
  /** A page on its way into the slow path, and the answer on its way back: a number in a call is a number on the heap. */
  private readonly exchange: Float64Array = new Float64Array(2);
  /** The place under which entries are put in, whatever the current context; -1 for the current one. */
  protected insertsAs = -1;
  private watcher: VmObserver | null = null;
  private step = 0;

  constructor(geometry: Geometry) {
    super(geometry);
    this.setCounts = new Float64Array(geometry.countSets ? 3 * this.sets : 0);
    this.stamps = this.wayOrder.hitStamps;
    this.stamped = this.stamps.length > 0 && !geometry.countSets;
    const lru = this.wayOrder instanceof StampOrder && this.wayOrder.isLru;
    this.stampsOfHits = this.stamped && lru ? this.stamps : null;
    if (!this.stamped) this.clock = CLOCK_END - 1;
    this.switchTo(geometry.contexts.first);
    geometry.contexts.attach(this);
  }

  abstract forgetContext(place: number): void;

  /** The context of lookups and insertions: what `contexts.intern` returned. Setting it is a context switch, O(entries) unless it is the same. */
  get context(): number {
    return this.contextId;
  }

  set context(id: number) {
    if (id === this.contextId) return;
    this.contexts.use(id);
    this.switchTo(id);
  }

  /** The same for what is made or restored, which uses nothing. */
  protected switchTo(id: number): void {
    this.global = placeOf(this.contexts.globalOf(id)) << 5;
    this.own = placeOf(id) << 5;
    this.contextId = id;
    this.showEntries();
  }

  /** Receives an event for every hit, miss, fill, eviction and flushed entry, in the order that `VmEvent` describes; `null` for nobody. */
  get observer(): VmObserver | null {
    return this.watcher;
  }

  set observer(observer: VmObserver | null) {
    if (observer !== null && typeof observer !== 'function') {
      throw bad('observer', observer, 'a function or null');
    }
    this.watcher = observer;
    this.step = 0;
    this.showEntries();
  }

  /**
   * What was counted since the TLB was made.
   *
   * @returns Plain data. O(sets) where sets are counted.
   */
  statistics(): TlbStatistics {
    const { evictions, fills, misses, setCounts } = this;
    const hits = this.earlier + this.time - fills;
    if (setCounts.length === 0) return { hits, misses, fills, evictions };
    const sets = Array.from({ length: this.sets }, (_, set) => {
      const [inSet, missed, evicted] = setCounts.subarray(3 * set, 3 * set + 3);
      return { hits: inSet!, misses: missed!, evictions: evicted! };
    });
    return { hits, misses, fills, evictions, sets };
  }

  /**
   * Translates a page. Hot: numbers in, number out, no allocation.
   *
   * @param vpn - The page number, 0 to 2^52 - 1; of addresses with ignored tag bits, without the tag.
   * @param need - The rights that the access needs, all of them.
   * @returns The frame of this page, or a negative {@link TlbAnswer}. O(ways x page sizes in use), without the
   * ways where more than 16 are fully associative.
   */
  lookup(vpn: number, need: number): number {
    // The same loop as in `find`, so that a lookup in a hot loop is one function that V8 inlines (measured: 2x). It looks at
    // one entry before it counts (measured: 7 %), which is right where none is scanned, too: what is visible answers. A hit
    // that is more than a stamp returns by itself: where it joins the other again, V8 knows less than before (measured: a
    // fifth). Numbers stand here for CLOCK_END and Denied: bundlers make variables of a module's constants, a variable may
    // hold anything, and a frame that is returned beside it becomes an object (measured: 1.5x).
    let slot = Math.imul(vpn & this.setMask, this.scannedWays);
    let left = this.scannedWays;
    do {
      if (this.visible[slot] === vpn) {
        const now = (this.clock + 1) | 0;
        if (now >= 0x7fffffff) {
          this.hit(slot);
          return (this.rights[slot]! & need) === need ? this.pfns[slot]! : -2;
        }
        this.stamps[slot] = this.clock = now;
        return (this.rights[slot]! & need) === need ? this.pfns[slot]! : -2;
      }
      slot = (slot + 1) | 0;
      left = (left - 1) | 0;
    } while (left > 0);
    this.exchange[0] = vpn;
    this.search(need);
    return this.exchange[1]!;
  }

  /**
   * Finds the entry of a page, as a lookup does: its policy is told.
   *
   * @param vpn - The page number.
   * @returns Its slot, for `pfnAt`, `rightsAt` and `memoryTypeAt`; -1 for none.
   */
  find(vpn: number): number {
    let slot = Math.imul(vpn & this.setMask, this.scannedWays);
    let left = this.scannedWays;
    do {
      if (this.visible[slot] === vpn) {
        const now = (this.clock + 1) | 0;
        if (now >= 0x7fffffff) {
          this.hit(slot);
          return slot;
        }
        this.stamps[slot] = this.clock = now;
        return slot;
      }
      slot = (slot + 1) | 0;
      left = (left - 1) | 0;
    } while (left > 0);
    this.exchange[0] = vpn;
    return this.search(0);
  }

  /**
   * Looks whether there is an entry for a page, and changes nothing: no policy, no count.
   *
   * @param vpn - The page number.
   * @returns Its slot, or -1.
   */
  peek(vpn: number): number {
    for (let rest = isPage(vpn) ? this.orders : 0; rest !== 0; rest &= rest - 1) {
      const slot = this.slotOf(vpn, 31 - Math.clz32(rest & -rest), this.own, this.global);
      if (slot >= 0) return slot;
    }
    return NO_SLOT;
  }

  /**
   * The frame of a page in an entry that covers it.
   *
   * @param slot - What `find` returned.
   * @param vpn - The page.
   * @returns The frame, or {@link TlbAnswer}.NotPresent.
   */
  pfnAt(slot: number, vpn: number): number {
    const pfn = this.pfns[slot]! + (vpn - this.tags[slot]!);
    return pfn < 0 ? TlbAnswer.NotPresent : pfn;
  }

  /**
   * The rights of an entry.
   *
   * @param slot - What `find` returned.
   * @returns The bits with which it was inserted.
   */
  rightsAt(slot: number): number {
    return this.rights[slot]!;
  }

  /**
   * The memory type of an entry.
   *
   * @param slot - What `find` returned.
   * @returns The number with which it was inserted.
   */
  memoryTypeAt(slot: number): number {
    return this.memoryTypes[slot]!;
  }

  /**
   * The entry that answers for a page, of one order. One of the context itself comes before one that is global.
   *
   * @returns Its slot, or `NO_SLOT`.
   */
  protected slotOf(vpn: number, order: number, own: number, global: number): number {
    const offset = vpn & ((1 << order) - 1);
    const tag = vpn - offset;
    let found = NO_SLOT;
    let at = this.firstOf(tag, order);
    for (const end = this.endOf(at); at !== end; at = this.nextOf(at)) {
      if (this.tags[at] !== tag || !this.holds(at, offset)) continue;
      if (this.kinds[at] === (own | order)) return at;
      if (this.kinds[at] === (global | order)) found = at;
    }
    return found;
  }

  /**
   * Looks for the page in `exchange[0]` in every order, the smallest first, as `peek` does.
   *
   * All of it is one function on purpose. With more than 460 bytecodes V8 does not inline it into `lookup`, whose compiled
   * form would otherwise be so long that it is not inlined itself (measured: 2x for every lookup in a hot loop).
   *
   * @returns The slot, or `NO_SLOT`; the answer to a lookup is in `exchange[1]`.
   */
  private search(need: number): number {
    const { buckets, chain, exchange, hashed, kinds, tags, ways } = this;
    const vpn = exchange[0]!;
    // What is no page has no entry, and must not be looked for: NaN would never arrive at an end.
    for (let rest = isPage(vpn) ? this.orders : 0; rest !== 0; rest &= rest - 1) {
      const order = 31 - Math.clz32(rest & -rest);
      const offset = vpn & ((1 << order) - 1);
      const tag = vpn - offset;
      const own = this.own | order;
      const global = this.global | order;
      let found = NO_SLOT;
      let at = hashed ? buckets[this.bucketOf(tag, order)]! : this.setOf(tag, order) * ways;
      for (
        const end = hashed ? NO_SLOT : at + ways;
        at !== end;
        at = hashed ? chain[at]! : at + 1
      ) {
        if (tags[at] !== tag) continue;
        const kind = kinds[at]!;
        if ((kind !== own && kind !== global) || !this.holds(at, offset)) continue;
        found = at;
        if (kind === own) break;
      }
      if (found === NO_SLOT) continue;
      this.hit(found);
      const pfn = this.pfns[found]! + (vpn - tag);
      const answer = pfn < 0 ? NOT_PRESENT : pfn;
      exchange[1] = (this.rights[found]! & need) === need ? answer : DENIED;
      return found;
    }
    this.misses++;
    exchange[1] = MISS;
    if (this.setCounts.length > 0 && isPage(vpn)) {
      const first = vpn - (vpn & ((1 << this.baseOrder) - 1));
      this.setCounts[3 * this.setOf(first, this.baseOrder) + 1]!++;
    }
    if (this.watcher !== null) this.tell('tlb-miss', NO_SLOT, vpn);
    return NO_SLOT;
  }

  /** Everything that a hit may entail. */
  private hit(slot: number): void {
    const set = Math.floor(slot / this.ways);
    this.wayOrder.hit(set, slot, this.tick());
    if (this.setCounts.length > 0) this.setCounts[3 * set]!++;
    if (this.watcher !== null) this.tell('tlb-hit', slot, this.tags[slot]!);
  }

  /** The time that comes next while hits are stamps, or -1 when the clock has to start again first. */
  protected nextTime(): number {
    return this.clock + 1 < CLOCK_END - 1 ? this.clock + 1 : -1;
  }

  /** Stamps an entry with the time that came next. */
  protected stampAt(slot: number, now: number): void {
    this.clock = now;
    this.stamps[slot] = now;
  }

  /** The clock's next time; in the end it starts again. */
  protected tick(): number {
    if (this.time >= CLOCK_END - 1) {
      const restarted = this.wayOrder.restamp();
      this.earlier += this.time - restarted;
      this.time = restarted;
    }
    this.time = (this.time + 1) | 0;
    return this.time;
  }

  /** Hits and fills since the clock started, or started again. */
  private get time(): number {
    return this.stamped ? this.clock : this.told;
  }

  private set time(time: number) {
    if (this.stamped) this.clock = time;
    else this.told = time;
  }

  protected isVisible(kind: number): boolean {
    // Who observes hears of hits from the slow path.
    if (this.watcher !== null) return false;
    return kind === this.own || (kind === this.global && !this.twins);
  }

  /** Global entries must be told apart from others of the same page, or need not any more. */
  protected setTwins(twins: boolean): void {
    if (this.twins === twins) return;
    this.twins = twins;
    this.showEntries();
  }

  /** The kind of an entry that is put in. */
  protected kindOf(order: number, global: boolean): number {
    if (this.insertsAs >= 0) return (this.insertsAs << 5) | order;
    return (global ? this.global : this.own) | order;
  }

  /** Whether an entry of a context, or a global one of a root, has a page: by place, and a bit for each order. @internal */
  hasFor(place: number, vpn: number, orders: number): boolean {
    for (let rest = this.orders & orders; rest !== 0; rest &= rest - 1) {
      const order = 31 - Math.clz32(rest & -rest);
      if (this.slotOf(vpn, order, place << 5, place << 5) >= 0) return true;
    }
    return false;
  }

  /** An event, of all pages of the entry unless another order is given. */
  protected tell(
    type: TlbEventType,
    slot: number,
    vpn: number,
    order: number = slot < 0 ? 0 : this.kinds[slot]! & 31,
  ): void {
    this.watcher?.({ type, step: this.step++, slot, vpn, pages: 2 ** order });
  }

  /** Every number that is saved beside the entries. */
  protected get counts(): readonly number[] {
    return [this.time, this.earlier, this.misses, this.fills, this.evictions];
  }

  protected set counts(counts: readonly number[]) {
    const [clock, earlier, misses, fills, evictions] = counts;
    this.time = clock!;
    this.earlier = earlier!;
    this.misses = misses!;
    this.fills = fills!;
    this.evictions = evictions!;
  }
}

/** Whether a number is a page number: a search for a fraction, as for NaN, might never arrive at its end. */
function isPage(vpn: number): boolean {
  return Number.isInteger(vpn) && vpn >= 0 && vpn < PAGE_NUMBER_END;
}
