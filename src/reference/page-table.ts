import { Prot } from '../core/index.js';

/** A size of page. All numbers are base pages. */
export interface ReferencePageSize {
  readonly pages: number;
  /** What each entry maps of it: all of it, or a part where a group of entries maps it together. */
  readonly entry: number;
  /** The size of the pages that it is split into; its own where it can't be split. */
  readonly pieces: number;
  /** The end of the frames that its entries can name. */
  readonly frameEnd: number;
}

/** What the model has to be told of a format and a machine. */
export interface ReferencePageTableOptions {
  /** The sizes that the format has, smallest first. */
  readonly sizes: readonly ReferencePageSize[];
  /** Those that may be mapped. */
  readonly usable: readonly number[];
  /** The pages that are addresses: stretches from `first` to before `end`. */
  readonly spans: readonly { readonly first: number; readonly end: number }[];
  /** The rights that a leaf has when these are asked for: it can't withhold every one. */
  readonly granted: (prot: number) => number;
  /** What entries can remember. */
  readonly remembers: {
    readonly accessed: boolean;
    readonly dirty: boolean;
    readonly global: boolean;
  };
}

/** What a leaf says beside its frame. */
export interface ReferenceFlags {
  /** `Prot` bits. */
  readonly prot: number;
  readonly accessed: boolean;
  readonly dirty: boolean;
  readonly global: boolean;
  /** Whatever else, which only has to stay as it is. */
  readonly attributes: number;
}

/** A leaf: `pages` base pages from `vpn` on, in frames from `pfn` on. */
export interface ReferencePageLeaf extends ReferenceFlags {
  readonly vpn: number;
  readonly pages: number;
  readonly pfn: number;
}

/** An entry that is not present, and where its page went. */
export interface ReferenceSwap {
  readonly type: number;
  readonly offset: number;
}

/** Why an operation did nothing: it then changed nothing. */
export type ReferenceRefusal =
  | 'not-mapped'
  | 'not-present'
  | 'not-compatible'
  | 'out-of-range'
  | 'misaligned'
  | 'overlap';

/** A number as the operation says, or a refusal. `not-present` from `unmap` and `setSwap` is an answer. */
export type ReferenceOutcome = number | ReferenceRefusal;

/** A stretch of pages to map. */
export interface ReferenceMapRange {
  readonly vpn: number;
  readonly pfn: number;
  readonly pages: number;
  readonly flags: ReferenceFlags;
  /** The one size to map it in; otherwise the largest that fits, page by page. */
  readonly pageSize?: number;
}

/** Whether a page stays writable in both copies. */
type IsShared = (vpn: number, pages: number) => boolean;

/**
 * The obvious page table: a map from the first page of every leaf to the leaf, and one of pages that were swapped out. It
 * knows the sizes of pages as numbers, and nothing of tables, entries or bits; frames for tables never run out.
 *
 * A leaf stands in the map once, not once for each of its base pages, because there are leaves with 2^36 of those.
 */
export class ReferencePageTable {
  private readonly options: ReferencePageTableOptions;
  private leaves: Map<number, ReferencePageLeaf> = new Map();
  private readonly swapped: Map<number, ReferenceSwap> = new Map();

  constructor(options: ReferencePageTableOptions) {
    this.options = options;
  }

  /** The first pages of all leaves, in the order in which they were mapped. */
  get firstPages(): readonly number[] {
    return [...this.leaves.keys()];
  }

  /** All leaves, by address. */
  get leavesInOrder(): readonly ReferencePageLeaf[] {
    return [...this.leaves.values()].sort((a, b) => a.vpn - b.vpn);
  }

  /** All pages that were swapped out, by address. */
  get swappedInOrder(): readonly (readonly [vpn: number, entry: ReferenceSwap])[] {
    return [...this.swapped].sort(([a], [b]) => a - b);
  }

  /** The leaf that maps a page. */
  leafAt(vpn: number): ReferencePageLeaf | undefined {
    for (const { pages } of this.options.sizes) {
      const leaf = this.leaves.get(Math.floor(vpn / pages) * pages);
      if (leaf !== undefined && vpn < leaf.vpn + leaf.pages) return leaf;
    }
    return undefined;
  }

  swapAt(vpn: number): ReferenceSwap | null {
    return this.swapped.get(vpn) ?? null;
  }

  /** The frame of a page. */
  lookup(vpn: number): ReferenceOutcome {
    const refusal = this.refusePages(vpn, 1, 1);
    if (refusal !== null) return refusal;
    const leaf = this.leafAt(vpn);
    if (leaf !== undefined) return leaf.pfn + (vpn - leaf.vpn);
    return this.swapped.has(vpn) ? 'not-present' : 'not-mapped';
  }

  /** Maps a page of a size: 0. */
  map(vpn: number, pages: number, pfn: number, flags: ReferenceFlags): ReferenceOutcome {
    return this.mapRange({ vpn, pages, pfn, flags, pageSize: pages });
  }

  /** Gives the leaf of a page other frames, and other flags if told: the page's old frame. */
  remap(vpn: number, pfn: number, flags?: ReferenceFlags): ReferenceOutcome {
    const old = this.lookup(vpn);
    const leaf = this.leafAt(vpn);
    if (leaf === undefined) return old;
    const refusal = this.refuseFrames(pfn, leaf.pages, this.sizeOf(leaf.pages));
    if (refusal !== null) return refusal;
    this.put({ ...leaf, ...flags, pfn });
    return old;
  }

  /** Takes the leaf of a page away, or forgets that it was swapped out: the page's old frame. */
  unmap(vpn: number): ReferenceOutcome {
    const old = this.lookup(vpn);
    this.leaves.delete(this.leafAt(vpn)?.vpn ?? -1);
    this.swapped.delete(vpn);
    return old;
  }

  /** Changes the rights of the leaf of a page: the page's frame. */
  protect(vpn: number, prot: number): ReferenceOutcome {
    const leaf = this.leafAt(vpn);
    if (leaf !== undefined) this.put({ ...leaf, prot });
    return this.lookup(vpn);
  }

  /** Says whether the leaf of a page was used: whether it had been, 1 or 0. */
  setAccessed(vpn: number, accessed: boolean): ReferenceOutcome {
    return this.mark(vpn, 'accessed', accessed);
  }

  /** The same of writes. */
  setDirty(vpn: number, dirty: boolean): ReferenceOutcome {
    return this.mark(vpn, 'dirty', dirty);
  }

  /** Puts a swap entry in the place of a base page or of nothing: the page's old frame. */
  setSwap(vpn: number, entry: ReferenceSwap): ReferenceOutcome {
    const old = this.lookup(vpn);
    if (old === 'out-of-range') return old;
    const leaf = this.leafAt(vpn);
    if (leaf !== undefined && leaf.pages > 1) return 'not-compatible';
    this.leaves.delete(vpn);
    this.swapped.set(vpn, entry);
    return old;
  }

  /** Maps a page in the place of its swap entry: 0. */
  swapIn(vpn: number, pfn: number, flags: ReferenceFlags): ReferenceOutcome {
    const refusal = this.refuseFrames(pfn, 1, this.sizeOf(1));
    if (refusal !== null) return refusal;
    const old = this.lookup(vpn);
    if (typeof old === 'number') return 'overlap';
    if (old !== 'not-present') return old;
    this.swapped.delete(vpn);
    this.put({ vpn, pages: 1, pfn, ...flags });
    return 0;
  }

  /** Splits the leaf of a page into the next smaller ones: 0. */
  split(vpn: number): ReferenceOutcome {
    const frame = this.lookup(vpn);
    const leaf = this.leafAt(vpn);
    if (leaf === undefined) return frame;
    if (!this.canSplit(leaf)) return 'not-compatible';
    this.splitLeaf(leaf);
    return 0;
  }

  /** Makes one leaf of those that map its pages: 0. It was used, or written, when one of them was. */
  collapse(vpn: number, pages: number): ReferenceOutcome {
    const refusal = this.refusePages(vpn, pages, pages);
    if (refusal !== null) return refusal;
    const { entry, frameEnd, pieces } = this.sizeOf(pages);
    const parts = this.leavesIn(vpn, pages);
    const first = parts[0];
    if (pieces === pages || first === undefined) return 'not-compatible';
    if (first.vpn < vpn || first.pfn % pages !== 0) return 'not-compatible';
    // The pieces are the entries of one table; a group's entries may be a group already.
    const wanted = entry < pages ? entry : this.sizeOf(pieces).entry;
    const compatible = parts.every(
      (part) =>
        this.sizeOf(part.pages).entry === wanted &&
        part.pfn - part.vpn === first.pfn - vpn &&
        part.prot === first.prot &&
        part.global === first.global &&
        part.attributes === first.attributes,
    );
    const whole = parts.reduce((sum, part) => sum + part.pages, 0) === pages;
    if (!compatible || !whole || first.pfn + pages > frameEnd) return 'not-compatible';
    const accessed = parts.some((part) => part.accessed);
    const dirty = parts.some((part) => part.dirty);
    for (const part of parts) this.leaves.delete(part.vpn);
    this.put({ ...first, vpn, pages, accessed, dirty });
    return 0;
  }

  /** Maps a stretch: 0. */
  mapRange(range: ReferenceMapRange): ReferenceOutcome {
    const { flags, pages, pfn, vpn } = range;
    const smallest = this.sizeOf(range.pageSize ?? 1);
    const refusal =
      this.refusePages(vpn, pages, smallest.pages) ??
      this.refuseFrames(pfn, pages, smallest) ??
      (pages % smallest.pages === 0 ? null : 'misaligned') ??
      (this.isUnused(vpn, pages) ? null : 'overlap');
    if (refusal !== null) return refusal;
    for (let done = 0; done < pages; ) {
      const fits = (size: number): boolean => {
        const aligned = (vpn + done) % size === 0 && (pfn + done) % size === 0;
        const named = pfn + done + size <= this.sizeOf(size).frameEnd;
        return aligned && named && done + size <= pages;
      };
      const size = range.pageSize ?? this.options.usable.filter(fits).at(-1) ?? 1;
      this.put({ vpn: vpn + done, pages: size, pfn: pfn + done, ...flags });
      done += size;
    }
    return 0;
  }

  /** Unmaps a stretch, and forgets what was swapped out: how many base pages were mapped. */
  unmapRange(vpn: number, pages: number): ReferenceOutcome {
    const refusal = this.refusePages(vpn, pages, 1) ?? this.splitEdges(vpn, pages);
    if (refusal !== null) return refusal;
    const leaves = this.leavesIn(vpn, pages);
    for (const leaf of leaves) this.leaves.delete(leaf.vpn);
    for (const page of this.swappedIn(vpn, pages)) this.swapped.delete(page);
    return leaves.reduce((sum, leaf) => sum + leaf.pages, 0);
  }

  /** Changes the rights of all that a stretch maps: 0. */
  protectRange(vpn: number, pages: number, prot: number): ReferenceOutcome {
    const refusal = this.refusePages(vpn, pages, 1) ?? this.splitEdges(vpn, pages);
    if (refusal !== null) return refusal;
    for (const leaf of this.leavesIn(vpn, pages)) this.put({ ...leaf, prot });
    return 0;
  }

  /** A copy. With copy-on-write, both lose the right to write what is not shared. */
  clone(copyOnWrite: boolean, isShared: IsShared = () => false): ReferencePageTable {
    if (copyOnWrite) {
      for (const leaf of this.leaves.values()) {
        if (isShared(leaf.vpn, leaf.pages)) continue;
        this.leaves.set(leaf.vpn, { ...leaf, prot: leaf.prot & ~Prot.Write });
      }
    }
    const copy = new ReferencePageTable(this.options);
    for (const [vpn, leaf] of this.leaves) copy.leaves.set(vpn, leaf);
    for (const [vpn, entry] of this.swapped) copy.swapped.set(vpn, entry);
    return copy;
  }

  /** Notes a leaf, as far as the format can say it. */
  private put(leaf: ReferencePageLeaf): void {
    const { granted, remembers } = this.options;
    this.leaves.set(leaf.vpn, {
      ...leaf,
      prot: granted(leaf.prot),
      accessed: leaf.accessed && remembers.accessed,
      dirty: leaf.dirty && remembers.dirty,
      global: leaf.global && remembers.global,
    });
  }

  private mark(vpn: number, what: 'accessed' | 'dirty', value: boolean): ReferenceOutcome {
    const leaf = this.leafAt(vpn);
    if (leaf === undefined) return this.lookup(vpn);
    this.put({ ...leaf, [what]: value });
    return leaf[what] ? 1 : 0;
  }

  private sizeOf(pages: number): ReferencePageSize {
    const size = this.options.sizes.find((other) => other.pages === pages);
    if (size === undefined) throw new Error(`${pages} pages are no size`);
    return size;
  }

  /** The leaves that reach into a stretch, by address. */
  private leavesIn(vpn: number, pages: number): readonly ReferencePageLeaf[] {
    return [...this.leaves.values()]
      .filter((leaf) => leaf.vpn < vpn + pages && vpn < leaf.vpn + leaf.pages)
      .sort((a, b) => a.vpn - b.vpn);
  }

  private swappedIn(vpn: number, pages: number): readonly number[] {
    return [...this.swapped.keys()].filter((page) => page >= vpn && page < vpn + pages);
  }

  private isUnused(vpn: number, pages: number): boolean {
    return this.leavesIn(vpn, pages).length + this.swappedIn(vpn, pages).length === 0;
  }

  private refusePages(vpn: number, pages: number, alignment: number): ReferenceRefusal | null {
    const inside = this.options.spans.some(
      ({ end, first }) => vpn >= first && vpn + pages <= end && pages >= 1,
    );
    if (!inside) return 'out-of-range';
    return vpn % alignment === 0 ? null : 'misaligned';
  }

  /** Whether frames may be mapped in pages of a size. */
  private refuseFrames(
    pfn: number,
    pages: number,
    size: ReferencePageSize,
  ): ReferenceRefusal | null {
    if (pfn + pages > size.frameEnd) return 'out-of-range';
    return pfn % size.pages === 0 ? null : 'misaligned';
  }

  private canSplit(leaf: ReferencePageLeaf): boolean {
    const { pieces } = this.sizeOf(leaf.pages);
    return pieces < leaf.pages && leaf.pfn + leaf.pages <= this.sizeOf(pieces).frameEnd;
  }

  private splitLeaf(leaf: ReferencePageLeaf): void {
    const { pieces } = this.sizeOf(leaf.pages);
    for (let at = 0; at < leaf.pages; at += pieces) {
      this.put({ ...leaf, vpn: leaf.vpn + at, pfn: leaf.pfn + at, pages: pieces });
    }
  }

  /** Splits leaves until each is in a stretch or not; refuses where one can't be split, and splits none then. */
  private splitEdges(vpn: number, pages: number): ReferenceRefusal | null {
    const before = new Map(this.leaves);
    for (const edge of [vpn, vpn + pages]) {
      for (;;) {
        const leaf = this.leafAt(edge);
        if (leaf === undefined || leaf.vpn === edge) break;
        if (!this.canSplit(leaf)) {
          this.leaves = before;
          return 'misaligned';
        }
        this.splitLeaf(leaf);
      }
    }
    return null;
  }
}
