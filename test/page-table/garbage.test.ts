import { Random } from 'pagewright/core';
import { type Invalidations, NOT_MAPPED, type PageTable } from 'pagewright/page-table';
import { type PteFormat, sv39, x86Long4 } from 'pagewright/pte';
import { describe, expect, it } from 'vitest';
import { errorOf, expectError } from '../core/errors.js';
import { type Guest, makeGuest } from './guest.js';
import { contentsOf, FORMATS, firstPage, RU, RW, RWU } from './system.js';

describe('a table that is garbage', () => {
  /** What may be done to any table, and must end. */
  function useIt(table: PageTable, owed: Invalidations, random: Random): void {
    const { format } = table;
    const space = 2 ** (format.virtualBits - format.pageShift);
    const start = firstPage(format);
    let seen = 0;
    for (const cursor = table.entries(); cursor.advance(); ) {
      if (seen++ % 997 === 0) cursor.entry();
    }
    for (const cursor = table.tablePages(); cursor.advance(); ) seen++;
    table.checkInvariants();
    table.statistics();
    for (let i = 0; i < 25; i++) {
      const near =
        random.below(2) === 0
          ? random.below(4096)
          : Math.floor((random.below(2 ** 30) / 2 ** 31) * space);
      const vpn = start + near;
      table.lookup(vpn);
      table.describe(BigInt(vpn) << BigInt(format.pageShift));
      const pages = 1 + random.below(2000);
      // What is foreign is refused by an error; everything else is done.
      tolerate(() => table.unmap(vpn, owed));
      tolerate(() => table.protect(vpn, RU, owed));
      tolerate(() => table.map(vpn, 5, table.flags({ prot: RWU }), owed));
      tolerate(() => table.protectRange({ vpn, pages, prot: RW }, owed));
      tolerate(() => table.split(vpn, owed));
      tolerate(() => table.collapse(vpn - (vpn % 512), 512, owed));
      tolerate(() => table.unmapRange({ vpn, pages }, owed));
      owed.complete();
    }
    table.checkInvariants();
  }

  function tolerate(operation: () => unknown): void {
    try {
      operation();
    } catch (error) {
      const { code } = errorOf(() => {
        throw error;
      });
      expect(['overlap', 'misaligned', 'out-of-range', 'bad-argument']).toContain(code);
    }
  }

  /** Fills the guest's frames with random entries; half of the pointers lead to where there is memory. */
  function fillRandomly({ memory }: Guest, format: PteFormat, random: Random): void {
    const page = new Uint8Array(64 * 2 ** format.pageShift * 0.5);
    const view = new DataView(page.buffer);
    for (let byte = 0; byte < page.length; byte += format.entryBytes) {
      if (random.below(4) === 0) continue;
      const near = BigInt(16 + random.below(32)) << BigInt(format.frameShift);
      const flags = BigInt(random.below(1024)) | BigInt(random.below(8));
      const word =
        random.below(2) === 0
          ? near | flags
          : (BigInt(random.word() >>> 0) << 32n) | BigInt(random.word() >>> 0);
      if (format.entryBytes === 8) view.setBigUint64(byte, BigInt.asUintN(64, word), true);
      else view.setUint32(byte, Number(word & 0xffff_ffffn), true);
    }
    memory.writeBytes(16 * 2 ** (format.pageShift - 12), 0, page);
  }

  // Of 16 KiB pages and more, only that they are as large.
  const SMALL = FORMATS.filter(({ pageShift }) => pageShift === 12);

  it.each(SMALL)(
    'can be looked at, edited where it leads somewhere, and torn down ($name)',
    (format) => {
      for (let seed = 0; seed < 4; seed++) {
        const random = new Random(seed);
        const guest = makeGuest(format);
        fillRandomly(guest, format, random);
        const before = contentsOf(guest.memory);
        const table = guest.adopt();
        expect(contentsOf(guest.memory)).toBe(before);
        useIt(table, guest.owed, random);
        const free = guest.frames.free;
        table.destroy(guest.owed);
        // Nothing but what was taken for it goes back.
        expect(guest.owed.releasedCount).toBe(16 - free);
        guest.owed.complete();
        expect(guest.frames.free).toBe(16);
        guest.frames.checkInvariants();
      }
    },
  );

  it.each(SMALL)('torn down at once leaves no trace in memory ($name)', (format) => {
    const guest = makeGuest(format);
    fillRandomly(guest, format, new Random(99));
    const before = contentsOf(guest.memory);
    guest.adopt().destroy(guest.owed);
    expect(guest.owed.released()).toEqual([]);
    guest.owed.complete();
    expect(contentsOf(guest.memory)).toBe(before);
  });

  it('that loops is not followed: every table is met once', () => {
    const { adopt, write } = makeGuest(x86Long4);
    // Every entry of two tables points at one of the two.
    for (let index = 0; index < 512; index++) {
      write(16, index, (BigInt(16 + (index & 1)) << 12n) | 7n);
      write(17, index, (BigInt(16 + (index & 1)) << 12n) | 7n);
    }
    const table = adopt();
    expect([...table.tablePages()].map(({ pfn }) => pfn)).toEqual([16, 17]);
    expect([...table.entries()]).toEqual([]);
    const kinds = new Map<string, number>();
    for (const { kind } of table.foreignRanges) kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
    // Entries of the root that point at it can be meant; all others lead nowhere sound.
    expect([...kinds]).toEqual([
      ['recursive', 256],
      ['unsound', 512 + 255],
    ]);
    table.checkInvariants();
    expect(table.lookup(12345)).not.toBe(NOT_MAPPED);
  });

  it('with two ways to one table has it once, and refuses to change it by the other', () => {
    const { adopt, owed, read, write } = makeGuest(sv39);
    write(16, 0, (17n << 10n) | 1n);
    write(16, 1, (17n << 10n) | 1n);
    write(17, 0, (18n << 10n) | 1n);
    write(18, 5, (0x77n << 10n) | 0xd7n);
    const table = adopt();
    expect([table.lookup(5), table.lookup(2 ** 18 + 5)]).toEqual([0x77, 0x77]);
    expect([...table.entries()]).toHaveLength(1);
    const error = errorOf(() => table.unmap(2 ** 18 + 5, owed));
    expect(error.code).toBe('overlap');
    expect(error.details).toMatchObject({ address: 2n ** 30n, entry: (17n << 10n) | 1n });
    expect(error.message).toContain('unsound');
    expect(table.unmap(5, owed)).toBe(0x77);
    expect(table.lookup(2 ** 18 + 5)).toBe(NOT_MAPPED);
    // The table went with its last page, but the second pointer to it is the guest's affair.
    expect([read(16, 0), read(16, 1)]).toEqual([0n, (17n << 10n) | 1n]);
    table.checkInvariants();
    table.destroy(owed);
    expect(owed.released()).toEqual([]);
  });

  it('that points at frames of our source keeps them from being tables, and from nothing else', () => {
    const { adopt, frames, memory, owed, write } = makeGuest(x86Long4);
    // The guest calls the frame that our source hands out next its table.
    write(16, 1, (48n << 12n) | 7n);
    const table = adopt();
    const flags = table.flags({ prot: RW });
    const before = contentsOf(memory);
    const error = errorOf(() => table.map(5, 6, flags, owed));
    expect([error.code, error.details.argument, error.details.value]).toEqual([
      'out-of-range',
      'frames',
      48,
    ]);
    expect([contentsOf(memory), frames.free]).toEqual([before, 16]);
    frames.allocateFrame();
    expect(table.map(5, 6, flags, owed)).toBe(0);
    table.destroy(owed);
    owed.complete();
    // The frame that the guest named is whose it was.
    expect([frames.free, frames.isOut(48)]).toEqual([15, true]);
  });

  it('that points outside memory is passed over', () => {
    const { adopt, owed, write } = makeGuest(x86Long4);
    write(16, 0, (17n << 12n) | 7n);
    write(16, 1, (0xff_ffff_ffffn << 12n) | 7n);
    write(17, 3, (64n << 12n) | 7n);
    write(17, 4, (18n << 12n) | 7n);
    write(18, 0, 0x20_00e7n);
    const table = adopt();
    expect(table.foreignRanges).toEqual([
      { kind: 'unsound', vpn: 3 * 2 ** 18, pages: 2 ** 18, level: 2 },
      { kind: 'unsound', vpn: 2 ** 27, pages: 2 ** 27, level: 3 },
    ]);
    expect([...table.entries()].map(({ vpn }) => vpn)).toEqual([2 ** 20]);
    expect([table.lookup(2 ** 27), table.lookup(3 * 2 ** 18 + 5)]).toEqual([
      NOT_MAPPED,
      NOT_MAPPED,
    ]);
    expect(table.describe(2n ** 39n)).toMatchObject({ kind: 'not-mapped', foreign: 'unsound' });
    expectError(() => table.map(2 ** 27 + 1, 5, table.flags({ prot: RW }), owed), 'overlap', 'vpn');
    expect(table.map(4, 5, table.flags({ prot: RW }), owed)).toBe(0);
    table.checkInvariants();
  });

  it('beyond the limit of tables counts as foreign', () => {
    const { adopt, write } = makeGuest(sv39);
    for (let index = 0; index < 20; index++) write(16, index, (BigInt(17 + index) << 10n) | 1n);
    const table = adopt({ visitLimit: 8 });
    expect([...table.tablePages()]).toHaveLength(8);
    expect(table.foreignRanges).toHaveLength(13);
    expect([...adopt({ visitLimit: 0 }).tablePages()]).toHaveLength(1);
    table.checkInvariants();
  });

  it('is copied without what leads nowhere', () => {
    const guest = makeGuest(x86Long4);
    fillRandomly(guest, x86Long4, new Random(5));
    const table = guest.adopt({ visitLimit: 6 });
    const copy = table.clone({ copyOnWrite: false }, guest.owed)!;
    expect(copy.foreignRanges.every(({ kind }) => kind === 'recursive')).toBe(true);
    expect([...copy.entries()].length).toBe([...table.entries()].length);
    copy.checkInvariants();
    copy.destroy(guest.owed);
    guest.owed.complete();
    expect(guest.frames.free).toBe(16);
  });

  it('takes bounded time however deep it is: a root that is all pointers to itself, of five levels', () => {
    const { adopt, write } = makeGuest(x86Long4);
    for (let index = 0; index < 512; index++) write(16, index, (16n << 12n) | 7n);
    const table = adopt();
    expect([...table.tablePages()]).toHaveLength(1);
    expect(table.foreignRanges).toHaveLength(512);
    expect([...table.entries()]).toEqual([]);
  });
});
