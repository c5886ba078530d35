import { Access } from 'pagewright/core';
import type { ReferenceX86Registers } from '../../../src/reference/x86-walk.js';
import { type Draw, once, pattern, pick } from './draw.js';
import {
  drawAddress,
  drawEntries,
  drawFrame,
  drawIndexes,
  drawKind,
  drawTable,
  IMAGE_BYTES,
  type Image,
  type Question,
  type Shape,
} from './image.js';

/** Tables, registers and questions for an x86 walker. */
export interface X86Case {
  readonly arch: 'x86';
  readonly registers: ReferenceX86Registers;
  /** Whether the registers are written after the walker was made, with others in them. */
  readonly late: boolean;
  readonly image: Image;
  readonly questions: readonly Question[];
}

interface Mode {
  /** Bits that select the mode: CR0.PG; CR4.PAE and LA57; EFER.LME and LMA. */
  readonly cr0: bigint;
  readonly cr4: bigint;
  readonly efer: bigint;
  readonly shape: Shape;
  readonly entryBytes: 4 | 8;
}

const PG = 0x8000_0000n;
const long = (levels: number, cr4: bigint): Mode => ({
  cr0: PG,
  cr4,
  efer: 0x500n,
  shape: { levels, indexBits: 9, signExtended: true },
  entryBytes: 8,
});
const legacy: Shape = { levels: 2, indexBits: 10, signExtended: false };

const MODES: Readonly<Record<string, Mode>> = {
  '4-level': long(4, 0x20n),
  '5-level': long(5, 0x1020n),
  pae: {
    cr0: PG,
    cr4: 0x20n,
    efer: 0n,
    shape: { levels: 2, indexBits: 9, signExtended: false },
    entryBytes: 8,
  },
  '32-bit': { cr0: PG, cr4: 0n, efer: 0n, shape: legacy, entryBytes: 4 },
  none: { cr0: 0n, cr4: 0n, efer: 0n, shape: legacy, entryBytes: 4 },
};

/** The names of the modes that there are cases of. */
export const X86_MODES: readonly string[] = Object.keys(MODES);

/** Flags of an entry: most entries grant much, or nothing would be left after four of them. */
function drawFlags(draw: Draw): bigint {
  let flags = pattern(draw, 12) & 0xf7en;
  if (!once(draw, 24)) flags |= 1n;
  if (!once(draw, 4)) flags |= 6n;
  return once(draw, 2) ? flags | 0x60n : flags;
}

/** A leaf: PS, or PAT in a PTE; the PAT of larger pages; in 4 MiB pages the bits of PSE-36. */
function drawLeaf(draw: Draw, mode: Mode, frameBits: number, below: number): bigint {
  const frame = drawFrame(draw, frameBits, below * mode.shape.indexBits);
  let entry = (frame << 12n) | drawFlags(draw);
  if (below === 0) return once(draw, 2) ? entry | 0x80n : entry;
  entry |= 0x80n | (BigInt(draw(2)) << 12n);
  return mode.entryBytes === 4 && once(draw, 2) ? entry | (pattern(draw, 9) << 13n) : entry;
}

function drawEntry(
  draw: Draw,
  mode: Mode,
  base: bigint,
  frameBits: number,
  page: number,
  below: number,
): bigint {
  if (once(draw, 32)) return pattern(draw, 8 * mode.entryBytes);
  const leaf = below === 0 ? !once(draw, 10) : once(draw, below > 2 ? 40 : 6);
  let entry = leaf
    ? drawLeaf(draw, mode, frameBits, below)
    : (drawTable(draw, base, frameBits, page + 1) << 12n) | drawFlags(draw);
  if (mode.entryBytes === 4) return entry;
  if (mode.efer !== 0n) entry |= pattern(draw, 11) << 52n; // ignored bits and the protection key
  if (once(draw, 12)) entry |= 1n << 63n;
  return once(draw, 50) ? entry | (1n << BigInt(13 + draw(50))) : entry;
}

/** Registers that select one of {@link X86_MODES}, with tables at `base`. */
export function drawX86Registers(
  draw: Draw,
  name: string,
  maxPhyAddr: number,
  base: bigint,
): ReferenceX86Registers {
  const mode = MODES[name]!;
  const rootBits = mode.entryBytes === 8 && mode.efer !== 0n ? maxPhyAddr - 12 : 20;
  const flag = (bit: bigint): bigint => (once(draw, 2) ? bit : 0n);
  return {
    cr0: mode.cr0 | 1n | flag(0x1_0000n), // WP
    cr3: (drawTable(draw, base, rootBits, 0) << 12n) | (pattern(draw, 2) << 3n),
    // PSE, PGE, SMEP, SMAP, PKE, PKS
    cr4: [4n, 7n, 20n, 21n, 22n, 24n].reduce((cr4, bit) => cr4 | flag(1n << bit), mode.cr4),
    efer: mode.efer | (once(draw, 4) ? 0n : 0x800n), // NXE
    ac: once(draw, 2),
    pkru: pattern(draw, 32),
    pkrs: pattern(draw, 32),
    pdptes: [0, 1, 2, 3].map(() => {
      const other = once(draw, 4) ? pattern(draw, 12) | (pattern(draw, 12) << 52n) : 0n;
      return (
        (drawTable(draw, base, maxPhyAddr - 12, 0) << 12n) |
        (other & ~1n) |
        (once(draw, 8) ? 0n : 1n)
      );
    }),
    maxPhyAddr,
    pse36: once(draw, 2),
    gigabytePages: once(draw, 2),
    accessedOnFault: once(draw, 2),
  };
}

function drawQuestion(draw: Draw, mode: Mode, indexes: readonly number[]): Question {
  const privilege = pick(draw, [0, Access.User, Access.ImplicitSupervisor]);
  const both = once(draw, 24) ? Access.User : 0; // an implicit access made at CPL 3
  const va = drawAddress(draw, mode.shape, indexes);
  const slot = mode.shape.levels === 2 && mode.shape.indexBits === 9 ? BigInt(draw(4)) << 30n : 0n;
  return {
    va: va | slot,
    access: drawKind(draw) | privilege | both,
    bytes: pick(draw, [1, 2, 4, 8]),
  };
}

/** A case of one of {@link X86_MODES}. */
export function drawX86Case(draw: Draw, name: string, questions: number): X86Case {
  const mode = MODES[name]!;
  const maxPhyAddr = pick(draw, [52, 40, 32, 32 + draw(21)]);
  const top = 2n ** BigInt(name === '32-bit' ? 32 : maxPhyAddr) - BigInt(IMAGE_BYTES);
  const base = pick(draw, [0x8000_0000n, 0n, top]);
  const indexes = drawIndexes(draw, mode.shape);
  const frameBits = mode.entryBytes === 8 ? maxPhyAddr - 12 : 20;
  const entries = drawEntries(mode.shape, mode.entryBytes, indexes, (page, below) =>
    drawEntry(draw, mode, base, frameBits, page, below),
  );
  return {
    arch: 'x86',
    late: once(draw, 2),
    registers: drawX86Registers(draw, name, maxPhyAddr, base),
    image: { base, entryBytes: mode.entryBytes, entries },
    questions: Array.from({ length: questions }, () => drawQuestion(draw, mode, indexes)),
  };
}
