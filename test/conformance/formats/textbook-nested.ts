import { Access } from 'pagewright/core';
import { PhysicalMemory } from 'pagewright/memory';
import {
  type PteFormat,
  sv32,
  sv32x4,
  sv39,
  sv39x4,
  sv48,
  sv48x4,
  sv57,
  sv57x4,
} from 'pagewright/pte';
import { RiscvGStage, RiscvWalker } from 'pagewright/walk';

const BASE = 0x8000_0000;
/** The guest's root, its other tables and its page, one after the other. */
const GUEST = 0x80100;

const GUESTS: Readonly<Record<number, PteFormat>> = { 2: sv32, 3: sv39, 4: sv48, 5: sv57 };
const HOSTS: Readonly<Record<number, PteFormat>> = { 2: sv32x4, 3: sv39x4, 4: sv48x4, 5: sv57x4 };

/** What MODE of satp and of hgatp selects these levels. */
const MODE_64 = 5n;

/**
 * The references of a walk of RISC-V's two stages with so many levels each, all pages of the base size; `null` when
 * there are no such stages.
 */
export function nestedWalkReferences(guestLevels: number, hostLevels: number): number | null {
  const guest = GUESTS[guestLevels];
  const host = HOSTS[hostLevels];
  if (guest === undefined || host === undefined || guest.entryBytes !== host.entryBytes)
    return null;
  const memory = PhysicalMemory.allocate(0x20_0000, { base: BASE });
  // The host: everything from the guest's root on lies below one table of the last level.
  const hostRoot = BASE / 4096;
  chain(memory, host, hostRoot, hostRoot + 4, GUEST);
  const lastTable = hostLevels === 1 ? hostRoot : hostRoot + 4 + hostLevels - 2;
  for (let page = GUEST; page <= GUEST + guestLevels; page++)
    leaf(memory, host, lastTable, page, page);
  chain(memory, guest, GUEST, GUEST + 1, 0);
  leaf(memory, guest, GUEST + guestLevels - 1, 0, GUEST + guestLevels);
  const xlen = guest.entryBytes === 4 ? 32 : 64;
  const mode = (levels: number): bigint =>
    xlen === 32 ? 1n << 31n : (BigInt(levels) + MODE_64) << 60n;
  const secondStage = new RiscvGStage({ memory, xlen, hgatp: mode(hostLevels) | BigInt(hostRoot) });
  const satp = mode(guestLevels) | BigInt(GUEST);
  const walker = new RiscvWalker({ memory, xlen, satp, secondStage });
  const report = walker.explain(0, Access.Read | Access.User);
  return report.outcome.kind === 'page' ? report.references : -1;
}

/** Pointers from the root down to a table of the last level, for a page. */
function chain(
  memory: PhysicalMemory,
  format: PteFormat,
  root: number,
  next: number,
  page: number,
): void {
  let table = root;
  for (let level = format.levels - 1; level > 0; level--) {
    const pfn = next + (format.levels - 1 - level);
    write(
      memory,
      format,
      table,
      index(format, level, page),
      format.build({ kind: 'pointer', level, pfn }),
    );
    table = pfn;
  }
}

function leaf(
  memory: PhysicalMemory,
  format: PteFormat,
  table: number,
  page: number,
  pfn: number,
): void {
  const fields = { R: 1, W: 1, X: 1, U: 1, A: 1, D: 1 };
  write(memory, format, table, index(format, 0, page), format.build({ kind: 'leaf', pfn, fields }));
}

function index(format: PteFormat, level: number, page: number): number {
  return Math.floor(page / format.levelPages[level]!) % 2 ** format.indexBits[level]!;
}

function write(
  memory: PhysicalMemory,
  format: PteFormat,
  table: number,
  entry: number,
  value: bigint,
): void {
  const width = format.entryBytes === 4 ? 4 : 8;
  memory.write(table * 4096 + entry * width, width, value);
}
