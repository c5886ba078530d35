/**
 * One memory access as one integer: what is done, and on whose behalf. Bits are or-ed together.
 *
 * ```text
 *   7       6       5           4            3          2      1   0
 *  +-------+-------+-----------+------------+----------+------+-------+
 *  |Machine| Hlvx  |ReadModify |Unprivileged| Implicit | User | kind  |
 *  |       |       |  Write    |            |Supervisor|      |0 1 2  |
 *  +-------+-------+-----------+------------+----------+------+-------+
 * ```
 *
 * Without `User` and `Machine` the access is a supervisor's. Everything that changes from access to access in an
 * emulator is here or in a walker's plain fields, so changing it costs nothing.
 *
 * @example
 * ```ts
 * import { Access } from 'pagewright/core';
 *
 * Access.Write | Access.User; // => 5
 * ```
 * @public
 */
export const Access = {
  /** Kind 0: a data load. */
  Read: 0,
  /** Kind 1: a data store. */
  Write: 1,
  /** Kind 2: an instruction fetch. */
  Fetch: 2,
  /** Made in user mode: CPL 3 on x86, U-mode on RISC-V, EL0 on AArch64. */
  User: 4,
  /**
   * x86: an implicit supervisor access (to a descriptor table, for instance), which SMAP forbids whatever EFLAGS.AC
   * says (Intel SDM Vol. 3A, 4.6.1). In a RISC-V G stage: an access to a VS-stage table, which MXR does not help. In an
   * AArch64 stage 2: an access to a stage 1 table, which HCR_EL2.PTW may forbid and which faults with S1PTW.
   */
  ImplicitSupervisor: 8,
  /** An unprivileged access made by privileged software (AArch64 LDTR and STTR). */
  Unprivileged: 16,
  /** The load of an atomic read-modify-write: it needs the rights of a store, and faults as one. */
  ReadModifyWrite: 32,
  /** RISC-V HLVX: a load that needs execute instead of read permission. */
  Hlvx: 64,
  /** RISC-V M-mode: not translated, unless mstatus.MPRV lends a load or store another privilege. */
  Machine: 128,
} as const;

/**
 * The three kinds of access, as the low two bits of an access say it.
 *
 * @public
 */
export type AccessKind = 'read' | 'write' | 'fetch';

/**
 * An access spelled out, as reports show it.
 *
 * @public
 */
export interface AccessDescription {
  /** What is done. */
  readonly kind: AccessKind;
  /** On whose behalf. */
  readonly privilege: 'user' | 'supervisor' | 'machine';
  /** The further bits that are set, by their names in {@link Access}. */
  readonly modifiers: readonly string[];
}

const MODIFIERS = ['ImplicitSupervisor', 'Unprivileged', 'ReadModifyWrite', 'Hlvx'] as const;

/**
 * Spells an access out.
 *
 * @param access - An integer made of {@link Access} bits.
 * @returns Plain data.
 * @public
 */
export function describeAccess(access: number): AccessDescription {
  return {
    kind: (access & 3) === Access.Fetch ? 'fetch' : access & Access.Write ? 'write' : 'read',
    privilege: access & Access.Machine ? 'machine' : access & Access.User ? 'user' : 'supervisor',
    modifiers: MODIFIERS.filter((name) => (access & Access[name]) !== 0),
  };
}

/**
 * Whether a value is a well-formed access: known bits only, and a kind below 3.
 *
 * @param access - Any number; of anything else, which the compiler would refuse, it is told that it is none.
 * @returns `true` when it is one.
 * @public
 */
export function isAccess(access: number): boolean {
  return typeof access === 'number' && (access & 0xff) === access && (access & 3) !== 3;
}

/**
 * What a mapping allows, or-ed together. A mapping without `User` is the supervisor's.
 *
 * @public
 */
export const Prot = {
  /** May be loaded from. */
  Read: 1,
  /** May be stored to. */
  Write: 2,
  /** May be executed. */
  Execute: 4,
  /** Belongs to user mode. */
  User: 8,
} as const;

/**
 * Rights in four letters, such as `r-xu`.
 *
 * @param prot - {@link Prot} bits.
 * @returns The letters, with `-` for what is missing.
 *
 * @example
 * ```ts
 * import { formatProt, Prot } from 'pagewright/core';
 *
 * formatProt(Prot.Read | Prot.Execute | Prot.User); // => 'r-xu'
 * ```
 * @public
 */
export function formatProt(prot: number): string {
  return [...'rwxu'].map((letter, bit) => ((prot >>> bit) & 1 ? letter : '-')).join('');
}
