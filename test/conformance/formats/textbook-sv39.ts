import { addressFromVpn } from 'pagewright/core';
import { PhysicalMemory } from 'pagewright/memory';
import { type DecodedEntry, sv39 } from 'pagewright/pte';
import { mappings, RiscvWalker } from 'pagewright/walk';
import { Fields, Malformed } from '../fields.js';
import { integers, putEntry } from './textbook-input.js';

/** As xv6's vmprint and the grading script show them. */
const FLAGS = ['V', 'R', 'W', 'X', 'U'] as const;

/**
 * xv6, what vmprint shows of a process: the entries are put where they belong, decoded, and enumerated by a walker. The
 * recorded answer gives the entries, ours everything that is said about them. Which entries there are nothing else says,
 * so one left out is no mistake that could be noticed; vmprint's order is.
 */
export function vmprint(input: Fields, expected: unknown): unknown {
  input.only(['root', 'mode']);
  input.oneOf('mode', ['Sv39']);
  const root = input.prefixedHex('root');
  const memory = new PhysicalMemory();
  memory.addSparse({ base: 0, bytes: 2 ** 32 });
  const recorded = new Fields(expected, 'expected').only(['entries']).list('entries');
  if (recorded.length === 0) throw new Malformed('there are no entries');
  const tables = new Map<string, bigint>([['', root]]);
  let before: readonly number[] = [];
  const entries = recorded.map((value) => {
    const entry = new Fields(value, 'an entry').only(
      ['path', 'pte', 'pa', 'flags', 'leaf'],
      ['va'],
    );
    const path = integers(entry.value('path'), 'path');
    if (!follows(path, before)) throw new Malformed(`${path.join('.')} is out of order`);
    before = path;
    const table = tables.get(path.slice(0, -1).join());
    if (table === undefined) throw new Malformed(`no table for ${path.join('.')}`);
    const raw = entry.prefixedHex('pte');
    const address = table + 8n * BigInt(path.at(-1)!);
    putEntry(memory, sv39, address, raw);
    const decoded = sv39.decode(raw, 3 - path.length);
    const pa = addressFromVpn(decoded.pfn ?? 0);
    if (decoded.kind === 'pointer') tables.set(path.join(), pa);
    return { path, decoded, pa, address };
  });
  const walker = new RiscvWalker({ memory, satp: (8n << 60n) | (root >> 12n) });
  const leaves = [...mappings(walker)];
  return {
    entries: entries.map(({ address, decoded, pa, path }) => {
      const leaf = decoded.kind === 'leaf';
      const found = leaves.find((mapping) => mapping.entry === address && mapping.pa === pa);
      return {
        path,
        pte: hex(decoded.raw),
        pa: hex(pa),
        flags: flagsOf(decoded),
        leaf,
        ...(leaf ? { va: found === undefined ? 'not found' : hex(found.va) } : {}),
      };
    }),
  };
}

/** Whether vmprint shows one path after another one: a table before what is in it, entries as they stand. */
function follows(path: readonly number[], before: readonly number[]): boolean {
  const differs = path.findIndex((index, depth) => index !== before[depth]);
  return differs >= 0 && path[differs]! < 512 && path[differs]! > (before[differs] ?? -1);
}

function flagsOf({ fields }: DecodedEntry): string {
  return FLAGS.filter((name) => fields[name] === 1).join('');
}

function hex(value: bigint): string {
  return `0x${value.toString(16)}`;
}
