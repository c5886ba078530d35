import { FramePool, PhysicalMemory } from 'pagewright/memory';
import { Invalidations, PageTable, type PageTableOptions } from 'pagewright/page-table';
import type { PteFormat } from 'pagewright/pte';

export interface Guest {
  readonly memory: PhysicalMemory;
  readonly frames: FramePool;
  readonly owed: Invalidations;
  readonly adopt: (options?: Partial<PageTableOptions>) => PageTable;
  readonly write: (pfn: number, index: number, entry: bigint) => void;
  readonly read: (pfn: number, index: number) => bigint;
}

/** 64 frames of memory, of which our own tables take those from 48 on. */
export function makeGuest(format: PteFormat): Guest {
  const { entryBytes, pageShift } = format;
  const memory = PhysicalMemory.allocate(64 * 2 ** pageShift, { base: 0 });
  const frames = new FramePool({ first: 48, frames: 16 });
  const bytes = entryBytes === 8 ? 8 : 4;
  const at = (pfn: number, index: number): bigint =>
    BigInt(pfn * 2 ** pageShift + index * entryBytes);
  return {
    memory,
    frames,
    owed: new Invalidations({ frames }),
    adopt: (options = {}) => new PageTable({ format, memory, frames, root: 16, ...options }),
    write: (pfn, index, entry) => void memory.write(at(pfn, index), bytes, entry),
    read: (pfn, index) => {
      const found = memory.read(at(pfn, index), bytes);
      return found.kind === 'value' ? found.value : -1n;
    },
  };
}
