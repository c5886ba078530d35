import fc from 'fast-check';
import { Access, VmError } from 'pagewright/core';
import { TlbAnswer, TlbHierarchy, type TlbHierarchyOptions } from 'pagewright/tlb';
import { describe, expect, it } from 'vitest';
import { HierarchyModel, isSame, type Kind, type ModelEntry, meet } from './hierarchy-model.js';

// Hierarchies against plain lists with explicit recency: every answer and its level, and after each step everything that is
// in every array. Pages are of 1, 4 and 16 base pages, and fragments of those; shapes are arbitrary, sizes missing anywhere.

const ACCESS = { fetch: Access.Fetch, load: Access.Read, store: Access.Write } as const;
const KINDS = ['fetch', 'load', 'store'] as const;
/** Order of the entry and of its page. */
const SIZES = [
  [0, 0],
  [2, 2],
  [4, 4],
  [0, 2],
  [0, 4],
  [2, 4],
] as const;

const array = fc.record({
  entries: fc.integer({ min: 1, max: 5 }),
  orders: fc.constantFrom([0], [2], [4], [0, 2], [0, 4], [2, 4], [0, 2, 4]),
  overlaps: fc.constantFrom('refuse', 'refuse', 'allow'),
});
const level = fc.array(array, { maxLength: 3 });
const shape: fc.Arbitrary<TlbHierarchyOptions> = fc.record(
  { fetch: level, load: level, store: level, second: level, secondFetch: level },
  { requiredKeys: ['fetch', 'load', 'second'] },
);
const step = fc.record({
  event: fc.constantFrom('walk', 'walk', 'walk', 'walk', 'fill', 'fill', 'page', 'space', 'save'),
  vpn: fc.nat(63),
  asid: fc.nat(2),
  kind: fc.constantFrom(...KINDS),
  rights: fc.nat(3),
});
/** How each 16 pages are mapped. */
const region = fc.record({ size: fc.constantFrom(...SIZES), global: fc.boolean() });
const tables = fc.array(region, { minLength: 4, maxLength: 4 });

/** What the arrays of a hierarchy have, in the model's terms. */
function contentOf(tlbs: TlbHierarchy): readonly (readonly ModelEntry[])[] {
  const levels = [tlbs.fetch, tlbs.load, tlbs.store, tlbs.second, tlbs.secondFetch];
  return [...new Set(levels.flat())].map((tlb) =>
    tlb.content().map(({ context, global, pageOfPages, pages, pfn, rights, vpn }) => ({
      first: vpn,
      order: Math.log2(pages),
      pageOrder: Math.log2(pageOfPages),
      distance: Number(pfn) - vpn,
      rights,
      owner: global ? 'every' : context.asid,
    })),
  );
}

function inOrder(lists: readonly (readonly ModelEntry[])[]): readonly (readonly string[])[] {
  return lists.map((list) =>
    list
      .map(({ distance, first, order, owner, pageOrder, rights }) =>
        [owner, first, order, pageOrder, distance, rights].join(' '),
      )
      .sort(),
  );
}

/** What a lookup says, in the model's words. */
function inWords(answer: number): number | string {
  if (answer === TlbAnswer.Miss) return 'miss';
  return answer === TlbAnswer.Denied ? 'denied' : answer;
}

/** What the levels are to each other. */
function checkLevels(
  model: HierarchyModel,
  fills: TlbHierarchyOptions['fills'],
  sound: boolean,
): void {
  for (const kind of KINDS) {
    const below = model.below[kind].flatMap(({ list }) => list);
    const sizes = model.below[kind].flatMap(({ orders }) => orders);
    for (const entry of model.first[kind].flatMap(({ list }) => list)) {
      if (fills === 'exclusive') {
        // Nor has the second level any part of it, where sizes do not change without a flush.
        const twice = (each: ModelEntry): boolean =>
          sound ? meet(each, entry) && each.order <= entry.order : isSame(each, entry);
        expect(below.some(twice)).toBe(false);
      }
      if (fills !== 'inclusive' || !sizes.includes(entry.order)) continue;
      expect(below.some((each) => meet(each, entry) && each.order >= entry.order)).toBe(true);
    }
  }
}

describe.each(['independent', 'inclusive', 'exclusive'] as const)(
  '%s levels are as plain lists are',
  (fills) => {
    it.each([
      ['with tables that flush what they change', true],
      ['with any fills', false],
    ])('%s', (_what, sound) => {
      fc.assert(
        fc.property(
          shape,
          tables,
          fc.array(step, { minLength: 1, maxLength: 60, size: 'max' }),
          (arrays, regions, steps) => {
            const options = { ...arrays, fills };
            const model = new HierarchyModel(options);
            let tlbs = new TlbHierarchy(options);
            let changes = 0;
            const distances = new Map<string, number>();
            for (const [index, { asid, event, kind, rights, vpn }] of steps.entries()) {
              tlbs.context = tlbs.contexts.intern({ asid });
              // What nobody flushes may be anything: sizes change under way.
              const place = sound ? Math.floor(vpn / 16) : index % 4;
              const { global, size } = regions[place]!;
              const [order, pageOrder] = size;
              const page = Math.floor(vpn / 2 ** pageOrder);
              const name = `${global ? 'every' : asid} ${place} ${page}`;
              const distance = distances.get(name) ?? 64;
              const run = (access: Kind, need: number): unknown => {
                const answer = inWords(tlbs.lookup(vpn, need, ACCESS[access]));
                const said = [tlbs.level, answer];
                expect(said).toEqual(model.lookup(asid, vpn, need, access));
                if (sound) expect([vpn + distance, 'miss', 'denied']).toContain(answer);
                return answer;
              };
              const answer = run(kind, rights);
              if ((event === 'walk' && answer === 'miss') || event === 'fill') {
                const fill = { vpn, order, pageOrder, rights, global };
                const filled = model.fill(asid, { ...fill, distance }, kind);
                const act = (): void => tlbs.fill({ ...fill, pfn: vpn + distance }, ACCESS[kind]);
                if (sound) expect(filled).toBe(true);
                if (filled) act();
                else expect(act).toThrow(VmError);
              }
              if (event === 'page') {
                expect(tlbs.flush({ globals: true, vpn })).toBe(model.flush({ vpn }));
                // Frames change in every space.
                for (const owner of [0, 1, 2, 'every']) {
                  distances.set(`${owner} ${place} ${page}`, 64 * (2 + changes++));
                }
              }
              if (event === 'space') {
                expect(tlbs.flush({ globals: false, asid })).toBe(model.flush({ asid }));
                for (const known of distances.keys()) {
                  if (known.startsWith(`${asid} `)) distances.set(known, 64 * (2 + changes++));
                }
              }
              if (event === 'save') tlbs = TlbHierarchy.restore(tlbs.snapshot(), options);
              tlbs.checkInvariants();
              expect(inOrder(contentOf(tlbs))).toEqual(
                inOrder(model.arrays.map(({ list }) => list)),
              );
              checkLevels(model, fills, sound);
            }
          },
        ),
        { numRuns: 200 },
      );
    });
  },
);
