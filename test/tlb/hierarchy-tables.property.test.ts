import fc from 'fast-check';
import { Access } from 'pagewright/core';
import { nru, treePlru } from 'pagewright/replacement';
import { TlbAnswer, TlbHierarchy, type TlbHierarchyOptions, tlbPolicy } from 'pagewright/tlb';
import { describe, expect, it } from 'vitest';
import { SPLIT } from './hierarchy-shapes.js';

// Arrays with ways and policies, beside tables that change: what a hierarchy answers is what they said last.

const { Fetch, Read, Write } = Access;

const FRAGMENTS: TlbHierarchyOptions = {
  fetch: [{ entries: 3, orders: [0] }],
  load: [{ entries: 4, ways: 2, orders: [0] }],
  second: [
    { entries: 6, ways: 3, orders: [0] },
    { entries: 2, orders: [9] },
  ],
};
const SMALL_SECOND: TlbHierarchyOptions = {
  fetch: [],
  load: [{ entries: 3, policy: tlbPolicy(nru()) }],
  store: [{ entries: 2, ways: 1 }],
  second: [{ entries: 8, ways: 4, orders: [0], policy: tlbPolicy(treePlru()) }],
  secondFetch: [{ entries: 2 }],
};
const MIXED: TlbHierarchyOptions = {
  fetch: [{ entries: 3 }],
  load: [{ entries: 4, ways: 2 }],
  second: [{ entries: 20 }],
};
const shapes = [SPLIT, FRAGMENTS, SMALL_SECOND, MIXED].flatMap((shape) =>
  (['independent', 'inclusive', 'exclusive'] as const).map((fills) => ({ ...shape, fills })),
);

/** Tables that change: each page of each space has a frame that nobody had before. */
class Tables {
  private readonly changes: Map<string, number> = new Map();

  /** Pages 6 and 7 are global, those from 512 on are of 2 MiB. */
  global(vpn: number): boolean {
    return vpn === 6 || vpn === 7;
  }

  frame(asid: number, vpn: number): number {
    const first = vpn < 512 ? vpn : 512;
    const space = this.global(vpn) ? 3 : asid;
    const change = this.changes.get(`${space} ${first}`) ?? 0;
    return ((change * 4 + space) * 2 + Number(first === 512)) * 512 + (vpn % 512);
  }

  /** Pages from one on get other frames, in every space or in one; global ones are in every one. */
  change(spaces: readonly number[], from: number, to: number): void {
    for (const space of spaces) {
      for (let first = from; first <= to; first++) {
        const name = `${space} ${first}`;
        this.changes.set(name, (this.changes.get(name) ?? 0) + 1);
      }
    }
  }
}

describe('a cache never gives an answer that was flushed', () => {
  const step = fc.record({
    vpn: fc.oneof(fc.integer({ min: 0, max: 9 }), fc.integer({ min: 510, max: 530 })),
    access: fc.constantFrom(Read, Write, Fetch),
    asid: fc.integer({ min: 0, max: 2 }),
    rights: fc.integer({ min: 0, max: 3 }),
    event: fc.constantFrom(null, null, null, null, 'page', 'space', 'again', 'save'),
  });

  it.each(shapes.map((shape, index) => [index, shape] as const))('in shape %i', (_index, shape) => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 80, size: 'max' }), (steps) => {
        let tlbs = new TlbHierarchy(shape);
        const tables = new Tables();
        for (const { access, asid, rights, event, vpn } of steps) {
          tlbs.context = tlbs.contexts.intern({ asid });
          const frame = tables.frame(asid, vpn);
          const answer = tlbs.lookup(vpn, 0, access);
          expect([frame, TlbAnswer.Miss]).toContain(answer);
          if (answer === TlbAnswer.Miss || event === 'again') {
            const order = vpn < 512 ? 0 : 9;
            tlbs.fill({ vpn, pfn: frame, order, rights, global: tables.global(vpn) }, access);
            // Rights that were widened are those that are found, wherever the page was.
            const held = tlbs.lookup(vpn, rights, access);
            expect(held).toBe(frame);
          }
          if (event === 'page') {
            tlbs.flush({ globals: true, vpn });
            const first = Math.min(vpn, 512);
            tables.change([0, 1, 2, 3], first, first);
          }
          if (event === 'space') {
            tlbs.flush({ globals: false, asid });
            tables.change([asid], 0, 512);
          }
          if (event === 'save') {
            const saved = structuredClone(tlbs.snapshot());
            tlbs = TlbHierarchy.restore(saved, shape);
            expect(tlbs.snapshot()).toEqual(saved);
          }
          tlbs.checkInvariants();
        }
      }),
      { numRuns: 60 },
    );
  });
});
