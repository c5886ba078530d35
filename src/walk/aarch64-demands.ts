import { Access, Prot } from '../core/index.js';
import { rowOf, STAGE1_PERMISSIONS } from './aarch64-permission.js';
import { ACCESS_END, type Demands, NEVER, tabulate } from './demands.js';

/** Every access of stage 1 is below. */
const ACCESSES = 64;
/** States of PAN, EPAN and WXN. */
const STATES = 8;

/** By state and access, and by permission bits with DBM as bit 4, as `STAGE1_PERMISSIONS.allowed` has them. */
const DEMANDS: Demands = /* @__PURE__ */ tabulate(STATES * ACCESSES, 32, (row, permission) => {
  const allowed = STAGE1_PERMISSIONS.allowed[row >>> 6]![row & (ACCESSES - 1)]!;
  return ((allowed >>> permission) & 1) === 1;
});

/** By permission bits. */
export const AARCH64_GRANTS: Int32Array = /* @__PURE__ */ (() => DEMANDS.grants)();

// What stage 2 leaves.
const HOST_READ = 1 << 24;
const HOST_WRITE = 1 << 25;
const HOST_ATOMIC = 1 << 26;
const HOST_EXECUTE_EL0 = 1 << 27;
const HOST_EXECUTE_EL1 = 1 << 28;
/** A stage 1 that is off serves every row. */
export const EVERY_ROW: number = (1 << 24) - 1;
/** Where there is no stage 2. */
export const ALL_HOST: number =
  HOST_READ | HOST_WRITE | HOST_ATOMIC | HOST_EXECUTE_EL0 | HOST_EXECUTE_EL1;
/** What the EL0 rows demand: E0PD takes half of the addresses away from EL0, whatever the entry. */
export const EL0: number = 1 << 29;

function hostDemand(access: number): number {
  const row = rowOf(access);
  if ((access & Access.ReadModifyWrite) !== 0) return HOST_ATOMIC;
  if ((row & 3) === Access.Write) return HOST_WRITE;
  if ((row & 3) === Access.Read) return HOST_READ;
  return row & 4 ? HOST_EXECUTE_EL0 : HOST_EXECUTE_EL1;
}

/** What stage 2 grants after an access that it let through: that, and reads where the page is readable. */
export function hostGrants(prot: number, access: number): number {
  const readable = (prot & Prot.Read) !== 0;
  return (readable ? HOST_READ : 0) | hostDemand(access) | writeWithAtomic(access);
}

/** Who may read and write may write. */
function writeWithAtomic(access: number): number {
  return (access & Access.ReadModifyWrite) !== 0 ? HOST_WRITE : 0;
}

/** The tables of all states, by bits PAN, EPAN and WXN. */
export const AARCH64_DEMAND_TABLES: readonly Int32Array[] = /* @__PURE__ */ Array.from(
  { length: STATES },
  (_, state) =>
    Int32Array.from({ length: ACCESS_END }, (__, access) => {
      const own = access < ACCESSES ? DEMANDS.byRow[state * ACCESSES + access]! : NEVER;
      if (own === NEVER) return NEVER;
      return own | hostDemand(access) | ((rowOf(access) & 4) !== 0 ? EL0 : 0);
    }),
);
