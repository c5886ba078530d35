import { highWord, lowWord } from '../core/index.js';
import {
  aarch64,
  aarch64Granule,
  aarch64PhysicalBits,
  type BitField,
  extractBits,
  type PteFormat,
  type RegisterLayout,
} from '../pte/index.js';
import type { AArch64Features } from './aarch64-features.js';
import { AARCH64_RULES, type AArch64Rule } from './aarch64-rules.js';
import { AARCH64_STAGE2_RULES } from './aarch64-stage2-rules.js';

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

/** The value of a register's field, by the manual's name. @internal */
export type FieldReader = (name: string) => number;

/** The fields of the layouts seen so far, by name. */
const fieldsByName = new WeakMap<RegisterLayout, ReadonlyMap<string, BitField>>();

/** Takes a register apart: on a context switch as well, so that nothing is read that is not asked for. @internal */
export function fieldsOf(layout: RegisterLayout, value: bigint): FieldReader {
  let fields = fieldsByName.get(layout);
  if (fields === undefined) {
    fields = new Map(layout.fields.map((field) => [field.name, field]));
    fieldsByName.set(layout, fields);
  }
  const [low, high, known] = [lowWord(value), highWord(value), fields];
  return (name) => {
    const field = known.get(name)!;
    return extractBits(low, high, field.low, field.high - field.low + 1);
  };
}

/** How a walk's widths follow from its registers. */
interface Widths {
  /** Bytes in a granule. */
  readonly granule: 4096 | 16384 | 65536;
  /** Width of the input address: 64 less TnSZ. */
  readonly inputBits: number;
  /** What an output address can have at most. */
  readonly outputBits: number;
  /** DS, when the granule has it: 52-bit addresses in descriptors of 4 and 16 KiB granules. */
  readonly ds: boolean;
  /** Whether descriptors hold 52-bit addresses, by DS or by FEAT_LPA. */
  readonly wide: boolean;
}

/** What IPS or PS, a granule and DS make of a CPU. */
function widthsOf(
  granule: Widths['granule'],
  inputBits: number,
  outputSize: number,
  ds: boolean,
  features: AArch64Features,
): Widths {
  const { lpa, lpa2, physicalBits } = features;
  const hasDs = lpa2 && granule !== 65536 && ds;
  // Bits 15:12 of a 64 KiB descriptor are address bits on a CPU with 52-bit addresses. On others the manual leaves it to
  // the implementation whether they are (and then must be 0); here they are ignored (D8 Output address size).
  const wide = hasDs || (granule === 65536 && lpa && physicalBits === 52);
  const outputBits = Math.min(aarch64PhysicalBits(outputSize), physicalBits, wide ? 52 : 48);
  return { granule, inputBits, outputBits, ds: hasDs, wide };
}

/** A reserved TG0 or TG1 selects a granule of the implementation's choice (TCR_EL1.TG0): here 4 KiB. */
function granuleOf(half: 0 | 1, encoding: number): Widths['granule'] {
  const granule = aarch64Granule(half, encoding);
  return granule === 16384 || granule === 65536 ? granule : 4096;
}

/** Whether TnSZ is within the limits of the granule and the CPU; `lva`: 52-bit inputs with 64 KiB granules. */
function isInputSize({ ds, granule, inputBits }: Widths, lva: boolean, ttst: boolean): boolean {
  const most = ds || (granule === 65536 && lva) ? 52 : 48;
  const small = granule === 65536 ? 17 : 16;
  return inputBits <= most && inputBits >= (ttst ? small : 25);
}

/** The address in TTBR0, TTBR1 or VTTBR, aligned to the root's size (TTBR0_EL1.BADDR). @internal */
export function rootAddress(ttbr: bigint, format: PteFormat, wide: boolean): bigint {
  const entries = BigInt(format.indexBits.at(-1)!);
  // With 52-bit addresses bits 5:2 are address bits 51:48, so a table is aligned to 64 bytes at least.
  const shift = entries + 3n < 6n && wide ? 6n : entries + 3n;
  const low = ((ttbr & 0xffff_ffff_fffen) >> shift) << shift;
  return wide ? low | (((ttbr >> 2n) & 15n) << 48n) : low;
}

/** What only one of the stages knows. */
interface Particulars extends Pick<AArch64Half, 'topByteIgnored' | 'userDisabled' | 'flat'> {
  /** Why nothing translates, wherever the root may be, or `null`. */
  readonly refusal: AArch64Rule | null;
  /** The rule for a root beyond the output size. */
  readonly rootAddressSize: AArch64Rule;
  /** SHn. */
  readonly sh: number;
}

/** What both stages have in common: the root, and the limits of addresses. */
function makeHalf(
  { ds, granule, outputBits }: Widths,
  format: PteFormat,
  ttbr: bigint,
  { flat, refusal, rootAddressSize, sh, topByteIgnored, userDisabled }: Particulars,
): AArch64Half {
  // With 64 KiB granules a TTBR holds a 52-bit address only while the output has 52 bits.
  const root = rootAddress(ttbr, format, ds || (granule === 65536 && outputBits === 52));
  const misplaced = root >> BigInt(outputBits) === 0n ? null : rootAddressSize;
  // No spreads: with one V8 builds the object in the runtime, 10 us on every context switch (measured).
  return {
    format,
    refusal: refusal ?? misplaced,
    granuleFrames: granule / 4096,
    root: Number(root >> 12n),
    rootByte: Number(root & 4095n),
    frameEnd: 2 ** (outputBits - 12),
    pages: 2 ** (format.virtualBits - 12),
    topByteIgnored,
    userDisabled,
    flat,
    shareability: ds ? sh : -1,
  };
}

/** What TCR_EL1 and a TTBR say about a half. @internal */
export function aarch64Half(
  half: 0 | 1,
  tcr: FieldReader,
  ttbr: bigint,
  features: AArch64Features,
): AArch64Half {
  const flag = (name: string): boolean => tcr(`${name}${half}`) === 1;
  const granule = granuleOf(half, tcr(`TG${half}`));
  const inputBits = 64 - tcr(`T${half}SZ`);
  const widths = widthsOf(granule, inputBits, tcr('IPS'), tcr('DS') === 1, features);
  const sound = isInputSize(widths, features.lva, features.ttst);
  const format = aarch64({
    granule,
    virtualBits: sound ? inputBits : 48,
    outputBits: widths.wide ? 52 : 48,
    half: half === 0 ? 'low' : 'high',
  });
  const { badConfiguration, rootAddressSize, walkDisabled } = AARCH64_RULES;
  return makeHalf(widths, format, ttbr, {
    refusal: flag('EPD') ? walkDisabled : sound ? null : badConfiguration,
    rootAddressSize,
    topByteIgnored: [flag('TBI'), flag('TBI') && !flag('TBID')],
    userDisabled: features.e0pd && flag('E0PD'),
    flat: features.hpds && flag('HPD'),
    sh: tcr(`SH${half}`),
  });
}

/** What VTCR_EL2 and VTTBR_EL2 say. @internal */
export function aarch64Stage2Half(
  vtcr: FieldReader,
  vttbr: bigint,
  features: AArch64Features,
): AArch64Half {
  const granule = granuleOf(0, vtcr('TG0'));
  const inputBits = 64 - vtcr('T0SZ');
  const widths = widthsOf(granule, inputBits, vtcr('PS'), vtcr('DS') === 1, features);
  const start = stage2StartLevel(vtcr, widths, features);
  // Intermediate addresses are no wider than physical ones (S2MinTxSZ).
  const sized =
    inputBits <= features.physicalBits && isInputSize(widths, features.lpa, features.ttst);
  const levels = start === null || !sized ? 0 : stage2Levels(start, widths);
  const outputBits = widths.wide ? 52 : 48;
  const format =
    levels === 0
      ? aarch64({ granule, outputBits, stage: 2 })
      : aarch64({ granule, outputBits, stage: 2, virtualBits: inputBits, levels });
  const { badConfiguration, rootAddressSize } = AARCH64_STAGE2_RULES;
  return makeHalf(widths, format, vttbr, {
    refusal: levels === 0 ? badConfiguration : null,
    rootAddressSize,
    topByteIgnored: [false, false],
    userDisabled: false,
    flat: true,
    sh: vtcr('SH0'),
  });
}

/** Levels from a start level down; 0 when the root would have less than two entries, or more than 16 tables' (S2InconsistentSL). */
function stage2Levels(start: number, { granule, inputBits }: Widths): number {
  const shift = Math.log2(granule);
  const stride = shift - 3;
  const levels = 4 - start;
  const least = shift + stride * (levels - 1) + 1;
  const most = shift + stride * levels + 4;
  return inputBits >= least && inputBits <= most ? levels : 0;
}

/** The architecture's level where a stage 2 walk begins, or `null` for an encoding without a meaning (VTCR_EL2.SL0). */
function stage2StartLevel(
  vtcr: FieldReader,
  { ds, granule }: Widths,
  { physicalBits, ttst }: AArch64Features,
): number | null {
  const sl0 = vtcr('SL0');
  // A level that addresses of this CPU never need can't be the first (S2InvalidSL).
  const tall = physicalBits >= (granule === 16384 ? 42 : 44);
  if (granule === 4096) {
    if (ds && vtcr('SL2') === 1) return sl0 === 0 && physicalBits === 52 ? -1 : null;
    if (sl0 === 3) return ttst ? 3 : null;
    return sl0 < 2 || tall ? 2 - sl0 : null;
  }
  if (sl0 === 3) return granule === 16384 && ds && physicalBits === 52 ? 0 : null;
  return sl0 < 2 || tall ? 3 - sl0 : null;
}
