import fc from 'fast-check';
import {
  countMisses,
  lru,
  missCurve,
  missesAt,
  nextUses,
  opt,
  optMissCurve,
  stackDistances,
} from 'pagewright/replacement';
import { describe, expect, it } from 'vitest';
import { referenceNextUses, referenceStackDistances } from '../../src/reference/stack-analysis.js';

/** Few pages, so that many references are hits; some of them with large numbers. */
const pages = fc.oneof(
  { weight: 3, arbitrary: fc.array(fc.nat({ max: 9 }), { maxLength: 80, size: 'max' }) },
  fc.array(fc.constantFrom(0, 1, 2 ** 31, 2 ** 32, 2 ** 32 + 1, 2 ** 33 + 1, 2 ** 53 - 1)),
);

/** Enough of them that lines of time fill up, and tables grow. */
const longer = fc
  .tuple(fc.nat(), fc.integer({ min: 1, max: 900 }))
  .map(([seed, count]) => scattered(seed, 6000, count));

/** References to so many pages, half of them to the first few. */
function scattered(seed: number, length: number, count: number): number[] {
  let word = seed | 1;
  return Array.from({ length }, () => {
    word = Math.imul(word ^ (word >>> 15), 0x2c1b3c6d) + 0x9e3779b9;
    const random = (word >>> 8) & 0xffff;
    return (word & 1) === 0 ? random % count : random % (1 + (count >> 5));
  });
}

describe('stackDistances', () => {
  it('is how deep the page is in a list of pages by their last use', () => {
    const property = fc.property(fc.oneof(pages, longer), (references) => {
      expect([...stackDistances(references)]).toEqual(referenceStackDistances(references));
    });
    fc.assert(property, { numRuns: 120 });
  });

  it('is the same of pages whose hashes were made to collide', () => {
    // The table of pages hashes low ^ high * 0x9e3779b1, which is 7 for all of these.
    const colliding = Array.from({ length: 2000 }, (_, high) => {
      return high * 2 ** 32 + ((7 ^ Math.imul(high, 0x9e3779b1)) >>> 0);
    });
    const others = Array.from({ length: 2000 }, (_, index) => index * 3);
    const all = [...colliding, ...others, ...[...colliding].reverse(), ...others];
    expect([...stackDistances(all)]).toEqual(referenceStackDistances(all));
    const { pages, misses } = missCurve(all);
    expect(pages).toBe(4000);
    expect(countMisses(lru(), 3000, all)).toBe(misses[3000]);
  });

  it('is the number of pages in a loop, from the second time on', () => {
    const loop = Array.from({ length: 9000 }, (_, index) => (index % 3000) * 2 ** 20);
    const distances = stackDistances(loop);
    expect(distances.subarray(0, 3000).every((distance) => distance === 0)).toBe(true);
    expect(distances.subarray(3000).every((distance) => distance === 3000)).toBe(true);
  });
});

describe('curves', () => {
  it('of OPT pass by what is never used again', () => {
    const scan = Array.from({ length: 200_000 }, (_, index) => index);
    // Half a minute, if each page had to pass all those before it.
    expect(missesAt(optMissCurve([...scan, 7, 7]), 1)).toBe(200_001);
  });

  const policies = [
    ['LRU', missCurve, lru()],
    ['OPT', optMissCurve, opt()],
  ] as const;
  for (const [policy, curveOf, kind] of policies) {
    it(`of ${policy} is what simulations count, size by size`, () => {
      const property = fc.property(pages, (references) => {
        const curve = curveOf(references);
        const distinct = new Set(references).size;
        expect(curve).toMatchObject({ kind: 'miss-curve', policy, pages: distinct });
        expect(curve.misses.length).toBe(distinct + 1);
        expect(missesAt(curve, 0)).toBe(references.length);
        for (let frames = 1; frames <= distinct + 2; frames++) {
          const counted = countMisses(kind, frames, references);
          expect([frames, missesAt(curve, frames)]).toEqual([frames, counted]);
        }
      });
      fc.assert(property);
    });

    it(`of ${policy} over many pages`, () => {
      const references = scattered(7, 20_000, 2_500);
      const curve = curveOf(references);
      for (const frames of [1, 2, 10, 77, 500, 1500, 2400]) {
        expect([frames, curve.misses[frames]]).toEqual([
          frames,
          countMisses(kind, frames, references),
        ]);
      }
      expect(curve.misses.at(-1)).toBe(curve.pages);
    });
  }

  it('are plain data', () => {
    const curve = missCurve(Uint8Array.of(1, 2, 1));
    expect(structuredClone({ ...curve })).toEqual({ ...curve });
    expect(JSON.parse(JSON.stringify(curve))).toEqual({
      ...{ kind: 'miss-curve', policy: 'LRU', references: 3, pages: 2 },
      misses: [3, 3, 2],
    });
  });
});

describe('nextUses', () => {
  it('is the next index of the same page', () => {
    const property = fc.property(fc.oneof(pages, longer), (references) => {
      expect([...nextUses(references)]).toEqual(referenceNextUses(references));
    });
    fc.assert(property, { numRuns: 120 });
  });
});

describe('what is no list of page numbers', () => {
  const functions = { stackDistances, missCurve, optMissCurve, nextUses };
  for (const [name, analyse] of Object.entries(functions)) {
    it(`is refused by ${name}`, () => {
      for (const bad of [[-1], [0.5], [Number.NaN], [2 ** 53], [1, 2, -0.1]]) {
        expect(() => analyse(bad)).toThrow(/page numbers/);
      }
      expect(() => analyse(JSON.parse('null'))).toThrow(/references: expected a list/);
      expect(() => analyse([])).not.toThrow();
    });
  }

  it('or of frames', () => {
    const curve = missCurve([1]);
    for (const bad of [-1, 0.5, Number.NaN]) expect(() => missesAt(curve, bad)).toThrow(/frames/);
  });
});
