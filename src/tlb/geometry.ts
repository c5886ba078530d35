import {
  checkBoolean,
  checkInteger,
  checkOptions,
  type OptionNames,
  VmError,
} from '../core/index.js';
import { TlbContexts } from './contexts.js';
import type { TlbPolicy } from './way-order.js';

/** The largest size of a page, as a power of two of base pages: 512 GiB of 4 KiB pages and more. */
export const MAX_ORDER = 30;

/**
 * What a {@link Tlb} is like.
 *
 * @public
 */
export interface TlbOptions {
  /** Entries: 1 to 2^20. */
  readonly entries: number;
  /** Entries of each set, a divisor of `entries`; 1: direct-mapped. @defaultValue `entries`: fully associative */
  readonly ways?: number;
  /**
   * The page sizes that it takes, as powers of two of base pages: 0 for 4 KiB, 4 for 64 KiB, 9 for 2 MiB, 18 for 1 GiB.
   * @defaultValue every size, 0 to 30
   */
  readonly orders?: readonly number[];
  /** Which entry of a full set goes: `tlbPolicy(treePlru())` and the like. @defaultValue LRU */
  readonly policy?: TlbPolicy;
  /**
   * What happens when an entry is inserted that overlaps one of another size in the same context: `refuse` throws, as
   * hardware raises a machine check or a TLB conflict abort; `allow` keeps both, and the smaller page answers.
   * @defaultValue 'refuse'
   */
  readonly overlaps?: 'allow' | 'refuse';
  /** Whether hits, misses and evictions are counted for each set; it costs a few nanoseconds a hit. @defaultValue false */
  readonly countSets?: boolean;
  /** The table of contexts, where several caches share one. @defaultValue its own */
  readonly contexts?: TlbContexts;
}

/** The names that there are. */
export const TLB_OPTIONS: OptionNames<TlbOptions> = {
  entries: true,
  ways: true,
  orders: true,
  policy: true,
  overlaps: true,
  countSets: true,
  contexts: true,
};

/** Options that were checked, with what follows from them. */
export interface Geometry {
  readonly entries: number;
  readonly ways: number;
  readonly sets: number;
  /** A bit for each order that is taken. */
  readonly orders: number;
  readonly policy: TlbPolicy | null;
  readonly refusesOverlaps: boolean;
  readonly countSets: boolean;
  readonly contexts: TlbContexts;
}

/** Checks what a caller gave. */
export function geometryOf(options: TlbOptions): Geometry {
  checkOptions('', options, TLB_OPTIONS);
  const { contexts = new TlbContexts(), overlaps = 'refuse', policy = null } = options;
  const entries = checkInteger('entries', options.entries, 1, 2 ** 20);
  const ways = checkInteger('ways', options.ways ?? entries, 1, entries);
  if (entries % ways !== 0) throw bad('ways', ways, `a divisor of the ${entries} entries`);
  if (overlaps !== 'refuse' && overlaps !== 'allow') {
    throw bad('overlaps', overlaps, "'refuse' or 'allow'");
  }
  if (!(contexts instanceof TlbContexts)) throw bad('contexts', contexts, 'a TlbContexts');
  if (policy !== null && typeof policy !== 'function') {
    throw bad('policy', policy, 'what tlbPolicy returned');
  }
  return {
    entries,
    ways,
    sets: entries / ways,
    orders: ordersOf(options.orders),
    policy,
    refusesOverlaps: overlaps === 'refuse',
    countSets: checkBoolean('countSets', options.countSets ?? false),
    contexts,
  };
}

function ordersOf(orders: readonly number[] | undefined): number {
  if (orders === undefined) return 0x7fffffff;
  if (!Array.isArray(orders) || orders.length === 0) throw bad('orders', orders, 'page sizes');
  return orders.reduce(
    (bits, order) => bits | (1 << checkInteger('orders', order, 0, MAX_ORDER)),
    0,
  );
}

/** A refusal. */
export function bad(argument: string, value: unknown, expected: string): VmError {
  return new VmError('bad-argument', { argument, value, expected });
}
