import { Access } from 'pagewright/core';
import { FramePool, PhysicalMemory } from 'pagewright/memory';
import {
  EVERY_CONTEXT,
  Invalidations,
  PageTable,
  type PageTableSnapshot,
} from 'pagewright/page-table';
import { aarch64, type PteFormat, sv39, sv39x4, x86Legacy, x86Long4, x86Pae } from 'pagewright/pte';
import { X86Walker } from 'pagewright/walk';
import { describe, expect, it } from 'vitest';
import { errorOf, expectError } from '../core/errors.js';
import {
  contentsOf,
  FORMATS,
  firstPage,
  makeSystem,
  RU,
  RW,
  RWU,
  type System,
  stateOf,
} from './system.js';

const HALF = { vpn: 2 ** 52 - 2 ** 35, pages: 2 ** 35 };

/** A page table with something of everything. */
function withEverything(format: PteFormat): System {
  const system = makeSystem(format, { context: 7, pages: 64 });
  const { owed, table } = system;
  const start = firstPage(format);
  const flags = table.flags({ prot: RWU });
  const { pages } = table.sizes.find(({ entries, level }) => level === 1 && entries === 1)!;
  // Not in the order of addresses.
  table.map(start + 20 * pages + 1, 9, flags, owed);
  table.mapRange({ vpn: start + 3, pfn: 3, pages: 2 * pages, flags }, owed);
  table.unmapRange({ vpn: start + 5, pages: 9 }, owed);
  table.map(start + 8 * pages, 0, flags, owed, pages);
  if (format.swap !== null) table.setSwap(start + 6, { type: 1, offset: 5 }, owed);
  owed.complete();
  return system;
}

/** The same machine, out of what was saved as text. */
function reload(system: System, owners?: readonly PageTable[]): System {
  const { format } = system.table;
  const memory = PhysicalMemory.restore(structuredClone(system.memory.snapshot()));
  const frames = FramePool.restore(JSON.parse(JSON.stringify(system.frames.snapshot())));
  const saved: PageTableSnapshot = JSON.parse(JSON.stringify(system.table.snapshot()));
  const table = PageTable.restore(saved, { format, memory, frames, ...(owners && { owners }) });
  return { memory, frames, table, owed: new Invalidations({ frames }) };
}

describe.each(FORMATS)('a saved page table of $name', (format) => {
  it('comes back as it was', () => {
    const system = withEverything(format);
    const again = reload(system);
    expect(stateOf(again)).toEqual(stateOf(system));
    expect([...again.table.entries()]).toEqual([...system.table.entries()]);
    expect(again.table.snapshot()).toEqual(system.table.snapshot());
    again.table.checkInvariants();
  });

  it('does what the saved one would have done', () => {
    const system = withEverything(format);
    const again = reload(system);
    const start = firstPage(format);
    const { pages } = system.table.sizes.find(
      ({ entries, level }) => level === 1 && entries === 1,
    )!;
    for (const operate of [
      ({ owed, table }: System) => table.map(start + 6 * pages, 9, table.flags({ prot: RW }), owed),
      ({ owed, table }: System) => table.split(start + 8 * pages, owed),
      ({ owed, table }: System) => table.protectRange({ vpn: start, pages, prot: RU }, owed),
      ({ owed, table }: System) => table.unmapRange({ vpn: start, pages: 2 * pages }, owed),
      ({ owed, table }: System) => table.clone({}, owed)!.root,
      ({ owed, table }: System) => table.destroy(owed),
    ]) {
      expect(operate(again)).toEqual(operate(system));
      expect(stateOf(again)).toEqual(stateOf(system));
      system.owed.complete();
      again.owed.complete();
      expect(again.frames.snapshot()).toEqual(system.frames.snapshot());
    }
  });
});

describe('a snapshot', () => {
  it('is versioned plain data', () => {
    const { table } = withEverything(sv39);
    const saved = table.snapshot();
    expect(structuredClone(saved)).toEqual(saved);
    expect(saved).toMatchObject({
      v: 1,
      type: 'page-table',
      format: 'sv39',
      root: table.root,
      context: 7,
    });
    expect(saved.tables).toHaveLength([...table.tablePages()].length);
    expect(saved.foreign).toEqual([]);
  });

  it('remembers adopted tables, whose frames are not ours, and a root within a page', () => {
    const memory = PhysicalMemory.allocate(0x10000, { base: 0 });
    const frames = new FramePool({ first: 8, frames: 8 });
    // Four PDPTEs at 0x1020, the second of which has a table.
    memory.write(0x1028, 8, 0x2001n);
    memory.write(0x2000, 8, 0x3027n);
    memory.write(0x3000, 8, 0x77067n);
    const options = { format: x86Pae, memory, frames };
    const guest = new PageTable({ ...options, root: 1, rootOffset: 0x20 });
    const saved = guest.snapshot();
    expect(saved).toMatchObject({ root: 1, rootOffset: 0x20 });
    expect(saved.tables).toEqual([1, 2, 3].map((pfn) => ({ pfn, released: false, found: true })));
    const again = PageTable.restore(saved, options);
    expect(again.lookup(0x40000)).toBe(0x77);
    const owed = new Invalidations({ frames });
    again.destroy(owed);
    expect(owed.released()).toEqual([]);
  });

  it('remembers what leads nowhere, and recursive entries', () => {
    const system = makeSystem(x86Long4);
    const { frames, memory, owed, table } = system;
    table.map(5, 6, table.flags({ prot: RW }), owed);
    table.mapRecursive(510, owed);
    // A guest's pointer to where there is no memory.
    memory.write(BigInt(table.root * 4096 + 8 * 9), 8, 0xfff_0000_0007n);
    const guest = new PageTable({ format: x86Long4, memory, frames, root: table.root });
    expect(guest.foreignRanges.map(({ kind }) => kind)).toEqual(['unsound', 'recursive']);
    const again = PageTable.restore(guest.snapshot(), { format: x86Long4, memory, frames });
    expect(again.foreignRanges).toEqual(guest.foreignRanges);
    expect(again.recursiveAddress(510, 5)).toBe(guest.recursiveAddress(510, 5));
    again.checkInvariants();
  });

  it('has tables larger than a page', () => {
    const again = reload(withEverything(sv39x4));
    again.table.destroy(again.owed);
    again.owed.complete();
    expect(again.frames.free).toBe(again.frames.frames);
    expect(reload(withEverything(x86Legacy)).table.statistics().tables).toHaveLength(2);
  });
});

describe('tables on loan', () => {
  const borrowed = () => {
    const kernel = makeSystem(x86Long4, { pages: 1024, context: 3 });
    const { frames, memory, owed, table } = kernel;
    const user = new PageTable({ format: x86Long4, memory, frames, context: 5 });
    user.share(table, HALF, owed);
    user.map(5, 6, user.flags({ prot: RWU }), owed);
    table.map(HALF.vpn, 0x77, table.flags({ prot: RW }), owed);
    owed.complete();
    return { ...kernel, user };
  };

  it('are borrowed again when they come back, from the owner that came back first', () => {
    const { user, ...kernel } = borrowed();
    const again = reload(kernel);
    const { frames, memory, owed, table } = again;
    const options = { format: x86Long4, memory, frames };
    const second = PageTable.restore(user.snapshot(), { ...options, owners: [table] });
    expect(second.foreignRanges).toEqual(user.foreignRanges);
    table.map(HALF.vpn + 1, 0x78, table.flags({ prot: RW }), owed);
    expect(second.lookup(HALF.vpn + 1)).toBe(0x78);
    expect(new X86Walker({ memory, cr3: second.root * 4096 }).walk(HALF.vpn, Access.Read)).toBe(
      0x77,
    );
    expectError(() => table.destroy(owed), 'overlap', 'this');
    second.checkInvariants();
    second.destroy(owed);
    table.destroy(owed);
    owed.complete();
    expect(frames.free).toBe(frames.frames);
  });

  it('keep their owner’s records of every context, and its own context for copies', () => {
    const { user, ...kernel } = borrowed();
    const again = reload(kernel);
    again.table.unmap(HALF.vpn, again.owed);
    expect(again.owed.invalidations()[0]).toMatchObject({ context: EVERY_CONTEXT });
    expect(user.snapshot()).toMatchObject({ context: 5 });
    for (const { owed, table } of [kernel, again]) {
      const copy = table.clone({ copyOnWrite: false }, owed)!;
      owed.complete();
      copy.map(9, 9, copy.flags({ prot: RW }), owed);
      copy.unmap(9, owed);
      expect(owed.invalidations().map(({ context }) => context)).toEqual([3]);
    }
  });

  it('need their owner', () => {
    const { user, ...kernel } = borrowed();
    const { frames, memory, owed, table } = kernel;
    const options = { format: x86Long4, memory, frames };
    const saved = user.snapshot();
    expectError(() => PageTable.restore(saved, options), 'bad-argument', 'owners');
    const other = new PageTable(options);
    expectError(
      () => PageTable.restore(saved, { ...options, owners: [other] }),
      'bad-argument',
      'owners',
    );
    // With another root entry than the owner's, it is on loan from nobody.
    memory.write(BigInt(user.root * 4096 + 8 * 300), 8, 0n);
    const error = errorOf(() => PageTable.restore(saved, { ...options, owners: [table] }));
    expect(error.code).toBe('bad-image');
    // A restore that failed borrowed nothing.
    user.destroy(owed);
    table.destroy(owed);
    owed.complete();
  });
});

describe('a snapshot that was tampered with', () => {
  type Change = (saved: PageTableSnapshot) => unknown;
  const first = { pfn: 1, released: true, found: false };
  const loan = { kind: 'shared', vpn: 0, pages: 2 ** 27, level: 3, owner: 999 };
  const CHANGES: readonly (readonly [string, Change])[] = [
    ['no object', () => null],
    ['another version', (s) => ({ ...s, v: 2 })],
    ['no version', ({ v: _, ...s }) => s],
    ['another type', (s) => ({ ...s, type: 'frame-pool' })],
    ['another format', (s) => ({ ...s, format: 'sv39' })],
    ['no root', ({ root: _, ...s }) => s],
    ['a root outside memory', (s) => ({ ...s, root: 2 ** 30 })],
    ['a root that is no integer', (s) => ({ ...s, root: Number.NaN })],
    ['a root that is no root', (s) => ({ ...s, root: s.tables[1]!.pfn })],
    ['an offset', (s) => ({ ...s, rootOffset: 32 })],
    ['a context that is none', (s) => ({ ...s, context: -2 })],
    ['a context that is text', (s) => ({ ...s, context: 'x' })],
    ['a broken context', (s) => ({ ...s, context: 1.5 })],
    ['no tables', ({ tables: _, ...s }) => s],
    ['no list of tables', (s) => ({ ...s, tables: { length: 4 } })],
    ['an empty list of tables', (s) => ({ ...s, tables: [] })],
    ['one table less', (s) => ({ ...s, tables: s.tables.slice(1) })],
    ['one table more', (s) => ({ ...s, tables: [...s.tables, { ...first, pfn: 99 }] })],
    ['one table twice', (s) => ({ ...s, tables: [...s.tables.slice(0, -1), s.tables[0]] })],
    ['another table', (s) => ({ ...s, tables: [{ ...first, pfn: 99 }, ...s.tables.slice(1)] })],
    ['nothing for a table', (s) => ({ ...s, tables: [null, ...s.tables.slice(1)] })],
    ['numbers for tables', (s) => ({ ...s, tables: s.tables.map(({ pfn }) => pfn) })],
    ['no foreign ranges', ({ foreign: _, ...s }) => s],
    ['nothing for a foreign range', (s) => ({ ...s, foreign: [null] })],
    ['a foreign range of another kind', (s) => ({ ...s, foreign: [{ ...loan, kind: 'x' }] })],
    ['a foreign range that is nowhere', (s) => ({ ...s, foreign: [{ ...loan, vpn: 2 ** 40 }] })],
    ['a foreign range of no level', (s) => ({ ...s, foreign: [{ ...loan, level: 9 }] })],
    [
      'a loan below the root',
      (s) => ({ ...s, foreign: [{ ...loan, level: 0, pages: 1, vpn: 77, owner: s.root }] }),
    ],
    ['a loan of nobody', (s) => ({ ...s, foreign: [loan] })],
    [
      'a recursive entry that is none',
      (s) => ({ ...s, foreign: [{ kind: 'recursive', vpn: 2 ** 30, pages: 2 ** 27, level: 3 }] }),
    ],
    [
      'an unsound entry that is none',
      (s) => ({ ...s, foreign: [{ kind: 'unsound', vpn: 2 ** 30, pages: 2 ** 27, level: 3 }] }),
    ],
    [
      'an unsound entry where a table is',
      (s) => ({ ...s, foreign: [{ kind: 'unsound', vpn: 0, pages: 2 ** 27, level: 3 }] }),
    ],
  ];

  it.each(CHANGES)('is refused, and nothing changes: %s', (_, change) => {
    const system = withEverything(x86Long4);
    const { frames, memory, owed, table } = system;
    const before = stateOf(system);
    const saved = change(structuredClone(table.snapshot())) as PageTableSnapshot; // or anything else
    const options = { format: x86Long4, memory, frames };
    const { code } = errorOf(() => PageTable.restore(saved, { ...options, owners: [table] }));
    expect(['bad-image', 'bad-argument', 'unsupported', 'out-of-range', 'misaligned']).toContain(
      code,
    );
    expect(stateOf(system)).toEqual(before);
    table.destroy(owed); // nothing was borrowed either
  });

  it('is refused when memory was', () => {
    const system = withEverything(x86Long4);
    const { frames, memory, table } = system;
    const saved = table.snapshot();
    const options = { format: x86Long4, memory, frames };
    // Of tables of pages only, which may hold anything, nothing is known.
    for (const { level, pfn } of [...table.tablePages()]) {
      if (level === 0) continue;
      const page = new Uint8Array(4096);
      memory.readBytes(pfn, 0, page);
      memory.fillPage(pfn, 0x5b);
      expect([pfn, errorOf(() => PageTable.restore(saved, options)).code]).toEqual([
        pfn,
        'bad-image',
      ]);
      memory.writeBytes(pfn, 0, page);
    }
    expect(PageTable.restore(saved, options).statistics()).toEqual(table.statistics());
  });

  it('of an unknown version is refused by name', () => {
    const { frames, memory, table } = withEverything(aarch64());
    const saved = { ...table.snapshot(), v: 3 } as unknown as PageTableSnapshot; // of the future
    const error = errorOf(() => PageTable.restore(saved, { format: aarch64(), memory, frames }));
    expect([error.code, error.details.argument]).toEqual(['unsupported', 'snapshot.v']);
  });

  it('keeps memory as it is: a digest before and after', () => {
    const system = withEverything(sv39);
    const before = contentsOf(system.memory);
    reload(system);
    expect(contentsOf(system.memory)).toBe(before);
  });
});
