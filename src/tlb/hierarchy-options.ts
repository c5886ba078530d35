import { checkOptions, type OptionNames } from '../core/index.js';
import type { TlbContexts, TlbContextsSnapshot } from './contexts.js';
import { bad, type TlbOptions } from './geometry.js';
import {
  PagingStructureCache,
  type PagingStructureCacheOptions,
  type PagingStructureCacheSnapshot,
} from './paging-structure-cache.js';
import { Tlb } from './tlb.js';
import type { TlbLevel } from './tlb-level.js';
import type { TlbSnapshot } from './tlb-snapshot.js';

/**
 * One array of a hierarchy; its contexts are the hierarchy's.
 *
 * @public
 */
export type TlbArray = Omit<TlbOptions, 'contexts'>;

/**
 * What a {@link TlbHierarchy} is like.
 *
 * @public
 */
export interface TlbHierarchyOptions {
  /**
   * First-level arrays for instruction fetches: one, or one for each page size, told apart by their `orders`. Of several that
   * take a size the first one does, here and in the other levels.
   */
  readonly fetch: readonly TlbArray[];
  /** First-level arrays for loads, and for stores as well unless those have their own. */
  readonly load: readonly TlbArray[];
  /** First-level arrays for stores. @defaultValue those for loads */
  readonly store?: readonly TlbArray[];
  /** Second-level arrays, for every access, or for data alone. @defaultValue none */
  readonly second?: readonly TlbArray[];
  /** Second-level arrays for fetches, where they are others. @defaultValue those of `second` */
  readonly secondFetch?: readonly TlbArray[];
  /**
   * Who holds what. `inclusive`: what is in the first level is in the second, and goes when it goes there. `exclusive`: the
   * second level has what no array above it has, and what the last of those gives up; arrays for fetches, loads and stores
   * may have a page at a time, and of one that the second level takes whole they may have fragments. `independent`: both are
   * filled, and each gives up what it will. @defaultValue 'independent'
   */
  readonly fills?: 'exclusive' | 'inclusive' | 'independent';
  /** The paging-structure cache. @defaultValue none */
  readonly structures?: Omit<PagingStructureCacheOptions, 'contexts'>;
  /** The cache of second-stage translations, guest frames to frames, for nested walks. @defaultValue none */
  readonly nested?: TlbArray;
  /** The paging-structure cache of the second stage; its pages are guest frames. @defaultValue none */
  readonly nestedStructures?: Omit<PagingStructureCacheOptions, 'contexts'>;
  /** The table of contexts. @defaultValue its own */
  readonly contexts?: TlbContexts;
}

const OPTIONS: OptionNames<TlbHierarchyOptions> = {
  fetch: true,
  load: true,
  store: true,
  second: true,
  secondFetch: true,
  fills: true,
  structures: true,
  nested: true,
  nestedStructures: true,
  contexts: true,
};

/**
 * How often a hierarchy had what was asked for.
 *
 * @public
 */
export interface TlbHierarchyStatistics {
  /** Lookups that the first level answered. */
  readonly firstHits: number;
  /** Lookups that the second level answered. */
  readonly secondHits: number;
  /** Lookups that nobody answered. */
  readonly misses: number;
}

/**
 * What {@link TlbHierarchy.snapshot} returns.
 *
 * @public
 */
export interface TlbHierarchySnapshot {
  /** The version of this shape. */
  readonly v: 1;
  /** The tag. */
  readonly type: 'tlb-hierarchy';
  /** The current context. */
  readonly context: number;
  /** The table of contexts. */
  readonly contexts: TlbContextsSnapshot;
  /** The arrays: fetch, load, store where it is another, second. */
  readonly arrays: readonly TlbSnapshot[];
  /** The paging-structure cache. */
  readonly structures: PagingStructureCacheSnapshot | null;
  /** The cache of second-stage translations. */
  readonly nested: TlbSnapshot | null;
  /** The paging-structure cache of the second stage. */
  readonly nestedStructures: PagingStructureCacheSnapshot | null;
  /** Hits of both levels, and misses. */
  readonly counts: readonly number[];
}

/** Checks what a caller gave, except for the arrays; returns how the levels are filled. */
export function checkHierarchy(
  options: TlbHierarchyOptions,
): NonNullable<TlbHierarchyOptions['fills']> {
  checkOptions('', options, OPTIONS);
  const { fills = 'independent' } = options;
  if (['exclusive', 'inclusive', 'independent'].includes(fills)) return fills;
  throw bad('fills', fills, "'exclusive', 'inclusive' or 'independent'");
}

/** The caches of a hierarchy; what there is not is `null`. */
interface Caches {
  readonly fetch: TlbLevel;
  readonly load: TlbLevel;
  readonly store: TlbLevel | null;
  readonly second: TlbLevel;
  readonly secondFetch: TlbLevel | null;
  readonly structures: PagingStructureCache | null;
  readonly nested: Tlb | null;
  readonly nestedStructures: PagingStructureCache | null;
}

/** Makes every cache of a hierarchy, in contexts that they share. */
export function makeCaches(options: TlbHierarchyOptions, contexts: TlbContexts): Caches {
  const { fetch, load, nested, nestedStructures, second = [], structures } = options;
  const { secondFetch, store } = options;
  const level = (name: string, arrays: readonly TlbArray[]): TlbLevel => {
    if (!Array.isArray(arrays)) throw bad(name, arrays, 'an array of TLBs');
    return arrays.map((array: TlbArray) => new Tlb({ ...array, contexts }));
  };
  const walker = (its: TlbHierarchyOptions['structures']): PagingStructureCache | null =>
    its === undefined ? null : new PagingStructureCache({ ...its, contexts });
  return {
    fetch: level('fetch', fetch),
    load: level('load', load),
    store: store === undefined ? null : level('store', store),
    second: level('second', second),
    secondFetch: secondFetch === undefined ? null : level('secondFetch', secondFetch),
    structures: walker(structures),
    nested: nested === undefined ? null : new Tlb({ ...nested, contexts }),
    nestedStructures: walker(nestedStructures),
  };
}
