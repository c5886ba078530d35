import { addressFromVpn } from 'pagewright/core';
import { FramePool } from 'pagewright/memory';
import { OUT_OF_FRAMES, type PageTable, pageSizes } from 'pagewright/page-table';
import {
  aarch64,
  eptLong4,
  type PteFormat,
  sv32,
  sv39,
  sv57,
  x86Legacy,
  x86Long4,
  x86Long5,
  x86Pae,
} from 'pagewright/pte';
import { describe, expect, it } from 'vitest';
import { errorOf } from '../core/errors.js';
import { FORMATS, firstPage, makeSystem, RWU, type System, stateOf } from './system.js';

const leavesOf = (table: PageTable): readonly (readonly number[])[] =>
  [...table.entries()].map(({ pages, pfn, vpn }) => [vpn, pfn, pages]);

const flagsOf = ({ table }: { readonly table: PageTable }) => table.flags({ prot: RWU });

/** A format, what is mapped in it (first page, first frame, pages), and the leaves that come of it. */
type MapCase = readonly [
  format: PteFormat,
  range: readonly [number, number, number],
  leaves: readonly (readonly [number, number, number])[],
];

describe('mapRange', () => {
  it.each<MapCase>([
    // One page before and after two megabytes.
    [
      x86Long4,
      [0x1ff, 0x5ff, 514],
      [
        [0x1ff, 0x5ff, 1],
        [0x200, 0x600, 512],
        [0x400, 0x800, 1],
      ],
    ],
    [
      x86Legacy,
      [0x400, 0x800, 1025],
      [
        [0x400, 0x800, 1024],
        [0x800, 0xc00, 1],
      ],
    ],
    [x86Pae, [0xffe00, 0x200, 512], [[0xffe00, 0x200, 512]]],
    // Up through all sizes and down again.
    [
      x86Long4,
      [0x3fdff, 0x7fdff, 2 ** 18 + 1024 + 2],
      [
        [0x3fdff, 0x7fdff, 1],
        [0x3fe00, 0x7fe00, 512],
        [0x40000, 0x80000, 2 ** 18],
        [0x80000, 0xc0000, 512],
        [0x80200, 0xc0200, 1],
      ],
    ],
    // 64 KiB NAPOT pages.
    [
      sv39,
      [0x1ee, 0x3ee, 0x22],
      [
        [0x1ee, 0x3ee, 1],
        [0x1ef, 0x3ef, 1],
        [0x1f0, 0x3f0, 16],
        [0x200, 0x400, 16],
      ],
    ],
    // Contiguous groups of pages and of blocks.
    [
      aarch64(),
      [0x1ff0, 0x1ff0, 16 + 8192 + 512 + 17],
      [
        [0x1ff0, 0x1ff0, 16],
        [0x2000, 0x2000, 8192],
        [0x4000, 0x4000, 512],
        [0x4200, 0x4200, 16],
        [0x4210, 0x4210, 1],
      ],
    ],
    [
      aarch64({ granule: 16384 }),
      [0x80, 0x100, 129],
      [
        [0x80, 0x100, 128],
        [0x100, 0x180, 1],
      ],
    ],
    // Two megabytes that are not aligned the same way.
    [
      sv32,
      [0x400, 1, 3],
      [
        [0x400, 1, 1],
        [0x401, 2, 1],
        [0x402, 3, 1],
      ],
    ],
    // Frames aligned to groups, but not to blocks.
    [
      aarch64(),
      [0x200, 0x410, 32],
      [
        [0x200, 0x410, 16],
        [0x210, 0x420, 16],
      ],
    ],
    [
      eptLong4,
      [0, 0, 2 ** 19],
      [
        [0, 0, 2 ** 18],
        [2 ** 18, 2 ** 18, 2 ** 18],
      ],
    ],
  ])(
    'maps in the largest pages that alignment allows (%#)',
    (format, [vpn, pfn, pages], leaves) => {
      const system = makeSystem(format);
      expect(system.table.mapRange({ vpn, pfn, pages, flags: flagsOf(system) }, system.owed)).toBe(
        0,
      );
      expect(leavesOf(system.table)).toEqual(leaves);
      system.table.checkInvariants();
    },
  );

  it('uses the sizes that the machine has', () => {
    const sizes = (pageSizes: readonly number[]): readonly number[] => {
      const system = makeSystem(sv39, { pageSizes });
      const range = { vpn: 0, pfn: 0, pages: 1024, flags: flagsOf(system) };
      system.table.mapRange(range, system.owed);
      return [...new Set(leavesOf(system.table).map(([, , pages]) => pages!))];
    };
    expect(sizes([512, 16])).toEqual([512]);
    expect(sizes([1, 16])).toEqual([16]);
    expect(sizes([])).toEqual([1]);
  });

  it.each(
    FORMATS.flatMap((format) => pageSizes(format).map(({ pages }) => [format, pages] as const)),
  )('maps in pages of a size that the caller fixes ($name, %i)', (format, pageSize) => {
    const system = makeSystem(format, { pages: 64 });
    const [vpn, pfn] = [firstPage(format) + 2 * pageSize, pageSize];
    const range = { vpn, pfn, pages: 2 * pageSize, pageSize, flags: flagsOf(system) };
    expect(system.table.mapRange(range, system.owed)).toBe(0);
    expect(leavesOf(system.table)).toEqual([
      [vpn, pfn, pageSize],
      [vpn + pageSize, pfn + pageSize, pageSize],
    ]);
    system.table.checkInvariants();
  });

  it.each([
    ['vpn', { vpn: 0x100, pfn: 0, pages: 512 }],
    ['pfn', { vpn: 0x200, pfn: 0x100, pages: 512 }],
    ['pages', { vpn: 0x200, pfn: 0x200, pages: 513 }],
  ])('refuses a %s that is not aligned to that size', (argument, range) => {
    const system = makeSystem(x86Long4);
    const before = stateOf(system);
    const mapping = { ...range, pageSize: 512, flags: flagsOf(system) };
    const error = errorOf(() => system.table.mapRange(mapping, system.owed));
    expect([error.code, error.details.argument]).toEqual(['misaligned', argument]);
    expect(stateOf(system)).toEqual(before);
  });

  it('uses no page larger than the frames that it reaches: PSE-36 has wider ones', () => {
    const system = makeSystem(x86Legacy);
    const { owed, table } = system;
    const wide = { vpn: 0x400, pfn: 0x140_0000, pages: 2048, flags: flagsOf(system) };
    expect(errorOf(() => table.mapRange(wide, owed)).details.argument).toBe('pfn');
    expect(table.mapRange({ ...wide, pageSize: 1024 }, owed)).toBe(0);
    expect(table.lookup(0xbff)).toBe(0x140_07ff);
    table.checkInvariants();
  });

  it('fills the gaps that others left, and joins their tables', () => {
    const system = makeSystem(x86Long4);
    const { owed, table } = system;
    table.map(0x1ff, 0x1000, flagsOf(system), owed);
    table.map(0x600, 0x2000, flagsOf(system), owed);
    expect(
      table.mapRange({ vpn: 0x200, pfn: 0x200, pages: 0x400, flags: flagsOf(system) }, owed),
    ).toBe(0);
    expect(leavesOf(table).map(([vpn, , pages]) => [vpn, pages])).toEqual([
      [0x1ff, 1],
      [0x200, 512],
      [0x400, 512],
      [0x600, 1],
    ]);
    table.checkInvariants();
  });

  describe('over something that is there', () => {
    type Put = (system: System) => unknown;
    it.each<readonly [string, number, number, Put]>([
      ['a page', 0x345, 0, (s) => s.table.map(0x345, 9, flagsOf(s), s.owed)],
      ['the last page', 0xbff, 0, (s) => s.table.map(0xbff, 9, flagsOf(s), s.owed)],
      ['a large page', 0x400, 1, (s) => s.table.map(0x400, 0, flagsOf(s), s.owed, 512)],
      ['a swapped page', 0x777, 0, (s) => s.table.setSwap(0x777, { type: 1, offset: 1 }, s.owed)],
    ])('refuses, names it, and changes nothing (%s)', (_, vpn, level, put) => {
      const system = makeSystem(x86Long4);
      const { owed, table } = system;
      put(system);
      const entry = table.describe(addressFromVpn(vpn)).path.at(-1)!.entry.raw;
      const before = stateOf(system);
      const range = { vpn: 0x200, pfn: 0x200, pages: 0xa00, flags: flagsOf(system) };
      const error = errorOf(() => table.mapRange(range, owed));
      expect(error.code).toBe('overlap');
      expect(error.details).toMatchObject({ address: addressFromVpn(vpn), entry });
      expect(error.message).toContain(`0x${vpn.toString(16)}000`);
      expect(error.message).toContain(`0x${entry.toString(16)} at level ${level}`);
      expect(stateOf(system)).toEqual(before);
    });
  });

  it('takes as many tables as it needs, or none', () => {
    const frames = new FramePool({ first: 1, frames: 6 });
    const system = makeSystem(x86Long4, { frames });
    const { owed, table } = system;
    // Three tables above the last level, and four of the last: one too many.
    const range = { vpn: 0x1ff, pfn: 1, pages: 1026, flags: flagsOf(system), pageSize: 1 };
    const before = stateOf(system);
    expect(table.mapRange(range, owed)).toBe(OUT_OF_FRAMES);
    expect(stateOf(system)).toEqual(before);
    expect(table.mapRange({ ...range, pages: 1025 }, owed)).toBe(0);
    expect(table.statistics().tables).toEqual([3, 1, 1, 1]);
  });

  it.each([x86Long4, sv57])(
    'finds out soon that half a space in base pages is too much ($name)',
    (format) => {
      const system = makeSystem(format);
      const before = stateOf(system);
      const pages = 2 ** (format.virtualBits - 1 - format.pageShift) - 512;
      const range = { vpn: 0, pfn: 1, pages: Math.min(pages, 2 ** 39), flags: flagsOf(system) };
      const { owed, table } = system;
      // More than 10^11 entries would be written, if there were frames for their tables.
      expect(table.mapRange({ ...range, pageSize: 1 }, owed)).toBe(OUT_OF_FRAMES);
      expect(table.mapRange(range, owed)).toBe(OUT_OF_FRAMES);
      expect(stateOf(system)).toEqual(before);
    },
  );

  it.each([x86Long5, sv57])('maps up to the last page of $name', (format) => {
    const system = makeSystem(format);
    const { owed, table } = system;
    const vpn = 2 ** 52 - 513;
    expect(table.mapRange({ vpn, pfn: 0x7fff, pages: 513, flags: flagsOf(system) }, owed)).toBe(0);
    expect(table.lookup(2 ** 52 - 1)).toBe(0x7fff + 512);
    expect(leavesOf(table)).toEqual([
      [vpn, 0x7fff, 1],
      [vpn + 1, 0x8000, 512],
    ]);
    expect(table.unmapRange({ vpn, pages: 513 }, owed)).toBe(513);
  });

  it('maps half of a 57-bit space in a few leaves', () => {
    const system = makeSystem(sv57);
    const { owed, table } = system;
    const range = { vpn: 2 ** 52 - 2 ** 44, pages: 2 ** 44 };
    expect(table.mapRange({ ...range, pfn: 0, flags: flagsOf(system) }, owed)).toBe(0);
    expect(table.statistics()).toMatchObject({ tables: [0, 0, 0, 0, 1] });
    expect(table.lookup(2 ** 52 - 1)).toBe(2 ** 44 - 1);
    expect(table.unmapRange(range, owed)).toBe(2 ** 44);
    table.checkInvariants();
  });
});
