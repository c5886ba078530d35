import { checkInteger, VmError } from '../core/index.js';

/**
 * What a bit field is for.
 *
 * - `flag`: one bit that hardware understands.
 * - `number`: a small number that hardware understands.
 * - `frame`: (part of) a physical address.
 * - `software`: hardware ignores it and the manual gives it to software.
 * - `ignored`: hardware ignores it.
 * - `reserved`: must be as the manual says, nearly always 0.
 *
 * @public
 */
export type BitFieldRole = 'flag' | 'number' | 'frame' | 'software' | 'ignored' | 'reserved';

/**
 * One field of an entry or a register, as data: tables, docs and pictures are drawn from it, and the codecs run on it.
 *
 * @public
 */
export interface BitField {
  /** The manual's name; unnamed bits are called by their role and place, such as `RSVD20_13` or `IGN11_9`. */
  readonly name: string;
  /** The highest bit, 0 to 63. */
  readonly high: number;
  /** The lowest bit. A field has at most 52 bits, so that its value is an exact number. */
  readonly low: number;
  /** What it is for. */
  readonly role: BitFieldRole;
  /** What it means, in a sentence. */
  readonly meaning: string;
  /** Manual and section. */
  readonly source: string;
}

/**
 * The value of bits `lowBit + width - 1` to `lowBit` of a 64-bit pattern.
 *
 * @param low - Bits 31:0 of the pattern.
 * @param high - Bits 63:32.
 * @param lowBit - The lowest bit, 0 to 63.
 * @param width - 1 to 53 bits.
 * @returns An unsigned integer. Nothing is checked, nothing is allocated.
 * @public
 */
export function extractBits(low: number, high: number, lowBit: number, width: number): number {
  if (lowBit >= 32) return (high >>> (lowBit - 32)) % 2 ** width;
  const fromHigh = (high >>> 0) % 2 ** Math.max(0, lowBit + width - 32);
  return ((low >>> lowBit) + fromHigh * 2 ** (32 - lowBit)) % 2 ** width;
}

/**
 * Reads every field of a word.
 *
 * @param fields - The fields.
 * @param low - Bits 31:0 of the word.
 * @param high - Bits 63:32.
 * @returns The values by field name. O(fields).
 *
 * @example
 * ```ts
 * import { decodeFields, sv39 } from 'pagewright/pte';
 *
 * const { PPN, V } = decodeFields(sv39.fieldsOf('pointer', 2), 0x20080401, 0);
 * PPN; // => 0x80201
 * V; // => 1
 * ```
 * @public
 */
export function decodeFields(
  fields: readonly BitField[],
  low: number,
  high: number,
): Record<string, number> {
  const values: Record<string, number> = {};
  for (const field of fields) {
    values[field.name] = extractBits(low, high, field.low, field.high - field.low + 1);
  }
  return values;
}

/**
 * Builds a word from the values of its fields: the inverse of {@link decodeFields}.
 *
 * @param fields - The fields, none overlapping another.
 * @param values - The values by field name; a field that is not named is 0.
 * @returns The word, as an unsigned 64-bit pattern. O(fields).
 * @throws `VmError` `bad-argument` for a name that is no field or a value that is no integer, `out-of-range` for
 * a value wider than its field.
 *
 * @example
 * ```ts
 * import { encodeFields, sv39 } from 'pagewright/pte';
 *
 * encodeFields(sv39.fieldsOf('leaf', 0), { V: 1, R: 1, W: 1, PPN: 0x80201 }); // => 0x20080407n
 * ```
 * @public
 */
export function encodeFields(
  fields: readonly BitField[],
  values: Readonly<Record<string, number>>,
): bigint {
  checkNames(fields, values);
  let word = 0n;
  for (const field of fields) {
    const value = Object.hasOwn(values, field.name) ? values[field.name]! : 0;
    checkInteger(field.name, value, 0, 2 ** (field.high - field.low + 1) - 1);
    word |= BigInt(value) << BigInt(field.low);
  }
  return word;
}

function checkNames(fields: readonly BitField[], values: Readonly<Record<string, number>>): void {
  if (typeof values !== 'object' || values === null) {
    const expected = 'an object of values by field name';
    throw new VmError('bad-argument', { argument: 'fields', value: values, expected });
  }
  for (const name of Object.keys(values)) {
    if (fields.some((field) => field.name === name)) continue;
    const expected = `one of ${fields.map((field) => field.name).join(' ')}`;
    throw new VmError('bad-argument', { argument: 'fields', value: name, expected });
  }
}

/**
 * Checks that fields cover bits `bits - 1` to 0 exactly once, from the highest down, under different names.
 *
 * @param argument - The name to report.
 * @param fields - The fields.
 * @param bits - The width of the word.
 * @returns `fields`, unchanged.
 * @throws `VmError` `bad-argument` when they do not.
 * @public
 */
export function checkPartition(
  argument: string,
  fields: readonly BitField[],
  bits: number,
): readonly BitField[] {
  let next = bits - 1;
  const names = new Set<string>();
  for (const { name, high, low } of fields) {
    if (high !== next || low > high || high - low >= 52 || names.has(name)) {
      const expected = `a field of another name and at most 52 bits that ends at bit ${next}`;
      throw new VmError('bad-argument', { argument, value: name, expected });
    }
    names.add(name);
    next = low - 1;
  }
  if (next !== -1) {
    throw new VmError('bad-argument', {
      argument,
      expected: `fields down to bit 0, not ${next + 1}`,
    });
  }
  return fields;
}
