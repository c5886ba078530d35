import { VmError } from '../core/index.js';
import type { PhysicalMemory } from '../memory/index.js';
import { decodeHgatp, encodeHgatp, encodeSatp } from '../pte/index.js';
import { RiscvGStage, RiscvWalker } from '../walk/index.js';
import { checkRoot, type GuestKind, type PreparedGuest } from './guest-kind.js';
import type { GuestOptions } from './guest-options.js';
import type { RiscvRegisters } from './image.js';
import type { Mode } from './modes.js';

/** MODE of satp, or of hgatp. */
const MODES: Readonly<Partial<Record<Mode, number>>> = {
  sv32: 1,
  sv39: 8,
  sv48: 9,
  sv57: 10,
  sv32x4: 1,
  sv39x4: 8,
  sv48x4: 9,
  sv57x4: 10,
};

/** A RISC-V guest, alone or under a G stage. */
export const riscvGuest: GuestKind = {
  title: 'RISC-V',
  options: ['satp', 'sum', 'mxr', 'adue', 'pbmte', 'hgatp'],
  roots: ['satp'],
  prepare(found, options): PreparedGuest {
    const start = found?.architecture === 'riscv' ? found : initial(options);
    const registers = override(start, options);
    return {
      entryBytes: registers.xlen === 32 ? 4 : 8,
      makeWalker: (memory) => riscvWalker(memory, registers, options.hgatp),
    };
  },
};

/** A G stage alone: from guest-physical to host-physical addresses. */
export const riscvGStage: GuestKind = {
  title: 'G-stage',
  options: ['hgatp', 'mxr', 'adue', 'pbmte'],
  roots: ['hgatp'],
  prepare(_found, options): PreparedGuest {
    const { adue = false, mode, mxr = false, pbmte = false, root = 0n } = options;
    const xlen = mode === 'sv32x4' ? 32 : 64;
    const PPN = Number(checkRoot(root, xlen === 32 ? 34 : 56, 16384) >> 12n);
    const { hgatp = encodeHgatp({ fields: { MODE: MODES[mode!]!, PPN } }, xlen) } = options;
    return {
      entryBytes: xlen === 32 ? 4 : 8,
      makeWalker(memory) {
        const stage = gStage(memory, { xlen, adue, pbmte }, hgatp);
        stage.mxr = mxr;
        return stage;
      },
    };
  },
};

function initial({ mode }: GuestOptions): RiscvRegisters {
  const xlen = mode === 'sv32' ? 32 : 64;
  const fields = { MODE: mode === undefined ? 0 : MODES[mode]! };
  const flags = { sum: false, mxr: false, adue: false, pbmte: false };
  return { architecture: 'riscv', xlen, satp: encodeSatp({ fields }, xlen), ...flags };
}

function override(registers: RiscvRegisters, options: GuestOptions): RiscvRegisters {
  const { root, sum, mxr, adue, pbmte } = options;
  let { satp = registers.satp } = options;
  if (root !== undefined) {
    const ppnBits = registers.xlen === 32 ? 22n : 44n;
    checkRoot(root, Number(ppnBits) + 12, 4096);
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

function riscvWalker(
  memory: PhysicalMemory,
  registers: RiscvRegisters,
  hgatp: bigint | undefined,
): RiscvWalker {
  const { mxr, satp, sum, ...flags } = registers;
  const secondStage = hgatp === undefined ? null : gStage(memory, flags, hgatp);
  const walker = new RiscvWalker({
    memory,
    ...flags,
    ...(secondStage === null ? {} : { secondStage }),
  });
  if (walker.setSatp(satp).kind === 'ignored') refuseMode('satp', satp);
  walker.sum = sum;
  walker.mxr = mxr;
  return walker;
}

/** The part of the registers that both stages have. */
type StageFlags = Pick<RiscvRegisters, 'xlen' | 'adue' | 'pbmte'>;

function gStage(memory: PhysicalMemory, flags: StageFlags, hgatp: bigint): RiscvGStage {
  const { adue, pbmte, xlen } = flags;
  // A hart would write the other fields and keep its mode.
  if (decodeHgatp(hgatp, xlen).mode === 'reserved') refuseMode('hgatp', hgatp);
  return new RiscvGStage({ memory, xlen, adue, pbmte, hgatp });
}

function refuseMode(register: 'satp' | 'hgatp', value: bigint): never {
  const [a, b, c] = [39, 48, 57].map((bits) => `Sv${bits}${register === 'satp' ? '' : 'x4'}`);
  const expected = `MODE 0, 8, 9 or 10: Bare, ${a}, ${b} or ${c}`;
  throw new VmError('bad-argument', { argument: `--${register}`, value, expected });
}
