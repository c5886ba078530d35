import { checkInteger, PAGE_NUMBER_END } from '../core/index.js';
import { MAX_ORDER } from './geometry.js';
import { type FilledEntry, filled, type Tlb } from './tlb.js';
import { NOT_MAPPED } from './tlb-edit.js';
import type { TlbEntry, TlbFill } from './tlb-entry.js';

/** The arrays of a level that serve one kind of access. */
export type TlbLevel = readonly Tlb[];

/** The array of a level for a page of an order - the one that takes most of it - and the order of its entry there. */
export function takerOf(
  level: TlbLevel,
  order: number,
): { readonly tlb: Tlb; readonly order: number } | null {
  for (let taken = order; taken >= 0; taken--) {
    for (const tlb of level) if (tlb.takes(taken)) return { tlb, order: taken };
  }
  return null;
}

/** Refuses what is no entry, before anybody asks who takes it. */
export function checkFill(entry: TlbFill): FilledEntry {
  const all = filled(entry);
  checkInteger('vpn', all.vpn, 0, PAGE_NUMBER_END - 1);
  checkInteger('order', all.order, 0, MAX_ORDER);
  return all;
}

/** Refuses an entry that a level would refuse, or of which another of its arrays has pages in another size. */
export function checkInto(level: TlbLevel, entry: FilledEntry): void {
  const taker = takerOf(level, entry.order);
  if (taker === null) return;
  taker.tlb.checkPart(entry, taker.order);
  for (const array of level) array.refuseOverlaps(entry.vpn, taker.order, entry.global);
}

/** Whether a level would refuse an entry for what overlaps it. */
export function overlapsIn(level: TlbLevel, { global, order, vpn }: FilledEntry): boolean {
  const taker = takerOf(level, order);
  return taker !== null && level.some((array) => array.overlaps(vpn, taker.order, global));
}

/** Puts an entry into the array that takes its size, or a fragment into the one that takes most of it, if any does. */
export function insertInto(level: TlbLevel, entry: FilledEntry): void {
  const taker = takerOf(level, entry.order);
  taker?.tlb.insertPart(entry, taker.order);
}

/** How much of a page a level takes, as an order; -1 for nothing. */
export function takenOf(level: TlbLevel, order: number): number {
  return takerOf(level, order)?.order ?? -1;
}

/**
 * Whether a level may take more of a page than the entry of it in another level. Nobody knows whether the entry was filled
 * as a fragment or became one there: then its page is the largest of which that level takes no more.
 */
export function takesMore(level: TlbLevel, other: TlbLevel, entry: TlbEntry): boolean {
  const order = Math.log2(entry.pages);
  let most = order;
  while (2 ** most < entry.pageOfPages && takenOf(other, most + 1) === order) most++;
  return takenOf(level, most) > order;
}

/** Drops whatever has any of some pages, by id of its context. */
export function forget(
  level: TlbLevel,
  id: number,
  { pages, vpn }: Pick<TlbEntry, 'pages' | 'vpn'>,
): void {
  for (const array of level) array.forgetPages(id, vpn, vpn + pages);
}

/** A page whose size changes in a level goes from the one above, which would keep it when a flush finds it by its size. */
export function outdate(level: TlbLevel, entry: FilledEntry): void {
  const { global, order, pageOrder, vpn } = entry;
  const taker = takerOf(level, order);
  if (taker === null) return;
  const { tlb } = taker;
  const slot = tlb.slotFor(vpn, taker.order, global);
  if (slot >= 0 && tlb.entryAt(slot).pageOfPages !== 2 ** pageOrder) tlb.beforeEviction?.(slot);
}

/** What the first level gives up goes into the second, under the id that it had, instead of what is there of it. */
export function demote(id: number, entry: TlbEntry, first: TlbLevel, second: TlbLevel): void {
  const taker = takerOf(second, Math.log2(entry.pages));
  // A fragment adds nothing to a level that takes, or has, more of its page.
  if (taker === null || takesMore(second, first, entry)) return;
  const larger = -2 * entry.pages;
  if (second.some((array) => array.hasFor(id, entry.vpn, larger))) return;
  forget(second, id, entry);
  taker.tlb.insertFor(id, fillOf(entry, entry.vpn), taker.order);
}

/** An entry as it was put in, by one of its pages. */
export function fillOf(entry: TlbEntry, vpn: number): FilledEntry {
  const { global, memoryType, pageOfPages, pages, rights } = entry;
  const pfn = entry.pfn === null ? NOT_MAPPED : entry.pfn + (vpn - entry.vpn);
  const [order, pageOrder] = [Math.log2(pages), Math.log2(pageOfPages)];
  return { vpn, pfn, order, rights, global, memoryType, pageOrder };
}

/**
 * What is in a first-level array is in the second level, too; or it is not, where that is exclusive, in the same size: of a
 * page that is there may be fragments above.
 */
export function checkLevels(first: Tlb, second: TlbLevel, exclusive: boolean): void {
  for (const { pages, slot, vpn } of first.content()) {
    const order = Math.log2(pages);
    const id = first.contextOf(slot);
    // Of a page that the second level does not take, only fragments are there.
    if (!exclusive && takenOf(second, order) < order) continue;
    const below = second.some((each) => each.hasFor(id, vpn, exclusive ? pages : -pages));
    if (below !== exclusive) continue;
    const where = exclusive ? 'both levels' : 'the first level alone';
    throw new Error(`${pages} pages from ${vpn} are in ${where}`);
  }
}
