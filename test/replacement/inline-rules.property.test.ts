import fc from 'fast-check';
import { Random } from 'pagewright/core';
import {
  fifo,
  type InlineRule,
  lru,
  mru,
  nru,
  type PolicyKind,
  random,
  treePlru,
  type WordRule,
} from 'pagewright/replacement';
import { describe, expect, it } from 'vitest';
import { errorOf } from '../core/errors.js';
import { Cache } from './cache.js';

function wordRule(kind: PolicyKind, ways: number): WordRule {
  const rule = kind.inline?.(ways);
  if (rule?.kind !== 'word') throw new Error(`${kind.name} has no word for ${ways} ways`);
  return rule;
}

/** A set that does what the rule says, and nothing else. */
class WordSet {
  private word = 0;
  private readonly rule: WordRule;
  private readonly pages: (number | null)[];

  constructor(rule: WordRule, ways: number) {
    this.rule = rule;
    this.pages = Array.from({ length: ways }, () => null);
  }

  access(page: number): { hit: boolean; victim: number | null } {
    const hit = this.pages.indexOf(page);
    const free = this.pages.indexOf(null);
    const way = hit >= 0 ? hit : free >= 0 ? free : this.rule.victim(this.word);
    const victim = hit >= 0 ? null : this.pages[way]!;
    this.pages[way] = page;
    const { full, keep, put } = this.rule;
    this.word = (this.word & keep[way]!) | put[way]!;
    if (this.word === full) this.word = put[way]!;
    return { hit: hit >= 0, victim };
  }

  remove(page: number): void {
    const way = this.pages.indexOf(page);
    if (way >= 0) this.pages[way] = null;
  }
}

/** Accesses; negative numbers remove the page instead. */
function agrees(kind: PolicyKind, ways: readonly number[]): void {
  const runs = fc.constantFrom(...ways).chain((count) => {
    const pages = fc.integer({ min: -2, max: count + (count >> 1) + 1 });
    return fc.tuple(fc.constant(count), fc.array(pages, { maxLength: 8 * count, size: 'max' }));
  });
  const property = fc.property(runs, ([count, pages]) => {
    const [cache, set] = [new Cache(kind, count), new WordSet(wordRule(kind, count), count)];
    for (const page of pages) {
      if (page >= 0) expect(set.access(page)).toEqual(cache.access(page));
      for (const each of page < 0 ? [set, cache] : []) each.remove(-page);
    }
  });
  fc.assert(property);
}

describe('the word that a TLB runs a policy by', () => {
  it('chooses as tree-PLRU, up to 32 ways', () => agrees(treePlru(), [1, 2, 4, 8, 16, 32]));

  it('chooses as NRU with one bit, up to 32 ways', () => {
    const ways = Array.from({ length: 32 }, (_, index) => index + 1);
    agrees(nru({ reset: 'when-all-referenced' }), ways);
  });

  it('has no more than 32 bits', () => {
    expect(treePlru().inline?.(64)).toBeNull();
    expect(nru({ reset: 'when-all-referenced' }).inline?.(33)).toBeNull();
  });

  it('is refused for ways that the policy cannot have', () => {
    for (const ways of [0, 3, 2 ** 25, 1.5, Number.NaN]) errorOf(() => treePlru().inline?.(ways));
    for (const ways of [0, 2 ** 25, 1.5, Number.NaN]) {
      errorOf(() => nru({ reset: 'when-all-referenced' }).inline?.(ways));
    }
  });
});

describe('the other inline forms', () => {
  const rules: readonly [PolicyKind, InlineRule | undefined][] = [
    [lru(), { kind: 'stamps', onHit: true }],
    [fifo(), { kind: 'stamps', onHit: false }],
    [random({ seed: -7 }), { kind: 'random', seed: -7 }],
    [mru(), undefined],
    [nru(), undefined],
  ];
  for (const [kind, rule] of rules) {
    it(`${kind.name} has ${rule === undefined ? 'none' : rule.kind}`, () => {
      expect(kind.inline?.(4)).toEqual(rule);
    });
  }

  it('are refused for no ways', () => {
    for (const ways of [0, -1, 1.5, 2 ** 25, Number.NaN]) {
      for (const kind of [lru(), fifo(), random({ seed: 1 })]) errorOf(() => kind.inline?.(ways));
    }
  });

  it("random's is the seed of core's generator", () => {
    const generator = new Random(9);
    const victims = new Cache(random({ seed: 9 }), 4).run([0, 1, 2, 3, 4, 5, 6]).slice(4);
    const content = [0, 1, 2, 3];
    const expected = [4, 5, 6].map((page) => content.splice(generator.below(4), 1, page)[0]);
    // A page comes into the slot of its victim, which is what splice does here.
    expect(victims).toEqual(expected);
  });
});
