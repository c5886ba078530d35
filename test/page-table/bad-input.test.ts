import { addressFromVpn } from 'pagewright/core';
import { FramePool, type FrameSource, PhysicalMemory } from 'pagewright/memory';
import { PageTable, type PageTableOptions } from 'pagewright/page-table';
import {
  aarch64,
  nptLong4,
  type PteFormat,
  sv32,
  sv39,
  sv39x4,
  sv57,
  x86Legacy,
  x86Long4,
  x86Long5,
  x86Pae,
} from 'pagewright/pte';
import { describe, expect, it } from 'vitest';
import { errorOf, expectError } from '../core/errors.js';
import { FORMATS, firstPage, makeSystem, RU, RWU, type System, stateOf } from './system.js';

const flagsOf = ({ table }: System) => table.flags({ prot: RWU });

/** Every operation that takes a page, on a page. */
const ON_PAGES: readonly (readonly [string, (system: System, vpn: number) => unknown])[] = [
  ['map', (s, vpn) => s.table.map(vpn, 5, flagsOf(s), s.owed)],
  ['mapRange', (s, vpn) => s.table.mapRange({ vpn, pfn: 5, pages: 1, flags: flagsOf(s) }, s.owed)],
  ['unmap', (s, vpn) => s.table.unmap(vpn, s.owed)],
  ['unmapRange', (s, vpn) => s.table.unmapRange({ vpn, pages: 1 }, s.owed)],
  ['remap', (s, vpn) => s.table.remap(vpn, 5, s.owed)],
  ['protect', (s, vpn) => s.table.protect(vpn, RU, s.owed)],
  ['protectRange', (s, vpn) => s.table.protectRange({ vpn, pages: 1, prot: RU }, s.owed)],
  ['lookup', (s, vpn) => s.table.lookup(vpn)],
  ['testAccessed', (s, vpn) => s.table.testAccessed(vpn)],
  ['testDirty', (s, vpn) => s.table.testDirty(vpn)],
  ['setAccessed', (s, vpn) => s.table.setAccessed(vpn, true, s.owed)],
  ['setDirty', (s, vpn) => s.table.setDirty(vpn, true, s.owed)],
  ['split', (s, vpn) => s.table.split(vpn, s.owed)],
  ['collapse', (s, vpn) => s.table.collapse(vpn, 1, s.owed)],
  ['freeEmptyTables', (s, vpn) => s.table.freeEmptyTables({ vpn, pages: 1 }, s.owed)],
  ['unshare', (s, vpn) => s.table.unshare({ vpn, pages: 1 }, s.owed)],
];

/** Page numbers that are no addresses, next to some that are. */
const OUTSIDE: readonly (readonly [PteFormat, readonly number[]])[] = [
  [x86Legacy, [2 ** 20, 2 ** 52 - 1]],
  [x86Pae, [2 ** 20]],
  [sv32, [2 ** 20]],
  [nptLong4, [2 ** 36, 2 ** 52 - 1]],
  [sv39x4, [2 ** 29]],
  [x86Long4, [2 ** 35, 2 ** 52 - 2 ** 35 - 1, 2 ** 52]],
  [x86Long5, [2 ** 44, 2 ** 52 - 2 ** 44 - 1, 2 ** 52]],
  [sv39, [2 ** 26, 2 ** 52 - 2 ** 26 - 1, 2 ** 52]],
  [sv57, [2 ** 44, 2 ** 52 - 2 ** 44 - 1, 2 ** 52]],
  [aarch64(), [2 ** 36, 2 ** 52 - 1]],
  [aarch64({ half: 'high' }), [0, 2 ** 36, 2 ** 52 - 2 ** 36 - 1, 2 ** 52]],
  [aarch64({ granule: 65536, virtualBits: 42 }), [2 ** 26]],
];

describe.each(OUTSIDE)('a page that is no address of $name', (format, outside) => {
  it.each(ON_PAGES)('is refused by %s, and nothing changes', (_, operate) => {
    const system = makeSystem(format, { pages: 32 });
    const before = stateOf(system);
    for (const vpn of [...outside, -1, 0.5, Number.NaN, Number.POSITIVE_INFINITY]) {
      const error = errorOf(() => operate(system, vpn));
      expect(['out-of-range', 'bad-argument']).toContain(error.code);
      expect([error.details.argument, error.details.value]).toEqual(['vpn', vpn]);
    }
    expect(stateOf(system)).toEqual(before);
  });

  it('has neighbours that are', () => {
    const { table } = makeSystem(format, { pages: 32 });
    const inside = outside
      .flatMap((vpn) => [vpn - 1, vpn + 1])
      .filter((vpn) => !outside.includes(vpn) && vpn >= 0);
    const fine = inside.filter((vpn) => {
      try {
        return table.lookup(vpn) === -2;
      } catch {
        return false;
      }
    });
    // On one side of each border, the other one being outside as well.
    expect(fine.length).toBeGreaterThan(0);
  });
});

describe('a frame outside the physical width', () => {
  it.each(FORMATS)('is refused in $name, by map, mapRange, remap and swapIn', (format) => {
    const system = makeSystem(format, { pages: 32 });
    const { owed, table } = system;
    const vpn = firstPage(format) + 2;
    table.map(vpn + 1, 5, flagsOf(system), owed);
    if (format.swap !== null) table.setSwap(vpn + 2, { type: 1, offset: 1 }, owed);
    const before = stateOf(system);
    const end =
      2 ** (Math.min(format.physicalBits, format === x86Legacy ? 32 : 64) - format.pageShift);
    const operations = [
      (pfn: number) => table.map(vpn, pfn, flagsOf(system), owed),
      (pfn: number) =>
        table.mapRange({ vpn: vpn + 6, pfn: pfn - 1, pages: 2, flags: flagsOf(system) }, owed),
      (pfn: number) => table.remap(vpn + 1, pfn, owed),
      ...(format.swap === null
        ? []
        : [(pfn: number) => table.swapIn(vpn + 2, pfn, flagsOf(system), owed)]),
    ];
    for (const operate of operations) {
      expectError(() => operate(end), 'out-of-range', 'pfn');
      expectError(() => operate(0.5), 'bad-argument', 'pfn');
      expectError(() => operate(-1), 'out-of-range', 'pfn');
    }
    expect(stateOf(system)).toEqual(before);
    for (const operate of operations) expect(operate(end - 1)).toBeGreaterThanOrEqual(0);
    expect(table.lookup(vpn)).toBe(end - 1);
    table.checkInvariants();
  });

  it('is one beyond what the machine has, if that is told', () => {
    const system = makeSystem(x86Long4, { physicalBits: 36 });
    const { owed, table } = system;
    const flags = flagsOf(system);
    expectError(() => table.map(5, 2 ** 24, flags, owed), 'out-of-range', 'pfn');
    expectError(() => table.map(0x200, 2 ** 24, flags, owed, 512), 'out-of-range', 'pfn');
    const error = errorOf(() => table.map(5, 2 ** 24, flags, owed));
    expect(error.details.address).toBe(0x5000n);
    expect(error.message).toContain('2^36');
    expect(table.map(5, 2 ** 24 - 1, flags, owed)).toBe(0);
    // A stretch may not even end there.
    const range = { vpn: 0x200, pfn: 2 ** 24 - 512, pages: 513, flags };
    expectError(() => table.mapRange(range, owed), 'out-of-range', 'pfn');
    expect(table.mapRange({ ...range, pages: 512 }, owed)).toBe(0);
    table.checkInvariants();
  });
});

describe('what is not aligned to its size', () => {
  const sizes = FORMATS.flatMap((format) =>
    makeSystem(format, { pages: 32 })
      .table.sizes.filter(({ pages }) => pages > 1)
      .map(({ pages }) => [format, pages] as const),
  );

  it.each(sizes)('is refused in $name, in pages of %i', (format, pages) => {
    const system = makeSystem(format, { pages: 32 });
    const { owed, table } = system;
    const flags = flagsOf(system);
    const vpn = firstPage(format) + pages;
    table.map(vpn, 0, flags, owed, pages);
    const before = stateOf(system);
    const other = vpn + pages;
    const address = (page: number): bigint => addressFromVpn(page, 0, format.pageShift);
    for (const step of [1, pages / 2]) {
      const wrongPage = errorOf(() => table.map(other + step, 0, flags, owed, pages));
      expect([wrongPage.code, wrongPage.details.argument]).toEqual(['misaligned', 'vpn']);
      expect(wrongPage.details.address).toBe(address(other + step));
      const wrongFrame = errorOf(() => table.map(other, step, flags, owed, pages));
      expect([wrongFrame.code, wrongFrame.details.argument]).toEqual(['misaligned', 'pfn']);
      expect(wrongFrame.details.address).toBe(address(other));
      const remapped = errorOf(() => table.remap(vpn, step, owed));
      expect([remapped.code, remapped.details.argument]).toEqual(['misaligned', 'pfn']);
      expectError(() => table.collapse(other + step, pages, owed), 'misaligned', 'vpn');
    }
    expect(stateOf(system)).toEqual(before);
  });

  it('is refused for sizes that there are not', () => {
    const system = makeSystem(sv39, { pageSizes: [1, 512] });
    const { owed, table } = system;
    for (const pages of [0, 2, 16, 511, 2 ** 18, -512, 1.5]) {
      expectError(() => table.map(0, 0, flagsOf(system), owed, pages), 'bad-argument', 'pages');
      expectError(() => table.collapse(0, pages, owed), 'bad-argument', 'pages');
    }
    expect(errorOf(() => table.map(0, 0, flagsOf(system), owed, 16)).message).toContain('1, 512');
    expect(owed.isEmpty).toBe(true);
  });
});

describe('a root that is not a table', () => {
  const options = (format: PteFormat, root: number): PageTableOptions => {
    const memory = PhysicalMemory.allocate(0x10000, { base: 0x8000_0000 });
    const frames = new FramePool({ first: 0x8_0008, frames: 8 });
    return { format, memory, frames, root };
  };

  it.each([
    ['before memory', 0x7_ffff],
    ['after memory', 0x8_0010],
    ['nowhere', 0],
    ['beyond the physical width', 2 ** 45],
  ])('%s is refused, and named by its address', (_, root) => {
    const error = errorOf(() => new PageTable(options(sv39, root)));
    expect([error.code, error.details.argument]).toEqual(['out-of-range', 'root']);
    expect(error.details.value).toBe(root);
  });

  it('that ends outside memory, or begins in the middle, is refused: sv39x4’s takes four pages', () => {
    const memory = PhysicalMemory.allocate(14 * 4096, { base: 0 });
    const frames = new FramePool({ first: 0, frames: 8 });
    const adopt = (root: number) => () =>
      new PageTable({ format: sv39x4, memory, frames, root }).root;
    expectError(adopt(12), 'out-of-range', 'root');
    expectError(adopt(6), 'misaligned', 'root');
    expect(adopt(8)()).toBe(8);
  });

  it('is what a source without frames has', () => {
    const { format, frames, memory } = options(sv39, 0);
    while (frames.allocateFrame() >= 0);
    expectError(() => new PageTable({ format, memory, frames }), 'out-of-range', 'frames');
  });
});

describe('options of a page table', () => {
  const memory = PhysicalMemory.allocate(0x10000, { base: 0 });
  const frames = new FramePool({ first: 0, frames: 16 });
  const base = { format: x86Long4, memory, frames };

  it.each<readonly [string, unknown, string]>([
    ['format', undefined, 'bad-argument'],
    ['format', {}, 'bad-argument'],
    ['memory', undefined, 'bad-argument'],
    ['memory', new Uint8Array(4096), 'bad-argument'],
    ['frames', undefined, 'bad-argument'],
    ['frames', { allocateFrame: 1 }, 'bad-argument'],
    ['context', -1, 'out-of-range'],
    ['context', 2 ** 32, 'out-of-range'],
    ['context', 0.5, 'bad-argument'],
    ['pageSizes', [3], 'bad-argument'],
    ['pageSizes', [16], 'bad-argument'],
    ['physicalBits', 53, 'out-of-range'],
    ['physicalBits', 11, 'out-of-range'],
    ['physicalBits', Number.NaN, 'bad-argument'],
    ['bbm', 3, 'bad-argument'],
    ['bbm', '2', 'bad-argument'],
    ['observer', {}, 'bad-argument'],
    ['root', -1, 'out-of-range'],
    ['root', 0.5, 'bad-argument'],
    ['visitLimit', -1, 'out-of-range'],
    ['colour', 'red', 'bad-argument'],
  ])('%s may not be %j', (name, value, code) => {
    // What the compiler would refuse is among them. Alone, an offset or a limit says nothing.
    const root = name === 'visitLimit' ? { root: 3 } : {};
    const options = { ...base, ...root, [name]: value } as unknown as PageTableOptions;
    const { free } = frames;
    const error = errorOf(() => new PageTable(options));
    expect([error.code, error.details.argument]).toEqual([code, name]);
    expect(frames.free).toBe(free);
  });

  it.each([null, undefined, 5, 'options'])('may not be %j', (options) => {
    const bad = options as unknown as PageTableOptions; // what the compiler would refuse
    expectError(() => new PageTable(bad), 'bad-argument', 'options');
  });

  it('must have a source with blocks where tables take more than a page', () => {
    const single: FrameSource = { allocateFrame: () => 4, releaseFrame: () => {} };
    const options = { memory, frames: single };
    expectError(() => new PageTable({ ...options, format: sv39x4 }), 'unsupported', 'frames');
    expect(new PageTable({ ...options, format: sv39 }).root).toBe(4);
  });
});
