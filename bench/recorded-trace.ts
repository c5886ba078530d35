// Recorded memory traces, and tables that map what they touch.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { Access, Prot } from 'pagewright/core';
import { FramePool, PhysicalMemory } from 'pagewright/memory';
import { Invalidations, PageTable } from 'pagewright/page-table';
import { x86Long4 } from 'pagewright/pte';
import { FIRST_PFN, type Tables } from './page-tables.js';

/** References to pages, in order. */
export interface Trace {
  readonly vpns: Float64Array;
  /** `Access` bits of each: all are a user's. */
  readonly accesses: Uint8Array;
}

/** What a line does to each page that it touches: lackey's instruction, load, store, and load that is followed by a store. */
const KINDS: Readonly<Record<string, readonly number[]>> = {
  I: [Access.Fetch],
  L: [Access.Read],
  S: [Access.Write],
  M: [Access.Read, Access.Write],
};

const REFERENCE = /^(?:I {2}| ([LSM]) )([0-9a-f]+),(\d+)$/;

/** Reads what Valgrind's lackey has recorded of a program. */
export function recordedTrace(program: string): Trace {
  const file = new URL(`../test/fixtures/traces/${program}.lackey.gz`, import.meta.url);
  const vpns: number[] = [];
  const accesses: number[] = [];
  for (const line of gunzipSync(readFileSync(fileURLToPath(file)))
    .toString('latin1')
    .split('\n')) {
    const [, data = 'I', address, bytes] = REFERENCE.exec(line) ?? [];
    if (address === undefined) continue; // Valgrind's own
    const first = Number.parseInt(address, 16);
    const lastVpn = Math.floor((first + Math.max(1, Number(bytes)) - 1) / 4096);
    for (const kind of KINDS[data]!) {
      for (let vpn = Math.floor(first / 4096); vpn <= lastVpn; vpn++) {
        vpns.push(vpn);
        accesses.push(kind | Access.User);
      }
    }
  }
  return { vpns: Float64Array.from(vpns), accesses: Uint8Array.from(accesses) };
}

/** The first frame that is mapped. */
const PFN = 0x100000;
/** For tables. */
const FRAMES = 256;

/** Four-level tables that map the pages of a trace, each with all rights, to frames in the order of first use. */
export function tracedTables({ vpns }: Trace): Tables {
  const ram = new ArrayBuffer(FRAMES * 4096);
  const memory = PhysicalMemory.wrap(ram, { base: FIRST_PFN * 4096 });
  const frames = new FramePool({ first: FIRST_PFN, frames: FRAMES });
  const table = new PageTable({ format: x86Long4, memory, frames });
  const owed = new Invalidations({ frames });
  const flags = table.flags({ prot: Prot.Read | Prot.Write | Prot.Execute | Prot.User });
  const pages = [...new Set(vpns)];
  for (const [index, vpn] of pages.entries()) table.map(vpn, PFN + index, flags, owed);
  owed.complete();
  return { format: x86Long4, ram, root: table.root, firstVpn: pages[0]!, pages: pages.length };
}
