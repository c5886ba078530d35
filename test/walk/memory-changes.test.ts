import fc from 'fast-check';
import { Access } from 'pagewright/core';
import { BUS_ERROR, PhysicalMemory } from 'pagewright/memory';
import { sv39, sv48, x86Long4, x86Pae } from 'pagewright/pte';
import {
  mappings,
  mergedMappings,
  type RadixWalker,
  RiscvWalker,
  X86Walker,
} from 'pagewright/walk';
import { describe, expect, it, test, vi } from 'vitest';
import { wasmMemory } from '../memory/wasm.js';
import { Tables } from './build-tables.js';

const { Read, Write, User } = Access;
const WASM_PAGE = 0x10000;

/** The two architectures, with walkers that set A and D. */
const KINDS = [
  {
    name: 'x86',
    format: x86Long4,
    walker: (memory: PhysicalMemory, root: number): RadixWalker =>
      new X86Walker({ memory, cr3: BigInt(root) << 12n }),
  },
  {
    name: 'RISC-V',
    format: sv48,
    walker: (memory: PhysicalMemory, root: number): RadixWalker =>
      new RiscvWalker({ memory, satp: (9n << 60n) | BigInt(root), adue: true }),
  },
] as const;

/** Page 5 is fresh, pages 6 and 7 are accessed and dirty already, 2 MiB on there is a large page. */
function fill(tables: Tables): void {
  const riscv = tables.format.architecture === 'riscv';
  const fresh = riscv ? { R: 1, W: 1, X: 1, U: 1 } : { RW: 1, US: 1 };
  tables.map(0x5000n, 0x105, 0, fresh);
  tables.map(0x6000n, 0x106);
  tables.map(0x7000n, 0x107);
  tables.map(0x20_0000n, 0x400, 1);
}

/** What a walker of filled tables must do, on its fast path and in full. */
function expectFilled(walker: RadixWalker, tables: Tables): void {
  const entry = tables.entryOf(0x5000n, 0);
  const riscv = tables.format.architecture === 'riscv';
  const due = riscv ? 0xc0n : 0x60n;
  tables.write(entry, tables.read(entry) & ~due);
  expect(walker.walk(5, Write | User)).toBe(0x105);
  expect(tables.read(entry) & due).toBe(due);
  for (let round = 0; round < 2; round++) {
    expect(walker.walk(5, Read | User)).toBe(0x105);
    expect(walker.walk(6, Write | User)).toBe(0x106);
    expect(walker.walk(0x234, Read | User)).toBe(0x434);
    expect(walker.walk(8, Read | User)).toBe(-1);
  }
  expect([...mappings(walker)].map((leaf) => [leaf.va, leaf.pa])).toEqual([
    [0x5000n, 0x10_5000n],
    [0x6000n, 0x10_6000n],
    [0x7000n, 0x10_7000n],
    [0x20_0000n, 0x40_0000n],
  ]);
  expect(mergedMappings(walker).ranges.map((range) => range.pages)).toEqual([3, 512]);
}

describe.each(KINDS)('memory under a walker of $name', ({ format, walker: make }) => {
  it('may be added after the walker was made', () => {
    const memory = new PhysicalMemory();
    const walker = make(memory, 0x80001);
    expect(walker.walk(6, Read | User)).toBeLessThan(0);
    expect(walker.fault.reason).toBe('bus-error');
    expect([...mappings(walker)]).toEqual([]);
    memory.addRam({ base: 0x8000_0000, bytes: 0x8000 });
    const tables = new Tables(memory, format, 0x80001);
    fill(tables);
    expectFilled(walker, tables);
  });

  it('may be added where tables point already', () => {
    const memory = PhysicalMemory.allocate(0x2000, { base: 0 });
    const whole = PhysicalMemory.allocate(0x8000, { base: 0 });
    const tables = new Tables(whole, format, 1);
    fill(tables);
    memory.writeBytes(1, 0, bytesOf(whole, 1, 0x1000));
    const walker = make(memory, 1);
    expect(walker.walk(6, Read | User)).toBeLessThan(0);
    expect(walker.fault).toMatchObject({ reason: 'bus-error', level: format.levels - 2 });
    memory.addRam({ base: 0x2000, source: bytesOf(whole, 2, 0x6000) });
    const seen = new Tables(memory, format, 1);
    expectFilled(walker, seen);
  });

  it('may be tables spread over two regions of RAM', () => {
    const memory = new PhysicalMemory();
    memory.addRam({ base: 0x1000, bytes: 0x3000 });
    memory.addRam({ base: 0x4000, bytes: 0x4000 });
    const tables = new Tables(memory, format, 1);
    fill(tables);
    expectFilled(make(memory, 1), tables);
    // The other way round: the root in the upper region, the rest below.
    const swapped = new PhysicalMemory();
    swapped.addRam({ base: 0x10_0000_0000, bytes: 0x1000 });
    swapped.addRam({ base: 0x1000, bytes: 0x8000 });
    const others = new Tables(swapped, format, 0x10_00000, 1);
    fill(others);
    expectFilled(make(swapped, 0x10_00000), others);
  });

  it('may be a WebAssembly memory that grows', () => {
    const wasm = wasmMemory(1, 10);
    const memory = PhysicalMemory.wrap(wasm, { base: 0x8000_0000 });
    const tables = new Tables(memory, format, 0x80001);
    fill(tables);
    const walker = make(memory, 0x80001);
    expectFilled(walker, tables);
    for (let round = 0; round < 3; round++) {
      wasm.grow(1);
      expect(walker.walk(6, Read | User)).toBe(0x106);
      wasm.grow(1);
      expectFilled(walker, tables);
    }
  });

  it('is on the fast path again after the first walk of a grown memory', () => {
    const wasm = wasmMemory(1, 2);
    const memory = PhysicalMemory.wrap(wasm, { base: 0 });
    const tables = new Tables(memory, format, 1);
    fill(tables);
    const walker = make(memory, 1);
    // The fast path reads words of RAM, the complete form asks the memory.
    const reads = vi.spyOn(memory, 'readWords');
    const costs = [0, 1, 2, 3].map((round) => {
      if (round === 1) wasm.grow(1);
      reads.mockClear();
      expect(walker.walk(6, Read | User)).toBe(0x106);
      return reads.mock.calls.length;
    });
    expect(costs).toEqual([0, format.levels, 0, 0]);
  });

  it.each(['mappings', 'mergedMappings'] as const)('may grow just before %s', (name) => {
    const wasm = wasmMemory(1, 3);
    const memory = PhysicalMemory.wrap(wasm, { base: 0 });
    const tables = new Tables(memory, format, 1);
    fill(tables);
    const walker = make(memory, 1);
    wasm.grow(1);
    if (name === 'mappings') expect([...mappings(walker)]).toHaveLength(4);
    else expect(mergedMappings(walker).ranges).toHaveLength(2);
    // And in the midst of it.
    const cursor = mappings(walker);
    expect(cursor.advance()).toBe(true);
    wasm.grow(1);
    expect(cursor.advance()).toBe(true);
    expect(cursor.pfn).toBe(0x106);
  });

  it('may have the root in the part that a WebAssembly memory grew', () => {
    const wasm = wasmMemory(1, 2);
    const memory = PhysicalMemory.wrap(wasm, { base: 0 });
    const root = WASM_PAGE / 4096 + 1;
    const walker = make(memory, root);
    expect(walker.walk(6, Read | User)).toBeLessThan(0);
    expect(walker.fault.reason).toBe('bus-error');
    wasm.grow(1);
    const tables = new Tables(memory, format, root);
    fill(tables);
    expectFilled(walker, tables);
  });

  test.each([
    ['8 TiB', 2 ** 31],
    ['just below 8 TiB, so that the tables lie on both sides', 2 ** 31 - 3],
    ['a high word of its own', 0x7f_1234_5678],
    ['the last frames', 2 ** 40 - 16],
  ])('may lie at %s', (_, base) => {
    const memory = PhysicalMemory.allocate(16 * 4096, { base: BigInt(base) << 12n });
    for (const root of [base + 1, base + 2]) {
      memory.fillPage(root, 0);
      const tables = new Tables(memory, format, root, base + 3);
      for (let frame = base + 3; frame < base + 16; frame++) memory.fillPage(frame, 0);
      fill(tables);
      expectFilled(make(memory, root), tables);
    }
  });

  it('is not confused with memory whose frame number has the same lower bits', () => {
    const high = 0x3_8000_0000;
    const memory = new PhysicalMemory();
    memory.addRam({ base: BigInt(high) << 12n, bytes: 0x8000 });
    const tables = new Tables(memory, format, high + 1);
    fill(tables);
    const walker = make(memory, high + 1);
    expectFilled(walker, tables);
    // The root's entry now names the frame with bit 31 (or bit 33) flipped: there is no memory.
    const entry = tables.entryOf(0n, format.levels - 1);
    const word = tables.read(entry);
    for (const bit of [31, 33]) {
      tables.write(entry, word ^ (1n << BigInt(format.frameShift + bit)));
      expect(walker.walk(6, Read | User)).toBeLessThan(0);
      expect(walker.fault).toMatchObject({ reason: 'bus-error', level: format.levels - 2 });
      expect([...mappings(walker)]).toEqual([]);
    }
  });

  it.each([0, 1, 2, 3, 4, 6, 8])('may start at byte %i of its buffer', (byteOffset) => {
    const buffer = new ArrayBuffer(0x9000);
    const memory = PhysicalMemory.wrap(buffer, { base: 0x8000_0000, byteOffset });
    const tables = new Tables(memory, format, 0x80001);
    fill(tables);
    expectFilled(make(memory, 0x80001), tables);
  });

  it.each([0x800, 0xffc, 0x123])('may begin in the midst of a frame, at %i', (offset) => {
    const memory = PhysicalMemory.allocate(0x9000, { base: 0x8000_0000 + offset });
    const tables = new Tables(memory, format, 0x80001);
    fill(tables);
    expectFilled(make(memory, 0x80001), tables);
  });

  it('may be sparse, or shared', () => {
    const sparse = new PhysicalMemory();
    sparse.addSparse({ base: 0, bytes: 2 ** 40 });
    const shared = PhysicalMemory.allocate(0x8000, { base: 0, shared: true });
    for (const memory of [sparse, shared]) {
      const tables = new Tables(memory, format, 1);
      fill(tables);
      expectFilled(make(memory, 1), tables);
    }
  });
});

/** A copy of some bytes. */
function bytesOf(memory: PhysicalMemory, pfn: number, bytes: number): Uint8Array {
  const copy = new Uint8Array(bytes);
  expect(memory.readBytes(pfn, 0, copy)).toBe(0);
  return copy;
}

describe('PAE roots in several regions', () => {
  it('all translate', () => {
    const memory = new PhysicalMemory();
    memory.addRam({ base: 0x1000, bytes: 0x2000 });
    memory.addRam({ base: 0x8000_0000, bytes: 0x2000 });
    memory.write(0x1000, 8, 0x2001);
    memory.write(0x1008, 8, 0x8000_0001);
    memory.write(0x1018, 8, 0x8000_1001);
    for (const [address, frame] of [
      [0x2000, 0x20],
      [0x8000_0000, 0x40],
      [0x8000_1000, 0x60],
    ] as const) {
      memory.write(address, 8, (frame << 16) | 0xe3);
    }
    const registers = { cr0: 0x8001_0001, cr3: 0x1000, cr4: 0x20, efer: 0 };
    const walker = new X86Walker({ memory, ...registers });
    expect(walker.format).toBe(x86Pae);
    for (let round = 0; round < 2; round++) {
      expect(walker.walk(0x00003, Write)).toBe(0x203);
      expect(walker.walk(0x40003, Write)).toBe(0x403);
      expect(walker.walk(0x80003, Write)).toBe(-1);
      expect(walker.walk(0xc0003, Write)).toBe(0x603);
    }
    expect([...mappings(walker)].map((leaf) => leaf.va)).toEqual([0n, 0x4000_0000n, 0xc000_0000n]);
  });
});

describe('tables in a device', () => {
  /** A device that holds tables and counts what is asked of it. */
  function device(options: { read?: boolean; write?: boolean } = {}): {
    readonly memory: PhysicalMemory;
    readonly reads: number[];
    readonly writes: number[];
  } {
    const held = PhysicalMemory.allocate(0x5000, { base: 0 });
    const tables = new Tables(held, sv39, 1);
    fill(tables);
    const reads: number[] = [];
    const writes: number[] = [];
    const memory = new PhysicalMemory();
    memory.addDevice({
      base: 0x1000,
      bytes: 0x4000,
      read: (offset, width, words) => {
        reads.push(offset);
        if (options.read === false || width !== 8) return BUS_ERROR;
        held.readWords(1, offset);
        words.low = held.low;
        words.high = held.high;
        return 0;
      },
      write: (offset, width, low, high) => {
        writes.push(offset);
        if (options.write === false || width !== 8) return BUS_ERROR;
        return held.writeWords(1, offset, low, high);
      },
    });
    return { memory, reads, writes };
  }
  const walkerOf = (memory: PhysicalMemory): RiscvWalker =>
    new RiscvWalker({ memory, satp: (8n << 60n) | 1n, adue: true });

  it('are read once a level, as 64 bits', () => {
    const { memory, reads, writes } = device();
    const walker = walkerOf(memory);
    expect(walker.walk(6, Read | User)).toBe(0x106);
    expect(reads).toEqual([0, 0x1000, 0x2030]);
    expect(writes).toEqual([]);
  });

  it('are written when A or D is to be set, and not by a probe', () => {
    const { memory, reads, writes } = device();
    const walker = walkerOf(memory);
    expect(walker.probe(5, Write | User)).toBe(0x105);
    expect([reads.length, writes]).toEqual([3, []]);
    expect(walker.walk(5, Write | User)).toBe(0x105);
    expect(writes).toEqual([0x2028]);
    expect(walker.walk(5, Write | User)).toBe(0x105);
    expect(writes).toEqual([0x2028]);
  });

  it('that refuses reads give a bus error', () => {
    const { memory } = device({ read: false });
    const walker = walkerOf(memory);
    expect(walker.walk(6, Read | User)).toBeLessThan(0);
    expect(walker.fault.rule.id).toBe('riscv.table-missing');
    expect(walker.fault.cause).toBe(5);
    expect([...mappings(walker)]).toEqual([]);
  });

  it('that refuses writes give a bus error when A is to be set', () => {
    const { memory } = device({ write: false });
    const walker = walkerOf(memory);
    expect(walker.walk(6, Write | User)).toBe(0x106);
    expect(walker.walk(5, Write | User)).toBeLessThan(0);
    expect(walker.fault.rule.id).toBe('riscv.update-missing');
    expect(walker.fault.cause).toBe(7);
    // The report says that nothing was set.
    const report = walker.explain(0x5000, Write | User, { update: true });
    expect(report.steps.map((step) => step.set)).toEqual([[], [], []]);
  });

  it('that refuses writes give a bus error on x86 too', () => {
    const memory = new PhysicalMemory();
    memory.addDevice({
      base: 0x1000,
      bytes: 0x1000,
      read: (offset) => (offset === 0 ? 0x1003 : 0),
      write: () => BUS_ERROR,
    });
    const registers = { cr0: 0x8001_0001, cr3: 0x1000, cr4: 0, efer: 0 };
    for (const accessedOnFault of [false, true]) {
      const walker = new X86Walker({ memory, ...registers, accessedOnFault });
      expect(walker.probe(0, Read)).toBe(1);
      expect(walker.walk(0, Read)).toBeLessThan(0);
      expect(walker.fault).toMatchObject({
        reason: 'bus-error',
        vector: 0,
        errorCode: 0,
        level: 1,
      });
      expect(walker.fault.rule.id).toBe('x86.update-missing');
    }
  });
});

describe('an entry that changes between read and update', () => {
  it('ends in a spurious page fault on RISC-V', () => {
    let value = 0;
    let reads = 0;
    const memory = new PhysicalMemory();
    memory.addDevice({
      base: 0x1000,
      bytes: 0x1000,
      read: (_offset, _width, words) => {
        reads++;
        value ^= 0x100; // RSW
        words.low = 0x7 | value;
        return 0;
      },
      write: () => 0,
    });
    const walker = new RiscvWalker({ memory, satp: (8n << 60n) | 1n, adue: true });
    expect(walker.walk(0, Write)).toBeLessThan(0);
    expect(walker.fault).toMatchObject({ reason: 'contended', cause: 15, level: 2 });
    expect(reads).toBeLessThan(200); // 64 attempts, each with the read of its compare-and-exchange
    expect(walker.probe(0, Write)).toBe(0);
  });

  it('ends in a spurious page fault on x86', () => {
    let value = 0;
    const memory = new PhysicalMemory();
    memory.addDevice({
      base: 0x1000,
      bytes: 0x1000,
      read: () => {
        value ^= 0x200; // ignored
        return 0x83 | value;
      },
      write: () => 0,
    });
    const registers = { cr0: 0x8001_0001, cr3: 0x1000, cr4: 0x10, efer: 0 };
    for (const accessedOnFault of [false, true]) {
      const walker = new X86Walker({ memory, ...registers, accessedOnFault });
      expect(walker.walk(0, Write)).toBeLessThan(0);
      expect(walker.fault).toMatchObject({ reason: 'contended', vector: 14, errorCode: 2 });
      const { steps } = walker.explain(0, Write, { update: true });
      expect(steps.map((step) => step.level)).toEqual([1]);
      expect(walker.probe(0, Write)).toBe(0);
    }
  });
});

describe('accessed and dirty bits that others keep changing', () => {
  it('end in a spurious page fault too, when the one that is due never stays', () => {
    let value = 0x83;
    let reads = 0;
    const memory = new PhysicalMemory();
    memory.addDevice({
      base: 0x1000,
      bytes: 0x1000,
      read: () => {
        reads++;
        value ^= 0x40; // D
        return value;
      },
      write: () => 0,
    });
    const registers = { cr0: 0x8001_0001, cr3: 0x1000, cr4: 0x10, efer: 0 };
    const walker = new X86Walker({ memory, ...registers });
    expect(walker.walk(0, Read)).toBeLessThan(0);
    expect(walker.fault).toMatchObject({ reason: 'contended', vector: 14, errorCode: 0 });
    expect(reads).toBeLessThan(64 * 66);
  });
});

describe('the kind of memory', () => {
  it('makes no difference to any answer', () => {
    const word = fc.oneof(
      fc.constantFrom(0x801n, 0xc01n, 0x1001n, 0x401n),
      fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      fc.nat({ max: 0xff }).map((bits) => BigInt(bits) | (5n << 10n) | 1n),
    );
    const entry = fc.tuple(fc.integer({ min: 1, max: 4 }), fc.nat({ max: 7 }), word);
    const access = fc
      .tuple(fc.constantFrom(0, 1, 2), fc.constantFrom(0, 4, 32))
      .map(([kind, more]) => (kind === 2 && more === 32 ? kind : kind | more));
    const query = fc.tuple(fc.nat({ max: 7 }), fc.nat({ max: 7 }), fc.nat({ max: 7 }), access);
    fc.assert(
      fc.property(
        fc.array(entry, { maxLength: 16 }),
        fc.array(query, { maxLength: 12 }),
        (entries, queries) => {
          const memories = ['flat', 'sparse', 'shared', 'unaligned'].map((kind) => {
            const memory = new PhysicalMemory();
            if (kind === 'sparse') memory.addSparse({ base: 0x1000, bytes: 0x4000 });
            else if (kind === 'unaligned') {
              memory.addRam({ base: 0x1000, source: new ArrayBuffer(0x4003), byteOffset: 3 });
            } else memory.addRam({ base: 0x1000, bytes: 0x4000, shared: kind === 'shared' });
            for (const [frame, slot, value] of entries) {
              memory.write(frame * 4096 + slot * 8, 8, value);
            }
            return memory;
          });
          const runs = memories.map((memory) => {
            const walker = new RiscvWalker({ memory, satp: (8n << 60n) | 1n, adue: true });
            const results = queries.map(([high, middle, low, kind]) => {
              const vpn = high * 2 ** 18 + middle * 512 + low;
              return [walker.probe(vpn, kind), walker.walk(vpn, kind), walker.fault.rule.id];
            });
            const bytes = bytesOf(memory, 1, 0x4000);
            return { results, bytes: Buffer.from(bytes).toString('base64') };
          });
          for (const run of runs.slice(1)) expect(run).toEqual(runs[0]);
        },
      ),
      { numRuns: 60 },
    );
  });
});
