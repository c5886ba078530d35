import { Access } from 'pagewright/core';
import { PhysicalMemory } from 'pagewright/memory';
import { sv39, x86Long4, x86Pae } from 'pagewright/pte';
import {
  formatBytes,
  formatWalk,
  Pmp,
  RiscvWalker,
  type WalkReport,
  X86Walker,
} from 'pagewright/walk';
import { describe, expect, it, test } from 'vitest';
import { expectError } from '../core/errors.js';
import { MODES, mapped, Tables } from './build-tables.js';

const ram = (): PhysicalMemory => PhysicalMemory.allocate(0x1_0000, { base: 0 });
const SV39 = 8n << 60n;

describe.each(MODES)('a report about $name', ({ format, walker }) => {
  const va = 0x5678n;
  const tables = new Tables(ram(), format, 1);
  tables.map(0x5000n, 0x42);
  const machine = walker(tables.memory, 1);
  const report = machine.explain(va, Access.Read);
  /** PAE reads its PDPTE from a register. */
  const inMemory = format === x86Pae ? 2 : format.levels;

  it('has every entry, from the root down, and the rule that decided', () => {
    expect(report).toMatchObject({
      v: 1,
      type: 'walk-report',
      format: format.name,
      va,
      access: { kind: 'read', privilege: 'supervisor', modifiers: [] },
      updated: false,
      references: inMemory,
      outcome: { kind: 'page', va, pa: 0x42678n, pfn: 0x42, level: 0, prot: 15 },
    });
    expect(report.rule.id).toMatch(/^(x86|riscv)\.translated$/);
    expect(report.rule.source).not.toBe('');
    const levels = Array.from({ length: format.levels }, (_, level) => level).reverse();
    expect(report.steps.map((step) => step.level)).toEqual(levels);
    for (const step of report.steps) {
      const address = tables.entryOf(va, step.level);
      const register = format === x86Pae && step.level === 2;
      expect(step.address).toBe(register ? null : address);
      expect(step.raw).toBe(tables.read(address));
      expect(step.fields).toEqual(format.decode(step.raw, step.level).fields);
      expect(step.kind).toBe(step.level === 0 ? 'leaf' : 'pointer');
      expect(step.index.index).toBe(step.level === 0 ? 5 : 0);
      expect(step.index.lowBit).toBe(format.indexShift[step.level]);
      expect(step.prot).toBe('rwxu');
      expect(step.set).toEqual([]);
    }
    expect(report.steps.at(-1)?.pfn).toBe(0x42);
    expect(report.root).toBe(format === x86Pae ? null : 0x1000n);
  });

  it('is plain data: structuredClone and JSON lose nothing', () => {
    expect(structuredClone(report)).toEqual({ ...report });
    const json = JSON.parse(JSON.stringify(report));
    expect(json).toMatchObject({ v: 1, va: '0x5678', outcome: { pa: '0x42678' } });
    expect(json.steps[0].raw).toBe(`0x${report.steps[0]?.raw.toString(16)}`);
    expect(json.steps).toHaveLength(format.levels);
    expect(formatWalk(structuredClone(report))).toBe(formatWalk(report));
  });

  it('costs one reference when the root is empty', () => {
    const empty = new Tables(ram(), format, 1);
    // Of PAE the first register must be there, or nothing is read at all.
    if (format === x86Pae) empty.entryOf(0n, 1);
    const { references, outcome, steps } = walker(empty.memory, 1).explain(va, Access.Read);
    expect(references).toBe(1);
    expect(outcome).toMatchObject({ kind: 'fault', reason: 'not-present' });
    expect(steps.at(-1)).toMatchObject({ kind: 'not-present', pfn: null, raw: 0n });
  });
});

describe('explain', () => {
  it('changes nothing, unless told to update', () => {
    const tables = mapped(x86Long4, 0x42, { RW: 1, US: 1 });
    const walker = new X86Walker({ memory: tables.memory, cr3: 0x1000 });
    const before = tables.memory.snapshot();
    const report = walker.explain(0x5000, Access.Write);
    expect([report.updated, tables.memory.snapshot()]).toEqual([false, before]);
    // Tables above have A already.
    expect(report.steps.map((step) => step.set)).toEqual([[], [], [], ['D', 'A']]);
    const real = walker.explain(0x5000, Access.Write, { update: true });
    expect(real).toEqual({ ...report, updated: true });
    const entry = tables.entryOf(0x5000n, 0);
    expect(tables.read(entry)).toBe((report.steps[3]?.raw ?? 0n) | 0x60n);
    // What is set already is not set again.
    const again = walker.explain(0x5000, Access.Write, { update: true });
    expect(again.steps.map((step) => step.set)).toEqual([[], [], [], []]);
  });

  it('says that a faulting walk sets A on the way, where that is the policy', () => {
    const tables = new Tables(ram(), x86Long4, 1);
    tables.put(0x5000n, 0, 0n);
    for (const level of [1, 2, 3]) {
      const address = tables.entryOf(0x5000n, level);
      tables.write(address, tables.read(address) & ~0x20n);
    }
    const { memory } = tables;
    const quiet = new X86Walker({ memory, cr3: 0x1000 });
    expect(quiet.explain(0x5000, Access.Read).steps.map((step) => step.set.length)).toEqual([
      0, 0, 0, 0,
    ]);
    const eager = new X86Walker({ memory, cr3: 0x1000, accessedOnFault: true });
    const { outcome, steps } = eager.explain(0x5000, Access.Read);
    expect(outcome).toMatchObject({ kind: 'fault', x86: { errorCode: 0, cr2: 0x5000n } });
    expect(steps.map((step) => step.set)).toEqual([['A'], ['A'], ['A'], []]);
  });

  it('names RISC-V bits as RISC-V does', () => {
    const tables = mapped(sv39, 0x42, { R: 1, W: 1 });
    const walker = new RiscvWalker({ memory: tables.memory, satp: SV39 | 1n, adue: true });
    expect(walker.explain(0x5000, Access.Write).steps[2]?.set).toEqual(['D', 'A']);
    expect(walker.explain(0x5000, Access.Read).steps[2]?.set).toEqual(['A']);
  });

  it('takes the rights down the path', () => {
    const tables = new Tables(ram(), x86Long4, 1);
    tables.map(0x5000n, 0x42);
    const directory = tables.entryOf(0x5000n, 1);
    tables.write(directory, tables.read(directory) & ~2n);
    const middle = tables.entryOf(0x5000n, 2);
    tables.write(middle, tables.read(middle) | (1n << 63n));
    const walker = new X86Walker({ memory: tables.memory, cr3: 0x1000 });
    const { steps } = walker.explain(0x5000, Access.Read);
    expect(steps.map((step) => step.prot)).toEqual(['rwxu', 'rw-u', 'r--u', 'r--u']);
  });

  it('calls an entry that was followed a pointer, also where PS is ignored', () => {
    const memory = ram();
    memory.write(0x1000, 4, 0x2087);
    memory.write(0x2014, 4, 0x42007);
    const registers = { cr0: 0x8001_0001, cr3: 0x1000, cr4: 0, efer: 0 };
    const { steps, outcome } = new X86Walker({ memory, ...registers }).explain(0x5000, Access.Read);
    expect(steps.map(({ kind, pfn }) => [kind, pfn])).toEqual([
      ['pointer', 2],
      ['leaf', 0x42],
    ]);
    expect(outcome).toMatchObject({ kind: 'page', pa: 0x42000n });
  });

  it('shows a non-canonical address without a step', () => {
    const tables = mapped(x86Long4, 0x42, {});
    const walker = new X86Walker({ memory: tables.memory, cr3: 0x1000 });
    const { format, root, steps, references, outcome } = walker.explain(1n << 47n, Access.Read);
    expect([format, root, steps, references]).toEqual(['x86Long4', 0x1000n, [], 0]);
    expect(outcome).toMatchObject({
      kind: 'fault',
      reason: 'non-canonical',
      x86: { vector: 13, errorCode: 0, cr2: null },
    });
  });

  it('shows an absent PAE register as the one step', () => {
    const registers = { cr0: 0x8001_0001, cr3: 0x1000, cr4: 0x20, efer: 0 };
    const walker = new X86Walker({ memory: ram(), ...registers });
    const { root, steps, references, outcome } = walker.explain(0xc000_0000, Access.Read);
    expect([root, references]).toEqual([null, 0]);
    expect(steps).toMatchObject([
      { level: 2, address: null, raw: 0n, kind: 'not-present', pfn: null, set: [] },
    ]);
    expect(steps[0]?.index).toMatchObject({ index: 3, highBit: 31, lowBit: 30 });
    expect(outcome).toMatchObject({ kind: 'fault', level: 2, x86: { vector: 14, errorCode: 0 } });
  });

  it('shows nothing but the address where nothing is translated', () => {
    const memory = ram();
    for (const walker of [
      new RiscvWalker({ memory }),
      new RiscvWalker({ memory, xlen: 32 }),
      new X86Walker({ memory, cr0: 1 }),
    ]) {
      const report = walker.explain(0x5678, Access.Read);
      expect(report).toMatchObject({ format: null, root: null, steps: [], references: 0 });
      expect(report.outcome).toMatchObject({ kind: 'page', pa: 0x5678n, level: -1, prot: 15 });
      expect(report.outcome).toMatchObject({ pageBytes: 4096, global: false });
    }
    const walker = new RiscvWalker({ memory, satp: SV39 | 1n });
    const report = walker.explain(0x5678, Access.Read | Access.Machine);
    expect(report).toMatchObject({ format: null, root: null, steps: [], references: 0 });
    expect(report.rule.id).toBe('riscv.bare');
  });

  it('refuses what is no address and no access', () => {
    const walker = new RiscvWalker({ memory: ram() });
    expectError(() => walker.explain(-1, Access.Read), 'out-of-range', 'address');
    expectError(() => walker.explain(0, 3), 'bad-argument', 'access');
    expectError(() => walker.explain(0, Access.Hlvx), 'bad-argument', 'access');
  });
});

describe('formatWalk', () => {
  /** The text, with the manual's section cut out of it. */
  const shown = (report: WalkReport): string =>
    formatWalk({ ...report, rule: { ...report.rule, source: '...' } });
  const walkerOf = (tables: Tables, options: object = {}): RiscvWalker =>
    new RiscvWalker({ memory: tables.memory, satp: SV39 | 1n, ...options });

  it('shows a page', () => {
    const walker = walkerOf(mapped(sv39, 0x42, { R: 1, W: 1, U: 1 }), { adue: true });
    expect(shown(walker.explain(0x5678, Access.Write | Access.User))).toMatchInlineSnapshot(`
      "user write at 0x5678 (sv39, root 0x1000)
        level 2 [  0] @0x1000 = 0x801    pointer to 0x2000, rwxu so far
        level 1 [  0] @0x2000 = 0xc01    pointer to 0x3000, rwxu so far
        level 0 [  5] @0x3028 = 0x10817  leaf at 0x42000, rw-u A=0 D=0 G=0 N=0, sets D A
        physical address 0x42678, in a 4 KiB page"
    `);
  });

  it('shows a NAPOT page', () => {
    const walker = walkerOf(mapped(sv39, 0x40, { R: 1, A: 1, N: 1 }));
    expect(shown(walker.explain(0x5678, Access.Read))).toMatchInlineSnapshot(`
      "supervisor read at 0x5678 (sv39, root 0x1000)
        level 2 [  0] @0x1000 = 0x801               pointer to 0x2000, rwxu so far
        level 1 [  0] @0x2000 = 0xc01               pointer to 0x3000, rwxu so far
        level 0 [  5] @0x3028 = 0x8000000000012043  leaf at 0x40000, r--- A=1 D=0 G=0 N=1
        physical address 0x45678, in a 64 KiB page"
    `);
  });

  it('shows a RISC-V fault with its cause', () => {
    const walker = walkerOf(mapped(sv39, 0x42, { R: 1, A: 1 }));
    expect(shown(walker.explain(0x5678, Access.Fetch))).toMatchInlineSnapshot(`
      "supervisor fetch at 0x5678 (sv39, root 0x1000)
        level 2 [  0] @0x1000 = 0x801    pointer to 0x2000, rwxu so far
        level 1 [  0] @0x2000 = 0xc01    pointer to 0x3000, rwxu so far
        level 0 [  5] @0x3028 = 0x10843  leaf at 0x42000, r--- A=1 D=0 G=0 N=0
        fetch refused: a fetch needs X: page fault (cause 12, tval 0x5678) [...]"
    `);
  });

  it('shows an x86 fault with its error code', () => {
    const tables = mapped(x86Long4, 0x42, { US: 1, PK: 3, A: 1 });
    const walker = new X86Walker({ memory: tables.memory, cr3: 0x1000 });
    const access = Access.Write | Access.User | Access.ReadModifyWrite;
    expect(shown(walker.explain(0x5678, access))).toMatchInlineSnapshot(`
      "user read-modify-write write at 0x5678 (x86Long4, root 0x1000)
        level 3 [  0] @0x1000 = 0x2027              pointer to 0x2000, rwxu so far
        level 2 [  0] @0x2000 = 0x3027              pointer to 0x3000, rwxu so far
        level 1 [  0] @0x3000 = 0x4027              pointer to 0x4000, rwxu so far
        level 0 [  5] @0x4028 = 0x1800000000042025  leaf at 0x42000, r-xu A=1 D=0 G=0 PK=3
        write refused: a write needs R/W=1 in every entry, for the supervisor only while CR0.WP=1: #PF (error code 0x7, CR2 0x5678) [...]"
    `);
  });

  it('shows a hole', () => {
    const tables = new Tables(ram(), sv39, 1);
    tables.put(0x5000n, 1, 0n);
    expect(shown(walkerOf(tables).explain(0x5678, Access.Read))).toMatchInlineSnapshot(`
      "supervisor read at 0x5678 (sv39, root 0x1000)
        level 2 [  0] @0x1000 = 0x801  pointer to 0x2000, rwxu so far
        level 1 [  0] @0x2000 = 0x0    not present
        read refused: V=0: page fault (cause 13, tval 0x5678) [...]"
    `);
  });

  it('shows a PAE register', () => {
    const tables = new Tables(ram(), x86Pae, 1);
    tables.map(0x4020_0000n, 0x400, 1, { RW: 1, A: 1, D: 1, G: 1 });
    const registers = { cr0: 0x8001_0001, cr3: 0x1000, cr4: 0xa0, efer: 0 };
    const walker = new X86Walker({ memory: tables.memory, ...registers });
    expect(shown(walker.explain(0x4020_0010, Access.Read))).toMatchInlineSnapshot(`
      "supervisor read at 0x40200010 (x86Pae)
        level 2 [  1] register = 0x2001    pointer to 0x2000, rwxu so far
        level 1 [  1] @0x2008 = 0x4001e3  leaf at 0x400000, rwx- A=1 D=1 G=1
        physical address 0x400010, in a 2 MiB page"
    `);
  });

  it('shows that there is no memory', () => {
    const walker = new X86Walker({ memory: ram(), cr3: 0x1234_5000 });
    expect(shown(walker.explain(0x5678, Access.Read))).toMatchInlineSnapshot(`
      "supervisor read at 0x5678 (x86Long4, root 0x12345000)
        read refused: there is no memory where the entry should be; no page fault, the platform decides [...]"
    `);
  });

  it('shows an address without translation', () => {
    const walker = new RiscvWalker({ memory: ram() });
    expect(shown(walker.explain(0x5678, Access.Read | Access.Machine))).toMatchInlineSnapshot(`
      "machine read at 0x5678 (no translation)
        physical address 0x5678, not translated"
    `);
  });

  it('shows what PMP refuses', () => {
    const walker = walkerOf(mapped(sv39, 0x42, { R: 1, A: 1 }), { pmp: new Pmp() });
    expect(shown(walker.explain(0x5678, Access.Read))).toMatchInlineSnapshot(`
      "supervisor read at 0x5678 (sv39, root 0x1000)
        read refused: PMP does not let S-mode read the entry: access fault (cause 5, tval 0x5678) [...]"
    `);
  });
});

describe('formatBytes', () => {
  test.each([
    [0, '0 B'],
    [1, '1 B'],
    [1023, '1023 B'],
    [1024, '1 KiB'],
    [1536, '1536 B'],
    [4096, '4 KiB'],
    [65536, '64 KiB'],
    [2 ** 21, '2 MiB'],
    [2 ** 22, '4 MiB'],
    [2 ** 30, '1 GiB'],
    [2 ** 39, '512 GiB'],
    [2 ** 48, '256 TiB'],
    [2 ** 50, '1 PiB'],
    [2 ** 60, '1 EiB'],
    [2 ** 70, '1024 EiB'],
  ])('spells %i as %s', (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text);
  });
});
