import { Prot } from '../core/index.js';
import type { BitField } from './bit-field.js';
import type { EntryKind, PteFormatOptions, WordMask } from './entry.js';
import { type FieldRow, fieldTable } from './field-table.js';
import { PteFormat } from './format.js';
import type { MappingBitsOptions } from './mapping-bits.js';
import { X86_PTE, X86_PTE_HIGH } from './x86.js';

const { PS } = X86_PTE;

/** Bits 4:0, the same in every entry but a PAE PDPTE. */
const RIGHTS: readonly FieldRow[] = [
  [
    'PCD',
    4,
    4,
    'flag',
    'Page-level cache disable: bit 1 of the PAT index of what the entry references.',
  ],
  [
    'PWT',
    3,
    3,
    'flag',
    'Page-level write-through: bit 0 of the PAT index of what the entry references.',
  ],
  ['US', 2, 2, 'flag', 'User/supervisor: user-mode accesses are allowed to what the entry covers.'],
  ['RW', 1, 1, 'flag', 'Read/write: writes are allowed to what the entry covers.'],
  ['P', 0, 0, 'flag', 'Present.'],
];

const ACCESSED: FieldRow = [
  'A',
  5,
  5,
  'flag',
  'Accessed: the entry has been used for translation.',
];
const DIRTY: FieldRow = ['D', 6, 6, 'flag', 'Dirty: the page has been written.'];
const GLOBAL: FieldRow = ['G', 8, 8, 'flag', 'Global, if CR4.PGE = 1; else ignored.'];
const PAGE_SIZE: FieldRow = ['PS', 7, 7, 'flag', 'Page size: 1, the entry maps a page.'];
const PAT_SMALL: FieldRow = ['PAT', 7, 7, 'flag', 'Bit 2 of the PAT index.'];
const PAT_LARGE: FieldRow = ['PAT', 12, 12, 'flag', 'Bit 2 of the PAT index.'];
const XD: FieldRow = [
  'XD',
  63,
  63,
  'flag',
  'Execute-disable, if IA32_EFER.NXE = 1; else reserved.',
];
const NOT_PRESENT: FieldRow = ['P', 0, 0, 'flag', 'Present: 0, so every other bit is ignored.'];
const HLAT: FieldRow = [
  'R',
  11,
  11,
  'ignored',
  'Ignored by ordinary paging; restarts HLAT paging.',
];
const KEY: FieldRow = [
  'PK',
  62,
  59,
  'number',
  'Protection key, if CR4.PKE or CR4.PKS = 1; else ignored.',
];
const PAE_HIGH: FieldRow = ['RSVD62_52', 62, 52, 'reserved', 'Reserved (must be 0).'];

/** The address in an entry. How many of its top bits are implemented is MAXPHYADDR's to say. */
function address(high: number, low: number, of: string): FieldRow {
  const limit = high === 51 ? '; bits 51:MAXPHYADDR are reserved (must be 0)' : '';
  return [
    'ADDR',
    high,
    low,
    'frame',
    `Bits ${high}:${low} of the physical address of the ${of}${limit}.`,
  ];
}

function reserved(high: number, low: number): FieldRow {
  const name = high === low ? `RSVD${high}` : `RSVD${high}_${low}`;
  return [name, high, low, 'reserved', 'Reserved (must be 0).'];
}

/** By level: what a pointer points at, and what a leaf maps. */
const TABLE_BELOW = [
  '',
  'page table',
  'page directory',
  'page-directory-pointer table',
  'PML4 table',
];
const LEAF = ['4-KByte page', '2-MByte page', '1-GByte page'] as const;

const sdm = (table: string): string => `Intel SDM Vol. 3A, Table ${table}`;

/** Tables 4-4 to 4-6 and Figure 4-4. */
function legacyFields(kind: EntryKind, level: number): readonly BitField[] {
  if (kind === 'not-present') {
    return fieldTable(32, 'Intel SDM Vol. 3A, Figure 4-4', 'ignored', [NOT_PRESENT]);
  }
  if (kind === 'pointer') {
    const ps: FieldRow = ['PS', 7, 7, 'flag', 'Page size: 0; ignored if CR4.PSE = 0.'];
    const rows = [address(31, 12, 'page table'), ps, ACCESSED, ...RIGHTS];
    return fieldTable(32, sdm('4-5'), 'ignored', rows);
  }
  if (level === 0) {
    const rows = [address(31, 12, LEAF[0]), GLOBAL, PAT_SMALL, DIRTY, ACCESSED, ...RIGHTS];
    return fieldTable(32, sdm('4-6'), 'ignored', rows);
  }
  const high =
    'Bits 39:32 of the physical address (PSE-36); those at and above MAXPHYADDR are reserved (must be 0).';
  return fieldTable(32, sdm('4-4'), 'ignored', [
    address(31, 22, '4-MByte page'),
    reserved(21, 21),
    ['ADDR39_32', 20, 13, 'frame', high],
    PAT_LARGE,
    GLOBAL,
    PAGE_SIZE,
    DIRTY,
    ACCESSED,
    ...RIGHTS,
  ]);
}

/** Tables 4-8 to 4-11 and Figure 4-7. */
function paeFields(kind: EntryKind, level: number): readonly BitField[] {
  if (kind === 'not-present') {
    return fieldTable(64, 'Intel SDM Vol. 3A, Figure 4-7', 'ignored', [NOT_PRESENT]);
  }
  if (level === 2) return fieldTable(64, sdm('4-8'), 'ignored', PAE_PDPTE);
  if (kind === 'leaf') {
    const rows = [XD, PAE_HIGH, ...leafRows(level), ...RIGHTS];
    return fieldTable(64, sdm(level === 0 ? '4-11' : '4-9'), 'ignored', rows);
  }
  const rows = [XD, PAE_HIGH, ...pointerRows(level), ...RIGHTS];
  return fieldTable(64, sdm('4-10'), 'ignored', rows);
}

/** A PAE PDPTE is loaded into a register with MOV CR3; a reserved bit makes that fail with #GP (4.4.1). */
const PAE_PDPTE: readonly FieldRow[] = [
  reserved(63, 52),
  address(51, 12, 'page directory'),
  reserved(8, 5),
  RIGHTS[0]!,
  RIGHTS[1]!,
  reserved(2, 1),
  RIGHTS[4]!,
];

/** Bits 51:5 of an entry that maps a page, but for HLAT's. */
function leafRows(level: number, ...between: readonly FieldRow[]): readonly FieldRow[] {
  const low = 12 + 9 * level;
  const flags = [GLOBAL, level === 0 ? PAT_SMALL : PAGE_SIZE, DIRTY, ACCESSED];
  if (level === 0) return [address(51, 12, LEAF[0]), ...between, ...flags];
  const rows = [address(51, low, LEAF[level]!), reserved(low - 1, 13), PAT_LARGE];
  return [...rows, ...between, ...flags];
}

/** Bits 51:5 of an entry that points at a table, but for HLAT's. PS must be 0 where no page can be mapped. */
function pointerRows(level: number, ...between: readonly FieldRow[]): readonly FieldRow[] {
  const leafless = level >= LEAF.length;
  const ps: FieldRow = leafless
    ? ['PS', 7, 7, 'reserved', 'Reserved (must be 0).']
    : ['PS', 7, 7, 'flag', 'Page size: 0, the entry points at a table.'];
  return [address(51, 12, TABLE_BELOW[level]!), ...between, ps, ACCESSED];
}

/** Tables 4-14 to 4-20 (PML5E, PML4E, PDPTE 1-GByte, PDPTE, PDE 2-MByte, PDE, PTE) and Figure 4-11. */
const LONG_POINTER_TABLE = ['', '4-19', '4-17', '4-15', '4-14'];
const LONG_LEAF_TABLE = ['4-20', '4-18', '4-16'];

function longFields(kind: EntryKind, level: number): readonly BitField[] {
  if (kind === 'not-present') {
    return fieldTable(64, 'Intel SDM Vol. 3A, Figure 4-11', 'ignored', [NOT_PRESENT]);
  }
  if (kind === 'leaf') {
    const rows = [XD, KEY, ...leafRows(level, HLAT), ...RIGHTS];
    return fieldTable(64, sdm(LONG_LEAF_TABLE[level]!), 'ignored', rows);
  }
  const rows = [XD, ...pointerRows(level, HLAT), ...RIGHTS];
  return fieldTable(64, sdm(LONG_POINTER_TABLE[level]!), 'ignored', rows);
}

/**
 * Entries above limit what those below grant, so pointers grant everything. What is not present is in no cache, so that
 * filling an entry owes nothing (SDM Vol. 3A, 4.10.4.3 Optional Invalidation). The rights of PAE's PDPTEs and their A are
 * reserved (Table 4-8); a CPU holds PDPTEs in registers, so one that is filled owes a load of CR3 (4.4.1). To nested
 * paging every access is a user's (AMD64 APM Vol. 2, 15.25.5).
 */
function x86Mapping(levels: number, wide: boolean, nested: boolean): MappingBitsOptions {
  const { A, D, G, P, RW, US } = X86_PTE;
  const pae = wide && levels === 3;
  const mask = (low: number, high = 0): WordMask => ({ low, high });
  const noExecute = wide
    ? { execute: mask(0, X86_PTE_HIGH.XD), flip: mask(0, X86_PTE_HIGH.XD) }
    : {};
  return {
    base: mask(P),
    pointers: Array.from({ length: levels }, (_, level) =>
      mask(pae && level === 2 ? P : P | RW | US | A),
    ),
    write: mask(RW),
    user: mask(US),
    ...noExecute,
    pointerRights: true,
    ...(nested ? { always: Prot.User } : { global: mask(G) }),
    accessed: A,
    dirty: D,
    patShift: 5,
    fillOwes: pae ? 0b100 : 0,
    // Read as a page in the end: the tables are the supervisor's, and nobody executes them.
    recursive: nested || pae ? null : mask(P | RW | A | D, wide ? X86_PTE_HIGH.XD : 0),
  };
}

/** A present entry is a leaf at level 0, and where PS is set at the levels in `leafLevels`. */
function x86Format(
  options: Pick<
    PteFormatOptions,
    'name' | 'signExtended' | 'indexBits' | 'frameSplit' | 'swap' | 'fields'
  > & {
    readonly leafLevels: number;
    readonly entryBytes: 4 | 8;
  },
): PteFormat {
  const wide = options.entryBytes === 8;
  const byLevel = (f: (level: number) => number): readonly number[] =>
    options.indexBits.map((_, level) => f(level));
  return new PteFormat({
    ...options,
    architecture: 'x86',
    physicalBits: wide ? 52 : 40,
    frameShift: 12,
    frameBits: wide ? 40 : 20,
    leafMask: byLevel((level) => (level === 0 ? -1 : (options.leafLevels >> level) & 1 ? PS : 0)),
    leafBits: byLevel((level) => (level === 0 ? 0 : PS)),
    mapping: x86Mapping(options.indexBits.length, wide, options.name.startsWith('npt')),
  });
}

/**
 * x86 32-bit paging: two levels of 4-byte entries, 4 KiB pages, and 4 MiB pages (CR4.PSE) with 40-bit physical
 * addresses (PSE-36).
 *
 * @public
 */
export const x86Legacy: PteFormat = /* @__PURE__ */ x86Format({
  name: 'x86Legacy',
  signExtended: false,
  indexBits: [10, 10],
  entryBytes: 4,
  leafLevels: 0b11,
  // PSE-36: bits 20:13 of a 4 MiB page are address bits 39:32.
  frameSplit: { shift: 13, bits: 8, frameBit: 20, leaves: 0b10, tables: false },
  swap: 'x86-32',
  fields: legacyFields,
});

/**
 * x86 PAE paging: 32-bit addresses, 8-byte entries, four PDPTEs at level 2 that the CPU keeps in registers, 4 KiB and
 * 2 MiB pages.
 *
 * @public
 */
export const x86Pae: PteFormat = /* @__PURE__ */ x86Format({
  name: 'x86Pae',
  signExtended: false,
  indexBits: [9, 9, 2],
  entryBytes: 8,
  leafLevels: 0b011,
  swap: 'x86-pae',
  fields: paeFields,
});

/**
 * x86 4-level paging: 48-bit addresses, pages of 4 KiB, 2 MiB and 1 GiB.
 *
 * @public
 */
export const x86Long4: PteFormat = /* @__PURE__ */ x86Format({
  name: 'x86Long4',
  signExtended: true,
  indexBits: [9, 9, 9, 9],
  entryBytes: 8,
  leafLevels: 0b0111,
  swap: 'x86-64',
  fields: longFields,
});

/**
 * x86 5-level paging: 57-bit addresses, the pages of {@link x86Long4}.
 *
 * @public
 */
export const x86Long5: PteFormat = /* @__PURE__ */ x86Format({
  name: 'x86Long5',
  signExtended: true,
  indexBits: [9, 9, 9, 9, 9],
  entryBytes: 8,
  leafLevels: 0b00111,
  swap: 'x86-64',
  fields: longFields,
});

/**
 * AMD's nested paging in a host with 4-level paging: the entries of {@link x86Long4} for guest-physical addresses of 48
 * bits, which are not sign-extended (AMD64 APM Vol. 2, 15.25.5).
 *
 * @public
 */
export const nptLong4: PteFormat = /* @__PURE__ */ x86Format({
  name: 'nptLong4',
  signExtended: false,
  indexBits: [9, 9, 9, 9],
  entryBytes: 8,
  leafLevels: 0b0111,
  fields: longFields,
});

/**
 * AMD's nested paging in a host with 5-level paging: guest-physical addresses of 57 bits.
 *
 * @public
 */
export const nptLong5: PteFormat = /* @__PURE__ */ x86Format({
  name: 'nptLong5',
  signExtended: false,
  indexBits: [9, 9, 9, 9, 9],
  entryBytes: 8,
  leafLevels: 0b00111,
  fields: longFields,
});
