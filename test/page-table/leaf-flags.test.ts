import { addressFromVpn, Prot } from 'pagewright/core';
import { leafFlags } from 'pagewright/page-table';
import {
  aarch64,
  definePteFormat,
  eptLong4,
  nptLong4,
  type PteFormat,
  sv32,
  sv39,
  x86Legacy,
  x86Long4,
  x86Pae,
} from 'pagewright/pte';
import { describe, expect, it } from 'vitest';
import { expectError } from '../core/errors.js';
import { makeSystem, RU, RW, RWU } from './system.js';

/** The flags as one number. */
function raw(format: PteFormat, options: Parameters<typeof leafFlags>[1]): bigint {
  const { high, low } = leafFlags(format, options);
  return (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
}

describe('flags of leaves', () => {
  it('say what is asked, and by default what hardware would otherwise have to note', () => {
    expect(raw(x86Long4, { prot: RWU })).toBe(0x8000_0000_0000_0067n);
    expect(raw(x86Long4, { prot: RU })).toBe(0x8000_0000_0000_0025n);
    expect(raw(x86Long4, { prot: RWU, accessed: false })).toBe(0x8000_0000_0000_0047n);
    expect(raw(x86Long4, { prot: RWU, dirty: false })).toBe(0x8000_0000_0000_0027n);
    expect(raw(x86Long4, { prot: RU, dirty: true })).toBe(0x8000_0000_0000_0065n);
    expect(raw(x86Long4, { prot: RW, global: true })).toBe(0x8000_0000_0000_0163n);
    expect(raw(sv39, { prot: RU, accessed: false })).toBe(0x13n);
  });

  it('have the rights that are really granted', () => {
    expect(leafFlags(x86Legacy, { prot: Prot.Write }).prot).toBe(7);
    expect(leafFlags(sv39, { prot: Prot.Write }).prot).toBe(RW);
    expect(leafFlags(sv39, { prot: Prot.Execute }).prot).toBe(Prot.Execute);
    expect(leafFlags(eptLong4, { prot: Prot.Execute }).prot).toBe(Prot.Execute | Prot.User);
  });

  it.each<readonly [PteFormat, Readonly<Record<string, number>>, bigint]>([
    [x86Long4, { PWT: 1, PCD: 1, PAT: 1, PK: 0xb }, 0xd800_0000_0000_00ffn],
    [x86Pae, { PAT: 1 }, 0x8000_0000_0000_00e7n],
    [x86Legacy, { PCD: 1, PAT: 1 }, 0xf7n],
    [nptLong4, { PWT: 1 }, 0x8000_0000_0000_006fn],
    [eptLong4, { MT: 0, IPAT: 1, SVE: 1 }, 0x8000_0000_0000_0343n],
    [sv39, { PBMT: 2, RSW: 3, RSW60T59: 1 }, 0x4800_0000_0000_03d7n],
    [sv32, { RSW: 1 }, 0x1d7n],
    [aarch64(), { ATTRINDX: 5, SH: 2, GP: 1, PBHA: 9, NS: 1 }, 0x486c_0000_0000_0e75n],
    [aarch64({ stage: 2 }), { MEMATTR: 1, SH: 0 }, 0x0048_0000_0000_04c5n],
  ])('take further fields by the names of the format ($name)', (format, fields, expected) => {
    expect(raw(format, { prot: RWU, fields })).toBe(expected);
  });

  it('are of a base page, and put in their places in larger ones', () => {
    const system = makeSystem(x86Long4);
    const { owed, table } = system;
    const flags = table.flags({ prot: RWU, fields: { PAT: 1, PK: 3 } });
    table.map(1, 5, flags, owed);
    table.map(0x200, 0x400, flags, owed, 512);
    const leaf = (vpn: number) => table.describe(addressFromVpn(vpn)).path.at(-1)!.entry;
    expect(leaf(1).fields).toMatchObject({ PAT: 1, PK: 3, RW: 1, US: 1, XD: 1 });
    expect(leaf(0x200).fields).toMatchObject({ PAT: 1, PK: 3, PS: 1, RW: 1, US: 1, XD: 1 });
    expect(leaf(0x200).raw).toBe(0x9800_0000_0040_10e7n);
  });

  it.each<readonly [PteFormat, readonly string[]]>([
    [x86Legacy, ['P', 'RW', 'US', 'A', 'D', 'G', 'ADDR']],
    [x86Pae, ['XD', 'RSVD62_52', 'ADDR']],
    [x86Long4, ['P', 'RW', 'US', 'A', 'D', 'G', 'XD', 'ADDR', 'PS', 'XX']],
    [nptLong4, ['P', 'RW', 'US', 'A', 'D', 'XD', 'ADDR']],
    [eptLong4, ['R', 'W', 'X', 'A', 'D', 'FRAME', 'PS']],
    [sv32, ['V', 'R', 'W', 'X', 'U', 'G', 'A', 'D', 'PPN']],
    [sv39, ['V', 'R', 'W', 'X', 'U', 'G', 'A', 'D', 'PPN', 'N', 'RSVD58_54']],
    [
      aarch64(),
      ['VALID', 'TYPE', 'AP1', 'AP2', 'AF', 'NG', 'DBM', 'UXN', 'PXN', 'CONTIGUOUS', 'OA', 'SW'],
    ],
    [
      aarch64({ stage: 2 }),
      ['VALID', 'TYPE', 'S2AP0', 'S2AP1', 'AF', 'DBM', 'XN', 'CONTIGUOUS', 'OA', 'SW'],
    ],
    [aarch64({ outputBits: 52 }), ['OA51_50', 'SH']],
  ])('leave to the other options what those decide ($name)', (format, names) => {
    for (const name of names) {
      const options = { prot: RWU, fields: { [name]: 0 } };
      expectError(() => leafFlags(format, options), 'bad-argument', `fields.${name}`);
    }
  });

  it('take values that fit', () => {
    const of = (fields: Record<string, number>) => () => leafFlags(x86Long4, { prot: RWU, fields });
    expectError(of({ PK: 16 }), 'out-of-range', 'fields.PK');
    expectError(of({ PK: -1 }), 'out-of-range', 'fields.PK');
    expectError(of({ PAT: 0.5 }), 'bad-argument', 'fields.PAT');
    expect(of({ PK: 15 })().high >>> 27).toBe(0b11111);
  });

  it('need a right, and rights that there are', () => {
    for (const prot of [0, Prot.User]) {
      expectError(() => leafFlags(x86Long4, { prot }), 'bad-argument', 'prot');
    }
    expectError(() => leafFlags(x86Long4, { prot: 16 }), 'out-of-range', 'prot');
    expectError(() => leafFlags(x86Long4, { prot: Number.NaN }), 'bad-argument', 'prot');
    const misspelt: { prot: number } = JSON.parse('{"prot":3,"globl":true}');
    expectError(() => leafFlags(x86Long4, misspelt), 'bad-argument', 'globl');
  });

  it('are of leaves: where rights make an entry one, a right to load comes with the others', () => {
    // There is no bit for execution: an entry without the other two would be a pointer.
    const format = definePteFormat({
      name: 'own',
      pageBytes: 4096,
      entryBytes: 8,
      levels: [{ bits: 9, huge: true }, { bits: 9 }],
      bits: { valid: 0, read: 1, write: 2, leaf: 'rights', frame: [53, 10] },
    });
    const { low, prot } = leafFlags(format, { prot: Prot.Execute });
    expect([low, prot & Prot.Read, format.kindOf(low, 0, 0)]).toEqual([3, Prot.Read, 'leaf']);
  });

  it('are of one format: another’s are refused', () => {
    const { owed, table } = makeSystem(x86Long4);
    const others = leafFlags(sv39, { prot: RWU });
    expectError(() => table.map(5, 6, others, owed), 'bad-argument', 'flags');
    expectError(() => table.swapIn(5, 6, others, owed), 'bad-argument', 'flags');
    const range = { vpn: 5, pfn: 6, pages: 1, flags: others };
    expectError(() => table.mapRange(range, owed), 'bad-argument', 'flags');
    table.map(5, 6, table.flags({ prot: RWU }), owed);
    expectError(() => table.remap(5, 7, owed, others), 'bad-argument', 'flags');
    expect(table.lookup(5)).toBe(6);
  });
});
