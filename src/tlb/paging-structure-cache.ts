import {
  checkInteger,
  checkOptions,
  checkVersion,
  type OptionNames,
  VmError,
} from '../core/index.js';
import { TlbContexts } from './contexts.js';
import type { FlushScope } from './flush-scope.js';
import { checkScope } from './flush-scope.js';
import { bad } from './geometry.js';
import { inContexts, Tlb } from './tlb.js';
import type { TlbSnapshot } from './tlb-snapshot.js';
import type { TlbPolicy } from './way-order.js';

/**
 * The cache of one level's entries.
 *
 * @public
 */
export interface StructureCacheLevel {
  /** The level of the entries that it holds: 1 for x86's PDEs, 2 for PDPTEs, 3 for PML4Es. They point to tables of the level below. */
  readonly level: number;
  /** Base pages below an entry of this level, as a power of two: 9, 18, 27 on x86 with four levels. */
  readonly order: number;
  /** How many entries. */
  readonly entries: number;
  /** Entries of a set. @defaultValue `entries` */
  readonly ways?: number;
  /** Which goes. @defaultValue LRU */
  readonly policy?: TlbPolicy;
}

/**
 * What a {@link PagingStructureCache} is like.
 *
 * @public
 */
export interface PagingStructureCacheOptions {
  /** Levels in the tables, whose root is read when nothing is cached. */
  readonly tableLevels: number;
  /** The levels that are cached, each once; see {@link structureLevels}. */
  readonly levels: readonly StructureCacheLevel[];
  /** The table of contexts, where caches share one. @defaultValue its own */
  readonly contexts?: TlbContexts;
}

/**
 * What {@link PagingStructureCache.snapshot} returns.
 *
 * @public
 */
export interface PagingStructureCacheSnapshot {
  /** The version of this shape. */
  readonly v: 1;
  /** The tag. */
  readonly type: 'paging-structure-cache';
  /** The cache of each level, in the order of the options. */
  readonly levels: readonly TlbSnapshot[];
}

const OPTIONS: OptionNames<PagingStructureCacheOptions> = {
  tableLevels: true,
  levels: true,
  contexts: true,
};
const LEVEL: OptionNames<StructureCacheLevel> = {
  level: true,
  order: true,
  entries: true,
  ways: true,
  policy: true,
};

/** A level with its cache, whose pages are the stretches below an entry. */
interface Level {
  readonly level: number;
  readonly pages: number;
  readonly cache: Tlb;
}

/**
 * Remembers entries above the leaves, so that a walk may begin below the root: translation caches as Intel describes them
 * (SDM Vol. 3A, 4.10.3), one for each level, searched by the upper bits of the page number. The level nearest to the leaf
 * answers. `TableEntryCache` is the other kind, searched by the physical addresses of entries.
 *
 * @example
 * ```ts
 * import { PagingStructureCache, structureLevels } from 'pagewright/tlb';
 *
 * const cache = new PagingStructureCache({
 *   tableLevels: 4,
 *   levels: structureLevels({ indexBits: 9, entries: [32, 4, 2] }), // PDE, PDPTE, PML4E
 * });
 * cache.fill(3, 0x12345, 0x1001); // the PML4E points to the table in frame 0x1001
 * cache.fill(1, 0x12345, 0x1003);
 * cache.find(0x12345); // => 1
 * cache.tablePfn; // => 0x1003
 * cache.references; // => 1
 * cache.find(0x99999); // => 3
 * cache.references; // => 3
 * ```
 * @public
 */
export class PagingStructureCache {
  /** Levels in the tables. */
  readonly tableLevels: number;
  /** The ids that its entries carry. */
  readonly contexts: TlbContexts;
  /** From the leaves up. */
  private readonly levels: readonly Level[];
  /** After `find`: the frame of the table at which the walk begins; -1 for the root. */
  tablePfn = -1;
  /** After `find`: what was said when the entry was put in, such as the rights so far. */
  rights = 0;
  /** After `find`: the entries that the walk must still read, down to the last level. */
  references = 0;

  /**
   * @param options - See {@link PagingStructureCacheOptions}.
   * @throws `VmError` for levels that no tables have, or twice.
   */
  constructor(options: PagingStructureCacheOptions) {
    checkOptions('', options, OPTIONS);
    this.tableLevels = checkInteger('tableLevels', options.tableLevels, 1, 16);
    const { contexts = new TlbContexts() } = options;
    if (!(contexts instanceof TlbContexts)) throw bad('contexts', contexts, 'a TlbContexts');
    this.contexts = contexts;
    if (!Array.isArray(options.levels)) {
      throw bad('levels', options.levels, 'an array');
    }
    const { tableLevels } = this;
    this.levels = contexts.attempt(() => makeLevels(options.levels, tableLevels, contexts));
  }

  /**
   * The cache of a snapshot.
   *
   * @param snapshot - What `snapshot` returned.
   * @param options - The options of the saved cache; where it shared its contexts, the table of them restored.
   * @returns A cache that answers as the saved one would have.
   * @throws `VmError` `unsupported` for another version, `bad-image` for what was tampered with.
   */
  static restore(
    snapshot: PagingStructureCacheSnapshot,
    options: PagingStructureCacheOptions,
  ): PagingStructureCache {
    checkVersion(snapshot, 1, 'paging-structure-cache');
    const first = Array.isArray(snapshot.levels) ? snapshot.levels[0] : undefined;
    // Without levels there is nothing to restore, and nobody to be in a context.
    if (first === undefined) {
      const make = (): PagingStructureCache => new PagingStructureCache(options).load(snapshot);
      return options?.contexts instanceof TlbContexts ? options.contexts.attempt(make) : make();
    }
    checkVersion(first, 1, 'tlb');
    return inContexts(first, options, (all) => new PagingStructureCache(all).load(snapshot));
  }

  /** Takes over a snapshot, into a new cache, which is of no use when it is bad. @internal */
  load(snapshot: PagingStructureCacheSnapshot): this {
    checkVersion(snapshot, 1, 'paging-structure-cache');
    const saved: unknown = snapshot.levels;
    if (!Array.isArray(saved) || saved.length !== this.levels.length) {
      const expected = `the caches of ${this.levels.length} levels`;
      throw new VmError('bad-image', { argument: 'snapshot.levels', value: saved, expected });
    }
    for (const [index, { cache }] of this.levels.entries()) cache.load(snapshot.levels[index]!);
    return this;
  }

  /** The context of `find` and `fill`: what `contexts.intern` returned. */
  get context(): number {
    const [first] = this.levels;
    return first === undefined ? 0 : first.cache.context;
  }

  set context(id: number) {
    for (const { cache } of this.levels) cache.context = id;
  }

  /**
   * Looks for the entry nearest to the leaf. O(levels x ways).
   *
   * @param vpn - The page that is walked for.
   * @returns Its level, or -1 when the walk begins at the root; `tablePfn`, `rights` and `references` tell the rest.
   */
  find(vpn: number): number {
    for (const { cache, level, pages } of this.levels) {
      const slot = cache.find(Math.floor(vpn / pages));
      if (slot < 0) continue;
      this.tablePfn = cache.pfnAt(slot, Math.floor(vpn / pages));
      this.rights = cache.rightsAt(slot);
      this.references = level;
      return level;
    }
    this.tablePfn = -1;
    this.rights = 0;
    this.references = this.tableLevels;
    return -1;
  }

  /**
   * Remembers an entry that a walk has read; nothing where its level is not cached.
   *
   * @param level - The level of the entry.
   * @param vpn - Any page below it.
   * @param tablePfn - The frame of the table to which it points.
   * @param rights - Any int32, for whoever goes on from here.
   * @param global - Whether it is used in every address space of its root.
   * @throws `VmError` for numbers that are none.
   */
  fill(level: number, vpn: number, tablePfn: number, rights = 0, global = false): void {
    checkInteger('vpn', vpn, 0, 2 ** 52 - 1);
    const found = this.levels.find((one) => one.level === level);
    if (found !== undefined) {
      found.cache.fill(Math.floor(vpn / found.pages), tablePfn, rights, 0, global);
      return;
    }
    checkInteger('level', level, 1, this.tableLevels - 1);
  }

  /**
   * Drops every entry in reach, as the scope's `caches.structures` says: none, those above its pages, or all of its
   * contexts.
   *
   * @param scope - What is in reach.
   * @returns How many entries were dropped.
   * @throws `VmError` for a scope that is none.
   */
  flush(scope: FlushScope): number {
    const { end, first } = checkScope(scope);
    const { caches, pages: _, vpn: __, ...contexts } = scope;
    const structures = caches?.structures ?? 'all';
    if (structures === 'none') return 0;
    let dropped = 0;
    for (const { cache, pages } of this.levels) {
      const from = Math.floor(first / pages);
      const to = Math.min(Math.ceil(end / pages), 2 ** 52);
      const range = structures === 'all' ? {} : { vpn: from, pages: to - from };
      dropped += cache.flush({ ...contexts, ...range });
    }
    return dropped;
  }

  /** Entries in use, of each level from the leaves up. */
  get used(): readonly number[] {
    return this.levels.map(({ cache }) => cache.used);
  }

  /**
   * Verifies the cache of every level.
   *
   * @throws An `Error` that names what does not hold.
   */
  checkInvariants(): void {
    for (const { cache } of this.levels) cache.checkInvariants();
  }

  /**
   * Everything but the options.
   *
   * @returns Plain data, versioned.
   */
  snapshot(): PagingStructureCacheSnapshot {
    const levels = this.levels.map(({ cache }) => cache.snapshot());
    return { v: 1, type: 'paging-structure-cache', levels };
  }
}

/**
 * The levels above the leaves, from their sizes: the usual case, where every level has as many index bits.
 *
 * @param shape - Index bits of a level, and the entries of each level's cache from level 1 up; 0 for one that has none.
 * @returns What {@link PagingStructureCacheOptions} takes.
 * @throws `VmError` for numbers that are none.
 *
 * @example
 * ```ts
 * import { structureLevels } from 'pagewright/tlb';
 *
 * structureLevels({ indexBits: 9, entries: [32, 0, 2] }).map(({ level, order }) => [level, order]); // => [[1, 9], [3, 27]]
 * ```
 * @public
 */
export function structureLevels(shape: {
  /** Index bits of each level. */
  readonly indexBits: number;
  /** Entries, from level 1 up. */
  readonly entries: readonly number[];
}): readonly StructureCacheLevel[] {
  checkOptions('shape', shape, { indexBits: true, entries: true });
  const indexBits = checkInteger('indexBits', shape.indexBits, 1, 20);
  if (!Array.isArray(shape.entries)) throw bad('entries', shape.entries, 'an array');
  return shape.entries
    .map((entries: number, index) => ({
      level: index + 1,
      order: indexBits * (index + 1),
      entries: checkInteger('entries', entries, 0, 2 ** 20),
    }))
    .filter(({ entries }) => entries !== 0);
}

/**
 * Entries of x86's caches; 0 for one that is not there.
 *
 * @public
 */
export interface X86StructureEntries {
  /** Of the PDE cache. */
  readonly pde: number;
  /** Of the PDPTE cache. */
  readonly pdpte: number;
  /** Of the PML4E cache. */
  readonly pml4e: number;
  /** Of the PML5E cache, with five levels of tables. @defaultValue four levels */
  readonly pml5e?: number;
}

/**
 * The caches that Intel describes (SDM Vol. 3A, 4.10.3.1 Caches for Paging Structures). Their sizes are not published.
 *
 * @param entries - Their sizes.
 * @returns Options of a {@link PagingStructureCache}.
 * @throws `VmError` for numbers that are none.
 *
 * @example
 * ```ts
 * import { PagingStructureCache, x86Structures } from 'pagewright/tlb';
 *
 * const cache = new PagingStructureCache(x86Structures({ pde: 32, pdpte: 4, pml4e: 2 }));
 * cache.used; // => [0, 0, 0]
 * ```
 * @public
 */
export function x86Structures(
  entries: X86StructureEntries,
): Omit<PagingStructureCacheOptions, 'contexts'> {
  checkOptions('entries', entries, { pde: true, pdpte: true, pml4e: true, pml5e: true });
  const { pde, pdpte, pml4e, pml5e } = entries;
  const five = pml5e === undefined ? [] : [pml5e];
  const levels = structureLevels({ indexBits: 9, entries: [pde, pdpte, pml4e, ...five] });
  return { tableLevels: 4 + five.length, levels };
}

function makeLevels(
  options: PagingStructureCacheOptions['levels'],
  tableLevels: number,
  contexts: TlbContexts,
): readonly Level[] {
  const levels = [...options]
    .map((level) => makeLevel(level, tableLevels, contexts))
    .sort((a, b) => a.level - b.level);
  for (const [index, { level, pages }] of levels.entries()) {
    const below = levels[index - 1];
    if (below === undefined || (below.level < level && below.pages < pages)) continue;
    throw bad('levels', level, 'each level once, with more pages than those below');
  }
  return levels;
}

function makeLevel(
  options: StructureCacheLevel,
  tableLevels: number,
  contexts: TlbContexts,
): Level {
  checkOptions('levels', options, LEVEL);
  const { entries, policy, ways = entries } = options;
  const level = checkInteger('levels.level', options.level, 1, tableLevels - 1);
  const pages = 2 ** checkInteger('levels.order', options.order, 1, 51);
  const shape = { entries, ways, orders: [0], contexts };
  const chosen = policy === undefined ? {} : { policy };
  return { level, pages, cache: new Tlb({ ...shape, ...chosen }) };
}
