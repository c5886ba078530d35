/**
 * The bits of the low word of an AArch64 descriptor (Arm ARM DDI 0487, D8 Translation table descriptor formats).
 *
 * ```text
 *  stage 1 page or block
 *   63 62 59 58 55  54  53  52  51 50 49 ............ 12 11 10 9 8 7 6  5  4   2 1 0
 *  +--+-----+-----+---+---+----+---+----+---------------+--+--+---+---+--+-----+---+
 *  |  |PBHA | SW  |UXN|PXN|Cont|DBM|    output address  |nG|AF|SH |AP |NS|Attr |typ|
 *  +--+-----+-----+---+---+----+---+----+---------------+--+--+---+---+--+-----+---+
 *  table
 *    63     62 61    60      59    58 51 50 ......... 12 11 .. 2 1 0
 *  +-------+-------+-------+-------+-----+--------------+-------+---+
 *  |NSTable|APTable|UXNTabl|PXNTabl| IGN | next table   |  IGN  | 3 |
 *  +-------+-------+-------+-------+-----+--------------+-------+---+
 * ```
 *
 * @public
 */
export const AARCH64_PTE = {
  /** Bit 0, valid. */
  Valid: 1,
  /** Bit 1: a table, or a page at the last level; clear: a block. */
  Table: 2,
  /** Bits 4:2, the index into MAIR_EL1. */
  AttrIndx: 0x1c,
  /** Bit 5, non-secure. */
  NS: 0x20,
  /** Bit 6, AP[1]: EL0 may access. */
  AP1: 0x40,
  /** Bit 7, AP[2]: read-only. */
  AP2: 0x80,
  /** Bits 9:8, shareability. */
  SH: 0x300,
  /** Bit 10, the access flag. */
  AF: 0x400,
  /** Bit 11, not global. */
  NG: 0x800,
} as const;

/**
 * The bits of the high word, as int32 masks.
 *
 * @public
 */
export const AARCH64_PTE_HIGH = {
  /** Bit 51, dirty bit modifier. */
  DBM: 0x00080000,
  /** Bit 52, one of a contiguous group. */
  Contiguous: 0x00100000,
  /** Bit 53, privileged execute-never. */
  PXN: 0x00200000,
  /** Bit 54, unprivileged execute-never. */
  UXN: 0x00400000,
  /** Bit 59 of a table: PXN for everything below. */
  PXNTable: 0x08000000,
  /** Bit 60 of a table: UXN for everything below. */
  UXNTable: 0x10000000,
  /** Bit 61 of a table, APTable[0]: no EL0 access below. */
  APTable0: 0x20000000,
  /** Bit 62 of a table, APTable[1]: no write below. */
  APTable1: 0x40000000,
} as const;

/**
 * The same for stage 2 (D8 Stage 2 permissions).
 *
 * @public
 */
export const AARCH64_STAGE2_PTE = {
  /** Bits 5:2, the memory attributes. */
  MemAttr: 0x3c,
  /** Bit 6, S2AP[0]: may be read. */
  Read: 0x40,
  /** Bit 7, S2AP[1]: may be written. */
  Write: 0x80,
  /** Bit 10, the access flag. */
  AF: 0x400,
} as const;

/**
 * The bits of the high word that stage 2 has otherwise than stage 1, as int32 masks.
 *
 * @public
 */
export const AARCH64_STAGE2_PTE_HIGH = {
  /** Bits 54:53, XN[1:0]: 0 executable, 1 not at EL1, 2 not at all, 3 not at EL0. */
  XN: 0x00600000,
} as const;

/**
 * log2 of the entries in a contiguous group, by granule and library level (0: pages).
 *
 * Arm ARM, D8 The Contiguous bit: 16 adjacent entries with 4 KiB; 128 pages or 32 blocks with 16 KiB; 32 with 64 KiB.
 * The blocks that came with 52-bit addresses (512 GiB, 64 GiB and 4 TiB) have no groups: there the bit means nothing.
 *
 * @param granule - Bytes in a granule: 4096, 16384 or 65536.
 * @param level - The library's level: 0 is a page.
 * @returns 4, 5 or 7; 0 where there are no groups.
 *
 * @example
 * ```ts
 * import { aarch64ContiguousBits } from 'pagewright/pte';
 *
 * 2 ** aarch64ContiguousBits(16384, 0); // => 128
 * ```
 * @public
 */
export function aarch64ContiguousBits(granule: number, level: number): number {
  if (level > (granule === 4096 ? 2 : 1)) return 0;
  if (granule === 4096) return 4;
  return granule === 16384 && level === 0 ? 7 : 5;
}
