import { VmError } from 'pagewright/core';
import {
  csapp14,
  definePteFormat,
  linearFormat,
  ostep6,
  ostep15,
  type PteFormatDescription,
  textbook32,
} from 'pagewright/pte';
import { describe, expect, it } from 'vitest';

const GOOD: PteFormatDescription = {
  name: 'good',
  pageBytes: 256,
  entryBytes: 2,
  levels: [{ bits: 4, huge: true }, { bits: 4 }],
  bits: { valid: 0, write: 1, execute: { not: 2 }, dirty: 3, leaf: 4, accessed: 5, frame: [15, 8] },
};

/** The field that a refusal names. */
function fieldAtFault(change: object): string {
  try {
    definePteFormat({ ...GOOD, ...change });
  } catch (error) {
    if (error instanceof VmError) return error.details.argument;
    throw error;
  }
  return 'nothing';
}

/** A list that holds itself. */
function endless(): unknown[] {
  const list: unknown[] = [];
  list.push(list);
  return list;
}

describe('a description that makes no sense', () => {
  it.each<[string, object, string]>([
    ['an unknown option', { bites: {} }, 'bites'],
    ['no name', { name: '' }, 'name'],
    ['a source that is no text', { source: 7 }, 'source'],
    ['entries of 3 bytes', { entryBytes: 3 }, 'entryBytes'],
    ['pages of 8 bytes', { pageBytes: 8 }, 'pageBytes'],
    ['pages of 100 bytes', { pageBytes: 100 }, 'pageBytes'],
    ['NaN as a page size', { pageBytes: Number.NaN }, 'pageBytes'],
    ['no levels', { levels: [] }, 'levels.length'],
    ['levels that are no array', { levels: { bits: 4 } }, 'levels'],
    ['an index of no bits', { levels: [{ bits: 0 }, { bits: 4 }] }, 'levels[0].bits'],
    ['an index past its table', { levels: [{ bits: 4 }, { bits: 8 }] }, 'levels[1].bits'],
    [
      'a table without room',
      { levels: [{ bits: 4, tableBytes: 8 }, { bits: 4 }] },
      'levels[0].bits',
    ],
    [
      'huge pages at the last level',
      {
        levels: [
          { bits: 4, huge: true },
          { bits: 4, huge: true },
        ],
      },
      'levels[1].huge',
    ],
    ['a flag that is none', { signExtended: 1 }, 'signExtended'],
    [
      'a level with an unknown option',
      { levels: [{ bits: 4, hugh: true }, { bits: 4 }] },
      'levels[0].hugh',
    ],
    ['two roles for a bit', { bits: { ...GOOD.bits, dirty: 1 } }, 'bits.dirty'],
    ['a bit in the frame', { bits: { ...GOOD.bits, accessed: 9 } }, 'bits.accessed'],
    ['a bit outside the entry', { bits: { ...GOOD.bits, write: 16 } }, 'bits.write'],
    [
      'a right outside the entry',
      { bits: { ...GOOD.bits, execute: { not: 16 } } },
      'bits.execute.not',
    ],
    ['no valid bit', { bits: { ...GOOD.bits, valid: undefined } }, 'bits.valid'],
    ['no frame bits', { bits: { ...GOOD.bits, frame: undefined } }, 'bits.frame'],
    ['a frame upside down', { bits: { ...GOOD.bits, frame: [8, 15] } }, 'bits.frame'],
    ['a frame of three numbers', { bits: { ...GOOD.bits, frame: [15, 9, 8] } }, 'bits.frame'],
    ['a global bit outside', { bits: { ...GOOD.bits, global: 99 } }, 'bits.global'],
    ['huge pages without a mark', { bits: { ...GOOD.bits, leaf: undefined } }, 'bits.leaf'],
    ['a mark without huge pages', { levels: [{ bits: 4 }, { bits: 4 }] }, 'bits.leaf'],
    [
      'rights as the mark, of which one forbids',
      { bits: { ...GOOD.bits, leaf: 'rights' } },
      'bits.leaf',
    ],
    ['pointers marked by no bit', { bits: { ...GOOD.bits, leaf: { not: 16 } } }, 'bits.leaf.not'],
    [
      'pointers marked by what is used',
      { bits: { ...GOOD.bits, leaf: { not: 0 } } },
      'bits.leaf.not',
    ],
    [
      'a mark of a level outside',
      { levels: [{ bits: 4, huge: true, leaf: 16 }, { bits: 4 }] },
      'levels[0].leaf',
    ],
    [
      'a mark of a level in use',
      {
        levels: [{ bits: 2, huge: true }, { bits: 2, huge: true, leaf: 1 }, { bits: 4 }],
      },
      'levels[1].leaf',
    ],
    [
      'a mark of a level without huge pages',
      { levels: [{ bits: 2, huge: true }, { bits: 2, leaf: 6 }, { bits: 4 }] },
      'levels[1].leaf',
    ],
    [
      'a mark of a level where rights make leaves',
      {
        levels: [{ bits: 4, huge: true, leaf: 6 }, { bits: 4 }],
        bits: { valid: 0, read: 1, leaf: 'rights', frame: [15, 8] },
      },
      'levels[0].leaf',
    ],
    [
      'a mark of a level that marks pointers elsewhere',
      {
        levels: [{ bits: 2, huge: true }, { bits: 2, huge: true, leaf: 4 }, { bits: 4 }],
        bits: { ...GOOD.bits, leaf: { not: 4 } },
      },
      'levels[1].leaf',
    ],
    [
      'a mark that no level has',
      { levels: [{ bits: 4, huge: true, leaf: 6 }, { bits: 4 }] },
      'bits.leaf',
    ],
    ['what holds itself', { reserved: endless() }, 'reserved[0][0][0][0][0]'],
    ['a list without end', { levels: new Array(2 ** 32 - 1) }, 'levels.length'],
    ['accessed pointers by a number', { pointers: { accessed: 1 } }, 'pointers.accessed'],
    ['reserved bits with a role', { reserved: [3] }, 'reserved[0]'],
    ['reserved bits that are no list', { reserved: { leaves: 6 } }, 'reserved.leaves'],
    ['reserved bits of another kind', { reserved: { tables: [6] } }, 'reserved.tables'],
    ['a reserved bit outside', { reserved: [[20, 6]] }, 'reserved[0]'],
    ['a misalignment nobody knows', { misaligned: 'maybe' }, 'misaligned'],
    ['write-only leaves without a read bit', { writeOnly: 'reserved' }, 'writeOnly'],
    [
      'accessed pointers without the bit',
      { bits: { ...GOOD.bits, accessed: undefined }, pointers: { accessed: true } },
      'pointers.accessed',
    ],
    ['another virtual width', { virtualBits: 20 }, 'virtualBits'],
    ['another physical width', { physicalBits: 12 }, 'bits.frame'],
    ['sign extension with small pages', { signExtended: true }, 'signExtended'],
  ])('is refused with the name of the field: %s', (_, change, field) => {
    expect(fieldAtFault(change)).toBe(field);
  });
});

describe('a format of your own', () => {
  it('decodes and encodes every word without loss', () => {
    const format = definePteFormat({ ...GOOD, reserved: { leaves: [6], pointers: [[7, 6]] } });
    for (let word = 0; word < 0x10000; word++) {
      for (const level of [0, 1])
        expect(format.encode(format.decode(word, level))).toBe(BigInt(word));
    }
  });

  it('may have its bits in the upper word', () => {
    const format = definePteFormat({
      name: 'upside down',
      pageBytes: 4096,
      entryBytes: 8,
      levels: [{ bits: 9, huge: true }, { bits: 9 }],
      bits: { valid: 63, read: 62, write: 61, execute: 60, user: 59, leaf: 58, frame: [57, 30] },
    });
    const word = format.build({ kind: 'leaf', level: 1, pfn: 0x1234 * 512, fields: { R: 1 } });
    expect(word).toBe((0xcn << 60n) | (1n << 58n) | ((0x1234n * 512n) << 30n));
    expect(format.decode(word, 1)).toMatchObject({ kind: 'leaf', pfn: 0x1234 * 512, pages: 512 });
    expect(format.decode(word & ~(1n << 63n), 1).kind).toBe('not-present');
    expect(format.decode(1n << 63n, 1).kind).toBe('pointer');
  });

  it('with rights as the mark tells pointers from leaves as RISC-V does', () => {
    const format = definePteFormat({
      name: 'by rights',
      pageBytes: 4096,
      entryBytes: 4,
      levels: [{ bits: 10, huge: true }, { bits: 10 }],
      bits: { valid: 0, read: 1, write: 2, execute: 3, leaf: 'rights', frame: [31, 10] },
      writeOnly: 'reserved',
    });
    expect(format.kindOf(1, 0, 1)).toBe('pointer');
    expect(format.kindOf(3, 0, 1)).toBe('leaf');
    expect(format.kindOf(9, 0, 0)).toBe('leaf');
    expect(format.kindOf(1, 0, 0)).toBe('pointer');
  });

  it('may mark pointers instead of huge leaves, as AArch64 does', () => {
    const format = definePteFormat({
      name: 'table bit',
      pageBytes: 4096,
      entryBytes: 8,
      levels: [{ bits: 9 }, { bits: 9, huge: true }, { bits: 9 }],
      bits: { valid: 0, leaf: { not: 1 }, frame: [47, 12] },
    });
    expect([0b01, 0b11].map((low) => format.kindOf(low, 0, 1))).toEqual(['leaf', 'pointer']);
    // The other levels do not look at it; what is built has it all the same.
    expect([0b01, 0b11].map((low) => format.kindOf(low, 0, 2))).toEqual(['pointer', 'pointer']);
    expect([0b01, 0b11].map((low) => format.kindOf(low, 0, 0))).toEqual(['leaf', 'leaf']);
    expect(format.build({ kind: 'pointer', level: 2, pfn: 5 })).toBe(0x5003n);
    expect(format.build({ kind: 'pointer', level: 1, pfn: 5 })).toBe(0x5003n);
    expect(format.build({ kind: 'leaf', level: 1, pfn: 512 })).toBe(0x200001n);
    expect(format.build({ kind: 'leaf', level: 0, pfn: 5 })).toBe(0x5001n);
    expect(format.decode(0x5003, 2).fields['PT']).toBe(1);
    expect(format.fieldsOf('leaf', 0).some(({ name }) => name === 'PT')).toBe(false);
  });

  it('may mark its huge leaves by another bit at another level', () => {
    const format = definePteFormat({
      name: 'two marks',
      pageBytes: 256,
      entryBytes: 2,
      levels: [{ bits: 2, huge: true, leaf: 5 }, { bits: 2, huge: true }, { bits: 2 }],
      bits: { valid: 0, leaf: 4, frame: [15, 8] },
    });
    const kinds = (level: number): string[] =>
      [0x11, 0x21].map((low) => format.kindOf(low, 0, level));
    expect(kinds(2)).toEqual(['pointer', 'leaf']);
    expect(kinds(1)).toEqual(['leaf', 'pointer']);
    expect(format.build({ kind: 'leaf', level: 2, pfn: 16 })).toBe(0x1021n);
    expect(format.build({ kind: 'leaf', level: 1, pfn: 16 })).toBe(0x1011n);
  });

  it('counts own properties alone, and reads each of them once', () => {
    expect(() => definePteFormat(Object.create(GOOD))).toThrow(VmError);
    const bits = Object.create({ ...GOOD.bits, frame: undefined });
    expect(fieldAtFault({ bits })).toBe('bits.valid');
    let reads = 0;
    const moody = {
      ...GOOD,
      get entryBytes(): 2 {
        return (reads++ === 0 ? 2 : 3) as 2;
      },
    };
    expect(definePteFormat(moody).entryBytes).toBe(2);
    expect(reads).toBe(1);
    const toJson = { ...GOOD, levels: Object.assign([...GOOD.levels], { toJSON: () => [] }) };
    expect(definePteFormat(toJson).levels).toBe(2);
  });

  it('makes the same format of its own description', () => {
    const format = definePteFormat({
      ...GOOD,
      reserved: [[7, 6]],
      pointers: { rights: true, accessed: true },
    });
    const again = definePteFormat(format.roles!.description);
    expect(again.roles).toEqual(format.roles);
    expect(again.fieldsOf('leaf', 1)).toEqual(format.fieldsOf('leaf', 1));
  });
});

describe('the presets', () => {
  it('have the widths of their books', () => {
    const widths = [csapp14, ostep15, ostep6, textbook32].map((format) => [
      format.virtualBits,
      format.pageShift,
      format.levels,
    ]);
    expect(widths).toEqual([
      [14, 6, 1],
      [15, 5, 2],
      [6, 4, 1],
      [32, 12, 2],
    ]);
  });

  it('refuse a linear table that makes no sense', () => {
    const shape = {
      virtualBits: 16,
      pageBytes: 4096,
      entryBytes: 2,
      valid: 15,
      frame: [14, 0],
    } as const;
    expect(linearFormat(shape)).toMatchObject({ levels: 1, indexBits: [4] });
    expect(() => linearFormat({ ...shape, pageBytes: 100 })).toThrow(VmError);
    expect(() => linearFormat({ ...shape, virtualBits: 12 })).toThrow(VmError);
  });
});
