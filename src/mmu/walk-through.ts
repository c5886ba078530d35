import type { PagingStructureCache } from '../tlb/index.js';
import type { KeptLeaf, RadixWalker } from '../walk/index.js';

/**
 * Walks that may begin at an entry of a paging-structure cache. Such a walk reads flat RAM and answers only when the leaf
 * serves the access with no bit to set; otherwise the walk is made from the root, which hardware may do at any time.
 */
export class WalkThrough {
  /** Walks that the cache served. */
  hits = 0;
  /** The level of the entry that the last walk began at, or -1. */
  from = -1;
  /** Entries that it read. */
  references = 0;

  private readonly walker: RadixWalker;
  private readonly cache: PagingStructureCache;

  constructor(walker: RadixWalker, cache: PagingStructureCache) {
    this.walker = walker;
    this.cache = cache;
  }

  /** As `RadixWalker.walk`; the leaf is kept when the cache served it. */
  walk(
    vpn: number,
    access: number,
    offset: number,
    bytes: number,
    demand: number,
    leaf: KeptLeaf,
  ): number {
    const { cache, walker } = this;
    const key = walker.cacheVpn(vpn, access);
    this.from = demand < 0 ? -1 : cache.find(key);
    if (this.from >= 0) {
      const { references, rights, tablePfn } = cache;
      const pfn = walker.walkBelow(vpn, access, tablePfn, this.from, rights);
      if (pfn >= 0) {
        walker.keepLeaf(leaf, access, pfn);
        if ((leaf.grants & demand) === demand) {
          this.hits++;
          this.references = references - walker.leafLevel;
          if (this.from > walker.leafLevel + 1) this.remember(vpn, key, access);
          return pfn;
        }
      }
    }
    this.from = -1;
    const pfn = walker.walk(vpn, access, offset, bytes);
    if (pfn >= 0 && demand >= 0) this.remember(vpn, key, access);
    return pfn;
  }

  /** Puts the entries above the leaf into the cache. */
  private remember(vpn: number, key: number, access: number): void {
    const { cache, walker } = this;
    const path = walker.pathTo(vpn, access);
    if (path === null) return;
    let above = 0;
    for (let level = path.first; level > path.last; level--) {
      above = walker.pointerRights(path.low[level]!, path.high[level]!, above);
      cache.fill(level, key, path.table[level - 1]!, above, walker.pointerIsGlobal(above));
    }
  }
}
