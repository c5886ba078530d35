import { FramePool } from 'pagewright/memory';
import { PageTable } from 'pagewright/page-table';
import { aarch64, sv39, sv39x4, x86Legacy, x86Long4, x86Long5, x86Pae } from 'pagewright/pte';
import { describe, expect, it } from 'vitest';
import { FORMATS, firstPage, makeSystem, RWU, type System } from './system.js';

const flagsOf = ({ table }: System) => table.flags({ prot: RWU });

describe('statistics', () => {
  it('of an empty page table are of its root alone', () => {
    for (const format of FORMATS) {
      const { table } = makeSystem(format, { pages: 64 });
      const statistics = table.statistics();
      expect(statistics.type).toBe('page-table-statistics');
      expect(statistics.tables).toEqual([...Array(format.levels - 1).fill(0), 1]);
      expect(statistics.leaves.map(({ count }) => count)).toEqual(table.sizes.map(() => 0));
      expect(statistics.leaves.map(({ pages }) => pages)).toEqual(table.sizes.map((s) => s.pages));
      expect([statistics.mappedBytes, statistics.overhead]).toEqual([0, 0]);
    }
  });

  it('count tables by level, and leaves by size', () => {
    const system = makeSystem(aarch64());
    const { owed, table } = system;
    table.map(1, 1, flagsOf(system), owed);
    table.map(0x10, 0x10, flagsOf(system), owed, 16);
    table.map(0x200, 0x200, flagsOf(system), owed, 512);
    table.map(0x2000, 0x2000, flagsOf(system), owed, 8192);
    table.map(2 ** 18, 0, flagsOf(system), owed, 2 ** 18);
    table.map(2 ** 35, 1, flagsOf(makeSystem(aarch64())), owed);
    const mapped = 1 + 16 + 512 + 8192 + 2 ** 18 + 1;
    expect(table.statistics()).toEqual({
      type: 'page-table-statistics',
      tables: [2, 2, 2, 1],
      leaves: [
        { pages: 1, count: 2 },
        { pages: 16, count: 1 },
        { pages: 512, count: 1 },
        { pages: 8192, count: 1 },
        { pages: 2 ** 18, count: 1 },
        { pages: 2 ** 22, count: 0 },
      ],
      tableBytes: 7 * 4096,
      mappedBytes: mapped * 4096,
      overhead: 7 / mapped,
    });
    owed.complete();
  });

  it('say how many bytes of tables there are for each byte that is mapped', () => {
    const system = makeSystem(x86Long4, { pages: 1024 });
    const { owed, table } = system;
    const range = { vpn: 0, pfn: 0, pages: 2 ** 18, flags: flagsOf(system) };
    table.mapRange({ ...range, pageSize: 1 }, owed);
    // A table for each 512 pages, and three above them.
    expect(table.statistics().overhead).toBe((512 + 3) / 2 ** 18);
    table.unmapRange({ vpn: 0, pages: 2 ** 18 }, owed);
    table.mapRange({ ...range, pageSize: 512 }, owed);
    expect(table.statistics().overhead).toBe(3 / 2 ** 18);
    table.unmapRange({ vpn: 0, pages: 2 ** 18 }, owed);
    table.mapRange({ ...range, pageSize: 2 ** 18 }, owed);
    expect(table.statistics().overhead).toBe(2 / 2 ** 18);
  });

  it('count a table by the pages that it takes', () => {
    const bytes = (format: typeof sv39): number => makeSystem(format).table.statistics().tableBytes;
    expect(bytes(sv39)).toBe(4096);
    expect(bytes(sv39x4)).toBe(16384);
    expect(bytes(x86Pae)).toBe(4096);
    expect(bytes(aarch64({ granule: 65536 }))).toBe(65536);
    // A second stage of 43 bits in three levels: a root of 16 concatenated tables.
    expect(bytes(aarch64({ stage: 2, virtualBits: 43, levels: 3 }))).toBe(65536);
  });

  it('are right after everything that changes the tables', () => {
    for (const format of [x86Legacy, x86Long4, x86Long5, sv39, aarch64()]) {
      const system = makeSystem(format);
      const { owed, table } = system;
      const { pages } = table.sizes.find(({ level }) => level === 1)!;
      const start = firstPage(format) + pages;
      const steps: (() => unknown)[] = [
        () => table.map(start, 0, flagsOf(system), owed, pages),
        () => table.split(start, owed),
        () => table.unmap(start + 3, owed),
        () => table.map(start + 3, 3, flagsOf(system), owed),
        () => table.collapse(start, pages, owed),
        () => table.protectRange({ vpn: start + 1, pages: 1, prot: 1 }, owed),
        () => table.setSwap(start + 9, { type: 1, offset: 1 }, owed),
        () => table.swapIn(start + 9, 5, flagsOf(system), owed),
        () => table.unmapRange({ vpn: start, pages: pages - 1 }, owed),
        () => table.unmap(start + pages - 1, owed),
      ];
      for (const step of steps) {
        expect(step()).toBeGreaterThanOrEqual(-2);
        table.checkInvariants(); // which counts everything anew
        owed.complete();
        const { mappedBytes, tableBytes, tables } = table.statistics();
        const all = [...table.entries()].filter(({ kind }) => kind === 'leaf');
        expect(mappedBytes).toBe(all.reduce((sum, leaf) => sum + leaf.pages * 4096, 0));
        expect(tableBytes).toBe([...table.tablePages()].length * 4096);
        expect(tables.reduce((sum, count) => sum + count, 0)).toBe([...table.tablePages()].length);
      }
      expect(table.statistics()).toEqual(makeSystem(format).table.statistics());
    }
  });

  it('of a copy are those of the original', () => {
    const system = makeSystem(sv39);
    const { owed, table } = system;
    table.mapRange({ vpn: 0x1f0, pfn: 0x1f0, pages: 0x300, flags: flagsOf(system) }, owed);
    expect(table.clone({}, owed)?.statistics()).toEqual(table.statistics());
  });

  it('of adopted tables leave out what is of no size that is mapped here', () => {
    const { frames, memory, owed, table } = makeSystem(x86Long4);
    table.map(0x200, 0, table.flags({ prot: RWU }), owed, 512);
    table.map(1, 2, table.flags({ prot: RWU }), owed);
    const small = new PageTable({
      format: x86Long4,
      memory,
      frames,
      root: table.root,
      pageSizes: [1],
    });
    expect(small.statistics()).toMatchObject({
      tables: [1, 1, 1, 1],
      leaves: [{ pages: 1, count: 1 }],
      mappedBytes: 4096,
    });
    small.checkInvariants();
  });

  it('are plain data', () => {
    const system = makeSystem(x86Long4, { frames: new FramePool({ first: 1, frames: 9 }) });
    system.table.map(1, 2, flagsOf(system), system.owed);
    const statistics = system.table.statistics();
    expect(structuredClone({ ...statistics, toJSON: undefined })).toMatchObject({
      tables: [1, 1, 1, 1],
    });
    expect(JSON.parse(JSON.stringify(statistics))).toMatchObject({ mappedBytes: 4096 });
  });
});
