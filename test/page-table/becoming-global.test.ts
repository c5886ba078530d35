import { Prot } from 'pagewright/core';
import { FramePool, PhysicalMemory } from 'pagewright/memory';
import { Invalidations, PageTable } from 'pagewright/page-table';
import { aarch64 } from 'pagewright/pte';
import { expect, it } from 'vitest';

// Arm ARM DDI 0487, D8 Using break-before-make when updating translation table entries: a TLB that holds the entry of one
// address space would have it beside the one of all.

/** What a remap to the same frame owes, step by step. */
function stepsOf(before: boolean, after: boolean): readonly string[] {
  const memory = PhysicalMemory.allocate(16 * 4096, { base: 0 });
  const frames = new FramePool({ first: 0, frames: 16 });
  const owed = new Invalidations({ frames });
  const table = new PageTable({ format: aarch64({ granule: 4096 }), memory, frames, bbm: 2 });
  const flags = (global: boolean) => table.flags({ prot: Prot.Read | Prot.Write, global });
  table.map(0x400, 0x123, flags(before), owed);
  table.remap(0x400, 0x123, owed, flags(after));
  return owed.steps().map(({ kind }) => kind);
}

it('a live entry becomes global by break-before-make, and stops being so without', () => {
  expect(stepsOf(false, true)).toEqual(['break', 'invalidate', 'make']);
  expect(stepsOf(true, false)).toEqual(['invalidate']);
});
