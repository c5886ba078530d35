import { Random, type RandomSnapshot } from '../core/index.js';
import { damaged, savedIn, savedNumbers } from './pair-store.js';

/**
 * Which way of a set a fill takes: in turn, or at random. The last set is the MTLB, whose ways are its entries.
 *
 * @internal
 */
export class FillChoice {
  private readonly ways: readonly number[];
  private readonly next: Uint16Array;
  private random: Random | null;

  constructor(ways: readonly number[], seed: number | null) {
    this.ways = ways;
    this.next = new Uint16Array(ways.length);
    this.random = seed === null ? null : new Random(seed);
  }

  /** The way that goes. */
  take(set: number): number {
    const ways = this.ways[set]!;
    if (this.random !== null) return this.random.below(ways);
    const way = this.next[set]!;
    this.next[set] = (way + 1) % ways;
    return way;
  }

  /** Plain data. */
  save(): readonly number[] | RandomSnapshot {
    return this.random === null ? [...this.next] : this.random.snapshot();
  }

  /** Takes over what `save` returned. */
  load(saved: readonly number[] | RandomSnapshot): void {
    if (typeof saved !== 'object' || saved === null) {
      throw damaged('choice', saved, 'integers or the state of random numbers');
    }
    if ('state' in saved) {
      this.random = Random.restore(saved);
      return;
    }
    this.random = null;
    const numbers = savedNumbers('choice', saved, this.ways.length);
    for (const [set, way] of numbers.entries()) {
      this.next[set] = savedIn('choice', way, 0, this.ways[set]! - 1);
    }
  }
}
