import { countMisses, lru, type PolicySnapshot, s3Fifo } from 'pagewright/replacement';
import { describe, expect, it } from 'vitest';
import { expectError } from '../core/errors.js';
import { Cache } from './cache.js';
import { loopWithScan, SCAN, stateOf } from './scans.js';

describe('S3-FIFO', () => {
  it('does not let a scan drive out M', () => {
    const loop = [1, 2, 1, 2, ...loopWithScan(20)];
    expect(countMisses(s3Fifo(), 8, loop)).toBe(2 + SCAN.length);
    expect(countMisses(lru(), 8, loop)).toBe(2 + SCAN.length + 20);
  });

  it('has S and M in the smallest caches, too', () => {
    expect(new Cache(s3Fifo(), 1).run([1, 2, 1])).toEqual([null, 1, 2]); // no M, no ghosts
    // Page 1 was used twice and moves to M, which has no slot, and so goes.
    const one = new Cache(s3Fifo(), 1);
    expect(one.run([1, 1, 1, 2])).toEqual([null, null, null, 1]);
    expect(stateOf(one)).toMatchObject({ small: [0], main: [], ghosts: [] });
    const two = new Cache(s3Fifo(), 2);
    expect(two.run([1, 2, 3, 1, 4])).toEqual([null, null, 1, 2, 3]);
    // One ghost is one too few: making room for page 1 has made G forget it.
    expect(stateOf(two)).toMatchObject({ small: [0, 1], main: [], ghosts: [3] });
    const three = new Cache(s3Fifo(), 3);
    expect(three.run([1, 1, 1, 2, 3, 4])).toEqual([null, null, null, null, null, 2]);
    expect(stateOf(three)).toMatchObject({ small: [1, 2], main: [0], ghosts: [2] });
  });

  it('counts three uses at most, and clears them when a page moves', () => {
    const cache = new Cache(s3Fifo(), 3);
    cache.run([1, 1, 1, 1, 1, 1, 2]);
    expect(stateOf(cache)['frequencies']).toEqual([3, 0, 0]);
    cache.run([3, 4]);
    expect(stateOf(cache)).toMatchObject({ main: [0], frequencies: [0, 0, 0] });
  });

  it('lets a page of M go round as often as it was used', () => {
    const cache = new Cache(s3Fifo(), 3);
    // 1 and 2 are used and move to M; M is full then, and gives one.
    cache.run([1, 1, 1, 2, 2, 2, 3]);
    expect(cache.access(4).victim).toBe(1);
    cache.run([2, 2]);
    expect(stateOf(cache)).toMatchObject({ main: [1], frequencies: [0, 2, 0] });
    cache.run([3, 3]);
    // 3 moves; 2 goes round, then 3 has not been used in M.
    expect(cache.access(5).victim).toBe(3);
    expect(stateOf(cache)).toMatchObject({ main: [1], frequencies: [0, 1, 0], ghosts: [] });
  });

  it('gives S its share rounded up, and M and G the others', () => {
    const remembered = (slots: number, options = {}): number => {
      const cache = new Cache(s3Fifo(options), slots);
      cache.run(SCAN);
      return stateOf(cache)['ghosts']!.length;
    };
    expect([1, 2, 10, 11, 30].map((slots) => remembered(slots))).toEqual([0, 1, 9, 9, 27]);
    expect(remembered(10, { smallFraction: 0.25 })).toBe(7);
    expect(remembered(10, { ghostFraction: 1.5 })).toBe(15);
    expect(remembered(10, { ghostFraction: 0 })).toBe(0);
  });

  it('remembers no page that was removed', () => {
    const cache = new Cache(s3Fifo(), 3);
    cache.run([1, 2, 2]);
    cache.remove(2);
    expect(stateOf(cache)).toMatchObject({ small: [0], ghosts: [], frequencies: [0, 0, 0] });
  });

  it('refuses shares that are none, and other options', () => {
    expectError(() => s3Fifo({ smallFraction: 2 }), 'out-of-range', 'options.smallFraction');
    expectError(
      () => s3Fifo({ smallFraction: Number.NaN }),
      'bad-argument',
      'options.smallFraction',
    );
    expectError(() => s3Fifo({ ghostFraction: -1 }), 'out-of-range', 'options.ghostFraction');
    expectError(() => s3Fifo({ small: 0.5 } as object), 'bad-argument', 'options.small');
  });

  it('refuses snapshots of a state that cannot be', () => {
    const cache = new Cache(s3Fifo(), 2);
    cache.run([1, 2, 3]);
    const saved = cache.policy.snapshot();
    expect(saved.state).toEqual({ small: [0, 1], main: [], ghosts: [1], frequencies: [0, 0] });
    const refused = (part: string, change: PolicySnapshot['state'], pages = saved.pages): void => {
      const snapshot = { ...saved, pages, state: { ...saved.state, ...change } };
      expectError(() => s3Fifo().restore(snapshot), 'bad-image', `snapshot.${part}`);
    };
    refused('state.frequencies', { frequencies: [4, 0] });
    refused('state', { small: [0], frequencies: [0, 1] }, [3, -1]);
    refused('state.ghosts', { ghosts: [1, 4] });
    refused('state', { ghosts: [2] });
    refused('state.main', { main: [1] });
    refused('state', { small: [0] });
  });
});
