import { AARCH64_PTE, AARCH64_PTE_HIGH, aarch64ContiguousBits } from './aarch64.js';
import type { MappingBitsOptions } from './mapping-bits.js';

const { AF, AP1, AP2, AttrIndx, NG, NS, SH, Table, Valid } = AARCH64_PTE;
const { APTable0, Contiguous, DBM, PXN, PXNTable, UXN, UXNTable } = AARCH64_PTE_HIGH;

/**
 * Bit 55, one of those left to software (58:55): the page was written, where AP[2] no longer tells. It is where Linux
 * keeps it (arch/arm64/include/asm/pgtable-prot.h, PTE_DIRTY).
 */
export const SOFT_DIRTY = 0x00800000;
/** Stage 2: S2AP[0]. */
export const S2_READ = 0x40;
/** Stage 2: S2AP[1]. */
export const S2_WRITE = 0x80;
/** Stage 2: MemAttr of normal write-back memory, while HCR_EL2.FWB is 0. */
const S2_WRITE_BACK = 0x3c;
/** Stage 2: XN[1:0], bits 54:53. */
export const S2_XN = 0x00600000;

/** Never executed, as a page and as a table, through which EL0 may not access anything either. */
const RECURSIVE_HIGH = PXN | UXN | PXNTable | UXNTable | APTable0;

/** What is peculiar to a format's descriptors. */
interface Descriptors {
  readonly stage: 1 | 2;
  readonly levels: number;
  readonly granule: number;
  readonly indexBits: readonly number[];
  /** Whether bits 9:8 are shareability: not with LPA2. */
  readonly shareable: boolean;
}

/** How AArch64's entries are written. */
export function aarch64Mapping(descriptors: Descriptors): MappingBitsOptions {
  const { granule, indexBits, levels, shareable, stage } = descriptors;
  const sh = shareable ? SH : 0;
  // A table descriptor's bits 11:2 are ignored but for AF, which hardware may set (FEAT_HAFT). They are for the time when
  // it is read as a page, by way of a recursive entry: like other memory, and of one address space.
  const pointer = { low: Valid | Table | (stage === 1 ? AF | NG | sh : 0), high: 0 };
  return {
    aarch64Stage: stage,
    base: { low: Valid | sh | (stage === 1 ? 0 : S2_WRITE_BACK), high: 0 },
    pointers: Array.from({ length: levels }, () => pointer),
    ...(stage === 1 ? { global: { low: NG, high: 0 }, flip: { low: NG, high: 0 } } : {}),
    managed: {
      low: stage === 1 ? AP1 | AP2 : S2_READ | S2_WRITE,
      high: DBM | SOFT_DIRTY | (stage === 1 ? PXN | UXN : S2_XN),
    },
    accessed: AF,
    // A root of few entries may be smaller than a group.
    groupBits: indexBits.map((bits, level) => {
      const group = aarch64ContiguousBits(granule, level);
      return group <= bits ? group : 0;
    }),
    groupHigh: Contiguous,
    breakBeforeMake: true,
    typeLow: sh | (stage === 1 ? AttrIndx | NS : S2_WRITE_BACK),
    // The tables are EL1's, and nobody executes them, whichever entry is read as the page in the end.
    recursive: stage === 1 ? { low: pointer.low, high: RECURSIVE_HIGH } : null,
  };
}
