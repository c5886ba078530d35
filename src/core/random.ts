import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { xoroshiro128plus, xoroshiro128plusFromState } from 'pure-rand/generator/xoroshiro128plus';
import { checkInteger, checkVersion, VmError } from './error.js';

/**
 * The state of a {@link Random}, as plain data.
 *
 * @public
 */
export interface RandomSnapshot {
  /** The version of this shape. */
  readonly v: 1;
  /** The generator's state words. */
  readonly state: readonly number[];
}

/**
 * Seeded randomness: the same seed gives the same numbers on every machine. xoroshiro128+ from pure-rand.
 *
 * @example
 * ```ts
 * import { Random } from 'pagewright/core';
 *
 * const a = new Random(7);
 * const b = new Random(7);
 * a.below(1000) === b.below(1000); // => true
 * const saved = a.snapshot();
 * const next = a.below(1000);
 * Random.restore(saved).below(1000) === next; // => true
 * ```
 * @public
 */
export class Random {
  private generator;

  /** @param seed - Any int32. */
  constructor(seed: number) {
    checkInteger('seed', seed, -(2 ** 31), 2 ** 32 - 1);
    this.generator = xoroshiro128plus(seed | 0);
  }

  /**
   * A uniformly distributed integer.
   *
   * @param end - Exclusive upper bound, 1 to 2^53 - 1.
   * @returns An integer from 0 to `end - 1`.
   * @throws {@link VmError} for a bad bound.
   */
  below(end: number): number {
    checkInteger('end', end, 1, Number.MAX_SAFE_INTEGER);
    return uniformInt(this.generator, 0, end - 1);
  }

  /**
   * 32 random bits.
   *
   * @returns An int32, for bit patterns.
   */
  word(): number {
    return this.generator.next();
  }

  /**
   * The state, from which {@link Random.restore} continues the same sequence.
   *
   * @returns Plain data.
   */
  snapshot(): RandomSnapshot {
    return { v: 1, state: [...this.generator.getState()] };
  }

  /**
   * Continues a saved sequence.
   *
   * @param snapshot - What {@link Random.snapshot} returned.
   * @returns A generator whose next numbers are those that would have come.
   * @throws {@link VmError} `unsupported` for another version, `bad-image` for a damaged state.
   */
  static restore(snapshot: RandomSnapshot): Random {
    checkVersion(snapshot, 1);
    const { state } = snapshot;
    // The generator would give 0 for ever from a state of zeros.
    const sound = Array.isArray(state) && state.length === 4 && state.some((w) => w !== 0);
    if (!sound || !state.every((w) => typeof w === 'number' && (w | 0) === w)) {
      const expected = 'four int32 words, not all of them 0';
      throw new VmError('bad-image', { argument: 'snapshot.state', expected });
    }
    const random = new Random(0);
    random.generator = xoroshiro128plusFromState(state);
    return random;
  }
}
