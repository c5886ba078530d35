import fc from 'fast-check';
import { clock, countMisses, fifo, lru, opt, secondChance, simulate } from 'pagewright/replacement';
import { describe, expect, it } from 'vitest';
import { ADAPTIVE } from './adaptive-cases.js';
import { Cache } from './cache.js';
import { CLASSICAL } from './classical-cases.js';

/** Few pages, so that many references are hits. */
const references = fc.array(fc.nat({ max: 9 }), { maxLength: 120, size: 'max' });
const frames = fc.integer({ min: 1, max: 8 });

/** Both caches after each reference. */
function* sideBySide(a: Cache, b: Cache, pages: readonly number[]): Generator<number> {
  for (const [index, page] of pages.entries()) {
    a.access(page);
    b.access(page);
    yield index;
  }
}

describe('stack policies', () => {
  it('LRU has in n frames a part of what it has in n + 1', () => {
    const property = fc.property(references, frames, (pages, n) => {
      const [small, large] = [new Cache(lru(), n), new Cache(lru(), n + 1)];
      for (const index of sideBySide(small, large, pages)) {
        const missing = small.pages.filter((page) => !large.pages.includes(page));
        expect({ index, missing }).toEqual({ index, missing: [] });
      }
    });
    fc.assert(property);
  });

  // Of pages that are never used again each size keeps others: when they were loaded depends on the size.
  it('OPT has in n frames a part of what it has in n + 1, of the pages that are used again', () => {
    const ties = fc.constantFrom('earliest-loaded' as const, 'latest-loaded' as const);
    const property = fc.property(references, frames, ties, (pages, n, tie) => {
      const kind = opt({ ties: tie });
      const [small, large] = [new Cache(kind, n, pages), new Cache(kind, n + 1, pages)];
      for (const index of sideBySide(small, large, pages)) {
        const later = pages.slice(index + 1);
        const live = small.pages.filter((page) => later.includes(page));
        const missing = live.filter((page) => !large.pages.includes(page));
        expect({ index, missing }).toEqual({ index, missing: [] });
      }
    });
    fc.assert(property);
  });

  it('FIFO is none: Belady, Nelson and Shedler found more faults in a larger memory', () => {
    const pages = [1, 2, 3, 4, 1, 2, 5, 1, 2, 3, 4, 5];
    expect([3, 4].map((n) => countMisses(fifo(), n, pages))).toEqual([9, 10]);
    expect([3, 4].map((n) => countMisses(lru(), n, pages))).toEqual([10, 8]);
  });
});

describe('OPT', () => {
  for (const { name, kind, slots } of [...CLASSICAL, ...ADAPTIVE]) {
    it(`is never beaten by ${name}`, () => {
      const size = slots === undefined ? frames : fc.constantFrom(...slots);
      const property = fc.property(references, size, fc.nat({ max: 5 }), (pages, n, tickEvery) => {
        const least = countMisses(opt(), n, pages);
        expect(countMisses(kind, n, pages, { tickEvery })).toBeGreaterThanOrEqual(least);
      });
      fc.assert(property);
    });
  }

  it('has as many misses whichever of the pages that are never used again goes', () => {
    const property = fc.property(references, frames, (pages, n) => {
      const latest = countMisses(opt({ ties: 'latest-loaded' }), n, pages);
      expect(latest).toBe(countMisses(opt(), n, pages));
    });
    fc.assert(property);
  });
});

describe('second chance', () => {
  it('chooses as CLOCK does while no page is removed', () => {
    const property = fc.property(references, frames, (pages, n) => {
      expect(simulate(secondChance(), n, pages).steps).toEqual(simulate(clock(), n, pages).steps);
    });
    fc.assert(property);
  });
});
