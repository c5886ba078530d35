import { checkBoolean, checkOptions, type OptionNames, VmError } from '../core/index.js';
import { EMPTY } from './entry-store.js';
import { geometryOf, type TlbOptions } from './geometry.js';
import { isPageNumber, NOT_MAPPED, TlbEdit } from './tlb-edit.js';
import type { TlbEntry, TlbFill } from './tlb-entry.js';

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
    checkOptions('entry', entry, FILL);
    const { global = false, memoryType = 0, order = 0, pfn, rights = 0, vpn } = entry;
    checkBoolean('global', global);
    if (pfn === undefined) {
      return this.put(vpn, NOT_MAPPED, -1, order, global, memoryType, entry.pageOrder ?? order);
    }
    return this.fill(vpn, pfn, rights, order, global, memoryType, entry.pageOrder);
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
    if (!isPageNumber(pfn)) {
      const expected = 'a frame number, 0 to 2^52 - 1';
      throw new VmError('out-of-range', { argument: 'pfn', value: pfn, expected });
    }
    return this.put(vpn, pfn, rights, order, global, memoryType, pageOrder);
  }
  /**
   * What is in it.
   *
   * @returns Every entry as plain data, by slot. O(entries).
   */
  content(): readonly TlbEntry[] {
    const slots = [...this.kinds.keys()].filter((slot) => this.kinds[slot] !== EMPTY);
    return slots.map((slot) => this.entryAt(slot));
  }

  /** The entry in a slot that is in use. */
  protected entryAt(slot: number): TlbEntry {
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
