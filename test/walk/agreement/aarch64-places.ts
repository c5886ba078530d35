import { BUS_ERROR, PhysicalMemory } from 'pagewright/memory';
import type { AArch64Case } from './aarch64-case.js';
import type { Place } from './aarch64-judge.js';

/** Where the tables may lie; but for what only reads, the answers may not depend on it. */
export const AARCH64_PLACES: Readonly<Record<string, Place>> = {
  /** The fast path. */
  'flat RAM': ({ base, words }) => ({
    memory: PhysicalMemory.allocate(words.byteLength, { base }),
    writable: words.length,
  }),
  'sparse RAM': ({ base, words }) => {
    const memory = new PhysicalMemory();
    memory.addSparse({ base, bytes: words.byteLength });
    return { memory, writable: words.length };
  },
  /** Walks leave the fast path's window and come back. */
  'two regions': ({ base, words }) => {
    const memory = PhysicalMemory.allocate(8192, { base });
    memory.addRam({ base: base + 8192n, bytes: words.byteLength - 8192 });
    return { memory, writable: words.length };
  },
  /** Hardware updates end in external aborts. */
  'RAM and ROM': withRom,
};

function withRom({ base, words, writable }: AArch64Case): ReturnType<Place> {
  const memory = PhysicalMemory.allocate(8 * writable, { base });
  const rom = new DataView(words.slice(writable).buffer);
  memory.addDevice({
    base: base + BigInt(8 * writable),
    bytes: rom.byteLength,
    // Descriptors are all that is read here.
    read(offset, _width, pair) {
      pair.low = rom.getInt32(offset, true);
      pair.high = rom.getInt32(offset + 4, true);
      return 0;
    },
    write: () => BUS_ERROR,
  });
  return { memory, writable };
}
