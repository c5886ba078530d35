import fc from 'fast-check';
import { Access } from 'pagewright/core';
import {
  CR0,
  CR4,
  type Cr3Mode,
  cr0Register,
  cr3Registers,
  cr4Register,
  decodeCr0,
  decodeCr3,
  decodeCr4,
  decodeEfer,
  decodeMenvcfg,
  decodeMstatus,
  decodePageFaultCode,
  decodePat,
  decodePkru,
  decodeRegister,
  decodeRiscvCause,
  decodeSatp,
  EFER,
  eferRegister,
  encodeCr0,
  encodeCr3,
  encodeCr4,
  encodeEfer,
  encodeMenvcfg,
  encodeMstatus,
  encodePageFaultCode,
  encodePat,
  encodePkru,
  encodeRegister,
  encodeRiscvCause,
  encodeSatp,
  mstatus32Register,
  pageFaultCodeRegister,
  type RegisterFields,
  type RegisterLayout,
  RISCV_CAUSE,
  riscvAccessFaultCause,
  riscvCauseName,
  riscvPageFaultCause,
  X86_PAGE_FAULT,
} from 'pagewright/pte';
import { describe, expect, it } from 'vitest';
import { codeOf, slice } from './formats.js';

type Decode = (value: bigint | number) => RegisterFields & { readonly raw: bigint };
type Encode = (register: RegisterFields) => bigint;

const CR3_MODES = Object.keys(cr3Registers) as Cr3Mode[];

const WIDE: readonly [string, Decode, Encode][] = [
  ['CR0', decodeCr0, encodeCr0],
  ['CR4', decodeCr4, encodeCr4],
  ['IA32_EFER', decodeEfer, encodeEfer],
  ['PKRU', decodePkru, encodePkru],
  ['IA32_PAT', decodePat, encodePat],
  ['the page-fault error code', decodePageFaultCode, encodePageFaultCode],
  ['satp of RV64', decodeSatp, encodeSatp],
  ['mstatus of RV64', decodeMstatus, encodeMstatus],
  ['menvcfg', decodeMenvcfg, encodeMenvcfg],
  ['a RISC-V cause', decodeRiscvCause, encodeRiscvCause],
  ...CR3_MODES.map((mode): [string, Decode, Encode] => [
    `CR3 (${mode})`,
    (value) => decodeCr3(value, mode),
    (register) => encodeCr3(register, mode),
  ]),
];

describe('decoding then encoding gives back every bit', () => {
  it.each(WIDE)('of %s', (_, decode, encode) => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), (value) => {
        const decoded = decode(value);
        expect(decoded.raw).toBe(value);
        expect(encode({ fields: decoded.fields })).toBe(value);
      }),
    );
    expect(codeOf(() => decode(2n ** 64n))).toBe('out-of-range');
    expect(codeOf(() => decode(-1))).toBe('out-of-range');
    expect(codeOf(() => decode(Number.NaN))).toBe('bad-argument');
    expect(codeOf(() => encode({ fields: { NOPE: 1 } }))).toBe('bad-argument');
  });

  it('of the 32-bit satp and mstatus', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 32n - 1n }), (value) => {
        expect(encodeSatp(decodeSatp(value, 32), 32)).toBe(value);
        expect(encodeMstatus(decodeMstatus(value, 32), 32)).toBe(value);
      }),
    );
    expect(codeOf(() => decodeSatp(2n ** 32n, 32))).toBe('out-of-range');
    expect(codeOf(() => decodeMstatus(0, 16 as 32))).toBe('bad-argument');
  });
});

describe('masks and fields of one register agree', () => {
  it.each<[RegisterLayout, Readonly<Record<string, number>>, string[]]>([
    [cr0Register, CR0, []],
    [cr4Register, CR4, ['FRED']],
    [eferRegister, EFER, []],
    [pageFaultCodeRegister, X86_PAGE_FAULT, []],
  ])('$name', (layout, masks, others) => {
    const flags = layout.fields.filter((f) => f.role === 'flag').reverse();
    expect(flags.map((f) => f.name)).toEqual([...Object.keys(masks), ...others]);
    for (const [name, mask] of Object.entries(masks)) {
      const { fields } = decodeRegister(layout, mask);
      expect(Object.keys(fields).filter((f) => fields[f] !== 0)).toEqual([name]);
    }
  });
});

describe('CR3', () => {
  it('is read by the mode', () => {
    const value = 0xe123_4567_89ab_cdefn;
    expect(decodeCr3(value, 'legacy')).toMatchObject({ base: 0x89ab_c000n, pcid: 0 });
    expect(decodeCr3(value, 'pae').base).toBe(0x89ab_cde0n);
    expect(decodeCr3(value, 'long')).toMatchObject({
      base: 0x3_4567_89ab_c000n,
      pcid: 0,
      fields: { RSVD63: 1, LAM_U48: 1, LAM_U57: 1, RSVD60_52: 0x12, PCD: 0, PWT: 1 },
    });
    expect(decodeCr3(value, 'long-pcid')).toMatchObject({
      base: 0x3_4567_89ab_c000n,
      pcid: 0xdef,
      fields: { NOFLUSH: 1, PCID: 0xdef },
    });
  });

  it('refuses a mode that it does not know', () => {
    expect(codeOf(() => decodeCr3(0, 'toString' as Cr3Mode))).toBe('bad-argument');
    expect(codeOf(() => encodeCr3({ fields: {} }, 'sv39' as Cr3Mode))).toBe('bad-argument');
  });
});

describe('PKRU', () => {
  it('has an access-disable and a write-disable bit for each of 16 keys', () => {
    for (let key = 0; key < 16; key++) {
      expect(encodePkru({ fields: { [`AD${key}`]: 1 } })).toBe(1n << BigInt(2 * key));
      expect(encodePkru({ fields: { [`WD${key}`]: 1 } })).toBe(2n << BigInt(2 * key));
    }
  });
});

describe('satp', () => {
  it('names every mode of RV64', () => {
    const modes = Array.from({ length: 16 }, (_, mode) => decodeSatp(BigInt(mode) << 60n).mode);
    expect(modes).toEqual([
      'bare',
      ...Array<string>(7).fill('reserved'),
      'sv39',
      'sv48',
      'sv57',
      ...Array<string>(3).fill('reserved'),
      'custom',
      'custom',
    ]);
  });

  it('names both modes of RV32', () => {
    expect(decodeSatp(0x7fff_ffff, 32)).toMatchObject({ mode: 'bare', asid: 511, ppn: 0x3fffff });
    expect(decodeSatp(0x8000_0001, 32)).toMatchObject({ mode: 'sv32', asid: 0, ppn: 1, xlen: 32 });
  });
});

describe('mstatus and menvcfg', () => {
  it.each([
    ['SIE', 1, 1],
    ['MIE', 3, 3],
    ['SPIE', 5, 5],
    ['UBE', 6, 6],
    ['MPIE', 7, 7],
    ['SPP', 8, 8],
    ['VS', 10, 9],
    ['MPP', 12, 11],
    ['FS', 14, 13],
    ['XS', 16, 15],
    ['MPRV', 17, 17],
    ['SUM', 18, 18],
    ['MXR', 19, 19],
    ['TVM', 20, 20],
    ['TW', 21, 21],
    ['TSR', 22, 22],
    ['SPELP', 23, 23],
    ['SDT', 24, 24],
  ])('%s is where it is in both widths', (name, high, low) => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), (value) => {
        const expected = Number(slice(value, high, low));
        expect(decodeMstatus(value).fields[name]).toBe(expected);
        expect(decodeMstatus(value & 0xffff_ffffn, 32).fields[name]).toBe(expected);
      }),
      { numRuns: 20 },
    );
  });

  it('SD is the top bit, and RV64 has an upper half', () => {
    expect(mstatus32Register.fields[0]).toMatchObject({ name: 'SD', high: 31 });
    const upper = encodeMstatus({
      fields: { SD: 1, UXL: 2, SXL: 2, SBE: 1, MBE: 1, GVA: 1, MPV: 1 },
    });
    expect(upper).toBe(0x8000_00fa_0000_0000n);
    expect(encodeMstatus({ fields: { MPELP: 1, MDT: 1 } })).toBe(3n << 41n);
  });

  it('menvcfg has its fields', () => {
    expect(encodeMenvcfg({ fields: { STCE: 1, PBMTE: 1, ADUE: 1, CDE: 1, DTE: 1, PMM: 3 } })).toBe(
      0xf800_0003_0000_0000n,
    );
    expect(encodeMenvcfg({ fields: { CBZE: 1, CBCFE: 1, CBIE: 3, SSE: 1, LPE: 1, FIOM: 1 } })).toBe(
      0xfdn,
    );
  });
});

describe('RISC-V causes', () => {
  it.each([
    [Access.Read, 13, 5],
    [Access.Write, 15, 7],
    [Access.Fetch, 12, 1],
    [Access.Read | Access.ReadModifyWrite | Access.User, 15, 7],
    [Access.Write | Access.User, 15, 7],
    [Access.Fetch | Access.Machine, 12, 1],
    [Access.Read | Access.Hlvx, 13, 5],
  ])('access %i raises page fault %i and access fault %i', (access, page, fault) => {
    expect(riscvPageFaultCause(access)).toBe(page);
    expect(riscvAccessFaultCause(access)).toBe(fault);
  });

  it('have names, and holes', () => {
    expect(Object.values(RISCV_CAUSE)).toEqual(
      Array.from({ length: 24 }, (_, code) => code).filter((code) => code !== 14 && code !== 17),
    );
    for (const code of Object.values(RISCV_CAUSE)) {
      expect(riscvCauseName(code)).not.toMatch(/reserved|custom/);
    }
    expect([14, 17, 32, 47, 64, -1, 0.5].map(riscvCauseName)).toEqual(Array(7).fill('reserved'));
    expect([24, 31, 48, 63].map(riscvCauseName)).toEqual(Array(4).fill('custom'));
  });

  it('decode with their interrupt bit', () => {
    expect(decodeRiscvCause(15)).toMatchObject({ interrupt: false, name: 'store/AMO page fault' });
    expect(decodeRiscvCause(2n ** 63n + 5n)).toMatchObject({ interrupt: true, name: 'interrupt' });
    expect(decodeRiscvCause(2n ** 32n + 15n).name).toBe('reserved');
  });
});

describe('decoded registers', () => {
  it('go through JSON.stringify', () => {
    const json = JSON.parse(JSON.stringify(decodeSatp(0x8000_0000_0008_0200n)));
    expect(json).toMatchObject({ type: 'register', register: 'satp', raw: '0x8000000000080200' });
  });

  it('encode from a few fields', () => {
    expect(encodeRegister(eferRegister, { fields: { LME: 1, NXE: 1 } })).toBe(0x900n);
    expect(codeOf(() => encodeRegister(eferRegister, { fields: { LME: 2 } }))).toBe('out-of-range');
  });
});
