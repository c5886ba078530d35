import { Access, Prot, Random } from 'pagewright/core';
import { FramePool, PhysicalMemory } from 'pagewright/memory';
import {
  Invalidations,
  NOT_COMPATIBLE,
  NOT_MAPPED,
  PageTable,
  type PageTableOptions,
} from 'pagewright/page-table';
import { type PteFormat, sv39, x86Long4, x86Pae } from 'pagewright/pte';
import { RiscvWalker, X86Walker } from 'pagewright/walk';
import { describe, expect, it } from 'vitest';
import { errorOf, expectError } from '../core/errors.js';
import { contentsOf, FORMATS, firstPage, RU, RW, RWU } from './system.js';

interface Guest {
  readonly memory: PhysicalMemory;
  readonly frames: FramePool;
  readonly owed: Invalidations;
  readonly adopt: (options?: Partial<PageTableOptions>) => PageTable;
  readonly write: (pfn: number, index: number, entry: bigint) => void;
  readonly read: (pfn: number, index: number) => bigint;
}

/** 64 frames of memory, of which our own tables take those from 48 on. */
function makeGuest(format: PteFormat): Guest {
  const { entryBytes, pageShift } = format;
  const memory = PhysicalMemory.allocate(64 * 2 ** pageShift, { base: 0 });
  const frames = new FramePool({ first: 48, frames: 16 });
  const bytes = entryBytes === 8 ? 8 : 4;
  const at = (pfn: number, index: number): bigint =>
    BigInt(pfn * 2 ** pageShift + index * entryBytes);
  return {
    memory,
    frames,
    owed: new Invalidations({ frames }),
    adopt: (options = {}) => new PageTable({ format, memory, frames, root: 16, ...options }),
    write: (pfn, index, entry) => void memory.write(at(pfn, index), bytes, entry),
    read: (pfn, index) => {
      const found = memory.read(at(pfn, index), bytes);
      return found.kind === 'value' ? found.value : -1n;
    },
  };
}

/** Sv39, by hand: a gigapage, a megapage, pages of all kinds, one of them in swap. */
function handWritten(): Guest {
  const guest = makeGuest(sv39);
  const { write } = guest;
  write(16, 2, 0x2000_00cfn); // 0x80000000: rwx, the supervisor's
  write(16, 511, (17n << 10n) | 1n);
  write(17, 510, (0x40200n << 10n) | 0xe7n); // global
  write(17, 511, (18n << 10n) | 1n);
  write(18, 5, (0x77n << 10n) | 0x53n); // a user's, read-only
  write(18, 6, (0x78n << 10n) | 0x17n); // unused
  write(18, 7, 0x1234_0080n); // a swap entry of type 1
  return guest;
}

const TOP = 2 ** 52 - 512;

describe('a guest’s table, adopted', () => {
  it('says what the guest wrote', () => {
    const table = handWritten().adopt();
    expect([...table.entries()].map((e) => [e.kind, e.vpn, e.pfn, e.pages, e.prot])).toEqual([
      ['leaf', 0x8_0000, 0x8_0000, 2 ** 18, 7],
      ['leaf', TOP - 512, 0x40200, 512, RW],
      ['leaf', TOP + 5, 0x77, 1, RU],
      ['leaf', TOP + 6, 0x78, 1, RWU],
      ['software', TOP + 7, -1, 1, 0],
    ]);
    expect([...table.tablePages()].map(({ level, pfn }) => [level, pfn])).toEqual([
      [2, 16],
      [1, 17],
      [0, 18],
    ]);
    expect(table.statistics()).toMatchObject({
      tables: [1, 1, 1],
      mappedBytes: (2 ** 18 + 512 + 2) * 4096,
    });
    expect(table.swapAt(TOP + 7)).toMatchObject({ type: 1, offset: 0x12340 });
    expect([table.testAccessed(TOP + 5), table.testAccessed(TOP + 6)]).toEqual([1, 0]);
    expect(table.describe(0x8000_0123n)).toMatchObject({ pa: 0x8000_0123n, dirty: true });
    table.checkInvariants();
  });

  it('is not changed by being adopted, nor is our source', () => {
    const guest = handWritten();
    const before = contentsOf(guest.memory);
    const table = guest.adopt();
    table.checkInvariants();
    expect([contentsOf(guest.memory), guest.frames.free]).toEqual([before, 16]);
  });

  it('is edited as its own, and the walker sees it', () => {
    const { frames, memory, owed, adopt } = handWritten();
    const table = adopt();
    const walker = new RiscvWalker({ memory, satp: (8n << 60n) | 16n, adue: true });
    table.map(TOP + 9, 0x99, table.flags({ prot: RWU }), owed);
    table.map(3, 0x33, table.flags({ prot: RWU }), owed); // takes two tables of ours
    expect(frames.free).toBe(14);
    table.unmap(TOP + 5, owed);
    table.protect(TOP + 6, RU, owed);
    table.split(0x8_0000, owed);
    const walk = (vpn: number, access: number): number => walker.walk(vpn, access | Access.User);
    expect([walk(TOP + 9, Access.Write), walk(3, Access.Read)]).toEqual([0x99, 0x33]);
    expect(walk(TOP + 5, Access.Read)).toBeLessThan(0);
    expect(walk(TOP + 6, Access.Write)).toBeLessThan(0);
    expect(walker.walk(0x8_1234, Access.Fetch)).toBe(0x8_1234);
    table.checkInvariants();
  });

  it('gives its tables to nobody: they are the guest’s', () => {
    const { frames, owed, adopt } = handWritten();
    const table = adopt();
    table.map(3, 0x33, table.flags({ prot: RWU }), owed);
    expect(table.unmapRange({ vpn: 2 ** 52 - 2 ** 26, pages: 2 ** 26 }, owed)).toBe(514);
    // Unlinked, and released by nobody.
    expect(table.statistics().tables).toEqual([1, 1, 1]);
    expect(owed.released()).toEqual([]);
    table.destroy(owed);
    expect(owed.releasedCount).toBe(2);
    owed.complete();
    expect(frames.free).toBe(16);
  });

  it('gives them to our source when they came from there', () => {
    const { frames, memory, owed } = handWritten();
    const own = new PageTable({ format: sv39, memory, frames });
    own.map(5, 6, own.flags({ prot: RWU }), owed);
    const again = new PageTable({
      format: sv39,
      memory,
      frames,
      root: own.root,
      releaseTables: true,
    });
    again.unmap(5, owed);
    expect(owed.releasedCount).toBe(2);
    again.destroy(owed);
    owed.complete();
    expect(frames.free).toBe(16);
  });

  it('begins within a page where the root is small', () => {
    const { adopt, memory, write } = makeGuest(x86Pae);
    write(16, 4 + 3, (17n << 12n) | 1n);
    write(17, 0, (18n << 12n) | 0x67n);
    write(18, 0x123, 0x77067n);
    const table = adopt({ rootOffset: 32 });
    expect(table.lookup(0xc0123)).toBe(0x77);
    expect(adopt({ rootOffset: 0 }).lookup(0xc0123)).toBe(NOT_MAPPED);
    const cr3 = 16 * 4096 + 32;
    const walker = new X86Walker({ memory, cr0: 0x8000_0001, cr4: 0x20, efer: 0, cr3 });
    expect(walker.walk(0xc0123, Access.Read)).toBe(0x77);
    table.checkInvariants();
    expectError(() => adopt({ rootOffset: 8 }), 'misaligned', 'rootOffset');
    expectError(() => adopt({ rootOffset: 4096 }), 'out-of-range', 'rootOffset');
  });

  it('must be in memory', () => {
    const { adopt, frames, memory } = handWritten();
    expectError(() => adopt({ root: 64 }), 'out-of-range', 'root');
    expectError(() => adopt({ root: 2 ** 44 }), 'out-of-range', 'root');
    expectError(() => adopt({ root: -1 }), 'out-of-range', 'root');
    expectError(() => adopt({ root: 1.5 }), 'bad-argument', 'root');
    expectError(() => adopt({ visitLimit: -1 }), 'out-of-range', 'visitLimit');
    expect([frames.free, memory.regions()[0]?.bytes]).toEqual([16, 64 * 4096]);
  });
});

describe('empty tables that a guest left', () => {
  it('are found and given up, those below others first', () => {
    const { adopt, owed, read, write } = handWritten();
    write(16, 5, (20n << 10n) | 1n);
    write(20, 9, (21n << 10n) | 1n);
    write(16, 6, (22n << 10n) | 1n);
    write(17, 3, (23n << 10n) | 1n);
    const table = adopt();
    const before = [...table.entries()];
    expect(table.freeEmptyTables({ vpn: 0, pages: 2 ** 26 }, owed)).toBe(3);
    expect(owed.invalidations().every(({ intermediate }) => intermediate)).toBe(true);
    expect(table.freeEmptyTables({ vpn: 2 ** 52 - 2 ** 26, pages: 2 ** 26 }, owed)).toBe(1);
    expect(table.freeEmptyTables({ vpn: 0, pages: 2 ** 26 }, owed)).toBe(0);
    expect([read(16, 5), read(16, 6), read(17, 3)]).toEqual([0n, 0n, 0n]);
    expect([...table.entries()]).toEqual(before);
    table.checkInvariants();
  });
});

// Intel SDM Vol. 3A, 4.6.1: an access needs the right in every entry on the way.
describe('tables whose pointers withhold rights', () => {
  /** Two pages that may be written, by their own entries, below a directory entry that says no. */
  function withholding(
    pde: bigint,
  ): Guest & { readonly walk: (vpn: number, access: number) => boolean } {
    const guest = makeGuest(x86Long4);
    guest.write(16, 0, (17n << 12n) | 0x67n);
    guest.write(17, 0, (18n << 12n) | 0x67n);
    guest.write(18, 1, (19n << 12n) | pde);
    guest.write(18, 2, (20n << 12n) | 0x67n);
    guest.write(19, 0, 0x70067n);
    guest.write(19, 1, 0x71067n);
    const walker = new X86Walker({ memory: guest.memory, cr3: 16 * 4096 });
    return { ...guest, walk: (vpn, access) => walker.walk(vpn, access) >= 0 };
  }

  it('grant what is mapped below them', () => {
    const { adopt, owed, walk } = withholding(0x65n);
    const table = adopt();
    expect(table.map(0x205, 0x99, table.flags({ prot: RWU }), owed)).toBe(0);
    expect(walk(0x205, Access.Write | Access.User)).toBe(true);
    expect(owed.invalidations().some(({ intermediate }) => intermediate)).toBe(true);
    const other = withholding(0x65n);
    const guest = other.adopt();
    expect(guest.protect(0x200, RWU, other.owed)).toBe(0x70);
    expect(other.walk(0x200, Access.Write | Access.User)).toBe(true);
    guest.checkInvariants();
  });

  it.each([
    ['map', (t: PageTable, owed: Invalidations) => t.map(0x205, 9, t.flags({ prot: 15 }), owed)],
    [
      'mapRange',
      (t: PageTable, owed: Invalidations) =>
        t.mapRange({ vpn: 0x205, pfn: 9, pages: 3, flags: t.flags({ prot: 15 }) }, owed),
    ],
    ['protect', (t: PageTable, owed: Invalidations) => t.protect(0x200, 15, owed)],
    [
      'protectRange',
      (t: PageTable, owed: Invalidations) =>
        t.protectRange({ vpn: 0x200, pages: 1, prot: 15 }, owed),
    ],
  ])('do not grant more to what else is below them (%s)', (_, operate) => {
    for (const pde of [0x65n, 0x63n, 0x8000_0000_0000_0067n, 0x8000_0000_0000_0061n]) {
      const { adopt, owed, walk } = withholding(pde);
      const table = adopt();
      const kinds = [Access.Read, Access.Write, Access.Fetch].flatMap((kind) => [
        kind,
        kind | Access.User,
      ]);
      const before = kinds.map((access) => walk(0x201, access));
      operate(table, owed);
      expect([pde, kinds.map((access) => walk(0x201, access))]).toEqual([pde, before]);
      table.checkInvariants();
    }
  });

  it('are not lost in a leaf that takes their place', () => {
    const { adopt, owed, walk, write } = withholding(0x65n);
    for (let index = 0; index < 512; index++)
      write(19, index, BigInt((0x400 + index) << 12) | 0x67n);
    const table = adopt();
    const outcome = table.collapse(0x200, 512, owed);
    if (outcome !== NOT_COMPATIBLE) expect(walk(0x200, Access.Write | Access.User)).toBe(false);
    expect(walk(0x200, Access.Read | Access.User)).toBe(true);
  });
});

describe('garbage', () => {
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

it('rights that a guest’s walker would refuse are as they were written', () => {
  const { adopt, write } = makeGuest(sv39);
  // Writable and not readable is reserved on RISC-V; PPN bits below the size make a leaf misaligned.
  write(16, 0, (0x4_0001n << 10n) | 0xcfn);
  write(16, 1, (17n << 10n) | 0x05n);
  const table = adopt();
  expect(table.describe(0x4000_0000n)).toMatchObject({ kind: 'leaf', prot: Prot.Write });
  expect(table.lookup(0)).toBe(0x4_0000);
  table.checkInvariants();
});
