import { Prot } from '../core/index.js';
import { AARCH64_PTE, AARCH64_PTE_HIGH } from '../pte/index.js';
import {
  NO_EL0_ACCESS,
  NO_EL0_EXECUTE,
  NO_EL1_EXECUTE,
  permissionBits,
  READ_ONLY,
} from './aarch64-permission.js';
import { LOCAL } from './walker.js';

const { NG } = AARCH64_PTE;
const { APTable0, APTable1, PXNTable, UXNTable } = AARCH64_PTE_HIGH;

/** In inherited rights: EL0 may execute. Beside `Prot` and {@link LOCAL}. */
const EL0_EXECUTE = 32;
/** In inherited rights: EL1 may execute. */
const EL1_EXECUTE = 64;

/** What a stage 1 leaf grants, with what its tables take away, as inherited rights. */
export function leafGrants(
  low: number,
  high: number,
  tables: number,
  dirtyManaged: boolean,
): number {
  const permission = permissionBits(low, high, tables, dirtyManaged);
  return (
    Prot.Read |
    ((permission & READ_ONLY) !== 0 ? 0 : Prot.Write) |
    ((permission & NO_EL0_ACCESS) !== 0 ? 0 : Prot.User) |
    ((low & NG) !== 0 ? LOCAL : 0) |
    ((permission & NO_EL0_EXECUTE) !== 0 ? 0 : EL0_EXECUTE) |
    ((permission & NO_EL1_EXECUTE) !== 0 ? 0 : EL1_EXECUTE)
  );
}

/** What a stage 1 table leaves of rights. */
export function tableGrants(high: number): number {
  return (
    Prot.Read |
    ((high & APTable1) !== 0 ? 0 : Prot.Write) |
    ((high & APTable0) !== 0 ? 0 : Prot.User) |
    LOCAL |
    ((high & UXNTable) !== 0 ? 0 : EL0_EXECUTE) |
    ((high & PXNTable) !== 0 ? 0 : EL1_EXECUTE)
  );
}

/**
 * The `Prot` bits of inherited rights. Execution is EL0's on EL0's pages, else EL1's; WXN and EL0's right to write take it
 * away (D8 Instruction execution permissions).
 */
export function grantedProt(rights: number, writableExecuteNever: boolean): number {
  const writable = (rights & Prot.Write) !== 0;
  const user = (rights & Prot.User) !== 0;
  const allowed = (rights & (user ? EL0_EXECUTE : EL1_EXECUTE)) !== 0;
  const executable = allowed && !(writable && writableExecuteNever);
  return (rights & (Prot.Read | Prot.Write | Prot.User)) | (executable ? Prot.Execute : 0);
}
