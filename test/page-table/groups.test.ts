import { Access, addressFromVpn, Prot } from 'pagewright/core';
import { NOT_COMPATIBLE, NOT_MAPPED, PageTable, pageSizes } from 'pagewright/page-table';
import { aarch64, mappingOf, type PteFormat, sv39, sv57 } from 'pagewright/pte';
import { AArch64Walker, RiscvWalker } from 'pagewright/walk';
import { describe, expect, it } from 'vitest';
import { errorOf, expectError } from '../core/errors.js';
import { entryAt, makeSystem, RU, RW, RWU, type System, stateOf } from './system.js';

const flagsOf = ({ table }: { readonly table: PageTable }) => table.flags({ prot: RWU });

/** Every size of page that is a group. */
const GROUPS = [
  sv39,
  sv57,
  aarch64(),
  aarch64({ granule: 16384 }),
  aarch64({ granule: 65536 }),
  aarch64({ stage: 2 }),
].flatMap((format) =>
  pageSizes(format)
    .filter(({ entries }) => entries > 1)
    .map((size) => ({ name: `${size.entries} entries of ${format.name}`, format, ...size })),
);

/** A group at its second place, frames from four times its size. */
function withGroup(format: PteFormat, pages: number): System & { readonly vpn: number } {
  const system = makeSystem(format, { pages: 64 });
  const { owed, table } = system;
  expect(table.map(pages, 4 * pages, flagsOf(system), owed, pages)).toBe(0);
  return { ...system, vpn: pages };
}

/** The table and index of a page's entry. */
function placeOf(
  { table }: System,
  vpn: number,
): { readonly table: number; readonly index: number } {
  return table.describe(addressFromVpn(vpn, 0, table.format.pageShift)).path.at(-1)!;
}

/** The entries of the group of a page. */
function entriesOf(system: System, vpn: number, count: number): readonly bigint[] {
  const { index, table } = placeOf(system, vpn);
  const first = index - (index % count);
  return Array.from({ length: count }, (_, member) => entryAt(system, table, first + member));
}

/** Sets and clears bits of one entry, as hardware or somebody careless would. */
function poke(system: System, vpn: number, change: (raw: bigint) => bigint): void {
  const { index, table } = placeOf(system, vpn);
  const at = addressFromVpn(table, 8 * index, system.table.format.pageShift);
  system.memory.write(at, 8, change(entryAt(system, table, index)));
}

describe('the entries of a group', () => {
  // RISC-V Privileged, Svnapot: N, and PPN[3:0] = 1000, alike in all of them.
  it('are alike on RISC-V, with the size in the frame number', () => {
    const system = withGroup(sv39, 16);
    expect(entriesOf(system, 16, 16)).toEqual(Array(16).fill(0x8000_0000_0001_20d7n));
  });

  // Arm ARM DDI 0487, D8 The Contiguous bit: bit 52, frames that follow one another.
  it('have frames that follow one another on AArch64', () => {
    const pages = withGroup(aarch64(), 16);
    expect(entriesOf(pages, 16, 16)).toEqual(
      Array.from({ length: 16 }, (_, i) => 0x0078_0000_0004_0f43n + BigInt(i << 12)),
    );
    const blocks = withGroup(aarch64(), 8192);
    expect(entriesOf(blocks, 8192, 16)).toEqual(
      Array.from({ length: 16 }, (_, i) => 0x0078_0000_0800_0f41n + BigInt(i << 21)),
    );
  });

  it.each([
    ['sv39', withGroup(sv39, 16)],
    ['aarch64', withGroup(aarch64(), 16)],
  ] as const)('translate to what the page table says (%s)', (name, system) => {
    const { memory, table } = system;
    const walker =
      name === 'sv39'
        ? new RiscvWalker({ memory, satp: (8n << 60n) | BigInt(table.root) })
        : new AArch64Walker({
            memory,
            tcr: 16n | (1n << 23n) | (5n << 32n),
            ttbr0: BigInt(table.root) << 12n,
          });
    for (let page = 0; page < 16; page++) {
      expect(walker.walk(16 + page, Access.Write | Access.User)).toBe(64 + page);
      expect(table.lookup(16 + page)).toBe(64 + page);
    }
  });
});

describe.each(GROUPS)('a group of $name', ({ entries, format, level, pages }) => {
  const bits = mappingOf(format);
  const own = pages / entries;

  /** Checks that entries agree: `checkInvariants` would not let it pass. */
  const check = (system: System): void => {
    system.table.checkInvariants();
    const found = entriesOf(system, pages, entries).map((raw) => {
      const { fields } = format.decode(raw, level);
      const { A, AF, AP2, CONTIGUOUS, D, N, S2AP1, ...rest } = fields;
      // Frames differ on AArch64, and what hardware sets differs anywhere.
      const { OA, OA51_48, PPN, ...same } = rest;
      return JSON.stringify([same, CONTIGUOUS ?? N]);
    });
    expect(new Set(found).size).toBe(1);
  };

  it('stays one, whatever is done to any page of it', () => {
    const system = withGroup(format, pages);
    const { owed, table, vpn } = system;
    const operations = [
      () => table.protect(vpn + own, RU, owed),
      () => table.setDirty(vpn + pages - 1, true, owed),
      () => table.testAndClearAccessed(vpn, owed),
      () => table.remap(vpn + own, 2 * pages, owed),
      () => table.remap(vpn, pages, owed, table.flags({ prot: Prot.Read })),
      () => table.protectRange({ vpn, pages, prot: RWU }, owed),
      () => table.protectRange({ vpn: 0, pages: 3 * pages, prot: RU }, owed),
      () => table.collapse(vpn, pages, owed),
    ];
    for (const operation of operations) {
      expect(operation()).toBeGreaterThanOrEqual(0);
      owed.complete();
      check(system);
      table.lookup(vpn + own);
      expect(table.found).toMatchObject({ vpn, pages, level });
    }
    const copy = table.clone({}, owed)!;
    owed.complete();
    check(system);
    check({ ...system, table: copy });
  });

  it('is a single leaf to cursors and statistics', () => {
    const { table, vpn } = withGroup(format, pages);
    for (const from of [0, vpn, vpn + own, vpn + pages - 1]) {
      expect([...table.entries({ from })].map((e) => [e.vpn, e.pfn, e.pages, e.level])).toEqual([
        [vpn, 4 * pages, pages, level],
      ]);
    }
    expect([...table.entries({ from: vpn + pages })]).toEqual([]);
    expect(table.statistics().leaves.filter(({ count }) => count > 0)).toEqual([
      { pages, count: 1 },
    ]);
  });

  it('is in the way of its own pages, and of itself', () => {
    const system = withGroup(format, pages);
    const { owed, table, vpn } = system;
    const before = stateOf(system);
    const flags = flagsOf(system);
    const entry = entriesOf(system, vpn, entries)[1]!;
    const error = errorOf(() => table.map(vpn + own, 0, flags, owed, own));
    expect(error.code).toBe('overlap');
    expect(error.details).toMatchObject({
      address: addressFromVpn(vpn + own, 0, format.pageShift),
      entry,
    });
    expectError(() => table.map(vpn, 0, flags, owed, pages), 'overlap', 'vpn');
    expect(stateOf(system)).toEqual(before);
  });

  it('does not come where one of its entries is in use: that one is named', () => {
    const system = makeSystem(format, { pages: 64 });
    const { owed, table } = system;
    const last = 2 * pages - own;
    table.map(last, 0, flagsOf(system), owed, own);
    const before = stateOf(system);
    const error = errorOf(() => table.map(pages, 0, flagsOf(system), owed, pages));
    expect(error.details.address).toBe(addressFromVpn(last, 0, format.pageShift));
    expect(error.details.entry).toBe(
      entryAt(system, placeOf(system, last).table, placeOf(system, last).index),
    );
    expect(stateOf(system)).toEqual(before);
  });

  it('begins at a multiple of its size only', () => {
    const system = makeSystem(format, { pages: 64 });
    const { owed, table } = system;
    expectError(() => table.map(own, 0, flagsOf(system), owed, pages), 'misaligned', 'vpn');
    expectError(() => table.map(pages, own, flagsOf(system), owed, pages), 'misaligned', 'pfn');
  });

  it('is split as a whole when a stretch cuts it', () => {
    const system = withGroup(format, pages);
    const { owed, table, vpn } = system;
    expect(table.unmapRange({ vpn, pages: own }, owed)).toBe(own);
    expect(table.lookup(vpn)).toBe(NOT_MAPPED);
    const left = [...table.entries()];
    expect(left.map((e) => [e.vpn, e.pfn, e.pages])).toEqual(
      Array.from({ length: entries - 1 }, (_, i) => [
        vpn + (i + 1) * own,
        4 * pages + (i + 1) * own,
        own,
      ]),
    );
    owed.complete();
    table.checkInvariants();
  });

  it('was used or written in all of its pages when any entry says so, also once it is split', () => {
    for (const cut of [
      ({ owed, table }: System) => table.split(pages, owed),
      ({ owed, table }: System) => table.protectRange({ vpn: pages, pages: own, prot: RU }, owed),
      ({ owed, table }: System) => table.unmapRange({ vpn: pages, pages: own }, owed),
    ]) {
      const system = withGroup(format, pages);
      const { owed, table, vpn } = system;
      table.testAndClearAccessed(vpn, owed);
      table.testAndClearDirty(vpn, owed);
      // Hardware may choose any entry of the group for what it sets.
      poke(system, vpn + 2 * own, (raw) => {
        const [low, high] = [Number(raw & 0xffff_ffffn) | 0, Number(raw >> 32n) | 0];
        const marked = bits.dirtyLow(low | bits.accessed, high, true);
        return (raw & ~0xffff_ffffn) | BigInt(marked >>> 0);
      });
      expect(cut(system)).toBeGreaterThanOrEqual(0);
      owed.complete();
      for (const page of [vpn + own, vpn + 2 * own, vpn + pages - own]) {
        expect([page, table.testAccessed(page), table.testDirty(page)]).toEqual([page, 1, 1]);
      }
      table.checkInvariants();
    }
  });
});

describe('a group and swap', () => {
  it.each([sv39, aarch64()])('a page of it is swapped out once it is split ($name)', (format) => {
    const system = withGroup(format, 16);
    const { owed, table } = system;
    const before = stateOf(system);
    expect(table.setSwap(20, { type: 1, offset: 5 }, owed)).toBe(NOT_COMPATIBLE);
    expect(stateOf(system)).toEqual(before);
    table.split(20, owed);
    expect(table.setSwap(20, { type: 1, offset: 5 }, owed)).toBe(68);
    expect(table.lookup(21)).toBe(69);
    owed.complete();
    table.checkInvariants();
  });
});

describe('groups that do not agree', () => {
  it.each<readonly [string, PteFormat, (raw: bigint) => bigint]>([
    ['rights', sv39, (raw) => raw & ~4n],
    ['frame', sv39, (raw) => raw + (16n << 10n)],
    ['mark', sv39, (raw) => raw & ~(1n << 63n)],
    ['software bit', sv39, (raw) => raw | 0x100n],
    ['nothing', sv39, () => 0n],
    ['rights', aarch64(), (raw) => raw & ~(1n << 51n)],
    ['frame', aarch64(), (raw) => raw + 0x1000n],
    ['mark', aarch64(), (raw) => raw & ~(1n << 52n)],
    ['memory type', aarch64(), (raw) => raw | 4n],
    ['nothing', aarch64(), () => 0n],
  ])('are found out: %s of one entry ($1.name)', (_, format, change) => {
    for (const vpn of [16, 23, 31]) {
      const system = withGroup(format, 16);
      poke(system, vpn, change);
      expect(errorOf(() => system.table.checkInvariants()).code).toBe('bad-image');
    }
  });

  it('of a guest are pages that the guest answers for: nothing breaks', () => {
    for (const format of [sv39, aarch64()]) {
      const system = withGroup(format, 16);
      poke(system, 20, () => 0n);
      poke(system, 25, (raw) => raw ^ (3n << 13n));
      const { frames, memory, owed, table } = system;
      const guest = new PageTable({ format, memory, frames, root: table.root });
      guest.checkInvariants();
      expect([...guest.entries()].length).toBeGreaterThan(0);
      expect(guest.unmapRange({ vpn: 0, pages: 512 }, owed)).toBe(15);
      guest.checkInvariants();
      expect([...guest.entries()]).toEqual([]);
    }
  });

  // RISC-V Privileged, Svnapot: other size codes are reserved.
  it('of a reserved size are pages by themselves', () => {
    const system = withGroup(sv39, 16);
    const { frames, memory, table } = system;
    poke(system, 16, (raw) => raw ^ (3n << 13n));
    const guest = new PageTable({ format: sv39, memory, frames, root: table.root });
    guest.lookup(16);
    expect(guest.found.pages).toBe(1);
    expect(guest.lookup(17)).toBe(65);
    // Its group is not whole any more, so that it stands alone.
    expect(guest.found.pages).toBe(1);
    expect(guest.protect(16, RW, system.owed)).toBeGreaterThanOrEqual(0);
  });
});
