import { Access, Prot } from '../core/index.js';
import type { FormatPolicy } from './format-options.js';
import { rule, type WalkRule } from './rule.js';

const SOURCE = 'the definition of the format';

/**
 * The short names of {@link FORMAT_RULES}.
 *
 * @public
 */
export type FormatRuleName =
  | 'translated'
  | 'outOfRange'
  | 'tableMissing'
  | 'invalid'
  | 'reservedBits'
  | 'writeOnly'
  | 'noLeaf'
  | 'misaligned'
  | 'supervisorPage'
  | 'userPage'
  | 'notReadable'
  | 'notWritable'
  | 'notExecutable'
  | 'accessedClear'
  | 'dirtyClear'
  | 'updateMissing'
  | 'contended';

/**
 * Every rule that can decide a walk in a format of your own.
 *
 * @public
 */
export const FORMAT_RULES: Readonly<Record<FormatRuleName, WalkRule>> = {
  translated: rule('format.translated', null, SOURCE, 'the translation succeeds'),
  outOfRange: rule(
    'format.out-of-range',
    'non-canonical',
    SOURCE,
    'the address has bits beyond the virtual address width, or does not repeat its top bit there',
  ),
  tableMissing: rule(
    'format.table-missing',
    'bus-error',
    SOURCE,
    'there is no memory where the entry should be',
  ),
  invalid: rule('format.invalid', 'not-present', SOURCE, 'the valid bit is clear'),
  reservedBits: rule(
    'format.reserved-bits',
    'reserved-bits',
    SOURCE,
    'a bit that must be 0 is set in a valid entry',
  ),
  writeOnly: rule(
    'format.write-only',
    'reserved-bits',
    SOURCE,
    'a leaf that may be written and not read is reserved',
  ),
  noLeaf: rule('format.no-leaf', 'no-leaf', SOURCE, 'the entry of the last level is a pointer'),
  misaligned: rule(
    'format.misaligned',
    'misaligned-leaf',
    SOURCE,
    'the frame of a huge page must be aligned to its size',
  ),
  supervisorPage: rule(
    'format.supervisor-page',
    'supervisor-page',
    SOURCE,
    'user mode needs the user right',
  ),
  userPage: rule(
    'format.user-page',
    'user-page',
    SOURCE,
    'the walker does not let the supervisor use pages of user mode in this way',
  ),
  notReadable: rule('format.not-readable', 'not-readable', SOURCE, 'a load needs the read right'),
  notWritable: rule('format.not-writable', 'not-writable', SOURCE, 'a store needs the write right'),
  notExecutable: rule(
    'format.not-executable',
    'not-executable',
    SOURCE,
    'a fetch needs the execute right',
  ),
  accessedClear: rule(
    'format.accessed-clear',
    'accessed-clear',
    SOURCE,
    'the accessed bit is clear, and software sets it',
  ),
  dirtyClear: rule(
    'format.dirty-clear',
    'dirty-clear',
    SOURCE,
    'a store finds the dirty bit clear, and software sets it',
  ),
  updateMissing: rule(
    'format.update-missing',
    'bus-error',
    SOURCE,
    'the entry cannot be written to set its accessed or dirty bit',
  ),
  contended: rule(
    'format.contended',
    'contended',
    SOURCE,
    'the entry changed at every attempt to set a bit; the access may be retried',
  ),
};

/** Whether an access stores: the load of a read-modify-write counts as its store. */
export function isStore(access: number): boolean {
  return (access & (Access.Write | Access.ReadModifyWrite)) !== 0;
}

/**
 * The rule of rights that refuses an access, or `null`.
 *
 * @param policy - What the machine does.
 * @param access - `Access` bits.
 * @param rights - What the entries leave, as `Prot` bits.
 * @param owned - Whether pages belong to user mode or the supervisor: without a user bit they belong to nobody.
 */
export function rightsRule(
  policy: Required<FormatPolicy>,
  access: number,
  rights: number,
  owned: boolean,
): WalkRule | null {
  const user = (access & Access.User) !== 0;
  const fetch = (access & 3) === Access.Fetch;
  const store = isStore(access);
  const userPage = (rights & Prot.User) !== 0;
  if (user && !userPage) return FORMAT_RULES.supervisorPage;
  const wanted = fetch ? Prot.Execute : store ? Prot.Write : Prot.Read;
  if (!user && userPage && owned && (policy.supervisorOnUserPages & wanted) === 0) {
    return FORMAT_RULES.userPage;
  }
  if (fetch) return (rights & Prot.Execute) !== 0 ? null : FORMAT_RULES.notExecutable;
  if (store) {
    const waived = !user && policy.supervisorIgnoresWrite;
    return (rights & Prot.Write) !== 0 || waived ? null : FORMAT_RULES.notWritable;
  }
  const readable = Prot.Read | (policy.executableIsReadable ? Prot.Execute : 0);
  return (rights & readable) !== 0 ? null : FORMAT_RULES.notReadable;
}
