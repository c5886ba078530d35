import { VmError } from 'pagewright/core';
import { arc, type PolicyKind, s3Fifo, twoQ } from 'pagewright/replacement';
import {
  CoalescingTlb,
  PagingStructureCache,
  Tlb,
  TlbAnswer,
  TlbContexts,
  TlbHierarchy,
  type TlbSnapshot,
  tlbPolicy,
} from 'pagewright/tlb';
import { describe, expect, it } from 'vitest';

const READ = 1;

/** A full table in which the context of all zeros, in which caches begin, has given its id away. */
function crowded(): { readonly contexts: TlbContexts; readonly tlb: Tlb } {
  const contexts = new TlbContexts({ limit: 4 });
  const tlb = new Tlb({ entries: 4, contexts });
  for (const asid of [1, 2, 3, 4]) {
    tlb.context = contexts.intern({ asid });
    tlb.fill(7, 70 + asid, READ);
  }
  return { contexts, tlb };
}

describe('what is restored into a full table of contexts', () => {
  it('takes no id from the contexts that were saved, and gives no entry to another', () => {
    const { tlb } = crowded();
    const saved = tlb.snapshot();
    const restored = Tlb.restore(saved, { entries: 4 });
    expect(restored.snapshot()).toEqual(saved);
    expect(restored.content()).toEqual(tlb.content());
    for (const asid of [2, 3, 4]) {
      restored.context = restored.contexts.intern({ asid });
      expect(restored.lookup(7, READ)).toBe(70 + asid);
    }
    restored.context = restored.contexts.intern({ asid: 0 });
    expect(restored.lookup(7, READ)).toBe(TlbAnswer.Miss);
  });

  it('may be several caches that share it', () => {
    const { contexts, tlb } = crowded();
    const table = TlbContexts.restore(contexts.snapshot());
    const twice = [1, 2].map(() => Tlb.restore(tlb.snapshot(), { entries: 4, contexts: table }));
    expect(table.snapshot()).toEqual(contexts.snapshot());
    for (const one of twice) expect(one.content()).toEqual(tlb.content());
  });

  const load = [{ entries: 2 }];
  const arrays = { fetch: load, load };
  const groups = { entries: 2, coalesce: 2 };
  const structures = { tableLevels: 2, levels: [{ level: 1, order: 9, entries: 2 }] };
  const table = (): TlbContexts => new TlbContexts({ limit: 4 });

  it.each([
    {
      what: 'a hierarchy',
      cache: new TlbHierarchy({ ...arrays, contexts: table() }),
      restore: (saved: never) => TlbHierarchy.restore(saved, arrays),
    },
    {
      what: 'coalesced groups',
      cache: new CoalescingTlb({ ...groups, contexts: table() }),
      restore: (saved: never) => CoalescingTlb.restore(saved, groups),
    },
    {
      what: 'a paging-structure cache',
      cache: new PagingStructureCache({ ...structures, contexts: table() }),
      restore: (saved: never) => PagingStructureCache.restore(saved, structures),
    },
  ])('may be $what', ({ cache, restore }) => {
    for (const asid of [1, 2, 3, 4]) cache.context = cache.contexts.intern({ asid });
    const saved = cache.snapshot();
    expect(Reflect.apply(restore, null, [saved]).snapshot()).toEqual(saved);
  });

  it('is refused in a context that is none, or has no global one', () => {
    const { tlb } = crowded();
    const saved = tlb.snapshot();
    const global = saved.contexts.contexts.find(([, asid]) => asid === 65536)?.[0];
    for (const context of [99, -1, 0.5, global]) {
      expect(() => Tlb.restore(Object.assign({}, saved, { context }), { entries: 4 })).toThrow(
        expect.objectContaining({ code: 'bad-image' }),
      );
    }
  });
});

describe('coalesced groups', () => {
  it('count a miss in the set in which the group would be', () => {
    for (const entries of [4, 3]) {
      const tlb = new CoalescingTlb({ entries, ways: 1, coalesce: 4, countSets: true });
      for (const vpn of [0, 3, 4, 6, 7, 4 * entries + 1]) tlb.lookup(vpn, READ);
      expect(tlb.statistics().sets?.map(({ misses }) => misses)).toEqual(
        Array.from({ length: entries }, (_, set) => [3, 3][set] ?? 0),
      );
      expect(tlb.content()).toEqual([]);
    }
  });

  it('tell their observer of each page that leaves, by a flush or to another group', () => {
    const tlb = new CoalescingTlb({ entries: 4, coalesce: 32 });
    for (let page = 0; page < 32; page++) tlb.fill(64 + page, 100 + page, READ);
    const events: unknown[] = [];
    tlb.observer = ({ step: _, ...event }) => events.push(event);
    tlb.flush({ globals: true, vpn: 94, pages: 4 });
    tlb.fill(65, 7, READ);
    tlb.flush({ globals: true, asid: 0, vpn: 64, pages: 32 });
    const [group, other] = [{ slot: 0 }, { slot: 1, vpn: 64, pages: 32 }];
    expect(events).toEqual([
      { type: 'tlb-flush', ...group, vpn: 94, pages: 1 },
      { type: 'tlb-flush', ...group, vpn: 95, pages: 1 },
      { type: 'tlb-flush', ...group, vpn: 65, pages: 1 },
      { type: 'tlb-fill', ...other },
      { type: 'tlb-flush', ...group, vpn: 64, pages: 32 },
      { type: 'tlb-flush', ...other },
    ]);
  });

  it.each<[string, PolicyKind]>([
    ['ARC', arc()],
    ['2Q', twoQ()],
    ['S3-FIFO', s3Fifo()],
  ])('of the same pages with other frames are entries of their own to %s', (_name, kind) => {
    const options = { entries: 4, coalesce: 8, policy: tlbPolicy(kind) };
    let tlb = new CoalescingTlb(options);
    for (let turn = 0; turn < 200; turn++) {
      tlb.fill((turn * 7) % 24, 100 + 64 * (turn % 5), READ);
      tlb.find((turn * 5) % 24);
      tlb.checkInvariants();
      // A policy that had one page in two places refuses its own snapshot.
      tlb = CoalescingTlb.restore(tlb.snapshot(), options);
    }
    expect(tlb.used).toBe(4);
  });
});

describe('a snapshot', () => {
  const options = { entries: 4, ways: 4, coalesce: 4 };

  function saved(): TlbSnapshot {
    const tlb = new CoalescingTlb(options);
    for (const [vpn, pfn] of [
      [0, 100],
      [1, 101],
      [2, 202],
    ] as const) {
      tlb.fill(vpn, pfn, READ);
    }
    return tlb.snapshot();
  }

  const group = (slot: number, pfn: number, members: number): readonly number[] => {
    return [slot, 0, 2, pfn, READ, 0, 0, members];
  };

  it.each<[string, readonly (readonly number[])[]]>([
    ['two groups that hold one page', [group(0, 100, 0b11), group(1, 200, 0b110)]],
    ['a page beyond its group', [group(0, 100, 0b1_0001)]],
    ['a superpage with members', [[0, 0, 9, 512, READ, 0, 9, 1]]],
    ['a base page that is no group', [[0, 0, 0, 5, READ, 0, 0, 0]]],
    ['a frame beyond all', [group(0, 2 ** 52, 1)]],
    ['rights of more than 32 bits', [[0, 0, 2, 5, 2 ** 31, 0, 0, 1]]],
  ])('with %s is refused', (_what, slots) => {
    const good = saved();
    expect(CoalescingTlb.restore(good, options).snapshot()).toEqual(good);
    expect(() => CoalescingTlb.restore({ ...good, slots }, options)).toThrow(VmError);
  });

  it.each<[string, readonly number[]]>([
    ['a clock at its end', [2 ** 31 - 1, 0, 0, 3, 0]],
    ['fewer uses than fills', [2, 0, 0, 3, 0]],
    ['less than nothing missed', [5, 0, -1, 3, 0]],
  ])('with %s is refused', (_what, counts) => {
    expect(() => CoalescingTlb.restore({ ...saved(), counts }, options)).toThrow(VmError);
  });

  it('with an order that has holes, or words of more than 32 bits, is refused', () => {
    for (const order of [new Array(4), [0, 0, 0, 2 ** 31]]) {
      expect(() => CoalescingTlb.restore({ ...saved(), order }, options)).toThrow(VmError);
    }
    const list = new Tlb({ entries: 20 }).snapshot();
    const order: unknown[] = [];
    order.length = 2 ** 32 - 1;
    expect(() => Tlb.restore({ ...list, order }, { entries: 20 })).toThrow(VmError);
  });
});
