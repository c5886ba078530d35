// Replacement policies and miss curves over reference strings, for each reference.
import { LRUCache } from 'lru-cache';
import { Random } from 'pagewright/core';
import { clock, countMisses, fifo, lru, missCurve, type PolicyKind } from 'pagewright/replacement';
import type { Case, Component, Work } from '../component.js';

type Spread = 'loop' | 'skewed' | 'uniform';

/** References to so many pages. Skewed: a quarter of the pages gets most of them, and so on within it. */
function references(length: number, pages: number, spread: Spread): Float64Array {
  const random = new Random(1);
  return Float64Array.from({ length }, (_, index) => {
    if (spread === 'loop') return index % pages;
    let among = pages;
    while (spread === 'skewed' && among > 4 && random.below(4) > 0) among >>= 2;
    return random.below(among);
  });
}

/** A pass over everything is the unit. */
function passes(length: number, pass: () => number): Work {
  return {
    units: 1,
    opsPerUnit: length,
    run: (start, end) => {
      let sum = 0;
      for (let unit = start; unit < end; unit++) sum += pass();
      return sum;
    },
  };
}

const LENGTH = 200_000;
const PAGES = 50_000;

/** LRU as a program writes it: the order of a Map is that of use. */
function naiveLru(refs: ArrayLike<number>, frames: number): number {
  const order = new Map<bigint, { page: bigint }>();
  let misses = 0;
  for (let index = 0; index < refs.length; index++) {
    const page = BigInt(refs[index]!);
    const found = order.get(page);
    if (found !== undefined) order.delete(page);
    else {
      misses++;
      if (order.size >= frames) order.delete(order.keys().next().value!);
    }
    order.set(page, found ?? { page });
  }
  return misses;
}

/** FIFO and CLOCK as a textbook draws them: an array of frames that is searched. */
function naiveRing(refs: ArrayLike<number>, frames: number, secondChance: boolean): number {
  const ring: { page: number; referenced: boolean }[] = [];
  let hand = 0;
  let misses = 0;
  for (let index = 0; index < refs.length; index++) {
    const page = refs[index]!;
    const found = ring.find((frame) => frame.page === page);
    if (found !== undefined) {
      found.referenced = true;
      continue;
    }
    misses++;
    if (ring.length < frames) ring.push({ page, referenced: true });
    else {
      while (secondChance && ring[hand]!.referenced) {
        ring[hand]!.referenced = false;
        hand = (hand + 1) % frames;
      }
      ring[hand] = { page, referenced: true };
      hand = (hand + 1) % frames;
    }
  }
  return misses;
}

function lruCache(refs: ArrayLike<number>, frames: number): number {
  const cache = new LRUCache<number, true>({ max: frames });
  let misses = 0;
  for (let index = 0; index < refs.length; index++) {
    const page = refs[index]!;
    if (cache.get(page) !== undefined) continue;
    misses++;
    cache.set(page, true);
  }
  return misses;
}

function policyCase(name: 'clock' | 'fifo' | 'lru', kind: PolicyKind, frames: number): Case {
  const refs = (): Float64Array => references(LENGTH, PAGES, 'skewed');
  const work = (count: (refs: Float64Array) => number): Work => {
    const own = refs();
    return passes(LENGTH, () => count(own));
  };
  const naive = (own: Float64Array): number =>
    name === 'lru' ? naiveLru(own, frames) : naiveRing(own, frames, name === 'clock');
  return {
    name: `${kind.name}, ${frames} frames`,
    what: `countMisses of ${kind.name} over ${LENGTH} skewed references to ${PAGES} pages`,
    ours: () => work((own) => countMisses(kind, frames, own)),
    c: () => ({
      source: 'replacement.c',
      units: 1,
      opsPerUnit: LENGTH,
      args: [name, frames, PAGES],
      inputs: [refs()],
    }),
    // An array that is searched would take minutes with many frames.
    ...((name === 'lru' || frames <= 1000) && { naive: () => work(naive) }),
    ...(name === 'lru' && {
      peers: { 'lru-cache': () => work((own) => lruCache(own, frames)) },
    }),
  };
}

function curveCase(length: number, pages: number, spread: Spread, rounds: number): Case {
  const refs = (): Float64Array => references(length, pages, spread);
  return {
    name: `missCurve, ${length} references, ${pages} pages, ${spread}`,
    rounds,
    what: `the whole LRU curve over ${length} references to ${pages} pages, ${spread}; C with a Fenwick tree over all times`,
    ours: () => {
      const own = refs();
      return passes(length, () => missCurve(own).misses.reduce((sum, misses) => sum + misses, 0));
    },
    c: () => ({
      source: 'replacement.c',
      units: 1,
      opsPerUnit: length,
      args: ['curve', 0, pages],
      inputs: [refs()],
    }),
  };
}

const policies = [1000, 20_000].flatMap((frames) => [
  policyCase('lru', lru(), frames),
  policyCase('fifo', fifo(), frames),
  policyCase('clock', clock(), frames),
]);
const curves = [
  curveCase(1_000_000, 100_000, 'uniform', 15),
  curveCase(1_000_000, 100_000, 'skewed', 15),
  curveCase(1_000_000, 100_000, 'loop', 15),
];
const large = curveCase(10_000_000, 1_000_000, 'uniform', 3);
const lruCases = policies.filter(({ peers }) => peers !== undefined);

export const replacement: Component = {
  name: 'replacement',
  cases: [...policies, ...curves, large],
  targets: [
    {
      text: 'simulation of a policy against C',
      cases: policies.map(({ name }) => name),
      against: 'c',
    },
    {
      text: 'LRU against lru-cache',
      cases: lruCases.map(({ name }) => name),
      against: 'lru-cache',
    },
    { text: 'miss curves against C', cases: curves.map(({ name }) => name), against: 'c' },
    {
      text: 'missCurve over 10 million references: 3 seconds are 300 ns for each',
      cases: [large.name],
      against: 'clock',
      nsAtMost: 300,
    },
  ],
};
