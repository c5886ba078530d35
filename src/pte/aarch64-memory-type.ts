/**
 * Memory attributes as MAIR_EL1 and PAR_EL1 encode them: eight bits.
 *
 * ```text
 *   7 6 5 4   3 2 1 0
 *   0 0 0 0   d d 0 0     Device: dd 0 nGnRnE, 1 nGnRE, 2 nGRE, 3 GRE
 *   outer     inner       Normal, each half: 0100 non-cacheable; 10RW write-through, 11RW write-back,
 *                         00RW and 01RW the same, transient; R and W say whether to allocate
 *   1 1 1 1   0 0 0 0     Normal, tagged; with FEAT_XS also 0100 0000 non-cacheable and 1010 0000 write-through:
 *                         an inner half of 0 is the same as the outer one
 * ```
 *
 * Arm ARM DDI 0487, MAIR_EL1.
 */
const NON_CACHEABLE = 0x44;
const WRITE_BACK = 0xff;
const TAGGED = 0xf0;

const DEVICES = ['nGnRnE', 'nGnRE', 'nGRE', 'GRE'] as const;

/**
 * How a memory may be cached.
 *
 * @public
 */
export type AArch64Cacheability = 'non-cacheable' | 'write-through' | 'write-back';

/**
 * Memory attributes in words.
 *
 * @public
 */
export type AArch64MemoryType =
  | {
      /** The tag. */
      readonly kind: 'device';
      /** Gathering, reordering, early acknowledgement: n means not. */
      readonly device: 'nGnRnE' | 'nGnRE' | 'nGRE' | 'GRE';
    }
  | {
      /** The tag. */
      readonly kind: 'normal';
      /** Of inner caches. */
      readonly inner: AArch64Cacheability;
      /** Of outer caches. */
      readonly outer: AArch64Cacheability;
      /** Whether the memory has allocation tags (FEAT_MTE2). */
      readonly tagged: boolean;
    };

/**
 * Whether attributes are a Device type. Hot: nothing is checked.
 *
 * @param attributes - Eight bits.
 * @returns `true` when they are.
 * @public
 */
export function aarch64IsDevice(attributes: number): boolean {
  return (attributes & 0xf0) === 0;
}

function cacheability(half: number): AArch64Cacheability {
  if (half === 4) return 'non-cacheable';
  return (half & 4) === 0 ? 'write-through' : 'write-back';
}

/**
 * Spells memory attributes out.
 *
 * @param attributes - Eight bits, as in MAIR_EL1 or PAR_EL1.ATTR.
 * @returns Plain data.
 *
 * @example
 * ```ts
 * import { aarch64MemoryType } from 'pagewright/pte';
 *
 * aarch64MemoryType(0x04); // => { kind: 'device', device: 'nGnRE' }
 * aarch64MemoryType(0xff); // => { kind: 'normal', inner: 'write-back', outer: 'write-back', tagged: false }
 * ```
 * @public
 */
export function aarch64MemoryType(attributes: number): AArch64MemoryType {
  if (aarch64IsDevice(attributes)) {
    return { kind: 'device', device: DEVICES[(attributes >>> 2) & 3]! };
  }
  const inner = cacheability(innerHalf(attributes));
  const outer = cacheability(attributes >>> 4);
  return { kind: 'normal', inner, outer, tagged: attributes === TAGGED };
}

/** The inner half of a Normal type, spelt out. */
function innerHalf(attributes: number): number {
  const half = attributes & 15;
  if (half !== 0) return half;
  return attributes === TAGGED ? 15 : attributes >>> 4;
}

/**
 * Combines the memory attributes of stage 1 with those of stage 2 (Arm ARM DDI 0487, D8 Stage 2 memory
 * type and Cacheability attributes when FWB is disabled, and when it is enabled). Hot: nothing is checked.
 *
 * @param stage1 - Eight bits, as in MAIR_EL1.
 * @param memAttr - MemAttr[3:0] of the stage 2 descriptor.
 * @param forced - HCR_EL2.FWB: stage 2 decides.
 * @returns Eight bits, as in PAR_EL1.ATTR.
 *
 * @example
 * ```ts
 * import { aarch64CombineAttributes } from 'pagewright/pte';
 *
 * aarch64CombineAttributes(0xff, 0b0101, false); // => 0x44
 * aarch64CombineAttributes(0x04, 0b0110, true); // => 0xff
 * ```
 * @public
 */
export function aarch64CombineAttributes(stage1: number, memAttr: number, forced: boolean): number {
  return forced ? combineForced(stage1, memAttr) : combine(stage1, memAttr);
}

function combine(stage1: number, memAttr: number): number {
  if ((memAttr & 12) === 0) return combineDevice(stage1, memAttr & 3);
  if (aarch64IsDevice(stage1)) return stage1;
  const outer = combineHalf(stage1 >>> 4, memAttr >>> 2);
  const inner = combineHalf(innerHalf(stage1), memAttr & 3);
  // What stage 2 leaves as it is stays tagged.
  const same = outer === stage1 >>> 4 && inner === innerHalf(stage1);
  return same ? stage1 : (outer << 4) | inner;
}

/** A half of stage 1's with stage 2's 1 non-cacheable, 2 write-through, 3 write-back: the weaker of both. */
function combineHalf(half: number, stage2: number): number {
  if (half === 4 || stage2 === 1) return 4;
  return stage2 === 2 ? half & ~4 : half;
}

/** Stage 2 says Device: of two Device types the stricter, which has the lower number. */
function combineDevice(stage1: number, device: number): number {
  return aarch64IsDevice(stage1) ? Math.min(stage1 & 12, device << 2) : device << 2;
}

/**
 * FEAT_S2FWB: 0xx Device, 101 non-cacheable unless Device, 110 write-back, 111 as stage 1 says. Of two Device types the
 * manual takes the stricter (S2ApplyFWBMemAttrs); every recording has stage 2's, whatever stage 1 says, and so it is here.
 */
function combineForced(stage1: number, memAttr: number): number {
  if ((memAttr & 4) === 0) return (memAttr & 3) << 2;
  switch (memAttr & 3) {
    case 1:
      return aarch64IsDevice(stage1) ? stage1 : NON_CACHEABLE;
    case 2:
      return aarch64IsDevice(stage1) ? WRITE_BACK : forceWriteBack(stage1);
    default:
      return stage1;
  }
}

/** Write-back in both halves, with the allocation hints that there are. */
function forceWriteBack(stage1: number): number {
  if (stage1 === TAGGED) return stage1;
  const half = (value: number): number => (value === 4 ? 15 : value | 4);
  return (half(stage1 >>> 4) << 4) | half(innerHalf(stage1));
}

/**
 * What is left of memory that an access may not cache (SCTLR_EL1.C and I, HCR_EL2.CD and ID), and what a fetch sees of
 * Device memory: Normal Non-cacheable. Memory that is that already stays as it is: with FEAT_XS there are two sorts of it.
 * Hot: nothing is checked.
 *
 * @param attributes - Eight bits, as in MAIR_EL1.
 * @returns The same.
 *
 * @example
 * ```ts
 * import { aarch64Uncached } from 'pagewright/pte';
 *
 * [aarch64Uncached(0xff), aarch64Uncached(0x04), aarch64Uncached(0x40)]; // => [0x44, 0x44, 0x40]
 * ```
 * @public
 */
export function aarch64Uncached(attributes: number): number {
  return isNonCacheable(attributes) ? attributes : NON_CACHEABLE;
}

/** 0x40 is Non-cacheable, too. */
function isNonCacheable(attributes: number): boolean {
  return (attributes | 4) === NON_CACHEABLE;
}

/**
 * Combines the shareability of both stages: the wider one. Hot: nothing is checked.
 *
 * @param stage1 - 0 none, 2 outer, 3 inner.
 * @param stage2 - The same.
 * @returns The same.
 * @public
 */
export function aarch64CombineShareability(stage1: number, stage2: number): number {
  if (stage1 === 2 || stage2 === 2) return 2;
  return stage1 === 3 || stage2 === 3 ? 3 : 0;
}

/**
 * Shareability as PAR_EL1.SH reports it: Device and Non-cacheable memory is outer shareable. Hot: nothing is checked.
 *
 * @param attributes - Eight bits, as in MAIR_EL1.
 * @param shareability - 0 none, 2 outer, 3 inner.
 * @returns Two bits.
 * @public
 */
export function aarch64ReportedShareability(attributes: number, shareability: number): number {
  return aarch64IsDevice(attributes) || isNonCacheable(attributes) ? 2 : shareability;
}
