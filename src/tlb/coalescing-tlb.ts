import { checkOptions, checkVersion, VmError } from '../core/index.js';
import { NO_SLOT } from './entry-store.js';
import { TLB_OPTIONS, type TlbOptions } from './geometry.js';
import { inContexts, Tlb } from './tlb.js';
import { NOT_MAPPED } from './tlb-edit.js';
import type { TlbEntry } from './tlb-entry.js';
import { damagedTlb, savedIn, type TlbSnapshot } from './tlb-snapshot.js';

/**
 * What a {@link CoalescingTlb} is like.
 *
 * @public
 */
export interface CoalescingTlbOptions extends TlbOptions {
  /** Base pages of the aligned group that one entry may hold: 2, 4, 8, 16 or 32. */
  readonly coalesce: number;
}

/**
 * An entry of a {@link CoalescingTlb}.
 *
 * @public
 */
export interface CoalescedEntry extends TlbEntry {
  /** A bit for each base page that it holds, the first page in bit 0; 0 for an entry that is no group. */
  readonly members: number;
}

/**
 * A TLB that holds neighbouring base pages in one entry where their frames follow each other and their rights and memory
 * types are equal: CoLT, coalesced large-reach TLBs (Pham, Vaidyanathan, Jaleel and Bhattacharjee, MICRO 2012). An entry
 * has a bit for each page of an aligned group, and a page joins it when it is inserted; a walker that sees a whole line of
 * entries inserts those as well. Sets are chosen by the group's number.
 *
 * Pages that the tables themselves mark as contiguous (NAPOT, the contiguous hint) need no coalescing: they are entries of
 * that order, in any TLB. One as large as a group and groups of its pages replace each other. A flush of a page takes it out
 * of its group, and leaves the others; a group that loses any page counts as dropped.
 *
 * @example
 * ```ts
 * import { CoalescingTlb, TlbAnswer } from 'pagewright/tlb';
 *
 * const tlb = new CoalescingTlb({ entries: 64, ways: 4, coalesce: 8 });
 * for (let page = 0; page < 8; page++) tlb.fill(0x100 + page, 0x900 + page, 1);
 * tlb.used; // => 1
 * tlb.lookup(0x105, 1); // => 0x905
 * tlb.flush({ vpn: 0x105, globals: true });
 * tlb.lookup(0x105, 1) === TlbAnswer.Miss; // => true
 * tlb.lookup(0x106, 1); // => 0x906
 * ```
 * @public
 */
export class CoalescingTlb extends Tlb {
  /** By slot, a bit for each page of a group; 0 for an entry that is none, such as one of NAPOT pages. */
  private readonly members: Uint32Array;

  /**
   * @param options - See {@link CoalescingTlbOptions}.
   * @throws `VmError` as `Tlb`, and for a group that is none.
   */
  constructor(options: CoalescingTlbOptions) {
    super(withoutCoalesce(options));
    this.baseOrder = Math.log2(options.coalesce);
    this.members = new Uint32Array(this.entries);
  }

  static override restore(snapshot: TlbSnapshot, options: CoalescingTlbOptions): CoalescingTlb {
    checkVersion(snapshot, 1, 'tlb');
    return inContexts(snapshot, options, (all) => new CoalescingTlb(all).load(snapshot));
  }

  override content(): readonly CoalescedEntry[] {
    return super.content().map((entry) => ({ ...entry, members: this.members[entry.slot]! }));
  }

  /** Every fill may join a group. @internal */
  override refill(): boolean {
    return false;
  }

  protected override put(
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
    const kind = this.kindOf(order === 0 ? this.baseOrder : order, global);
    if (this.refusesOverlaps) this.refuseOverlap(vpn - (vpn % 2 ** order), order, kind);
    const pages = 2 ** this.baseOrder;
    const offset = vpn & (pages - 1);
    if (order > 0) {
      if (order === this.baseOrder) this.dropGroups(vpn - offset, kind);
      const slot = super.put(vpn, pfn, rights, order, global, memoryType, pageOrder);
      this.members[slot] = 0;
      return slot;
    }
    // Below 0 where the group begins before frame 0 would; what is not mapped is further below.
    const base = pfn === NOT_MAPPED ? -2 - pages : pfn - offset;
    const joined = this.leaveAndJoin(vpn, kind, [base, rights, memoryType, pageOrder]);
    const known = joined >= 0 ? this.members[joined]! : 0;
    const slot = this.enter(joined, vpn - offset, kind, pageOrder);
    this.members[slot] = known | (1 << offset);
    this.describe(slot, base, rights, memoryType);
    return slot;
  }

  protected override holds(slot: number, offset: number): boolean {
    return !this.isGroup(slot) || ((this.members[slot]! >>> offset) & 1) !== 0;
  }

  protected override flushSlot(slot: number, first: number, end: number): boolean {
    if (!this.isGroup(slot)) return super.flushSlot(slot, first, end);
    // Members may be fragments of larger pages, which go whole.
    const page = 2 ** this.pageOrders[slot]!;
    const low = Math.max(Math.floor(first / page) * page - this.tags[slot]!, 0);
    const high = Math.min(Math.ceil(end / page) * page - this.tags[slot]!, 32);
    const flushed = low < high ? this.members[slot]! & (2 ** high - 2 ** low) : 0;
    if (flushed === 0) return false;
    this.removeMembers(slot, flushed);
    return true;
  }

  /** Groups have pages of the smallest size, and an entry of a group's order: overlaps are found page by page. */
  protected override refuseOverlap(first: number, order: number, kind: number): void {
    super.refuseOverlap(first, order, kind);
    const context = kind & ~31;
    for (let vpn = first; order <= this.baseOrder && vpn < first + 2 ** order; vpn++) {
      const slot = this.slotOf(vpn, this.baseOrder, context, context);
      if (slot < 0 || this.isGroup(slot) === (order === 0)) continue;
      const expected = `no page of another entry of the context: there is one for ${vpn}`;
      throw new VmError('overlap', { argument: 'vpn', value: first, expected });
    }
  }

  private isGroup(slot: number): boolean {
    return this.members[slot] !== 0;
  }

  protected override record(slot: number): readonly number[] {
    return [...super.record(slot), this.members[slot]!];
  }

  protected override loadRecord(record: readonly number[]): void {
    super.loadRecord(record);
    const order = record[2]! & 31;
    const most = order === this.baseOrder ? 2 ** (2 ** order) - 1 : 0;
    this.members[record[0]!] = savedIn('slots', record[7] ?? -1, 0, most);
    if (order === 0) throw damagedTlb('slots', record, 'base pages in groups');
  }

  override checkInvariants(): void {
    super.checkInvariants();
    const held = new Map<string, number>();
    for (const { members, slot } of this.content()) {
      const name = super.nameOf(slot);
      const known = held.get(name) ?? 0;
      if ((known & members) !== 0) throw new Error(`two groups hold a page of ${name}`);
      held.set(name, known | members);
    }
  }

  /** A group is made of base pages. */
  protected override smallestPage(order: number): number {
    return order === this.baseOrder ? 0 : order;
  }

  /** Of a group there may be several entries, with different members. */
  protected override nameOf(slot: number): string {
    const members = this.isGroup(slot) ? `, members ${this.members[slot]}` : '';
    return `${super.nameOf(slot)}${members}`;
  }

  /**
   * The group that a page joins, or `NO_SLOT`: one that says the same of its pages - frames, rights, memory type, size.
   * Another that holds the page loses it.
   */
  private leaveAndJoin(vpn: number, kind: number, says: readonly number[]): number {
    const offset = vpn & (2 ** this.baseOrder - 1);
    let joined = NO_SLOT;
    for (const slot of this.entriesOf(vpn - offset, kind)) {
      const [, , , ...said] = super.record(slot);
      if (!this.isGroup(slot)) this.drop(slot);
      else if (said.join() === says.join()) joined = slot;
      else if (this.holds(slot, offset)) this.removeMembers(slot, 1 << offset);
    }
    return joined;
  }

  private dropGroups(tag: number, kind: number): void {
    for (const slot of this.entriesOf(tag, kind)) if (this.isGroup(slot)) this.drop(slot);
  }

  /** Every entry of a kind that begins at a page: of one group there may be several. */
  private entriesOf(tag: number, kind: number): readonly number[] {
    this.sameEntry(tag, kind); // tells global entries apart
    const slots: number[] = [];
    let at = this.firstOf(tag, this.baseOrder);
    for (const end = this.endOf(at); at !== end; at = this.nextOf(at)) {
      if (this.tags[at] === tag && this.kinds[at] === kind) slots.push(at);
    }
    return slots;
  }

  private removeMembers(slot: number, members: number): void {
    const left = this.members[slot]! & ~members;
    if (left === 0) {
      this.drop(slot);
      return;
    }
    for (let rest = this.members[slot]! & members; rest !== 0; rest &= rest - 1) {
      this.tell('tlb-flush', slot, this.tags[slot]! + 31 - Math.clz32(rest & -rest), 0);
    }
    this.members[slot] = left;
  }

  protected override drop(slot: number): void {
    super.drop(slot);
    this.members[slot] = 0;
  }
}

/** The base class wants only its own options. */
function withoutCoalesce(options: CoalescingTlbOptions): TlbOptions {
  checkOptions('', options, { ...TLB_OPTIONS, coalesce: true });
  const { coalesce, ...others } = options;
  if ([2, 4, 8, 16, 32].includes(coalesce)) return others;
  const expected = 'a power of two, 2 to 32';
  throw new VmError('bad-argument', { argument: 'coalesce', value: coalesce, expected });
}
