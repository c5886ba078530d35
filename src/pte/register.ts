import { checkBits, highWord, lowWord, type Plain, plain } from '../core/index.js';
import { type BitField, decodeFields, encodeFields } from './bit-field.js';

/**
 * A register as data: its name, width and fields.
 *
 * @public
 */
export interface RegisterLayout {
  /** The manual's name. */
  readonly name: string;
  /** Width in bits: 32 or 64. */
  readonly bits: number;
  /** From the highest bit down; every bit belongs to exactly one. */
  readonly fields: readonly BitField[];
}

/**
 * A decoded register, as plain data.
 *
 * @public
 */
export interface DecodedRegister {
  /** Always `'register'`. */
  readonly type: 'register';
  /** The register's name. */
  readonly register: string;
  /** Every bit, as it stood. */
  readonly raw: bigint;
  /** Every field's value by name, reserved fields included. */
  readonly fields: Readonly<Record<string, number>>;
}

/**
 * What the encoders of registers need: values by field name. A decoded register is one.
 *
 * @public
 */
export interface RegisterFields {
  /** Values by field name; fields that are not named are 0. */
  readonly fields: Readonly<Record<string, number>>;
}

/**
 * Decodes a register, losing nothing.
 *
 * @param layout - The register.
 * @param value - Its value.
 * @returns Plain data. O(fields).
 * @throws `VmError` for a value wider than the register.
 *
 * @example
 * ```ts
 * import { decodeRegister, eferRegister, encodeRegister } from 'pagewright/pte';
 *
 * const efer = decodeRegister(eferRegister, 0xd01);
 * efer.fields; // => { RSVD63_12: 0, NXE: 1, LMA: 1, RSVD9: 0, LME: 1, RSVD7_1: 0, SCE: 1 }
 * encodeRegister(eferRegister, efer); // => 0xd01n
 * ```
 * @public
 */
export function decodeRegister(
  layout: RegisterLayout,
  value: bigint | number,
): Plain<DecodedRegister> {
  return plain(registerData(layout, value));
}

/**
 * Encodes a register: the inverse of {@link decodeRegister}. Values are taken as they are, illegal ones too.
 *
 * @param layout - The register.
 * @param register - The decoded register, or just its `fields`.
 * @returns The register's bits, unsigned.
 * @throws `VmError` `bad-argument` for an unknown field, `out-of-range` for a value wider than its field.
 * @public
 */
export function encodeRegister(layout: RegisterLayout, register: RegisterFields): bigint {
  return encodeFields(layout.fields, register.fields);
}

/** What {@link decodeRegister} returns, before it becomes plain data: for decoders that add to it. */
export function registerData(layout: RegisterLayout, value: bigint | number): DecodedRegister {
  const raw = checkBits(layout.name, value, layout.bits);
  const fields = decodeFields(layout.fields, lowWord(raw), highWord(raw));
  return { type: 'register', register: layout.name, raw, fields };
}
