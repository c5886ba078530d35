import fc from 'fast-check';
import { highWord, lowWord, splitAddress, VmError } from 'pagewright/core';
import {
  type BitField,
  type EntryKind,
  PteFormat,
  type PteFormatOptions,
  RISCV_PTE,
  sv32,
  sv39,
  sv48,
  sv57,
  x86Legacy,
  x86Long4,
  x86Long5,
  x86Pae,
} from 'pagewright/pte';
import { describe, expect, it } from 'vitest';
import { anyLevel, anyWord, codeOf, FORMATS, slice } from './formats.js';

/** What an entry is, from the manuals' words, on bigints. */
function kindByTheBook(format: PteFormat, word: bigint, level: number): EntryKind {
  if ((word & 1n) === 0n) return 'not-present';
  if (format.architecture === 'riscv') return (word & 0xen) !== 0n ? 'leaf' : 'pointer';
  const large = { x86Legacy: [1], x86Pae: [1], x86Long4: [1, 2], x86Long5: [1, 2] }[format.name]!;
  const leaf = level === 0 || (large.includes(level) && (word & 0x80n) !== 0n);
  return leaf ? 'leaf' : 'pointer';
}

/** The physical address that a present entry holds, in frames, on bigints. */
function pfnByTheBook(format: PteFormat, word: bigint, level: number): bigint {
  const leaf = kindByTheBook(format, word, level) === 'leaf';
  if (format.architecture === 'riscv') {
    const ppn = slice(word, format === sv32 ? 31 : 53, 10);
    if (!leaf) return ppn;
    const napot = format !== sv32 && level === 0 && word >> 63n === 1n && (ppn & 15n) === 8n;
    const below = napot ? 4n : BigInt(level * format.indexBits[0]!);
    return (ppn >> below) << below;
  }
  if (format === x86Legacy) {
    if (!leaf || level === 0) return slice(word, 31, 12);
    return (slice(word, 20, 13) << 20n) | (slice(word, 31, 22) << 10n);
  }
  const below = leaf ? 9 * level : 0;
  return slice(word, 51, 12 + below) << BigInt(below);
}

function pagesByTheBook(format: PteFormat, word: bigint, level: number): number {
  const napot =
    format.architecture === 'riscv' && format !== sv32 && level === 0 && word >> 63n === 1n;
  if (napot && slice(word, 13, 10) === 8n) return 16;
  return format.indexBits.slice(0, level).reduce((pages, bits) => pages * 2 ** bits, 1);
}

describe.each(FORMATS.map((format) => [format.name, format] as const))('%s', (_, format) => {
  it('gives back every bit of any word at every level after decode and encode', () => {
    fc.assert(
      fc.property(anyWord(format), anyLevel(format), (word, level) => {
        const entry = format.decode(word, level);
        expect(entry.raw).toBe(word);
        expect(format.encode(entry)).toBe(word);
      }),
      { numRuns: 500 },
    );
  });

  it('says kind, frame and pages as a bigint reading of the manual does', () => {
    fc.assert(
      fc.property(anyWord(format), anyLevel(format), (word, level) => {
        const low = lowWord(word);
        const high = highWord(word);
        const kind = kindByTheBook(format, word, level);
        const pfn = kind === 'not-present' ? -1 : Number(pfnByTheBook(format, word, level));
        expect(format.kindOf(low, high, level)).toBe(kind);
        expect(format.pfn(low, high, level)).toBe(pfn);
        const pages = pagesByTheBook(format, word, level);
        expect(format.leafPages(low, high, level)).toBe(pages);
        const entry = format.decode(word, level);
        expect(entry).toMatchObject({
          type: 'entry',
          format: format.name,
          level,
          kind,
          pfn: pfn < 0 ? null : pfn,
          pages: kind === 'leaf' ? pages : 0,
          pageShift: kind === 'leaf' ? 12 + Math.log2(pages) : 0,
        });
      }),
      { numRuns: 500 },
    );
  });

  it('has fields that cover every bit once, each with a meaning and a source', () => {
    for (let level = 0; level < format.levels; level++) {
      for (const kind of ['not-present', 'pointer', 'leaf'] as const) {
        if (!occurs(format, kind, level)) continue;
        const fields = format.fieldsOf(kind, level);
        const covered = fields.flatMap((f) =>
          Array.from({ length: f.high - f.low + 1 }, (_, i) => f.high - i),
        );
        const bits = 8 * format.entryBytes;
        expect(covered).toEqual(Array.from({ length: bits }, (_, i) => bits - 1 - i));
        expect(new Set(fields.map((f) => f.name)).size).toBe(fields.length);
        for (const field of fields) {
          expect(field.meaning).not.toBe('');
          expect(field.source).toMatch(/^(Intel SDM Vol\. 3A|RISC-V Privileged), /);
          expect(field.high - field.low).toBeLessThan(52);
          if (field.role === 'flag') expect(field.high).toBe(field.low);
        }
      }
    }
  });

  it('builds entries whose frame and flags decode as asked', () => {
    fc.assert(
      fc.property(
        anyLevel(format),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        fc.boolean(),
        (level, fraction, leaf) => {
          const kind = leaf ? 'leaf' : 'pointer';
          fc.pre(occurs(format, kind, level));
          const pages = leaf ? format.levelPages[level]! : 1;
          const end = 2 ** (format.physicalBits - 12);
          const limit = format === x86Legacy && !(leaf && level === 1) ? 2 ** 20 : end;
          const pfn = Math.floor((fraction * limit) / pages) * pages;
          const riscvLeaf = leaf && format.architecture === 'riscv';
          const fields: Record<string, number> = riscvLeaf ? { R: 1, X: 1 } : {};
          const word = format.build({ kind, level, pfn, fields });
          const entry = format.decode(word, level);
          expect(entry).toMatchObject({ kind, pfn });
          const set = format.fieldsOf(kind, level).filter((f) => entry.fields[f.name] !== 0);
          const flags = set.filter((f) => f.role !== 'frame').map((f) => f.name);
          const shape = leaf && format.architecture === 'x86' && level > 0 ? ['PS', 'P'] : ['P'];
          expect(flags).toEqual(
            riscvLeaf ? ['X', 'R', 'V'] : format.architecture === 'x86' ? shape : ['V'],
          );
        },
      ),
    );
  });

  it('builds with the hot helpers what build() builds', () => {
    fc.assert(
      fc.property(anyWord(format), anyLevel(format), (word, level) => {
        const pfn = format.pfn(lowWord(word) | 0xf, highWord(word) & 0x7fffffff, level);
        if (occurs(format, 'pointer', level)) {
          const built = format.build({ kind: 'pointer', level, pfn: Math.min(pfn, 0xfffff) });
          const table = Math.min(pfn, 0xfffff);
          expect(format.tableLow(table, 1)).toBe(lowWord(built));
          expect(format.tableHigh(table, 0)).toBe(highWord(built));
          expect(format.tablePfn(lowWord(built), highWord(built))).toBe(table);
        }
        if (occurs(format, 'leaf', level)) {
          const frame = pfn - (pfn % format.levelPages[level]!);
          const fields: Record<string, number> = format.architecture === 'riscv' ? { R: 1 } : {};
          const flags = format.architecture === 'riscv' ? 3 : 1;
          const built = format.build({ kind: 'leaf', level, pfn: frame, fields });
          expect(format.leafLow(frame, level, flags)).toBe(lowWord(built));
          expect(format.leafHigh(frame, level, 0)).toBe(highWord(built));
          expect(format.leafPfn(lowWord(built), highWord(built), level)).toBe(frame);
        }
      }),
    );
  });

  it('refuses words too wide, levels that it has not, and kinds that do not occur', () => {
    const bits = BigInt(8 * format.entryBytes);
    expect(codeOf(() => format.decode(1n << bits, 0))).toBe('out-of-range');
    expect(codeOf(() => format.decode(-1n, 0))).toBe('out-of-range');
    expect(codeOf(() => format.decode(0.5, 0))).toBe('bad-argument');
    for (const level of [-1, format.levels, 1e9]) {
      expect(codeOf(() => format.decode(0n, level))).toBe('out-of-range');
      expect(codeOf(() => format.fieldsOf('leaf', level))).toBe('out-of-range');
    }
    expect(codeOf(() => format.decode(0n, Number.NaN))).toBe('bad-argument');
    expect(codeOf(() => format.fieldsOf('toString' as EntryKind, 0))).toBe('bad-argument');
    for (let level = 0; level < format.levels; level++) {
      for (const kind of ['pointer', 'leaf'] as const) {
        if (occurs(format, kind, level)) continue;
        expect(codeOf(() => format.fieldsOf(kind, level))).toBe('bad-argument');
        expect(codeOf(() => format.encode({ kind, level, fields: {} }))).toBe('bad-argument');
      }
    }
  });
});

function occurs(format: PteFormat, kind: EntryKind, level: number): boolean {
  if (kind === 'not-present') return true;
  if (kind === 'leaf') return ((format.leafLevels >> level) & 1) === 1;
  return format.architecture === 'riscv' || level > 0;
}

describe('the shapes of the formats', () => {
  it.each([
    [sv32, 'riscv', 32, false, 2, 4, 34, 0b11],
    [sv39, 'riscv', 39, true, 3, 8, 56, 0b111],
    [sv48, 'riscv', 48, true, 4, 8, 56, 0b1111],
    [sv57, 'riscv', 57, true, 5, 8, 56, 0b11111],
    [x86Legacy, 'x86', 32, false, 2, 4, 40, 0b11],
    [x86Pae, 'x86', 32, false, 3, 8, 52, 0b011],
    [x86Long4, 'x86', 48, true, 4, 8, 52, 0b0111],
    [x86Long5, 'x86', 57, true, 5, 8, 52, 0b00111],
  ] as const)(
    '%o',
    (format, architecture, virtualBits, signExtended, levels, entryBytes, physicalBits, leafLevels) => {
      expect(format).toMatchObject({
        architecture,
        pageShift: 12,
        virtualBits,
        signExtended,
        levels,
        entryBytes,
        physicalBits,
        leafLevels,
      });
    },
  );

  it('are one shape, so that code which meets them all stays monomorphic', () => {
    const shape = Object.keys(sv39);
    for (const format of FORMATS) expect(Object.keys(format)).toEqual(shape);
  });

  it('cut addresses as splitAddress wants them', () => {
    const pae = splitAddress(x86Pae, 0xbfff_f123);
    expect(pae.indexes.map((i) => i.index)).toEqual([2, 0x1ff, 0x1ff]);
    const legacy = splitAddress(x86Legacy, 0xc040_3004);
    expect(legacy.indexes.map((i) => i.index)).toEqual([0x301, 3]);
  });
});

describe('build', () => {
  it('places a NAPOT group with its size code', () => {
    const word = sv48.build({ kind: 'leaf', pfn: 0x80210, fields: { R: 1, W: 1, N: 1, PBMT: 1 } });
    expect(word).toBe((1n << 63n) | (1n << 61n) | (0x80218n << 10n) | 7n);
    expect(sv48.decode(word, 0)).toMatchObject({ pfn: 0x80210, pages: 16, pageShift: 16 });
  });

  it('leaves an entry that is not present to software', () => {
    expect(sv39.build({ kind: 'not-present', fields: { SW63_32: 0xdead, SW31_1: 5 } })).toBe(
      0xdead_0000_000an,
    );
    expect(x86Long4.build({ kind: 'not-present' })).toBe(0n);
    expect(codeOf(() => sv39.build({ kind: 'not-present', pfn: 1 }))).toBe('bad-argument');
  });

  it('puts the address bits above 32 of a 4 MiB page where PSE-36 wants them', () => {
    const word = x86Legacy.build({
      kind: 'leaf',
      level: 1,
      pfn: 0xab12400,
    });
    const entry = x86Legacy.decode(word, 1);
    expect(entry.fields).toMatchObject({ ADDR39_32: 0xab, PS: 1, RSVD21: 0, PAT: 0 });
    expect(codeOf(() => x86Legacy.build({ kind: 'leaf', level: 1, pfn: 2 ** 28 }))).toBe(
      'out-of-range',
    );
  });

  it.each<[string, () => unknown, string]>([
    [
      'an unknown field',
      () => sv39.build({ kind: 'leaf', pfn: 1, fields: { RW: 1 } }),
      'bad-argument',
    ],
    [
      'an inherited name',
      () => sv39.build({ kind: 'leaf', pfn: 1, fields: { toString: 1 } }),
      'bad-argument',
    ],
    [
      'a value too wide',
      () => sv39.build({ kind: 'leaf', pfn: 1, fields: { R: 2 } }),
      'out-of-range',
    ],
    [
      'a negative value',
      () => sv39.build({ kind: 'leaf', pfn: 1, fields: { R: -1 } }),
      'out-of-range',
    ],
    ['a fraction', () => sv39.build({ kind: 'leaf', pfn: 1, fields: { R: 0.5 } }), 'bad-argument'],
    [
      'no object of fields',
      () => sv39.encode({ kind: 'leaf', level: 0, fields: null as never }),
      'bad-argument',
    ],
    ['no frame', () => sv39.build({ kind: 'leaf', fields: { R: 1 } }), 'bad-argument'],
    [
      'a frame too big',
      () => sv39.build({ kind: 'pointer', level: 1, pfn: 2 ** 44 }),
      'out-of-range',
    ],
    ['a negative frame', () => sv39.build({ kind: 'pointer', level: 1, pfn: -1 }), 'out-of-range'],
    [
      'a frame that is NaN',
      () => sv39.build({ kind: 'pointer', level: 1, pfn: NaN }),
      'bad-argument',
    ],
    [
      'a frame not aligned to 2 MiB',
      () => x86Long4.build({ kind: 'leaf', level: 1, pfn: 511 }),
      'misaligned',
    ],
    [
      'a frame not aligned to 64 KiB',
      () => sv39.build({ kind: 'leaf', pfn: 8, fields: { R: 1, N: 1 } }),
      'misaligned',
    ],
    [
      'a leaf without rights, which would point',
      () => sv39.build({ kind: 'leaf', pfn: 1 }),
      'bad-argument',
    ],
    [
      'a pointer with rights, which would be a leaf',
      () => sv39.build({ kind: 'pointer', pfn: 1, fields: { R: 1 } }),
      'bad-argument',
    ],
    [
      'V denied',
      () => sv39.build({ kind: 'leaf', pfn: 1, fields: { V: 0, R: 1 } }),
      'bad-argument',
    ],
    [
      'PS denied',
      () => x86Long4.build({ kind: 'leaf', level: 1, pfn: 0, fields: { PS: 0 } }),
      'bad-argument',
    ],
    [
      'a frame said twice',
      () => x86Long4.build({ kind: 'leaf', pfn: 1, fields: { ADDR: 2 } }),
      'bad-argument',
    ],
    [
      'a not-present entry that is present',
      () => x86Long4.build({ kind: 'not-present', fields: { P: 1 } }),
      'bad-argument',
    ],
  ])('refuses %s', (_, call, code) => {
    expect(codeOf(call)).toBe(code);
    expect(call).toThrow(VmError);
  });
});

describe('reserved NAPOT encodings', () => {
  it('map one page, and their frame keeps its low bits for the walker to judge', () => {
    const high = -0x80000000;
    for (const code of [0, 1, 2, 4, 9, 15]) {
      const low = ((0x80200 | code) << 10) | RISCV_PTE.V | RISCV_PTE.R;
      expect(sv39.leafPages(low, high, 0)).toBe(1);
      expect(sv39.leafPfn(low, high, 0)).toBe(0x80200 | code);
    }
  });
});

describe('decoded entries', () => {
  it('go through JSON.stringify and structuredClone', () => {
    const entry = x86Long4.decode(0x8000_0000_0020_0067n, 0);
    expect(JSON.parse(JSON.stringify(entry))).toMatchObject({
      raw: '0x8000000000200067',
      pfn: 0x200,
    });
    expect(structuredClone({ ...entry })).toEqual({ ...entry });
  });
});

describe('a format of your own', () => {
  const field = (name: string, high: number, low: number): BitField => {
    return { name, high, low, role: 'ignored', meaning: 'a test', source: 'a test' };
  };
  const options: PteFormatOptions = {
    name: 'tiny',
    architecture: 'riscv',
    pageShift: 10,
    signExtended: false,
    indexBits: [6],
    entryBytes: 4,
    physicalBits: 34,
    frameShift: 8,
    frameBits: 24,
    leafMask: [-1],
    leafBits: [0],
    fields: () => [field('PPN', 31, 8), field('FLAGS', 7, 0)],
  };

  it('works like the others', () => {
    const tiny = new PteFormat(options);
    expect(tiny).toMatchObject({ virtualBits: 16, levels: 1, leafLevels: 1, indexShift: [10] });
    expect(tiny.decode(0x1234_5601, 0)).toMatchObject({
      kind: 'leaf',
      pfn: 0x123456,
      pageShift: 10,
    });
    expect(tiny.build({ kind: 'leaf', pfn: 7, fields: { FLAGS: 1 } })).toBe(0x701n);
  });

  it.each<[string, Partial<PteFormatOptions>]>([
    ['a gap between fields', { fields: () => [field('PPN', 31, 8), field('FLAGS', 6, 0)] }],
    ['fields that end early', { fields: () => [field('PPN', 31, 8)] }],
    ['a field upside down', { fields: () => [field('PPN', 31, 32)] }],
    ['one name twice', { fields: () => [field('PPN', 31, 8), field('PPN', 7, 0)] }],
    ['a field wider than 52 bits', { entryBytes: 8, fields: () => [field('ALL', 63, 0)] }],
    ['no levels', { indexBits: [], leafMask: [], leafBits: [] }],
    ['masks for another number of levels', { leafMask: [-1, 0] }],
    ['a frame of no bits', { frameBits: 0 }],
    ['a frame past the entry', { frameBits: 25 }],
    ['a page shift of 0', { pageShift: 0 }],
    ['an index of no bits', { indexBits: [0] }],
  ])('is refused with %s', (_, change) => {
    expect(codeOf(() => new PteFormat({ ...options, ...change }))).toMatch(
      /bad-argument|out-of-range/,
    );
  });
});
