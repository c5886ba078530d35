import { Access, type Plain, plain } from '../core/index.js';
import { fieldTable } from './field-table.js';
import {
  type DecodedRegister,
  encodeRegister,
  type RegisterFields,
  type RegisterLayout,
  registerData,
} from './register.js';

/**
 * Exception codes (RISC-V Privileged, "Machine Cause (mcause) Register", and the hypervisor's additions). 14 and 17 are
 * reserved.
 *
 * @public
 */
export const RISCV_CAUSE = {
  /** Instruction address misaligned. */
  InstructionAddressMisaligned: 0,
  /** Instruction access fault: no such memory, or physical memory protection. */
  InstructionAccessFault: 1,
  /** Illegal instruction. */
  IllegalInstruction: 2,
  /** Breakpoint. */
  Breakpoint: 3,
  /** Load address misaligned. */
  LoadAddressMisaligned: 4,
  /** Load access fault. */
  LoadAccessFault: 5,
  /** Store or AMO address misaligned. */
  StoreAddressMisaligned: 6,
  /** Store or AMO access fault. */
  StoreAccessFault: 7,
  /** Environment call from U-mode or VU-mode. */
  EcallFromU: 8,
  /** Environment call from S-mode (HS-mode). */
  EcallFromS: 9,
  /** Environment call from VS-mode. */
  EcallFromVs: 10,
  /** Environment call from M-mode. */
  EcallFromM: 11,
  /** Instruction page fault. */
  InstructionPageFault: 12,
  /** Load page fault. */
  LoadPageFault: 13,
  /** Store or AMO page fault. */
  StorePageFault: 15,
  /** Double trap. */
  DoubleTrap: 16,
  /** Software check. */
  SoftwareCheck: 18,
  /** Hardware error. */
  HardwareError: 19,
  /** Instruction guest-page fault. */
  InstructionGuestPageFault: 20,
  /** Load guest-page fault. */
  LoadGuestPageFault: 21,
  /** Virtual instruction. */
  VirtualInstruction: 22,
  /** Store or AMO guest-page fault. */
  StoreGuestPageFault: 23,
} as const;

/** By code; holes are reserved. */
const CAUSE_NAMES: readonly (string | undefined)[] = [
  'instruction address misaligned',
  'instruction access fault',
  'illegal instruction',
  'breakpoint',
  'load address misaligned',
  'load access fault',
  'store/AMO address misaligned',
  'store/AMO access fault',
  'environment call from U-mode',
  'environment call from S-mode',
  'environment call from VS-mode',
  'environment call from M-mode',
  'instruction page fault',
  'load page fault',
  undefined,
  'store/AMO page fault',
  'double trap',
  undefined,
  'software check',
  'hardware error',
  'instruction guest-page fault',
  'load guest-page fault',
  'virtual instruction',
  'store/AMO guest-page fault',
];

/**
 * An exception code in words.
 *
 * @param code - The code, without the interrupt bit.
 * @returns The manual's words, or `reserved`; codes 24 to 31 and 48 to 63 are `custom`.
 *
 * @example
 * ```ts
 * import { riscvCauseName } from 'pagewright/pte';
 *
 * riscvCauseName(15); // => 'store/AMO page fault'
 * ```
 * @public
 */
export function riscvCauseName(code: number): string {
  if ((code >= 24 && code <= 31) || (code >= 48 && code <= 63)) return 'custom';
  return CAUSE_NAMES[code] ?? 'reserved';
}

/**
 * The page fault that an access raises: 12 for a fetch, 15 for a store or the load of an atomic read-modify-write, 13
 * for any other load. Hot: nothing is checked.
 *
 * @param access - Made of core's `Access` bits.
 * @returns The exception code.
 * @public
 */
export function riscvPageFaultCause(access: number): number {
  if ((access & Access.Fetch) !== 0) return RISCV_CAUSE.InstructionPageFault;
  return isStore(access) ? RISCV_CAUSE.StorePageFault : RISCV_CAUSE.LoadPageFault;
}

/**
 * The access fault that an access raises: 1 for a fetch, 7 for a store or the load of an atomic read-modify-write, 5
 * for any other load. Hot: nothing is checked.
 *
 * @param access - Made of core's `Access` bits.
 * @returns The exception code.
 * @public
 */
export function riscvAccessFaultCause(access: number): number {
  if ((access & Access.Fetch) !== 0) return RISCV_CAUSE.InstructionAccessFault;
  return isStore(access) ? RISCV_CAUSE.StoreAccessFault : RISCV_CAUSE.LoadAccessFault;
}

/**
 * The guest-page fault that an access raises when the G stage refuses: 20 for a fetch, 23 for a store or the load of an
 * atomic read-modify-write, 21 for any other load. Hot: nothing is checked.
 *
 * @param access - Made of core's `Access` bits.
 * @returns The exception code.
 * @public
 */
export function riscvGuestPageFaultCause(access: number): number {
  if ((access & Access.Fetch) !== 0) return RISCV_CAUSE.InstructionGuestPageFault;
  return isStore(access) ? RISCV_CAUSE.StoreGuestPageFault : RISCV_CAUSE.LoadGuestPageFault;
}

/**
 * What htinst or mtinst holds after a guest-page fault of an implicit access to a VS-stage table: pseudoinstructions
 * (RISC-V Privileged, "Transformed Instruction or Pseudoinstruction for mtinst or htinst").
 *
 * @public
 */
export const RISCV_TINST = {
  /** A 32-bit entry was to be read (VSXLEN=32). */
  Read32: 0x2000,
  /** A 32-bit entry was to be written. */
  Write32: 0x2020,
  /** A 64-bit entry was to be read (VSXLEN=64). */
  Read64: 0x3000,
  /** A 64-bit entry was to be written. */
  Write64: 0x3020,
} as const;

function isStore(access: number): boolean {
  return (access & (Access.Write | Access.ReadModifyWrite)) !== 0;
}

/**
 * mcause and scause of RV64, as fields. The exception code's upper half, which no code uses, is a field of its own.
 *
 * @public
 */
export const riscvCauseRegister: RegisterLayout = {
  name: 'cause',
  bits: 64,
  fields: /* @__PURE__ */ fieldTable(
    64,
    'RISC-V Privileged, Machine Cause (mcause) Register',
    'reserved',
    [
      ['INTERRUPT', 63, 63, 'flag', 'The trap was caused by an interrupt.'],
      ['CODE_HIGH', 62, 32, 'number', 'Upper bits of the code; no code uses them.'],
      ['CODE', 31, 0, 'number', 'Exception or interrupt code.'],
    ],
  ),
};

/**
 * A decoded cause: {@link DecodedRegister} and what its fields say.
 *
 * @public
 */
export interface DecodedRiscvCause extends DecodedRegister {
  /** Whether it is an interrupt. */
  readonly interrupt: boolean;
  /** The exception code in words; `interrupt` for an interrupt. */
  readonly name: string;
}

/** The fields of {@link riscvCauseRegister}, which decoding always gives. */
type CauseFields = Readonly<Record<'INTERRUPT' | 'CODE' | 'CODE_HIGH', number>>;

/**
 * Decodes mcause or scause of RV64.
 *
 * @param value - The register.
 * @returns Plain data.
 * @throws `VmError` for a value that is no 64-bit pattern.
 *
 * @example
 * ```ts
 * import { decodeRiscvCause } from 'pagewright/pte';
 *
 * decodeRiscvCause(13).name; // => 'load page fault'
 * ```
 * @public
 */
export function decodeRiscvCause(value: bigint | number): Plain<DecodedRiscvCause> {
  const data = registerData(riscvCauseRegister, value);
  const { INTERRUPT, CODE, CODE_HIGH } = data.fields as CauseFields;
  const interrupt = INTERRUPT === 1;
  const name = interrupt ? 'interrupt' : CODE_HIGH > 0 ? 'reserved' : riscvCauseName(CODE);
  return plain({ ...data, interrupt, name });
}

/**
 * Encodes mcause or scause of RV64: the inverse of {@link decodeRiscvCause}.
 *
 * @param cause - The decoded register, or just its `fields`: INTERRUPT, CODE_HIGH, CODE.
 * @returns The register's bits.
 * @throws `VmError` for an unknown field, or a value wider than its field.
 * @public
 */
export function encodeRiscvCause(cause: RegisterFields): bigint {
  return encodeRegister(riscvCauseRegister, cause);
}
