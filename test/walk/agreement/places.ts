import { PhysicalMemory } from 'pagewright/memory';
import { wasmMemory } from '../../memory/wasm.js';

/** Gives a memory RAM of some kind. */
type Place = (base: bigint, bytes: number, memory?: PhysicalMemory) => PhysicalMemory;

/** In the middle of a buffer. */
const within =
  (byteOffset: number): Place =>
  (base, byteLength, memory = new PhysicalMemory()) => {
    memory.addRam({ base, source: new ArrayBuffer(byteLength + 64), byteOffset, byteLength });
    return memory;
  };

/** Where tables may lie; the answers may not depend on it. */
export const PLACES = {
  /** Flat RAM: the fast path. */
  flat: (base, bytes, memory = new PhysicalMemory()) => {
    memory.addRam({ base, bytes });
    return memory;
  },
  /** The same in the middle of a buffer. */
  inside: within(24),
  /** No word of it is aligned in its buffer: no fast path. */
  unaligned: within(3),
  wasm: (base, byteLength, memory = new PhysicalMemory()) => {
    const pages = Math.ceil(byteLength / 0x10000);
    memory.addRam({ base, source: wasmMemory(pages, pages), byteLength });
    return memory;
  },
  shared: (base, bytes, memory = new PhysicalMemory()) => {
    memory.addRam({ base, bytes, shared: true });
    return memory;
  },
  sparse: (base, bytes, memory = new PhysicalMemory()) => {
    memory.addSparse({ base, bytes });
    return memory;
  },
  /** Two regions: walks leave the fast path's window and come back. */
  split: (base, bytes, memory = new PhysicalMemory()) => {
    const first = Math.min(8192, bytes / 2);
    memory.addRam({ base, bytes: first });
    memory.addRam({ base: base + BigInt(first), bytes: bytes - first });
    return memory;
  },
} as const satisfies Record<string, Place>;
