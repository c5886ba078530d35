import type { PteFormatDescription } from 'pagewright/pte';

// Formats of real architectures as data. What they leave out is what `PteFormatDescription` lists as out of scope.

/** Sv39 of a hart with some extensions. */
export function sv39AsData(has: {
  readonly svrsw60t59b: boolean;
  readonly pbmte: boolean;
  readonly svnapot: boolean;
}): PteFormatDescription {
  const reserved: [number, number][] = [[58, 54]];
  if (!has.svrsw60t59b) reserved.push([60, 59]);
  const leaves = [...reserved];
  if (!has.pbmte) leaves.push([62, 61]);
  if (!has.svnapot) leaves.push([63, 63]);
  // N has a meaning in base pages only.
  const huge = { bits: 9, huge: true, reserved: { leaves: [63] } };
  return {
    name: 'sv39 as data',
    source: 'RISC-V Privileged, 12.4 Sv39',
    pageBytes: 4096,
    entryBytes: 8,
    levels: [huge, huge, { bits: 9 }],
    bits: {
      ...{ valid: 0, read: 1, write: 2, execute: 3, user: 4, global: 5, accessed: 6, dirty: 7 },
      ...{ leaf: 'rights', frame: [53, 10] },
    },
    reserved: { leaves, pointers: [...reserved, [63, 61], 7, 6, 4] },
    writeOnly: 'reserved',
    signExtended: true,
    virtualBits: 39,
    physicalBits: 56,
  };
}

/** Four-level paging of a CPU with some physical address width, and EFER.NXE. */
export function x86Long4AsData({
  nxe,
  width,
}: {
  readonly nxe: boolean;
  readonly width: number;
}): PteFormatDescription {
  return {
    name: 'x86Long4 as data',
    source: 'Intel SDM Vol. 3A, 4.5 4-Level Paging',
    pageBytes: 4096,
    entryBytes: 8,
    levels: [
      { bits: 9, reserved: [7] },
      { bits: 9, huge: true, reserved: { leaves: [[29, 13]] } },
      { bits: 9, huge: true, reserved: { leaves: [[20, 13]] } },
      { bits: 9 },
    ],
    bits: {
      ...{ valid: 0, write: 1, user: 2, accessed: 5, dirty: 6, global: 8, leaf: 7 },
      ...{ frame: [width - 1, 12], ...(nxe ? { execute: { not: 63 } } : {}) },
    },
    pointers: { rights: true, accessed: true },
    reserved: [[51, width], ...(nxe ? [] : [63])],
    // Bit 12 of a large page is PAT.
    misaligned: 'ignored',
    signExtended: true,
    virtualBits: 48,
    physicalBits: width,
  };
}
