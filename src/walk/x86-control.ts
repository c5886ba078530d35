import { type Address, checkBits } from '../core/index.js';
import { CR0, CR4, EFER } from '../pte/index.js';
import type { X86VmExit } from './x86-second-stage.js';

/** The paging modes (Intel SDM Vol. 3A, 4.1.1 Four Paging Modes). @public */
export type X86PagingMode = 'none' | '32-bit' | 'pae' | '4-level' | '5-level';

/**
 * What a write of a control register did.
 *
 * `invalidates` says what the write itself drops from TLBs and paging-structure caches (Intel SDM Vol. 3A, 4.10.4.1):
 * `none`; `non-global`, everything of the PCID that is current afterwards but global entries; `pcid`, everything of
 * that PCID, global entries too; `everything`, for all PCIDs.
 *
 * @public
 */
export type ControlWrite =
  | {
      /** The register has its new value. */
      readonly kind: 'written';
      /** What the write drops from the translation caches. */
      readonly invalidates: 'none' | 'non-global' | 'pcid' | 'everything';
      /** Whether the PAE PDPTE registers were loaded. */
      readonly pdptesLoaded: boolean;
    }
  | {
      /** The instruction faults with #GP(0) and nothing changes. */
      readonly kind: 'fault';
      /** 13, #GP. */
      readonly vector: 13;
      /** Which rule refused it. */
      readonly why: string;
    }
  | {
      /** The second stage refused the reading of the PDPTEs: a VM exit, and nothing changes. */
      readonly kind: 'exit';
      /** What the hypervisor finds. */
      readonly exit: X86VmExit;
    };

/** CR0 to EFER as int32-safe unsigned numbers, and CR3 as its full pattern. @internal */
export interface ControlRegisters {
  /** CR0, bits 31:0. */
  readonly cr0: number;
  /** CR3. */
  readonly cr3: bigint;
  /** CR4, bits 31:0. */
  readonly cr4: number;
  /** EFER, bits 31:0. */
  readonly efer: number;
}

/** CR0 bits that are defined (Intel SDM Vol. 3A, 2.5 Control Registers); MOV to CR0 drops the others. @internal */
export const CR0_DEFINED = 0xe005003f;

/**
 * CR4 bits that this CPU has (SDM 2.5); the others are reserved. LASS and LAM, which change what an address is, are not
 * among them.
 */
const CR4_DEFINED = 0x03ffffff & ~(1 << 15);

/** The paging mode that a set of registers selects. @internal */
export function pagingMode(registers: ControlRegisters): X86PagingMode {
  const { cr0, cr4, efer } = registers;
  if ((cr0 & CR0.PG) === 0) return 'none';
  if ((cr4 & CR4.PAE) === 0) return '32-bit';
  if ((efer & EFER.LME) === 0) return 'pae';
  return (cr4 & CR4.LA57) !== 0 ? '5-level' : '4-level';
}

/** The 32-bit value of a register whose upper half must be 0, or `null` when it is not. @internal */
export function lowHalf(argument: string, value: Address): number | null {
  const pattern = checkBits(argument, value);
  return pattern >> 32n === 0n ? Number(pattern) : null;
}

/**
 * Why MOV to CR0 would raise #GP, or `null` (Intel SDM Vol. 2B, "MOV - Move to/from Control Registers").
 * @internal
 */
export function refuseCr0(old: ControlRegisters, cr0: number): string | null {
  const paging = (cr0 & CR0.PG) !== 0;
  const wasPaging = (old.cr0 & CR0.PG) !== 0;
  if (paging && (cr0 & CR0.PE) === 0) return 'CR0.PG=1 needs CR0.PE=1';
  if ((cr0 & CR0.NW) !== 0 && (cr0 & CR0.CD) === 0) return 'CR0.NW=1 needs CR0.CD=1';
  if (paging && !wasPaging && (old.efer & EFER.LME) !== 0 && (old.cr4 & CR4.PAE) === 0) {
    return 'EFER.LME=1 needs CR4.PAE=1 when paging begins';
  }
  if (!paging && wasPaging && (old.cr4 & CR4.PCIDE) !== 0) return 'CR4.PCIDE=1 needs CR0.PG=1';
  if ((cr0 & CR0.WP) === 0 && (old.cr4 & CR4.CET) !== 0) return 'CR4.CET=1 needs CR0.WP=1';
  return null;
}

/** Why MOV to CR4 would raise #GP, or `null`. @internal */
export function refuseCr4(old: ControlRegisters, cr4: number): string | null {
  const long = pagingMode(old) === '4-level' || pagingMode(old) === '5-level';
  if ((cr4 & ~CR4_DEFINED) !== 0) return 'a reserved bit of CR4 is set';
  if (long && (cr4 & CR4.PAE) === 0) return 'CR4.PAE cannot be cleared in IA-32e mode';
  if (long && ((cr4 ^ old.cr4) & CR4.LA57) !== 0) return 'CR4.LA57 cannot change in IA-32e mode';
  if ((cr4 & ~old.cr4 & CR4.PCIDE) !== 0) {
    if (!long) return 'CR4.PCIDE can be set in IA-32e mode only';
    if ((old.cr3 & 0xfffn) !== 0n) return 'CR4.PCIDE can be set only while CR3[11:0] is 0';
  }
  if ((cr4 & CR4.CET) !== 0 && (old.cr0 & CR0.WP) === 0) return 'CR4.CET=1 needs CR0.WP=1';
  return null;
}

/** Why WRMSR to IA32_EFER would raise #GP, or `null` (Intel SDM Vol. 3A, 2.2.1). @internal */
export function refuseEfer(old: ControlRegisters, efer: number): string | null {
  const defined = EFER.SCE | EFER.LME | EFER.LMA | EFER.NXE;
  if ((efer & ~defined) !== 0) return 'a reserved bit of EFER is set';
  if ((old.cr0 & CR0.PG) !== 0 && ((efer ^ old.efer) & EFER.LME) !== 0) {
    return 'EFER.LME cannot change while CR0.PG=1';
  }
  return null;
}

/** Why MOV to CR3 would raise #GP, or `null`: reserved bits count in IA-32e mode only (SDM 4.5). @internal */
export function refuseCr3(
  registers: ControlRegisters,
  cr3: bigint,
  maxPhyAddr: number,
): string | null {
  const mode = pagingMode(registers);
  if (mode !== '4-level' && mode !== '5-level') return null;
  const noFlushAllowed = (registers.cr4 & CR4.PCIDE) !== 0;
  const address = noFlushAllowed ? BigInt.asUintN(63, cr3) : cr3;
  return address >> BigInt(maxPhyAddr) === 0n ? null : 'a bit of CR3 above MAXPHYADDR is set';
}

/** What a CR4 write invalidates (SDM 4.10.4.1). @internal */
export function cr4Invalidates(old: number, value: number): 'none' | 'pcid' | 'everything' {
  const changed = old ^ value;
  if ((changed & CR4.PGE) !== 0 || (old & ~value & CR4.PCIDE) !== 0) return 'everything';
  if ((changed & CR4.PAE) !== 0 || (value & ~old & CR4.SMEP) !== 0) return 'pcid';
  return 'none';
}

/** Whether a change of CR0 and CR4 loads the PDPTEs when PAE paging is in use afterwards (SDM 4.4.1). @internal */
export function reloadsPdptes(old: ControlRegisters, next: ControlRegisters): boolean {
  const cr0 = CR0.CD | CR0.NW | CR0.PG;
  const cr4 = CR4.PAE | CR4.PGE | CR4.PSE | CR4.SMEP;
  const touched = ((old.cr0 ^ next.cr0) & cr0) | ((old.cr4 ^ next.cr4) & cr4);
  return pagingMode(next) === 'pae' && touched !== 0;
}
