import { SwapLayout, type SwapLayoutName } from './swap-layout.js';

// The layouts of Linux 6.18. Bits drawn as 0 are 0. E: exclusive (PG_anon_exclusive), F: write-protected by userfaultfd,
// S: soft-dirty. Offsets are no wider than include/linux/swapops.h allows: 58 bits where a long has 64, else 26.

/**
 * arch/x86/include/asm/pgtable_64.h, markers in pgtable_types.h. The offset is inverted so that the address bits of the
 * entry are high, where no memory is: a CPU that looks at them though the entry is not present (L1TF) finds nothing.
 * Bit 8 would be PROT_NONE, and bit 7 too makes an entry of level 1 count as present; bits 6 and 5 are left alone
 * because a CPU's erratum sets them (dirty, accessed) in entries that are not present.
 *
 * ```text
 *  63    59 58                     9 8 7 6 5 4 3 2 1 0
 * +--------+------------------------+-----------------+
 * |  type  |        ~ offset        |0 0 0 0 0 E F S 0|
 * +--------+------------------------+-----------------+
 * ```
 */
const X86_64: SwapLayout = /* @__PURE__ */ new SwapLayout({
  entryBytes: 8,
  typeShift: 59,
  offsetShift: 9,
  offsetBits: 50,
  offsetInverted: true,
  exclusive: 1 << 3,
  uffdWriteProtect: 1 << 2,
  softDirty: 1 << 1,
});

/**
 * arch/x86/include/asm/pgtable-3level.h. The entry has the fields of {@link X86_64}, but it is made from a
 * swp_entry_t of 32 bits; there the offset has 27 bits beside the type, and 26 in include/linux/swapops.h, so that bits
 * 58:35 are 1. Userfaultfd's write protection and soft-dirty are for 64-bit kernels only (arch/x86/Kconfig), and the
 * exclusive bit is another.
 *
 * ```text
 *  63    59 58       35 34         9 8 7 6 5 4 3 2 1 0
 * +--------+-----------+------------+-----------------+
 * |  type  | all ones  |  ~ offset  |0 E 0 0 0 0 0 0 0|
 * +--------+-----------+------------+-----------------+
 * ```
 */
const X86_PAE: SwapLayout = /* @__PURE__ */ new SwapLayout({
  entryBytes: 8,
  typeShift: 59,
  offsetShift: 9,
  offsetBits: 50,
  offsetInverted: true,
  offsetEnd: 2 ** 26,
  exclusive: 1 << 7,
});

/**
 * arch/x86/include/asm/pgtable-2level.h. Not inverted, for there is no room.
 *
 * ```text
 *  31                9 8 7 6     1 0
 * +-------------------+---+-------+-+
 * |      offset       |0 E|  type |0|
 * +-------------------+---+-------+-+
 * ```
 */
const X86_32: SwapLayout = /* @__PURE__ */ new SwapLayout({
  entryBytes: 4,
  typeShift: 1,
  offsetShift: 9,
  offsetBits: 23,
  exclusive: 1 << 7,
});

/**
 * arch/riscv/include/asm/pgtable.h and pgtable-bits.h, for Sv39, Sv48 and Sv57. Bit 5 would be PROT_NONE. Bits for
 * soft-dirty (3) and userfaultfd (4) came with Svrsw60t59b in Linux 6.19.
 *
 * ```text
 *  63                        12 11   7 6 5 4 3 2 1 0
 * +----------------------------+------+-------------+
 * |           offset           | type |E 0 0 0 0 0 0|
 * +----------------------------+------+-------------+
 * ```
 */
const RISCV64: SwapLayout = /* @__PURE__ */ new SwapLayout({
  entryBytes: 8,
  typeShift: 7,
  offsetShift: 12,
  offsetBits: 52,
  exclusive: 1 << 6,
});

/** {@link RISCV64} in 32 bits, for Sv32. */
const RISCV32: SwapLayout = /* @__PURE__ */ new SwapLayout({
  entryBytes: 4,
  typeShift: 7,
  offsetShift: 12,
  offsetBits: 20,
  exclusive: 1 << 6,
});

/**
 * arch/arm64/include/asm/pgtable.h, for every granule. Bit 11 would be PTE_PRESENT_INVALID: a page that is there though
 * hardware must not use it, such as PROT_NONE.
 *
 * ```text
 *  63 62 61              12 11 10   6 5 4 3 2 1 0
 * +-----+------------------+--+------+-----------+
 * | 0 0 |      offset      | 0| type |0 0 F E 0 0|
 * +-----+------------------+--+------+-----------+
 * ```
 */
const ARM64: SwapLayout = /* @__PURE__ */ new SwapLayout({
  entryBytes: 8,
  typeShift: 6,
  offsetShift: 12,
  offsetBits: 50,
  exclusive: 1 << 2,
  uffdWriteProtect: 1 << 3,
});

export const SWAP_LAYOUTS: Readonly<Record<SwapLayoutName, SwapLayout>> = {
  'x86-64': X86_64,
  'x86-pae': X86_PAE,
  'x86-32': X86_32,
  riscv64: RISCV64,
  riscv32: RISCV32,
  arm64: ARM64,
};
