import fc from 'fast-check';
import {
  decodePat,
  Mtrrs,
  type MtrrType,
  PAT_RESET,
  patIndex,
  type X86MemoryType,
  x86MemoryType,
  x86MemoryTypeOf,
} from 'pagewright/pte';
import { describe, expect, it } from 'vitest';
import { codeOf } from './formats.js';

const ENCODING = { UC: 0, WC: 1, WT: 4, WP: 5, WB: 6, 'UC-': 7 } as const;

describe('the effective memory type, row by row of SDM Table 12-7', () => {
  it.each<[MtrrType, X86MemoryType, X86MemoryType]>([
    ['UC', 'UC', 'UC'],
    ['UC', 'UC-', 'UC'],
    ['UC', 'WC', 'WC'],
    ['UC', 'WT', 'UC'],
    ['UC', 'WB', 'UC'],
    ['UC', 'WP', 'UC'],
    ['WC', 'UC', 'UC'],
    ['WC', 'UC-', 'WC'],
    ['WC', 'WC', 'WC'],
    ['WC', 'WT', 'UC'],
    ['WC', 'WB', 'WC'],
    ['WC', 'WP', 'UC'],
    ['WT', 'UC', 'UC'],
    ['WT', 'UC-', 'UC'],
    ['WT', 'WC', 'WC'],
    ['WT', 'WT', 'WT'],
    ['WT', 'WB', 'WT'],
    ['WT', 'WP', 'WP'],
    ['WB', 'UC', 'UC'],
    ['WB', 'UC-', 'UC'],
    ['WB', 'WC', 'WC'],
    ['WB', 'WT', 'WT'],
    ['WB', 'WB', 'WB'],
    ['WB', 'WP', 'WP'],
    ['WP', 'UC', 'UC'],
    ['WP', 'UC-', 'WC'],
    ['WP', 'WC', 'WC'],
    ['WP', 'WT', 'WT'],
    ['WP', 'WB', 'WP'],
    ['WP', 'WP', 'WP'],
  ])('MTRR %s with PAT %s is %s', (mtrrType, patType, effective) => {
    const pat = BigInt(ENCODING[patType]) << 24n;
    expect(x86MemoryType({ patIndex: 3, pat, mtrrType })).toBe(effective);
  });

  it('defaults to the PAT of reset, and RAM', () => {
    const types = [0, 1, 2, 3, 4, 5, 6, 7].map((patIndex) => x86MemoryType({ patIndex }));
    expect(types).toEqual(['WB', 'WT', 'UC', 'UC', 'WB', 'WT', 'UC', 'UC']);
  });

  it('refuses what no CPU accepts', () => {
    expect(codeOf(() => x86MemoryType({ patIndex: 8 }))).toBe('out-of-range');
    expect(codeOf(() => x86MemoryType({ patIndex: 0.5 }))).toBe('bad-argument');
    for (const pat of [2, 3]) {
      expect(codeOf(() => x86MemoryType({ patIndex: 0, pat }))).toBe('out-of-range');
      expect(decodePat(pat).types[0]).toBe('reserved');
    }
    const mtrrType = 'UC-' as MtrrType;
    expect(codeOf(() => x86MemoryType({ patIndex: 0, mtrrType }))).toBe('bad-argument');
    expect(codeOf(() => x86MemoryType({ patIndex: 0, pat: -1 }))).toBe('out-of-range');
  });

  it('reads encodings', () => {
    for (const [type, encoding] of Object.entries(ENCODING)) {
      expect(x86MemoryTypeOf(encoding)).toBe(type);
    }
    expect([2, 3, 8, -1].map(x86MemoryTypeOf)).toEqual(Array(4).fill(undefined));
    expect(decodePat(PAT_RESET).types.slice(0, 4)).toEqual(['WB', 'WT', 'UC-', 'UC']);
  });
});

describe('the PAT index', () => {
  it('is PAT, PCD, PWT, with PAT in bit 7 of a page and bit 12 of a large page', () => {
    for (let index = 0; index < 8; index++) {
      const low = (index & 3) << 3;
      const pat = index >> 2;
      expect(patIndex((-1 & ~0x98 & ~0x1000) | low | (pat << 7), 0)).toBe(index);
      expect(patIndex(0x80 | low | (pat << 12), 1)).toBe(index);
      expect(patIndex(0x80 | low | (pat << 12), 2)).toBe(index);
    }
  });
});

const MTRR_TYPES = ['UC', 'WC', 'WT', 'WP', 'WB'] as const;
const E = 0x800;
const FE = 0x400;

/** The rules of SDM 12.11.4.1 for a set of matching variable ranges. */
function winner(types: readonly MtrrType[]): MtrrType {
  const set = [...new Set(types)].sort().join();
  if (types.every((type) => type === types[0])) return types[0]!;
  if (set === 'WB,WT') return 'WT';
  return 'UC'; // either there is a UC, or the manual leaves it undefined
}

describe('Mtrrs', () => {
  it('make everything UC while they are disabled', () => {
    const mtrrs = new Mtrrs({ defType: 6 | FE, variable: [{ base: 6, mask: E }] });
    expect(mtrrs.typeOf(0)).toBe('UC');
    expect(mtrrs.typeOf(2 ** 40 - 1)).toBe('UC');
  });

  it('give the default type where nothing matches', () => {
    expect(new Mtrrs({ defType: 6 | E }).typeOf(123)).toBe('WB');
    const invalid = { base: 0, mask: 0xfffff000 };
    expect(new Mtrrs({ defType: 5 | E, variable: [invalid] }).typeOf(0)).toBe('WP');
  });

  it('apply the fixed ranges below 1 MiB only with FE', () => {
    const fixed = Array.from({ length: 11 }, (_, register) =>
      Array.from({ length: 8 }, (_, byte) => BigInt(ENCODING[typeAt(8 * register + byte)])).reduce(
        (word, type, byte) => word | (type << BigInt(8 * byte)),
        0n,
      ),
    );
    const on = new Mtrrs({ defType: 6 | E | FE, fixed });
    const off = new Mtrrs({ defType: 6 | E, fixed });
    for (let pfn = 0; pfn < 256; pfn++) {
      const address = pfn * 4096;
      const field =
        address < 0x80000
          ? address / 0x10000
          : address < 0xc0000
            ? 8 + (address - 0x80000) / 0x4000
            : 24 + (address - 0xc0000) / 0x1000;
      expect(on.typeOf(pfn)).toBe(typeAt(Math.floor(field)));
      expect(off.typeOf(pfn)).toBe('WB');
    }
    expect(on.typeOf(256)).toBe('WB');
    expect(new Mtrrs({ defType: 6 | E | FE }).typeOf(0)).toBe('UC');
  });

  it('match variable ranges and settle overlaps as a bigint reading of the manual does', () => {
    const range = fc.record({
      base: fc.bigInt({ min: 0n, max: 2n ** 40n - 1n }),
      size: fc.nat(40),
      hole: fc.nat(3),
      type: fc.constantFrom(...MTRR_TYPES),
      valid: fc.boolean(),
    });
    fc.assert(
      fc.property(
        fc.array(range, { maxLength: 6 }),
        fc.nat(5),
        fc.bigInt({ min: 0n, max: 2n ** 40n - 1n }),
        (ranges, near, random) => {
          const masks = ranges.map(
            (r) => (2n ** 40n - 1n) & ~((1n << BigInt(r.size)) - 1n) & ~(BigInt(r.hole) << 18n),
          );
          const variable = ranges.map((r, i) => ({
            base: (r.base << 12n) | BigInt(ENCODING[r.type]),
            mask: (masks[i]! << 12n) | (r.valid ? 0x800n : 0n),
          }));
          const pfn = ranges[near]?.base ?? random;
          const matching = ranges.filter(
            (r, i) => r.valid && (pfn & masks[i]!) === (r.base & masks[i]!),
          );
          const expected = matching.length === 0 ? 'WB' : winner(matching.map((r) => r.type));
          expect(new Mtrrs({ defType: 6 | E, variable }).typeOf(Number(pfn))).toBe(expected);
        },
      ),
      { numRuns: 500 },
    );
  });

  it.each<[MtrrType[], MtrrType]>([
    [['WB', 'WB'], 'WB'],
    [['WB', 'UC'], 'UC'],
    [['WC', 'UC'], 'UC'],
    [['WB', 'WT'], 'WT'],
    [['WT', 'WB', 'WT'], 'WT'],
    [['WB', 'WC'], 'UC'],
    [['WP', 'WT'], 'UC'],
    [['WT', 'WP'], 'UC'],
  ])('%j overlapping is %s, in any order', (types, expected) => {
    for (const order of [types, [...types].reverse()]) {
      const variable = order.map((type) => ({ base: ENCODING[type], mask: E }));
      expect(new Mtrrs({ defType: 6 | E, variable }).typeOf(5)).toBe(expected);
    }
  });

  it('refuse types that no MTRR takes, and hostile numbers', () => {
    for (const type of [2, 3, 7, 8, 255]) {
      expect(codeOf(() => new Mtrrs({ defType: type }))).toBe('out-of-range');
      const variable = [{ base: type, mask: E }];
      expect(codeOf(() => new Mtrrs({ defType: E, variable }))).toBe('out-of-range');
    }
    expect(codeOf(() => new Mtrrs({ defType: 0, fixed: [0n] }))).toBe('out-of-range');
    expect(codeOf(() => new Mtrrs({ defType: -1 }))).toBe('out-of-range');
    const mtrrs = new Mtrrs({ defType: 6 | E });
    for (const pfn of [-1, 2 ** 40]) expect(codeOf(() => mtrrs.typeOf(pfn))).toBe('out-of-range');
    for (const pfn of [0.5, Number.NaN]) {
      expect(codeOf(() => mtrrs.typeOf(pfn))).toBe('bad-argument');
    }
  });
});

function typeAt(field: number): MtrrType {
  return MTRR_TYPES[(field * 7 + (field >> 3)) % 5]!;
}
