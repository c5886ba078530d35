import { checkBits, checkInteger, VmError } from '../core/index.js';
import { type MtrrType, x86MemoryTypeOf } from './x86-memory-type.js';

/**
 * One variable-range MTRR: a pair of MSRs (Intel SDM Vol. 3A, Figure 12-7).
 *
 * @public
 */
export interface VariableMtrr {
  /** IA32_MTRR_PHYSBASEn: bits 51:12 of the base address, and the type in bits 7:0. */
  readonly base: bigint | number;
  /** IA32_MTRR_PHYSMASKn: bits 51:12 of the mask, and V, the pair is valid, in bit 11. */
  readonly mask: bigint | number;
}

/**
 * The MTRRs of a CPU.
 *
 * @public
 */
export interface MtrrOptions {
  /** IA32_MTRR_DEF_TYPE: the type of what no range covers in bits 7:0, FE in bit 10, E in bit 11. */
  readonly defType: bigint | number;
  /**
   * The eleven fixed-range MTRRs in the order of their MSR numbers: FIX64K_00000, FIX16K_80000, FIX16K_A0000,
   * FIX4K_C0000 to FIX4K_F8000. @defaultValue eleven times 0, UC
   */
  readonly fixed?: readonly (bigint | number)[];
  /** The variable ranges. @defaultValue none */
  readonly variable?: readonly VariableMtrr[];
}

/** A valid variable range, in frame numbers cut into two halves of 20 bits, so that 40 bits can be masked. */
interface Range {
  readonly type: MtrrType;
  readonly baseLow: number;
  readonly baseHigh: number;
  readonly maskLow: number;
  readonly maskHigh: number;
}

/** Frames below 1 MiB, which the fixed ranges cover. */
const FIXED_FRAMES = 256;
const FIXED_REGISTERS = 11;

/**
 * The memory type range registers: which memory type each physical page has (Intel SDM Vol. 3A, 12.11).
 *
 * Where ranges overlap, UC wins, and WT wins over WB; the manual leaves any other disagreement undefined, and this class
 * answers UC for it, the type that is safe for every memory.
 *
 * @example
 * ```ts
 * import { Mtrrs } from 'pagewright/pte';
 *
 * const mtrrs = new Mtrrs({
 *   defType: 0x806, // enabled, WB
 *   variable: [{ base: 0xc000_0000, mask: 0xff_c000_0800 }], // 1 GiB of UC at 3 GiB
 * });
 * mtrrs.typeOf(0x1000); // => 'WB'
 * mtrrs.typeOf(0xfee00); // => 'UC'
 * ```
 * @public
 */
export class Mtrrs {
  private readonly enabled: boolean;
  private readonly defaultType: MtrrType;
  private readonly lowTypes: readonly MtrrType[] | undefined;
  private readonly ranges: readonly Range[];

  /**
   * @param options - The registers.
   * @throws `VmError` for values that are no 64-bit patterns, types that no MTRR accepts (writing them is #GP), or
   * a number of fixed MTRRs other than eleven.
   */
  constructor(options: MtrrOptions) {
    const { defType, fixed, variable = [] } = options;
    const pattern = checkBits('defType', defType);
    this.enabled = (pattern & 0x800n) !== 0n;
    this.defaultType = typeIn('defType', pattern);
    const lowTypes = fixedTypes(fixed ?? Array<bigint>(FIXED_REGISTERS).fill(0n));
    this.lowTypes = (pattern & 0x400n) !== 0n ? lowTypes : undefined;
    this.ranges = variable.flatMap((pair, i) => variableRange(pair, `variable[${i}]`));
  }

  /**
   * The memory type of a physical page.
   *
   * @param pfn - The frame number, in 4 KiB pages, below 2^40.
   * @returns The type: UC everywhere while the MTRRs are disabled. O(variable ranges).
   * @throws `VmError` for a frame number that is no integer, or outside 0 to 2^40 - 1.
   */
  typeOf(pfn: number): MtrrType {
    checkInteger('pfn', pfn, 0, 2 ** 40 - 1);
    if (!this.enabled) return 'UC';
    if (pfn < FIXED_FRAMES && this.lowTypes !== undefined) return this.lowTypes[fixedField(pfn)]!;
    const low = pfn & 0xfffff;
    const high = Math.floor(pfn / 2 ** 20);
    let type: MtrrType | undefined;
    for (const range of this.ranges) {
      if ((low & range.maskLow) !== range.baseLow || (high & range.maskHigh) !== range.baseHigh) {
        continue;
      }
      type = type === undefined ? range.type : precedence(type, range.type);
    }
    return type ?? this.defaultType;
  }
}

/** Which of two overlapping ranges wins (Intel SDM Vol. 3A, 12.11.4.1). */
function precedence(a: MtrrType, b: MtrrType): MtrrType {
  if (a === b) return a;
  const writeThrough = (a === 'WT' || a === 'WB') && (b === 'WT' || b === 'WB');
  return writeThrough ? 'WT' : 'UC';
}

/**
 * The byte of the eleven registers that covers a frame below 1 MiB: eight of 64 KiB, sixteen of 16 KiB from 512 KiB,
 * sixty-four of 4 KiB from 768 KiB (Intel SDM Vol. 3A, Table 12-9).
 */
function fixedField(pfn: number): number {
  if (pfn < 0x80) return pfn >>> 4;
  if (pfn < 0xc0) return 8 + ((pfn - 0x80) >>> 2);
  return 24 + (pfn - 0xc0);
}

/** The types in the fixed-range registers, byte by byte, the lowest address first. */
function fixedTypes(fixed: readonly (bigint | number)[]): readonly MtrrType[] {
  checkInteger('fixed.length', fixed.length, FIXED_REGISTERS, FIXED_REGISTERS);
  return fixed.flatMap((register, i) => {
    const pattern = checkBits(`fixed[${i}]`, register);
    return [0n, 8n, 16n, 24n, 32n, 40n, 48n, 56n].map((at) => typeIn(`fixed[${i}]`, pattern >> at));
  });
}

/** No range for a pair that is not valid. A base bit outside the mask never matters. */
function variableRange(pair: VariableMtrr, argument: string): readonly Range[] {
  const base = checkBits(`${argument}.base`, pair.base);
  const mask = checkBits(`${argument}.mask`, pair.mask);
  if ((mask & 0x800n) === 0n) return [];
  const maskLow = Number((mask >> 12n) & 0xfffffn);
  const maskHigh = Number((mask >> 32n) & 0xfffffn);
  return [
    {
      type: typeIn(`${argument}.base`, base),
      baseLow: Number((base >> 12n) & 0xfffffn) & maskLow,
      baseHigh: Number((base >> 32n) & 0xfffffn) & maskHigh,
      maskLow,
      maskHigh,
    },
  ];
}

/** The type in bits 7:0. */
function typeIn(argument: string, pattern: bigint): MtrrType {
  const encoding = Number(pattern & 0xffn);
  const type = x86MemoryTypeOf(encoding);
  if (type === undefined || type === 'UC-') {
    const expected = 'a memory type: 0 UC, 1 WC, 4 WT, 5 WP, 6 WB';
    throw new VmError('out-of-range', { argument, value: encoding, expected });
  }
  return type;
}
