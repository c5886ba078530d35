import { addressFromVpn } from 'pagewright/core';
import { riscvAccessFaultCause } from 'pagewright/pte';
import type { RiscvWalker } from 'pagewright/walk';
import type { Spelling } from '../replay-access.js';

/** Recordings give a physical address that is no memory only when it fits 56 bits. */
export const PHYSICAL_FRAMES: number = 2 ** 44;

/** A RISC-V fault: mcause and mtval, and the physical address of an access that found no memory there. */
export function faultText(cause: number, tval: bigint, xpa: bigint | null): string {
  const suffix = xpa === null ? '' : ` at physical ${xpa.toString(16)}`;
  return `cause ${cause}, tval ${tval.toString(16)}${suffix}`;
}

/** A physical address. */
export function pageText(pfn: number, offset: number): string {
  return `pa ${addressFromVpn(pfn, offset).toString(16)}`;
}

/** The answers of a walk alone: where it leads need not be memory. */
export function riscvSpelling(walker: RiscvWalker): Spelling {
  return {
    page: pageText,
    fault: () => faultText(walker.fault.cause, walker.fault.tval, null),
    reported: ({ riscv }) =>
      riscv === undefined ? 'no RISC-V fault' : faultText(riscv.cause, riscv.tval, null),
    bits: { A: 0x40n, D: 0x80n },
  };
}

/** The answers of a whole access, as a hart gives them: after the walk it still may find no memory. */
export function riscvAccessSpelling(
  walker: RiscvWalker,
  va: bigint,
  access: number,
  bytes: number,
): Spelling {
  return {
    ...riscvSpelling(walker),
    page(pfn, offset) {
      if (walker.memory.contains(pfn, offset, bytes)) return pageText(pfn, offset);
      const xpa = pfn < PHYSICAL_FRAMES ? addressFromVpn(pfn, offset) : null;
      return faultText(riscvAccessFaultCause(access), va, xpa);
    },
  };
}
