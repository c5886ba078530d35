import { Access, Prot } from 'pagewright/core';
import { NOT_MAPPED } from 'pagewright/page-table';
import {
  aarch64,
  eptLong4,
  nptLong4,
  type PteFormat,
  sv39,
  x86Legacy,
  x86Long4,
  x86Pae,
} from 'pagewright/pte';
import { describe, expect, it } from 'vitest';
import {
  flagsOf,
  kinds,
  steps,
  walkerOf,
  withBlock,
  withGroup,
  withPages,
} from './aarch64-system.js';
import {
  contentsOf,
  entryAt,
  entryOf,
  makeSystem,
  owedBy,
  RU,
  RWU,
  type System,
  type SystemOptions,
} from './system.js';

/** Changes of a live entry's size or output address, and how many entries each breaks. */
const BREAKING: readonly {
  readonly name: string;
  readonly make: (options?: SystemOptions, format?: PteFormat) => System;
  readonly operate: (system: System) => unknown;
  readonly entries: number;
  /** Whether it is about size alone, which FEAT_BBM level 2 lets change at once. */
  readonly size: boolean;
}[] = [
  {
    name: 'split of a block',
    make: withBlock,
    operate: ({ owed, table }) => table.split(0x233, owed),
    entries: 1,
    size: true,
  },
  {
    name: 'collapse into a block',
    make: withPages,
    operate: ({ owed, table }) => table.collapse(0x200, 512, owed),
    entries: 1,
    size: true,
  },
  {
    name: 'split of a group',
    make: withGroup,
    operate: ({ owed, table }) => table.split(0x21f, owed),
    entries: 16,
    size: true,
  },
  {
    name: 'collapse into a group',
    make: withPages,
    operate: ({ owed, table }) => table.collapse(0x210, 16, owed),
    entries: 16,
    size: true,
  },
  {
    name: 'protectRange that cuts a block',
    make: withBlock,
    operate: ({ owed, table }) => table.protectRange({ vpn: 0x210, pages: 4, prot: RU }, owed),
    entries: 1,
    size: true,
  },
  {
    name: 'unmapRange that cuts a block',
    make: withBlock,
    operate: ({ owed, table }) => table.unmapRange({ vpn: 0x210, pages: 0x1f0 }, owed),
    entries: 1,
    size: true,
  },
  {
    name: 'protectRange that cuts a group',
    make: withGroup,
    operate: ({ owed, table }) => table.protectRange({ vpn: 0x210, pages: 4, prot: RU }, owed),
    entries: 16,
    size: true,
  },
  {
    name: 'remap of a page',
    make: withPages,
    operate: ({ owed, table }) => table.remap(0x280, 0x99, owed),
    entries: 1,
    size: false,
  },
  {
    name: 'remap of a block',
    make: withBlock,
    operate: ({ owed, table }) => table.remap(0x280, 0x800, owed),
    entries: 1,
    size: false,
  },
  {
    name: 'remap of a group',
    make: withGroup,
    operate: ({ owed, table }) => table.remap(0x215, 0x800, owed),
    entries: 16,
    size: false,
  },
  {
    name: 'a change of memory type',
    make: withPages,
    operate: ({ owed, table }) =>
      table.remap(0x280, 0x480, owed, table.flags({ prot: RWU, fields: { ATTRINDX: 1 } })),
    entries: 1,
    size: false,
  },
];

describe.each(BREAKING)('break-before-make: $name', ({ entries, make, operate, size }) => {
  it('is returned as steps: break, invalidate, make', () => {
    const system = make();
    const before = [...system.table.entries()];
    operate(system);
    const order = kinds(system);
    expect(order.slice(0, entries)).toEqual(Array(entries).fill('break'));
    expect(order.slice(-entries)).toEqual(Array(entries).fill('make'));
    const between = order.slice(entries, -entries);
    expect(between.length).toBeGreaterThan(0);
    expect(new Set(between)).toEqual(new Set(['invalidate']));
    // What was live and broken is covered by what is to be invalidated.
    const [first] = before;
    const covered = system.owed.invalidations();
    expect(
      covered.some(({ pages, vpn }) => vpn < first!.vpn + 512 && vpn + pages > first!.vpn),
    ).toBe(true);
  });

  it('leaves memory with entries that are not valid until everything is invalidated', () => {
    const system = make();
    operate(system);
    const broken = steps(system, 'break');
    const made = steps(system, 'make');
    expect(made.map(({ index, table }) => [table, index])).toEqual(
      broken.map(({ index, table }) => [table, index]),
    );
    for (const { entry, index, table } of broken) {
      expect(entry & 1n).toBe(0n);
      expect(entryAt(system, table, index)).toBe(entry);
    }
    system.owed.complete();
    for (const { entry, index, table } of made) {
      expect(entry & 1n).toBe(1n);
      expect(entryAt(system, table, index)).toBe(entry);
    }
    expect(system.owed.steps()).toEqual([]);
    expect(system.owed.isEmpty).toBe(true);
  });

  it('is for the page table as if it were made', () => {
    const system = make();
    operate(system);
    const { owed, table } = system;
    const said = () => ({
      entries: [...table.entries()],
      statistics: table.statistics(),
      tables: [...table.tablePages()],
      described: table.describe(0x28_0000n),
      frame: [table.lookup(0x215), table.lookup(0x280)],
    });
    const pending = said();
    table.checkInvariants();
    owed.complete();
    table.checkInvariants();
    expect(said()).toEqual(pending);
  });

  it('lets no walk see the new entry before the old one is gone everywhere', () => {
    const system = make();
    const walker = walkerOf(system);
    const frameOf = (vpn: number): number => walker.walk(vpn, Access.Read | Access.User);
    const pages = [...system.table.entries()].flatMap(({ pages: count, vpn }) =>
      Array.from({ length: count }, (_, page) => vpn + page),
    );
    const before = pages.map(frameOf);
    operate(system);
    const during = pages.map(frameOf);
    system.owed.complete();
    const after = pages.map(frameOf);
    expect(before.every((pfn) => pfn >= 0)).toBe(true);
    during.forEach((pfn, i) => {
      // A fault, or what was there before and is there after.
      if (pfn >= 0) expect([pages[i], pfn, pfn]).toEqual([pages[i], before[i], after[i]]);
    });
    expect(during.some((pfn) => pfn < 0)).toBe(true);
    pages.forEach((vpn, i) => {
      const frame = system.table.lookup(vpn);
      expect([vpn, after[i]! < 0 ? NOT_MAPPED : after[i]]).toEqual([vpn, frame]);
    });
  });

  it.each([0, 1] as const)('is needed with FEAT_BBM level %i', (bbm) => {
    const system = make({ bbm });
    operate(system);
    expect(steps(system, 'break')).toHaveLength(entries);
  });

  it(`is ${size ? 'not needed' : 'needed'} with FEAT_BBM level 2, which is about size alone`, () => {
    const system = make({ bbm: 2 });
    operate(system);
    expect(steps(system, 'break')).toHaveLength(size ? 0 : entries);
    expect(system.owed.invalidations().length).toBeGreaterThan(0);
    system.table.checkInvariants();
    const reference = make();
    operate(reference);
    reference.owed.complete();
    system.owed.complete();
    expect(contentsOf(system.memory)).toBe(contentsOf(reference.memory));
  });
});

describe('what needs no break-before-make on AArch64', () => {
  const harmless: readonly (readonly [string, (system: System) => unknown])[] = [
    ['filling', (s) => s.table.map(0x10_0000, 5, flagsOf(s), s.owed)],
    ['unmap', (s) => s.table.unmap(0x280, s.owed)],
    ['unmapRange', (s) => s.table.unmapRange({ vpn: 0x200, pages: 512 }, s.owed)],
    ['protect', (s) => s.table.protect(0x280, Prot.Read, s.owed)],
    ['protectRange', (s) => s.table.protectRange({ vpn: 0x200, pages: 64, prot: RU }, s.owed)],
    ['accessed', (s) => s.table.testAndClearAccessed(0x280, s.owed)],
    ['dirty', (s) => s.table.testAndClearDirty(0x280, s.owed)],
    [
      'remap to the same frame with other rights',
      (s) => s.table.remap(0x280, 0x480, s.owed, s.table.flags({ prot: RU })),
    ],
    [
      'swap out and in',
      (s) => {
        s.table.setSwap(0x280, { type: 1, offset: 1 }, s.owed);
        s.table.swapIn(0x280, 0x99, flagsOf(s), s.owed);
      },
    ],
    [
      'unmap and map elsewhere',
      (s) => {
        s.table.unmap(0x280, s.owed);
        s.table.map(0x280, 0x99, flagsOf(s), s.owed);
      },
    ],
    ['copy-on-write', (s) => s.table.clone({}, s.owed)],
  ];

  it.each(harmless)('%s', (_, operate) => {
    const system = withPages();
    system.owed.complete();
    operate(system);
    expect(steps(system, 'break')).toEqual([]);
    expect(steps(system, 'make')).toEqual([]);
  });
});

describe('break-before-make elsewhere', () => {
  it.each([aarch64({ granule: 16384 }), aarch64({ granule: 65536 }), aarch64({ stage: 2 })])(
    'is the same in $name',
    (format) => {
      const system = makeSystem(format);
      const { owed, table } = system;
      const [, group, block] = table.sizes;
      table.map(4 * block!.pages, 0, flagsOf(system), owed, block!.pages);
      expect(table.split(4 * block!.pages, owed)).toBe(0);
      expect(kinds(system)).toEqual(['break', 'invalidate', 'make']);
      owed.complete();
      table.map(group!.pages, group!.pages, flagsOf(system), owed, group!.pages);
      table.remap(group!.pages, 0, owed);
      expect(steps(system, 'make')).toHaveLength(group!.entries);
      table.checkInvariants();
      owed.complete();
      table.checkInvariants();
    },
  );

  it.each([x86Legacy, x86Pae, x86Long4, sv39, eptLong4, nptLong4])(
    'is not the way of $name: entries change at once',
    (format) => {
      const system = makeSystem(format);
      const { owed, table } = system;
      const { pages } = table.sizes.filter(({ level }) => level === 1)[0]!;
      table.map(pages, 0, flagsOf(system), owed, pages);
      for (const operate of [
        () => table.split(pages, owed),
        () => table.remap(pages + 1, 0x99, owed),
        () => table.remap(pages + 1, 1, owed),
        () => table.collapse(pages, pages, owed),
        () => table.remap(pages, 2 * pages, owed),
      ]) {
        const owing = owedBy(system, operate);
        expect(owing.length).toBeGreaterThan(0);
      }
      table.split(pages, owed);
      expect(steps(system, 'break')).toEqual([]);
      const [leaf] = table.entries();
      expect(entryOf(system, pages)).toBe(leaf!.raw);
    },
  );
});
