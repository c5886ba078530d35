import type { FaultReason } from '../core/index.js';
import type { AArch64FaultKind } from '../pte/index.js';
import { rule, type WalkRule } from './rule.js';

/** The edition is in docs/sources.md; sections of chapter D8 and registers are cited by name, for numbers drift. */
const ARM = 'Arm ARM DDI 0487';
const WALK = `${ARM}, D8 Translation process`;
const RANGE = `${ARM}, D8 Input address size`;
const OUTPUT = `${ARM}, D8 Output address size`;
const DISABLED = `${ARM}, D8 The effects of disabling an address translation stage`;
const DESCRIPTORS = `${ARM}, D8 Translation table descriptor formats`;
const DATA = `${ARM}, D8 Data access permissions`;
const EXECUTION = `${ARM}, D8 Instruction execution permissions`;
const HARDWARE = `${ARM}, D8 Hardware updates to the translation tables`;

/**
 * A rule of the AArch64 walk: its kind of fault gives the fault status code.
 *
 * @public
 */
export interface AArch64Rule extends WalkRule {
  /** The kind of fault; of a rule that lets the access through it means nothing. */
  readonly fault: AArch64FaultKind;
}

/**
 * The short names of the rules that both stages have, each in a form of its own.
 *
 * @public
 */
export type AArch64CommonRuleName =
  | 'translated'
  | 'off'
  | 'offAddressSize'
  | 'outOfRange'
  | 'badConfiguration'
  | 'rootAddressSize'
  | 'tableMissing'
  | 'invalid'
  | 'tableAddressSize'
  | 'leafAddressSize'
  | 'accessFlag'
  | 'notWritable'
  | 'notExecutable'
  | 'updateMissing'
  | 'contended';

/**
 * The short names of {@link AARCH64_RULES}.
 *
 * @public
 */
export type AArch64RuleName =
  | AArch64CommonRuleName
  | 'walkDisabled'
  | 'userDisabled'
  | 'supervisorPage'
  | 'privilegedAccessNever'
  | 'userWritable'
  | 'writableExecuteNever';

/** Makes a rule with its kind of fault. @internal */
export function aarch64Rule(
  id: string,
  reason: FaultReason | null,
  fault: AArch64FaultKind,
  source: string,
  text: string,
): AArch64Rule {
  return { ...rule(id, reason, source, text), fault };
}

const make = aarch64Rule;

/**
 * Every rule that can decide a stage 1 walk of AArch64.
 *
 * @public
 */
export const AARCH64_RULES: Readonly<Record<AArch64RuleName, AArch64Rule>> = {
  translated: make('aarch64.translated', null, 'Translation', WALK, 'the translation succeeds'),
  off: make(
    'aarch64.off',
    null,
    'Translation',
    DISABLED,
    'SCTLR.M=0, HCR.DC=1 or HCR.TGE=1: the address is its own output',
  ),
  offAddressSize: make(
    'aarch64.off-address-size',
    'address-size',
    'AddressSize',
    DISABLED,
    'with stage 1 off, address bits beyond the physical address size must be 0: address size fault',
  ),
  outOfRange: make(
    'aarch64.out-of-range',
    'non-canonical',
    'Translation',
    RANGE,
    'the bits above the input size must all be 0 (TTBR0) or 1 (TTBR1): translation fault, level 0',
  ),
  badConfiguration: make(
    'aarch64.bad-configuration',
    'walk-disabled',
    'Translation',
    RANGE,
    'TnSZ is outside the range of this granule and CPU: translation fault, level 0',
  ),
  walkDisabled: make(
    'aarch64.walk-disabled',
    'walk-disabled',
    'Translation',
    `${ARM}, TCR_EL1`,
    'EPDn=1: no walks of this half: translation fault, level 0',
  ),
  userDisabled: make(
    'aarch64.user-disabled',
    'walk-disabled',
    'Translation',
    `${ARM}, D8 Preventing EL0 access to halves of the address map`,
    'E0PDn=1: EL0 may not use this half: translation fault, level 0',
  ),
  rootAddressSize: make(
    'aarch64.root-address-size',
    'address-size',
    'AddressSize',
    OUTPUT,
    'TTBRn names a table beyond the output size: address size fault, level 0',
  ),
  tableMissing: make(
    'aarch64.table-missing',
    'bus-error',
    'ExternalAbortOnWalk',
    WALK,
    'there is no memory where the descriptor should be: synchronous external abort on the walk',
  ),
  invalid: make(
    'aarch64.invalid',
    'not-present',
    'Translation',
    DESCRIPTORS,
    'bit 0 is clear, or the descriptor is of a kind that this level does not have: translation fault',
  ),
  tableAddressSize: make(
    'aarch64.table-address-size',
    'address-size',
    'AddressSize',
    OUTPUT,
    'the next table lies beyond the output size: address size fault',
  ),
  leafAddressSize: make(
    'aarch64.leaf-address-size',
    'address-size',
    'AddressSize',
    OUTPUT,
    'the output address lies beyond the output size: address size fault',
  ),
  accessFlag: make(
    'aarch64.access-flag',
    'accessed-clear',
    'AccessFlag',
    `${ARM}, D8 The Access flag`,
    'AF=0 and hardware does not set it: access flag fault',
  ),
  supervisorPage: make(
    'aarch64.supervisor-page',
    'supervisor-page',
    'Permission',
    DATA,
    'AP[1]=0, here or by APTable: EL0 may not access the page: permission fault',
  ),
  privilegedAccessNever: make(
    'aarch64.privileged-access-never',
    'user-page',
    'Permission',
    `${ARM}, D8 About PSTATE.PAN`,
    'PSTATE.PAN=1: EL1 may not access data that EL0 may access (or execute, with EPAN): permission fault',
  ),
  notWritable: make(
    'aarch64.not-writable',
    'not-writable',
    'Permission',
    DATA,
    'AP[2]=1, here or by APTable: the page is read-only: permission fault',
  ),
  notExecutable: make(
    'aarch64.not-executable',
    'not-executable',
    'Permission',
    EXECUTION,
    'UXN (EL0) or PXN (EL1), here or by a table: permission fault',
  ),
  userWritable: make(
    'aarch64.user-writable',
    'not-executable',
    'Permission',
    EXECUTION,
    'EL1 never executes what EL0 may write: permission fault',
  ),
  writableExecuteNever: make(
    'aarch64.writable-execute-never',
    'not-executable',
    'Permission',
    `${EXECUTION}; SCTLR_EL1.WXN`,
    'WXN=1: what may be written may not be executed: permission fault',
  ),
  updateMissing: make(
    'aarch64.update-missing',
    'bus-error',
    'ExternalAbortOnWalk',
    `${ARM}, ESR_EL1, DFSC: external abort on translation table walk or hardware update of translation table`,
    'the descriptor cannot be written to set AF or dirty state: synchronous external abort, as of the walk',
  ),
  contended: make(
    'aarch64.contended',
    'contended',
    'AccessFlag',
    HARDWARE,
    'the descriptor changed at every attempt to set AF or dirty state: reported as an access flag fault, after which software sets AF or retries',
  ),
};
