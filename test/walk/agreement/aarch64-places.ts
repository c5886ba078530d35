import { BUS_ERROR, PhysicalMemory } from 'pagewright/memory';
import type { AArch64Case } from './aarch64-case.js';
import type { Place } from './aarch64-judge.js';

/** Where the tables may lie; but for what only reads, the answers may not depend on it. */
export const AARCH64_PLACES: Readonly<Record<string, Place>> = {
  /** The fast path. */
  'flat RAM': ({ base, words }) => ({
    memory: PhysicalMemory.allocate(words.byteLength, { base }),
  }),
  'sparse RAM': ({ base, words }) => {
    const memory = new PhysicalMemory();
    memory.addSparse({ base, bytes: words.byteLength });
    return { memory };
  },
  /** Walks leave the fast path's window and come back. */
  'two regions': ({ base, words }) => {
    const memory = PhysicalMemory.allocate(8192, { base });
    memory.addRam({ base: base + 8192n, bytes: words.byteLength - 8192 });
    return { memory };
  },
  /** Hardware updates end in external aborts. */
  'RAM and ROM': withRom,
};

function withRom({ base, words, writable }: AArch64Case): ReturnType<Place> {
  const memory = new PhysicalMemory();
  if (writable > 0) memory.addRam({ base, bytes: 8 * writable });
  const rom = new DataView(new ArrayBuffer(words.byteLength - 8 * writable));
  let sealed = false;
  memory.addDevice({
    base: base + BigInt(8 * writable),
    bytes: rom.byteLength,
    read(offset, width, pair) {
      if (width < 8) return width === 4 ? rom.getUint32(offset, true) : rom.getUint8(offset);
      pair.low = rom.getInt32(offset, true);
      pair.high = rom.getInt32(offset + 4, true);
      return 0;
    },
    write(offset, width, low, high) {
      if (sealed) return BUS_ERROR;
      if (width < 4) rom.setUint8(offset, low);
      else rom.setInt32(offset, low, true);
      if (width === 8) rom.setInt32(offset + 4, high, true);
      return 0;
    },
  });
  return {
    memory,
    seal() {
      sealed = true;
    },
  };
}
