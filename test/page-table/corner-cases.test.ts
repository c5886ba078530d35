import { Prot } from 'pagewright/core';
import { FramePool, PhysicalMemory } from 'pagewright/memory';
import {
  Invalidations,
  NOT_COMPATIBLE,
  NOT_PRESENT,
  PageTable,
  type PageTableOptions,
} from 'pagewright/page-table';
import {
  aarch64,
  definePteFormat,
  type PteFormat,
  type PteFormatDescription,
  sv39,
  x86Legacy,
} from 'pagewright/pte';
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
  test('asks before anything changes, so that whoever does not answer has done no harm', () => {
    const { owed, table } = makeTable(sv39);
    const flags = table.flags({ prot: Prot.Read | Prot.Write });
    table.mapRange({ vpn: 1, pfn: 1, pages: 4, flags }, owed);
    owed.complete();
    const before = [...table.entries()];
    const pool = JSON.stringify(table.frames);
    const isShared = (vpn: number): boolean => {
      if (vpn === 3) throw new RangeError('no answer');
      return false;
    };
    expect(() => table.clone({ isShared }, owed)).toThrow(RangeError);
    expect(() => table.clone(JSON.parse('{"observer":5}'), owed)).toThrow(/observer/);
    expect([...table.entries()]).toEqual(before);
    expect(JSON.stringify(table.frames)).toBe(pool);
    expect(owed.isEmpty).toBe(true);
  });

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

describe('a page that smaller ones can not stand for', () => {
  // PSE-36: the entry of a 4 MiB page has 40 address bits, that of a 4 KiB page 32.
  const above = { vpn: 0x400, pfn: 0x10_0000 };
  // Large pages at the root, and tables alone at the level below it.
  const gap = definePteFormat({
    name: 'gap',
    pageBytes: 256,
    entryBytes: 4,
    levels: [{ bits: 4, huge: true }, { bits: 4 }, { bits: 4 }],
    bits: { valid: 0, write: 1, leaf: 2, frame: [31, 8] },
  });
  test.each([
    { name: '4 MiB above 4 GiB', format: x86Legacy, pages: 1024, ...above },
    { name: 'two levels above pages', format: gap, pages: 256, vpn: 0x100, pfn: 0 },
  ])('$name is not split, nor cut by a stretch', ({ format, pages, pfn, vpn }) => {
    const { owed, table } = makeTable(format);
    const flags = table.flags({ prot: Prot.Read | Prot.Write | Prot.User });
    table.map(vpn, pfn, flags, owed, pages);
    owed.complete();
    const before = [...table.entries()];
    expect(table.split(vpn + 1, owed)).toBe(NOT_COMPATIBLE);
    for (const part of [
      { vpn: vpn - 1, pages: 2 },
      { vpn: vpn + 1, pages },
    ]) {
      const misaligned = expect.objectContaining({ code: 'misaligned' });
      expect(() => table.unmapRange(part, owed)).toThrow(misaligned);
      expect(() => table.protectRange({ ...part, prot: Prot.Read }, owed)).toThrow(misaligned);
    }
    expect([...table.entries()]).toEqual(before);
    expect(owed.isEmpty).toBe(true);
    expect(table.unmapRange({ vpn: 0, pages: vpn + pages }, owed)).toBe(pages);
  });
});

describe('loops over flat RAM', () => {
  test('see entries whose valid bit is in the high word', () => {
    const format = definePteFormat({
      name: 'valid on high',
      pageBytes: 4096,
      entryBytes: 8,
      levels: [{ bits: 9 }, { bits: 9 }],
      bits: { valid: 63, write: 1, frame: [51, 12] },
    });
    const { owed, table } = makeTable(format);
    const flags = table.flags({ prot: Prot.Read | Prot.Write });
    table.mapRange({ vpn: 0, pfn: 0, pages: 8, flags }, owed);
    table.protectRange({ vpn: 0, pages: 4, prot: Prot.Read }, owed);
    const writable = (): boolean[] =>
      [...table.entries()].map(({ prot }) => (prot & Prot.Write) !== 0);
    expect(writable()).toEqual([...Array(4).fill(false), ...Array(4).fill(true)]);
    table.clone({}, owed);
    expect(writable()).toEqual(Array(8).fill(false));
    expect(table.unmapRange({ vpn: 0, pages: 512 }, owed)).toBe(8);
    table.checkInvariants();
  });

  test('do not take for leaves what is present and none, nor a reserved size for a group', () => {
    const { memory, owed, table } = makeTable(sv39);
    const flags = table.flags({ prot: Prot.Read });
    table.map(1, 7, flags, owed);
    const { table: last } = table.describe(0x1000).path.at(-1)!;
    const at = (index: number): number => last * 4096 + index * 8;
    memory.write(at(2), 8, 0x2001n); // a pointer at the last level
    memory.write(at(3), 8, (1n << 63n) | 0x1043n); // N with a reserved size
    const guest = new PageTable({ format: sv39, memory, frames: table.frames, root: table.root });
    expect([guest.lookup(1), guest.lookup(2), guest.lookup(3)]).toEqual([7, NOT_PRESENT, 4]);
    expect(guest.unmapRange({ vpn: 0, pages: 512 }, owed)).toBe(2);
    guest.checkInvariants();
    expect(guest.statistics().mappedBytes).toBe(0);
  });
});

describe('a format whose leaves are told by their rights', () => {
  const describedBy = (bits: Partial<PteFormatDescription['bits']>): PteFormat =>
    definePteFormat({
      name: 'by rights',
      pageBytes: 4096,
      entryBytes: 8,
      levels: [{ bits: 9, huge: true }, { bits: 9 }],
      bits: { valid: 0, leaf: 'rights', frame: [53, 10], ...bits },
    });

  test('grants loads where nothing else would make a leaf, also when writing is forbidden later', () => {
    const { owed, table } = makeTable(describedBy({ read: 1, write: 2 }));
    table.map(0, 512, table.flags({ prot: Prot.Write }), owed, 512);
    const granted = Prot.Execute | Prot.User | Prot.Read;
    expect(table.describe(0).prot).toBe(granted | Prot.Write);
    table.clone({}, owed);
    expect(table.describe(0)).toMatchObject({ kind: 'leaf', prot: granted });
    table.protect(0, Prot.Execute, owed);
    expect(table.describe(0)).toMatchObject({ kind: 'leaf', prot: granted });
    table.checkInvariants();
  });

  test('is none for page tables when a page that may only be read would be no leaf', () => {
    expect(() => makeTable(describedBy({ write: 2, execute: 3 }))).toThrow(
      expect.objectContaining({ code: 'unsupported' }),
    );
  });
});

describe('a machine', () => {
  test.each([
    [8192, 'a group of 2 MiB blocks, without the block by itself', [8192]],
    [2 ** 18, 'a block of 1 GiB, without those of 2 MiB', [16, 2 ** 18]],
  ])('has no pages of %i base pages, %s', (_, __, sizes) => {
    const badArgument = expect.objectContaining({ code: 'bad-argument' });
    expect(() => makeTable(aarch64(), { pageSizes: sizes })).toThrow(badArgument);
    const { table } = makeTable(aarch64(), { pageSizes: [...sizes, 512] });
    expect(table.sizes.map(({ pages }) => pages)).toEqual(
      [...new Set([1, ...sizes, 512])].sort((a, b) => a - b),
    );
  });
});
