import fc from 'fast-check';
import { Random, type RandomSnapshot } from 'pagewright/core';
import { describe, expect, it } from 'vitest';
import { expectError } from './errors.js';

const take = (random: Random): number[] => Array.from({ length: 20 }, () => random.word());

describe('Random', () => {
  it('gives the same numbers for the same seed, others for another', () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const numbers = take(new Random(seed));
        expect(take(new Random(seed))).toEqual(numbers);
        expect(take(new Random(seed >>> 0))).toEqual(numbers);
        for (let bit = 0; bit < 32; bit++) {
          expect(take(new Random(seed ^ (1 << bit)))).not.toEqual(numbers);
        }
      }),
    );
  });

  it('gives these numbers for ever, so that recorded seeds keep their meaning', () => {
    const random = new Random(42);
    expect([random.word(), random.word(), random.word()]).toEqual([-43, -707462423, -8332113]);
    expect(random.below(1000)).toBe(820);
  });

  it('gives int32 words and integers below the bound', () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer({ min: 1, max: 2 ** 53 - 1 }), (seed, end) => {
        const random = new Random(seed);
        const [word, below] = [random.word(), random.below(end)];
        expect(word | 0).toBe(word);
        expect(Number.isInteger(below) && below >= 0 && below < end).toBe(true);
      }),
    );
    expect(new Random(1).below(1)).toBe(0);
  });

  it('reaches every value of a small range', () => {
    const random = new Random(3);
    const seen = new Set(Array.from({ length: 200 }, () => random.below(6)));
    expect([...seen].sort()).toEqual([0, 1, 2, 3, 4, 5]);
  });

  it('continues from a snapshot, which the original does not disturb', () => {
    const random = new Random(42);
    take(random);
    const saved = random.snapshot();
    const next = take(random);
    expect(take(Random.restore(saved))).toEqual(next);
    expect(take(Random.restore(JSON.parse(JSON.stringify(saved))))).toEqual(next);
    expect(saved.v).toBe(1);
  });

  it('refuses bad seeds and bounds', () => {
    expectError(() => new Random(0.5), 'bad-argument', 'seed');
    expectError(() => new Random(2 ** 32), 'out-of-range', 'seed');
    expectError(() => new Random(-(2 ** 31) - 1), 'out-of-range', 'seed');
    expectError(() => new Random(1).below(0), 'out-of-range', 'end');
    expectError(() => new Random(1).below(Number.NaN), 'bad-argument', 'end');
    expectError(() => new Random(1).below(2 ** 53), 'out-of-range', 'end');
  });

  it.each([{ v: 2, state: [1, 2, 3, 4] }, {}, null, undefined])(
    'refuses another version: %j',
    (saved) => {
      expectError(() => Random.restore(saved as RandomSnapshot), 'unsupported', 'snapshot.v');
    },
  );

  it.each([
    [undefined],
    ['1234'],
    [[1, 2, 3]],
    [[1, 2, 3, 4, 5]],
    [[1, 2, 3, 0.5]],
    [[1, 2, 3, 2 ** 31]],
    [[1, 2, 3, Number.NaN]],
    [[1, 2, 3, 4n]],
    [[0, 0, 0, 0]],
  ])('refuses a damaged state: %o', (state) => {
    const saved = { v: 1, state } as unknown as RandomSnapshot;
    expectError(() => Random.restore(saved), 'bad-image', 'snapshot.state');
  });
});
