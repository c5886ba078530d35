import { Access } from '../core/index.js';
import { RISCV_PTE } from '../pte/index.js';
import { rule, type WalkRule } from './rule.js';

const PROCESS = 'RISC-V Privileged, 12.3.2 Virtual Address Translation Process';
const PMP = 'RISC-V Privileged, 3.7.1 Physical Memory Protection CSRs';

/**
 * The short names of {@link RISCV_RULES}.
 *
 * @public
 */
export type RiscvRuleName =
  | 'translated'
  | 'bare'
  | 'nonCanonical'
  | 'tableMissing'
  | 'tableProtected'
  | 'invalid'
  | 'writeOnly'
  | 'reservedBits'
  | 'pbmtReserved'
  | 'pointerReserved'
  | 'noLeaf'
  | 'supervisorPage'
  | 'userPage'
  | 'userPageFetch'
  | 'notReadable'
  | 'notWritable'
  | 'notExecutable'
  | 'misaligned'
  | 'napotReserved'
  | 'accessedClear'
  | 'dirtyClear'
  | 'updateProtected'
  | 'updateMissing'
  | 'contended'
  | 'targetProtected';

/**
 * Every rule that can decide a RISC-V walk.
 *
 * @public
 */
export const RISCV_RULES: Readonly<Record<RiscvRuleName, WalkRule>> = {
  translated: rule('riscv.translated', null, `${PROCESS}, step 10`, 'the translation succeeds'),
  bare: rule(
    'riscv.bare',
    null,
    'RISC-V Privileged, 12.1.11 satp',
    'no translation: satp.MODE is Bare, or the effective privilege is M',
  ),
  nonCanonical: rule(
    'riscv.non-canonical',
    'non-canonical',
    'RISC-V Privileged, 12.4.1 Sv39 (12.5.1 Sv48, 12.6.1 Sv57): Addressing',
    'address bits above the top index must all equal its highest bit: page fault',
  ),
  tableMissing: rule(
    'riscv.table-missing',
    'bus-error',
    `${PROCESS}, step 2`,
    'there is no memory where the entry should be: access fault',
  ),
  tableProtected: rule(
    'riscv.table-protected',
    'physical-protection',
    `${PROCESS}, step 2; ${PMP}`,
    'PMP does not let S-mode read the entry: access fault',
  ),
  invalid: rule('riscv.invalid', 'not-present', `${PROCESS}, step 3`, 'V=0: page fault'),
  writeOnly: rule(
    'riscv.write-only',
    'reserved-bits',
    `${PROCESS}, step 3`,
    'R=0 with W=1 is reserved: page fault',
  ),
  reservedBits: rule(
    'riscv.reserved-bits',
    'reserved-bits',
    `${PROCESS}, step 3`,
    'a bit that no enabled extension defines is set: page fault',
  ),
  pbmtReserved: rule(
    'riscv.pbmt-reserved',
    'reserved-bits',
    'RISC-V Privileged, 12.8 Svpbmt',
    'PBMT=3 is reserved: page fault',
  ),
  pointerReserved: rule(
    'riscv.pointer-reserved',
    'reserved-bits',
    'RISC-V Privileged, 12.4.1 Sv39: Addressing and Memory Protection',
    'a pointer with D, A, U, N or PBMT set is reserved: page fault',
  ),
  noLeaf: rule(
    'riscv.no-leaf',
    'no-leaf',
    `${PROCESS}, step 4`,
    'the entry at level 0 is a pointer: page fault',
  ),
  supervisorPage: rule(
    'riscv.supervisor-page',
    'supervisor-page',
    `${PROCESS}, step 6`,
    'U=0: U-mode may not use the page: page fault',
  ),
  userPage: rule(
    'riscv.user-page',
    'user-page',
    `${PROCESS}, step 6; 12.1.1.2 SUM`,
    'U=1: S-mode may not touch the page while SUM=0: page fault',
  ),
  userPageFetch: rule(
    'riscv.user-page-fetch',
    'user-page',
    `${PROCESS}, step 6; 12.1.1.2 SUM`,
    'U=1: S-mode never executes from the page: page fault',
  ),
  notReadable: rule(
    'riscv.not-readable',
    'not-readable',
    `${PROCESS}, step 8; 12.1.1.2 MXR`,
    'a load needs R (or X with MXR=1): page fault',
  ),
  notWritable: rule(
    'riscv.not-writable',
    'not-writable',
    `${PROCESS}, step 8`,
    'a store needs W: page fault',
  ),
  notExecutable: rule(
    'riscv.not-executable',
    'not-executable',
    `${PROCESS}, step 8`,
    'a fetch needs X: page fault',
  ),
  misaligned: rule(
    'riscv.misaligned-superpage',
    'misaligned-leaf',
    `${PROCESS}, step 5`,
    'the low frame bits of a superpage must be 0: page fault',
  ),
  napotReserved: rule(
    'riscv.napot-reserved',
    'reserved-bits',
    'RISC-V Privileged, 12.7 Svnapot',
    'N=1 is defined at level 0 with PPN[3:0] = 1000 (64 KiB) only: page fault',
  ),
  accessedClear: rule(
    'riscv.accessed-clear',
    'accessed-clear',
    `${PROCESS}, step 9 (Svade)`,
    'A=0 and hardware does not update it: page fault',
  ),
  dirtyClear: rule(
    'riscv.dirty-clear',
    'dirty-clear',
    `${PROCESS}, step 9 (Svade)`,
    'a store with D=0 and hardware does not update it: page fault',
  ),
  updateProtected: rule(
    'riscv.update-protected',
    'physical-protection',
    `${PROCESS}, step 9 (Svadu); ${PMP}`,
    'PMP does not let S-mode write the entry: access fault',
  ),
  updateMissing: rule(
    'riscv.update-missing',
    'bus-error',
    `${PROCESS}, step 9 (Svadu)`,
    'the entry cannot be written: access fault',
  ),
  contended: rule(
    'riscv.contended',
    'contended',
    `${PROCESS}, step 9 (Svadu)`,
    'the entry changed at every attempt to set A or D: page fault, the access may be retried',
  ),
  targetProtected: rule(
    'riscv.target-protected',
    'physical-protection',
    PMP,
    'PMP refuses the access itself: access fault',
  ),
};

/** The rules that a leaf's low byte can decide. The first means that nothing forbids the access. */
export const LEAF_RULES: readonly WalkRule[] = [
  RISCV_RULES.translated,
  RISCV_RULES.invalid,
  RISCV_RULES.writeOnly,
  RISCV_RULES.supervisorPage,
  RISCV_RULES.userPage,
  RISCV_RULES.userPageFetch,
  RISCV_RULES.notReadable,
  RISCV_RULES.notWritable,
  RISCV_RULES.notExecutable,
  RISCV_RULES.accessedClear,
  RISCV_RULES.dirtyClear,
];

const GUEST = 'RISC-V Privileged, 21.5.1 Guest Physical Address Translation';

/**
 * The short names of {@link RISCV_G_RULES}: every access there is a user's, so that no user page is forbidden.
 *
 * @public
 */
export type RiscvGRuleName = Exclude<RiscvRuleName, 'userPage' | 'userPageFetch'>;

/**
 * The rules of the G stage: those of {@link RISCV_RULES} with what differs there. Identifiers begin with `riscv.g-`.
 *
 * @public
 */
export const RISCV_G_RULES: Readonly<Record<RiscvGRuleName, WalkRule>> = {
  ...mapRules(RISCV_RULES),
  bare: rule(
    'riscv.g-bare',
    null,
    'RISC-V Privileged, 21.2.10 hgatp',
    'no second translation: hgatp.MODE is Bare',
  ),
  nonCanonical: rule(
    'riscv.g-non-canonical',
    'non-canonical',
    GUEST,
    'guest-physical address bits above the root index must be 0: guest-page fault',
  ),
  supervisorPage: rule(
    'riscv.g-supervisor-page',
    'supervisor-page',
    GUEST,
    'U=0: every access of a guest counts as a user access: guest-page fault',
  ),
};

/** The same rules for the G stage: a page fault there is a guest-page fault. */
function mapRules(
  rules: Readonly<Record<RiscvRuleName, WalkRule>>,
): Readonly<Record<RiscvGRuleName, WalkRule>> {
  const { userPage, userPageFetch, ...mapped } = rules;
  for (const name of Object.keys(mapped).filter(isGRuleName)) {
    const { id, reason, source, text } = rules[name];
    mapped[name] = rule(
      id.replace('riscv.', 'riscv.g-'),
      reason,
      `${GUEST}; ${source}`,
      text.replace('page fault', 'guest-page fault'),
    );
  }
  return mapped;
}

function isGRuleName(name: string): name is RiscvGRuleName {
  return Object.hasOwn(RISCV_RULES, name) && name !== 'userPage' && name !== 'userPageFetch';
}

/** The G stage's form of a rule. */
export const G_RULE_OF: ReadonlyMap<WalkRule, WalkRule> = /* @__PURE__ */ new Map(
  Object.keys(RISCV_RULES)
    .filter(isGRuleName)
    .map((name) => [RISCV_RULES[name], RISCV_G_RULES[name]]),
);

/** Bits 2:0 of a row are the kind and user bits of the access; the others are state. sstatus.SUM. */
export const ROW_SUM = 8;
/** Row bit: sstatus.MXR. */
export const ROW_MXR = 16;
/** Row bit: HLVX, which needs X instead of R. */
export const ROW_HLVX = 32;

const { V, R, W, X, U, A, D } = RISCV_PTE;

/** The row of an access in a state: the load of a read-modify-write counts as the store that it will be. */
export function rowOf(access: number, state: number): number {
  const store = (access & Access.ReadModifyWrite) !== 0 ? Access.Write : 0;
  return (access & 7) | store | ((access & Access.Hlvx) >>> 1) | state;
}

/** Which rule decides for a leaf's low byte, in the order of the manual's steps. */
export function leafRule(row: number, entry: number): WalkRule {
  const kind = row & 3;
  const user = (row & Access.User) !== 0;
  if ((entry & V) === 0) return RISCV_RULES.invalid;
  if ((entry & (R | W)) === W) return RISCV_RULES.writeOnly;
  if (user && (entry & U) === 0) return RISCV_RULES.supervisorPage;
  if (!user && (entry & U) !== 0) {
    if (kind === Access.Fetch) return RISCV_RULES.userPageFetch;
    if ((row & ROW_SUM) === 0) return RISCV_RULES.userPage;
  }
  const readable = row & ROW_HLVX ? X : row & ROW_MXR ? R | X : R;
  if (kind === Access.Read && (entry & readable) === 0) return RISCV_RULES.notReadable;
  if (kind === Access.Write && (entry & W) === 0) return RISCV_RULES.notWritable;
  if (kind === Access.Fetch && (entry & X) === 0) return RISCV_RULES.notExecutable;
  if ((entry & A) === 0) return RISCV_RULES.accessedClear;
  if (kind === Access.Write && (entry & D) === 0) return RISCV_RULES.dirtyClear;
  return RISCV_RULES.translated;
}

/** Accesses that the table knows: kind, user and read-modify-write bits. */
const ACCESSES = 40;

/**
 * {@link leafRule} for every access and every low byte of a leaf, as indexes into {@link LEAF_RULES}: the walk then
 * decides validity, rights, SUM, MXR and A/D with one load at `access * 256 + byte`. One table of 10 KiB for each state
 * of SUM and MXR, by row bits 4:3. Accesses that are none of RISC-V's are never let through.
 */
export const LEAF_RULE: readonly Uint8Array[] = /* @__PURE__ */ Array.from(
  { length: 4 },
  (_, state) => leafRuleTable(state << 3),
);

/** The same for the G stage, by HS-level MXR: every access there is a user's. */
export const G_LEAF_RULE: readonly Uint8Array[] = /* @__PURE__ */ [0, ROW_MXR].map((mxr) =>
  leafRuleTable(mxr | Access.User, Access.ImplicitSupervisor),
);

/** `implicit`: the bit of accesses to a VS-stage table, for which MXR means nothing. */
function leafRuleTable(state: number, implicit = 0): Uint8Array {
  const table = new Uint8Array(ACCESSES * 256).fill(1);
  for (let access = 0; access < ACCESSES; access++) {
    const known =
      (rowOf(access, 0) & 3) !== 3 &&
      (access & ~implicit & (Access.ImplicitSupervisor | Access.Unprivileged)) === 0;
    const row = rowOf(access, (access & implicit) !== 0 ? state & ~ROW_MXR : state);
    for (let entry = 0; known && entry < 256; entry++) {
      table[(access << 8) | entry] = LEAF_RULES.indexOf(leafRule(row, entry));
    }
  }
  return table;
}
