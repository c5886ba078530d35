import { splitAddress } from 'pagewright/core';
import { PhysicalMemory } from 'pagewright/memory';
import {
  linearFormat,
  ostep6,
  type PteFormat,
  sv32,
  sv39,
  sv48,
  sv57,
  textbook32,
  x86Long4,
  x86Long5,
  x86Pae,
} from 'pagewright/pte';
import {
  type AddressLookup,
  LinearTable,
  type Lookup,
  nestedReferences,
  type Segment,
  SegmentTable,
  splitPage,
  tableCost,
  walkerLookup,
} from 'pagewright/textbook';
import { FormatWalker } from 'pagewright/walk';
import { Fields, Malformed } from '../fields.js';
import { frameTable, integers, putEntry } from './textbook-input.js';
import { nestedWalkReferences } from './textbook-nested.js';

// What the text, the figures and the exercises of books ask.

/** Silberschatz, Tanenbaum, OSTEP: a table of frames. */
export function translation(input: Fields, expected: unknown): unknown {
  input.only(['pageSize', 'pageTable', 'addresses'], ['vaBits', 'physicalBytes']);
  const pageBytes = input.integer('pageSize', 1, 2 ** 20);
  const table = frameTable(input.value('pageTable'));
  const lookup = tableLookup(input, pageBytes, table);
  const answers = integers(input.value('addresses'), 'addresses').map((va) => {
    const found = lookup.lookup(va);
    if (found.kind === 'fault') return { fault: found.reason, page: splitPage(va, pageBytes).page };
    return { pa: checkedAddress(input, found) };
  });
  if (new Fields(expected, 'expected').has('results')) return { results: answers };
  return { pa: answers.map((answer) => answer.pa ?? null) };
}

function checkedAddress(input: Fields, found: Extract<Lookup, { kind: 'found' }>): number {
  const pa = Number(found.pa);
  if (input.has('physicalBytes') && pa >= input.integer('physicalBytes', 1, 2 ** 40)) {
    throw new Malformed('a frame lies beyond physicalBytes');
  }
  return pa;
}

/** A page table in memory where a format can say it; books also have pages that no format has. */
function tableLookup(
  input: Fields,
  pageBytes: number,
  frames: ReadonlyMap<number, number>,
): AddressLookup {
  const format = formatOf(input, pageBytes, frames);
  if (format === null) {
    const table = new LinearTable({ pageBytes, pages: pagesOf(input, pageBytes, frames) });
    for (const [page, frame] of frames) table.map(page, frame);
    return table;
  }
  const pages = 2 ** format.indexBits[0]!;
  const memory = new PhysicalMemory();
  memory.addSparse({ base: 0, bytes: pages * format.entryBytes });
  for (const [page, pfn] of frames) {
    if (page >= pages) throw new Malformed(`there is no page ${page}`);
    const entry = format.build({ kind: 'leaf', level: 0, pfn });
    putEntry(memory, format, page * format.entryBytes, entry);
  }
  return walkerLookup(new FormatWalker({ memory, format, root: 0 }));
}

/** Pages of the address space; a list of frames has them all, and of pages by number nobody says where they end. */
function pagesOf(input: Fields, pageBytes: number, frames: ReadonlyMap<number, number>): number {
  if (input.has('vaBits')) return Math.ceil(2 ** input.integer('vaBits', 1, 52) / pageBytes);
  return Array.isArray(input.value('pageTable')) ? Math.max(1, frames.size) : 2 ** 52;
}

function formatOf(
  input: Fields,
  pageBytes: number,
  frames: ReadonlyMap<number, number>,
): PteFormat | null {
  if (!input.has('vaBits')) return null;
  const virtualBits = input.integer('vaBits', 1, 52);
  const highest = Math.max(0, ...frames.values());
  const ostep = virtualBits === ostep6.virtualBits && pageBytes === 2 ** ostep6.pageShift;
  if (ostep && highest < 2 ** ostep6.frameBits) return ostep6;
  const pageBits = virtualBits - Math.log2(pageBytes);
  if (pageBytes < 16 || pageBits % 1 !== 0 || pageBits < 1 || pageBits > 26) return null;
  const top = Math.min(51, 63 - Math.log2(pageBytes));
  return linearFormat({ virtualBits, pageBytes, entryBytes: 8, valid: 63, frame: [top, 0] });
}

/** Silberschatz: references of a segment and an offset. */
export function segmentation(input: Fields): unknown {
  input.only(['segments', 'refs']);
  const segments = input.list('segments').map((value): Segment => {
    const segment = new Fields(value, 'a segment').only(['base', 'limit']);
    const limit = segment.integer('limit', 0, 2 ** 40);
    return { base: segment.integer('base', 0, 2 ** 40), limit };
  });
  const table = new SegmentTable({ segments });
  const results = input.list('refs').map((value) => {
    const [segment, offset, ...rest] = integers(value, 'a reference');
    if (segment === undefined || offset === undefined || rest.length > 0) {
      throw new Malformed('a reference should be a segment and an offset');
    }
    const found = table.lookupIn(segment, offset);
    return found.kind === 'found' ? { pa: Number(found.pa) } : { fault: found.reason };
  });
  return { results };
}

export function pageOffset(input: Fields): unknown {
  input.only(['pageSize', 'addresses']);
  const pageBytes = input.integer('pageSize', 1, 2 ** 30);
  const pairs = integers(input.value('addresses'), 'addresses').map((va) => {
    const { offset, page } = splitPage(va, pageBytes);
    return [page, offset];
  });
  return { pageOffset: pairs };
}

const DECOMPOSED: ReadonlyMap<string, PteFormat> = new Map([
  ['x86-64-4level', x86Long4],
  ['x86-64-5level', x86Long5],
  ['sv32', sv32],
  ['sv39', sv39],
  ['sv48', sv48],
  ['sv57', sv57],
  ['x86-32', textbook32],
  ['x86-pae', x86Pae],
]);

export function decomposition(input: Fields): unknown {
  input.only(['mode', 'levels', 'bitsPerLevel', 'addresses']);
  const format = DECOMPOSED.get(input.text('mode'));
  if (format === undefined) throw new Malformed(`no format ${input.text('mode')}`);
  // One width for all levels, or a list from the root down: PAE's levels differ.
  const told = input.value('bitsPerLevel');
  const widths = Array.isArray(told)
    ? integers(told, 'bitsPerLevel')
    : Array(format.levels).fill(told);
  const own = [...format.indexBits].reverse();
  if (format.levels !== input.value('levels') || own.join() !== widths.join()) {
    throw new Malformed('the levels are not those of the format');
  }
  const indicesThenOffset = input.list('addresses').map((value) => {
    if (typeof value !== 'string' || !/^0x[0-9a-f]{1,16}$/.test(value)) {
      throw new Malformed('an address should be hexadecimal');
    }
    const { indexes, offset } = splitAddress(format, BigInt(value));
    return [...indexes.map(({ index }) => index), offset];
  });
  return { indicesThenOffset };
}

export function pageTableSize(input: Fields): unknown {
  if (input.has('vaBits')) {
    input.only(['vaBits', 'pageSize', 'pteBytes']);
    const entryBytes = input.integer('pteBytes', 1, 64);
    const pageBytes = input.integer('pageSize', 1, 2 ** 30);
    const layout = { virtualBits: input.integer('vaBits', 1, 64), pageBytes, ranges: [] };
    const { bytes } = tableCost(layout, { kind: 'linear', entryBytes });
    return { entries: bytes / entryBytes, bytes };
  }
  input.only(['regionBytes', 'leafSizes']);
  const pages = input.integer('regionBytes', 4096, 2 ** 47) / 4096;
  const layout = { virtualBits: 48, pageBytes: 4096, ranges: [{ page: pages, pages }] };
  const sizes = integers(input.value('leafSizes'), 'leafSizes').map((leafBytes) => {
    const leafLevel = [4096, 2 ** 21, 2 ** 30].indexOf(leafBytes);
    const indexBits = [9, 9, 9, 9];
    const { bytes, parts } = tableCost(layout, {
      kind: 'radix',
      entryBytes: 8,
      indexBits,
      leafLevel,
    });
    // The recording counts levels from 1.
    const levels = parts.map(({ name, tables }) => [`level${Number(name.slice(6)) + 1}`, tables]);
    return [String(leafBytes), { ...Object.fromEntries(levels), totalTablePages: bytes / 4096 }];
  });
  return Object.fromEntries(sizes);
}

/** Bhargava et al.: the formula, and where there are such walkers, real walks. */
export function nested(input: Fields): unknown {
  input.only(['guestHostLevels']);
  const maxMemoryRefs = input.list('guestHostLevels').map((value) => {
    const [guest, host, ...rest] = integers(value, 'levels');
    if (guest === undefined || host === undefined || rest.length > 0) {
      throw new Malformed('levels should be a pair');
    }
    const references = nestedReferences(guest, host);
    const walked = nestedWalkReferences(guest, host);
    if (walked !== null && walked !== references) throw new Error(`a real walk made ${walked}`);
    return references;
  });
  return { maxMemoryRefs };
}
