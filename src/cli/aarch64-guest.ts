import { VmError } from '../core/index.js';
import type { PhysicalMemory } from '../memory/index.js';
import { decodeTcr, encodeRegister, encodeTcr, vtcrRegister } from '../pte/index.js';
import { AArch64Stage2, AArch64Walker, type RadixWalker } from '../walk/index.js';
import { checkRoot, type GuestKind, type PreparedGuest, refuseBeside } from './guest-kind.js';
import type { GuestOptions } from './guest-options.js';
import type { AArch64Registers } from './image.js';
import { formatOf, stage2Levels } from './modes.js';

/** TG0 and TG1 by granule (Arm ARM DDI 0487, TCR_EL1), which VTCR_EL2.TG0 encodes as TG0. */
const GRANULES: Readonly<Record<number, { readonly TG0: number; readonly TG1: number }>> = {
  4096: { TG0: 0, TG1: 2 },
  16384: { TG0: 2, TG1: 1 },
  65536: { TG0: 1, TG1: 3 },
};

/** IPS and PS: 48 bits of output, and 52. */
const OUTPUT_48 = 5;
const OUTPUT_52 = 6;

/** M, C and I, with the bits around them that are 1 (SCTLR_EL1). */
const SCTLR = 0x30d01805n;

/** Write-back, whatever the index. */
const MAIR = 0xffff_ffff_ffff_ffffn;

/** An AArch64 guest at EL1&0, alone or under stage 2. */
export const aarch64Guest: GuestKind = {
  title: 'AArch64',
  options: ['bits', 'ttbr0', 'ttbr1', 'tcr', 'sctlr', 'mair', 'pan', 'vttbr', 'vtcr', 'hcr'],
  roots: ['ttbr0', 'ttbr1'],
  prepare(found, options): PreparedGuest {
    const own = found?.architecture === 'aarch64' ? found : null;
    refuseBeside(options, 'bits', 'tcr');
    if (own !== null && options.bits !== undefined) {
      const expected = 'no such option with an image that has TCR_EL1';
      throw new VmError('bad-argument', { argument: '--bits', expected });
    }
    if (options.vttbr === undefined && (options.vtcr ?? options.hcr) !== undefined) {
      const expected = 'the root of stage 2 beside --vtcr or --hcr';
      throw new VmError('bad-argument', { argument: '--vttbr', expected });
    }
    const registers = override(own ?? initial(options), options);
    return { entryBytes: 8, makeWalker: (memory) => aarch64Walker(memory, registers, options) };
  },
};

/** Stage 2 alone: from intermediate to physical addresses. */
export const aarch64Stage2: GuestKind = {
  title: 'AArch64 stage 2',
  options: ['bits', 'vttbr', 'vtcr', 'hcr'],
  roots: ['vttbr'],
  prepare(_found, options): PreparedGuest {
    refuseBeside(options, 'bits', 'vtcr');
    const { pageShift, virtualBits } = formatOf(options.mode!, options.bits);
    const { vtcr = vtcrOf(2 ** pageShift, virtualBits) } = options;
    return {
      entryBytes: 8,
      makeWalker: (memory) => checkRoots(stage2(memory, options, vtcr), options),
    };
  },
};

/** TCR_EL1 that the mode needs. A half without a root is off: 0 would be the address of one. */
function initial({ bits, mode, root, ttbr0, ttbr1 }: GuestOptions): AArch64Registers {
  const rest = { architecture: 'aarch64', ttbr0: 0n, ttbr1: 0n, sctlr: SCTLR, mair: MAIR } as const;
  if (mode === undefined) return { ...rest, tcr: 0n };
  const { pageShift, virtualBits } = formatOf(mode, bits);
  const wide = virtualBits > 48;
  const fields = {
    ...GRANULES[2 ** pageShift]!,
    T0SZ: 64 - virtualBits,
    T1SZ: 64 - virtualBits,
    IPS: wide ? OUTPUT_52 : OUTPUT_48,
    DS: wide && pageShift < 16 ? 1 : 0,
    EPD0: (root ?? ttbr0) === undefined ? 1 : 0,
    EPD1: ttbr1 === undefined ? 1 : 0,
  };
  return { ...rest, tcr: encodeTcr({ fields }) };
}

function override(registers: AArch64Registers, options: GuestOptions): AArch64Registers {
  const { mair, root, sctlr, tcr, ttbr0, ttbr1 } = options;
  return {
    architecture: 'aarch64',
    tcr: tcr ?? registers.tcr,
    ttbr0: ttbr0 ?? root ?? registers.ttbr0,
    ttbr1: ttbr1 ?? registers.ttbr1,
    sctlr: sctlr ?? registers.sctlr,
    mair: mair ?? registers.mair,
  };
}

function aarch64Walker(
  memory: PhysicalMemory,
  registers: AArch64Registers,
  options: GuestOptions,
): AArch64Walker {
  const { hcr, pan = false, vtcr, vttbr } = options;
  const all = { memory, ...registers, pan, ...(hcr === undefined ? {} : { hcr }) };
  if (vttbr === undefined) return checkRoots(new AArch64Walker(all), options);
  const [granule] = decodeTcr(registers.tcr).granules;
  const secondStage = stage2(memory, options, vtcr ?? vtcrOf(granule || 4096, 48));
  return checkRoots(new AArch64Walker({ ...all, secondStage }), options);
}

function stage2(memory: PhysicalMemory, options: GuestOptions, vtcr: bigint): AArch64Stage2 {
  const { hcr, root, vttbr = root ?? 0n } = options;
  return new AArch64Stage2({ memory, vtcr, vttbr, ...(hcr === undefined ? {} : { hcr }) });
}

/** VTCR_EL2 of a granule and a width, as hypervisors choose it. */
function vtcrOf(granule: number, bits: number): bigint {
  const wide = bits > 48;
  // Arm ARM DDI 0487, VTCR_EL2: SL0 and, for level -1, SL2 say at which level the walk begins.
  const start = 4 - stage2Levels(granule, bits);
  const first = granule === 4096 ? (start === 3 ? 3 : 2 - start) : (3 - start) & 3;
  const fields = {
    TG0: GRANULES[granule]!.TG0,
    T0SZ: 64 - bits,
    PS: wide ? OUTPUT_52 : OUTPUT_48,
    DS: wide && granule < 65536 ? 1 : 0,
    SL0: start < 0 ? 0 : first,
    SL2: start < 0 ? 1 : 0,
  };
  return encodeRegister(vtcrRegister, { fields });
}

/** A root table is aligned to its size; a register would ignore the bits below. */
function checkRoots<Walker extends RadixWalker>(walker: Walker, { root }: GuestOptions): Walker {
  const entries = 2 ** walker.rootFormat(0)!.indexBits.at(-1)!;
  if (root !== undefined) checkRoot(root, 48, 8 * entries);
  return walker;
}
