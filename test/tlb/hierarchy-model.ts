import type { TlbHierarchyOptions } from 'pagewright/tlb';

/** A translation as a walk finds it: `distance` is frame minus page, for all its pages. */
export interface ModelFill {
  readonly vpn: number;
  readonly order: number;
  readonly pageOrder: number;
  readonly distance: number;
  readonly rights: number;
  readonly global: boolean;
}

/** What is in an array. Its owner is an ASID, or all of them. */
export interface ModelEntry extends Omit<ModelFill, 'global' | 'vpn'> {
  readonly first: number;
  readonly owner: number | 'every';
}

/** An array: its entries, the least recently used first. */
export interface ModelArray {
  readonly room: number;
  readonly orders: readonly number[];
  /** Whether it may have a page in several sizes. */
  readonly overlaps: boolean;
  list: ModelEntry[];
}

export type ModelLevel = readonly ModelArray[];
export type Kind = 'fetch' | 'load' | 'store';
type Answer = readonly [level: number, answer: number | 'denied' | 'miss'];

const end = (entry: ModelEntry): number => entry.first + 2 ** entry.order;

/** Whether two entries have a page in common, of the same owner. */
export function meet(one: ModelEntry, other: ModelEntry): boolean {
  return one.owner === other.owner && one.first < end(other) && other.first < end(one);
}

/** Whether two entries are of the same pages and owner. */
export function isSame(one: ModelEntry, other: ModelEntry): boolean {
  return meet(one, other) && one.order === other.order;
}

/** Whether a level has all of an entry's pages in one, or in one that is larger by so many orders. */
function has(level: ModelLevel, entry: ModelEntry, more = 0): boolean {
  return level.some(({ list }) =>
    list.some((each) => meet(each, entry) && each.order >= entry.order + more),
  );
}

/** Whether an array that refuses overlaps has any of an entry's pages in another size. */
function overlaps(level: ModelLevel, entry: ModelEntry): boolean {
  return level.some((array) => {
    if (array.overlaps) return false;
    return array.list.some((each) => meet(each, entry) && each.order !== entry.order);
  });
}

/** The largest part of a page that a level takes, as an order; -1 for nothing. */
function taken(level: ModelLevel, order: number): number {
  return Math.max(-1, ...level.flatMap(({ orders }) => orders.filter((each) => each <= order)));
}

/** Whether a level would have taken more of what may have been filled where an entry now is. */
function mayTakeMore(
  level: ModelLevel,
  where: ModelLevel,
  { order, pageOrder }: ModelEntry,
): boolean {
  const all = Array.from({ length: pageOrder - order + 1 }, (_, more) => order + more);
  return all.some((size) => taken(where, size) === order && taken(level, size) > order);
}

/** A hierarchy of fully associative LRU arrays as plain lists. */
export class HierarchyModel {
  readonly first: Readonly<Record<Kind, ModelLevel>>;
  readonly below: Readonly<Record<Kind, ModelLevel>>;
  private readonly fills: TlbHierarchyOptions['fills'];

  constructor({ fetch, fills, load, second = [], secondFetch, store }: TlbHierarchyOptions) {
    const level = (arrays: TlbHierarchyOptions['load']): ModelLevel =>
      arrays.map(({ entries, orders = [], overlaps }) => {
        return { room: entries, orders, overlaps: overlaps === 'allow', list: [] };
      });
    const loads = level(load);
    const data = level(second);
    const fetchBelow = secondFetch === undefined ? data : level(secondFetch);
    this.first = { fetch: level(fetch), load: loads, store: store ? level(store) : loads };
    this.below = { fetch: fetchBelow, load: data, store: data };
    this.fills = fills;
  }

  /** Every array once. */
  get arrays(): ModelLevel {
    const { fetch, load, store } = this.first;
    return [...new Set([fetch, load, store, this.below.load, this.below.fetch].flat())];
  }

  lookup(asid: number, vpn: number, need: number, kind: Kind): Answer {
    const levels = [this.first[kind], this.below[kind]];
    for (const [index, level] of levels.entries()) {
      for (const array of level) {
        const [entry] = array.list
          .filter((each) => each.owner === asid || each.owner === 'every')
          .filter((each) => vpn >= each.first && vpn < end(each))
          .sort(
            (a, b) =>
              a.order - b.order || Number(a.owner === 'every') - Number(b.owner === 'every'),
          );
        if (entry === undefined) continue;
        array.list = [...array.list.filter((each) => each !== entry), entry];
        if (index === 1) this.promote(array, entry, vpn, kind);
        const allowed = (entry.rights & need) === need;
        return [index + 1, allowed ? vpn + entry.distance : 'denied'];
      }
    }
    return [0, 'miss'];
  }

  /** Whether a fill changes anything: it is refused where another size of the same pages is in an array that it may go to. */
  fill(asid: number, fill: ModelFill, kind: Kind): boolean {
    const [first, second] = [this.first[kind], this.below[kind]];
    const owner = fill.global ? 'every' : asid;
    const parts = [second, first].map((level) => this.part({ ...fill, owner }, fill.vpn, level));
    const refused = [second, first].some((level, index) => {
      const part = parts[index];
      return part && overlaps(level, part);
    });
    if (refused) return false;
    const [below, above] = parts;
    if (this.fills !== 'exclusive') {
      if (below && this.fills === 'inclusive') this.resize(below, second);
      if (below) this.put(below, second);
      if (above) this.put(above, first);
      return true;
    }
    if (above) {
      this.put(above, first);
      const page = below && below.order > above.order ? below : above;
      for (const array of second) drop(array, (each) => meet(each, page));
    }
    // The second level has it only where it takes more of it than any array above has.
    if (!below || (above && above.order >= below.order)) return true;
    if (!has(this.above(second), below)) this.put(below, second);
    return true;
  }

  /** Drops what came from a page, of anybody; or all that is an address space's own. */
  flush(reach: { readonly vpn: number } | { readonly asid: number }): number {
    const before = this.arrays.flatMap(({ list }) => list).length;
    for (const array of this.arrays) {
      drop(array, ({ first, owner, pageOrder }) => {
        if ('asid' in reach) return owner === reach.asid;
        return Math.floor(first / 2 ** pageOrder) === Math.floor(reach.vpn / 2 ** pageOrder);
      });
    }
    return before - this.arrays.flatMap(({ list }) => list).length;
  }

  /** First-level arrays of the kinds that share a second level. */
  private above(second: ModelLevel): ModelLevel {
    const kinds = (['fetch', 'load', 'store'] as const).filter(
      (kind) => this.below[kind] === second,
    );
    return [...new Set(kinds.flatMap((kind) => this.first[kind]))];
  }

  /** The part of an entry, around one of its pages, that a level takes. */
  private part(
    entry: Omit<ModelEntry, 'first'>,
    vpn: number,
    level: ModelLevel,
  ): ModelEntry | null {
    const { distance, owner, pageOrder, rights } = entry;
    const order = taken(level, entry.order);
    const first = vpn - (vpn % 2 ** order);
    return order < 0 ? null : { first, order, pageOrder, distance, rights, owner };
  }

  private put(entry: ModelEntry, level: ModelLevel): void {
    const array = level.find(({ orders }) => orders.includes(entry.order))!;
    drop(array, (each) => isSame(each, entry));
    if (array.list.length === array.room) this.evict(array.list[0]!, array);
    array.list.push(entry);
  }

  /** A page that has another size than was known goes from the level above. */
  private resize(entry: ModelEntry, second: ModelLevel): void {
    const known = second.flatMap(({ list }) => list).find((each) => isSame(each, entry));
    if (known === undefined || known.pageOrder === entry.pageOrder) return;
    for (const array of this.above(second)) drop(array, (each) => meet(each, entry));
  }

  private evict(entry: ModelEntry, array: ModelArray): void {
    for (const kind of ['fetch', 'load', 'store'] as const) {
      const [first, second] = [this.first[kind], this.below[kind]];
      if (this.fills === 'inclusive' && second.includes(array)) {
        for (const above of first) drop(above, (each) => meet(each, entry));
      }
    }
    drop(array, (each) => each === entry);
    const kind = (['fetch', 'load', 'store'] as const).find((each) =>
      this.first[each].includes(array),
    );
    if (this.fills === 'exclusive' && kind) this.demote(entry, kind);
  }

  private demote(entry: ModelEntry, kind: Kind): void {
    const second = this.below[kind];
    const part = this.part(entry, entry.first, second);
    if (part === null || mayTakeMore(second, this.first[kind], entry)) return;
    if (has(this.above(second), part) || has(second, entry, 1)) return;
    for (const array of second) drop(array, (each) => meet(each, entry));
    this.put(part, second);
  }

  private promote(from: ModelArray, entry: ModelEntry, vpn: number, kind: Kind): void {
    const [first, second] = [this.first[kind], this.below[kind]];
    const part = this.part(entry, vpn, first);
    if (part === null || mayTakeMore(first, second, entry)) return;
    if (overlaps(first, part)) return;
    // Where overlaps are allowed, what overlaps it goes with it.
    if (this.fills === 'exclusive' && part.order === entry.order) {
      drop(from, (each) => meet(each, entry));
    }
    this.put(part, first);
  }
}

function drop(array: ModelArray, which: (entry: ModelEntry) => boolean): void {
  array.list = array.list.filter((entry) => !which(entry));
}
