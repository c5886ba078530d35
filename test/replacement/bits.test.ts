import { clock, nru, secondChance, simulate, treePlru } from 'pagewright/replacement';
import { describe, expect, it } from 'vitest';
import { expectError } from '../core/errors.js';
import { Cache } from './cache.js';

/** The victim of the last reference. */
const last = (...run: Parameters<typeof simulate>): number | null | undefined =>
  simulate(...run).steps.at(-1)?.victim;

describe('tree-PLRU', () => {
  it('needs a power of two', () => {
    for (const slots of [3, 6, 12, 100]) {
      expectError(() => treePlru().create(slots), 'bad-argument', 'slots');
      expectError(() => treePlru().inline?.(slots), 'bad-argument', 'ways');
    }
  });

  it('turns the nodes on the way to a slot away from it', () => {
    const cache = new Cache(treePlru(), 4);
    const trees = [0, 1, 2, 3].map((page) => {
      cache.access(page);
      return cache.policy.snapshot().state['tree'];
    });
    // The root, then the node of 0 and 1, then that of 2 and 3; 1 leads up.
    expect(trees).toEqual([
      [1, 1, 0],
      [1, 0, 0],
      [0, 0, 1],
      [0, 0, 0],
    ]);
    expect(cache.access(4).victim).toBe(0);
  });

  it('is not LRU: a page may go that was used a moment ago', () => {
    expect(last(treePlru(), 4, [0, 1, 2, 3, 2, 0, 4])).toBe(3);
    expect(last(treePlru(), 4, [0, 1, 2, 3, 0, 4])).toBe(2);
  });

  it('leaves the tree as it is when a page is removed', () => {
    const cache = new Cache(treePlru(), 4);
    cache.run([0, 1, 2, 3]);
    const { state } = cache.policy.snapshot();
    cache.remove(1);
    expect(cache.policy.snapshot().state).toEqual(state);
  });

  it('has any number of levels', () => {
    const pages = Array.from({ length: 4096 }, (_, page) => page);
    expect(last(treePlru(), 4096, [...pages, 4096])).toBe(0);
  });
});

describe('NRU', () => {
  /** Pages 0 to 3 in the classes 3, 2, 1 and 0. */
  function classes(): Cache {
    const cache = new Cache(nru(), 4);
    for (const page of [0, 1, 2, 3]) cache.access(page, page % 2 === 0);
    cache.tick();
    cache.access(0);
    cache.access(1);
    return cache;
  }

  it('takes from the lowest class that has a page', () => {
    const cache = classes();
    const victims: (number | null)[] = [];
    for (const page of [10, 11, 12, 13]) {
      victims.push(cache.access(page, true).victim);
    }
    // The pages that come are in class 3, where the one in the lowest slot goes: page 0.
    expect(victims).toEqual([3, 2, 1, 0]);
  });

  it('clears R at a tick and keeps M until the page is written back', () => {
    const cache = classes();
    const bits = (): unknown => cache.policy.snapshot().state;
    expect(bits()).toEqual({ referenced: [1, 1, 0, 0], modified: [1, 0, 1, 0] });
    cache.tick();
    expect(bits()).toEqual({ referenced: [0, 0, 0, 0], modified: [1, 0, 1, 0] });
    cache.clean(0);
    expect(bits()).toEqual({ referenced: [0, 0, 0, 0], modified: [0, 0, 1, 0] });
  });

  it('with one bit clears the others when all would be set', () => {
    const cache = new Cache(nru({ reset: 'when-all-referenced' }), 3);
    cache.run([0, 1]);
    expect(cache.policy.snapshot().state).toEqual({ referenced: [1, 1, 0] });
    cache.access(2);
    expect(cache.policy.snapshot().state).toEqual({ referenced: [0, 0, 1] });
    expect(cache.run([3, 4, 5])).toEqual([0, 1, 3]);
  });

  it('with one bit does not look at ticks and writes', () => {
    const kind = nru({ reset: 'when-all-referenced' });
    const pages = [0, 1, 2, 0, 3, 1, 2, 4, 0, 1];
    const writes = pages.map((page) => page < 2);
    const run = simulate(kind, 3, pages, { writes, tickEvery: 1 });
    expect(run.steps).toEqual(simulate(kind, 3, pages).steps);
  });

  it('refuses other options', () => {
    expectError(() => nru({ reset: 'never' as 'on-tick' }), 'bad-argument', 'options.reset');
    expectError(() => nru({ rest: 1 } as object), 'bad-argument', 'options.rest');
  });
});

describe('CLOCK', () => {
  it('stops behind the page that came in', () => {
    const cache = new Cache(clock(), 3);
    const hands = [1, 2, 3, 4, 5].map((page) => {
      cache.access(page);
      return cache.policy.snapshot().state;
    });
    expect(hands.slice(2)).toEqual([
      { hand: [0], counts: [1, 1, 1] },
      { hand: [1], counts: [1, 0, 0] },
      { hand: [2], counts: [1, 1, 0] },
    ]);
  });

  it('is FIFO where pages come unreferenced and are used once', () => {
    const cache = new Cache(clock({ initial: 0 }), 3);
    expect(cache.run([1, 2, 3, 4, 5, 6])).toEqual([null, null, null, 1, 2, 3]);
  });

  it('with initial 0 spares only what was used again', () => {
    expect(last(clock({ initial: 0 }), 3, [1, 2, 3, 1, 4])).toBe(2);
    expect(last(clock(), 3, [1, 2, 3, 1, 4])).toBe(1);
  });

  it('that counts spares a page as many rounds as it was used', () => {
    const pages = [1, 1, 1, 1, 2, 3, 4, 5, 6, 7];
    const misses = simulate(clock({ maximum: 3, initial: 0 }), 2, pages).steps;
    expect(misses.slice(5).map(({ victim }) => victim)).toEqual([2, 3, 4, 1, 5]);
    const counted = simulate(clock({ maximum: 2, initial: 0 }), 2, pages).steps;
    expect(counted.slice(5).map(({ victim }) => victim)).toEqual([2, 3, 1, 4, 5]);
  });

  it('goes on behind a slot that was emptied and filled anew', () => {
    const cache = new Cache(clock(), 3);
    cache.run([1, 2, 3, 4]);
    cache.remove(2);
    expect(cache.policy.snapshot().state).toEqual({ hand: [1], counts: [1, 0, 0] });
    expect(cache.run([5, 6])).toEqual([null, 3]);
  });

  it('refuses counts out of range, and other options', () => {
    expectError(() => clock({ maximum: 0 }), 'out-of-range', 'options.maximum');
    expectError(() => clock({ maximum: 256 }), 'out-of-range', 'options.maximum');
    expectError(() => clock({ initial: 2 }), 'out-of-range', 'options.initial');
    expectError(() => clock({ initial: -1 }), 'out-of-range', 'options.initial');
    expectError(() => clock({ bits: 1 } as object), 'bad-argument', 'options.bits');
  });
});

describe('second chance', () => {
  it('moves a referenced page to the end of the queue, its bit cleared', () => {
    const cache = new Cache(secondChance(), 3);
    cache.run([1, 2, 3, 4]);
    // 1 went when all had lost their bits; 2 is used again, so 3 goes next.
    expect(cache.policy.snapshot().state).toEqual({ order: [0, 2, 1], referenced: [1, 0, 0] });
    expect(cache.run([2, 5])).toEqual([null, 3]);
    expect(cache.policy.snapshot().state).toEqual({ order: [2, 1, 0], referenced: [1, 0, 1] });
  });

  it('is FIFO when every page is referenced', () => {
    const cache = new Cache(secondChance(), 3);
    expect(cache.run([1, 2, 3, 3, 1, 2, 4])).toEqual([null, null, null, null, null, null, 1]);
  });
});
