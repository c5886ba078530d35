import fc from 'fast-check';
import { formatProt } from 'pagewright/core';
import { PhysicalMemory } from 'pagewright/memory';
import { sv39, x86Legacy, x86Long4, x86Long5, x86Pae } from 'pagewright/pte';
import {
  type MappedRange,
  type Mapping,
  mappings,
  mergedMappings,
  type RadixWalker,
  RiscvWalker,
  X86Walker,
} from 'pagewright/walk';
import { describe, expect, it, test } from 'vitest';
import { expectError } from '../core/errors.js';
import { MODES, Tables } from './build-tables.js';
import { FIRST, randomTables, writeTables } from './random-tables.js';

const ram = (frames: number): PhysicalMemory => PhysicalMemory.allocate(frames * 4096, { base: 0 });

/** The plain merge: leaf after leaf, each beside the last range or a range of its own. */
function plainMerge(leaves: Iterable<Mapping>, contiguous: boolean): MappedRange[] {
  const ranges: { range: MappedRange; kind: string }[] = [];
  for (const { type, va, pa, pages, level, prot, entry, raw, ...attributes } of leaves) {
    const kind = JSON.stringify([level, prot, attributes]);
    const end = va + BigInt(pages) * 4096n;
    const last = ranges.at(-1);
    if (last !== undefined && last.kind === kind && last.range.end === va) {
      const { range } = last;
      const follows = range.pa !== null && range.pa + (va - range.va) === pa;
      if (follows || !contiguous) {
        const whole = { end, pages: range.pages + pages, pa: follows ? range.pa : null };
        last.range = { ...range, ...whole };
        continue;
      }
    }
    ranges.push({ range: { va, end, pages, pa, prot, ...attributes }, kind });
  }
  return ranges.map(({ range }) => range);
}

describe.each(MODES)('merged mappings of $name', ({ format, walker }) => {
  const random = fc.tuple(randomTables(format), fc.boolean());

  it('are the leaves, merged one after the other', () => {
    let merged = 0;
    fc.assert(
      fc.property(random, ([words, contiguous]) => {
        const memory = ram(FIRST + 8);
        writeTables(memory, format, words);
        const machine = walker(memory, FIRST);
        const cursor = mappings(machine, { visitLimit: 5000 });
        const leaves = [...cursor];
        fc.pre(cursor.stoppedAt === null);
        const { type, ranges, stoppedAt, visits } = mergedMappings(machine, { contiguous });
        expect(ranges).toEqual(plainMerge(leaves, contiguous));
        expect([type, stoppedAt]).toEqual(['merged-mappings', null]);
        // Never more tables than by the other way, and no table at one level under one set of rights twice.
        expect(visits).toBeLessThanOrEqual(cursor.visits);
        expect(visits).toBeLessThanOrEqual(8 * format.levels * 16);
        merged += leaves.length - ranges.length;
      }),
      { numRuns: 100 },
    );
    expect(merged).toBeGreaterThan(20);
  });

  it('are exact up to where a limit stopped them', () => {
    const limits = fc.record(
      { visitLimit: fc.nat({ max: 12 }), rangeLimit: fc.nat({ max: 30 }) },
      { requiredKeys: [] },
    );
    let stops = 0;
    fc.assert(
      fc.property(random, limits, ([words, contiguous], limit) => {
        const memory = ram(FIRST + 8);
        writeTables(memory, format, words);
        const machine = walker(memory, FIRST);
        const cursor = mappings(machine, { visitLimit: 5000 });
        const leaves = [...cursor];
        fc.pre(cursor.stoppedAt === null);
        const { ranges, stoppedAt, visits } = mergedMappings(machine, { contiguous, ...limit });
        const below = leaves.filter((leaf) => stoppedAt === null || leaf.va < stoppedAt);
        expect(ranges).toEqual(plainMerge(below, contiguous));
        expect(visits).toBeLessThanOrEqual(limit.visitLimit ?? 5000);
        expect(ranges.length).toBeLessThanOrEqual(limit.rangeLimit ?? 5000);
        if (stoppedAt !== null) stops++;
      }),
      { numRuns: 100 },
    );
    expect(stops).toBeGreaterThan(20);
  });
});

describe('a top-level table that refers to itself', () => {
  const recursive = (format: typeof x86Long4, options: object): X86Walker => {
    const memory = ram(2);
    const entries = 4096 / format.entryBytes;
    for (let slot = 0; slot < entries; slot++) {
      memory.write(0x1000 + slot * format.entryBytes, format.entryBytes === 4 ? 4 : 8, 0x1003n);
    }
    return new X86Walker({ memory, cr3: 0x1000, ...options });
  };

  test.each([
    { format: x86Long4, options: {}, bits: 48 },
    { format: x86Long5, options: { cr4: 0x1020 }, bits: 57 },
  ])(
    'in all entries ends at once, with exact ranges ($format.name)',
    ({ format, options, bits }) => {
      const { ranges, visits, stoppedAt } = mergedMappings(recursive(format, options));
      const half = 2n ** BigInt(bits - 1);
      const pages = Number(half / 4096n);
      expect(ranges.map(({ va, end, pages, pa, prot }) => [va, end, pages, pa, prot])).toEqual([
        [0n, half, pages, null, 7],
        [2n ** 64n - half, 2n ** 64n, pages, null, 7],
      ]);
      expect(visits).toBe(format.levels);
      expect(stoppedAt).toBeNull();
    },
  );

  it('in all entries of 32-bit paging is one range up to 4 GiB', () => {
    const walker = recursive(x86Legacy, { cr0: 0x8001_0001, cr4: 0, efer: 0 });
    const { ranges, visits } = mergedMappings(walker);
    expect(ranges.map(({ va, end, pages }) => [va, end, pages])).toEqual([
      [0n, 2n ** 32n, 2 ** 20],
    ]);
    expect(visits).toBe(2);
  });

  it('shows each combination of rights once', () => {
    const memory = ram(2);
    // Half of the entries take writes away, a quarter user rights too.
    for (let slot = 0; slot < 512; slot++) {
      memory.write(0x1000 + 8 * slot, 8, [0x1007, 0x1005, 0x1007, 0x1001][slot & 3] ?? 0);
    }
    const walker = new X86Walker({ memory, cr3: 0x1000 });
    const { visits, ranges, stoppedAt } = mergedMappings(walker, { rangeLimit: 1000 });
    // One root, then at most three sets of rights at each of three levels.
    expect(visits).toBeLessThanOrEqual(10);
    expect(stoppedAt).not.toBeNull();
    expect(ranges.length).toBeGreaterThan(400);
    expect(ranges.length).toBeLessThanOrEqual(1000);
  });

  it('stops at the range limit when frames must follow one another', () => {
    const { ranges, stoppedAt } = mergedMappings(recursive(x86Long4, {}), {
      contiguous: true,
      rangeLimit: 10_000,
    });
    // Exact: nothing is missing before the address.
    expect(stoppedAt).not.toBeNull();
    expect(ranges.length).toBeLessThanOrEqual(10_000);
    expect(ranges.length).toBeGreaterThan(5_000);
    expect(ranges.at(-1)?.end).toBe(stoppedAt);
    expect(ranges.every((range, index) => range.va === BigInt(index) * 4096n)).toBe(true);
  });

  it('appears with its tables as pages, the recursive slot of a real kernel included', () => {
    const tables = new Tables(ram(8), x86Long4, 1);
    tables.map(0x7000n, 0x42);
    tables.write(0x1000n + 8n * 510n, 0x1003n);
    const walker = new X86Walker({ memory: tables.memory, cr3: 0x1000 });
    const { ranges, stoppedAt } = mergedMappings(walker);
    expect(ranges).toEqual(plainMerge(mappings(walker), false));
    expect(stoppedAt).toBeNull();
  });
});

describe('a merged range', () => {
  /** Pages 0, 1, 2 of a page table. */
  const three = (entries: readonly bigint[], options: object = {}): X86Walker => {
    const tables = new Tables(ram(8), x86Long4, 1);
    entries.forEach((entry, page) => {
      tables.put(BigInt(page) * 4096n, 0, entry);
    });
    return new X86Walker({ memory: tables.memory, cr3: 0x1000, cr4: 0xa0, ...options });
  };
  const spans = (walker: RadixWalker, contiguous = false): (readonly [number, bigint | null])[] =>
    mergedMappings(walker, { contiguous }).ranges.map((range) => [range.pages, range.pa]);

  it('has the physical address of frames that follow one another, and null for others', () => {
    expect(spans(three([0x7007n, 0x8007n, 0x9007n]))).toEqual([[3, 0x7000n]]);
    expect(spans(three([0x7007n, 0x8007n, 0x7007n]))).toEqual([[3, null]]);
    expect(spans(three([0x7007n, 0x7007n, 0x8007n]))).toEqual([[3, null]]);
    expect(spans(three([0x7007n, 0n, 0x9007n]))).toEqual([
      [1, 0x7000n],
      [1, 0x9000n],
    ]);
  });

  it('ends where frames stop following one another, if asked to', () => {
    expect(spans(three([0x7007n, 0x8007n, 0x9007n]), true)).toEqual([[3, 0x7000n]]);
    expect(spans(three([0x7007n, 0x8007n, 0x7007n]), true)).toEqual([
      [2, 0x7000n],
      [1, 0x7000n],
    ]);
  });

  it('goes on from one table into the next', () => {
    const tables = new Tables(ram(8), x86Long4, 1);
    tables.map(0x1f_f000n, 0x41);
    tables.map(0x20_0000n, 0x42);
    const walker = new X86Walker({ memory: tables.memory, cr3: 0x1000 });
    expect(mergedMappings(walker, { contiguous: true }).ranges).toEqual([
      {
        va: 0x1f_f000n,
        end: 0x20_1000n,
        pages: 2,
        pa: 0x41000n,
        prot: 15,
        pageBytes: 4096,
        global: false,
        x86: { patIndex: 0, protectionKey: 0 },
      },
    ]);
  });

  it('goes on from one PAE directory into the next', () => {
    const tables = new Tables(ram(8), x86Pae, 1);
    tables.map(0x3fff_f000n, 0x41);
    tables.map(0x4000_0000n, 0x42);
    const registers = { cr0: 0x8001_0001, cr3: 0x1000, cr4: 0x20, efer: 0 };
    const walker = new X86Walker({ memory: tables.memory, ...registers });
    expect(spans(walker)).toEqual([[2, 0x41000n]]);
    // The third register is empty: a visit limit of two tables stops in the second directory.
    const { ranges, stoppedAt } = mergedMappings(walker, { visitLimit: 2 });
    expect([ranges.length, stoppedAt]).toEqual([1, 0x4000_0000n]);
  });

  test.each([
    ['rights', 0x8005n, {}],
    ['fetch rights', (1n << 63n) | 0x8007n, {}],
    ['user rights', 0x8003n, {}],
    ['global', 0x8107n, {}],
    ['PWT', 0x800fn, {}],
    ['PCD', 0x8017n, {}],
    ['PAT', 0x8087n, {}],
    ['the protection key', (5n << 59n) | 0x8007n, { cr4: 0x40_00a0 }],
    ['the key of a supervisor page', (5n << 59n) | 0x8003n, { cr4: 0x100_00a0 }],
  ])('ends where %s differ', (_, second, options) => {
    expect(spans(three([0x7007n, second], options))).toHaveLength(2);
  });

  test.each([
    ['A', 0x8027n, {}],
    ['D', 0x8047n, {}],
    ['software bits', (0x7fn << 52n) | 0x8e07n, {}],
    ['the key while keys are off', (5n << 59n) | 0x8007n, {}],
    ['global while CR4.PGE is 0', 0x8107n, { cr4: 0x20 }],
  ])('does not mind %s', (_, second, options) => {
    expect(spans(three([0x7007n, second], options))).toEqual([[2, 0x7000n]]);
  });

  test.each([
    ['rights', 0x2003n, 2],
    ['global', 0x202fn, 2],
    ['PBMT', (1n << 61n) | 0x200fn, 2],
    ['A and D', 0x20cfn, 1],
    ['RSW', 0x230fn, 1],
  ])('of RISC-V: %s', (_, second, count) => {
    const tables = new Tables(ram(8), sv39, 1);
    tables.put(0n, 0, 0x1c0fn);
    tables.put(0x1000n, 0, second);
    const walker = new RiscvWalker({ memory: tables.memory, satp: (8n << 60n) | 1n, pbmte: true });
    expect(spans(walker)).toHaveLength(count);
  });

  it('keeps a NAPOT group apart from single pages', () => {
    const tables = new Tables(ram(8), sv39, 1);
    for (let page = 0n; page < 16n; page++) {
      tables.map(page * 4096n, 0x5550, 0, { R: 1, N: 1 });
    }
    tables.map(0x10000n, 0x5560, 0, { R: 1 });
    const walker = new RiscvWalker({ memory: tables.memory, satp: (8n << 60n) | 1n });
    const { ranges } = mergedMappings(walker);
    expect(ranges.map(({ pages, pa, pageBytes }) => [pages, pa, pageBytes])).toEqual([
      [16, 0x555_0000n, 0x10000],
      [1, 0x556_0000n, 0x1000],
    ]);
  });

  it('keeps page sizes apart', () => {
    const tables = new Tables(ram(8), sv39, 1);
    tables.map(0n, 0x40000, 2);
    tables.map(0x4000_0000n, 0x80000, 1);
    tables.map(0x4020_0000n, 0x80200, 0);
    const walker = new RiscvWalker({ memory: tables.memory, satp: (8n << 60n) | 1n });
    const { ranges } = mergedMappings(walker);
    expect(ranges.map(({ va, pages, pageBytes }) => [va, pages, pageBytes])).toEqual([
      [0n, 2 ** 18, 2 ** 30],
      [0x4000_0000n, 512, 2 ** 21],
      [0x4020_0000n, 1, 4096],
    ]);
  });

  it('may end at 2^64', () => {
    const tables = new Tables(ram(8), sv39, 1);
    tables.map(2n ** 64n - 4096n, 0x42, 0, { R: 1 });
    const walker = new RiscvWalker({ memory: tables.memory, satp: (8n << 60n) | 1n });
    const { ranges } = mergedMappings(walker);
    expect(ranges.map(({ va, end, prot }) => [va, end, formatProt(prot)])).toEqual([
      [2n ** 64n - 4096n, 2n ** 64n, 'r---'],
    ]);
  });
});

describe('merging', () => {
  it('finds nothing without translation', () => {
    const result = mergedMappings(new RiscvWalker({ memory: ram(1) }));
    const nothing = { type: 'merged-mappings', ranges: [], visits: 0, stoppedAt: null };
    expect({ ...result }).toEqual(nothing);
  });

  it('answers with plain data', () => {
    const tables = new Tables(ram(8), sv39, 1);
    tables.map(0x7000n, 0x42);
    const result = mergedMappings(
      new RiscvWalker({ memory: tables.memory, satp: (8n << 60n) | 1n }),
    );
    expect(structuredClone(result)).toEqual({ ...result });
    expect(JSON.parse(JSON.stringify(result))).toMatchObject({
      ranges: [{ va: '0x7000', end: '0x8000', pa: '0x42000' }],
      visits: 3,
    });
  });

  it('wants limits that are non-negative integers', () => {
    const walker = new RiscvWalker({ memory: ram(1) });
    for (const limit of ['visitLimit', 'rangeLimit'] as const) {
      expectError(() => mergedMappings(walker, { [limit]: -1 }), 'out-of-range', limit);
      expectError(() => mergedMappings(walker, { [limit]: 0.5 }), 'bad-argument', limit);
    }
  });
});
