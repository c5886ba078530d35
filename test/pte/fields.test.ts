import {
  type EntryKind,
  type PteFormat,
  RISCV_PTE,
  RISCV_PTE_HIGH,
  riscvPbmt,
  sv32,
  sv39,
  sv57,
  X86_PTE,
  X86_PTE_HIGH,
  x86Legacy,
  x86Long4,
  x86Long5,
  x86Pae,
} from 'pagewright/pte';
import { describe, expect, it } from 'vitest';

/** The fields as text, from the highest bit down: `NAME:high-low`, reserved ones as `!high-low`, ignored as `~`. */
function layout(format: PteFormat, kind: EntryKind, level: number): string {
  return format
    .fieldsOf(kind, level)
    .map(({ name, high, low, role }) => {
      const bits = high === low ? `${high}` : `${high}-${low}`;
      const mark = { reserved: '!', ignored: '~', software: '*' }[role as string];
      return mark === undefined ? `${name}:${bits}` : `${mark}${bits}`;
    })
    .join(' ');
}

const RIGHTS = 'PCD:4 PWT:3 US:2 RW:1 P:0';

describe('x86 entries have the fields of the SDM', () => {
  it.each<[string, PteFormat, EntryKind, number, string]>([
    [
      '4-4',
      x86Legacy,
      'leaf',
      1,
      `ADDR:31-22 !21 ADDR39_32:20-13 PAT:12 ~11-9 G:8 PS:7 D:6 A:5 ${RIGHTS}`,
    ],
    ['4-5', x86Legacy, 'pointer', 1, `ADDR:31-12 ~11-8 PS:7 ~6 A:5 ${RIGHTS}`],
    ['4-6', x86Legacy, 'leaf', 0, `ADDR:31-12 ~11-9 G:8 PAT:7 D:6 A:5 ${RIGHTS}`],
    ['4-4, not present', x86Legacy, 'not-present', 1, '~31-1 P:0'],
    ['4-8', x86Pae, 'pointer', 2, '!63-52 ADDR:51-12 ~11-9 !8-5 PCD:4 PWT:3 !2-1 P:0'],
    ['4-8, not present', x86Pae, 'not-present', 2, '~63-32 ~31-1 P:0'],
    [
      '4-9',
      x86Pae,
      'leaf',
      1,
      `XD:63 !62-52 ADDR:51-21 !20-13 PAT:12 ~11-9 G:8 PS:7 D:6 A:5 ${RIGHTS}`,
    ],
    ['4-10', x86Pae, 'pointer', 1, `XD:63 !62-52 ADDR:51-12 ~11-8 PS:7 ~6 A:5 ${RIGHTS}`],
    ['4-11', x86Pae, 'leaf', 0, `XD:63 !62-52 ADDR:51-12 ~11-9 G:8 PAT:7 D:6 A:5 ${RIGHTS}`],
    ['4-14', x86Long5, 'pointer', 4, `XD:63 ~62-52 ADDR:51-12 ~11 ~10-8 !7 ~6 A:5 ${RIGHTS}`],
    ['4-15', x86Long4, 'pointer', 3, `XD:63 ~62-52 ADDR:51-12 ~11 ~10-8 !7 ~6 A:5 ${RIGHTS}`],
    [
      '4-16',
      x86Long4,
      'leaf',
      2,
      `XD:63 PK:62-59 ~58-52 ADDR:51-30 !29-13 PAT:12 ~11 ~10-9 G:8 PS:7 D:6 A:5 ${RIGHTS}`,
    ],
    ['4-17', x86Long4, 'pointer', 2, `XD:63 ~62-52 ADDR:51-12 ~11 ~10-8 PS:7 ~6 A:5 ${RIGHTS}`],
    [
      '4-18',
      x86Long4,
      'leaf',
      1,
      `XD:63 PK:62-59 ~58-52 ADDR:51-21 !20-13 PAT:12 ~11 ~10-9 G:8 PS:7 D:6 A:5 ${RIGHTS}`,
    ],
    ['4-19', x86Long4, 'pointer', 1, `XD:63 ~62-52 ADDR:51-12 ~11 ~10-8 PS:7 ~6 A:5 ${RIGHTS}`],
    [
      '4-20',
      x86Long5,
      'leaf',
      0,
      `XD:63 PK:62-59 ~58-52 ADDR:51-12 ~11 ~10-9 G:8 PAT:7 D:6 A:5 ${RIGHTS}`,
    ],
    ['4-11 (figure), not present', x86Long5, 'not-present', 4, '~63-32 ~31-1 P:0'],
  ])('Table %s', (table, format, kind, level, expected) => {
    expect(layout(format, kind, level)).toBe(expected);
    if (!table.includes(',')) {
      expect(format.fieldsOf(kind, level)[0]!.source).toBe(`Intel SDM Vol. 3A, Table ${table}`);
    }
  });
});

describe('RISC-V entries have the fields of the privileged manual', () => {
  const leaf = '*9-8 D:7 A:6 G:5 U:4 X:3 W:2 R:1 V:0';
  const pointer = '*9-8 !7 !6 G:5 !4 X:3 W:2 R:1 V:0';
  it.each<[string, PteFormat, EntryKind, number, string]>([
    ['an Sv32 leaf', sv32, 'leaf', 1, `PPN:31-10 ${leaf}`],
    ['an Sv32 pointer', sv32, 'pointer', 1, `PPN:31-10 ${pointer}`],
    ['an invalid Sv32 entry', sv32, 'not-present', 0, '*31-1 V:0'],
    ['an Sv39 page', sv39, 'leaf', 0, `N:63 PBMT:62-61 *60-59 !58-54 PPN:53-10 ${leaf}`],
    ['an Sv39 superpage', sv39, 'leaf', 2, `!63 PBMT:62-61 *60-59 !58-54 PPN:53-10 ${leaf}`],
    ['an Sv57 pointer', sv57, 'pointer', 4, `!63 !62-61 *60-59 !58-54 PPN:53-10 ${pointer}`],
    ['an invalid Sv57 entry', sv57, 'not-present', 4, '*63-32 *31-1 V:0'],
  ])('%s', (_, format, kind, level, expected) => {
    expect(layout(format, kind, level)).toBe(expected);
  });

  it('name the memory types of PBMT', () => {
    const types = [0, 1, 2, 3].map((pbmt) => riscvPbmt(-0x80000000 | (pbmt << 29)));
    expect(types).toEqual(['PMA', 'NC', 'IO', 'reserved']);
  });
});

describe('the masks agree with the fields', () => {
  const maskOf = (format: PteFormat, level: number, name: string, word: 0 | 32): number => {
    const field = format.fieldsOf('leaf', level).find((f) => f.name === name)!;
    return (
      Number(((1n << BigInt(field.high - field.low + 1)) - 1n) << BigInt(field.low - word)) | 0
    );
  };

  it('in the low word of RISC-V', () => {
    for (const [name, mask] of Object.entries(RISCV_PTE)) {
      expect(maskOf(sv39, 0, name, 0), name).toBe(mask);
      expect(maskOf(sv32, 1, name, 0), name).toBe(mask);
    }
  });

  it('in the high word of RISC-V', () => {
    for (const [name, mask] of Object.entries(RISCV_PTE_HIGH)) {
      const field = name === 'RESERVED' ? 'RSVD58_54' : name;
      expect(maskOf(sv39, 0, field, 32), name).toBe(mask);
    }
  });

  it('in x86', () => {
    for (const [name, mask] of Object.entries(X86_PTE)) {
      const [level, field] = name === 'PAT_LARGE' ? [1, 'PAT'] : [name === 'PS' ? 1 : 0, name];
      expect(maskOf(x86Long4, level as number, field as string, 0), name).toBe(mask);
    }
    for (const [name, mask] of Object.entries(X86_PTE_HIGH)) {
      expect(maskOf(x86Long4, 0, name, 32), name).toBe(mask);
    }
  });
});
