import fc from 'fast-check';
import { Access } from 'pagewright/core';
import { missCurve, missesAt } from 'pagewright/replacement';
import { Tlb } from 'pagewright/tlb';
import { describe, expect, it } from 'vitest';
import { streamHash } from '../../src/mmu/reference-stream.js';
import { type SweepSubject, sweep } from '../../src/mmu/sweep.js';
import { grid } from '../../src/mmu/sweep-configuration.js';
import { tlbSubject } from '../../src/mmu/sweep-subjects.js';
import { counter, lruOf } from './subjects.js';

const { Fetch, Read, Write } = Access;
const TEN = { vpns: Array.from({ length: 10 }, (_, index) => index) };

describe('a sweep', () => {
  it('gives a row for each configuration, with all that tells which it was', () => {
    const stream = { vpns: [1, 2, 1, 3], accesses: [Read, Write, Read, Fetch] };
    const configurations = [{ entries: 1 }, { entries: 2 }];
    const result = sweep({ configurations, make: lruOf, stream, seed: 9 });
    const common = {
      seed: 9,
      streamHash: streamHash(stream),
      interval: 0,
      first: 0,
      references: 4,
    };
    expect({ ...result }).toEqual({
      v: 1,
      kind: 'sweep',
      streamHash: streamHash(stream),
      seed: 9,
      references: 4,
      warmUp: 0,
      rows: [
        {
          configuration: { entries: 1 },
          ...common,
          counts: { hits: 0, misses: 4, fills: 4, evictions: 3 },
        },
        {
          configuration: { entries: 2 },
          ...common,
          counts: { hits: 1, misses: 3, fills: 3, evictions: 1 },
        },
      ],
    });
  });

  it('is plain data, which JSON brings back', () => {
    const result = sweep({ configurations: [{ entries: 4 }], make: lruOf, stream: TEN });
    expect(JSON.parse(JSON.stringify(result))).toEqual({ ...result });
    expect(structuredClone({ ...result })).toEqual({ ...result });
  });

  it('does the warm-up and does not report it; the last interval has what is left', () => {
    const options = { configurations: [{}], make: counter, stream: TEN, warmUp: 3, interval: 3 };
    expect(
      sweep(options).rows.map(({ counts, first, interval, references }) => {
        return [interval, first, references, counts['references']];
      }),
    ).toEqual([
      [0, 3, 3, 3],
      [1, 6, 3, 3],
      [2, 9, 1, 1],
    ]);
  });

  it('makes one row of the whole rest unless it is told an interval, and of an interval beyond it', () => {
    const options = { configurations: [{}], make: counter, stream: TEN, warmUp: 4 };
    for (const interval of [undefined, 6, 7, Number.MAX_SAFE_INTEGER]) {
      const { rows } = sweep(interval === undefined ? options : { ...options, interval });
      expect(rows.map(({ first, references }) => [first, references])).toEqual([[4, 6]]);
    }
  });

  it('does not report what a subject had counted before its first reference', () => {
    const tlb = new Tlb({ entries: 4 });
    const subject = tlbSubject(tlb);
    for (const vpn of [0, 1, 2]) subject.reference(vpn, Read);
    const { rows } = sweep({ configurations: [{}], make: () => subject, stream: TEN });
    expect(rows[0]?.counts).toEqual({ hits: 3, misses: 7, fills: 7, evictions: 6 });
  });

  it('gives every subject the references and accesses of the stream, reads unless it says otherwise', () => {
    const seen: (readonly number[])[] = [];
    const make = (): SweepSubject => {
      return { reference: (vpn, access) => void seen.push([vpn, access]), counts: () => ({}) };
    };
    sweep({ configurations: [{}], make, stream: { vpns: [2 ** 52 - 1, 5] } });
    sweep({ configurations: [{}], make, stream: { vpns: [6, 7], accesses: [Write, Fetch | 4] } });
    expect(seen).toEqual([
      [2 ** 52 - 1, Read],
      [5, Read],
      [6, Write],
      [7, Fetch | 4],
    ]);
  });

  it('hands the seed to every configuration, 0 unless told', () => {
    const seeds: number[] = [];
    const make = (_: object, seed: number): SweepSubject => {
      seeds.push(seed);
      return counter();
    };
    sweep({ configurations: [{}, {}], make, stream: TEN, seed: -5 });
    sweep({ configurations: [{}], make, stream: TEN });
    expect(seeds).toEqual([-5, -5, 0]);
  });

  it('takes configurations of several shapes', () => {
    const { rows } = sweep({
      configurations: [{ entries: 4 }, { entries: 4, ways: 2 }],
      make: (options) => tlbSubject(new Tlb(options)),
      stream: TEN,
    });
    expect(rows.map(({ configuration }) => configuration.ways)).toEqual([undefined, 2]);
  });

  it('takes counts that are no integers', () => {
    let time = 0.25;
    const subject: SweepSubject = {
      reference() {
        time += 0.5;
      },
      counts: () => ({ time }),
    };
    const { rows } = sweep({ configurations: [{}], make: () => subject, stream: TEN, interval: 4 });
    expect(rows.map(({ counts }) => counts['time'])).toEqual([2, 2, 1]);
  });
});

describe('configurations do not touch each other', () => {
  const stream = { vpns: Array.from({ length: 200 }, (_, index) => (index * index) % 23) };

  it('in any order', () => {
    const points = grid({ entries: [8, 16, 4], ways: [1, 4] });
    const make = (options: (typeof points)[number]): SweepSubject => tlbSubject(new Tlb(options));
    const all = { make, stream, warmUp: 11, interval: 50 };
    const { rows } = sweep({ configurations: points, ...all });
    const alone = points.flatMap((point) => sweep({ configurations: [point], ...all }).rows);
    expect(rows).toEqual(alone);
    const backwards = sweep({ configurations: [...points].reverse(), ...all }).rows;
    const one = (row: object): string => JSON.stringify(row);
    expect(backwards.map(one).sort()).toEqual(rows.map(one).sort());
  });

  it('when a subject changes the stream, or the list of configurations', () => {
    const vpns = Float64Array.from(stream.vpns);
    const accesses = new Uint8Array(vpns.length);
    const configurations = [{ entries: 8 }, { entries: 4 }];
    const expected = sweep({ configurations, make: lruOf, stream: { vpns, accesses } });
    const make = (configuration: { readonly entries: number }): SweepSubject => {
      const { counts, reference } = lruOf(configuration);
      return {
        counts,
        reference(vpn, access) {
          reference(vpn, access);
          vpns.fill(0);
          accesses.fill(Write);
          configurations.length = 0;
        },
      };
    };
    const changed = sweep({
      configurations,
      make,
      stream: { vpns, accesses },
    });
    expect(changed).toEqual(expected);
  });

  it('when make changes the configuration that it is given, or the caller does later', () => {
    const configurations = [
      { list: [1, 2], nested: { ways: 4 } },
      { list: [], nested: { ways: 2 } },
    ];
    const before = structuredClone(configurations);
    const make = (configuration: (typeof configurations)[number]): SweepSubject => {
      configuration.list.push(3);
      configuration.nested.ways = 0;
      return counter();
    };
    const { rows } = sweep({ configurations, make, stream: TEN, interval: 5 });
    expect(configurations).toEqual(before);
    configurations[0]!.nested.ways = 77;
    expect(rows.map(({ configuration }) => configuration)).toEqual(
      [0, 0, 1, 1].map((index) => before[index]),
    );
  });

  it('when counts returns the same object again and again', () => {
    const counts = { references: 0 };
    const make = (): SweepSubject => ({
      reference: () => void counts.references++,
      counts: () => counts,
    });
    const { rows } = sweep({ configurations: [{}, {}], make, stream: TEN, interval: 5 });
    expect(rows.map((row) => row.counts['references'])).toEqual([5, 5, 5, 5]);
  });
});

describe('what a sweep adds up to', () => {
  const pages = fc.array(fc.nat(12), { minLength: 1, maxLength: 120 });

  it('is the same in any intervals, after any warm-up', () => {
    const inputs = fc.record({
      pages,
      cut: fc.nat(200),
      interval: fc.integer({ min: 1, max: 40 }),
    });
    fc.assert(
      fc.property(inputs, ({ cut, interval, pages: vpns }) => {
        const configurations = grid({ entries: [2, 8] });
        const all = { configurations, make: lruOf, stream: { vpns }, warmUp: cut % vpns.length };
        const whole = sweep(all).rows;
        const { rows } = sweep({ ...all, interval });
        for (const { configuration, counts, first, references } of whole) {
          const parts = rows.filter((row) => row.configuration.entries === configuration.entries);
          const sum = (of: (row: (typeof rows)[number]) => number): number =>
            parts.reduce((so, row) => so + of(row), 0);
          expect(sum((row) => row.references)).toBe(references);
          expect(parts[0]?.first).toBe(first);
          for (const [name, count] of Object.entries(counts)) {
            expect(sum((row) => row.counts[name]!)).toBe(count);
          }
        }
      }),
    );
  });

  it('is, of fully associative LRU, the curve of one pass over the references', () => {
    fc.assert(
      fc.property(pages, (vpns) => {
        const curve = missCurve(vpns);
        const configurations = grid({ entries: [1, 2, 3, 5, 8, 13, 20] });
        for (const { configuration, counts } of sweep({
          configurations,
          make: lruOf,
          stream: { vpns },
        }).rows) {
          expect(counts['misses']).toBe(missesAt(curve, configuration.entries));
        }
      }),
    );
  });
});
