import { VmError, type VmEvent } from 'pagewright/core';
import { FramePool, PhysicalMemory } from 'pagewright/memory';
import {
  type EntryCursor,
  Invalidations,
  NOT_COMPATIBLE,
  NOT_MAPPED,
  NOT_PRESENT,
  OUT_OF_FRAMES,
  PageTable,
} from 'pagewright/page-table';
import { mappingOf } from 'pagewright/pte';
import { expect } from 'vitest';
import type {
  ReferenceFlags,
  ReferenceOutcome,
  ReferencePageLeaf,
  ReferencePageTable,
} from '../../src/reference/page-table.js';
import type { ModelFormat } from './model-formats.js';

/** What holds the tables: `watched` is flat RAM with an observer, so that everything takes the complete form. */
export type MemoryKind = 'flat' | 'sparse' | 'shared' | 'watched';

/** Where tables are: in low frames, in frames whose numbers need an entry's high word, in the last that there are. */
export type Place = 'low' | 'middle' | 'top';

/** Frames in a pool, unless the format has fewer: not too many tables of many entries, all of which are checked again and again. */
function framesOf({ format }: Pick<ModelFormat, 'format'>): number {
  return Math.max(12, Math.min(128, 2 ** (16 - format.indexBits[0]!)));
}

/** A pool of frames at a place. */
export function poolFor({ format, machine }: ModelFormat, place: Place): FramePool {
  const width = Math.min(machine.physicalBits ?? 64, format.physicalBits);
  // CR3 has 32 bits in 32-bit and PAE paging.
  const narrow = format.architecture === 'x86' && format.virtualBits === 32;
  const end = 2 ** (Math.min(width, narrow ? 32 : 64) - format.pageShift);
  const middle = Math.min(2 ** 21 + 64, end / 2);
  const frames = framesOf({ format });
  const first = { low: Math.min(0x40, end / 2), middle, top: Math.max(0, end - frames) }[place];
  return new FramePool({ first, frames: Math.min(frames, end - first) });
}

/** Memory for all frames of a pool. It begins with the pool or 4 KiB before it, in the middle of a larger granule. */
export function memoryFor(
  { format }: ModelFormat,
  pool: FramePool,
  kind: MemoryKind,
): PhysicalMemory {
  const page = 2 ** format.pageShift;
  const before = page > 4096 ? 4096 : 0;
  const base = BigInt(pool.first) * BigInt(page) - BigInt(before);
  const bytes = pool.frames * page + before;
  const memory = new PhysicalMemory();
  if (kind === 'sparse') memory.addSparse({ base, bytes });
  else memory.addRam({ base, bytes, shared: kind === 'shared' });
  return memory;
}

/** What an operation did, in the model's words. */
export function outcomeOf(call: () => number): ReferenceOutcome | 'out-of-frames' {
  try {
    const result = call();
    if (result === OUT_OF_FRAMES) return 'out-of-frames';
    if (result === NOT_MAPPED) return 'not-mapped';
    if (result === NOT_PRESENT) return 'not-present';
    if (result === NOT_COMPATIBLE) return 'not-compatible';
    return result;
  } catch (error) {
    if (!(error instanceof VmError)) throw error;
    const { code } = error;
    if (code === 'out-of-range' || code === 'misaligned' || code === 'overlap') return code;
    throw error;
  }
}

/** Page tables of one format in one memory, with a source of frames and one accumulator. */
export class ModelMachine {
  readonly kind: ModelFormat;
  readonly pool: FramePool;
  readonly memory: PhysicalMemory;
  readonly owed: Invalidations;
  readonly tables: PageTable[] = [];
  private readonly steps: number[] = [];
  private readonly observer: ((event: VmEvent) => void) | null;
  /** log2 of the frames that each table took, by its first frame. */
  private readonly orders = new Map<number, number>();

  constructor(kind: ModelFormat, memoryKind: MemoryKind, place: Place) {
    this.kind = kind;
    this.pool = poolFor(kind, place);
    this.memory = memoryFor(kind, this.pool, memoryKind);
    this.owed = new Invalidations({ frames: this.pool });
    this.observer = memoryKind === 'watched' ? ({ step }) => this.steps.push(step) : null;
    const { memory, observer, pool } = this;
    const { format, machine } = kind;
    const options = { format, memory, frames: pool, observer, context: 1, ...machine };
    this.tables.push(new PageTable(options));
  }

  get observed(): ((event: VmEvent) => void) | null {
    return this.observer;
  }

  /** Does what is owed: frames go back, broken entries are made. */
  complete(): void {
    this.owed.complete();
    expect(this.owed.isEmpty).toBe(true);
  }

  /** After each operation: checks all tables against their models, and where every frame is. */
  check(models: readonly ReferencePageTable[]): void {
    this.tables.forEach((table, at) => {
      table.checkInvariants();
      checkLeaves(this.kind, table, models[at]!);
    });
    this.checkOwnership();
  }

  /** A frame is out of the pool when it is a table of a page table, or waits for the invalidation; and then once. */
  private checkOwnership(): void {
    const { owed, pool, tables } = this;
    const firsts: number[] = [];
    for (const table of tables) {
      for (const { level, pfn } of table.tablePages()) {
        this.orders.set(pfn, tableOrder(this.kind, level));
        firsts.push(pfn);
      }
    }
    firsts.push(...owed.released());
    const expected = firsts.flatMap((pfn) =>
      Array.from({ length: 2 ** (this.orders.get(pfn) ?? 0) }, (_, frame) => pfn + frame),
    );
    const out: number[] = [];
    for (let pfn = pool.first; pfn < pool.first + pool.frames; pfn++) {
      if (pool.isOut(pfn)) out.push(pfn);
    }
    expect(expected.sort((a, b) => a - b)).toEqual(out);
    pool.checkInvariants();
  }

  /** Takes everything down: every frame is back then. */
  finish(): void {
    for (const table of this.tables) table.destroy(this.owed);
    this.owed.complete();
    expect(this.pool.free).toBe(this.pool.frames);
    if (this.observer === null) return;
    expect(this.steps.length).toBeGreaterThan(0);
  }
}

/** log2 of the base pages that a table of a level takes. */
function tableOrder({ format }: ModelFormat, level: number): number {
  const described = format.roles?.description.levels.at(-1 - level)?.tableBytes ?? 0;
  const bytes = Math.max(described, 2 ** format.indexBits[level]! * format.entryBytes);
  return Math.max(0, Math.ceil(Math.log2(bytes)) - format.pageShift);
}

/** Whether a page table has the leaves and swap entries of a model, in order, and counts them right. */
export function checkLeaves(kind: ModelFormat, table: PageTable, model: ReferencePageTable): void {
  const swapped = [...model.swappedInOrder];
  const leaves = model.leavesInOrder;
  const counts = new Map<number, number>();
  let seen = 0;
  const cursor = table.entries();
  while (cursor.advance()) {
    const { pages, pfn, vpn } = cursor;
    if (pfn < 0) {
      const [page, entry] = swapped.shift() ?? [];
      expect([vpn, table.swapAt(vpn)]).toMatchObject([page, entry]);
      continue;
    }
    checkLeaf(kind, table, cursor, leaves[seen++]);
    counts.set(pages, (counts.get(pages) ?? 0) + 1);
  }
  expect(seen).toBe(leaves.length);
  expect(swapped).toEqual([]);
  for (const { count, pages } of table.statistics().leaves) {
    if (count !== (counts.get(pages) ?? 0)) expect([pages, count]).toEqual([pages, counts]);
  }
}

/** Numbers are compared one by one: there are thousands of leaves, after every operation. */
function checkLeaf(
  kind: ModelFormat,
  table: PageTable,
  cursor: EntryCursor,
  expected: ReferencePageLeaf | undefined,
): void {
  const { high, low, pages, pfn, vpn } = cursor;
  const bits = mappingOf(kind.format);
  const prot = bits.protOf(low, high);
  // Of a group, any entry will do: the model knows the leaf alone.
  const accessed = pages === 1 ? bits.isAccessed(low) : table.testAccessed(vpn) === 1;
  const dirty = pages === 1 ? bits.isDirty(low, high) : table.testDirty(vpn) === 1;
  const global = bits.isGlobal(low, high);
  const attributes = kind.attributes.of(low, pages);
  if (
    vpn === expected?.vpn &&
    pages === expected.pages &&
    pfn === expected.pfn &&
    prot === expected.prot &&
    accessed === expected.accessed &&
    dirty === expected.dirty &&
    global === expected.global &&
    attributes === expected.attributes
  )
    return;
  expect({ vpn, pages, pfn, prot, accessed, dirty, global, attributes }).toEqual(expected);
}

/** The flags of a page table that say what the model's say. */
export function flagsOf(
  kind: ModelFormat,
  table: PageTable,
  { attributes, ...flags }: ReferenceFlags,
): ReturnType<PageTable['flags']> {
  return table.flags({ ...flags, fields: kind.attributes.fields(attributes) });
}
