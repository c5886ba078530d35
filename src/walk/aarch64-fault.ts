import { Access } from '../core/index.js';
import { AARCH64_EXCEPTION_CLASS, type AArch64FaultKind } from '../pte/index.js';
import { WalkFault } from './fault.js';

/** ISS of an abort: from an address translation instruction. */
const CM = 0x100;
/** See {@link CM}: stage 2 refused a stage 1 descriptor. */
const S1PTW = 0x80;
/** See {@link CM}: a write. */
const WNR = 0x40;

/**
 * An AArch64 fault in fields.
 *
 * @public
 */
export class AArch64Fault extends WalkFault {
  /** The kind of fault, from which with the level the fault status code follows. */
  kind: AArch64FaultKind = 'Translation';
  /** The fault status code: FSC of ESR, FST of PAR. */
  fsc = 0;
  /** The architecture's level, -1 to 3. */
  aarch64Level = 0;
  /** FAR_ELx: the address without the tag that a branch would have stripped. */
  far = 0n;
  /** The exception level that takes the abort: 2 when stage 2 refused, or HCR_EL2.TGE or TEA send it there; otherwise 1. */
  el: 1 | 2 = 1;

  /** Whether it was on the reading or updating of a stage 1 descriptor that stage 2 refused: S1PTW. */
  get s1ptw(): boolean {
    return this.stage === 2 && this.purpose !== 'access';
  }

  /**
   * ESR_EL1, or ESR_EL2 when `el` is 2. Bits 24:14 (ISV, SAS, SSE, SRT, SF, AR), which a data abort of stage 2 may have,
   * describe the instruction: they are 0 here, and the caller's to fill in.
   */
  get esr(): bigint {
    const { access, el, fsc, s1ptw } = this;
    const fetch = (access & 3) === Access.Fetch;
    const lower = (access & Access.User) !== 0 || el === 2;
    const classes = AARCH64_EXCEPTION_CLASS;
    const exception = fetch
      ? lower
        ? classes.InstructionAbortLower
        : classes.InstructionAbortSame
      : lower
        ? classes.DataAbortLower
        : classes.DataAbortSame;
    // Of an atomic access WnR says that a load would have passed.
    const write =
      (access & Access.ReadModifyWrite) !== 0
        ? this.reason === 'not-writable' && !s1ptw
        : (access & 3) === Access.Write;
    return abort(exception, (s1ptw ? S1PTW : 0) | (write ? WNR : 0) | fsc);
  }

  /**
   * ESR_ELx when an address translation instruction takes the abort itself: a data abort with CM and WnR, whatever it
   * translates for (ESR_EL2, ISS encoding for an exception from a Data Abort).
   *
   * @param from - The exception level that executes the instruction.
   * @returns The register.
   */
  instructionEsr(from: 1 | 2): bigint {
    const { fsc, s1ptw } = this;
    const { DataAbortLower, DataAbortSame } = AARCH64_EXCEPTION_CLASS;
    const lower = from === 1 && this.el === 2;
    const iss = CM | WNR | (s1ptw ? S1PTW : 0) | fsc;
    return abort(lower ? DataAbortLower : DataAbortSame, iss);
  }

  /**
   * HPFAR_EL2 (`hpfarRegister`): the page of the intermediate address that stage 2 refused. `null` when stage 2 did not
   * refuse, and where the manual leaves the register unknown: permission faults on the access itself, and external aborts.
   */
  get hpfar(): bigint | null {
    const { kind, s1ptw, stage } = this;
    const known = kind === 'Permission' ? s1ptw : kind !== 'ExternalAbortOnWalk';
    return stage === 2 && known ? (this.gpa >> 12n) << 4n : null;
  }
}

/** An abort's syndrome: IL is set in every one of the MMU's. */
function abort(exception: number, iss: number): bigint {
  return (BigInt(exception) << 26n) | 0x0200_0000n | BigInt(iss);
}
