import { addressFromVpn } from 'pagewright/core';
import { FramePool } from 'pagewright/memory';
import { NOT_COMPATIBLE, NOT_MAPPED, NOT_PRESENT, OUT_OF_FRAMES } from 'pagewright/page-table';
import {
  aarch64,
  eptLong4,
  nptLong4,
  type PteFormat,
  sv32,
  sv39,
  sv39x4,
  sv57,
  swapLayout,
  x86Legacy,
  x86Long4,
  x86Long5,
  x86Pae,
} from 'pagewright/pte';
import { describe, expect, it } from 'vitest';
import { errorOf, expectError } from '../core/errors.js';
import { entryOf, foundEntry, makeSystem, RU, RWU, type System, stateOf } from './system.js';

const FORMATS = [x86Legacy, x86Pae, x86Long4, x86Long5, sv32, sv39, sv57, aarch64()];
const VPN = 0x123;
const ENTRY = { type: 3, offset: 0x1234 };

const flagsOf = ({ table }: System) => table.flags({ prot: RWU });

// Linux 6.18; the layouts are drawn in src/pte/swap-layouts.ts, with their headers.
it.each([
  // arch/x86/include/asm/pgtable_64.h: type in 63:59, ~offset in 58:9.
  [x86Long4, 0x1fff_ffff_ffdb_9600n],
  [x86Long5, 0x1fff_ffff_ffdb_9600n],
  [x86Pae, 0x1fff_ffff_ffdb_9600n],
  // pgtable-2level.h: offset in 31:9, type in 5:1.
  [x86Legacy, 0x0024_6806n],
  // arch/riscv/include/asm/pgtable.h: offset from bit 12, type in 11:7.
  [sv32, 0x0123_4180n],
  [sv39, 0x0123_4180n],
  [sv57, 0x0123_4180n],
  // arch/arm64/include/asm/pgtable.h: offset from bit 12, type in 10:6.
  [aarch64(), 0x0123_40c0n],
] as const)('a swap entry of $name is where Linux has it', (format, raw) => {
  const system = makeSystem(format);
  const { owed, table } = system;
  table.setSwap(VPN, ENTRY, owed);
  expect(entryOf(system, VPN)).toBe(raw);
});

describe.each(FORMATS)('a page of $name', (format) => {
  it('goes to swap, and what hardware noted of it is told', () => {
    const system = makeSystem(format);
    const { owed, table } = system;
    table.map(VPN, 0x77, table.flags({ prot: RWU, dirty: true }), owed);
    const leaf = entryOf(system, VPN);
    owed.complete();
    expect(table.setSwap(VPN, ENTRY, owed)).toBe(0x77);
    expect(foundEntry(table)).toBe(leaf);
    expect(table.swapAt(VPN)).toMatchObject(ENTRY);
    expect(table.lookup(VPN)).toBe(NOT_PRESENT);
    expect(owed.invalidations()).toMatchObject([{ vpn: VPN, pages: 1, intermediate: false }]);
    expect(table.statistics().mappedBytes).toBe(0);
    table.checkInvariants();
  });

  it('comes back from swap', () => {
    const system = makeSystem(format);
    const { owed, table } = system;
    table.setSwap(VPN, ENTRY, owed);
    expect(table.swapIn(VPN, 0x88, table.flags({ prot: RU, accessed: true }), owed)).toBe(0);
    expect(table.lookup(VPN)).toBe(0x88);
    expect(table.swapAt(VPN)).toBeNull();
    expect(table.statistics().leaves[0]).toEqual({ pages: 1, count: 1 });
    table.checkInvariants();
  });

  it('goes to swap without having been there, by way of the tables that it needs', () => {
    const system = makeSystem(format);
    const { owed, table } = system;
    expect(table.setSwap(VPN, ENTRY, owed)).toBe(NOT_MAPPED);
    expect(table.setSwap(VPN, { type: 4, offset: 9 }, owed)).toBe(NOT_PRESENT);
    expect(table.swapAt(VPN)).toMatchObject({ type: 4, offset: 9 });
    expect(table.statistics().tables.slice(0, -1)).toEqual(Array(format.levels - 1).fill(1));
    table.checkInvariants();
    expect(table.unmap(VPN, owed)).toBe(NOT_PRESENT);
    owed.complete();
    expect(table.statistics().tables.slice(0, -1)).toEqual(Array(format.levels - 1).fill(0));
  });

  it('keeps the markers that Linux has there', () => {
    const { owed, table } = makeSystem(format);
    const { softDirty, uffdWriteProtect } = swapLayout(format);
    const markers = {
      exclusive: true,
      uffdWriteProtect: uffdWriteProtect !== 0,
      softDirty: softDirty !== 0,
    };
    table.setSwap(VPN, { ...ENTRY, ...markers }, owed);
    expect(table.swapAt(VPN)).toMatchObject({ ...ENTRY, ...markers });
  });

  it('goes as far as the layout does', () => {
    const { owed, table } = makeSystem(format);
    const { offsetEnd } = swapLayout(format);
    for (const offset of [1, offsetEnd - 1, offsetEnd >>> 1]) {
      table.setSwap(VPN, { type: 31, offset }, owed);
      expect(table.swapAt(VPN)).toMatchObject({ type: 31, offset });
      expect(table.lookup(VPN)).toBe(NOT_PRESENT);
      table.checkInvariants();
    }
    expectError(
      () => table.setSwap(VPN, { type: 1, offset: offsetEnd }, owed),
      'out-of-range',
      'offset',
    );
    expectError(() => table.setSwap(VPN, { type: 32, offset: 1 }, owed), 'out-of-range', 'type');
  });

  it('in swap is in the way of maps, and of a leaf that would cover it', () => {
    const system = makeSystem(format);
    const { owed, table } = system;
    table.setSwap(VPN, ENTRY, owed);
    const entry = entryOf(system, VPN);
    const before = stateOf(system);
    const error = errorOf(() => table.map(VPN, 5, flagsOf(system), owed));
    expect(error.code).toBe('overlap');
    expect(error.details).toMatchObject({
      address: addressFromVpn(VPN, 0, format.pageShift),
      entry,
    });
    expect(stateOf(system)).toEqual(before);
  });

  it('in swap is listed by cursors, and described', () => {
    const system = makeSystem(format);
    const { owed, table } = system;
    table.map(VPN - 1, 5, flagsOf(system), owed);
    table.setSwap(VPN, ENTRY, owed);
    table.map(VPN + 1, 6, flagsOf(system), owed);
    expect(
      [...table.entries()].map(({ kind, pfn, prot, vpn }) => [kind, vpn, pfn, prot > 0]),
    ).toEqual([
      ['leaf', VPN - 1, 5, true],
      ['software', VPN, -1, false],
      ['leaf', VPN + 1, 6, true],
    ]);
    const found = table.describe(addressFromVpn(VPN, 0, format.pageShift));
    expect(found).toMatchObject({ kind: 'software', pa: null, accessed: false, dirty: false });
    expect(found.path.at(-1)!.entry.raw).toBe(entryOf(system, VPN));
  });

  it('in swap is copied, and forgotten by unmapRange', () => {
    const { owed, table } = makeSystem(format);
    table.setSwap(VPN, ENTRY, owed);
    const copy = table.clone({}, owed)!;
    expect(copy.swapAt(VPN)).toMatchObject(ENTRY);
    expect(table.unmapRange({ vpn: VPN, pages: 1 }, owed)).toBe(0);
    expect(table.swapAt(VPN)).toBeNull();
    expect(copy.swapAt(VPN)).toMatchObject(ENTRY);
    copy.checkInvariants();
    table.checkInvariants();
  });
});

describe('setSwap', () => {
  it('takes no part of a larger page', () => {
    for (const format of [x86Long4, x86Legacy, sv39, aarch64()]) {
      const system = makeSystem(format);
      const { owed, table } = system;
      const { pages } = table.sizes.find(({ level }) => level === 1)!;
      table.map(pages, 0, flagsOf(system), owed, pages);
      const before = stateOf(system);
      expect(table.setSwap(pages + 5, ENTRY, owed)).toBe(NOT_COMPATIBLE);
      expect(stateOf(system)).toEqual(before);
      table.split(pages, owed);
      expect(table.setSwap(pages + 5, ENTRY, owed)).toBe(5);
    }
  });

  it('needs tables, or changes nothing', () => {
    const system = makeSystem(x86Long4, { frames: new FramePool({ first: 1, frames: 3 }) });
    const before = stateOf(system);
    expect(system.table.setSwap(VPN, ENTRY, system.owed)).toBe(OUT_OF_FRAMES);
    expect(stateOf(system)).toEqual(before);
  });

  it('refuses entries that are none, before anything is changed', () => {
    const system = makeSystem(x86Long4);
    const { owed, table } = system;
    table.map(VPN, 5, flagsOf(system), owed);
    const before = stateOf(system);
    expectError(() => table.setSwap(VPN, { type: -1, offset: 1 }, owed), 'out-of-range', 'type');
    expectError(() => table.setSwap(VPN, { type: 1, offset: 0.5 }, owed), 'bad-argument', 'offset');
    // Type 0 with this offset would be an entry of zeros (the offset is inverted).
    const zero = { type: 0, offset: 2 ** 50 - 1 };
    expectError(() => table.setSwap(VPN, zero, owed), 'out-of-range', 'offset');
    expectError(() => table.setSwap(2 ** 40, ENTRY, owed), 'out-of-range', 'vpn');
    expect(stateOf(system)).toEqual(before);
  });

  it.each<PteFormat>([eptLong4, nptLong4, sv39x4, aarch64({ stage: 2 })])(
    'is not for $name, in which Linux swaps nothing',
    (format) => {
      const system = makeSystem(format);
      const before = stateOf(system);
      const { owed, table } = system;
      expectError(() => table.setSwap(VPN, ENTRY, owed), 'unsupported', 'format');
      expectError(() => table.swapAt(VPN), 'unsupported', 'format');
      expect(stateOf(system)).toEqual(before);
    },
  );
});

describe('swapIn', () => {
  it('needs a software entry to replace', () => {
    const system = makeSystem(x86Long4);
    const { owed, table } = system;
    const flags = flagsOf(system);
    expect(table.swapIn(VPN, 5, flags, owed)).toBe(NOT_MAPPED);
    table.map(VPN, 5, flags, owed);
    table.map(0x200, 0, flags, owed, 512);
    const before = stateOf(system);
    for (const vpn of [VPN, 0x234]) {
      const error = errorOf(() => table.swapIn(vpn, 6, flags, owed));
      expect(error.code).toBe('overlap');
      expect(error.details.entry).toBe(table.describe(addressFromVpn(vpn)).path.at(-1)!.entry.raw);
    }
    expectError(() => table.swapIn(VPN, 2 ** 40, flags, owed), 'out-of-range', 'pfn');
    expect(stateOf(system)).toEqual(before);
  });
});

describe('swapAt', () => {
  it('finds no swap entry in leaves, nothing, or software entries of another kind', () => {
    const system = makeSystem(sv39);
    const { memory, owed, table } = system;
    table.map(VPN, 5, flagsOf(system), owed);
    expect([table.swapAt(VPN), table.swapAt(VPN + 1), table.swapAt(0x10_0000)]).toEqual([
      null,
      null,
      null,
    ]);
    const { index, table: frame } = table.describe(addressFromVpn(VPN + 1)).path.at(-1)!;
    // PROT_NONE's bit: no swap entry of Linux.
    memory.write(BigInt(frame * 4096 + 8 * index), 8, 0x1234_1020n);
    expect(table.lookup(VPN + 1)).toBe(NOT_PRESENT);
    expect(table.swapAt(VPN + 1)).toBeNull();
    expectError(() => table.swapAt(2 ** 40), 'out-of-range', 'vpn');
  });
});
