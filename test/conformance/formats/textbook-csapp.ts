import { Access, addressFromVpn, splitAddress } from 'pagewright/core';
import { PhysicalMemory } from 'pagewright/memory';
import { csapp14 } from 'pagewright/pte';
import { FormatWalker } from 'pagewright/walk';
import { Fields, list, Malformed } from '../fields.js';
import { integers } from './textbook-input.js';

/**
 * CS:APP, the small memory system. The library answers for the translation; what TLB and cache do has no judge yet, so
 * it is looked up in the tables that the problem prints: nothing recorded is taken on trust. Pages that only the TLB
 * shows are mapped, too.
 */
export function csappTranslation(input: Fields, expected: unknown): unknown {
  input.only(['vaBits', 'paBits', 'pageSize', 'tlb', 'pageTableFirst16', 'cache', 'addresses']);
  const shape = [input.integer('vaBits', 1, 64), input.integer('paBits', 1, 64)];
  const own = [csapp14.virtualBits, csapp14.physicalBits, 2 ** csapp14.pageShift].join();
  if ([...shape, input.integer('pageSize', 1, 2 ** 30)].join() !== own) {
    throw new Malformed('this is not the 14-bit system');
  }
  const memory = PhysicalMemory.allocate(4096, { base: 0 });
  const put = (vpn: number, pfn: number): void => {
    memory.write(vpn, 1, csapp14.build({ kind: 'leaf', level: 0, pfn }));
  };
  const tlb = tlbOf(input.object('tlb'));
  const cache = cacheOf(input.object('cache'));
  const known = new Set<number>();
  for (const [vpn, pfn] of tlb.pages) {
    known.add(vpn);
    put(vpn, pfn);
  }
  const shown = input.list('pageTableFirst16');
  if (shown.length !== 16) throw new Malformed('there should be 16 entries');
  shown.forEach((value, index) => {
    const entry = new Fields(value, 'an entry').only(['vpn', 'ppn', 'valid']);
    const vpn = entry.integer('vpn', index, index);
    known.add(vpn);
    const pfn = validNumber(entry, 'ppn', 63);
    if (pfn !== null) put(vpn, pfn);
  });
  const walker = new FormatWalker({ memory, format: csapp14, root: 0 });
  const recorded = new Fields(expected, 'expected').only(['results']).list('results');
  const results = integers(input.value('addresses'), 'addresses').map((va, index) => {
    const { indexes, offset } = splitAddress(csapp14, va);
    const vpn = indexes[0]!.index;
    const result = new Fields(recorded[index], `result ${index}`);
    const tlbi = vpn % tlb.sets;
    const tlbt = Math.floor(vpn / tlb.sets);
    const looked = { vpn, vpo: offset, tlbi, tlbt, tlbHit: tlb.pages.has(vpn) };
    // The book shows the first entries of the table alone; a note may say so.
    if (!known.has(vpn)) {
      const note = result.has('note') ? { note: result.text('note') } : {};
      return { ...looked, pageFault: null, ...note };
    }
    const pfn = walker.walk(vpn, Access.Read, offset);
    if (pfn < 0) return { ...looked, pageFault: true };
    const pa = Number(addressFromVpn(pfn, offset, csapp14.pageShift));
    return { ...looked, pageFault: false, ppn: pfn, pa, ...cache(pa) };
  });
  return { results };
}

/** The value of an entry that has one only while it is valid. */
function validNumber(entry: Fields, key: string, greatest: number): number | null {
  if (entry.flag('valid')) return entry.integer(key, 0, greatest);
  if (entry.value(key) !== null) throw new Malformed(`${key} of an entry that is not valid`);
  return null;
}

interface Tlb {
  readonly sets: number;
  /** Frames by page, of the valid entries: the tag stands above the set. */
  readonly pages: ReadonlyMap<number, number>;
}

function tlbOf(tlb: Fields): Tlb {
  tlb.only(['sets', 'ways', 'entries']);
  const sets = tlb.integer('sets', 1, 64);
  const ways = tlb.integer('ways', 1, 64);
  const rows = tlb.list('entries').map((row) => list(row, 'the ways'));
  if (rows.length !== sets || rows.some((row) => row.length !== ways)) {
    throw new Malformed('the TLB has another shape');
  }
  const pages = rows.flatMap((row, set) =>
    row.flatMap((value) => {
      const entry = new Fields(value, 'a TLB entry').only(['tag', 'ppn', 'valid']);
      const vpn = entry.integer('tag', 0, 255) * sets + set;
      const pfn = validNumber(entry, 'ppn', 63);
      return pfn === null ? [] : [[vpn, pfn] as const];
    }),
  );
  return { sets, pages: new Map(pages) };
}

/** A direct-mapped cache: what it says of a physical address. */
function cacheOf(cache: Fields): (pa: number) => Readonly<Record<string, unknown>> {
  cache.only(['sets', 'ways', 'blockSize', 'lines']);
  const sets = cache.integer('sets', 1, 64);
  const block = cache.integer('blockSize', 1, 64);
  cache.integer('ways', 1, 1);
  const lines = cache.list('lines').map((value) => {
    const line = new Fields(value, 'a line').only(['tag', 'valid', 'data']);
    const tag = line.integer('tag', 0, 63);
    if (!line.flag('valid')) {
      if (line.value('data') !== null) throw new Malformed('data of a line that is not valid');
      return { tag, bytes: null };
    }
    const data = line.text('data');
    const bytes = Buffer.from(data, 'hex');
    if (data.length !== 2 * block || bytes.length !== block || data !== data.toUpperCase()) {
      throw new Malformed(`a line should have ${block} bytes`);
    }
    return { tag, bytes };
  });
  if (lines.length !== sets) throw new Malformed(`there should be ${sets} lines`);
  return (pa) => {
    const co = pa % block;
    const ci = Math.floor(pa / block) % sets;
    const ct = Math.floor(pa / block / sets);
    const { bytes, tag } = lines[ci]!;
    const hit =
      bytes !== null && tag === ct ? { cacheHit: true, byte: bytes[co] } : { cacheHit: false };
    return { co, ci, ct, ...hit };
  };
}
