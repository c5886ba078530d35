import { type Plain, plain } from '../core/index.js';
import type { BitField } from './bit-field.js';
import type { EntryKind } from './entry.js';
import { type FieldRow, fieldTable } from './field-table.js';
import { PteFormat } from './format.js';
import type { MappingBitsOptions } from './mapping-bits.js';
import {
  type DecodedRegister,
  decodeRegister,
  encodeRegister,
  type RegisterFields,
  type RegisterLayout,
  registerData,
} from './register.js';

const EPT = 'Intel SDM Vol. 3C, 29.3 The Extended Page Table Mechanism (EPT)';

/**
 * The bits of the low word of an EPT entry (Intel SDM Vol. 3C, 29.3.2 EPT Translation Mechanism).
 *
 * ```text
 *   63   60    57  51 ........ 12 11  10  9 8 7  6   5 3 2 1 0
 *  +----+---+---+-----------------+--+---+-+-+--+---+----+-+-+-+
 *  |#VE |SSS|VGP|    address      |  |XU |D|A|PS|IPT|type|X|W|R|
 *  +----+---+---+-----------------+--+---+-+-+--+---+----+-+-+-+
 * ```
 *
 * @public
 */
export const EPT_PTE = {
  /** Bit 0, may be read. */
  R: 1,
  /** Bit 1, may be written. */
  W: 2,
  /** Bit 2, may be executed; with mode-based execute control from supervisor-mode addresses. */
  X: 4,
  /** Bits 5:3 of a leaf, the memory type. */
  MemoryType: 0x38,
  /** Bit 6 of a leaf: PAT is ignored. */
  IPAT: 0x40,
  /** Bit 7: a large page. */
  PS: 0x80,
  /** Bit 8, accessed, while EPTP enables it. */
  A: 0x100,
  /** Bit 9 of a leaf, dirty, while EPTP enables it. */
  D: 0x200,
  /** Bit 10: with mode-based execute control, may be executed from user-mode addresses. */
  XU: 0x400,
} as const;

function eptFields(kind: EntryKind, level: number): readonly BitField[] {
  if (kind === 'not-present') {
    const rows: readonly FieldRow[] = [
      ['SVE', 63, 63, 'flag', 'Suppress #VE.'],
      ['R', 0, 0, 'flag', 'Clear, as W and X are: not present.'],
    ];
    return fieldTable(64, EPT, 'ignored', rows);
  }
  const leaf = kind === 'leaf';
  const rows: FieldRow[] = leaf
    ? [
        ['SVE', 63, 63, 'flag', 'Suppress #VE.'],
        ['SPPW', 61, 61, 'flag', 'Write permission by sub-page, while enabled.'],
        ['SSS', 60, 60, 'flag', 'Supervisor shadow stack.'],
        ['PW', 58, 58, 'flag', 'Paging-write.'],
        ['VGP', 57, 57, 'flag', 'Verify guest paging.'],
        ['FRAME', 51, 12 + 9 * level, 'frame', 'Frame of the page.'],
      ]
    : [['FRAME', 51, 12, 'frame', 'Frame of the next table.']];
  if (leaf && level > 0) rows.push(['RSVDFRAME', 11 + 9 * level, 12, 'reserved', 'Reserved.']);
  rows.push(['XU', 10, 10, 'flag', 'Executable from user-mode addresses, while enabled.']);
  if (leaf) rows.push(['D', 9, 9, 'flag', 'Dirty, while enabled.']);
  rows.push(['A', 8, 8, 'flag', 'Accessed, while enabled.']);
  if (leaf) {
    if (level > 0) rows.push(['PS', 7, 7, 'flag', 'A large page.']);
    rows.push(['IPAT', 6, 6, 'flag', 'The memory type ignores PAT.']);
    rows.push(['MT', 5, 3, 'number', 'Memory type: 0 UC, 1 WC, 4 WT, 5 WP, 6 WB.']);
  } else {
    rows.push(['RSVD7_3', 7, 3, 'reserved', 'Reserved.']);
  }
  rows.push(['X', 2, 2, 'flag', 'Executable.'], ['W', 1, 1, 'flag', 'Writable.']);
  rows.push(['R', 0, 0, 'flag', 'Readable.']);
  return fieldTable(64, EPT, 'ignored', rows);
}

/**
 * Any right makes an entry present. Memory is write-back unless a field says otherwise. An entry that becomes present owes
 * no INVEPT (29.4.3.1 Operations that Invalidate Cached Mappings); a page that may be written must be readable (29.3.3.1
 * EPT Misconfigurations).
 */
function eptMapping(levels: number, modeBased: boolean): MappingBitsOptions {
  const { A, D, R, W, X, XU } = EPT_PTE;
  const execute = modeBased ? X | XU : X;
  const pointer = { low: R | W | execute | A, high: 0 };
  return {
    base: { low: 6 << 3, high: 0 },
    pointers: Array.from({ length: levels }, () => pointer),
    read: { low: R, high: 0 },
    write: { low: W, high: 0 },
    execute: { low: execute, high: 0 },
    pointerRights: true,
    writeNeedsRead: true,
    accessed: A,
    dirty: D,
  };
}

function eptFormat(levels: number, modeBased: boolean): PteFormat {
  const byLevel = (f: (level: number) => number): number[] =>
    Array.from({ length: levels }, (_, level) => f(level));
  return new PteFormat({
    name: `ept${levels}${modeBased ? ' mode-based' : ''}`,
    architecture: 'x86',
    signExtended: false,
    indexBits: byLevel(() => 9),
    entryBytes: 8,
    physicalBits: 52,
    frameShift: 12,
    frameBits: 40,
    // Any right makes an entry present; with mode-based execute control XU does, too (29.3.2).
    present: { low: modeBased ? 0x407 : 7, high: 0 },
    leafMask: byLevel((level) => (level === 0 ? -1 : level < 3 ? EPT_PTE.PS : 0)),
    leafBits: byLevel((level) => (level === 0 ? 0 : EPT_PTE.PS)),
    mapping: eptMapping(levels, modeBased),
    fields: eptFields,
  });
}

/**
 * Intel EPT with four levels: 48-bit guest-physical addresses, pages of 4 KiB, 2 MiB and 1 GiB.
 *
 * @public
 */
export const eptLong4: PteFormat = /* @__PURE__ */ eptFormat(4, false);

/**
 * Intel EPT with five levels: 57-bit guest-physical addresses.
 *
 * @public
 */
export const eptLong5: PteFormat = /* @__PURE__ */ eptFormat(5, false);

/**
 * {@link eptLong4} with mode-based execute control, where XU alone makes an entry present.
 *
 * @public
 */
export const eptLong4ModeBased: PteFormat = /* @__PURE__ */ eptFormat(4, true);

/**
 * {@link eptLong5} with mode-based execute control.
 *
 * @public
 */
export const eptLong5ModeBased: PteFormat = /* @__PURE__ */ eptFormat(5, true);

/**
 * EPTP, the EPT pointer, as fields.
 *
 * @public
 */
export const eptpRegister: RegisterLayout = {
  name: 'EPTP',
  bits: 64,
  fields: /* @__PURE__ */ fieldTable(
    64,
    'Intel SDM Vol. 3C, 25.6.11 Extended-Page-Table Pointer (EPTP)',
    'reserved',
    [
      ['PFN', 51, 12, 'frame', 'Frame of the root table.'],
      ['SSS', 7, 7, 'flag', 'Supervisor shadow-stack rights are enforced.'],
      ['AD', 6, 6, 'flag', 'Accessed and dirty flags are enabled.'],
      ['WALK', 5, 3, 'number', 'Levels less 1: 3 or 4.'],
      ['MT', 2, 0, 'number', 'Memory type of the tables: 0 UC, 6 WB.'],
    ],
  ),
};

/**
 * Decodes EPTP.
 *
 * @param value - The field of the VMCS.
 * @returns Plain data.
 * @throws `VmError` for a value that is no 64-bit pattern.
 *
 * @example
 * ```ts
 * import { decodeEptp } from 'pagewright/pte';
 *
 * const { AD, MT, PFN, WALK } = decodeEptp(0x1234_505en).fields;
 * [PFN, AD, WALK, MT]; // => [0x12345, 1, 3, 6]
 * ```
 * @public
 */
export function decodeEptp(value: bigint | number): Plain<DecodedRegister> {
  return decodeRegister(eptpRegister, value);
}

/**
 * The exit qualification of an EPT violation, as fields.
 *
 * @public
 */
export const eptQualificationRegister: RegisterLayout = {
  name: 'exit qualification',
  bits: 64,
  fields: /* @__PURE__ */ fieldTable(
    64,
    'Intel SDM Vol. 3C, 28.2.1 Basic VM-Exit Information, Exit Qualification for EPT Violations',
    'reserved',
    [
      ['ASYNC', 16, 16, 'flag', 'Asynchronous to the instruction: by tracing or sampling.'],
      ['VGP', 15, 15, 'flag', 'Guest-paging verification refused the access.'],
      ['SSS', 14, 14, 'flag', 'The guest page may hold a supervisor shadow stack.'],
      ['SS', 13, 13, 'flag', 'A shadow-stack access.'],
      ['NMI', 12, 12, 'flag', 'NMI unblocking due to IRET.'],
      ['NX', 11, 11, 'flag', 'The guest page is execute-disable (advanced information).'],
      ['RW', 10, 10, 'flag', 'The guest page is writable (advanced information).'],
      ['US', 9, 9, 'flag', 'A user-mode linear address (advanced information).'],
      ['FINAL', 8, 8, 'flag', 'For the linear address itself, not for a guest table entry.'],
      ['LINEAR', 7, 7, 'flag', 'The guest linear address is valid.'],
      ['XU_ALLOWED', 6, 6, 'flag', 'The entries allow execution from user-mode addresses.'],
      ['X_ALLOWED', 5, 5, 'flag', 'The entries allow execution.'],
      ['W_ALLOWED', 4, 4, 'flag', 'The entries allow writing.'],
      ['R_ALLOWED', 3, 3, 'flag', 'The entries allow reading.'],
      ['FETCH', 2, 2, 'flag', 'The access was an instruction fetch.'],
      ['WRITE', 1, 1, 'flag', 'The access was a write.'],
      ['READ', 0, 0, 'flag', 'The access was a read.'],
    ],
  ),
};

/**
 * Decodes the exit qualification of an EPT violation.
 *
 * @param value - The qualification.
 * @returns Plain data.
 * @throws `VmError` for a value that is no 64-bit pattern.
 *
 * @example
 * ```ts
 * import { decodeEptQualification } from 'pagewright/pte';
 *
 * const { FINAL, R_ALLOWED, WRITE } = decodeEptQualification(0x18a).fields;
 * [WRITE, R_ALLOWED, FINAL]; // => [1, 1, 1]
 * ```
 * @public
 */
export function decodeEptQualification(value: bigint | number): Plain<DecodedRegister> {
  return decodeRegister(eptQualificationRegister, value);
}

/**
 * Encodes the exit qualification of an EPT violation: the inverse of {@link decodeEptQualification}.
 *
 * @param qualification - The decoded value, or just its `fields`.
 * @returns The bits.
 * @throws `VmError` for an unknown field, or a value wider than its field.
 * @public
 */
export function encodeEptQualification(qualification: RegisterFields): bigint {
  return encodeRegister(eptQualificationRegister, qualification);
}

/**
 * EXITINFO1 of AMD's nested page fault, as fields.
 *
 * @public
 */
export const npfExitInfoRegister: RegisterLayout = {
  name: 'EXITINFO1',
  bits: 64,
  fields: /* @__PURE__ */ fieldTable(
    64,
    'AMD64 APM Vol. 2, 15.25.6 Nested versus Guest Page Faults, Fault Ordering',
    'reserved',
    [
      [
        'SSS',
        37,
        37,
        'flag',
        'The leaf is a supervisor shadow-stack page, while those are checked.',
      ],
      ['TABLE', 33, 33, 'flag', 'The fault occurred while a guest table entry was translated.'],
      ['FINAL', 32, 32, 'flag', 'The fault occurred while the final address was translated.'],
      ['SS', 6, 6, 'flag', 'A shadow-stack access.'],
      ['ID', 4, 4, 'flag', 'An instruction fetch.'],
      ['RSV', 3, 3, 'flag', 'A reserved bit was set in a nested entry.'],
      ['US', 2, 2, 'flag', 'A user access: always set.'],
      ['RW', 1, 1, 'flag', 'A write.'],
      ['P', 0, 0, 'flag', 'The nested page was present.'],
    ],
  ),
};

/**
 * A decoded EXITINFO1: {@link DecodedRegister} and what it says.
 *
 * @public
 */
export interface DecodedNpfExitInfo extends DecodedRegister {
  /** What was being translated. */
  readonly translating: 'final-address' | 'guest-table';
}

/**
 * Decodes EXITINFO1 of a nested page fault.
 *
 * @param value - EXITINFO1.
 * @returns Plain data.
 * @throws `VmError` for a value that is no 64-bit pattern.
 *
 * @example
 * ```ts
 * import { decodeNpfExitInfo } from 'pagewright/pte';
 *
 * decodeNpfExitInfo(0x2_0000_0006n).translating; // => 'guest-table'
 * ```
 * @public
 */
export function decodeNpfExitInfo(value: bigint | number): Plain<DecodedNpfExitInfo> {
  const data = registerData(npfExitInfoRegister, value);
  const { TABLE } = data.fields;
  return plain<DecodedNpfExitInfo>({
    ...data,
    translating: TABLE === 1 ? 'guest-table' : 'final-address',
  });
}
