import { VmError } from 'pagewright/core';
import { arc, nru, random, treePlru } from 'pagewright/replacement';
import {
  CoalescingTlb,
  type CoalescingTlbOptions,
  PagingStructureCache,
  type PagingStructureCacheOptions,
  structureLevels,
  TableEntryCache,
  Tlb,
  TlbContexts,
  TlbHierarchy,
  type TlbHierarchyOptions,
  type TlbOptions,
  tlbPolicy,
} from 'pagewright/tlb';
import { describe, expect, it } from 'vitest';

/** What a snapshot can be restored to. */
interface Restored {
  checkInvariants(): void;
  snapshot(): unknown;
}

interface Saved {
  readonly name: string;
  readonly snapshot: unknown;
  readonly restore: (snapshot: unknown) => Restored;
}

function filled<T extends Tlb>(tlb: T): T {
  const spaces = [1, 2].map((asid) => tlb.contexts.intern({ asid }));
  for (const space of spaces) {
    tlb.context = space;
    for (let vpn = 0; vpn < 6; vpn++) tlb.fill(vpn, vpn + 16, 1);
    tlb.fill(512, 1024, 3, 9);
  }
  tlb.fill(8, 80, 1, 0, true, 2);
  tlb.fill(2 ** 40 + 3, 3, 1, 0, false, 0, 9);
  tlb.insert({ vpn: 9 });
  tlb.find(3);
  return tlb;
}

function ofTlb(name: string, options: TlbOptions): Saved {
  const restore = (snapshot: unknown): Restored =>
    Reflect.apply(Tlb.restore, Tlb, [snapshot, options]);
  return { name, snapshot: filled(new Tlb(options)).snapshot(), restore };
}

const COALESCING: CoalescingTlbOptions = { entries: 12, ways: 4, coalesce: 4 };
const STRUCTURES: PagingStructureCacheOptions = {
  tableLevels: 4,
  levels: structureLevels({ indexBits: 9, entries: [4, 2] }),
};
const HIERARCHY: TlbHierarchyOptions = {
  fetch: [{ entries: 2 }],
  load: [{ entries: 4, ways: 2 }],
  second: [{ entries: 8 }],
  nested: { entries: 2 },
  structures: STRUCTURES,
};

function contexts(): Saved {
  const table = new TlbContexts({ limit: 8 });
  for (const asid of [3, 4, 5]) table.intern({ asid, vmid: 1, root: 2 });
  const restore = (snapshot: unknown): Restored =>
    Reflect.apply(TlbContexts.restore, TlbContexts, [snapshot]);
  return { name: 'contexts', snapshot: table.snapshot(), restore };
}

function structures(): Saved {
  const cache = new PagingStructureCache(STRUCTURES);
  for (const vpn of [0, 512, 2 ** 18]) for (const level of [1, 2]) cache.fill(level, vpn, 7, 3);
  const restore = (snapshot: unknown): Restored =>
    Reflect.apply(PagingStructureCache.restore, null, [snapshot, STRUCTURES]);
  return { name: 'a paging-structure cache', snapshot: cache.snapshot(), restore };
}

function tableEntries(): Saved {
  const cache = new TableEntryCache({ entries: 4 });
  for (const index of [1, 2, 3]) cache.fill(1, index, 7, 7);
  const restore = (snapshot: unknown): Restored =>
    Reflect.apply(TableEntryCache.restore, null, [snapshot, { entries: 4 }]);
  return { name: 'a table-entry cache', snapshot: cache.snapshot(), restore };
}

function hierarchy(): Saved {
  const tlbs = new TlbHierarchy(HIERARCHY);
  for (const access of [0, 2]) tlbs.fill({ vpn: 5, pfn: 6 }, access);
  tlbs.nested?.fill(1, 2, 3);
  tlbs.structures?.fill(1, 5, 9);
  tlbs.lookup(5, 0, 0);
  const restore = (snapshot: unknown): Restored =>
    Reflect.apply(TlbHierarchy.restore, null, [snapshot, HIERARCHY]);
  return { name: 'a hierarchy', snapshot: tlbs.snapshot(), restore };
}

const policy = tlbPolicy;
const ALL: readonly Saved[] = [
  ofTlb('LRU', { entries: 12, ways: 4 }),
  ofTlb('LRU in a list', { entries: 20, countSets: true }),
  ofTlb('tree-PLRU', { entries: 12, ways: 4, policy: policy(treePlru()) }),
  ofTlb('NRU', { entries: 12, ways: 3, policy: policy(nru({ reset: 'when-all-referenced' })) }),
  ofTlb('random', { entries: 12, ways: 4, policy: policy(random({ seed: 3 })) }),
  ofTlb('ARC', { entries: 12, ways: 4, policy: policy(arc()) }),
  {
    name: 'coalesced groups',
    snapshot: filled(new CoalescingTlb(COALESCING)).snapshot(),
    restore: (snapshot) => Reflect.apply(CoalescingTlb.restore, null, [snapshot, COALESCING]),
  },
  contexts(),
  structures(),
  tableEntries(),
  hierarchy(),
];

const ODD: readonly unknown[] = [-1, 0, 1, 7, 0.5, 2 ** 40, Number.NaN, null, 'x', {}, []];

/** Every snapshot in which one thing is something odd, missing, or there twice. */
function* spoilt(value: unknown): Generator<unknown> {
  yield* ODD;
  if (Array.isArray(value)) {
    const list: readonly unknown[] = value;
    for (const [at, old] of list.entries()) {
      const [before, after] = [list.slice(0, at), list.slice(at + 1)];
      for (const inner of spoilt(old)) yield [...before, inner, ...after];
      yield [...before, ...after];
      yield [...before, old, old, ...after];
    }
  } else if (typeof value === 'object' && value !== null) {
    for (const [key, old] of Object.entries(value)) {
      for (const inner of spoilt(old)) yield { ...value, [key]: inner };
      yield Object.fromEntries(Object.entries(value).filter(([name]) => name !== key));
    }
  }
}

describe.each(ALL.map((saved) => [saved.name, saved] as const))(
  'a snapshot of %s',
  (_name, saved) => {
    it('is plain data, and gives the same back', () => {
      const { restore, snapshot } = saved;
      expect(structuredClone(snapshot)).toEqual(snapshot);
      expect(restore(JSON.parse(JSON.stringify(snapshot))).snapshot()).toEqual(snapshot);
    });

    it('of another version, or of something else, is refused by name', () => {
      const { restore, snapshot } = saved;
      expect(() => restore(Object.assign({}, snapshot, { v: 2 }))).toThrow(/version 1/);
      expect(() => restore(Object.assign({}, snapshot, { type: 'frame-pool' }))).toThrow(VmError);
    });

    it('that was tampered with is refused, or holds together', () => {
      let refused = 0;
      for (const other of spoilt(saved.snapshot)) {
        try {
          saved.restore(other).checkInvariants();
        } catch (error) {
          if (!(error instanceof VmError)) throw error;
          refused++;
        }
      }
      expect(refused).toBeGreaterThan(20);
    });
  },
);

it('a cache that was refused keeps no context of the shared table alive', () => {
  const before = filled(
    new Tlb({ entries: 12, contexts: new TlbContexts({ limit: 4 }) }),
  ).snapshot();
  const caches: readonly [string, object, (snapshot: object, contexts: TlbContexts) => unknown][] =
    [
      [
        'Tlb',
        { ...before, slots: [[1]] },
        (snapshot, contexts) =>
          Reflect.apply(Tlb.restore, Tlb, [snapshot, { entries: 12, contexts }]),
      ],
      [
        'TlbHierarchy',
        { v: 1, type: 'tlb-hierarchy', context: before.context, arrays: [] },
        (snapshot, contexts) =>
          Reflect.apply(TlbHierarchy.restore, null, [snapshot, { ...HIERARCHY, contexts }]),
      ],
    ];
  for (const [name, snapshot, restore] of caches) {
    const contexts = TlbContexts.restore(before.contexts);
    expect(() => restore(snapshot, contexts), name).toThrow(VmError);
    // Four ids are enough for the two of a new cache and the two to which it goes, if nobody else is there.
    const tlb = new Tlb({ entries: 1, contexts });
    expect(() => {
      tlb.context = contexts.intern({ asid: 8, root: 1 });
    }, name).not.toThrow();
  }
});

it.each<[string, (contexts: TlbContexts) => unknown]>([
  [
    'hierarchy',
    (contexts) => new TlbHierarchy({ ...HIERARCHY, second: [{ entries: 0 }], contexts }),
  ],
  ['coalescing TLB', (contexts) => new CoalescingTlb({ entries: 4, coalesce: 3, contexts })],
  [
    'paging-structure cache',
    (contexts) => {
      const level = { level: 1, order: 9, entries: 2 };
      return new PagingStructureCache({ tableLevels: 4, levels: [level, level], contexts });
    },
  ],
  [
    'paging-structure cache of a snapshot without levels',
    (contexts) => {
      const levels = [{ level: 1, order: 9, entries: 2 }];
      const saved = new PagingStructureCache({ tableLevels: 4, levels: [] }).snapshot();
      return PagingStructureCache.restore(saved, { tableLevels: 4, levels, contexts });
    },
  ],
])('a %s that cannot be keeps no context of the shared table alive', (_what, make) => {
  const contexts = new TlbContexts({ limit: 4 });
  expect(() => make(contexts)).toThrow(VmError);
  const tlb = new Tlb({ entries: 1, contexts });
  for (const root of [1, 2]) tlb.context = contexts.intern({ root });
});

it('a TLB that was restored tells global entries from others of their page by what it holds', () => {
  for (const options of [{ entries: 4 }, { entries: 32 }]) {
    const tlb = new Tlb(options);
    tlb.fill(7, 70, 1, 0, true);
    tlb.fill(7, 71, 1);
    const restored = Tlb.restore(Object.assign(tlb.snapshot(), { twins: false }), options);
    expect(restored.lookup(7, 1)).toBe(71);
    expect(restored.flush({ asid: 0, globals: false })).toBe(1);
    expect(restored.lookup(7, 1)).toBe(70);
  }
});

it.each<[string, readonly number[]]>([
  ['with a gap', [0, 1, 5]],
  ['beyond its limit', [0, 1, 8]],
  ['one of which is taken twice', [0, 1, 2 ** 20 + 1]],
  ['that no number can say', [0, 1, 2 ** 53]],
])('a table of contexts in places %s is refused', (_what, ids) => {
  const saved = new TlbContexts({ limit: 8 }).snapshot();
  const restore = (all: readonly number[]): TlbContexts =>
    TlbContexts.restore({ ...saved, contexts: all.map((id, asid) => [id, asid, 0, 0] as const) });
  restore([2 ** 20 + 1, 0, 2 ** 53 - 2 ** 20 + 2]).checkInvariants();
  expect(() => restore(ids)).toThrow(VmError);
});
