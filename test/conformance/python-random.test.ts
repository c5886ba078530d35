import { describe, expect, it } from 'vitest';
import { PythonRandom } from './python-random.js';

// What CPython 3 prints.
describe('random.random() after random.seed(n)', () => {
  it.each<[number | bigint, readonly number[]]>([
    [0, [0.8444218515250481, 0.7579544029403025, 0.420571580830845, 0.25891675029296335]],
    [1, [0.13436424411240122, 0.8474337369372327, 0.763774618976614, 0.2550690257394217]],
    [-1, [0.13436424411240122, 0.8474337369372327, 0.763774618976614, 0.2550690257394217]],
    [5, [0.6229016948897019, 0.7417869892607294, 0.7951935655656966, 0.9424502837770503]],
    [2 ** 32, [0.11299430095636409, 0.41782886486292836, 0.0166763664992291, 0.6117214625782752]],
    [2 ** 40 + 7, [0.6137037779936511, 0.8149162973309487, 0.9450115087592873, 0.5703906991004561]],
    [
      123456789012345678901234567890n,
      [0.7275084571578186, 0.1595204831720859, 0.011812474780114934, 0.2693001103046382],
    ],
  ])('n = %s', (seed, expected) => {
    const generator = new PythonRandom(seed);
    expect(expected.map(() => generator.random())).toEqual(expected);
  });

  it('also when its state has been used up several times', () => {
    const generator = new PythonRandom(1);
    const draws = Array.from({ length: 2000 }, () => generator.random());
    expect(draws[1999]).toBe(0.4499663746974547);
  });
});
