import type { ReferencePolicy } from './replacement.js';
import type { ReferenceSpace } from './tlb-contexts.js';

/** Whose translations. */
export interface ReferenceContext {
  readonly asid: number;
  readonly vmid: number;
  readonly root: number;
}

/** A translation as it is put in; `pfn` is the frame of page `vpn`, or `null` for a page that is not mapped. */
export interface ReferenceFill {
  readonly vpn: number;
  readonly pfn: number | null;
  readonly order: number;
  readonly rights: number;
  readonly global: boolean;
  readonly memoryType: number;
  readonly pageOrder: number;
}

/** An entry: which pages it has, each with its frame. */
export interface ReferenceEntry {
  /** Names it to the policy of its set. */
  readonly name: number;
  readonly set: number;
  readonly way: number;
  readonly first: number;
  /** 2^order pages are covered; a group may have some of them only. */
  readonly order: number;
  readonly group: boolean;
  readonly context: ReferenceContext;
  readonly global: boolean;
  /** Frame minus page, the same for all its pages, or `null`: they are not mapped. */
  distance: number | null;
  rights: number;
  memoryType: number;
  pageOrder: number;
  /** Of a group: the pages that it has. */
  pages: Set<number>;
}

/** What a flush reaches. */
export interface ReferenceScope {
  readonly asid?: number;
  readonly vmid?: number;
  readonly root?: number;
  readonly exceptVmid?: number;
  readonly exceptRoot?: number;
  readonly globals: boolean;
  readonly vpn?: number;
  readonly pages?: number;
}

/** What a lookup finds: a frame, or why there is none. */
export type ReferenceAnswer = number | 'denied' | 'miss' | 'not-present';

/** A TLB as a plain list of entries; each set has a policy in its obvious version, which keeps recency. */
export class ReferenceTlb {
  entries: ReferenceEntry[] = [];
  context: ReferenceContext = { asid: 0, vmid: 0, root: 0 };
  hits = 0;
  misses = 0;
  fills = 0;
  evictions = 0;
  /** Hits, misses and evictions of each set. */
  readonly perSet: readonly { hits: number; misses: number; evictions: number }[];
  /** By what an entry is for. */
  private readonly names: Map<string, number> = new Map();
  private readonly sets: number;
  private readonly groupOrder: number;
  private readonly policies: readonly ReferencePolicy[];

  /** `groupOrder`: the order of coalesced groups of base pages, 0 for none. */
  constructor(sets: number, groupOrder: number, policy: (set: number) => ReferencePolicy) {
    this.sets = sets;
    this.groupOrder = groupOrder;
    this.policies = Array.from({ length: sets }, (_, set) => policy(set));
    this.perSet = this.policies.map(() => ({ hits: 0, misses: 0, evictions: 0 }));
  }

  /** The entry that answers for a page: the smallest, and of those one of the context itself before a global one. */
  entryFor(vpn: number): ReferenceEntry | null {
    const candidates = this.entries.filter(
      (entry) => this.has(entry, vpn) && this.isVisible(entry),
    );
    candidates.sort((a, b) => a.order - b.order || Number(a.global) - Number(b.global));
    return candidates[0] ?? null;
  }

  lookup(vpn: number, need: number): ReferenceAnswer {
    const entry = this.entryFor(vpn);
    if (entry === null) {
      this.misses++;
      this.perSet[Math.floor(vpn / 2 ** this.groupOrder) % this.sets]!.misses++;
      return 'miss';
    }
    this.hits++;
    this.perSet[entry.set]!.hits++;
    this.policies[entry.set]!.access(entry.name);
    if ((entry.rights & need) !== need) return 'denied';
    return entry.distance === null ? 'not-present' : vpn + entry.distance;
  }

  /** Whether an entry of another size in the same context has one of the pages: what hardware would find twice. */
  overlaps(fill: ReferenceFill): boolean {
    const { first, order } = this.placeOf(fill);
    const group = this.isGroup(fill);
    const wanted = group
      ? [fill.vpn]
      : Array.from({ length: Math.min(2 ** fill.order, 4096) }, (_, i) => first + i);
    const others = this.entries.filter((entry) => {
      return this.isAlike(entry, fill.global) && (entry.order !== order || entry.group !== group);
    });
    // Of a very large page the others' own pages are asked instead of its own.
    return others.some((entry) => {
      if (wanted.some((vpn) => this.has(entry, vpn))) return true;
      const end = first + 2 ** fill.order;
      return !group && this.pagesOf(entry).some((vpn) => vpn >= first && vpn < end);
    });
  }

  fill(fill: ReferenceFill): void {
    const { first, order, set } = this.placeOf(fill);
    this.fills++;
    // 1. A base page joins a group; what says otherwise of it loses it. Another page replaces what there is of its size.
    const same = this.entries.filter((entry) => {
      return entry.first === first && entry.order === order && this.isAlike(entry, fill.global);
    });
    const group = this.isGroup(fill);
    let known: ReferenceEntry | null = null;
    for (const entry of same) {
      if (entry.group !== group) this.remove(entry);
      else if (!group || this.says(entry, fill)) known = entry;
      else if (entry.pages.delete(fill.vpn) && entry.pages.size === 0) this.remove(entry);
    }
    // 2. An entry that is there is used; otherwise somebody may have to go, and it comes into the set.
    const { memoryType, pageOrder, rights } = fill;
    const distance = fill.pfn === null ? null : fill.pfn - fill.vpn;
    const name = known?.name ?? this.nameFor(fill);
    const { victim } = this.policies[set]!.access(name);
    if (victim !== null) {
      this.entries = this.entries.filter((entry) => entry.name !== victim);
      this.evictions++;
      this.perSet[set]!.evictions++;
    }
    if (known === null) {
      const { context } = this;
      const way = this.freeWay(set);
      const place = { name, set, way, first, order, group, context, global: fill.global };
      known = { ...place, distance, rights, memoryType, pageOrder, pages: new Set<number>() };
      this.entries.push(known);
    }
    // 3. It says what it was told.
    Object.assign(known, { distance, rights, memoryType, pageOrder });
    if (group) known.pages.add(fill.vpn);
  }

  /** Drops what came from a page of which any part is in reach; of a group, the pages in reach. */
  flush(scope: ReferenceScope): number {
    const first = scope.vpn ?? 0;
    const end = scope.vpn === undefined ? Number.POSITIVE_INFINITY : first + (scope.pages ?? 1);
    let dropped = 0;
    for (const entry of [...this.entries]) {
      if (!isReached(entry, scope)) continue;
      if (entry.group) {
        const page = 2 ** entry.pageOrder;
        const reached = [...entry.pages].filter((vpn) => {
          const start = vpn - (vpn % page);
          return start < end && start + page > first;
        });
        for (const vpn of reached) entry.pages.delete(vpn);
        if (entry.pages.size === 0) this.remove(entry);
        dropped += Number(reached.length > 0);
      } else {
        const pages = 2 ** entry.pageOrder;
        const start = entry.first - (entry.first % pages);
        if (start >= end || start + pages <= first) continue;
        this.remove(entry);
        dropped++;
      }
    }
    return dropped;
  }

  /** Drops all that belongs to a space. */
  forget({ asid, root, vmid }: ReferenceSpace): void {
    for (const entry of [...this.entries]) {
      const { context, global } = entry;
      if (context.root !== root || context.vmid !== vmid) continue;
      if (global ? asid === null : asid === context.asid) this.remove(entry);
    }
  }

  /** Policies that remember know an entry again; but of one group there may be several, each another. */
  private nameFor(fill: ReferenceFill): number {
    const { asid, root, vmid } = this.context;
    const { first, order } = this.placeOf(fill);
    const alone = this.isGroup(fill) ? this.names.size : 'alone';
    const key = [first, order, fill.global ? 'every' : asid, vmid, root, alone].join();
    const name = this.names.get(key) ?? this.names.size;
    this.names.set(key, name);
    return name;
  }

  private freeWay(set: number): number {
    const taken = this.entries.filter((entry) => entry.set === set).map(({ way }) => way);
    let way = 0;
    while (taken.includes(way)) way++;
    return way;
  }

  private isGroup(fill: ReferenceFill): boolean {
    return this.groupOrder > 0 && fill.order === 0;
  }

  private placeOf(fill: ReferenceFill): { first: number; order: number; set: number } {
    const order = this.isGroup(fill) ? this.groupOrder : fill.order;
    const page = Math.floor(fill.vpn / 2 ** order);
    return { first: page * 2 ** order, order, set: page % this.sets };
  }

  private has(entry: ReferenceEntry, vpn: number): boolean {
    if (entry.group) return entry.pages.has(vpn);
    return vpn >= entry.first && vpn < entry.first + 2 ** entry.order;
  }

  /** The pages of a group; of another entry, its first: whole entries that overlap contain one another. */
  private pagesOf(entry: ReferenceEntry): readonly number[] {
    return entry.group ? [...entry.pages] : [entry.first];
  }

  private says(entry: ReferenceEntry, fill: ReferenceFill): boolean {
    const distance = fill.pfn === null ? null : fill.pfn - fill.vpn;
    const { memoryType, pageOrder, rights } = fill;
    const [one, other] = [entry, { distance, memoryType, pageOrder, rights }].map((says) =>
      [says.distance, says.memoryType, says.pageOrder, says.rights].join(),
    );
    return one === other;
  }

  /** Whether an entry is of the context itself, or one of the global ones of its root: whichever a new one would be. */
  private isAlike(entry: ReferenceEntry, global: boolean): boolean {
    if (entry.global !== global || !this.isOfRoot(entry)) return false;
    return global || entry.context.asid === this.context.asid;
  }

  private isVisible(entry: ReferenceEntry): boolean {
    return this.isOfRoot(entry) && (entry.global || entry.context.asid === this.context.asid);
  }

  private isOfRoot({ context }: ReferenceEntry): boolean {
    return context.vmid === this.context.vmid && context.root === this.context.root;
  }

  private remove(entry: ReferenceEntry): void {
    this.policies[entry.set]!.remove(entry.name);
    this.entries = this.entries.filter((other) => other !== entry);
  }
}

function isReached({ context, global }: ReferenceEntry, scope: ReferenceScope): boolean {
  const { asid, exceptRoot, exceptVmid, globals, root, vmid } = scope;
  if (root !== undefined && root !== context.root) return false;
  if (vmid !== undefined && vmid !== context.vmid) return false;
  if (context.root === exceptRoot || context.vmid === exceptVmid) return false;
  if (global) return globals;
  return asid === undefined || asid === context.asid;
}
