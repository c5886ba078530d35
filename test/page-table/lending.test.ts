import { Access } from 'pagewright/core';
import { PageTable } from 'pagewright/page-table';
import { aarch64, sv39, x86Long4 } from 'pagewright/pte';
import { X86Walker } from 'pagewright/walk';
import { describe, expect, it } from 'vitest';
import { errorOf } from '../core/errors.js';
import { makeSystem, RW, RWU, type System, stateOf } from './system.js';

const GIGABYTE = 2 ** 18;

/** A second address space over the same memory and frames. */
function beside({ frames, memory, table }: System, context = 1): PageTable {
  return new PageTable({ format: table.format, memory, frames, context });
}

describe('adopted pointers that withhold rights', () => {
  it('grant them all once they are lent, for afterwards they may not change', () => {
    const made = makeSystem(x86Long4);
    const { frames, memory, owed } = made;
    made.table.map(0x10, 5, made.table.flags({ prot: RW }), owed);
    const { root } = made.table;
    const { entry } = made.table.describe(0x10_000).path[0]!;
    memory.write(root * 4096, 8, entry.raw & ~4n); // not for the user
    const owner = new PageTable({ format: x86Long4, memory, frames, root });
    const borrower = beside(made);
    borrower.share(owner, { vpn: 0, pages: 2 ** 27 }, owed);
    owner.map(0x11, 6, owner.flags({ prot: RWU }), owed);
    for (const table of [owner, borrower]) {
      const walker = new X86Walker({ memory, cr3: table.root * 4096 });
      expect(walker.walk(0x11, Access.Write | Access.User)).toBe(6);
    }
    borrower.checkInvariants();
  });
});

describe('share while entries wait for an invalidation', () => {
  const format = aarch64({ granule: 4096, virtualBits: 39 });

  it.each(['owner', 'borrower'])('is refused, whosever they are: %s', (who) => {
    const owner = makeSystem(format);
    const borrower = { ...owner, table: beside(owner) };
    const { owed, table } = who === 'owner' ? owner : borrower;
    table.map(GIGABYTE, 0, table.flags({ prot: RWU }), owed, GIGABYTE);
    table.split(GIGABYTE, owed);
    const before = [stateOf(owner), stateOf(borrower)];
    const share = (): number =>
      borrower.table.share(owner.table, { vpn: 0, pages: GIGABYTE }, owed);
    expect(errorOf(share).code).toBe('overlap');
    expect([stateOf(owner), stateOf(borrower)]).toEqual(before);
    owed.complete();
    expect(share()).toBe(0);
  });
});

describe('a pointer on loan', () => {
  it('stays as it is, whatever the owner does', () => {
    const system = makeSystem(sv39, { pages: 1024 });
    const { memory, owed, table: owner } = system;
    const borrower = beside(system);
    const flags = owner.flags({ prot: RWU });
    owner.mapRange({ vpn: 0, pfn: 0, pages: GIGABYTE, flags, pageSize: 512 }, owed);
    borrower.share(owner, { vpn: 0, pages: GIGABYTE }, owed);
    const entries = () => [owner, borrower].map(({ root }) => memory.read(root * 4096, 8));
    const before = entries();
    expect(owner.collapse(0, GIGABYTE, owed)).toBe(-4);
    owner.unmapRange({ vpn: 0, pages: GIGABYTE }, owed);
    owner.freeEmptyTables({ vpn: 0, pages: GIGABYTE }, owed);
    expect(owner.clone({ context: 2 }, owed)).not.toBeNull();
    owed.complete();
    expect(entries()).toEqual(before);
    borrower.checkInvariants();
  });
});

describe('what is restored', () => {
  /** A kernel with a page, and an address space that has its first gigabyte. */
  function lent() {
    const system = makeSystem(sv39);
    const { owed, table: owner } = system;
    const borrower = beside(system);
    borrower.share(owner, { vpn: 0, pages: GIGABYTE }, owed);
    owner.map(0x10, 5, owner.flags({ prot: RWU }), owed);
    owed.complete();
    return { ...system, owner, borrower };
  }

  it('borrows again, also when hardware has marked one of the two pointers', () => {
    const { borrower, frames, memory, owed, owner } = lent();
    const format = x86Long4;
    const kernel = new PageTable({ format, memory, frames });
    const shell = new PageTable({ format, memory, frames });
    shell.share(kernel, { vpn: 0, pages: 2 ** 27 }, owed);
    kernel.map(0x10, 5, kernel.flags({ prot: RWU }), owed);
    const { raw } = shell.describe(0x10_000).path[0]!.entry;
    memory.write(shell.root * 4096, 8, raw & ~0x20n); // not accessed yet
    new X86Walker({ memory, cr3: kernel.root * 4096 }).walk(0x10, Access.Read | Access.User);
    const again = PageTable.restore(shell.snapshot(), { format, memory, frames, owners: [kernel] });
    expect(again.lookup(0x10)).toBe(5);
    const other = { format: sv39, memory, frames, owners: [owner] };
    expect(PageTable.restore(borrower.snapshot(), other).lookup(0x10)).toBe(5);
  });

  it('leaves no loans behind when nothing comes of it', () => {
    const { borrower, frames, memory, owed, owner } = lent();
    const snapshot = borrower.snapshot();
    borrower.unshare({ vpn: 0, pages: GIGABYTE }, owed);
    borrower.share(owner, { vpn: 0, pages: GIGABYTE }, owed);
    const damaged = {
      ...snapshot,
      tables: [...snapshot.tables, { pfn: 9, released: true, found: false }],
    };
    const options = { format: sv39, memory, frames, owners: [owner] };
    expect(errorOf(() => PageTable.restore(damaged, options)).code).toBe('bad-image');
    borrower.destroy(owed);
    owner.destroy(owed); // which nobody has tables of any more
    owed.complete();
    expect(frames.free).toBe(255);
  });
});
