import { PhysicalMemory as Memory, type PhysicalMemory } from 'pagewright/memory';
import {
  aarch64,
  type EntryKind,
  eptLong4,
  eptLong4ModeBased,
  eptLong5,
  type PteFormat,
  sv32,
  sv32x4,
  sv39,
  sv39x4,
  sv48,
  sv48x4,
  sv57,
  sv57x4,
  x86Legacy,
  x86Long4,
  x86Long5,
  x86Pae,
} from 'pagewright/pte';
import {
  AArch64Stage2,
  AArch64Walker,
  type RadixWalker,
  RiscvGStage,
  RiscvWalker,
  X86Ept,
  X86Npt,
  X86Walker,
} from 'pagewright/walk';

/** Frames of RAM, from frame 0x80000 on (x86: 0x400). */
export const FRAMES = 1024;

/** A bump allocator of 4 KiB frames over a memory that begins with them. */
export class Frames {
  private next: number;

  constructor(first: number) {
    this.next = first;
  }

  /** The first of some frames, aligned to their number. */
  take(count: number): number {
    const first = Math.ceil(this.next / count) * count;
    this.next = first + count;
    return first;
  }
}

/** What entries of a format look like here. */
export interface Style {
  readonly format: PteFormat;
  readonly leaf: Readonly<Record<string, number>>;
  readonly pointer: Readonly<Record<string, number>>;
}

const RISCV_LEAF = { R: 1, W: 1, X: 1, U: 1, A: 1, D: 1 };
const X86_LEAF = { RW: 1, US: 1, A: 1, D: 1 };
const X86_POINTER = { RW: 1, US: 1, A: 1 };

const riscv = (format: PteFormat): Style => ({ format, leaf: RISCV_LEAF, pointer: {} });
const x86 = (format: PteFormat): Style => ({ format, leaf: X86_LEAF, pointer: X86_POINTER });
const ept = (format: PteFormat): Style => ({
  format,
  leaf: { R: 1, W: 1, X: 1, XU: 1, MT: 6, A: 1, D: 1 },
  pointer: { R: 1, W: 1, X: 1, XU: 1, A: 1 },
});
const arm = (granule: 4096 | 16384 | 65536, virtualBits: number, stage: 1 | 2): Style => ({
  format: aarch64({ granule, virtualBits, stage }),
  leaf:
    stage === 1
      ? { AF: 1, AP1: 1, SH: 3, NG: 1 }
      : { AF: 1, S2AP0: 1, S2AP1: 1, SH: 3, MEMATTR: 15 },
  pointer: {},
});

/** A tree of tables that is built as it is mapped into. */
export class Tree {
  readonly style: Style;
  /** The root's 4 KiB frame. */
  readonly root: number;
  /** Tables as this tree's owner sees them, by the address of the entry that points there. */
  private readonly tables = new Map<bigint, number>();
  /** Where an entry really is. */
  private readonly place: (frame: number) => number;
  private readonly memory: PhysicalMemory;
  private readonly frames: Frames;
  /** Addresses of all entries that were written, in real memory. */
  readonly written: bigint[] = [];

  constructor(
    memory: PhysicalMemory,
    frames: Frames,
    style: Style,
    place: (frame: number) => number = (frame) => frame,
  ) {
    this.memory = memory;
    this.frames = frames;
    this.style = style;
    this.place = place;
    const { format } = style;
    const rootBytes = 2 ** format.indexBits.at(-1)! * format.entryBytes;
    this.root = frames.take(Math.max(1, rootBytes / 4096, this.granule));
  }

  /** 4 KiB frames in a page of the format. */
  get granule(): number {
    return 2 ** (this.style.format.pageShift - 12);
  }

  /** Maps a page; both numbers in 4 KiB, aligned to the leaf. */
  map(vpn: number, pfn: number, level = 0, leaf: Readonly<Record<string, number>> = {}): void {
    const { format } = this.style;
    let table = this.root;
    for (let at = format.levels - 1; at > level; at--) {
      table = this.below(table, this.indexOf(vpn, at), at);
    }
    const fields = { ...this.style.leaf, ...leaf };
    this.write(table, this.indexOf(vpn, level), 'leaf', level, pfn / this.granule, fields);
  }

  private below(table: number, index: number, level: number): number {
    const { format, pointer } = this.style;
    const key = BigInt(table) * 4096n + BigInt(index * format.entryBytes);
    let next = this.tables.get(key);
    if (next === undefined) {
      next = this.frames.take(this.granule);
      this.tables.set(key, next);
      // A PAE PDPTE has no rights.
      const fields = format === x86Pae && level === 2 ? {} : pointer;
      this.write(table, index, 'pointer', level, next / this.granule, fields);
    }
    return next;
  }

  private indexOf(vpn: number, level: number): number {
    const { format } = this.style;
    const shift = format.indexShift[level]! - 12;
    return Math.floor(vpn / 2 ** shift) % 2 ** format.indexBits[level]!;
  }

  private write(
    table: number,
    index: number,
    kind: EntryKind,
    level: number,
    pfn: number,
    fields: Readonly<Record<string, number>>,
  ): void {
    const { format } = this.style;
    const known = new Set(format.fieldsOf(kind, level).map(({ name }) => name));
    const own = Object.fromEntries(Object.entries(fields).filter(([name]) => known.has(name)));
    const byte = index * format.entryBytes;
    const frame = this.place(table + Math.floor(byte / 4096));
    const address = BigInt(frame) * 4096n + BigInt(byte % 4096);
    const width = format.entryBytes === 4 ? 4 : 8;
    this.memory.write(address, width, format.build({ kind, level, pfn, fields: own }));
    this.written.push(address);
  }
}

/** A guest and its second stage. */
export interface Machine {
  readonly memory: PhysicalMemory;
  readonly walker: RadixWalker;
  readonly host: Tree;
  readonly guest: Tree;
  /** Pages that the guest has mapped, 4 KiB. */
  readonly vpns: readonly number[];
}

/** A pair of stages. */
export interface NestedKind {
  readonly name: string;
  readonly guest: Style;
  readonly host: Style;
  /** The first frame of RAM. */
  readonly base: number;
  readonly make: (memory: PhysicalMemory, guestRoot: number, hostRoot: number) => RadixWalker;
}

const MODE: Readonly<Record<string, bigint>> = { sv39: 8n, sv48: 9n, sv57: 10n };

function riscvKind(guest: PteFormat, host: PteFormat): NestedKind {
  const xlen = guest.entryBytes === 4 ? 32 : 64;
  const mode = (format: PteFormat): bigint =>
    xlen === 32 ? 1n << 31n : MODE[format.name.slice(0, 4)]! << 60n;
  return {
    name: `${guest.name} over ${host.name}`,
    guest: riscv(guest),
    host: riscv(host),
    base: 0x80000,
    make: (memory, guestRoot, hostRoot) => {
      const hgatp = mode(host) | BigInt(hostRoot);
      const secondStage = new RiscvGStage({ memory, xlen, hgatp, adue: true });
      const satp = mode(guest) | BigInt(guestRoot);
      return new RiscvWalker({ memory, xlen, satp, secondStage, adue: true });
    },
  };
}

const CR4: Readonly<Record<string, number>> = {
  x86Legacy: 0x10,
  x86Pae: 0x20,
  x86Long4: 0x20,
  x86Long5: 0x1020,
};

function x86Kind(guest: PteFormat, host: PteFormat | 'npt', modeBased = false): NestedKind {
  const long = guest === x86Long4 || guest === x86Long5;
  return {
    name: `${guest.name} over ${host === 'npt' ? 'nested paging' : host.name}`,
    guest: x86(guest),
    host: host === 'npt' ? x86(x86Long4) : ept(host),
    base: 0x400,
    make: (memory, guestRoot, hostRoot) => {
      const root = BigInt(hostRoot) << 12n;
      const flags = host === 'npt' ? 0n : host.levels === 5 ? 0x66n : 0x5en;
      const secondStage =
        host === 'npt'
          ? new X86Npt({ memory, cr3: root })
          : new X86Ept({ memory, eptp: root | flags, modeBasedExecute: modeBased });
      const registers = {
        cr4: CR4[guest.name]!,
        efer: long ? 0xd00 : guest === x86Pae ? 0x800 : 0,
      };
      return new X86Walker({ memory, cr3: BigInt(guestRoot) << 12n, ...registers, secondStage });
    },
  };
}

const TG: Readonly<Record<number, bigint>> = { 4096: 0n, 16384: 2n, 65536: 1n };

function armKind(granule: 4096 | 16384 | 65536, guestBits: number, hostBits: number): NestedKind {
  const guest = arm(granule, guestBits, 1);
  const host = arm(granule, hostBits, 2);
  const start = 3 - (host.format.levels - 1);
  const sl0 = granule === 4096 ? 2 - start : 3 - start;
  return {
    name: `AArch64 ${granule / 1024}K, ${guestBits} over ${hostBits} bits`,
    guest,
    host,
    base: 0x80000,
    make: (memory, guestRoot, hostRoot) => {
      const vttbr = BigInt(hostRoot) << 12n;
      const updates = (1n << 21n) | (1n << 22n);
      const vtcr =
        BigInt(64 - hostBits) | (BigInt(sl0) << 6n) | (TG[granule]! << 14n) | (5n << 16n) | updates;
      const secondStage = new AArch64Stage2({ memory, vtcr, vttbr });
      const tcr = BigInt(64 - guestBits) | (TG[granule]! << 14n) | (5n << 32n) | (3n << 39n);
      const ttbr0 = BigInt(guestRoot) << 12n;
      return new AArch64Walker({ memory, tcr, ttbr0, mair: 0xffn, secondStage });
    },
  };
}

/** All kinds of nesting. */
export const NESTED: readonly NestedKind[] = [
  riscvKind(sv32, sv32x4),
  ...[sv39, sv48, sv57].flatMap((guest) =>
    [sv39x4, sv48x4, sv57x4].map((host) => riscvKind(guest, host)),
  ),
  ...[x86Legacy, x86Pae, x86Long4, x86Long5].flatMap((guest) => [
    x86Kind(guest, eptLong4),
    x86Kind(guest, eptLong5),
    x86Kind(guest, eptLong4ModeBased, true),
    x86Kind(guest, 'npt'),
  ]),
  armKind(4096, 39, 39),
  armKind(4096, 48, 48),
  armKind(16384, 47, 40),
  armKind(16384, 48, 47),
  armKind(65536, 42, 42),
  armKind(65536, 48, 48),
];

/** Memory of a kind: flat RAM is what fast paths read, sparse RAM sends every walk into the complete form. */
export function ram(base: number, flat: boolean): PhysicalMemory {
  if (flat) return Memory.allocate(FRAMES * 4096, { base: base * 4096 });
  const memory = new Memory();
  memory.addSparse({ base: base * 4096, bytes: FRAMES * 4096 });
  return memory;
}

/**
 * A guest with some pages of its lowest addresses mapped, above a second stage that maps guest-physical memory to RAM
 * with an offset: guest frame `base + n` is host frame `base + 256 + n`.
 */
export function nestedMachine(kind: NestedKind, flat = true, pages = 4): Machine {
  const { base } = kind;
  const memory = ram(base, flat);
  const host = new Tree(memory, new Frames(base), kind.host);
  const guestFrames = new Frames(base);
  const toHost = (frame: number): number => frame + 256;
  const guest = new Tree(memory, guestFrames, kind.guest, toHost);
  const step = Math.max(guest.granule, host.granule);
  const vpns: number[] = [];
  for (let page = 0; page < pages; page++) {
    const vpn = page * step;
    guest.map(vpn, base + 256 + page * step);
    vpns.push(vpn);
  }
  // Guest frames base to base + 511 are host frames base + 256 to base + 767.
  for (let frame = base; frame < base + 512; frame += host.granule) host.map(frame, toHost(frame));
  return { memory, walker: kind.make(memory, guest.root, host.root), host, guest, vpns };
}
