import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { Random } from 'pagewright/core';
import { FramePool, PhysicalMemory } from 'pagewright/memory';
import { Invalidations, PageTable } from 'pagewright/page-table';
import { aarch64, mappingOf, type PteFormat, sv39, x86Long4 } from 'pagewright/pte';
import { beforeAll, describe, expect, it } from 'vitest';
import { bundle } from '../support/bundle.js';
import type { Job, Layout } from './shared-memory.worker.js';
import { RU, RWU } from './system.js';

let program: string;

beforeAll(async () => {
  program = await bundle(fileURLToPath(new URL('./shared-memory.worker.ts', import.meta.url)));
});

const X86: Layout = {
  levels: 4,
  frameShift: 12,
  frameMask: 0xf_ffff_ffff_f000n,
  present: 1n,
  leafMask: 0x80n,
  leaf: 0x80n,
  accessed: 0x20n,
  writable: 2n,
  dirtyMask: 0x40n,
  clean: 0n,
  dirty: 0x40n,
};
const RISCV: Layout = {
  levels: 3,
  frameShift: 10,
  frameMask: 0x3f_ffff_ffff_fc00n,
  present: 1n,
  leafMask: 2n,
  leaf: 2n,
  accessed: 0x40n,
  writable: 4n,
  dirtyMask: 0x80n,
  clean: 0n,
  dirty: 0x80n,
};
/** With hardware management of dirty state: DBM says that a page may be written, AP[2] that it was not. */
const AARCH64: Layout = {
  levels: 4,
  frameShift: 12,
  frameMask: 0xffff_ffff_f000n,
  present: 1n,
  leafMask: 2n,
  leaf: 0n,
  accessed: 0x400n,
  writable: 1n << 51n,
  dirtyMask: 0x80n,
  clean: 0x80n,
  dirty: 0n,
};
const MACHINES: readonly (readonly [string, PteFormat, Layout])[] = [
  ['x86Long4', x86Long4, X86],
  ['sv39', sv39, RISCV],
  ['aarch64', aarch64(), AARCH64],
];

/** The first page that the hardware uses. */
const FIRST = 0x40000;

/** An operating system on one thread, and hardware on another that uses all pages all the time. */
class Machine {
  readonly table: PageTable;
  readonly owed: Invalidations;
  readonly frames: FramePool;
  private readonly control = new SharedArrayBuffer(16);
  private readonly words = new Int32Array(this.control);
  private readonly counts: Int32Array;
  private readonly job: Job;

  constructor(format: PteFormat, layout: Layout, pages: number) {
    const ram = new SharedArrayBuffer(128 * 4096);
    const memory = PhysicalMemory.wrap(ram, { base: 0 });
    this.frames = new FramePool({ first: 1, frames: 127 });
    this.table = new PageTable({ format, memory, frames: this.frames });
    this.owed = new Invalidations({ frames: this.frames });
    const log = new SharedArrayBuffer(8 * (pages + Math.ceil(pages / 512)));
    this.counts = new Int32Array(log);
    const { control, table } = this;
    this.job = { ram, layout, root: table.root, first: FIRST, pages, control, log };
  }

  /** Runs a program while the hardware runs, and stops it after that. */
  async run(program_: () => void): Promise<void> {
    const worker = new Worker(program, { workerData: this.job });
    await once(worker, 'message');
    const done = once(worker, 'message');
    Atomics.store(this.words, 0, 1);
    Atomics.notify(this.words, 0);
    try {
      program_();
    } finally {
      Atomics.store(this.words, 1, 1);
      await done;
    }
  }

  /** Waits until the hardware has forgotten everything, then says that it has. */
  complete(): void {
    const wanted = Atomics.add(this.words, 2, 1) + 1;
    while (Atomics.load(this.words, 3) < wanted) Atomics.wait(this.words, 0, 1, 0.01);
    this.owed.complete();
  }

  /** How often the hardware has set the accessed and the dirty bit of a page, or of the large page at it. */
  set(page: number): readonly [accessed: number, dirty: number] {
    return [Atomics.load(this.counts, 2 * page), Atomics.load(this.counts, 2 * page + 1)];
  }

  /** Bits set in all. */
  get work(): number {
    return this.counts.reduce((sum, count) => sum + count, 0);
  }
}

/** How many of the pages from the first on are not dirty. */
function countClean(table: PageTable, pages: number): number {
  let clean = 0;
  for (let page = 0; page < pages; page++) if (table.testDirty(FIRST + page) !== 1) clean++;
  return clean;
}

describe.each(MACHINES)(
  'hardware that sets accessed and dirty bits at the same time (%s)',
  (_, format, layout) => {
    const bits = mappingOf(format);

    it('loses none: each is told by an operation, or is still there', async () => {
      const pages = 64;
      const machine = new Machine(format, layout, pages);
      const { owed, table } = machine;
      const clean = table.flags({ prot: RWU, accessed: false, dirty: false });
      table.mapRange({ vpn: FIRST, pfn: 64, pages, flags: clean, pageSize: 1 }, owed);
      // What we saw of every page, less what we set ourselves.
      const seen = new Int32Array(2 * pages);
      const note = (page: number, accessed: boolean, dirty: boolean): void => {
        if (accessed) seen[2 * page]!++;
        if (dirty) seen[2 * page + 1]!++;
      };
      const noteFound = (page: number): void => {
        const { high, low } = table.found;
        note(page, bits.isAccessed(low), bits.isDirty(low, high));
      };
      const operations: readonly ((page: number, vpn: number) => void)[] = [
        (_page, vpn) => table.protect(vpn, RU, owed),
        (_page, vpn) => table.protect(vpn, RWU, owed),
        (_page, vpn) => table.protectRange({ vpn, pages: FIRST + pages - vpn, prot: RWU }, owed),
        (page, vpn) => note(page, table.testAndClearAccessed(vpn, owed) === 1, false),
        (page, vpn) => note(page, false, table.testAndClearDirty(vpn, owed) === 1),
        (page, vpn) => {
          if (table.setAccessed(vpn, true, owed) === 0) seen[2 * page]!--;
        },
        (page, vpn) => {
          table.unmap(vpn, owed);
          noteFound(page);
          table.map(vpn, 64 + page, clean, owed);
        },
        (page, vpn) => {
          table.setSwap(vpn, { type: 1, offset: 1 + page }, owed);
          noteFound(page);
          table.swapIn(vpn, 64 + page, clean, owed);
        },
        (page, vpn) => {
          table.remap(vpn, 64 + page, owed, clean);
          noteFound(page);
        },
        (_page, vpn) => table.remap(vpn, 64 + ((vpn + 1) % pages), owed),
        () => {
          table.clone({}, owed)?.destroy(owed);
          table.protectRange({ vpn: FIRST, pages, prot: RWU }, owed);
        },
      ];
      const random = new Random(1);
      await machine.run(() => {
        for (let round = 0; round < 3000 || (machine.work < 1000 && round < 200_000); round++) {
          const page = random.below(pages);
          operations[random.below(operations.length)]!(page, FIRST + page);
          if (round % 16 === 0) machine.complete();
        }
        machine.complete();
      });
      expect(machine.work).toBeGreaterThan(100);
      for (let page = 0; page < pages; page++) {
        note(page, table.testAccessed(FIRST + page) === 1, table.testDirty(FIRST + page) === 1);
        expect([page, ...seen.subarray(2 * page, 2 * page + 2)]).toEqual([
          page,
          ...machine.set(page),
        ]);
      }
      table.checkInvariants();
    });

    it('loses none when large pages are split, and pages collapsed, and says so of all of their pages', async () => {
      const pages = 512;
      const machine = new Machine(format, layout, pages);
      const { owed, table } = machine;
      const clean = table.flags({ prot: RWU, accessed: false, dirty: false });
      const range = { vpn: FIRST, pfn: FIRST, pages, flags: clean };
      const pieces = (): number => {
        let dirty = 0;
        for (let page = 0; page < pages; page++) dirty += machine.set(page)[1];
        return dirty;
      };
      let [splits, collapses, lost] = [0, 0, 0];
      await machine.run(() => {
        for (
          let round = 0;
          round < 40 || (Math.min(splits, collapses) === 0 && round < 2000);
          round++
        ) {
          const [, whole] = machine.set(512);
          table.map(FIRST, FIRST, clean, owed, pages);
          if (round % 2 === 0) machine.complete();
          table.split(FIRST, owed);
          machine.complete();
          if (machine.set(512)[1] > whole) {
            splits++;
            lost += countClean(table, pages);
          }
          table.unmapRange({ vpn: FIRST, pages }, owed);
          machine.complete();
          const before = pieces();
          table.mapRange({ ...range, pageSize: 1 }, owed);
          expect(table.collapse(FIRST, pages, owed)).toBe(0);
          machine.complete();
          if (pieces() > before) {
            collapses++;
            expect(table.testDirty(FIRST)).toBe(1);
          }
          table.unmap(FIRST, owed);
          machine.complete();
        }
      });
      expect(lost).toBe(0);
      expect(Math.min(splits, collapses)).toBeGreaterThan(0);
      expect(machine.frames.free).toBe(126);
      table.checkInvariants();
    });
  },
);

describe.each(MACHINES.slice(1))(
  'hardware that marks any entry of a group (%s)',
  (_, format, layout) => {
    it('has marked all pages of it, once it is split', async () => {
      const pages = 16;
      const machine = new Machine(format, layout, pages);
      const { owed, table } = machine;
      const clean = table.flags({ prot: RWU, accessed: false, dirty: false });
      const marks = (): number => {
        let dirty = 0;
        for (let page = 0; page < pages; page++) dirty += machine.set(page)[1];
        return dirty;
      };
      let [checked, lost] = [0, 0];
      await machine.run(() => {
        for (let round = 0; round < 100 || (checked === 0 && round < 20_000); round++) {
          const before = marks();
          table.map(FIRST, 64, clean, owed, pages);
          machine.complete();
          const marked = marks() > before;
          table.split(FIRST + (round % pages), owed);
          machine.complete();
          if (marked) {
            checked++;
            lost += countClean(table, pages);
          }
          table.unmapRange({ vpn: FIRST, pages }, owed);
          machine.complete();
        }
      });
      expect(lost).toBe(0);
      expect(checked).toBeGreaterThan(0);
      table.checkInvariants();
    });
  },
);
