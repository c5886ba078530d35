import { describe, test } from 'vitest';
import { MODEL_FORMATS } from './model-formats.js';
import { checkAgainstModel } from './model-property.js';

/** Entries of every width; rights and groups of every kind; tables of several pages. */
const NAMES = [
  ...['x86Legacy', 'x86Long4', 'ept4 mode-based', 'sv39', 'sv48x4', 'ostep15'],
  ...['aarch64 4K 48-bit, low, 4 levels, BBM 0', 'aarch64 16K 48-bit, low, 4 levels, BBM 2'],
  ...['aarch64 stage 2 4K 40-bit, low, 3 levels, BBM 0', 'forbidding, 4-byte entries'],
];
const kinds = MODEL_FORMATS.filter(({ name }) => NAMES.includes(name));

describe.each(['sparse', 'shared', 'watched'] as const)(
  'in %s RAM a page table does the same',
  (memory) => {
    test.each(kinds)('$name', (kind) => checkAgainstModel(kind, memory, 2));
  },
);
