import { lru, sieve } from 'pagewright/replacement';
import { Tlb, tlbPolicy } from 'pagewright/tlb';
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
