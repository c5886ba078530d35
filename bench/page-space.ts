// A page table to edit, and the loops that edit it.
import { Prot } from 'pagewright/core';
import { FramePool, PhysicalMemory } from 'pagewright/memory';
import { Invalidations, type LeafFlags, PageTable } from 'pagewright/page-table';
import type { PteFormat } from 'pagewright/pte';
import { FIRST_PFN, type Order, xorshift } from './page-tables.js';

/** The first frame that is mapped. */
export const PFN = 0x100000;
/** Tables of a million pages, and as many again. */
export const FRAMES = 4352;
/** After so many changes what is owed is paid. */
const BATCH = 512;
/** Pages that are looked up when all are mapped. */
export const SAMPLES = 1024;

export const READ_ONLY: number = Prot.Read | Prot.User;
export const WRITABLE: number = READ_ONLY | Prot.Write;

/** What a case works on. */
export interface Job {
  readonly format: PteFormat;
  readonly pages: number;
  readonly order: Order;
  /** Whether the checksum has what was owed and which frames are left, which only tables can tell. */
  readonly books: boolean;
}

/** In the lower half of the address space, far enough up that every level has another index. */
export function firstPage(format: PteFormat): number {
  return format.virtualBits >= 48 ? 0x7f1200000 : 0x3200000;
}

/** Pages, counted from the first. */
export function orderOf({ order, pages }: Job): Int32Array {
  const numbers = Int32Array.from({ length: pages }, (_, page) => page);
  if (order === 'sequential') return numbers;
  const random = xorshift();
  for (let left = pages; left > 1; left--) {
    const other = random() % left;
    [numbers[left - 1], numbers[other]] = [numbers[other]!, numbers[left - 1]!];
  }
  return numbers;
}

/** A page table, with all that belongs to it. */
export class Space {
  readonly vpn: number;
  readonly order: Int32Array;
  readonly job: Job;
  frames!: FramePool;
  owed!: Invalidations;
  table!: PageTable;
  flags!: LeafFlags;
  private readonly memory: PhysicalMemory;

  constructor(job: Job) {
    this.job = job;
    this.vpn = firstPage(job.format);
    this.order = orderOf(job);
    this.memory = PhysicalMemory.allocate(FRAMES * 4096, { base: FIRST_PFN * 4096 });
    this.renew();
  }

  /** Everything anew. */
  renew(): void {
    const { format } = this.job;
    this.frames = new FramePool({ first: FIRST_PFN, frames: FRAMES });
    this.owed = new Invalidations({ frames: this.frames });
    this.table = new PageTable({ format, memory: this.memory, frames: this.frames });
    this.flags = this.table.flags({ prot: WRITABLE });
  }

  mapAll(): void {
    this.renew();
    mapPages(this, 0, this.order.length);
  }

  /** All pages, as a stretch of base pages. */
  mapRange(): number {
    const { flags, job, owed, table, vpn } = this;
    return table.mapRange({ vpn, pfn: PFN, pages: job.pages, flags, pageSize: 1 }, owed);
  }

  protect(prot: number): number {
    const { job, owed, table, vpn } = this;
    return table.protectRange({ vpn, pages: job.pages, prot }, owed);
  }

  sample(): number {
    const { job, table, vpn } = this;
    let sum = 0;
    for (let page = 0; page < job.pages; page += job.pages / SAMPLES) {
      sum += table.lookup(vpn + page);
    }
    return sum;
  }

  finishBatch(): number {
    const sum = this.job.books ? this.owed.count : 0;
    this.owed.complete();
    return sum;
  }

  finish(): number {
    return this.job.books ? this.frames.free : 0;
  }

  /** The rights of the last page, and what was owed for them. */
  finishProtect(table: PageTable): number {
    const sum = this.owed.count + table.lookup(this.vpn + this.job.pages - 1);
    this.owed.complete();
    return sum + (table.found.low >>> 0);
  }
}

// The loops that cases share. Each does pages `start` to `end` of the order.

export function mapPages(space: Space, start: number, end: number): number {
  const { flags, order, owed, table, vpn } = space;
  let sum = 0;
  for (let i = start; i < end; i++) {
    const page = order[i]!;
    sum += table.map(vpn + page, PFN + page, flags, owed);
    if (i % BATCH === BATCH - 1) sum += space.finishBatch();
  }
  return sum;
}

export function unmapPages(space: Space, start: number, end: number): number {
  const { order, owed, table, vpn } = space;
  let sum = 0;
  for (let i = start; i < end; i++) {
    sum += table.unmap(vpn + order[i]!, owed);
    if (i % BATCH === BATCH - 1) sum += space.finishBatch();
  }
  return sum;
}

export function lookUpPages(space: Space, start: number, end: number): number {
  const { order, table, vpn } = space;
  let sum = 0;
  for (let i = start; i < end; i++) sum += table.lookup(vpn + order[i]!);
  return sum;
}

export function protectPages(space: Space, prot: number, start: number, end: number): number {
  const { order, owed, table, vpn } = space;
  let sum = 0;
  for (let i = start; i < end; i++) {
    sum += table.protect(vpn + order[i]!, prot, owed);
    if (i % BATCH === BATCH - 1) sum += space.finishBatch();
  }
  return sum;
}

export function agePages(space: Space, start: number, end: number): number {
  const { order, owed, table, vpn } = space;
  let sum = 0;
  for (let i = start; i < end; i++) {
    sum += table.testAndClearAccessed(vpn + order[i]!, owed);
    if (i % BATCH === BATCH - 1) sum += space.finishBatch();
  }
  return sum;
}

export function sumEntries({ table }: Space): number {
  const cursor = table.entries();
  let sum = 0;
  let vpns = 0;
  while (cursor.advance()) {
    sum += cursor.pfn + cursor.pages + cursor.level;
    vpns ^= cursor.vpn;
  }
  return sum + (vpns >>> 0);
}
