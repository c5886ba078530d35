import fc from 'fast-check';
import {
  AARCH64_EXCEPTION_CLASS,
  AARCH64_FAULT_STATUS,
  type AArch64FaultKind,
  aarch64FaultStatus,
  aarch64FaultStatusName,
  aarch64Granule,
  aarch64PhysicalBits,
  decodeEsr,
  decodePar,
  decodeRegister,
  decodeTcr,
  encodeEsr,
  encodePar,
  encodeRegister,
  encodeTcr,
  esrRegister,
  hcrRegister,
  hpfarRegister,
  mairRegister,
  parFaultRegister,
  parRegister,
  type RegisterFields,
  type RegisterLayout,
  sctlrRegister,
  tcrRegister,
  ttbrRegister,
  vtcrRegister,
  vttbrRegister,
} from 'pagewright/pte';
import { describe, expect, it } from 'vitest';
import { codeOf, slice } from './formats.js';

type Decode = (value: bigint | number) => RegisterFields & { readonly raw: bigint };
type Encode = (register: RegisterFields) => bigint;

const LAYOUTS: readonly RegisterLayout[] = [
  tcrRegister,
  ttbrRegister,
  sctlrRegister,
  mairRegister,
  hcrRegister,
  vtcrRegister,
  vttbrRegister,
  parRegister,
  parFaultRegister,
  esrRegister,
  hpfarRegister,
];

describe('decoding then encoding gives back every bit', () => {
  it.each<[string, Decode, Encode]>([
    ['TCR_EL1', decodeTcr, encodeTcr],
    ['PAR_EL1', decodePar, encodePar],
    ['ESR_ELx', decodeEsr, encodeEsr],
    ...LAYOUTS.map((layout): [string, Decode, Encode] => [
      `${layout.name} as fields`,
      (value) => decodeRegister(layout, value),
      (register) => encodeRegister(layout, register),
    ]),
  ])('of %s', (_, decode, encode) => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), (value) => {
        const decoded = decode(value);
        expect(decoded.raw).toBe(value);
        expect(encode({ fields: decoded.fields })).toBe(value);
      }),
    );
    expect(codeOf(() => decode(2n ** 64n))).toBe('out-of-range');
    expect(codeOf(() => decode(-1))).toBe('out-of-range');
    expect(codeOf(() => decode(0.5))).toBe('bad-argument');
    expect(codeOf(() => decode(Number.NaN))).toBe('bad-argument');
    expect(codeOf(() => encode({ fields: { NOPE: 1 } }))).toBe('bad-argument');
  });
});

/** The named fields of a register: name, highest bit, lowest bit. */
const FIELDS: readonly [RegisterLayout, Record<string, readonly [number, number?]>][] = [
  [
    tcrRegister,
    {
      DS: [59],
      TCMA1: [58],
      TCMA0: [57],
      E0PD1: [56],
      E0PD0: [55],
      NFD1: [54],
      NFD0: [53],
      TBID1: [52],
      TBID0: [51],
      HWU1: [50, 47],
      HWU0: [46, 43],
      HPD1: [42],
      HPD0: [41],
      HD: [40],
      HA: [39],
      TBI1: [38],
      TBI0: [37],
      AS: [36],
      IPS: [34, 32],
      TG1: [31, 30],
      SH1: [29, 28],
      ORGN1: [27, 26],
      IRGN1: [25, 24],
      EPD1: [23],
      A1: [22],
      T1SZ: [21, 16],
      TG0: [15, 14],
      SH0: [13, 12],
      ORGN0: [11, 10],
      IRGN0: [9, 8],
      EPD0: [7],
      T0SZ: [5, 0],
    },
  ],
  [ttbrRegister, { ASID: [63, 48], BADDR: [47, 1], CNP: [0] }],
  [vttbrRegister, { VMID: [63, 48], BADDR: [47, 1], CNP: [0] }],
  [
    sctlrRegister,
    {
      EPAN: [57],
      EE: [25],
      E0E: [24],
      SPAN: [23],
      WXN: [19],
      I: [12],
      C: [2],
      A: [1],
      M: [0],
    },
  ],
  [
    hcrRegister,
    {
      FWB: [46],
      TEA: [37],
      E2H: [34],
      ID: [33],
      CD: [32],
      RW: [31],
      TGE: [27],
      DC: [12],
      PTW: [2],
      VM: [0],
    },
  ],
  [
    vtcrRegister,
    {
      SL2: [33],
      DS: [32],
      RES1: [31],
      NSA: [30],
      NSW: [29],
      HWU: [28, 25],
      HD: [22],
      HA: [21],
      VS: [19],
      PS: [18, 16],
      TG0: [15, 14],
      SH0: [13, 12],
      ORGN0: [11, 10],
      IRGN0: [9, 8],
      SL0: [7, 6],
      T0SZ: [5, 0],
    },
  ],
  [
    mairRegister,
    Object.fromEntries([7, 6, 5, 4, 3, 2, 1, 0].map((n) => [`ATTR${n}`, [8 * n + 7, 8 * n]])),
  ],
  [
    parRegister,
    {
      ATTR: [63, 56],
      PA: [51, 12],
      NSE: [11],
      IMPDEF: [10],
      NS: [9],
      SH: [8, 7],
      F: [0],
    },
  ],
  [
    parFaultRegister,
    {
      IMPDEF: [63, 48],
      RES1: [11],
      S: [9],
      PTW: [8],
      FST: [6, 1],
      F: [0],
    },
  ],
  [
    esrRegister,
    {
      ISS2: [55, 32],
      EC: [31, 26],
      IL: [25],
      ISV: [24],
      SAS: [23, 22],
      SSE: [21],
      SRT: [20, 16],
      SF: [15],
      AR: [14],
      VNCR: [13],
      SET: [12, 11],
      FNV: [10],
      EA: [9],
      CM: [8],
      S1PTW: [7],
      WNR: [6],
      FSC: [5, 0],
    },
  ],
  [hpfarRegister, { NS: [63], FIPA: [47, 4] }],
];

describe('every field is where the manual has it', () => {
  it.each(FIELDS.map(([layout, fields]) => [layout.name, layout, fields] as const))(
    '%s',
    (_, layout, fields) => {
      const named = layout.fields.filter(({ name }) => !/^(RSVD|IGN)\d/.test(name));
      const places = named.map(({ name, high, low }) => [name, high, low]);
      expect(places).toEqual(
        Object.entries(fields).map(([name, [high, low = high]]) => [name, high, low]),
      );
      for (const { meaning, source } of layout.fields) {
        expect(meaning).not.toBe('');
        expect(source).toMatch(/^Arm ARM DDI 0487, [A-Z]+[01]?_EL[12x]\b/);
      }
    },
  );

  it('and decodes to those bits', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...LAYOUTS),
        fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
        (layout, value) => {
          const { fields } = decodeRegister(layout, value);
          for (const { name, high, low } of layout.fields) {
            expect(fields[name]).toBe(Number(slice(value, high, low)));
          }
        },
      ),
    );
  });
});

describe('TCR_EL1', () => {
  it('encodes granules differently in its halves', () => {
    expect([0, 1, 2, 3].map((code) => aarch64Granule(0, code))).toEqual([4096, 65536, 16384, 0]);
    expect([0, 1, 2, 3].map((code) => aarch64Granule(1, code))).toEqual([0, 16384, 4096, 65536]);
    const granules = (TG0: number, TG1: number): readonly number[] =>
      decodeTcr(encodeTcr({ fields: { TG0, TG1 } })).granules;
    expect(granules(2, 1)).toEqual([16384, 16384]);
    expect(granules(1, 3)).toEqual([65536, 65536]);
    expect(granules(3, 0)).toEqual([0, 0]);
  });

  it('gives the width of each half and of the output', () => {
    const value = encodeTcr({ fields: { T0SZ: 16, T1SZ: 25, IPS: 2 } });
    expect(decodeTcr(value)).toMatchObject({ virtualBits: [48, 39], physicalBits: 40 });
    const widths = [0, 1, 2, 3, 4, 5, 6].map(aarch64PhysicalBits);
    expect(widths).toEqual([32, 36, 40, 42, 44, 48, 52]);
    // 7 is FEAT_D128's 56 bits; without it, it counts as 52.
    expect(aarch64PhysicalBits(7)).toBe(52);
  });
});

describe('PAR_EL1', () => {
  it('has two forms, by its F bit', () => {
    const done = decodePar(0xff00_0000_4800_0b80n);
    expect(done.fields).toMatchObject({ ATTR: 0xff, PA: 0x48000, NSE: 1, NS: 1, SH: 3, F: 0 });
    const failed = decodePar(0x80f | (1 << 9) | (1 << 8));
    expect(failed.fields).toMatchObject({ RES1: 1, S: 1, PTW: 1, FST: 7, F: 1 });
    expect(encodePar({ fields: { FST: 0xf, F: 1 } })).toBe(0x1fn);
    expect(encodePar({ fields: { PA: 1, SH: 2 } })).toBe(0x1100n);
    expect(codeOf(() => encodePar({ fields: { PA: 1, F: 1 } }))).toBe('bad-argument');
  });
});

describe('fault status codes', () => {
  it.each<[AArch64FaultKind, readonly number[]]>([
    ['AddressSize', [0b101001, 0b000000, 0b000001, 0b000010, 0b000011]],
    ['Translation', [0b101011, 0b000100, 0b000101, 0b000110, 0b000111]],
    ['ExternalAbortOnWalk', [0b010011, 0b010100, 0b010101, 0b010110, 0b010111]],
  ])('%s at levels -1 to 3', (kind, codes) => {
    const levels = [-1, 0, 1, 2, 3];
    expect(levels.map((level) => aarch64FaultStatus(kind, level))).toEqual(codes);
    const words = aarch64FaultStatusName(codes[1]!).replace(/, level 0$/, '');
    expect(codes.map(aarch64FaultStatusName)).toEqual(
      levels.map((level) => `${words}, level ${level}`),
    );
  });

  it.each<[AArch64FaultKind, readonly number[]]>([
    ['AccessFlag', [0b001000, 0b001001, 0b001010, 0b001011]],
    ['Permission', [0b001100, 0b001101, 0b001110, 0b001111]],
    ['UnsupportedUpdate', [0b110001, 0b110001, 0b110001, 0b110001]],
  ])('%s at levels 0 to 3', (kind, codes) => {
    expect([0, 1, 2, 3].map((level) => aarch64FaultStatus(kind, level))).toEqual(codes);
  });

  it('have names, each its own, and holes', () => {
    const names = Array.from({ length: 64 }, (_, code) => aarch64FaultStatusName(code));
    const holes = [18, 25, 26, 32, 34, 42, 44, 45, 46, 47, 50, 51];
    const reserved = names.flatMap((name, code) => (name === 'reserved' ? [code] : []));
    expect(reserved).toEqual([...holes, ...Array.from({ length: 10 }, (_, n) => 54 + n)]);
    expect(new Set(names).size).toBe(64 - reserved.length + 1);
    expect(names[0b000100]).toBe('translation fault, level 0');
    expect(names[0b001001]).toBe('access flag fault, level 1');
    expect(names[0b001111]).toBe('permission fault, level 3');
    expect(names[0b000011]).toBe('address size fault, level 3');
    expect(names[0b010011]).toBe('synchronous external abort on translation table walk, level -1');
    expect(names[0b010000]).toBe('synchronous external abort');
    expect(names[0b011000]).toBe('synchronous parity or ECC error');
    expect(names[0b100001]).toBe('alignment fault');
    expect(names[0b110000]).toBe('TLB conflict abort');
    expect(names[0b110001]).toBe('unsupported atomic hardware update fault');
    expect(names[0b110101]).toBe('unsupported exclusive or atomic access');
    expect([-1, 64, 0.5, Number.NaN].map(aarch64FaultStatusName)).toEqual(
      Array(4).fill('reserved'),
    );
  });

  it('are data', () => {
    expect(Object.keys(AARCH64_FAULT_STATUS)).toHaveLength(6);
  });
});

describe('ESR_ELx', () => {
  it.each([
    [
      AARCH64_EXCEPTION_CLASS.InstructionAbortLower,
      0x20,
      'instruction abort from a lower exception level',
    ],
    [
      AARCH64_EXCEPTION_CLASS.InstructionAbortSame,
      0x21,
      'instruction abort from the same exception level',
    ],
    [AARCH64_EXCEPTION_CLASS.DataAbortLower, 0x24, 'data abort from a lower exception level'],
    [AARCH64_EXCEPTION_CLASS.DataAbortSame, 0x25, 'data abort from the same exception level'],
    [0x22, 0x22, 'other'],
  ])('class %i is %i: %s', (EC, encoding, exception) => {
    expect(EC).toBe(encoding);
    const value = encodeEsr({ fields: { EC, IL: 1, FSC: 0b001111 } });
    expect(value).toBe((BigInt(encoding) << 26n) | 0x200000fn);
    expect(decodeEsr(value)).toMatchObject({ exception, status: 'permission fault, level 3' });
  });
});
