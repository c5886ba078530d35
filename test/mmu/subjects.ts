import { Access } from 'pagewright/core';
import { Tlb } from 'pagewright/tlb';
import type { SweepSubject } from '../../src/mmu/sweep.js';
import { tlbSubject } from '../../src/mmu/sweep-subjects.js';

/** Counts references, and those that write. */
export function counter(): SweepSubject {
  let references = 0;
  let writes = 0;
  return {
    reference(_vpn, access) {
      references++;
      if ((access & 3) === Access.Write) writes++;
    },
    counts: () => ({ references, writes }),
  };
}

/** A fully associative TLB with LRU. */
export function lruOf({ entries }: { readonly entries: number }): SweepSubject {
  return tlbSubject(new Tlb({ entries }));
}
