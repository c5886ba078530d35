import { checkBits, type Plain, plain } from '../core/index.js';
import { type FieldRow, fieldTable } from './field-table.js';
import {
  type DecodedRegister,
  decodeRegister,
  encodeRegister,
  type RegisterFields,
  type RegisterLayout,
  registerData,
} from './register.js';

const ARM = 'Arm ARM DDI 0487';

/** Bytes by TG0 (and VTCR_EL2.TG0), and by TG1, which is encoded otherwise; 0 for a reserved value. */
const GRANULES: readonly [readonly number[], readonly number[]] = [
  [4096, 65536, 16384, 0],
  [0, 16384, 4096, 65536],
];

/** Bits of a physical address by IPS, PS or PARange; 7 is FEAT_D128's and reserved without. */
const PHYSICAL_BITS: readonly number[] = [32, 36, 40, 42, 44, 48, 52, 52];

/**
 * Width of a physical address by TCR_EL1.IPS, VTCR_EL2.PS or ID_AA64MMFR0_EL1.PARange.
 *
 * @param encoding - Three bits.
 * @returns 32 to 52 bits.
 *
 * @example
 * ```ts
 * import { aarch64PhysicalBits } from 'pagewright/pte';
 *
 * aarch64PhysicalBits(5); // => 48
 * ```
 * @public
 */
export function aarch64PhysicalBits(encoding: number): number {
  return PHYSICAL_BITS[encoding & 7]!;
}

/**
 * The granule that a TG0 or TG1 field selects.
 *
 * @param half - 0 for TG0 (of TCR_EL1 or VTCR_EL2), 1 for TG1.
 * @param encoding - Two bits.
 * @returns Bytes, or 0 for the reserved value.
 *
 * @example
 * ```ts
 * import { aarch64Granule } from 'pagewright/pte';
 *
 * [aarch64Granule(0, 0), aarch64Granule(1, 2)]; // => [4096, 4096]
 * ```
 * @public
 */
export function aarch64Granule(half: 0 | 1, encoding: number): number {
  return GRANULES[half][encoding & 3]!;
}

/** The cacheability and shareability of walks, at a place in TCR_EL1 or VTCR_EL2. */
function walkRows(half: '0' | '1', at: number): readonly FieldRow[] {
  return [
    [`SH${half}`, at + 5, at + 4, 'number', 'Shareability of table reads.'],
    [`ORGN${half}`, at + 3, at + 2, 'number', 'Outer cacheability of table reads.'],
    [`IRGN${half}`, at + 1, at, 'number', 'Inner cacheability of table reads.'],
  ];
}

/**
 * TCR_EL1, as fields.
 *
 * @public
 */
export const tcrRegister: RegisterLayout = {
  name: 'TCR_EL1',
  bits: 64,
  fields: /* @__PURE__ */ fieldTable(64, `${ARM}, TCR_EL1`, 'reserved', [
    ['DS', 59, 59, 'flag', 'With 4 and 16 KiB: 52-bit descriptors (FEAT_LPA2).'],
    ['TCMA1', 58, 58, 'flag', 'Unchecked accesses, upper half (FEAT_MTE2).'],
    ['TCMA0', 57, 57, 'flag', 'Unchecked accesses, lower half.'],
    ['E0PD1', 56, 56, 'flag', 'EL0 may not use the upper half (FEAT_E0PD).'],
    ['E0PD0', 55, 55, 'flag', 'EL0 may not use the lower half.'],
    ['NFD1', 54, 54, 'flag', 'No walks for non-faulting accesses, upper half.'],
    ['NFD0', 53, 53, 'flag', 'No walks for non-faulting accesses, lower half.'],
    ['TBID1', 52, 52, 'flag', 'TBI1 is for data alone.'],
    ['TBID0', 51, 51, 'flag', 'TBI0 is for data alone.'],
    ['HWU1', 50, 47, 'number', 'Hardware use of bits 62:59, upper half.'],
    ['HWU0', 46, 43, 'number', 'Hardware use of bits 62:59, lower half.'],
    ['HPD1', 42, 42, 'flag', 'Table attributes are ignored, upper half (FEAT_HPDS).'],
    ['HPD0', 41, 41, 'flag', 'Table attributes are ignored, lower half.'],
    ['HD', 40, 40, 'flag', 'Hardware keeps dirty state (FEAT_HAFDBS).'],
    ['HA', 39, 39, 'flag', 'Hardware sets the access flag (FEAT_HAFDBS).'],
    ['TBI1', 38, 38, 'flag', 'The top byte is ignored, upper half.'],
    ['TBI0', 37, 37, 'flag', 'The top byte is ignored, lower half.'],
    ['AS', 36, 36, 'flag', 'ASIDs have 16 bits.'],
    ['IPS', 34, 32, 'number', 'Width of output addresses.'],
    ['TG1', 31, 30, 'number', 'Granule of the upper half: 1 16 KiB, 2 4 KiB, 3 64 KiB.'],
    ...walkRows('1', 24),
    ['EPD1', 23, 23, 'flag', 'No walks of the upper half.'],
    ['A1', 22, 22, 'flag', 'The ASID is in TTBR1.'],
    ['T1SZ', 21, 16, 'number', 'The upper half has 2^(64-T1SZ) bytes.'],
    ['TG0', 15, 14, 'number', 'Granule of the lower half: 0 4 KiB, 1 64 KiB, 2 16 KiB.'],
    ...walkRows('0', 8),
    ['EPD0', 7, 7, 'flag', 'No walks of the lower half.'],
    ['T0SZ', 5, 0, 'number', 'The lower half has 2^(64-T0SZ) bytes.'],
  ]),
};

/**
 * A decoded TCR_EL1: {@link DecodedRegister} and what its fields say.
 *
 * @public
 */
export interface DecodedTcr extends DecodedRegister {
  /** Bytes in a granule of each half; 0 for a reserved value. */
  readonly granules: readonly [number, number];
  /** Width of the addresses of each half. */
  readonly virtualBits: readonly [number, number];
  /** Width of output addresses. */
  readonly physicalBits: number;
}

/** The fields that decoding always gives. */
type TcrFields = Readonly<Record<'TG0' | 'TG1' | 'T0SZ' | 'T1SZ' | 'IPS', number>>;

/**
 * Decodes TCR_EL1.
 *
 * @param value - The register.
 * @returns Plain data.
 * @throws `VmError` for a value that is no 64-bit pattern.
 *
 * @example
 * ```ts
 * import { decodeTcr } from 'pagewright/pte';
 *
 * const tcr = decodeTcr(0x5_b510_3510n);
 * tcr.granules; // => [4096, 4096]
 * tcr.virtualBits; // => [48, 48]
 * tcr.physicalBits; // => 48
 * ```
 * @public
 */
export function decodeTcr(value: bigint | number): Plain<DecodedTcr> {
  const data = registerData(tcrRegister, value);
  const { IPS, T0SZ, T1SZ, TG0, TG1 } = data.fields as TcrFields;
  return plain<DecodedTcr>({
    ...data,
    granules: [aarch64Granule(0, TG0), aarch64Granule(1, TG1)],
    virtualBits: [64 - T0SZ, 64 - T1SZ],
    physicalBits: aarch64PhysicalBits(IPS),
  });
}

/**
 * Encodes TCR_EL1: the inverse of {@link decodeTcr}.
 *
 * @param tcr - The decoded register, or just its `fields`.
 * @returns The register's bits.
 * @throws `VmError` for an unknown field, or a value wider than its field.
 * @public
 */
export function encodeTcr(tcr: RegisterFields): bigint {
  return encodeRegister(tcrRegister, tcr);
}

/**
 * TTBR0_EL1 and TTBR1_EL1, as fields. Where addresses have 52 bits, bits 5:2 of BADDR are address bits 51:48.
 *
 * @public
 */
export const ttbrRegister: RegisterLayout = {
  name: 'TTBRn_EL1',
  bits: 64,
  fields: /* @__PURE__ */ fieldTable(64, `${ARM}, TTBR0_EL1`, 'reserved', [
    ['ASID', 63, 48, 'number', 'Address space identifier.'],
    ['BADDR', 47, 1, 'frame', 'Bits 47:1 of the root table; aligned to its size.'],
    ['CNP', 0, 0, 'flag', 'Common, not private (FEAT_TTCNP).'],
  ]),
};

/**
 * VTTBR_EL2, as fields.
 *
 * @public
 */
export const vttbrRegister: RegisterLayout = {
  name: 'VTTBR_EL2',
  bits: 64,
  fields: /* @__PURE__ */ fieldTable(64, `${ARM}, VTTBR_EL2`, 'reserved', [
    ['VMID', 63, 48, 'number', 'Virtual machine identifier.'],
    ['BADDR', 47, 1, 'frame', 'Bits 47:1 of the root table; aligned to its size.'],
    ['CNP', 0, 0, 'flag', 'Common, not private (FEAT_TTCNP).'],
  ]),
};

/**
 * SCTLR_EL1, as fields: those that address translation reads are named, the others come together.
 *
 * @public
 */
export const sctlrRegister: RegisterLayout = {
  name: 'SCTLR_EL1',
  bits: 64,
  fields: /* @__PURE__ */ fieldTable(64, `${ARM}, SCTLR_EL1`, 'ignored', [
    ['EPAN', 57, 57, 'flag', 'PAN guards pages that only EL0 may execute, too (FEAT_PAN3).'],
    ['EE', 25, 25, 'flag', 'EL1 and its tables are big-endian.'],
    ['E0E', 24, 24, 'flag', 'EL0 is big-endian.'],
    ['SPAN', 23, 23, 'flag', 'Exceptions to EL1 leave PSTATE.PAN as it is.'],
    ['WXN', 19, 19, 'flag', 'What may be written may not be executed.'],
    ['I', 12, 12, 'flag', 'Instruction fetches may be cached.'],
    ['C', 2, 2, 'flag', 'Data may be cached.'],
    ['A', 1, 1, 'flag', 'Alignment is checked.'],
    ['M', 0, 0, 'flag', 'Stage 1 translation is on.'],
  ]),
};

/**
 * HCR_EL2, as fields: those that address translation reads are named, the others come together.
 *
 * @public
 */
export const hcrRegister: RegisterLayout = {
  name: 'HCR_EL2',
  bits: 64,
  fields: /* @__PURE__ */ fieldTable(64, `${ARM}, HCR_EL2`, 'ignored', [
    ['FWB', 46, 46, 'flag', 'Stage 2 attributes override stage 1 (FEAT_S2FWB).'],
    ['TEA', 37, 37, 'flag', 'External aborts of EL0 and EL1 go to EL2 (FEAT_RAS).'],
    ['E2H', 34, 34, 'flag', 'EL2 hosts an operating system.'],
    ['ID', 33, 33, 'flag', 'Stage 2 makes instruction fetches non-cacheable.'],
    ['CD', 32, 32, 'flag', 'Stage 2 makes data accesses non-cacheable.'],
    ['RW', 31, 31, 'flag', 'EL1 is AArch64.'],
    ['TGE', 27, 27, 'flag', 'Exceptions of EL0 go to EL2, and stage 1 of EL1&0 is off.'],
    ['DC', 12, 12, 'flag', 'Stage 1 is off, its output is write-back memory, and stage 2 is on.'],
    ['PTW', 2, 2, 'flag', 'Stage 1 tables in Device memory are permission faults.'],
    ['VM', 0, 0, 'flag', 'Stage 2 translation is on.'],
  ]),
};

/**
 * VTCR_EL2, as fields.
 *
 * @public
 */
export const vtcrRegister: RegisterLayout = {
  name: 'VTCR_EL2',
  bits: 64,
  fields: /* @__PURE__ */ fieldTable(64, `${ARM}, VTCR_EL2`, 'reserved', [
    ['SL2', 33, 33, 'flag', 'With DS=1 and 4 KiB: the walk begins at level -1.'],
    ['DS', 32, 32, 'flag', 'With 4 and 16 KiB: 52-bit descriptors (FEAT_LPA2).'],
    ['RES1', 31, 31, 'reserved', 'Reads as 1.'],
    ['NSA', 30, 30, 'flag', 'Non-secure output.'],
    ['NSW', 29, 29, 'flag', 'Non-secure tables.'],
    ['HWU', 28, 25, 'number', 'Hardware use of bits 62:59.'],
    ['HD', 22, 22, 'flag', 'Hardware keeps dirty state (FEAT_HAFDBS).'],
    ['HA', 21, 21, 'flag', 'Hardware sets the access flag (FEAT_HAFDBS).'],
    ['VS', 19, 19, 'flag', 'VMIDs have 16 bits.'],
    ['PS', 18, 16, 'number', 'Width of output addresses.'],
    ['TG0', 15, 14, 'number', 'Granule: 0 4 KiB, 1 64 KiB, 2 16 KiB.'],
    ...walkRows('0', 8),
    ['SL0', 7, 6, 'number', 'Where the walk begins.'],
    ['T0SZ', 5, 0, 'number', 'The input has 64-T0SZ bits.'],
  ]),
};

/**
 * PAR_EL1 after a translation that succeeded (F=0), as fields.
 *
 * @public
 */
export const parRegister: RegisterLayout = {
  name: 'PAR_EL1',
  bits: 64,
  fields: /* @__PURE__ */ fieldTable(64, `${ARM}, PAR_EL1`, 'reserved', [
    ['ATTR', 63, 56, 'number', 'Memory attributes, as in MAIR_EL1.'],
    ['PA', 51, 12, 'frame', 'The physical address.'],
    ['NSE', 11, 11, 'flag', 'With FEAT_RME.'],
    ['IMPDEF', 10, 10, 'ignored', 'Implementation defined.'],
    ['NS', 9, 9, 'flag', 'Non-secure.'],
    [
      'SH',
      8,
      7,
      'number',
      'Shareability: 0 none, 2 outer, 3 inner; 2 for Device and Non-cacheable.',
    ],
    ['F', 0, 0, 'flag', 'Clear: the translation succeeded.'],
  ]),
};

/**
 * PAR_EL1 after a translation that failed (F=1), as fields.
 *
 * @public
 */
export const parFaultRegister: RegisterLayout = {
  name: 'PAR_EL1',
  bits: 64,
  fields: /* @__PURE__ */ fieldTable(64, `${ARM}, PAR_EL1`, 'reserved', [
    ['IMPDEF', 63, 48, 'ignored', 'Implementation defined.'],
    ['RES1', 11, 11, 'reserved', 'Reads as 1.'],
    ['S', 9, 9, 'flag', 'The fault was of stage 2.'],
    ['PTW', 8, 8, 'flag', 'A stage 2 fault on the reading of a stage 1 descriptor.'],
    ['FST', 6, 1, 'number', 'Fault status code.'],
    ['F', 0, 0, 'flag', 'Set: the translation failed.'],
  ]),
};

/**
 * Decodes PAR_EL1, by its F bit.
 *
 * @param value - The register.
 * @returns Plain data.
 * @throws `VmError` for a value that is no 64-bit pattern.
 *
 * @example
 * ```ts
 * import { decodePar } from 'pagewright/pte';
 *
 * const { ATTR, PA, SH } = decodePar(0xff00_0000_4800_0b80n).fields;
 * [ATTR, PA, SH]; // => [0xff, 0x48000, 3]
 * ```
 * @public
 */
export function decodePar(value: bigint | number): Plain<DecodedRegister> {
  const raw = checkBits('PAR_EL1', value);
  return decodeRegister((raw & 1n) === 1n ? parFaultRegister : parRegister, raw);
}

/**
 * Encodes PAR_EL1, by its F field: the inverse of {@link decodePar}.
 *
 * @param par - The decoded register, or just its `fields`.
 * @returns The register's bits.
 * @throws `VmError` for an unknown field, or a value wider than its field.
 * @public
 */
export function encodePar(par: RegisterFields): bigint {
  return encodeRegister(par.fields['F'] === 1 ? parFaultRegister : parRegister, par);
}

/**
 * MAIR_EL1, as fields: what each is, `aarch64MemoryType` says.
 *
 * @public
 */
export const mairRegister: RegisterLayout = {
  name: 'MAIR_EL1',
  bits: 64,
  fields: /* @__PURE__ */ fieldTable(
    64,
    `${ARM}, MAIR_EL1`,
    'reserved',
    [7, 6, 5, 4, 3, 2, 1, 0].map(
      (index): FieldRow => [
        `ATTR${index}`,
        8 * index + 7,
        8 * index,
        'number',
        `Memory attributes of AttrIndx ${index}.`,
      ],
    ),
  ),
};

/**
 * HPFAR_EL2, as fields.
 *
 * @public
 */
export const hpfarRegister: RegisterLayout = {
  name: 'HPFAR_EL2',
  bits: 64,
  fields: /* @__PURE__ */ fieldTable(64, `${ARM}, HPFAR_EL2`, 'reserved', [
    ['NS', 63, 63, 'flag', 'The address is in the Non-secure space.'],
    ['FIPA', 47, 4, 'frame', 'Bits 55:12 of the intermediate address of a stage 2 fault.'],
  ]),
};
