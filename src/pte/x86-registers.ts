import type { Plain } from '../core/index.js';
import { type FieldRow, fieldTable } from './field-table.js';
import {
  type DecodedRegister,
  decodeRegister,
  encodeRegister,
  type RegisterFields,
  type RegisterLayout,
} from './register.js';

const CONTROL_REGISTERS = 'Intel SDM Vol. 3A, 2.5 Control Registers';

/**
 * CR0, as fields.
 *
 * @public
 */
export const cr0Register: RegisterLayout = {
  name: 'CR0',
  bits: 64,
  fields: /* @__PURE__ */ fieldTable(64, CONTROL_REGISTERS, 'reserved', [
    ['PG', 31, 31, 'flag', 'Paging.'],
    ['CD', 30, 30, 'flag', 'Cache disable.'],
    ['NW', 29, 29, 'flag', 'Not write-through.'],
    ['AM', 18, 18, 'flag', 'Alignment mask.'],
    ['WP', 16, 16, 'flag', 'Write protect: supervisor writes obey R/W.'],
    ['NE', 5, 5, 'flag', 'Numeric error.'],
    ['ET', 4, 4, 'flag', 'Extension type.'],
    ['TS', 3, 3, 'flag', 'Task switched.'],
    ['EM', 2, 2, 'flag', 'Emulation.'],
    ['MP', 1, 1, 'flag', 'Monitor coprocessor.'],
    ['PE', 0, 0, 'flag', 'Protection enable.'],
  ]),
};

/**
 * CR4, as fields.
 *
 * @public
 */
export const cr4Register: RegisterLayout = {
  name: 'CR4',
  bits: 64,
  fields: /* @__PURE__ */ fieldTable(64, CONTROL_REGISTERS, 'reserved', [
    ['FRED', 32, 32, 'flag', 'Flexible return and event delivery.'],
    ['LAM_SUP', 28, 28, 'flag', 'Linear-address masking of supervisor pointers.'],
    ['LASS', 27, 27, 'flag', 'Linear-address-space separation.'],
    ['UINTR', 25, 25, 'flag', 'User interrupts.'],
    ['PKS', 24, 24, 'flag', 'Protection keys for supervisor pages.'],
    ['CET', 23, 23, 'flag', 'Control-flow enforcement.'],
    ['PKE', 22, 22, 'flag', 'Protection keys for user pages.'],
    ['SMAP', 21, 21, 'flag', 'Supervisor-mode access prevention.'],
    ['SMEP', 20, 20, 'flag', 'Supervisor-mode execution prevention.'],
    ['KL', 19, 19, 'flag', 'Key Locker.'],
    ['OSXSAVE', 18, 18, 'flag', 'XSAVE and extended states.'],
    ['PCIDE', 17, 17, 'flag', 'Process-context identifiers.'],
    ['FSGSBASE', 16, 16, 'flag', 'FSGSBASE instructions.'],
    ['SMXE', 14, 14, 'flag', 'SMX enable.'],
    ['VMXE', 13, 13, 'flag', 'VMX enable.'],
    ['LA57', 12, 12, 'flag', '57-bit linear addresses: 5-level paging.'],
    ['UMIP', 11, 11, 'flag', 'User-mode instruction prevention.'],
    ['OSXMMEXCPT', 10, 10, 'flag', 'Unmasked SIMD exceptions.'],
    ['OSFXSR', 9, 9, 'flag', 'FXSAVE and FXRSTOR.'],
    ['PCE', 8, 8, 'flag', 'Performance-monitoring counter enable.'],
    ['PGE', 7, 7, 'flag', 'Page global enable.'],
    ['MCE', 6, 6, 'flag', 'Machine-check enable.'],
    ['PAE', 5, 5, 'flag', 'Physical address extension: 8-byte entries.'],
    ['PSE', 4, 4, 'flag', 'Page size extensions: 4 MiB pages in 32-bit paging.'],
    ['DE', 3, 3, 'flag', 'Debugging extensions.'],
    ['TSD', 2, 2, 'flag', 'Time stamp disable.'],
    ['PVI', 1, 1, 'flag', 'Protected-mode virtual interrupts.'],
    ['VME', 0, 0, 'flag', 'Virtual-8086 mode extensions.'],
  ]),
};

/**
 * IA32_EFER, as fields.
 *
 * @public
 */
export const eferRegister: RegisterLayout = {
  name: 'IA32_EFER',
  bits: 64,
  fields: /* @__PURE__ */ fieldTable(
    64,
    'Intel SDM Vol. 3A, 2.2.1 Extended Feature Enable Register',
    'reserved',
    [
      ['NXE', 11, 11, 'flag', 'Execute-disable enable.'],
      ['LMA', 10, 10, 'flag', 'IA-32e mode active.'],
      ['LME', 8, 8, 'flag', 'IA-32e mode enable.'],
      ['SCE', 0, 0, 'flag', 'SYSCALL enable.'],
    ],
  ),
};

/**
 * The error code that a page fault pushes, as fields.
 *
 * @public
 */
export const pageFaultCodeRegister: RegisterLayout = {
  name: 'page-fault error code',
  bits: 64,
  fields: /* @__PURE__ */ fieldTable(
    64,
    'Intel SDM Vol. 3A, 4.7 Page-Fault Exceptions',
    'reserved',
    [
      ['SGX', 15, 15, 'flag', "A violation of SGX's requirements."],
      ['HLAT', 7, 7, 'flag', 'In HLAT paging.'],
      ['SS', 6, 6, 'flag', 'A shadow-stack access.'],
      ['PK', 5, 5, 'flag', 'A protection key forbade a data access.'],
      ['I', 4, 4, 'flag', 'I/D: an instruction fetch.'],
      ['RSVD', 3, 3, 'flag', 'A reserved bit was set in an entry.'],
      ['U', 2, 2, 'flag', 'U/S: a user-mode access.'],
      ['W', 1, 1, 'flag', 'W/R: a write.'],
      ['P', 0, 0, 'flag', 'A protection violation; 0 when an entry was not present.'],
    ],
  ),
};

const KEY_ROWS: readonly FieldRow[] = Array.from({ length: 32 }, (_, i): FieldRow => {
  const bit = 31 - i;
  const key = bit >> 1;
  return bit & 1
    ? [`WD${key}`, bit, bit, 'flag', `Write-disable for pages with key ${key}.`]
    : [`AD${key}`, bit, bit, 'flag', `Access-disable for pages with key ${key}.`];
});

/**
 * PKRU, as fields: AD0, WD0 to AD15, WD15.
 *
 * @public
 */
export const pkruRegister: RegisterLayout = {
  name: 'PKRU',
  bits: 64,
  fields: /* @__PURE__ */ fieldTable(
    64,
    'Intel SDM Vol. 3A, 2.7 Protection-Key Rights Registers',
    'reserved',
    KEY_ROWS,
  ),
};

/**
 * Decodes CR0.
 *
 * @param value - The register.
 * @returns Plain data.
 * @throws `VmError` for a value that is no 64-bit pattern.
 *
 * @example
 * ```ts
 * import { decodeCr0 } from 'pagewright/pte';
 *
 * const { WP } = decodeCr0(0x8005_0033).fields;
 * WP; // => 1
 * ```
 * @public
 */
export function decodeCr0(value: bigint | number): Plain<DecodedRegister> {
  return decodeRegister(cr0Register, value);
}

/**
 * Encodes CR0: the inverse of {@link decodeCr0}.
 *
 * @param cr0 - The decoded register, or just its `fields`.
 * @returns The register's bits, unsigned.
 * @throws `VmError` for an unknown field, or a value wider than its field.
 * @public
 */
export function encodeCr0(cr0: RegisterFields): bigint {
  return encodeRegister(cr0Register, cr0);
}

/**
 * Decodes CR4.
 *
 * @param value - The register.
 * @returns Plain data.
 * @throws `VmError` for a value that is no 64-bit pattern.
 *
 * @example
 * ```ts
 * import { decodeCr4 } from 'pagewright/pte';
 *
 * const { SMEP } = decodeCr4(0x0017_0ef0).fields;
 * SMEP; // => 1
 * ```
 * @public
 */
export function decodeCr4(value: bigint | number): Plain<DecodedRegister> {
  return decodeRegister(cr4Register, value);
}

/**
 * Encodes CR4: the inverse of {@link decodeCr4}.
 *
 * @param cr4 - The decoded register, or just its `fields`.
 * @returns The register's bits, unsigned.
 * @throws `VmError` for an unknown field, or a value wider than its field.
 * @public
 */
export function encodeCr4(cr4: RegisterFields): bigint {
  return encodeRegister(cr4Register, cr4);
}

/**
 * Decodes IA32_EFER.
 *
 * @param value - The register.
 * @returns Plain data.
 * @throws `VmError` for a value that is no 64-bit pattern.
 *
 * @example
 * ```ts
 * import { decodeEfer } from 'pagewright/pte';
 *
 * const { NXE } = decodeEfer(0xd01).fields;
 * NXE; // => 1
 * ```
 * @public
 */
export function decodeEfer(value: bigint | number): Plain<DecodedRegister> {
  return decodeRegister(eferRegister, value);
}

/**
 * Encodes IA32_EFER: the inverse of {@link decodeEfer}.
 *
 * @param efer - The decoded register, or just its `fields`.
 * @returns The register's bits, unsigned.
 * @throws `VmError` for an unknown field, or a value wider than its field.
 * @public
 */
export function encodeEfer(efer: RegisterFields): bigint {
  return encodeRegister(eferRegister, efer);
}

/**
 * Decodes the error code of a page fault.
 *
 * @param value - The register.
 * @returns Plain data.
 * @throws `VmError` for a value that is no 64-bit pattern.
 *
 * @example
 * ```ts
 * import { decodePageFaultCode } from 'pagewright/pte';
 *
 * const { W } = decodePageFaultCode(7).fields;
 * W; // => 1
 * ```
 * @public
 */
export function decodePageFaultCode(value: bigint | number): Plain<DecodedRegister> {
  return decodeRegister(pageFaultCodeRegister, value);
}

/**
 * Encodes the error code of a page fault: the inverse of {@link decodePageFaultCode}.
 *
 * @param code - The decoded register, or just its `fields`.
 * @returns The register's bits, unsigned.
 * @throws `VmError` for an unknown field, or a value wider than its field.
 * @public
 */
export function encodePageFaultCode(code: RegisterFields): bigint {
  return encodeRegister(pageFaultCodeRegister, code);
}

/**
 * Decodes PKRU.
 *
 * @param value - The register.
 * @returns Plain data.
 * @throws `VmError` for a value that is no 64-bit pattern.
 *
 * @example
 * ```ts
 * import { decodePkru } from 'pagewright/pte';
 *
 * const { AD1 } = decodePkru(0x5555_5554).fields;
 * AD1; // => 1
 * ```
 * @public
 */
export function decodePkru(value: bigint | number): Plain<DecodedRegister> {
  return decodeRegister(pkruRegister, value);
}

/**
 * Encodes PKRU: the inverse of {@link decodePkru}.
 *
 * @param pkru - The decoded register, or just its `fields`.
 * @returns The register's bits, unsigned.
 * @throws `VmError` for an unknown field, or a value wider than its field.
 * @public
 */
export function encodePkru(pkru: RegisterFields): bigint {
  return encodeRegister(pkruRegister, pkru);
}
