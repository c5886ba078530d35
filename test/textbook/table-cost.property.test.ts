import fc from 'fast-check';
import type { VmErrorCode } from 'pagewright/core';
import {
  type SparseLayout,
  type TableCost,
  type TableOrganisation,
  tableCost,
} from 'pagewright/textbook';
import { describe, expect, it } from 'vitest';
import { expectError } from '../core/errors.js';

// The obvious way: page by page, a set of tables for each level.

type Radix = Extract<TableOrganisation, { kind: 'radix' }>;

function countedTables({ ranges }: SparseLayout, { indexBits, leafLevel = 0 }: Radix): number[] {
  const pages = ranges.flatMap(({ page, pages }) =>
    Array.from({ length: pages }, (_, n) => page + n),
  );
  const widths = [...indexBits].reverse();
  const counts = widths.map((_, level) => {
    const shift = widths.slice(0, level + 1).reduce((sum, bits) => sum + bits, 0);
    return level < leafLevel ? 0 : new Set(pages.map((page) => page >> shift)).size;
  });
  counts[counts.length - 1] = 1;
  return counts.slice(leafLevel).reverse();
}

const PAGE_BITS = 10;

/** Two to five levels that share ten bits. */
const widths = fc
  .uniqueArray(fc.integer({ min: 1, max: PAGE_BITS - 1 }), { minLength: 1, maxLength: 4 })
  .map((cuts) => [...cuts, 0, PAGE_BITS].sort((a, b) => a - b))
  .map((cuts) => cuts.slice(1).map((cut, at) => cut - cuts[at]!));

/** Ranges between some ascending pages, all a multiple of a leaf's pages; ranges may touch and be empty. */
const layoutOf = (unit: number): fc.Arbitrary<SparseLayout> =>
  fc
    .array(fc.integer({ min: 0, max: 2 ** PAGE_BITS / unit }), { maxLength: 12 })
    .map((marks) => marks.sort((a, b) => a - b).map((mark) => mark * unit))
    .map((marks) => ({
      virtualBits: PAGE_BITS + 12,
      pageBytes: 4096,
      ranges: marks.slice(0, -1).flatMap((page, at) => {
        const pages = marks[at + 1]! - page;
        return at % 2 === 0 && page < 2 ** PAGE_BITS ? [{ page, pages }] : [];
      }),
    }));

const radixCase = widths
  .chain((indexBits) => fc.tuple(fc.constant(indexBits), fc.nat({ max: indexBits.length - 1 })))
  .chain(([indexBits, leafLevel]) => {
    const below = [...indexBits].reverse().slice(0, leafLevel);
    const unit = 2 ** below.reduce((sum, bits) => sum + bits, 0);
    return fc.record({
      layout: layoutOf(unit),
      organisation: fc.constant<Radix>({ kind: 'radix', entryBytes: 8, indexBits, leafLevel }),
    });
  });

const tablesOf = ({ parts }: TableCost): number[] => parts.map(({ tables }) => tables);

describe('the cost of a table', () => {
  it('of two to five radix levels is what counting every page gives, for leaves of every size', () => {
    fc.assert(
      fc.property(radixCase, ({ layout, organisation }) => {
        const cost = tableCost(layout, organisation);
        const counted = countedTables(layout, organisation);
        expect(tablesOf(cost)).toEqual(counted);
        const bytes = counted.map((tables, at) => tables * 2 ** organisation.indexBits[at]! * 8);
        expect(cost.parts.map((part) => part.bytes)).toEqual(bytes);
        expect(cost.bytes).toBe(bytes.reduce((sum, part) => sum + part, 0));
      }),
      { numRuns: 500 },
    );
  });

  it('takes no longer for a whole address space than for a page', () => {
    const whole = { virtualBits: 64, pageBytes: 4096, ranges: [{ page: 0, pages: 2 ** 52 }] };
    const indexBits = [12, 10, 10, 10, 10];
    const { parts } = tableCost(whole, { kind: 'radix', entryBytes: 8, indexBits });
    expect(parts.map(({ tables }) => Math.log2(tables))).toEqual([0, 12, 22, 32, 42]);
    const hashed = { kind: 'hashed', bucketBytes: 8, buckets: 2, entryBytes: 16 } as const;
    expect(tableCost(whole, hashed).bytes).toBe(2 ** 56 + 16);
    expect(tableCost(whole, { kind: 'linear', entryBytes: 8 }).bytes).toBe(2 ** 55);
  });

  it('of nothing is a root, or what there is before anything is mapped', () => {
    const nothing = { virtualBits: 32, pageBytes: 4096, ranges: [{ page: 7, pages: 0 }] };
    const radix = { kind: 'radix', entryBytes: 4, indexBits: [10, 10] } as const;
    expect(tablesOf(tableCost(nothing, radix))).toEqual([1, 0]);
    const hashed = { kind: 'hashed', bucketBytes: 8, buckets: 16, entryBytes: 24 } as const;
    expect(tableCost(nothing, hashed)).toEqual({
      bytes: 128,
      parts: [
        { name: 'buckets', tables: 1, bytes: 128 },
        { name: 'elements', tables: 0, bytes: 0 },
      ],
    });
  });
});

describe('a caller who describes no layout or organisation', () => {
  const layout: SparseLayout = { virtualBits: 32, pageBytes: 4096, ranges: [] };
  const linear: TableOrganisation = { kind: 'linear', entryBytes: 4 };
  const radix: Radix = { kind: 'radix', entryBytes: 4, indexBits: [10, 10] };
  // What the types forbid, a program without types may pass all the same.
  const loose = (value: unknown): never => value as never;

  it.each<[string, () => unknown, VmErrorCode, string]>([
    ['no layout', () => tableCost(loose(null), linear), 'bad-argument', 'layout'],
    ['no organisation', () => tableCost(layout, loose(undefined)), 'bad-argument', 'organisation'],
    [
      'no ranges',
      () => tableCost(loose({ ...layout, ranges: 7 }), linear),
      'bad-argument',
      'ranges',
    ],
    [
      'an empty range',
      () => tableCost({ ...layout, ranges: [loose(null)] }, linear),
      'bad-argument',
      'ranges',
    ],
    [
      'no index widths',
      () => tableCost(layout, { ...radix, indexBits: loose('10') }),
      'bad-argument',
      'indexBits',
    ],
    [
      'pages of no bytes',
      () => tableCost({ ...layout, pageBytes: 0 }, linear),
      'out-of-range',
      'pageBytes',
    ],
    [
      'no address bits',
      () => tableCost({ ...layout, virtualBits: Number.NaN }, linear),
      'bad-argument',
      'virtualBits',
    ],
    [
      'entries of half a byte',
      () => tableCost(layout, { ...linear, entryBytes: 0.5 }),
      'bad-argument',
      'entryBytes',
    ],
    [
      'a leaf above the root',
      () => tableCost(layout, { ...radix, leafLevel: 2 }),
      'out-of-range',
      'leafLevel',
    ],
    [
      'a range past the end',
      () => tableCost({ ...layout, ranges: [{ page: 2 ** 20 - 1, pages: 2 }] }, linear),
      'out-of-range',
      'ranges.pages',
    ],
    [
      'a range after the last page',
      () => {
        const ranges = [
          { page: 0, pages: 2 ** 20 },
          { page: 2 ** 20, pages: 0 },
        ];
        return tableCost({ ...layout, ranges }, linear);
      },
      'out-of-range',
      'ranges.page',
    ],
    [
      'no frames',
      () => tableCost(layout, { kind: 'inverted', entryBytes: 8, frames: 0 }),
      'out-of-range',
      'frames',
    ],
  ])('is told so: %s', (_what, call, code, argument) => {
    expectError(call, code, argument);
  });
});
