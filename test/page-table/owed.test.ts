import { Prot } from 'pagewright/core';
import { EVERY_CONTEXT, type Invalidation } from 'pagewright/page-table';
import {
  aarch64,
  definePteFormat,
  eptLong4,
  nptLong4,
  type PteFormat,
  sv32,
  sv39,
  sv39x4,
  sv48,
  sv57,
  x86Legacy,
  x86Long4,
  x86Long5,
  x86Pae,
} from 'pagewright/pte';
import { describe, expect, it } from 'vitest';
import { makeSystem, owedBy, RU, RW, RWU, type System } from './system.js';

const SILENT = [
  x86Legacy,
  x86Long4,
  x86Long5,
  eptLong4,
  nptLong4,
  aarch64(),
  aarch64({ granule: 16384, virtualBits: 47 }),
  aarch64({ granule: 65536, virtualBits: 42 }),
  aarch64({ stage: 2, virtualBits: 40 }),
];
const RISCV = [sv32, sv39, sv48, sv57, sv39x4];

/** What `Invalidations.invalidations` tells, shortened. */
const short = (owed: readonly Invalidation[]): readonly unknown[] =>
  owed.map(({ intermediate, pages, vpn }) => [vpn, pages, intermediate]);

const flagsOf = ({ table }: System) => table.flags({ prot: RWU });

/** All ways to fill entries that were not valid. */
const FILLS: readonly (readonly [string, (system: System) => unknown])[] = [
  ['map', (s) => s.table.map(0x123, 0x77, flagsOf(s), s.owed)],
  ['map beside another page', (s) => s.table.map(0x124, 0x78, flagsOf(s), s.owed)],
  [
    'mapRange',
    (s) => s.table.mapRange({ vpn: 0x200, pfn: 0x80, pages: 0x300, flags: flagsOf(s) }, s.owed),
  ],
  [
    'map of a large page',
    (s) => {
      const { level, pages } = s.table.sizes.filter(({ entries }) => entries === 1).at(-1)!;
      expect(level).toBeGreaterThan(0);
      return s.table.map(4 * pages, 0, flagsOf(s), s.owed, pages);
    },
  ],
];

describe('an entry that was not valid and becomes valid', () => {
  it.each(SILENT)('owes nothing in $name', (format) => {
    const system = makeSystem(format);
    for (const [, fill] of FILLS) expect(fill(system)).toBe(0);
    expect(system.owed.isEmpty).toBe(true);
  });

  // RISC-V Privileged, Svvptc: without it a hart may go on using the entry that it read while it was invalid.
  describe.each(RISCV)('in $name', (format) => {
    it.each(FILLS)('owes an invalidation of its pages (%s)', (_, fill) => {
      const system = makeSystem(format, { context: 9 });
      const owed = owedBy(system, () => fill(system));
      expect(owed.length).toBeGreaterThan(0);
      const mapped = [...system.table.entries()];
      for (const { pages, vpn } of mapped) {
        const covered = owed.some((i) => i.vpn <= vpn && i.vpn + i.pages >= vpn + pages);
        expect([vpn, covered]).toEqual([vpn, true]);
      }
      expect(owed.every(({ context }) => context === 9)).toBe(true);
    });

    it('owes nothing with Svvptc', () => {
      const system = makeSystem(format, { svvptc: true });
      for (const [, fill] of FILLS) fill(system);
      expect(system.owed.isEmpty).toBe(true);
    });
  });

  it('says that tables are new, where it owes', () => {
    const system = makeSystem(sv39);
    const { owed, table } = system;
    const first = owedBy(system, () => table.map(0x40123, 1, flagsOf(system), owed));
    expect(short(first)).toEqual([
      [0x40000, 0x40000, true],
      [0x40123, 1, false],
    ]);
    const second = owedBy(system, () => table.map(0x40124, 2, flagsOf(system), owed));
    expect(short(second)).toEqual([[0x40124, 1, false]]);
  });

  it('is owed as one stretch by a range', () => {
    const system = makeSystem(sv39);
    const { owed, table } = system;
    table.map(0x40003, 0, flagsOf(system), owed);
    const range = { vpn: 0x40010, pfn: 0x1001, pages: 0x100, flags: flagsOf(system) };
    expect(short(owedBy(system, () => table.mapRange(range, owed)))).toEqual([
      [0x40010, 0x100, false],
    ]);
  });

  it('is owed in a format of one’s own, about whose machine nobody says anything', () => {
    const own = definePteFormat({
      name: 'own',
      pageBytes: 4096,
      entryBytes: 4,
      levels: [{ bits: 10 }, { bits: 10 }],
      bits: { valid: 0, frame: [31, 12] },
    });
    const system = makeSystem(own);
    const { owed, table } = system;
    table.map(5, 6, table.flags({ prot: 15 }), owed);
    expect(short(owed.invalidations())).toEqual([
      [0, 1024, true],
      [5, 1, false],
    ]);
  });

  it('is ignored of Svvptc by other architectures', () => {
    const system = makeSystem(x86Pae, { svvptc: true });
    system.table.map(5, 6, flagsOf(system), system.owed);
    expect(system.owed.count).toBe(1);
  });

  it('owes nothing where a swapped page comes back, but on RISC-V', () => {
    const count = (format: PteFormat): number => {
      const system = makeSystem(format);
      const { owed, table } = system;
      table.setSwap(5, { type: 1, offset: 2 }, owed);
      return owedBy(system, () => table.swapIn(5, 6, flagsOf(system), owed)).length;
    };
    expect([x86Long4, x86Legacy, x86Pae, aarch64(), sv32, sv39].map(count)).toEqual([
      0, 0, 0, 0, 1, 1,
    ]);
  });
});

// Intel SDM Vol. 3A, 4.4.1: the CPU keeps PDPTEs in registers that a load of CR3 fills.
describe('a PDPTE of PAE paging', () => {
  it('owes an invalidation when it is filled, and entries below it do not', () => {
    const system = makeSystem(x86Pae);
    const { owed, table } = system;
    const map = (vpn: number) => owedBy(system, () => table.map(vpn, 1, flagsOf(system), owed));
    expect(short(map(0x40123))).toEqual([[0x40000, 0x40000, true]]);
    expect(map(0x40124)).toEqual([]);
    expect(map(0x50000)).toEqual([]);
    expect(short(map(0xc0000))).toEqual([[0xc0000, 0x40000, true]]);
  });
});

describe('a change of a live leaf', () => {
  const mapped = (format: PteFormat, fields: { global?: boolean } = {}): System => {
    const system = makeSystem(format, { context: 0x42 });
    const flags = system.table.flags({ prot: RWU, accessed: true, dirty: true, ...fields });
    system.table.mapRange({ vpn: 0x100, pfn: 0x40, pages: 16, flags, pageSize: 1 }, system.owed);
    return system;
  };
  const CHANGES: readonly (readonly [string, (system: System) => unknown])[] = [
    ['unmap', ({ owed, table }) => table.unmap(0x105, owed)],
    ['remap', ({ owed, table }) => table.remap(0x105, 0x99, owed)],
    ['protect', ({ owed, table }) => table.protect(0x105, RU, owed)],
    ['testAndClearAccessed', ({ owed, table }) => table.testAndClearAccessed(0x105, owed)],
    ['testAndClearDirty', ({ owed, table }) => table.testAndClearDirty(0x105, owed)],
    ['unmapRange', ({ owed, table }) => table.unmapRange({ vpn: 0x105, pages: 1 }, owed)],
    [
      'protectRange',
      ({ owed, table }) => table.protectRange({ vpn: 0x105, pages: 1, prot: RU }, owed),
    ],
    ['setSwap', ({ owed, table }) => table.setSwap(0x105, { type: 1, offset: 1 }, owed)],
  ];
  const FORMATS = [x86Legacy, x86Pae, x86Long4, sv32, sv39, aarch64()];

  describe.each(FORMATS)('in $name', (format) => {
    it.each(CHANGES)('owes its page, in its context and size (%s)', (_, change) => {
      const system = mapped(format);
      expect(owedBy(system, () => change(system))).toEqual([
        {
          kind: 'invalidate',
          vpn: 0x105,
          pages: 1,
          stride: 1,
          context: 0x42,
          intermediate: false,
          global: false,
        },
      ]);
    });

    it.each(CHANGES)('says that it was global (%s)', (_, change) => {
      const system = mapped(format, { global: true });
      expect(owedBy(system, () => change(system))).toMatchObject([{ vpn: 0x105, global: true }]);
    });
  });

  it.each([...FORMATS, eptLong4, nptLong4, aarch64({ stage: 2 })])(
    'that changes nothing owes nothing ($name)',
    (format) => {
      const system = mapped(format);
      const { owed, table } = system;
      table.testAndClearAccessed(0x105, owed);
      table.testAndClearDirty(0x105, owed);
      const nothing = owedBy(system, () => {
        expect(table.testAndClearAccessed(0x105, owed)).toBe(0);
        expect(table.testAndClearDirty(0x105, owed)).toBe(0);
        table.protect(0x105, RWU, owed);
        table.protectRange({ vpn: 0x100, pages: 16, prot: RWU }, owed);
        table.unmap(0x200, owed);
        table.unmapRange({ vpn: 0x200, pages: 100 }, owed);
        table.remap(0x105, 0x45, owed);
        table.testAccessed(0x105);
        table.lookup(0x105);
      });
      expect(nothing).toEqual([]);
    },
  );

  it.each(CHANGES.slice(0, 7))(
    'says so whatever the bit that makes pages global (%s)',
    (_, change) => {
      const format = definePteFormat({
        name: 'global above',
        pageBytes: 4096,
        entryBytes: 8,
        levels: [{ bits: 9 }, { bits: 9 }],
        bits: {
          valid: 0,
          read: 1,
          write: 2,
          user: 3,
          accessed: 4,
          dirty: 5,
          global: 62,
          frame: [47, 12],
        },
      });
      const system = mapped(format, { global: true });
      expect(owedBy(system, () => change(system))).toMatchObject([{ vpn: 0x105, global: true }]);
    },
  );

  it('of second stages is of no global page: there are none', () => {
    for (const format of [eptLong4, nptLong4, sv39x4, aarch64({ stage: 2 })]) {
      const system = mapped(format, { global: true });
      const owed = owedBy(system, () =>
        system.table.unmapRange({ vpn: 0x100, pages: 4 }, system.owed),
      );
      expect([format.name, owed.map((i) => i.global)]).toEqual([format.name, [false]]);
    }
  });
});

describe('the stretch that a change owes', () => {
  it('has the size of the page, whichever page of it was named', () => {
    const system = makeSystem(x86Long4);
    const { owed, table } = system;
    table.map(0x200, 0x400, flagsOf(system), owed, 512);
    table.map(0x40000, 0, flagsOf(system), owed, 2 ** 18);
    const large = owedBy(system, () => table.protect(0x2ab, RU, owed));
    expect(large).toMatchObject([{ vpn: 0x200, pages: 512, stride: 512 }]);
    const huge = owedBy(system, () => table.protect(0x7ffff, RU, owed));
    expect(huge).toMatchObject([{ vpn: 0x40000, pages: 2 ** 18, stride: 2 ** 18 }]);
  });

  it('is a whole group of contiguous or NAPOT entries', () => {
    for (const format of [sv39, aarch64()]) {
      const system = makeSystem(format);
      const { owed, table } = system;
      table.map(0x210, 0x10, flagsOf(system), owed, 16);
      const group = owedBy(system, () => table.protect(0x21d, RU, owed));
      expect(group).toMatchObject([{ vpn: 0x210, pages: 16, stride: 1 }]);
    }
  });

  it.each(['unmapRange', 'protectRange'] as const)(
    'is one for a range over several tables (%s)',
    (name) => {
      const system = makeSystem(x86Long4);
      const { owed, table } = system;
      const range = { vpn: 0x100, pages: 0x800 };
      table.mapRange({ ...range, pfn: 1, flags: flagsOf(system), pageSize: 1 }, owed);
      const stretch = owedBy(system, () =>
        name === 'unmapRange'
          ? table.unmapRange(range, owed)
          : table.protectRange({ ...range, prot: RW }, owed),
      );
      expect(stretch).toMatchObject([{ ...range, stride: 1, intermediate: name === 'unmapRange' }]);
    },
  );

  it('has pages of one size: others begin a stretch of their own', () => {
    const system = makeSystem(x86Long4);
    const { owed, table } = system;
    table.mapRange({ vpn: 0x1f0, pfn: 0x1f0, pages: 0x220, flags: flagsOf(system) }, owed);
    const stretches = owedBy(system, () => table.unmapRange({ vpn: 0x1f0, pages: 0x220 }, owed));
    expect(stretches.map(({ stride }) => stride)).toEqual([1, 512, 1]);
    expect(stretches.reduce((sum, { pages }) => sum + pages, 0)).toBe(0x220);
  });

  it('reaches to the last page of a 57-bit space', () => {
    for (const format of [x86Long5, sv57]) {
      const system = makeSystem(format, { svvptc: true });
      const { owed, table } = system;
      table.map(2 ** 52 - 1, 3, flagsOf(system), owed);
      expect(owed.isEmpty).toBe(true);
      expect(owedBy(system, () => table.unmap(2 ** 52 - 1, owed))).toMatchObject([
        { vpn: 2 ** 52 - 1, pages: 1 },
      ]);
    }
  });

  it('is of every context once tables are shared', () => {
    const system = makeSystem(x86Long4, { context: 3 });
    const { frames, memory, owed, table } = system;
    const other = makeSystem(x86Long4, { memory, frames, context: 4 });
    other.table.share(table, { vpn: 2 ** 52 - 2 ** 27, pages: 2 ** 27 }, owed);
    table.map(2 ** 52 - 1, 5, flagsOf(system), owed);
    const owner = owedBy(system, () => table.unmap(2 ** 52 - 1, owed));
    expect(owner.map(({ context }) => context)).toEqual([EVERY_CONTEXT]);
    other.table.map(5, 5, flagsOf(other), owed);
    const own = owedBy(system, () => other.table.unmap(5, owed));
    expect(own.map(({ context }) => context)).toEqual([4]);
  });
});

describe('tables that go away', () => {
  it.each([x86Legacy, x86Long4, x86Long5, sv39, sv57, aarch64(), eptLong4])(
    'owe the invalidation of intermediate entries ($name)',
    (format) => {
      const system = makeSystem(format);
      const { owed, table } = system;
      for (const vpn of [0x123, 0x124]) table.map(vpn, vpn, flagsOf(system), owed);
      const first = owedBy(system, () => table.unmap(0x123, owed));
      expect(first).toMatchObject([{ vpn: 0x123, pages: 1, intermediate: false }]);
      const last = owedBy(system, () => table.unmap(0x124, owed));
      expect(last).toMatchObject([{ vpn: 0x124, pages: 1, intermediate: true }]);
    },
  );

  it('are released by the accumulator, not by the operation', () => {
    const system = makeSystem(x86Long4);
    const { frames, owed, table } = system;
    table.map(0x123, 7, flagsOf(system), owed);
    const tables = [...table.tablePages()].filter(({ level }) => level < 3).map(({ pfn }) => pfn);
    const { free } = frames;
    table.unmap(0x123, owed);
    expect(owed.released()).toEqual([...tables].reverse());
    expect(frames.free).toBe(free);
    owed.complete();
    expect(frames.free).toBe(free + 3);
  });

  it('owe it where only software entries were left in them', () => {
    const system = makeSystem(x86Long4);
    const { owed, table } = system;
    table.setSwap(0x123, { type: 1, offset: 1 }, owed);
    expect(owed.isEmpty).toBe(true);
    const forgotten = owedBy(system, () => table.unmap(0x123, owed));
    expect(forgotten.map(({ intermediate }) => intermediate)).toEqual([true]);
    expect(forgotten[0]!.vpn).toBe(0);
  });

  it('owe the whole context with the last of them', () => {
    const system = makeSystem(x86Long4, { context: 8 });
    const { owed, table } = system;
    table.map(0x123, 7, flagsOf(system), owed);
    const all = owedBy(system, () => table.destroy(owed));
    expect(all).toMatchObject([{ vpn: 0, pages: 2 ** 53, context: 8, intermediate: true }]);
    expect(all[0]?.global).toBe(true);
  });

  it('owe it when leaves take their place, or come from them', () => {
    const system = makeSystem(x86Long4);
    const { owed, table } = system;
    table.map(0x200, 0x200, flagsOf(system), owed, 512);
    const split = owedBy(system, () => table.split(0x200, owed));
    expect(split).toMatchObject([{ vpn: 0x200, pages: 512, stride: 512, intermediate: true }]);
    const collapse = owedBy(system, () => table.collapse(0x200, 512, owed));
    expect(collapse).toMatchObject([{ vpn: 0x200, pages: 512, stride: 1, intermediate: true }]);
  });
});

describe('copy-on-write', () => {
  it('owes the pages that lost the right to write, in the context of the original', () => {
    const system = makeSystem(x86Long4, { context: 3 });
    const { owed, table } = system;
    table.map(0x100, 1, table.flags({ prot: Prot.Read }), owed);
    table.mapRange({ vpn: 0x800, pfn: 8, pages: 512, flags: flagsOf(system), pageSize: 1 }, owed);
    table.map(0x1000, 0, flagsOf(system), owed, 512);
    const owing = owedBy(system, () => table.clone({ context: 4 }, owed));
    expect(owing).toMatchObject([
      { vpn: 0x800, pages: 512, stride: 1, context: 3 },
      { vpn: 0x1000, pages: 512, stride: 512, context: 3 },
    ]);
    expect(owedBy(system, () => table.clone({ context: 5 }, owed))).toEqual([]);
  });

  it('owes nothing when nothing is protected', () => {
    const system = makeSystem(x86Long4);
    const { owed, table } = system;
    table.map(0x100, 1, flagsOf(system), owed);
    expect(owedBy(system, () => table.clone({ copyOnWrite: false }, owed))).toEqual([]);
  });
});
