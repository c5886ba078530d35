import { Access } from '../core/index.js';
import { AARCH64_PTE, AARCH64_PTE_HIGH } from '../pte/index.js';
import { AARCH64_RULES, type AArch64Rule } from './aarch64-rules.js';
import { AARCH64_STAGE2_RULES } from './aarch64-stage2-rules.js';

const { AP1, AP2 } = AARCH64_PTE;
const { APTable0, APTable1, DBM, PXN, PXNTable, UXN, UXNTable } = AARCH64_PTE_HIGH;

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
/** In permission bits, with what the tables take away: EL0 may not access. */
export const NO_EL0_ACCESS = 1;
/** See {@link NO_EL0_ACCESS}: AP[2]. */
export const READ_ONLY = 2;
/** See {@link NO_EL0_ACCESS}: PXN. */
export const NO_EL1_EXECUTE = 4;
/** See {@link NO_EL0_ACCESS}: UXN. */
export const NO_EL0_EXECUTE = 8;
/** In permission bits of stage 2: S2AP[0] is clear. XN[1:0] are bits 3:2. */
export const NO_READ = 1;
/** See {@link NO_READ}: S2AP[1]. */
export const WRITABLE = 2;

/** The kind of an access and whether it is EL0's: the load of a read-modify-write counts as the store. */
export function rowOf(access: number): number {
  const store = (access & Access.ReadModifyWrite) !== 0 ? Access.Write : 0;
  const unprivileged = (access & (Access.User | Access.Unprivileged)) !== 0 ? ROW_EL0 : 0;
  return (access & 3) | store | unprivileged;
}

/** The same in stage 2, where a read-modify-write needs both rights, which S2AP gives one by one. */
export function stage2RowOf(access: number): number {
  return rowOf(access) | ((access & Access.ReadModifyWrite) !== 0 ? ROW_ATOMIC : 0);
}

/** The accesses of the EL1&0 regime. */
const STAGE1_ACCESS = 3 | Access.User | Access.Unprivileged | Access.ReadModifyWrite;

/** A fetch is neither half of a read-modify-write nor made by LDTR; LDTR is EL1's. */
export function isStage1Access(access: number): boolean {
  const unprivileged = (access & Access.Unprivileged) !== 0;
  return (
    (access & ~STAGE1_ACCESS) === 0 &&
    (rowOf(access) & 3) !== 3 &&
    !(unprivileged && ((access & Access.User) !== 0 || (access & 3) === Access.Fetch))
  );
}

/** The accesses of stage 1 to stage 2: whose they are matters to execution alone. */
const STAGE2_ACCESS = 3 | Access.User | Access.ReadModifyWrite | Access.ImplicitSupervisor;

/** A fetch is never half of a read-modify-write. */
export function isStage2Access(access: number): boolean {
  return (access & ~STAGE2_ACCESS) === 0 && (rowOf(access) & 3) !== 3;
}

/** The AP, PXN and UXN bits of a leaf with what its tables take away, as the permission table wants them. */
export function permissionBits(
  low: number,
  high: number,
  tables: number,
  dirtyManaged: boolean,
): number {
  const writable = dirtyManaged && (high & DBM) !== 0;
  const readOnly = ((low & AP2) !== 0 && !writable) || (tables & APTable1) !== 0;
  const user = (low & AP1) !== 0 && (tables & APTable0) === 0;
  const noEl1 = (high & PXN) !== 0 || (tables & PXNTable) !== 0;
  const noEl0 = (high & UXN) !== 0 || (tables & UXNTable) !== 0;
  return (
    (user ? 0 : NO_EL0_ACCESS) |
    (readOnly ? READ_ONLY : 0) |
    (noEl1 ? NO_EL1_EXECUTE : 0) |
    (noEl0 ? NO_EL0_EXECUTE : 0)
  );
}

/** Which rule decides about permission (D8 Data access permissions, Instruction execution permissions). */
function stage1Rule(row: number, bits: number): AArch64Rule {
  const kind = row & 3;
  const readOnly = (bits & READ_ONLY) !== 0;
  const userPage = (bits & NO_EL0_ACCESS) === 0;
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

/** Which rule of stage 2 decides about permission (D8 Stage 2 permissions). */
function stage2Rule(row: number, bits: number): AArch64Rule {
  const kind = row & 3;
  if (kind === Access.Fetch) {
    // XN: 0 executable, 1 at EL0 only, 2 not at all, 3 at EL1 only.
    const executable =
      (row & ROW_EL0) !== 0 ? [true, true, false, false] : [true, false, false, true];
    return executable[bits >>> 2]!
      ? AARCH64_STAGE2_RULES.translated
      : AARCH64_STAGE2_RULES.notExecutable;
  }
  if ((kind === Access.Read || (row & ROW_ATOMIC) !== 0) && (bits & NO_READ) !== 0) {
    return AARCH64_STAGE2_RULES.notReadable;
  }
  return kind === Access.Write && (bits & WRITABLE) === 0
    ? AARCH64_STAGE2_RULES.notWritable
    : AARCH64_STAGE2_RULES.translated;
}

/** The rules of permission of a stage, and which of them decides. */
export interface AArch64Permissions {
  /** First the one that lets everything through. */
  readonly rules: readonly AArch64Rule[];
  /** By row and permission bits, the number of a rule. */
  readonly table: Uint8Array;
  /**
   * For the fast path, by state (the bits of a row from {@link ROW_PAN} up) and whether EL0 may use the half (0) or not (8):
   * by access, a bitmap of the permission bits that allow it; bit 4 of these is DBM, while hardware keeps dirty state.
   */
  readonly allowed: readonly Int32Array[];
}

/** Rows of a table. */
const ROWS = 64;
/** In the numbers of {@link AArch64Permissions.allowed}: E0PD. */
export const STATE_E0PD = 8;
/** {@link ROW_PAN} as a shift. */
export const STATE_SHIFT = 3;
/** Every access of AArch64 is below. */
const ACCESSES = 64;

function permissions(
  rules: readonly AArch64Rule[],
  ruleOf: (row: number, bits: number) => AArch64Rule,
  rowFor: (access: number) => number | null,
  writable: number,
): AArch64Permissions {
  const table = Uint8Array.from({ length: ROWS * 16 }, (_, at) =>
    rules.indexOf(ruleOf(at >> 4, at & 15)),
  );
  // What DBM makes writable may be clean: then a store has a bit to set, and everything else may do what it may there.
  const allows = (row: number, bits: number): boolean => {
    const clean = bits >= 16 && (bits & 2) !== writable;
    if (clean && (row & 3) === Access.Write) return false;
    return table[(row << 4) | (clean ? (bits & 13) | writable : bits & 15)] === 0;
  };
  const allowed = Array.from({ length: 16 }, (_, state) =>
    Int32Array.from({ length: ACCESSES }, (_, access) => {
      const own = rowFor(access);
      if (own === null || (state >= STATE_E0PD && (own & ROW_EL0) !== 0)) return 0;
      const row = own | ((state % STATE_E0PD) << STATE_SHIFT);
      let map = 0;
      for (let bits = 0; bits < 32; bits++) if (allows(row, bits)) map |= 1 << bits;
      return map;
    }),
  );
  return { rules, table, allowed };
}

/** Those of stage 1. */
export const STAGE1_PERMISSIONS: AArch64Permissions = /* @__PURE__ */ permissions(
  [
    AARCH64_RULES.translated,
    AARCH64_RULES.supervisorPage,
    AARCH64_RULES.privilegedAccessNever,
    AARCH64_RULES.notWritable,
    AARCH64_RULES.notExecutable,
    AARCH64_RULES.userWritable,
    AARCH64_RULES.writableExecuteNever,
  ],
  stage1Rule,
  (access) => (isStage1Access(access) ? rowOf(access) : null),
  0,
);

/** Those of stage 2. */
export const STAGE2_PERMISSIONS: AArch64Permissions = /* @__PURE__ */ permissions(
  [
    AARCH64_STAGE2_RULES.translated,
    AARCH64_STAGE2_RULES.notReadable,
    AARCH64_STAGE2_RULES.notWritable,
    AARCH64_STAGE2_RULES.notExecutable,
  ],
  stage2Rule,
  (access) => (isStage2Access(access) ? stage2RowOf(access) : null),
  WRITABLE,
);
