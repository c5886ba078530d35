import { Prot } from 'pagewright/core';
import { FramePool, PhysicalMemory } from 'pagewright/memory';
import { Invalidations, PageTable, type PageTableOptions } from 'pagewright/page-table';
import { aarch64, type PteFormat, sv39 } from 'pagewright/pte';
import { describe, expect, test } from 'vitest';

/** An empty page table in 1024 frames, and an accumulator. */
function makeTable(
  format: PteFormat,
  options: Partial<PageTableOptions> = {},
): { readonly table: PageTable; readonly owed: Invalidations; readonly memory: PhysicalMemory } {
  const bytes = Math.max(4096, 1024 * 2 ** format.pageShift);
  const memory = PhysicalMemory.allocate(bytes, { base: 0 });
  const frames = new FramePool({ first: 0, frames: Math.min(1024, 2 ** format.frameBits) });
  const table = new PageTable({ format, memory, frames, ...options });
  return { table, owed: new Invalidations({ frames }), memory };
}

describe('rights', () => {
  test.each([1, 2] as const)(
    'stage %i of AArch64: a page that may not be written can be dirty',
    (stage) => {
      const { owed, table } = makeTable(aarch64({ stage, virtualBits: 39 }));
      table.map(5, 9, table.flags({ prot: Prot.Read | Prot.User, dirty: true }), owed);
      expect(table.describe(0x5000)).toMatchObject({ prot: Prot.Read | Prot.User, dirty: true });
    },
  );
});

describe('a copy with copy-on-write', () => {
  test('asks about a group as a whole whether it is shared', () => {
    const { owed, table } = makeTable(sv39);
    const flags = table.flags({ prot: Prot.Read | Prot.Write | Prot.User });
    table.mapRange({ vpn: 0, pfn: 0, pages: 48, flags }, owed);
    const asked = new Set<string>();
    const isShared = (vpn: number, pages: number): boolean => {
      asked.add(`${vpn} ${pages}`);
      return vpn === 16;
    };
    const copy = table.clone({ isShared }, owed)!;
    expect([...asked]).toEqual(['0 16', '16 16', '32 16']);
    for (const tables of [table, copy]) {
      tables.checkInvariants();
      const writable = [...tables.entries()].map((entry) => (entry.prot & Prot.Write) !== 0);
      expect(writable).toEqual([false, true, false]);
    }
  });
});
