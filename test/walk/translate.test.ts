import { Access } from 'pagewright/core';
import { PhysicalMemory } from 'pagewright/memory';
import { sv32, sv39, sv48, sv57, x86Legacy, x86Long4, x86Long5 } from 'pagewright/pte';
import { RISCV_RULES, RiscvWalker, WalkFault, X86Walker } from 'pagewright/walk';
import { describe, expect, it, test } from 'vitest';
import { mapped, Tables } from './build-tables.js';

const ram = (): PhysicalMemory => PhysicalMemory.allocate(0x1_0000, { base: 0 });
const SV39 = 8n << 60n;

describe('translate', () => {
  it('answers with the page, its rights and attributes on x86', () => {
    const tables = mapped(x86Long4, 0x42, { RW: 1, PAT: 1, PCD: 1, PWT: 1, G: 1, PK: 9, XD: 1 });
    const registers = { cr3: 0x1000, cr4: 0x40_00a0 };
    const walker = new X86Walker({ memory: tables.memory, ...registers });
    const page = walker.translate(0x5678n, Access.Write);
    expect({ ...page }).toEqual({
      kind: 'page',
      va: 0x5678n,
      pa: 0x42678n,
      pfn: 0x42,
      level: 0,
      prot: 3,
      pageBytes: 4096,
      global: true,
      x86: { patIndex: 7, protectionKey: 9 },
    });
    // From the fast path too, keys being off.
    walker.writeCr4(0x20);
    expect(walker.translate(0x5678n, Access.Write)).toMatchObject({
      prot: 3,
      global: false,
      x86: { patIndex: 7, protectionKey: 0 },
    });
    expect(tables.read(tables.entryOf(0x5000n, 0)) & 0x60n).toBe(0x60n);
  });

  it('tells the rights of the page asked for, however it was found', () => {
    const tables = mapped(x86Long4, 0x42, { RW: 1, US: 1, A: 1 });
    tables.map(0x6000n, 0x43, 0, { XD: 1 });
    const walker = new X86Walker({ memory: tables.memory, cr3: 0x1000 });
    for (let round = 0; round < 2; round++) {
      expect(walker.translate(0x5000n, Access.Read)).toMatchObject({ pfn: 0x42, prot: 15 });
      expect(walker.leafProt).toBe(15);
      expect(walker.translate(0x6000n, Access.Read)).toMatchObject({ pfn: 0x43, prot: 1 });
      expect(walker.leafProt).toBe(1);
    }
  });

  it('knows the PAT bit of a large page', () => {
    const tables = new Tables(ram(), x86Long5, 1);
    tables.map(0x4000_0000n, 2 ** 18, 2, { PAT: 1, PWT: 1 });
    const registers = { cr3: 0x1000, cr4: 0x1020 };
    const walker = new X86Walker({ memory: tables.memory, ...registers });
    expect(walker.translate(0x4567_89abn, Access.Read)).toMatchObject({
      pa: 0x4567_89abn,
      level: 2,
      pageBytes: 2 ** 30,
      x86: { patIndex: 5 },
    });
  });

  test.each([
    [sv32, (1n << 31n) | 1n, 32],
    [sv39, (8n << 60n) | 1n, 64],
    [sv48, (9n << 60n) | 1n, 64],
    [sv57, (10n << 60n) | 1n, 64],
  ] as const)(
    'answers with the page, its rights and attributes on RISC-V: %#',
    (format, satp, xlen) => {
      const wide = format !== sv32;
      const extra = wide ? { N: 1, PBMT: 2 } : {};
      const tables = mapped(format, 0x40, { R: 1, X: 1, U: 1, G: 1, A: 1, ...extra });
      const walker = new RiscvWalker({ memory: tables.memory, xlen, satp, pbmte: true });
      expect({ ...walker.translate(0x5678n, Access.Fetch | Access.User) }).toEqual({
        kind: 'page',
        va: 0x5678n,
        pa: wide ? 0x45678n : 0x40678n,
        pfn: wide ? 0x45 : 0x40,
        level: 0,
        prot: 13,
        pageBytes: wide ? 0x10000 : 0x1000,
        global: true,
        riscv: { pbmt: wide ? 2 : 0, napot: wide },
      });
    },
  );

  it('answers with the fault in the encoding of x86', () => {
    const tables = mapped(x86Legacy, 0x42, { US: 1 });
    const registers = { cr0: 0x8001_0001, cr3: 0x1000, cr4: 0, efer: 0 };
    const walker = new X86Walker({ memory: tables.memory, ...registers });
    expect({ ...walker.translate(0x5678n, Access.Write | Access.User) }).toEqual({
      kind: 'fault',
      reason: 'not-writable',
      rule: 'x86.not-writable',
      va: 0x5678n,
      access: { kind: 'write', privilege: 'user', modifiers: [] },
      level: 0,
      x86: { vector: 14, errorCode: 7, cr2: 0x5678n },
    });
    expect(walker.fault.cr2).toBe(0x5678n);
    expect(walker.fault.va).toBe(0x5678n);
    const broken = new X86Walker({ memory: ram(), ...registers, cr3: 0x80_0000 });
    expect(broken.translate(0x5678n, Access.Read)).toMatchObject({
      reason: 'bus-error',
      x86: { vector: 0, errorCode: 0, cr2: null },
    });
  });

  it('answers with the fault in the encoding of RISC-V', () => {
    const tables = mapped(sv39, 0x42, { R: 1 });
    const walker = new RiscvWalker({ memory: tables.memory, satp: SV39 | 1n });
    const fault = walker.translate(0x5678n, Access.Read | Access.ReadModifyWrite | Access.User);
    expect({ ...fault }).toEqual({
      kind: 'fault',
      reason: 'supervisor-page',
      rule: 'riscv.supervisor-page',
      va: 0x5678n,
      access: { kind: 'read', privilege: 'user', modifiers: ['ReadModifyWrite'] },
      level: 0,
      riscv: { cause: 15, tval: 0x5678n },
    });
    expect(JSON.parse(JSON.stringify(fault)).riscv).toEqual({ cause: 15, tval: '0x5678' });
    expect(structuredClone(fault)).toEqual({ ...fault });
  });

  it('has a fault that names a reason before anything was refused', () => {
    expect(new X86Walker({ memory: ram(), cr0: 1 }).fault.reason).toBe('not-present');
    expect(new WalkFault(RISCV_RULES.bare).reason).toBe('not-present');
  });

  it('keeps the fault fields until the next fault', () => {
    const tables = mapped(sv39, 0x42, { R: 1, A: 1 });
    const walker = new RiscvWalker({ memory: tables.memory, satp: SV39 | 1n });
    expect(walker.fault.reason).toBe('not-present');
    walker.walk(5, Access.Write, 0x123);
    const { fault } = walker;
    const fields = [fault.reason, fault.cause, fault.level, fault.vpn, fault.offset, fault.access];
    expect(fields).toEqual(['not-writable', 15, 0, 5, 0x123, Access.Write]);
    walker.walk(5, Access.Read);
    expect(fault.reason).toBe('not-writable');
    expect([walker.leafLevel, walker.leafLow, walker.leafHigh]).toEqual([
      0,
      Number(tables.read(tables.entryOf(0x5000n, 0))),
      0,
    ]);
  });

  it('shows the whole leaf as it was before A and D were set', () => {
    const tables = mapped(sv39, 0x42, { R: 1, W: 1, PBMT: 1 });
    const walker = new RiscvWalker({
      memory: tables.memory,
      satp: SV39 | 1n,
      adue: true,
      pbmte: true,
    });
    expect(walker.walk(5, Access.Write)).toBe(0x42);
    expect([walker.leafLow, walker.leafHigh]).toEqual([(0x42 << 10) | 7, 1 << 29]);
    expect(walker.walk(5, Access.Write)).toBe(0x42);
    expect([walker.leafLow, walker.leafHigh]).toEqual([(0x42 << 10) | 0xc7, 1 << 29]);
    walker.setSatp(0);
    walker.walk(5, Access.Write);
    expect([walker.leafLevel, walker.leafLow, walker.leafHigh]).toEqual([-1, 0, 0]);
  });
});
