import { Access } from 'pagewright/core';
import { PhysicalMemory } from 'pagewright/memory';
import { sv32, sv39, x86Legacy } from 'pagewright/pte';
import { mappings, mergedMappings, RiscvWalker, X86Walker } from 'pagewright/walk';
import { describe, expect, test } from 'vitest';

const memory = (): PhysicalMemory => PhysicalMemory.allocate(0x4000, { base: 0 });
const leaf = { R: 1, W: 1, U: 1, A: 1, D: 1 };

describe('global mappings', () => {
  test('RISC-V: a pointer with G makes everything below it global, by every way to ask', () => {
    const ram = memory();
    ram.write(0x1000, 8, sv39.build({ kind: 'pointer', level: 2, pfn: 2, fields: { G: 1 } }));
    ram.write(0x1008, 8, sv39.build({ kind: 'pointer', level: 2, pfn: 2 }));
    ram.write(0x2000, 8, sv39.build({ kind: 'leaf', level: 1, pfn: 0x80000, fields: leaf }));
    const walker = new RiscvWalker({ memory: ram, satp: (8n << 60n) | 1n });
    const access = Access.Read | Access.User;
    expect(walker.translate(0x1000, access)).toMatchObject({ global: true });
    expect(walker.translate(0x4000_1000, access)).toMatchObject({ global: false });
    expect(walker.explain(0x1000, access).outcome).toMatchObject({ global: true });
    expect([...mappings(walker)].map((mapping) => mapping.global)).toEqual([true, false]);
    expect(mergedMappings(walker).ranges.map((range) => range.global)).toEqual([true, false]);
  });

  test('Sv32: the same on its own fast path', () => {
    const ram = memory();
    ram.write(0x1000, 4, sv32.build({ kind: 'pointer', level: 1, pfn: 2, fields: { G: 1 } }));
    ram.write(0x2000, 4, sv32.build({ kind: 'leaf', pfn: 0x80000, fields: leaf }));
    const walker = new RiscvWalker({ memory: ram, xlen: 32, satp: (1n << 31n) | 1n });
    expect(walker.translate(0, Access.Read | Access.User)).toMatchObject({ global: true });
  });

  test('x86: the leaf alone says, and CR4.PGE must be set', () => {
    const ram = memory();
    ram.write(0x1000, 4, x86Legacy.build({ kind: 'pointer', level: 1, pfn: 2 }) | 0x100n);
    ram.write(0x2000, 4, x86Legacy.build({ kind: 'leaf', pfn: 0x80 }));
    ram.write(0x2004, 4, x86Legacy.build({ kind: 'leaf', pfn: 0x80, fields: { G: 1 } }));
    const walker = new X86Walker({
      memory: ram,
      cr0: 0x8001_0001,
      cr3: 0x1000,
      cr4: 0x80,
      efer: 0,
    });
    expect([...mappings(walker)].map((mapping) => mapping.global)).toEqual([false, true]);
    walker.writeCr4(0);
    expect([...mappings(walker)].map((mapping) => mapping.global)).toEqual([false, false]);
  });
});
