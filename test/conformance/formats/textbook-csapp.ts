import { Access, addressFromVpn, splitAddress } from 'pagewright/core';
import { PhysicalMemory } from 'pagewright/memory';
import { csapp14 } from 'pagewright/pte';
import { FormatWalker } from 'pagewright/walk';
import { Fields, list, Malformed } from '../fields.js';
import { integers } from './textbook-input.js';

/**
 * CS:APP, the small memory system: its translation part. What the TLB and the cache do has no judge yet, so their
 * fields are taken over from the recording; pages that only the TLB shows are mapped, too.
 */
export function csappTranslation(input: Fields, expected: unknown): unknown {
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
