import {
  checkBoolean,
  checkOptions,
  checkVersion,
  type OptionNames,
  PAGE_NUMBER_END,
  VmError,
} from '../core/index.js';
import { TlbContexts, type TlbContextsSnapshot } from './contexts.js';
import { EMPTY } from './entry-store.js';
import { geometryOf, MAX_ORDER, type TlbOptions } from './geometry.js';
import { isPageNumber, NOT_MAPPED, TlbEdit } from './tlb-edit.js';
import type { TlbEntry, TlbFill } from './tlb-entry.js';
import { checkSnapshot, damagedTlb, savedIn, type TlbSnapshot } from './tlb-snapshot.js';

const FILL: OptionNames<TlbFill> = {
  vpn: true,
  pfn: true,
  order: true,
  rights: true,
  global: true,
  memoryType: true,
  pageOrder: true,
};

/**
 * A translation lookaside buffer: any number of sets and ways, pages of several sizes in one array, contexts, global
 * pages. It keeps rights and never verdicts: what an access needs is asked at each lookup, so a change
 * of privilege, SUM, MXR or a protection key takes effect without a flush.
 *
 * Where several entries answer for a page, which architectures leave unpredictable, the smallest page does, and among
 * those the entry of the context itself before a global one.
 *
 * @example
 * ```ts
 * import { Tlb, TlbAnswer } from 'pagewright/tlb';
 *
 * const Read = 1, Write = 2;
 * const tlb = new Tlb({ entries: 1536, ways: 12 });
 * tlb.insert({ vpn: 0x1234, pfn: 0x80, rights: Read });
 * tlb.insert({ vpn: 0x4e00, pfn: 0x600, order: 9, rights: Read | Write });
 * tlb.lookup(0x1234, Read); // => 0x80
 * tlb.lookup(0x1234, Write) === TlbAnswer.Denied; // => true
 * tlb.lookup(0x4e07, Write); // => 0x607
 * tlb.lookup(0x9999, Read) === TlbAnswer.Miss; // => true
 * tlb.flush({ vpn: 0x4eff, globals: true }); // => 1
 * tlb.used; // => 1
 * ```
 * @public
 */
export class Tlb extends TlbEdit {
  /**
   * @param options - See {@link TlbOptions}.
   * @throws `VmError` for entries, ways, sizes or a policy that no TLB has.
   */
  constructor(options: TlbOptions) {
    super(geometryOf(options));
  }

  /**
   * Puts an entry in, for the context, instead of one of the same page and size. O(ways); O(entries) for an entry that is
   * larger than others, unless overlaps are allowed.
   *
   * @param entry - See {@link TlbFill}.
   * @returns Its slot.
   * @throws `VmError` `bad-argument` and `out-of-range` for numbers that are none, `overlap` for an entry that overlaps one
   * of another size. Nothing has changed then.
   */
  insert(entry: TlbFill): number {
    const all = filled(entry);
    return this.insertPart(all, all.order);
  }

  /** Puts in what it takes of an entry. @internal */
  insertPart(entry: FilledEntry, order: number): number {
    const { global, memoryType, pageOrder, pfn, rights, vpn } = entry;
    return this.put(vpn, pfn, rights, order, global, memoryType, pageOrder);
  }

  /** Refuses what `insertPart` would refuse, but for overlaps. @internal */
  checkPart(entry: FilledEntry, order: number): void {
    const { memoryType, pageOrder, pfn, rights, vpn } = entry;
    this.checkEntry(vpn, rights, order, memoryType, pageOrder);
    this.checkFrame(vpn, pfn, order);
  }

  /** Puts an entry in under the place that another cache kept it under. @internal */
  insertFor(place: number, entry: FilledEntry, order: number): void {
    this.insertsAs = place;
    try {
      this.insertPart(entry, order);
    } finally {
      this.insertsAs = -1;
    }
  }

  /**
   * The same with numbers only, for hot loops.
   *
   * @param vpn - As in {@link TlbFill}, as are the others.
   * @param pfn - The frame of that page.
   * @param rights - What it allows.
   * @param order - The size of the entry.
   * @param global - Whether it belongs to every address space.
   * @param memoryType - The memory type.
   * @param pageOrder - The size of the page that it came from.
   * @returns Its slot.
   * @throws `VmError` as `insert`.
   */
  fill(
    vpn: number,
    pfn: number,
    rights: number,
    order = 0,
    global = false,
    memoryType = 0,
    pageOrder: number = order,
  ): number {
    checkFrameNumber(pfn);
    return this.put(vpn, pfn, rights, order, global, memoryType, pageOrder);
  }
  /**
   * What is in it.
   *
   * @returns Every entry as plain data, by slot. O(entries).
   */
  content(): readonly TlbEntry[] {
    return this.slotsInUse().map((slot) => this.entryAt(slot));
  }

  /**
   * Verifies that every entry is where it is looked for, that contexts are known, and that no context has two entries of
   * one page and size.
   *
   * @throws An `Error` that names what does not hold.
   */
  checkInvariants(): void {
    this.checkStore();
    for (const [slot, kind] of this.kinds.entries()) {
      const shown = this.isVisible(kind) ? this.tags[slot]! : Number.NaN;
      if (!Object.is(this.visible[slot], shown))
        throw new Error(`slot ${slot} shows ${this.visible[slot]}`);
    }
    const seen = new Set<string>();
    for (const slot of this.slotsInUse()) {
      const name = this.nameOf(slot);
      if (seen.has(name)) throw new Error(`there are two entries for ${name}`);
      seen.add(name);
    }
  }

  /**
   * Everything but the options; {@link Tlb.restore} makes the same TLB of it.
   *
   * @returns Plain data, versioned. O(entries).
   */
  snapshot(): TlbSnapshot {
    const { context, counts, entries, ways } = this;
    const contexts = this.contexts.snapshot();
    const slots = this.slotsInUse().map((slot) => this.record(slot));
    const setCounts = [...this.setCounts];
    const order = this.wayOrder.save();
    const head = { v: 1, type: 'tlb', entries, ways, context, contexts } as const;
    return { ...head, counts, setCounts, slots, order };
  }

  /**
   * The TLB of a snapshot.
   *
   * @param snapshot - What `snapshot` returned.
   * @param options - The options of the saved TLB; where it shared its contexts, the table of them restored.
   * @returns A TLB that answers as the saved one would have.
   * @throws `VmError` `unsupported` for another version, `bad-image` for another shape or what was tampered with.
   */
  static restore(snapshot: TlbSnapshot, options: TlbOptions): Tlb {
    checkVersion(snapshot, 1, 'tlb');
    return inContexts(snapshot, options, (all) => new Tlb(all).load(snapshot));
  }

  /** Takes over a snapshot, into a new TLB, which is of no use when it is bad. @internal */
  load(snapshot: TlbSnapshot): this {
    checkSnapshot(snapshot, this.entries, this.ways);
    if (snapshot.setCounts.length !== this.setCounts.length) {
      throw damagedTlb('setCounts', snapshot.setCounts, `${this.setCounts.length} integers`);
    }
    for (const record of snapshot.slots) this.loadRecord(record);
    this.setCounts.set(snapshot.setCounts);
    this.counts = snapshot.counts;
    this.wayOrder.load(snapshot.order, this.slotsInUse());
    try {
      this.switchTo(snapshot.context);
      this.checkInvariants();
    } catch (error) {
      throw damagedTlb('slots', snapshot.slots, `entries that hold together: ${String(error)}`);
    }
    return this;
  }

  protected record(slot: number): readonly number[] {
    const { kinds, memoryTypes, pageOrders, pfns, rights, tags } = this;
    const described = [pfns[slot]!, rights[slot]!, memoryTypes[slot]!, pageOrders[slot]!];
    return [slot, tags[slot]!, kinds[slot]!, ...described];
  }

  protected loadRecord(record: readonly number[]): void {
    const [slot, tag, kind, pfn, rights, memoryType, pageOrder] = record;
    savedIn('slots', slot!, 0, this.entries - 1);
    savedIn('slots', tag!, 0, PAGE_NUMBER_END - 1);
    savedIn('slots', kind!, 0, 2 ** 25 - 1);
    const order = kind! & 31;
    // Not mapped, a group that begins below frame 0, or a frame.
    savedIn('slots', pfn!, -(2 ** order) - 2, PAGE_NUMBER_END - 1);
    savedIn('slots', pageOrder!, this.smallestPage(order), MAX_ORDER);
    for (const word of [rights!, memoryType!]) savedIn('slots', word, -(2 ** 31), 2 ** 31 - 1);
    if (this.kinds[slot!] !== EMPTY || order > MAX_ORDER) {
      throw damagedTlb('slots', record, 'each slot once, with an order up to 30');
    }
    // Tells global entries apart where there are others of the same page: a snapshot could say otherwise.
    this.sameEntry(tag!, kind!);
    this.place(slot!, tag!, kind!, pageOrder!);
    this.pfns[slot!] = pfn!;
    this.rights[slot!] = rights!;
    this.memoryTypes[slot!] = memoryType!;
  }

  /** The smallest page that an entry of an order may have come from. */
  protected smallestPage(order: number): number {
    return order;
  }

  /** What there may be only one of. */
  protected nameOf(slot: number): string {
    const kind = this.kinds[slot]!;
    return `2^${kind & 31} pages from ${this.tags[slot]} in context ${kind >> 5}`;
  }

  private slotsInUse(): readonly number[] {
    return [...this.kinds.keys()].filter((slot) => this.kinds[slot] !== EMPTY);
  }

  /**
   * The entry in a slot.
   *
   * @param slot - What `find` or `insert` returned.
   * @returns Plain data.
   * @throws `VmError` for a slot that is empty.
   */
  entryAt(slot: number): TlbEntry {
    if (!(this.kinds[slot]! >= 0)) {
      const expected = 'a slot in use';
      throw new VmError('bad-argument', { argument: 'slot', value: slot, expected });
    }
    const kind = this.kinds[slot]!;
    const pfn = this.pfns[slot]!;
    const set = Math.floor(slot / this.ways);
    const pages = 2 ** (kind & 31);
    return {
      slot,
      set,
      way: slot - set * this.ways,
      vpn: this.tags[slot]!,
      pages,
      // A coalesced group may begin below frame 0, by less than it has pages.
      pfn: pfn < -pages ? null : pfn,
      rights: this.rights[slot]!,
      memoryType: this.memoryTypes[slot]!,
      global: this.contexts.isGlobal(kind >> 5),
      context: this.contexts.numbersOf(kind >> 5),
      pageOfPages: 2 ** this.pageOrders[slot]!,
    };
  }
}

function checkFrameNumber(pfn: number): void {
  if (isPageNumber(pfn)) return;
  const expected = 'a frame number, 0 to 2^52 - 1';
  throw new VmError('out-of-range', { argument: 'pfn', value: pfn, expected });
}

/** An entry with its defaults; of a page that is not mapped `pfn` is `NOT_MAPPED`. @internal */
export type FilledEntry = Required<TlbFill>;

/**
 * Fills in the defaults. A page that is not mapped allows everything, so that nothing else is answered.
 *
 * @internal
 */
export function filled(entry: TlbFill): FilledEntry {
  checkOptions('entry', entry, FILL);
  const { global = false, memoryType = 0, order = 0, pageOrder = order, rights = 0, vpn } = entry;
  const { pfn = NOT_MAPPED } = entry;
  checkBoolean('global', global);
  const mapped = entry.pfn !== undefined;
  if (mapped) checkFrameNumber(pfn);
  return { vpn, pfn, order, rights: mapped ? rights : -1, global, memoryType, pageOrder };
}

/**
 * Restores a cache: in its own contexts unless it shares some, of which none is interned for it, and which know nothing of
 * it when it is refused.
 *
 * @internal
 */
export function inContexts<Options extends { readonly contexts?: TlbContexts }, Made>(
  saved: { readonly context: number; readonly contexts: TlbContextsSnapshot },
  options: Options,
  make: (options: Options) => Made,
): Made {
  const contexts = options?.contexts ?? TlbContexts.restore(saved.contexts);
  const all = { ...options, contexts };
  // What is no table is refused by whoever is made.
  if (!(contexts instanceof TlbContexts)) return make(all);
  return contexts.beginIn(saved.context, () => make(all));
}
