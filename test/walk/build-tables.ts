import { bigintFromWords } from 'pagewright/core';
import { PhysicalMemory } from 'pagewright/memory';
import {
  type PteFormat,
  sv32,
  sv39,
  sv48,
  sv57,
  x86Legacy,
  x86Long4,
  x86Long5,
  x86Pae,
} from 'pagewright/pte';
import { type RadixWalker, RiscvWalker, X86Walker } from 'pagewright/walk';

type Fields = Readonly<Record<string, number>>;

/** A paging mode under test: its format, the levels whose entries may be leaves, and a walker for a root. */
export interface Mode {
  readonly name: string;
  readonly format: PteFormat;
  readonly leafLevels: readonly number[];
  /** A walker whose rights refuse no read: WP=0, or SUM=MXR=1 and hardware that sets A. */
  readonly walker: (memory: PhysicalMemory, root: number) => RadixWalker;
}

function riscv(format: PteFormat, code: bigint): Mode {
  const xlen = format === sv32 ? 32 : 64;
  return {
    name: format.name,
    format,
    leafLevels: Array.from({ length: format.levels }, (_, level) => level),
    walker: (memory, root) => {
      const satp = (code << BigInt(xlen === 32 ? 31 : 60)) | BigInt(root);
      const walker = new RiscvWalker({ memory, xlen, satp, adue: true, pbmte: true });
      walker.sum = true;
      walker.mxr = true;
      return walker;
    },
  };
}

function x86(format: PteFormat, leafLevels: readonly number[], cr4: number, efer: number): Mode {
  return {
    name: format.name,
    format,
    leafLevels,
    walker: (memory, root) =>
      new X86Walker({ memory, cr0: 0x8000_0001, cr3: BigInt(root) << 12n, cr4, efer }),
  };
}

export const MODES: readonly Mode[] = [
  x86(x86Legacy, [0, 1], 0x90, 0),
  x86(x86Pae, [0, 1], 0xa0, 0x800),
  x86(x86Long4, [0, 1, 2], 0xa0, 0xd00),
  x86(x86Long5, [0, 1, 2], 0x10a0, 0xd00),
  riscv(sv32, 1n),
  riscv(sv39, 8n),
  riscv(sv48, 9n),
  riscv(sv57, 10n),
];

/** What the entries of a leaf have when a test does not care: everything allowed, accessed and dirty. */
export function openLeaf(format: PteFormat): Fields {
  if (format.architecture === 'x86') return { RW: 1, US: 1, A: 1, D: 1 };
  return { R: 1, W: 1, X: 1, U: 1, A: 1, D: 1 };
}

function openPointer(format: PteFormat, level: number): Fields {
  return format.architecture === 'x86' && !(format === x86Pae && level === 2)
    ? { RW: 1, US: 1, A: 1 }
    : {};
}

/** Builds tables in a memory: one root, further tables in the frames after it. */
export class Tables {
  readonly memory: PhysicalMemory;
  readonly format: PteFormat;
  readonly root: number;
  private nextFrame: number;

  constructor(memory: PhysicalMemory, format: PteFormat, root: number, nextFrame = root + 1) {
    this.memory = memory;
    this.format = format;
    this.root = root;
    this.nextFrame = nextFrame;
  }

  /** Maps an address, making the tables on the way that are not there yet. */
  map(va: bigint, pfn: number, level = 0, fields: Fields = openLeaf(this.format)): void {
    this.put(va, level, this.format.build({ kind: 'leaf', level, pfn, fields }));
  }

  /** Writes an entry as it is. */
  put(va: bigint, level: number, word: bigint): void {
    this.write(this.entryOf(va, level), word);
  }

  /** The physical address of an entry, making the tables on the way. */
  entryOf(va: bigint, level: number): bigint {
    const { format } = this;
    let table = this.root;
    for (let at = format.levels - 1; ; at--) {
      const address = BigInt(table) * 4096n + this.index(va, at) * BigInt(format.entryBytes);
      if (at === level) return address;
      const found = this.read(address);
      if ((found & 1n) === 0n) {
        const fields = openPointer(format, at);
        table = this.nextFrame++;
        this.write(address, format.build({ kind: 'pointer', level: at, pfn: table, fields }));
      } else {
        const low = Number(BigInt.asIntN(32, found));
        table = format.tablePfn(low, Number(BigInt.asIntN(32, found >> 32n)));
      }
    }
  }

  read(address: bigint): bigint {
    const pfn = Number(address >> 12n);
    const offset = Number(address & 4095n);
    if (this.format.entryBytes === 4) return BigInt(this.memory.read32(pfn, offset));
    this.memory.readWords(pfn, offset);
    return bigintFromWords(this.memory.low, this.memory.high);
  }

  write(address: bigint, word: bigint): void {
    const result = this.memory.write(address, this.format.entryBytes === 4 ? 4 : 8, word);
    if (result.kind !== 'ok') throw new Error(`no memory at ${address}`);
  }

  private index(va: bigint, level: number): bigint {
    const { indexBits, indexShift } = this.format;
    return (va >> BigInt(indexShift[level]!)) & ((1n << BigInt(indexBits[level]!)) - 1n);
  }
}

/** Page 0x5000 of a mode in 64 KiB of RAM, with tables from frame 1 on. */
export function mapped(
  format: Tables['format'],
  pfn: number,
  fields: Readonly<Record<string, number>>,
): Tables {
  const tables = new Tables(PhysicalMemory.allocate(0x1_0000, { base: 0 }), format, 1);
  tables.map(0x5000n, pfn, 0, fields);
  return tables;
}
