import { Tlb, TlbAnswer, TlbContexts, TlbHierarchy } from 'pagewright/tlb';
import { describe, expect, it } from 'vitest';
import { codeOf } from './code-of.js';

const READ = 1;

describe('contexts', () => {
  it('have as many bits as hardware: 57-bit addresses, ASIDs and VMIDs of 16', () => {
    const contexts = new TlbContexts();
    const tlb = new Tlb({ entries: 8, contexts });
    const top = 2 ** 52 - 1; // of an address with its sign extended
    const all = [0, 1, 65535].flatMap((asid) =>
      [0, 1, 65535].flatMap((vmid) => [0, 2 ** 20 - 1].map((root) => ({ asid, vmid, root }))),
    );
    for (const context of all) {
      tlb.context = contexts.intern(context);
      expect(tlb.lookup(top, READ)).toBe(TlbAnswer.Miss);
      tlb.fill(top, 1, READ);
      expect(contexts.describe(tlb.context)).toEqual(context);
    }
    expect(tlb.content()[0]?.context).toBeDefined();
  });

  it('that are not known are refused', () => {
    const tlb = new Tlb({ entries: 4 });
    tlb.fill(1, 1, READ);
    for (const id of [99, -1, 0.5, Number.NaN, 2 ** 40]) {
      expect(codeOf(() => Reflect.set(tlb, 'context', id))).toBe('bad-argument');
      expect(codeOf(() => tlb.contexts.describe(id))).toBe('bad-argument');
    }
    for (const id of [0n, Symbol('id'), undefined, null, '0', {}]) {
      expect(codeOf(() => Reflect.set(tlb, 'context', id))).toBe('bad-argument');
      expect(codeOf(() => Reflect.apply(tlb.contexts.describe, tlb.contexts, [id]))).toBe(
        'bad-argument',
      );
    }
    expect(codeOf(() => tlb.contexts.intern({ asid: 65536 }))).toBe('out-of-range');
    expect(codeOf(() => tlb.contexts.intern({ vmid: -1 }))).toBe('out-of-range');
    expect(codeOf(() => tlb.contexts.intern({ root: 2 ** 20 }))).toBe('out-of-range');
    expect(codeOf(() => new TlbContexts({ limit: 1 }))).toBe('out-of-range');
    expect(tlb.lookup(1, READ)).toBe(1);
  });

  it('give their ids away when there are too many, after what they left behind is flushed', () => {
    const contexts = new TlbContexts({ limit: 4 }); // the first, its root's global one, and two more
    const tlb = new Tlb({ entries: 8, contexts });
    const [one, two] = [1, 2].map((asid) => contexts.intern({ asid }));
    tlb.context = one!;
    tlb.fill(7, 71, READ);
    tlb.context = two!;
    tlb.fill(7, 72, READ);
    const three = contexts.intern({ asid: 3 }); // takes the id of ASID 0 or 1, whichever was interned first
    const four = contexts.intern({ asid: 4 });
    expect(new Set([two, three, four]).size).toBe(3);
    tlb.context = four;
    expect(tlb.lookup(7, READ)).toBe(TlbAnswer.Miss);
    tlb.context = contexts.intern({ asid: 2 });
    expect(tlb.lookup(7, READ)).toBe(72);
    tlb.checkInvariants();
    contexts.checkInvariants();
  });

  it('that gave their place away are refused by the id that they had, also after a snapshot', () => {
    const contexts = new TlbContexts({ limit: 4 });
    const tlb = new Tlb({ entries: 8, contexts });
    const ids = [1, 2, 3, 4, 5, 6, 7, 8].map((asid) => contexts.intern({ asid }));
    expect(new Set(ids).size).toBe(8);
    const restored = TlbContexts.restore(contexts.snapshot());
    for (const table of [contexts, restored]) {
      expect(ids.map((id) => codeOf(() => table.describe(id)))).toEqual([
        ...Array.from({ length: 6 }, () => 'bad-argument'),
        ...['nothing thrown', 'nothing thrown'],
      ]);
      expect([6, 7].map((at) => table.describe(ids[at]!).asid)).toEqual([7, 8]);
    }
    expect(codeOf(() => Reflect.set(tlb, 'context', ids[0]))).toBe('bad-argument');
    expect(tlb.contexts.describe(tlb.context).asid).toBe(0);
    // Of the same context, it is another id now.
    const again = contexts.intern({ asid: 1 });
    expect(codeOf(() => contexts.describe(ids[0]!))).toBe('bad-argument');
    expect(contexts.describe(again).asid).toBe(1);
    expect(codeOf(() => restored.describe(again))).toBe('bad-argument');
    tlb.context = again;
    expect(tlb.context).toBe(again);
  });

  it('are used when they become current, and when they are interned', () => {
    const contexts = new TlbContexts({ limit: 5 });
    const tlb = new Tlb({ entries: 8, contexts });
    const [zero, one, two, three] = [0, 1, 2, 3].map((asid) => contexts.intern({ asid }));
    tlb.context = one!;
    tlb.context = zero!;
    contexts.intern({ asid: 4 }); // not instead of 1, which was current after 2 and 3 were interned
    const known = [one!, two!, three!].map((id) => codeOf(() => contexts.describe(id)));
    expect(known).toEqual(['nothing thrown', 'bad-argument', 'nothing thrown']);
  });

  it('that are all current somewhere leave no id', () => {
    const contexts = new TlbContexts({ limit: 3 });
    const tlbs = [new Tlb({ entries: 1, contexts }), new Tlb({ entries: 1, contexts })];
    tlbs[1]!.context = contexts.intern({ asid: 1 });
    expect(codeOf(() => contexts.intern({ asid: 2 }))).toBe('out-of-range');
  });

  it('are told apart by all levels and caches of a CPU, however often places were given away', () => {
    const options = {
      fetch: [],
      load: [{ entries: 2 }],
      second: [{ entries: 4 }],
      fills: 'exclusive',
      structures: { tableLevels: 2, levels: [{ level: 1, order: 9, entries: 4 }] },
      nested: { entries: 4 },
    } as const;
    let tlbs = new TlbHierarchy({ ...options, contexts: new TlbContexts({ limit: 10 }) });
    const ids: number[] = [];
    for (let turn = 0; turn < 40; turn++) {
      const id = tlbs.contexts.intern({ asid: turn % 7, vmid: turn % 3 });
      tlbs.context = id;
      expect(tlbs.lookup(5, READ, 0)).toBe(TlbAnswer.Miss);
      for (const vpn of [5, 6, 7]) tlbs.fill({ vpn, pfn: 100 * turn + vpn, rights: READ }, 0);
      tlbs.structures?.fill(1, 5, turn);
      tlbs.nested?.fill(5, turn, READ);
      const answers = [7, 6, 5].map((vpn) => tlbs.lookup(vpn, READ, 0));
      expect(answers).toEqual([7, 6, 5].map((vpn) => 100 * turn + vpn));
      tlbs.checkInvariants();
      const known = ids.filter(
        (old) => codeOf(() => tlbs.contexts.describe(old)) !== 'bad-argument',
      );
      expect(known.length).toBeLessThan(10);
      ids.push(id);
      const saved = tlbs.snapshot();
      tlbs = TlbHierarchy.restore(saved, options);
      expect(tlbs.snapshot()).toEqual(saved);
    }
    expect(Math.max(...ids)).toBeGreaterThan(2 ** 21);
  });
});
