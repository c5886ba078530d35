import { VmError } from '../core/index.js';
import type { BitRange } from './define-format-description.js';

// What the files of `definePteFormat` share.

/** The rights, in the order of the bits of `Prot`. */
export const RIGHTS = ['read', 'write', 'execute', 'user'] as const;

/** The mistake in a field of a description. */
export function mistake(argument: string, value: unknown, expected: string): VmError {
  return new VmError('bad-argument', { argument, value, expected });
}

/** `Array.isArray` that knows readonly arrays. */
export function isList(value: unknown): value is readonly unknown[] {
  return Array.isArray(value);
}

/** The highest and the lowest bit of a run. */
export function ends(range: BitRange): readonly [high: number, low: number] {
  return typeof range === 'number' ? [range, range] : range;
}

/** The ones of a run of bits. */
export function run(range: BitRange): bigint {
  const [high, low] = ends(range);
  return ((1n << BigInt(high - low + 1)) - 1n) << BigInt(low);
}
