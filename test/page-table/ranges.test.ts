import { addressFromVpn, Prot } from 'pagewright/core';
import { FramePool, PhysicalMemory } from 'pagewright/memory';
import { NOT_MAPPED, OUT_OF_FRAMES, type PageTable, pageSizes } from 'pagewright/page-table';
import {
  aarch64,
  eptLong4,
  type PteFormat,
  sv39,
  sv57,
  x86Legacy,
  x86Long4,
  x86Long5,
} from 'pagewright/pte';
import { describe, expect, it } from 'vitest';
import { errorOf } from '../core/errors.js';
import { makeSystem, RU, RW, RWU, type System, stateOf } from './system.js';

const leavesOf = (table: PageTable): readonly (readonly number[])[] =>
  [...table.entries()].map(({ pages, pfn, vpn }) => [vpn, pfn, pages]);

const flagsOf = ({ table }: { readonly table: PageTable }) => table.flags({ prot: RWU });

describe('unmapRange', () => {
  it('does not mind holes, and counts what it unmapped', () => {
    const system = makeSystem(x86Long4);
    const { frames, owed, table } = system;
    for (const vpn of [0x100, 0x102, 0x5ff, 0x4_0000]) table.map(vpn, vpn, flagsOf(system), owed);
    table.map(0x800, 0x200, flagsOf(system), owed, 512);
    expect(table.unmapRange({ vpn: 0x101, pages: 0x1000 }, owed)).toBe(514);
    expect(leavesOf(table)).toEqual([
      [0x100, 0x100, 1],
      [0x4_0000, 0x4_0000, 1],
    ]);
    expect(table.unmapRange({ vpn: 0, pages: 2 ** 35 }, owed)).toBe(2);
    expect(table.unmapRange({ vpn: 0, pages: 2 ** 35 }, owed)).toBe(0);
    table.checkInvariants();
    owed.complete();
    expect(frames.free).toBe(254);
  });

  it('forgets software entries, which are no pages', () => {
    const system = makeSystem(x86Long4);
    const { owed, table } = system;
    table.setSwap(0x100, { type: 1, offset: 1 }, owed);
    table.map(0x101, 5, flagsOf(system), owed);
    expect(table.unmapRange({ vpn: 0x100, pages: 2 }, owed)).toBe(1);
    expect(table.swapAt(0x100)).toBeNull();
    expect(table.statistics().tables).toEqual([0, 0, 0, 1]);
  });

  /** The leaves that stay of one large leaf at `pages`, frames from `3 * pages`, when a part of it is unmapped. */
  function cut(format: PteFormat, pages: number, from: number, count: number): System {
    const system = makeSystem(format);
    const { owed, table } = system;
    table.map(pages, 3 * pages, flagsOf(system), owed, pages);
    expect(table.unmapRange({ vpn: pages + from, pages: count }, owed)).toBe(count);
    table.checkInvariants();
    for (const page of [0, from - 1, from, from + count - 1, from + count, pages - 1]) {
      const gone = page >= from && page < from + count;
      if (page < 0 || page >= pages) continue;
      expect([page, table.lookup(pages + page)]).toEqual([
        page,
        gone ? NOT_MAPPED : 3 * pages + page,
      ]);
    }
    return system;
  }

  it.each([
    [x86Long4, 512],
    [x86Long4, 2 ** 18],
    [x86Legacy, 1024],
    [sv39, 16],
    [sv39, 2 ** 18],
    [sv57, 2 ** 36],
    [aarch64(), 16],
    [aarch64(), 8192],
    [aarch64(), 2 ** 22],
    [aarch64({ granule: 16384 }), 2 ** 16],
  ] as const)(
    'cuts a leaf of $name with %i pages where the stretch begins and ends',
    (format, pages) => {
      cut(format, pages, 0, pages);
      cut(format, pages, 0, 1);
      cut(format, pages, pages - 1, 1);
      cut(format, pages, pages >> 1 || 2 ** 35, 3);
      cut(format, pages, 3, pages - 5);
      cut(format, pages, 8, 1);
    },
  );

  it('splits no more than it must', () => {
    const { table } = cut(x86Long4, 2 ** 18, 0x3000 + 5, 2);
    // 511 of two megabytes each, and one table of pages.
    expect(table.statistics()).toMatchObject({
      tables: [1, 1, 1, 1],
      leaves: [
        { pages: 1, count: 510 },
        { pages: 512, count: 511 },
        { pages: 2 ** 18, count: 0 },
      ],
    });
    expect(cut(x86Long4, 2 ** 18, 512, 1024).table.statistics().tables).toEqual([0, 1, 1, 1]);
    expect(cut(x86Long4, 2 ** 18, 511, 1026).table.statistics().tables).toEqual([2, 1, 1, 1]);
  });

  it('needs tables for that, or changes nothing', () => {
    const frames = new FramePool({ first: 1, frames: 4 });
    const system = makeSystem(x86Long4, { frames });
    const { owed, table } = system;
    table.map(0, 0, flagsOf(system), owed, 2 ** 18);
    const before = stateOf(system);
    // Three tables: one of large pages, and two of pages for the ends; there are two.
    expect(table.unmapRange({ vpn: 5, pages: 1000 }, owed)).toBe(OUT_OF_FRAMES);
    expect(table.protectRange({ vpn: 5, pages: 1000, prot: RU }, owed)).toBe(OUT_OF_FRAMES);
    expect(stateOf(system)).toEqual(before);
    expect(table.unmapRange({ vpn: 5, pages: 500 }, owed)).toBe(500);
  });

  it('gives mapped frames back if told: pages one by one, large pages as blocks', () => {
    const system = makeSystem(aarch64(), { pages: 4096 });
    const { frames, owed, table } = system;
    const { free } = frames;
    const [page, group, block] = [
      frames.allocateFrame(),
      frames.allocateBlock(4),
      frames.allocateBlock(9),
    ];
    table.map(0x100, page, flagsOf(system), owed);
    table.map(0x110, group, flagsOf(system), owed, 16);
    table.map(0x200, block, flagsOf(system), owed, 512);
    expect(table.unmapRange({ vpn: 0x100, pages: 0x300, release: true }, owed)).toBe(529);
    expect(owed.released().slice(0, 2)).toEqual([page, group]);
    expect(owed.released()).toContain(block);
    expect(frames.free).toBeLessThan(free - 529);
    owed.complete();
    expect(frames.free).toBe(free);
    frames.checkInvariants();
  });

  it('leaves mapped frames alone otherwise', () => {
    const system = makeSystem(x86Long4);
    const { frames, owed, table } = system;
    const page = frames.allocateFrame();
    table.map(0x100, page, flagsOf(system), owed);
    table.unmapRange({ vpn: 0x100, pages: 1 }, owed);
    owed.complete();
    expect(frames.isOut(page)).toBe(true);
  });
});

describe('protectRange', () => {
  it('changes all that a stretch maps, and nothing beside it', () => {
    const system = makeSystem(x86Long4);
    const { owed, table } = system;
    table.mapRange({ vpn: 0x1fe, pfn: 0x5fe, pages: 0x604, flags: flagsOf(system) }, owed);
    expect(table.protectRange({ vpn: 0x1ff, pages: 0x401, prot: RU }, owed)).toBe(0);
    expect([...table.entries()].map((e) => [e.vpn, e.pages, e.prot])).toEqual([
      [0x1fe, 1, RWU],
      [0x1ff, 1, RU],
      [0x200, 512, RU],
      [0x400, 512, RU],
      [0x600, 512, RWU],
      [0x800, 1, RWU],
      [0x801, 1, RWU],
    ]);
    table.checkInvariants();
  });

  it.each([x86Long4, x86Legacy, sv39, aarch64(), eptLong4])(
    'cuts leaves of $name where the stretch begins and ends',
    (format) => {
      const system = makeSystem(format);
      const { owed, table } = system;
      const { pages } = pageSizes(format).filter(({ level }) => level === 1)[0]!;
      table.map(pages, pages, flagsOf(system), owed, pages);
      table.protectRange({ vpn: pages + 7, pages: pages - 12, prot: RU }, owed);
      const prots = [...table.entries()].map(({ prot }) => prot);
      const readOnly = table.describe(addressFromVpn(pages + 7, 0, format.pageShift)).prot;
      expect(readOnly & Prot.Write).toBe(0);
      expect(prots).toHaveLength(pages);
      prots.forEach((prot, page) => {
        expect([page, prot === readOnly]).toEqual([page, page >= 7 && page < pages - 5]);
      });
      table.checkInvariants();
    },
  );

  it('does not mind holes, and leaves software entries and what was used as they are', () => {
    const system = makeSystem(sv39);
    const { owed, table } = system;
    table.map(0x100, 5, table.flags({ prot: RW, accessed: true, dirty: true }), owed);
    table.map(0x102, 6, table.flags({ prot: RW, accessed: false, dirty: false }), owed);
    table.setSwap(0x101, { type: 2, offset: 3 }, owed);
    expect(table.protectRange({ vpn: 0, pages: 2 ** 26, prot: RU }, owed)).toBe(0);
    expect(table.swapAt(0x101)).toMatchObject({ type: 2, offset: 3 });
    const used = [0x10_0000n, 0x10_2000n].map((va) => {
      const { accessed, dirty, prot } = table.describe(va);
      return [accessed, dirty, prot];
    });
    expect(used).toEqual([
      [true, true, RU],
      [false, false, RU],
    ]);
  });

  it('does nothing to a leaf that has these rights already: it is not even split', () => {
    const system = makeSystem(x86Long4);
    const { owed, table } = system;
    table.map(0x200, 0x200, flagsOf(system), owed, 512);
    owed.complete();
    table.protectRange({ vpn: 0x200, pages: 512, prot: RWU }, owed);
    expect(owed.isEmpty).toBe(true);
    expect(leavesOf(table)).toEqual([[0x200, 0x200, 512]]);
  });
});

describe('stretches in sparse spaces', () => {
  /** Memory that counts how often entries are read. */
  class CountingMemory extends PhysicalMemory {
    reads = 0;
    override readWords(pfn: number, offset: number): number {
      this.reads++;
      return super.readWords(pfn, offset);
    }
  }
  const counting = (): CountingMemory => {
    const memory = new CountingMemory();
    // Sparse RAM is read through the memory, entry by entry.
    memory.addSparse({ base: 0, bytes: 2 ** 40 });
    return memory;
  };

  it.each([x86Long5, sv57])('cost what is mapped, not what they span ($name)', (format) => {
    const memory = counting();
    const system = makeSystem(format, { memory });
    const { owed, table } = system;
    const low = { vpn: 0, pages: 2 ** 44 };
    const high = { vpn: 2 ** 52 - 2 ** 44, pages: 2 ** 44 };
    for (const vpn of [0, 2 ** 43, 2 ** 44 - 1, high.vpn, 2 ** 52 - 1]) {
      table.map(vpn, 7, flagsOf(system), owed);
    }
    const tables = table.statistics().tables.reduce((sum, count) => sum + count, 0);
    const costOf = (operation: () => unknown): number => {
      memory.reads = 0;
      operation();
      return memory.reads / (512 * tables);
    };
    expect(costOf(() => table.protectRange({ ...low, prot: RU }, owed))).toBeLessThan(2);
    expect(costOf(() => table.protectRange({ ...high, prot: RU }, owed))).toBeLessThan(2);
    expect(costOf(() => [...table.entries()])).toBeLessThan(2);
    expect(costOf(() => table.freeEmptyTables(high, owed))).toBeLessThan(3);
    expect(costOf(() => expect(table.unmapRange(low, owed)).toBe(3))).toBeLessThan(4);
    expect(costOf(() => expect(table.unmapRange(high, owed)).toBe(2))).toBeLessThan(4);
    expect(costOf(() => table.unmapRange(low, owed))).toBeLessThan(1);
  });

  it('may not reach from one half of the space into the other', () => {
    for (const format of [x86Long4, x86Long5, sv39, sv57]) {
      const system = makeSystem(format);
      const half = 2 ** (format.virtualBits - 1 - format.pageShift);
      const ranges = [
        { vpn: half - 1, pages: 2 },
        { vpn: half - 1, pages: 2 ** 52 - 2 * half + 2 },
        { vpn: 0, pages: 2 ** 52 },
        { vpn: half, pages: 1 },
        { vpn: 2 ** 52 - half - 1, pages: 1 },
        { vpn: 2 ** 52 - 1, pages: 2 },
      ];
      for (const range of ranges) {
        const { owed, table } = system;
        for (const operation of [
          () => table.unmapRange(range, owed),
          () => table.protectRange({ ...range, prot: RU }, owed),
          () => table.mapRange({ ...range, pfn: 0, flags: flagsOf(system) }, owed),
          () => table.freeEmptyTables(range, owed),
        ]) {
          const error = errorOf(operation);
          expect([error.code, error.details.argument]).toEqual(['out-of-range', 'vpn']);
        }
      }
    }
  });
});
