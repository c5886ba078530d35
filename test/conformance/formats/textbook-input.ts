import type { Address } from 'pagewright/core';
import type { PhysicalMemory } from 'pagewright/memory';
import type { PteFormat } from 'pagewright/pte';
import { Fields, list, Malformed } from '../fields.js';

/** A list of addresses, frames, indexes. */
export function integers(value: unknown, what: string): readonly number[] {
  return list(value, what).map((item) => {
    if (typeof item !== 'number' || !Number.isSafeInteger(item) || item < 0) {
      throw new Malformed(`${what} should hold non-negative integers`);
    }
    return item;
  });
}

/** Frames by page: a list, or an object with the pages that are mapped. */
export function frameTable(value: unknown): ReadonlyMap<number, number> {
  const entries = Array.isArray(value)
    ? integers(value, 'pageTable').map((frame, page) => [page, frame] as const)
    : [...new Fields(value, 'pageTable').entries].map(([page, frame]) => {
        const [number] = integers([frame], 'a frame');
        if (!/^\d{1,9}$/.test(page)) throw new Malformed(`${page} is no page`);
        return [Number(page), number!] as const;
      });
  return new Map(entries);
}

/** Puts an entry into memory, or refuses the case: an entry that is lost would be a page that is not there. */
export function putEntry(
  memory: PhysicalMemory,
  { entryBytes }: PteFormat,
  address: Address,
  entry: bigint | number,
): void {
  const width = entryBytes === 1 || entryBytes === 2 || entryBytes === 4 ? entryBytes : 8;
  if (memory.write(address, width, entry).kind !== 'ok') {
    throw new Malformed(`no memory for the entry at ${address}`);
  }
}
