import { rule, type WalkRule } from './rule.js';

const SDM = 'Intel SDM Vol. 3C';
const TRANSLATION = `${SDM}, 29.3.2 EPT Translation Mechanism`;
const MISCONFIGURATION = `${SDM}, 29.3.3.1 EPT Misconfigurations`;
const VIOLATION = `${SDM}, 29.3.3.2 EPT Violations`;

/**
 * The short names of {@link EPT_RULES}.
 *
 * @public
 */
export type EptRuleName =
  | 'translated'
  | 'outOfRange'
  | 'tableMissing'
  | 'notPresent'
  | 'writeWithoutRead'
  | 'executeOnly'
  | 'reservedBits'
  | 'memoryType'
  | 'notReadable'
  | 'notWritable'
  | 'notExecutable'
  | 'updateMissing'
  | 'contended';

/**
 * Every rule that can decide an EPT walk. Those of reason `reserved-bits` are misconfigurations, `bus-error` is the
 * platform's, all other refusals are EPT violations.
 *
 * @public
 */
export const EPT_RULES: Readonly<Record<EptRuleName, WalkRule>> = {
  translated: rule('ept.translated', null, TRANSLATION, 'the translation succeeds'),
  outOfRange: rule(
    'ept.out-of-range',
    'non-canonical',
    TRANSLATION,
    'the guest-physical address has more bits than the EPT levels translate: EPT violation',
  ),
  tableMissing: rule(
    'ept.table-missing',
    'bus-error',
    TRANSLATION,
    'there is no memory where the EPT entry should be; the platform decides',
  ),
  notPresent: rule(
    'ept.not-present',
    'not-present',
    VIOLATION,
    'bits 2:0 (and with mode-based execute control bit 10) are 0: EPT violation',
  ),
  writeWithoutRead: rule(
    'ept.write-without-read',
    'reserved-bits',
    MISCONFIGURATION,
    'W=1 with R=0: EPT misconfiguration',
  ),
  executeOnly: rule(
    'ept.execute-only',
    'reserved-bits',
    MISCONFIGURATION,
    'executable without R, which this CPU does not support: EPT misconfiguration',
  ),
  reservedBits: rule(
    'ept.reserved-bits',
    'reserved-bits',
    MISCONFIGURATION,
    'a reserved bit is set in a present entry: EPT misconfiguration',
  ),
  memoryType: rule(
    'ept.memory-type',
    'reserved-bits',
    MISCONFIGURATION,
    'memory type 2, 3 or 7 in a leaf: EPT misconfiguration',
  ),
  notReadable: rule(
    'ept.not-readable',
    'not-readable',
    VIOLATION,
    'a read needs R=1 in every entry: EPT violation',
  ),
  notWritable: rule(
    'ept.not-writable',
    'not-writable',
    VIOLATION,
    'a write needs W=1 in every entry; so do guest table accesses while accessed and dirty flags are enabled: EPT violation',
  ),
  notExecutable: rule(
    'ept.not-executable',
    'not-executable',
    VIOLATION,
    'a fetch needs X=1 in every entry, from user-mode addresses XU=1 with mode-based execute control: EPT violation',
  ),
  updateMissing: rule(
    'ept.update-missing',
    'bus-error',
    `${SDM}, 29.3.5 Accessed and Dirty Flags for EPT`,
    'an EPT entry cannot be written to set its accessed or dirty flag; the platform decides',
  ),
  contended: rule(
    'ept.contended',
    'contended',
    `${SDM}, 29.3.5 Accessed and Dirty Flags for EPT`,
    'an EPT entry changed at every attempt to set a flag; the access may be retried',
  ),
};
