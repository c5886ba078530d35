import { arc, countMisses, lru, type PolicySnapshot, twoQ } from 'pagewright/replacement';
import { describe, expect, it } from 'vitest';
import { GhostList } from '../../src/replacement/ghost-list.js';
import { expectError } from '../core/errors.js';
import { Cache } from './cache.js';
import { loopWithScan, SCAN, stateOf } from './scans.js';

/** The page that goes, and the slot that is empty now: the snapshot of this moment goes through a file. */
function interrupted(cache: Cache, page: number): number | null {
  const slot = cache.policy.victim(page);
  const victim = cache.slots[slot] ?? null;
  cache.slots[slot] = null;
  cache.saveAndRestore();
  cache.policy.checkInvariants();
  return victim;
}

describe('a list of ghosts', () => {
  it('forgets the oldest ones beyond its capacity', () => {
    const list = new GhostList(2);
    for (const page of [1, 2, 3]) list.pushHead(page);
    expect(list.toArray()).toEqual([3, 2]);
    expect([list.has(1), list.has(2), list.length]).toEqual([false, true, 2]);
  });

  it('keeps its order when pages leave from the middle and come again', () => {
    const list = new GhostList(10);
    for (const page of [1, 2, 3, 4]) list.pushHead(page);
    expect([list.remove(1), list.remove(3), list.remove(9)]).toEqual([true, true, false]);
    list.pushHead(1);
    list.dropTail();
    expect(list.toArray()).toEqual([1, 4]);
  });

  it('can be empty, again and again', () => {
    const list = new GhostList(3);
    for (let page = 0; page < 100; page++) {
      list.dropTail();
      expect(list.toArray()).toEqual([]);
      list.pushHead(page);
      list.dropTail();
    }
    const none = new GhostList(0);
    none.pushHead(1);
    expect(none.toArray()).toEqual([]);
  });
});

describe('2Q', () => {
  it('does not let a scan drive out Am', () => {
    const loop = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 1, 2, ...loopWithScan(20)];
    // 1 and 2 come once, and again while they are remembered; LRU loses them in every round.
    expect(countMisses(twoQ(), 8, loop)).toBe(12 + SCAN.length);
    expect(countMisses(lru(), 8, loop)).toBe(12 + SCAN.length + 20);
  });

  it('takes from A1in while Am is empty, however short A1in may be', () => {
    const cache = new Cache(twoQ({ inFraction: 1 }), 3);
    expect(cache.run([1, 2, 3, 1, 4])).toEqual([null, null, null, null, 1]);
    expect(stateOf(cache)['a1out']).toEqual([1]);
  });

  it('has shares of slots for Kin and Kout, rounded down', () => {
    const remembered = (slots: number, outFraction: number): number => {
      const cache = new Cache(twoQ({ outFraction }), slots);
      cache.run(SCAN);
      return stateOf(cache)['a1out']!.length;
    };
    expect([remembered(1, 0.5), remembered(3, 0.5), remembered(4, 0.5)]).toEqual([0, 1, 2]);
    // 0.29 * 100 is 28.999999999999996.
    expect(remembered(100, 0.29)).toBe(29);
  });

  it('remembers no page that was removed', () => {
    const cache = new Cache(twoQ(), 4);
    cache.run([1, 2, 3, 4, 5]);
    cache.remove(2);
    expect(stateOf(cache)['a1out']).toEqual([1]);
    cache.access(1);
    expect(stateOf(cache)).toMatchObject({ am: [1], a1out: [] });
  });

  it('knows after a restart that the page for which it made room was remembered', () => {
    const cache = new Cache(twoQ(), 2);
    cache.run([1, 2, 3]);
    // Page 2 takes the only place in A1out, which was that of page 1.
    expect(interrupted(cache, 1)).toBe(2);
    expect(stateOf(cache)).toMatchObject({ a1out: [2], promoted: [1] });
    cache.access(1);
    expect(stateOf(cache)).toMatchObject({ am: [1], promoted: [-1] });
  });

  it('gives the room to another page, if that is what comes', () => {
    const cache = new Cache(twoQ(), 2);
    cache.run([1, 2, 3]);
    interrupted(cache, 1);
    cache.access(7);
    expect(stateOf(cache)).toMatchObject({ a1in: [1, 0], am: [], promoted: [-1] });
  });

  it('refuses shares that are none, and other options', () => {
    expectError(() => twoQ({ inFraction: 1.1 }), 'out-of-range', 'options.inFraction');
    expectError(() => twoQ({ inFraction: Number.NaN }), 'bad-argument', 'options.inFraction');
    expectError(() => twoQ({ outFraction: -0.1 }), 'out-of-range', 'options.outFraction');
    expectError(() => twoQ({ outFraction: 17 }), 'out-of-range', 'options.outFraction');
    expectError(() => twoQ({ outFraction: '1' } as object), 'bad-argument', 'options.outFraction');
    expectError(() => twoQ({ in: 0.5 } as object), 'bad-argument', 'options.in');
  });

  it('refuses snapshots in which a page or slot is in two places, or too many are remembered', () => {
    const cache = new Cache(twoQ(), 4);
    cache.run([1, 2, 3, 4, 5, 6, 1]);
    const saved = cache.policy.snapshot();
    expect(saved.state).toEqual({ a1in: [1, 0, 3], am: [2], a1out: [3, 2], promoted: [-1] });
    const refused = (part: string, change: PolicySnapshot['state'], pages = saved.pages): void => {
      const snapshot = { ...saved, pages, state: { ...saved.state, ...change } };
      expectError(() => twoQ().restore(snapshot), 'bad-image', `snapshot.${part}`);
    };
    refused('state.am', { am: [2, 3] });
    refused('state', { am: [] });
    refused('state', { a1out: [3, 4] });
    refused('state', {}, [5, 6, 5, 4]);
    refused('state.a1out', { a1out: [3, 2, 7] });
    refused('state.a1out', { a1out: [3, 3] });
    refused('state', { promoted: [3] }); // and no slot is free
    refused('state', { a1in: [1, 0], promoted: [6] }, [5, 6, 1, -1]); // which is there
    refused('state.promoted', { promoted: [] });
  });
});

describe('ARC', () => {
  it('does not let a scan drive out T2', () => {
    const cache = new Cache(arc(), 8);
    cache.run([1, 2, 3, 1, 2, 3, ...SCAN]);
    expect(cache.pages).toEqual(expect.arrayContaining([1, 2, 3]));
    expect(stateOf(cache)['t2']).toHaveLength(3);
    const loop = loopWithScan(20);
    expect(countMisses(arc(), 8, loop)).toBe(2 + SCAN.length);
    expect(countMisses(lru(), 8, loop)).toBe(2 + SCAN.length + 20);
  });

  it('has a p that is no integer where the ghosts are not in proportion', () => {
    const cache = new Cache(arc(), 5);
    const lists = { t1: [0], t2: [1, 2, 3, 4], b1: [11, 12], b2: [21, 22, 23] };
    const saved = { ...cache.policy.snapshot(), pages: [1, 2, 3, 4, 5] };
    cache.policy = arc().restore({ ...saved, state: { ...lists, p: [0], expected: [-1] } });
    for (const [slot, page] of saved.pages.entries()) cache.slots[slot] = page;
    // d1 = 3 / 2, and then 4 / 1, but p is 5 at most.
    expect([cache.access(11).victim, stateOf(cache)['p']]).toEqual([5, [1.5]]);
    cache.saveAndRestore();
    expect(stateOf(cache)['p']).toEqual([1.5]);
    expect([cache.access(12).victim, stateOf(cache)['p']]).toEqual([4, [5]]);
  });

  it('leaves no ghost of a page that was removed', () => {
    const cache = new Cache(arc(), 2);
    cache.run([1, 2, 2]);
    cache.remove(1);
    cache.remove(2);
    expect(stateOf(cache)).toMatchObject({ t1: [], t2: [], b1: [], b2: [] });
  });

  it('adapts where a slot is free, and nobody has to go', () => {
    const cache = new Cache(arc(), 3);
    cache.run([1, 2, 1, 3, 4]);
    expect(stateOf(cache)).toMatchObject({ p: [0], b1: [2] });
    cache.remove(1);
    expect(cache.access(2)).toEqual({ hit: false, victim: null });
    expect(stateOf(cache)).toMatchObject({ p: [1], t2: [0], b1: [] }); // case II
    cache.run([5, 6]);
    expect(stateOf(cache)).toMatchObject({ t1: [1, 2], t2: [0], b1: [4] });
    cache.remove(2);
    cache.access(7);
    expect(stateOf(cache)).toMatchObject({ t1: [0, 1, 2], b1: [] }); // case IV A: page 4 is forgotten
  });

  it('does not adapt twice when it is restarted before the page comes', () => {
    const cache = new Cache(arc(), 3);
    cache.run([1, 2, 1, 3, 4]);
    expect(interrupted(cache, 2)).toBe(3);
    expect(stateOf(cache)).toMatchObject({ p: [1], b1: [3, 2], expected: [2] });
    cache.access(2);
    expect(stateOf(cache)).toMatchObject({ p: [1], b1: [3], expected: [-1] });
  });

  it('adapts for the page that comes, if it is another one', () => {
    const cache = new Cache(arc(), 3);
    cache.run([1, 2, 1, 3, 4]);
    interrupted(cache, 9);
    expect(stateOf(cache)).toMatchObject({ p: [0], t1: [1], b1: [3], expected: [9] }); // case IV A
    cache.access(3);
    expect(stateOf(cache)).toMatchObject({ p: [1], t1: [1], b1: [], expected: [-1] }); // case II
    cache.policy.checkInvariants();
  });

  it('refuses snapshots beyond the bounds of the paper', () => {
    const cache = new Cache(arc(), 2);
    cache.run([1, 1, 2, 3]);
    const saved = cache.policy.snapshot();
    const lists = { t1: [1], t2: [0], b1: [2], b2: [] };
    expect(saved.state).toEqual({ ...lists, p: [0], expected: [-1] });
    const refused = (part: string, change: PolicySnapshot['state'], pages = saved.pages): void => {
      const snapshot = { ...saved, pages, state: { ...saved.state, ...change } };
      expectError(() => arc().restore(snapshot), 'bad-image', `snapshot.${part}`);
    };
    refused('state', { b1: [2, 4] }); // |L1| is c at most
    refused('state', { b2: [4, 5] }); // |L1| + |L2| is 2c at most
    refused('state', { b2: [2] });
    refused('state', { p: [2.5] });
    refused('state', { p: [-1] });
    refused('state.p', { p: [Number.NaN] });
    refused('state.p', { p: [] });
    refused('state', { expected: [9] });
    refused('state', { t2: [], b1: [2], expected: [9] }, [-1, 3]); // it would be the third page of L1
    refused('state.t2', { t2: [0, 1] });
  });
});
