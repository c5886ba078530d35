import fc from 'fast-check';
import { Access, Prot, VmError } from 'pagewright/core';
import { PhysicalMemory } from 'pagewright/memory';
import { ostep15, textbook32 } from 'pagewright/pte';
import {
  BaseAndLimit,
  HashedTable,
  InvertedTable,
  LinearTable,
  nestedReferences,
  SegmentTable,
  splitPage,
  tableCost,
  walkerLookup,
} from 'pagewright/textbook';
import { FormatWalker } from 'pagewright/walk';
import { describe, expect, it } from 'vitest';

const codeOf = (f: () => unknown): string => {
  try {
    f();
  } catch (error) {
    if (error instanceof VmError) return error.code;
    throw error;
  }
  return 'none';
};

describe('base and limit', () => {
  it('adds the base below the limit, without a memory reference, and shows both steps', () => {
    const found = new BaseAndLimit({ base: 100, limit: 10 }).lookup(9);
    expect(found).toMatchObject({ kind: 'found', pa: 109n, references: 0 });
    expect(found.steps.map(({ action }) => action)).toEqual(['compare with limit', 'add base']);
  });

  it('faults from the limit on', () => {
    const registers = new BaseAndLimit({ base: 100, limit: 10 });
    expect(registers.lookup(10)).toMatchObject({ kind: 'fault', reason: 'limit', references: 0 });
    expect(codeOf(() => registers.lookup(-1))).toBe('out-of-range');
    expect(codeOf(() => new BaseAndLimit({ base: -1, limit: 10 }))).toBe('out-of-range');
  });
});

describe('segments', () => {
  const table = new SegmentTable({
    offsetBits: 8,
    segments: [
      { base: 1000, limit: 100, prot: Prot.Read | Prot.Execute },
      { base: 500, limit: 50, grows: 'down' },
    ],
  });

  it('are chosen by the top bits of the address', () => {
    expect(table.split(0x1ff)).toEqual({ segment: 1, offset: 255 });
    expect(table.lookup(99)).toMatchObject({ kind: 'found', pa: 1099n, references: 0 });
    expect(table.lookup(100)).toMatchObject({ kind: 'fault', reason: 'limit' });
    expect(table.lookup(0x200)).toMatchObject({ kind: 'fault', reason: 'not-present' });
  });

  it('that grow down count from their end', () => {
    expect(table.lookup(0x1ff)).toMatchObject({ kind: 'found', pa: 499n });
    expect(table.lookup(0x200 - 50)).toMatchObject({ kind: 'found', pa: 450n });
    expect(table.lookup(0x200 - 51)).toMatchObject({ kind: 'fault', reason: 'limit' });
  });

  it('have rights', () => {
    expect(table.lookup(1, Access.Fetch).kind).toBe('found');
    expect(table.lookup(1, Access.Write)).toMatchObject({ kind: 'fault', reason: 'protection' });
  });

  it('must make sense', () => {
    expect(codeOf(() => new SegmentTable({ segments: 7 as never }))).toBe('bad-argument');
    expect(codeOf(() => new SegmentTable({ segments: [null as never] }))).toBe('bad-argument');
    const sideways = { base: 1, limit: 1, grows: 'sideways' as never };
    expect(codeOf(() => new SegmentTable({ segments: [sideways] }))).toBe('bad-argument');
    const deep = { base: 10, limit: 11, grows: 'down' as const };
    expect(codeOf(() => new SegmentTable({ segments: [deep] }))).toBe('out-of-range');
    expect(codeOf(() => new SegmentTable({ segments: [] }).lookup(1))).toBe('bad-argument');
  });
});

describe('linear, hashed and inverted tables', () => {
  it('agree with a map of pages, whatever is mapped and unmapped', () => {
    const command = fc.record({
      page: fc.nat({ max: 15 }),
      frame: fc.nat({ max: 15 }),
      map: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(command, { maxLength: 40 }), (commands) => {
        const model = new Map<number, number>();
        const linear = new LinearTable({ pageBytes: 10, pages: 16 });
        const hashed = new HashedTable({ pageBytes: 10, buckets: 4, hash: (page) => page >> 1 });
        const inverted = new InvertedTable({ pageBytes: 10, frames: 16 });
        for (const { frame, map, page } of commands) {
          const taken = [...model].find(([, at]) => at === frame)?.[0];
          if (map) {
            if (taken !== undefined) {
              model.delete(taken);
              linear.unmap(taken);
              hashed.remove(taken);
            }
            const old = model.get(page);
            if (old !== undefined) inverted.remove(old);
            model.set(page, frame);
            linear.map(page, frame);
            hashed.insert(page, frame);
            inverted.insert(0, page, frame);
          } else if (model.has(page)) {
            inverted.remove(model.get(page)!);
            model.delete(page);
            linear.unmap(page);
            hashed.remove(page);
          }
        }
        for (let page = 0; page < 16; page++) {
          const frame = model.get(page);
          const wanted = frame === undefined ? 'not-present' : BigInt(frame * 10 + 3);
          for (const table of [linear, hashed, inverted]) {
            const found = table.lookup(page * 10 + 3);
            expect(found.kind === 'found' ? found.pa : found.reason).toBe(wanted);
          }
        }
      }),
    );
  });

  it('count their references: one, the chain, the search', () => {
    const linear = new LinearTable({ pageBytes: 4096, pages: 4 });
    expect(linear.lookup(0)).toMatchObject({ kind: 'fault', references: 1 });
    expect(linear.lookup(5 * 4096)).toMatchObject({ reason: 'limit', references: 0 });
    const hashed = new HashedTable({ pageBytes: 4096, buckets: 2 });
    expect(hashed.lookup(0).references).toBe(1);
    hashed.insert(0, 1);
    hashed.insert(2, 2);
    expect(hashed.lookup(0).references).toBe(3);
    expect(hashed.lookup(4 * 4096)).toMatchObject({ kind: 'fault', references: 3 });
    const inverted = new InvertedTable({ pageBytes: 4096, frames: 5 });
    expect(inverted.lookup(0)).toMatchObject({ kind: 'fault', references: 5 });
  });

  it('refuse what they cannot do', () => {
    const inverted = new InvertedTable({ pageBytes: 4096, frames: 5 });
    inverted.insert(1, 2, 3);
    expect(codeOf(() => inverted.insert(1, 2, 4))).toBe('overlap');
    expect(codeOf(() => inverted.remove(5))).toBe('out-of-range');
    expect(codeOf(() => new LinearTable({ pageBytes: 4096, pages: 4 }).unmap(1))).toBe(
      'bad-argument',
    );
    const hashed = new HashedTable({ pageBytes: 4096, buckets: 2, hash: () => -1 });
    expect(codeOf(() => hashed.insert(1, 1))).toBe('out-of-range');
    expect(codeOf(() => new HashedTable({ pageBytes: 4096, buckets: 2 }).remove(1))).toBe(
      'bad-argument',
    );
    const options = { pageBytes: 4096, buckets: 2, hash: 7 as never };
    expect(codeOf(() => new HashedTable(options))).toBe('bad-argument');
  });
});

describe('a walker as a lookup', () => {
  it('tells limit, absence and protection apart', () => {
    const memory = PhysicalMemory.allocate(0x3000, { base: 0 });
    memory.write(0, 4, textbook32.build({ kind: 'pointer', level: 1, pfn: 1 }));
    memory.write(0x1000, 4, textbook32.build({ kind: 'leaf', pfn: 2, fields: { W: 0 } }));
    const lookup = walkerLookup(new FormatWalker({ memory, format: textbook32, root: 0 }));
    expect(lookup.lookup(4)).toMatchObject({ kind: 'found', pa: 0x2004n, references: 2 });
    expect(lookup.lookup(4, Access.Write)).toMatchObject({ reason: 'protection', references: 2 });
    expect(lookup.lookup(0x1000)).toMatchObject({ reason: 'not-present', references: 2 });
    expect(lookup.lookup(2n ** 32n)).toMatchObject({ reason: 'limit', references: 0 });
  });

  it('works with pages of 32 bytes', () => {
    const memory = PhysicalMemory.allocate(0x1000, { base: 0 });
    const walker = new FormatWalker({ memory, format: ostep15, root: 3 });
    expect(walkerLookup(walker).lookup(0)).toMatchObject({ reason: 'not-present', references: 1 });
  });
});

describe('arithmetic', () => {
  it('splits addresses for pages that are no power of two', () => {
    expect(splitPage(2001, 1000)).toEqual({ page: 2, offset: 1 });
    expect(codeOf(() => splitPage(1, 0))).toBe('out-of-range');
  });

  it('counts nested references', () => {
    expect([nestedReferences(4, 4), nestedReferences(5, 5), nestedReferences(0, 4)]).toEqual([
      24, 35, 4,
    ]);
    expect(codeOf(() => nestedReferences(7, 1))).toBe('out-of-range');
  });
});

describe('the cost of tables', () => {
  const layout = { virtualBits: 32, pageBytes: 4096, ranges: [{ page: 1024, pages: 1025 }] };

  it('of radix counts the tables that ranges touch, level by level', () => {
    const { bytes, parts } = tableCost(layout, {
      kind: 'radix',
      entryBytes: 4,
      indexBits: [10, 10],
    });
    expect(parts.map(({ name, tables }) => [name, tables])).toEqual([
      ['level 1', 1],
      ['level 0', 2],
    ]);
    expect(bytes).toBe(3 * 4096);
  });

  it('of hashed and inverted tables does not depend on the address space', () => {
    const hashed = tableCost(layout, {
      kind: 'hashed',
      bucketBytes: 8,
      buckets: 16,
      entryBytes: 24,
    });
    expect(hashed.bytes).toBe(16 * 8 + 1025 * 24);
    const inverted = { kind: 'inverted', entryBytes: 16 } as const;
    expect(tableCost(layout, { ...inverted, frames: 2048 }).bytes).toBe(16 * 2048);
    // Every page that is mapped is in a frame.
    expect(tableCost(layout, { ...inverted, frames: 1025 }).bytes).toBe(16 * 1025);
    expect(codeOf(() => tableCost(layout, { ...inverted, frames: 1024 }))).toBe('out-of-range');
  });

  it('counts a table once however many ranges touch it', () => {
    const ranges = [0, 5, 9, 600].map((page) => ({ page, pages: 2 }));
    const organisation = { kind: 'radix', entryBytes: 8, indexBits: [9, 9, 9, 9] } as const;
    const { parts } = tableCost({ virtualBits: 48, pageBytes: 4096, ranges }, organisation);
    expect(parts.map(({ tables }) => tables)).toEqual([1, 1, 1, 2]);
  });

  it.each<[string, () => unknown]>([
    [
      'ranges out of order',
      () =>
        tableCost(
          {
            ...layout,
            ranges: [
              { page: 5, pages: 2 },
              { page: 6, pages: 1 },
            ],
          },
          { kind: 'linear', entryBytes: 4 },
        ),
    ],
    [
      'pages that are no power of two',
      () => tableCost({ ...layout, pageBytes: 1000 }, { kind: 'linear', entryBytes: 4 }),
    ],
    [
      'widths that do not add up',
      () => tableCost(layout, { kind: 'radix', entryBytes: 4, indexBits: [10, 9] }),
    ],
    [
      'ranges not aligned to the leaves',
      () => tableCost(layout, { kind: 'radix', entryBytes: 4, indexBits: [10, 10], leafLevel: 1 }),
    ],
    ['an organisation that nobody knows', () => tableCost(layout, { kind: 'b-tree' } as never)],
  ])('refuses %s', (_, f) => {
    expect(codeOf(f)).not.toBe('none');
  });
});
