import {
  countMisses,
  lru,
  type PolicySnapshot,
  sieve,
  srrip,
  type WsClockOptions,
  wsClock,
} from 'pagewright/replacement';
import { describe, expect, it } from 'vitest';
import { expectError } from '../core/errors.js';
import { Cache } from './cache.js';
import { stateOf } from './scans.js';

describe('SIEVE', () => {
  it('moves its hand as it does from a victim, when the page at the hand is removed', () => {
    const cache = new Cache(sieve(), 4);
    // 2 goes, and the hand is at 3.
    cache.run([1, 2, 3, 4, 1, 5]);
    expect(stateOf(cache)['hand']).toEqual([2]);
    cache.remove(3);
    expect(stateOf(cache)['hand']).toEqual([3]);
    cache.policy.checkInvariants();
    cache.access(6);
    expect(cache.access(7).victim).toBe(4);
  });

  it('goes back to the tail when the head is removed from under the hand', () => {
    const cache = new Cache(sieve(), 2);
    cache.run([1, 2, 3]);
    expect(stateOf(cache)).toMatchObject({ queue: [0, 1], hand: [1] });
    cache.remove(3);
    cache.remove(2);
    expect(stateOf(cache)).toMatchObject({ queue: [], hand: [-1] });
    expect(cache.run([4, 5, 6])).toEqual([null, null, 4]);
  });

  it('keeps pages that are used, while new ones pass', () => {
    const scan = Array.from({ length: 200 }, (_, index) => 100 + index);
    const pages = scan.flatMap((page, index) => (index % 4 === 0 ? [1, 2, page] : [page]));
    expect(countMisses(sieve(), 6, [1, 2, ...pages])).toBe(2 + scan.length);
    // LRU has them, too, as long as they are used soon enough.
    expect(countMisses(lru(), 5, [1, 2, ...pages])).toBeGreaterThan(2 + scan.length);
  });

  it('refuses a hand or a bit where no page is', () => {
    const cache = new Cache(sieve(), 3);
    cache.run([1, 2]);
    const saved = cache.policy.snapshot();
    const refused = (part: string, change: PolicySnapshot['state']): void => {
      const snapshot = { ...saved, state: { ...saved.state, ...change } };
      expectError(() => sieve().restore(snapshot), 'bad-image', `snapshot.${part}`);
    };
    refused('state', { hand: [2] });
    refused('state.hand', { hand: [3] });
    refused('state', { visited: [0, 0, 1] });
    refused('state', { queue: [0] });
  });
});

describe('SRRIP', () => {
  const values = (cache: Cache): readonly number[] | undefined => stateOf(cache)['values'];

  it('makes a use count by one with frequency priority', () => {
    const cache = new Cache(srrip({ promotion: 'frequency' }), 2);
    cache.run([1, 2, 1]);
    expect(values(cache)).toEqual([1, 2]);
    cache.run([1, 1, 1]);
    expect(values(cache)).toEqual([0, 2]);
  });

  it('has values of as many bits as it is told', () => {
    const cache = new Cache(srrip({ bits: 8 }), 2);
    cache.run([1, 2, 1]);
    expect(values(cache)).toEqual([0, 254]);
    expect(cache.access(3).victim).toBe(2);
    expect(values(cache)).toEqual([1, 254]);
  });

  it('is NRU with one bit', () => {
    const cache = new Cache(srrip({ bits: 1 }), 3);
    expect(cache.run([1, 2, 3, 4])).toEqual([null, null, null, 1]);
    expect(values(cache)).toEqual([0, 1, 1]);
  });

  it('takes pages that come as distant ones before all others', () => {
    const cache = new Cache(srrip({ insertion: 3 }), 3);
    expect(cache.run([1, 2, 3, 1, 4, 5, 6])).toEqual([null, null, null, null, 2, 4, 5]);
  });

  it('does not let a short scan drive out what was used', () => {
    const pages = [1, 2, 1, 2];
    for (let page = 10; page < 210; page += 4) pages.push(page, page + 1, page + 2, page + 3, 1, 2);
    expect(countMisses(srrip(), 4, pages)).toBe(2 + 200);
    expect(countMisses(lru(), 4, pages)).toBe(2 + 200 + 100);
  });

  it('refuses numbers out of range, and other options', () => {
    expectError(() => srrip({ bits: 0 }), 'out-of-range', 'options.bits');
    expectError(() => srrip({ bits: 9 }), 'out-of-range', 'options.bits');
    expectError(() => srrip({ bits: 2, insertion: 4 }), 'out-of-range', 'options.insertion');
    expectError(() => srrip({ insertion: 0.5 }), 'bad-argument', 'options.insertion');
    expectError(() => srrip({ promotion: 'hp' } as object), 'bad-argument', 'options.promotion');
    expectError(() => srrip({ bit: 2 } as object), 'bad-argument', 'options.bit');
  });

  it('refuses snapshots with values that cannot be', () => {
    const cache = new Cache(srrip(), 2);
    cache.access(1);
    const saved = cache.policy.snapshot();
    expect(saved.state).toEqual({ values: [2, 3] });
    for (const list of [[4, 3], [2], [2, -1]]) {
      const snapshot = { ...saved, state: { values: list } };
      expectError(() => srrip().restore(snapshot), 'bad-image', 'snapshot.state.values');
    }
    const snapshot = { ...saved, state: { values: [2, 0] } };
    expectError(() => srrip().restore(snapshot), 'bad-image', 'snapshot.state');
  });
});

describe('WSClock', () => {
  /** Pages 0 to 3, all of which are dirty and old, and the hand at the first one; page 4 in the last slot is used. */
  function oldAndDirty(options: WsClockOptions, written: number[]): Cache {
    const onWriteback = (_slot: number, page: number): unknown => written.push(page);
    const cache = new Cache(wsClock({ onWriteback, ...options }), 5);
    for (const page of [0, 1, 2, 3]) cache.access(page, true);
    // 4 is the only clean page, and goes when R has been cleared everywhere.
    cache.access(4);
    expect(cache.access(5).victim).toBe(4);
    expect(stateOf(cache)).toMatchObject({ hand: [0], modified: [1, 1, 1, 1, 0] });
    for (let use = 0; use < 9; use++) cache.access(5);
    return cache;
  }

  it('sends every old and dirty page of a revolution, and takes the first one', () => {
    const written: number[] = [];
    const cache = oldAndDirty({ window: 4 }, written);
    expect(cache.access(6).victim).toBe(0);
    expect(written).toEqual([0, 1, 2, 3]);
    expect(stateOf(cache)).toMatchObject({ hand: [1], modified: [0, 0, 0, 0, 0] });
    // The next one need not be sent again.
    for (let use = 0; use < 9; use++) cache.access(6);
    expect(cache.access(7).victim).toBe(1);
    expect(written).toHaveLength(4);
  });

  it('has lost no page, and goes on, when the write of one throws', () => {
    const failures = [new Error('disk')];
    const onWriteback = (): void => {
      const failure = failures.pop();
      if (failure !== undefined) throw failure;
    };
    const policy = wsClock({ window: 1, onWriteback }).create(2);
    policy.onFill(0, 7, true);
    policy.onFill(1, 8, true);
    expect(() => policy.victim(9)).toThrow('disk');
    policy.checkInvariants();
    expect(policy.snapshot().pages).toEqual([7, 8]);
    expect([0, 1]).toContain(policy.victim(9));
  });

  it('sends no more pages in a search than it may', () => {
    const written: number[] = [];
    expect(oldAndDirty({ window: 4, writeLimit: 2 }, written).access(6).victim).toBe(0);
    expect(written).toEqual([0, 1]);
  });

  it('takes a clean page of the working set, when nothing may be sent', () => {
    const written: number[] = [];
    expect(oldAndDirty({ window: 4, writeLimit: 0 }, written).access(6).victim).toBe(5);
    expect(written).toEqual([]);
  });

  it('writes the page at the hand, when all are dirty and nothing was sent', () => {
    const written: number[] = [];
    const cache = oldAndDirty({ window: 4, writeLimit: 0 }, written);
    cache.access(5, true);
    expect(cache.access(6).victim).toBe(0);
    expect(written).toEqual([0]);
  });

  it('takes an old page that was reported clean, and sends none', () => {
    const written: number[] = [];
    const cache = oldAndDirty({ window: 4 }, written);
    cache.clean(0);
    expect(cache.access(6).victim).toBe(0);
    expect(written).toEqual([]);
  });

  it('keeps what is in the window: a page is old when more than so many references have passed', () => {
    const search = (window: number): unknown => {
      const cache = new Cache(wsClock({ window }), 3);
      // R is cleared everywhere at time 3, and 1 goes; the hand is at 2, which is 3 old when 5 comes.
      cache.run([1, 2, 3, 4, 3, 4]);
      return [cache.access(5).victim, stateOf(cache)['referenced']];
    };
    expect(search(2)).toEqual([2, [1, 1, 1]]);
    // Nothing is old: after a revolution, which clears R, the first clean page goes.
    expect(search(3)).toEqual([2, [0, 1, 0]]);
  });

  it('lets a callback say at once that the page is clean', () => {
    const cache = new Cache(
      wsClock({ window: 0, onWriteback: (slot) => cache.policy.onClean(slot) }),
      2,
    );
    cache.access(1, true);
    cache.access(2, true);
    cache.access(3, true);
    for (let use = 0; use < 3; use++) cache.access(3);
    expect(cache.access(4).victim).toBe(2);
    cache.policy.checkInvariants();
  });

  it('refuses a callback that takes pages out, or throws, and is sound afterwards', () => {
    let act: () => void = () => {};
    const policy = wsClock({ window: 0, onWriteback: () => act() }).create(2);
    policy.onFill(0, 1, true);
    policy.onFill(1, 2, true);
    act = () => policy.onRemove(1);
    expectError(() => policy.victim(3), 'bad-argument', 'options.onWriteback');
    policy.checkInvariants();
    policy.onFill(1, 2, true);
    act = () => {
      throw new RangeError('no disk');
    };
    expect(() => policy.victim(3)).toThrow('no disk');
    policy.checkInvariants();
    act = () => {};
    expect(policy.victim(3)).toBeGreaterThanOrEqual(0);
    policy.checkInvariants();
  });

  it('ignores the clock interrupt: the hand clears R', () => {
    const cache = new Cache(wsClock({ window: 5 }), 2);
    cache.access(1);
    const before = stateOf(cache);
    cache.tick();
    expect(stateOf(cache)).toEqual(before);
  });

  it('refuses numbers out of range, callbacks that are none, and other options', () => {
    expectError(() => wsClock({ window: -1 }), 'out-of-range', 'options.window');
    expectError(() => wsClock({ window: 1.5 }), 'bad-argument', 'options.window');
    expectError(() => wsClock({} as WsClockOptions), 'bad-argument', 'options.window');
    expectError(() => wsClock({ window: 1, writeLimit: -1 }), 'out-of-range', 'options.writeLimit');
    const text: object = { window: 1, onWriteback: 'log' };
    expectError(() => wsClock(text as WsClockOptions), 'bad-argument', 'options.onWriteback');
    expectError(
      () => wsClock({ window: 1, tau: 1 } as WsClockOptions),
      'bad-argument',
      'options.tau',
    );
  });

  it('refuses snapshots of a state that cannot be', () => {
    const cache = new Cache(wsClock({ window: 1 }), 2);
    cache.run([1, 1]);
    const saved = cache.policy.snapshot();
    const refused = (part: string, change: PolicySnapshot['state']): void => {
      const snapshot = { ...saved, state: { ...saved.state, ...change } };
      const kind = wsClock({ window: 1 });
      expectError(() => kind.restore(snapshot), 'bad-image', `snapshot.${part}`);
    };
    refused('state', { lastUses: [0, 0] });
    refused('state.lastUses', { lastUses: [3, 0] }); // it is 2
    refused('state', { referenced: [1, 1] });
    refused('state', { modified: [1, 1] });
    refused('state.hand', { hand: [2] });
    refused('state.now', { now: [-1] });
  });
});
