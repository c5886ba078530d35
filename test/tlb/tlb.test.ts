import { VmError, type VmEvent } from 'pagewright/core';
import { treePlru } from 'pagewright/replacement';
import { CoalescingTlb, Tlb, TlbAnswer, tlbPolicy } from 'pagewright/tlb';
import { describe, expect, it } from 'vitest';
import { codeOf } from './code-of.js';

const READ = 1;
const WRITE = 2;

describe('the shape of a TLB', () => {
  it('may be anything: 1,536 entries in 12 ways, odd ways, sets that are no power of two', () => {
    for (const [entries, ways, sets] of [
      [1536, 12, 128],
      [15, 5, 3],
      [7, 7, 1],
      [9, 1, 9],
      [1280, 5, 256],
    ] as const) {
      const tlb = new Tlb({ entries, ways });
      expect(tlb.sets).toBe(sets);
      for (let vpn = 0; vpn < entries; vpn++) tlb.fill(vpn, vpn, READ);
      expect(tlb.used).toBe(entries);
      for (let vpn = 0; vpn < entries; vpn++) expect(tlb.lookup(vpn, READ)).toBe(vpn);
      tlb.fill(entries, entries, READ);
      expect(tlb.lookup(0, READ)).toBe(sets === 1 || entries % sets === 0 ? TlbAnswer.Miss : 0);
    }
  });

  it.each<[string, object | null | undefined, string]>([
    ['zero entries', { entries: 0 }, 'out-of-range'],
    ['zero ways', { entries: 4, ways: 0 }, 'out-of-range'],
    ['ways that do not divide the entries', { entries: 10, ways: 4 }, 'bad-argument'],
    ['more ways than entries', { entries: 4, ways: 8 }, 'out-of-range'],
    ['an absurd size', { entries: 2 ** 40 }, 'out-of-range'],
    ['half an entry', { entries: 0.5 }, 'bad-argument'],
    ['NaN', { entries: Number.NaN }, 'bad-argument'],
    ['a negative number', { entries: -4 }, 'out-of-range'],
    ['a string', { entries: '4' }, 'bad-argument'],
    ['no options', undefined, 'bad-argument'],
    ['null', null, 'bad-argument'],
    ['an option that there is not', { entries: 4, way: 2 }, 'bad-argument'],
    ['no sizes', { entries: 4, orders: [] }, 'bad-argument'],
    ['a size that there is not', { entries: 4, orders: [31] }, 'out-of-range'],
    ['a policy that is none', { entries: 4, policy: 'lru' }, 'bad-argument'],
    ['contexts that are none', { entries: 4, contexts: {} }, 'bad-argument'],
    ['another word for overlaps', { entries: 4, overlaps: 'keep' }, 'bad-argument'],
    [
      'tree-PLRU of three ways',
      { entries: 6, ways: 3, policy: tlbPolicy(treePlru()) },
      'bad-argument',
    ],
  ])('is refused with %s', (_what, options, code) => {
    expect(codeOf(() => Reflect.construct(Tlb, [options]))).toBe(code);
  });

  it('takes the page sizes that it is told to take', () => {
    const tlb = new Tlb({ entries: 4, orders: [9, 18] });
    expect(codeOf(() => tlb.fill(0, 0, READ))).toBe('out-of-range');
    tlb.fill(512, 1024, READ, 9);
    expect(tlb.lookup(700, READ)).toBe(1024 + 188);
  });
});

describe('rights and memory type', () => {
  it('are kept, and what an access needs is asked each time: there is no verdict to go stale', () => {
    const tlb = new Tlb({ entries: 4 });
    tlb.insert({ vpn: 7, pfn: 70, rights: READ, memoryType: 6 });
    expect(tlb.lookup(7, WRITE)).toBe(TlbAnswer.Denied);
    expect(tlb.lookup(7, READ)).toBe(70);
    expect(tlb.lookup(7, READ | WRITE)).toBe(TlbAnswer.Denied);
    expect(tlb.memoryTypeAt(tlb.find(7))).toBe(6);
    expect(tlb.rightsAt(tlb.find(7))).toBe(READ);
  });

  it('may use all 32 bits', () => {
    const tlb = new Tlb({ entries: 4 });
    tlb.fill(7, 70, -(2 ** 31));
    expect(tlb.lookup(7, -(2 ** 31))).toBe(70);
    expect(tlb.lookup(7, 1)).toBe(TlbAnswer.Denied);
  });

  it('change when the page is inserted again', () => {
    const tlb = new Tlb({ entries: 4 });
    tlb.fill(7, 70, READ);
    tlb.fill(7, 71, READ | WRITE);
    expect(tlb.used).toBe(1);
    expect(tlb.lookup(7, WRITE)).toBe(71);
  });
});

describe('pages of several sizes', () => {
  it('are in one array, up to the top of the address space', () => {
    const tlb = new Tlb({ entries: 16, ways: 4 });
    const top = 2 ** 52;
    tlb.fill(top - 1, 5, READ);
    tlb.fill(top - 1024, 4096, READ, 9);
    tlb.fill(2 ** 40 + 5, 2 ** 30 + 5, READ, 18);
    expect(tlb.lookup(top - 1, READ)).toBe(5);
    expect(tlb.lookup(top - 513, READ)).toBe(4096 + 511);
    expect(tlb.lookup(2 ** 40 + 2 ** 18 - 1, READ)).toBe(2 ** 30 + 2 ** 18 - 1);
    expect(tlb.lookup(2 ** 40 + 2 ** 18, READ)).toBe(TlbAnswer.Miss);
  });

  it('include NAPOT and contiguous groups, as entries of their order', () => {
    const tlb = new Tlb({ entries: 4 });
    tlb.fill(0x1237, 0x5007, READ, 4);
    expect(tlb.lookup(0x123f, READ)).toBe(0x500f);
    expect(tlb.flush({ globals: false, vpn: 0x1230 })).toBe(1);
    expect(tlb.lookup(0x1237, READ)).toBe(TlbAnswer.Miss);
  });

  it('go whole when any address in them is flushed, and their fragments, too', () => {
    const tlb = new Tlb({ entries: 16, ways: 4 });
    tlb.fill(0x400, 0x800, READ, 9);
    for (const vpn of [0x601, 0x6ff, 0x7ff]) tlb.fill(vpn, vpn, READ, 0, false, 0, 9);
    tlb.fill(0x800, 0x800, READ);
    expect(tlb.flush({ globals: false, vpn: 0x5ab })).toBe(1);
    expect(tlb.flush({ globals: false, vpn: 0x6ab })).toBe(3);
    expect(tlb.content().map(({ vpn }) => vpn)).toEqual([0x800]);
  });

  it('are refused where they overlap, and nothing changes', () => {
    const tlb = new Tlb({ entries: 16, ways: 4 });
    tlb.fill(0x400, 0x800, READ, 9);
    const before = tlb.snapshot();
    expect(codeOf(() => tlb.fill(0x401, 1, READ))).toBe('overlap');
    expect(codeOf(() => tlb.fill(0, 0, READ, 18))).toBe('overlap');
    expect(tlb.snapshot()).toEqual(before);
    // Not in another address space.
    tlb.context = tlb.contexts.intern({ asid: 1 });
    tlb.fill(0x401, 1, READ);
    expect(tlb.used).toBe(2);
  });

  it('answer by the smallest, where overlaps are allowed', () => {
    const tlb = new Tlb({ entries: 16, ways: 4, overlaps: 'allow' });
    tlb.fill(0x400, 0x800, READ, 9);
    tlb.fill(0x401, 1, READ);
    expect([0x400, 0x401, 0x402].map((vpn) => tlb.lookup(vpn, READ))).toEqual([0x800, 1, 0x802]);
  });
});

describe('global entries', () => {
  it('answer in every address space of their root, and in no other root', () => {
    const tlb = new Tlb({ entries: 16, ways: 4 });
    tlb.fill(7, 70, READ, 0, true);
    for (const [context, answer] of [
      [{ asid: 1 }, 70],
      [{ asid: 65535 }, 70],
      [{ vmid: 1 }, TlbAnswer.Miss],
      [{ root: 1 }, TlbAnswer.Miss],
    ] as const) {
      tlb.context = tlb.contexts.intern(context);
      expect(tlb.lookup(7, READ)).toBe(answer);
    }
  });

  it('are told apart from entries of the same page that are not', () => {
    for (const options of [{ entries: 16, ways: 4 }, { entries: 32 }]) {
      const tlb = new Tlb(options);
      tlb.fill(7, 70, READ, 0, true);
      tlb.context = tlb.contexts.intern({ asid: 5 });
      tlb.fill(7, 75, READ);
      expect(tlb.used).toBe(2);
      expect(tlb.lookup(7, READ)).toBe(75);
      tlb.context = tlb.contexts.intern({ asid: 6 });
      expect(tlb.lookup(7, READ)).toBe(70);
      expect(tlb.flush({ asid: 5, globals: false })).toBe(1);
      tlb.context = tlb.contexts.intern({ asid: 5 });
      expect(tlb.lookup(7, READ)).toBe(70);
    }
  });
});

describe('entries that say that a page is not mapped', () => {
  it('are answers of their own, whatever is needed', () => {
    for (const entries of [4, 32]) {
      const tlb = new Tlb({ entries });
      tlb.insert({ vpn: 7 });
      tlb.insert({ vpn: 512, order: 9 });
      expect(tlb.lookup(7, READ | WRITE)).toBe(TlbAnswer.NotPresent);
      expect(tlb.lookup(1023, READ)).toBe(TlbAnswer.NotPresent);
      expect(tlb.pfnAt(tlb.find(1023), 1023)).toBe(TlbAnswer.NotPresent);
      expect(tlb.content().map(({ pfn }) => pfn)).toEqual([null, null]);
      tlb.fill(7, 70, READ);
      expect(tlb.lookup(7, READ)).toBe(70);
    }
  });
});

describe('what is inserted', () => {
  it.each<[string, object | null, string]>([
    ['nothing', null, 'bad-argument'],
    ['no page', {}, 'out-of-range'],
    ['a page of 2^52', { vpn: 2 ** 52, pfn: 1 }, 'out-of-range'],
    ['a negative page', { vpn: -1, pfn: 1 }, 'out-of-range'],
    ['half a page', { vpn: 0.5, pfn: 1 }, 'out-of-range'],
    ['NaN', { vpn: Number.NaN, pfn: 1 }, 'out-of-range'],
    ['a bigint', { vpn: 1n, pfn: 1 }, 'out-of-range'],
    ['a frame of 2^52', { vpn: 1, pfn: 2 ** 52 }, 'out-of-range'],
    ['a negative frame', { vpn: 1, pfn: -1 }, 'out-of-range'],
    ['a frame below its superpage', { vpn: 513, pfn: 0, order: 9 }, 'out-of-range'],
    ['an order that there is not', { vpn: 1, pfn: 1, order: 31 }, 'out-of-range'],
    ['a page smaller than the entry', { vpn: 1, pfn: 1, order: 9, pageOrder: 0 }, 'out-of-range'],
    ['rights beyond 32 bits', { vpn: 1, pfn: 1, rights: 2 ** 32 }, 'out-of-range'],
    ['a memory type that is none', { vpn: 1, pfn: 1, memoryType: 'WB' }, 'bad-argument'],
    ['a word for global', { vpn: 1, pfn: 1, global: 'yes' }, 'bad-argument'],
    ['a field that there is not', { vpn: 1, pfn: 1, asid: 3 }, 'bad-argument'],
  ])('is refused with %s, and nothing changes', (_what, entry, code) => {
    for (const tlb of [new Tlb({ entries: 4 }), new CoalescingTlb({ entries: 4, coalesce: 4 })]) {
      expect(codeOf(() => Reflect.apply(tlb.insert, tlb, [entry]))).toBe(code);
      expect(tlb.used).toBe(0);
      expect(tlb.statistics()).toEqual({ hits: 0, misses: 0, fills: 0, evictions: 0 });
    }
  });

  it.each<[string, object | null]>([
    ['null', null],
    ['nothing', {}],
    ['pages without a first one', { globals: true, pages: 3 }],
    ['zero pages', { globals: true, vpn: 1, pages: 0 }],
    ...['vpn', 'pages', 'asid', 'vmid', 'root', 'exceptVmid', 'exceptRoot'].map(
      (name): [string, object] => [
        `${name} undefined`,
        { globals: true, vpn: 1, [name]: undefined },
      ],
    ),
    ['a page that is none', { globals: true, vpn: -1 }],
    ['an ASID of 17 bits', { globals: true, asid: 65536 }],
    ['a word for globals', { globals: 'all' }],
    [
      'caches that are none',
      { globals: true, caches: { translations: true, structures: 'some', secondStage: true } },
    ],
    ['a field that there is not', { globals: true, pcid: 3 }],
  ])('is not flushed with %s', (_what, scope) => {
    const tlb = new Tlb({ entries: 4 });
    tlb.fill(1, 1, READ);
    expect(() => Reflect.apply(tlb.flush, tlb, [scope])).toThrow(VmError);
    expect(tlb.used).toBe(1);
  });

  it('is in a slot that can be looked at, and no other can', () => {
    const tlb = new Tlb({ entries: 4 });
    const slot = tlb.fill(9, 90, READ);
    expect(tlb.entryAt(slot)).toMatchObject({ vpn: 9, pfn: 90, set: 0, way: slot });
    for (const other of [slot + 1, -1, 4, 0.5]) {
      expect(codeOf(() => tlb.entryAt(other))).toBe('bad-argument');
    }
  });
});

describe('a page that is none', () => {
  it('has no entry in any TLB, and is looked for in bounded time', () => {
    for (const options of [
      { entries: 4 },
      { entries: 15, ways: 5 },
      { entries: 36, ways: 12 },
      { entries: 32 },
      { entries: 6, ways: 1 },
    ]) {
      const tlb = new Tlb({ ...options, countSets: true });
      tlb.fill(0, 1, READ);
      for (const vpn of [
        -1,
        Number.NaN,
        0.5,
        0.002,
        Number.POSITIVE_INFINITY,
        -(2 ** 60),
        2 ** 52,
        2 ** 53,
      ]) {
        expect([tlb.lookup(vpn, 0), tlb.find(vpn), tlb.peek(vpn)]).toEqual([
          TlbAnswer.Miss,
          -1,
          -1,
        ]);
      }
      tlb.checkInvariants();
    }
  });
});

describe('counts', () => {
  it('are kept in total, and for each set when asked', () => {
    const tlb = new Tlb({ entries: 4, ways: 2, countSets: true });
    for (const vpn of [0, 2, 4, 1]) if (tlb.find(vpn) < 0) tlb.fill(vpn, vpn, READ);
    for (const vpn of [4, 4, 1, 0]) tlb.find(vpn);
    expect(tlb.statistics()).toEqual({
      hits: 3,
      misses: 5,
      fills: 4,
      evictions: 1,
      sets: [
        { hits: 2, misses: 4, evictions: 1 },
        { hits: 1, misses: 1, evictions: 0 },
      ],
    });
  });

  it('and the order of use survive the end of the clock', () => {
    const options = { entries: 4, ways: 4 };
    const tlb = new Tlb(options);
    for (const vpn of [0, 1, 2, 3]) tlb.fill(vpn, vpn, READ);
    const saved = tlb.snapshot();
    const [, ...others] = saved.counts;
    const late = Tlb.restore({ ...saved, counts: [2 ** 31 - 4, ...others] }, options);
    for (const vpn of [0, 1, 0, 2, 3, 0, 1]) late.find(vpn);
    expect(late.statistics().hits).toBe(2 ** 31 - 4 - 4 + 7);
    late.fill(4, 4, READ);
    expect([0, 1, 2, 3, 4].map((vpn) => late.peek(vpn) >= 0)).toEqual([
      ...[true, true, false, true, true],
    ]);
    late.checkInvariants();
  });
});

describe('an observer', () => {
  it('hears of hits, misses, fills, evictions and flushes, in order', () => {
    const tlb = new Tlb({ entries: 1 });
    const events: VmEvent[] = [];
    tlb.observer = (event) => events.push(event);
    tlb.lookup(5, READ);
    tlb.fill(5, 50, READ);
    tlb.lookup(5, READ);
    tlb.fill(512, 1024, READ, 9);
    tlb.flush({ globals: true });
    expect(events).toEqual([
      { type: 'tlb-miss', step: 0, slot: -1, vpn: 5, pages: 1 },
      { type: 'tlb-fill', step: 1, slot: 0, vpn: 5, pages: 1 },
      { type: 'tlb-hit', step: 2, slot: 0, vpn: 5, pages: 1 },
      { type: 'tlb-evict', step: 3, slot: 0, vpn: 5, pages: 1 },
      { type: 'tlb-fill', step: 4, slot: 0, vpn: 512, pages: 512 },
      { type: 'tlb-flush', step: 5, slot: 0, vpn: 512, pages: 512 },
    ]);
    tlb.observer = null;
    expect(tlb.observer).toBeNull();
    tlb.lookup(5, READ);
    expect(events).toHaveLength(6);
    expect(codeOf(() => Reflect.set(tlb, 'observer', 7))).toBe('bad-argument');
  });
});
