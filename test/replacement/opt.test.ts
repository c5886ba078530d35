import { countMisses, opt, type PolicyKind, simulate, unopt } from 'pagewright/replacement';
import { describe, expect, it } from 'vitest';
import { errorOf, expectError } from '../core/errors.js';
import { Cache } from './cache.js';

const KINDS: readonly PolicyKind[] = [opt(), unopt()];
const victims = (kind: PolicyKind, frames: number, pages: readonly number[]): unknown =>
  simulate(kind, frames, pages).steps.map(({ victim }) => victim);

describe('OPT', () => {
  it('takes the page that is used again last', () => {
    const expected = [null, null, null, 3, null, null, 2, null, null];
    expect(victims(opt(), 3, [1, 2, 3, 4, 1, 2, 5, 4, 1])).toEqual(expected);
  });

  it('takes a page that is never used again before any other, of several the one that came first', () => {
    const pages = [1, 2, 3, 4, 3];
    expect(victims(opt(), 3, pages)).toEqual([null, null, null, 1, null]);
    const latest = opt({ ties: 'latest-loaded' });
    expect(victims(latest, 3, pages)).toEqual([null, null, null, 2, null]);
  });

  it('does not take a later use for a later load', () => {
    expect(victims(opt(), 2, [1, 2, 1, 3])).toEqual([null, null, null, 1]);
    expect(victims(opt({ ties: 'latest-loaded' }), 2, [1, 2, 1, 3])).toEqual([null, null, null, 2]);
  });

  it('looks ahead in every set for itself', () => {
    const pages = [0, 1, 2, 3, 4, 5, 0, 1, 2, 3];
    const { steps } = simulate(opt(), 2, pages, { sets: 2 });
    expect(steps.map(({ victim }) => victim).slice(4, 8)).toEqual([2, 3, null, null]);
  });

  it('is fast where it is long', () => {
    const pages = Array.from({ length: 200_000 }, (_, index) => (index * 7919) % 50_021);
    expect(countMisses(opt(), 20_000, pages)).toBeLessThan(pages.length);
  });
});

describe('UNOPT', () => {
  it('takes the page that is used again first', () => {
    expect(victims(unopt(), 3, [1, 2, 3, 4, 1, 2, 3])).toEqual([null, null, null, 1, 2, 3, 4]);
  });

  it('counts a page that is never used again as used at the very end', () => {
    expect(victims(unopt(), 2, [1, 2, 3, 2])).toEqual([null, null, 2, 1]);
    const latest = unopt({ ties: 'latest-loaded' });
    expect(victims(latest, 2, [1, 2, 3, 2])).toEqual([null, null, 2, 3]);
  });
});

describe.each(KINDS)('the future of $name', (kind) => {
  it('must be given', () => {
    expectError(() => kind.create(2), 'bad-argument', 'future');
    const snapshot = kind.create(2, [1]).snapshot();
    expectError(() => kind.restore(snapshot), 'bad-argument', 'future');
  });

  it('has pages', () => {
    expectError(() => kind.create(2, [1, -1]), 'bad-argument', 'references[1]');
    expectError(() => kind.create(2, [0.5]), 'bad-argument', 'references[0]');
    expectError(() => kind.create(2, {} as number[]), 'bad-argument', 'references.length');
  });

  it('is what happens, or nothing does', () => {
    const policy = kind.create(2, [1, 2, 1, 3]);
    policy.onFill(0, 1);
    expectError(() => policy.onFill(1, 7), 'bad-argument', 'page');
    expectError(() => policy.onHit(0), 'bad-argument', 'page');
    policy.onFill(1, 2);
    const before = policy.snapshot();
    expectError(() => policy.victim(3), 'bad-argument', 'page');
    expect(policy.snapshot()).toEqual(before);
    policy.onHit(0);
    policy.checkInvariants();
    expect([0, 1]).toContain(policy.victim(3));
  });

  it('has an end', () => {
    const policy = kind.create(2, [1, 1]);
    policy.onFill(0, 1);
    policy.onHit(0);
    const before = policy.snapshot();
    expect(errorOf(() => policy.onHit(0)).message).toContain('no reference after the 2');
    errorOf(() => policy.onFill(1, 2));
    expect(policy.snapshot()).toEqual(before);
  });

  it('is copied: what the caller does with the list later changes nothing', () => {
    const future = [1, 2, 3];
    const policy = kind.create(1, future);
    future.fill(9);
    policy.onFill(0, 1);
    expect(policy.victim(2)).toBe(0);
  });

  it('must be the same when a snapshot is restored', () => {
    const future = [1, 2, 1, 3, 2];
    const cache = new Cache(kind, 2, future);
    cache.run([1, 2, 1]);
    const snapshot = cache.policy.snapshot();
    expect(snapshot.state).toEqual({ position: [3], loads: [0, 1], lastUses: [2, 1] });
    expect(kind.restore(snapshot, future).snapshot()).toEqual(snapshot);
    for (const other of [[], [1, 2], [1, 2, 2, 3, 2], [2, 1, 1, 3, 2], [1, 2, 3, 1, 2]]) {
      expect(errorOf(() => kind.restore(snapshot, other)).code).toBe('bad-image');
    }
  });
});

describe('a snapshot of OPT', () => {
  it('has the last use of every page, not one before it', () => {
    const future = [1, 2, 1, 3, 1];
    const cache = new Cache(opt(), 2, future);
    cache.run([1, 2, 1]);
    const snapshot = cache.policy.snapshot();
    const state = { ...snapshot.state, lastUses: [0, 1] };
    expectError(() => opt().restore({ ...snapshot, state }, future), 'bad-image', 'snapshot.state');
  });
});

describe('options of OPT and UNOPT', () => {
  it('are refused when there are none such', () => {
    for (const make of [opt, unopt]) {
      const ties = 'random' as 'earliest-loaded';
      expectError(() => make({ ties }), 'bad-argument', 'options.ties');
      expectError(() => make({ tie: 1 } as object), 'bad-argument', 'options.tie');
    }
  });
});
