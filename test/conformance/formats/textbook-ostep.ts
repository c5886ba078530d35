import { Access } from 'pagewright/core';
import { PhysicalMemory } from 'pagewright/memory';
import { linearFormat, ostep15 } from 'pagewright/pte';
import {
  type AddressLookup,
  BaseAndLimit,
  LinearTable,
  type Segment,
  SegmentTable,
  splitPage,
  walkerLookup,
} from 'pagewright/textbook';
import { FormatWalker, type WalkStep } from 'pagewright/walk';
import { type Fields, Malformed } from '../fields.js';
import { integers, putEntry } from './textbook-input.js';

// The homework programs of Operating Systems: Three Easy Pieces.

/** OSTEP, relocation.py. */
export function relocation(input: Fields): unknown {
  input.only(['base', 'limit', 'addresses']);
  const base = input.integer('base', 0, 2 ** 40);
  const registers = new BaseAndLimit({ base, limit: input.integer('limit', 0, 2 ** 40) });
  return integers(input.value('addresses'), 'addresses').map((va) => {
    const found = registers.lookup(va);
    return found.kind === 'found' ? { pa: Number(found.pa) } : { fault: 'segmentation-violation' };
  });
}

/** OSTEP, segmentation.py: the top bit chooses the segment. */
export function ostepSegmentation(input: Fields): unknown {
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

/** Such as `1k`, as the programs take it: in upper case too. */
function sizeOf(text: string): number {
  const [, digits, unit = ''] = /^(\d{1,9})([kmg]?)$/i.exec(text) ?? [];
  if (digits === undefined) throw new Malformed(`${text} is no size`);
  return Number(digits) * 1024 ** ['', 'k', 'm', 'g'].indexOf(unit.toLowerCase());
}

function ostepSegment(segment: Fields): Segment {
  segment.only(['base', 'limit', 'grows']);
  const base = segment.integer('base', 0, 2 ** 40);
  const limit = segment.integer('limit', 0, 2 ** 40);
  return { base, limit, grows: segment.oneOf('grows', ['up', 'down']) };
}

/** OSTEP, paging-linear-translate.py: 4-byte entries, bit 31 valid. */
export function ostepLinear(input: Fields): unknown {
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
  // No format has such small or large pages, or one page alone.
  const asFormat = pageBytes >= 16 && pageBytes <= 2 ** 20 && entries.length > 1;
  const lookup = asFormat
    ? linearWalker(entries, pageBytes, virtualBytes)
    : arrayOfFrames(entries, pageBytes);
  return integers(input.value('addresses'), 'addresses').map((va) => {
    const vpn = splitPage(va, pageBytes).page;
    const found = lookup.lookup(va);
    if (found.kind === 'fault') return { fault: 'not-valid', vpn };
    if (found.pa >= BigInt(physicalBytes)) throw new Malformed('a frame lies beyond physicalSize');
    return { pa: Number(found.pa), vpn };
  });
}

function arrayOfFrames(entries: readonly number[], pageBytes: number): AddressLookup {
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
    putEntry(memory, format, 4 * page, entry);
  });
  return walkerLookup(new FormatWalker({ memory, format, root: 0 }));
}

/** OSTEP, paging-multilevel-translate.py: all of memory is given. */
export function ostepMultilevel(input: Fields): unknown {
  input.only([
    ...['pageSize', 'physicalPages', 'vaBits', 'levels', 'offsetBits', 'pteSizeBytes', 'pteFormat'],
    ...['pdbr', 'memoryHexByPage', 'addresses'],
  ]);
  input.oneOf('pteFormat', ['bit7=valid, bits6..0=PFN; invalid entry=0x7f']);
  input.integer('pageSize', 32, 32);
  input.integer('vaBits', 15, 15);
  input.integer('pteSizeBytes', 1, 1);
  const levels = integers(input.value('levels'), 'levels').join();
  if (levels !== '5,5' || input.integer('offsetBits', 5, 5) !== ostep15.pageShift) {
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
