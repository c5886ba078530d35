// Walkers over tables of page-tables.ts.
import { PhysicalMemory } from 'pagewright/memory';
import type { PteFormat } from 'pagewright/pte';
import { AArch64Walker, type Pmp, RiscvWalker, X86Walker } from 'pagewright/walk';
import { FIRST_PFN, type Tables } from './page-tables.js';

/** Of the machine that x86 cases simulate. */
export const MAX_PHY_ADDR = 46;

const CR0 = 0x8001_0001;
/** PGE, PAE; SMEP and SMAP, as every current kernel has them. */
const CR4 = 0x30_00a0;
const CR4_LA57 = 0x1000;
const CR4_LEGACY = 0x30_0090;
const EFER_LONG = 0xd00;
const EFER_NXE = 0x800;

/** Physical memory around the tables' RAM. */
export function memoryOf(tables: Tables): PhysicalMemory {
  return PhysicalMemory.wrap(tables.ram, { base: FIRST_PFN * 4096 });
}

/** The walker of a format over its tables. */
export function walkerOf(
  tables: Tables,
  memory: PhysicalMemory = memoryOf(tables),
): AArch64Walker | RiscvWalker | X86Walker {
  switch (tables.format.architecture) {
    case 'x86':
      return x86WalkerOf(tables, memory);
    case 'aarch64':
      return aarch64WalkerOf(tables, memory);
    default:
      return riscvWalkerOf(tables, memory);
  }
}

/** The same for AArch64: 48-bit addresses, PAN on, as every current kernel has it. */
export function aarch64WalkerOf({ root }: Tables, memory: PhysicalMemory): AArch64Walker {
  const tcr = 16n | (5n << 32n) | (3n << 39n);
  return new AArch64Walker({ memory, tcr, ttbr0: root * 4096, mair: 0xffn, pan: true });
}

/** The same for x86. */
export function x86WalkerOf({ format, root }: Tables, memory: PhysicalMemory): X86Walker {
  const cr3 = root * 4096;
  const machine = { memory, cr0: CR0, cr3 };
  switch (format.name) {
    case 'x86Legacy':
      return new X86Walker({ ...machine, cr4: CR4_LEGACY, efer: 0 });
    case 'x86Pae':
      return new X86Walker({ ...machine, cr4: CR4, efer: EFER_NXE, maxPhyAddr: MAX_PHY_ADDR });
    default: {
      const cr4 = format.name === 'x86Long5' ? CR4 | CR4_LA57 : CR4;
      return new X86Walker({ ...machine, cr4, efer: EFER_LONG, maxPhyAddr: MAX_PHY_ADDR });
    }
  }
}

const SATP_MODE: Readonly<Record<string, bigint>> = {
  sv32: 1n << 31n,
  sv39: 8n << 60n,
  sv48: 9n << 60n,
  sv57: 10n << 60n,
};

/** The same for RISC-V. */
export function riscvWalkerOf(
  { format, root }: Tables,
  memory: PhysicalMemory,
  pmp?: Pmp,
): RiscvWalker {
  const satp = modeOf(format) | BigInt(root);
  const xlen = format.name === 'sv32' ? 32 : 64;
  return new RiscvWalker({ memory, xlen, satp, adue: true, ...(pmp && { pmp }) });
}

function modeOf(format: PteFormat): bigint {
  return SATP_MODE[format.name]!;
}
