import { Access, Random } from 'pagewright/core';
import { PhysicalMemory } from 'pagewright/memory';
import { definePteFormat } from 'pagewright/pte';
import { FormatWalker } from 'pagewright/walk';
import { describe, expect, it } from 'vitest';
import { LoongArchTlbAnswer } from '../../src/mmu/loongarch-options.js';
import { LoongArchTlb } from '../../src/mmu/loongarch-tlb.js';
import type { SoftwareTlbHandler } from '../../src/mmu/software-tlb.js';

// The refill sequence of the manual (LDDIR, LDPTE, LDPTE, TLBFILL), as steps over two-level tables in its format (5.4.5),
// beside a walker of the same tables. Pages are of privilege level 0 or 3, so that one bit tells.

const format = definePteFormat({
  name: 'two levels of LoongArch entries',
  pageBytes: 4096,
  entryBytes: 8,
  levels: [{ bits: 9, huge: true }, { bits: 9 }],
  bits: {
    frame: [47, 12],
    leaf: 6,
    read: { not: 61 },
    execute: { not: 62 },
    write: 1,
    user: 2,
    valid: 0,
  },
  misaligned: 'ignored',
});

const SPACES = [3, 4, 5, 1000];
const V = 1;
const D = 2;
const PLV3 = 12;
/** G of a page, H of a directory entry. */
const G = 1 << 6;
const H = 1 << 6;
/** G of a huge page. */
const HUGE_G = 1 << 12;
const KINDS = ['pages', 'pages', 'huge', 'shared pages', 'nothing', 'shared huge', 'huge'] as const;

class Machine {
  readonly memory = PhysicalMemory.allocate(0x100_0000, { base: 0 });
  readonly roots: ReadonlyMap<number, number>;
  private readonly random: Random;
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

  private entry(frame: number): readonly [number, number] {
    const { random } = this;
    const valid = random.below(8) === 0 ? 0 : V;
    const bits = (random.below(3) === 0 ? 0 : D) | (random.below(4) === 0 ? 0 : PLV3) | valid;
    const no = (random.below(6) === 0 ? 1 << 29 : 0) | (random.below(6) === 0 ? 1 << 30 : 0);
    return [((frame % 2 ** 20) << 12) | bits, no | Math.floor(frame / 2 ** 20)];
  }

  private directory(kind: (typeof KINDS)[number]): readonly [number, number] {
    const { random } = this;
    if (kind === 'nothing') return [0, 0];
    if (kind.endsWith('huge')) {
      const [low, high] = this.entry(512 * random.below(2 ** 27));
      return [low | H | V | (kind === 'shared huge' ? HUGE_G : 0), high];
    }
    const table = this.nextFrame++;
    for (let index = 0; index < 512; index++) this.page(table, index, kind === 'shared pages');
    return [(table << 12) | 1, 0];
  }

  /** Writes an entry of a table. Where pages are not shared one half of a pair may be global, which is not enough. */
  page(table: number, index: number, shared: boolean): void {
    const [low, high] = this.entry(this.random.below(2 ** 36));
    const global = shared || (index % 2 === 1 && this.random.below(4) === 0);
    this.memory.writeWords(table, 8 * index, low | (global ? G : 0), high);
  }

  /** The frame of the table of a directory. */
  table(asid: number, directory: number): number {
    this.memory.readWords(this.roots.get(asid)!, 8 * directory);
    return this.memory.low >>> 12;
  }
}

/** The refill handler. */
function refillFrom({ memory, roots }: Machine): SoftwareTlbHandler<LoongArchTlb> {
  /** LDPTE: one half, of a table or of a huge page that is split. */
  const ldpte = (tlb: LoongArchTlb, low: number, high: number, odd: 0 | 1): void => {
    const register = odd === 0 ? tlb.refillElo0 : tlb.refillElo1;
    if ((low & H) !== 0) {
      const global = (low & HUGE_G) !== 0 ? G : 0;
      const page = (low & ~H & ~HUGE_G) | global;
      register.load(page + odd * 0x10_0000, high);
      tlb.refillPageShift = 20;
      return;
    }
    memory.readWords(low >>> 12, 16 * (tlb.refillVppn % 256) + 8 * odd);
    register.load(memory.low, memory.high);
    tlb.refillPageShift = 12;
  };
  return {
    refill(tlb) {
      expect(tlb.inRefill).toBe(true);
      const root = roots.get(tlb.asid)!; // CSRRD PGD
      memory.readWords(root, 8 * Math.floor(tlb.refillBadVpn / 512)); // LDDIR
      const { high, low } = memory;
      if (low === 0) {
        // The directory of nothing: a table of zeros.
        tlb.refillElo0.load(0, 0);
        tlb.refillElo1.load(0, 0);
        tlb.refillPageShift = 12;
      } else {
        ldpte(tlb, low, high, 0);
        ldpte(tlb, low, high, 1);
      }
      expect(tlb.fill()).toBeGreaterThanOrEqual(0); // TLBFILL
    },
  };
}

/** What the walker says, as the TLB would: a page that is not executable is that first, and of another privilege then. */
function walked(walker: FormatWalker, vpn: number, access: number): number {
  const frame = walker.probe(vpn, access, 0);
  if (frame >= 0) return frame;
  const fetch = (access & 3) === Access.Fetch;
  switch (walker.fault.reason) {
    case 'not-present':
      if (fetch) return LoongArchTlbAnswer.FetchInvalid;
      return (access & 1) !== 0 ? LoongArchTlbAnswer.StoreInvalid : LoongArchTlbAnswer.LoadInvalid;
    case 'not-writable':
      return LoongArchTlbAnswer.Modified;
    case 'not-readable':
      return LoongArchTlbAnswer.NotReadable;
    case 'not-executable':
      return LoongArchTlbAnswer.NotExecutable;
    case 'supervisor-page':
      if (fetch && walker.probe(vpn, Access.Fetch, 0) < 0) return LoongArchTlbAnswer.NotExecutable;
      return LoongArchTlbAnswer.Privilege;
    default:
      throw new Error(walker.fault.reason);
  }
}

describe('a LoongArch TLB that the refill sequence fills', () => {
  it.each([
    [1, 'round-robin'],
    [2, { seed: 5 }],
    [3, { seed: 6 }],
  ] as const)('agrees with the walker, seed %i, choice %o', (seed, choice) => {
    const machine = new Machine(seed);
    const { memory, roots } = machine;
    const random = new Random(seed + 100);
    const walkers = new Map(
      SPACES.map((asid) => [asid, new FormatWalker({ memory, format, root: roots.get(asid)! })]),
    );
    const shape = { stlbSets: 8, stlbWays: 4, stlbPageShift: 12, mtlbEntries: 4 };
    const tlb = new LoongArchTlb({ ...shape, choice });
    tlb.asid = SPACES[0]!;
    const handler = refillFrom(machine);
    const seen = new Map<number, number>();
    for (let count = 0; count < 10_000; count++) {
      if (random.below(10) === 0) tlb.asid = SPACES[random.below(SPACES.length)]!;
      if (random.below(100) === 0) {
        const vpn = random.below(2 * 512);
        machine.page(machine.table(tlb.asid, Math.floor(vpn / 512)), vpn % 512, false);
        expect(tlb.invalidate(5, tlb.asid, vpn)).toBeLessThan(2);
      }
      const near = random.below(4) === 0 ? 512 : 12;
      const vpn = 512 * random.below(KINDS.length) + random.below(near);
      const access = random.below(3) | (random.below(2) === 0 ? Access.User : 0);
      const answer = tlb.translate(vpn, access, handler);
      expect(tlb.inRefill).toBe(false);
      expect(answer).toBe(walked(walkers.get(tlb.asid)!, vpn, access));
      seen.set(Math.min(answer, 0), (seen.get(Math.min(answer, 0)) ?? 0) + 1);
    }
    tlb.checkInvariants();
    expect([...seen.keys()].sort((a, b) => b - a)).toEqual([0, -2, -3, -4, -5, -6, -7, -8]);
    for (const times of seen.values()) expect(times).toBeGreaterThan(100);
    const { evictions, refills } = tlb.statistics();
    expect(refills).toBeLessThan(8000);
    expect(evictions).toBeGreaterThan(500);
    const sizes = tlb.content().map(({ pageShift, part }) => `${part} ${pageShift}`);
    expect(new Set(sizes)).toEqual(new Set(['stlb 12', 'mtlb 20']));
  });
});
