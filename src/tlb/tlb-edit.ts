import { checkInteger, PAGE_NUMBER_END, VmError } from '../core/index.js';
import { EMPTY, GROUP, NO_SLOT } from './entry-store.js';
import { checkScope, type FlushScope } from './flush-scope.js';
import { type Geometry, MAX_ORDER } from './geometry.js';
import { TlbLookup } from './tlb-lookup.js';

/** Instead of a frame: the page is not mapped. */
export const NOT_MAPPED = -1;

/** The side of a TLB that changes: entries come and go. */
export abstract class TlbEdit extends TlbLookup {
  private readonly orders: number;
  private readonly refusesOverlaps: boolean;
  /** Is told of an entry that must make room, before it is gone. */
  beforeEviction: ((slot: number) => void) | null = null;

  constructor(geometry: Geometry) {
    super(geometry);
    this.orders = geometry.orders;
    this.refusesOverlaps = geometry.refusesOverlaps;
  }

  /**
   * Drops every entry in reach, among them whatever came from a page of which any part is in reach: a superpage goes whole,
   * and with it its fragments. Of a coalesced group the pages in reach go.
   *
   * @param scope - What is in reach; see {@link FlushScope}. The contexts of the TLB's own lookups do not matter.
   * @returns How many entries were dropped or, of groups, made smaller. O(ways x sizes) for a page, otherwise O(entries).
   * @throws `VmError` for a scope that is none.
   */
  flush(scope: FlushScope): number {
    const { end, first } = checkScope(scope);
    if (scope.caches?.translations === false || this.used === 0) return 0;
    const before = this.used;
    let changed = 0;
    if (end === Infinity || this.hashed || this.fragments > 0) {
      changed = this.flushSlots(0, this.entries, scope, first, end);
    } else {
      for (let rest = this.sizes; rest !== 0; rest &= rest - 1) {
        changed += this.flushSize(31 - Math.clz32(rest & -rest), scope, first, end);
      }
    }
    if (this.used === 0 && before > 0) this.joinGlobals();
    return changed;
  }

  /** Forgets everything that was filled under an id. @internal */
  forgetContext(id: number): void {
    for (let slot = 0; slot < this.entries; slot++) {
      if (this.kinds[slot]! >> 5 === id) this.drop(slot);
    }
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
    const size = order === 0 && this.group > 0 ? GROUP : order;
    const span = 2 ** this.orderOf(size);
    const offset = vpn & (span - 1);
    const tag = vpn - offset;
    // With any offset of the page added, what is not mapped stays negative; a page alone has the answer itself.
    const base = pfn === NOT_MAPPED ? -2 - span : pfn - offset;
    if (base < 0 && pfn >= 0 && size !== GROUP) {
      throw outOfRange('pfn', pfn, `${offset} or more, the number of the page in its superpage`);
    }
    const kind = this.kindOf(size, global);
    if (this.refusesOverlaps) this.refuseOverlap(size === GROUP ? vpn : tag, order, kind);
    const known =
      size === GROUP
        ? this.groupOf(vpn, kind, base, rights, memoryType)
        : this.sameEntry(tag, kind);
    const slot = this.enter(known, tag, kind, pageOrder);
    if (size === GROUP) this.members[slot] = this.members[slot]! | (1 << offset);
    this.pfns[slot] = base;
    this.rights[slot] = rights;
    this.memoryTypes[slot] = memoryType;
    this.tell('tlb-fill', slot, tag);
    return slot;
  }

  /** Brings an entry in, or uses the one that is known; returns its slot. */
  private enter(known: number, tag: number, kind: number, pageOrder: number): number {
    const set = this.setOf(tag, this.orderOf(kind & 31));
    const now = this.tick();
    this.fills++;
    if (known >= 0) {
      this.recency.hit(set, known, now);
      this.changePageOrder(known, pageOrder);
      return known;
    }
    const slot = this.room(set, tag);
    this.place(slot, tag, kind, pageOrder);
    this.recency.filled(set, slot, tag, now);
    return slot;
  }

  /** An empty slot of a set; somebody may have to go. */
  private room(set: number, tag: number): number {
    const empty = this.emptySlot(set);
    if (empty >= 0) return empty;
    const slot = this.recency.victim(set, tag);
    this.evictions++;
    if (this.setCounts.length > 0) this.setCounts[3 * set + 2]!++;
    this.beforeEviction?.(slot);
    this.tell('tlb-evict', slot, this.tags[slot]!);
    this.vacate(slot);
    return slot;
  }

  /** The entry of the same page, size and kind; notes when another of this page and size is global, or this one is. */
  private sameEntry(tag: number, kind: number): number {
    const size = kind & 31;
    let same = NO_SLOT;
    for (let at = this.firstOf(tag, size), end = this.endOf(at); at !== end; at = this.nextOf(at)) {
      if (this.tags[at] !== tag || (this.kinds[at]! & 31) !== size) continue;
      if (this.kinds[at] === kind) same = at;
      else if (this.isGlobal(this.kinds[at]!) || this.isGlobal(kind)) this.separateGlobals();
    }
    return same;
  }

  /** The group that a page joins; another that holds the page, with another frame or other rights, loses it. */
  private groupOf(
    vpn: number,
    kind: number,
    base: number,
    rights: number,
    memoryType: number,
  ): number {
    const holder = this.slotOf(vpn, GROUP, kind - GROUP, kind - GROUP);
    const tag = vpn - (vpn & (2 ** this.group - 1));
    let joined = NO_SLOT;
    for (let at = this.firstOf(tag, this.group), end = this.endOf(at); at !== end; ) {
      const fits =
        this.pfns[at] === base && this.rights[at] === rights && this.memoryTypes[at] === memoryType;
      if (this.tags[at] === tag && this.kinds[at] === kind && fits) joined = at;
      at = this.nextOf(at);
    }
    if (holder >= 0 && holder !== joined) this.shrink(holder, vpn, vpn + 1);
    return joined;
  }

  /** As hardware raises a machine check, or an abort of its own, where a lookup would find two entries. */
  private refuseOverlap(first: number, order: number, kind: number): void {
    const other = this.overlapping(first, order, kind);
    if (other < 0) return;
    const there = `2^${this.orderOf(this.kinds[other]! & 31)} pages from ${this.tags[other]}`;
    const expected = `no page of another entry of the context: there is one of ${there}`;
    throw new VmError('overlap', { argument: 'vpn', value: first, expected });
  }

  /** An entry of the same context and another size that covers any of 2^order pages. */
  private overlapping(first: number, order: number, kind: number): number {
    const size = kind & 31;
    const context = kind - size;
    for (let rest = this.sizes & ~(1 << size); rest !== 0; rest &= rest - 1) {
      const other = 31 - Math.clz32(rest & -rest);
      if (other === GROUP || other < order) return this.smaller(first, first + 2 ** order, kind);
      const slot = this.slotOf(first, other, context, context);
      if (slot >= 0) return slot;
    }
    return NO_SLOT;
  }

  private smaller(first: number, end: number, kind: number): number {
    return this.kinds.findIndex((other, slot) => {
      return (other ^ kind) >>> 5 === 0 && other !== kind && this.covers(slot, first, end);
    });
  }

  /** Whether an entry covers any of some pages. */
  private covers(slot: number, first: number, end: number): boolean {
    const tag = this.tags[slot]!;
    const size = this.kinds[slot]! & 31;
    if (tag >= end || tag + 2 ** this.orderOf(size) <= first) return false;
    return size !== GROUP || (this.members[slot]! & memberMask(tag, first, end)) !== 0;
  }

  private flushSize(size: number, scope: FlushScope, first: number, end: number): number {
    const order = this.orderOf(size);
    const span = 2 ** order;
    const from = first - (first % span);
    if ((end - from) / span >= this.sets) {
      return this.flushSlots(0, this.entries, scope, first, end);
    }
    let changed = 0;
    for (let tag = from; tag < end; tag += span) {
      const slot = this.setOf(tag, order) * this.ways;
      changed += this.flushSlots(slot, slot + this.ways, scope, first, end);
    }
    return changed;
  }

  private flushSlots(
    from: number,
    to: number,
    scope: FlushScope,
    first: number,
    end: number,
  ): number {
    let changed = 0;
    for (let slot = from; slot < to; slot++) {
      const kind = this.kinds[slot]!;
      if (kind === EMPTY || !this.contexts.reaches(kind >> 5, scope)) continue;
      if ((kind & 31) === GROUP) {
        if (!this.covers(slot, first, end)) continue;
        this.shrink(slot, first, end);
      } else {
        const page = 2 ** this.pageOrders[slot]!;
        const start = this.tags[slot]! - (this.tags[slot]! % page);
        if (start >= end || start + page <= first) continue;
        this.drop(slot);
      }
      changed++;
    }
    return changed;
  }

  /** A group loses some pages; without any left, it goes. */
  private shrink(slot: number, first: number, end: number): void {
    const left = this.members[slot]! & ~memberMask(this.tags[slot]!, first, end);
    if (left === 0) this.drop(slot);
    else this.members[slot] = left;
  }

  private drop(slot: number): void {
    this.recency.removed(Math.floor(slot / this.ways), slot);
    this.tell('tlb-flush', slot, this.tags[slot]!);
    this.vacate(slot);
  }

  private isGlobal(kind: number): boolean {
    return this.contexts.isGlobal(kind >> 5);
  }

  private checkEntry(
    vpn: number,
    rights: number,
    order: number,
    memoryType: number,
    pageOrder: number,
  ): void {
    if (!isPageNumber(vpn)) throw outOfRange('vpn', vpn, 'a page number, 0 to 2^52 - 1');
    checkInteger('order', order, 0, MAX_ORDER);
    if ((this.orders & (1 << order)) === 0) {
      throw outOfRange('order', order, 'a page size that this TLB takes');
    }
    checkInteger('pageOrder', pageOrder, order, MAX_ORDER);
    checkInteger('rights', rights, -(2 ** 31), 2 ** 31 - 1);
    checkInteger('memoryType', memoryType, -(2 ** 31), 2 ** 31 - 1);
  }
}

/** Bits of those members of a group that are among some pages. */
function memberMask(tag: number, first: number, end: number): number {
  const low = Math.max(first - tag, 0);
  const high = Math.min(end - tag, 32);
  return (2 ** high - 2 ** low) | 0;
}

/** The refusal of a number. */
function outOfRange(argument: string, value: number, expected: string): VmError {
  return new VmError('out-of-range', { argument, value, expected });
}

/** Whether a number is a page or frame number. */
export function isPageNumber(value: number): boolean {
  return Math.floor(value) === value && value >= 0 && value < PAGE_NUMBER_END;
}
