import fc from 'fast-check';
import { VmError } from 'pagewright/core';
import { fifo, type PolicyKind, type PolicySnapshot, treePlru } from 'pagewright/replacement';
import { describe, expect, it } from 'vitest';
import { expectError } from '../core/errors.js';
import { ADAPTIVE } from './adaptive-cases.js';
import { Cache } from './cache.js';
import { CLASSICAL } from './classical-cases.js';

/** What a list or a field of a snapshot is replaced by. */
const junk: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom(null, undefined, true, '1', {}, [], [[]], 0.5, Number.NaN, 2 ** 53, 5n),
  fc.constantFrom(new Array(2), new Array(3).fill(0), Number.POSITIVE_INFINITY, -(2 ** 31)),
  fc.integer({ min: -3, max: 12 }),
);

/** The list with another value at one place. */
function put(list: readonly unknown[], at: number, value: unknown): unknown[] {
  return list.map((item, index) => (index === at ? value : item));
}

/** A list that is not quite what it was. */
function tamperedList(list: readonly unknown[]): fc.Arbitrary<unknown> {
  const index = fc.nat({ max: Math.max(0, list.length - 1) });
  return fc.oneof(
    { weight: 4, arbitrary: fc.tuple(index, junk).map(([at, value]) => put(list, at, value)) },
    index.map((at) => put(list, at, list[0])),
    fc.constant(list.slice(1)),
    fc.constant([...list, list[0]]),
    fc.constant([...list].reverse()),
    junk,
  );
}

/** A snapshot of which one part is not quite what it was. */
function tampered(snapshot: PolicySnapshot): fc.Arbitrary<object> {
  const { pages, state } = snapshot;
  const fields = Object.keys(state).map((name) =>
    tamperedList(state[name]!).map((list) => ({ ...snapshot, state: { ...state, [name]: list } })),
  );
  return fc.oneof(
    ...fields,
    tamperedList(pages).map((list) => ({ ...snapshot, pages: list })),
    fc.tuple(fc.constantFrom('state', 'name', 'type'), junk).map(([name, value]) => ({
      ...snapshot,
      [name]: value,
    })),
  );
}

/** A cache somewhere in a run. */
function somewhere(kind: PolicyKind, future: readonly number[]): Cache {
  const cache = new Cache(kind, 4, future);
  for (const page of future.slice(0, Math.ceil(future.length / 2))) {
    if (page === 6) cache.tick();
    cache.access(page, page % 2 === 0);
  }
  for (const page of future.slice(0, future.length % 3)) cache.remove(page);
  return cache;
}

/** Restores what may be no snapshot: the types of a caller who reads files promise nothing. */
function restore(kind: PolicyKind, data: object, future: readonly number[]): Cache | VmError {
  const snapshot = data as PolicySnapshot;
  try {
    const policy = kind.restore(snapshot, future);
    const cache = new Cache(kind, policy.slots, future);
    cache.policy = policy;
    for (const [slot, page] of policy.snapshot().pages.entries()) {
      cache.slots[slot] = page < 0 ? null : page;
    }
    return cache;
  } catch (error) {
    if (error instanceof VmError) return error;
    throw error;
  }
}

describe('every snapshot', () => {
  const futures = fc.array(fc.nat({ max: 6 }), { minLength: 1, maxLength: 40, size: 'max' });

  for (const { name, kind } of [...CLASSICAL, ...ADAPTIVE]) {
    it(`with more in its state than there is to know is refused: ${name}`, () => {
      const snapshot = somewhere(kind, [1, 2, 3, 1]).policy.snapshot();
      const more = { ...snapshot, state: { ...snapshot.state, more: [1] } };
      expectError(() => kind.restore(more, [1, 2, 3, 1]), 'bad-image', 'snapshot.state.more');
    });

    it(`that was tampered with is refused, or is that of another sound state: ${name}`, () => {
      const runs = futures.chain((future) => {
        const { policy } = somewhere(kind, future);
        return fc.tuple(fc.constant(future), tampered(policy.snapshot()));
      });
      const property = fc.property(runs, ([future, data]) => {
        const cache = restore(kind, data, future);
        if (cache instanceof VmError) {
          expect(cache.code).toBe('bad-image');
          return;
        }
        cache.policy.checkInvariants();
        const looksAhead = name.includes('OPT');
        for (let page = 10; page < 30 && !looksAhead; page++) cache.access(page);
        for (const page of cache.pages) cache.remove(page);
        cache.policy.checkInvariants();
      });
      fc.assert(property, { numRuns: 300 });
    });

    it(`restores to a policy with the same snapshot: ${name}`, () => {
      const property = fc.property(futures, (future) => {
        const snapshot = somewhere(kind, future).policy.snapshot();
        expect(kind.restore(snapshot, future).snapshot()).toEqual(snapshot);
        expect(JSON.parse(JSON.stringify(snapshot))).toEqual(snapshot);
      });
      fc.assert(property, { numRuns: 30 });
    });

    it(`of another version, or of another policy, is refused: ${name}`, () => {
      const snapshot = somewhere(kind, [1]).policy.snapshot();
      const later = { ...snapshot, v: 2 } as object as PolicySnapshot; // from a later release
      expectError(() => kind.restore(later, [1]), 'unsupported', 'snapshot.v');
      const other = { ...snapshot, name: 'another' };
      expectError(() => kind.restore(other, [1]), 'bad-image', 'snapshot.name');
    });
  }

  it('has as many pages as the policy can have slots', () => {
    const none = { ...fifo().create(1).snapshot(), pages: [] };
    expectError(() => fifo().restore(none), 'bad-image', 'snapshot.pages');
    const three = { ...treePlru().create(4).snapshot(), pages: [-1, -1, -1] };
    expectError(() => treePlru().restore(three), 'bad-image', 'snapshot.pages');
  });

  it('names a slot once in a list, which otherwise would have no end', () => {
    const snapshot = fifo().create(2).snapshot();
    const twice = { ...snapshot, pages: [1, 2], state: { order: [0, 0] } };
    expectError(() => fifo().restore(twice), 'bad-image', 'snapshot.state.order');
  });
});
