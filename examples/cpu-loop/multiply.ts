// The M extension (RISC-V Unprivileged, "M" Extension). Only MUL is made of words: the others are rare enough for bigints.
import { bigintFromWords } from 'pagewright/core';

/** The answer of {@link multiply}, seen as a bigint and as words: low, high. */
const wide = new BigInt64Array(1);
const words = new Int32Array(wide.buffer);

const signed = (low: number, high: number): bigint => BigInt.asIntN(64, bigintFromWords(low, high));

/**
 * MUL, MULH, MULHSU, MULHU, DIV, DIVU, REM and REMU, by `funct3`.
 *
 * @returns The words of the result, low and high; the same array each time.
 */
export function multiply(
  funct3: number,
  al: number,
  ah: number,
  bl: number,
  bh: number,
): Int32Array {
  if (funct3 === 0) {
    words[0] = Math.imul(al, bl);
    words[1] = (highProduct(al, bl) + Math.imul(al, bh) + Math.imul(ah, bl)) | 0;
    return words;
  }
  const firstSigned = funct3 < 3 || funct3 === 4 || funct3 === 6;
  const secondSigned = firstSigned && funct3 !== 2;
  const a = firstSigned ? signed(al, ah) : bigintFromWords(al, ah);
  const b = secondSigned ? signed(bl, bh) : bigintFromWords(bl, bh);
  // The array keeps 64 bits: -2^63 / -1 overflows to -2^63 and its remainder is 0, as Division Operations wants.
  wide[0] = funct3 < 4 ? (a * b) >> 64n : funct3 < 6 ? quotient(a, b) : remainder(a, b);
  return words;
}

/** MULW, DIVW, DIVUW, REMW and REMUW, by `funct3`. */
export function multiplyWord(funct3: number, a: number, b: number): number {
  switch (funct3) {
    case 0:
      return Math.imul(a, b);
    case 4:
      return b === 0 ? -1 : (a / b) | 0;
    case 5:
      return b === 0 ? -1 : ((a >>> 0) / (b >>> 0)) | 0;
    case 6:
      return b === 0 ? a : (a % b) | 0;
    default:
      return b === 0 ? a : ((a >>> 0) % (b >>> 0)) | 0;
  }
}

/** Division by 0 does not trap: the quotient has all bits set, the remainder is the dividend (Division Operations). */
function quotient(a: bigint, b: bigint): bigint {
  return b === 0n ? -1n : a / b;
}

function remainder(a: bigint, b: bigint): bigint {
  return b === 0n ? a : a % b;
}

/** Bits 63:32 of the product of two unsigned words, by halves. */
function highProduct(a: number, b: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  // At most (2^16 - 1)^2 + 2 (2^16 - 1): 32 bits.
  const first = aHigh * bLow + ((aLow * bLow) >>> 16);
  const second = aLow * bHigh + (first & 0xffff);
  return (aHigh * bHigh + (first >>> 16) + (second >>> 16)) | 0;
}
