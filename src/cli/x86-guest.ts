import type { PhysicalMemory } from '../memory/index.js';
import { X86Ept, X86Npt, X86Walker } from '../walk/index.js';
import { checkRoot, type GuestKind, type PreparedGuest, refuseBeside } from './guest-kind.js';
import type { GuestOptions } from './guest-options.js';
import type { X86Registers } from './image.js';
import type { Mode } from './modes.js';

/** CR4 of each x86 mode, with PGE (bit 7); beside it PSE (4), PAE (5), LA57 (12). EFER: NXE (11), LMA (10), LME (8). */
const MODES: Readonly<Partial<Record<Mode, { readonly cr4: bigint; readonly efer: bigint }>>> = {
  'x86-32': { cr4: 0x90n, efer: 0n },
  pae: { cr4: 0xa0n, efer: 0x800n },
  'x86-64-4': { cr4: 0xa0n, efer: 0xd00n },
  'x86-64-5': { cr4: 0x10a0n, efer: 0xd00n },
};

/** CR4 of nested paging with four and five levels. */
const NPT_CR4: Readonly<Partial<Record<Mode, bigint>>> = { npt4: 0xa0n, npt5: 0x10a0n };

/** PG, WP, PE. */
const CR0 = 0x80010001n;
const CR4_PAE = 0x20n;
const EFER_LME = 0x100n;

/** EPTP beside the root: write-back tables of four or five levels. */
const EPTP: Readonly<Partial<Record<Mode, bigint>>> = { ept4: 0x1en, ept5: 0x26n };

/** An x86 guest, alone, under EPT or under nested paging. */
export const x86Guest: GuestKind = {
  title: 'x86',
  options: ['cr0', 'cr3', 'cr4', 'efer', 'eptp', 'ncr3'],
  roots: ['cr3'],
  prepare(found, options, image): PreparedGuest {
    refuseBeside(options, 'ncr3', 'eptp');
    const registers = override(found?.architecture === 'x86' ? found : initial(options), options);
    const nested = (options.eptp ?? options.ncr3) !== undefined;
    return {
      entryBytes: (registers.cr4 & CR4_PAE) !== 0n ? 8 : 4,
      ...(nested ? { hostEntryBytes: 8 } : {}),
      makeWalker: (memory) => x86Walker(memory, registers, options, image),
    };
  },
};

/** EPT alone: from guest-physical to host-physical addresses. */
export const eptGuest: GuestKind = {
  title: 'EPT',
  options: ['eptp'],
  roots: ['eptp'],
  prepare: (_found, { eptp, mode, root = 0n }) => ({
    entryBytes: 8,
    makeWalker: (memory) =>
      new X86Ept({ memory, eptp: eptp ?? checkRoot(root, 52, 4096) | EPTP[mode!]! }),
  }),
};

/** Nested paging alone: from guest-physical to host-physical addresses. */
export const nptGuest: GuestKind = {
  title: 'nested',
  options: ['ncr3'],
  roots: ['ncr3'],
  prepare: (_found, { mode, ncr3, root = 0n }) => ({
    entryBytes: 8,
    makeWalker: (memory) =>
      new X86Npt({ memory, cr3: ncr3 ?? checkRoot(root, 52, 4096), cr4: NPT_CR4[mode!]! }),
  }),
};

function initial({ mode }: GuestOptions): X86Registers {
  return { architecture: 'x86', cr0: CR0, cr3: 0n, ...MODES[mode!]!, maxPhyAddr: 52 };
}

function override(registers: X86Registers, options: GuestOptions): X86Registers {
  const { cr0 = registers.cr0, cr4 = registers.cr4, efer = registers.efer, root } = options;
  const { cr3 = root ?? registers.cr3 } = options;
  const pae = (cr4 & CR4_PAE) !== 0n && (efer & EFER_LME) === 0n;
  if (root !== undefined) checkRoot(root, 52, pae ? 32 : 4096);
  return { ...registers, cr0, cr3, cr4, efer };
}

function x86Walker(
  memory: PhysicalMemory,
  registers: X86Registers,
  { eptp, ncr3 }: GuestOptions,
  image: boolean,
): X86Walker {
  const all = { memory, ...registers };
  if (eptp !== undefined) {
    return new X86Walker({ ...all, secondStage: new X86Ept({ memory, eptp }) });
  }
  if (ncr3 !== undefined) {
    return new X86Walker({ ...all, secondStage: new X86Npt({ memory, cr3: ncr3 }) });
  }
  if (!image) return new X86Walker(all);
  // From an image, PAE's PDPTEs are taken as loaded: QEMU sets their A bit, with which a CPU would refuse them.
  const table = registers.cr3 & 0xffff_ffe0n; // CR3[31:5] (Intel SDM Vol. 3A, 4.4.1 PDPTE Registers)
  const pdptes = [0n, 8n, 16n, 24n].map((at) => {
    const entry = memory.read(table + at, 8);
    return entry.kind === 'value' ? entry.value : 0n;
  });
  return new X86Walker({ ...all, pdptes });
}
