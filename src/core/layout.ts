import { type Address, isCanonical } from './address.js';
import { checkBits } from './error.js';

/**
 * How a virtual address is cut into table indexes: the part of a format that {@link splitAddress} needs. Every format
 * of `pagewright/pte` is one.
 *
 * @public
 */
export interface AddressLayout {
  /** The format's name, such as `sv39`. */
  readonly name: string;
  /** log2 of the base page size. */
  readonly pageShift: number;
  /** Implemented bits of a virtual address. */
  readonly virtualBits: number;
  /** Whether the bits above must repeat the top one (`true`), or must be absent (`false`, the 32-bit formats). */
  readonly signExtended: boolean;
  /** Whether the bits above must all be 1, as in the upper half of AArch64's addresses; `false` unless told. */
  readonly onesExtended?: boolean;
  /** Number of table levels; the root is level `levels - 1`, pages are mapped at level 0. */
  readonly levels: number;
  /** Lowest address bit of each level's index, by level. */
  readonly indexShift: readonly number[];
  /** Width of each level's index in bits, by level. */
  readonly indexBits: readonly number[];
}

/**
 * One level's index in an address, with the bits it was taken from.
 *
 * @public
 */
export interface AddressIndex {
  /** The level: `levels - 1` at the root, 0 at the page. */
  readonly level: number;
  /** The entry's number in its table. */
  readonly index: number;
  /** The highest address bit of the index. */
  readonly highBit: number;
  /** The lowest address bit of the index. */
  readonly lowBit: number;
}

/**
 * An address cut into its parts, ready to be drawn.
 *
 * @public
 */
export interface AddressParts {
  /** Always `'address-parts'`. */
  readonly type: 'address-parts';
  /** The format's name. */
  readonly format: string;
  /** From the root (first) down to level 0. */
  readonly indexes: readonly AddressIndex[];
  /** The byte within a base page: bits `pageShift - 1` to 0. */
  readonly offset: number;
  /** Whether the bits above `virtualBits` are as the format wants them. */
  readonly canonical: boolean;
}

/**
 * Cuts a virtual address into one index per level and the page offset.
 *
 * @param format - Any format of `pagewright/pte`, or your own layout.
 * @param va - The virtual address; a non-canonical one is cut all the same, and marked.
 * @returns Plain data. O(levels).
 * @throws {@link VmError} when `va` is negative, fractional or longer than 64 bits.
 *
 * @example
 * ```ts
 * import { splitAddress } from 'pagewright/core';
 * import { sv39 } from 'pagewright/pte';
 *
 * const parts = splitAddress(sv39, 0xffff_ffd8_0020_1abcn);
 * parts.indexes.map((i) => i.index); // => [352, 1, 1]
 * parts.indexes[0]; // => { level: 2, index: 352, highBit: 38, lowBit: 30 }
 * parts.offset; // => 0xabc
 * parts.canonical; // => true
 * ```
 * @public
 */
export function splitAddress(format: AddressLayout, va: Address): AddressParts {
  const pattern = checkBits('va', va);
  const indexes: AddressIndex[] = [];
  for (let level = format.levels - 1; level >= 0; level--) {
    const lowBit = format.indexShift[level]!;
    const bits = format.indexBits[level]!;
    const index = Number(BigInt.asUintN(bits, pattern >> BigInt(lowBit)));
    indexes.push({ level, index, highBit: lowBit + bits - 1, lowBit });
  }
  return {
    type: 'address-parts',
    format: format.name,
    indexes,
    offset: Number(BigInt.asUintN(format.pageShift, pattern)),
    canonical: isInFormat(format, pattern),
  };
}

/** Whether the bits above `virtualBits` are as the format wants them. */
function isInFormat(format: AddressLayout, pattern: bigint): boolean {
  const { virtualBits } = format;
  if (format.signExtended) return isCanonical(pattern, virtualBits);
  const above = pattern >> BigInt(virtualBits);
  return above === (format.onesExtended === true ? (1n << BigInt(64 - virtualBits)) - 1n : 0n);
}
