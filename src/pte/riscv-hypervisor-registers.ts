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

const HGATP_SOURCE =
  'RISC-V Privileged, Hypervisor Guest Address Translation and Protection (hgatp) Register';

/**
 * A hgatp.MODE by name; values that no translation scheme has are `reserved`.
 *
 * @public
 */
export type RiscvHgatpMode = 'bare' | 'sv32x4' | 'sv39x4' | 'sv48x4' | 'sv57x4' | 'reserved';

/** By MODE of RV64. */
const MODES_64: Readonly<Record<number, RiscvHgatpMode>> = {
  0: 'bare',
  8: 'sv39x4',
  9: 'sv48x4',
  10: 'sv57x4',
};

/**
 * hgatp of RV32, as fields.
 *
 * @public
 */
export const hgatp32Register: RegisterLayout = {
  name: 'hgatp',
  bits: 32,
  fields: /* @__PURE__ */ fieldTable(32, HGATP_SOURCE, 'reserved', [
    ['MODE', 31, 31, 'number', 'Translation scheme: 0 Bare, 1 Sv32x4.'],
    ['VMID', 28, 22, 'number', 'Virtual machine identifier.'],
    ['PPN', 21, 0, 'frame', 'Frame of the root table, which is 16 KiB; bits 1:0 are 0.'],
  ]),
};

/**
 * hgatp of RV64, as fields.
 *
 * @public
 */
export const hgatp64Register: RegisterLayout = {
  name: 'hgatp',
  bits: 64,
  fields: /* @__PURE__ */ fieldTable(64, HGATP_SOURCE, 'reserved', [
    ['MODE', 63, 60, 'number', 'Translation scheme: 0 Bare, 8 Sv39x4, 9 Sv48x4, 10 Sv57x4.'],
    ['VMID', 57, 44, 'number', 'Virtual machine identifier.'],
    ['PPN', 43, 0, 'frame', 'Frame of the root table, which is 16 KiB; bits 1:0 are 0.'],
  ]),
};

/**
 * A decoded hgatp: {@link DecodedRegister} and what its fields say.
 *
 * @public
 */
export interface DecodedHgatp extends DecodedRegister {
  /** The register width that it was decoded for. */
  readonly xlen: 32 | 64;
  /** The translation scheme. */
  readonly mode: RiscvHgatpMode;
  /** The virtual machine identifier. */
  readonly vmid: number;
  /** The frame of the root table. */
  readonly ppn: number;
}

/** The fields that decoding always gives. */
type HgatpFields = Readonly<Record<'MODE' | 'VMID' | 'PPN', number>>;

/**
 * Decodes hgatp.
 *
 * @param value - The register.
 * @param xlen - Its width: 64 unless told.
 * @returns Plain data.
 * @throws `VmError` for a value wider than `xlen`, or another `xlen`.
 *
 * @example
 * ```ts
 * import { decodeHgatp, encodeHgatp } from 'pagewright/pte';
 *
 * const hgatp = decodeHgatp(0x8000_3000_0008_0200n);
 * hgatp.mode; // => 'sv39x4'
 * hgatp.vmid; // => 3
 * hgatp.ppn; // => 0x80200
 * encodeHgatp({ fields: { MODE: 9, VMID: 3, PPN: 0x80200 } }); // => 0x9000300000080200n
 * ```
 * @public
 */
export function decodeHgatp(value: bigint | number, xlen: 32 | 64 = 64): Plain<DecodedHgatp> {
  const data = registerData(hgatpRegister(xlen), value);
  const { MODE, VMID, PPN } = data.fields as HgatpFields;
  const mode = xlen === 32 ? (MODE === 1 ? 'sv32x4' : 'bare') : (MODES_64[MODE] ?? 'reserved');
  return plain({ ...data, xlen, mode, vmid: VMID, ppn: PPN });
}

/**
 * Encodes hgatp: the inverse of {@link decodeHgatp}.
 *
 * @param hgatp - The decoded register, or just its `fields`: MODE, VMID, PPN.
 * @param xlen - The register's width: 64 unless told.
 * @returns The register's bits.
 * @throws `VmError` for an unknown field, a value wider than its field, or another `xlen`.
 * @public
 */
export function encodeHgatp(hgatp: RegisterFields, xlen: 32 | 64 = 64): bigint {
  return encodeRegister(hgatpRegister(xlen), hgatp);
}

function hgatpRegister(xlen: number): RegisterLayout {
  if (xlen === 64) return hgatp64Register;
  if (xlen === 32) return hgatp32Register;
  throw new VmError('bad-argument', { argument: 'xlen', value: xlen, expected: '32 or 64' });
}

/** Bits 22:5, the same in RV32 and RV64. */
const HSTATUS_LOW: readonly FieldRow[] = [
  ['VTSR', 22, 22, 'flag', 'Trap SRET in VS-mode.'],
  ['VTW', 21, 21, 'flag', 'Time out WFI in VS-mode.'],
  ['VTVM', 20, 20, 'flag', 'Trap satp accesses and SFENCE.VMA in VS-mode.'],
  ['VGEIN', 17, 12, 'number', 'The guest external interrupt source.'],
  ['HU', 9, 9, 'flag', 'HLV, HLVX and HSV may be used in U-mode.'],
  ['SPVP', 8, 8, 'flag', 'Privilege of HLV, HLVX and HSV: 0 VU, 1 VS.'],
  ['SPV', 7, 7, 'flag', 'Virtualization mode before the trap to HS-mode.'],
  ['GVA', 6, 6, 'flag', 'stval holds a guest virtual address.'],
  ['VSBE', 5, 5, 'flag', 'VS-mode, and its page tables, are big-endian.'],
];

const HSTATUS_SOURCE = 'RISC-V Privileged, Hypervisor Status (hstatus) Register';

/**
 * hstatus of RV64, as fields. That of RV32 is its lower half.
 *
 * @public
 */
export const hstatusRegister: RegisterLayout = {
  name: 'hstatus',
  bits: 64,
  fields: /* @__PURE__ */ fieldTable(64, HSTATUS_SOURCE, 'reserved', [
    ['HUPMM', 49, 48, 'number', 'Pointer masking of HLV and HSV in U-mode (Ssnpm).'],
    ['VSXL', 33, 32, 'number', 'XLEN of VS-mode: 1 is 32, 2 is 64.'],
    ...HSTATUS_LOW,
  ]),
};

/**
 * Decodes hstatus.
 *
 * @param value - The register.
 * @returns Plain data; GVA and SPVP are what address translation reads and writes.
 * @throws `VmError` for a value that is no 64-bit pattern.
 *
 * @example
 * ```ts
 * import { decodeHstatus } from 'pagewright/pte';
 *
 * const { GVA, SPVP } = decodeHstatus(0x2_0000_0140).fields;
 * [GVA, SPVP]; // => [1, 1]
 * ```
 * @public
 */
export function decodeHstatus(value: bigint | number): Plain<DecodedRegister> {
  return decodeRegister(hstatusRegister, value);
}

/**
 * Encodes hstatus: the inverse of {@link decodeHstatus}.
 *
 * @param hstatus - The decoded register, or just its `fields`.
 * @returns The register's bits.
 * @throws `VmError` for an unknown field, or a value wider than its field.
 * @public
 */
export function encodeHstatus(hstatus: RegisterFields): bigint {
  return encodeRegister(hstatusRegister, hstatus);
}
