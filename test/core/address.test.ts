import fc from 'fast-check';
import {
  addressFromVpn,
  addressOf,
  alignDown,
  alignUp,
  highWordFromVpn,
  isAligned,
  isCanonical,
  lowWordFromVpn,
  PAGE_BYTES,
  PAGE_NUMBER_END,
  PAGE_SHIFT,
  pageAndOffset,
  pageOffset,
  toCanonical,
  vpnFromAddress,
  vpnFromWords,
} from 'pagewright/core';
import { describe, expect, it } from 'vitest';
import { expectError } from './errors.js';

const address = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const badAddresses = [-1, -1n, 2n ** 64n, 2 ** 53, Number.NaN, 0.5, '0', undefined] as bigint[];
const powerOfTwo = fc.integer({ min: 0, max: 63 }).map((shift) => 1n << BigInt(shift));

describe('page numbers and offsets', () => {
  it('agree on the size of a page', () => {
    expect(PAGE_BYTES).toBe(2 ** PAGE_SHIFT);
    expect(BigInt(PAGE_NUMBER_END) * BigInt(PAGE_BYTES)).toBe(2n ** 64n);
  });

  it('put an address together again, at every page size', () => {
    fc.assert(
      fc.property(address, fc.integer({ min: 11, max: 53 }), (a, shift) => {
        const vpn = vpnFromAddress(a, shift);
        const offset = pageOffset(a, shift);
        expect(BigInt(vpn)).toBe(a >> BigInt(shift));
        expect(addressFromVpn(vpn, offset, shift)).toBe(a);
      }),
    );
  });

  it('are of 4 KiB pages unless told', () => {
    expect(vpnFromAddress(0x12345)).toBe(0x12);
    expect(pageOffset(0x12345)).toBe(0x345);
    expect(addressFromVpn(0x12)).toBe(0x12000n);
    expect(vpnFromAddress(2n ** 64n - 1n)).toBe(PAGE_NUMBER_END - 1);
  });

  it('come the same way from bigints, words and the fast door', () => {
    fc.assert(
      fc.property(address, (a) => {
        const [low, high] = [Number(BigInt.asIntN(32, a)), Number(BigInt.asIntN(32, a >> 32n))];
        const vpn = vpnFromAddress(a);
        expect(vpnFromWords(low, high)).toBe(vpn);
        expect(vpnFromWords(low >>> 0, high >>> 0)).toBe(vpn);
        expect(pageAndOffset(a)).toEqual({ vpn, offset: pageOffset(a) });
        expect(addressOf(vpn, pageOffset(a))).toBe(a);
        expect(lowWordFromVpn(vpn, pageOffset(a))).toBe(low);
        expect(highWordFromVpn(vpn)).toBe(high);
      }),
    );
  });

  it.each(badAddresses)('refuse %s', (bad) => {
    const code = typeof bad === 'bigint' || Number.isInteger(bad) ? 'out-of-range' : 'bad-argument';
    expectError(() => vpnFromAddress(bad), code, 'address');
    expectError(() => pageOffset(bad), code, 'address');
    expectError(() => pageAndOffset(bad), code, 'address');
  });

  it('refuse page sizes that would lose bits', () => {
    expectError(() => vpnFromAddress(0n, 10), 'out-of-range', 'pageShift');
    expectError(() => vpnFromAddress(0n, 64), 'out-of-range', 'pageShift');
    expectError(() => pageOffset(0n, 54), 'out-of-range', 'pageShift');
    expectError(() => addressFromVpn(0, 0, 64), 'out-of-range', 'pageShift');
    expectError(() => addressFromVpn(0, 0, 1.5), 'bad-argument', 'pageShift');
  });

  it('refuse numbers that do not fit the address', () => {
    expectError(() => addressFromVpn(PAGE_NUMBER_END), 'out-of-range', 'vpn');
    expectError(() => addressFromVpn(-1), 'out-of-range', 'vpn');
    expectError(() => addressFromVpn(0.5), 'bad-argument', 'vpn');
    expectError(() => addressFromVpn(0, PAGE_BYTES), 'out-of-range', 'offset');
    expectError(() => addressFromVpn(2, 0, 63), 'out-of-range', 'vpn');
  });
});

describe('alignment', () => {
  it('rounds to the multiples on both sides', () => {
    fc.assert(
      fc.property(address, powerOfTwo, (a, alignment) => {
        const [down, up] = [alignDown(a, alignment), alignUp(a, alignment)];
        expect(down % alignment).toBe(0n);
        expect(up % alignment).toBe(0n);
        expect(a - down >= 0n && a - down < alignment).toBe(true);
        expect(up - a >= 0n && up - a < alignment).toBe(true);
        expect(isAligned(a, alignment)).toBe(down === a);
      }),
    );
  });

  it('may round up to the end of the space', () => {
    expect(alignUp(2n ** 64n - 1n, 4096)).toBe(2n ** 64n);
  });

  it.each([0, 3, 4097n, 2n ** 63n + 1n])('refuses %s as no power of two', (alignment) => {
    for (const round of [alignDown, alignUp, isAligned]) {
      expectError(() => round(0n, alignment), 'out-of-range', 'alignment');
    }
  });

  it('refuses bad addresses and alignments', () => {
    for (const round of [alignDown, alignUp, isAligned]) {
      expectError(() => round(-1n, 2), 'out-of-range', 'address');
      expectError(() => round(0n, Number.NaN), 'bad-argument', 'alignment');
    }
  });
});

describe('canonical addresses', () => {
  it.each([
    [0x7fff_ffff_ffffn, 48, true],
    [0x8000_0000_0000n, 48, false],
    [0xffff_7fff_ffff_ffffn, 48, false],
    [0xffff_8000_0000_0000n, 48, true],
    [0x3f_ffff_ffffn, 39, true],
    [0x40_0000_0000n, 39, false],
    [0xffff_ffc0_0000_0000n, 39, true],
    [0x8000_0000_0000_0000n, 64, true],
    [1n, 1, false],
    [0, 1, true],
  ])('%s in %s bits: %s', (a, bits, expected) => {
    expect(isCanonical(a, bits)).toBe(expected);
  });

  it('are a fixed point of toCanonical, which keeps the low bits', () => {
    fc.assert(
      fc.property(address, fc.integer({ min: 1, max: 64 }), (a, bits) => {
        const canonical = toCanonical(a, bits);
        expect(isCanonical(canonical, bits)).toBe(true);
        expect(BigInt.asUintN(bits, canonical)).toBe(BigInt.asUintN(bits, a));
        expect(isCanonical(a, bits)).toBe(canonical === a);
      }),
    );
  });

  it('refuse bad addresses and widths', () => {
    expectError(() => isCanonical(-1n, 48), 'out-of-range', 'address');
    expectError(() => toCanonical(0n, 0), 'out-of-range', 'bits');
    expectError(() => toCanonical(0n, 65), 'out-of-range', 'bits');
    expectError(() => isCanonical(0n, Number.NaN), 'bad-argument', 'bits');
  });
});
