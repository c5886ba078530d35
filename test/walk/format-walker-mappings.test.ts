import { Access } from 'pagewright/core';
import { PhysicalMemory } from 'pagewright/memory';
import { definePteFormat, type PteFormat } from 'pagewright/pte';
import { FormatWalker, mappings, mergedMappings } from 'pagewright/walk';
import { describe, expect, it } from 'vitest';

/** A root of 1,024 pointers to one table of 2^20 entries, 2,048 times as many as most tables have. */
function large(): FormatWalker {
  const format = definePteFormat({
    name: 'large tables',
    pageBytes: 4096,
    entryBytes: 2,
    levels: [
      { bits: 10, tableBytes: 2 ** 11 },
      { bits: 20, tableBytes: 2 ** 21 },
    ],
    bits: { valid: 15, frame: [14, 0] },
  });
  const memory = new PhysicalMemory();
  memory.addSparse({ base: 0, bytes: 2 ** 24 });
  // Frames far apart and beyond memory, so that nothing is the same table twice.
  for (let index = 0; index < 1024; index++) memory.write(2 * index, 2, 0x8000 | (16 + index));
  return new FormatWalker({ memory, format, root: 0 });
}

describe('large tables', () => {
  // The root counts twice, for 1,024 entries, and each table below for 2,048.
  const limits = [
    [0, 0],
    [1, 1],
    [2, 1],
    [3, 2],
    [2050, 2],
    [2051, 3],
  ] as const;

  it.each(limits)('count for what they hold: a limit of %i visits %i tables', (limit, tables) => {
    const cursor = mappings(large(), { visitLimit: limit });
    expect(cursor.advance()).toBe(false);
    expect(cursor.visits).toBe(tables);
    expect(cursor.stoppedAt).toBe(tables < 2 ? 0n : BigInt(tables - 1) * 2n ** 32n);
    const { stoppedAt, visits } = mergedMappings(large(), { visitLimit: limit });
    expect([visits, stoppedAt]).toEqual([cursor.visits, cursor.stoppedAt]);
  });

  it('are bounded by the limit that nobody gave', () => {
    const cursor = mappings(large());
    expect(cursor.advance()).toBe(false);
    expect(cursor.visits).toBe(1 + 2 ** 18 / 2 ** 11);
  }, 120_000);
});

/** Two levels of 32-byte pages, four to a table; huge pages, global pages, and a bit for accessed ones. */
const format: PteFormat = definePteFormat({
  name: 'with global pages',
  pageBytes: 32,
  entryBytes: 2,
  levels: [{ bits: 2, huge: true }, { bits: 2 }],
  bits: { valid: 0, write: 1, global: 2, accessed: 3, leaf: 4, frame: [15, 8] },
});
const VALID = 1;
const GLOBAL = 4;
const ACCESSED = 8;
const HUGE = 16;

/** A walker whose root (page 1) and first table (page 2) hold these entries. */
function walkerOf(root: readonly number[], table: readonly number[]): FormatWalker {
  const memory = PhysicalMemory.allocate(4096, { base: 0 });
  for (const [page, entries] of [[1, root] as const, [2, table] as const]) {
    entries.forEach((entry, index) => {
      memory.write(32 * page + 2 * index, 2, entry);
    });
  }
  return new FormatWalker({ memory, format, root: 1 });
}
const pointer = 0x0200 | VALID;

describe('global pages', () => {
  const table = [0x1000 | VALID, 0x1100 | VALID | GLOBAL];

  it('are global in an answer, in a mapping and in a range', () => {
    const walker = walkerOf([pointer], table);
    expect(walker.translate(0, Access.Read)).toMatchObject({ kind: 'page', global: false });
    expect(walker.translate(32, Access.Read)).toMatchObject({ kind: 'page', global: true });
    expect([...mappings(walker)].map((leaf) => leaf.global)).toEqual([false, true]);
    const { ranges } = mergedMappings(walker);
    expect(ranges.map(({ global, pages, va }) => [va, pages, global])).toEqual([
      [0n, 1, false],
      [32n, 1, true],
    ]);
  });

  it('are so by their leaf alone: a pointer has no such bit', () => {
    const walker = walkerOf([pointer | GLOBAL], [table[0]!]);
    expect(walker.translate(0, Access.Read)).toMatchObject({ kind: 'page', global: false });
  });

  it('are so when they are huge', () => {
    const walker = walkerOf([0x1000 | VALID | HUGE | GLOBAL], []);
    const page = { kind: 'page', global: true, pageBytes: 128 };
    expect(walker.translate(0, Access.Read)).toMatchObject(page);
  });
});

describe('merged ranges', () => {
  it('keep pages of different sizes apart', () => {
    const four = [0, 1, 2, 3].map((index) => ((0x10 + index) << 8) | VALID);
    const { ranges } = mergedMappings(walkerOf([pointer, 0x1400 | VALID | HUGE], four));
    expect(ranges.map(({ pageBytes, pages, va }) => [va, pages, pageBytes])).toEqual([
      [0n, 4, 32],
      [128n, 4, 128],
    ]);
  });

  it('are the same whether a page was used or not', () => {
    const { ranges } = mergedMappings(
      walkerOf([pointer], [0x1000 | VALID, 0x1100 | VALID | ACCESSED]),
    );
    expect(ranges.map(({ pages }) => pages)).toEqual([2]);
  });
});
