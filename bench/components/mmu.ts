// MMUs: translations that the TLB answers, that a paging-structure cache makes short, and that take a whole walk; replayed
// traces; eight architectures in one process.
import { Access } from 'pagewright/core';
import { Mmu } from 'pagewright/mmu';
import {
  aarch64,
  type PteFormat,
  sv39,
  sv48,
  sv57,
  x86Legacy,
  x86Long4,
  x86Long5,
  x86Pae,
} from 'pagewright/pte';
import { PagingStructureCache, Tlb, TlbHierarchy, x86Structures } from 'pagewright/tlb';
import { Pmp } from 'pagewright/walk';
import type { Case, Component, CWork, Work } from '../component.js';
import { NaiveMmu } from '../naive-mmu.js';
import { NaiveX86Walker } from '../naive-x86.js';
import { FIRST_PFN, makeTables, shuffledPages, type Tables, xorshift } from '../page-tables.js';
import { recordedTrace, type Trace, tracedTables } from '../recorded-trace.js';
import { MAX_PHY_ADDR, memoryOf, riscvWalkerOf, walkerOf } from '../walkers.js';

const USER_READ = Access.Read | Access.User;
const USER_WRITE = Access.Write | Access.User;

/** The size of a TLB, or of a cache like one. */
interface Size {
  readonly entries: number;
  readonly ways: number;
}

/** As a second level has it, and a first level. */
const LARGE: Size = { entries: 1536, ways: 12 };
const SMALL: Size = { entries: 64, ways: 4 };
/** A first level for fetches. */
const FETCH: Size = { entries: 128, ways: 8 };

/** References of a trace that is made up. */
const LENGTH = 2 ** 16;

/** A write after three reads or so: what an access needs is no constant. */
function mixedAccesses(length: number): Uint8Array {
  const random = xorshift();
  return Uint8Array.from({ length }, () => ((random() >>> 8) % 4 === 0 ? USER_WRITE : USER_READ));
}

/** The call site that all MMUs share. */
function translateAll(mmu: Mmu, { accesses, vpns }: Trace, start: number, end: number): number {
  let sum = 0;
  for (let i = start; i < end; i++) sum += mmu.translatePage(vpns[i]!, accesses[i]!);
  return sum;
}

/**
 * Two MMUs in turn, in a loop that is given one of them: an emulator's MMU is no constant to the optimiser, which knows
 * neither and loads the address of every array anew.
 */
function eitherWork(make: () => Mmu, trace: Trace): Work {
  const mmus = [make(), make()];
  let turn = 0;
  return {
    units: trace.vpns.length,
    run: (start, end) => translateAll(mmus[turn++ & 1]!, trace, start, end),
  };
}

/** The caches of an MMU in C. */
interface CSizes {
  /** The TLB, or the first level for loads and stores. */
  readonly data: Size;
  /** With two levels: the first for fetches, and the second. */
  readonly fetch?: Size;
  readonly second?: Size;
  readonly pdes?: Size;
}

const NONE: Size = { entries: 0, ways: 0 };

function cWork(tables: Tables, { accesses, vpns }: Trace, sizes: CSizes): CWork {
  const { data, fetch = NONE, pdes = NONE, second = NONE } = sizes;
  const numbers = [data, fetch, second, pdes].flatMap(({ entries, ways }) => [entries, ways]);
  return {
    source: 'mmu.c',
    units: vpns.length,
    args: [...numbers, 1, MAX_PHY_ADDR, tables.root, FIRST_PFN],
    inputs: [BigUint64Array.from(vpns, BigInt), accesses, new Uint8Array(tables.ram)],
  };
}

// Translations that hit.

/** So many pages, in random order. */
function randomTrace({ firstVpn, pages }: Tables): Trace {
  const random = xorshift();
  const vpns = Float64Array.from({ length: LENGTH }, () => firstVpn + (random() % pages));
  return { vpns, accesses: mixedAccesses(LENGTH) };
}

function naiveHits(tables: Tables, trace: Trace, size: Size): Work {
  const walker = new NaiveX86Walker({
    ram: tables.ram,
    firstPfn: BigInt(FIRST_PFN),
    root: BigInt(tables.root),
    maxPhyAddr: BigInt(MAX_PHY_ADDR),
    smap: true,
  });
  const naive = new NaiveMmu(walker, size.entries);
  const addresses = Array.from(trace.vpns, (vpn) => BigInt(vpn) << 12n);
  const kinds = Array.from(trace.accesses, (access) => (access === USER_WRITE ? 'write' : 'read'));
  const run = (start: number, end: number): number => {
    let sum = 0;
    for (let i = start; i < end; i++) {
      sum += Number(naive.translate(addresses[i]!, kinds[i]!) >> 12n);
    }
    return sum;
  };
  return { units: LENGTH, run };
}

function hitCase(size: Size, pages: number): Case {
  const { entries, ways } = size;
  const tables = (): Tables => makeTables({ format: x86Long4, pages });
  return {
    name: `hit, ${pages} pages in ${entries} entries`,
    what:
      `four-level x86: ${pages} pages that are all in a ${ways}-way LRU TLB of ${entries} entries, read and written by ` +
      'a user at random',
    ours: () => {
      const made = tables();
      const make = (): Mmu => new Mmu({ walker: walkerOf(made), tlb: new Tlb(size) });
      return eitherWork(make, randomTrace(made));
    },
    c: () => {
      const made = tables();
      return cWork(made, randomTrace(made), { data: size });
    },
    naive: () => {
      const made = tables();
      return naiveHits(made, randomTrace(made), size);
    },
  };
}

const hits = [hitCase(LARGE, 1024), hitCase(SMALL, 48)];

// Translations that miss.

/** All pages once, in an order that every lap has anew: with LRU, none of more pages than there are entries ever hits. */
function missTrace(tables: Tables): Trace {
  const vpns = shuffledPages(tables);
  return { vpns, accesses: mixedAccesses(vpns.length) };
}

/** PDEs, and few entries above them, which are asked for when a PDE is not there. */
function structures(tlb: Tlb, pdes: Size): PagingStructureCache {
  return new PagingStructureCache({
    tableLevels: 4,
    levels: [
      { level: 1, order: 9, ...pdes },
      { level: 2, order: 18, entries: 4 },
      { level: 3, order: 27, entries: 2 },
    ],
    contexts: tlb.contexts,
  });
}

function walkCacheCase(pdes: Size): Case {
  const pages = 2 ** 14;
  const tables = (): Tables => makeTables({ format: x86Long4, pages });
  const how = pdes.ways === pdes.entries ? 'fully associative' : `${pdes.ways}-way`;
  return {
    name: `walk cache, ${how}`,
    what:
      'four-level x86: 16,384 pages in 32 regions of 2 MiB, in an order in which none is in the 12-way LRU TLB of 1536 ' +
      `entries: each takes a PDE from a ${how} LRU cache of 32, reads one entry, and replaces a translation. C ` +
      (pdes.ways === pdes.entries ? 'scans the tags of all 32' : 'scans the tags of a set'),
    ours: () => {
      const made = tables();
      const make = (): Mmu => {
        const tlb = new Tlb(LARGE);
        return new Mmu({ walker: walkerOf(made), tlb, structures: structures(tlb, pdes) });
      };
      return eitherWork(make, missTrace(made));
    },
    c: () => {
      const made = tables();
      return cWork(made, missTrace(made), { data: LARGE, pdes });
    },
  };
}

const walkCache = [
  walkCacheCase({ entries: 32, ways: 4 }),
  walkCacheCase({ entries: 32, ways: 32 }),
];

// Whole walks.

/**
 * The PMP of a machine with firmware: its memory and a device of its own are closed to others, all the rest is open. First
 * byte, byte after the last, and R, W, X.
 */
const PMP = [
  [0n, 0x8_0000n, 0],
  [0x1000_0000n, 0x1010_0000n, 0],
  [0n, 2n ** 56n, 7],
] as const;

function pmpOf(): Pmp {
  const pmp = new Pmp();
  for (const [entry, [first, end, rights]] of PMP.entries()) {
    const napot = 0x18;
    pmp.setAddress(entry, (first >> 2n) | ((end - first) / 8n - 1n));
    pmp.setConfig(entry, napot | rights);
  }
  return pmp;
}

/** The same for C, which has the rights as bits of a leaf. */
function cPmp(): BigUint64Array {
  return BigUint64Array.from(
    PMP.flatMap(([first, end, rights]) => [first, end, BigInt(rights << 1)]),
  );
}

function fullWalkCase(size: Size, pages: number, what: string): Case {
  return {
    name: `full walk with PMP, ${pages} pages`,
    what:
      `Sv39 without paging-structure cache, three PMP entries: ${pages} pages in an order in which none is in the ` +
      `${size.ways}-way LRU TLB of ${size.entries} entries; accessed and dirty bits are set already; ${what}`,
    ours: () => {
      const made = makeTables({ format: sv39, pages, compact: true });
      const make = (): Mmu => {
        const walker = riscvWalkerOf(made, memoryOf(made), pmpOf());
        return new Mmu({ walker, tlb: new Tlb(size) });
      };
      return eitherWork(make, missTrace(made));
    },
    c: () => {
      const made = makeTables({ format: sv39, pages, compact: true });
      const { accesses, vpns } = missTrace(made);
      return {
        source: 'riscv-mmu.c',
        units: vpns.length,
        args: [size.entries, size.ways, sv39.levels, made.root, FIRST_PFN],
        inputs: [BigUint64Array.from(vpns, BigInt), accesses, cPmp(), new Uint8Array(made.ram)],
      };
    },
  };
}

const fullWalk = [
  fullWalkCase({ entries: 16, ways: 4 }, 64, 'what the PMP says of a frame was asked before'),
  fullWalkCase(LARGE, 4096, 'what the PMP says is anew for nearly every frame'),
];

// Recorded traces.

function hierarchy(): TlbHierarchy {
  return new TlbHierarchy({
    fetch: [FETCH],
    load: [SMALL],
    second: [LARGE],
    structures: x86Structures({ pde: 32, pdpte: 4, pml4e: 2 }),
  });
}

function traceCase(program: string): Case {
  return {
    name: `trace of ${program}`,
    what:
      `four-level x86: the fetches, loads and stores of a recorded ${program} in their order, through a 4-way first level ` +
      'of 64 entries for data, an 8-way one of 128 for fetches, and a 12-way second level of 1536, with caches of 32 PDEs, ' +
      '4 PDPTEs and 2 PML4Es; all are empty when the program starts',
    ours: () => {
      const trace = recordedTrace(program);
      const tables = tracedTables(trace);
      const caches: TlbHierarchy[] = [];
      const make = (): Mmu => {
        const tlb = hierarchy();
        caches.push(tlb);
        return new Mmu({ walker: walkerOf(tables), tlb });
      };
      const rewind = (): void => {
        for (const tlb of caches) tlb.flush({ globals: true });
      };
      return { ...eitherWork(make, trace), rewind };
    },
    c: () => {
      const trace = recordedTrace(program);
      const pdes = { entries: 32, ways: 32 };
      return cWork(tracedTables(trace), trace, { data: SMALL, fetch: FETCH, second: LARGE, pdes });
    },
  };
}

const traces = ['loop', 'true', 'sort'].map(traceCase);

// Eight architectures.

const EIGHT: readonly PteFormat[] = [
  x86Legacy,
  x86Pae,
  x86Long4,
  x86Long5,
  sv39,
  sv48,
  sv57,
  aarch64(),
];

/** An MMU, and where the pages begin that its tables map. */
interface Mapped {
  readonly mmu: Mmu;
  readonly firstVpn: number;
}

function mappedMmu(format: PteFormat, pages: number): Mapped {
  const tables = makeTables({ format, pages, compact: true });
  return {
    mmu: new Mmu({ walker: walkerOf(tables), tlb: new Tlb(SMALL) }),
    firstVpn: tables.firstVpn,
  };
}

/**
 * The call site that eight MMUs share in turn. Each goes through all pages, an eighth of them ahead of the one before: where
 * all eight are one and the same, it too is asked for each page as rarely.
 */
function translateInTurn(
  mapped: readonly Mapped[],
  { accesses, vpns }: Trace,
  start: number,
  end: number,
): number {
  const pages = vpns.length;
  let sum = 0;
  for (let i = start; i < end; i++) {
    const { firstVpn, mmu } = mapped[i & 7]!;
    const at = ((i >> 3) + (i & 7) * (pages >> 3)) & (pages - 1);
    sum += mmu.translatePage(firstVpn + vpns[at]!, accesses[at]!);
  }
  return sum;
}

function inTurn(mapped: readonly Mapped[], pages: number): Work {
  // Counted from the first page of each.
  const vpns = shuffledPages({ firstVpn: 0, pages });
  const trace = { vpns, accesses: mixedAccesses(pages) };
  return {
    units: 8 * pages,
    run: (start, end) => translateInTurn(mapped, trace, start, end),
  };
}

function eightCase(name: string, pages: number, what: string): Case {
  const make = (format: PteFormat): Mapped => mappedMmu(format, pages);
  const ordinary = (): Mapped => make(x86Long4);
  return {
    name: `eight architectures, ${name}`,
    what:
      'eight MMUs in turn at one call site, x86 with 32-bit paging, PAE, four and five levels, Sv39, Sv48, Sv57, AArch64 ' +
      `with pages of 4 KiB; each with a 4-way LRU TLB of 64 entries, ${what}; against one of four-level x86, alone in its ` +
      'process, and against eight of that kind',
    ours: () => inTurn(EIGHT.map(make), pages),
    peers: {
      'one MMU': () => inTurn(new Array<Mapped>(8).fill(ordinary()), pages),
      'one architecture': () => inTurn(Array.from(EIGHT, ordinary), pages),
    },
  };
}

const eight = [
  eightCase('hits', 32, 'in which the 32 pages all are'),
  eightCase('walks', 1024, 'in which none of the 1024 pages is when it is asked for'),
];

const namesOf = (cases: readonly Case[]): readonly string[] => cases.map(({ name }) => name);

export const mmu: Component = {
  name: 'mmu',
  cases: [...hits, ...walkCache, ...fullWalk, ...traces, ...eight],
  targets: [
    {
      text: 'a translation that hits, against C',
      cases: namesOf(hits),
      against: 'c',
      atMost: 3,
      stretch: 2,
    },
    {
      text: 'a translation that a paging-structure cache serves, against C',
      cases: namesOf(walkCache),
      against: 'c',
      atMost: 3,
      stretch: 1.5,
    },
    {
      // Not the other one, whose tables and TLB are not all in the first-level cache: C itself took 43 to 72 ns for it.
      text: 'a full walk with PMP, with everything in cache',
      cases: namesOf(fullWalk.slice(0, 1)),
      against: 'clock',
      nsAtMost: 60,
    },
    { text: 'full walks with PMP, against C', cases: namesOf(fullWalk), against: 'c' },
    {
      // 30 million references a second.
      text: 'a reference of a recorded trace',
      cases: namesOf(traces),
      against: 'clock',
      nsAtMost: 33.3,
    },
    { text: 'the same, against C', cases: namesOf(traces), against: 'c' },
    {
      text: 'a translation that hits, against a Map of bigints and objects',
      cases: namesOf(hits),
      against: 'naive',
      atLeast: 30,
    },
    {
      text: 'eight architectures in one process against one MMU',
      cases: namesOf(eight),
      against: 'one MMU',
      atMost: 1.5,
    },
    {
      text: 'the same against eight MMUs of one architecture',
      cases: namesOf(eight),
      against: 'one architecture',
    },
  ],
};
