import { type Address, checkBits, checkInteger } from '../core/index.js';

/**
 * An address as a page and an offset.
 *
 * @public
 */
export interface PageAndOffset {
  /** The page number. */
  readonly page: number;
  /** The byte in the page. */
  readonly offset: number;
}

/**
 * Splits an address for pages of any size, also for those that are no power of two.
 *
 * @param address - The address, in bytes.
 * @param pageBytes - Bytes in a page, 1 to 2^52.
 * @returns The page number and the offset.
 * @throws `VmError` for a bad address or size, or a page number above 2^53.
 *
 * @example
 * ```ts
 * import { splitPage } from 'pagewright/textbook';
 *
 * splitPage(3085, 1024); // => { page: 3, offset: 13 }
 * ```
 * @public
 */
export function splitPage(address: Address, pageBytes: number): PageAndOffset {
  const parts = cutAddress('address', address, checkInteger('pageBytes', pageBytes, 1, 2 ** 52));
  checkInteger('page', parts.page, 0, Number.MAX_SAFE_INTEGER);
  return parts;
}

/**
 * Like {@link splitPage}, for lookups, which refuse no address: a page number above 2^53 is rounded, and so is never
 * one that a table holds.
 */
export function cutAddress(argument: string, address: Address, pageBytes: number): PageAndOffset {
  const pattern = checkBits(argument, address);
  const size = BigInt(pageBytes);
  return { page: Number(pattern / size), offset: Number(pattern % size) };
}

/**
 * Memory references of a nested walk that no cache shortens: (g + 1)(h + 1) - 1 (Bhargava et al., Accelerating
 * Two-Dimensional Page Walks for Virtualized Systems, ASPLOS 2008). A guest leaf one level up counts as one level less.
 *
 * @param guestLevels - Levels of the guest's tables, 0 to 6.
 * @param hostLevels - Levels of the second stage, 0 to 6.
 * @returns How many.
 * @throws `VmError` for levels out of range.
 *
 * @example
 * ```ts
 * import { nestedReferences } from 'pagewright/textbook';
 *
 * nestedReferences(4, 4); // => 24
 * nestedReferences(3, 4); // => 19
 * ```
 * @public
 */
export function nestedReferences(guestLevels: number, hostLevels: number): number {
  checkInteger('guestLevels', guestLevels, 0, 6);
  checkInteger('hostLevels', hostLevels, 0, 6);
  return (guestLevels + 1) * (hostLevels + 1) - 1;
}
