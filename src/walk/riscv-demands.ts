import { Access, Prot } from '../core/index.js';
import { RISCV_PTE } from '../pte/index.js';
import { ACCESS_END, type Demands, NEVER, tabulate } from './demands.js';
import { leafRule, RISCV_RULES, ROW_HLVX, ROW_MXR, rowOf } from './riscv-rules.js';

/** Rows of `leafRule`: kind, user, SUM, MXR, HLVX. */
const ROWS = 64;

/** By row, and by the low byte of a leaf. */
export const RISCV_DEMANDS: Demands = /* @__PURE__ */ tabulate(ROWS, 256, (row, entry) => {
  if ((row & 3) === 3) return false;
  if ((row & ROW_HLVX) !== 0 && (row & 3) !== Access.Read) return false;
  return leafRule(row, entry) === RISCV_RULES.translated;
});

/** A first stage that is off serves every row. */
export const EVERY_ROW: number = (1 << 24) - 1;

// What a G stage and the PMP leave, beside the bits of rows.
export const HOST_READ: number = 1 << 24;
/** With sstatus.MXR of HS-mode. */
export const HOST_READ_MXR: number = 1 << 25;
export const HOST_WRITE: number = 1 << 26;
export const HOST_EXECUTE: number = 1 << 27;

/** What rights of a page grant beyond the first stage, where nothing but the page decides. */
export function hostGrants(prot: number): number {
  const readable = (prot & Prot.Read) !== 0;
  const executable = (prot & Prot.Execute) !== 0;
  return (
    (readable ? HOST_READ : 0) |
    (readable || executable ? HOST_READ_MXR : 0) |
    ((prot & Prot.Write) !== 0 ? HOST_WRITE : 0) |
    (executable ? HOST_EXECUTE : 0)
  );
}

/** What the first stage wants of the second for a row. */
function hostDemand(row: number, hostMxr: boolean): number {
  if ((row & 3) === Access.Write) return HOST_WRITE;
  if ((row & 3) === Access.Fetch || (row & ROW_HLVX) !== 0) return HOST_EXECUTE;
  return hostMxr ? HOST_READ_MXR : HOST_READ;
}

/** Of a state: whose access it is, once M-mode and MPRV have been looked at; a privilege of 3 is not translated. */
export function riscvDemandTable(
  state: number,
  privilegeOf: (access: number) => number,
  hostMxr: boolean,
  supports: (access: number) => boolean,
): Int32Array {
  return Int32Array.from({ length: ACCESS_END }, (_, access) => {
    if ((access & 3) === 3 || !supports(access)) return NEVER;
    const privilege = privilegeOf(access);
    if (privilege === 3) return NEVER;
    const own = rowOf(access, 0) & ~Access.User;
    const row = own | (privilege === 0 ? Access.User : 0) | state | (hostMxr ? ROW_MXR : 0);
    return RISCV_DEMANDS.byRow[row]! | hostDemand(row, hostMxr);
  });
}

const { A, D } = RISCV_PTE;

/** The low byte of a leaf after an access that was let through: A is set, and by a store D. */
export function afterAccess(low: number, store: boolean): number {
  return (low & 0xff) | A | (store ? D : 0);
}
