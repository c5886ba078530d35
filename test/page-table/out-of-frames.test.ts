import { Prot, VmError, type VmEvent } from 'pagewright/core';
import type { FramePool, FrameSource, PhysicalMemory } from 'pagewright/memory';
import { Invalidations, OUT_OF_FRAMES, PageTable, pageSizes } from 'pagewright/page-table';
import { describe, expect, test } from 'vitest';
import { MODEL_FORMATS, type ModelFormat, modelOptions } from './model-formats.js';
import { memoryFor, poolFor } from './model-machine.js';

/** A pool that hands out no more frames or blocks than it is told to, and then what it is told to. */
class LimitedFrames implements FrameSource {
  readonly pool: FramePool;
  /** How many it will still hand out. */
  left = Number.POSITIVE_INFINITY;
  /** What comes then: -1, or a frame where there is no memory. */
  instead = -1;

  constructor(pool: FramePool) {
    this.pool = pool;
  }

  allocateFrame(): number {
    return this.left-- > 0 ? this.pool.allocateFrame() : this.instead;
  }

  releaseFrame(pfn: number): void {
    if (pfn !== this.instead) this.pool.releaseFrame(pfn);
  }

  allocateBlock(order: number): number {
    return this.left-- > 0 ? this.pool.allocateBlock(order) : this.instead;
  }

  releaseBlock(pfn: number, order: number): void {
    if (pfn !== this.instead) this.pool.releaseBlock(pfn, order);
  }
}

const ALL = Prot.Read | Prot.Write | Prot.Execute | Prot.User;

/** A page table whose source can run dry, and everything that must not change then. */
class Rig {
  readonly kind: ModelFormat;
  readonly frames: LimitedFrames;
  readonly memory: PhysicalMemory;
  readonly owed: Invalidations;
  readonly table: PageTable;
  /** Owners of shared tables. */
  readonly others: PageTable[] = [];
  readonly copies: PageTable[] = [];
  readonly events: VmEvent[] = [];
  /** The first page of the space, and its end. */
  readonly first: number;
  readonly end: number;

  constructor(kind: ModelFormat, watched: boolean) {
    const pool = poolFor(kind, 'low');
    this.kind = kind;
    this.frames = new LimitedFrames(pool);
    this.memory = memoryFor(kind, pool, 'flat');
    this.owed = new Invalidations({ frames: this.frames });
    this.table = this.makeTable(watched);
    const { spans } = modelOptions(kind);
    this.first = spans[0]!.first;
    this.end = spans.at(-1)!.end;
  }

  makeTable(watched = false): PageTable {
    const { frames, kind, memory } = this;
    const observer = watched ? (event: VmEvent) => void this.events.push(event) : null;
    return new PageTable({ format: kind.format, memory, frames, observer, ...kind.machine });
  }

  /** Sizes of single entries that pages have, largest last. */
  get sizes(): readonly number[] {
    return pageSizes(this.kind.format).flatMap(({ entries, pages }) =>
      entries === 1 ? [pages] : [],
    );
  }

  get largest(): number {
    return this.sizes.at(-1)!;
  }

  get flags(): ReturnType<PageTable['flags']> {
    return this.table.flags({ prot: ALL });
  }

  map(vpn: number, pages: number): number {
    return this.table.map(vpn, 0, this.flags, this.owed, pages);
  }

  /** Maps the largest pages twice, from the second such page of the space on; returns the first page. */
  mapLargest(): number {
    const vpn = this.first + this.largest;
    this.map(vpn, this.largest);
    this.map(vpn + this.largest, this.largest);
    return vpn;
  }

  /** Every byte of memory: frames that were not handed out yet are zeros. */
  bytes(): Buffer {
    const [region] = this.memory.regions();
    const { base, bytes } = region!;
    const copy = Buffer.alloc(bytes);
    this.memory.readBytes(Number(base / 4096n), Number(base % 4096n), copy);
    return copy;
  }

  /** Everything else that a failure leaves as it was. */
  state(): unknown {
    const { events, frames, others, owed, table } = this;
    const tables = [table, ...others];
    const steps = owed.steps();
    return {
      pool: frames.pool.snapshot(),
      ...{ steps, released: owed.released(), count: owed.count, events: events.length },
      statistics: tables.map((each) => each.statistics()),
      // A page table with entries that wait for their invalidation has no snapshot.
      saved: tables.map((each) => (steps.length > owed.count ? null : each.snapshot())),
    };
  }

  /** Takes everything down, copies and borrowers first. */
  finish(): void {
    this.frames.left = Number.POSITIVE_INFINITY;
    for (const table of [...this.copies, this.table, ...this.others]) table.destroy(this.owed);
    this.owed.complete();
    expect(this.frames.pool.free).toBe(this.frames.pool.frames);
  }
}

/** An operation that takes tables. */
interface Scenario {
  readonly name: string;
  /** Whether a format has what it takes. @defaultValue all do */
  readonly applies?: (rig: Rig) => boolean;
  readonly prepare?: (rig: Rig) => void;
  /** What it returns: `null` and `OUT_OF_FRAMES` are failures. */
  readonly run: (rig: Rig) => number | null;
  /** The tables that it needs, worked out by hand. */
  readonly needs: (rig: Rig) => number;
}

const top = ({ kind }: Rig): number => kind.format.levels - 1;
const levelOf = ({ kind }: Rig, pages: number): number => kind.format.levelPages.indexOf(pages);

/** Whether the largest pages can be cut down to base pages: there are leaves at every level below theirs. */
function canCut(rig: Rig): boolean {
  const level = levelOf(rig, rig.largest);
  const below = 2 ** level - 1;
  return level > 0 && (rig.kind.format.leafLevels & below) === below;
}

/** Begins within a page of the largest size and ends within it: both edges share the table right below it. */
const within = (rig: Rig, vpn: number) => ({ vpn: vpn + 1, pages: rig.largest - 2 });
/** Begins with the last base page of one and ends with the first of the next: no table is shared. */
const across = (rig: Rig, vpn: number) => ({ vpn: vpn + rig.largest - 1, pages: 2 });
const place = (rig: Rig): number => rig.first + rig.largest;

const cutting = (
  name: string,
  stretch: typeof within,
  needs: (level: number) => number,
): readonly Scenario[] => {
  const shared = {
    applies: canCut,
    prepare: (rig: Rig) => void rig.mapLargest(),
    needs: (rig: Rig) => needs(levelOf(rig, rig.largest)),
  };
  return [
    {
      ...shared,
      name: `unmapRange ${name}`,
      run: (rig) => rig.table.unmapRange(stretch(rig, place(rig)), rig.owed),
    },
    {
      ...shared,
      name: `protectRange ${name}`,
      run: (rig) => {
        const range = { ...stretch(rig, place(rig)), prot: Prot.Read };
        return rig.table.protectRange(range, rig.owed);
      },
    },
  ];
};

const SCENARIOS: readonly Scenario[] = [
  ...[0, 1, 2, 3].map(
    (level): Scenario => ({
      name: `map of a page of level ${level}`,
      applies: ({ sizes, kind }) => sizes.includes(kind.format.levelPages[level]!),
      prepare: (rig) => void rig.map(rig.first, 1),
      run: (rig) => {
        const pages = rig.kind.format.levelPages[level]!;
        return rig.map(rig.end - pages, pages);
      },
      needs: (rig) => top(rig) - level,
    }),
  ),
  {
    name: 'map beside a page that has some of the tables',
    prepare: (rig) => void rig.map(rig.first, 1),
    run: (rig) => rig.map(rig.first + rig.kind.format.levelPages[1]!, 1),
    needs: () => 1,
  },
  {
    name: 'mapRange over the boundary of two entries of the root',
    run: (rig) => {
      const vpn = rig.first + rig.kind.format.levelPages[top(rig)]! - 2;
      return rig.table.mapRange({ vpn, pfn: 1, pages: 4, flags: rig.flags }, rig.owed);
    },
    needs: (rig) => 2 * top(rig),
  },
  {
    name: 'split of the largest page',
    applies: canCut,
    prepare: (rig) => void rig.mapLargest(),
    run: (rig) => rig.table.split(place(rig), rig.owed),
    needs: () => 1,
  },
  ...cutting('within a page of the largest size', within, (level) => 2 * level - 1),
  ...cutting('from one page of the largest size to the next', across, (level) => 2 * level),
  {
    name: 'setSwap where nothing is',
    applies: ({ kind }) => kind.format.swap !== null,
    prepare: (rig) => void rig.map(rig.first, 1),
    run: (rig) => {
      const outcome = rig.table.setSwap(rig.end - 1, { type: 1, offset: 1 }, rig.owed);
      return outcome === OUT_OF_FRAMES ? outcome : 0;
    },
    needs: top,
  },
  {
    name: 'clone',
    prepare: (rig) => {
      rig.mapLargest();
      rig.map(rig.first, 1);
      rig.map(rig.end - 1, 1);
    },
    run: (rig) => {
      const copyOnWrite = (rig.kind.granted(0) & Prot.Write) === 0;
      const copy = rig.table.clone({ copyOnWrite }, rig.owed);
      if (copy !== null) rig.copies.push(copy);
      return copy === null ? null : 0;
    },
    needs: (rig) => rig.table.statistics().tables.reduce((sum, count) => sum + count),
  },
  {
    name: 'share of what the owner has no tables for',
    prepare: (rig) => void rig.others.push(rig.makeTable()),
    run: (rig) => {
      const pages = rig.kind.format.levelPages[top(rig)]!;
      return rig.table.share(rig.others[0]!, { vpn: rig.first, pages: 2 * pages }, rig.owed);
    },
    needs: () => 2,
  },
  {
    name: 'map while entries wait for their invalidation',
    applies: ({ kind }) => kind.format.architecture === 'aarch64',
    prepare: (rig) => {
      const vpn = rig.mapLargest();
      rig.table.remap(vpn, rig.largest, rig.owed);
    },
    run: (rig) => rig.map(rig.first, 1),
    needs: (rig) => levelOf(rig, rig.largest),
  },
];

/** Roots and tables of one page and of several, blocks, groups, break-before-make, entries of every width. */
const NAMES = [
  ...['x86Legacy', 'x86Pae', 'x86Long4', 'ept5', 'sv39', 'sv48x4', 'toy, 2-byte entries'],
  ...['six levels, 8-byte entries', 'wide tables, 8-byte entries'],
  ...['aarch64 4K 48-bit, low, 4 levels, BBM 0', 'aarch64 4K 39-bit, high, 3 levels, BBM 2'],
  ...['aarch64 stage 2 4K 40-bit, low, 3 levels, BBM 0'],
];
const kinds = MODEL_FORMATS.filter(({ name }) => NAMES.includes(name));

describe.each(kinds)('when the source runs dry, $name', (kind) => {
  const sample = new Rig(kind, false);
  const scenarios = SCENARIOS.filter(({ applies }) => applies?.(sample) ?? true);

  test.each(scenarios)('$name changes nothing', (scenario) => {
    for (const watched of [false, true]) {
      const rig = new Rig(kind, watched);
      scenario.prepare?.(rig);
      const bytes = rig.bytes();
      const state = rig.state();
      const needs = scenario.needs(rig);
      for (let frames = 0; frames < needs; frames++) {
        rig.frames.left = frames;
        const outcome = scenario.run(rig);
        expect([frames, outcome ?? OUT_OF_FRAMES]).toEqual([frames, OUT_OF_FRAMES]);
        expect(rig.bytes().equals(bytes)).toBe(true);
        expect(rig.state()).toEqual(state);
      }
      rig.frames.left = needs;
      expect(scenario.run(rig)).toBeGreaterThanOrEqual(0);
      for (const table of [rig.table, ...rig.others, ...rig.copies]) table.checkInvariants();
      rig.finish();
    }
  });

  test.each(scenarios)('or has no memory there, $name changes nothing', (scenario) => {
    const rig = new Rig(kind, false);
    scenario.prepare?.(rig);
    const bytes = rig.bytes();
    const state = rig.state();
    rig.frames.instead = rig.frames.pool.first + rig.frames.pool.frames;
    for (let frames = 0; frames < scenario.needs(rig); frames++) {
      rig.frames.left = frames;
      expect(() => scenario.run(rig)).toThrow(expect.objectContaining({ code: 'out-of-range' }));
      expect(rig.bytes().equals(bytes)).toBe(true);
      expect(rig.state()).toEqual(state);
    }
    rig.frames.instead = -1;
    rig.finish();
  });

  test('a new page table changes nothing', () => {
    const rig = new Rig(kind, false);
    rig.frames.left = 0;
    const bytes = rig.bytes();
    const state = rig.state();
    expect(() => rig.makeTable()).toThrow(VmError);
    expect(rig.bytes().equals(bytes)).toBe(true);
    expect(rig.state()).toEqual(state);
    rig.finish();
  });
});
