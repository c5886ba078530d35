/**
 * How often a TLB had what was asked for.
 *
 * @public
 */
export interface TlbStatistics {
  /** Lookups that found an entry, whether or not its rights sufficed. */
  readonly hits: number;
  /** Lookups that found none. */
  readonly misses: number;
  /** Entries that were put in, over another of the same page or not. */
  readonly fills: number;
  /** Entries that had to make room. */
  readonly evictions: number;
  /** The same for each set, where the TLB counts them. */
  readonly sets?: readonly TlbSetStatistics[];
}

/**
 * The counts of one set.
 *
 * @public
 */
export interface TlbSetStatistics {
  /** Lookups that found an entry in it. */
  readonly hits: number;
  /** Lookups that looked for a base page in it, and found no entry of any size. */
  readonly misses: number;
  /** Entries that had to make room. */
  readonly evictions: number;
}
