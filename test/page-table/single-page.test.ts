import { addressFromVpn, Prot } from 'pagewright/core';
import { NOT_MAPPED, NOT_PRESENT, type PageSize, pageSizes } from 'pagewright/page-table';
import {
  aarch64,
  encodeSwapEntry,
  mappingOf,
  type PteFormat,
  sv32,
  sv39,
  swapLayout,
  x86Legacy,
  x86Long4,
  x86Pae,
} from 'pagewright/pte';
import { describe, expect, it } from 'vitest';
import {
  FORMATS,
  firstPage,
  foundEntry,
  makeSystem,
  RU,
  RW,
  RWU,
  type System,
  stateOf,
} from './system.js';

/** Every size of page of every format. */
const SIZES: readonly (readonly [string, PteFormat, PageSize])[] = FORMATS.flatMap((format) =>
  pageSizes(format).map((size) => [`${size.pages} pages of ${format.name}`, format, size] as const),
);

/** A system with one leaf of a size, in the second place that such a leaf can have, and its neighbours free. */
function withLeaf(format: PteFormat, { pages }: PageSize, options = {}): System & Place {
  const system = makeSystem(format, { pages: 64 });
  const place = { vpn: firstPage(format) + pages, pfn: 3 * pages };
  const flags = system.table.flags({ prot: RWU, ...options });
  expect(system.table.map(place.vpn, place.pfn, flags, system.owed, pages)).toBe(0);
  return { ...system, ...place };
}

interface Place {
  readonly vpn: number;
  readonly pfn: number;
}

/** The entries of a leaf's group: where they are. */
function entriesOf({ table }: System, vpn: number): readonly { table: number; index: number }[] {
  const found = table.describe(addressFromVpn(vpn, 0, table.format.pageShift));
  const { entry, index, table: frame } = found.path.at(-1)!;
  const count = found.pages / table.format.levelPages[entry.level]!;
  const first = index - (index % count);
  return Array.from({ length: count }, (_, member) => ({ table: frame, index: first + member }));
}

/** What hardware does when it uses or writes a page: sets bits in one entry. */
function setInMemory(system: System, place: { table: number; index: number }, low: number): void {
  const { format } = system.table;
  const bytes = format.entryBytes === 8 ? 8 : 4;
  const at = addressFromVpn(place.table, 0, format.pageShift) + BigInt(place.index * bytes);
  const found = system.memory.read(at, bytes);
  if (found.kind !== 'value') throw new Error('no memory');
  system.memory.write(at, bytes, found.value | BigInt(low >>> 0));
}

describe.each(SIZES)('a leaf of %s', (_, format, size) => {
  const { entries, level, pages } = size;

  it('maps its pages to its frames, and no others', () => {
    const { pfn, table, vpn } = withLeaf(format, size);
    for (const page of new Set([0, 1, pages >> 1, pages - 1].filter((p) => p < pages))) {
      expect([page, table.lookup(vpn + page)]).toEqual([page, pfn + page]);
      expect(table.found).toMatchObject({ vpn, pages, level });
    }
    expect([table.lookup(vpn - 1), table.lookup(vpn + pages)]).toEqual([NOT_MAPPED, NOT_MAPPED]);
    expect([...table.entries()].map((e) => [e.vpn, e.pfn, e.pages])).toEqual([[vpn, pfn, pages]]);
    table.checkInvariants();
  });

  it('is one in the statistics', () => {
    const { table } = withLeaf(format, size);
    const { leaves, mappedBytes } = table.statistics();
    expect(leaves.filter(({ count }) => count > 0)).toEqual([{ pages, count: 1 }]);
    expect(mappedBytes).toBe(pages * 2 ** format.pageShift);
  });

  it('has entries that the format decodes as such', () => {
    const system = withLeaf(format, size);
    const places = entriesOf(system, system.vpn);
    expect(places).toHaveLength(entries);
    const { path } = system.table.describe(addressFromVpn(system.vpn, 0, format.pageShift));
    expect(path).toHaveLength(format.levels - level);
    const { entry } = path.at(-1)!;
    expect(entry.kind).toBe('leaf');
    expect(entry.pfn).toBe(system.pfn);
    for (const { entry: above } of path.slice(0, -1)) expect(above.kind).toBe('pointer');
  });

  it('is unmapped as a whole, by any page of it', () => {
    const system = withLeaf(format, size);
    const { frames, memory, owed, pfn, table, vpn } = system;
    const page = pages - 1;
    const low = system.table.lookup(vpn) >= 0 ? table.found.low : 0;
    expect(table.unmap(vpn + page, owed)).toBe(pfn + page);
    expect(table.found).toMatchObject({ vpn, pages, level });
    if (entries === 1) expect(table.found.low).toBe(low);
    expect(table.lookup(vpn)).toBe(NOT_MAPPED);
    expect(table.unmap(vpn, owed)).toBe(NOT_MAPPED);
    table.checkInvariants();
    owed.complete();
    const empty = makeSystem(format, { pages: 64 });
    expect(frames.free).toBe(empty.frames.free);
    expect(table.statistics()).toEqual(empty.table.statistics());
    expect(memory.read(addressFromVpn(table.root, 0, format.pageShift), 4)).toMatchObject({
      value: 0n,
    });
  });

  it('gets other frames, and keeps what it says', () => {
    const { owed, pfn, table, vpn } = withLeaf(format, size, { dirty: false });
    const said = table.describe(addressFromVpn(vpn, 0, format.pageShift));
    expect(table.remap(vpn + pages - 1, 6 * pages, owed)).toBe(pfn + pages - 1);
    expect(table.lookup(vpn + (pages >> 1))).toBe(6 * pages + (pages >> 1));
    const now = table.describe(addressFromVpn(vpn, 0, format.pageShift));
    const { accessed, dirty, global, prot } = said;
    expect(now).toMatchObject({ accessed, dirty, global, prot, vpn, pages });
    table.checkInvariants();
  });

  it('gets other flags with other frames, if told', () => {
    const { owed, table, vpn } = withLeaf(format, size);
    const flags = table.flags({ prot: Prot.Read, dirty: false });
    table.remap(vpn, 6 * pages, owed, flags);
    const { prot } = table.describe(addressFromVpn(vpn, 0, format.pageShift));
    expect(prot).toBe(mappingOf(format).granted(Prot.Read));
    table.checkInvariants();
  });

  it('gets other rights, and keeps the rest', () => {
    const { owed, pfn, table, vpn } = withLeaf(format, size);
    const bits = mappingOf(format);
    for (const prot of [Prot.Read, RU, RW, RWU, Prot.Read | Prot.Execute, 15, Prot.Read]) {
      expect(table.protect(vpn + pages - 1, prot, owed)).toBe(pfn + pages - 1);
      const now = table.describe(addressFromVpn(vpn, 0, format.pageShift));
      expect(now).toMatchObject({ prot: bits.granted(prot), accessed: true, dirty: true, pages });
      expect(table.lookup(vpn)).toBe(pfn);
      table.checkInvariants();
    }
  });

  it('is used and written, or not', () => {
    const { owed, table, vpn } = withLeaf(format, size, { accessed: false, dirty: false });
    const last = vpn + pages - 1;
    const state = (): readonly number[] => [table.testAccessed(last), table.testDirty(last)];
    expect(state()).toEqual([0, 0]);
    expect(table.setAccessed(vpn, true, owed)).toBe(0);
    expect(state()).toEqual([1, 0]);
    expect(table.setDirty(last, true, owed)).toBe(0);
    expect(state()).toEqual([1, 1]);
    expect(table.setDirty(last, true, owed)).toBe(1);
    expect(table.testAndClearAccessed(last, owed)).toBe(1);
    expect(state()).toEqual([0, 1]);
    expect(table.testAndClearAccessed(last, owed)).toBe(0);
    expect(table.testAndClearDirty(vpn, owed)).toBe(1);
    expect(state()).toEqual([0, 0]);
    expect(table.testAndClearDirty(vpn, owed)).toBe(0);
    expect(table.setAccessed(vpn, false, owed)).toBe(0);
    table.checkInvariants();
  });

  it('is used when hardware sets the bit in any entry of it', () => {
    const system = withLeaf(format, size, { accessed: false, dirty: false });
    const { owed, table, vpn } = system;
    const bits = mappingOf(format);
    const places = entriesOf(system, vpn);
    setInMemory(system, places.at(-1)!, bits.accessed);
    expect(table.testAccessed(vpn)).toBe(1);
    expect(table.describe(addressFromVpn(vpn, 0, format.pageShift)).accessed).toBe(true);
    table.protect(vpn, RU, owed);
    expect(table.testAccessed(vpn)).toBe(1);
    expect(table.testAndClearAccessed(vpn, owed)).toBe(1);
    expect(table.testAccessed(vpn)).toBe(0);
    table.checkInvariants();
  });

  it('tells, when it is unmapped, what hardware set in any entry of it', () => {
    const system = withLeaf(format, size, { accessed: false });
    const { owed, table, vpn } = system;
    const bits = mappingOf(format);
    setInMemory(system, entriesOf(system, vpn)[0]!, bits.accessed);
    table.unmap(vpn + pages - 1, owed);
    expect(bits.isAccessed(table.found.low)).toBe(true);
  });
});

describe('what is not there', () => {
  it('is told apart: nothing, or a software entry', () => {
    const { owed, table } = makeSystem(x86Long4);
    table.setSwap(0x100, { type: 1, offset: 5 }, owed);
    const operations = [
      (vpn: number) => table.lookup(vpn),
      (vpn: number) => table.remap(vpn, 5, owed),
      (vpn: number) => table.protect(vpn, RW, owed),
      (vpn: number) => table.testAccessed(vpn),
      (vpn: number) => table.testDirty(vpn),
      (vpn: number) => table.setAccessed(vpn, true, owed),
      (vpn: number) => table.setDirty(vpn, true, owed),
      (vpn: number) => table.testAndClearAccessed(vpn, owed),
      (vpn: number) => table.testAndClearDirty(vpn, owed),
      (vpn: number) => table.split(vpn, owed),
    ];
    const system = { ...makeSystem(x86Long4), table, owed };
    const before = stateOf(system);
    expect(operations.map((operation) => operation(0x101))).toEqual(
      operations.map(() => NOT_MAPPED),
    );
    expect(operations.map((operation) => operation(0x100))).toEqual(
      operations.map(() => NOT_PRESENT),
    );
    expect(stateOf(system)).toEqual(before);
    expect(table.unmap(0x101, owed)).toBe(NOT_MAPPED);
    expect(table.unmap(0x100, owed)).toBe(NOT_PRESENT);
    expect(table.lookup(0x100)).toBe(NOT_MAPPED);
  });

  it('is described as well', () => {
    const { owed, table } = makeSystem(sv39);
    table.setSwap(0x100, { type: 1, offset: 5 }, owed);
    expect(table.describe(0x10_0123n)).toMatchObject({ kind: 'software', pa: null, prot: 0 });
    expect(table.describe(0x10_1123n)).toMatchObject({ kind: 'not-mapped', vpn: 0x101, pages: 1 });
    expect(table.describe(0x1000_0000_0n)).toMatchObject({ kind: 'not-mapped', pages: 2 ** 18 });
  });
});

describe('found', () => {
  it('is the leaf as it was before the operation', () => {
    const { owed, table } = makeSystem(x86Long4);
    table.map(0x123, 0x77, table.flags({ prot: RWU }), owed);
    const entry = 0x8000_0000_0007_7067n;
    table.lookup(0x123);
    expect(foundEntry(table)).toBe(entry);
    table.protect(0x123, RU, owed);
    expect(foundEntry(table)).toBe(entry);
    table.remap(0x123, 0x88, owed);
    expect(foundEntry(table)).toBe(entry & ~2n);
    table.testAndClearDirty(0x123, owed);
    expect(foundEntry(table)).toBe(0x8000_0000_0008_8065n);
    table.setSwap(0x123, { type: 1, offset: 1 }, owed);
    expect(foundEntry(table)).toBe(0x8000_0000_0008_8025n);
    table.swapIn(0x123, 0x99, table.flags({ prot: RW }), owed);
    table.unmap(0x123, owed);
    expect(foundEntry(table)).toBe(0x8000_0000_0009_9063n);
  });

  it.each([x86Legacy, x86Pae, x86Long4, sv32, sv39, aarch64()])(
    'has the words of a software entry ($name)',
    (format) => {
      const { owed, table } = makeSystem(format);
      const { offsetEnd } = swapLayout(format);
      for (const offset of [7, offsetEnd - 1, Math.floor(offsetEnd / 3)]) {
        table.setSwap(0x123, { type: 3, offset }, owed);
        expect(table.lookup(0x123)).toBe(NOT_PRESENT);
        const raw = foundEntry(table);
        expect(raw).toBe(encodeSwapEntry(format, { type: 3, offset }));
        table.found.low = 0;
        expect(table.unmap(0x123, owed)).toBe(NOT_PRESENT);
        expect(foundEntry(table)).toBe(raw);
      }
    },
  );
});

describe('rights of pages in tables of this page table', () => {
  it.each(FORMATS)('are given by the leaf alone: pointers grant everything ($name)', (format) => {
    const { owed, table } = makeSystem(format);
    const vpn = firstPage(format);
    table.map(vpn, 1, table.flags({ prot: Prot.Read }), owed);
    table.map(vpn + 1, 2, table.flags({ prot: 15 }), owed);
    table.protect(vpn, 15, owed);
    expect(table.describe(addressFromVpn(vpn, 0, format.pageShift)).prot).toBe(15);
    table.checkInvariants();
  });
});
