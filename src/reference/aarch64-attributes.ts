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

/**
 * S2ApplyFWBMemAttrs: Device, Non-cacheable unless Device, forced write-back, or stage 1's. Of two Device types the manual
 * takes the stricter; the recordings have stage 2's, so that is what counts here.
 */
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

/** How caches may be used: SCTLR_EL1.C and I, or HCR_EL2.CD and ID the other way round. */
interface Caches {
  readonly data: boolean;
  readonly fetches: boolean;
}

/** Normal Non-cacheable is what is left of memory that an access may not cache, and what a fetch sees of Device memory. */
function becomesUncached(attr: number, fetches: boolean, caches: Caches): boolean {
  if (fetches) return isDevice(attr) || !caches.fetches;
  return !isDevice(attr) && !caches.data;
}

/** Memory that is Non-cacheable already stays as it is (with FEAT_XS there are two sorts of it). */
const uncached = (attr: number): number =>
  !isDevice(attr) && halves(attr).every((half) => half === 0b0100) ? attr : NON_CACHEABLE;

/** AArch64.S1Translate, at its end: what a stage 1 descriptor's attributes are to an access. */
export function effectiveStage1(attr: number, fetches: boolean, sctlr: bigint): number {
  const caches = { data: bit(sctlr, 2), fetches: bit(sctlr, 12) };
  return becomesUncached(attr, fetches, caches) ? uncached(attr) : attr;
}

/** AArch64.S1DisabledOutput: write-back with HCR_EL2.DC; otherwise fetches are write-through at best, data is Device. */
export function stage1OffAttributes(
  fetches: boolean,
  sctlr: bigint,
  hcr: bigint,
): ReferenceAArch64Attributes {
  if (bit(hcr, 12)) return { attr: WRITE_BACK, sh: 0 };
  if (!fetches) return { attr: 0x00, sh: 2 };
  return { attr: bit(sctlr, 12) ? 0b1010_1010 : NON_CACHEABLE, sh: 2 };
}

/** What MemAttr[3:0] without FEAT_S2FWB says by itself, as eight bits. */
function stage2Type(memAttr: number): number {
  const outer = Math.floor(memAttr / 4);
  if (outer === 0) return (memAttr % 4) * 4;
  const half = (value: number): number => [0b1111, 0b0100, 0b1011, 0b1111][value]!;
  return half(outer) * 16 + half(memAttr % 4);
}

/** AArch64.S2Translate, at its end: the attributes of both stages. `leaf` is stage 2's descriptor, `sh2` its shareability. */
export function combineStages(
  stage1: ReferenceAArch64Attributes,
  leaf: bigint,
  sh2: number,
  hcr: bigint,
  fetches: boolean,
): ReferenceAArch64Attributes {
  const memAttr = Number(field(leaf, 5, 2));
  const caches = { data: !bit(hcr, 32), fetches: !bit(hcr, 33) };
  let attr: number;
  if (bit(hcr, 46)) {
    // FEAT_S2FWB: the descriptor has had stage 1's in view already.
    const forced = combineForced(stage1.attr, memAttr);
    // The XS attribute of what becomes Non-cacheable is stage 1's.
    const normal = isDevice(forced) ? stage1.attr : forced;
    attr = becomesUncached(forced, fetches, caches) ? uncached(normal) : forced;
  } else {
    const own = becomesUncached(stage2Type(memAttr), fetches, caches) ? 0b0101 : memAttr;
    attr = combine(stage1.attr, own);
  }
  const sh1 = isDevice(stage1.attr) ? 2 : stage1.sh;
  const sh = sh1 === 2 || sh2 === 2 ? 2 : sh1 === 3 || sh2 === 3 ? 3 : 0;
  return { attr, sh: reportedShareability(attr, sh) };
}

/** Whether stage 2 by itself makes memory Device. */
export function isStage2Device(leaf: bigint, hcr: bigint): boolean {
  return bit(hcr, 46) ? field(leaf, 4, 4) === 0n : field(leaf, 5, 4) === 0n;
}
