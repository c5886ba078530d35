import { describe, expect, it } from 'vitest';
import { errorOf, expectError } from '../core/errors.js';
import { ADAPTIVE } from './adaptive-cases.js';
import { CLASSICAL } from './classical-cases.js';

// What the interface promises of every policy.

describe.each([...CLASSICAL, ...ADAPTIVE])('$name', ({ kind }) => {
  const future = [1, 2, 3, 1, 4];

  it('is refused for slots that are no number, none or too many', () => {
    expectError(() => kind.create(0, future), 'out-of-range', 'slots');
    expectError(() => kind.create(2 ** 25, future), 'out-of-range', 'slots');
    expectError(() => kind.create(1.5, future), 'bad-argument', 'slots');
  });

  it('has the name of its kind, and as many slots as were asked for', () => {
    const policy = kind.create(4, future);
    expect([policy.name, policy.slots]).toEqual([kind.name, 4]);
  });

  it('refuses events that cannot be, and nothing has changed', () => {
    const policy = kind.create(4, future);
    policy.onFill(2, 1);
    const before = policy.snapshot();
    for (const slot of [0, 1, 3]) {
      expectError(() => policy.onHit(slot), 'bad-argument', 'slot');
      expectError(() => policy.onRemove(slot), 'bad-argument', 'slot');
      expectError(() => policy.onClean(slot), 'bad-argument', 'slot');
    }
    for (const slot of [-1, 4]) {
      expectError(() => policy.onFill(slot, 2), 'out-of-range', 'slot');
      expectError(() => policy.onHit(slot), 'out-of-range', 'slot');
      expectError(() => policy.onRemove(slot), 'out-of-range', 'slot');
      expectError(() => policy.onClean(slot), 'out-of-range', 'slot');
    }
    expectError(() => policy.onFill(2, 2), 'bad-argument', 'slot');
    expectError(() => policy.victim(2), 'bad-argument', 'page');
    for (const page of [-1, 0.5, Number.NaN, 2 ** 53]) errorOf(() => policy.onFill(0, page));
    expect(policy.snapshot()).toEqual(before);
    policy.checkInvariants();
  });

  it('takes a slot that was emptied, whichever it is', () => {
    const policy = kind.create(2, future);
    policy.onFill(1, 1);
    policy.onFill(0, 2);
    policy.onRemove(1);
    policy.checkInvariants();
    policy.onFill(1, 3);
    policy.onRemove(0);
    policy.onFill(0, 1);
    policy.checkInvariants();
    const slot = policy.victim(4);
    policy.checkInvariants();
    policy.onFill(slot, 4);
    expect(policy.snapshot().pages[slot]).toBe(4);
  });

  it('gives victims that were in use, and empties them', () => {
    const policy = kind.create(1, future);
    policy.onFill(0, 1);
    expectError(() => policy.victim(Number.NaN), 'bad-argument', 'page');
    expect(policy.victim(2)).toBe(0);
    expect(policy.snapshot().pages).toEqual([-1]);
    policy.checkInvariants();
  });
});
