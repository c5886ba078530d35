import { WalkFault } from './fault.js';
import type { X86Exit } from './x86-second-stage.js';

/**
 * An x86 fault in fields.
 *
 * @public
 */
export class X86Fault extends WalkFault {
  /** 14 for #PF; 13 for a non-canonical address (#GP, or #SS at the CPU's choice); 0 for a bus error. */
  vector = 0;
  /** The page-fault error code; 0 for the other vectors. */
  errorCode = 0;
  /** The VM exit when the second stage refused, otherwise `null`. */
  exit: X86Exit | null = null;

  /** CR2 of a page fault: the linear address. */
  get cr2(): bigint {
    return this.va;
  }
}
