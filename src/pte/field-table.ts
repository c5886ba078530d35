import { type BitField, type BitFieldRole, checkPartition } from './bit-field.js';

/** A field in a table of this package: name, highest bit, lowest bit, role, meaning. */
export type FieldRow = readonly [
  name: string,
  high: number,
  low: number,
  role: BitFieldRole,
  meaning: string,
];

const GAPS = {
  reserved: ['RSVD', 'Reserved.'],
  ignored: ['IGN', 'Ignored.'],
  software: ['SW', 'Free for software.'],
} as const;

/**
 * The fields of a word, from the highest bit down. Bits that no row names become fields called after their role and
 * place (`RSVD20_13`), cut at bit 32 so that none is wider than 52 bits.
 */
export function fieldTable(
  bits: number,
  source: string,
  gap: keyof typeof GAPS,
  rows: readonly FieldRow[],
): readonly BitField[] {
  const fields: BitField[] = [];
  const fill = (high: number, low: number): void => {
    if (high < low) return;
    if (high >= 52 && low < 12) {
      fill(high, 32);
      fill(31, low);
      return;
    }
    const [prefix, meaning] = GAPS[gap];
    const name = high === low ? `${prefix}${high}` : `${prefix}${high}_${low}`;
    fields.push({ name, high, low, role: gap, meaning, source });
  };
  let next = bits - 1;
  for (const [name, high, low, role, meaning] of rows) {
    fill(next, high + 1);
    fields.push({ name, high, low, role, meaning, source });
    next = low - 1;
  }
  fill(next, 0);
  return checkPartition(source, fields, bits);
}
