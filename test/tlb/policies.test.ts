import { lru, type ReplacementPolicy, sieve } from 'pagewright/replacement';
import { Tlb, TlbAnswer, tlbPolicy } from 'pagewright/tlb';
import { describe, expect, it } from 'vitest';
import { codeOf } from './code-of.js';

const READ = 1;

/** An object with some of its properties replaced, and its methods. */
function replacing(order: object, instead: object): object {
  return Object.assign(Object.create(order), instead);
}

describe('a policy of somebody else', () => {
  it('may not choose a way that there is not', () => {
    const kind = sieve();
    const wild = {
      ...kind,
      create: (slots: number) => Object.assign(kind.create(slots), { victim: () => 99 }),
    };
    const tlb = new Tlb({ entries: 2, policy: tlbPolicy(wild) });
    tlb.fill(1, 1, READ);
    tlb.fill(2, 2, READ);
    expect(codeOf(() => tlb.fill(3, 3, READ))).toBe('out-of-range');
    expect(tlb.lookup(1, READ)).toBe(1);
    tlb.checkInvariants();
  });

  it.each([0, 4])(
    'may throw when an entry comes, which is not there then; beside %i others',
    (used) => {
      const kind = sieve();
      let fails = false;
      const create = (slots: number): ReplacementPolicy => {
        const policy = kind.create(slots);
        const told = policy.onFill.bind(policy);
        return Object.assign(policy, {
          onFill: (slot: number, page: number) => {
            if (fails) throw new Error('full of errors');
            told(slot, page);
          },
        });
      };
      const tlb = new Tlb({ entries: 4, policy: tlbPolicy({ ...kind, create }) });
      for (let vpn = 0; vpn < used; vpn++) tlb.fill(vpn, 0x100 + vpn, READ);
      fails = true;
      expect(() => tlb.fill(50, 0x999, READ)).toThrow('full of errors');
      expect(tlb.lookup(50, 0)).toBe(TlbAnswer.Miss);
      expect(tlb.used).toBe(Math.max(used - 1, 0));
      tlb.checkInvariants();
    },
  );

  it('may throw when an entry goes, which is gone then', () => {
    const kind = sieve();
    const create = (slots: number): ReplacementPolicy =>
      Object.assign(kind.create(slots), {
        onRemove: () => {
          throw new Error('no farewell');
        },
      });
    const tlb = new Tlb({ entries: 4, policy: tlbPolicy({ ...kind, create }) });
    tlb.fill(7, 0x107, READ);
    expect(() => tlb.flush({ vpn: 7, globals: true })).toThrow('no farewell');
    expect(tlb.lookup(7, READ)).toBe(TlbAnswer.Miss);
    tlb.checkInvariants();
  });

  it.each<[string, unknown]>([
    ['nothing', null],
    ['no object', 5],
    ['an object without methods', {}],
    ['nothing that restores', { create: () => lru().create(4) }],
    ['an inline form that is no function', { ...sieve(), inline: 5 }],
  ])('may not be %s', (_what, kind) => {
    expect(codeOf(() => Reflect.apply(tlbPolicy, null, [kind]))).toBe('bad-argument');
  });

  it.each<[string, unknown]>([
    ['nothing', null],
    ['no object', 5],
    ['an object that lacks a method', { ...sieve().create(4), victim: undefined }],
  ])('may not create or restore %s', (_what, made) => {
    const kind = sieve();
    const entries = 4;
    const creates = Reflect.apply(tlbPolicy, null, [{ ...kind, create: () => made }]);
    const restores = Reflect.apply(tlbPolicy, null, [{ ...kind, restore: () => made }]);
    const saved = new Tlb({ entries, policy: restores }).snapshot();
    expect(codeOf(() => new Tlb({ entries, policy: creates }))).toBe('bad-argument');
    expect(codeOf(() => Tlb.restore(saved, { entries, policy: restores }))).toBe('bad-argument');
  });

  const order = tlbPolicy(lru())(1, 4);

  it.each<[string, unknown]>([
    ['nothing', null],
    ['no object', 5],
    ['an order that lacks methods', { hitStamps: order.hitStamps }],
    ['stamps that are none', replacing(order, { hitStamps: [0, 0, 0, 0] })],
    ['stamps for some slots', replacing(order, { hitStamps: new Int32Array(3) })],
  ])('may not give a TLB %s', (_what, made) => {
    const options = { entries: 4, policy: () => made };
    expect(codeOf(() => Reflect.construct(Tlb, [options]))).toBe('bad-argument');
  });

  it.each<[unknown, string]>([
    [4, 'out-of-range'],
    [1, 'out-of-range'],
    [-1, 'out-of-range'],
    [undefined, 'bad-argument'],
  ])('may not choose slot %s for the second of two sets of two', (victim, code) => {
    const policy = (): unknown => replacing(tlbPolicy(lru())(2, 2), { victim: () => victim });
    const tlb: Tlb = Reflect.construct(Tlb, [{ entries: 4, ways: 2, policy }]);
    for (const vpn of [0, 1, 2, 3]) tlb.fill(vpn, vpn, READ);
    expect(codeOf(() => tlb.fill(5, 5, READ))).toBe(code);
    expect([0, 1, 2, 3].map((vpn) => tlb.lookup(vpn, READ))).toEqual([0, 1, 2, 3]);
    expect(tlb.statistics().evictions).toBe(0);
    tlb.checkInvariants();
  });
});
