import { type AArch64CommonRuleName, type AArch64Rule, aarch64Rule } from './aarch64-rules.js';

const ARM = 'Arm ARM DDI 0487';
const WALK = `${ARM}, D8 Translation process`;
const OUTPUT = `${ARM}, D8 Output address size`;
const DISABLED = `${ARM}, D8 The effects of disabling an address translation stage`;
const PERMISSIONS = `${ARM}, D8 Stage 2 permissions`;
const HARDWARE = `${ARM}, D8 Hardware updates to the translation tables`;

/**
 * The short names of {@link AARCH64_STAGE2_RULES}.
 *
 * @public
 */
export type AArch64Stage2RuleName = AArch64CommonRuleName | 'notReadable' | 'deviceTable';

const make = aarch64Rule;

/**
 * Every rule that can decide a stage 2 walk of AArch64.
 *
 * @public
 */
export const AARCH64_STAGE2_RULES: Readonly<Record<AArch64Stage2RuleName, AArch64Rule>> = {
  translated: make(
    'aarch64.s2-translated',
    null,
    'Translation',
    WALK,
    'the translation succeeds in stage 2',
  ),
  off: make(
    'aarch64.s2-off',
    null,
    'Translation',
    DISABLED,
    'HCR.VM=0 and HCR.DC=0: the intermediate address is the physical one',
  ),
  offAddressSize: make(
    'aarch64.s2-off-address-size',
    'address-size',
    'AddressSize',
    DISABLED,
    'with stage 2 off, address bits beyond the physical address size must be 0: address size fault',
  ),
  outOfRange: make(
    'aarch64.s2-out-of-range',
    'non-canonical',
    'Translation',
    `${ARM}, D8 Input address size`,
    'the intermediate address has bits above the input size of VTCR.T0SZ: translation fault, level 0',
  ),
  badConfiguration: make(
    'aarch64.s2-bad-configuration',
    'walk-disabled',
    'Translation',
    `${ARM}, VTCR_EL2`,
    'VTCR.T0SZ is outside the range of this granule and CPU, or SL0 and SL2 name a start level that there is not or that does not fit it: translation fault, level 0',
  ),
  rootAddressSize: make(
    'aarch64.s2-root-address-size',
    'address-size',
    'AddressSize',
    OUTPUT,
    'VTTBR names a table beyond the output size: address size fault, level 0',
  ),
  tableMissing: make(
    'aarch64.s2-table-missing',
    'bus-error',
    'ExternalAbortOnWalk',
    WALK,
    'there is no memory where the stage 2 descriptor should be: synchronous external abort on the walk',
  ),
  invalid: make(
    'aarch64.s2-invalid',
    'not-present',
    'Translation',
    `${ARM}, D8 Translation table descriptor formats`,
    'bit 0 of the stage 2 descriptor is clear, or it is of a kind that this level does not have: translation fault',
  ),
  tableAddressSize: make(
    'aarch64.s2-table-address-size',
    'address-size',
    'AddressSize',
    OUTPUT,
    'the next stage 2 table lies beyond the output size: address size fault',
  ),
  leafAddressSize: make(
    'aarch64.s2-leaf-address-size',
    'address-size',
    'AddressSize',
    OUTPUT,
    'the output address of stage 2 lies beyond the output size: address size fault',
  ),
  accessFlag: make(
    'aarch64.s2-access-flag',
    'accessed-clear',
    'AccessFlag',
    `${ARM}, D8 The Access flag`,
    'AF=0 in the stage 2 descriptor and hardware does not set it: access flag fault',
  ),
  notReadable: make(
    'aarch64.s2-not-readable',
    'not-readable',
    'Permission',
    PERMISSIONS,
    'S2AP[0]=0: stage 2 allows no read: permission fault',
  ),
  notWritable: make(
    'aarch64.s2-not-writable',
    'not-writable',
    'Permission',
    PERMISSIONS,
    'S2AP[1]=0: stage 2 allows no write: permission fault',
  ),
  notExecutable: make(
    'aarch64.s2-not-executable',
    'not-executable',
    'Permission',
    PERMISSIONS,
    'XN[1:0]: stage 2 allows no execution at this exception level: permission fault',
  ),
  deviceTable: make(
    'aarch64.s2-device-table',
    'physical-protection',
    'Permission',
    `${ARM}, HCR_EL2.PTW`,
    'HCR.PTW=1: a stage 1 table lies in memory that stage 2 makes Device: permission fault',
  ),
  updateMissing: make(
    'aarch64.s2-update-missing',
    'bus-error',
    'ExternalAbortOnWalk',
    `${ARM}, ESR_EL2, DFSC: external abort on translation table walk or hardware update of translation table`,
    'the stage 2 descriptor cannot be written to set AF or dirty state: synchronous external abort, as of the walk',
  ),
  contended: make(
    'aarch64.s2-contended',
    'contended',
    'AccessFlag',
    HARDWARE,
    'the stage 2 descriptor changed at every attempt to set AF or dirty state: reported as an access flag fault, after which software sets AF or retries',
  ),
};
