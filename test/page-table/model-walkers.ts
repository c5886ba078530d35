import { Access, Prot } from 'pagewright/core';
import type { PhysicalMemory } from 'pagewright/memory';
import type { PteFormat } from 'pagewright/pte';
import {
  AArch64Stage2,
  AArch64Walker,
  FormatWalker,
  type RadixWalker,
  RiscvGStage,
  RiscvWalker,
  X86Ept,
  X86Npt,
  X86Walker,
} from 'pagewright/walk';

/** Hardware that reads a format's tables and updates accessed and dirty bits, and what it lets pass. */
export interface Hardware {
  readonly walker: RadixWalker;
  /** Whether a leaf with these rights lets an access pass, once all that a register can forbid is allowed. */
  readonly permits: (prot: number, access: number) => boolean;
}

/** The right that a kind of access needs. */
function needs(access: number): number {
  return { [Access.Read]: Prot.Read, [Access.Write]: Prot.Write }[access & 3] ?? Prot.Execute;
}

const isUser = (access: number): boolean => (access & Access.User) !== 0;

/** Second stages ask for no privilege. */
const anybody: Hardware['permits'] = (prot, access) => (prot & needs(access)) !== 0;

/** User mode needs `User`; the supervisor may do what the page allows: no SMEP, no SMAP, WP set. */
const privileged: Hardware['permits'] = (prot, access) =>
  anybody(prot, access) && (!isUser(access) || (prot & Prot.User) !== 0);

/** With SUM the supervisor reads and writes users' pages, and executes none (RISC-V Privileged, 12.1.1.2). */
const riscvPermits: Hardware['permits'] = (prot, access) => {
  const foreign = isUser(access) !== ((prot & Prot.User) !== 0);
  if (foreign && (isUser(access) || (access & 3) === Access.Fetch)) return false;
  return anybody(prot, access);
};

/** Without PAN EL1 reads and writes EL0's pages; each level executes its own. */
const armPermits: Hardware['permits'] = (prot, access) => {
  const foreign = isUser(access) !== ((prot & Prot.User) !== 0);
  if (foreign && (isUser(access) || (access & 3) === Access.Fetch)) return false;
  return anybody(prot, access);
};

const CR4: Readonly<Record<string, number>> = {
  x86Legacy: 0x90,
  x86Pae: 0xa0,
  x86Long4: 0xa0,
  x86Long5: 0x10a0,
  nptLong4: 0x20,
  nptLong5: 0x1020,
};

function x86Hardware(memory: PhysicalMemory, format: PteFormat, root: bigint): Hardware {
  const { levels, name } = format;
  if (name.startsWith('ept')) {
    const eptp = root | BigInt(((levels - 1) << 3) | 0x46);
    const modeBasedExecute = name.endsWith('mode-based');
    return { walker: new X86Ept({ memory, eptp, modeBasedExecute }), permits: anybody };
  }
  const efer = { x86Legacy: 0, x86Pae: 0x800 }[name] ?? 0xd00;
  const registers = { memory, cr3: root, cr4: CR4[name]!, efer };
  return name.startsWith('npt')
    ? { walker: new X86Npt(registers), permits: anybody }
    : { walker: new X86Walker(registers), permits: privileged };
}

const RISCV_MODE: Readonly<Record<string, bigint>> = {
  sv32: 1n << 31n,
  sv39: 8n << 60n,
  sv48: 9n << 60n,
  sv57: 10n << 60n,
};

function riscvHardware(memory: PhysicalMemory, { name }: PteFormat, root: number): Hardware {
  const xlen = name.startsWith('sv32') ? 32 : 64;
  const register = RISCV_MODE[name.slice(0, 4)]! | BigInt(root);
  const extensions = { memory, xlen, adue: true, svnapot: true } as const;
  if (name.endsWith('x4')) {
    return { walker: new RiscvGStage({ ...extensions, hgatp: register }), permits: anybody };
  }
  const walker = new RiscvWalker({ ...extensions, satp: register });
  walker.sum = true;
  return { walker, permits: riscvPermits };
}

/** TG0 and TG1 by the granule's shift. */
const GRANULES: Readonly<Record<number, readonly [bigint, bigint]>> = {
  12: [0n, 2n],
  14: [2n, 1n],
  16: [1n, 3n],
};

function armHardware(memory: PhysicalMemory, format: PteFormat, root: bigint): Hardware {
  const { levels, onesExtended, pageShift, physicalBits, virtualBits } = format;
  const wide = physicalBits > 48;
  const [tg0, tg1] = GRANULES[pageShift]!;
  const size = BigInt(64 - virtualBits);
  // With 52-bit addresses bits 5:2 of the base are address bits 51:48.
  const base = wide ? (root & ((1n << 48n) - 1n)) | ((root >> 48n) << 2n) : root;
  const lpa2 = wide && pageShift < 16 ? 1n : 0n;
  const output = wide ? 6n : 5n;
  if (format.name.includes('stage 2')) {
    const start = 4 - levels;
    const sl0 = BigInt(pageShift === 12 ? 2 - start : 3 - start);
    const updates = (1n << 21n) | (1n << 22n);
    const vtcr =
      size | (sl0 << 6n) | (tg0 << 14n) | (output << 16n) | updates | (1n << 31n) | (lpa2 << 32n);
    return { walker: new AArch64Stage2({ memory, vtcr, vttbr: base }), permits: anybody };
  }
  const half = onesExtended
    ? (size << 16n) | (tg1 << 30n) | (1n << 7n)
    : size | (tg0 << 14n) | (1n << 23n);
  const tcr = half | (output << 32n) | (1n << 39n) | (1n << 40n) | (lpa2 << 59n);
  const registers = onesExtended ? { tcr, ttbr1: base } : { tcr, ttbr0: base };
  return { walker: new AArch64Walker({ memory, mair: 0xffn, ...registers }), permits: armPermits };
}

/** The hardware of a format, with a root in the format's pages. */
export function hardwareFor(memory: PhysicalMemory, format: PteFormat, root: number): Hardware {
  const address = BigInt(root) << BigInt(format.pageShift);
  switch (format.architecture) {
    case 'x86':
      return x86Hardware(memory, format, address);
    case 'riscv':
      return riscvHardware(memory, format, root);
    case 'aarch64':
      return armHardware(memory, format, address);
    default:
      return { walker: new FormatWalker({ memory, format, root }), permits: privileged };
  }
}
