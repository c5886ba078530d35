import { type Address, checkBits } from '../core/index.js';
import { CR0, CR4, EFER } from '../pte/index.js';
import {
  type ControlRegisters,
  type ControlWrite,
  CR0_DEFINED,
  cr4Invalidates,
  lowHalf,
  pagingMode,
  refuseCr0,
  refuseCr3,
  refuseCr4,
  refuseEfer,
  reloadsPdptes,
} from './x86-control.js';
import { X86FastWalk } from './x86-fast.js';

/**
 * The instructions that write control registers, with their checks, and what each of them invalidates.
 *
 * @public
 */
export abstract class X86Instructions extends X86FastWalk {
  /**
   * MOV to CR0 (Intel SDM Vol. 2B). Reserved bits of the low half are dropped. Loads the PAE PDPTEs where the SDM says so.
   *
   * @param value - The register.
   * @returns What was invalidated, or #GP with nothing changed.
   * @throws `VmError` when `value` is no 64-bit pattern.
   */
  writeCr0(value: Address): ControlWrite {
    const written = lowHalf('cr0', value);
    if (written === null) return generalProtection('a bit of CR0 above 31 is set');
    const cr0 = (written & CR0_DEFINED) >>> 0;
    const refusal = refuseCr0(this.registers, cr0);
    if (refusal !== null) return generalProtection(refusal);
    const long = (cr0 & CR0.PG) !== 0 && (this.registers.efer & EFER.LME) !== 0;
    const efer = long ? this.registers.efer | EFER.LMA : this.registers.efer & ~EFER.LMA;
    const stops = (this.registers.cr0 & ~cr0 & CR0.PG) !== 0;
    return this.change({ ...this.registers, cr0, efer }, stops ? 'everything' : 'none', false);
  }

  /**
   * MOV to CR3 (Intel SDM Vol. 2B; 4.10.4.1 for what it invalidates). With PAE paging it reads and checks the PDPTEs.
   *
   * @param value - The register; bit 63 asks to keep the PCID's translations while CR4.PCIDE=1.
   * @returns What was invalidated, or #GP with nothing changed, the old PDPTEs included.
   * @throws `VmError` when `value` is no 64-bit pattern.
   */
  loadCr3(value: Address): ControlWrite {
    const pattern = checkBits('cr3', value);
    const refusal = refuseCr3(this.registers, pattern, this.maxPhyAddr);
    if (refusal !== null) return generalProtection(refusal);
    const keep = (this.registers.cr4 & CR4.PCIDE) !== 0 && pattern >> 63n !== 0n;
    const cr3 = keep ? BigInt.asUintN(63, pattern) : pattern;
    return this.change({ ...this.registers, cr3 }, keep ? 'none' : 'non-global', true);
  }

  /**
   * MOV to CR4 (Intel SDM Vol. 2B). Loads the PAE PDPTEs where the SDM says so.
   *
   * @param value - The register.
   * @returns What was invalidated, or #GP with nothing changed.
   * @throws `VmError` when `value` is no 64-bit pattern.
   */
  writeCr4(value: Address): ControlWrite {
    const cr4 = lowHalf('cr4', value);
    if (cr4 === null) return generalProtection('a reserved bit of CR4 is set');
    const refusal = refuseCr4(this.registers, cr4);
    if (refusal !== null) return generalProtection(refusal);
    const invalidates = cr4Invalidates(this.registers.cr4, cr4);
    return this.change({ ...this.registers, cr4 }, invalidates, false);
  }

  /**
   * WRMSR to IA32_EFER. LMA is read-only and follows LME and CR0.PG.
   *
   * @param value - The register.
   * @returns `written`, or #GP with nothing changed.
   * @throws `VmError` when `value` is no 64-bit pattern.
   */
  writeEfer(value: Address): ControlWrite {
    const written = lowHalf('efer', value);
    if (written === null) return generalProtection('a reserved bit of EFER is set');
    const refusal = refuseEfer(this.registers, written);
    if (refusal !== null) return generalProtection(refusal);
    const efer = (written & ~EFER.LMA) | (this.registers.efer & EFER.LMA);
    return this.change({ ...this.registers, efer }, 'none', false);
  }

  /** Takes new registers over, loading the PDPTEs first where they are due: a #GP leaves everything as it was. */
  private change(
    next: ControlRegisters,
    invalidates: 'none' | 'non-global' | 'pcid' | 'everything',
    cr3Written: boolean,
  ): ControlWrite {
    const changed = cr3Written || reloadsPdptes(this.registers, next);
    const due = pagingMode(next) === 'pae' && changed && !this.readsPdptes;
    if (due) {
      const refusal = this.loadPdptes(next.cr3);
      if (typeof refusal === 'string') return generalProtection(refusal);
      if (refusal !== null) return { kind: 'exit', exit: refusal };
    }
    this.registers = next;
    this.applyRegisters();
    this.changed(invalidates);
    return { kind: 'written', invalidates, pdptesLoaded: due };
  }
}

function generalProtection(why: string): ControlWrite {
  return { kind: 'fault', vector: 13, why };
}
