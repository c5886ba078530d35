/**
 * What a translation cache keeps of a walk: filled in by {@link RadixWalker.keepLeaf}, and used again and again.
 *
 * @public
 */
export class KeptLeaf {
  /** log2 of the base pages that map as one: the smaller page of two stages, 4 for a NAPOT group of 64 KiB. */
  order = 0;
  /** What it grants, to be compared with {@link RadixWalker.demandTable}. */
  grants = 0;
  /** Whether it is valid in every address space. */
  global = false;
  /** The architecture's number for the memory type: PAT index on x86, PBMT on RISC-V, MAIR index on AArch64. */
  memoryType = 0;
}

/**
 * Whose translations a walker makes now, as caches tell them apart.
 *
 * @public
 */
export interface CacheContext {
  /** ASID or PCID; 0 where there are none. */
  readonly asid: number;
  /** VMID; 0 without a second stage. */
  readonly vmid: number;
  /** 1 under a second stage, otherwise 0: translations of a guest and of its host share no entries. */
  readonly root: number;
}

/**
 * What changed in a walker's state.
 *
 * - `rights`: what accesses demand, such as SUM, MXR, PAN or PKRU; everything cached is as good as before.
 * - `none`, `non-global`, `pcid`, `everything`: registers were written, and what hardware invalidates by itself then.
 *
 * @public
 */
export type WalkerChange = 'rights' | 'none' | 'non-global' | 'pcid' | 'everything';
