import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { type Address, VmError } from '../core/index.js';
import { loadElfCore, PhysicalMemory } from '../memory/index.js';
import { openTablesDump } from './tables-dump.js';

/** The registers that a walk starts from. */
export type Registers = X86Registers | RiscvRegisters | AArch64Registers;

/** Of an x86 CPU. */
export interface X86Registers {
  readonly architecture: 'x86';
  readonly cr0: bigint;
  readonly cr3: bigint;
  readonly cr4: bigint;
  readonly efer: bigint;
  readonly maxPhyAddr: number;
}

/** Of a RISC-V hart. */
export interface RiscvRegisters {
  readonly architecture: 'riscv';
  readonly xlen: 32 | 64;
  readonly satp: bigint;
  readonly sum: boolean;
  readonly mxr: boolean;
  readonly adue: boolean;
  readonly pbmte: boolean;
}

/** Of an AArch64 CPU, at EL1. */
export interface AArch64Registers {
  readonly architecture: 'aarch64';
  readonly tcr: bigint;
  readonly ttbr0: bigint;
  readonly ttbr1: bigint;
  readonly sctlr: bigint;
  readonly mair: bigint;
}

/** A guest's memory, with its registers where the image has them. */
export interface Guest {
  readonly memory: PhysicalMemory;
  readonly registers: Registers | null;
}

/** How to open an image. */
export interface ImageOptions {
  /** Where a raw image begins; not for the kinds that say it themselves. */
  readonly base?: Address;
  /** Which CPU of an ELF core; 0 unless told. */
  readonly cpu?: number;
}

/** A read takes 2 GiB at most. */
const MAX_READ = 2 ** 30;

const EM_386 = 3;

/**
 * Opens an image of a guest: a dump of its page tables, an ELF core of QEMU's, or raw RAM; each may be gzipped.
 *
 * @param path - The file.
 * @param options - What the file does not say.
 * @returns Its memory; writes do not reach the file.
 * @throws VmError for a file that cannot be read, a damaged one, or an option that does not fit it.
 */
export function openImage(path: string, options: ImageOptions): Guest {
  const bytes = unpack(path, readFile(path));
  const dump = openTablesDump(bytes);
  const elf = dump === null && isElf(bytes);
  if (!elf) refuse('--cpu', options.cpu, 'an ELF core');
  if (elf || dump !== null) refuse('--base', options.base, 'a raw RAM image');
  if (dump !== null) return dump;
  if (elf) return openElfCore(bytes, options.cpu);
  return { memory: PhysicalMemory.wrap(bytes, { base: options.base ?? 0 }), registers: null };
}

function openElfCore(bytes: Uint8Array, cpu: number | undefined): Guest {
  const memory = new PhysicalMemory();
  const { cpus, machine } = loadElfCore(memory, bytes);
  const state = cpus[cpu ?? 0];
  if (state === undefined) {
    if (cpu === undefined) return { memory, registers: null };
    const expected = `below ${cpus.length}, the CPUs in the image`;
    throw new VmError('out-of-range', { argument: '--cpu', value: cpu, expected });
  }
  // The core has no EFER. QEMU writes EM_386 for a CPU outside long mode; that NX is enabled is an assumption.
  const efer = machine === EM_386 ? 0x800n : 0xd00n;
  const { cr0, cr3, cr4 } = state;
  return { memory, registers: { architecture: 'x86', cr0, cr3, cr4, efer, maxPhyAddr: 52 } };
}

function refuse(argument: string, value: unknown, use: string): void {
  if (value === undefined) return;
  throw new VmError('bad-argument', { argument, value, expected: `no such option but for ${use}` });
}

function readFile(path: string): Uint8Array<ArrayBuffer> {
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch {
    throw unreadable(path);
  }
  try {
    const stat = fstatSync(file);
    if (!stat.isFile() || stat.size === 0) throw unreadable(path);
    const bytes = new Uint8Array(stat.size);
    let filled = 0;
    while (filled < bytes.length) {
      const read = readSync(file, bytes, filled, Math.min(MAX_READ, bytes.length - filled), null);
      if (read === 0) throw unreadable(path);
      filled += read;
    }
    return bytes;
  } finally {
    closeSync(file);
  }
}

function unpack(path: string, bytes: Uint8Array<ArrayBuffer>): Uint8Array {
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes;
  try {
    return gunzipSync(bytes);
  } catch {
    throw new VmError('bad-image', { argument: 'image', value: path, expected: 'whole gzip data' });
  }
}

function unreadable(path: string): VmError {
  const expected = 'a file that can be read and is not empty';
  return new VmError('bad-image', { argument: 'image', value: path, expected });
}

function isElf(bytes: Uint8Array): boolean {
  return [0x7f, 0x45, 0x4c, 0x46].every((byte, at) => bytes[at] === byte);
}
