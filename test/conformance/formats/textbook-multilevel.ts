import { Access, splitAddress } from 'pagewright/core';
import { PhysicalMemory } from 'pagewright/memory';
import { definePteFormat, type PteFormat } from 'pagewright/pte';
import { tableCost } from 'pagewright/textbook';
import { FormatWalker } from 'pagewright/walk';
import { type Fields, Malformed } from '../fields.js';
import { frameTable, integers } from './textbook-input.js';

/** Where the directory is put; the problems do not say. */
const ROOT = 1;

/** OSTEP, chapter "Paging: Smaller Tables": a directory and its tables. */
export function multilevel(input: Fields): unknown {
  const format = formatOf(input);
  const directory = frameTable(input.value('pageDirectory'));
  const tables = tablesOf(input.object('pageTables'), directory);
  const walker = new FormatWalker({
    memory: memoryOf(format, directory, tables),
    format,
    root: ROOT,
  });
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
  return definePteFormat({
    name: 'a textbook two-level table',
    pageBytes: input.integer('pageSize', 16, 4096),
    entryBytes,
    levels: levels.map((bits) => ({ bits })),
    bits: { valid: 8 * entryBytes - 1, frame: [8 * entryBytes - 7, 0] },
    virtualBits: input.integer('vaBits', 1, 64),
  });
}

/** The tables by frame: those that the directory names, and no other. */
function tablesOf(given: Fields, directory: FrameTable): ReadonlyMap<number, FrameTable> {
  const frames = [...new Set(directory.values())];
  given.only(frames.map(String));
  return new Map(frames.map((frame) => [frame, frameTable(given.value(String(frame)))]));
}

function memoryOf(
  format: PteFormat,
  directory: FrameTable,
  tables: ReadonlyMap<number, FrameTable>,
): PhysicalMemory {
  const memory = PhysicalMemory.allocate(2 ** 16, { base: 0 });
  const { entryBytes, pageShift } = format;
  const width = entryBytes === 1 || entryBytes === 2 || entryBytes === 4 ? entryBytes : 8;
  const put = (table: number, entries: FrameTable, level: number): void => {
    const kind = level === 0 ? 'leaf' : 'pointer';
    for (const [index, pfn] of entries) {
      if (index >= 2 ** format.indexBits[level]!) throw new Malformed(`no entry ${index}`);
      const address = table * 2 ** pageShift + index * entryBytes;
      memory.write(address, width, format.build({ kind, level, pfn }));
    }
  };
  put(ROOT, directory, 1);
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
  const ranges = [...directory]
    .flatMap(([index, frame]) =>
      [...tables.get(frame)!.keys()].map((page) => index * 2 ** format.indexBits[0]! + page),
    )
    .sort((a, b) => a - b)
    .map((page) => ({ page, pages: 1 }));
  const layout = { virtualBits, pageBytes: 2 ** pageShift, ranges };
  return {
    linearTableBytes: tableCost(layout, { kind: 'linear', entryBytes }).bytes,
    multiLevelBytes: tableCost(layout, { kind: 'radix', entryBytes, indexBits }).bytes,
  };
}
