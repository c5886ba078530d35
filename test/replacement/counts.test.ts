import { aging, countMisses, lfu, mru, nfu, random, simulate } from 'pagewright/replacement';
import { describe, expect, it } from 'vitest';
import { expectError } from '../core/errors.js';
import { Cache } from './cache.js';

/** Accesses some pages between each two ticks. */
function intervals(cache: Cache, ...pages: readonly (readonly number[])[]): Cache {
  for (const interval of pages) {
    cache.run(interval);
    cache.tick();
  }
  return cache;
}

const counters = (cache: Cache): readonly number[] | undefined =>
  cache.policy.snapshot().state['counters'];

describe('NFU', () => {
  it('counts the intervals in which a page was used, not its uses', () => {
    const cache = intervals(new Cache(nfu(), 2), [1, 1, 1, 1, 2], [2], [2]);
    expect(counters(cache)).toEqual([1, 3]);
    expect(cache.access(3).victim).toBe(1);
  });

  it('never forgets, which aging does', () => {
    const history = [[1, 2], [1], [1], [1], [2], [2]];
    expect(intervals(new Cache(nfu(), 2), ...history).access(3).victim).toBe(2);
    expect(intervals(new Cache(aging(), 2), ...history).access(3).victim).toBe(1);
  });

  it('does not look at uses since the last tick', () => {
    const cache = intervals(new Cache(nfu(), 2), [1, 2], [2]);
    cache.run([1, 1, 1]);
    expect(cache.access(3).victim).toBe(1);
  });

  it('takes the lowest slot of equal ones, and forgets the page that went', () => {
    const cache = intervals(new Cache(nfu(), 3), [1, 2, 3]);
    expect(cache.access(4).victim).toBe(1);
    expect(counters(cache)).toEqual([0, 1, 1]);
    expect(cache.access(5).victim).toBe(4);
  });
});

describe('aging', () => {
  it('shifts first and then puts R in front', () => {
    const cache = intervals(new Cache(aging({ counterBits: 4 }), 2), [1, 2], [1], [2]);
    expect(counters(cache)).toEqual([0b0110, 0b1010]);
  });

  it('forgets what is longer ago than the counter has bits', () => {
    const cache = new Cache(aging({ counterBits: 2 }), 2);
    intervals(cache, [1, 2], [1], [], []);
    expect(counters(cache)).toEqual([0, 0]);
    expect(cache.access(3).victim).toBe(1);
  });

  it('has counters of up to 32 bits, which are not negative', () => {
    const cache = intervals(new Cache(aging({ counterBits: 32 }), 1), [1], [1]);
    expect(counters(cache)).toEqual([0xc000_0000]);
    for (let tick = 0; tick < 40; tick++) intervals(cache, [1]);
    expect(counters(cache)).toEqual([0xffff_ffff]);
  });

  it('refuses other lengths and options', () => {
    expectError(() => aging({ counterBits: 0 }), 'out-of-range', 'options.counterBits');
    expectError(() => aging({ counterBits: 33 }), 'out-of-range', 'options.counterBits');
    expectError(() => aging({ counterBits: 1.5 }), 'bad-argument', 'options.counterBits');
    expectError(() => aging({ bits: 8 } as object), 'bad-argument', 'options.bits');
  });
});

describe('LFU', () => {
  it('counts coming as the first use, and takes the least recently used of equal ones', () => {
    const cache = new Cache(lfu(), 3);
    cache.run([1, 2, 3, 2, 1]);
    expect(cache.policy.snapshot().state).toEqual({ counts: [2, 2, 1], lastUses: [5, 4, 3] });
    expect(cache.run([4, 4, 5])).toEqual([3, null, 2]);
  });

  it('begins to count anew when a page comes again', () => {
    const { steps } = simulate(lfu(), 2, [1, 1, 1, 2, 2, 3, 2, 4]);
    expect(steps.map(({ victim }) => victim).slice(5)).toEqual([2, 3, 2]);
  });

  it('keeps a page that was used often long ago, which is its trouble', () => {
    const pages = [1, 1, 1, 1, 1, ...Array.from({ length: 100 }, (_, index) => 2 + (index % 2))];
    expect(countMisses(lfu(), 2, pages)).toBe(101);
  });
});

describe('MRU', () => {
  it('takes the page that was used last, a hit being a use', () => {
    const { steps } = simulate(mru(), 3, [1, 2, 3, 1, 4, 5]);
    expect(steps.map(({ victim }) => victim)).toEqual([null, null, null, null, 1, 4]);
  });
});

describe('random', () => {
  const pages = Array.from({ length: 200 }, (_, index) => (index * 7) % 11);
  const victims = (seed: number): unknown => simulate(random({ seed }), 4, pages).steps;

  it('gives the same victims for the same seed, others for another', () => {
    expect(victims(3)).toEqual(victims(3));
    expect(victims(4)).not.toEqual(victims(3));
  });

  it('refuses a seed that is no int32, or none', () => {
    expectError(() => random({ seed: 0.5 }), 'bad-argument', 'options.seed');
    expectError(() => random({ seed: 2 ** 31 }), 'out-of-range', 'options.seed');
    expectError(() => random({} as { seed: number }), 'bad-argument', 'options.seed');
    expectError(
      () => random({ seed: 1, sed: 1 } as { seed: number }),
      'bad-argument',
      'options.sed',
    );
  });
});
