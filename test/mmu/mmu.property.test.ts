import fc from 'fast-check';
import { VmError } from 'pagewright/core';
import { FramePool, PhysicalMemory } from 'pagewright/memory';
import { Mmu } from 'pagewright/mmu';
import { Invalidations, PageTable } from 'pagewright/page-table';
import type { PteFormat } from 'pagewright/pte';
import {
  PagingStructureCache,
  structureLevels,
  Tlb,
  TlbContexts,
  TlbHierarchy,
  type TlbOptions,
} from 'pagewright/tlb';
import { describe, expect, test } from 'vitest';
import { ACCESSES, type Cpu, MACHINES, type Machine } from './machines.js';

// A cache never changes an answer: two machines of one kind run one program, one with caches and one without. Every answer
// is the same, and in the end all memory is, accessed and dirty bits included.

const RAM = 2 ** 22;
const SPACES = 3;

/** Pages that programs use. */
const PAGES = 12;

/** A machine with its operating system. */
class System {
  readonly memory = PhysicalMemory.allocate(RAM, { base: 0 });
  readonly tables: readonly PageTable[];
  readonly owed: Invalidations;
  readonly cpu: Cpu;
  readonly machine: Machine;

  constructor(machine: Machine) {
    const { format } = machine;
    this.machine = machine;
    const frames = new FramePool({
      first: 0,
      frames: RAM / 2 ** format.pageShift - 1 - 2 ** (16 - format.pageShift),
    });
    this.owed = new Invalidations({ frames, capacity: 4 });
    this.tables = Array.from({ length: SPACES }, (_, space) => {
      const context = machine.tagged ? space + 1 : 0;
      return new PageTable({ format, memory: this.memory, frames, context });
    });
    const [first] = this.tables;
    this.cpu = machine.cpu(this.memory, first!.root);
    this.cpu.enter(0, first!.root);
    this.begin();
  }

  /** What every program finds: small and large pages in every space, global ones in all of them. */
  private begin(): void {
    const size = largeOf(this.machine.format);
    for (const [space, table] of this.tables.entries()) {
      const flags = table.flags({ prot: 15, dirty: false });
      const own = table.flags({ prot: 15, dirty: true, global: true });
      for (let page = 0; page < PAGES; page++) {
        const pfn = 1024 + 64 * space + page;
        const [vpn, global] = [smallPage(page), page >= GLOBAL];
        table.mapRange(
          { vpn, pfn: global ? 4096 + page : pfn, pages: 1, flags: global ? own : flags },
          this.owed,
        );
      }
      table.mapRange({ vpn: 2 * size, pfn: size * (2 + space), pages: size, flags }, this.owed);
    }
    this.owed.complete();
  }

  enter(space: number): void {
    this.cpu.enter(space, this.tables[space]!.root);
  }
}

const step = fc.record({
  what: fc.constantFrom(
    ...['access', 'access', 'access', 'access', 'access', 'access', 'map', 'unmap', 'protect'],
    ...['split', 'collapse', 'clean', 'toggle', 'enter'],
  ),
  page: fc.nat(PAGES - 1),
  pages: fc.integer({ min: 1, max: 4 }),
  large: fc.boolean(),
  space: fc.nat(SPACES - 1),
  access: fc.constantFrom(...ACCESSES),
  prot: fc.constantFrom(1, 3, 5, 7, 9, 11, 13, 15),
  key: fc.nat(3),
});
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

const tlb: fc.Arbitrary<TlbOptions> = fc.record({
  entries: fc.constantFrom(1, 4, 16),
  orders: fc.constantFrom([0], [0, 9], [0, 2, 4, 9, 10, 11, 13, 18]),
  overlaps: fc.constantFrom('refuse', 'allow'),
});
const caches = fc.record({ tlb, levels: fc.boolean(), structures: fc.boolean() });
type Caches = typeof caches extends fc.Arbitrary<infer C> ? C : never;

function mmuOf(system: System, { levels, structures, tlb: options }: Caches): Mmu {
  const { walker } = system.cpu;
  const { format } = system.machine;
  const contexts = new TlbContexts();
  const bits = format.indexBits[0]!;
  const upper = {
    tableLevels: format.levels,
    levels: structureLevels({ indexBits: bits, entries: new Array(format.levels - 1).fill(2) }),
  };
  if (levels) {
    const first = [options];
    return new Mmu({
      walker,
      tlb: new TlbHierarchy({
        fetch: first,
        load: first,
        second: [{ ...options, entries: 32 }],
        ...(structures ? { structures: upper } : {}),
      }),
    });
  }
  const single = new Tlb({ ...options, contexts });
  if (!structures) return new Mmu({ walker, tlb: single });
  return new Mmu({
    walker,
    tlb: single,
    structures: new PagingStructureCache({ ...upper, contexts }),
  });
}

/** The size of the smallest large page. */
function largeOf(format: PteFormat): number {
  return format.levelPages[1]! / format.levelPages[0]!;
}

/**
 * Pages from this one on are mapped in every address space, as global ones, and are dirty from the beginning: an entry that was
 * filled in one space sets no bit in the tables of another.
 */
const GLOBAL = 10;

function smallPage(page: number): number {
  return page < GLOBAL ? page * (page % 2 === 0 ? 1 : 37) : 2 ** 16 + page;
}

/** Does a step of the operating system; what it refuses changes nothing. */
function change(system: System, one: Step): void {
  const { owed } = system;
  const { format } = system.machine;
  const global = one.page >= GLOBAL;
  const size = one.large && !global ? largeOf(format) : 1;
  const vpn = global || !one.large ? smallPage(one.page) : size * (one.page % 3);
  for (const table of global ? system.tables : [system.tables[one.space]!])
    try {
      if (one.what === 'map') {
        const keyed = format.name.startsWith('x86Long') ? { fields: { PK: one.key } } : {};
        const flags = table.flags({ prot: one.prot | 1, global, dirty: global, ...keyed });
        const pfn = 1024 * (1 + one.key) + vpn;
        table.mapRange(
          { vpn, pfn: pfn - (pfn % size) + (vpn % size), pages: size * one.pages, flags },
          owed,
        );
      } else if (one.what === 'unmap') table.unmapRange({ vpn, pages: size * one.pages }, owed);
      else if (one.what === 'protect') {
        table.protectRange({ vpn, pages: size * one.pages, prot: one.prot | 1 }, owed);
      } else if (one.what === 'split') table.split(vpn, owed);
      else if (one.what === 'collapse') table.collapse(vpn - (vpn % size), size, owed);
      else if (one.what === 'clean' && !global) table.testAndClearDirty(vpn, owed);
    } catch (error) {
      if (!(error instanceof VmError)) throw error;
    }
}

function pagesOf(machine: Machine, page: number): number {
  const unit = 2 ** (machine.format.pageShift - 12);
  const large = page % 3 === 0 && page < GLOBAL;
  return unit * (large ? largeOf(machine.format) * 2 + (page % 5) : smallPage(page));
}

function check(machine: Machine, program: readonly Step[], with_: Caches): void {
  const bare = new System(machine);
  const cached = new System(machine);
  const mmu = mmuOf(cached, with_);
  for (const one of program) {
    if (one.what === 'access') {
      for (let next = 0; next < 3; next++) {
        const vpn = pagesOf(machine, (one.page + next) % PAGES);
        const wanted = bare.cpu.walker.walk(vpn, one.access);
        const got = mmu.translatePage(vpn, one.access);
        expect({ vpn, got }).toEqual({ vpn, got: wanted });
        if (wanted >= 0) continue;
        expect(mmu.fault.reason).toBe(bare.cpu.walker.fault.reason);
        expect(mmu.fault.level).toBe(bare.cpu.walker.fault.level);
      }
    } else if (one.what === 'toggle') {
      for (const system of [bare, cached]) system.cpu.toggle(one.page);
    } else if (one.what === 'enter') {
      for (const system of [bare, cached]) system.enter(one.space);
    } else {
      for (const system of [bare, cached]) change(system, one);
      bare.owed.complete();
      mmu.invalidate(cached.owed);
    }
  }
  mmu.checkInvariants();
  for (let pfn = 0; pfn < RAM / 4096; pfn++) {
    if (bare.memory.isBlank(pfn) && cached.memory.isBlank(pfn)) continue;
    const [one, other] = [new Uint8Array(4096), new Uint8Array(4096)];
    bare.memory.readBytes(pfn, 0, one);
    cached.memory.readBytes(pfn, 0, other);
    expect(Buffer.compare(one, other)).toBe(0);
  }
}

describe('an MMU with caches of any shape answers as the bare walker does', () => {
  test.each(MACHINES)('$name', (machine) => {
    const program = fc.array(step, { minLength: 1, maxLength: 120, size: 'max' });
    fc.assert(
      fc.property(program, caches, (steps, with_) => check(machine, steps, with_)),
      { numRuns: 20 },
    );
  });
});
