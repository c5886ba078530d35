import { Access } from '../core/index.js';
import { X86_PTE } from '../pte/index.js';
import { rule } from './rule.js';

const SDM = 'Intel SDM Vol. 3A';
const RIGHTS = `${SDM}, 5.6.1 Determination of Access Rights`;
const ERROR_CODE = `${SDM}, 5.7 Page-Fault Exceptions`;

/**
 * Every rule that can decide an x86 walk.
 *
 * @public
 */
export const X86_RULES = {
  translated: rule('x86.translated', null, RIGHTS, 'the translation succeeds'),
  unpaged: rule(
    'x86.unpaged',
    null,
    `${SDM}, 5.1.1 Four Paging Modes`,
    'CR0.PG=0: linear addresses are physical addresses',
  ),
  nonCanonical: rule(
    'x86.non-canonical',
    'non-canonical',
    'Intel SDM Vol. 1, 3.3.7.1 Canonical Addressing',
    'the address is not canonical: #GP, or #SS for a stack reference; no page fault',
  ),
  tableMissing: rule(
    'x86.table-missing',
    'bus-error',
    `${SDM}, 5.2 Hierarchical Paging Structures`,
    'there is no memory where the entry should be; no page fault, the platform decides',
  ),
  notPresent: rule('x86.not-present', 'not-present', ERROR_CODE, 'P=0: #PF with P=0'),
  reservedBits: rule(
    'x86.reserved-bits',
    'reserved-bits',
    ERROR_CODE,
    'a reserved bit is set in a present entry: #PF with RSVD=1',
  ),
  supervisorPage: rule(
    'x86.supervisor-page',
    'supervisor-page',
    RIGHTS,
    'user mode needs U/S=1 in every entry: #PF',
  ),
  smep: rule(
    'x86.smep',
    'user-page',
    RIGHTS,
    'CR4.SMEP=1: no supervisor fetch from a user page: #PF',
  ),
  smap: rule(
    'x86.smap',
    'user-page',
    RIGHTS,
    'CR4.SMAP=1: no supervisor data access to a user page unless explicit with EFLAGS.AC=1: #PF',
  ),
  notWritable: rule(
    'x86.not-writable',
    'not-writable',
    RIGHTS,
    'a write needs R/W=1 in every entry, for the supervisor only while CR0.WP=1: #PF',
  ),
  notExecutable: rule(
    'x86.not-executable',
    'not-executable',
    RIGHTS,
    'XD=1 in some entry forbids the fetch: #PF',
  ),
  userKey: rule(
    'x86.user-protection-key',
    'protection-key',
    `${SDM}, 5.6.2 Protection Keys`,
    'PKRU forbids the data access to this user page: #PF with PK=1',
  ),
  supervisorKey: rule(
    'x86.supervisor-protection-key',
    'protection-key',
    `${SDM}, 5.6.2 Protection Keys`,
    'IA32_PKRS forbids the data access to this supervisor page: #PF with PK=1',
  ),
  updateMissing: rule(
    'x86.update-missing',
    'bus-error',
    `${SDM}, 5.8 Accessed and Dirty Flags`,
    'an entry cannot be written to set A or D; no page fault, the platform decides',
  ),
  contended: rule(
    'x86.contended',
    'contended',
    `${SDM}, 5.8 Accessed and Dirty Flags`,
    'an entry changed at every attempt to set A or D: a spurious #PF, the access may be retried',
  ),
} as const;

const { RW, US, A, D } = X86_PTE;

/** Row bit of the tables below: CR0.WP. Bits 3:0 of a row are those of the access. */
export const ROW_WP = 0x10;
/** Row bit: CR4.SMEP. */
export const ROW_SMEP = 0x20;
/** Row bit: CR4.SMAP. */
export const ROW_SMAP = 0x40;
/** Row bit: EFLAGS.AC. */
export const ROW_AC = 0x80;

/** Whether an access counts as user mode: implicit supervisor accesses do not, at any CPL (SDM 5.6). */
export function isUser(access: number): boolean {
  return (access & (Access.User | Access.ImplicitSupervisor)) === Access.User;
}

/** Whether SMAP binds this access: a supervisor's data access, implicit or with EFLAGS.AC=0. */
export function smapBinds(row: number): boolean {
  const explicitAllowed = (row & ROW_AC) !== 0 && (row & Access.ImplicitSupervisor) === 0;
  return (row & ROW_SMAP) !== 0 && (row & 2) === 0 && !isUser(row) && !explicitAllowed;
}

/** Bits that the AND of all entries (D: of the leaf alone) must have, for every row: rights, and A and D already set. */
export const NEEDED: Int32Array = /* @__PURE__ */ Int32Array.from({ length: 256 }, (_, row) => {
  const write = (row & 3) === Access.Write;
  let bits: number = write ? A | D : A;
  if (isUser(row)) bits |= US;
  if (write && (isUser(row) || (row & ROW_WP) !== 0)) bits |= RW;
  // Kind 3 is no access: ask for a bit that the AND, cut to the low byte, never has.
  return (row & 3) === 3 ? 0x100 : bits;
});

/** Bits that the AND of all entries must not have, for every row: U/S where SMEP or SMAP binds. */
export const FORBIDDEN: Int32Array = /* @__PURE__ */ Int32Array.from({ length: 256 }, (_, row) => {
  const smepBinds = (row & ROW_SMEP) !== 0 && (row & 3) === Access.Fetch && !isUser(row);
  return smepBinds || smapBinds(row) ? US : 0;
});
