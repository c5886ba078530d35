import { Access, Prot } from '../core/index.js';
import { X86_PTE } from '../pte/index.js';
import { rule, type WalkRule } from './rule.js';

const SDM = 'Intel SDM Vol. 3A';
const ACCESS_RIGHTS = `${SDM}, 4.6.1 Determination of Access Rights`;
const ERROR_CODE = `${SDM}, 4.7 Page-Fault Exceptions`;

/**
 * The short names of {@link X86_RULES}.
 *
 * @public
 */
export type X86RuleName =
  | 'translated'
  | 'unpaged'
  | 'nonCanonical'
  | 'tableMissing'
  | 'notPresent'
  | 'reservedBits'
  | 'supervisorPage'
  | 'smep'
  | 'smap'
  | 'notWritable'
  | 'notExecutable'
  | 'userKey'
  | 'supervisorKey'
  | 'updateMissing'
  | 'contended';

/**
 * Every rule that can decide an x86 walk.
 *
 * @public
 */
export const X86_RULES: Readonly<Record<X86RuleName, WalkRule>> = {
  translated: rule('x86.translated', null, ACCESS_RIGHTS, 'the translation succeeds'),
  unpaged: rule(
    'x86.unpaged',
    null,
    `${SDM}, 4.1.1 Four Paging Modes`,
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
    `${SDM}, 4.2 Hierarchical Paging Structures`,
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
    ACCESS_RIGHTS,
    'user mode needs U/S=1 in every entry: #PF',
  ),
  smep: rule(
    'x86.smep',
    'user-page',
    ACCESS_RIGHTS,
    'CR4.SMEP=1: no supervisor fetch from a user page: #PF',
  ),
  smap: rule(
    'x86.smap',
    'user-page',
    ACCESS_RIGHTS,
    'CR4.SMAP=1: no supervisor data access to a user page unless explicit with EFLAGS.AC=1: #PF',
  ),
  notWritable: rule(
    'x86.not-writable',
    'not-writable',
    ACCESS_RIGHTS,
    'a write needs R/W=1 in every entry, for the supervisor only while CR0.WP=1: #PF',
  ),
  notExecutable: rule(
    'x86.not-executable',
    'not-executable',
    ACCESS_RIGHTS,
    'XD=1 in some entry forbids the fetch: #PF',
  ),
  userKey: rule(
    'x86.user-protection-key',
    'protection-key',
    `${SDM}, 4.6.2 Protection Keys`,
    'PKRU forbids the data access to this user page: #PF with PK=1',
  ),
  supervisorKey: rule(
    'x86.supervisor-protection-key',
    'protection-key',
    `${SDM}, 4.6.2 Protection Keys`,
    'IA32_PKRS forbids the data access to this supervisor page: #PF with PK=1',
  ),
  updateMissing: rule(
    'x86.update-missing',
    'bus-error',
    `${SDM}, 4.8 Accessed and Dirty Flags`,
    'an entry cannot be written to set A or D; no page fault, the platform decides',
  ),
  contended: rule(
    'x86.contended',
    'contended',
    `${SDM}, 4.8 Accessed and Dirty Flags`,
    'an entry changed at every attempt to set A or D: a spurious #PF, the access may be retried',
  ),
};

const { P, RW, US, A, D } = X86_PTE;

/** Bits 3:0 of a row are the kind, user and implicit bits of the access; the others are state. CR0.WP. */
export const ROW_WP = 0x10;
/** Row bit: CR4.SMEP. */
export const ROW_SMEP = 0x20;
/** Row bit: CR4.SMAP. */
export const ROW_SMAP = 0x40;
/** Row bit: EFLAGS.AC. */
export const ROW_AC = 0x80;

/** Whether an access counts as user mode: implicit supervisor accesses do not, at any CPL (SDM 4.6). */
export function isUser(access: number): boolean {
  return (access & (Access.User | Access.ImplicitSupervisor)) === Access.User;
}

/** The row of an access in a state: the load of a read-modify-write counts as the write that it will be. */
export function rowOf(access: number, state: number): number {
  return (access & 15) | ((access & Access.ReadModifyWrite) !== 0 ? Access.Write : 0) | state;
}

/** Whether SMAP binds this access: a supervisor's data access, implicit or with EFLAGS.AC=0. */
function smapBinds(row: number): boolean {
  const explicitAllowed = (row & ROW_AC) !== 0 && (row & Access.ImplicitSupervisor) === 0;
  return (row & ROW_SMAP) !== 0 && (row & 3) !== Access.Fetch && !isUser(row) && !explicitAllowed;
}

/** Whether SMEP binds this access: a supervisor's fetch. */
function smepBinds(row: number): boolean {
  return (row & ROW_SMEP) !== 0 && (row & 3) === Access.Fetch && !isUser(row);
}

/** Whether a row is a write that needs R/W=1: a user's always, a supervisor's while CR0.WP=1. */
export function needsWritable(row: number): boolean {
  return (row & 3) === Access.Write && (isUser(row) || (row & ROW_WP) !== 0);
}

/**
 * The rule of access rights that refuses, or `null` (SDM 4.6.1).
 *
 * @param row - The access and the state.
 * @param and - The AND of the low words of all entries.
 * @param or - The OR of their high words.
 */
export function rightsRule(row: number, and: number, or: number): WalkRule | null {
  const userPage = (and & US) !== 0;
  if (isUser(row) && !userPage) return X86_RULES.supervisorPage;
  if (userPage && smepBinds(row)) return X86_RULES.smep;
  if (userPage && smapBinds(row)) return X86_RULES.smap;
  if (needsWritable(row) && (and & RW) === 0) return X86_RULES.notWritable;
  return (row & 3) === Access.Fetch && or < 0 ? X86_RULES.notExecutable : null;
}

/** In a rights word: the place of XD, that of PS or PAT in an entry's low byte. */
export const RIGHTS_XD = 0x80;
/** In a rights word: set in every one, so that an access outside the table (`undefined`) matches nothing. */
export const RIGHTS_MARK = 0x100;

/**
 * What the AND of all entries must look like so that nothing is left to do: the wanted bits, and above bit 16 a mask of
 * the bits that matter. P, A and for writes D are wanted as well as rights.
 */
function rightsWord(row: number): number {
  const write = (row & 3) === Access.Write;
  const wanted = P | A | (write ? D : 0) | (isUser(row) ? US : 0) | (needsWritable(row) ? RW : 0);
  const noUser = smepBinds(row) || smapBinds(row) ? US : 0;
  const unwanted = noUser | ((row & 3) === Access.Fetch ? RIGHTS_XD : 0);
  return ((wanted | unwanted) << 16) | RIGHTS_MARK | wanted;
}

/** By access: {@link rightsWord} of what it counts as. Accesses that x86 does not have match nothing. */
function rightsTable(state: number, countsAs: (access: number) => number): Int32Array {
  return Int32Array.from({ length: 48 }, (_, access) =>
    (rowOf(access, 0) & 3) === 3 || (access & Access.Unprivileged) !== 0
      ? 0
      : rightsWord(rowOf(countsAs(access), state)),
  );
}

/** The tables of all states, by row bits 7:4. */
export const RIGHTS: readonly Int32Array[] = /* @__PURE__ */ Array.from(
  { length: 16 },
  (_, state) => rightsTable(state << 4, (access) => access),
);

/** Whoever makes an access in a guest: for nested paging it is a user's. */
export function asUser(access: number): number {
  return (access & ~Access.ImplicitSupervisor) | Access.User;
}

/** The table of nested paging, where no state matters. */
export const NESTED_RIGHTS: Int32Array = /* @__PURE__ */ rightsTable(0, asUser);

// The optimiser knows a module's own constants, and reads imported ones from their cells at every use (measured).
const { Read: READ, Write: WRITE, Execute: EXECUTE, User: USER } = Prot;

/** U/S and R/W of all entries, and XD of any, as {@link Prot} bits. Everything present can be read. */
export function protOf(and: number, or: number): number {
  return READ | (and & RW ? WRITE : 0) | (or < 0 ? 0 : EXECUTE) | (and & US ? USER : 0);
}
