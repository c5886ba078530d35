import { checkBits, checkInteger, VmError } from './error.js';
import { bigintFromWords, highWord, lowWord } from './words.js';

/**
 * A virtual or physical address as it enters by a friendly door: an unsigned 64-bit pattern, as a bigint or as a
 * safe non-negative integer.
 *
 * @public
 */
export type Address = bigint | number;

/**
 * log2 of the base page of x86 and RISC-V: 4 KiB. Page and frame numbers everywhere in the library count base pages
 * unless a format says otherwise.
 *
 * @public
 */
export const PAGE_SHIFT = 12;

/**
 * Bytes in a base page.
 *
 * @public
 */
export const PAGE_BYTES = 4096;

/**
 * One more than the greatest page number of a 64-bit space of 4 KiB pages: 2^52.
 *
 * @public
 */
export const PAGE_NUMBER_END: number = 2 ** 52;

/**
 * The page number of an address: its full 64-bit pattern shifted right, so that kernel addresses have page numbers
 * near 2^52 (4 KiB pages) and every page number is an exact unsigned `number`.
 *
 * @param address - A virtual address, in bytes.
 * @param pageShift - log2 of the page size; 12 unless told, at least 11 so that the result is exact.
 * @returns The page number, an unsigned integer.
 * @throws {@link VmError} for a negative, fractional or over-long address.
 *
 * @example
 * ```ts
 * import { addressFromVpn, vpnFromAddress } from 'pagewright/core';
 *
 * vpnFromAddress(0x7f01_9930_7000n); // => 0x7f0199307
 * addressFromVpn(vpnFromAddress(0xffff_8880_0000_0123n), 0x123); // => 0xffff888000000123n
 * ```
 * @public
 */
export function vpnFromAddress(address: Address, pageShift: number = PAGE_SHIFT): number {
  const pattern = checkBits('address', address);
  checkInteger('pageShift', pageShift, 11, 63);
  return Number(pattern >> BigInt(pageShift));
}

/**
 * The byte offset of an address within its page.
 *
 * @param address - An address, in bytes.
 * @param pageShift - log2 of the page size; 12 unless told.
 * @returns An integer from 0 to the page size less one.
 * @throws {@link VmError} for a negative, fractional or over-long address.
 * @public
 */
export function pageOffset(address: Address, pageShift: number = PAGE_SHIFT): number {
  const pattern = checkBits('address', address);
  checkInteger('pageShift', pageShift, 0, 53);
  return Number(pattern & ((1n << BigInt(pageShift)) - 1n));
}

/**
 * The address of a byte in a page. The inverse of {@link vpnFromAddress} and {@link pageOffset}; it serves frame
 * numbers and physical addresses just as well.
 *
 * @param vpn - The page (or frame) number.
 * @param offset - The byte within the page; 0 unless told.
 * @param pageShift - log2 of the page size; 12 unless told.
 * @returns The address as an unsigned bigint.
 * @throws {@link VmError} `out-of-range` when the address would not fit 64 bits or the offset not the page.
 * @public
 */
export function addressFromVpn(vpn: number, offset = 0, pageShift: number = PAGE_SHIFT): bigint {
  checkInteger('pageShift', pageShift, 0, 63);
  checkInteger('vpn', vpn, 0, Math.min(Number.MAX_SAFE_INTEGER, 2 ** (64 - pageShift) - 1));
  checkInteger('offset', offset, 0, Math.min(Number.MAX_SAFE_INTEGER, 2 ** pageShift - 1));
  return (BigInt(vpn) << BigInt(pageShift)) | BigInt(offset);
}

/**
 * The page number of an address given as two words, for emulators that keep registers as int32 pairs.
 *
 * @param low - Bits 31:0 of the address.
 * @param high - Bits 63:32.
 * @returns The number of the 4 KiB page. Any two int32 (or uint32) words are accepted; nothing is thrown.
 *
 * @example
 * ```ts
 * import { vpnFromWords } from 'pagewright/core';
 *
 * vpnFromWords(0x99307abc, 0x7f01); // => 0x7f0199307
 * ```
 * @public
 */
export function vpnFromWords(low: number, high: number): number {
  return (high >>> 0) * 2 ** 20 + (low >>> PAGE_SHIFT);
}

/**
 * Bits 31:0 of the address of a byte in a page, for emulators that keep registers as int32 pairs: with
 * {@link highWordFromVpn} the inverse of {@link vpnFromWords}. It serves frame numbers just as well.
 *
 * @param vpn - The number of the 4 KiB page, 0 to 2^52 - 1.
 * @param offset - The byte within it, 0 to 4095.
 * @returns An int32. Nothing is checked, nothing is thrown.
 *
 * @example
 * ```ts
 * import { highWordFromVpn, lowWordFromVpn } from 'pagewright/core';
 *
 * lowWordFromVpn(0x7f0199307, 0xabc) >>> 0; // => 0x99307abc
 * highWordFromVpn(0x7f0199307); // => 0x7f01
 * ```
 * @public
 */
export function lowWordFromVpn(vpn: number, offset: number): number {
  return (vpn << PAGE_SHIFT) | offset;
}

/**
 * Bits 63:32 of the addresses of a page.
 *
 * @param vpn - The number of the 4 KiB page, 0 to 2^52 - 1.
 * @returns An int32. Nothing is checked, nothing is thrown.
 * @public
 */
export function highWordFromVpn(vpn: number): number {
  return (vpn * 2 ** -20) | 0;
}

/**
 * Rounds an address down to a multiple of a power of two.
 *
 * @param address - In bytes (or any unit).
 * @param alignment - A power of two, in the same unit.
 * @returns The greatest multiple not above `address`.
 * @throws {@link VmError} `out-of-range` when `alignment` is not a power of two.
 * @public
 */
export function alignDown(address: Address, alignment: Address): bigint {
  const pattern = checkBits('address', address);
  return pattern & ~(checkPowerOfTwo('alignment', alignment) - 1n);
}

/**
 * Rounds an address up to a multiple of a power of two. The result may be 2^64, an exclusive end.
 *
 * @param address - In bytes (or any unit).
 * @param alignment - A power of two, in the same unit.
 * @returns The least multiple not below `address`.
 * @throws {@link VmError} `out-of-range` when `alignment` is not a power of two.
 * @public
 */
export function alignUp(address: Address, alignment: Address): bigint {
  const pattern = checkBits('address', address);
  const mask = checkPowerOfTwo('alignment', alignment) - 1n;
  return (pattern + mask) & ~mask;
}

/**
 * Whether an address is a multiple of a power of two.
 *
 * @param address - In bytes (or any unit).
 * @param alignment - A power of two, in the same unit.
 * @returns `true` when aligned.
 * @throws {@link VmError} `out-of-range` when `alignment` is not a power of two.
 * @public
 */
export function isAligned(address: Address, alignment: Address): boolean {
  const pattern = checkBits('address', address);
  return (pattern & (checkPowerOfTwo('alignment', alignment) - 1n)) === 0n;
}

function checkPowerOfTwo(argument: string, value: Address): bigint {
  const pattern = checkBits(argument, value);
  if (pattern === 0n || (pattern & (pattern - 1n)) !== 0n) {
    throw new VmError('out-of-range', { argument, value, expected: 'a power of two' });
  }
  return pattern;
}

/**
 * Whether an address is canonical: all bits above the top implemented one equal to it (Intel SDM Vol. 1, 3.3.7.1;
 * RISC-V Privileged, Sv39/Sv48/Sv57 addressing).
 *
 * @param address - A 64-bit virtual address.
 * @param bits - Implemented bits: 39 for Sv39, 48 for four-level x86, 57 for five levels and Sv57.
 * @returns `true` when canonical.
 * @throws {@link VmError} for a bad address, or `bits` outside 1 to 64.
 *
 * @example
 * ```ts
 * import { isCanonical, toCanonical } from 'pagewright/core';
 *
 * isCanonical(0xffff_8000_0000_0000n, 48); // => true
 * isCanonical(0x0000_8000_0000_0000n, 48); // => false
 * toCanonical(0x0000_8000_0000_0000n, 48); // => 0xffff800000000000n
 * ```
 * @public
 */
export function isCanonical(address: Address, bits: number): boolean {
  return toCanonical(address, bits) === BigInt(address);
}

/**
 * The canonical address with the same low bits: sign-extends from the top implemented bit.
 *
 * @param address - A 64-bit pattern.
 * @param bits - Implemented bits, 1 to 64.
 * @returns The sign-extended pattern, unsigned.
 * @throws {@link VmError} for a bad address or `bits`.
 * @public
 */
export function toCanonical(address: Address, bits: number): bigint {
  const pattern = checkBits('address', address);
  checkInteger('bits', bits, 1, 64);
  return BigInt.asUintN(64, BigInt.asIntN(bits, pattern));
}

/**
 * Splits an address for the inner loops: the page number and the offset of its full pattern.
 *
 * @param address - A 64-bit pattern.
 * @returns `vpn` in 4 KiB pages and `offset` in bytes.
 * @throws {@link VmError} for a negative, fractional or over-long address.
 * @public
 */
export function pageAndOffset(address: Address): {
  /** The page number. */
  readonly vpn: number;
  /** The byte in the page. */
  readonly offset: number;
} {
  const pattern = checkBits('address', address);
  const low = lowWord(pattern);
  return { vpn: vpnFromWords(low, highWord(pattern)), offset: low & (PAGE_BYTES - 1) };
}

/**
 * The unsigned 64-bit address of a byte, without checks: for doors that made the numbers themselves.
 *
 * @param pfn - A page or frame number from 0 to 2^52 - 1.
 * @param offset - The byte within the 4 KiB page.
 * @returns The address.
 * @internal
 */
export function addressOf(pfn: number, offset: number): bigint {
  return bigintFromWords(lowWordFromVpn(pfn, offset), highWordFromVpn(pfn));
}
