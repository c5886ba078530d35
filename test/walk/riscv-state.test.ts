import { Access } from 'pagewright/core';
import { PhysicalMemory } from 'pagewright/memory';
import { sv32, sv39, sv48, sv57 } from 'pagewright/pte';
import { mappings, RiscvWalker, type RiscvWalkerOptions } from 'pagewright/walk';
import { describe, expect, it, test } from 'vitest';
import { expectError } from '../core/errors.js';
import { Tables } from './build-tables.js';

const SV39 = 8n << 60n;

/** Page 5 maps frame 0x42, by an Sv39 table whose root is frame 1. */
function machine(
  fields: Readonly<Record<string, number>>,
  options: Partial<RiscvWalkerOptions> = {},
): { readonly walker: RiscvWalker; readonly tables: Tables; readonly entry: bigint } {
  const tables = new Tables(PhysicalMemory.allocate(0x8000, { base: 0 }), sv39, 1);
  tables.map(0x5000n, 0x42, 0, fields);
  const walker = new RiscvWalker({ memory: tables.memory, satp: SV39 | 1n, ...options });
  return { walker, tables, entry: tables.entryOf(0x5000n, 0) };
}
const rule = (walker: RiscvWalker, access: number): string =>
  walker.probe(5, access) >= 0 ? 'translated' : walker.fault.rule.id;

describe('satp', () => {
  test.each([
    [0n, null],
    [8n, sv39],
    [9n, sv48],
    [10n, sv57],
  ])('takes mode %s', (mode, format) => {
    const walker = new RiscvWalker({ memory: PhysicalMemory.allocate(0x1000, { base: 0 }) });
    const value = (mode << 60n) | (0xabcdn << 44n) | 0x123n;
    expect(walker.setSatp(value)).toEqual({ kind: 'written', invalidates: 'none' });
    expect([walker.satp, walker.format, walker.asid]).toEqual([value, format, 0xabcd]);
  });

  it.each([1n, 2n, 3n, 4n, 5n, 6n, 7n, 11n, 12n, 13n, 14n, 15n])(
    'ignores mode %s as a whole',
    (mode) => {
      const { walker } = machine({ R: 1, A: 1 });
      const before = walker.satp;
      const written = walker.setSatp((mode << 60n) | (0xffffn << 44n) | 7n);
      expect(written).toEqual({ kind: 'ignored', invalidates: 'none' });
      expect([walker.satp, walker.format, walker.asid]).toEqual([before, sv39, 0]);
      expect(walker.walk(5, Access.Read)).toBe(0x42);
    },
  );

  it('has mode, ASID and frame in other places on RV32', () => {
    const tables = new Tables(PhysicalMemory.allocate(0x8000, { base: 0 }), sv32, 1);
    tables.map(0x5000n, 0x42);
    const walker = new RiscvWalker({ memory: tables.memory, xlen: 32 });
    expect([walker.xlen, walker.format, walker.walk(5, Access.Read)]).toEqual([32, null, 5]);
    expect(walker.setSatp((1n << 31n) | (0x1a5n << 22n) | 1n).kind).toBe('written');
    expect([walker.format, walker.asid]).toEqual([sv32, 0x1a5]);
    expect(walker.walk(5, Access.Read | Access.User)).toBe(0x42);
    expectError(() => walker.setSatp(1n << 32n), 'out-of-range', 'satp');
    expect(walker.walk(5, Access.Read | Access.User)).toBe(0x42);
    expect(walker.setSatp(0x1ff << 22).kind).toBe('written');
    expect([walker.format, walker.asid, walker.walk(5, Access.Read)]).toEqual([null, 0x1ff, 5]);
  });

  it('changes the root and the mode at once', () => {
    const { walker, tables } = machine({ R: 1, A: 1 });
    const other = new Tables(tables.memory, sv48, 5, 6);
    // A 1 GiB page below a root in frame 5.
    other.map(0n, 2 ** 18 * 3, 2, { R: 1, A: 1 });
    expect(walker.walk(5, Access.Read)).toBe(0x42);
    walker.setSatp((9n << 60n) | 5n);
    expect(walker.walk(5, Access.Read)).toBe(2 ** 18 * 3 + 5);
    walker.setSatp(0);
    expect(walker.walk(5, Access.Read)).toBe(5);
    expect([...mappings(walker)]).toEqual([]);
    walker.setSatp(SV39 | 1n);
    expect(walker.walk(5, Access.Read)).toBe(0x42);
  });

  it('is an unsigned register', () => {
    const { walker } = machine({ R: 1, A: 1 });
    expectError(() => walker.setSatp(1n << 64n), 'out-of-range', 'satp');
    expectError(() => walker.setSatp(-1), 'out-of-range', 'satp');
    expectError(() => walker.setSatp(0.5), 'bad-argument', 'satp');
    expect(walker.satp).toBe(SV39 | 1n);
  });

  it('with an unsupported mode leaves a new walker in Bare', () => {
    const memory = PhysicalMemory.allocate(0x1000, { base: 0 });
    const walker = new RiscvWalker({ memory, satp: (5n << 60n) | 1n });
    expect([walker.satp, walker.format, walker.walk(7, Access.Read)]).toEqual([0n, null, 7]);
  });
});

describe('construction', () => {
  it('has the reset values by default', () => {
    const walker = new RiscvWalker({ memory: PhysicalMemory.allocate(0x1000, { base: 0 }) });
    const { xlen, satp, sum, mxr, mprv, mpp, adue, pbmte, pmp, observer } = walker;
    expect({ xlen, satp, sum, mxr, mprv, mpp, adue, pbmte, pmp, observer }).toEqual({
      xlen: 64,
      satp: 0n,
      sum: false,
      mxr: false,
      mprv: false,
      mpp: 0,
      adue: false,
      pbmte: false,
      pmp: null,
      observer: null,
    });
  });

  it('is Bare when satp has a mode that there is not', () => {
    const memory = PhysicalMemory.allocate(0x1000, { base: 0 });
    for (const mode of [1n, 7n, 11n, 15n]) {
      const walker = new RiscvWalker({ memory, satp: (mode << 60n) | 1n });
      expect([walker.satp, walker.format, walker.walk(7, Access.Read)]).toEqual([0n, null, 7]);
      walker.checkInvariants();
    }
  });

  it('refuses a width that RISC-V has not, and a satp that does not fit', () => {
    const memory = PhysicalMemory.allocate(0x1000, { base: 0 });
    const xlen = 128 as never; // what a JavaScript caller could pass
    expectError(() => new RiscvWalker({ memory, xlen }), 'bad-argument', 'xlen');
    expectError(
      () => new RiscvWalker({ memory, xlen: 32, satp: 1n << 63n }),
      'out-of-range',
      'satp',
    );
  });
});

describe('a register change takes effect at the next walk, after the fast path was warm', () => {
  it('SUM', () => {
    const { walker } = machine({ R: 1, W: 1, X: 1, U: 1, A: 1, D: 1 });
    for (let round = 0; round < 3; round++) {
      walker.sum = true;
      expect(walker.sum).toBe(true);
      for (let warm = 0; warm < 50; warm++) expect(walker.walk(5, Access.Read)).toBe(0x42);
      // S-mode never executes from user pages.
      expect(rule(walker, Access.Fetch)).toBe('riscv.user-page-fetch');
      walker.sum = false;
      expect(walker.sum).toBe(false);
      expect(rule(walker, Access.Read)).toBe('riscv.user-page');
      expect(rule(walker, Access.Write)).toBe('riscv.user-page');
      expect(rule(walker, Access.Read | Access.User)).toBe('translated');
    }
  });

  it('MXR', () => {
    const { walker } = machine({ X: 1, A: 1 });
    for (let round = 0; round < 3; round++) {
      walker.mxr = true;
      expect(walker.mxr).toBe(true);
      for (let warm = 0; warm < 50; warm++) expect(walker.walk(5, Access.Read)).toBe(0x42);
      walker.mxr = false;
      expect(walker.mxr).toBe(false);
      expect(rule(walker, Access.Read)).toBe('riscv.not-readable');
      expect(rule(walker, Access.Fetch)).toBe('translated');
    }
  });

  it('SUM and MXR together', () => {
    const { walker } = machine({ X: 1, U: 1, A: 1 });
    const found = [false, true].flatMap((sum) =>
      [false, true].map((mxr) => {
        walker.sum = sum;
        walker.mxr = mxr;
        return rule(walker, Access.Read);
      }),
    );
    expect(found).toEqual([
      'riscv.user-page',
      'riscv.user-page',
      'riscv.not-readable',
      'translated',
    ]);
  });

  it('MPRV and MPP', () => {
    const { walker } = machine({ R: 1, W: 1, X: 1, U: 1, A: 1, D: 1 });
    const { Machine, Read, Write, Fetch, User } = Access;
    expect(walker.walk(5, Read | Machine)).toBe(5);
    walker.mprv = true;
    expect(walker.walk(5, Read | Machine)).toBe(0x42); // as MPP = U
    expect(walker.walk(5, Write | Machine)).toBe(0x42);
    expect(walker.walk(5, Fetch | Machine)).toBe(5); // fetches lend nothing
    walker.mpp = 1;
    expect(rule(walker, Read | Machine)).toBe('riscv.user-page');
    walker.sum = true;
    expect(walker.walk(5, Read | Machine)).toBe(0x42);
    walker.mpp = 3;
    expect(walker.walk(5, Read | Machine)).toBe(5);
    walker.mpp = 1;
    walker.mprv = false;
    expect(walker.walk(5, Read | Machine)).toBe(5);
    // MPRV is M-mode's: it changes nothing for the others.
    walker.mprv = true;
    walker.sum = false;
    expect(rule(walker, Read)).toBe('riscv.user-page');
    expect(walker.walk(5, Read | User)).toBe(0x42);
  });

  it('ADUE', () => {
    const { walker, tables, entry } = machine({ R: 1, W: 1 });
    const fresh = tables.read(entry);
    expect(walker.walk(5, Access.Read)).toBeLessThan(0);
    expect(walker.fault.rule.id).toBe('riscv.accessed-clear');
    expect(tables.read(entry)).toBe(fresh);
    walker.adue = true;
    expect(walker.adue).toBe(true);
    expect(walker.walk(5, Access.Read)).toBe(0x42);
    expect(tables.read(entry)).toBe(fresh | 0x40n);
    walker.adue = false;
    expect(walker.walk(5, Access.Read)).toBe(0x42);
    expect(walker.walk(5, Access.Write)).toBeLessThan(0);
    expect(walker.fault.rule.id).toBe('riscv.dirty-clear');
    expect(tables.read(entry)).toBe(fresh | 0x40n);
    walker.adue = true;
    expect(walker.walk(5, Access.Write)).toBe(0x42);
    expect(tables.read(entry)).toBe(fresh | 0xc0n);
  });

  it('PBMTE', () => {
    const { walker } = machine({ R: 1, A: 1, PBMT: 1 });
    for (let round = 0; round < 3; round++) {
      walker.pbmte = true;
      expect(walker.pbmte).toBe(true);
      for (let warm = 0; warm < 50; warm++) expect(walker.walk(5, Access.Read)).toBe(0x42);
      expect(walker.translate(0x5000, Access.Read)).toMatchObject({ riscv: { pbmt: 1 } });
      walker.pbmte = false;
      expect(walker.pbmte).toBe(false);
      expect(rule(walker, Access.Read)).toBe('riscv.reserved-bits');
    }
  });
});

describe('the extensions that a hart has', () => {
  it('Svnapot is there by default, and N is reserved without', () => {
    const fields = { R: 1, A: 1, N: 1 };
    const tables = new Tables(PhysicalMemory.allocate(0x8000, { base: 0 }), sv39, 1);
    tables.map(0x5000n, 0x40, 0, fields);
    const { memory } = tables;
    const walker = new RiscvWalker({ memory, satp: SV39 | 1n });
    expect(walker.walk(5, Access.Read)).toBe(0x45);
    const without = new RiscvWalker({ memory, satp: SV39 | 1n, svnapot: false });
    expect(rule(without, Access.Read)).toBe('riscv.reserved-bits');
  });

  it('Svrsw60t59b is not, and gives bits 60:59 to software, in pointers too', () => {
    const { walker, tables, entry } = machine({ R: 1, A: 1 });
    for (const level of [0, 1]) {
      const address = tables.entryOf(0x5000n, level);
      const word = tables.read(address);
      tables.write(address, word | (3n << 59n));
      expect(rule(walker, Access.Read)).toBe('riscv.reserved-bits');
      const { memory } = tables;
      const having = new RiscvWalker({ memory, satp: SV39 | 1n, svrsw60t59b: true });
      expect(having.walk(5, Access.Read)).toBe(0x42);
      tables.write(address, word);
    }
    expect(tables.read(entry)).not.toBe(0n);
  });
});
