import fc from 'fast-check';
import { bigintFromWords, hexFromWords, highWord, lowWord } from 'pagewright/core';
import { describe, expect, it } from 'vitest';

describe('words', () => {
  it('are the two signed halves of a pattern, and make it again', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), (pattern) => {
        const [low, high] = [lowWord(pattern), highWord(pattern)];
        expect([low | 0, high | 0]).toEqual([low, high]);
        expect(BigInt(low >>> 0) | (BigInt(high >>> 0) << 32n)).toBe(pattern);
        expect(bigintFromWords(low, high)).toBe(pattern);
        expect(bigintFromWords(low >>> 0, high >>> 0)).toBe(pattern);
        expect(BigInt(hexFromWords(low, high))).toBe(pattern);
      }),
    );
  });

  it('ignore bits above 63', () => {
    expect(lowWord(2n ** 64n + 5n)).toBe(5);
    expect(highWord(2n ** 64n + 2n ** 32n)).toBe(1);
  });

  it('print as hexadecimal without leading zeros', () => {
    expect(hexFromWords(0, 0)).toBe('0x0');
    expect(hexFromWords(-1, 0)).toBe('0xffffffff');
    expect(hexFromWords(1, 1)).toBe('0x100000001');
    expect(hexFromWords(0, -1)).toBe('0xffffffff00000000');
  });
});
