import { Access } from 'pagewright/core';
import type { ReferencePmpEntry } from '../../../src/reference/riscv-pmp.js';
import type { ReferenceRiscvRegisters } from '../../../src/reference/riscv-walk.js';
import { type Draw, once, pattern, pick } from './draw.js';
import {
  drawAddress,
  drawEntries,
  drawFrame,
  drawIndexes,
  drawKind,
  drawTable,
  type Image,
  PAGES,
  type Question,
  type Shape,
} from './image.js';

/** Tables, registers and questions for a RISC-V walker. */
export interface RiscvCase {
  readonly arch: 'riscv';
  readonly registers: ReferenceRiscvRegisters;
  /** PMP entries from number 0, or `null` for a hart without PMP. */
  readonly pmp: readonly ReferencePmpEntry[] | null;
  /** Whether the registers are written after the walker was made, with others in them. */
  readonly late: boolean;
  readonly image: Image;
  readonly questions: readonly Question[];
}

interface Mode {
  readonly xlen: 32 | 64;
  /** satp.MODE in place. */
  readonly satp: bigint;
  readonly shape: Shape;
  readonly entryBytes: 4 | 8;
  readonly bases: readonly bigint[];
}

const BASES64 = [0x8000_0000n, 0n, 0x3_4567_8000n, 0xff_ffff_fff0_0000n];

const sv64 = (code: bigint, levels: number): Mode => ({
  xlen: 64,
  satp: code << 60n,
  shape: { levels, indexBits: 9, signExtended: true },
  entryBytes: 8,
  bases: BASES64,
});

const sv32 = (satp: bigint): Mode => ({
  xlen: 32,
  satp,
  shape: { levels: 2, indexBits: 10, signExtended: false },
  entryBytes: 4,
  bases: [0x8000_0000n, 0n, 0x3_4567_8000n],
});

const MODES: Readonly<Record<string, Mode>> = {
  sv39: sv64(8n, 3),
  sv48: sv64(9n, 4),
  sv57: sv64(10n, 5),
  sv32: sv32(1n << 31n),
  bare64: sv64(0n, 5),
  bare32: sv32(0n),
};

/** The names of the modes that there are cases of. */
export const RISCV_MODES: readonly string[] = Object.keys(MODES);

/** A pointer, now and then with bits that are reserved in one. */
function drawPointer(draw: Draw, mode: Mode, base: bigint, page: number): bigint {
  const ppn = drawTable(draw, base, mode.xlen === 32 ? 22 : 44, page + 1);
  const entry = (ppn << 10n) | (pattern(draw, 2) << 8n) | 1n;
  return once(draw, 40) ? entry | (1n << BigInt(4 + draw(4))) : entry;
}

/** A leaf of any rights, often with A and D set, with Svnapot, Svpbmt and Svrsw60t59b. */
function drawLeaf(draw: Draw, mode: Mode, below: number): bigint {
  const wide = mode.entryBytes === 8;
  const ppn = drawFrame(draw, wide ? 44 : 22, below * mode.shape.indexBits);
  let entry = (ppn << 10n) | pattern(draw, 10) | pick(draw, [3n, 3n, 9n, 0x13n, 0x1fn, 0n]);
  if (once(draw, 2)) entry |= 0xc1n;
  if (!wide) return entry;
  if (once(draw, below === 0 ? 5 : 24)) entry = (entry & ~0x3c00n) | 0x2000n | (1n << 63n);
  if (once(draw, 6)) entry |= BigInt(pick(draw, [3, 1, 2])) << 61n;
  if (once(draw, 12)) entry |= BigInt(draw(4)) << 59n;
  return entry;
}

function drawEntry(draw: Draw, mode: Mode, base: bigint, page: number, below: number): bigint {
  if (once(draw, 40)) return pattern(draw, 8 * mode.entryBytes);
  const leaf = below === 0 ? !once(draw, 10) : once(draw, 8);
  const entry = leaf ? drawLeaf(draw, mode, below) : drawPointer(draw, mode, base, page);
  return mode.entryBytes === 8 && once(draw, 40) ? entry | (1n << BigInt(54 + draw(10))) : entry;
}

/** Up to three entries: most often all of memory is open, so that walks get anywhere. */
export function drawPmp(draw: Draw, xlen: 32 | 64, base: bigint): ReferencePmpEntry[] {
  const entries: ReferencePmpEntry[] = [];
  const rest = draw(3);
  const all = xlen === 32 ? 2n ** 32n - 1n : 2n ** 54n - 1n;
  for (let i = 0; i < rest; i++) {
    // Around the tables, cut anywhere; for NAPOT some trailing ones.
    const near = (base + BigInt(draw(PAGES * 4096))) >> 2n;
    const address = once(draw, 2) ? near | (2n ** BigInt(draw(13)) - 1n) : near;
    const rights = pick(draw, [7, 0, 1, 3, 4, 5]);
    entries.push({ config: rights | (draw(4) << 3) | (once(draw, 2) ? 0x80 : 0), address });
  }
  const rights = pick(draw, [7, 7, 3, 1, 5, 0]);
  entries.push({ config: rights | 0x18 | (once(draw, 4) ? 0x80 : 0), address: all });
  return entries;
}

function drawQuestion(draw: Draw, mode: Mode, indexes: readonly number[]): Question {
  const privilege = pick(draw, [0, Access.User, 0, Access.User, Access.Machine]);
  return {
    va: drawAddress(draw, mode.shape, indexes),
    access: drawKind(draw) | privilege,
    bytes: pick(draw, [1, 2, 4, 8]),
  };
}

/** A case of one of {@link RISCV_MODES}. */
export function drawRiscvCase(draw: Draw, name: string, questions: number): RiscvCase {
  const mode = MODES[name]!;
  const base = pick(draw, mode.bases);
  const indexes = drawIndexes(draw, mode.shape);
  return {
    arch: 'riscv',
    late: once(draw, 2),
    registers: {
      xlen: mode.xlen,
      satp: mode.satp | drawTable(draw, base, mode.xlen === 32 ? 22 : 44, 0),
      sum: once(draw, 2),
      mxr: once(draw, 2),
      mprv: once(draw, 2),
      mpp: pick(draw, ['user', 'supervisor', 'machine']),
      adue: once(draw, 2),
      pbmte: !once(draw, 3),
      svnapot: !once(draw, 3),
      svrsw60t59b: once(draw, 2),
    },
    pmp: once(draw, 3) ? drawPmp(draw, mode.xlen, base) : null,
    image: {
      base,
      entryBytes: mode.entryBytes,
      entries: drawEntries(mode.shape, mode.entryBytes, indexes, (page, below) =>
        drawEntry(draw, mode, base, page, below),
      ),
    },
    questions: Array.from({ length: questions }, () => drawQuestion(draw, mode, indexes)),
  };
}
