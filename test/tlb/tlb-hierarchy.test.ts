import { Access, VmError } from 'pagewright/core';
import { TlbAnswer, TlbContexts, TlbHierarchy, type TlbHierarchyOptions } from 'pagewright/tlb';
import { describe, expect, it } from 'vitest';
import { expectError } from '../core/errors.js';
import { SPLIT } from './hierarchy-shapes.js';

const { Fetch, Read, Write } = Access;

/** What answers a lookup: the level and the frame. */
function ask(tlbs: TlbHierarchy, vpn: number, access: number = Read): readonly number[] {
  const answer = tlbs.lookup(vpn, 0, access);
  return [tlbs.level, answer];
}

describe('a hierarchy of TLBs', () => {
  it('has arrays of their own for fetches, loads and stores, and a second level for all', () => {
    const tlbs = new TlbHierarchy(SPLIT);
    tlbs.fill({ vpn: 7, pfn: 70 }, Read);
    expect(ask(tlbs, 7, Read)).toEqual([1, 70]);
    expect(ask(tlbs, 7, Write)).toEqual([2, 70]);
    expect(ask(tlbs, 7, Write)).toEqual([1, 70]);
    expect(ask(tlbs, 7, Fetch)).toEqual([2, 70]);
    expect(ask(tlbs, 8, Fetch)).toEqual([0, TlbAnswer.Miss]);
    expect(tlbs.statistics()).toEqual({ firstHits: 2, secondHits: 2, misses: 1 });
  });

  it('lets stores use the arrays of loads where it has no others', () => {
    const { store: _, ...shared } = SPLIT;
    const tlbs = new TlbHierarchy(shared);
    tlbs.fill({ vpn: 7, pfn: 70 }, Write);
    expect(ask(tlbs, 7, Read)).toEqual([1, 70]);
    expect(tlbs.store).toBe(tlbs.load);
  });

  it('puts a page into the array of its size, and where there is none a fragment', () => {
    const tlbs = new TlbHierarchy(SPLIT);
    tlbs.fill({ vpn: 2 ** 18 + 515, pfn: 2 ** 19 + 515, order: 18 }, Read);
    expect(tlbs.load[0]!.used).toBe(0);
    const [entry] = tlbs.load[1]!.content();
    expect(entry).toMatchObject({ vpn: 2 ** 18 + 512, pages: 512, pageOfPages: 2 ** 18 });
    expect(ask(tlbs, 2 ** 18 + 514)).toEqual([1, 2 ** 19 + 514]);
    tlbs.fill({ vpn: 2 ** 18 + 515, pfn: 2 ** 19 + 515, order: 18 }, Fetch);
    expect(tlbs.fetch[0]!.content()).toMatchObject([{ vpn: 2 ** 18 + 515, pages: 1 }]);
    // Any page of the gibibyte takes its fragments along.
    expect(tlbs.flush({ globals: true, vpn: 2 ** 18 + 2 ** 17 })).toBe(3);
  });

  it('tells rights in the second level as in the first', () => {
    const tlbs = new TlbHierarchy(SPLIT);
    tlbs.fill({ vpn: 7, pfn: 70, rights: 1 }, Read);
    expect(tlbs.lookup(7, 2, Fetch)).toBe(TlbAnswer.Denied);
    expect(tlbs.lookup(7, 1, Fetch)).toBe(70);
  });

  it('gives up an entry of the first level with that of the second, when it is inclusive', () => {
    const tlbs = new TlbHierarchy({
      fetch: [],
      load: [{ entries: 8 }],
      second: [{ entries: 2 }],
      fills: 'inclusive',
    });
    for (const vpn of [1, 2, 3]) tlbs.fill({ vpn, pfn: vpn }, Read);
    tlbs.checkInvariants();
    expect([1, 2, 3].map((vpn) => ask(tlbs, vpn)[0])).toEqual([0, 1, 1]);
  });

  it('has an entry in one level at a time, when it is exclusive', () => {
    const tlbs = new TlbHierarchy({
      fetch: [],
      load: [{ entries: 2 }],
      second: [{ entries: 4 }],
      fills: 'exclusive',
    });
    const places = (): readonly number[][] => [
      tlbs.load[0]!.content().map(({ vpn }) => vpn),
      tlbs.second[0]!.content().map(({ vpn }) => vpn),
    ];
    const [one, two] = [{ asid: 1 }, { asid: 2 }].map((context) => tlbs.contexts.intern(context));
    tlbs.context = one!;
    for (const vpn of [1, 2]) tlbs.fill({ vpn, pfn: vpn }, Read);
    tlbs.context = two!;
    tlbs.fill({ vpn: 3, pfn: 3 }, Read);
    expect(places()).toEqual([[3, 2], [1]]);
    expect(ask(tlbs, 1)).toEqual([0, TlbAnswer.Miss]); // it went down in its own context
    tlbs.context = one!;
    expect(ask(tlbs, 1)).toEqual([2, 1]);
    expect(places()).toEqual([[3, 1], [2]]);
  });

  it('switches every cache to a context, the nested one to its virtual machine', () => {
    const tlbs = new TlbHierarchy({
      ...SPLIT,
      nested: { entries: 4 },
      structures: { tableLevels: 4, levels: [{ level: 1, order: 9, entries: 4 }] },
    });
    const guest = tlbs.contexts.intern({ asid: 3, vmid: 9 });
    tlbs.context = guest;
    tlbs.nested!.fill(0x10, 0x20, 1);
    tlbs.structures!.fill(1, 0, 5);
    tlbs.context = tlbs.contexts.intern({ asid: 4, vmid: 9 });
    expect(tlbs.nested!.lookup(0x10, 1)).toBe(0x20);
    expect(tlbs.structures!.find(0)).toBe(-1);
    tlbs.context = tlbs.contexts.intern({ asid: 3, vmid: 8 });
    expect(tlbs.nested!.lookup(0x10, 1)).toBe(TlbAnswer.Miss);
    expect(() => {
      tlbs.context = 99;
    }).toThrow(VmError);
  });

  it('keeps what no array of the first level takes in the second, when it is exclusive', () => {
    const tlbs = new TlbHierarchy({
      fetch: [],
      load: [{ entries: 2, orders: [9] }],
      second: [{ entries: 4 }],
      fills: 'exclusive',
    });
    for (const access of [Fetch, Read]) {
      const vpn = 10 + access;
      tlbs.fill({ vpn, pfn: 70 }, access);
      expect([ask(tlbs, vpn, access), ask(tlbs, vpn, access)]).toEqual([
        [2, 70],
        [2, 70],
      ]);
    }
  });

  it('keeps a large page in the second level, where the first takes only fragments of it', () => {
    for (const fills of ['exclusive', 'independent'] as const) {
      const load = [{ entries: 2, orders: [0] }];
      const tlbs = new TlbHierarchy({ fetch: [], load, second: [{ entries: 2 }], fills });
      tlbs.fill({ vpn: 515, pfn: 8195, order: 9 }, Read);
      for (const vpn of [516, 600, 1000]) {
        expect(ask(tlbs, vpn)).toEqual([2, 7680 + vpn]);
        expect(ask(tlbs, vpn)).toEqual([1, 7680 + vpn]);
        tlbs.checkInvariants();
      }
      expect(tlbs.second[0]!.used).toBe(1);
    }
  });

  it('has one copy of what is filled again, and the latest, when it is exclusive', () => {
    const shape = { fetch: [], load: [{ entries: 1 }], second: [{ entries: 4 }] };
    const tlbs = new TlbHierarchy({ ...shape, fills: 'exclusive' });
    tlbs.fill({ vpn: 1, pfn: 1, rights: 1 }, Read);
    tlbs.fill({ vpn: 2, pfn: 2 }, Read); // 1 goes down
    tlbs.fill({ vpn: 1, pfn: 1, rights: 3 }, Read);
    tlbs.checkInvariants();
    expect(tlbs.second[0]!.content()).toMatchObject([{ vpn: 2 }]);
    tlbs.fill({ vpn: 3, pfn: 3 }, Read);
    expect(tlbs.lookup(1, 2, Read)).toBe(1);
  });

  it('gives a page to the second level when the last array of the first gives it up', () => {
    const tlbs = new TlbHierarchy({
      fetch: [{ entries: 1 }],
      load: [{ entries: 1 }],
      second: [{ entries: 4 }],
      fills: 'exclusive',
    });
    for (const access of [Fetch, Read]) tlbs.fill({ vpn: 1, pfn: 1 }, access);
    tlbs.fill({ vpn: 2, pfn: 2 }, Fetch);
    tlbs.checkInvariants();
    expect(tlbs.second[0]!.used).toBe(0);
    tlbs.fill({ vpn: 2, pfn: 2 }, Read);
    expect(tlbs.second[0]!.content()).toMatchObject([{ vpn: 1 }]);
    tlbs.checkInvariants();
  });

  it('gives no part of a page to the second level that another array of the first has', () => {
    const tlbs = new TlbHierarchy({
      fetch: [],
      load: [{ entries: 1, orders: [0, 9, 18] }],
      store: [{ entries: 1, orders: [0, 9] }],
      second: [{ entries: 2, orders: [0, 9] }],
      fills: 'exclusive',
    });
    for (const access of [Read, Write]) tlbs.fill({ vpn: 0, pfn: 2 ** 18, order: 18 }, access);
    tlbs.fill({ vpn: 2 ** 18, pfn: 7 }, Read); // the gibibyte goes; stores have its first 2 MiB
    expect(tlbs.second[0]!.used).toBe(0);
    tlbs.checkInvariants();
  });

  it('flushes a page from both levels, when it is inclusive, though its size in the tables has changed', () => {
    const arrays = { fetch: [{ entries: 1 }], load: [{ entries: 1 }], second: [{ entries: 2 }] };
    const tlbs = new TlbHierarchy({ ...arrays, fills: 'inclusive' });
    tlbs.fill({ vpn: 1, pfn: 1 }, Fetch);
    tlbs.fill({ vpn: 1, pfn: 1, pageOrder: 9 }, Read); // now a fragment, and fetches do not know
    tlbs.flush({ globals: true, vpn: 2 });
    tlbs.checkInvariants();
    expect(ask(tlbs, 1, Fetch)).toEqual([0, TlbAnswer.Miss]);
  });

  it('answers from the second level alone what overlaps an entry of the first', () => {
    const tlbs = new TlbHierarchy({
      fetch: [{ entries: 1 }],
      load: [{ entries: 2 }],
      second: [{ entries: 1 }],
    });
    tlbs.fill({ vpn: 515, pfn: 7 }, Read);
    tlbs.fill({ vpn: 5, pfn: 5 }, Fetch); // 515 is no longer in the second level
    tlbs.fill({ vpn: 512, pfn: 8192, order: 9 }, Fetch);
    for (const _ of [1, 2]) expect(ask(tlbs, 516)).toEqual([2, 8196]);
    expect(ask(tlbs, 515)).toEqual([1, 7]);
  });

  it('refuses what overlaps an entry in an array for another size, and nothing has changed', () => {
    const split = [
      { entries: 2, orders: [0] },
      { entries: 2, orders: [9] },
    ];
    const small = { vpn: 515, pfn: 1 };
    const large = { vpn: 512, pfn: 8192, order: 9 };
    for (const [first, then] of [
      [small, large],
      [large, small],
    ] as const) {
      for (const levels of [{ load: split }, { load: [], second: split }]) {
        const tlbs = new TlbHierarchy({ fetch: [], ...levels });
        tlbs.fill(first, Read);
        const before = tlbs.snapshot();
        expectError(() => tlbs.fill(then, Read), 'overlap', 'vpn');
        expect(tlbs.snapshot()).toEqual(before);
        tlbs.contexts.intern({ asid: 1 });
        tlbs.context = tlbs.contexts.intern({ asid: 1 });
        tlbs.fill(then, Read); // another's
      }
    }
  });

  it('fills both levels or none', () => {
    const load = [{ entries: 2 }];
    const tlbs = new TlbHierarchy({ fetch: [{ entries: 1 }], load, second: [{ entries: 1 }] });
    tlbs.fill({ vpn: 515, pfn: 7 }, Read);
    tlbs.fill({ vpn: 5, pfn: 5 }, Fetch);
    const before = tlbs.snapshot();
    expectError(() => tlbs.fill({ vpn: 512, pfn: 512, order: 9 }, Read), 'overlap', 'vpn');
    expect(tlbs.snapshot()).toEqual(before);
  });

  it('allows overlaps where an array does', () => {
    const load = [
      { entries: 2, orders: [0], overlaps: 'allow' },
      { entries: 2, orders: [9], overlaps: 'allow' },
    ] as const;
    const tlbs = new TlbHierarchy({ fetch: [], load });
    tlbs.fill({ vpn: 515, pfn: 1 }, Read);
    tlbs.fill({ vpn: 512, pfn: 8192, order: 9 }, Read);
    expect([ask(tlbs, 515), ask(tlbs, 516)]).toEqual([
      [1, 1],
      [1, 8196],
    ]);
  });

  it.each<[string, unknown]>([
    ['null', null],
    ['nothing', undefined],
    ['a number', 5],
    ['a field that there is not', { vpn: 1, pfn: 1, size: 3 }],
    ['no page', { pfn: 1 }],
  ])('refuses to be filled with %s, whatever its arrays', (_what, entry) => {
    for (const load of [[], [{ entries: 2 }]]) {
      const tlbs = new TlbHierarchy({ fetch: [], load });
      expect(() => Reflect.apply(tlbs.fill, tlbs, [entry, Read])).toThrow(VmError);
    }
  });

  it('lets fragments of a superpage be beside each other in both levels', () => {
    const shape = { fetch: [], load: [{ entries: 2, orders: [0] }] } as const;
    for (const fills of ['exclusive', 'inclusive'] as const) {
      const tlbs = new TlbHierarchy({ ...shape, second: [{ entries: 4, orders: [0] }], fills });
      for (const vpn of [0, 1, 2, 3]) tlbs.fill({ vpn, pfn: vpn, pageOrder: 9 }, Read);
      tlbs.checkInvariants();
      expect([0, 1, 2, 3].map((vpn) => ask(tlbs, vpn)[1])).toEqual([0, 1, 2, 3]);
      expect(tlbs.flush({ globals: false, vpn: 511 })).toBeGreaterThan(3);
      expect([0, 1, 2, 3].map((vpn) => ask(tlbs, vpn)[0])).toEqual([0, 0, 0, 0]);
    }
  });

  it('moves what was filled as a fragment, though both levels take its page', () => {
    const load = [{ entries: 2, orders: [0, 9] }];
    const second = [{ entries: 8, orders: [0, 9] }];
    for (const fills of ['exclusive', 'inclusive', 'independent'] as const) {
      const tlbs = new TlbHierarchy({ fetch: [], load, second, fills });
      for (const vpn of [1, 2, 3]) tlbs.fill({ vpn, pfn: vpn, pageOrder: 9 }, Read);
      for (const level of [2, 1]) expect(ask(tlbs, 1)).toEqual([level, 1]);
      tlbs.checkInvariants();
    }
  });

  it('is inclusive where the second level takes smaller pages and larger ones alone', () => {
    const shape: TlbHierarchyOptions = {
      fetch: [],
      load: [{ entries: 2, orders: [0, 9] }],
      second: [{ entries: 8, orders: [0, 18] }],
      fills: 'inclusive',
    };
    const tlbs = new TlbHierarchy(shape);
    tlbs.fill({ vpn: 515, pfn: 1027, order: 9 }, Read);
    tlbs.checkInvariants();
    expect(ask(TlbHierarchy.restore(tlbs.snapshot(), shape), 516)).toEqual([1, 1028]);
  });

  it('needs no context for a global entry that goes down a level', () => {
    const contexts = new TlbContexts({ limit: 4 });
    const tlbs = new TlbHierarchy({
      fetch: [],
      load: [{ entries: 1 }],
      second: [{ entries: 2 }],
      fills: 'exclusive',
      contexts,
    });
    const one = contexts.intern({ asid: 1, vmid: 3 });
    tlbs.context = one; // with its root's global one, all four ids
    tlbs.fill({ vpn: 5, pfn: 50, global: true }, Read);
    tlbs.fill({ vpn: 6, pfn: 60 }, Read);
    tlbs.checkInvariants();
    expect([ask(tlbs, 5), ask(tlbs, 6)]).toEqual([
      [2, 50],
      [2, 60],
    ]);
    expect(contexts.describe(one)).toEqual({ asid: 1, vmid: 3, root: 0 });
  });

  it('switches everything or nothing, and never away from the context that is asked for', () => {
    const contexts = new TlbContexts({ limit: 5 });
    const tlbs = new TlbHierarchy({ ...SPLIT, nested: { entries: 2 }, contexts });
    const guest = contexts.intern({ asid: 1, vmid: 3 });
    tlbs.context = guest; // its root's global one and that of the machine are new: all five ids
    expect(tlbs.context).toBe(guest);
    expect(contexts.describe(guest)).toEqual({ asid: 1, vmid: 3, root: 0 });
    const small = new TlbContexts({ limit: 4 });
    const others = new TlbHierarchy({ ...SPLIT, nested: { entries: 2 }, contexts: small });
    const before = others.context;
    const id = small.intern({ asid: 1, vmid: 3 });
    expect(() => {
      others.context = id;
    }).toThrow(VmError);
    expect([others.context, others.load[0]!.context]).toEqual([before, before]);
  });

  it.each<[string, object]>([
    ['an order that is none', { vpn: 1, pfn: 1, order: Number.NaN }],
    ['a negative order', { vpn: 1, pfn: 1, order: -1 }],
    ['an order without end', { vpn: 1, pfn: 1, order: Number.POSITIVE_INFINITY }],
    ['a page that is none', { vpn: -1, pfn: 1 }],
  ])('refuses to be filled with %s', (_what, entry) => {
    const tlbs = new TlbHierarchy(SPLIT);
    expect(() => Reflect.apply(tlbs.fill, tlbs, [entry, Read])).toThrow(VmError);
    expect(tlbs.load[0]!.used + tlbs.second[0]!.used).toBe(0);
  });

  it.each<[string, object]>([
    ['no arrays', {}],
    ['arrays that are none', { fetch: [], load: 7 }],
    ['zero ways', { fetch: [], load: [{ entries: 4, ways: 0 }] }],
    ['fills of another kind', { fetch: [], load: [], fills: 'both' }],
    ['an option that there is not', { fetch: [], load: [], third: [] }],
    ['null for arrays', { fetch: [], load: [], second: null }],
    ['a number for arrays', { fetch: [], load: [], store: 0 }],
    ['null for a cache', { fetch: [], load: [], nested: null }],
    ['null for contexts', { fetch: [], load: [], contexts: null }],
  ])('refuses %s', (_what, options) => {
    expect(() => Reflect.construct(TlbHierarchy, [options])).toThrow(VmError);
  });

  it('refuses an access that is none', () => {
    const tlbs = new TlbHierarchy(SPLIT);
    expect(() => tlbs.lookup(1, 0, 3)).toThrow(VmError);
    expect(() => tlbs.fill({ vpn: 1, pfn: 1 }, 7)).toThrow(VmError);
  });
});
