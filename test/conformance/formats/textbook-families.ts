import { Access, addressFromVpn, splitAddress } from 'pagewright/core';
import { PhysicalMemory } from 'pagewright/memory';
import {
  csapp14,
  definePteFormat,
  linearFormat,
  ostep6,
  ostep15,
  type PteFormat,
  sv39,
  sv48,
  textbook32,
  x86Long4,
  x86Long5,
} from 'pagewright/pte';
import {
  type AddressLookup,
  BaseAndLimit,
  LinearTable,
  type Lookup,
  nestedReferences,
  type Segment,
  SegmentTable,
  splitPage,
  tableCost,
  walkerLookup,
} from 'pagewright/textbook';
import { FormatWalker, type WalkStep } from 'pagewright/walk';
import { Fields, list, Malformed } from '../fields.js';

import { nestedWalkReferences } from './textbook-nested.js';
import { vmprint } from './textbook-sv39.js';

/** Answers a problem in the form of its recorded answer, which is handed over for its shape. */
export type FamilyJudge = (input: Fields, expected: unknown) => unknown;

/** The judge of every family. */
export const FAMILIES: ReadonlyMap<string, FamilyJudge> = new Map<string, FamilyJudge>([
  ['ostep.relocation', relocation],
  ['ostep.segmentation', ostepSegmentation],
  ['ostep.paging-linear', ostepLinear],
  ['ostep.paging-multilevel', ostepMultilevel],
  ['translation', translation],
  ['segmentation', segmentation],
  ['page-offset', pageOffset],
  ['va-decomposition', decomposition],
  ['page-table-size', pageTableSize],
  ['multilevel', multilevel],
  ['sv39', vmprint],
  ['nested', nested],
  ['translation+tlb+cache', csappTranslation],
]);

function integers(value: unknown, what: string): readonly number[] {
  return list(value, what).map((item) => {
    if (typeof item !== 'number' || !Number.isSafeInteger(item) || item < 0) {
      throw new Malformed(`${what} should hold non-negative integers`);
    }
    return item;
  });
}

/** OSTEP, relocation.py. */
function relocation(input: Fields): unknown {
  input.only(['base', 'limit', 'addresses']);
  const base = input.integer('base', 0, 2 ** 40);
  const registers = new BaseAndLimit({ base, limit: input.integer('limit', 0, 2 ** 40) });
  return integers(input.value('addresses'), 'addresses').map((va) => {
    const found = registers.lookup(va);
    return found.kind === 'found' ? { pa: Number(found.pa) } : { fault: 'segmentation-violation' };
  });
}

/** OSTEP, segmentation.py: the top bit chooses the segment. */
function ostepSegmentation(input: Fields): unknown {
  input.only(['addressSpaceSize', 'seg0', 'seg1', 'addresses']);
  const size = sizeOf(input.text('addressSpaceSize'));
  const table = new SegmentTable({
    offsetBits: Math.log2(size) - 1,
    segments: [ostepSegment(input.object('seg0')), ostepSegment(input.object('seg1'))],
  });
  return integers(input.value('addresses'), 'addresses').map((va) => {
    const { segment } = table.split(va);
    const found = table.lookup(va);
    return found.kind === 'found'
      ? { pa: Number(found.pa), segment }
      : { fault: 'segmentation-violation', segment };
  });
}

/** Such as `1k`. */
function sizeOf(text: string): number {
  const match = /^(\d{1,9})([km]?)$/.exec(text);
  if (match === null) throw new Malformed(`${text} is no size`);
  return Number(match[1]) * { '': 1, k: 1024, m: 2 ** 20 }[match[2] as '' | 'k' | 'm'];
}

function ostepSegment(segment: Fields): Segment {
  segment.only(['base', 'limit', 'grows']);
  const base = segment.integer('base', 0, 2 ** 40);
  const limit = segment.integer('limit', 0, 2 ** 40);
  return { base, limit, grows: segment.oneOf('grows', ['up', 'down']) };
}

/** OSTEP, paging-linear-translate.py: 4-byte entries, bit 31 valid. Pages below 16 bytes are no format's. */
function ostepLinear(input: Fields): unknown {
  input.only([
    'addressSpaceSize',
    'physicalSize',
    'pageSize',
    'pteFormat',
    'pageTable',
    'addresses',
  ]);
  input.oneOf('pteFormat', ['bit31=valid, low bits=PFN']);
  const pageBytes = input.integer('pageSize', 1, 2 ** 30);
  const virtualBytes = input.integer('addressSpaceSize', pageBytes, 2 ** 40);
  const physicalBytes = input.integer('physicalSize', pageBytes, 2 ** 40);
  const entries = integers(input.value('pageTable'), 'pageTable');
  if (entries.length !== virtualBytes / pageBytes)
    throw new Malformed('pageTable has another size');
  const lookup =
    pageBytes < 16
      ? smallPages(entries, pageBytes)
      : linearWalker(entries, pageBytes, virtualBytes);
  return integers(input.value('addresses'), 'addresses').map((va) => {
    const vpn = splitPage(va, pageBytes).page;
    const found = lookup.lookup(va);
    if (found.kind === 'fault') return { fault: 'not-valid', vpn };
    if (found.pa >= BigInt(physicalBytes)) throw new Malformed('a frame lies beyond physicalSize');
    return { pa: Number(found.pa), vpn };
  });
}

function smallPages(entries: readonly number[], pageBytes: number): AddressLookup {
  const table = new LinearTable({ pageBytes, pages: entries.length });
  entries.forEach((entry, page) => {
    if (entry >= 2 ** 31) table.map(page, entry - 2 ** 31);
  });
  return table;
}

function linearWalker(
  entries: readonly number[],
  pageBytes: number,
  virtualBytes: number,
): AddressLookup {
  const virtualBits = Math.log2(virtualBytes);
  const format = linearFormat({ virtualBits, pageBytes, entryBytes: 4, valid: 31, frame: [30, 0] });
  const memory = new PhysicalMemory();
  memory.addSparse({ base: 0, bytes: Math.max(4096, 4 * entries.length) });
  entries.forEach((entry, page) => {
    memory.write(4 * page, 4, entry);
  });
  return walkerLookup(new FormatWalker({ memory, format, root: 0 }));
}

/** OSTEP, paging-multilevel-translate.py: all of memory is given. */
function ostepMultilevel(input: Fields): unknown {
  input.only([
    ...['pageSize', 'physicalPages', 'vaBits', 'levels', 'offsetBits', 'pteSizeBytes', 'pteFormat'],
    ...['pdbr', 'memoryHexByPage', 'addresses'],
  ]);
  input.oneOf('pteFormat', ['bit7=valid, bits6..0=PFN; invalid entry=0x7f']);
  const shape = [input.value('pageSize'), input.value('vaBits'), input.value('pteSizeBytes')];
  const levels = integers(input.value('levels'), 'levels').join();
  const offsetBits = input.integer('offsetBits', 5, 5);
  if (shape.join() !== '32,15,1' || levels !== '5,5' || offsetBits !== ostep15.pageShift) {
    throw new Malformed('this is not the 15-bit system');
  }
  const memory = PhysicalMemory.allocate(4096, { base: 0 });
  const pages = input.list('memoryHexByPage');
  if (pages.length !== input.integer('physicalPages', 128, 128)) throw new Malformed('128 pages');
  pages.forEach((page, number) => {
    if (typeof page !== 'string' || !/^[0-9a-f]{64}$/.test(page)) {
      throw new Malformed(`page ${number} should be 32 bytes`);
    }
    for (let byte = 0; byte < 32; byte++) {
      memory.write(32 * number + byte, 1, Number.parseInt(page.slice(2 * byte, 2 * byte + 2), 16));
    }
  });
  const walker = new FormatWalker({ memory, format: ostep15, root: input.integer('pdbr', 0, 127) });
  return integers(input.value('addresses'), 'addresses').map((va) => {
    const { outcome, steps } = walker.explain(va, Access.Read);
    const [directory, table] = steps;
    const pde = { pde: ostepEntry(directory) };
    if (table === undefined) return { ...pde, fault: 'pde-not-valid' };
    const both = { ...pde, pte: ostepEntry(table) };
    if (outcome.kind === 'fault') return { ...both, fault: 'pte-not-valid' };
    const pa = Number(outcome.pa);
    return { ...both, pa, value: memory.read8(0, pa) };
  });
}

function ostepEntry(step: WalkStep | undefined): unknown {
  if (step === undefined) throw new Error('no entry was read');
  const contents = Number(step.raw);
  const { index, level, fields } = step;
  const valid = fields['V'];
  // What is not valid has a frame number, too, as the homework prints it.
  const pfn = level === 0 ? ostep15.leafPfn(contents, 0, 0) : ostep15.tablePfn(contents, 0);
  return { index: index.index, contents, valid, pfn };
}

/** Silberschatz, Tanenbaum, OSTEP: a table of frames. */
function translation(input: Fields, expected: unknown): unknown {
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

function frameTable(value: unknown): ReadonlyMap<number, number> {
  const entries = Array.isArray(value)
    ? integers(value, 'pageTable').map((frame, page) => [page, frame] as const)
    : [...new Fields(value, 'pageTable').entries].map(([page, frame]) => {
        const [number] = integers([frame], 'a frame');
        if (!/^\d{1,9}$/.test(page)) throw new Malformed(`${page} is no page`);
        return [Number(page), number!] as const;
      });
  return new Map(entries);
}

function tableLookup(
  input: Fields,
  pageBytes: number,
  frames: ReadonlyMap<number, number>,
): AddressLookup {
  if (!input.has('vaBits')) {
    const table = new LinearTable({ pageBytes, pages: frames.size });
    for (const [page, frame] of frames) table.map(page, frame);
    return table;
  }
  const virtualBits = input.integer('vaBits', 1, 32);
  const format =
    virtualBits === ostep6.virtualBits && pageBytes === 16
      ? ostep6
      : linearFormat({ virtualBits, pageBytes, entryBytes: 1, valid: 7, frame: [6, 0] });
  const memory = PhysicalMemory.allocate(4096, { base: 0 });
  for (const [page, pfn] of frames) {
    memory.write(page, 1, format.build({ kind: 'leaf', level: 0, pfn }));
  }
  return walkerLookup(new FormatWalker({ memory, format, root: 0 }));
}

/** Silberschatz: references of a segment and an offset. */
function segmentation(input: Fields): unknown {
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

function pageOffset(input: Fields): unknown {
  input.only(['pageSize', 'addresses']);
  const pageBytes = input.integer('pageSize', 1, 2 ** 30);
  const pairs = integers(input.value('addresses'), 'addresses').map((va) => {
    const { offset, page } = splitPage(va, pageBytes);
    return [page, offset];
  });
  return { pageOffset: pairs };
}

const DECOMPOSED: Readonly<Record<string, PteFormat>> = {
  'x86-64-4level': x86Long4,
  'x86-64-5level': x86Long5,
  sv39,
  sv48,
  textbook32,
  'x86-32': textbook32,
};

function decomposition(input: Fields): unknown {
  input.only(['mode', 'levels', 'bitsPerLevel', 'addresses']);
  const format = DECOMPOSED[input.text('mode')];
  if (format === undefined) throw new Malformed(`no format ${input.text('mode')}`);
  const width = input.value('bitsPerLevel');
  if (format.levels !== input.value('levels') || format.indexBits.some((bits) => bits !== width)) {
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

function pageTableSize(input: Fields): unknown {
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

/** OSTEP, chapter "Paging: Smaller Tables". */
function multilevel(input: Fields): unknown {
  input.only([
    'vaBits',
    'pageSize',
    'pteBytes',
    'levels',
    'pageDirectory',
    'pageTables',
    'addresses',
  ]);
  const pageBytes = input.integer('pageSize', 16, 4096);
  const entryBytes = input.oneOf('pteBytes', [1, 2, 4, 8]);
  const levels = integers(input.value('levels'), 'levels');
  const format = definePteFormat({
    name: 'a textbook multi-level table',
    pageBytes,
    entryBytes,
    levels: levels.map((bits) => ({ bits })),
    bits: { valid: 8 * entryBytes - 1, frame: [8 * entryBytes - 7, 0] },
    virtualBits: input.integer('vaBits', 1, 64),
  });
  const memory = PhysicalMemory.allocate(2 ** 16, { base: 0 });
  const root = 1;
  const put = (table: number, index: number, pfn: number, level: number): void => {
    const kind = level === 0 ? 'leaf' : 'pointer';
    memory.write(
      table * pageBytes + index * entryBytes,
      entryBytes,
      format.build({ kind, level, pfn }),
    );
  };
  for (const [index, table] of frameTable(input.value('pageDirectory'))) put(root, index, table, 1);
  const ranges: { page: number; pages: number }[] = [];
  for (const [table, entries] of input.object('pageTables').entries) {
    for (const [index, pfn] of frameTable(entries)) put(Number(table), index, pfn, 0);
  }
  const walker = new FormatWalker({ memory, format, root });
  for (const [index, table] of frameTable(input.value('pageDirectory'))) {
    const entries = input.object('pageTables').value(String(table));
    for (const page of frameTable(entries).keys()) {
      ranges.push({ page: index * 2 ** levels[1]! + page, pages: 1 });
    }
  }
  const results = integers(input.value('addresses'), 'addresses').map((va) => {
    const { outcome, steps } = walker.explain(va, Access.Read);
    const [pde, pte] = steps;
    if (outcome.kind === 'fault' || pde === undefined || pte === undefined) return { fault: true };
    const { offset } = splitAddress(format, va);
    const indexes = { pdeIndex: pde.index.index, pteIndex: pte.index.index };
    return { ...indexes, offset, pfn: outcome.pfn, pa: Number(outcome.pa) };
  });
  ranges.sort((a, b) => a.page - b.page);
  const layout = { virtualBits: format.virtualBits, pageBytes, ranges };
  return {
    results,
    linearTableBytes: tableCost(layout, { kind: 'linear', entryBytes }).bytes,
    multiLevelBytes: tableCost(layout, { kind: 'radix', entryBytes, indexBits: levels }).bytes,
  };
}

/** Bhargava et al.: the formula, and where there are such walkers, real walks. */
function nested(input: Fields): unknown {
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

/**
 * CS:APP, the small memory system: its translation part. What the TLB and the cache do has no judge yet, so their
 * fields are taken over from the recording; pages that only the TLB shows are mapped, too.
 */
function csappTranslation(input: Fields, expected: unknown): unknown {
  input.only(['vaBits', 'paBits', 'pageSize', 'tlb', 'pageTableFirst16', 'cache', 'addresses']);
  const shape = [input.value('vaBits'), input.value('paBits'), input.value('pageSize')].join();
  const own = [csapp14.virtualBits, csapp14.physicalBits, 2 ** csapp14.pageShift].join();
  if (shape !== own) throw new Malformed('this is not the 14-bit system');
  const memory = PhysicalMemory.allocate(4096, { base: 0 });
  const put = (vpn: number, pfn: number): void => {
    memory.write(vpn, 1, csapp14.build({ kind: 'leaf', level: 0, pfn }));
  };
  const known = new Set<number>();
  for (const [vpn, pfn] of tlbPages(input.object('tlb'))) {
    known.add(vpn);
    put(vpn, pfn);
  }
  for (const value of input.list('pageTableFirst16')) {
    const entry = new Fields(value, 'an entry').only(['vpn', 'ppn', 'valid']);
    const vpn = entry.integer('vpn', 0, 15);
    known.add(vpn);
    if (entry.flag('valid')) put(vpn, entry.integer('ppn', 0, 63));
  }
  const walker = new FormatWalker({ memory, format: csapp14, root: 0 });
  const recorded = new Fields(expected, 'expected').only(['results']).list('results');
  const results = integers(input.value('addresses'), 'addresses').map((va, index) => {
    const { indexes, offset } = splitAddress(csapp14, va);
    const vpn = indexes[0]!.index;
    const others = new Fields(recorded[index], `result ${index}`);
    const kept = [...others.entries].filter(([key]) => NOT_TRANSLATION.has(key));
    const base = { ...Object.fromEntries(kept), vpn, vpo: offset };
    // The book shows the first entries of the table alone.
    if (!known.has(vpn)) return { ...base, pageFault: null };
    const pfn = walker.walk(vpn, Access.Read, offset);
    if (pfn < 0) return { ...base, pageFault: true };
    const pa = Number(addressFromVpn(pfn, offset, csapp14.pageShift));
    return { ...base, pageFault: false, ppn: pfn, pa };
  });
  return { results };
}

const NOT_TRANSLATION: ReadonlySet<string> = new Set([
  ...['tlbi', 'tlbt', 'tlbHit', 'co', 'ci', 'ct', 'cacheHit', 'byte', 'note'],
]);

/** The pages of the TLB's valid entries: the tag above the set. */
function tlbPages(tlb: Fields): readonly (readonly [vpn: number, pfn: number])[] {
  tlb.only(['sets', 'ways', 'entries']);
  const sets = tlb.integer('sets', 1, 64);
  return tlb.list('entries').flatMap((ways, set) =>
    list(ways, 'the ways').flatMap((value) => {
      const entry = new Fields(value, 'a TLB entry').only(['tag', 'ppn', 'valid']);
      const vpn = entry.integer('tag', 0, 255) * sets + set;
      return entry.flag('valid') ? [[vpn, entry.integer('ppn', 0, 63)] as const] : [];
    }),
  );
}
