import { definePteFormat, type PteFormatDescription } from 'pagewright/pte';
import { describe, expect, it } from 'vitest';
import { errorOf } from '../core/errors.js';

const GOOD: PteFormatDescription = {
  name: 'good',
  pageBytes: 256,
  entryBytes: 4,
  levels: [{ bits: 4, huge: true }, { bits: 4 }],
  bits: { valid: 0, read: 1, write: 2, accessed: 3, leaf: 4, frame: [31, 12] },
};
const BITS = GOOD.bits;
const FLAT = { levels: [{ bits: 4 }], bits: { valid: 0, read: 1, accessed: 3, frame: [31, 12] } };

/** A description with other fields, as a caller without types may write it. */
function changed(change: object): PteFormatDescription {
  return Object.assign({ ...GOOD }, change);
}

describe('a field that does not fit the others is named', () => {
  it.each<[string, object, string]>([
    ['a name without end', { name: 'x'.repeat(201) }, 'name'],
    ['levels that are no object', { levels: [7] }, 'levels[0]'],
    ['a seventh level', { levels: Array(7).fill({ bits: 1 }) }, 'levels.length'],
    ['an index of 27 bits', { levels: [{ bits: 27 }] }, 'levels[0].bits'],
    ['a table of no bytes', { levels: [{ bits: 4, tableBytes: 0 }] }, 'levels[0].tableBytes'],
    ['huge by halves', { levels: [{ bits: 4, huge: 1 }, { bits: 4 }] }, 'levels[0].huge'],
    [
      'more pages than numbers',
      {
        levels: Array(3).fill({ bits: 26, tableBytes: 2 ** 28 }),
        bits: { valid: 0, frame: [31, 12] },
      },
      'levels',
    ],
    [
      'addresses of more than 64 bits',
      { ...FLAT, pageBytes: 2 ** 20, levels: Array(5).fill({ bits: 10 }) },
      'levels',
    ],
    [
      'a frame of more than 52 bits',
      { entryBytes: 8, bits: { ...BITS, frame: [63, 5] } },
      'bits.frame',
    ],
    [
      'physical addresses of more than 64 bits',
      { entryBytes: 8, pageBytes: 65536, bits: { ...BITS, frame: [63, 12] } },
      'bits.frame',
    ],
    ['a frame too narrow for the physical width', { physicalBits: 32 }, 'bits.frame'],
    ['a frame too wide for the physical width', { physicalBits: 24 }, 'bits.frame'],
    ['a physical width of less than a page', { physicalBits: 8 }, 'physicalBits'],
    ['a physical width that is none', { physicalBits: 65 }, 'physicalBits'],
    ['a virtual width that is none', { virtualBits: 1.5 }, 'virtualBits'],
    [
      'huge pages beyond the frames',
      { bits: { valid: 0, leaf: 4, frame: [15, 12] } },
      'levels[0].huge',
    ],
    ['a valid bit in the frame', { bits: { ...BITS, valid: 12 } }, 'bits.frame'],
    [
      'an accessed bit above bit 31',
      { entryBytes: 8, bits: { ...BITS, accessed: 40 } },
      'bits.accessed',
    ],
    ['a dirty bit that is no number', { bits: { ...BITS, dirty: '6' } }, 'bits.dirty'],
    ['a leaf mark in the frame', { bits: { ...BITS, leaf: 20 } }, 'bits.leaf'],
    ['a leaf mark that nobody knows', { bits: { ...BITS, leaf: 'size' } }, 'bits.leaf'],
    [
      'rights as the mark without rights',
      { bits: { valid: 0, leaf: 'rights', frame: [31, 12] } },
      'bits.leaf',
    ],
    ['a right that is null', { bits: { ...BITS, read: null } }, 'bits.read'],
    ['a right with two polarities', { bits: { ...BITS, read: { not: 1, is: 2 } } }, 'bits.read.is'],
    ['pointers that are a list', { pointers: [] }, 'pointers'],
    ['pointer rights that are no flag', { pointers: { rights: 1 } }, 'pointers.rights'],
    ['pointer rights without pointers', { ...FLAT, pointers: { rights: true } }, 'pointers.rights'],
    [
      'accessed pointers without pointers',
      { ...FLAT, pointers: { accessed: true } },
      'pointers.accessed',
    ],
    [
      'pointer rights without rights',
      { bits: { valid: 0, leaf: 4, frame: [31, 12] }, pointers: { rights: true } },
      'pointers.rights',
    ],
    [
      'pointer rights where rights make leaves',
      { bits: { ...BITS, leaf: 'rights' }, pointers: { rights: true } },
      'pointers.rights',
    ],
    ['alignment without huge pages', { ...FLAT, misaligned: 'fault' }, 'misaligned'],
    [
      'reserved bits of a level in use',
      { levels: [{ bits: 4, huge: true, reserved: [4] }, { bits: 4 }] },
      'levels[0].reserved[0]',
    ],
    [
      'reserved frame bits of a page whose alignment is checked',
      { levels: [{ bits: 4, huge: true, reserved: { leaves: [12] } }, { bits: 4 }] },
      'levels[0].reserved.leaves[0]',
    ],
    [
      'reserved rights of pointers where rights make leaves',
      { bits: { ...BITS, leaf: 'rights' }, reserved: { pointers: [5, 1] } },
      'reserved.pointers[1]',
    ],
    ['65 runs of reserved bits', { reserved: Array(65).fill(5) }, 'reserved.length'],
    ['a run of three', { reserved: [[7, 6, 5]] }, 'reserved[0]'],
    ['a run upside down', { reserved: [[5, 6]] }, 'reserved[0]'],
    ['reserved bits that are null', { reserved: null }, 'reserved'],
  ])('%s', (_, change, path) => {
    const error = errorOf(() => definePteFormat(changed(change)));
    expect(error.details.argument).toBe(path);
    expect(['bad-argument', 'out-of-range']).toContain(error.code);
    expect(error.message).toContain(`${path}: expected`);
  });
});

describe('what looks wrong and is not', () => {
  it.each<[string, object]>([
    ['a width that says what the levels say', { virtualBits: 16, physicalBits: 28 }],
    [
      'a table larger than its entries',
      { levels: [{ bits: 4, huge: true, tableBytes: 100 }, { bits: 4 }] },
    ],
    ['a frame of one bit', { ...FLAT, bits: { valid: 0, frame: 9 } }],
    ['a leaf mark at a bit that small pages use', { bits: { ...BITS, valid: 5 }, reserved: [] }],
    [
      'reserved frame bits of a page whose alignment is not checked',
      {
        misaligned: 'ignored',
        levels: [{ bits: 4, huge: true, reserved: { leaves: [[15, 13]] } }, { bits: 4 }],
      },
    ],
    [
      'a bit reserved twice',
      { reserved: [5], levels: [{ bits: 4, huge: true, reserved: [[6, 5]] }, { bits: 4 }] },
    ],
    ['bits that pointers do not have, reserved there', { reserved: { pointers: [1, 2, 3] } }],
  ])('%s', (_, change) => {
    expect(definePteFormat(changed(change)).name).toBe('good');
  });

  it('the description is copied, so that changing it later changes nothing', () => {
    const bits = { valid: 0, frame: [31, 12] as [number, number] };
    const description = { ...GOOD, levels: [{ bits: 4 }], bits };
    const format = definePteFormat(description);
    bits.frame[1] = 2;
    description.levels[0]!.bits = 6;
    expect(format.roles?.description).toMatchObject({
      levels: [{ bits: 4 }],
      bits: { frame: [31, 12] },
    });
  });
});

describe('the fields of entries', () => {
  const format = definePteFormat({
    ...GOOD,
    entryBytes: 8,
    bits: { ...BITS, frame: [39, 12], execute: { not: 63 }, user: { not: 62 } },
    misaligned: 'ignored',
    levels: [{ bits: 4, huge: true, reserved: { leaves: [[15, 13]] } }, { bits: 4 }],
    reserved: [[50, 40]],
  });
  const names = (kind: 'leaf' | 'pointer' | 'not-present', level: number): string[] =>
    format.fieldsOf(kind, level).map((field) => field.name);

  it('are named for what they do, from the highest bit down', () => {
    expect(names('leaf', 0)).toEqual([
      ...['NX', 'NU', 'IGN61_51', 'RSVD50_40', 'PFN', 'IGN11_4', 'A', 'W', 'R', 'V'],
    ]);
    expect(names('leaf', 1)).toEqual([
      ...['NX', 'NU', 'IGN61_51', 'RSVD50_40', 'PFN', 'RSVD15_13', 'IGN12_5', 'PS'],
      ...['A', 'W', 'R', 'V'],
    ]);
    expect(names('pointer', 1)).toEqual([
      ...['IGN63_51', 'RSVD50_40', 'PFN', 'IGN11_5', 'PS', 'IGN3_1', 'V'],
    ]);
    expect(names('not-present', 0)).toEqual(['SW63_32', 'SW31_1', 'V']);
  });

  it('say where they are described', () => {
    expect(format.fieldsOf('leaf', 0)[0]?.source).toBe('the definition of good');
    const told = definePteFormat({ ...GOOD, source: 'Chapter 3' });
    expect(told.fieldsOf('leaf', 0)[0]?.source).toBe('Chapter 3');
    expect(told.roles?.source).toBe('Chapter 3');
  });

  it('never span both words where they are reserved', () => {
    const { bits } = GOOD;
    const wide = definePteFormat({
      ...GOOD,
      entryBytes: 8,
      bits: { ...bits, frame: [23, 12] },
      reserved: [[63, 24]],
    });
    const reserved = wide.fieldsOf('leaf', 0).filter(({ role }) => role === 'reserved');
    expect(reserved.map(({ name }) => name)).toEqual(['RSVD63_32', 'RSVD31_24']);
  });
});
