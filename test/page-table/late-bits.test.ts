import { Access } from 'pagewright/core';
import { aarch64, type PteFormat, sv39, x86Long4 } from 'pagewright/pte';
import { X86Walker } from 'pagewright/walk';
import { describe, expect, it } from 'vitest';
import { entryAt, makeSystem, RWU, type System } from './system.js';

/** A page's place in a table that is no longer linked, where a walk cache still leads a CPU. */
interface Place {
  readonly table: number;
  readonly index: number;
}

/** 2 MiB in base pages, not used yet; where the entry of one page is. */
function pieces(format: PteFormat): System & { readonly place: Place } {
  const system = makeSystem(format);
  const { owed, table } = system;
  const flags = table.flags({ prot: RWU, accessed: false, dirty: false });
  table.mapRange({ vpn: 0x200, pfn: 0x600, pages: 512, flags, pageSize: 1 }, owed);
  owed.complete();
  return { ...system, place: table.describe(0x234_000).path.at(-1)! };
}

/** What hardware does when it writes the page by way of the old table. */
function markWritten(system: System, { index, table }: Place): void {
  const raw = entryAt(system, table, index);
  const { architecture } = system.table.format;
  const dirty = { x86: raw | 0x60n, riscv: raw | 0xc0n, aarch64: (raw | 0x400n) & ~0x80n };
  const marked = architecture === 'custom' ? raw : dirty[architecture];
  system.memory.write(table * 4096 + 8 * index, 8, marked);
}

describe.each([x86Long4, sv39, aarch64({ granule: 4096 })])(
  'bits that hardware sets in a table after it was collapsed ($name)',
  (format) => {
    it('are in the large page once the invalidation is complete', () => {
      const system = pieces(format);
      const { owed, place, table } = system;
      expect(table.collapse(0x200, 512, owed)).toBe(0);
      markWritten(system, place);
      owed.complete();
      expect([table.testAccessed(0x200), table.testDirty(0x200)]).toEqual([1, 1]);
      table.checkInvariants();
    });

    it('are in the page alone where the large page is split again by then', () => {
      const system = pieces(format);
      const { owed, place, table } = system;
      table.collapse(0x200, 512, owed);
      table.split(0x200, owed);
      markWritten(system, place);
      owed.complete();
      expect([0x233, 0x234].map((vpn) => table.testDirty(vpn))).toEqual([0, 1]);
      table.checkInvariants();
    });

    it('are not those that were there before, and were taken from the large page since', () => {
      const { owed, table } = pieces(format);
      table.setAccessed(0x234, true, owed);
      table.setDirty(0x234, true, owed);
      expect(table.collapse(0x200, 512, owed)).toBe(0);
      expect([
        table.testAndClearAccessed(0x200, owed),
        table.testAndClearDirty(0x200, owed),
      ]).toEqual([1, 1]);
      owed.complete();
      expect([table.testAccessed(0x200), table.testDirty(0x200)]).toEqual([0, 0]);
    });

    it('are not in another page that was mapped there meanwhile, and nothing is harmed by destroy', () => {
      const system = pieces(format);
      const { owed, place, table } = system;
      table.collapse(0x200, 512, owed);
      table.unmap(0x200, owed);
      const flags = table.flags({ prot: RWU, accessed: false, dirty: false });
      table.map(0x234, 0x99, flags, owed);
      markWritten(system, place);
      owed.complete();
      expect(table.testDirty(0x234)).toBe(0);
      table.map(0x200, 0x500, flags, owed);
      table.destroy(owed);
      owed.complete();
      expect(system.frames.free).toBe(255);
    });
  },
);

it('a walk cache of x86 leads to such bits', () => {
  const { memory, owed, table } = pieces(x86Long4);
  const walker = new X86Walker({ memory, cr3: table.root * 4096 });
  walker.walk(0x200, Access.Read | Access.User);
  table.collapse(0x200, 512, owed);
  expect(walker.walk(0x234, Access.Write | Access.User)).toBe(0x634);
  owed.complete();
  expect(table.testDirty(0x200)).toBe(1);
});
