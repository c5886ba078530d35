import { VmError } from 'pagewright/core';
import { lru, missCurve, missesAt, simulate } from 'pagewright/replacement';
import { describe, expect, it } from 'vitest';

describe('a simulation', () => {
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
  for (const curve of [undefined, {}, { kind: 'miss-curve', misses: [] }, { misses: [1, 2] }]) {
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
