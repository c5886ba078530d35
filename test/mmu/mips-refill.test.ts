import { Access, Random } from 'pagewright/core';
import { PhysicalMemory } from 'pagewright/memory';
import { definePteFormat } from 'pagewright/pte';
import { FormatWalker } from 'pagewright/walk';
import { describe, expect, it } from 'vitest';
import { MipsTlbAnswer } from '../../src/mmu/mips-options.js';
import { MipsTlb } from '../../src/mmu/mips-tlb.js';
import type { SoftwareTlbHandler } from '../../src/mmu/software-tlb.js';

// The refill sequence of the manual, as steps over two-level tables whose entries are as EntryLo has them, beside a walker
// of the same tables.

const format = definePteFormat({
  name: 'two levels of EntryLo',
  pageBytes: 4096,
  entryBytes: 8,
  levels: [{ bits: 9, huge: true }, { bits: 9 }],
  bits: {
    frame: [41, 6],
    leaf: 54,
    read: { not: 63 },
    execute: { not: 62 },
    write: 2,
    valid: 1,
    global: 0,
  },
});

const SPACES = [3, 4, 5, 250];
/** Software's bits of an entry, in the high word: a huge page of 2 MiB, one of eight entries of two pages of 16 KiB. */
const HUGE = 1 << 22;
const EIGHT = 1 << 23;
const GLOBAL = 1;
const WIRED = 2;

/** What the directories are: shared ones are global. */
const KINDS = [
  'pages',
  'pages',
  'pages',
  'huge',
  'shared pages',
  'nothing',
  'shared huge',
  'eight',
  'shared pages',
] as const;

class Machine {
  readonly memory = PhysicalMemory.allocate(0x100_0000, { base: 0 });
  readonly random: Random;
  readonly roots: ReadonlyMap<number, number>;
  private nextFrame = 1;

  constructor(seed: number) {
    this.random = new Random(seed);
    const shared = KINDS.map((kind) => (kind.startsWith('shared') ? this.directory(kind) : null));
    this.roots = new Map(SPACES.map((asid) => [asid, this.space(shared)]));
  }

  private space(shared: readonly (readonly [number, number] | null)[]): number {
    const root = this.nextFrame++;
    for (const [index, kind] of KINDS.entries()) {
      const [low, high] = shared[index] ?? this.directory(kind);
      this.memory.writeWords(root, 8 * index, low, high);
    }
    return root;
  }

  /** Rights and V at random; G where it is said. */
  private bits(global: boolean): readonly [number, number] {
    const { random } = this;
    const valid = random.below(8) === 0 ? 0 : 2;
    const inhibits = (random.below(6) === 0 ? 1 << 31 : 0) | (random.below(6) === 0 ? 1 << 30 : 0);
    return [valid | (random.below(3) === 0 ? 0 : 4) | (global ? GLOBAL : 0), inhibits];
  }

  private entry(frame: number, global: boolean): readonly [number, number] {
    const [low, high] = this.bits(global);
    return [((frame % 2 ** 26) << 6) | low, high | Math.floor(frame / 2 ** 26)];
  }

  private directory(kind: (typeof KINDS)[number]): readonly [number, number] {
    const { random } = this;
    if (kind === 'nothing') return [0, 0];
    if (kind.endsWith('huge')) {
      const [low, high] = this.entry(512 * random.below(2 ** 27), kind === 'shared huge');
      return [low | 2, high | HUGE];
    }
    const table = this.nextFrame++;
    for (let index = 0; index < 512; index++) this.page(table, index, kind);
    return [(table << 6) | 2, 0];
  }

  /** Writes an entry of a table. Where pages are not shared one half of a pair may be global, which is not enough. */
  page(table: number, index: number, kind: (typeof KINDS)[number]): void {
    const { memory, random } = this;
    const shared = kind === 'shared pages';
    if (kind !== 'eight') {
      const global = shared || (index % 2 === 0 && random.below(4) === 0);
      const [low, high] = this.entry(random.below(2 ** 36), global);
      // Wired pages are there.
      memory.writeWords(table, 8 * index, low | (shared && index < 4 ? 2 : 0), high);
      return;
    }
    if (index % 4 !== 0) return;
    const frame = 4 * random.below(2 ** 34);
    const [low, high] = this.entry(frame, false);
    for (let page = 0; page < 4; page++) {
      memory.writeWords(table, 8 * (index + page), low + (page << 6), high | EIGHT);
    }
  }

  walker(asid: number): FormatWalker {
    return new FormatWalker({ memory: this.memory, format, root: this.roots.get(asid)! });
  }

  /** The frame of the table of a directory. */
  table(asid: number, directory: number): number {
    this.memory.readWords(this.roots.get(asid)!, 8 * directory);
    return this.memory.low >>> 6;
  }
}

/** The refill handler. */
function refillFrom({ memory, roots }: Machine): SoftwareTlbHandler<MipsTlb> {
  return {
    refill(tlb) {
      const pair = tlb.badVpn2; // MFC0 Context
      memory.readWords(roots.get(tlb.asid)!, 8 * Math.floor(pair / 256)); // LD the directory's entry
      const { high, low } = memory;
      tlb.pageMask = 0; // MTC0 PageMask
      if ((high & HUGE) !== 0) {
        tlb.entryLo0.load(low, high);
        tlb.entryLo1.load(low + (256 << 6), high);
        tlb.pageMask = 0xff;
      } else if ((low & 2) === 0) {
        tlb.entryLo0.load(0, 0);
        tlb.entryLo1.load(0, 0);
      } else {
        const table = low >>> 6;
        memory.readWords(table, 16 * (pair % 256)); // LD
        const eight = (memory.high & EIGHT) !== 0;
        const first = eight ? 16 * ((pair % 256) & ~3) : 16 * (pair % 256);
        memory.readWords(table, first);
        tlb.entryLo0.load(memory.low, memory.high); // DMTC0 EntryLo0
        memory.readWords(table, first + (eight ? 32 : 8)); // LD
        tlb.entryLo1.load(memory.low, memory.high); // DMTC0 EntryLo1
        if (eight) tlb.pageMask = 3;
      }
      expect(tlb.writeRandom()).toBeGreaterThanOrEqual(tlb.wired); // TLBWR
    },
  };
}

const ANSWERS: Readonly<Record<string, number>> = {
  'not-present': MipsTlbAnswer.Invalid,
  'not-writable': MipsTlbAnswer.Modified,
  'not-readable': MipsTlbAnswer.ReadInhibit,
  'not-executable': MipsTlbAnswer.ExecuteInhibit,
};

/** What the walker says, as the TLB would. */
function walked(walker: FormatWalker, vpn: number, access: number): number {
  const frame = walker.probe(vpn, access, 0);
  return frame >= 0 ? frame : ANSWERS[walker.fault.reason]!;
}

/** Wires the first pages of the last directory, which all spaces share. */
function wire(tlb: MipsTlb, machine: Machine): void {
  const table = machine.table(SPACES[0]!, 8);
  for (let index = 0; index < WIRED; index++) {
    tlb.index = index;
    tlb.vpn2 = 8 * 256 + index;
    machine.memory.readWords(table, 16 * index);
    tlb.entryLo0.load(machine.memory.low, machine.memory.high);
    machine.memory.readWords(table, 16 * index + 8);
    tlb.entryLo1.load(machine.memory.low, machine.memory.high);
    expect(tlb.writeIndexed()).toBe(index);
  }
  tlb.wired = WIRED;
}

/** Gives a page of a space another entry, and takes the old one out of the TLB: TLBP, then TLBWI with EHINV. */
function change(tlb: MipsTlb, machine: Machine, vpn: number): void {
  machine.page(machine.table(tlb.asid, Math.floor(vpn / 512)), vpn % 512, 'pages');
  tlb.vpn2 = Math.floor(vpn / 2);
  if (tlb.probe() < 0) return;
  tlb.entryHiInvalid = true;
  tlb.writeIndexed();
  tlb.entryHiInvalid = false;
}

describe('a MIPS TLB that the refill sequence fills', () => {
  it.each([1, 2, 3])('agrees with the walker, seed %i', (seed) => {
    const machine = new Machine(seed);
    const random = new Random(seed + 100);
    const walkers = new Map(SPACES.map((asid) => [asid, machine.walker(asid)]));
    const tlb = new MipsTlb({ entries: 32 });
    const handler = refillFrom(machine);
    wire(tlb, machine);
    tlb.asid = SPACES[0]!;
    const wired = JSON.stringify(tlb.content().filter((entry) => entry.wired));
    const seen = new Map<number, number>();
    for (let count = 0; count < 10_000; count++) {
      if (random.below(10) === 0) tlb.asid = SPACES[random.below(SPACES.length)]!;
      if (random.below(100) === 0) change(tlb, machine, random.below(3 * 512));
      const near = random.below(4) === 0 ? 512 : 12;
      const vpn = 512 * random.below(KINDS.length) + random.below(near);
      const access = random.below(3) | (random.below(2) === 0 ? Access.User : 0);
      const answer = tlb.translate(vpn, access, handler);
      expect(answer).toBe(walked(walkers.get(tlb.asid)!, vpn, access));
      seen.set(Math.min(answer, 0), (seen.get(Math.min(answer, 0)) ?? 0) + 1);
    }
    tlb.checkInvariants();
    expect(JSON.stringify(tlb.content().filter((entry) => entry.wired))).toBe(wired);
    // Nothing was left out, and the TLB was of use.
    expect([...seen.keys()].sort((a, b) => a - b)).toEqual([-5, -4, -3, -2, 0]);
    for (const times of seen.values()) expect(times).toBeGreaterThan(200);
    const { evictions, refills } = tlb.statistics();
    expect(refills).toBeLessThan(8000);
    expect(evictions).toBeGreaterThan(500);
    expect(new Set(tlb.content().map(({ pages }) => pages))).toEqual(new Set([1, 4, 256]));
  });
});
