import { addressFromVpn } from 'pagewright/core';
import type { X86Walker } from 'pagewright/walk';
import type { Spelling } from '../replay-access.js';

/** A page fault: its error code and CR2. */
export function pageFaultText(errorCode: number, cr2: bigint): string {
  return `#PF ${errorCode.toString(16)}, CR2 ${cr2.toString(16)}`;
}

/** A physical address. */
export function pageText(pfn: number, offset: number): string {
  return `pa ${addressFromVpn(pfn, offset).toString(16)}`;
}

/** The answers of an x86 walk. */
export function x86Spelling(walker: X86Walker): Spelling {
  return {
    page: pageText,
    fault: () => faultText(walker.fault.vector, walker.fault.errorCode, walker.fault.cr2),
    reported: ({ x86 }) =>
      x86 === undefined ? 'no x86 fault' : faultText(x86.vector, x86.errorCode, x86.cr2),
    bits: { A: 0x20n, D: 0x40n },
  };
}

function faultText(vector: number, errorCode: number, cr2: bigint | null): string {
  if (vector === 14 && cr2 !== null) return pageFaultText(errorCode, cr2);
  return vector === 13 ? '#GP' : `no memory (vector ${vector})`;
}
