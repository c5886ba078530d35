import { type Address, checkOptions, type Plain, plain, VmError } from '../core/index.js';
import type { PhysicalMemory } from '../memory/index.js';
import type { Invalidations } from '../page-table/index.js';
import { type FlushScope, type PagingStructureCache, Tlb, TlbHierarchy } from '../tlb/index.js';
import {
  KeptLeaf,
  type RadixWalker,
  type Translation,
  type WalkerChange,
  type WalkFault,
} from '../walk/index.js';
import {
  MMU_OPTIONS,
  type MmuCosts,
  type MmuObserver,
  type MmuOptions,
  type MmuStatistics,
} from './mmu-options.js';
import { checkParts, MAX_ORDER, ordersOf } from './mmu-parts.js';
import type { MmuReport } from './mmu-report.js';
import { owedScopes } from './owed-scopes.js';
import { WalkThrough } from './walk-through.js';

/**
 * The translating half of an {@link Mmu}: hits, misses, contexts, invalidations, counts.
 *
 * @public
 */
export class MmuTranslation {
  /** The page walk; its registers are the MMU's. */
  readonly walker: RadixWalker;
  /** The memory that holds the tables. */
  readonly memory: PhysicalMemory;
  /** The translation caches. */
  readonly tlb: Tlb | TlbHierarchy;
  /** The cache of upper entries, or `null`. */
  readonly structures: PagingStructureCache | null;
  private readonly single: Tlb | null;
  private readonly levels: TlbHierarchy | null;
  /** What accesses demand now, by access. */
  private demands: Int32Array;
  /** The same, for who must not miss a change. @internal */
  readonly demandsNow: { table: Int32Array };
  private readonly flushListeners: (() => void)[] = [];
  private readonly leaf: KeptLeaf = new KeptLeaf();
  private readonly through: WalkThrough | null;
  private readonly takenOrders: readonly number[];
  private readonly watcher: MmuObserver | null;
  private readonly stops: (() => void)[] = [];
  private walks = 0;
  private walkReferences = 0;
  private readonly fillsOf: Float64Array = new Float64Array(MAX_ORDER + 1);
  private faults = 0;
  private flushes = 0;
  private flushed = 0;
  private switches = 0;

  /**
   * @param options - See {@link MmuOptions}.
   * @throws `VmError` for parts that do not go together.
   */
  constructor(options: MmuOptions) {
    checkOptions('', options, MMU_OPTIONS);
    const { observer = null, tlb, walker } = options;
    checkParts(options);
    this.walker = walker;
    this.memory = walker.memory;
    this.tlb = tlb;
    this.single = tlb instanceof Tlb ? tlb : null;
    this.levels = tlb instanceof TlbHierarchy ? tlb : null;
    this.structures = options.structures ?? (tlb instanceof TlbHierarchy ? tlb.structures : null);
    this.through = this.structures === null ? null : new WalkThrough(walker, this.structures);
    this.takenOrders = tlb instanceof Tlb ? ordersOf(tlb) : [];
    this.watcher = observer;
    this.demands = walker.demandTable();
    this.demandsNow = { table: this.demands };
    this.stops.push(walker.onChange((change) => this.take(change)));
    const { secondStage } = walker;
    if (secondStage !== null) this.stops.push(secondStage.onChange((change) => this.take(change)));
    this.takeContext();
  }

  /** The last fault, in the walker's fields. */
  get fault(): WalkFault {
    return this.walker.fault;
  }

  /** The current context of the caches: an id of their `TlbContexts`. */
  get context(): number {
    return this.tlb.context;
  }

  /** Stops listening to the walker: the MMU is of no use any more, the walker and the caches are. */
  detach(): void {
    for (const stop of this.stops) stop();
  }

  /**
   * Translates a page for an access. Hot: numbers in, number out, no allocation on a hit.
   *
   * @param vpn - The page number: the 64-bit virtual address shifted right by the walker's `pageShift`.
   * @param access - `Access` bits.
   * @param offset - The byte in the page; it matters to faults and to physical memory protection.
   * @param bytes - The size of the access, which must end in the page.
   * @returns The frame, or `-(1 + code)` for a fault that then waits in `fault`. O(ways), or a walk.
   * @throws `VmError` as `RadixWalker.walk`.
   */
  translatePage(vpn: number, access: number, offset = 0, bytes = 1): number {
    const { single } = this;
    if (single === null) return this.translateInLevels(vpn, access, offset, bytes);
    const pfn = single.lookup(vpn, this.demands[access]!);
    return pfn >= 0 ? pfn : this.otherwise(vpn, access, offset, bytes);
  }

  private translateInLevels(vpn: number, access: number, offset: number, bytes: number): number {
    const demand = this.demands[access];
    // What is no access has no arrays: the walker refuses it.
    if (demand === undefined || (access & 3) === 3) {
      return this.walker.walk(vpn, access, offset, bytes);
    }
    const pfn = this.levels!.lookup(vpn, demand, access);
    return pfn >= 0 ? pfn : this.otherwise(vpn, access, offset, bytes);
  }

  /** What no entry served under the page number as it was given. */
  private otherwise(vpn: number, access: number, offset: number, bytes: number): number {
    const key = this.walker.cacheVpn(vpn, access);
    if (key !== vpn) {
      const pfn = this.lookup(key, access);
      if (pfn >= 0) return pfn;
    }
    return this.walk(vpn, key, access, offset, bytes);
  }

  private lookup(vpn: number, access: number): number {
    const demand = this.demands[access]!;
    return this.single === null
      ? this.levels!.lookup(vpn, demand, access)
      : this.single.lookup(vpn, demand);
  }

  /** Walks, and keeps what was found. */
  private walk(vpn: number, key: number, access: number, offset: number, bytes: number): number {
    const { through, walker } = this;
    const demand = this.demands[access];
    this.walks++;
    const cached = through !== null && walker.walksBelow;
    const pfn = cached
      ? through.walk(vpn, access, offset, bytes, demand ?? 0, this.leaf)
      : walker.walk(vpn, access, offset, bytes);
    const from = cached ? through.from : -1;
    const references =
      from >= 0
        ? through!.references
        : pfn < 0
          ? walker.refusedReferences()
          : walker.walkReferences();
    this.walkReferences += references;
    this.watcher?.({ type: 'mmu-walk', vpn, access, references, from });
    if (pfn < 0) return this.refused(vpn, key, access, pfn);
    // What no entry ever serves is not kept either: M-mode, or no paging at all.
    if (demand === undefined || demand < 0) return pfn;
    walker.keepLeaf(this.leaf, access, pfn);
    this.keep(key, pfn, access);
    return pfn;
  }

  private refused(vpn: number, key: number, access: number, result: number): number {
    this.faults++;
    if (this.walker.faultsDropEntries) this.dropPage(key);
    this.watcher?.({ type: 'mmu-fault', vpn, access, result });
    return result;
  }

  /** A page fault of x86 drops what is cached of its address, without being a flush that somebody asked for. */
  private dropPage(vpn: number): void {
    const { asid, root, vmid } = this.tlb.contexts.describe(this.context);
    const caches = { translations: true, structures: 'pages', secondStage: false } as const;
    const scope: FlushScope = { root, vmid, asid, globals: true, vpn, pages: 1, caches };
    this.tlb.flush(scope);
    if (this.levels === null) this.structures?.flush(scope);
  }

  private keep(vpn: number, pfn: number, access: number): void {
    const { leaf } = this;
    const order = Math.min(leaf.order, MAX_ORDER);
    try {
      this.fill(vpn, pfn, order, access);
    } catch (error) {
      if (!(error instanceof VmError) || error.code !== 'overlap') throw error;
      // An entry of another size for some of these pages: it makes room, as any entry may at any time.
      const first = vpn - (vpn % 2 ** order);
      this.tlb.flush({ globals: true, vpn: first, pages: 2 ** order });
      this.fill(vpn, pfn, order, access);
    }
    this.fillsOf[order]!++;
    this.watcher?.({ type: 'mmu-fill', vpn, pfn, order, context: this.context });
  }

  private fill(vpn: number, pfn: number, pageOrder: number, access: number): void {
    const { leaf, levels, single } = this;
    const { global, grants: rights, memoryType } = leaf;
    if (single === null) {
      levels!.fill({ vpn, pfn, order: pageOrder, rights, global, memoryType }, access);
      return;
    }
    let order = -1;
    for (const taken of this.takenOrders) if (taken <= pageOrder) order = taken;
    if (order === pageOrder && !global && single.refill(vpn, pfn, rights, order, memoryType))
      return;
    if (order >= 0) single.fill(vpn, pfn, rights, order, global, memoryType, pageOrder);
  }

  /**
   * Translates, and answers in an object.
   *
   * @param va - The virtual address.
   * @param access - `Access` bits.
   * @returns The page with its attributes, or the fault in the architecture's own encoding; both as the tables say it. A
   * stale entry is not seen here: it is by `translatePage`, by reads and writes, and by the detector.
   * @throws `VmError` for a bad address or access.
   */
  translate(va: Address, access: number): Plain<Translation> {
    return this.walker.translate(va, access);
  }

  /**
   * Tells what a walk would find, and what the caches have; nothing changes.
   *
   * @param va - The virtual address.
   * @param access - `Access` bits.
   * @returns Plain data: the walk's report and the entry that serves the page, if there is one.
   * @throws `VmError` for a bad address or access.
   */
  explain(va: Address, access: number): Plain<MmuReport> {
    const walk = this.walker.explain(va, access);
    const key = this.walker.cacheVpn(this.walker.pageOf(va), access);
    const demand = this.demands[access]!;
    for (const [level, tlb] of this.arraysFor(access)) {
      const slot = tlb.peek(key);
      if (slot < 0) continue;
      const serves = (tlb.rightsAt(slot) & demand) === demand;
      const entry = { level, slot, pfn: tlb.pfnAt(slot, key), serves };
      return plain<MmuReport>({ kind: serves ? 'hit' : 'denied', entry, walk });
    }
    return plain<MmuReport>({ kind: 'miss', entry: null, walk });
  }

  private arraysFor(access: number): readonly (readonly [number, Tlb])[] {
    const { levels, single } = this;
    if (single !== null) return [[1, single]];
    const { fetch, load, second, secondFetch, store } = levels!;
    const first = (access & 3) === 2 ? fetch : (access & 3) === 1 ? store : load;
    const below = (access & 3) === 2 ? secondFetch : second;
    return [...first.map((tlb) => [1, tlb] as const), ...below.map((tlb) => [2, tlb] as const)];
  }

  /**
   * Drops cached entries: what an instruction reaches, as the rows of `x86Invalidations` and their like have it.
   *
   * @param scopes - What is in reach, of any of them.
   * @returns How many entries were dropped.
   * @throws `VmError` for a scope that is none.
   */
  flush(...scopes: readonly FlushScope[]): number {
    for (const listener of this.flushListeners) listener();
    let dropped = 0;
    for (const scope of scopes) {
      dropped += this.tlb.flush(scope);
      if (this.structures !== null && this.levels?.structures !== this.structures) {
        dropped += this.structures.flush(scope);
      }
    }
    this.flushes++;
    this.flushed += dropped;
    this.watcher?.({ type: 'mmu-flush', dropped });
    return dropped;
  }

  /**
   * Drops what changes of page tables owe, and completes the accumulator: its frames go back to their source.
   *
   * @param owed - What is owed on this CPU alone; several CPUs share tables by {@link Smp}.
   * @param stage - 2 when the changed tables are those of the second stage.
   * @returns How many entries were dropped.
   */
  invalidate(owed: Invalidations, stage: 1 | 2 = 1): number {
    const dropped = this.flush(...owedScopes(owed, this.walker, stage));
    owed.complete();
    return dropped;
  }

  /** Calls somebody who keeps translations of his own before any are flushed. @internal */
  beforeFlush(listener: () => void): void {
    this.flushListeners.push(listener);
  }

  /**
   * What the entry grants that served an access just now; 0 where none did, and the answer is good for once. What is not
   * translated at all grants what nothing cached does.
   *
   * @internal
   */
  grantsOf(vpn: number, access: number): number {
    const demand = this.demands[access]!;
    const { format, protectedPages, secondStage } = this.walker;
    const untranslated = demand < 0 && !protectedPages && secondStage === null;
    if (untranslated) return format === null || (access & 128) !== 0 ? demand : 0;
    const key = this.walker.cacheVpn(vpn, access);
    for (const [, tlb] of this.arraysFor(access)) {
      const slot = tlb.peek(key);
      if (slot >= 0 && (tlb.rightsAt(slot) & demand) === demand) return tlb.rightsAt(slot);
    }
    return 0;
  }

  /** What was counted since it was made. */
  statistics(): MmuStatistics {
    const { faults, flushed, flushes, levels, single, switches, walkReferences, walks } = this;
    const structureHits = this.through?.hits ?? 0;
    const fills: Record<number, number> = {};
    for (const [order, count] of this.fillsOf.entries()) if (count > 0) fills[order] = count;
    const found = single === null ? levels!.statistics() : single.statistics();
    const hits = 'hits' in found ? found.hits : found.firstHits;
    const secondHits = 'hits' in found ? 0 : found.secondHits;
    const lookups = { hits, secondHits, misses: found.misses };
    const walked = { walks, walkReferences, structureHits, fills, faults };
    return { ...lookups, ...walked, flushes, flushed, switches };
  }

  /**
   * What everything so far has cost: a model apart from function.
   *
   * @param costs - Cycles of each event.
   * @returns Cycles.
   */
  cycles(costs: MmuCosts): number {
    const counted = this.statistics();
    const { faults, flushed, flushes, hits, secondHits, switches, walkReferences, walks } = counted;
    const { fault = 0, flush = 0, hit = 0, secondHit = 0, walk = 0, walkReference = 0 } = costs;
    const lookups = hits * hit + secondHits * secondHit;
    const walking = walks * walk + walkReferences * walkReference + faults * fault;
    const software = flushes * flush + flushed * (costs.flushed ?? 0);
    return lookups + walking + software + switches * (costs.switch ?? 0);
  }

  /** Verifies caches and walker. */
  checkInvariants(): void {
    this.walker.checkInvariants();
    this.tlb.checkInvariants();
    this.structures?.checkInvariants();
    const { context } = this;
    const { asid, root, vmid } = this.tlb.contexts.describe(context);
    const wanted = this.walker.cacheContext();
    if (asid !== wanted.asid || vmid !== wanted.vmid || root !== wanted.root) {
      throw new Error(`the caches are in context ${asid}, ${vmid}, ${root}, not the walker's`);
    }
  }

  /** The walker's state has changed. */
  private take(change: WalkerChange): void {
    this.demands = this.walker.demandTable();
    this.demandsNow.table = this.demands;
    if (change === 'rights') return;
    for (const listener of this.flushListeners) listener();
    this.takeContext();
    if (change === 'none') return;
    const { asid, root, vmid } = this.tlb.contexts.describe(this.context);
    if (change === 'everything') this.flush({ root, vmid, globals: true });
    else this.flush({ root, vmid, asid, globals: change === 'pcid' });
  }

  private takeContext(): void {
    const { contexts } = this.tlb;
    const id = contexts.intern(this.walker.cacheContext());
    if (id === this.tlb.context) return;
    this.tlb.context = id;
    if (this.structures !== null) this.structures.context = id;
    this.switches++;
    this.watcher?.({ type: 'mmu-context', context: id });
  }
}
