import { checkBits, checkInteger, VmError } from 'pagewright/core';
import { describe, expect, it } from 'vitest';
import { errorOf, expectError } from './errors.js';

describe('VmError', () => {
  it('is an Error that carries its code and details', () => {
    const details = { argument: 'pfn', value: -1, expected: 'a frame number' };
    const error = new VmError('out-of-range', details);
    expect(error).toBeInstanceOf(Error);
    expect(error.name).toBe('VmError');
    expect(error.code).toBe('out-of-range');
    expect(error.details).toEqual(details);
    expect(error.message).toBe('pfn: expected a frame number (got -1)');
  });

  it('says nothing of a value it was not given', () => {
    const error = new VmError('bad-image', { argument: 'file', expected: 'an ELF file' });
    expect(error.message).toBe('file: expected an ELF file');
  });

  it.each([
    [0xffn, '0xffn'],
    [-5n, '-5n'],
    ['text', '"text"'],
    ['x'.repeat(100), `"${'x'.repeat(60)}..."`],
    [() => 0, 'a function'],
    [null, 'null'],
    [[1, 2], '[1, 2]'],
    [[{}, [3], 'x', 4n], '[an object, an array, "x", 0x4n]'],
    [[1, 2, 3, 4, 5], 'an array'],
    [{ a: 1 }, 'an object'],
    [undefined, 'undefined'],
    [Number.NaN, 'NaN'],
    [true, 'true'],
    [Symbol('s'), 'Symbol(s)'],
  ])('shows a value of any type shortly: %#', (value, shown) => {
    const error = new VmError('bad-argument', { argument: 'x', value, expected: 'better' });
    expect(error.message).toBe(`x: expected better (got ${shown})`);
  });
});

describe('checkInteger', () => {
  it('returns integers of the interval, both ends included', () => {
    expect(checkInteger('n', 3, 3, 5)).toBe(3);
    expect(checkInteger('n', 5, 3, 5)).toBe(5);
  });

  it.each([Number.NaN, Infinity, -Infinity, 1.5, '3', null, undefined, 3n])(
    'refuses %s as no integer',
    (value) => {
      expectError(() => checkInteger('n', value as number, 0, 9), 'bad-argument', 'n');
    },
  );

  it('refuses integers outside, and names the ends', () => {
    expectError(() => checkInteger('n', 2, 3, 5), 'out-of-range', 'n');
    expect(errorOf(() => checkInteger('n', 6, -3, 5)).details.expected).toBe(
      'an integer from -3 to 5',
    );
    expect(errorOf(() => checkInteger('n', -1, 0, 2 ** 32)).details.expected).toBe(
      'an integer from 0 to 0x100000000',
    );
  });
});

describe('checkBits', () => {
  it('returns the pattern as a bigint', () => {
    expect(checkBits('a', 7)).toBe(7n);
    expect(checkBits('a', 2n ** 64n - 1n)).toBe(2n ** 64n - 1n);
    expect(checkBits('a', Number.MAX_SAFE_INTEGER)).toBe(2n ** 53n - 1n);
    expect(checkBits('a', 15, 4)).toBe(15n);
  });

  it.each([Number.NaN, Infinity, 0.5, '1', null, undefined, {}, true])(
    'refuses %s as neither bigint nor integer',
    (value) => {
      expectError(() => checkBits('a', value as number), 'bad-argument', 'a');
    },
  );

  it.each([-1, -1n, 2n ** 64n, 2 ** 53])('refuses %s as out of range', (value) => {
    expectError(() => checkBits('a', value), 'out-of-range', 'a');
  });

  it('refuses what is longer than the bits asked for', () => {
    expectError(() => checkBits('a', 16, 4), 'out-of-range', 'a');
    expect(errorOf(() => checkBits('a', 256n, 8)).details.expected).toBe(
      'an unsigned 8-bit pattern',
    );
  });
});
