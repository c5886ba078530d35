import { createHash } from 'node:crypto';
import { addressFromVpn, bigintFromWords, Prot } from 'pagewright/core';
import { FramePool, PhysicalMemory } from 'pagewright/memory';
import {
  type Invalidation,
  Invalidations,
  PageTable,
  type PageTableOptions,
} from 'pagewright/page-table';
import {
  aarch64,
  eptLong4,
  eptLong4ModeBased,
  nptLong4,
  type PteFormat,
  sv32,
  sv39,
  sv39x4,
  sv57,
  x86Legacy,
  x86Long4,
  x86Long5,
  x86Pae,
} from 'pagewright/pte';

/** A machine's memory, its free frames, one page table, and what its changes owe. */
export interface System {
  readonly memory: PhysicalMemory;
  readonly frames: FramePool;
  readonly table: PageTable;
  readonly owed: Invalidations;
}

/** Options of {@link makeSystem}: those of the page table, and how much memory there is. */
export interface SystemOptions extends Partial<Omit<PageTableOptions, 'format' | 'frames'>> {
  readonly memory?: PhysicalMemory;
  readonly frames?: FramePool;
  /** Base pages of memory. */
  readonly pages?: number;
  /** Stretches that the accumulator keeps apart. */
  readonly capacity?: number;
  /** Whether the memory is a SharedArrayBuffer. */
  readonly shared?: boolean;
}

/** Frame 0 is never handed out. */
export function makeSystem(format: PteFormat, options: SystemOptions = {}): System {
  const { capacity = 256, pages = 256, shared = false, ...rest } = options;
  const bytes = pages * 2 ** format.pageShift;
  const memory = options.memory ?? PhysicalMemory.allocate(bytes, { base: 0, shared });
  const frames = options.frames ?? new FramePool({ first: 1, frames: pages - 1 });
  const table = new PageTable({ format, ...rest, memory, frames });
  return { memory, frames, table, owed: new Invalidations({ frames, capacity }) };
}

/** Everything that an operation may change. */
export function stateOf({ frames, memory, owed, table }: System): unknown {
  return {
    memory: contentsOf(memory),
    frames: frames.snapshot(),
    statistics: table.isDestroyed ? null : table.statistics(),
    foreign: table.foreignRanges,
    steps: owed.steps(),
    released: owed.released(),
  };
}

/** All that a memory holds, or some of its 4 KiB frames, as a digest: equal for equal contents. */
export function contentsOf(memory: PhysicalMemory, pfns?: readonly number[]): string {
  const hash = createHash('sha256');
  const page = new Uint8Array(4096);
  for (const pfn of pfns ?? framesOf(memory)) {
    memory.readBytes(pfn, 0, page);
    hash.update(page);
  }
  return hash.digest('hex');
}

function* framesOf(memory: PhysicalMemory): Generator<number> {
  for (const { base, bytes } of memory.regions()) {
    const first = Number(base >> 12n);
    for (let pfn = first; pfn < first + bytes / 4096; pfn++) yield pfn;
  }
}

/** What one operation owes, the accumulator being empty before and after. */
export function owedBy(system: System, operation: () => unknown): readonly Invalidation[] {
  system.owed.complete();
  operation();
  const owed = system.owed.invalidations();
  system.owed.complete();
  return owed;
}

/** An entry as it is in memory. */
export function entryAt({ memory, table }: System, pfn: number, index: number): bigint {
  const { entryBytes, pageShift } = table.format;
  const at = addressFromVpn(pfn, 0, pageShift) + BigInt(index * entryBytes);
  const found = memory.read(at, entryBytes === 8 ? 8 : 4);
  if (found.kind !== 'value') throw new Error(`no memory at 0x${at.toString(16)}`);
  return found.value;
}

/** The entry of a page at a level, or the last one on the way, as it is in memory. */
export function entryOf(system: System, vpn: number, level = 0): bigint {
  const { format } = system.table;
  const { path } = system.table.describe(addressFromVpn(vpn, 0, format.pageShift));
  const step = path[Math.min(path.length - 1, format.levels - 1 - level)]!;
  return entryAt(system, step.table, step.index);
}

/** The entry that the last operation on one page found. */
export function foundEntry({ found, format }: PageTable): bigint {
  return BigInt.asUintN(8 * format.entryBytes, bigintFromWords(found.low, found.high));
}

/** Rights as most tests want them. */
export const RW: number = Prot.Read | Prot.Write;
export const RWU: number = Prot.Read | Prot.Write | Prot.User;
export const RU: number = Prot.Read | Prot.User;

/** The first page that is an address of a format: not 0 in AArch64's upper half. */
export function firstPage({ onesExtended, pageShift, virtualBits }: PteFormat): number {
  return onesExtended ? 2 ** (64 - pageShift) - 2 ** (virtualBits - pageShift) : 0;
}

/** A format of every kind. */
export const FORMATS: readonly PteFormat[] = [
  x86Legacy,
  x86Pae,
  x86Long4,
  x86Long5,
  nptLong4,
  eptLong4,
  eptLong4ModeBased,
  sv32,
  sv39,
  sv57,
  sv39x4,
  aarch64(),
  aarch64({ granule: 16384, virtualBits: 47, half: 'high' }),
  aarch64({ granule: 65536, virtualBits: 42 }),
  aarch64({ outputBits: 52 }),
  aarch64({ stage: 2, virtualBits: 40, levels: 3 }),
];
