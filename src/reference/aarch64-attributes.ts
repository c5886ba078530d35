import { bit, field } from './aarch64-stage.js';

/** Memory attributes as PAR_EL1 shows them. */
export interface ReferenceAArch64Attributes {
  /** As in MAIR_EL1. */
  readonly attr: number;
  /** 0 none, 2 outer, 3 inner. */
  readonly sh: number;
}

const isDevice = (attr: number): boolean => attr < 0x10;
const NON_CACHEABLE = 0x44;
const WRITE_BACK = 0xff;
const TAGGED = 0xf0;

/** The outer and the inner half. An inner half of 0 (tagged, or FEAT_XS) is the same as the outer one. */
function halves(attr: number): readonly [number, number] {
  const outer = Math.floor(attr / 16);
  return [outer, attr % 16 || outer];
}

/** AArch64.PARShareability: Device and Non-cacheable memory is outer shareable, whatever was asked for. */
export function reportedShareability(attr: number, sh: number): number {
  return isDevice(attr) || halves(attr).every((half) => half === 0b0100) ? 2 : sh;
}

/** One half of a Normal attribute: how it caches, and its allocation hints. */
interface Half {
  /** 0 non-cacheable, 1 write-through, 2 write-back. */
  readonly strength: 0 | 1 | 2;
  readonly transient: boolean;
  readonly hints: number;
}

function decodeHalf(half: number): Half {
  if (half === 0b0100) return { strength: 0, transient: false, hints: 0 };
  const transient = half < 8;
  return { strength: half % 8 >= 4 ? 2 : 1, transient, hints: half % 4 };
}

function encodeHalf({ hints, strength, transient }: Half): number {
  if (strength === 0) return 0b0100;
  return (transient ? 0 : 8) + (strength === 2 ? 4 : 0) + hints;
}

/** S2CombineS1AttrHints: the weaker of both; stage 1's hints. */
function weaker(half: number, stage2: 0 | 1 | 2): number {
  const own = decodeHalf(half);
  return encodeHalf(own.strength <= stage2 ? own : { ...own, strength: stage2 });
}

/** S2CombineS1MemAttrs, without FEAT_S2FWB. `memAttr` is MemAttr[3:0] of the descriptor. */
function combine(stage1: number, memAttr: number): number {
  const outer = Math.floor(memAttr / 4);
  const inner = memAttr % 4;
  if (outer === 0) return isDevice(stage1) ? Math.min(stage1, inner * 4) : inner * 4;
  if (isDevice(stage1)) return stage1;
  // 0 in the inner half alone is reserved: here it is write-back.
  const strengths = [2, 0, 1, 2] as const;
  const [high, low] = halves(stage1);
  const result = [weaker(high, strengths[outer]!), weaker(low, strengths[inner]!)] as const;
  // What stage 2 leaves as it is stays tagged.
  if (result[0] === high && result[1] === low) return stage1;
  return result[0] * 16 + result[1];
}

/** S2CombineS1MemAttrs with FEAT_S2FWB: Device, Non-cacheable unless Device, forced write-back, or stage 1's. */
function combineForced(stage1: number, memAttr: number): number {
  const choice = memAttr % 8;
  if (choice < 4) return choice * 4;
  if (choice === 5) return isDevice(stage1) ? stage1 : NON_CACHEABLE;
  if (choice !== 6 || stage1 === TAGGED) return stage1;
  if (isDevice(stage1)) return WRITE_BACK;
  const back = (half: number): number => {
    const own = decodeHalf(half);
    return own.strength === 0 ? 0b1111 : encodeHalf({ ...own, strength: 2 });
  };
  const [high, low] = halves(stage1);
  return back(high) * 16 + back(low);
}

/** The attributes of both stages together. `leaf` is stage 2's descriptor, `sh2` its shareability. */
export function combineStages(
  stage1: ReferenceAArch64Attributes,
  leaf: bigint,
  sh2: number,
  hcr: bigint,
): ReferenceAArch64Attributes {
  const memAttr = Number(field(leaf, 5, 2));
  const both = bit(hcr, 46) ? combineForced(stage1.attr, memAttr) : combine(stage1.attr, memAttr);
  // HCR_EL2.CD: data is not cached.
  const attr = bit(hcr, 32) && !isDevice(both) ? NON_CACHEABLE : both;
  const sh1 = isDevice(stage1.attr) ? 2 : stage1.sh;
  const sh = sh1 === 2 || sh2 === 2 ? 2 : sh1 === 3 || sh2 === 3 ? 3 : 0;
  return { attr, sh: reportedShareability(attr, sh) };
}

/** Whether stage 2 by itself makes memory Device. */
export function isStage2Device(leaf: bigint, hcr: bigint): boolean {
  return bit(hcr, 46) ? field(leaf, 4, 4) === 0n : field(leaf, 5, 4) === 0n;
}
