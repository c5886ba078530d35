import { Access } from 'pagewright/core';
import type { PhysicalMemory } from 'pagewright/memory';
import {
  aarch64,
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
import {
  AArch64Stage2,
  AArch64Walker,
  Pmp,
  type RadixWalker,
  RiscvGStage,
  RiscvWalker,
  X86Ept,
  X86Npt,
  X86Walker,
} from 'pagewright/walk';

/** A CPU with its registers, for programs that are the same on all. */
export interface Cpu {
  readonly walker: RadixWalker;
  /** Makes an address space current. */
  readonly enter: (space: number, root: number) => void;
  /** Changes a piece of state that needs no flush, by number. */
  readonly toggle: (what: number) => void;
}

/** A kind of machine. */
export interface Machine {
  readonly name: string;
  readonly format: PteFormat;
  /** Whether address spaces have numbers of their own. */
  readonly tagged: boolean;
  readonly cpu: (memory: PhysicalMemory, root: number) => Cpu;
}

/** PSE or PAE, PGE; PKE and LA57 where there are four and five levels. */
const CR4 = { legacy: 0x90, pae: 0xa0, long4: 0x4000a0, long5: 0x4010a0, pcide: 0x20000 } as const;

/**
 * Guest-physical memory is physical memory, but for what the second stage forbids: frames from 0x1000 on may not be written, those from 0x1800
 * on not be executed. Its own tables are in the last frames of memory, which the guest is not given.
 */
const TABLES = 16;

/** The frame where a second stage's tables begin. */
function hostTables(memory: PhysicalMemory): number {
  return (
    Math.floor(Math.max(...memory.regions().map(({ bytes }) => Number(bytes))) / 4096) - TABLES
  );
}

function x86(format: PteFormat, cr4: number, host: 'ept' | 'npt' | null = null): Machine {
  const long = (cr4 & CR4.pcide) !== 0;
  return {
    name: `${format.name}${long ? ' with PCIDs' : ''}${host === null ? '' : ` under ${host}`}`,
    format,
    tagged: long,
    cpu: (memory, root) => {
      const efer = { x86Legacy: 0, x86Pae: 0x800 }[format.name] ?? 0xd00;
      const cr3 = BigInt(root) << 12n;
      const secondStage = host === null ? {} : { secondStage: x86Host(memory, host) };
      const walker = new X86Walker({ memory, cr3, cr4, efer, ...secondStage });
      const keep = long ? 1n << 63n : 0n;
      const toggles = [
        () => {
          walker.ac = !walker.ac;
        },
        () => {
          walker.pkru ^= 0x4;
        },
        () => {
          walker.pkru ^= 0x30;
        },
        () => walker.writeCr0(BigInt(walker.cr0) ^ 0x10000n),
      ];
      return {
        walker,
        enter: (space, at) => {
          walker.loadCr3((BigInt(at) << 12n) | (long ? BigInt(space + 1) : 0n) | keep);
        },
        toggle: (what) => toggles[what % toggles.length]!(),
      };
    },
  };
}

function riscv(format: PteFormat, mode: bigint, host: 'g-stage' | 'pmp' | null = null): Machine {
  const xlen = format === sv32 ? 32 : 64;
  const asidShift = xlen === 32 ? 22n : 44n;
  return {
    name: host === null ? format.name : `${format.name} under ${host}`,
    format,
    tagged: true,
    cpu: (memory, root) => {
      const satp = (space: number, at: number): bigint =>
        mode | (BigInt(space + 1) << asidShift) | BigInt(at);
      const parts = host === 'pmp' ? { pmp: pmp() } : {};
      const gStage = host === 'g-stage' ? riscvHost(memory) : null;
      const second = gStage === null ? parts : { secondStage: gStage };
      const walker = new RiscvWalker({ memory, xlen, adue: true, satp: satp(0, root), ...second });
      const toggles = [
        () => {
          walker.sum = !walker.sum;
        },
        () => {
          walker.mxr = !walker.mxr;
        },
        () => {
          walker.mprv = !walker.mprv;
        },
        () => {
          walker.mpp = walker.mpp === 0 ? 1 : 0;
        },
        () => {
          if (gStage !== null) gStage.mxr = !gStage.mxr;
        },
      ];
      return {
        walker,
        enter: (space, at) => {
          walker.setSatp(satp(space, at));
        },
        toggle: (what) => toggles[what % toggles.length]!(),
      };
    },
  };
}

function arm(format: PteFormat, tg0: bigint, size: bigint, host = false): Machine {
  return {
    name: host ? `${format.name} under stage 2` : format.name,
    format,
    tagged: true,
    cpu: (memory, root) => {
      const ttbr0 = (space: number, at: number): bigint =>
        (BigInt(space + 1) << 48n) | (BigInt(at) << BigInt(format.pageShift));
      const tcr =
        size | (tg0 << 14n) | (1n << 23n) | (5n << 32n) | (1n << 36n) | (3n << 39n) | (1n << 37n);
      const second = host ? { secondStage: armHost(memory) } : {};
      const walker = new AArch64Walker({
        memory,
        tcr,
        mair: 0xffn,
        ttbr0: ttbr0(0, root),
        ...second,
      });
      const toggles = [
        () => {
          walker.pan = !walker.pan;
        },
        () => walker.setRegisters({ sctlr: walker.sctlr ^ (1n << 57n) }),
      ];
      return {
        walker,
        enter: (space, at) => {
          walker.setRegisters({ ttbr0: ttbr0(space, at) });
        },
        toggle: (what) => toggles[what % toggles.length]!(),
      };
    },
  };
}

/** 2 MiB leaves from frame 0 on, in one table, with what a frame allows. */
function leaves(
  memory: PhysicalMemory,
  table: number,
  entry: (frame: bigint, writable: boolean, executable: boolean) => bigint,
): void {
  for (let index = 0; index < 512; index++) {
    const frame = index * 512;
    memory.write(table * 4096 + 8 * index, 8, entry(BigInt(frame), frame < 0x1000, frame < 0x1800));
  }
}

function x86Host(memory: PhysicalMemory, kind: 'ept' | 'npt'): X86Ept | X86Npt {
  const first = hostTables(memory);
  const pointer = (frame: number): bigint => (BigInt(frame) << 12n) | 7n;
  memory.write(first * 4096, 8, pointer(first + 1));
  memory.write((first + 1) * 4096, 8, pointer(first + 2));
  leaves(memory, first + 2, (frame, writable, executable) =>
    kind === 'ept'
      ? (frame << 12n) | 0xb1n | (writable ? 2n : 0n) | (executable ? 4n : 0n)
      : (frame << 12n) | 0x85n | (writable ? 2n : 0n) | (executable ? 0n : 1n << 63n),
  );
  if (kind === 'ept') return new X86Ept({ memory, eptp: (BigInt(first) << 12n) | 0x5en });
  return new X86Npt({ memory, cr3: BigInt(first) << 12n });
}

function riscvHost(memory: PhysicalMemory): RiscvGStage {
  // The root is 16 KiB.
  const first = hostTables(memory);
  memory.write(first * 4096, 8, (BigInt(first + 4) << 10n) | 1n);
  leaves(memory, first + 4, (frame, writable, executable) => {
    return (frame << 10n) | 0x53n | (writable ? 4n : 0n) | (executable ? 8n : 0n);
  });
  const hgatp = (8n << 60n) | (3n << 44n) | BigInt(first);
  return new RiscvGStage({ memory, hgatp, adue: true });
}

function armHost(memory: PhysicalMemory): AArch64Stage2 {
  const first = hostTables(memory);
  memory.write(first * 4096, 8, (BigInt(first + 1) << 12n) | 3n);
  leaves(memory, first + 1, (frame, writable, executable) => {
    const rights = (1n << 6n) | (writable ? 1n << 7n : 0n) | (executable ? 0n : 1n << 54n);
    return (frame << 12n) | 0x401n | (0xfn << 2n) | (3n << 8n) | rights;
  });
  // 39 bits from level 1 on, 40 bits out.
  const vtcr = 25n | (1n << 6n) | (2n << 16n) | (1n << 31n);
  return new AArch64Stage2({ memory, vtcr, vttbr: BigInt(first) << 12n, hcr: 1n });
}

/** Frames from 0x1000 on may not be written, but for half of one; everything else may. */
function pmp(): Pmp {
  const all = new Pmp({ entries: 16 });
  all.setAddress(0, 0x1000n << 10n);
  all.setConfig(0, 0x0f);
  all.setAddress(1, (0x1000n << 10n) + 0x200n);
  all.setConfig(1, 0x0b);
  all.setAddress(2, (1n << 54n) - 1n);
  all.setConfig(2, 0x1d);
  return all;
}

/** Every kind of tables that the walkers have. */
export const MACHINES: readonly Machine[] = [
  x86(x86Legacy, CR4.legacy),
  x86(x86Pae, CR4.pae),
  x86(x86Long4, CR4.long4),
  x86(x86Long4, CR4.long4 | CR4.pcide),
  x86(x86Long5, CR4.long5 | CR4.pcide),
  riscv(sv32, 1n << 31n),
  riscv(sv39, 8n << 60n),
  riscv(sv48, 9n << 60n),
  riscv(sv57, 10n << 60n),
  arm(aarch64({ granule: 4096, virtualBits: 48 }), 0n, 16n),
  arm(aarch64({ granule: 16384, virtualBits: 47 }), 2n, 17n),
  arm(aarch64({ granule: 65536, virtualBits: 48 }), 1n, 16n),
  x86(x86Long4, CR4.long4 | CR4.pcide, 'ept'),
  x86(x86Pae, CR4.pae, 'npt'),
  riscv(sv39, 8n << 60n, 'g-stage'),
  riscv(sv48, 9n << 60n, 'pmp'),
  arm(aarch64({ granule: 4096, virtualBits: 48 }), 0n, 16n, true),
];

/** Accesses of every kind and privilege. */
export const ACCESSES: readonly number[] = [Access.Read, Access.Write, Access.Fetch].flatMap(
  (kind) => [kind, kind | Access.User],
);
