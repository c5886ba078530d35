import { FramePool, PhysicalMemory } from 'pagewright/memory';
import { Invalidations, PageTable } from 'pagewright/page-table';
import { nptLong4, type PteFormat, sv32, sv39, sv39x4, x86Legacy, x86Pae } from 'pagewright/pte';
import { describe, expect, it } from 'vitest';
import { errorOf } from '../core/errors.js';
import { entryAt, entryOf, makeSystem, RU, RWU, type System } from './system.js';

/** A guest's memory, with room for tables of ours from frame 32 on. */
function guestMemory() {
  const memory = PhysicalMemory.allocate(64 * 4096, { base: 0 });
  const frames = new FramePool({ first: 32, frames: 32 });
  return { memory, frames, owed: new Invalidations({ frames }) };
}

/** A pointer at a frame, as RISC-V and x86 have it. */
function pointer(format: PteFormat, pfn: number): bigint {
  const x86 = format.architecture === 'x86';
  return x86 ? (BigInt(pfn) << 12n) | (format === x86Pae ? 1n : 7n) : (BigInt(pfn) << 10n) | 1n;
}

describe('a root that points at itself', () => {
  it.each([sv32, sv39, sv39x4, x86Pae, nptLong4])(
    'is unsound in $name, whose roots are no pages, and left out of a copy',
    (format) => {
      const { frames, memory, owed } = guestMemory();
      const last = format.indexBits[format.levels - 1]! === 2 ? 3 : 300;
      const at = 0x4000 + last * format.entryBytes;
      memory.write(at, format.entryBytes === 8 ? 8 : 4, pointer(format, 4));
      const table = new PageTable({ format, memory, frames, root: 4 });
      expect(table.foreignRanges.map(({ kind }) => kind)).toEqual(['unsound']);
      const copyOnWrite = format !== nptLong4;
      const copy = table.clone({ copyOnWrite }, owed)!;
      expect([...copy.entries()]).toEqual([]);
      copy.checkInvariants();
      copy.destroy(owed);
      owed.complete();
      expect(frames.free).toBe(32);
    },
  );

  // JOS maps its page directory twice: UVPT for the user to read, VPT for itself (inc/memlayout.h, kern/pmap.c).
  it('keeps in a copy what the guest says of it', () => {
    const { frames, memory, owed } = guestMemory();
    memory.write(0x1000 + 4 * 0x3bd, 4, 0x1005n);
    memory.write(0x1000 + 4 * 0x3bf, 4, 0x1003n);
    const table = new PageTable({ format: x86Legacy, memory, frames, root: 1 });
    const copy = table.clone({}, owed)!;
    const system: System = { memory, frames, owed, table: copy };
    const root = BigInt(copy.root) << 12n;
    const words = [0x3bd, 0x3bf].map((index) => entryAt(system, copy.root, index));
    expect(words).toEqual([root | 5n, root | 3n]);
    expect(copy.foreignRanges.map(({ kind }) => kind)).toEqual(['recursive', 'recursive']);
    copy.checkInvariants();
  });
});

describe('a device', () => {
  it('holds no tables: what it refuses to store would be lost half-way', () => {
    const { frames, memory } = guestMemory();
    memory.addDevice({ base: 0x100_000, bytes: 4096, read: () => 0, write: () => -1 });
    memory.write(0x1000, 8, pointer(sv39, 2));
    memory.write(0x2000, 8, pointer(sv39, 3));
    memory.write(0x2008, 8, pointer(sv39, 0x100));
    const table = new PageTable({ format: sv39, memory, frames, root: 1 });
    expect(table.foreignRanges).toEqual([{ kind: 'unsound', vpn: 512, pages: 512, level: 1 }]);
    const root = (): unknown => new PageTable({ format: sv39, memory, frames, root: 0x100 });
    expect(errorOf(root).code).toBe('out-of-range');
  });
});

describe('destroy with release', () => {
  it('releases leaves beside entries that lead nowhere', () => {
    const { frames, memory, owed, table } = makeSystem(sv39);
    const data = frames.allocateFrame();
    table.map(0x10, data, table.flags({ prot: RWU }), owed);
    const { table: middle } = table.describe(0x10_000).path[1]!;
    memory.write(middle * 4096 + 8 * 9, 8, (0xfffffn << 10n) | 1n);
    const guest = new PageTable({
      format: sv39,
      memory,
      frames,
      root: table.root,
      releaseTables: true,
    });
    guest.destroy(owed, { release: true });
    owed.complete();
    expect(frames.free).toBe(255);
  });
});

describe('freeEmptyTables', () => {
  it('frees what a guest left empty, and nothing else', () => {
    const made = makeSystem(sv39);
    const { frames, memory, owed, table } = made;
    const flags = table.flags({ prot: RU });
    table.map(0x10, 5, flags, owed);
    table.map(0x400, 6, flags, owed);
    const { index, table: leaves } = table.describe(0x10_000).path.at(-1)!;
    memory.write(leaves * 4096 + 8 * index, 8, 0n);
    const guest = new PageTable({ format: sv39, memory, frames, root: table.root });
    expect(guest.freeEmptyTables({ vpn: 0, pages: 2 ** 18 }, owed)).toBe(1);
    expect(guest.statistics().tables).toEqual([1, 1, 1]);
    expect(entryOf({ ...made, table: guest }, 0x400)).toBe((6n << 10n) | 0x53n);
  });
});
