// Page tables, edited: pages one by one, stretches, copies.
import { bigintFromWords } from 'pagewright/core';
import type { PageTable } from 'pagewright/page-table';
import { aarch64, mappingOf, type PteFormat, sv39, x86Long4 } from 'pagewright/pte';
import type { Case, Component, CWork, Work } from '../component.js';
import { NaivePageTable } from '../naive-page-table.js';
import {
  agePages,
  FRAMES,
  firstPage,
  type Job,
  lookUpPages,
  mapPages,
  orderOf,
  PFN,
  protectPages,
  READ_ONLY,
  SAMPLES,
  Space,
  sumEntries,
  unmapPages,
  WRITABLE,
} from '../page-space.js';
import { FIRST_PFN, type Order } from '../page-tables.js';

const MILLION = 2 ** 20;
const ENTRIES = 100_000;
/** Page tables that loops get theirs from, chosen when the program runs: an operating system's is no constant either. */
const spaces: Space[] = [];

function enter(job: Job): number {
  const space = new Space(job);
  space.mapAll();
  return spaces.push(space) - 1;
}

/** Pages one by one, in an order. All of them are mapped at first. */
function pageWork(
  job: Job,
  loop: (space: Space, start: number, end: number) => number,
  rewind?: (space: Space) => void,
): Work {
  const which = enter(job);
  return {
    units: job.pages,
    run: (start, end) => loop(spaces[which]!, start, end),
    ...(rewind && { rewind: () => rewind(spaces[which]!) }),
  };
}

/** The same for all pages at once, `units` times. */
function rangeWork(
  job: Job,
  units: number,
  act: (space: Space, unit: number) => number,
  rewind?: (space: Space) => void,
): Work {
  const which = enter(job);
  return {
    units,
    opsPerUnit: job.pages,
    run: (start, end) => {
      let sum = 0;
      for (let unit = start; unit < end; unit++) sum += act(spaces[which]!, unit);
      return sum;
    },
    ...(rewind && { rewind: () => rewind(spaces[which]!) }),
  };
}

/** What C is told beside its work. */
interface COptions {
  /** Bits to clear, as a 64-bit number. */
  readonly clear?: bigint;
  /** Bits to set. */
  readonly set?: bigint;
  /** Whether it remembers tables. */
  readonly remembers?: boolean;
}

function cWork(
  what: string,
  job: Job,
  size: Pick<CWork, 'units' | 'opsPerUnit'>,
  options: COptions = {},
): CWork {
  const { books, format } = job;
  const { clear = 0n, remembers = false, set = 0n } = options;
  const { flags } = new Space({ ...job, pages: SAMPLES });
  const place = [FIRST_PFN, FRAMES, firstPage(format), PFN, `${word(flags.low, flags.high)}`];
  const change = [`${clear}`, `${set}`, Number(books), Number(remembers)];
  return {
    source: 'page-table.c',
    args: [what, format.name, ...place, ...change],
    inputs: [orderOf(job)],
    ...size,
  };
}

function word(low: number, high: number): bigint {
  return BigInt.asUintN(64, bigintFromWords(low, high));
}

/** What write protection does to a leaf's rights, all of them written anew. */
function readOnly(format: PteFormat): COptions {
  const { protHigh, protLow, rightsHigh, rightsLow } = mappingOf(format);
  return {
    clear: word(rightsLow, rightsHigh),
    set: word(protLow[READ_ONLY]!, protHigh[READ_ONLY]!),
  };
}

function naiveWork(job: Job, kind: 'map' | 'unmap'): Work {
  const first = firstPage(job.format);
  const order = orderOf(job);
  const vpns = Array.from(order, (page) => BigInt(first + page));
  const pfns = Array.from(order, (page) => BigInt(PFN + page));
  const table = new NaivePageTable();
  const mapPart = (start: number, end: number): void => {
    for (let i = start; i < end; i++) table.map(vpns[i]!, pfns[i]!);
  };
  const sample = (): number => {
    let sum = 0n;
    for (let page = 0; page < job.pages; page += job.pages / SAMPLES)
      sum += table.lookup(BigInt(first + page));
    return Number(sum);
  };
  if (kind === 'map') {
    const run = (start: number, end: number): number => {
      mapPart(start, end);
      return end === job.pages ? sample() : 0;
    };
    return { units: job.pages, run, rewind: () => table.clear() };
  }
  const run = (start: number, end: number): number => {
    let sum = 0n;
    for (let i = start; i < end; i++) sum += table.unmap(vpns[i]!);
    return Number(sum);
  };
  const rewind = (): void => {
    table.clear();
    mapPart(0, job.pages);
  };
  return { units: job.pages, run, rewind };
}

/** Who does the same: C that walks to each page from the root, C that remembers tables as PageTable does, or a `Map`. */
type Rival = 'C' | 'C that remembers' | 'Map';

/** Mapping a million pages, and unmapping them. */
function millionCases(format: PteFormat, order: Order, rival: Rival = 'C'): readonly Case[] {
  // Beside a heap as the `Map` has it nothing else is measured: collecting it goes on behind the slices of others.
  const job: Job = { format, order, pages: MILLION, books: rival !== 'Map' };
  const size = { units: job.pages };
  const suffix = rival === 'C' ? '' : `, against ${rival === 'Map' ? 'a Map' : rival}`;
  const paid = `what is owed is recorded, and completed after every 512 pages${suffix}`;
  const others = (kind: 'map' | 'unmap'): Pick<Case, 'c' | 'naive'> =>
    rival === 'Map'
      ? { naive: () => naiveWork(job, kind) }
      : { c: () => cWork(kind, job, size, { remembers: rival === 'C that remembers' }) };
  const map: Case = {
    name: `${format.name} map, ${order}${suffix}`,
    what: `mapping 1,048,576 base pages one by one into an empty page table, ${order}; ${paid}`,
    ours: () =>
      pageWork(
        job,
        (space, start, end) => {
          const sum = mapPages(space, start, end);
          return end === job.pages ? sum + space.sample() + space.finish() : sum;
        },
        (space) => space.renew(),
      ),
    ...others('map'),
    lockstep: true,
  };
  const unmap: Case = {
    name: `${format.name} unmap, ${order}${suffix}`,
    what: `unmapping them one by one in the same order until no table is left but the root; ${paid}`,
    ours: () =>
      pageWork(
        job,
        (space, start, end) => {
          const sum = unmapPages(space, start, end);
          return end === job.pages ? sum + space.finish() : sum;
        },
        (space) => space.mapAll(),
      ),
    ...others('unmap'),
    lockstep: true,
  };
  return [map, unmap];
}

const ARM48 = aarch64();

const pageByPage: readonly Case[] = [
  ...millionCases(x86Long4, 'sequential'),
  ...millionCases(x86Long4, 'random'),
  ...millionCases(sv39, 'sequential'),
  ...millionCases(sv39, 'random'),
  ...millionCases(ARM48, 'sequential'),
];

const remembering: readonly Case[] = [
  ...millionCases(x86Long4, 'sequential', 'C that remembers'),
  ...millionCases(x86Long4, 'random', 'C that remembers'),
];

const sequentialMap: readonly Case[] = millionCases(x86Long4, 'sequential', 'Map');
const randomMap: readonly Case[] = millionCases(x86Long4, 'random', 'Map');

const WHOLE: Job = { format: x86Long4, order: 'sequential', pages: MILLION, books: true };

const ranges: readonly Case[] = [
  {
    name: 'mapRange',
    what: 'mapping 1,048,576 base pages of x86Long4 at once, for each page; C maps them one by one',
    ours: () =>
      rangeWork(
        WHOLE,
        1,
        (space) => space.mapRange() + space.sample() + space.frames.free,
        (space) => space.renew(),
      ),
    c: () => cWork('map-range', WHOLE, { units: 1, opsPerUnit: MILLION }),
  },
  {
    name: 'unmapRange',
    what: 'unmapping them at once, what is owed completed; C unmaps them one by one',
    ours: () =>
      rangeWork(
        WHOLE,
        1,
        ({ frames, owed, table, vpn }) => {
          const unmapped = table.unmapRange({ vpn, pages: MILLION }, owed);
          owed.complete();
          return unmapped + frames.free;
        },
        (space) => space.mapAll(),
      ),
    c: () => cWork('unmap-range', WHOLE, { units: 1, opsPerUnit: MILLION }),
  },
];

const PART: Job = { format: x86Long4, order: 'sequential', pages: ENTRIES, books: true };

/** Page tables of copies, by the space of the original. */
const copies: Map<Space, PageTable> = new Map();

function copy(space: Space): number {
  const child = space.table.clone({}, space.owed);
  if (child === null) throw new Error('no frames for a copy');
  copies.set(space, child);
  return space.finishProtect(child) + space.frames.free;
}

/** Takes the copy down, if there is one, and gives the right to write back. */
function restore(space: Space): void {
  copies.get(space)?.destroy(space.owed);
  copies.delete(space);
  space.protect(WRITABLE);
  space.owed.complete();
}

const bulk: readonly Case[] = [
  {
    name: 'protectRange',
    what: 'taking the right to write from 100,000 pages of x86Long4 at once, and giving it back, for each page',
    ours: () => {
      const act = (space: Space, unit: number): number => {
        space.protect(unit % 2 === 0 ? READ_ONLY : WRITABLE);
        return space.finishProtect(space.table);
      };
      return rangeWork(PART, 2, act, restore);
    },
    c: () => cWork('protect-range', PART, { units: 2, opsPerUnit: ENTRIES }, readOnly(PART.format)),
  },
  {
    name: 'clone',
    what: 'copying a page table of 100,000 writable pages of x86Long4 with copy-on-write, for each page',
    ours: () => rangeWork(PART, 1, copy, restore),
    c: () => {
      const { writeClearHigh, writeClearLow } = mappingOf(PART.format);
      const bits = { clear: word(writeClearLow, writeClearHigh), set: 0n };
      return cWork('clone', PART, { units: 1, opsPerUnit: ENTRIES }, bits);
    },
  },
];

const SCATTERED: Job = { ...WHOLE, order: 'random' };
const FEW: Job = { ...SCATTERED, pages: 2 ** 16 };

const figures: readonly Case[] = [
  {
    name: 'lookup',
    what: 'looking 1,048,576 pages of x86Long4 up in random order',
    ours: () => pageWork(SCATTERED, lookUpPages),
    c: () => cWork('lookup', SCATTERED, { units: MILLION }),
  },
  {
    name: 'protect',
    what: 'taking the right to write from 65,536 pages of x86Long4 one by one, in random order, and giving it back',
    ours: () => {
      const { pages } = FEW;
      const half = (space: Space, prot: number, start: number, end: number): number =>
        start < end ? protectPages(space, prot, start, end) : 0;
      const loop = (space: Space, start: number, end: number): number =>
        half(space, READ_ONLY, start, Math.min(end, pages)) +
        half(space, WRITABLE, Math.max(start, pages) - pages, end - pages);
      return { ...pageWork(FEW, loop, restore), units: 2 * pages };
    },
    c: () => cWork('protect', FEW, { units: 2 * FEW.pages }, readOnly(FEW.format)),
  },
  {
    name: 'testAndClearAccessed',
    what: 'clearing the accessed bit of 65,536 pages of x86Long4 one by one, in random order',
    ours: () => pageWork(FEW, agePages, (space) => space.mapAll()),
    c: () => {
      const bits = { clear: BigInt(mappingOf(FEW.format).accessed), set: 0n };
      return cWork('accessed', FEW, { units: FEW.pages }, bits);
    },
  },
  {
    name: 'entries',
    what: 'going through 1,048,576 leaves of x86Long4 with a cursor, for each leaf',
    ours: () => rangeWork(WHOLE, 1, sumEntries),
  },
];

export const pageTable: Component = {
  name: 'page-table',
  cases: [
    ...pageByPage,
    ...sequentialMap,
    ...randomMap,
    ...ranges,
    ...bulk,
    ...remembering,
    ...figures,
  ],
  targets: [
    {
      text: 'mapping and unmapping a million pages one by one against C, which walks to each',
      cases: pageByPage.map(({ name }) => name),
      against: 'c',
      atMost: 2.9,
    },
    {
      text: 'the same against C that remembers tables as well',
      cases: remembering.map(({ name }) => name),
      against: 'c',
    },
    {
      text: 'the same in sequence against Map<bigint, object>',
      cases: sequentialMap.map(({ name }) => name),
      against: 'naive',
      atLeast: 35,
    },
    {
      text: 'the same at random against Map<bigint, object>',
      cases: randomMap.map(({ name }) => name),
      against: 'naive',
      atLeast: 8,
    },
    {
      text: "mapRange and unmapRange against C's loop over pages",
      cases: ranges.map(({ name }) => name),
      against: 'c',
      atMost: 1,
    },
    {
      text: 'protectRange and clone of 100,000 entries against C',
      cases: bulk.map(({ name }) => name),
      against: 'c',
      atMost: 1.5,
    },
  ],
};
