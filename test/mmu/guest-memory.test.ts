import { Access, Prot, VmError } from 'pagewright/core';
import { FramePool, PhysicalMemory } from 'pagewright/memory';
import { Mmu } from 'pagewright/mmu';
import { Invalidations, PageTable } from 'pagewright/page-table';
import { sv39, x86Legacy } from 'pagewright/pte';
import { Tlb } from 'pagewright/tlb';
import { RiscvWalker, X86Walker } from 'pagewright/walk';
import { describe, expect, it } from 'vitest';

/** A hart with two pages at 0x10000 whose frames do not follow one another, a read-only one, a hole, and a device. */
function hart() {
  const memory = PhysicalMemory.allocate(0x40000, { base: 0 });
  const device: [string, number, number][] = [];
  memory.addDevice({
    base: 0x1000_0000,
    bytes: 4096,
    read: (offset, width) => {
      device.push(['read', offset, width]);
      return 0x55;
    },
    write: (offset, width) => {
      device.push(['write', offset, width]);
      return 0;
    },
  });
  const frames = new FramePool({ first: 0x20, frames: 0x20 });
  const owed = new Invalidations({ frames });
  const table = new PageTable({ format: sv39, memory, frames });
  const writable = table.flags({ prot: Prot.Read | Prot.Write | Prot.Execute, dirty: false });
  table.map(0x10, 5, writable, owed);
  table.map(0x11, 2, writable, owed);
  table.map(0x12, 7, table.flags({ prot: Prot.Read }), owed);
  table.map(0x14, 0x10000, writable, owed);
  table.map(0x15, 0x999, writable, owed);
  owed.complete();
  const satp = (8n << 60n) | BigInt(table.root);
  const walker = new RiscvWalker({ memory, satp, adue: true });
  const mmu = new Mmu({ walker, tlb: new Tlb({ entries: 8, ways: 2 }) });
  return { device, memory, mmu, owed, table };
}

describe('loads, stores and fetches of guest memory', () => {
  it('store and load every size at every place of a page and across it', () => {
    const { mmu } = hart();
    for (let bytes = 1; bytes <= 8; bytes++) {
      for (const va of [0x10000, 0x10003, 0x10ff9, 0x10ffc, 0x10fff]) {
        const value = BigInt.asUintN(8 * bytes, 0xfedc_ba98_7654_3210n);
        expect(mmu.write(va, bytes, value)).toMatchObject({ kind: 'ok' });
        expect(mmu.read(va, bytes)).toMatchObject({ kind: 'value', value });
        expect(mmu.fetch(va, bytes)).toMatchObject({ kind: 'value', value });
      }
    }
  });

  it('put the parts of what crosses a page into both frames', () => {
    const { memory, mmu } = hart();
    mmu.write(0x10ffe, 4, 0x4433_2211);
    expect(memory.read(0x5ffe, 2)).toMatchObject({ value: 0x2211n });
    expect(memory.read(0x2000, 2)).toMatchObject({ value: 0x4433n });
  });

  it('write nothing when the second page refuses, and name its first byte', () => {
    const { memory, mmu } = hart();
    const refused = mmu.write(0x11ffc, 8, 0xffff_ffff_ffff_ffffn);
    expect(refused).toMatchObject({ kind: 'fault', va: 0x12000n, reason: 'not-writable' });
    expect(refused).toMatchObject({ riscv: { cause: 15, tval: 0x12000n } });
    expect(memory.read(0x2ffc, 4)).toMatchObject({ value: 0n });
  });

  it('name the byte itself when the first page refuses', () => {
    const { mmu } = hart();
    expect(mmu.write(0x12ffe, 4, 1)).toMatchObject({ kind: 'fault', va: 0x12ffen });
    expect(mmu.read(0x13801, 1)).toMatchObject({ kind: 'fault', va: 0x13801n });
  });

  it('report the second half of an instruction that crosses into a page that refuses', () => {
    const { mmu, owed, table } = hart();
    table.unmap(0x11, owed);
    mmu.invalidate(owed);
    expect(mmu.fetch(0x10ffe, 4)).toMatchObject({ va: 0x11000n, riscv: { cause: 12 } });
    expect(mmu.fetch(0x10ffe, 2)).toMatchObject({ kind: 'value' });
  });

  it('reach devices in one access of their width', () => {
    const { device, mmu } = hart();
    expect(mmu.read(0x14010, 4)).toMatchObject({ kind: 'value', value: 0x55n });
    mmu.write(0x14020, 8, 7n);
    expect(device).toEqual([
      ['read', 0x10, 4],
      ['write', 0x20, 8],
    ]);
  });

  it('tell of addresses without memory, and write nothing before them', () => {
    const { memory, mmu, owed, table } = hart();
    table.remap(0x11, 0x999, owed);
    mmu.invalidate(owed);
    const lost = { kind: 'bus-error', va: 0x11000n, pfn: 0x999, offset: 0 };
    expect(mmu.write(0x10ffe, 4, 0xffff_ffff)).toMatchObject(lost);
    expect(memory.read(0x5ffe, 2)).toMatchObject({ value: 0n });
    expect(mmu.read(0x15008, 8)).toMatchObject({ kind: 'bus-error', va: 0x15008n, offset: 8 });
  });

  it('copy blocks over many pages, and check all of them before a byte is written', () => {
    const { mmu } = hart();
    const block = Uint8Array.from({ length: 5000 }, (_, i) => i & 0xff);
    expect(mmu.writeBlock(0x10100, block)).toMatchObject({ kind: 'ok' });
    const back = new Uint8Array(5000);
    expect(mmu.readBlock(0x10100, back)).toMatchObject({ kind: 'ok' });
    expect(back).toEqual(block);
    expect(mmu.writeBlock(0x11ff0, new Uint8Array(32))).toMatchObject({ va: 0x12000n });
    expect(mmu.readBlock(0x11ff0, new Uint8Array(16))).toMatchObject({ kind: 'ok' });
  });

  it('go on at the beginning of the address space after its end', () => {
    const memory = PhysicalMemory.allocate(0x20000, { base: 0 });
    const frames = new FramePool({ first: 0x10, frames: 0x10 });
    const owed = new Invalidations({ frames });
    const table = new PageTable({ format: x86Legacy, memory, frames });
    const flags = table.flags({ prot: Prot.Read | Prot.Write });
    table.map(0xfffff, 1, flags, owed);
    table.map(0, 2, flags, owed);
    const registers = { memory, cr3: table.root * 4096, cr4: 0, efer: 0 };
    const walker = new X86Walker(registers);
    const mmu = new Mmu({ walker, tlb: new Tlb({ entries: 4 }) });
    mmu.write(0xffff_fffe, 4, 0x4433_2211);
    expect(memory.read(0x2000, 2)).toMatchObject({ value: 0x4433n });
  });

  it('refuse sizes, values and accesses that are none', () => {
    const { mmu } = hart();
    expect(() => mmu.read(0x10000, 9)).toThrow(VmError);
    expect(() => mmu.write(0x10000, 1, 256)).toThrow(VmError);
    expect(() => mmu.read(0x10000, 1, Access.Write)).toThrow(VmError);
    expect(() => mmu.fetch(0x10000, 1, Access.Write)).toThrow(VmError);
    expect(() => mmu.read(-1, 1)).toThrow(VmError);
  });
});
