import { VmError } from 'pagewright/core';
import {
  countMisses,
  fifo,
  lru,
  missCurve,
  missesAt,
  opt,
  type SimulatedKind,
  type SimulatedPolicy,
  simulate,
} from 'pagewright/replacement';
import { describe, expect, it } from 'vitest';

/** A policy that takes slot 0 and writes down what it is called with. */
function noting(notes: string[]): SimulatedPolicy {
  return {
    onFill: (slot, page) => notes.push(`fill ${slot} ${page}`),
    onHit: (slot) => notes.push(`hit ${slot}`),
    onTick: () => notes.push('tick'),
    victim: () => 0,
  };
}

describe('a simulation', () => {
  it('ticks after every so many references, the last of them included', () => {
    const notes: string[] = [];
    const kind: SimulatedKind = { name: 'noting', create: () => noting(notes) };
    simulate(kind, 2, [5, 5, 6, 7], { tickEvery: 2 });
    expect(notes).toEqual(['fill 0 5', 'hit 0', 'tick', 'fill 1 6', 'fill 0 7', 'tick']);
  });

  it('ticks no set before its first page comes', () => {
    const notes: string[][] = [];
    const kind: SimulatedKind = {
      name: 'noting',
      create: () => noting(notes[notes.push([]) - 1] ?? []),
    };
    simulate(kind, 1, [4, 4, 5], { sets: 2, tickEvery: 1 });
    expect(notes).toEqual([
      ['fill 0 4', 'tick', 'hit 0', 'tick', 'tick'],
      ['fill 0 5', 'tick'],
    ]);
  });

  it('puts a page in the set that is its remainder, however large the page', () => {
    const pages = [2 ** 31, 2 ** 31 + 2, 2 ** 52 + 1, 2 ** 53 - 1, 2 ** 31];
    const { steps } = simulate(fifo(), 1, pages, { sets: 4 });
    expect(steps.map(({ slot, victim }) => [slot, victim])).toEqual([
      [0, null],
      [2, null],
      [1, null],
      [3, null],
      [0, null],
    ]);
    expect(simulate(opt(), 1, pages, { sets: 4 }).hits).toBe(1);
  });

  it('gives the future to those alone who look ahead, to each set its own', () => {
    const seen: unknown[] = [];
    const create = (_slots: number, future?: ArrayLike<number>): SimulatedPolicy => {
      seen.push(future === undefined ? null : Array.from(future));
      return noting([]);
    };
    simulate({ name: 'blind', create }, 1, [1, 2, 3]);
    simulate({ name: 'seer', looksAhead: true, create }, 1, [1, 2, 3], { sets: 2 });
    expect(seen).toEqual([null, [1, 3], [2]]);
  });

  it('is not changed by a policy that writes into what it was given, or by who called it', () => {
    const references = [1, 2, 1, 2];
    const kind: SimulatedKind = {
      name: 'vandal',
      looksAhead: true,
      create: (_slots, future) => {
        if (Array.isArray(future) || future instanceof Float64Array) future.fill(9);
        references.fill(8);
        return noting([]);
      },
    };
    const { hits, steps } = simulate(kind, 2, references);
    expect(steps.map(({ page }) => page)).toEqual([1, 2, 1, 2]);
    expect(hits).toBe(2);
  });

  it('names the reference whose victim is none', () => {
    const bad = [2, -1, 0.5, Number.NaN];
    for (const victim of bad) {
      const create = (): SimulatedPolicy => ({ ...noting([]), victim: () => victim });
      const run = (): unknown => simulate({ name: 'bad', create }, 2, [1, 2, 1, 3]);
      expect(run).toThrow(/victim of reference 3/);
    }
  });

  it('takes any true value for a write, and reads no more of them than there are references', () => {
    const { create } = lru();
    const writes: boolean[] = [];
    const kind: SimulatedKind = {
      name: 'writes',
      create: (slots) => {
        const policy = create(slots);
        const told = policy.onFill.bind(policy);
        const onFill = (slot: number, page: number, write?: boolean): void => {
          writes.push(write === true);
          told(slot, page, write);
        };
        return Object.assign(policy, { onFill });
      },
    };
    simulate(kind, 4, [1, 2, 3, 4], { writes: { length: 2 ** 53 - 1, 0: 256, 1: true, 2: 0 } });
    expect(writes).toEqual([true, true, false, false]);
  });

  it('refuses a policy without a name', () => {
    const { create } = lru();
    expect(() => Reflect.apply(simulate, null, [{ create }, 1, [1]])).toThrow(VmError);
    expect(() => Reflect.apply(countMisses, null, [{ name: 5, create }, 1, [1]])).toThrow(VmError);
  });

  it.each<[string, unknown]>([
    ['no policy', () => undefined],
    ['null', () => null],
    ['a number', () => 5],
    ['an object without methods', () => ({})],
    ['a policy without a victim', (slots: number) => ({ ...lru().create(slots) })],
  ])('refuses a policy that makes %s', (_what, create) => {
    const kind = { ...lru(), create };
    expect(() => Reflect.apply(simulate, null, [kind, 1, [1, 2, 1]])).toThrow(VmError);
  });

  it.each<[string, unknown]>([
    ['true', true],
    ['a text', 'abc'],
    ['a function', () => 1],
    ['an object', {}],
  ])('refuses writes that are %s', (_what, writes) => {
    expect(() => Reflect.apply(simulate, null, [lru(), 1, [1, 2], { writes }])).toThrow(VmError);
  });

  it.each<[string, unknown]>([
    ['a text', ''],
    ['a function', () => 1],
    ['null', null],
  ])('refuses references that are %s', (_what, references) => {
    expect(() => Reflect.apply(simulate, null, [lru(), 1, references])).toThrow(VmError);
  });
});

it('what is no miss curve is refused', () => {
  expect(missesAt(missCurve([1, 1]), 9)).toBe(1);
  const truncated = { ...missCurve([1, 2, 3]), misses: [3] };
  for (const curve of [
    undefined,
    {},
    { kind: 'miss-curve', misses: [] },
    { misses: [1, 2] },
    truncated,
  ]) {
    expect(() => Reflect.apply(missesAt, null, [curve, 3])).toThrow(VmError);
  }
});

it('slots that are no numbers are refused, and the policy stays as it was', () => {
  const policy = lru().create(2);
  policy.onFill(0, 7);
  for (const slot of ['length', '0', 1n, '__proto__']) {
    for (const method of [policy.onHit, policy.onRemove, policy.onClean]) {
      expect(() => Reflect.apply(method, policy, [slot])).toThrow(VmError);
    }
  }
  policy.checkInvariants();
});
