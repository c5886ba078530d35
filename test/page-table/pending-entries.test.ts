import { Access, Prot, type VmEvent } from 'pagewright/core';
import { Invalidations, NOT_MAPPED } from 'pagewright/page-table';
import { AArch64Walker } from 'pagewright/walk';
import { describe, expect, it } from 'vitest';
import { expectError } from '../core/errors.js';
import {
  FORMAT,
  flagsOf,
  kinds,
  steps,
  TCR,
  walkerOf,
  withBlock,
  withPages,
} from './aarch64-system.js';
import { entryAt, entryOf, makeSystem, RWU } from './system.js';

// AArch64: entries that were broken, until the invalidation is complete.

describe('operations on what waits to be made', () => {
  it('change what is to be made', () => {
    const system = withBlock();
    const { owed, table } = system;
    table.remap(0x200, 0x800, owed);
    const { index, table: frame } = steps(system, 'break')[0]!;
    const broken = entryAt(system, frame, index);
    table.protect(0x2ff, Prot.Read, owed);
    expect(table.remap(0x200, 0xa00, owed)).toBe(0x800);
    expect(table.testAndClearDirty(0x200, owed)).toBe(1);
    expect(steps(system, 'break')).toHaveLength(1);
    expect(entryAt(system, frame, index)).toBe(broken);
    expect(table.describe(0x20_0000n)).toMatchObject({ pa: 0xa0_0000n, prot: Prot.Read });
    owed.complete();
    expect(entryAt(system, frame, index)).toBe(table.describe(0x20_0000n).path.at(-1)!.entry.raw);
    expect(table.lookup(0x201)).toBe(0xa01);
    table.checkInvariants();
  });

  it('below a table that nothing points at yet change memory at once: no hardware reads it', () => {
    const system = withBlock();
    const { owed, table } = system;
    table.split(0x200, owed);
    expect(table.remap(0x233, 0x99, owed)).toBe(0x433);
    expect(table.collapse(0x240, 16, owed)).toBe(0);
    table.unmapRange({ vpn: 0x300, pages: 0x100 }, owed);
    expect(steps(system, 'break')).toHaveLength(1);
    expect(entryOf(system, 0x233) & 1n).toBe(1n);
    table.checkInvariants();
    owed.complete();
    table.checkInvariants();
    const walker = walkerOf(system);
    expect(walker.walk(0x233, Access.Read | Access.User)).toBe(0x99);
    expect(walker.walk(0x24f, Access.Read | Access.User)).toBe(0x44f);
    expect(walker.walk(0x300, Access.Read | Access.User)).toBeLessThan(0);
  });

  it('may put everything back: a block that was split and collapsed is made as it was', () => {
    const system = withBlock();
    const { frames, owed, table } = system;
    const { free } = frames;
    const whole = entryOf(system, 0x200, 1);
    table.split(0x200, owed);
    table.collapse(0x200, 512, owed);
    expect(steps(system, 'make').map(({ entry }) => entry)).toEqual([whole]);
    owed.complete();
    expect(entryOf(system, 0x200, 1)).toBe(whole);
    expect(frames.free).toBe(free);
    table.checkInvariants();
  });

  it('unmap it: then nothing is made', () => {
    const system = withBlock();
    const { owed, table } = system;
    table.remap(0x200, 0x800, owed);
    expect(table.unmap(0x345, owed)).toBe(0x945);
    expect(table.lookup(0x200)).toBe(NOT_MAPPED);
    expect(steps(system, 'make').map(({ entry }) => entry)).toEqual([0n]);
    table.checkInvariants();
    owed.complete();
    expect(entryOf(system, 0x200, 1)).toBe(0n);
    table.checkInvariants();
  });

  it('map there again, once it was unmapped', () => {
    const system = withBlock();
    const { owed, table } = system;
    table.remap(0x200, 0x800, owed);
    table.unmap(0x200, owed);
    expect(table.map(0x211, 0x55, flagsOf(system), owed)).toBe(0);
    expect(walkerOf(system).walk(0x211, Access.Read | Access.User)).toBeLessThan(0);
    expect(table.lookup(0x211)).toBe(0x55);
    table.checkInvariants();
    owed.complete();
    expect(walkerOf(system).walk(0x211, Access.Read | Access.User)).toBe(0x55);
    table.checkInvariants();
  });

  it('give up the table of an entry that waits', () => {
    const system = withPages();
    const { frames, owed, table } = system;
    table.remap(0x280, 0x99, owed);
    table.unmapRange({ vpn: 0x200, pages: 512 }, owed);
    expect([...table.entries()]).toEqual([]);
    table.checkInvariants();
    owed.complete();
    expect(frames.free).toBe(254);
    table.checkInvariants();
  });

  it('destroy the page table: its frames are not written any more', () => {
    const system = withPages();
    const { frames, memory, owed, table } = system;
    table.remap(0x280, 0x99, owed);
    const { index, table: frame } = steps(system, 'break')[0]!;
    table.destroy(owed);
    expect(steps(system, 'make')).toEqual([]);
    memory.fillPage(frame, 0xab);
    owed.complete();
    expect(memory.read((BigInt(frame) << 12n) + BigInt(8 * index), 8)).toMatchObject({
      value: 0xabab_abab_abab_ababn,
    });
    expect(frames.free).toBe(255);
  });

  it('copy it: the copy has it made', () => {
    const system = withBlock();
    const { owed, table } = system;
    table.remap(0x200, 0x800, owed);
    const copy = table.clone({ copyOnWrite: false }, owed)!;
    const walker = walkerOf({ ...system, table: copy });
    expect(walker.walk(0x201, Access.Read | Access.User)).toBe(0x801);
    expect(walkerOf(system).walk(0x201, Access.Read | Access.User)).toBeLessThan(0);
    copy.checkInvariants();
  });

  it('do not save it: a snapshot is refused until everything is made', () => {
    const system = withBlock();
    const { owed, table } = system;
    table.split(0x200, owed);
    expectError(() => table.snapshot(), 'unsupported', 'this');
    owed.complete();
    expect(table.snapshot().tables).toHaveLength(5);
  });
});

describe('several accumulators', () => {
  it('make what was broken with them, and nothing else', () => {
    const system = withBlock();
    const { frames, owed, table } = system;
    table.map(0x600, 0x600, flagsOf(system), owed, 512);
    owed.complete();
    const other = new Invalidations({ frames });
    table.split(0x200, owed);
    table.split(0x600, other);
    const walker = walkerOf(system);
    const walk = (vpn: number): number => walker.walk(vpn, Access.Read | Access.User);
    expect([owed, other].map((one) => one.steps().map(({ kind }) => kind))).toEqual([
      ['break', 'invalidate', 'make'],
      ['break', 'invalidate', 'make'],
    ]);
    owed.complete();
    expect(walk(0x233)).toBe(0x433);
    expect(walk(0x633)).toBeLessThan(0);
    expect(table.lookup(0x633)).toBe(0x633);
    expect(other.isEmpty).toBe(false);
    table.checkInvariants();
    other.complete();
    expect(walk(0x633)).toBe(0x633);
    table.checkInvariants();
  });

  it('let an entry be made with the one that it was broken with, whoever changed it since', () => {
    const system = withBlock();
    const { frames, owed, table } = system;
    const other = new Invalidations({ frames });
    table.remap(0x200, 0x800, owed);
    table.protect(0x200, Prot.Read, other);
    other.complete();
    const walker = walkerOf(system);
    expect(walker.walk(0x200, Access.Read)).toBeLessThan(0);
    owed.complete();
    expect(walker.walk(0x200, Access.Read)).toBe(0x800);
  });

  it('serve several page tables', () => {
    const system = withBlock();
    const { frames, memory, owed, table } = system;
    const second = makeSystem(FORMAT, { memory, frames });
    second.table.map(0x200, 0x600, flagsOf(second), owed, 512);
    table.remap(0x200, 0x800, owed);
    second.table.split(0x200, owed);
    expect(kinds(system)).toEqual(['break', 'break', 'invalidate', 'invalidate', 'make', 'make']);
    owed.complete();
    expect(walkerOf(system).walk(0x201, Access.Read | Access.User)).toBe(0x801);
    expect(walkerOf({ ...system, table: second.table }).walk(0x201, Access.Read)).toBe(0x601);
  });
});

describe('making entries', () => {
  it('leaves alone what somebody else wrote there meanwhile', () => {
    const system = withBlock();
    const { memory, owed, table } = system;
    table.remap(0x200, 0x800, owed);
    const { index, table: frame } = steps(system, 'break')[0]!;
    memory.write((BigInt(frame) << 12n) + BigInt(8 * index), 8, 0x1234_5678n);
    owed.complete();
    expect(entryAt(system, frame, index)).toBe(0x1234_5678n);
  });

  it('tells the observer what memory saw, in the order of the steps', () => {
    const events: VmEvent[] = [];
    const system = withPages({ observer: (event) => events.push(event) });
    const { owed, table } = system;
    table.map(0x600, 0x600, flagsOf(system), owed, 512);
    events.length = 0;
    table.split(0x600, owed);
    table.remap(0x280, 0x99, owed);
    const made = steps(system, 'make').map(({ index, table: pfn }) => [pfn, index]);
    events.length = 0;
    owed.complete();
    const seen = events.map((event) =>
      event.type === 'entry-change' ? [event.tablePfn, event.index] : [],
    );
    expect(seen).toEqual(made);
    expect(seen).toHaveLength(2);
  });

  it('is over when all that waited was given up: single pages are quick again', () => {
    const system = withPages();
    const { memory, owed, table } = system;
    table.remap(0x280, 0x99, owed);
    table.unmapRange({ vpn: 0x200, pages: 512 }, owed);
    owed.complete();
    table.map(0x200, 0x400, flagsOf(system), owed);
    let reads = 0;
    const { readWords } = memory;
    memory.readWords = (pfn, offset) => {
      reads++;
      return readWords.call(memory, pfn, offset);
    };
    table.map(0x201, 0x401, flagsOf(system), owed);
    expect(table.lookup(0x201)).toBe(0x401);
    expect(reads).toBe(0);
  });
});

describe('hardware that keeps dirty state', () => {
  it('loses no bit that it set before the entry was broken', () => {
    const system = makeSystem(FORMAT);
    const { owed, table } = system;
    const flags = table.flags({ prot: RWU, accessed: false, dirty: false });
    table.map(0x200, 0x400, flags, owed, 512);
    const walker = new AArch64Walker({
      memory: system.memory,
      tcr: TCR | (1n << 40n),
      ttbr0: BigInt(table.root) << 12n,
      mair: 0xffn,
    });
    expect(walker.walk(0x2aa, Access.Write | Access.User)).toBe(0x4aa);
    table.split(0x200, owed);
    owed.complete();
    expect([table.testAccessed(0x200), table.testDirty(0x3ff)]).toEqual([1, 1]);
  });
});
