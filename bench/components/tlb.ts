// TLBs: lookups that hit, against C and against the maps with which a program would do without.
import { LRUCache } from 'lru-cache';
import { LRUMap } from 'mnemonist';
import { Random } from 'pagewright/core';
import { Tlb } from 'pagewright/tlb';
import QuickLRU from 'quick-lru';
import type { Case, Component, Work } from '../component.js';

const READ_USER = 5;
const ALL = 7;
/** Above 2^31: page numbers of user space are no small integers for V8. */
const FIRST = 0x7_f000_0000;
const LENGTH = 2 ** 16;
/** Of the context, which is not the first: what is compared is not 0. */
const ASID = 5;

type Order = 'random' | 'sequential';

/** Pages asked for. */
function stream(pages: number, order: Order): Float64Array {
  const random = new Random(1);
  return Float64Array.from({ length: LENGTH }, (_, index) => {
    return FIRST + (order === 'random' ? random.below(pages) : index % pages);
  });
}

const frameOf = (vpn: number): number => vpn % 2 ** 20;

function filledTlb(entries: number, ways: number, pages: number): Tlb {
  const tlb = new Tlb({ entries, ways });
  tlb.context = tlb.contexts.intern({ asid: ASID });
  for (let page = 0; page < pages; page++) tlb.fill(FIRST + page, frameOf(FIRST + page), ALL);
  return tlb;
}

/** A TLB that is a constant of the code around the loop, as that of a simulator's module is. The maps below are, too. */
function tlbWork(entries: number, ways: number, pages: number, order: Order): Work {
  const vpns = stream(pages, order);
  const tlb = filledTlb(entries, ways, pages);
  return {
    units: LENGTH,
    run: (start, end) => {
      let sum = 0;
      for (let index = start; index < end; index++) {
        const pfn = tlb.lookup(vpns[index]!, READ_USER);
        if (pfn >= 0) sum += pfn;
        else {
          missed(tlb, vpns, index);
          sum += frameOf(vpns[index]!);
        }
      }
      return sum;
    },
  };
}

/** Two TLBs in turn, in a loop that is given one of them: V8 knows neither, and loads every array's address anew. */
function eitherWork(entries: number, ways: number, pages: number, order: Order): Work {
  const vpns = stream(pages, order);
  const tlbs = [filledTlb(entries, ways, pages), filledTlb(entries, ways, pages)];
  let turn = 0;
  return {
    units: LENGTH,
    run: (start, end) => askTlb(tlbs[turn++ & 1]!, vpns, start, end),
  };
}

function askTlb(tlb: Tlb, vpns: Float64Array, start: number, end: number): number {
  let sum = 0;
  for (let index = start; index < end; index++) {
    const pfn = tlb.lookup(vpns[index]!, READ_USER);
    if (pfn >= 0) sum += pfn;
    else {
      missed(tlb, vpns, index);
      sum += frameOf(vpns[index]!);
    }
  }
  return sum;
}

function missed(tlb: Tlb, vpns: Float64Array, index: number): void {
  const vpn = vpns[index]!;
  tlb.fill(vpn, frameOf(vpn), ALL);
}

/** An entry as a map's value. */
interface Entry {
  readonly pfn: number;
  readonly rights: number;
}

interface LruMap {
  get(key: number): Entry | undefined;
  set(key: number, entry: Entry): unknown;
}

/** A map with page and address space in one key, which its numbers allow as long as pages stay below 2^36. */
function mapWork(map: LruMap, pages: number, order: Order): Work {
  const vpns = stream(pages, order);
  const space = ASID * 2 ** 36;
  for (let page = 0; page < pages; page++) {
    const vpn = FIRST + page;
    map.set(vpn + space, { pfn: frameOf(vpn), rights: ALL });
  }
  return {
    units: LENGTH,
    run: (start, end) => {
      let sum = 0;
      for (let index = start; index < end; index++) {
        const vpn = vpns[index]!;
        const entry = map.get(vpn + space);
        if (entry === undefined) {
          map.set(vpn + space, { pfn: frameOf(vpn), rights: ALL });
          sum += frameOf(vpn);
        } else if ((entry.rights & READ_USER) === READ_USER) sum += entry.pfn;
      }
      return sum;
    },
  };
}

interface NaiveEntry {
  readonly pfn: bigint;
  readonly readable: boolean;
  readonly writable: boolean;
  readonly user: boolean;
}

/** As a textbook would have it: a bigint address in, a bigint address out, objects in a Map in the order of use. */
class NaiveTlb {
  private readonly map: Map<bigint, NaiveEntry> = new Map();
  private readonly entries: number;

  constructor(entries: number) {
    this.entries = entries;
  }

  translate(va: bigint, write: boolean): bigint {
    const vpn = va >> 12n;
    const key = (BigInt(ASID) << 52n) | vpn;
    let entry = this.map.get(key);
    if (entry === undefined) {
      if (this.map.size >= this.entries) this.map.delete(this.map.keys().next().value!);
      entry = { pfn: vpn & 0xfffffn, readable: true, writable: true, user: true };
    } else this.map.delete(key);
    this.map.set(key, entry);
    if (!entry.user || !(write ? entry.writable : entry.readable)) throw new Error('page fault');
    return (entry.pfn << 12n) | (va & 0xfffn);
  }
}

function naiveWork(entries: number, pages: number, order: Order): Work {
  const addresses = Array.from(stream(pages, order), (vpn) => BigInt(vpn) << 12n);
  const naive = new NaiveTlb(entries);
  return {
    units: LENGTH,
    run: (start, end) => {
      let sum = 0;
      for (let index = start; index < end; index++) {
        sum += Number(naive.translate(addresses[index]!, false) >> 12n);
      }
      return sum;
    },
  };
}

function hitCase(ways: number, pages: number, order: Order): Case {
  const entries = 1024;
  const how = ways === 1 ? 'direct-mapped' : `${ways}-way LRU`;
  return {
    name: `${how}, ${pages} pages, ${order}`,
    what: `${how} TLB of ${entries} entries, ${pages} pages that are all there, asked for in ${order} order`,
    ours: () => tlbWork(entries, ways, pages, order),
    c: () => ({
      source: 'tlb.c',
      units: LENGTH,
      args: [entries, ways, pages],
      inputs: [Float64Array.of(...stream(pages, order), FIRST)],
    }),
    ...(ways === 4 && { naive: () => naiveWork(entries, pages, order) }),
  };
}

function eitherCase(ways: number): Case {
  const { name, what, ...rest } = hitCase(ways, 256, 'random');
  return {
    ...rest,
    name: `${name}, either of two TLBs`,
    what: `${what}; two TLBs in turn, by code that is given one of them and has none as a constant`,
    ours: () => eitherWork(1024, ways, 256, 'random'),
  };
}

/** LRU maps that a program would take from npm, as they say it should be done. */
const peersOf = (entries: number, pages: number, order: Order): Case['peers'] => ({
  'lru-cache': () => mapWork(new LRUCache<number, Entry>({ max: entries }), pages, order),
  'quick-lru': () => mapWork(new QuickLRU<number, Entry>({ maxSize: entries }), pages, order),
  'mnemonist LRUMap': () => mapWork(new LRUMap<number, Entry>(entries), pages, order),
});

function associativeCase(entries: number, ways: number, pages: number): Case {
  const how = ways === entries ? 'fully associative' : `${ways}-way`;
  return {
    name: `${how} ${entries}, ${pages} pages`,
    what: `${how} LRU TLB of ${entries} entries, ${pages} pages asked for at random, beside LRU maps of as many entries`,
    ours: () => tlbWork(entries, ways, pages, 'random'),
    peers: peersOf(entries, pages, 'random')!,
  };
}

const fourWay = [16, 256, 1024].flatMap((pages) =>
  (['sequential', 'random'] as const).map((order) => hitCase(4, pages, order)),
);
const direct = [16, 256, 1024].flatMap((pages) =>
  (['sequential', 'random'] as const).map((order) => hitCase(1, pages, order)),
);
const full = [
  associativeCase(64, 64, 48),
  associativeCase(64, 64, 96),
  associativeCase(1024, 1024, 1000),
  associativeCase(1024, 1024, 1500),
];
const beside = [associativeCase(1024, 4, 1000), associativeCase(1024, 4, 1500)];

const either = [eitherCase(4), eitherCase(1)];

export const tlb: Component = {
  name: 'tlb',
  cases: [...fourWay, ...direct, ...either, ...full, ...beside],
  targets: [
    {
      text: 'a lookup that hits, 4-way LRU, against C',
      cases: fourWay.map(({ name }) => name),
      against: 'c',
      atMost: 2.2,
      stretch: 1.5,
    },
    {
      text: 'the same, direct-mapped',
      cases: direct.map(({ name }) => name),
      against: 'c',
      atMost: 2.2,
    },
    {
      text: 'both, of a TLB that is no constant of the code that asks',
      cases: either.map(({ name }) => name),
      against: 'c',
      atMost: 2.2,
    },
    {
      text: '4-way LRU against a Map of bigints and objects',
      cases: fourWay.map(({ name }) => name),
      against: 'naive',
      atLeast: 50,
    },
    ...['lru-cache', 'quick-lru', 'mnemonist LRUMap'].map((peer) => ({
      text: `fully associative against ${peer}`,
      cases: full.map(({ name }) => name),
      against: peer,
      atMost: 1,
    })),
  ],
};
