import { addressFromVpn, highWord, lowWord } from 'pagewright/core';
import {
  type Invalidation,
  Invalidations,
  NOT_MAPPED,
  PageTable,
  type PageTableOptions,
} from 'pagewright/page-table';
import { aarch64, eptLong4, type PteFormat, sv39, x86Legacy, x86Long4 } from 'pagewright/pte';
import { describe, expect, it } from 'vitest';
import { makeSystem, RWU, type System } from './system.js';

/** What recycled frames are filled with: no entry that a page table here has. */
const POISON = 0xdead_d003n;

/** The first page of a table of the last level, in the middle of the space. */
const BASE = 0x40000;

/**
 * A CPU that keeps the frames of tables: for each stretch of pages below a table, at every level, as hardware's
 * paging-structure caches do. It remembers as much as it may, and forgets what it is told to.
 */
class WalkCache {
  private readonly tables = new Map<string, number>();
  private readonly system: System;
  private readonly root: number;

  constructor(system: System) {
    this.system = system;
    this.root = system.table.root;
  }

  /** Walks on from the last table that it remembers. Returns the entries that it read. */
  walk(vpn: number): readonly bigint[] {
    const { format } = this.system.table;
    const read: bigint[] = [];
    let level = 0;
    while (level < format.levels - 1 && !this.tables.has(this.key(vpn, level))) level++;
    let table = this.tables.get(this.key(vpn, level)) ?? this.root;
    for (; ; level--) {
      const index = Math.floor(vpn / format.levelPages[level]!) % 2 ** format.indexBits[level]!;
      const entry = readEntry(this.system, table, index);
      read.push(entry);
      const [low, high] = [lowWord(entry), highWord(entry)];
      if (level === 0 || format.kindOf(low, high, level) !== 'pointer') return read;
      table = format.tablePfn(low, high);
      this.tables.set(this.key(vpn, level - 1), table);
    }
  }

  /** Does what an accumulator owes: one instruction for each page, that concerns tables only where it says so. */
  invalidate(records: readonly Invalidation[]): void {
    for (const { intermediate, pages, stride, vpn } of records) {
      if (!intermediate) continue;
      if (stride === 0) this.tables.clear();
      else for (let page = vpn; page < vpn + pages; page += stride) this.forget(page);
    }
  }

  private forget(vpn: number): void {
    for (let level = 0; level < this.system.table.format.levels; level++) {
      this.tables.delete(this.key(vpn, level));
    }
  }

  private key(vpn: number, level: number): string {
    const { levelPages, levels } = this.system.table.format;
    return `${level}:${level === levels - 1 ? 0 : Math.floor(vpn / levelPages[level + 1]!)}`;
  }
}

function readEntry({ memory, table }: System, pfn: number, index: number): bigint {
  const { entryBytes, pageShift } = table.format;
  const at = addressFromVpn(pfn, 0, pageShift) + BigInt(index * entryBytes);
  const found = memory.read(at, entryBytes === 8 ? 8 : 4);
  return found.kind === 'value' ? found.value : 0n;
}

/** Takes every frame that is free, and fills it with something else, as whoever gets it next would. */
function recycleFrames({ frames, memory, table }: System): void {
  const { entryBytes, pageShift } = table.format;
  const page = new Uint8Array(2 ** pageShift);
  const view = new DataView(page.buffer);
  for (let byte = 0; byte < page.length; byte += entryBytes)
    view.setUint32(byte, Number(POISON), true);
  for (let pfn = frames.allocateFrame(); pfn >= 0; pfn = frames.allocateFrame()) {
    memory.writeBytes(pfn * 2 ** (pageShift - 12), 0, page);
  }
}

/** How a machine is prepared, and the operation on it that gives tables up. */
interface Scenario {
  readonly prepare: (system: System) => void;
  readonly operate: (system: System) => void;
}

const flagsOf = ({ table }: System) => table.flags({ prot: RWU });

/** Fills two tables of the last level with base pages, the first of them completely. */
function fillTables(system: System): void {
  const { owed, table } = system;
  const pages = 1.5 * spanOf(system);
  const range = { vpn: BASE, pfn: BASE, pages, pageSize: 1 };
  expect(table.mapRange({ ...range, flags: flagsOf(system) }, owed)).toBe(0);
}

/** Pages of a table of the last level. */
const spanOf = ({ table }: System): number => table.format.levelPages[1]!;

const SCENARIOS: Readonly<Record<string, Scenario>> = {
  'unmap, page by page': {
    prepare: fillTables,
    operate: (s) => {
      for (let page = 0; page < spanOf(s); page++) s.table.unmap(BASE + page, s.owed);
    },
  },
  'unmap of all': {
    prepare: fillTables,
    operate: (s) => {
      for (let page = 0; page < 1.5 * spanOf(s); page++) s.table.unmap(BASE + page, s.owed);
    },
  },
  unmapRange: {
    prepare: fillTables,
    operate: (s) => s.table.unmapRange({ vpn: BASE, pages: 2 * spanOf(s) }, s.owed),
  },
  collapse: {
    prepare: fillTables,
    operate: (s) => expect(s.table.collapse(BASE, spanOf(s), s.owed)).toBe(0),
  },
  'split, and unmap of all pieces': {
    prepare: (s) => s.table.map(BASE, BASE, flagsOf(s), s.owed, spanOf(s)),
    operate: (s) => {
      s.table.split(BASE, s.owed);
      for (let page = 0; page < spanOf(s); page++) s.table.unmap(BASE + page, s.owed);
    },
  },
  'unmap of the only page': {
    prepare: (s) => s.table.map(BASE, BASE, flagsOf(s), s.owed),
    operate: (s) => s.table.unmap(BASE, s.owed),
  },
  destroy: { prepare: fillTables, operate: (s) => s.table.destroy(s.owed) },
};

/** Warm caches, an operation; then walks while the frames that are free become something else, until the very end. */
function poisonedWalks(system: System, { operate, prepare }: Scenario): readonly number[] {
  prepare(system);
  system.owed.complete();
  const cpu = new WalkCache(system);
  const pages = Array.from({ length: 64 }, (_, i) => BASE + Math.floor((i * spanOf(system)) / 32));
  const poisoned: number[] = [];
  const walkAll = (): void => {
    for (const vpn of pages) if (cpu.walk(vpn).includes(POISON)) poisoned.push(vpn);
  };
  walkAll();
  expect(poisoned).toEqual([]);
  operate(system);
  recycleFrames(system);
  walkAll();
  cpu.invalidate(system.owed.invalidations());
  walkAll();
  system.owed.complete();
  recycleFrames(system);
  // With the root gone, so is the CPU's last way in.
  if (!system.table.isDestroyed) walkAll();
  return poisoned;
}

describe.each([x86Long4, x86Legacy, sv39, eptLong4, aarch64(), aarch64({ granule: 16384 })])(
  'a walk cache never walks a recycled table of $name',
  (format) => {
    it.each(Object.entries(SCENARIOS))('%s', (_, scenario) => {
      const system = makeSystem(format, { pages: 64 });
      expect(poisonedWalks(system, scenario)).toEqual([]);
    });

    it('freeEmptyTables', () => {
      const system = makeSystem(format, { pages: 64 });
      expect(poisonedWalks(withEmptyTables(system), FREE_EMPTY)).toEqual([]);
    });
  },
);

const FREE_EMPTY: Scenario = {
  prepare: () => {},
  operate: (s) =>
    expect(s.table.freeEmptyTables({ vpn: 0, pages: 4 * BASE }, s.owed)).toBeGreaterThan(1),
};

/** The same machine, adopted with tables that a guest left empty. */
function withEmptyTables(system: System): System {
  fillTables(system);
  const { frames, memory, table } = system;
  const { format } = table;
  for (const { level, pfn } of table.tablePages()) {
    if (level === 0) memory.fillPage(pfn * 2 ** (format.pageShift - 12), 0);
  }
  if (format.pageShift > 12) {
    for (const entry of [...table.entries()]) clearWord(system, entry.vpn);
  }
  const options = { format, memory, frames, root: table.root, releaseTables: true };
  return { ...system, table: new PageTable(options) };
}

function clearWord(system: System, vpn: number): void {
  const { path } = system.table.describe(addressFromVpn(vpn, 0, system.table.format.pageShift));
  const { index, table } = path.at(-1)!;
  const { pageShift } = system.table.format;
  system.memory.write(addressFromVpn(table, 8 * index, pageShift), 8, 0n);
}

describe('a walk cache and tables that are shared', () => {
  const HALF = { vpn: 2 ** 52 - 2 ** 27, pages: 2 ** 27 };

  it('never walks a recycled table of the owner by way of another root', () => {
    const system = makeSystem(x86Long4, { pages: 64 });
    const { frames, memory, owed, table } = system;
    const other = new PageTable({ format: x86Long4, memory, frames });
    other.share(table, HALF, owed);
    table.mapRange(
      { vpn: HALF.vpn, pfn: 0, pages: 700, flags: flagsOf(system), pageSize: 1 },
      owed,
    );
    owed.complete();
    const cpu = new WalkCache({ ...system, table: other });
    expect(cpu.walk(HALF.vpn + 5)).toHaveLength(4);
    expect(cpu.walk(HALF.vpn + 5)).toHaveLength(1);
    table.unmapRange({ vpn: HALF.vpn, pages: 700 }, owed);
    recycleFrames(system);
    expect(cpu.walk(HALF.vpn + 5)).not.toContain(POISON);
    cpu.invalidate(owed.invalidations());
    owed.complete();
    recycleFrames(system);
    expect(cpu.walk(HALF.vpn + 5)).not.toContain(POISON);
    expect(cpu.walk(HALF.vpn + 600)).not.toContain(POISON);
  });

  it('never walks a recycled table after the loan has ended', () => {
    const system = makeSystem(x86Long4, { pages: 64 });
    const { frames, memory, owed, table } = system;
    const options: PageTableOptions = { format: x86Long4, memory, frames };
    const other = new PageTable(options);
    other.share(table, HALF, owed);
    table.map(HALF.vpn, 9, flagsOf(system), owed);
    const cpu = new WalkCache({ ...system, table: other });
    cpu.walk(HALF.vpn);
    owed.complete();
    expect(other.unshare(HALF, owed)).toBe(1);
    table.destroy(owed);
    recycleFrames(system);
    expect(cpu.walk(HALF.vpn)).not.toContain(POISON);
    cpu.invalidate(owed.invalidations());
    owed.complete();
    recycleFrames(system);
    expect(cpu.walk(HALF.vpn)).toEqual([0n]);
    expect(other.lookup(HALF.vpn)).toBe(NOT_MAPPED);
  });
});

describe('what the walk cache would find without the accumulator’s care', () => {
  /** Gives frames back at once, before anything is invalidated. */
  class Hasty extends Invalidations {
    override release(pfn: number): void {
      this.frames.releaseFrame(pfn);
    }
  }
  /** Forgets to say that tables changed. */
  class Forgetful extends Invalidations {
    override addIntermediate(): void {}
  }
  const withAccumulator = (format: PteFormat, Kind: typeof Hasty | typeof Forgetful): System => {
    const system = makeSystem(format, { pages: 64 });
    return { ...system, owed: new Kind({ frames: system.frames }) };
  };
  const GIVING = ['unmap, page by page', 'unmapRange', 'collapse'];

  it.each(GIVING)('a recycled table, when frames go back at once (%s)', (name) => {
    const system = withAccumulator(x86Long4, Hasty);
    expect(poisonedWalks(system, SCENARIOS[name]!)).not.toEqual([]);
  });

  it.each(GIVING)('a recycled table, when intermediate entries are left out (%s)', (name) => {
    const system = withAccumulator(x86Long4, Forgetful);
    expect(poisonedWalks(system, SCENARIOS[name]!)).not.toEqual([]);
  });

  it('a recycled table, when the accumulator is completed before the cache has forgotten', () => {
    const system = makeSystem(x86Long4, { pages: 64 });
    fillTables(system);
    const cpu = new WalkCache(system);
    cpu.walk(BASE);
    system.table.unmapRange({ vpn: BASE, pages: 1024 }, system.owed);
    system.owed.complete();
    recycleFrames(system);
    expect(cpu.walk(BASE)).toContain(POISON);
  });
});
