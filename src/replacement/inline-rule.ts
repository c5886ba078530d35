/**
 * The order of fills, or of fills and hits, as stamps from a clock: the slot with the least stamp goes. LRU and FIFO.
 *
 * @public
 */
export interface StampRule {
  /** The tag. */
  readonly kind: 'stamps';
  /** Whether a hit stamps anew: LRU; otherwise FIFO. */
  readonly onHit: boolean;
}

/**
 * What a set remembers, in one int32 word: tree-PLRU's tree, or a bit for each way. A hit or fill of way `w` makes it
 * `word & keep[w] | put[w]`, and where that is `full`, `put[w]`.
 *
 * @public
 */
export interface WordRule {
  /** The tag. */
  readonly kind: 'word';
  /** By way: the bits that stay. */
  readonly keep: Int32Array;
  /** By way: the bits that are set. */
  readonly put: Int32Array;
  /** The word at which only `put` is left; 0 where there is none. */
  readonly full: number;
  /**
   * The way that goes.
   *
   * @param word - What a full set remembers.
   * @returns The way.
   */
  victim(word: number): number;
}

/**
 * Nothing is remembered: any way, from a seed.
 *
 * @public
 */
export interface RandomRule {
  /** The tag. */
  readonly kind: 'random';
  /** Any int32. */
  readonly seed: number;
}

/**
 * A policy as int code, for the inside of a TLB.
 *
 * @public
 */
export type InlineRule = StampRule | WordRule | RandomRule;
