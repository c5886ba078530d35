import fc from 'fast-check';
import { type AddressLayout, splitAddress } from 'pagewright/core';
import { describe, expect, it } from 'vitest';
import { expectError } from './errors.js';

const threeLevels: AddressLayout = {
  name: 'three',
  pageShift: 12,
  virtualBits: 39,
  signExtended: true,
  levels: 3,
  indexShift: [12, 21, 30],
  indexBits: [9, 9, 9],
};

const twoLevels: AddressLayout = {
  name: 'two',
  pageShift: 12,
  virtualBits: 32,
  signExtended: false,
  levels: 2,
  indexShift: [12, 22],
  indexBits: [10, 10],
};

describe('splitAddress', () => {
  it('gives the index of each level with its bits, and the offset', () => {
    expect(splitAddress(twoLevels, 0xc040_2abcn)).toEqual({
      type: 'address-parts',
      format: 'two',
      indexes: [
        { level: 1, index: 0x301, highBit: 31, lowBit: 22 },
        { level: 0, index: 2, highBit: 21, lowBit: 12 },
      ],
      offset: 0xabc,
      canonical: true,
    });
  });

  it('loses no implemented bit', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), (va) => {
        for (const format of [threeLevels, twoLevels]) {
          const { indexes, offset } = splitAddress(format, va);
          const parts = indexes.map((i) => BigInt(i.index) << BigInt(i.lowBit));
          const whole = parts.reduce((sum, part) => sum + part, BigInt(offset));
          expect(whole).toBe(BigInt.asUintN(format.virtualBits, va));
        }
      }),
    );
  });

  it('marks addresses whose upper bits are wrong', () => {
    expect(splitAddress(threeLevels, 0x40_0000_0000n).canonical).toBe(false);
    expect(splitAddress(threeLevels, 0xffff_ffc0_0000_0000n).canonical).toBe(true);
    expect(splitAddress(twoLevels, 0x1_0000_0000n).canonical).toBe(false);
    expect(splitAddress(twoLevels, 0xffff_ffff).canonical).toBe(true);
  });

  it('refuses what is no address', () => {
    expectError(() => splitAddress(twoLevels, -1), 'out-of-range', 'va');
    expectError(() => splitAddress(twoLevels, 0.5), 'bad-argument', 'va');
  });
});
