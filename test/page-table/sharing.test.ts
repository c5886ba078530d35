import { Access, addressFromVpn, Prot } from 'pagewright/core';
import { FramePool, PhysicalMemory } from 'pagewright/memory';
import { EVERY_CONTEXT, NOT_MAPPED, OUT_OF_FRAMES, PageTable } from 'pagewright/page-table';
import { sv39, sv48, x86Long4, x86Long5, x86Pae } from 'pagewright/pte';
import { X86Walker } from 'pagewright/walk';
import { describe, expect, it } from 'vitest';
import { errorOf, expectError } from '../core/errors.js';
import { entryAt, makeSystem, owedBy, RU, RW, RWU, type System, stateOf } from './system.js';

/** The upper half of a 48-bit space. */
const HALF = { vpn: 2 ** 52 - 2 ** 35, pages: 2 ** 35 };
const K = HALF.vpn;

const kernelFlags = (table: PageTable) => table.flags({ prot: RW, global: true });
const userFlags = (table: PageTable) => table.flags({ prot: RWU });

interface Spaces extends System {
  /** Address spaces that have the kernel half of `table`. */
  readonly users: readonly PageTable[];
}

/** A kernel, and address spaces with its half. */
function makeSpaces(count = 3): Spaces {
  const system = makeSystem(x86Long4, { pages: 1024 });
  const { frames, memory, owed, table } = system;
  const users = Array.from({ length: count }, (_, i) => {
    const user = new PageTable({ format: x86Long4, memory, frames, context: i + 1 });
    expect(user.share(table, HALF, owed)).toBe(0);
    return user;
  });
  owed.complete();
  return { ...system, users };
}

const check = ({ table, users }: Spaces): void => {
  for (const one of [table, ...users]) one.checkInvariants();
};

describe('the kernel half', () => {
  it('has a table below every entry of the root, so that what is mapped later is seen by all', () => {
    const spaces = makeSpaces();
    const { memory, owed, table, users } = spaces;
    expect(table.statistics().tables).toEqual([0, 0, 256, 1]);
    table.map(K + 5, 0x77, kernelFlags(table), owed);
    table.mapRange(
      { vpn: 2 ** 52 - 600, pfn: 0x1000, pages: 600, flags: kernelFlags(table) },
      owed,
    );
    for (const user of users) {
      expect([user.lookup(K + 5), user.lookup(2 ** 52 - 1)]).toEqual([0x77, 0x1000 + 599]);
      const walker = new X86Walker({ memory, cr3: user.root * 4096 });
      expect(walker.walk(K + 5, Access.Write)).toBe(0x77);
      expect(walker.walk(2 ** 52 - 1, Access.Read)).toBe(0x1000 + 599);
    }
    table.unmap(K + 5, owed);
    table.protect(2 ** 52 - 1, Prot.Read, owed);
    for (const user of users) {
      expect(user.lookup(K + 5)).toBe(NOT_MAPPED);
      expect(user.describe(2n ** 64n - 1n)).toMatchObject({ prot: Prot.Read, foreign: 'shared' });
    }
    check(spaces);
  });

  it('keeps those tables when they are empty', () => {
    const spaces = makeSpaces();
    const { frames, owed, table, users } = spaces;
    const { free } = frames;
    table.map(K, 5, kernelFlags(table), owed);
    table.map(K + 2 ** 18, 6, kernelFlags(table), owed);
    table.unmap(K, owed);
    table.unmapRange(HALF, owed);
    table.freeEmptyTables(HALF, owed);
    owed.complete();
    expect(table.statistics().tables).toEqual([0, 0, 256, 1]);
    expect(frames.free).toBe(free);
    table.map(K + 9, 7, kernelFlags(table), owed);
    expect(users.map((user) => user.lookup(K + 9))).toEqual([7, 7, 7]);
    check(spaces);
  });

  it('is no borrower’s to change, and the refusal names what is there', () => {
    const spaces = makeSpaces(1);
    const { memory, owed, table, users } = spaces;
    const user = users[0]!;
    table.map(K + 5, 0x77, kernelFlags(table), owed);
    user.map(5, 0x55, userFlags(user), owed);
    owed.complete();
    const before = [stateOf(spaces), stateOf({ ...spaces, table: user })];
    const refused: (() => unknown)[] = [
      () => user.map(K + 6, 1, userFlags(user), owed),
      () => user.map(K, 0, userFlags(user), owed, 512),
      () => user.mapRange({ vpn: K, pfn: 0, pages: 9, flags: userFlags(user) }, owed),
      () => user.unmap(K + 5, owed),
      () => user.remap(K + 5, 1, owed),
      () => user.protect(K + 5, RU, owed),
      () => user.unmapRange({ vpn: K + 5, pages: 1 }, owed),
      () => user.unmapRange(HALF, owed),
      () => user.protectRange({ ...HALF, prot: RU }, owed),
      () => user.setAccessed(K + 5, false, owed),
      () => user.setDirty(K + 5, false, owed),
      () => user.setSwap(K + 5, { type: 1, offset: 1 }, owed),
      () => user.split(K + 5, owed),
      () => user.collapse(K, 512, owed),
      () => user.freeEmptyTables({ vpn: K, pages: 1 }, owed),
      () => user.mapRecursive(256, owed),
    ];
    const root = entryAt(spaces, user.root, 256);
    refused.forEach((operation, i) => {
      const error = errorOf(operation);
      expect([i, error.code]).toEqual([i, 'overlap']);
      expect(error.details).toMatchObject({ address: addressFromVpn(K), entry: root });
      expect(error.message).toContain('shared');
    });
    expect([stateOf(spaces), stateOf({ ...spaces, table: user })]).toEqual(before);
    expect(memory.read(0, 8).kind).toBe('value');
    // Next to it everything is as always.
    expect(user.map(2 ** 35 - 1, 9, userFlags(user), owed)).toBe(0);
    expect(user.unmapRange({ vpn: 0, pages: 2 ** 35 }, owed)).toBe(2);
  });

  it('is looked at by borrowers, or left out', () => {
    const { owed, table, users } = makeSpaces(1);
    const user = users[0]!;
    table.map(K + 5, 0x77, kernelFlags(table), owed);
    user.map(9, 0x55, userFlags(user), owed);
    const pages = (shared: boolean) => [...user.entries({ shared })].map(({ vpn }) => vpn);
    expect(pages(true)).toEqual([9, K + 5]);
    expect(pages(false)).toEqual([9]);
    const own = [...user.tablePages({ shared: false })];
    expect(own.map(({ level }) => level)).toEqual([3, 2, 1, 0]);
    // The 256 tables below the root, and two below the first of them.
    expect([...user.tablePages()]).toHaveLength(own.length + 256 + 2);
    const cursor = user.entries();
    const kinds: unknown[] = [];
    while (cursor.advance()) kinds.push(cursor.foreign);
    expect(kinds).toEqual([null, 'shared']);
  });

  it('is counted by its owner alone', () => {
    const { owed, table, users } = makeSpaces(2);
    table.map(K + 5, 0x77, kernelFlags(table), owed);
    users[0]!.map(9, 0x55, userFlags(users[0]!), owed);
    expect(table.statistics()).toMatchObject({ tables: [1, 1, 256, 1], mappedBytes: 4096 });
    expect(users[0]!.statistics()).toMatchObject({ tables: [1, 1, 1, 1], mappedBytes: 4096 });
    expect(users[1]!.statistics()).toMatchObject({ tables: [0, 0, 0, 1], mappedBytes: 0 });
  });

  it('is on loan as foreign ranges, one for each entry of the root', () => {
    const { users } = makeSpaces(1);
    const ranges = users[0]!.foreignRanges;
    expect(ranges).toHaveLength(256);
    expect(ranges[255]).toEqual({
      kind: 'shared',
      vpn: 2 ** 52 - 2 ** 27,
      pages: 2 ** 27,
      level: 3,
    });
  });
});

describe('the frames of shared tables', () => {
  it('go back once, with their owner', () => {
    const spaces = makeSpaces();
    const { frames, memory, owed, table, users } = spaces;
    table.mapRange({ vpn: K, pfn: 0, pages: 1000, flags: kernelFlags(table), pageSize: 1 }, owed);
    const kernel = [...table.tablePages()].map(({ pfn }) => pfn);
    for (const user of users) {
      user.map(5, 6, userFlags(user), owed);
      const own = [...user.tablePages({ shared: false })]
        .map(({ pfn }) => pfn)
        .sort((a, b) => a - b);
      owed.complete();
      user.destroy(owed);
      expect([...owed.released()].sort((a, b) => a - b)).toEqual(own);
      expect(user.isDestroyed).toBe(true);
      owed.complete(); // a frame released twice would be an error of the pool
    }
    expect(kernel.every((pfn) => frames.isOut(pfn))).toBe(true);
    expect(new X86Walker({ memory, cr3: table.root * 4096 }).walk(K + 999, Access.Read)).toBe(999);
    table.destroy(owed);
    owed.complete();
    expect(frames.free).toBe(frames.frames);
    frames.checkInvariants();
  });

  it('stay when a borrower is destroyed with all that it maps', () => {
    const spaces = makeSpaces(1);
    const { frames, owed, table, users } = spaces;
    const user = users[0]!;
    const [mine, kernels] = [frames.allocateFrame(), frames.allocateFrame()];
    user.map(5, mine, userFlags(user), owed);
    table.map(K, kernels, kernelFlags(table), owed);
    user.destroy(owed, { release: true });
    owed.complete();
    expect([frames.isOut(mine), frames.isOut(kernels)]).toEqual([false, true]);
    expect(table.lookup(K)).toBe(kernels);
  });

  it('keep their owner alive: it is not destroyed before all is given back', () => {
    const spaces = makeSpaces(2);
    const { owed, table, users } = spaces;
    const before = stateOf(spaces);
    expectError(() => table.destroy(owed), 'overlap', 'this');
    expect(table.isDestroyed).toBe(false);
    expect(stateOf(spaces)).toEqual(before);
    users[0]!.destroy(owed);
    expectError(() => table.destroy(owed), 'overlap', 'this');
    expect(users[1]!.unshare({ vpn: K, pages: 1 }, owed)).toBe(1);
    expectError(() => table.destroy(owed), 'overlap', 'this');
    expect(users[1]!.unshare(HALF, owed)).toBe(255);
    table.destroy(owed);
    owed.complete();
    users[1]!.checkInvariants();
  });
});

describe('what is given back', () => {
  it('is the borrower’s own space again', () => {
    const spaces = makeSpaces(2);
    const { owed, table, users } = spaces;
    const [user, other] = [users[0]!, users[1]!];
    table.map(K + 5, 0x77, kernelFlags(table), owed);
    owed.complete();
    const owing = owedBy(spaces, () =>
      expect(user.unshare({ vpn: K + 5, pages: 1 }, owed)).toBe(1),
    );
    expect(owing).toEqual([
      {
        kind: 'invalidate',
        vpn: K,
        pages: 2 ** 27,
        stride: 0,
        context: 1,
        intermediate: true,
        global: true,
      },
    ]);
    expect(entryAt(spaces, user.root, 256)).toBe(0n);
    expect(user.lookup(K + 5)).toBe(NOT_MAPPED);
    expect(user.map(K + 5, 0x99, userFlags(user), owed)).toBe(0);
    expect([table.lookup(K + 5), other.lookup(K + 5)]).toEqual([0x77, 0x77]);
    expect(user.unshare({ vpn: K, pages: 1 }, owed)).toBe(0);
    check(spaces);
  });

  it('can be borrowed again', () => {
    const spaces = makeSpaces(1);
    const { owed, table, users } = spaces;
    const slot = { vpn: K, pages: 2 ** 27 };
    users[0]!.unshare(slot, owed);
    expect(users[0]!.share(table, slot, owed)).toBe(0);
    check(spaces);
  });
});

describe('share', () => {
  const slot = { vpn: K, pages: 2 ** 27 };
  const pair = () => {
    const system = makeSystem(x86Long4, { pages: 64 });
    const { frames, memory } = system;
    return { ...system, user: new PageTable({ format: x86Long4, memory, frames }) };
  };

  it('owes nothing on x86, and the entry on RISC-V', () => {
    const { owed, table, user } = pair();
    user.share(table, slot, owed);
    expect(owed.isEmpty).toBe(true);
    const system = makeSystem(sv39, { context: 5 });
    const { frames, memory } = system;
    const other = new PageTable({ format: sv39, memory, frames, context: 6 });
    const gigabyte = { vpn: 2 ** 18, pages: 2 ** 18 };
    const owing = owedBy(system, () => other.share(system.table, gigabyte, system.owed));
    // The owner's new table, and the borrower's entry.
    expect(owing.map(({ context, intermediate, vpn }) => [vpn, intermediate, context])).toEqual([
      [2 ** 18, true, 5],
      [2 ** 18, true, 6],
    ]);
    const later = owedBy(system, () =>
      system.table.map(2 ** 18, 7, kernelFlags(system.table), system.owed),
    );
    expect(later.map(({ context }) => context)).toEqual([EVERY_CONTEXT, EVERY_CONTEXT]);
  });

  it('refuses where something is mapped, by name', () => {
    const { owed, table, user, ...system } = pair();
    user.map(K + 5, 1, userFlags(user), owed);
    const before = stateOf({ ...system, owed, table });
    const error = errorOf(() => user.share(table, { ...slot, pages: 2 ** 28 }, owed));
    expect(error.code).toBe('overlap');
    expect(error.details).toMatchObject({
      address: addressFromVpn(K),
      entry: entryAt({ ...system, owed, table }, user.root, 256),
    });
    expect(stateOf({ ...system, owed, table })).toEqual(before);
    expect(user.foreignRanges).toEqual([]);
  });

  it('refuses what is on loan already, on either side', () => {
    const { frames, memory, owed, table, user } = pair();
    user.share(table, slot, owed);
    expectError(() => user.share(table, slot, owed), 'overlap', 'vpn');
    const third = new PageTable({ format: x86Long4, memory, frames });
    expectError(() => third.share(user, slot, owed), 'overlap', 'vpn');
    expect(third.share(table, slot, owed)).toBe(0);
  });

  it.each([
    ['a page', { vpn: K, pages: 1 }, 'misaligned'],
    ['the middle of an entry', { vpn: K + 1, pages: 2 ** 27 }, 'misaligned'],
    ['one and a half entries', { vpn: K, pages: 1.5 * 2 ** 27 }, 'misaligned'],
    ['no pages', { vpn: K, pages: 0 }, 'out-of-range'],
    ['no addresses', { vpn: 2 ** 36, pages: 2 ** 27 }, 'out-of-range'],
    ['both halves', { vpn: 0, pages: 2 ** 52 }, 'out-of-range'],
  ] as const)('refuses %s', (_, range, code) => {
    const { owed, table, user, ...system } = pair();
    const before = stateOf({ ...system, owed, table });
    expect(errorOf(() => user.share(table, range, owed)).code).toBe(code);
    expect(stateOf({ ...system, owed, table })).toEqual(before);
  });

  it('refuses owners that cannot lend', () => {
    const { frames, memory, owed, table, user } = pair();
    const dead = new PageTable({ format: x86Long4, memory, frames });
    dead.destroy(owed);
    const elsewhere = makeSystem(x86Long4).table;
    const others: readonly unknown[] = [
      user,
      elsewhere,
      new PageTable({ format: x86Long5, memory, frames }),
      null,
      {},
    ];
    for (const owner of others) {
      // What the compiler would refuse is among them.
      expectError(() => user.share(owner as PageTable, slot, owed), 'bad-argument', 'owner');
    }
    expectError(() => user.share(dead, slot, owed), 'bad-argument', 'this');
    expect(table.foreignRanges).toEqual([]);
  });

  it('needs frames of the owner for empty tables, or changes nothing', () => {
    const memory = PhysicalMemory.allocate(64 * 4096, { base: 0 });
    const frames = new FramePool({ first: 1, frames: 4 });
    const system = makeSystem(x86Long4, { memory, frames });
    const { owed, table } = system;
    const user = new PageTable({ format: x86Long4, memory, frames });
    const before = [stateOf(system), stateOf({ ...system, table: user })];
    expect(user.share(table, { vpn: K, pages: 3 * 2 ** 27 }, owed)).toBe(OUT_OF_FRAMES);
    expect([stateOf(system), stateOf({ ...system, table: user })]).toEqual(before);
    expect(user.share(table, { vpn: K, pages: 2 * 2 ** 27 }, owed)).toBe(0);
  });

  it('is for PAE’s halves and gigabytes as well', () => {
    const system = makeSystem(x86Pae);
    const { frames, memory, owed, table } = system;
    const user = new PageTable({ format: x86Pae, memory, frames });
    expect(user.share(table, { vpn: 0xc0000, pages: 0x40000 }, owed)).toBe(0);
    table.map(0xc0123, 7, kernelFlags(table), owed);
    expect(user.lookup(0xc0123)).toBe(7);
    user.checkInvariants();
  });
});

describe('a leaf in the owner’s root', () => {
  it('is not shared: it is to be split first', () => {
    const system = makeSystem(sv39);
    const { frames, memory, owed, table } = system;
    const gigabyte = { vpn: 2 ** 18, pages: 2 ** 18 };
    table.map(gigabyte.vpn, 0, table.flags({ prot: RW }), owed, gigabyte.pages);
    const user = new PageTable({ format: sv39, memory, frames });
    const before = stateOf(system);
    const { code, details } = errorOf(() => user.share(table, gigabyte, owed));
    expect([code, details.argument, details.address]).toEqual(['overlap', 'owner', 0x4000_0000n]);
    expect(details.entry).toBe(0xc7n);
    expect(stateOf(system)).toEqual(before);
    table.split(gigabyte.vpn, owed);
    expect(user.share(table, gigabyte, owed)).toBe(0);
    expect(user.lookup(gigabyte.vpn + 5)).toBe(5);
  });

  it('that was taken for an empty table stays out of the way of large pages', () => {
    const system = makeSystem(sv48);
    const { frames, memory, owed, table } = system;
    const user = new PageTable({ format: sv48, memory, frames });
    const huge = { vpn: 2 ** 27, pages: 2 ** 27 };
    user.share(table, huge, owed);
    const flags = table.flags({ prot: RW });
    expectError(() => table.map(huge.vpn, 0, flags, owed, huge.pages), 'overlap', 'vpn');
    const range = { ...huge, pfn: 0, flags };
    expectError(() => table.mapRange({ ...range, pageSize: 2 ** 27 }, owed), 'overlap', 'vpn');
    expect(table.mapRange(range, owed)).toBe(0);
    expect(table.statistics().leaves[3]).toEqual({ pages: 2 ** 18, count: 512 });
    expect(user.lookup(2 ** 28 - 1)).toBe(2 ** 27 - 1);
  });
});

describe('a copy of an address space with a kernel half', () => {
  it('has the same kernel half, of the same owner', () => {
    const spaces = makeSpaces(1);
    const { frames, owed, table, users } = spaces;
    const user = users[0]!;
    table.map(K + 5, 0x77, kernelFlags(table), owed);
    user.map(9, 0x55, userFlags(user), owed);
    const child = user.clone({ context: 9 }, owed)!;
    expect(child.foreignRanges).toEqual(user.foreignRanges);
    expect([child.lookup(9), child.lookup(K + 5)]).toEqual([0x55, 0x77]);
    table.map(K + 6, 0x78, kernelFlags(table), owed);
    expect(child.lookup(K + 6)).toBe(0x78);
    // The kernel's pages keep the right to write.
    expect(child.describe(addressFromVpn(K + 5)).prot).toBe(RW);
    expect(child.describe(addressFromVpn(9)).prot).toBe(RU);
    child.checkInvariants();
    check(spaces);
    user.destroy(owed);
    expectError(() => table.destroy(owed), 'overlap', 'this');
    child.destroy(owed);
    table.destroy(owed);
    owed.complete();
    expect(frames.free).toBe(frames.frames);
  });

  it('of the kernel itself is a kernel of its own', () => {
    const spaces = makeSpaces(1);
    const { owed, table, users } = spaces;
    table.map(K + 5, 0x77, kernelFlags(table), owed);
    const copy = table.clone({ copyOnWrite: false }, owed)!;
    copy.unmap(K + 5, owed);
    expect([table.lookup(K + 5), users[0]!.lookup(K + 5)]).toEqual([0x77, 0x77]);
    copy.checkInvariants();
    copy.destroy(owed);
    check(spaces);
  });
});

describe('cursors over tables on loan', () => {
  it('stop where they were given back', () => {
    const { owed, table, users } = makeSpaces(1);
    const user = users[0]!;
    const range = { vpn: K, pfn: 0x100, pages: 8, flags: kernelFlags(table) };
    table.mapRange(range, owed);
    const cursor = user.entries();
    expect([cursor.advance(), cursor.vpn]).toEqual([true, K]);
    user.unshare(HALF, owed);
    expect(cursor.advance()).toBe(false);
  });

  it('see what the owner has made of them, and never a table that was given up', () => {
    const { frames, memory, owed, table, users } = makeSpaces(1);
    const user = users[0]!;
    const range = { vpn: K, pfn: 0x100, pages: 8, flags: kernelFlags(table), pageSize: 1 };
    table.mapRange(range, owed);
    table.map(K + 2 ** 20, 0x55, kernelFlags(table), owed);
    const cursor = user.entries();
    expect([cursor.advance(), cursor.vpn]).toEqual([true, K]);
    const tables = [...table.tablePages()].map(({ pfn }) => pfn);
    table.unmapRange({ vpn: K, pages: 512 }, owed);
    owed.complete();
    // Somebody else has the frame now.
    for (const pfn of tables) if (!frames.isOut(pfn)) memory.fillPage(pfn, 0xff);
    expect([cursor.advance(), cursor.vpn, cursor.pfn]).toEqual([true, K + 2 ** 20, 0x55]);
    expect(cursor.advance()).toBe(false);
  });

  it('need not follow what leads nowhere: that is not lent', () => {
    const { frames, memory, owed } = makeSystem(x86Long4, { pages: 64 });
    // A guest whose kernel half points at itself.
    memory.write(BigInt(41 * 4096) + 2048n, 8, BigInt(40 * 4096) | 7n);
    memory.write(BigInt(40 * 4096), 8, BigInt(41 * 4096) | 7n);
    const owner = new PageTable({ format: x86Long4, memory, frames, root: 41 });
    const user = new PageTable({ format: x86Long4, memory, frames });
    const slot = { vpn: K, pages: 2 ** 27 };
    const error = errorOf(() => user.share(owner, slot, owed));
    expect(error.code).toBe('overlap');
    expect(error.details).toMatchObject({ address: addressFromVpn(K), entry: 0x2_9007n });
  });
});
