import { Access, Prot, VmError } from 'pagewright/core';
import { FramePool, PhysicalMemory } from 'pagewright/memory';
import { Mmu, Smp } from 'pagewright/mmu';
import { Invalidations, PageTable } from 'pagewright/page-table';
import { x86Long4 } from 'pagewright/pte';
import { Tlb } from 'pagewright/tlb';
import { X86Walker } from 'pagewright/walk';
import { describe, expect, it } from 'vitest';

/** Four CPUs in one address space that all know pages 0x100 to 0x103. */
function machine() {
  const memory = PhysicalMemory.allocate(0x40000, { base: 0 });
  const frames = new FramePool({ first: 0, frames: 64 });
  const owed = new Invalidations({ frames });
  const table = new PageTable({ format: x86Long4, memory, frames });
  const flags = table.flags({ prot: Prot.Read | Prot.Write | Prot.User });
  table.mapRange({ vpn: 0x100, pfn: 0x50, pages: 4, flags }, owed);
  const cpus = Array.from({ length: 4 }, () => {
    const walker = new X86Walker({ memory, cr3: table.root * 4096 });
    return new Mmu({ walker, tlb: new Tlb({ entries: 16 }) });
  });
  const smp = new Smp({ cpus });
  const knows = (vpn: number): readonly number[] =>
    cpus.flatMap((mmu, cpu) => (mmu.tlb instanceof Tlb && mmu.tlb.peek(vpn) >= 0 ? [cpu] : []));
  for (const mmu of cpus) {
    for (let vpn = 0x100; vpn < 0x104; vpn++) mmu.translatePage(vpn, Access.Read);
  }
  return { cpus, frames, knows, memory, owed, smp, table };
}

describe('a shootdown', () => {
  it('drops the page from every CPU, and no other page', () => {
    const { knows, owed, smp, table } = machine();
    table.unmap(0x101, owed);
    expect(smp.shootdown(owed)).toBe(4);
    expect(knows(0x101)).toEqual([]);
    expect(knows(0x102)).toEqual([0, 1, 2, 3]);
    expect(smp.statistics()).toMatchObject({ shootdowns: 1, interrupts: 3, remoteFlushes: 3 });
    expect(smp.cycles({ interrupt: 1000, remoteFlush: 100, dropped: 1 })).toBe(3304);
  });

  it('reaches the CPUs of a mask alone', () => {
    const { knows, owed, smp, table } = machine();
    table.unmap(0x101, owed);
    smp.shootdown(owed, { from: 1, cpus: [1, 3] });
    expect(knows(0x101)).toEqual([0, 2]);
    expect(smp.statistics().interrupts).toBe(1);
  });

  it('gives frames back when the last CPU has flushed', () => {
    const { frames, owed, smp, table } = machine();
    const before = frames.free;
    table.unmapRange({ vpn: 0x100, pages: 4 }, owed);
    const sent = smp.post(owed);
    expect([...sent.waiting]).toEqual([1, 2, 3]);
    smp.quiesce(1);
    smp.quiesce(3);
    expect([sent.isComplete, frames.free]).toEqual([false, before]);
    smp.quiesce(2);
    expect(sent.isComplete).toBe(true);
    expect(frames.free).toBeGreaterThan(before);
  });

  it('costs one interrupt for each CPU, however many are posted', () => {
    const { frames, knows, owed, smp, table } = machine();
    const second = new Invalidations({ frames });
    table.unmap(0x101, owed);
    smp.post(owed);
    table.unmap(0x102, second);
    smp.post(second, { from: 1 });
    expect(knows(0x101)).toEqual([1, 2, 3]);
    expect(smp.pendingOf(2).map(({ id }) => id)).toEqual([0, 1]);
    expect(smp.send()).toBe(4);
    expect([...knows(0x101), ...knows(0x102)]).toEqual([]);
    expect(smp.statistics()).toMatchObject({ interrupts: 4, remoteFlushes: 6 });
  });

  it('is refused to end when its accumulator was added to meanwhile', () => {
    const { owed, smp, table } = machine();
    table.unmap(0x101, owed);
    smp.post(owed, { cpus: [0, 1] });
    table.unmap(0x103, owed);
    expect(() => smp.quiesce(1)).toThrow(VmError);
  });
});

describe('a lazy CPU', () => {
  it('is left in peace, and flushes what it missed when it goes on', () => {
    const { knows, owed, smp, table } = machine();
    smp.enterLazy(2);
    table.protect(0x101, Prot.Read, owed);
    smp.shootdown(owed);
    table.protect(0x102, Prot.Read, owed);
    smp.shootdown(owed);
    expect(knows(0x101)).toEqual([2]);
    expect(smp.isLazy(2)).toBe(true);
    expect(smp.leaveLazy(2)).toBe(2);
    expect([...knows(0x101), ...knows(0x102)]).toEqual([]);
    expect(smp.statistics()).toMatchObject({ interrupts: 4, lazySkips: 2, lateFlushes: 1 });
    expect(smp.leaveLazy(2)).toBe(0);
  });

  it('is interrupted all the same when tables go, for its caches may still walk them', () => {
    const { knows, owed, smp, table } = machine();
    smp.enterLazy(2);
    table.unmapRange({ vpn: 0x100, pages: 4 }, owed);
    smp.shootdown(owed);
    expect(knows(0x101)).toEqual([]);
  });
});

describe('CPUs', () => {
  it('share one memory and are there once', () => {
    const { cpus } = machine();
    expect(() => new Smp({ cpus: [] })).toThrow(VmError);
    expect(() => new Smp({ cpus: [cpus[0]!, cpus[0]!] })).toThrow(VmError);
    expect(() => new Smp({ cpus: [cpus[0]!, machine().cpus[0]!] })).toThrow(VmError);
  });

  it('are known by number', () => {
    const { owed, smp } = machine();
    expect(() => smp.shootdown(owed, { from: 4 })).toThrow(VmError);
    expect(() => smp.shootdown(owed, { cpus: [0.5] })).toThrow(VmError);
    expect(() => smp.quiesce(-1)).toThrow(VmError);
    smp.checkInvariants();
  });
});
