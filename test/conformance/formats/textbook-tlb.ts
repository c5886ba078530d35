import { splitPage } from 'pagewright/textbook';
import { Tlb, TlbAnswer } from 'pagewright/tlb';
import { type Fields, Malformed } from '../fields.js';
import { integers } from './textbook-input.js';

/** OSTEP, "Example: Accessing An Array": elements one after the other, and a TLB that is empty at first. */
export function arrayAccesses(input: Fields): unknown {
  input.only(['vaBits', 'pageSize', 'elementBytes', 'base', 'count']);
  const pageBytes = input.integer('pageSize', 1, 2 ** 20);
  const elementBytes = input.integer('elementBytes', 1, 2 ** 20);
  const base = input.integer('base', 0, 2 ** 40);
  const count = input.integer('count', 1, 100_000);
  if (base + elementBytes * count > 2 ** input.integer('vaBits', 1, 50)) {
    throw new Malformed('the array ends outside the address space');
  }
  // Larger than any array: what is in it stays in it.
  const tlb = new Tlb({ entries: count });
  const vpns = Array.from({ length: count }, (_, index) => {
    return splitPage(base + elementBytes * index, pageBytes).page;
  });
  const hits = vpns.map((vpn) => {
    const hit = tlb.lookup(vpn, 0) !== TlbAnswer.Miss;
    if (!hit) tlb.fill(vpn, vpn, 0);
    return hit;
  });
  return { vpns, hits, hitRate: tlb.statistics().hits / count };
}

/** What a TLB covers, measured: as many pages one after the other as stay in it. */
export function tlbReach(input: Fields): unknown {
  input.only(['rows']);
  const reachBytes = input.list('rows').map((row) => {
    const [entries, pageBytes, ...rest] = integers(row, 'a row');
    if (entries === undefined || pageBytes === undefined || rest.length > 0) {
      throw new Malformed('a row should be entries and bytes of a page');
    }
    const tlb = new Tlb({ entries });
    for (let vpn = 0; vpn < entries + 1; vpn++) tlb.fill(vpn, vpn, 0);
    const covered = Array.from({ length: entries + 1 }, (_, vpn) => tlb.peek(vpn) >= 0);
    return covered.filter(Boolean).length * pageBytes;
  });
  return { reachBytes };
}
