import fc from 'fast-check';
import { Tlb, TlbContexts, type TlbOptions } from 'pagewright/tlb';
import { describe, expect, it } from 'vitest';

// The short way in, which the MMU takes, against the long one: the same entries in the same slots, the same order of
// victims, the same counts.

const shape: fc.Arbitrary<TlbOptions> = fc.constantFrom(
  { entries: 4, ways: 2, orders: [0, 2] },
  { entries: 8, ways: 4, orders: [0, 2] },
  { entries: 4, orders: [0, 2] },
  { entries: 6, ways: 2, orders: [0, 2] },
  { entries: 32, orders: [0, 2] },
  { entries: 8, ways: 2, orders: [0, 2], countSets: true },
);
const step = fc.record({
  what: fc.constantFrom('fill', 'fill', 'fill', 'lookup', 'flush', 'switch', 'global'),
  vpn: fc.nat(31),
  pfn: fc.integer({ min: 8, max: 100 }),
  rights: fc.nat(3),
  order: fc.constantFrom(0, 0, 0, 0, 2),
  asid: fc.nat(1),
});

describe('a refill', () => {
  it('leaves what a fill leaves, or nothing at all', () => {
    let short = 0;
    fc.assert(
      fc.property(shape, fc.array(step, { maxLength: 80, size: 'max' }), (options, steps) => {
        const all = [new TlbContexts(), new TlbContexts()];
        const [quick, slow] = all.map(
          (contexts) => new Tlb({ ...options, contexts, overlaps: 'allow' }),
        ) as [Tlb, Tlb];
        for (const { asid, order, pfn, rights, vpn, what } of steps) {
          if (what === 'fill') {
            const before = quick.snapshot();
            if (quick.refill(vpn, pfn, rights, order, 7)) short++;
            else {
              expect(quick.snapshot()).toEqual(before);
              quick.fill(vpn, pfn, rights, order, false, 7);
            }
            slow.fill(vpn, pfn, rights, order, false, 7);
          } else if (what === 'lookup') {
            expect(quick.lookup(vpn, rights)).toBe(slow.lookup(vpn, rights));
          } else {
            for (const tlb of [quick, slow]) {
              if (what === 'flush') tlb.flush({ vpn, globals: true });
              else if (what === 'global') tlb.fill(vpn, pfn, rights, 0, true);
              else tlb.context = tlb.contexts.intern({ asid });
            }
          }
          expect(quick.snapshot()).toEqual(slow.snapshot());
          quick.checkInvariants();
        }
      }),
      { numRuns: 300 },
    );
    expect(short).toBeGreaterThan(500);
  });
});
