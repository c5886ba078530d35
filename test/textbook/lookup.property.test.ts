import fc from 'fast-check';
import { Access, Prot } from 'pagewright/core';
import { PhysicalMemory } from 'pagewright/memory';
import { definePteFormat } from 'pagewright/pte';
import {
  type AddressLookup,
  BaseAndLimit,
  HashedTable,
  InvertedTable,
  LinearTable,
  type Lookup,
  nestedReferences,
  type Segment,
  SegmentTable,
  walkerLookup,
} from 'pagewright/textbook';
import { FormatWalker } from 'pagewright/walk';
import { describe, expect, it } from 'vitest';
import { errorOf, expectError } from '../core/errors.js';
import { NESTED, nestedMachine } from '../walk/nested-machines.js';

/** What holds of every answer: the references are the steps that read memory, and the last step decides. */
function expectSound({ kind, references, steps }: Lookup): void {
  expect(references).toBe(steps.filter(({ reference }) => reference).length);
  expect(steps.at(-1)?.passed).toBe(kind === 'found');
}

const answerOf = (found: Lookup): bigint | string =>
  found.kind === 'found' ? found.pa : found.reason;

const addresses = fc.oneof(
  fc.bigInt({ min: 0n, max: 300n }),
  fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
);

describe('every scheme', () => {
  const format = definePteFormat({
    name: 'two levels of four entries',
    pageBytes: 16,
    entryBytes: 1,
    levels: [{ bits: 4 }, { bits: 4 }],
    bits: { valid: 7, frame: [5, 0] },
  });

  function walker(bytes: Uint8Array): AddressLookup {
    const memory = PhysicalMemory.allocate(4096, { base: 0 });
    bytes.forEach((byte, at) => {
      memory.write(at, 1, byte);
    });
    return walkerLookup(new FormatWalker({ memory, format, root: 0 }));
  }

  /** One of each kind, with some of pages 0 to 15 mapped. */
  const schemes = fc
    .record({
      bytes: fc.uint8Array({ minLength: 1024, maxLength: 1024 }),
      pages: fc.array(fc.nat({ max: 15 }), { maxLength: 12 }),
      pageBytes: fc.integer({ min: 1, max: 20 }),
    })
    .map(({ bytes, pageBytes, pages }) => {
      const linear = new LinearTable({ pageBytes, pages: 16 });
      const hashed = new HashedTable({ pageBytes, buckets: 3 });
      const inverted = new InvertedTable({ pageBytes, frames: 12 });
      [...new Set(pages)].forEach((page, frame) => {
        linear.map(page, frame);
        hashed.insert(page, frame);
        inverted.insert(0, page, frame);
      });
      const segments = pages.map(
        (base): Segment => ({ base: base + 9, limit: base, grows: 'down' }),
      );
      const others = [new BaseAndLimit({ base: 7, limit: 99 }), walker(bytes)];
      return [linear, hashed, inverted, new SegmentTable({ offsetBits: 4, segments }), ...others];
    });

  it('answers every address of 64 bits, counts what it reads, and ends with the step that decides', () => {
    fc.assert(
      fc.property(schemes, addresses, (all, va) => {
        for (const scheme of all) expectSound(scheme.lookup(va));
      }),
      { numRuns: 500 },
    );
  });

  it('faults beyond 2^53 pages, where page numbers are no longer exact', () => {
    const last = 2n ** 64n - 1n;
    const far = [
      new LinearTable({ pageBytes: 4, pages: Number.MAX_SAFE_INTEGER }),
      new HashedTable({ pageBytes: 4, buckets: 2 }),
      new InvertedTable({ pageBytes: 4, frames: 2 }),
      new SegmentTable({ offsetBits: 2, segments: [{ base: 0, limit: 4 }] }),
      new BaseAndLimit({ base: 0, limit: Number.MAX_SAFE_INTEGER }),
    ];
    expect(far.map((scheme) => answerOf(scheme.lookup(last)))).toEqual([
      'limit',
      'limit',
      'not-present',
      'not-present',
      'limit',
    ]);
  });

  it.each<[string, never]>(
    [-1, 0.5, Number.NaN, 2n ** 64n, '0', null].map((va) => [String(va), va as never]),
  )('refuses %s as an address, and names the argument', (_, va) => {
    const segments = [{ base: 0, limit: 4 }];
    const all = [
      new LinearTable({ pageBytes: 4, pages: 4 }),
      new HashedTable({ pageBytes: 4, buckets: 2 }),
      new InvertedTable({ pageBytes: 4, frames: 2 }),
      new SegmentTable({ offsetBits: 2, segments }),
      new BaseAndLimit({ base: 0, limit: 4 }),
    ];
    for (const scheme of all) {
      expect(errorOf(() => scheme.lookup(va)).details.argument).toBe('va');
    }
  });
});

describe('segments', () => {
  interface Case {
    readonly segments: readonly Required<Segment>[];
    readonly access: number;
    readonly va: number;
  }

  const OFFSET_BITS = 5;
  const RIGHTS = new Map<number, number>([
    [Access.Read, Prot.Read],
    [Access.Write, Prot.Write],
    [Access.Fetch, Prot.Execute],
  ]);

  /** The books' words: which bytes of the address space a segment has, one by one. */
  function model({ access, segments, va }: Case): bigint | string {
    const share = 2 ** OFFSET_BITS;
    const segment = segments[Math.floor(va / share)];
    if (segment === undefined) return 'not-present';
    const first = Math.floor(va / share) * share;
    for (let byte = 0; byte < segment.limit; byte++) {
      // Upwards byte 0 is the first of the share, downwards the last one.
      const [at, pa] =
        segment.grows === 'up'
          ? [first + byte, segment.base + byte]
          : [first + share - 1 - byte, segment.base - 1 - byte];
      if (at === va) return segment.prot & RIGHTS.get(access)! ? BigInt(pa) : 'protection';
    }
    return 'limit';
  }

  const segment = fc.record({
    base: fc.integer({ min: 40, max: 100 }),
    limit: fc.nat({ max: 2 ** OFFSET_BITS }),
    grows: fc.constantFrom<'up' | 'down'>('up', 'down'),
    prot: fc.nat({ max: 15 }),
  });
  const problem: fc.Arbitrary<Case> = fc.record({
    segments: fc.array(segment, { maxLength: 4 }),
    access: fc.constantFrom(...RIGHTS.keys()),
    va: fc.nat({ max: 5 * 2 ** OFFSET_BITS }),
  });

  it('have the bytes that counting them one by one finds', () => {
    fc.assert(
      fc.property(problem, (example) => {
        const table = new SegmentTable({ offsetBits: OFFSET_BITS, segments: example.segments });
        const found = table.lookup(example.va, example.access);
        expectSound(found);
        expect(answerOf(found)).toBe(model(example));
      }),
      { numRuns: 1000 },
    );
  });

  it('that grow down have no byte at their base', () => {
    const table = new SegmentTable({ segments: [{ base: 10, limit: 4, grows: 'down' }] });
    expect([0, 1, 4, 5].map((offset) => answerOf(table.lookupIn(0, offset)))).toEqual([
      'limit',
      9n,
      6n,
      'limit',
    ]);
  });

  it('refuse an access of no kind, and numbers of no segment', () => {
    const table = new SegmentTable({ offsetBits: 2, segments: [{ base: 0, limit: 4 }] });
    expectError(() => table.lookup(0, 3), 'bad-argument', 'access');
    expectError(() => table.lookupIn(0, 0, Number.NaN), 'bad-argument', 'access');
    expectError(() => table.lookupIn(-1, 0), 'out-of-range', 'segment');
    expectError(() => table.lookupIn(0, 0.5), 'bad-argument', 'offset');
    expectError(() => table.split(2n ** 64n - 1n), 'out-of-range', 'segment');
  });
});

describe('inverted tables', () => {
  it('keep the pages of processes apart', () => {
    const page = fc.record({ process: fc.nat({ max: 3 }), page: fc.nat({ max: 7 }) });
    const distinct = fc.uniqueArray(page, {
      maxLength: 16,
      selector: ({ page: number, process }) => `${process}:${number}`,
    });
    fc.assert(
      fc.property(distinct, (pages) => {
        const table = new InvertedTable({ pageBytes: 16, frames: 16 });
        pages.forEach(({ page: number, process }, frame) => {
          table.insert(process, number, frame);
        });
        for (let process = 0; process < 4; process++) {
          table.process = process;
          for (let number = 0; number < 8; number++) {
            const at = pages.findIndex(
              (entry) => entry.process === process && entry.page === number,
            );
            const found = table.lookup(number * 16 + 5);
            expect(answerOf(found)).toBe(at < 0 ? 'not-present' : BigInt(at * 16 + 5));
            // The search reads every entry up to the one that matches.
            expect(found.references).toBe(at < 0 ? 16 : at + 1);
          }
        }
      }),
    );
  });
});

describe('hashed tables', () => {
  it('read the bucket and the chain up to the page, the newest first', () => {
    const inserts = fc.array(fc.nat({ max: 15 }), { maxLength: 24 });
    fc.assert(
      fc.property(inserts, fc.integer({ min: 1, max: 5 }), (pages, buckets) => {
        const table = new HashedTable({ pageBytes: 16, buckets });
        pages.forEach((page, frame) => {
          table.insert(page, frame);
        });
        for (let page = 0; page < 16; page++) {
          const newest = [...new Set([...pages].reverse())];
          const chain = newest.filter((other) => other % buckets === page % buckets);
          const place = chain.indexOf(page);
          const found = table.lookup(page * 16);
          expect(found.references).toBe(1 + (place < 0 ? chain.length : place + 1));
          const frame = pages.lastIndexOf(page);
          expect(answerOf(found)).toBe(frame < 0 ? 'not-present' : BigInt(frame * 16));
        }
      }),
    );
  });
});

describe('a nested walker as a lookup', () => {
  const kind = NESTED.find(({ name }) => name === 'sv39 over sv48x4')!;

  it('shows and counts the entries of both stages', () => {
    const { walker } = nestedMachine(kind);
    const found = walkerLookup(walker).lookup(8, Access.Read | Access.User);
    expectSound(found);
    expect(found).toMatchObject({ kind: 'found', references: nestedReferences(3, 4) });
    const guests = found.steps.filter(({ action }) => action === 'read entry');
    expect([found.steps.length, guests.length]).toEqual([19, 3]);
  });

  it('shows entries that are in registers, and counts none of them', () => {
    const pae = NESTED.find(({ name }) => name === 'x86Pae over ept4')!;
    const { walker } = nestedMachine(pae);
    const found = walkerLookup(walker).lookup(8, Access.Read | Access.User);
    expectSound(found);
    expect(found).toMatchObject({ kind: 'found', references: nestedReferences(2, 4) });
    const registers = found.steps.filter(({ reference }) => !reference);
    expect(registers.map(({ action }) => action)).toEqual(['read register']);
  });

  it('counts the walk to a table that the second stage refuses', () => {
    const { host, memory, walker } = nestedMachine(kind);
    for (const address of host.written) memory.write(address, 8, 0n);
    const found = walkerLookup(walker).lookup(8, Access.Read | Access.User);
    expect(found).toMatchObject({ kind: 'fault', reason: 'not-present', references: 1 });
    expect(found.steps.at(-1)).toMatchObject({ passed: false, reference: false });
  });
});
