import { VmError } from '../core/index.js';
import { AArch64MappingBits } from './aarch64-mapping.js';
import type { PteFormat } from './format.js';
import { MappingBits } from './mapping-bits.js';

/** What was made so far. Apart from the formats, so that who only walks does not carry it. */
const made = new WeakMap<PteFormat, MappingBits>();

/**
 * The bits with which system software writes the entries of a format.
 *
 * @param format - Any format that says so: all of this package do.
 * @returns The same object for the same format.
 * @throws `VmError` `unsupported` for a format without `mapping`, `bad-argument` for what is no format.
 * @public
 */
export function mappingOf(format: PteFormat): MappingBits {
  if (typeof format?.kindOf !== 'function') {
    const expected = 'a PteFormat';
    throw new VmError('bad-argument', { argument: 'format', value: format, expected });
  }
  let bits = made.get(format);
  if (bits !== undefined) return bits;
  const { mapping } = format;
  if (mapping === null) {
    const expected = 'a format that says how its entries are written (PteFormatOptions.mapping)';
    throw new VmError('unsupported', { argument: 'format', value: format.name, expected });
  }
  bits =
    mapping.aarch64Stage === undefined ? new MappingBits(mapping) : new AArch64MappingBits(mapping);
  made.set(format, bits);
  return bits;
}
