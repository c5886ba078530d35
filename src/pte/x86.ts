/**
 * The bits of an x86 paging-structure entry's low word (Intel SDM Vol. 3A, Figure 4-4 for 32-bit, Figure 4-7 for PAE,
 * Figure 4-11 for 4-level and 5-level paging).
 *
 * ```text
 *   63  62 59 58    52 51            12 11   9  8   7   6   5   4   3   2   1   0
 *  +---+-----+--------+----------------+------+---+---+---+---+---+---+---+---+---+
 *  |XD | PK  |ignored |    address     |ignor.| G |PAT| D | A |PCD|PWT|U/S|R/W| P |   maps a 4 KiB page
 *  +---+-----+--------+------------+---+------+---+---+---+---+---+---+---+---+---+
 *  |XD | PK  |ignored |  address   |PAT|ignor.| G |PS | D | A |PCD|PWT|U/S|R/W| P |   maps a large page
 *  +---+-----+--------+------------+---+------+---+---+---+---+---+---+---+---+---+
 *  |XD |   ignored    |    address     |  ignored |PS0|ign| A |PCD|PWT|U/S|R/W| P |   points at a table
 *  +---+--------------+----------------+----------+---+---+---+---+---+---+---+---+
 * ```
 *
 * @public
 */
export const X86_PTE = {
  /** Bit 0, present. When clear, every other bit is ignored. */
  P: 0x1,
  /** Bit 1, R/W: writes are allowed. */
  RW: 0x2,
  /** Bit 2, U/S: user-mode accesses are allowed. */
  US: 0x4,
  /** Bit 3, page-level write-through: bit 0 of the PAT index. */
  PWT: 0x8,
  /** Bit 4, page-level cache disable: bit 1 of the PAT index. */
  PCD: 0x10,
  /** Bit 5, accessed. */
  A: 0x20,
  /** Bit 6, dirty; only in entries that map a page. */
  D: 0x40,
  /** Bit 7 above the last level, page size: the entry maps a page. */
  PS: 0x80,
  /** Bit 7 at the last level: bit 2 of the PAT index. */
  PAT: 0x80,
  /** Bit 8, global; only in entries that map a page, and only with CR4.PGE. */
  G: 0x100,
  /** Bit 12 of a large page's entry: bit 2 of the PAT index. */
  PAT_LARGE: 0x1000,
} as const;

/**
 * The bits of the high word of a 64-bit x86 entry, as int32 masks (Intel SDM Vol. 3A, Tables 4-9 to 4-20).
 *
 * @public
 */
export const X86_PTE_HIGH = {
  /** Bit 63, execute-disable; reserved while IA32_EFER.NXE is 0. */
  XD: -0x80000000,
  /** Bits 62:59, the protection key of a page in 4-level and 5-level paging. */
  PK: 0x78000000,
} as const;
