import { Access, Prot } from '../core/index.js';
import { ACCESS_END, NEVER } from './demands.js';
import { EntryRules, LOCAL } from './entry-rules.js';
import type { CacheContext, KeptLeaf, WalkerChange } from './kept-leaf.js';

/** The bit of an access that is told apart by its kind and its privilege alone; a read-modify-write is a store. */
function plainBit(access: number): number {
  const kind = (access & Access.ReadModifyWrite) !== 0 ? Access.Write : access & 3;
  return kind === 3 ? NEVER : 1 << (kind | (access & Access.User));
}

/** The demands of walkers that say nothing of their own. */
const PLAIN_DEMANDS: Int32Array = /* @__PURE__ */ Int32Array.from(
  { length: ACCESS_END },
  (_, access) =>
    (access & ~(3 | Access.User | Access.ReadModifyWrite)) === 0 ? plainBit(access) : NEVER,
);

/**
 * What translation caches in front of a walker ask it. Rights are kept apart from what an access demands of them in the
 * present state (see `demands.ts`), so no change of state makes what is cached wrong.
 *
 * A walker that overrides nothing here has entries that serve the kind of access alone that was walked for.
 *
 * @public
 */
export abstract class CachedRules extends EntryRules {
  private readonly listeners: Set<(change: WalkerChange) => void> = new Set();

  /**
   * Calls somebody whenever rights or registers have changed.
   *
   * @param listener - Told what changed, after it did.
   * @returns Stops it.
   */
  onChange(listener: (change: WalkerChange) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Tells everybody. */
  protected changed(change: WalkerChange): void {
    for (const listener of this.listeners) listener(change);
  }

  /**
   * What accesses demand of a cached translation in the present state.
   *
   * @returns By `Access` bits, 256 of them; an entry serves the access when it grants them all. It is not changed by the
   * caller, and stands until `onChange` tells of a change.
   */
  demandTable(): Int32Array {
    return PLAIN_DEMANDS;
  }

  /**
   * What a cache may keep of the walk that has just succeeded.
   *
   * @param leaf - Receives it.
   * @param access - The access of that walk.
   * @param _pfn - The frame that it returned.
   */
  keepLeaf(leaf: KeptLeaf, access: number, _pfn: number): void {
    leaf.order = this.keptOrder();
    leaf.grants = plainBit(access);
    leaf.global = (this.leafRights() & LOCAL) === 0;
    leaf.memoryType = 0;
  }

  /**
   * The page number that caches keep a page under: without tag bits that the access ignores.
   *
   * @param vpn - The page number.
   * @param _access - `Access` bits.
   */
  cacheVpn(vpn: number, _access: number): number {
    return vpn;
  }

  /**
   * Walks from a table that a paging-structure cache knows, through flat RAM alone. Hot.
   *
   * @param _vpn - The page number.
   * @param _access - `Access` bits.
   * @param _tablePfn - The frame of the table.
   * @param _level - The level of the entry that pointed to it.
   * @param _above - What `pointerRights` made of the entries down to that one.
   * @returns The frame, or -1: the whole walk has to tell. A frame does not mean yet that the entries above allow the
   * access: what `keepLeaf` then says counts.
   */
  walkBelow(
    _vpn: number,
    _access: number,
    _tablePfn: number,
    _level: number,
    _above: number,
  ): number {
    return -1;
  }

  /** Whether `walkBelow` may have an answer: one stage, 4 KiB tables. */
  get walksBelow(): boolean {
    return false;
  }

  /**
   * What a pointer adds to the rights that a paging-structure cache keeps.
   *
   * @param _low - Bits 31:0 of the entry.
   * @param _high - Bits 63:32.
   * @param above - The same of the entries above; 0 at the root.
   * @returns An int32 for `walkBelow`; 0 allows everything.
   */
  pointerRights(_low: number, _high: number, above: number): number {
    return above;
  }

  /** Whether entries below are global whatever they say, by `pointerRights`. */
  pointerIsGlobal(_above: number): boolean {
    return false;
  }

  /** Whether address spaces have numbers: what an invalidation says of one concerns all entries where they have none. */
  get tagsSpaces(): boolean {
    return false;
  }

  /** Whether virtual machines have numbers that page tables of the second stage go by. */
  get tagsMachines(): boolean {
    return false;
  }

  /** Whether what is not translated may be refused all the same, by a PMP. */
  get protectedPages(): boolean {
    return false;
  }

  /** Whether a page fault drops what is cached of its address, after one. */
  get faultsDropEntries(): boolean {
    return false;
  }

  /**
   * Entries that the last successful walk read, of both stages together where there are two, without caches.
   */
  walkReferences(): number {
    const own = this.format === null ? 0 : this.rootLevel(0) - this.leafLevel + 1;
    const { secondStage } = this;
    if (secondStage === null) return own;
    const host = secondStage.leafLevel < 0 ? 0 : secondStage.walkReferences();
    return (own + 1) * (host + 1) - 1;
  }

  /** Whose translations are made now. */
  cacheContext(): CacheContext {
    return { asid: 0, vmid: 0, root: this.contextRoot() };
  }

  /** Bit 0: under a second stage; bit 1: the first is off, and its addresses are not those of when it is on. */
  protected contextRoot(): number {
    return (this.secondStage === null ? 0 : 1) | (this.format === null ? 2 : 0);
  }

  /** The smaller page of both stages, as log2 of base pages. */
  protected keptOrder(): number {
    const { leafShift, secondStage } = this;
    const host = secondStage === null ? -1 : secondStage.leafShift;
    if (leafShift < 0) return Math.max(host, 0);
    return secondStage === null || host < 0 ? leafShift : Math.min(leafShift, host);
  }

  /** What the leaf of a second stage grants by itself, after the access that has just gone through it. */
  protected hostProt(access: number): number {
    const { secondStage } = this;
    if (secondStage === null) return Prot.Read | Prot.Write | Prot.Execute;
    return secondStage.lastPage((this.leafRights() & Prot.User) !== 0, access).prot;
  }
}
