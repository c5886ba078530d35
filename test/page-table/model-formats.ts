import { Prot } from 'pagewright/core';
import { type PageTableOptions, pageSizes } from 'pagewright/page-table';
import {
  aarch64,
  csapp14,
  definePteFormat,
  eptLong4,
  eptLong4ModeBased,
  eptLong5,
  eptLong5ModeBased,
  linearFormat,
  nptLong4,
  nptLong5,
  ostep6,
  ostep15,
  type PteFormat,
  sv32,
  sv32x4,
  sv39,
  sv39x4,
  sv48,
  sv48x4,
  sv57,
  sv57x4,
  textbook32,
  x86Legacy,
  x86Long4,
  x86Long5,
  x86Pae,
} from 'pagewright/pte';
import type {
  ReferencePageSize,
  ReferencePageTableOptions,
} from '../../src/reference/page-table.js';

/** Something that leaves say beside frame, rights, accessed, dirty and global: a memory type, mostly. */
export interface Attributes {
  /** The values that there are: all of them keep a leaf sound. */
  readonly values: readonly number[];
  readonly fields: (value: number) => Readonly<Record<string, number>>;
  readonly of: (low: number, pages: number) => number;
}

/** A format, what the manuals say that its leaves can say, and the machine that has it. */
export interface ModelFormat {
  readonly name: string;
  readonly format: PteFormat;
  /** The rights that a leaf has when these are asked for. */
  readonly granted: (prot: number) => number;
  readonly remembers: ReferencePageTableOptions['remembers'];
  readonly attributes: Attributes;
  readonly machine: Pick<PageTableOptions, 'bbm' | 'pageSizes' | 'physicalBits'>;
}

const { Execute, Read, User, Write } = Prot;
const ALL = { accessed: true, dirty: true, global: true };
const NO_GLOBAL = { accessed: true, dirty: true, global: false };

/** Some bits of the low word. */
function lowBits(field: string, shift: number, values: readonly number[]): Attributes {
  const mask = 2 ** Math.ceil(Math.log2(Math.max(...values) + 1)) - 1;
  return {
    values,
    fields: (value) => ({ [field]: value }),
    of: (low) => (low >>> shift) & mask,
  };
}

const NOTHING: Attributes = { values: [0], fields: () => ({}), of: () => 0 };

/** PAT, PCD and PWT: PAT is bit 7 of a 4 KiB page's entry and bit 12 of larger ones' (SDM Vol. 3A, 4.9.2). */
const PAT_INDEX: Attributes = {
  values: [0, 1, 2, 3, 4, 5, 6, 7],
  fields: (value) => ({ PWT: value & 1, PCD: (value >> 1) & 1, PAT: value >> 2 }),
  of: (low, pages) => ((low >>> 3) & 3) | (((low >>> (pages === 1 ? 7 : 12)) & 1) << 2),
};

/** Memory types 2, 3 and 7 are reserved (SDM Vol. 3C, 29.3.3.1). */
const EPT_TYPE = lowBits('MT', 3, [0, 1, 4, 5, 6]);

type Extras = Partial<Pick<ModelFormat, 'name' | 'machine' | 'remembers'>>;

function x86(format: PteFormat, always: number, extras: Extras = {}): ModelFormat {
  const granted = (prot: number): number => prot | always;
  const base = { name: format.name, format, granted, remembers: ALL, attributes: PAT_INDEX };
  return { ...base, machine: {}, ...extras };
}

function ept(format: PteFormat): ModelFormat {
  const granted = (prot: number): number => prot | User | ((prot & Write) !== 0 ? Read : 0);
  const base = { name: format.name, format, granted, remembers: NO_GLOBAL, machine: {} };
  return { ...base, attributes: EPT_TYPE };
}

function riscv(format: PteFormat, always: number, extras: Extras = {}): ModelFormat {
  const granted = (prot: number): number => prot | always | ((prot & Write) !== 0 ? Read : 0);
  const remembers = always === 0 ? ALL : NO_GLOBAL;
  const base = { name: format.name, format, granted, remembers, machine: {} };
  return { ...base, attributes: lowBits('RSW', 8, [0, 1, 2, 3]), ...extras };
}

function arm(options: Parameters<typeof aarch64>[0], bbm: 0 | 1 | 2 = 0): ModelFormat {
  const format = aarch64(options);
  const second = options?.stage === 2;
  const eight = [0, 1, 2, 3, 4, 5, 6, 7];
  return {
    name: `${format.name}, ${options?.half ?? 'low'}, ${format.levels} levels, BBM ${bbm}`,
    format,
    granted: (prot) => prot | (second ? User : Read),
    remembers: second ? NO_GLOBAL : ALL,
    attributes: second ? lowBits('MEMATTR', 2, [5, 10, 15]) : lowBits('ATTRINDX', 2, eight),
    machine: { bbm },
  };
}

function own(
  format: PteFormat,
  granted: (prot: number) => number,
  remembers: ModelFormat['remembers'],
): ModelFormat {
  return { name: format.name, format, granted, remembers, attributes: NOTHING, machine: {} };
}

const NO_MEMORY = { accessed: false, dirty: false, global: false };
const everything = (): number => 15;

/** 2-byte entries, pages of 256 bytes, one bit that forbids. */
const toy = definePteFormat({
  name: 'toy, 2-byte entries',
  pageBytes: 256,
  entryBytes: 2,
  levels: [{ bits: 7, huge: true }, { bits: 7 }],
  bits: { valid: 0, write: 1, execute: { not: 2 }, dirty: 3, leaf: 4, frame: [15, 8] },
});

/** Large pages at the root, none below it. */
const gap = definePteFormat({
  name: 'gap, 2-byte entries, no large pages at the middle level',
  pageBytes: 256,
  entryBytes: 2,
  levels: [{ bits: 3, huge: true }, { bits: 4 }, { bits: 4 }],
  bits: { valid: 0, write: 1, accessed: 2, leaf: 3, frame: [15, 6] },
});

/** As RISC-V's, but with pages that may be written and executed, not read. What may be written alone would be no leaf without. */
const byRights = definePteFormat({
  name: 'leaves by rights, 8-byte entries',
  pageBytes: 4096,
  entryBytes: 8,
  levels: [{ bits: 9, huge: true }, { bits: 9, huge: true }, { bits: 9 }],
  bits: {
    ...{ valid: 0, read: 1, write: 2, execute: 3, user: 4, global: 5, accessed: 6, dirty: 7 },
    leaf: 'rights',
    frame: [53, 10],
  },
});

/** Bits that forbid, pointers that limit, valid in bit 31, leaves by a clear bit. */
const forbidding = definePteFormat({
  name: 'forbidding, 4-byte entries',
  pageBytes: 1024,
  entryBytes: 4,
  levels: [{ bits: 6, huge: true }, { bits: 8, huge: true }, { bits: 8 }],
  bits: {
    ...{ valid: 31, read: { not: 0 }, write: 1, execute: { not: 2 }, user: { not: 3 } },
    ...{ accessed: 4, dirty: 5, global: 6, leaf: { not: 7 }, frame: [30, 8] },
  },
  pointers: { rights: true, accessed: true },
});

/** Six levels of four entries, with valid, write and the leaf's mark in the high word. */
const six = definePteFormat({
  name: 'six levels, 8-byte entries',
  pageBytes: 64,
  entryBytes: 8,
  levels: [2, 2, 2, 2, 2, 2].map((bits, at) => ({ bits, huge: at > 0 && at < 5 })),
  bits: { valid: 63, write: 62, leaf: 61, accessed: 0, dirty: 1, frame: [40, 12] },
});

/** Tables of several pages at two levels, and two halves. */
const wide = definePteFormat({
  name: 'wide tables, 8-byte entries',
  pageBytes: 4096,
  entryBytes: 8,
  levels: [
    { bits: 10, tableBytes: 8192 },
    { bits: 11, tableBytes: 16384, huge: true },
    { bits: 9, huge: true },
    { bits: 9 },
  ],
  bits: { valid: 0, write: 1, user: 2, dirty: 6, leaf: 7, global: 8, frame: [51, 12] },
  signExtended: true,
});

const linear = linearFormat({
  ...{ virtualBits: 20, pageBytes: 4096, entryBytes: 4, valid: 31 },
  frame: [30, 0],
});

/** Every format of the package, some machines that lack something, and formats of our own. */
export const MODEL_FORMATS: readonly ModelFormat[] = [
  x86(x86Legacy, Read | Execute),
  x86(x86Legacy, Read | Execute, { name: 'x86Legacy without PSE', machine: { pageSizes: [1] } }),
  x86(x86Pae, Read),
  x86(x86Long4, Read),
  x86(x86Long4, Read, { name: 'x86Long4, 36 physical bits', machine: { physicalBits: 36 } }),
  x86(x86Long5, Read),
  x86(nptLong4, Read | User, { remembers: NO_GLOBAL }),
  x86(nptLong5, Read | User, { remembers: NO_GLOBAL }),
  ...[eptLong4, eptLong5, eptLong4ModeBased, eptLong5ModeBased].map(ept),
  ...[sv32, sv39, sv48, sv57].map((format) => riscv(format, 0)),
  riscv(sv39, 0, { name: 'sv39 without Svnapot', machine: { pageSizes: [1, 512, 2 ** 18] } }),
  ...[sv32x4, sv39x4, sv48x4, sv57x4].map((format) => riscv(format, User)),
  arm({}),
  arm({ half: 'high', virtualBits: 39 }, 2),
  arm({ granule: 16384 }, 2),
  arm({ granule: 16384, half: 'high', virtualBits: 47 }),
  arm({ granule: 65536, virtualBits: 48 }),
  arm({ granule: 65536, half: 'high', virtualBits: 42 }, 1),
  arm({ granule: 65536, virtualBits: 52, outputBits: 52 }),
  arm({ virtualBits: 52, outputBits: 52 }),
  arm({ granule: 16384, virtualBits: 52, outputBits: 52, half: 'high' }),
  arm({ stage: 2, virtualBits: 40, levels: 3 }),
  arm({ stage: 2, granule: 16384, virtualBits: 40, levels: 2 }, 2),
  arm({ stage: 2, granule: 65536, virtualBits: 44, levels: 2 }),
  arm({ stage: 2, virtualBits: 52, outputBits: 52, levels: 4 }),
  own(csapp14, everything, NO_MEMORY),
  own(ostep15, everything, NO_MEMORY),
  own(ostep6, everything, NO_MEMORY),
  own(linear, everything, NO_MEMORY),
  own(textbook32, (prot) => prot | Read | Execute, NO_GLOBAL),
  own(toy, (prot) => prot | Read | User, { accessed: false, dirty: true, global: false }),
  own(gap, (prot) => prot | Read | Execute | User, {
    ...{ accessed: true, dirty: false, global: false },
  }),
  own(byRights, (prot) => ((prot & (Read | Execute)) === 0 ? prot | Read : prot), ALL),
  own(forbidding, (prot) => prot, ALL),
  own(six, (prot) => prot | Read | Execute | User, NO_GLOBAL),
  own(wide, (prot) => prot | Read | Execute, { accessed: false, dirty: true, global: true }),
];

/** What the model has to know. */
export function modelOptions(kind: ModelFormat): ReferencePageTableOptions {
  const { format, granted, machine, remembers } = kind;
  const { pageShift, virtualBits } = format;
  const physicalBits = machine.physicalBits ?? format.physicalBits;
  const sizes = pageSizes(format).map(({ entries, level, pages }): ReferencePageSize => {
    const entry = format.levelPages[level]!;
    const canSplit = level > 0 && ((format.leafLevels >> (level - 1)) & 1) === 1;
    const pieces = entries > 1 ? entry : canSplit ? format.levelPages[level - 1]! : pages;
    // The entry of a 4 KiB page has 32 address bits; that of a 4 MiB page has 40 (PSE-36).
    const width = format === x86Legacy && level === 0 ? 32 : physicalBits;
    return { pages, entry, pieces, frameEnd: 2 ** (width - pageShift) };
  });
  const space = 2 ** (virtualBits - pageShift);
  const all = 2 ** (64 - pageShift);
  const upper = { first: all - space / 2, end: all };
  const spans = format.signExtended
    ? [{ first: 0, end: space / 2 }, upper]
    : format.onesExtended
      ? [{ first: all - space, end: all }]
      : [{ first: 0, end: space }];
  const usable = machine.pageSizes ?? sizes.map(({ pages }) => pages);
  return { sizes, usable, spans, granted, remembers };
}
