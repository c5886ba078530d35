import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { happened, Pair, SITUATIONS, type Step } from './model-pair.js';
import { SHAPES } from './model-shapes.js';

// The fast TLBs against a plain list of entries with explicit recency: every answer, every count, and after each step
// everything that is in them, and where.

/** Where pages are: at 0, around 2^31 and 2^32, at a gigantic page, and at the very top. */
const PLACES = [0, 0, 0, 0, 2 ** 31 - 4, 2 ** 32 - 4, 2 ** 40, 2 ** 52 - 48];
const KINDS: readonly Step['kind'][] = [
  ...Array<'lookup'>(9).fill('lookup'),
  ...Array<'fill'>(9).fill('fill'),
  ...Array<'context'>(4).fill('context'),
  ...Array<'flush'>(3).fill('flush'),
  'save',
  'restart',
  'watch',
];

const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom(...KINDS),
  vpn: fc
    .tuple(fc.constantFrom(...PLACES), fc.oneof(fc.nat(9), fc.nat(40)))
    .map(([place, near]) => place + near),
  order: fc.constantFrom(0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 9, 18, 30),
  run: fc.constantFrom(1, 1, 1, 2, 5, 8),
  frame: fc.constantFrom(-1, 0, 0, 1, 1, 2),
  fragment: fc.constantFrom(false, false, false, true),
  rights: fc.constantFrom(0, 1, 1, 3, 3, 3, -(2 ** 31)),
  memoryType: fc.constantFrom(0, 0, 0, 6),
  global: fc.constantFrom(false, false, true),
  asid: fc.constantFrom(0, 1, 65535),
  vmid: fc.constantFrom(0, 0, 0, 65535),
  root: fc.constantFrom(0, 0, 0, 2 ** 20 - 1),
  pages: fc.constantFrom(null, 1, 1, 1, 2, 7, 40, 2 ** 20),
  which: fc.nat(31),
});

describe('a TLB answers as a plain list of entries does', () => {
  it.each(SHAPES.map((shape) => [shape.name, shape] as const))('%s', (_name, shape) => {
    fc.assert(
      fc.property(
        fc.array(step, { minLength: 1, maxLength: 120, size: 'max' }),
        fc.constantFrom('allow', 'refuse'),
        fc.boolean(),
        (steps, overlaps, countSets) => {
          const pair = new Pair(shape, overlaps, countSets);
          for (const one of steps) pair.run(one);
        },
      ),
      { numRuns: shape.entries > 1000 ? 10 : 40 },
    );
  });

  it('and all of this has happened', () => {
    expect(SITUATIONS.filter((what) => !happened.has(what))).toEqual([]);
  });
});
