import { Access } from 'pagewright/core';
import { PhysicalMemory } from 'pagewright/memory';
import { sv39 } from 'pagewright/pte';
import { Pmp, RiscvWalker } from 'pagewright/walk';
import { describe, expect, it } from 'vitest';
import { Tables } from './build-tables.js';

const [R, W, X, LOCK] = [1, 2, 4, 0x80];
const NAPOT = 0x18;
const ALL = R | W | X;

describe('a walk under PMP', () => {
  const FETCH_FAULT = 1;
  const LOAD_FAULT = 5;
  const STORE_FAULT = 7;
  const kinds = [
    [Access.Fetch, FETCH_FAULT],
    [Access.Read, LOAD_FAULT],
    [Access.Write, STORE_FAULT],
    [Access.Read | Access.ReadModifyWrite, STORE_FAULT],
  ] as const;

  /** Tables in frames 1 to 3, page 0x5000 in frame 8; entry 15 opens everything. */
  function machine(fields: Readonly<Record<string, number>>): {
    made: Pmp;
    walker: RiscvWalker;
    entry: bigint;
    tables: Tables;
  } {
    const memory = PhysicalMemory.allocate(0x10000, { base: 0 });
    const tables = new Tables(memory, sv39, 1);
    tables.map(0x5000n, 8, 0, fields);
    const made = new Pmp();
    made.setAddress(15, (1n << 54n) - 1n);
    made.setConfig(15, NAPOT | ALL);
    const walker = new RiscvWalker({ memory, satp: (8n << 60n) | 1n, adue: true, pmp: made });
    return { made, walker, entry: tables.entryOf(0x5000n, 0), tables };
  }
  const open = { R: 1, W: 1, X: 1, A: 1, D: 1 };
  /** Entry 0 forbids some rights of the bytes from `address` on, 8 of them. */
  function forbid(made: Pmp, address: number, rights: number): void {
    made.setAddress(0, BigInt(address >> 2));
    made.setConfig(0, NAPOT | rights);
  }

  it.each([
    ['the root', 0x1000, 2],
    ['a directory', 0x2000, 1],
    ['the last table', 0x3028, 0],
  ])('raises an access fault of the original type when it may not read %s', (_, address, level) => {
    for (const [access, cause] of kinds) {
      const { made, walker, entry, tables } = machine({ R: 1, W: 1, X: 1 });
      expect(walker.probe(5, access)).toBe(8);
      forbid(made, address, 0);
      const before = tables.read(entry);
      expect(walker.walk(5, access)).toBeLessThan(0);
      const { fault } = walker;
      expect([fault.cause, fault.level, fault.reason, fault.rule.id]).toEqual([
        cause,
        level,
        'physical-protection',
        'riscv.table-protected',
      ]);
      expect(fault.tval).toBe(0x5000n);
      expect(tables.read(entry)).toBe(before);
      // Again, and where nothing is to be set: the fast path must not pass the protected table by.
      tables.write(entry, before | 0xc0n);
      for (let again = 0; again < 3; again++) expect(walker.walk(5, access)).toBeLessThan(0);
    }
  });

  it('raises one when it may not set A or D, and sets nothing', () => {
    for (const [access, cause] of kinds) {
      const { made, walker, entry, tables } = machine({ R: 1, W: 1, X: 1 });
      forbid(made, 0x3028, R);
      const before = tables.read(entry);
      for (const ask of ['probe', 'walk'] as const) {
        expect(walker[ask](5, access)).toBeLessThan(0);
        expect([walker.fault.cause, walker.fault.rule.id]).toEqual([
          cause,
          'riscv.update-protected',
        ]);
        expect(tables.read(entry)).toBe(before);
      }
    }
  });

  it('needs no write permission when nothing is to be set', () => {
    const { made, walker } = machine(open);
    forbid(made, 0x3028, R);
    expect(walker.walk(5, Access.Write)).toBe(8);
  });

  it('raises one when the access itself is not allowed', () => {
    const rights = [R | W, W | X, R, R];
    kinds.forEach(([access, cause], index) => {
      const { made, walker } = machine(open);
      expect(walker.walk(5, access, 0x10, 4)).toBe(8);
      forbid(made, 0x8010, rights[index] ?? 0);
      expect(walker.walk(5, access, 0x10, 4)).toBeLessThan(0);
      expect([walker.fault.cause, walker.fault.rule.id]).toEqual([cause, 'riscv.target-protected']);
      expect(walker.fault.tval).toBe(0x5010n);
      expect(walker.walk(5, access, 0x18, 4)).toBe(8);
      // An access that touches the protected bytes with its last byte alone.
      expect(walker.walk(5, access, 0xc, 8)).toBeLessThan(0);
      expect(walker.walk(5, access, 0x8, 8)).toBe(8);
    });
  });

  it('takes a change of the PMP into account at once, after the fast path was warm', () => {
    const { made, walker } = machine(open);
    for (let round = 0; round < 3; round++) {
      for (let warm = 0; warm < 100; warm++) expect(walker.walk(5, Access.Read)).toBe(8);
      forbid(made, 0x2000, 0); // a table
      expect(walker.walk(5, Access.Read)).toBeLessThan(0);
      expect(walker.fault.rule.id).toBe('riscv.table-protected');
      made.setConfig(0, 0);
      expect(walker.walk(5, Access.Read)).toBe(8);
      forbid(made, 0x8000, 0); // the page
      expect(walker.walk(5, Access.Read)).toBeLessThan(0);
      expect(walker.fault.rule.id).toBe('riscv.target-protected');
      made.setConfig(0, 0);
    }
  });

  it('checks M-mode and Bare accesses without a walk', () => {
    const { made, walker } = machine(open);
    forbid(made, 0x9010, LOCK);
    expect(walker.walk(9, Access.Read | Access.Machine, 0x10)).toBeLessThan(0);
    expect([walker.fault.cause, walker.fault.level]).toEqual([LOAD_FAULT, 0]);
    expect(walker.walk(9, Access.Write | Access.Machine, 0x18)).toBe(9);
    walker.setSatp(0);
    expect(walker.walk(9, Access.Write, 0x10)).toBeLessThan(0);
    expect(walker.fault.cause).toBe(STORE_FAULT);
    expect(walker.walk(9, Access.Fetch | Access.User, 0x18)).toBe(9);
  });

  it('judges an access with a lent privilege as that privilege', () => {
    const { made, walker } = machine(open);
    forbid(made, 0x8000, 0); // binds S and U only
    walker.mprv = true;
    walker.mpp = 1;
    expect(walker.walk(5, Access.Read | Access.Machine)).toBeLessThan(0);
    expect(walker.fault.rule.id).toBe('riscv.target-protected');
    walker.mpp = 3;
    expect(walker.walk(8, Access.Read | Access.Machine)).toBe(8);
  });

  it('says in a report that nothing was translated when M-mode is refused', () => {
    const { made, walker } = machine(open);
    forbid(made, 0x9000, LOCK);
    const report = walker.explain(0x9000, Access.Read | Access.Machine);
    expect([report.format, report.root, report.steps, report.references]).toEqual([
      null,
      null,
      [],
      0,
    ]);
    expect(report.outcome).toMatchObject({ kind: 'fault', riscv: { cause: LOAD_FAULT } });
  });

  it('fails for S-mode and U-mode while no entry is set, and needs none for M-mode', () => {
    const memory = PhysicalMemory.allocate(0x10000, { base: 0 });
    const walker = new RiscvWalker({ memory, satp: (8n << 60n) | 1n, pmp: new Pmp() });
    expect(walker.walk(5, Access.Read)).toBeLessThan(0);
    expect(walker.fault.rule.id).toBe('riscv.table-protected');
    expect(walker.walk(5, Access.Read | Access.Machine)).toBe(5);
  });
});
