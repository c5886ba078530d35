import { Access } from 'pagewright/core';
import { PhysicalMemory } from 'pagewright/memory';
import { X86Walker } from 'pagewright/walk';
import { describe, expect, it } from 'vitest';

describe('the fast path of the x86 walk', () => {
  it('does not take an address bit above MAXPHYADDR for the place of its RAM', () => {
    // RAM at 2^43, which a CPU with 40 address bits cannot name; PDPTEs from a dump point there all the same.
    const base = 2n ** 43n;
    const memory = PhysicalMemory.allocate(0x2000, { base });
    const walker = new X86Walker({
      memory,
      cr4: 0x20,
      efer: 0x800,
      maxPhyAddr: 40,
      pdptes: [base | 1n, 0n, 0n, 0n],
    });
    memory.write(base, 8, (base + 0x1000n) | 0x67n);
    memory.write(base + 0x1000n, 8, 0x5067n);
    expect(walker.walk(0, Access.Read)).toBeLessThan(0);
    expect(walker.fault.reason).toBe('reserved-bits');
    memory.write(base, 8, 0xa0_00e7n);
    expect(walker.walk(3, Access.Read)).toBe(0xa03);
  });

  it('answers after a garbage table led it out of its RAM, below and above', () => {
    const memory = PhysicalMemory.allocate(0x5000, { base: 0x10_0000 });
    const walker = new X86Walker({ memory, cr3: 0x10_0000, maxPhyAddr: 40 });
    for (const [pointer, reason] of [
      [0x1067n, 'bus-error'],
      [0xff_ffff_f067n, 'bus-error'],
      [0x10_1067n, 'not-present'],
    ] as const) {
      memory.write(0x10_0000, 8, pointer);
      expect(walker.walk(0, Access.Read)).toBeLessThan(0);
      expect(walker.fault.reason).toBe(reason);
    }
  });

  it('lets nothing through for a pointer that lacks P, however good the rest is', () => {
    const memory = PhysicalMemory.allocate(0x4000, { base: 0 });
    const walker = new X86Walker({ memory, cr3: 0 });
    const entries = [0x1067n, 0x2067n, 0x3067n, 0x7067n];
    const write = (): void => {
      for (const [n, entry] of entries.entries()) memory.write(n * 0x1000, 8, entry);
    };
    write();
    expect(walker.walk(0, Access.Write | Access.User)).toBe(7);
    for (const [n, entry] of entries.entries()) {
      write();
      memory.write(n * 0x1000, 8, entry & ~1n);
      expect(walker.walk(0, Access.Write | Access.User)).toBeLessThan(0);
      expect(walker.fault.errorCode).toBe(6);
    }
  });
});
