import { Access, type VmEvent } from 'pagewright/core';
import { PhysicalMemory } from 'pagewright/memory';
import { sv39, x86Long4, x86Pae } from 'pagewright/pte';
import { RiscvWalker, X86Walker } from 'pagewright/walk';
import { describe, expect, it, vi } from 'vitest';
import { expectError } from '../core/errors.js';
import { mapped, Tables } from './build-tables.js';

const ram = (): PhysicalMemory => PhysicalMemory.allocate(0x1_0000, { base: 0 });
const SV39 = 8n << 60n;

describe('an observer', () => {
  it('receives the walk in order, with step numbers that go on', () => {
    const tables = mapped(sv39, 0x42, { R: 1, W: 1 });
    const seen: VmEvent[] = [];
    const walker = new RiscvWalker({
      memory: tables.memory,
      satp: SV39 | 1n,
      adue: true,
      observer: (event) => seen.push(event),
    });
    expect(walker.walk(5, Access.Write)).toBe(0x42);
    const leaf = Number(tables.read(tables.entryOf(0x5000n, 0)));
    expect(seen).toEqual([
      { type: 'walk-begin', step: 0, vpn: 5, access: Access.Write },
      { type: 'entry-read', step: 1, level: 2, tablePfn: 1, index: 0, low: 0x801, high: 0 },
      { type: 'entry-read', step: 2, level: 1, tablePfn: 2, index: 0, low: 0xc01, high: 0 },
      { type: 'entry-read', step: 3, level: 0, tablePfn: 3, index: 5, low: leaf & ~0xc0, high: 0 },
      { type: 'entry-write', step: 4, level: 0, tablePfn: 3, index: 5, low: leaf, high: 0 },
      { type: 'walk-end', step: 5, result: 0x42, rule: 'riscv.translated' },
    ]);
    expect(leaf & 0xc0).toBe(0xc0);
    seen.length = 0;
    expect(walker.probe(0x200, Access.Read)).toBeLessThan(0);
    expect(seen.map((event) => [event.type, event.step])).toEqual([
      ['walk-begin', 6],
      ['entry-read', 7],
      ['entry-read', 8],
      ['walk-end', 9],
    ]);
    expect(seen.at(-1)).toMatchObject({ result: -1, rule: 'riscv.invalid' });
  });

  it('sees writes after reads, from the root down', () => {
    const tables = mapped(x86Long4, 0x42, { RW: 1 });
    for (const level of [1, 2, 3]) {
      const address = tables.entryOf(0x5000n, level);
      tables.write(address, tables.read(address) & ~0x20n);
    }
    const seen: string[] = [];
    const walker = new X86Walker({
      memory: tables.memory,
      cr3: 0x1000,
      observer: (event) =>
        seen.push('level' in event ? `${event.type} ${event.level}` : event.type),
    });
    walker.walk(5, Access.Read);
    const levels = [3, 2, 1, 0];
    expect(seen).toEqual([
      'walk-begin',
      ...levels.map((level) => `entry-read ${level}`),
      ...levels.map((level) => `entry-write ${level}`),
      'walk-end',
    ]);
  });

  it('hears of no write from a probe, which makes none', () => {
    const tables = mapped(sv39, 0x42, { R: 1, W: 1 });
    const seen: string[] = [];
    const walker = new RiscvWalker({
      memory: tables.memory,
      satp: SV39 | 1n,
      adue: true,
      observer: (event) => seen.push(event.type),
    });
    const entry = tables.entryOf(0x5000n, 0);
    const before = tables.read(entry);
    expect(walker.probe(5, Access.Write)).toBe(0x42);
    walker.explain(0x5000n, Access.Write);
    expect(tables.read(entry)).toBe(before);
    expect(seen.filter((type) => type === 'entry-write')).toEqual([]);
    walker.explain(0x5000n, Access.Write, { update: true });
    expect(seen.filter((type) => type === 'entry-write')).toHaveLength(1);
  });

  it('may not ask the walker that it watches, and may throw', () => {
    const tables = mapped(sv39, 0x42, { R: 1, A: 1 });
    const walker = new RiscvWalker({ memory: tables.memory, satp: SV39 | 1n });
    walker.observer = () => walker.probe(5, Access.Read);
    expectError(() => walker.walk(5, Access.Read), 'bad-argument', 'observer');
    walker.observer = () => {
      throw new Error('stop');
    };
    expect(() => walker.walk(5, Access.Read)).toThrow('stop');
    walker.observer = () => undefined;
    expect(walker.walk(5, Access.Read)).toBe(0x42);
  });

  it('sees a PAE register as a table in frame -1', () => {
    const tables = mapped(x86Pae, 0x42, { RW: 1, A: 1 });
    const seen: VmEvent[] = [];
    const walker = new X86Walker({
      memory: tables.memory,
      cr0: 0x8001_0001,
      cr3: 0x1000,
      cr4: 0x20,
      efer: 0,
      observer: (event) => seen.push(event),
    });
    walker.walk(5, Access.Read);
    expect(seen[1]).toMatchObject({ type: 'entry-read', level: 2, tablePfn: -1, index: 0 });
    expect(seen).toHaveLength(5);
  });

  it('sees no entry where nothing is translated', () => {
    const seen: string[] = [];
    const walker = new RiscvWalker({ memory: ram(), observer: (event) => seen.push(event.type) });
    expect(walker.walk(5, Access.Read)).toBe(5);
    expect(seen).toEqual(['walk-begin', 'walk-end']);
  });

  it('counts from 0 again when it is set anew', () => {
    const steps: number[] = [];
    const walker = new RiscvWalker({ memory: ram() });
    const observer = (event: VmEvent): number => steps.push(event.step);
    walker.observer = observer;
    expect(walker.observer).toBe(observer);
    walker.walk(5, Access.Read);
    walker.observer = observer;
    walker.walk(5, Access.Read);
    expect(steps).toEqual([0, 1, 0, 1]);
  });

  it('is a function or null', () => {
    const walker = new RiscvWalker({ memory: ram() });
    expectError(() => Reflect.set(walker, 'observer', 'x'), 'bad-argument', 'observer');
    expect(walker.observer).toBeNull();
  });

  it.each(['riscv', 'x86'])('leaves the fast path as it was when it is removed (%s)', (kind) => {
    const format = kind === 'x86' ? x86Long4 : sv39;
    const tables = new Tables(ram(), format, 1);
    tables.map(0x5000n, 0x42);
    const { memory } = tables;
    const walker =
      kind === 'x86'
        ? new X86Walker({ memory, cr3: 0x1000 })
        : new RiscvWalker({ memory, satp: SV39 | 1n });
    // The fast path reads words of RAM, the complete form asks the memory.
    const reads = vi.spyOn(memory, 'readWords');
    const access = Access.Read | Access.User;
    expect(walker.walk(5, access)).toBe(0x42);
    expect(reads).toHaveBeenCalledTimes(0);
    const seen: string[] = [];
    walker.observer = (event) => seen.push(event.type);
    expect(walker.walk(5, access)).toBe(0x42);
    expect(reads).toHaveBeenCalledTimes(format.levels);
    expect(seen).toHaveLength(format.levels + 2);
    walker.observer = null;
    expect(walker.walk(5, access)).toBe(0x42);
    expect(reads).toHaveBeenCalledTimes(format.levels);
    expect(seen).toHaveLength(format.levels + 2);
  });
});
