import { describe, expect, it } from 'vitest';
import { grid } from '../../src/mmu/sweep-configuration.js';
import { codeOf } from '../tlb/code-of.js';

describe('a grid', () => {
  it('is every combination, the last name changing fastest', () => {
    expect(grid({ entries: [16, 64], ways: [4, 8], policy: ['lru'] })).toEqual([
      { entries: 16, ways: 4, policy: 'lru' },
      { entries: 16, ways: 8, policy: 'lru' },
      { entries: 64, ways: 4, policy: 'lru' },
      { entries: 64, ways: 8, policy: 'lru' },
    ]);
  });

  it('takes any data, and of no names has the one combination of nothing', () => {
    expect(grid({ orders: [[0], [0, 9]], on: [null] })).toEqual([
      { orders: [0], on: null },
      { orders: [0, 9], on: null },
    ]);
    expect(grid({})).toEqual([{}]);
  });

  it.each<[string, unknown, string]>([
    ['nothing', undefined, 'bad-argument'],
    ['a list', [[1]], 'bad-argument'],
    ['a value that is in no list', { entries: 4 }, 'bad-argument'],
    ['a name without values', { entries: [4], ways: [] }, 'bad-argument'],
    ['too many', { a: Array(2000).fill(0), b: Array(2000).fill(0) }, 'out-of-range'],
  ])('is not made of %s', (_name, axes, code) => {
    expect(codeOf(() => Reflect.apply(grid, undefined, [axes]))).toBe(code);
  });
});
