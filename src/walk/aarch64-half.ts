import {
  AARCH64_PTE,
  aarch64,
  aarch64Granule,
  aarch64PhysicalBits,
  type PteFormat,
} from '../pte/index.js';
import { type AArch64Features, ALL_FEATURES } from './aarch64-options.js';
import { AARCH64_RULES, type AArch64Rule } from './aarch64-rules.js';

/** Everything that the registers say about one half of the address space, or about all of stage 2. @internal */
export interface AArch64Half {
  /** The format; of a half that is badly configured, one of the same granule. */
  readonly format: PteFormat;
  /** Why nothing in this half translates, or `null`. */
  readonly refusal: AArch64Rule | null;
  /** 4 KiB frames in a granule. */
  readonly granuleFrames: number;
  /** The root's 4 KiB frame, and its first byte there. */
  readonly root: number;
  /** See `root`. */
  readonly rootByte: number;
  /** The first 4 KiB frame beyond the output size. */
  readonly frameEnd: number;
  /** The last page number of the lower half's kind, plus one: 2^(input bits - 12). */
  readonly pages: number;
  /** Whether bits 63:56 are ignored: for data accesses, and for fetches. */
  readonly topByteIgnored: readonly [boolean, boolean];
  /** EL0 may not use the half. */
  readonly userDisabled: boolean;
  /** Attributes of tables are ignored. */
  readonly flat: boolean;
  /** Shareability of all output when descriptors have no room for it (DS=1), otherwise -1. */
  readonly shareability: number;
}

/** How a walk's widths follow from its registers. @internal */
export interface AArch64Widths {
  /** Bytes in a granule; 0 for a reserved encoding. */
  readonly granule: number;
  /** Width of the input address: 64 less TnSZ. */
  readonly inputBits: number;
  /** IPS or PS. */
  readonly outputSize: number;
  /** DS, when the granule has it. */
  readonly wide: boolean;
}

/** What an output address can have at most: IPS, the CPU, and 48 bits where descriptors hold no more. @internal */
export function outputBits(widths: AArch64Widths, features: AArch64Features): number {
  const { granule, outputSize, wide } = widths;
  const holds = wide || (granule === 65536 && features.lpa) ? 52 : 48;
  return Math.min(aarch64PhysicalBits(outputSize), features.physicalBits, holds);
}

/** Whether descriptors of this configuration hold 52-bit addresses. @internal */
export function hasWideDescriptors(widths: AArch64Widths, features: AArch64Features): boolean {
  return widths.wide || (widths.granule === 65536 && features.lpa && features.physicalBits === 52);
}

/** Whether a TTBR holds a 52-bit address: with 64 KiB granules only while the output has 52 bits (D24.2 TTBR0_EL1). */
function hasWideRoot(widths: AArch64Widths, limit: number): boolean {
  return widths.wide || (widths.granule === 65536 && limit === 52);
}

/** Whether an input width is one that the CPU has (D8.1.7). @internal */
export function isInputSize(widths: AArch64Widths, features: AArch64Features): boolean {
  const { granule, inputBits, wide } = widths;
  const most = wide || (granule === 65536 && features.lva) ? 52 : 48;
  const small = granule === 65536 ? 17 : 16;
  return inputBits <= most && inputBits >= (features.ttst ? small : 25);
}

/** Bits of a register field. @internal */
export function bits(register: bigint, high: number, low: number): number {
  return Number((register >> BigInt(low)) & ((1n << BigInt(high - low + 1)) - 1n));
}

/** The address in TTBR0, TTBR1 or VTTBR, aligned to the root's size (D8.2.4, D24.2 TTBR0_EL1). @internal */
export function rootAddress(ttbr: bigint, format: PteFormat, wide: boolean): bigint {
  const entries = BigInt(format.indexBits.at(-1)!);
  // With 52-bit addresses bits 5:2 are address bits 51:48, so a table is aligned to 64 bytes at least.
  const shift = entries + 3n < 6n && wide ? 6n : entries + 3n;
  const low = ((ttbr & 0xffff_ffff_fffen) >> shift) << shift;
  return wide ? low | (((ttbr >> 2n) & 15n) << 48n) : low;
}

/** What TCR_EL1 and a TTBR say about a half. @internal */
export function aarch64Half(
  half: 0 | 1,
  tcr: bigint,
  ttbr: bigint,
  features: AArch64Features = ALL_FEATURES,
): AArch64Half {
  const granule = aarch64Granule(half, half === 0 ? bits(tcr, 15, 14) : bits(tcr, 31, 30));
  const widths: AArch64Widths = {
    granule,
    inputBits: 64 - (half === 0 ? bits(tcr, 5, 0) : bits(tcr, 21, 16)),
    outputSize: bits(tcr, 34, 32),
    wide: features.lpa2 && granule !== 65536 && bits(tcr, 59, 59) === 1,
  };
  const sound = granule !== 0 && isInputSize(widths, features);
  const wide = hasWideDescriptors(widths, features);
  const format = aarch64({
    granule: granule === 16384 || granule === 65536 ? granule : 4096,
    virtualBits: sound ? widths.inputBits : 48,
    outputBits: wide ? 52 : 48,
    half: half === 0 ? 'low' : 'high',
  });
  const limit = outputBits(widths, features);
  const root = rootAddress(ttbr, format, hasWideRoot(widths, limit));
  const bit = (at: number): boolean => bits(tcr, at, at) === 1;
  const tbi = bit(37 + half);
  return {
    format,
    refusal: bit(half === 0 ? 7 : 23)
      ? AARCH64_RULES.walkDisabled
      : !sound
        ? AARCH64_RULES.badConfiguration
        : root >> BigInt(limit) !== 0n
          ? AARCH64_RULES.rootAddressSize
          : null,
    granuleFrames: 2 ** (format.pageShift - 12),
    root: Number(root >> 12n),
    rootByte: Number(root & 4095n),
    frameEnd: 2 ** (limit - 12),
    pages: 2 ** (format.virtualBits - 12),
    topByteIgnored: [tbi, tbi && !bit(51 + half)],
    userDisabled: features.e0pd && bit(55 + half),
    flat: features.hpds && bit(41 + half),
    shareability: widths.wide ? bits(tcr, 13 + 16 * half, 12 + 16 * half) : -1,
  };
}

/** The AP, PXN and UXN bits of a leaf with what its tables take away, as the permission table wants them. @internal */
export function permissionBits(
  low: number,
  high: number,
  tables: number,
  dirtyManaged: boolean,
): number {
  const writable = dirtyManaged && (high & 0x00080000) !== 0;
  const readOnly = ((low & AARCH64_PTE.AP2) !== 0 && !writable) || (tables & 0x40000000) !== 0;
  const user = (low & AARCH64_PTE.AP1) !== 0 && (tables & 0x20000000) === 0;
  const noEl1 = ((high >>> 21) | (tables >>> 27)) & 1;
  const noEl0 = ((high >>> 22) | (tables >>> 28)) & 1;
  return (user ? 1 : 0) | (readOnly ? 2 : 0) | (noEl1 << 2) | (noEl0 << 3);
}

/** The architecture's level where a stage 2 walk begins, or `null` for an encoding without a meaning (D24.2 VTCR_EL2). */
function stage2StartLevel(
  vtcr: bigint,
  granule: number,
  wide: boolean,
  features: AArch64Features,
): number | null {
  const { physicalBits, ttst } = features;
  const sl0 = bits(vtcr, 7, 6);
  // A level that addresses of this CPU never need can't be the first (S2InvalidSL).
  const tall = physicalBits >= (granule === 16384 ? 42 : 44);
  if (granule === 4096) {
    if (wide && bits(vtcr, 33, 33) === 1) return sl0 === 0 && physicalBits === 52 ? -1 : null;
    if (sl0 === 3) return ttst ? 3 : null;
    return sl0 < 2 || tall ? 2 - sl0 : null;
  }
  if (sl0 === 3) return granule === 16384 && wide && physicalBits === 52 ? 0 : null;
  return sl0 < 2 || tall ? 3 - sl0 : null;
}

/** Stage 2: intermediate addresses are no wider than physical ones (S2MinTxSZ). */
function isStage2InputSize(widths: AArch64Widths, features: AArch64Features): boolean {
  const { lpa, physicalBits } = features;
  return widths.inputBits <= physicalBits && isInputSize(widths, { ...features, lva: lpa });
}

/** What VTCR_EL2 and VTTBR_EL2 say. @internal */
export function aarch64Stage2Half(
  vtcr: bigint,
  vttbr: bigint,
  features: AArch64Features,
): AArch64Half {
  const encoded = aarch64Granule(0, bits(vtcr, 15, 14));
  const granule = encoded === 16384 || encoded === 65536 ? encoded : 4096;
  const widths: AArch64Widths = {
    granule,
    inputBits: 64 - bits(vtcr, 5, 0),
    outputSize: bits(vtcr, 18, 16),
    wide: features.lpa2 && granule !== 65536 && bits(vtcr, 32, 32) === 1,
  };
  const shift = Math.log2(granule);
  const stride = shift - 3;
  const start = stage2StartLevel(vtcr, granule, widths.wide, features);
  const levels = start === null ? 0 : 4 - start;
  // One entry at least in the root, and at most 16 concatenated tables (D8.2.2, S2InconsistentSL).
  const least = shift + stride * (levels - 1) + 1;
  const most = shift + stride * levels + 4;
  const { inputBits } = widths;
  const fits = encoded !== 0 && inputBits >= least && inputBits <= most;
  const sound = start !== null && fits && isStage2InputSize(widths, features);
  const wide = hasWideDescriptors(widths, features);
  const format = aarch64({
    granule,
    outputBits: wide ? 52 : 48,
    stage: 2,
    ...(sound ? { virtualBits: inputBits, levels } : { virtualBits: 48 }),
  });
  const limit = outputBits(widths, features);
  const root = rootAddress(vttbr, format, hasWideRoot(widths, limit));
  return {
    format,
    refusal: !sound
      ? AARCH64_RULES.badConfiguration
      : root >> BigInt(limit) !== 0n
        ? AARCH64_RULES.rootAddressSize
        : null,
    granuleFrames: granule / 4096,
    root: Number(root >> 12n),
    rootByte: Number(root & 4095n),
    frameEnd: 2 ** (limit - 12),
    pages: 2 ** (format.virtualBits - 12),
    topByteIgnored: [false, false],
    userDisabled: false,
    flat: true,
    shareability: widths.wide ? bits(vtcr, 13, 12) : -1,
  };
}
