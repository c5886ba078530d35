import type { Command } from 'commander';
import { checkBits, VmError } from '../core/index.js';
import { PhysicalMemory } from '../memory/index.js';
import { encodeSatp, RISCV_SATP_MODE } from '../pte/index.js';
import { type RadixWalker, RiscvWalker, X86Walker } from '../walk/index.js';
import { type InlineEntry, parseCount, parseNumber } from './arguments.js';
import {
  type Guest,
  openImage,
  type Registers,
  type RiscvRegisters,
  type X86Registers,
} from './image.js';
import { formatOf, type Mode, modeOf, modeOption } from './modes.js';

/** The options that say what is walked; all of {@link addGuestOptions}. */
export interface GuestOptions {
  readonly mode?: Mode;
  readonly root?: bigint;
  readonly base?: bigint;
  readonly cpu?: number;
  readonly cr0?: bigint;
  readonly cr3?: bigint;
  readonly cr4?: bigint;
  readonly efer?: bigint;
  readonly satp?: bigint;
  readonly sum?: true;
  readonly mxr?: true;
  readonly adue?: true;
  readonly pbmte?: true;
}

const X86_OPTIONS = ['cr0', 'cr3', 'cr4', 'efer'] as const;
const RISCV_OPTIONS = ['satp', 'sum', 'mxr', 'adue', 'pbmte'] as const;

/** CR4 of each x86 mode, with PGE (bit 7); beside it PSE (4), PAE (5), LA57 (12). EFER: NXE (11), LMA (10), LME (8). */
const X86_MODES = {
  'x86-32': { cr4: 0x90n, efer: 0n },
  pae: { cr4: 0xa0n, efer: 0x800n },
  'x86-64-4': { cr4: 0xa0n, efer: 0xd00n },
  'x86-64-5': { cr4: 0x10a0n, efer: 0xd00n },
} as const;

/** PG, WP, PE. */
const CR0 = 0x80010001n;
const CR4_PAE = 0x20n;
const EFER_LME = 0x100n;

/** Adds the options that a raw image or inline entries need and other images may override. */
export function addGuestOptions(command: Command): Command {
  return command
    .addOption(modeOption())
    .option('--root <address>', 'physical address of the root table', parseNumber)
    .option('--base <address>', 'physical address of a raw image (default 0)', parseNumber)
    .option('--cpu <n>', 'which CPU of an ELF core (default 0)', parseCount)
    .option('--cr3 <value>', 'x86: the root as the register holds it', parseNumber)
    .option('--cr0 <value>', 'x86: CR0 (default PG WP PE)', parseNumber)
    .option('--cr4 <value>', 'x86: CR4 (default what the mode needs)', parseNumber)
    .option('--efer <value>', 'x86: IA32_EFER (default what the mode needs, with NXE)', parseNumber)
    .option('--satp <value>', 'RISC-V: mode and root as the register holds them', parseNumber)
    .option('--sum', 'RISC-V: supervisor loads and stores reach user pages')
    .option('--mxr', 'RISC-V: loads may read executable pages')
    .option('--adue', 'RISC-V: hardware sets A and D instead of faulting')
    .option('--pbmte', 'RISC-V: PBMT bits have their meaning');
}

/**
 * Makes the walker that the options ask for.
 *
 * @param path - The image, or `undefined`: then memory reads 0 but for the entries.
 * @param entries - Written over the image, in memory.
 * @param options - Registers, where the image has none or others are wanted.
 * @throws VmError naming the option that is missing or wrong.
 */
export function makeWalker(
  path: string | undefined,
  entries: readonly InlineEntry[],
  options: GuestOptions,
): RadixWalker {
  const { memory, registers: found } =
    path === undefined ? emptyGuest(options) : openImage(path, options);
  const registers = override(startingRegisters(found, options), options);
  writeEntries(memory, entries, entryBytes(registers));
  const walker =
    registers.architecture === 'x86'
      ? x86Walker(memory, registers, path !== undefined)
      : riscvWalker(memory, registers);
  const { mode } = options;
  if (mode !== undefined && walker.format !== formatOf(mode)) {
    const value = walker.format === null ? 'no translation' : modeOf(walker.format);
    const expected = `registers that select ${mode}`;
    throw new VmError('bad-argument', { argument: '--mode', value, expected });
  }
  return walker;
}

/** Memory that reads 0 wherever RISC-V and x86 can have some: 2^56 bytes, in regions as large as they may be. */
function emptyGuest({ base, cpu }: GuestOptions): Guest {
  const needless = base !== undefined ? '--base' : cpu !== undefined ? '--cpu' : null;
  if (needless !== null) {
    const expected = 'no such option without an image';
    throw new VmError('bad-argument', { argument: needless, expected });
  }
  const memory = new PhysicalMemory();
  for (let at = 0n; at < 16n; at++) memory.addSparse({ base: at << 52n, bytes: 2 ** 52 });
  return { memory, registers: null };
}

/** The image's registers, or those of a mode when a root is given with it. */
function startingRegisters(found: Registers | null, options: GuestOptions): Registers {
  const { cr3, mode, root, satp } = options;
  const rooted = (root ?? cr3 ?? satp) !== undefined;
  if (found !== null && (mode === undefined || !rooted)) return found;
  if (mode === undefined && satp === undefined) {
    const expected = 'a mode such as sv39, for no registers are given that tell it';
    throw new VmError('bad-argument', { argument: '--mode', expected });
  }
  const x86 = isX86(mode);
  if (root === undefined && (x86 ? cr3 : satp) === undefined) {
    const expected = `the address of the root table (or ${x86 ? '--cr3' : '--satp'})`;
    throw new VmError('bad-argument', { argument: '--root', expected });
  }
  if (x86) return { architecture: 'x86', cr0: CR0, cr3: 0n, ...X86_MODES[mode], maxPhyAddr: 52 };
  const xlen = mode === 'sv32' ? 32 : 64;
  const flags = { sum: false, mxr: false, adue: false, pbmte: false };
  const fields = { MODE: mode === undefined ? 0 : RISCV_SATP_MODE[mode] };
  return { architecture: 'riscv', xlen, satp: encodeSatp({ fields }, xlen), ...flags };
}

function isX86(mode: Mode | undefined): mode is keyof typeof X86_MODES {
  return mode !== undefined && Object.hasOwn(X86_MODES, mode);
}

function override(registers: Registers, options: GuestOptions): Registers {
  const x86 = registers.architecture === 'x86';
  const foreign = (x86 ? RISCV_OPTIONS : X86_OPTIONS).find((name) => options[name] !== undefined);
  if (foreign !== undefined) {
    const expected = `no such option with ${x86 ? 'x86' : 'RISC-V'} tables`;
    throw new VmError('bad-argument', { argument: `--${foreign}`, expected });
  }
  const whole = x86 ? 'cr3' : 'satp';
  if (options.root !== undefined && options[whole] !== undefined) {
    const expected = `no such option beside --${whole}`;
    throw new VmError('bad-argument', { argument: '--root', expected });
  }
  return registers.architecture === 'x86'
    ? overrideX86(registers, options)
    : overrideRiscv(registers, options);
}

function overrideX86(registers: X86Registers, options: GuestOptions): X86Registers {
  const { cr0 = registers.cr0, cr4 = registers.cr4, efer = registers.efer, root } = options;
  const { cr3 = root ?? registers.cr3 } = options;
  const pae = (cr4 & CR4_PAE) !== 0n && (efer & EFER_LME) === 0n;
  if (root !== undefined) checkRoot(root, 52, pae ? 32n : 4096n);
  return { ...registers, cr0, cr3, cr4, efer };
}

function overrideRiscv(registers: RiscvRegisters, options: GuestOptions): RiscvRegisters {
  const { root, sum, mxr, adue, pbmte } = options;
  let { satp = registers.satp } = options;
  if (root !== undefined) {
    const ppnBits = registers.xlen === 32 ? 22n : 44n;
    checkRoot(root, Number(ppnBits) + 12, 4096n);
    satp = ((satp >> ppnBits) << ppnBits) | (root >> 12n);
  }
  return {
    ...registers,
    satp,
    sum: sum ?? registers.sum,
    mxr: mxr ?? registers.mxr,
    adue: adue ?? registers.adue,
    pbmte: pbmte ?? registers.pbmte,
  };
}

function checkRoot(root: bigint, bits: number, alignment: bigint): void {
  checkBits('--root', root, bits);
  if (root % alignment === 0n) return;
  const expected = `a multiple of ${alignment}`;
  throw new VmError('misaligned', { argument: '--root', value: root, expected });
}

function entryBytes(registers: Registers): 4 | 8 {
  const wide =
    registers.architecture === 'x86' ? (registers.cr4 & CR4_PAE) !== 0n : registers.xlen === 64;
  return wide ? 8 : 4;
}

function writeEntries(memory: PhysicalMemory, entries: readonly InlineEntry[], bytes: 4 | 8): void {
  for (const { address, value } of entries) {
    checkBits('--entry', value, 8 * bytes);
    const aligned = address % BigInt(bytes) === 0n;
    if (aligned && memory.write(address, bytes, value).kind === 'ok') continue;
    const expected = `an address in memory, a multiple of ${bytes}`;
    throw new VmError('out-of-range', { argument: '--entry', value: address, expected });
  }
}

/** From an image, PAE's PDPTEs are taken as loaded already: QEMU sets their A bit, with which a CPU would refuse them. */
function x86Walker(memory: PhysicalMemory, registers: X86Registers, loaded: boolean): X86Walker {
  if (!loaded) return new X86Walker({ memory, ...registers });
  const table = registers.cr3 & 0xffff_ffe0n; // CR3[31:5] (Intel SDM Vol. 3A, 4.4.1 PDPTE Registers)
  const pdptes = [0n, 8n, 16n, 24n].map((at) => {
    const entry = memory.read(table + at, 8);
    return entry.kind === 'value' ? entry.value : 0n;
  });
  return new X86Walker({ memory, ...registers, pdptes });
}

function riscvWalker(memory: PhysicalMemory, registers: RiscvRegisters): RiscvWalker {
  const { satp, sum, mxr } = registers;
  const walker = new RiscvWalker({ memory, ...registers, satp: 0 });
  if (walker.setSatp(satp).kind === 'ignored') {
    const expected = 'MODE 0, 8, 9 or 10: Bare, Sv39, Sv48 or Sv57';
    throw new VmError('bad-argument', { argument: '--satp', value: satp, expected });
  }
  walker.sum = sum;
  walker.mxr = mxr;
  return walker;
}
