import fc from 'fast-check';
import {
  type PteFormat,
  sv32,
  sv39,
  sv48,
  sv57,
  x86Legacy,
  x86Long4,
  x86Long5,
  x86Pae,
} from 'pagewright/pte';

/** Every format of the package. */
export const FORMATS: readonly PteFormat[] = [
  sv32,
  sv39,
  sv48,
  sv57,
  x86Legacy,
  x86Pae,
  x86Long4,
  x86Long5,
];

/** Bits `high` to `low` of a word, the slow and obvious way. */
export function slice(word: bigint, high: number, low: number): bigint {
  return (word >> BigInt(low)) & ((1n << BigInt(high - low + 1)) - 1n);
}

/** A random word of a format; half of them present, so that pointers and leaves are common. */
export function anyWord(format: PteFormat): fc.Arbitrary<bigint> {
  const bits = 8 * format.entryBytes;
  return fc
    .tuple(fc.bigInt({ min: 0n, max: (1n << BigInt(bits)) - 1n }), fc.nat(15), fc.boolean())
    .map(([word, low, present]) => (present ? (word & ~0xfn) | BigInt(low) | 1n : word));
}

/** A random level of a format. */
export function anyLevel(format: PteFormat): fc.Arbitrary<number> {
  return fc.nat(format.levels - 1);
}

/** The code of the VmError that a call throws. */
export function codeOf(call: () => unknown): unknown {
  try {
    call();
  } catch (error) {
    return (error as { code?: unknown }).code;
  }
  return 'nothing thrown';
}
