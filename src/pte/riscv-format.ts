import { Prot } from '../core/index.js';
import type { BitField } from './bit-field.js';
import type { EntryKind, WordMask } from './entry.js';
import { type FieldRow, fieldTable } from './field-table.js';
import { PteFormat } from './format.js';
import type { MappingBitsOptions } from './mapping-bits.js';
import { RISCV_PTE, RISCV_PTE_HIGH } from './riscv.js';

/** D, A and U mean nothing in a pointer and must be 0 (RISC-V Privileged, "Sv32: Addressing and Memory Protection"). */
function lowRows(kind: EntryKind): readonly FieldRow[] {
  const leaf = kind === 'leaf';
  const role = leaf ? 'flag' : 'reserved';
  const inPointer = leaf ? '' : ' Reserved in a pointer.';
  return [
    ['RSW', 9, 8, 'software', 'Reserved for supervisor software.'],
    ['D', 7, 7, role, `Dirty: the page has been written since D was last cleared.${inPointer}`],
    ['A', 6, 6, role, `Accessed: the page has been used since A was last cleared.${inPointer}`],
    ['G', 5, 5, 'flag', 'Global: the mapping exists in every address space.'],
    ['U', 4, 4, role, `Accessible in U-mode.${inPointer}`],
    ['X', 3, 3, 'flag', 'Executable. R, W and X all 0 make the entry a pointer to the next table.'],
    ['W', 2, 2, 'flag', 'Writable. Reserved when R is 0.'],
    ['R', 1, 1, 'flag', 'Readable.'],
    ['V', 0, 0, 'flag', 'Valid.'],
  ];
}

const NOT_VALID: FieldRow = [
  'V',
  0,
  0,
  'flag',
  'Valid: 0, so every other bit is free for software.',
];

function sv32Fields(kind: EntryKind): readonly BitField[] {
  const source = 'RISC-V Privileged, Sv32: Addressing and Memory Protection';
  if (kind === 'not-present') return fieldTable(32, source, 'software', [NOT_VALID]);
  const meaning = kind === 'leaf' ? 'Frame of the page.' : 'Frame of the next table.';
  return fieldTable(32, source, 'reserved', [['PPN', 31, 10, 'frame', meaning], ...lowRows(kind)]);
}

/** Sv39, Sv48 and Sv57 entries have one layout; N has a meaning at level 0 only ("Svnapot"). */
function sv64Fields(name: string): (kind: EntryKind, level: number) => readonly BitField[] {
  const source = `RISC-V Privileged, ${name}: Addressing and Memory Protection; Svnapot; Svpbmt; Svrsw60t59b`;
  return (kind, level) => {
    if (kind === 'not-present') return fieldTable(64, source, 'software', [NOT_VALID]);
    return fieldTable(64, source, 'reserved', [...highRows(kind, level), ...lowRows(kind)]);
  };
}

function highRows(kind: EntryKind, level: number): readonly FieldRow[] {
  const leaf = kind === 'leaf';
  const napot = leaf && level === 0;
  const napotMeaning =
    'One of 16 entries that map a 64 KiB page: PPN bits 3:0 are then 1000 (Svnapot).';
  const pbmtMeaning = 'Memory type: 0 PMA, 1 NC, 2 IO, 3 reserved (Svpbmt, menvcfg.PBMTE).';
  const ppnMeaning =
    level === 0 ? 'Frame of the page.' : `Frame; its low ${9 * level} bits must be 0.`;
  return [
    ['N', 63, 63, napot ? 'flag' : 'reserved', napot ? napotMeaning : 'Reserved in this entry.'],
    ['PBMT', 62, 61, leaf ? 'number' : 'reserved', leaf ? pbmtMeaning : 'Reserved in a pointer.'],
    ['RSW60T59', 60, 59, 'software', 'For supervisor software with Svrsw60t59b, reserved without.'],
    ['RSVD58_54', 58, 54, 'reserved', 'Reserved for standard use.'],
    ['PPN', 53, 10, 'frame', leaf ? ppnMeaning : 'Frame of the next table.'],
  ];
}

/**
 * A pointer has V alone. Without Svvptc an implementation may go on using an entry that it read while it was invalid, so
 * that filling one owes an SFENCE.VMA (RISC-V Privileged, Svvptc). To a G stage every access is a user's, and G should be
 * clear ("Guest Physical Address Translation").
 */
function riscvMapping(levels: number, guest: boolean): MappingBitsOptions {
  const { A, D, G, R, U, V, W, X } = RISCV_PTE;
  const mask = (low: number): WordMask => ({ low, high: 0 });
  return {
    base: mask(V),
    pointers: Array.from({ length: levels }, () => mask(V)),
    read: mask(R),
    write: mask(W),
    execute: mask(X),
    user: mask(U),
    ...(guest ? { always: Prot.User } : { global: mask(G) }),
    writeNeedsRead: true,
    accessed: A,
    dirty: D,
    groupBits: Array.from({ length: levels }, (_, level) => (levels > 2 && level === 0 ? 4 : 0)),
    groupHigh: RISCV_PTE_HIGH.N,
    fillOwes: 2 ** levels - 1,
  };
}

/** `guest`: a G-stage format, whose root has four times the entries and whose addresses are zero-extended. */
function riscvFormat(name: string, levels: number, guest = false): PteFormat {
  const wide = levels > 2;
  const bits = wide ? 9 : 10;
  return new PteFormat({
    name: guest ? `${name.toLowerCase()}x4` : name.toLowerCase(),
    architecture: 'riscv',
    signExtended: wide && !guest,
    indexBits: Array.from({ length: levels }, (_, level) =>
      guest && level === levels - 1 ? bits + 2 : bits,
    ),
    entryBytes: wide ? 8 : 4,
    physicalBits: wide ? 56 : 34,
    frameShift: 10,
    frameBits: wide ? 44 : 22,
    leafMask: Array<number>(levels).fill(RISCV_PTE.R | RISCV_PTE.W | RISCV_PTE.X),
    leafBits: Array<number>(levels).fill(0),
    napot: wide,
    swap: guest ? null : wide ? 'riscv64' : 'riscv32',
    mapping: riscvMapping(levels, guest),
    fields: wide ? sv64Fields(name) : sv32Fields,
  });
}

/**
 * RISC-V Sv32: two levels of 4-byte entries, 4 KiB and 4 MiB pages, 34-bit physical addresses.
 *
 * @public
 */
export const sv32: PteFormat = /* @__PURE__ */ riscvFormat('Sv32', 2);

/**
 * RISC-V Sv39: three levels, pages of 4 KiB, 2 MiB, 1 GiB, and of 64 KiB with Svnapot.
 *
 * @public
 */
export const sv39: PteFormat = /* @__PURE__ */ riscvFormat('Sv39', 3);

/**
 * RISC-V Sv48: four levels, Sv39's pages and 512 GiB ones.
 *
 * @public
 */
export const sv48: PteFormat = /* @__PURE__ */ riscvFormat('Sv48', 4);

/**
 * RISC-V Sv57: five levels, Sv48's pages and 256 TiB ones.
 *
 * @public
 */
export const sv57: PteFormat = /* @__PURE__ */ riscvFormat('Sv57', 5);

/**
 * RISC-V Sv32x4, a G-stage format: Sv32 with a root of 4,096 entries, for 34-bit guest-physical addresses (RISC-V
 * Privileged, "Guest Physical Address Translation").
 *
 * @public
 */
export const sv32x4: PteFormat = /* @__PURE__ */ riscvFormat('Sv32', 2, true);

/**
 * RISC-V Sv39x4: Sv39 with a root of 2,048 entries, for 41-bit guest-physical addresses.
 *
 * @public
 */
export const sv39x4: PteFormat = /* @__PURE__ */ riscvFormat('Sv39', 3, true);

/**
 * RISC-V Sv48x4, for 50-bit guest-physical addresses.
 *
 * @public
 */
export const sv48x4: PteFormat = /* @__PURE__ */ riscvFormat('Sv48', 4, true);

/**
 * RISC-V Sv57x4, for 59-bit guest-physical addresses.
 *
 * @public
 */
export const sv57x4: PteFormat = /* @__PURE__ */ riscvFormat('Sv57', 5, true);
