// Page walks. Every case but the mixed ones has one format alive in its process.
import { Access } from 'pagewright/core';
import { PhysicalMemory } from 'pagewright/memory';
import {
  aarch64,
  type PteFormat,
  sv32,
  sv39,
  sv48,
  sv57,
  x86Legacy,
  x86Long4,
  x86Long5,
  x86Pae,
} from 'pagewright/pte';
import { LeafCursor, Pmp, type RadixWalker, X86Walker } from 'pagewright/walk';
import type { Case, Component, CWork, Work } from '../component.js';
import { GUEST_RAM_BYTES, guestMemory, guestTables } from '../leaf-tables.js';
import { NaiveX86Walker } from '../naive-x86.js';
import {
  FIRST_PFN,
  makeTables,
  type Order,
  pageStream,
  shuffledPages,
  type TableOptions,
  type Tables,
} from '../page-tables.js';
import { MAX_PHY_ADDR, memoryOf, riscvWalkerOf, walkerOf } from '../walkers.js';

const USER_READ = Access.Read | Access.User;
const USER_WRITE = Access.Write | Access.User;

const SIZES = [16, 1024, 2 ** 20];
const ORDERS: readonly Order[] = ['sequential', 'random'];
const ACCESSES = [
  ['read', USER_READ],
  ['write', USER_WRITE],
] as const;

/**
 * Instances that loops get their walker from, chosen when the program runs: an emulator's walker is no constant to the
 * optimiser either.
 */
const walkers: RadixWalker[] = [];

/** The call site that all walks share. */
function walkAll(
  walker: RadixWalker,
  vpns: Float64Array,
  access: number,
  start: number,
  end: number,
): number {
  let sum = 0;
  for (let i = start; i < end; i++) sum += walker.walk(vpns[i]!, access);
  return sum;
}

function walkWork(walker: RadixWalker, vpns: Float64Array, access: number): Work {
  const which = walkers.push(walker) - 1;
  return {
    units: vpns.length,
    run: (start, end) => walkAll(walkers[which]!, vpns, access, start, end),
  };
}

/** Walks over tables in flat RAM. */
function flatWalk(options: TableOptions, order: Order, access: number): Work {
  const tables = makeTables(options);
  return walkWork(walkerOf(tables), pageStream(tables, order), access);
}

function cWalk(options: TableOptions, order: Order, access: number): CWork {
  const tables = makeTables(options);
  const vpns = BigUint64Array.from(pageStream(tables, order), BigInt);
  const place = [tables.root, FIRST_PFN];
  const inputs = [vpns, new Uint8Array(tables.ram)];
  return options.format.architecture === 'x86'
    ? {
        source: 'x86-walk.c',
        args: [access, 1, MAX_PHY_ADDR, ...place, 'walk'],
        inputs,
        units: vpns.length,
      }
    : {
        source: 'riscv-walk.c',
        args: [access, options.format.levels, ...place],
        inputs,
        units: vpns.length,
      };
}

function naiveWalk(options: TableOptions, order: Order, access: number): Work {
  const tables = makeTables(options);
  const vpns = Array.from(pageStream(tables, order), BigInt);
  const naive = new NaiveX86Walker({
    ram: tables.ram,
    firstPfn: BigInt(FIRST_PFN),
    root: BigInt(tables.root),
    maxPhyAddr: BigInt(MAX_PHY_ADDR),
    smap: true,
  });
  const kind = (access & 3) === Access.Write ? 'write' : 'read';
  const run = (start: number, end: number): number => {
    let sum = 0n;
    for (let i = start; i < end; i++) sum += naive.walk(vpns[i]!, kind, true);
    return Number(sum);
  };
  return { units: vpns.length, run };
}

function flatCase(
  name: string,
  format: PteFormat,
  pages: number,
  order: Order,
  access: number,
): Case {
  const what =
    `user ${access === USER_READ ? 'reads' : 'writes'} of ${pages} mapped 4 KiB pages, ${order}, ` +
    'through tables in flat RAM; accessed and dirty bits are set already';
  const options = { format, pages };
  return {
    name,
    what: `${format.name}: ${what}`,
    ours: () => flatWalk(options, order, access),
    c: () => cWalk(options, order, access),
    ...(format === x86Long4 && { naive: () => naiveWalk(options, order, access) }),
  };
}

const fourLevel: readonly Case[] = SIZES.flatMap((pages) =>
  ORDERS.flatMap((order) =>
    ACCESSES.map(([kind, access]) =>
      flatCase(`4-level ${kind}, ${pages} pages ${order}`, x86Long4, pages, order, access),
    ),
  ),
);

const EIGHT: readonly PteFormat[] = [x86Legacy, x86Pae, x86Long4, x86Long5, sv32, sv39, sv48, sv57];

/** x86Long4 through a call site that has seen every format, and goes on seeing them. */
const eightFormats: Case = {
  name: 'eight formats, one call site',
  what:
    'the random reads of 1024 pages with x86Long4, after all eight formats have gone through the same loop; ' +
    'against a process that has only ever seen x86Long4',
  ours: () => {
    const works = EIGHT.map((format) => flatWalk({ format, pages: 1024 }, 'random', USER_READ));
    for (let lap = 0; lap < 12; lap++) for (const work of works) work.run(0, work.units);
    return works[EIGHT.indexOf(x86Long4)]!;
  },
  peers: {
    'one format': () => flatWalk({ format: x86Long4, pages: 1024 }, 'random', USER_READ),
  },
};

/** The call site that enumerations share. */
function sumLeaves(walker: RadixWalker): number {
  const cursor = new LeafCursor(walker);
  let sum = 0;
  let vpns = 0;
  while (cursor.advance()) {
    sum += cursor.pfn + cursor.pages + cursor.level + cursor.prot;
    vpns ^= cursor.vpn;
  }
  return sum + (vpns >>> 0);
}

const leaves: Case = {
  name: 'leaves of a Linux guest',
  what: 'enumerating the 74,155 leaves of a recorded Debian guest: page, frame, size, level, effective rights of each',
  ours: () => {
    const guest = guestTables();
    const which = walkers.push(new X86Walker({ ...guest, memory: guestMemory(guest) })) - 1;
    const run = (start: number, end: number): number => {
      let sum = 0;
      for (let unit = start; unit < end; unit++) sum += sumLeaves(walkers[which]!);
      return sum;
    };
    return { units: 1, opsPerUnit: guest.leaves, run };
  },
  c: () => {
    const guest = guestTables();
    return {
      source: 'leaves.c',
      args: [Number(guest.cr3), guest.maxPhyAddr, GUEST_RAM_BYTES],
      inputs: [guest.pages],
      units: 1,
      opsPerUnit: guest.leaves,
    };
  },
};

/** A case of ours alone, or with C: for orientation. */
function orientation(name: string, what: string, ours: () => Work, c?: () => CWork): Case {
  return { name, what, ours, ...(c && { c }) };
}

/** Random reads of 1024 pages with x86Long4, the tables in another kind of memory. */
function inMemory(name: string, make: (tables: Tables) => PhysicalMemory): Case {
  const what = `random reads of 1024 pages with x86Long4, tables in ${name}`;
  return orientation(name, what, () => {
    const tables = makeTables({ format: x86Long4, pages: 1024 });
    const walker = walkerOf(tables, make(tables));
    return walkWork(walker, pageStream(tables, 'random'), USER_READ);
  });
}

/** The same tables with random pages, and a walker over them, for the doors that are not `walk`. */
function otherDoor(
  name: string,
  what: string,
  call: (walker: RadixWalker, vpn: number) => number,
): Case {
  return orientation(name, what, () => {
    const tables = makeTables({ format: x86Long4, pages: 1024 });
    const vpns = pageStream(tables, 'random');
    const which = walkers.push(walkerOf(tables)) - 1;
    const run = (start: number, end: number): number => {
      const walker = walkers[which]!;
      let sum = 0;
      for (let i = start; i < end; i++) sum += call(walker, vpns[i]!);
      return sum;
    };
    return { units: vpns.length, run };
  });
}

const UNTOUCHED: TableOptions = { format: x86Long4, pages: 1024, touched: false };

/** Walks that set A in four entries and D in the leaf. A unit restores the tables and uses each page once. */
function firstTouch(): Work {
  const tables = makeTables(UNTOUCHED);
  const pristine = new Int32Array(tables.ram.slice(0));
  const words = new Int32Array(tables.ram);
  const vpns = shuffledPages(tables);
  const { run } = walkWork(walkerOf(tables), vpns, USER_WRITE);
  return {
    units: 1,
    opsPerUnit: vpns.length,
    run: (start, end) => {
      let sum = 0;
      for (let unit = start; unit < end; unit++) {
        words.set(pristine);
        sum += run(0, vpns.length);
      }
      return sum;
    },
  };
}

function cFirstTouch(): CWork {
  const tables = makeTables(UNTOUCHED);
  return {
    source: 'x86-walk.c',
    args: [USER_WRITE, 1, MAX_PHY_ADDR, tables.root, FIRST_PFN, 'touch'],
    inputs: [BigUint64Array.from(shuffledPages(tables), BigInt), new Uint8Array(tables.ram)],
    units: 1,
    opsPerUnit: tables.pages,
  };
}

/** Supervisor reads of user pages, which SMAP forbids: each is a page fault. */
function faults(): Work {
  const tables = makeTables({ format: x86Long4, pages: 1024 });
  const vpns = pageStream(tables, 'random');
  const x86Walkers = [walkerOf(tables) as X86Walker];
  const run = (start: number, end: number): number => {
    const walker = x86Walkers[x86Walkers.length - 1]!;
    let sum = 0;
    for (let i = start; i < end; i++) {
      if (walker.walk(vpns[i]!, Access.Read) < 0) sum += walker.fault.errorCode;
    }
    return sum;
  };
  return { units: vpns.length, run };
}

function cFaults(): CWork {
  const work = cWalk({ format: x86Long4, pages: 1024 }, 'random', Access.Read);
  return { ...work, args: [...work.args.slice(0, -1), 'fault'] };
}

function pmpWalk(): Work {
  const tables = makeTables({ format: sv39, pages: 1024 });
  const pmp = new Pmp();
  pmp.setAddress(0, (1n << 54n) - 1n);
  pmp.setConfig(0, 0x1f);
  const walker = riscvWalkerOf(tables, memoryOf(tables), pmp);
  return walkWork(walker, pageStream(tables, 'random'), USER_READ);
}

function sparse(tables: Tables): PhysicalMemory {
  const memory = new PhysicalMemory();
  memory.addSparse({ base: 0, bytes: 2 ** 40 });
  memory.writeBytes(FIRST_PFN, 0, new Uint8Array(tables.ram));
  return memory;
}

function shared(tables: Tables): PhysicalMemory {
  const buffer = new SharedArrayBuffer(tables.ram.byteLength);
  new Uint8Array(buffer).set(new Uint8Array(tables.ram));
  return PhysicalMemory.wrap(buffer, { base: FIRST_PFN * 4096 });
}

/** TypeScript knows it with the DOM only; every runtime has it. */
const { WebAssembly } = globalThis as unknown as {
  WebAssembly: { Memory: new (pages: { initial: number }) => { readonly buffer: ArrayBuffer } };
};

function wasm(tables: Tables): PhysicalMemory {
  const guest = new WebAssembly.Memory({ initial: Math.ceil(tables.ram.byteLength / 65536) });
  new Uint8Array(guest.buffer).set(new Uint8Array(tables.ram));
  return PhysicalMemory.wrap(guest, { base: FIRST_PFN * 4096 });
}

const ARM48 = aarch64();

/** The same pages in another architecture's tables, against x86's: both with four levels. */
const architectures: readonly Case[] = [ARM48, sv48].flatMap((format) =>
  ORDERS.flatMap((order) =>
    ACCESSES.map(([kind, access]): Case => {
      const who = format.architecture === 'riscv' ? 'RISC-V' : 'AArch64';
      return {
        name: `${who} ${kind}, 1024 pages ${order}`,
        what: `${format.name}: user ${kind}s of 1024 mapped 4 KiB pages, ${order}; against four levels of x86`,
        ours: () => flatWalk({ format, pages: 1024, compact: true }, order, access),
        peers: {
          x86: () => flatWalk({ format: x86Long4, pages: 1024, compact: true }, order, access),
        },
      };
    }),
  ),
);

export const walk: Component = {
  name: 'walk',
  cases: [
    ...architectures,
    ...fourLevel,
    eightFormats,
    leaves,
    flatCase('sv39', sv39, 1024, 'random', USER_READ),
    flatCase('sv48', sv48, 1024, 'random', USER_READ),
    orientation(
      'sv39, Svnapot',
      'random reads of 1024 pages in NAPOT groups of 16',
      () => flatWalk({ format: sv39, pages: 1024, napot: true }, 'random', USER_READ),
      () => cWalk({ format: sv39, pages: 1024, napot: true }, 'random', USER_READ),
    ),
    orientation('sv39, PMP', 'random reads of 1024 pages, one PMP entry open to all', pmpWalk),
    orientation(
      'first touch',
      'user writes of 1024 pages in random order that set A in four entries and D',
      firstTouch,
      cFirstTouch,
    ),
    orientation('page fault', 'supervisor reads of user pages, refused by SMAP', faults, cFaults),
    otherDoor('probe()', 'the random reads of 1024 pages without side effects', (walker, vpn) =>
      walker.probe(vpn, USER_READ),
    ),
    otherDoor('translate()', 'the same, answered with an object', (walker, vpn) => {
      const answer = walker.translate(vpn * 4096, USER_READ);
      return answer.kind === 'page' ? answer.pfn : 0;
    }),
    otherDoor(
      'explain()',
      'the same, with a report of every step',
      (walker, vpn) => walker.explain(vpn * 4096, USER_READ).steps.length,
    ),
    inMemory('sparse memory', sparse),
    inMemory('a SharedArrayBuffer', shared),
    inMemory('a WebAssembly.Memory', wasm),
  ],
  targets: [
    {
      text: 'AArch64 and RISC-V walks, against x86',
      cases: architectures.map(({ name }) => name),
      against: 'x86',
      atMost: 1.4,
    },
    {
      text: 'four-level walk against C',
      cases: fourLevel.map(({ name }) => name),
      against: 'c',
      atMost: 2.6,
      stretch: 1.8,
    },
    {
      text: 'four-level walk against textbook bigint',
      cases: fourLevel.map(({ name }) => name),
      against: 'naive',
      atLeast: 20,
    },
    {
      text: 'eight formats through one call site against one format',
      cases: [eightFormats.name],
      against: 'one format',
      atMost: 1.5,
    },
    { text: 'enumerating leaves against C', cases: [leaves.name], against: 'c', atMost: 3 },
  ],
};
