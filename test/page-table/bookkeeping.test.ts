import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Prot } from 'pagewright/core';
import { FramePool, PhysicalMemory } from 'pagewright/memory';
import { Invalidations, PageTable } from 'pagewright/page-table';
import { x86Long4 } from 'pagewright/pte';
import { describe, expect, it } from 'vitest';

const MILLION = 2 ** 20;
const TABLES = MILLION / 512 + 16;
/** As many as make everything else on the heap small beside them. */
const COPIES = 4;

setFlagsFromString('--expose-gc');
const collect: () => void = runInNewContext('gc');

/** Bytes on the heap, and in buffers that it holds. */
function used(): number {
  collect();
  const { arrayBuffers, heapUsed } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

/** A page table of a million base pages, with the pool and the accumulator that belong to it. */
function fill(memory: PhysicalMemory): { table: PageTable; keep: readonly unknown[] } {
  const frames = new FramePool({ first: 0, frames: TABLES });
  const owed = new Invalidations({ frames });
  const table = new PageTable({ format: x86Long4, memory, frames });
  const flags = table.flags({ prot: Prot.Read | Prot.Write | Prot.User });
  table.mapRange({ vpn: 0x7f1200000, pfn: 0, pages: MILLION, flags, pageSize: 1 }, owed);
  owed.complete();
  return { table, keep: [frames, owed] };
}

describe('the bookkeeping of a page table', () => {
  it('takes at most a twentieth of what its tables take', () => {
    const memories = Array.from({ length: COPIES + 1 }, () =>
      PhysicalMemory.allocate(TABLES * 4096, { base: 0 }),
    );
    fill(memories[COPIES]!);
    const before = used();
    const filled = memories.slice(0, COPIES).map(fill);
    const bytes = used() - before;
    const tableBytes = filled.reduce((sum, { table }) => sum + table.statistics().tableBytes, 0);
    expect(tableBytes).toBeGreaterThan(COPIES * 8 * MILLION);
    expect(bytes / tableBytes).toBeLessThan(0.05);
  });
});
