import { type Plain, plain, VmError } from '../core/index.js';
import { type FieldRow, fieldTable } from './field-table.js';
import {
  type DecodedRegister,
  decodeRegister,
  encodeRegister,
  type RegisterFields,
  type RegisterLayout,
  registerData,
} from './register.js';

/**
 * The values of satp.MODE with a meaning; `sv32` is of RV32, the others of RV64 (RISC-V Privileged, "Supervisor Address
 * Translation and Protection (satp) Register").
 *
 * @public
 */
export const RISCV_SATP_MODE = {
  /** No translation. */
  bare: 0,
  /** RV32: two levels. */
  sv32: 1,
  /** RV64: three levels. */
  sv39: 8,
  /** RV64: four levels. */
  sv48: 9,
  /** RV64: five levels. */
  sv57: 10,
} as const;

/**
 * A satp.MODE by name; values that no translation scheme has are `reserved`, or `custom` (14 and 15).
 *
 * @public
 */
export type RiscvSatpMode = keyof typeof RISCV_SATP_MODE | 'reserved' | 'custom';

const SATP_SOURCE =
  'RISC-V Privileged, Supervisor Address Translation and Protection (satp) Register';
const PPN_MEANING = 'Frame of the root table.';
const ASID_MEANING = 'Address space identifier.';

/**
 * satp of RV32, as fields.
 *
 * @public
 */
export const satp32Register: RegisterLayout = {
  name: 'satp',
  bits: 32,
  fields: /* @__PURE__ */ fieldTable(32, SATP_SOURCE, 'reserved', [
    ['MODE', 31, 31, 'number', 'Translation scheme: 0 Bare, 1 Sv32.'],
    ['ASID', 30, 22, 'number', ASID_MEANING],
    ['PPN', 21, 0, 'frame', PPN_MEANING],
  ]),
};

/**
 * satp of RV64, as fields.
 *
 * @public
 */
export const satp64Register: RegisterLayout = {
  name: 'satp',
  bits: 64,
  fields: /* @__PURE__ */ fieldTable(64, SATP_SOURCE, 'reserved', [
    ['MODE', 63, 60, 'number', 'Translation scheme: 0 Bare, 8 Sv39, 9 Sv48, 10 Sv57.'],
    ['ASID', 59, 44, 'number', ASID_MEANING],
    ['PPN', 43, 0, 'frame', PPN_MEANING],
  ]),
};

/**
 * A decoded satp: {@link DecodedRegister} and what its fields say.
 *
 * @public
 */
export interface DecodedSatp extends DecodedRegister {
  /** The register width that it was decoded for. */
  readonly xlen: 32 | 64;
  /** The translation scheme. */
  readonly mode: RiscvSatpMode;
  /** The address space identifier. */
  readonly asid: number;
  /** The frame of the root table. */
  readonly ppn: number;
}

/**
 * Decodes satp.
 *
 * @param value - The register.
 * @param xlen - Its width: 64 unless told.
 * @returns Plain data.
 * @throws `VmError` for a value wider than `xlen`, or another `xlen`.
 *
 * @example
 * ```ts
 * import { decodeSatp, encodeSatp } from 'pagewright/pte';
 *
 * const satp = decodeSatp(0x8000_1000_0008_0200n);
 * satp.mode; // => 'sv39'
 * satp.asid; // => 1
 * satp.ppn; // => 0x80200
 * encodeSatp({ fields: { MODE: 8, ASID: 1, PPN: 0x80200 } }); // => 0x8000100000080200n
 * ```
 * @public
 */
export function decodeSatp(value: bigint | number, xlen: 32 | 64 = 64): Plain<DecodedSatp> {
  const data = registerData(satpRegister(xlen), value);
  const { MODE, ASID, PPN } = data.fields as Record<'MODE' | 'ASID' | 'PPN', number>;
  return plain({ ...data, xlen, mode: satpModeName(MODE, xlen), asid: ASID, ppn: PPN });
}

/**
 * Encodes satp: the inverse of {@link decodeSatp}.
 *
 * @param satp - The decoded register, or just its `fields`: MODE, ASID, PPN.
 * @param xlen - The register's width: 64 unless told.
 * @returns The register's bits.
 * @throws `VmError` for an unknown field, a value wider than its field, or another `xlen`.
 * @public
 */
export function encodeSatp(satp: RegisterFields, xlen: 32 | 64 = 64): bigint {
  return encodeRegister(satpRegister(xlen), satp);
}

function satpRegister(xlen: number): RegisterLayout {
  return checkXlen(xlen) === 32 ? satp32Register : satp64Register;
}

function checkXlen(xlen: number): number {
  if (xlen === 32 || xlen === 64) return xlen;
  throw new VmError('bad-argument', { argument: 'xlen', value: xlen, expected: '32 or 64' });
}

function satpModeName(mode: number, xlen: number): RiscvSatpMode {
  if (mode === 0) return 'bare';
  if (xlen === 32) return 'sv32';
  if (mode >= 14) return 'custom';
  if (mode < RISCV_SATP_MODE.sv39 || mode > RISCV_SATP_MODE.sv57) return 'reserved';
  return mode === 8 ? 'sv39' : mode === 9 ? 'sv48' : 'sv57';
}

const MSTATUS_SOURCE = 'RISC-V Privileged, Machine Status (mstatus and mstatush) Registers';

/** Bits 24:0, the same in RV32 and RV64; those between are WPRI. */
const MSTATUS_LOW: readonly FieldRow[] = [
  ['SDT', 24, 24, 'flag', 'S-mode disable trap (Ssdbltrp).'],
  ['SPELP', 23, 23, 'flag', 'Expected landing pad before the trap to S-mode (Zicfilp).'],
  ['TSR', 22, 22, 'flag', 'Trap SRET in S-mode.'],
  ['TW', 21, 21, 'flag', 'Time out WFI below M-mode.'],
  ['TVM', 20, 20, 'flag', 'Trap satp accesses and SFENCE.VMA in S-mode.'],
  ['MXR', 19, 19, 'flag', 'Make executable readable: loads succeed where X is set.'],
  [
    'SUM',
    18,
    18,
    'flag',
    'Supervisor user memory: S-mode loads and stores may access pages with U set.',
  ],
  ['MPRV', 17, 17, 'flag', 'Modify privilege: loads and stores run with the privilege in MPP.'],
  ['XS', 16, 15, 'number', 'State of user-mode extensions.'],
  ['FS', 14, 13, 'number', 'State of the floating-point unit.'],
  ['MPP', 12, 11, 'number', 'Privilege before the trap to M-mode: 0 U, 1 S, 3 M.'],
  ['VS', 10, 9, 'number', 'State of the vector unit.'],
  ['SPP', 8, 8, 'flag', 'Privilege before the trap to S-mode: 0 U, 1 S.'],
  ['MPIE', 7, 7, 'flag', 'MIE before the trap.'],
  ['UBE', 6, 6, 'flag', 'U-mode is big-endian.'],
  ['SPIE', 5, 5, 'flag', 'SIE before the trap.'],
  ['MIE', 3, 3, 'flag', 'Interrupts are enabled in M-mode.'],
  ['SIE', 1, 1, 'flag', 'Interrupts are enabled in S-mode.'],
];

const SD_MEANING = 'FS, VS or XS says that state is dirty.';

/**
 * mstatus of RV32, as fields.
 *
 * @public
 */
export const mstatus32Register: RegisterLayout = {
  name: 'mstatus',
  bits: 32,
  fields: /* @__PURE__ */ fieldTable(32, MSTATUS_SOURCE, 'reserved', [
    ['SD', 31, 31, 'flag', SD_MEANING],
    ...MSTATUS_LOW,
  ]),
};

/**
 * mstatus of RV64, as fields.
 *
 * @public
 */
export const mstatus64Register: RegisterLayout = {
  name: 'mstatus',
  bits: 64,
  fields: /* @__PURE__ */ fieldTable(64, MSTATUS_SOURCE, 'reserved', [
    ['SD', 63, 63, 'flag', SD_MEANING],
    ['MDT', 42, 42, 'flag', 'M-mode disable trap (Smdbltrp).'],
    ['MPELP', 41, 41, 'flag', 'Expected landing pad before the trap to M-mode (Zicfilp).'],
    ['MPV', 39, 39, 'flag', 'Virtualization mode before the trap to M-mode.'],
    ['GVA', 38, 38, 'flag', 'mtval holds a guest virtual address.'],
    ['MBE', 37, 37, 'flag', 'M-mode is big-endian.'],
    ['SBE', 36, 36, 'flag', 'S-mode, and its page tables, are big-endian.'],
    ['SXL', 35, 34, 'number', 'XLEN of S-mode: 1 is 32, 2 is 64.'],
    ['UXL', 33, 32, 'number', 'XLEN of U-mode: 1 is 32, 2 is 64.'],
    ...MSTATUS_LOW,
  ]),
};

/**
 * Decodes mstatus.
 *
 * @param value - The register.
 * @param xlen - Its width: 64 unless told.
 * @returns Plain data; the fields that address translation reads are MPRV, MPP, SUM and MXR.
 * @throws `VmError` for a value wider than `xlen`, or another `xlen`.
 *
 * @example
 * ```ts
 * import { decodeMstatus } from 'pagewright/pte';
 *
 * const { SUM, MXR, MPP } = decodeMstatus(0x0000_000a_000c_1800n).fields;
 * [SUM, MXR, MPP]; // => [1, 1, 3]
 * ```
 * @public
 */
export function decodeMstatus(value: bigint | number, xlen: 32 | 64 = 64): Plain<DecodedRegister> {
  return decodeRegister(mstatusRegister(xlen), value);
}

/**
 * Encodes mstatus: the inverse of {@link decodeMstatus}.
 *
 * @param mstatus - The decoded register, or just its `fields`.
 * @param xlen - The register's width: 64 unless told.
 * @returns The register's bits.
 * @throws `VmError` for an unknown field, a value wider than its field, or another `xlen`.
 * @public
 */
export function encodeMstatus(mstatus: RegisterFields, xlen: 32 | 64 = 64): bigint {
  return encodeRegister(mstatusRegister(xlen), mstatus);
}

function mstatusRegister(xlen: number): RegisterLayout {
  return checkXlen(xlen) === 32 ? mstatus32Register : mstatus64Register;
}

/**
 * menvcfg, 64 bits in RV32 too (there with menvcfgh), as fields.
 *
 * @public
 */
export const menvcfgRegister: RegisterLayout = {
  name: 'menvcfg',
  bits: 64,
  fields: /* @__PURE__ */ fieldTable(
    64,
    'RISC-V Privileged, Machine Environment Configuration (menvcfg) Register',
    'reserved',
    [
      ['STCE', 63, 63, 'flag', 'stimecmp is enabled (Sstc).'],
      ['PBMTE', 62, 62, 'flag', 'The PBMT field of page-table entries is defined (Svpbmt).'],
      [
        'ADUE',
        61,
        61,
        'flag',
        'Hardware updates A and D (Svadu); when 0 a due update faults (Svade).',
      ],
      ['CDE', 60, 60, 'flag', 'Counter delegation is enabled (Smcdeleg).'],
      ['DTE', 59, 59, 'flag', 'Double trap handling is enabled in S-mode (Ssdbltrp).'],
      [
        'PMM',
        33,
        32,
        'number',
        'Pointer masking below M-mode: 0 off, 2 7 bits, 3 16 bits (Smnpm).',
      ],
      ['CBZE', 7, 7, 'flag', 'CBO.ZERO is enabled (Zicboz).'],
      ['CBCFE', 6, 6, 'flag', 'CBO.CLEAN and CBO.FLUSH are enabled (Zicbom).'],
      ['CBIE', 5, 4, 'number', 'What CBO.INVAL does: 0 traps, 1 flushes, 3 invalidates (Zicbom).'],
      ['SSE', 3, 3, 'flag', 'Shadow stacks are enabled below M-mode (Zicfiss).'],
      ['LPE', 2, 2, 'flag', 'Landing pads are enabled in S-mode (Zicfilp).'],
      ['FIOM', 0, 0, 'flag', 'Fence of I/O implies memory.'],
    ],
  ),
};

/**
 * Decodes menvcfg.
 *
 * @param value - The register, 64 bits.
 * @returns Plain data; the fields that address translation reads are ADUE and PBMTE.
 * @throws `VmError` for a value that is no 64-bit pattern.
 * @public
 */
export function decodeMenvcfg(value: bigint | number): Plain<DecodedRegister> {
  return decodeRegister(menvcfgRegister, value);
}

/**
 * Encodes menvcfg: the inverse of {@link decodeMenvcfg}.
 *
 * @param menvcfg - The decoded register, or just its `fields`.
 * @returns The register's bits.
 * @throws `VmError` for an unknown field, or a value wider than its field.
 *
 * @example
 * ```ts
 * import { decodeMenvcfg, encodeMenvcfg } from 'pagewright/pte';
 *
 * encodeMenvcfg({ fields: { ADUE: 1, PBMTE: 1 } }); // => 0x6000000000000000n
 * const { ADUE, PBMTE } = decodeMenvcfg(0x2000_0000_0000_0000n).fields;
 * [ADUE, PBMTE]; // => [1, 0]
 * ```
 * @public
 */
export function encodeMenvcfg(menvcfg: RegisterFields): bigint {
  return encodeRegister(menvcfgRegister, menvcfg);
}
