import { Prot } from 'pagewright/core';
import {
  aarch64,
  eptLong4,
  eptLong4ModeBased,
  mappingOf,
  nptLong4,
  nptLong5,
  sv32,
  sv39,
  sv39x4,
  sv48,
  sv57,
  x86Legacy,
  x86Long4,
  x86Long5,
  x86Pae,
} from 'pagewright/pte';
import { describe, expect, it } from 'vitest';

const { Execute: X, Read: R, User: U, Write: W } = Prot;
const stage2 = aarch64({ stage: 2 });
const lpa2 = aarch64({ outputBits: 52 });
const FORMATS = [
  x86Legacy,
  x86Pae,
  x86Long4,
  x86Long5,
  nptLong4,
  nptLong5,
  eptLong4,
  eptLong4ModeBased,
  sv32,
  sv39,
  sv48,
  sv57,
  sv39x4,
  aarch64(),
  aarch64({ half: 'high' }),
  aarch64({ granule: 16384 }),
  aarch64({ granule: 65536 }),
  lpa2,
  stage2,
];

/** Two words as one unsigned number. */
const raw = (low: number, high: number): bigint => (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);

describe('granted rights', () => {
  it.each([
    {
      format: x86Legacy,
      rows: [
        [W, R | W | X],
        [R, R | X],
        [U, R | X | U],
      ],
    },
    {
      format: x86Long4,
      rows: [
        [W, R | W],
        [R, R],
        [X, R | X],
        [U, R | U],
      ],
    },
    {
      format: nptLong4,
      rows: [
        [W, R | W | U],
        [X, R | X | U],
      ],
    },
    {
      format: eptLong4,
      rows: [
        [W, R | W | U],
        [X, X | U],
        [R, R | U],
      ],
    },
    {
      format: sv39,
      rows: [
        [W, R | W],
        [X, X],
        [R, R],
        [W | X, R | W | X],
      ],
    },
    {
      format: sv39x4,
      rows: [
        [W, R | W | U],
        [X, X | U],
      ],
    },
    {
      format: aarch64(),
      rows: [
        [W, R | W],
        [X, R | X],
        [X | U, R | X | U],
      ],
    },
    {
      format: stage2,
      rows: [
        [W, W | U],
        [X, X | U],
        [R, R | U],
      ],
    },
  ])(
    'of $format.name are those asked for, and those that it can’t withhold',
    ({ format, rows }) => {
      for (const [asked, given] of rows) {
        expect([asked, mappingOf(format).granted(asked!)]).toEqual([asked, given]);
      }
    },
  );

  it.each(FORMATS)('are the rights that leaves of $name have', (format) => {
    const bits = mappingOf(format);
    for (let prot = 1; prot < 16; prot++) {
      if ((prot & (R | W | X)) === 0) continue;
      const given = bits.granted(prot);
      expect(given & prot).toBe(prot);
      expect(bits.granted(given)).toBe(given);
      for (const dirty of [false, true]) {
        const low = format.leafLow(0, 0, bits.leafLow(given, true, dirty, false));
        const high = format.leafHigh(0, 0, bits.leafHigh(given, dirty, false));
        expect([prot, format.kindOf(low, high, 0)]).toEqual([prot, 'leaf']);
        expect([prot, bits.protOf(low, high)]).toEqual([prot, given]);
        expect([prot, bits.isAccessed(low), bits.isDirty(low, high)]).toEqual([prot, true, dirty]);
      }
    }
  });
});

describe.each(FORMATS)('changes of a leaf of $name', (format) => {
  const bits = mappingOf(format);
  const rights = Array.from({ length: 16 }, (_, prot) => prot)
    .filter((prot) => (prot & (R | W | X)) !== 0)
    .map((prot) => bits.granted(prot));
  const leaves = [...new Set(rights)].flatMap((prot) =>
    [false, true].map((dirty) => ({
      prot,
      dirty,
      low: bits.leafLow(prot, true, dirty, false),
      high: bits.leafHigh(prot, dirty, false),
    })),
  );

  it('of rights keep what is accessed and dirty, and everything else', () => {
    for (const { dirty, high, low } of leaves) {
      for (const prot of rights) {
        const [newLow, newHigh] = [
          bits.protectLow(low, high, prot),
          bits.protectHigh(low, high, prot),
        ];
        expect(bits.protOf(newLow, newHigh)).toBe(prot);
        expect([bits.isAccessed(newLow), bits.isDirty(newLow, newHigh)]).toEqual([true, dirty]);
        expect(newLow & ~bits.managed.low).toBe(low & ~bits.managed.low);
        expect(newHigh & ~bits.managed.high).toBe(high & ~bits.managed.high);
      }
    }
  });

  it('that take the right to write away take nothing else', () => {
    for (const { dirty, high, low, prot } of leaves) {
      const [newLow, newHigh] = [bits.writeProtectLow(low, high), bits.writeProtectHigh(low, high)];
      expect(bits.protOf(newLow, newHigh)).toBe(prot & ~W);
      expect(bits.isDirty(newLow, newHigh)).toBe(dirty);
    }
  });

  it('of dirtiness keep the rights', () => {
    for (const { high, low, prot } of leaves) {
      for (const dirty of [true, false]) {
        const [newLow, newHigh] = [
          bits.dirtyLow(low, high, dirty),
          bits.dirtyHigh(low, high, dirty),
        ];
        expect([bits.isDirty(newLow, newHigh), bits.protOf(newLow, newHigh)]).toEqual([
          dirty,
          prot,
        ]);
      }
    }
  });
});

// Arm ARM DDI 0487, D8 Hardware management of the dirty state; Linux keeps PTE_DIRTY in bit 55.
describe('AArch64’s dirtiness', () => {
  const DBM = 1n << 51n;
  const MARK = 1n << 55n;
  const READ_ONLY = 0x80n;
  const PAGE = 0x0060_0000_0000_0f43n; // a user's, not executable
  const bits = mappingOf(aarch64());
  const split = (entry: bigint): [number, number] => [
    Number(entry & 0xffff_ffffn) | 0,
    Number(entry >> 32n) | 0,
  ];
  const protect = (entry: bigint, prot: number): bigint => {
    const [low, high] = split(entry);
    return raw(bits.protectLow(low, high, prot), bits.protectHigh(low, high, prot));
  };
  const mark = (entry: bigint, dirty: boolean): bigint => {
    const [low, high] = split(entry);
    return raw(bits.dirtyLow(low, high, dirty), bits.dirtyHigh(low, high, dirty));
  };

  it.each([
    ['may be written, as hardware leaves it', PAGE | DBM, true],
    ['may be written, and was not', PAGE | DBM | READ_ONLY, false],
    ['may only be read', PAGE | READ_ONLY, false],
    ['may only be read, and was written before', PAGE | READ_ONLY | MARK, true],
  ])('of a page that %s', (_, entry, dirty) => {
    expect(bits.isDirty(...split(entry))).toBe(dirty);
    expect((bits.protOf(...split(entry)) & W) !== 0).toBe((entry & DBM) !== 0n);
  });

  it('is remembered by software’s bit while the page may not be written, and comes back with the right', () => {
    const readOnly = protect(PAGE | DBM, R | U);
    expect(readOnly).toBe(PAGE | READ_ONLY | MARK);
    expect(protect(readOnly, R | W | U)).toBe(PAGE | DBM);
    const clean = protect(PAGE | DBM | READ_ONLY, R | U);
    expect(clean).toBe(PAGE | READ_ONLY);
    expect(protect(clean, R | W | U)).toBe(PAGE | DBM | READ_ONLY);
  });

  it('is AP[2] of a page that may be written, and software’s bit of one that may not', () => {
    expect(mark(PAGE | DBM, false)).toBe(PAGE | DBM | READ_ONLY);
    expect(mark(PAGE | DBM | READ_ONLY, true)).toBe(PAGE | DBM);
    expect(mark(PAGE | READ_ONLY, true)).toBe(PAGE | READ_ONLY | MARK);
    expect(mark(PAGE | READ_ONLY | MARK, false)).toBe(PAGE | READ_ONLY);
    expect(mark(PAGE | DBM | MARK, false)).toBe(PAGE | DBM | READ_ONLY);
  });

  it('is S2AP[1] in stage 2', () => {
    const second = mappingOf(stage2);
    const [clean, dirty] = [0x0048_0000_0000_077fn, 0x0048_0000_0000_07ffn];
    expect(second.isDirty(...split(clean))).toBe(false);
    expect(second.isDirty(...split(dirty))).toBe(true);
    const [low, high] = split(clean);
    expect(raw(second.dirtyLow(low, high, true), second.dirtyHigh(low, high, true))).toBe(dirty);
  });
});

describe('what a format says of changes', () => {
  it.each([
    [x86Legacy, 0],
    [x86Long4, 0],
    [eptLong4, 0],
    [nptLong4, 0],
    [aarch64(), 0],
    [stage2, 0],
    [x86Pae, 0b100],
    [sv32, 0b11],
    [sv39, 0b111],
    [sv57, 0b11111],
  ])('filling entries of $name owes at some levels', (format, levels) => {
    expect(mappingOf(format).fillOwes).toBe(levels);
  });

  it('break-before-make is AArch64’s alone', () => {
    const needing = FORMATS.filter((format) => mappingOf(format).breakBeforeMake);
    expect(needing).toEqual(FORMATS.filter(({ architecture }) => architecture === 'aarch64'));
  });

  it.each([
    [sv39, [4, 0, 0], -0x8000_0000],
    [sv57, [4, 0, 0, 0, 0], -0x8000_0000],
    [sv32, [0, 0], -0x8000_0000],
    // Arm ARM, D8 The Contiguous bit.
    [aarch64(), [4, 4, 4, 0], 0x0010_0000],
    [aarch64({ granule: 16384 }), [7, 5, 0, 0], 0x0010_0000],
    [aarch64({ granule: 65536 }), [5, 5, 0], 0x0010_0000],
    // A root of two entries has no group of 16.
    [aarch64({ virtualBits: 31 }), [4, 4, 0], 0x0010_0000],
    [x86Long4, [0, 0, 0, 0], 0],
  ] as const)('groups of $name', (format, groups, mark) => {
    expect(mappingOf(format).groupBits.map((bits) => bits)).toEqual(groups);
    expect(mappingOf(format).groupHigh).toBe(mark);
  });
});
