import { Access, splitAddress } from 'pagewright/core';
import { PhysicalMemory } from 'pagewright/memory';
import { definePteFormat, type PteFormat } from 'pagewright/pte';
import { tableCost } from 'pagewright/textbook';
import { FormatWalker } from 'pagewright/walk';
import { type Fields, Malformed } from '../fields.js';
import { frameTable, integers, putEntry } from './textbook-input.js';

/** OSTEP, chapter "Paging: Smaller Tables": a directory and its tables. */
export function multilevel(input: Fields): unknown {
  const format = formatOf(input);
  const directory = frameTable(input.value('pageDirectory'));
  const tables = tablesOf(input.object('pageTables'), directory);
  // The problems do not say where the directory is: above all that they name.
  const root = rootAbove(directory, tables, format);
  const memory = memoryOf(format, root, directory, tables);
  const walker = new FormatWalker({ memory, format, root });
  const results = integers(input.value('addresses'), 'addresses').map((va) => {
    const { outcome, steps } = walker.explain(va, Access.Read);
    const [pde, pte] = steps;
    if (outcome.kind === 'fault' || pde === undefined || pte === undefined) return { fault: true };
    const { offset } = splitAddress(format, va);
    const indexes = { pdeIndex: pde.index.index, pteIndex: pte.index.index };
    return { ...indexes, offset, pfn: outcome.pfn, pa: Number(outcome.pa) };
  });
  return { results, ...costs(format, directory, tables) };
}

type FrameTable = ReadonlyMap<number, number>;

/** The books give no bits: valid on top, the frame at the bottom. */
function formatOf(input: Fields): PteFormat {
  const shape = ['vaBits', 'pageSize', 'pteBytes', 'levels'];
  input.only([...shape, 'pageDirectory', 'pageTables', 'addresses']);
  const entryBytes = input.oneOf('pteBytes', [1, 2, 4, 8]);
  const levels = integers(input.value('levels'), 'levels');
  if (levels.length !== 2) throw new Malformed('there should be two levels');
  const pageBytes = input.integer('pageSize', 16, 2 ** 20);
  const frameBits = Math.min(8 * entryBytes - 1, 52, 64 - Math.ceil(Math.log2(pageBytes)));
  return definePteFormat({
    name: 'a textbook two-level table',
    pageBytes,
    entryBytes,
    levels: levels.map((bits) => ({ bits })),
    bits: { valid: 8 * entryBytes - 1, frame: [frameBits - 1, 0] },
    virtualBits: input.integer('vaBits', 1, 64),
  });
}

/** The tables by frame: those that the directory names, and no other. */
function tablesOf(given: Fields, directory: FrameTable): ReadonlyMap<number, FrameTable> {
  const frames = [...new Set(directory.values())];
  given.only(frames.map(String));
  return new Map(frames.map((frame) => [frame, frameTable(given.value(String(frame)))]));
}

/** The first frame above all that a problem names. */
function rootAbove(
  directory: FrameTable,
  tables: ReadonlyMap<number, FrameTable>,
  { frameBits }: PteFormat,
): number {
  const named = [directory, ...tables.values()].flatMap((entries) => [...entries.values()]);
  const highest = Math.max(0, ...named);
  if (highest >= 2 ** frameBits) throw new Malformed(`no entry has room for frame ${highest}`);
  return highest + 1;
}

function memoryOf(
  format: PteFormat,
  root: number,
  directory: FrameTable,
  tables: ReadonlyMap<number, FrameTable>,
): PhysicalMemory {
  const pageBytes = 2n ** BigInt(format.pageShift);
  const memory = new PhysicalMemory();
  const put = (table: number, entries: FrameTable, level: number): void => {
    const base = BigInt(table) * pageBytes;
    memory.addSparse({ base, bytes: Number(pageBytes) });
    const kind = level === 0 ? 'leaf' : 'pointer';
    for (const [index, pfn] of entries) {
      if (index >= 2 ** format.indexBits[level]!) throw new Malformed(`no entry ${index}`);
      const address = base + BigInt(index * format.entryBytes);
      putEntry(memory, format, address, format.build({ kind, level, pfn }));
    }
  };
  put(root, directory, 1);
  for (const [frame, entries] of tables) put(frame, entries, 0);
  return memory;
}

/** What a linear table and this one need for the same pages. */
function costs(
  format: PteFormat,
  directory: FrameTable,
  tables: ReadonlyMap<number, FrameTable>,
): Record<string, number> {
  const { entryBytes, pageShift, virtualBits } = format;
  const indexBits = [...format.indexBits].reverse();
  // A page below every table: two directory entries may share one, and one may be empty.
  const ranges = [...tables.keys()]
    .map((frame) => [...directory].find(([, named]) => named === frame)![0])
    .sort((a, b) => a - b)
    .map((index) => ({ page: index * 2 ** format.indexBits[0]!, pages: 1 }));
  const layout = { virtualBits, pageBytes: 2 ** pageShift, ranges };
  return {
    linearTableBytes: tableCost(layout, { kind: 'linear', entryBytes }).bytes,
    multiLevelBytes: tableCost(layout, { kind: 'radix', entryBytes, indexBits }).bytes,
  };
}
