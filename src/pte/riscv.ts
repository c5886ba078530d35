/**
 * The bits of a RISC-V page-table entry's low word, the same in every mode (RISC-V Privileged, "Sv32" and
 * "Sv39: Addressing and Memory Protection").
 *
 * ```text
 *   63  62  61 60      59 58      54 53       10 9    8   7   6   5   4   3   2   1   0
 *  +---+------+----------+----------+-----------+------+---+---+---+---+---+---+---+---+
 *  | N | PBMT | RSW60T59 | reserved |    PPN    | RSW  | D | A | G | U | X | W | R | V |   Sv39 Sv48 Sv57
 *  +---+------+----------+----------+-----------+------+---+---+---+---+---+---+---+---+
 *                               31            10 9    8   7   6   5   4   3   2   1   0
 *                              +----------------+------+---+---+---+---+---+---+---+---+
 *                              |      PPN       | RSW  | D | A | G | U | X | W | R | V |   Sv32
 *                              +----------------+------+---+---+---+---+---+---+---+---+
 * ```
 *
 * @public
 */
export const RISCV_PTE = {
  /** Bit 0, valid. When clear, every other bit is software's. */
  V: 0x1,
  /** Bit 1, readable. */
  R: 0x2,
  /** Bit 2, writable. Reserved without {@link RISCV_PTE.R}. */
  W: 0x4,
  /** Bit 3, executable. R, W and X all clear make the entry a pointer to the next table. */
  X: 0x8,
  /** Bit 4, accessible in U-mode. */
  U: 0x10,
  /** Bit 5, global: the mapping is the same in every address space. */
  G: 0x20,
  /** Bit 6, accessed. */
  A: 0x40,
  /** Bit 7, dirty. */
  D: 0x80,
  /** Bits 9:8, for supervisor software. */
  RSW: 0x300,
} as const;

/**
 * The bits of the high word of a 64-bit RISC-V entry, as int32 masks (RISC-V Privileged, "Sv39: Addressing and
 * Memory Protection", "Svnapot", "Svpbmt", "Svrsw60t59b").
 *
 * @public
 */
export const RISCV_PTE_HIGH = {
  /** Bit 63, Svnapot: the leaf maps a naturally aligned power-of-two group of pages. */
  N: -0x80000000,
  /** Bits 62:61, Svpbmt: the page-based memory type. */
  PBMT: 0x60000000,
  /** Bits 60:59, for software with Svrsw60t59b, reserved without. */
  RSW60T59: 0x18000000,
  /** Bits 58:54, reserved for future standard use. */
  RESERVED: 0x07c00000,
} as const;

/**
 * The memory types of the PBMT field, by value: the platform's own (PMA), non-cacheable main memory (NC), I/O, and a
 * reserved encoding (RISC-V Privileged, "Svpbmt").
 *
 * @public
 */
export const RISCV_PBMT = ['PMA', 'NC', 'IO', 'reserved'] as const;

/**
 * One of {@link RISCV_PBMT}.
 *
 * @public
 */
export type RiscvPbmt = (typeof RISCV_PBMT)[number];

/**
 * The memory type that a 64-bit RISC-V leaf asks for.
 *
 * @param high - Bits 63:32 of the entry.
 * @returns Its name. Hot: nothing is checked.
 *
 * @example
 * ```ts
 * import { riscvPbmt } from 'pagewright/pte';
 *
 * riscvPbmt(0x2000_0000); // => 'NC'
 * ```
 * @public
 */
export function riscvPbmt(high: number): RiscvPbmt {
  return RISCV_PBMT[(high >>> 29) & 3]!;
}
