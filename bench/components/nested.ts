// Nested walks, for each reference that they make, against one-stage walks for each of theirs.
import { Access } from 'pagewright/core';
import { PhysicalMemory } from 'pagewright/memory';
import { aarch64, eptLong4, type PteFormat, sv48, sv48x4, x86Long4 } from 'pagewright/pte';
import {
  AArch64Stage2,
  AArch64Walker,
  type RadixWalker,
  RiscvGStage,
  RiscvWalker,
  X86Ept,
  X86Npt,
  X86Walker,
} from 'pagewright/walk';
import type { Case, Component, Work } from '../component.js';
import { COMPACT_PFN, FIRST_PFN, makeTables, pageStream, type Tables } from '../page-tables.js';
import { walkerOf } from '../walkers.js';

const USER_READ = Access.Read | Access.User;
const PAGES = 1024;
const FRAME_WORDS = 1024;

const walkers: RadixWalker[] = [];

/** Walks, of which each makes so many references. */
function walkWork(walker: RadixWalker, vpns: Float64Array, references: number): Work {
  const which = walkers.push(walker) - 1;
  return {
    units: vpns.length,
    opsPerUnit: references,
    run: (start, end) => {
      const own = walkers[which]!;
      let sum = 0;
      for (let i = start; i < end; i++) sum += own.walk(vpns[i]!, USER_READ);
      return sum;
    },
  };
}

/** Flags of the second stage's entries: everything is allowed, accessed and dirty are set. */
interface HostStyle {
  readonly format: PteFormat;
  readonly leaf: number;
  readonly pointer: number;
}

const HOSTS = {
  riscv: { format: sv48x4, leaf: 0xdf, pointer: 1 },
  ept: { format: eptLong4, leaf: 0x737, pointer: 0x507 },
  npt: { format: x86Long4, leaf: 0x67, pointer: 0x27 },
  aarch64: { format: aarch64({ stage: 2 }), leaf: 0x7fd, pointer: 3 },
} as const satisfies Readonly<Record<string, HostStyle>>;

/** Guest tables as they are, and behind them a second stage that maps them, and their pages, to themselves. */
function nestedTables(
  guest: Tables,
  { format, leaf, pointer }: HostStyle,
): { ram: ArrayBuffer; root: number } {
  const own = guest.ram.byteLength / 4096;
  const ram = new ArrayBuffer(guest.ram.byteLength + 64 * 4096);
  const words = new Int32Array(ram);
  words.set(new Int32Array(guest.ram));
  const root = Math.ceil((FIRST_PFN + own) / 4) * 4;
  let next = root + 4;
  const map = (pfn: number): void => {
    let table = root;
    for (let level = format.levels - 1; level >= 0; level--) {
      const index = Math.floor(pfn / format.levelPages[level]!) % 2 ** format.indexBits[level]!;
      const at = (table - FIRST_PFN) * FRAME_WORDS + 2 * index;
      if (level === 0) {
        words[at] = format.leafLow(pfn, 0, leaf);
        words[at + 1] = format.leafHigh(pfn, 0, 0);
      } else {
        if (words[at] === 0) {
          words[at] = format.tableLow(next, pointer);
          words[at + 1] = format.tableHigh(next, 0);
          next++;
        }
        table = format.tablePfn(words[at]!, words[at + 1]!);
      }
    }
  };
  for (let frame = 0; frame < own; frame++) map(FIRST_PFN + frame);
  for (let page = 0; page < PAGES; page++) map(COMPACT_PFN + page);
  return { ram, root };
}

type Make = (memory: PhysicalMemory, guestRoot: number, hostRoot: number) => RadixWalker;

const MAKERS: Readonly<Record<keyof typeof HOSTS, Make>> = {
  riscv: (memory, guestRoot, hostRoot) => {
    const secondStage = new RiscvGStage({ memory, hgatp: (9n << 60n) | BigInt(hostRoot) });
    return new RiscvWalker({ memory, satp: (9n << 60n) | BigInt(guestRoot), secondStage });
  },
  ept: (memory, guestRoot, hostRoot) => {
    const secondStage = new X86Ept({ memory, eptp: hostRoot * 4096 + 0x5e });
    return new X86Walker({ memory, cr3: guestRoot * 4096, secondStage });
  },
  npt: (memory, guestRoot, hostRoot) => {
    const secondStage = new X86Npt({ memory, cr3: hostRoot * 4096 });
    return new X86Walker({ memory, cr3: guestRoot * 4096, secondStage });
  },
  aarch64: (memory, guestRoot, hostRoot) => {
    const vtcr = 16n | (2n << 6n) | (5n << 16n);
    const secondStage = new AArch64Stage2({ memory, vtcr, vttbr: hostRoot * 4096 });
    const tcr = 16n | (5n << 32n);
    return new AArch64Walker({ memory, tcr, ttbr0: guestRoot * 4096, mair: 0xffn, secondStage });
  },
};

function nestedWork(guestFormat: PteFormat, kind: keyof typeof HOSTS): Work {
  const guest = makeTables({ format: guestFormat, pages: PAGES, compact: true });
  const { ram, root } = nestedTables(guest, HOSTS[kind]);
  const memory = PhysicalMemory.wrap(ram, { base: FIRST_PFN * 4096 });
  return walkWork(MAKERS[kind](memory, guest.root, root), pageStream(guest, 'random'), 24);
}

function singleWork(format: PteFormat): Work {
  const tables = makeTables({ format, pages: PAGES, compact: true });
  return walkWork(walkerOf(tables), pageStream(tables, 'random'), 4);
}

function nestedCase(name: string, format: PteFormat, kind: keyof typeof HOSTS): Case {
  return {
    name,
    what: `random reads of ${PAGES} pages through four levels over four levels, for each of 24 references; against one stage, for each of 4`,
    ours: () => nestedWork(format, kind),
    peers: { 'one stage': () => singleWork(format) },
  };
}

const cases: readonly Case[] = [
  nestedCase('RISC-V Sv48 over Sv48x4', sv48, 'riscv'),
  nestedCase('x86 over EPT', x86Long4, 'ept'),
  nestedCase('x86 over nested paging', x86Long4, 'npt'),
  nestedCase('AArch64 stage 1 over stage 2', aarch64(), 'aarch64'),
];

export const nested: Component = {
  name: 'nested',
  cases,
  targets: [
    {
      text: 'a nested 4x4 walk for each reference, against a one-stage walk',
      cases: cases.map(({ name }) => name),
      against: 'one stage',
      atMost: 1.5,
    },
  ],
};
