import { VmError } from '../core/index.js';
import { PhysicalMemory } from '../memory/index.js';
import type { AArch64Registers, Guest, Registers, RiscvRegisters } from './image.js';

/** A header line is short; what does not end within this is none. */
const MAX_HEADER = 65536;

/** A page, after the 8 bytes of its physical address. */
const RECORD_BYTES = 8 + 4096;

/** What a header may say; nothing of it is checked yet. */
interface Header {
  readonly arch?: unknown;
  readonly pages?: unknown;
  readonly nPages?: unknown;
  readonly maxphyaddr?: unknown;
  readonly cr0?: unknown;
  readonly cr3?: unknown;
  readonly cr4?: unknown;
  readonly efer?: unknown;
  readonly regs?: Readonly<Record<string, unknown>>;
}

/**
 * Opens a dump of page-table pages: one line of JSON, then for every page its physical address (u64, little-endian)
 * and its 4096 bytes.
 *
 * @param bytes - The file.
 * @returns The pages as memory and the registers of the header; `null` for another kind of file.
 * @throws VmError `bad-image` or `unsupported` for a damaged or foreign dump.
 */
export function openTablesDump(bytes: Uint8Array): Guest | null {
  const end = bytes.subarray(0, MAX_HEADER).indexOf(0x0a);
  const line = end < 0 ? '' : new TextDecoder().decode(bytes.subarray(0, end));
  const format = /^\{.*"format": *"(x86-page-tables-v1|ptpages-v1)"/.exec(line)?.[1];
  if (format === undefined) return null;
  const header = parseHeader(line);
  const x86 = format === 'x86-page-tables-v1';
  const memory = readPages(bytes.subarray(end + 1), x86 ? header.pages : header.nPages);
  return { memory, registers: x86 ? x86Registers(header) : registersOf(header) };
}

function parseHeader(line: string): Header {
  try {
    return JSON.parse(line) as Header;
  } catch {
    throw new VmError('bad-image', { argument: 'header', value: line, expected: 'a line of JSON' });
  }
}

function readPages(records: Uint8Array, count: unknown): PhysicalMemory {
  const pages = records.length / RECORD_BYTES;
  if (pages !== count) {
    const expected = `${String(count)} pages of ${RECORD_BYTES} bytes after the header`;
    throw new VmError('bad-image', { argument: 'tables', value: records.length, expected });
  }
  const view = new DataView(records.buffer, records.byteOffset, records.byteLength);
  const memory = new PhysicalMemory();
  for (let at = 0; at < records.length; at += RECORD_BYTES) {
    const source = records.subarray(at + 8, at + RECORD_BYTES);
    memory.addRam({ base: view.getBigUint64(at, true), source });
  }
  return memory;
}

function x86Registers(header: Header): Registers {
  return {
    architecture: 'x86',
    cr0: hexField('cr0', header.cr0),
    cr3: hexField('cr3', header.cr3),
    cr4: hexField('cr4', header.cr4),
    efer: hexField('efer', header.efer),
    maxPhyAddr: Number(header.maxphyaddr ?? 52),
  };
}

function registersOf(header: Header): Registers {
  if (header.arch === 'riscv64') return riscvRegisters(header);
  if (header.arch === 'aarch64') return aarch64Registers(header);
  throw new VmError('unsupported', {
    argument: 'arch',
    value: header.arch,
    expected: 'the tables of a riscv64, aarch64 or x86 guest',
  });
}

function aarch64Registers({ regs }: Header): AArch64Registers {
  return {
    architecture: 'aarch64',
    tcr: hexField('TCR_EL1', regs?.['TCR_EL1']),
    ttbr0: hexField('TTBR0_EL1', regs?.['TTBR0_EL1']),
    ttbr1: hexField('TTBR1_EL1', regs?.['TTBR1_EL1']),
    sctlr: hexField('SCTLR_EL1', regs?.['SCTLR_EL1']),
    mair: hexField('MAIR_EL1', regs?.['MAIR_EL1']),
  };
}

function riscvRegisters({ regs }: Header): RiscvRegisters {
  const sstatus = hexField('sstatus', regs?.['sstatus']);
  const menvcfg = hexField('menvcfg', regs?.['menvcfg']);
  return {
    architecture: 'riscv',
    xlen: 64,
    satp: hexField('satp', regs?.['satp']),
    // RISC-V Privileged, "Supervisor Status (sstatus) Register": SUM is bit 18, MXR bit 19.
    sum: (sstatus & (1n << 18n)) !== 0n,
    mxr: (sstatus & (1n << 19n)) !== 0n,
    // "Machine Environment Configuration (menvcfg) Register": ADUE is bit 61, PBMTE bit 62.
    adue: (menvcfg & (1n << 61n)) !== 0n,
    pbmte: (menvcfg & (1n << 62n)) !== 0n,
  };
}

function hexField(name: string, value: unknown): bigint {
  if (typeof value === 'string' && /^(0x)?[0-9a-f]{1,16}$/.test(value)) {
    return BigInt(`0x${value.replace(/^0x/, '')}`);
  }
  throw new VmError('bad-image', { argument: name, value, expected: 'hexadecimal in the header' });
}
