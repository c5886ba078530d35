import { type Plain, plain } from '../core/index.js';
import { fieldTable } from './field-table.js';
import {
  type DecodedRegister,
  encodeRegister,
  type RegisterFields,
  type RegisterLayout,
  registerData,
} from './register.js';

/**
 * A kind of MMU fault: one of the names in {@link AARCH64_FAULT_STATUS}.
 *
 * @public
 */
export type AArch64FaultKind =
  | 'AddressSize'
  | 'Translation'
  | 'AccessFlag'
  | 'Permission'
  | 'ExternalAbortOnWalk'
  | 'UnsupportedUpdate';

/**
 * The fault status codes of a kind.
 *
 * @public
 */
export interface AArch64FaultCodes {
  /** At level 0; levels 1 to 3 add to it. */
  readonly level0: number;
  /** At level -1. */
  readonly below: number;
}

/**
 * Kinds of MMU fault by their fault status code (Arm ARM DDI 0487, ESR_ELx, "DFSC, Data Fault Status Code"). The
 * first member is the code of level 0; levels 1 to 3 add to it. Level -1 (FEAT_LPA2) has a code of its own.
 *
 * @public
 */
export const AARCH64_FAULT_STATUS: Readonly<Record<AArch64FaultKind, AArch64FaultCodes>> = {
  /** An address wider than the machine or TCR.IPS allows. */
  AddressSize: { level0: 0b000000, below: 0b101001 },
  /** No translation. */
  Translation: { level0: 0b000100, below: 0b101011 },
  /** The access flag is clear. Not at level -1. */
  AccessFlag: { level0: 0b001000, below: 0b001000 },
  /** No permission. Not at level -1. */
  Permission: { level0: 0b001100, below: 0b001100 },
  /** A synchronous external abort on the reading of a descriptor. */
  ExternalAbortOnWalk: { level0: 0b010100, below: 0b010011 },
  /** An entry could not be updated: the memory has no atomic operations. */
  UnsupportedUpdate: { level0: 0b110001, below: 0b110001 },
};

/**
 * The fault status code of a kind at a level.
 *
 * @param kind - The kind of fault.
 * @param level - The architecture's level, -1 to 3. Nothing is checked.
 * @returns Six bits.
 *
 * @example
 * ```ts
 * import { aarch64FaultStatus } from 'pagewright/pte';
 *
 * aarch64FaultStatus('Permission', 3); // => 0xf
 * aarch64FaultStatus('Translation', -1); // => 0x2b
 * ```
 * @public
 */
export function aarch64FaultStatus(kind: AArch64FaultKind, level: number): number {
  const { below, level0 } = AARCH64_FAULT_STATUS[kind];
  if (kind === 'UnsupportedUpdate') return level0;
  return level < 0 ? below : level0 + level;
}

/** The kinds whose codes carry a level. */
const LEVELLED = [
  'AddressSize',
  'Translation',
  'AccessFlag',
  'Permission',
  'ExternalAbortOnWalk',
] as const;

/** Level -1 last: where it has no code of its own, it has that of level 0. */
const LEVELS = [0, 1, 2, 3, -1];

const STATUS_WORDS: Readonly<Record<AArch64FaultKind, string>> = {
  AddressSize: 'address size fault',
  Translation: 'translation fault',
  AccessFlag: 'access flag fault',
  Permission: 'permission fault',
  ExternalAbortOnWalk: 'synchronous external abort on translation table walk',
  UnsupportedUpdate: 'unsupported atomic hardware update fault',
};

/** Codes that are no kind of {@link AARCH64_FAULT_STATUS}. */
const OTHER_STATUS: Readonly<Record<number, string>> = {
  16: 'synchronous external abort',
  17: 'synchronous tag check fault',
  24: 'synchronous parity or ECC error',
  27: 'synchronous parity or ECC error on translation table walk, level -1',
  28: 'synchronous parity or ECC error on translation table walk, level 0',
  29: 'synchronous parity or ECC error on translation table walk, level 1',
  30: 'synchronous parity or ECC error on translation table walk, level 2',
  31: 'synchronous parity or ECC error on translation table walk, level 3',
  33: 'alignment fault',
  35: 'granule protection fault on translation table walk, level -1',
  36: 'granule protection fault on translation table walk, level 0',
  37: 'granule protection fault on translation table walk, level 1',
  38: 'granule protection fault on translation table walk, level 2',
  39: 'granule protection fault on translation table walk, level 3',
  40: 'granule protection fault',
  48: 'TLB conflict abort',
  49: STATUS_WORDS.UnsupportedUpdate,
  52: 'implementation defined fault (lockdown)',
  53: 'unsupported exclusive or atomic access',
};

/**
 * A fault status code in words.
 *
 * @param status - Six bits.
 * @returns Such as `permission fault, level 3`; `reserved` for a code without a meaning here.
 * @public
 */
export function aarch64FaultStatusName(status: number): string {
  for (const kind of LEVELLED) {
    const level = LEVELS.find((each) => aarch64FaultStatus(kind, each) === status);
    if (level !== undefined) return `${STATUS_WORDS[kind]}, level ${level}`;
  }
  return OTHER_STATUS[status] ?? 'reserved';
}

/**
 * Exception classes of MMU faults (ESR_ELx, "EC, Exception Class").
 *
 * @public
 */
export const AARCH64_EXCEPTION_CLASS = {
  /** Instruction abort from a lower exception level. */
  InstructionAbortLower: 0x20,
  /** Instruction abort from the same exception level. */
  InstructionAbortSame: 0x21,
  /** Data abort from a lower exception level. */
  DataAbortLower: 0x24,
  /** Data abort from the same exception level. */
  DataAbortSame: 0x25,
} as const;

const ESR_SOURCE = 'Arm ARM DDI 0487, ESR_ELx, ISS encoding for aborts';

/**
 * ESR_ELx of an instruction or data abort, as fields.
 *
 * @public
 */
export const esrRegister: RegisterLayout = {
  name: 'ESR_ELx',
  bits: 64,
  fields: /* @__PURE__ */ fieldTable(64, ESR_SOURCE, 'reserved', [
    ['ISS2', 55, 32, 'number', 'Further syndrome.'],
    ['EC', 31, 26, 'number', 'Exception class: 0x20, 0x21 instruction, 0x24, 0x25 data abort.'],
    ['IL', 25, 25, 'flag', 'A 32-bit instruction.'],
    ['ISV', 24, 24, 'flag', 'Bits 23:14 describe the instruction (stage 2 data aborts).'],
    ['SAS', 23, 22, 'number', 'Size of the access, log2 of bytes.'],
    ['SSE', 21, 21, 'flag', 'The load sign-extends.'],
    ['SRT', 20, 16, 'number', 'The register of the load or store.'],
    ['SF', 15, 15, 'flag', 'That register is 64 bits wide.'],
    ['AR', 14, 14, 'flag', 'Acquire or release.'],
    ['VNCR', 13, 13, 'flag', 'The access came from the use of VNCR_EL2.'],
    ['SET', 12, 11, 'number', 'State after an external abort.'],
    ['FNV', 10, 10, 'flag', 'FAR is not valid.'],
    ['EA', 9, 9, 'flag', 'Kind of external abort.'],
    ['CM', 8, 8, 'flag', 'From a cache maintenance or address translation instruction.'],
    ['S1PTW', 7, 7, 'flag', 'A stage 2 fault on the reading of a stage 1 descriptor.'],
    ['WNR', 6, 6, 'flag', 'A write (data aborts).'],
    ['FSC', 5, 0, 'number', 'Fault status code.'],
  ]),
};

/**
 * A decoded ESR of an abort: {@link DecodedRegister} and what its fields say.
 *
 * @public
 */
export interface DecodedEsr extends DecodedRegister {
  /** The exception class in words. */
  readonly exception: string;
  /** The fault status code in words. */
  readonly status: string;
}

const EXCEPTIONS: Readonly<Record<number, string>> = {
  32: 'instruction abort from a lower exception level',
  33: 'instruction abort from the same exception level',
  36: 'data abort from a lower exception level',
  37: 'data abort from the same exception level',
};

/** The fields that decoding always gives. */
type EsrFields = Readonly<Record<'EC' | 'FSC', number>>;

/**
 * Decodes ESR_ELx of an abort.
 *
 * @param value - The register.
 * @returns Plain data; other exception classes are called `other`.
 * @throws `VmError` for a value that is no 64-bit pattern.
 *
 * @example
 * ```ts
 * import { decodeEsr, encodeEsr } from 'pagewright/pte';
 *
 * const esr = decodeEsr(0x96000046);
 * esr.exception; // => 'data abort from the same exception level'
 * esr.status; // => 'translation fault, level 2'
 * encodeEsr(esr); // => 0x96000046n
 * ```
 * @public
 */
export function decodeEsr(value: bigint | number): Plain<DecodedEsr> {
  const data = registerData(esrRegister, value);
  const { EC, FSC } = data.fields as EsrFields;
  const exception = EXCEPTIONS[EC] ?? 'other';
  return plain({ ...data, exception, status: aarch64FaultStatusName(FSC) });
}

/**
 * Encodes ESR_ELx: the inverse of {@link decodeEsr}.
 *
 * @param esr - The decoded register, or just its `fields`.
 * @returns The register's bits.
 * @throws `VmError` for an unknown field, or a value wider than its field.
 * @public
 */
export function encodeEsr(esr: RegisterFields): bigint {
  return encodeRegister(esrRegister, esr);
}
