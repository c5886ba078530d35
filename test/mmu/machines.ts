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
import { AArch64Walker, type RadixWalker, RiscvWalker, X86Walker } from 'pagewright/walk';

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

function x86(format: PteFormat, cr4: number): Machine {
  const long = (cr4 & CR4.pcide) !== 0;
  return {
    name: `${format.name}${long ? ' with PCIDs' : ''}`,
    format,
    tagged: long,
    cpu: (memory, root) => {
      const efer = { x86Legacy: 0, x86Pae: 0x800 }[format.name] ?? 0xd00;
      const cr3 = BigInt(root) << 12n;
      const walker = new X86Walker({ memory, cr3, cr4, efer });
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

function riscv(format: PteFormat, mode: bigint): Machine {
  const xlen = format === sv32 ? 32 : 64;
  const asidShift = xlen === 32 ? 22n : 44n;
  return {
    name: format.name,
    format,
    tagged: true,
    cpu: (memory, root) => {
      const satp = (space: number, at: number): bigint =>
        mode | (BigInt(space + 1) << asidShift) | BigInt(at);
      const walker = new RiscvWalker({ memory, xlen, adue: true, satp: satp(0, root) });
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

function arm(format: PteFormat, tg0: bigint, size: bigint): Machine {
  return {
    name: format.name,
    format,
    tagged: true,
    cpu: (memory, root) => {
      const ttbr0 = (space: number, at: number): bigint =>
        (BigInt(space + 1) << 48n) | (BigInt(at) << BigInt(format.pageShift));
      const tcr =
        size | (tg0 << 14n) | (1n << 23n) | (5n << 32n) | (1n << 36n) | (3n << 39n) | (1n << 37n);
      const walker = new AArch64Walker({ memory, tcr, mair: 0xffn, ttbr0: ttbr0(0, root) });
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
];

/** Accesses of every kind and privilege. */
export const ACCESSES: readonly number[] = [Access.Read, Access.Write, Access.Fetch].flatMap(
  (kind) => [kind, kind | Access.User],
);
