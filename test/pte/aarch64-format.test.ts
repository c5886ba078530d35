import fc from 'fast-check';
import { highWord, lowWord } from 'pagewright/core';
import {
  AARCH64_PTE,
  AARCH64_PTE_HIGH,
  AARCH64_STAGE2_PTE,
  type AArch64FormatOptions,
  aarch64,
  aarch64ContiguousBits,
  type EntryKind,
  type PteFormat,
} from 'pagewright/pte';
import { describe, expect, it } from 'vitest';
import { anyLevel, anyWord, codeOf, slice } from './formats.js';

const GRANULES = [4096, 16384, 65536] as const;

/** Every kind of descriptor: granules, output widths and stages, at the greatest input width. */
const SHAPES = GRANULES.flatMap((granule) =>
  ([48, 52] as const).flatMap((outputBits) =>
    ([1, 2] as const).map((stage): Required<Omit<AArch64FormatOptions, 'levels' | 'half'>> => {
      return { granule, outputBits, stage, virtualBits: outputBits };
    }),
  ),
);

/** Sizes of blocks by granule (D8 Translation process): log2 of bytes, then the one that needs 52-bit outputs. */
const BLOCKS = { 4096: [[21, 30], 39], 16384: [[25], 36], 65536: [[29], 42] } as const;

/** What an entry is, from the manual's words (D8 Translation table descriptor formats), on bigints. */
function kindByTheBook(shape: Shape, word: bigint, level: number): EntryKind {
  if ((word & 1n) === 0n) return 'not-present';
  const table = (word & 2n) !== 0n;
  if (level === 0) return table ? 'leaf' : 'not-present';
  if (table) return 'pointer';
  const [always, wide] = BLOCKS[shape.granule];
  const sizes: number[] = shape.outputBits === 52 ? [...always, wide] : [...always];
  return sizes.includes(sizeBits(shape, level)) ? 'leaf' : 'not-present';
}

type Shape = (typeof SHAPES)[number];

/** log2 of the bytes that an entry covers. */
function sizeBits({ granule }: Shape, level: number): number {
  const shift = Math.log2(granule);
  return shift + level * (shift - 3);
}

/** The address in a descriptor, cleared below a bit, on bigints. */
function addressByTheBook({ granule, outputBits }: Shape, word: bigint, from: number): bigint {
  let address = slice(word, 47, from) << BigInt(from);
  if (outputBits === 52) {
    address |=
      granule === 65536
        ? slice(word, 15, 12) << 48n
        : (slice(word, 49, 48) << 48n) | (slice(word, 9, 8) << 50n);
  }
  return address;
}

describe.each(SHAPES.map((shape) => [aarch64(shape).name, shape] as const))('%s', (_, shape) => {
  const format = aarch64(shape);

  it('gives back every bit of any word at every level after decode and encode', () => {
    fc.assert(
      fc.property(anyWord(format), anyLevel(format), (word, level) => {
        const entry = format.decode(word, level);
        expect(entry.raw).toBe(word);
        expect(format.encode(entry)).toBe(word);
      }),
      { numRuns: 300 },
    );
  });

  it('says kind, frame and size as a bigint reading of the manual does', () => {
    fc.assert(
      fc.property(anyWord(format), anyLevel(format), (word, level) => {
        const kind = kindByTheBook(shape, word, level);
        const low = lowWord(word);
        const high = highWord(word);
        expect(format.kindOf(low, high, level)).toBe(kind);
        const from = kind === 'leaf' ? sizeBits(shape, level) : format.pageShift;
        const address = addressByTheBook(shape, word, from);
        const pfn = kind === 'not-present' ? -1 : Number(address >> BigInt(format.pageShift));
        expect(format.pfn(low, high, level)).toBe(pfn);
        expect(format.decode(word, level)).toMatchObject({
          kind,
          pfn: pfn < 0 ? null : pfn,
          pageShift: kind === 'leaf' ? sizeBits(shape, level) : 0,
        });
      }),
      { numRuns: 500 },
    );
  });

  it('builds pages, blocks and tables of any frame', () => {
    const fraction = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
    fc.assert(
      fc.property(anyLevel(format), fraction, fc.boolean(), (level, at, leaf) => {
        const kind = leaf ? 'leaf' : 'pointer';
        fc.pre(occurs(format, kind, level));
        const pages = leaf ? format.levelPages[level]! : 1;
        const end = 2 ** (format.physicalBits - format.pageShift);
        const pfn = Math.floor((at * end) / pages) * pages;
        const word = format.build({ kind, level, pfn });
        expect(format.decode(word, level)).toMatchObject({ kind, pfn });
        const type = leaf && level > 0 ? 1n : 3n;
        expect(word & 3n).toBe(type);
        expect(kindByTheBook(shape, word, level)).toBe(kind);
        const from = leaf ? sizeBits(shape, level) : format.pageShift;
        expect(addressByTheBook(shape, word, from)).toBe(BigInt(pfn) * BigInt(shape.granule));
      }),
      { numRuns: 300 },
    );
    const beyond = 2 ** (format.physicalBits - format.pageShift);
    expect(codeOf(() => format.build({ kind: 'leaf', pfn: beyond }))).toBe('out-of-range');
    expect(codeOf(() => format.build({ kind: 'leaf', level: 1, pfn: 1 }))).toBe('misaligned');
  });

  it('has fields that cover every bit once, each with a meaning and a source', () => {
    for (let level = 0; level < format.levels; level++) {
      for (const kind of ['not-present', 'pointer', 'leaf'] as const) {
        if (!occurs(format, kind, level)) continue;
        let next = 63;
        for (const { name, high, low, meaning, source } of format.fieldsOf(kind, level)) {
          expect([name, high]).toEqual([name, next]);
          expect(meaning).not.toBe('');
          expect(source).toBe('Arm ARM DDI 0487, D8 Translation table descriptor formats');
          next = low - 1;
        }
        expect(next).toBe(-1);
      }
    }
  });

  it('is one object for one configuration', () => {
    expect(aarch64({ ...shape })).toBe(format);
    expect(aarch64({ ...shape, stage: shape.stage === 1 ? 2 : 1 })).not.toBe(format);
  });
});

function occurs(format: PteFormat, kind: EntryKind, level: number): boolean {
  return codeOf(() => format.fieldsOf(kind, level)) === 'nothing thrown';
}

describe('the widths of indices', () => {
  it.each<[AArch64FormatOptions, number[]]>([
    [{}, [9, 9, 9, 9]],
    [{ virtualBits: 39 }, [9, 9, 9]],
    [{ virtualBits: 25 }, [9, 4]],
    [{ virtualBits: 16 }, [4]],
    [{ virtualBits: 52, outputBits: 52 }, [9, 9, 9, 9, 4]],
    [{ granule: 16384 }, [11, 11, 11, 1]],
    [{ granule: 16384, virtualBits: 52, outputBits: 52 }, [11, 11, 11, 5]],
    [{ granule: 16384, virtualBits: 16 }, [2]],
    [{ granule: 65536, virtualBits: 52 }, [13, 13, 10]],
    [{ granule: 65536, virtualBits: 42 }, [13, 13]],
    [{ granule: 65536, virtualBits: 17 }, [1]],
    // Stage 2 may concatenate up to 16 tables at its first level (D8 Concatenated translation tables).
    [{ stage: 2, virtualBits: 40, levels: 3 }, [9, 9, 10]],
    [{ stage: 2, virtualBits: 43, levels: 3 }, [9, 9, 13]],
    [{ stage: 2, virtualBits: 43 }, [9, 9, 9, 4]],
    [{ stage: 2, virtualBits: 34, levels: 2 }, [9, 13]],
    [{ granule: 65536, stage: 2, virtualBits: 46, levels: 2 }, [13, 17]],
  ])('%j: %j', (options, indexBits) => {
    const format = aarch64(options);
    expect(format.indexBits).toEqual(indexBits);
    expect(format.virtualBits).toBe(options.virtualBits ?? 48);
  });

  it('is refused when no configuration has it', () => {
    const refused: [AArch64FormatOptions, string][] = [
      [{ virtualBits: 15 }, 'out-of-range'],
      [{ granule: 65536, virtualBits: 16 }, 'out-of-range'],
      [{ virtualBits: 49 }, 'out-of-range'],
      [{ granule: 16384, virtualBits: 49 }, 'out-of-range'],
      [{ virtualBits: 53, outputBits: 52 }, 'out-of-range'],
      [{ virtualBits: 39.5 }, 'bad-argument'],
      [{ virtualBits: Number.NaN }, 'bad-argument'],
      [{ virtualBits: 48, levels: 3 }, 'out-of-range'],
      [{ stage: 2, virtualBits: 44, levels: 3 }, 'out-of-range'],
      [{ stage: 2, virtualBits: 39, levels: 4 }, 'out-of-range'],
      [{ granule: 8192 as 4096 }, 'bad-argument'],
      [{ outputBits: 50 as 52 }, 'bad-argument'],
      [{ stage: 3 as 2 }, 'bad-argument'],
      [{ half: 'upper' as 'high' }, 'bad-argument'],
      [{ stage: 2, half: 'high' }, 'bad-argument'],
    ];
    for (const [options, code] of refused) {
      expect([options, codeOf(() => aarch64(options))]).toEqual([options, code]);
    }
  });

  it('says in which half addresses lie', () => {
    expect(aarch64({ half: 'low' })).toBe(aarch64());
    expect(aarch64({ half: 'high' })).toMatchObject({ signExtended: false, onesExtended: true });
    expect(aarch64()).toMatchObject({ signExtended: false, onesExtended: false });
  });
});

describe('the fields of a descriptor, from bit 63 down', () => {
  const names = (options: AArch64FormatOptions, kind: EntryKind, level: number): string =>
    aarch64(options)
      .fieldsOf(kind, level)
      .map(({ name, high, low }) => `${name}${high > low ? `[${high}:${low}]` : `[${high}]`}`)
      .join(' ');
  const upper = 'SW63[63] PBHA[62:59] SW[58:55] UXN[54] PXN[53] CONTIGUOUS[52] DBM[51] GP[50]';
  const lower = 'NG[11] AF[10] SH[9:8] AP2[7] AP1[6] NS[5] ATTRINDX[4:2] TYPE[1] VALID[0]';
  const upper2 = 'SW63[63] PBHA[62:59] SW[58:55] XN[54:53] CONTIGUOUS[52] DBM[51]';
  const lower2 = 'FNXS[11] AF[10] SH[9:8] S2AP1[7] S2AP0[6] MEMATTR[5:2] TYPE[1] VALID[0]';
  const table =
    'NSTABLE[63] APTABLE[62:61] UXNTABLE[60] PXNTABLE[59] IGN58_51[58:51] RSVD50_48[50:48]';
  const lpa2 = (text: string): string => text.replace('SH[9:8]', 'OA51_50[9:8]');

  it.each<[string, AArch64FormatOptions, EntryKind, number, string]>([
    ['page', {}, 'leaf', 0, `${upper} RSVD49_48[49:48] OA[47:12] ${lower}`],
    [
      '2 MiB block',
      {},
      'leaf',
      1,
      `${upper} RSVD49_48[49:48] OA[47:21] RSVD20_17[20:17] NT[16] RSVD15_12[15:12] ${lower}`,
    ],
    ['LPA2 page', { outputBits: 52 }, 'leaf', 0, `${upper} OA[49:12] ${lpa2(lower)}`],
    [
      'LPA2 512 GiB block',
      { outputBits: 52 },
      'leaf',
      3,
      `${upper} OA[49:39] RSVD38_17[38:17] NT[16] RSVD15_12[15:12] ${lpa2(lower)}`,
    ],
    [
      '64 KiB page without LPA',
      { granule: 65536 },
      'leaf',
      0,
      `${upper} RSVD49_48[49:48] OA[47:16] RSVD15_12[15:12] ${lower}`,
    ],
    [
      '64 KiB page',
      { granule: 65536, outputBits: 52 },
      'leaf',
      0,
      `${upper} RSVD49_48[49:48] OA[47:16] OA51_48[15:12] ${lower}`,
    ],
    [
      '512 MiB block without LPA',
      { granule: 65536 },
      'leaf',
      1,
      `${upper} RSVD49_48[49:48] OA[47:29] RSVD28_17[28:17] NT[16] RSVD15_12[15:12] ${lower}`,
    ],
    [
      '4 TiB block',
      { granule: 65536, outputBits: 52 },
      'leaf',
      2,
      `${upper} RSVD49_48[49:48] OA[47:42] RSVD41_17[41:17] NT[16] OA51_48[15:12] ${lower}`,
    ],
    ['stage 2 page', { stage: 2 }, 'leaf', 0, `${upper2} RSVD50_48[50:48] OA[47:12] ${lower2}`],
    [
      'stage 2 LPA2 page',
      { stage: 2, outputBits: 52 },
      'leaf',
      0,
      `${upper2} RSVD50[50] OA[49:12] ${lpa2(lower2)}`,
    ],
    ['table', {}, 'pointer', 1, `${table} TABLE[47:12] IGN11_2[11:2] TYPE[1] VALID[0]`],
    [
      '16 KiB table',
      { granule: 16384 },
      'pointer',
      1,
      `${table} TABLE[47:14] RSVD13_12[13:12] IGN11_2[11:2] TYPE[1] VALID[0]`,
    ],
    [
      'LPA2 table',
      { outputBits: 52 },
      'pointer',
      1,
      `${table.replace('RSVD50_48[50:48]', 'RSVD50[50]')} TABLE[49:12] IGN11_10[11:10] TABLE51_50[9:8] IGN7_2[7:2] TYPE[1] VALID[0]`,
    ],
    [
      '64 KiB LPA table',
      { granule: 65536, outputBits: 52 },
      'pointer',
      1,
      `${table} TABLE[47:16] TABLE51_48[15:12] IGN11_2[11:2] TYPE[1] VALID[0]`,
    ],
    [
      'stage 2 table',
      { stage: 2 },
      'pointer',
      1,
      'RSVD63_59[63:59] IGN58_51[58:51] RSVD50_48[50:48] TABLE[47:12] IGN11_2[11:2] TYPE[1] VALID[0]',
    ],
    ['invalid', {}, 'not-present', 0, 'SW63_32[63:32] SW31_1[31:1] VALID[0]'],
  ])('%s', (_, options, kind, level, expected) => {
    expect(names(options, kind, level).split(' ')).toEqual(expected.split(' '));
  });
});

describe('masks and fields agree', () => {
  /** The fields that a word sets, with their values. */
  const set = (format: PteFormat, kind: EntryKind, mask: bigint): Record<string, number> => {
    const level = kind === 'pointer' ? 1 : 0;
    const { fields } = format.decode(mask | 3n, level);
    const named = Object.entries(fields).filter(([name]) => !/^(TYPE|VALID)$/.test(name));
    return Object.fromEntries(named.filter(([, value]) => value !== 0));
  };

  it.each<[number, Record<string, number>]>([
    [AARCH64_PTE.AttrIndx, { ATTRINDX: 7 }],
    [AARCH64_PTE.NS, { NS: 1 }],
    [AARCH64_PTE.AP1, { AP1: 1 }],
    [AARCH64_PTE.AP2, { AP2: 1 }],
    [AARCH64_PTE.SH, { SH: 3 }],
    [AARCH64_PTE.AF, { AF: 1 }],
    [AARCH64_PTE.NG, { NG: 1 }],
  ])('low word %i of stage 1', (mask, fields) => {
    expect(set(aarch64(), 'leaf', BigInt(mask))).toEqual(fields);
  });

  it.each<[number, EntryKind, Record<string, number>]>([
    [AARCH64_PTE_HIGH.DBM, 'leaf', { DBM: 1 }],
    [AARCH64_PTE_HIGH.Contiguous, 'leaf', { CONTIGUOUS: 1 }],
    [AARCH64_PTE_HIGH.PXN, 'leaf', { PXN: 1 }],
    [AARCH64_PTE_HIGH.UXN, 'leaf', { UXN: 1 }],
    [AARCH64_PTE_HIGH.PXNTable, 'pointer', { PXNTABLE: 1 }],
    [AARCH64_PTE_HIGH.UXNTable, 'pointer', { UXNTABLE: 1 }],
    [AARCH64_PTE_HIGH.APTable0, 'pointer', { APTABLE: 1 }],
    [AARCH64_PTE_HIGH.APTable1, 'pointer', { APTABLE: 2 }],
  ])('high word %i of a %s', (mask, kind, fields) => {
    expect(set(aarch64(), kind, BigInt(mask) << 32n)).toEqual(fields);
  });

  it.each<[number, Record<string, number>]>([
    [AARCH64_STAGE2_PTE.MemAttr, { MEMATTR: 15 }],
    [AARCH64_STAGE2_PTE.Read, { S2AP0: 1 }],
    [AARCH64_STAGE2_PTE.Write, { S2AP1: 1 }],
    [AARCH64_STAGE2_PTE.AF, { AF: 1 }],
  ])('low word %i of stage 2', (mask, fields) => {
    expect(set(aarch64({ stage: 2 }), 'leaf', BigInt(mask))).toEqual(fields);
  });

  it('Valid and Table make an entry what it is', () => {
    const format = aarch64();
    const { Table, Valid } = AARCH64_PTE;
    expect(format.kindOf(Valid, 0, 0)).toBe('not-present');
    expect(format.kindOf(Valid | Table, 0, 0)).toBe('leaf');
    expect(format.kindOf(Valid, 0, 1)).toBe('leaf');
    expect(format.kindOf(Valid | Table, 0, 1)).toBe('pointer');
    expect(format.kindOf(Table, 0, 1)).toBe('not-present');
  });
});

describe('contiguous groups, row by row of Table D8-104', () => {
  const GIB = 2 ** 30;
  it.each<[number, number, number, number]>([
    [4096, 0, 16, 65536],
    [4096, 1, 16, GIB / 32],
    [4096, 2, 16, 16 * GIB],
    [4096, 3, 1, 512 * GIB],
    [16384, 0, 128, GIB / 512],
    [16384, 1, 32, GIB],
    [16384, 2, 1, 64 * GIB],
    [65536, 0, 32, GIB / 512],
    [65536, 1, 32, 16 * GIB],
    [65536, 2, 1, 4096 * GIB],
  ])('granule %i, level %i: %i entries, %i bytes', (granule, level, entries, bytes) => {
    expect(2 ** aarch64ContiguousBits(granule, level)).toBe(entries);
    expect(entries * granule * 2 ** (level * (Math.log2(granule) - 3))).toBe(bytes);
  });
});
