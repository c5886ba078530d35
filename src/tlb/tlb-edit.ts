import { checkInteger, PAGE_NUMBER_END, VmError } from '../core/index.js';
import { EMPTY, NO_SLOT } from './entry-store.js';
import { checkScope, type FlushScope } from './flush-scope.js';
import { type Geometry, MAX_ORDER } from './geometry.js';
import { TlbLookup } from './tlb-lookup.js';

/** Instead of a frame: the page is not mapped. */
export const NOT_MAPPED = -1;

/** The side of a TLB that changes: entries come and go. */
export abstract class TlbEdit extends TlbLookup {
  private readonly takenOrders: number;
  protected readonly refusesOverlaps: boolean;
  /** Is told of an entry that must make room, before it is gone. @internal */
  beforeEviction: ((slot: number) => void) | null = null;

  constructor(geometry: Geometry) {
    super(geometry);
    this.takenOrders = geometry.orders;
    this.refusesOverlaps = geometry.refusesOverlaps;
  }

  /**
   * Drops every entry in reach, among them whatever came from a page of which any part is in reach: a superpage goes whole,
   * and with it its fragments.
   *
   * @param scope - What is in reach; see {@link FlushScope}. The contexts of the TLB's own lookups do not matter.
   * @returns How many entries were dropped. O(ways x sizes) for a page, otherwise O(entries).
   * @throws `VmError` for a scope that is none.
   */
  flush(scope: FlushScope): number {
    const { end, first } = checkScope(scope);
    if (scope.caches?.translations === false || this.used === 0) return 0;
    let dropped = 0;
    if (end === Infinity || this.hashed || this.fragments > 0) {
      dropped = this.flushSlots(0, this.entries, scope, first, end);
    } else {
      for (let rest = this.orders; rest !== 0; rest &= rest - 1) {
        dropped += this.flushOrder(31 - Math.clz32(rest & -rest), scope, first, end);
      }
    }
    if (this.used === 0) this.setTwins(false);
    return dropped;
  }

  /** Forgets everything that was filled under a place. @internal */
  forgetContext(place: number): void {
    for (let slot = 0; slot < this.entries; slot++) {
      if (this.kinds[slot]! >> 5 === place) this.drop(slot);
    }
  }

  /** Drops the entries of a context that have any of some pages, and no other fragments of theirs. @internal */
  forgetPages(place: number, first: number, end: number): void {
    for (let slot = 0; slot < this.entries; slot++) {
      const tag = this.tags[slot]!;
      const kind = this.kinds[slot]!;
      if (kind >> 5 === place && tag < end && tag + (1 << (kind & 31)) > first) this.drop(slot);
    }
  }

  /** Whether entries of an order may be put in. @internal */
  takes(order: number): boolean {
    return (this.takenOrders & (1 << order)) !== 0;
  }

  /** The place of an entry's context, or that of global pages where it is global. @internal */
  contextOf(slot: number): number {
    return this.kinds[slot]! >> 5;
  }

  /**
   * What a walk found, in the case that programs are made of: true LRU, entries of one size and context, and nobody who has to
   * be told. One loop finds that the page is not there and whom it takes the place of; a fill through `put` costs three times
   * as much (measured: 200 ns to 65). Nothing is checked: it is for the MMU, which has its numbers from a walk.
   *
   * @returns Whether it was put in; otherwise nothing has happened.
   * @internal
   */
  refill(vpn: number, pfn: number, rights: number, order: number, memoryType: number): boolean {
    const { kinds, pageOrders, scannedWays, stampsOfHits: stamps, tags } = this;
    const quiet = this.beforeEviction === null && this.observer === null && this.fragments === 0;
    if (!quiet || stamps === null || scannedWays === 0) return false;
    if ((this.orders & ~(1 << order)) !== 0 || this.insertsAs >= 0) return false;
    const offset = vpn & ((1 << order) - 1);
    const tag = vpn - offset;
    const now = this.nextTime();
    if (now < 0) return false;
    let slot = Math.imul(this.setOf(tag, order), scannedWays);
    let victim = slot;
    let oldest = 0x7fffffff;
    for (let left = scannedWays; left > 0; left = (left - 1) | 0) {
      if (tags[slot] === tag) return false;
      const stamp = kinds[slot] === EMPTY ? -1 : stamps[slot]!;
      if (stamp < oldest) {
        oldest = stamp;
        victim = slot;
      }
      slot = (slot + 1) | 0;
    }
    if (oldest < 0) {
      this.used++;
      this.perOrder[order]!++;
      this.orders |= 1 << order;
    } else this.evictions++;
    const kind = this.kindOf(order, false);
    this.fills++;
    this.tags[victim] = tag;
    this.visible[victim] = this.isVisible(kind) ? tag : Number.NaN;
    kinds[victim] = kind;
    pageOrders[victim] = order;
    this.pfns[victim] = pfn - offset;
    this.rights[victim] = rights;
    this.memoryTypes[victim] = memoryType;
    this.stampAt(victim, now);
    return true;
  }

  /** Puts an entry in; the frame is checked. */
  protected put(
    vpn: number,
    pfn: number,
    rights: number,
    order: number,
    global: boolean,
    memoryType: number,
    pageOrder: number,
  ): number {
    this.checkEntry(vpn, rights, order, memoryType, pageOrder);
    this.checkFrame(vpn, pfn, order);
    const pages = 2 ** order;
    const offset = vpn & (pages - 1);
    const tag = vpn - offset;
    // With any offset added, what is not mapped stays negative; of a page alone it is the answer itself.
    const base = pfn === NOT_MAPPED ? -2 - pages : pfn - offset;
    const kind = this.kindOf(order, global);
    // Entries of one size do not overlap (measured: a twentieth of what a miss takes, where there are no others).
    const mixed = (this.orders & ~(1 << order)) !== 0;
    if (mixed && this.refusesOverlaps) this.refuseOverlap(tag, order, kind);
    const slot = this.enter(this.sameEntry(tag, kind), tag, kind, pageOrder);
    this.describe(slot, base, rights, memoryType);
    return slot;
  }

  /** The last part of an insertion: what the entry says. */
  protected describe(slot: number, base: number, rights: number, memoryType: number): void {
    this.pfns[slot] = base;
    this.rights[slot] = rights;
    this.memoryTypes[slot] = memoryType;
    this.tell('tlb-fill', slot, this.tags[slot]!);
  }

  /** Brings an entry in, or uses the one that is known; returns its slot. */
  protected enter(known: number, tag: number, kind: number, pageOrder: number): number {
    const set = this.setOf(tag, kind & 31);
    const slot = known >= 0 ? known : this.room(set, tag, kind);
    const now = this.tick();
    this.fills++;
    if (known >= 0) {
      this.wayOrder.hit(set, slot, now);
      this.changePageOrder(slot, pageOrder);
    } else {
      // Told before it is there: a policy of somebody else's may throw.
      this.wayOrder.filled(set, slot, now, tag, kind);
      this.place(slot, tag, kind, pageOrder);
    }
    return slot;
  }

  /** An empty slot of a set; somebody may have to go. */
  private room(set: number, tag: number, kind: number): number {
    const empty = this.emptySlot(set);
    if (empty >= 0) return empty;
    const first = set * this.ways;
    const slot = this.wayOrder.victim(set, tag, kind);
    checkInteger('victim', slot, first, first + this.ways - 1);
    this.evictions++;
    if (this.setCounts.length > 0) this.setCounts[3 * set + 2]!++;
    this.beforeEviction?.(slot);
    this.tell('tlb-evict', slot, this.tags[slot]!);
    this.vacate(slot);
    return slot;
  }

  /** The entry of the same page, size and kind; notes when another of this page and size is global, or this one is. */
  protected sameEntry(tag: number, kind: number): number {
    const order = kind & 31;
    let same = NO_SLOT;
    let at = this.firstOf(tag, order);
    for (const end = this.endOf(at); at !== end; at = this.nextOf(at)) {
      if (this.tags[at] !== tag || (this.kinds[at]! & 31) !== order) continue;
      if (this.kinds[at] === kind) same = at;
      else if (this.isGlobal(this.kinds[at]!) || this.isGlobal(kind)) this.setTwins(true);
    }
    return same;
  }

  /** The slot of an entry of the current context in just this size, or -1. @internal */
  slotFor(vpn: number, order: number, global: boolean): number {
    const context = this.kindOf(0, global);
    return this.slotOf(vpn, order, context, context);
  }

  /** The place of what is put in. @internal */
  placeFor(global: boolean): number {
    return this.kindOf(0, global) >> 5;
  }

  /** Whether an entry of the current context would be refused for what overlaps it. @internal */
  overlaps(vpn: number, order: number, global: boolean): boolean {
    const first = vpn - (vpn % 2 ** order);
    return this.refusesOverlaps && this.overlapping(first, order, this.kindOf(order, global)) >= 0;
  }

  /** The same, with the refusal. @internal */
  refuseOverlaps(vpn: number, order: number, global: boolean): void {
    const first = vpn - (vpn % 2 ** order);
    if (this.refusesOverlaps) this.refuseOverlap(first, order, this.kindOf(order, global));
  }

  /** As hardware raises a machine check, or an abort of its own, where a lookup would find two entries. */
  protected refuseOverlap(first: number, order: number, kind: number): void {
    const other = this.overlapping(first, order, kind);
    if (other < 0) return;
    const there = `2^${this.kinds[other]! & 31} pages from ${this.tags[other]}`;
    const expected = `no page of another entry of the context: there is one of ${there}`;
    throw new VmError('overlap', { argument: 'vpn', value: first, expected });
  }

  /** An entry of the same context and another order that has any of 2^order pages. */
  private overlapping(first: number, order: number, kind: number): number {
    const context = kind & ~31;
    for (let rest = this.orders & ~(1 << (kind & 31)); rest !== 0; rest &= rest - 1) {
      const other = 31 - Math.clz32(rest & -rest);
      const slot =
        other < order
          ? this.within(first, first + 2 ** order, context | other)
          : this.slotOf(first, other, context, context);
      if (slot >= 0) return slot;
    }
    return NO_SLOT;
  }

  /** An entry of a kind that begins among some pages. */
  private within(first: number, end: number, kind: number): number {
    return this.kinds.findIndex((other, slot) => {
      return other === kind && this.tags[slot]! >= first && this.tags[slot]! < end;
    });
  }

  private flushOrder(order: number, scope: FlushScope, first: number, end: number): number {
    const pages = 2 ** order;
    const from = first - (first % pages);
    if ((end - from) / pages >= this.sets) {
      return this.flushSlots(0, this.entries, scope, first, end);
    }
    let dropped = 0;
    for (let tag = from; tag < end; tag += pages) {
      const slot = this.setOf(tag, order) * this.ways;
      dropped += this.flushSlots(slot, slot + this.ways, scope, first, end);
    }
    return dropped;
  }

  private flushSlots(
    from: number,
    to: number,
    scope: FlushScope,
    first: number,
    end: number,
  ): number {
    let dropped = 0;
    for (let slot = from; slot < to; slot++) {
      const kind = this.kinds[slot]!;
      if (kind === EMPTY || !this.contexts.reaches(kind >> 5, scope)) continue;
      if (this.flushSlot(slot, first, end)) dropped++;
    }
    return dropped;
  }

  /** Drops an entry when its page has any of some pages; tells whether it had. */
  protected flushSlot(slot: number, first: number, end: number): boolean {
    const pages = 2 ** this.pageOrders[slot]!;
    const start = this.tags[slot]! - (this.tags[slot]! % pages);
    if (start >= end || start + pages <= first) return false;
    this.drop(slot);
    return true;
  }

  protected drop(slot: number): void {
    this.tell('tlb-flush', slot, this.tags[slot]!);
    this.vacate(slot);
    // Told when it is gone: a policy of somebody else's may throw, and what is flushed must not answer.
    this.wayOrder.removed(Math.floor(slot / this.ways), slot);
  }

  private isGlobal(kind: number): boolean {
    return this.contexts.isGlobal(kind >> 5);
  }

  protected checkEntry(
    vpn: number,
    rights: number,
    order: number,
    memoryType: number,
    pageOrder: number,
  ): void {
    if (!isPageNumber(vpn)) throw outOfRange('vpn', vpn, 'a page number, 0 to 2^52 - 1');
    checkInteger('order', order, 0, MAX_ORDER);
    if (!this.takes(order)) {
      throw outOfRange('order', order, 'a page size that this TLB takes');
    }
    checkInteger('pageOrder', pageOrder, order, MAX_ORDER);
    checkInteger('rights', rights, -(2 ** 31), 2 ** 31 - 1);
    checkInteger('memoryType', memoryType, -(2 ** 31), 2 ** 31 - 1);
  }

  /** The frame of an entry's first page is 0 or above. */
  protected checkFrame(vpn: number, pfn: number, order: number): void {
    const offset = vpn % 2 ** order;
    if (pfn >= offset || pfn === NOT_MAPPED) return;
    throw outOfRange('pfn', pfn, `${offset} or more, the number of the page in its superpage`);
  }
}

/** The refusal of a number. */
function outOfRange(argument: string, value: number, expected: string): VmError {
  return new VmError('out-of-range', { argument, value, expected });
}

/** Whether a number is a page or frame number. */
export function isPageNumber(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value < PAGE_NUMBER_END;
}
