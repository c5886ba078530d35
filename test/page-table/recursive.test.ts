import { Access, addressFromVpn, Prot, pageAndOffset } from 'pagewright/core';
import { PageTable } from 'pagewright/page-table';
import {
  aarch64,
  CR4,
  eptLong4,
  mappingOf,
  nptLong4,
  type PteFormat,
  sv32,
  sv39,
  sv57,
  x86Legacy,
  x86Long4,
  x86Long5,
  x86Pae,
} from 'pagewright/pte';
import { AArch64Walker, type RadixWalker, X86Walker } from 'pagewright/walk';
import { describe, expect, it } from 'vitest';
import { errorOf, expectError } from '../core/errors.js';
import {
  entryAt,
  entryOf,
  firstPage,
  makeSystem,
  owedBy,
  RWU,
  type System,
  stateOf,
} from './system.js';

interface Machine {
  readonly format: PteFormat;
  /** The entry of the root that points at it. */
  readonly slot: number;
  readonly walker: (system: System) => RadixWalker;
}

const cr3 = ({ table }: System): number => table.root * 4096;
/** T0SZ and T1SZ 16 with the 4 KiB granule, 48 physical bits; AF by hardware. */
const TCR = 16n | (16n << 16n) | (2n << 30n) | (5n << 32n) | (1n << 39n);
/** The same with the 16 KiB granule and 47 bits. */
const TCR_16K = 17n | (2n << 14n) | (1n << 23n) | (5n << 32n) | (1n << 39n);

const MACHINES: readonly Machine[] = [
  {
    format: x86Legacy,
    slot: 1023,
    walker: (s) =>
      new X86Walker({ memory: s.memory, cr3: cr3(s), cr0: 0x8000_0001, cr4: CR4.PSE, efer: 0 }),
  },
  {
    format: x86Long4,
    slot: 511,
    walker: (s) => new X86Walker({ memory: s.memory, cr3: cr3(s) }),
  },
  {
    format: x86Long4,
    slot: 5,
    walker: (s) => new X86Walker({ memory: s.memory, cr3: cr3(s) }),
  },
  {
    format: x86Long5,
    slot: 256,
    walker: (s) =>
      new X86Walker({ memory: s.memory, cr3: cr3(s), cr4: CR4.PAE | CR4.LA57 | CR4.PGE }),
  },
  {
    format: aarch64(),
    slot: 511,
    walker: ({ memory, table }) =>
      new AArch64Walker({ memory, tcr: TCR, ttbr0: BigInt(table.root) << 12n }),
  },
  {
    format: aarch64({ half: 'high' }),
    slot: 500,
    walker: ({ memory, table }) =>
      new AArch64Walker({ memory, tcr: TCR, ttbr1: BigInt(table.root) << 12n }),
  },
  {
    format: aarch64({ granule: 16384, virtualBits: 47 }),
    slot: 2047,
    walker: ({ memory, table }) =>
      new AArch64Walker({ memory, tcr: TCR_16K, ttbr0: BigInt(table.root) << 14n }),
  },
];

describe.each(MACHINES)('a recursive entry $slot in $format.name', ({ format, slot, walker }) => {
  const start = firstPage(format);
  const withPage = (): System => {
    const system = makeSystem(format, { pages: 64 });
    const { owed, table } = system;
    table.map(start + 0x1234, 0x99, table.flags({ prot: RWU }), owed);
    table.mapRecursive(slot, owed);
    return system;
  };

  it('lets the walker find every entry on the way to a page', () => {
    const system = withPage();
    const { memory, table } = system;
    const { path } = table.describe(addressFromVpn(start + 0x1234, 0, format.pageShift));
    for (const { entry, index, table: frame } of path) {
      const va = table.recursiveAddress(slot, start + 0x1234, entry.level);
      const found = walker(system).translate(va, Access.Read);
      const at = addressFromVpn(frame, 0, format.pageShift) + BigInt(index * format.entryBytes);
      expect(found).toMatchObject({ kind: 'page', pa: at });
      expect(memory.read(at, format.entryBytes === 8 ? 8 : 4)).toMatchObject({
        value: entryAt(system, frame, index),
      });
    }
  });

  it('lets software map a page by a store into its own address space', () => {
    const system = withPage();
    const { memory, table } = system;
    const cpu = walker(system);
    const va = table.recursiveAddress(slot, start + 0x1235);
    const found = cpu.translate(va, Access.Write);
    if (found.kind !== 'page') throw new Error(found.kind);
    const { offset, vpn } = pageAndOffset(found.pa);
    const leaf = entryOf(system, start + 0x1234);
    const bytes = format.entryBytes === 8 ? 8 : 4;
    memory.write(addressFromVpn(vpn) + BigInt(offset), bytes, leaf);
    const there = addressFromVpn(start + 0x1235, 0, format.pageShift);
    expect(cpu.translate(there, Access.Read | Access.User)).toMatchObject({
      pa: addressFromVpn(0x99, 0, format.pageShift),
    });
  });

  it('is the supervisor’s alone, and nobody executes it', () => {
    const system = withPage();
    const va = system.table.recursiveAddress(slot, start + 0x1234);
    const kinds = [Access.Read | Access.User, Access.Write | Access.User, Access.Fetch].map(
      (access) => walker(system).translate(va, access).kind,
    );
    // Without a no-execute bit supervisors may fetch what they may read.
    const fetch = format === x86Legacy ? 'page' : 'fault';
    expect(kinds).toEqual(['fault', 'fault', fetch]);
  });

  it('makes tables pages of one address space', () => {
    const system = withPage();
    const bits = mappingOf(format);
    const { path } = system.table.describe(addressFromVpn(start + 0x1234, 0, format.pageShift));
    const root = entryAt(system, system.table.root, slot);
    for (const raw of [root, ...path.slice(0, -1).map(({ entry }) => entry.raw)]) {
      expect(bits.isGlobal(Number(raw & 0xffff_ffffn) | 0, Number(raw >> 32n) | 0)).toBe(false);
    }
  });

  it('is foreign: no operation goes there, and no cursor follows it', () => {
    const system = withPage();
    const { owed, table } = system;
    const { levelPages, levels } = format;
    const [range] = table.foreignRanges;
    const pages = levelPages[levels - 1]!;
    expect(range).toMatchObject({ kind: 'recursive', pages, level: levels - 1 });
    const { vpn } = range!;
    expect([...table.entries()]).toHaveLength(1);
    expect([...table.tablePages()]).toHaveLength(levels);
    const flags = table.flags({ prot: RWU });
    for (const operation of [
      () => table.map(vpn + 5, 1, flags, owed),
      () => table.unmap(vpn + 5, owed),
      () => table.unmapRange({ vpn, pages }, owed),
      () => table.protect(vpn + 5, Prot.Read, owed),
      () => table.mapRecursive(slot, owed),
    ]) {
      const error = errorOf(operation);
      expect(error.code).toBe('overlap');
      expect(error.message).toContain('recursive');
      expect(error.details).toMatchObject({
        address: addressFromVpn(vpn, 0, format.pageShift),
        entry: entryAt(system, table.root, slot),
      });
    }
    table.checkInvariants();
  });

  it('goes away, with what it owes', () => {
    const system = withPage();
    const { owed, table } = system;
    const [range] = table.foreignRanges;
    const owing = owedBy(system, () => table.unmapRecursive(slot, owed));
    expect(owing).toMatchObject([{ vpn: range!.vpn, pages: range!.pages, intermediate: true }]);
    expect(entryAt(system, table.root, slot)).toBe(0n);
    expect(table.foreignRanges).toEqual([]);
    expect(table.map(range!.vpn, 1, table.flags({ prot: RWU }), owed)).toBe(0);
    expectError(() => table.unmapRecursive(slot, owed), 'bad-argument', 'index');
    expectError(() => table.recursiveAddress(slot, start), 'bad-argument', 'index');
  });

  it('of a copy points at the copy', () => {
    const system = withPage();
    const { owed, table } = system;
    const copy = table.clone({}, owed)!;
    const there = { ...system, table: copy };
    const entry = entryAt(there, copy.root, slot);
    expect(entry).not.toBe(entryAt(system, table.root, slot));
    const va = copy.recursiveAddress(slot, start + 0x1234, format.levels - 1);
    const found = walker(there).translate(va, Access.Read);
    if (found.kind !== 'page') throw new Error(found.kind);
    expect(Number(found.pa >> BigInt(format.pageShift))).toBe(copy.root);
    copy.checkInvariants();
  });

  it('is found in tables that are adopted', () => {
    const { frames, memory, owed, table } = withPage();
    const adopted = new PageTable({ format, memory, frames, root: table.root });
    expect(adopted.foreignRanges).toEqual(table.foreignRanges);
    expect(adopted.recursiveAddress(slot, start + 5)).toBe(table.recursiveAddress(slot, start + 5));
    adopted.checkInvariants();
    adopted.unmapRecursive(slot, owed);
    expect(adopted.foreignRanges).toEqual([]);
  });

  it('is torn down with the rest, once', () => {
    const { frames, owed, table } = withPage();
    table.destroy(owed);
    owed.complete();
    expect(frames.free).toBe(frames.frames);
  });
});

describe('a recursive entry', () => {
  // A pointer that is read as a page at the last level must be a leaf there. RISC-V's is none; PAE's root is of another
  // size than the other tables; second stages have nobody who would read it so.
  it.each([sv32, sv39, sv57, x86Pae, eptLong4, nptLong4, aarch64({ stage: 2 })])(
    'does not work in $name',
    (format) => {
      const system = makeSystem(format);
      const before = stateOf(system);
      const { owed, table } = system;
      expectError(() => table.mapRecursive(3, owed), 'unsupported', 'format');
      expect(stateOf(system)).toEqual(before);
    },
  );

  it('does not work where the root is of another size', () => {
    const { owed, table } = makeSystem(aarch64({ virtualBits: 42 }));
    expectError(() => table.mapRecursive(3, owed), 'unsupported', 'format');
  });

  it('does not take the place of anything', () => {
    const system = makeSystem(x86Long4);
    const { owed, table } = system;
    table.map(0x1234, 1, table.flags({ prot: RWU }), owed);
    const before = stateOf(system);
    const error = errorOf(() => table.mapRecursive(0, owed));
    expect(error.code).toBe('overlap');
    expect(error.details).toMatchObject({ address: 0n, entry: entryAt(system, table.root, 0) });
    for (const index of [-1, 512, 1.5, Number.NaN]) {
      expect(errorOf(() => table.mapRecursive(index, owed)).details.argument).toBe('index');
    }
    expect(stateOf(system)).toEqual(before);
  });

  it('knows the addresses that there are', () => {
    const { owed, table } = makeSystem(x86Long4);
    table.mapRecursive(511, owed);
    expectError(() => table.recursiveAddress(511, 2 ** 40), 'out-of-range', 'vpn');
    expectError(() => table.recursiveAddress(511, 5, 4), 'out-of-range', 'level');
    expectError(() => table.recursiveAddress(511, 5, -1), 'out-of-range', 'level');
    // As everybody knows them, of entry 511: tables, directories ... and the root itself.
    expect([0, 1, 2, 3].map((level) => table.recursiveAddress(511, 0, level))).toEqual([
      0xffff_ff80_0000_0000n,
      0xffff_ffff_c000_0000n,
      0xffff_ffff_ffe0_0000n,
      0xffff_ffff_ffff_f000n,
    ]);
  });
});
