import { Access, Prot, type VmEvent } from 'pagewright/core';
import { type EntryStep, Invalidations, NOT_MAPPED, type PageTable } from 'pagewright/page-table';
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
import { AArch64Walker } from 'pagewright/walk';
import { describe, expect, it } from 'vitest';
import { expectError } from '../core/errors.js';
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

const FORMAT = aarch64();
/** T0SZ 16, TTBR1 off, 48 physical bits, access flag by hardware. */
const TCR = 16n | (1n << 23n) | (5n << 32n) | (1n << 39n);

const flagsOf = ({ table }: { readonly table: PageTable }) => table.flags({ prot: RWU });

/** A 2 MiB block at page 0x200, frames from 0x400, and a page beside it. */
function withBlock(options: SystemOptions = {}, format: PteFormat = FORMAT): System {
  const system = makeSystem(format, options);
  const { owed, table } = system;
  table.map(0x200, 0x400, flagsOf(system), owed, 512);
  table.map(0x400, 0x77, flagsOf(system), owed);
  return system;
}

/** Pages at 0x200 to 0x3ff, frames from 0x400. */
function withPages(options: SystemOptions = {}, format: PteFormat = FORMAT): System {
  const system = makeSystem(format, options);
  const range = { vpn: 0x200, pfn: 0x400, pages: 512, pageSize: 1, flags: flagsOf(system) };
  system.table.mapRange(range, system.owed);
  return system;
}

/** A contiguous group at page 0x210, frames from 0x410. */
function withGroup(options: SystemOptions = {}, format: PteFormat = FORMAT): System {
  const system = makeSystem(format, options);
  system.table.map(0x210, 0x410, flagsOf(system), system.owed, 16);
  return system;
}

const walkerOf = ({ memory, table }: System): AArch64Walker =>
  new AArch64Walker({ memory, tcr: TCR, ttbr0: BigInt(table.root) << 12n, mair: 0xffn });

const kinds = ({ owed }: System): readonly string[] => owed.steps().map(({ kind }) => kind);
const steps = ({ owed }: System, kind: 'break' | 'make'): readonly EntryStep[] =>
  owed.steps().flatMap((step) => (step.kind !== 'invalidate' && step.kind === kind ? [step] : []));

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

describe('operations on what waits to be made', () => {
  it('change what is to be made', () => {
    const system = withBlock();
    const { owed, table } = system;
    table.remap(0x200, 0x800, owed);
    const { index, table: frame } = steps(system, 'break')[0]!;
    const broken = entryAt(system, frame, index);
    table.protect(0x2ff, Prot.Read, owed);
    expect(table.remap(0x200, 0xa00, owed)).toBe(0x800);
    expect(table.testAndClearDirty(0x200, owed)).toBe(1);
    expect(steps(system, 'break')).toHaveLength(1);
    expect(entryAt(system, frame, index)).toBe(broken);
    expect(table.describe(0x20_0000n)).toMatchObject({ pa: 0xa0_0000n, prot: Prot.Read });
    owed.complete();
    expect(entryAt(system, frame, index)).toBe(table.describe(0x20_0000n).path.at(-1)!.entry.raw);
    expect(table.lookup(0x201)).toBe(0xa01);
    table.checkInvariants();
  });

  it('below a table that nothing points at yet change memory at once: no hardware reads it', () => {
    const system = withBlock();
    const { owed, table } = system;
    table.split(0x200, owed);
    expect(table.remap(0x233, 0x99, owed)).toBe(0x433);
    expect(table.collapse(0x240, 16, owed)).toBe(0);
    table.unmapRange({ vpn: 0x300, pages: 0x100 }, owed);
    expect(steps(system, 'break')).toHaveLength(1);
    expect(entryOf(system, 0x233) & 1n).toBe(1n);
    table.checkInvariants();
    owed.complete();
    table.checkInvariants();
    const walker = walkerOf(system);
    expect(walker.walk(0x233, Access.Read | Access.User)).toBe(0x99);
    expect(walker.walk(0x24f, Access.Read | Access.User)).toBe(0x44f);
    expect(walker.walk(0x300, Access.Read | Access.User)).toBeLessThan(0);
  });

  it('may put everything back: a block that was split and collapsed is made as it was', () => {
    const system = withBlock();
    const { frames, owed, table } = system;
    const { free } = frames;
    const whole = entryOf(system, 0x200, 1);
    table.split(0x200, owed);
    table.collapse(0x200, 512, owed);
    expect(steps(system, 'make').map(({ entry }) => entry)).toEqual([whole]);
    owed.complete();
    expect(entryOf(system, 0x200, 1)).toBe(whole);
    expect(frames.free).toBe(free);
    table.checkInvariants();
  });

  it('unmap it: then nothing is made', () => {
    const system = withBlock();
    const { owed, table } = system;
    table.remap(0x200, 0x800, owed);
    expect(table.unmap(0x345, owed)).toBe(0x945);
    expect(table.lookup(0x200)).toBe(NOT_MAPPED);
    expect(steps(system, 'make').map(({ entry }) => entry)).toEqual([0n]);
    table.checkInvariants();
    owed.complete();
    expect(entryOf(system, 0x200, 1)).toBe(0n);
    table.checkInvariants();
  });

  it('map there again, once it was unmapped', () => {
    const system = withBlock();
    const { owed, table } = system;
    table.remap(0x200, 0x800, owed);
    table.unmap(0x200, owed);
    expect(table.map(0x211, 0x55, flagsOf(system), owed)).toBe(0);
    expect(walkerOf(system).walk(0x211, Access.Read | Access.User)).toBeLessThan(0);
    expect(table.lookup(0x211)).toBe(0x55);
    table.checkInvariants();
    owed.complete();
    expect(walkerOf(system).walk(0x211, Access.Read | Access.User)).toBe(0x55);
    table.checkInvariants();
  });

  it('give up the table of an entry that waits', () => {
    const system = withPages();
    const { frames, owed, table } = system;
    table.remap(0x280, 0x99, owed);
    table.unmapRange({ vpn: 0x200, pages: 512 }, owed);
    expect([...table.entries()]).toEqual([]);
    table.checkInvariants();
    owed.complete();
    expect(frames.free).toBe(254);
    table.checkInvariants();
  });

  it('destroy the page table: its frames are not written any more', () => {
    const system = withPages();
    const { frames, memory, owed, table } = system;
    table.remap(0x280, 0x99, owed);
    const { index, table: frame } = steps(system, 'break')[0]!;
    table.destroy(owed);
    expect(steps(system, 'make')).toEqual([]);
    memory.fillPage(frame, 0xab);
    owed.complete();
    expect(memory.read((BigInt(frame) << 12n) + BigInt(8 * index), 8)).toMatchObject({
      value: 0xabab_abab_abab_ababn,
    });
    expect(frames.free).toBe(255);
  });

  it('copy it: the copy has it made', () => {
    const system = withBlock();
    const { owed, table } = system;
    table.remap(0x200, 0x800, owed);
    const copy = table.clone({ copyOnWrite: false }, owed)!;
    const walker = walkerOf({ ...system, table: copy });
    expect(walker.walk(0x201, Access.Read | Access.User)).toBe(0x801);
    expect(walkerOf(system).walk(0x201, Access.Read | Access.User)).toBeLessThan(0);
    copy.checkInvariants();
  });

  it('do not save it: a snapshot is refused until everything is made', () => {
    const system = withBlock();
    const { owed, table } = system;
    table.split(0x200, owed);
    expectError(() => table.snapshot(), 'unsupported', 'this');
    owed.complete();
    expect(table.snapshot().tables).toHaveLength(5);
  });
});

describe('several accumulators', () => {
  it('make what was broken with them, and nothing else', () => {
    const system = withBlock();
    const { frames, owed, table } = system;
    table.map(0x600, 0x600, flagsOf(system), owed, 512);
    owed.complete();
    const other = new Invalidations({ frames });
    table.split(0x200, owed);
    table.split(0x600, other);
    const walker = walkerOf(system);
    const walk = (vpn: number): number => walker.walk(vpn, Access.Read | Access.User);
    expect([owed, other].map((one) => one.steps().map(({ kind }) => kind))).toEqual([
      ['break', 'invalidate', 'make'],
      ['break', 'invalidate', 'make'],
    ]);
    owed.complete();
    expect(walk(0x233)).toBe(0x433);
    expect(walk(0x633)).toBeLessThan(0);
    expect(table.lookup(0x633)).toBe(0x633);
    expect(other.isEmpty).toBe(false);
    table.checkInvariants();
    other.complete();
    expect(walk(0x633)).toBe(0x633);
    table.checkInvariants();
  });

  it('let an entry be made with the one that it was broken with, whoever changed it since', () => {
    const system = withBlock();
    const { frames, owed, table } = system;
    const other = new Invalidations({ frames });
    table.remap(0x200, 0x800, owed);
    table.protect(0x200, Prot.Read, other);
    other.complete();
    const walker = walkerOf(system);
    expect(walker.walk(0x200, Access.Read)).toBeLessThan(0);
    owed.complete();
    expect(walker.walk(0x200, Access.Read)).toBe(0x800);
  });

  it('serve several page tables', () => {
    const system = withBlock();
    const { frames, memory, owed, table } = system;
    const second = makeSystem(FORMAT, { memory, frames });
    second.table.map(0x200, 0x600, flagsOf(second), owed, 512);
    table.remap(0x200, 0x800, owed);
    second.table.split(0x200, owed);
    expect(kinds(system)).toEqual(['break', 'break', 'invalidate', 'invalidate', 'make', 'make']);
    owed.complete();
    expect(walkerOf(system).walk(0x201, Access.Read | Access.User)).toBe(0x801);
    expect(walkerOf({ ...system, table: second.table }).walk(0x201, Access.Read)).toBe(0x601);
  });
});

describe('making entries', () => {
  it('leaves alone what somebody else wrote there meanwhile', () => {
    const system = withBlock();
    const { memory, owed, table } = system;
    table.remap(0x200, 0x800, owed);
    const { index, table: frame } = steps(system, 'break')[0]!;
    memory.write((BigInt(frame) << 12n) + BigInt(8 * index), 8, 0x1234_5678n);
    owed.complete();
    expect(entryAt(system, frame, index)).toBe(0x1234_5678n);
  });

  it('tells the observer what memory saw, in the order of the steps', () => {
    const events: VmEvent[] = [];
    const system = withPages({ observer: (event) => events.push(event) });
    const { owed, table } = system;
    table.map(0x600, 0x600, flagsOf(system), owed, 512);
    events.length = 0;
    table.split(0x600, owed);
    table.remap(0x280, 0x99, owed);
    const made = steps(system, 'make').map(({ index, table: pfn }) => [pfn, index]);
    events.length = 0;
    owed.complete();
    const seen = events.map((event) =>
      event.type === 'entry-change' ? [event.tablePfn, event.index] : [],
    );
    expect(seen).toEqual(made);
    expect(seen).toHaveLength(2);
  });

  it('is over when all that waited was given up: single pages are quick again', () => {
    const system = withPages();
    const { memory, owed, table } = system;
    table.remap(0x280, 0x99, owed);
    table.unmapRange({ vpn: 0x200, pages: 512 }, owed);
    owed.complete();
    table.map(0x200, 0x400, flagsOf(system), owed);
    let reads = 0;
    const { readWords } = memory;
    memory.readWords = (pfn, offset) => {
      reads++;
      return readWords.call(memory, pfn, offset);
    };
    table.map(0x201, 0x401, flagsOf(system), owed);
    expect(table.lookup(0x201)).toBe(0x401);
    expect(reads).toBe(0);
  });
});

describe('hardware that keeps dirty state', () => {
  it('loses no bit that it set before the entry was broken', () => {
    const system = makeSystem(FORMAT);
    const { owed, table } = system;
    const flags = table.flags({ prot: RWU, accessed: false, dirty: false });
    table.map(0x200, 0x400, flags, owed, 512);
    const walker = new AArch64Walker({
      memory: system.memory,
      tcr: TCR | (1n << 40n),
      ttbr0: BigInt(table.root) << 12n,
      mair: 0xffn,
    });
    expect(walker.walk(0x2aa, Access.Write | Access.User)).toBe(0x4aa);
    table.split(0x200, owed);
    owed.complete();
    expect([table.testAccessed(0x200), table.testDirty(0x3ff)]).toEqual([1, 1]);
  });
});
