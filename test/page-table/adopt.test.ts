import { Access, Prot } from 'pagewright/core';
import { type Invalidations, NOT_COMPATIBLE, NOT_MAPPED, PageTable } from 'pagewright/page-table';
import { sv39, x86Long4, x86Pae } from 'pagewright/pte';
import { RiscvWalker, X86Walker } from 'pagewright/walk';
import { describe, expect, it } from 'vitest';
import { expectError } from '../core/errors.js';
import { type Guest, makeGuest } from './guest.js';
import { contentsOf, RU, RW, RWU } from './system.js';

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
