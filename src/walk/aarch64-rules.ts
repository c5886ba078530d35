import { Access, type FaultReason } from '../core/index.js';
import type { AArch64FaultKind } from '../pte/index.js';
import { rule, type WalkRule } from './rule.js';

const ARM = 'Arm ARM DDI 0487';
const WALK = `${ARM}, D8.2 Translation process`;
const RANGE = `${ARM}, D8.1.7 Input address size`;
const OUTPUT = `${ARM}, D8.1.8 Output address size`;
const PERMISSIONS = `${ARM}, D8.4 Memory access control`;
const HARDWARE = `${ARM}, D8.5 Hardware updates to the translation tables`;

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
 * The short names of {@link AARCH64_RULES}.
 *
 * @public
 */
export type AArch64RuleName =
  | 'translated'
  | 'off'
  | 'offAddressSize'
  | 'outOfRange'
  | 'badConfiguration'
  | 'walkDisabled'
  | 'userDisabled'
  | 'rootAddressSize'
  | 'tableMissing'
  | 'invalid'
  | 'tableAddressSize'
  | 'leafAddressSize'
  | 'accessFlag'
  | 'supervisorPage'
  | 'privilegedAccessNever'
  | 'notWritable'
  | 'notExecutable'
  | 'userWritable'
  | 'writableExecuteNever'
  | 'notReadable'
  | 'deviceTable'
  | 'updateMissing'
  | 'contended';

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
    `${ARM}, D8.2.10 The effects of disabling an address translation stage`,
    'SCTLR.M=0 or HCR.DC=1: the address is its own output',
  ),
  offAddressSize: make(
    'aarch64.off-address-size',
    'address-size',
    'AddressSize',
    `${ARM}, D8.2.10 The effects of disabling an address translation stage`,
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
    'TnSZ is outside the range of this granule and CPU, or the granule is reserved: translation fault, level 0',
  ),
  walkDisabled: make(
    'aarch64.walk-disabled',
    'walk-disabled',
    'Translation',
    `${ARM}, D24.2 TCR_EL1`,
    'EPDn=1: no walks of this half: translation fault, level 0',
  ),
  userDisabled: make(
    'aarch64.user-disabled',
    'walk-disabled',
    'Translation',
    `${ARM}, D8.4.6 Preventing EL0 access to halves of the address map`,
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
    `${ARM}, D8.3 Translation table descriptor formats`,
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
    `${HARDWARE}, D8.5.1 The Access flag`,
    'AF=0 and hardware does not set it: access flag fault',
  ),
  supervisorPage: make(
    'aarch64.supervisor-page',
    'supervisor-page',
    'Permission',
    PERMISSIONS,
    'AP[1]=0, here or by APTable: EL0 may not access the page: permission fault',
  ),
  privilegedAccessNever: make(
    'aarch64.privileged-access-never',
    'user-page',
    'Permission',
    `${ARM}, D8.4.4 About PSTATE.PAN`,
    'PSTATE.PAN=1: EL1 may not access data that EL0 may access (or execute, with EPAN): permission fault',
  ),
  notWritable: make(
    'aarch64.not-writable',
    'not-writable',
    'Permission',
    PERMISSIONS,
    'AP[2]=1, here or by APTable: the page is read-only: permission fault',
  ),
  notExecutable: make(
    'aarch64.not-executable',
    'not-executable',
    'Permission',
    PERMISSIONS,
    'UXN (EL0) or PXN (EL1), here or by a table: permission fault',
  ),
  userWritable: make(
    'aarch64.user-writable',
    'not-executable',
    'Permission',
    PERMISSIONS,
    'EL1 never executes what EL0 may write: permission fault',
  ),
  writableExecuteNever: make(
    'aarch64.writable-execute-never',
    'not-executable',
    'Permission',
    `${PERMISSIONS}; SCTLR_EL1.WXN`,
    'WXN=1: what may be written may not be executed: permission fault',
  ),
  notReadable: make(
    'aarch64.not-readable',
    'not-readable',
    'Permission',
    PERMISSIONS,
    'S2AP[0]=0: stage 2 allows no read: permission fault',
  ),
  deviceTable: make(
    'aarch64.device-table',
    'physical-protection',
    'Permission',
    `${ARM}, D24.2 HCR_EL2.PTW`,
    'HCR.PTW=1: a stage 1 table lies in memory that stage 2 makes Device: permission fault',
  ),
  updateMissing: make(
    'aarch64.update-missing',
    'bus-error',
    'UnsupportedUpdate',
    HARDWARE,
    'the descriptor cannot be written to set AF or dirty state',
  ),
  contended: make(
    'aarch64.contended',
    'contended',
    'UnsupportedUpdate',
    HARDWARE,
    'the descriptor changed at every attempt to set AF or dirty state; the access may be retried',
  ),
};

/** Row bit: made at EL0, or unprivileged. Bits 1:0 of a row are the kind. */
export const ROW_EL0 = 4;
/** Row bit: PSTATE.PAN counts. */
export const ROW_PAN = 8;
/** Row bit in stage 2: the store is half of a read-modify-write, so the page must be readable as well. */
export const ROW_ATOMIC = 8;
/** Row bit: SCTLR.EPAN. */
export const ROW_EPAN = 16;
/** Row bit: SCTLR.WXN. */
export const ROW_WXN = 32;

/** In permission bits: AP[1], AP[2], PXN and UXN with what the tables take away. */
export const MAY_EL0 = 1;
/** See {@link MAY_EL0}. */
export const READ_ONLY = 2;
/** See {@link MAY_EL0}. */
export const NO_EL1_EXECUTE = 4;
/** See {@link MAY_EL0}. */
export const NO_EL0_EXECUTE = 8;

/** The rules of permission, and first the one that lets everything through. */
export const PERMISSION_RULES: readonly AArch64Rule[] = [
  AARCH64_RULES.translated,
  AARCH64_RULES.supervisorPage,
  AARCH64_RULES.privilegedAccessNever,
  AARCH64_RULES.notWritable,
  AARCH64_RULES.notExecutable,
  AARCH64_RULES.userWritable,
  AARCH64_RULES.writableExecuteNever,
  AARCH64_RULES.notReadable,
];

/** Which rule decides about permission (D8.4.1 Data accesses, D8.4.2 Instruction execution). */
export function permissionRule(row: number, bits: number): AArch64Rule {
  const kind = row & 3;
  const readOnly = (bits & READ_ONLY) !== 0;
  const userPage = (bits & MAY_EL0) !== 0;
  const wxn = (row & ROW_WXN) !== 0;
  if ((row & ROW_EL0) !== 0) {
    if (kind === Access.Fetch) {
      if ((bits & NO_EL0_EXECUTE) !== 0) return AARCH64_RULES.notExecutable;
      return wxn && userPage && !readOnly
        ? AARCH64_RULES.writableExecuteNever
        : AARCH64_RULES.translated;
    }
    if (!userPage) return AARCH64_RULES.supervisorPage;
    return kind === Access.Write && readOnly ? AARCH64_RULES.notWritable : AARCH64_RULES.translated;
  }
  if (kind === Access.Fetch) {
    if ((bits & NO_EL1_EXECUTE) !== 0) return AARCH64_RULES.notExecutable;
    if (userPage && !readOnly) return AARCH64_RULES.userWritable;
    return wxn && !readOnly ? AARCH64_RULES.writableExecuteNever : AARCH64_RULES.translated;
  }
  if ((row & ROW_PAN) !== 0) {
    const executable = (bits & NO_EL0_EXECUTE) === 0;
    if (userPage || (executable && (row & ROW_EPAN) !== 0)) {
      return AARCH64_RULES.privilegedAccessNever;
    }
  }
  return kind === Access.Write && readOnly ? AARCH64_RULES.notWritable : AARCH64_RULES.translated;
}

/** Rows of {@link PERMISSION}. */
const ROWS = 64;

/** {@link permissionRule} for every row and permission bits, as indexes into {@link PERMISSION_RULES}. */
export const PERMISSION: Uint8Array = /* @__PURE__ */ Uint8Array.from(
  { length: ROWS * 16 },
  (_, at) => PERMISSION_RULES.indexOf(permissionRule(at >> 4, at & 15)),
);

/** Which rule of stage 2 decides about permission: S2AP in bits 1:0, XN[1:0] in bits 3:2 (D8.4.3). */
function stage2PermissionRule(row: number, bits: number): AArch64Rule {
  const kind = row & 3;
  if (kind === Access.Fetch) {
    // XN: 0 executable, 1 at EL0 only, 2 not at all, 3 at EL1 only.
    const executable =
      (row & ROW_EL0) !== 0 ? [true, true, false, false] : [true, false, false, true];
    return executable[bits >>> 2]! ? AARCH64_RULES.translated : AARCH64_RULES.notExecutable;
  }
  if ((kind === Access.Read || (row & ROW_ATOMIC) !== 0) && (bits & 1) === 0) {
    return AARCH64_RULES.notReadable;
  }
  return kind === Access.Write && (bits & 2) === 0
    ? AARCH64_RULES.notWritable
    : AARCH64_RULES.translated;
}

/** The same as {@link PERMISSION} for stage 2. */
export const STAGE2_PERMISSION: Uint8Array = /* @__PURE__ */ Uint8Array.from(
  { length: ROWS * 16 },
  (_, at) => PERMISSION_RULES.indexOf(stage2PermissionRule(at >> 4, at & 15)),
);

/** The rules of stage 2: those of {@link AARCH64_RULES}. Identifiers begin with `aarch64.s2-`. @public */
export const AARCH64_STAGE2_RULES: Readonly<Record<AArch64RuleName, AArch64Rule>> =
  stage2Rules(AARCH64_RULES);

function stage2Rules(
  rules: Readonly<Record<AArch64RuleName, AArch64Rule>>,
): Readonly<Record<AArch64RuleName, AArch64Rule>> {
  const mapped = { ...rules };
  for (const name of Object.keys(rules).filter(isRuleName)) {
    const { fault, id, reason, source, text } = rules[name];
    mapped[name] = make(
      id.replace('aarch64.', 'aarch64.s2-'),
      reason,
      fault,
      source,
      `stage 2: ${text.replace('SCTLR.M=0 or HCR.DC=1', 'HCR.VM=0').replace('TTBRn', 'VTTBR')}`,
    );
  }
  return mapped;
}

function isRuleName(name: string): name is AArch64RuleName {
  return Object.hasOwn(AARCH64_RULES, name);
}

/** Stage 2's form of a rule. */
export const STAGE2_RULE_OF: ReadonlyMap<AArch64Rule, AArch64Rule> = /* @__PURE__ */ new Map(
  Object.keys(AARCH64_RULES)
    .filter(isRuleName)
    .map((name) => [AARCH64_RULES[name], AARCH64_STAGE2_RULES[name]]),
);

/** The kind of an access and whether it is EL0's: the load of a read-modify-write counts as the store. */
export function rowOf(access: number): number {
  const store = (access & Access.ReadModifyWrite) !== 0 ? Access.Write : 0;
  const unprivileged = (access & (Access.User | Access.Unprivileged)) !== 0 ? ROW_EL0 : 0;
  return (access & 3) | store | unprivileged;
}
