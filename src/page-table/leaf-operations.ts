import { checkBoolean } from '../core/index.js';
import type { Invalidations } from './invalidations.js';
import type { LeafFlags } from './leaf-flags.js';
import { PageOperations } from './page-operations.js';

/** What becomes of the leaf that maps a page: another frame, accessed and dirty bits, a software entry. */
export abstract class LeafOperations extends PageOperations {
  /**
   * Gives the leaf that maps a page another frame, and other flags if told; its size stays. What was accessed or dirty is
   * the old frame's, so the bits are as in `flags`, or as they were.
   *
   * On AArch64 a live leaf gets a new address or memory type, or becomes global, by break-before-make, whatever the level
   * of FEAT_BBM: until `Invalidations.complete` it is invalid in memory.
   *
   * @param vpn - Any page of the leaf.
   * @param pfn - The first frame of the leaf, aligned to its size.
   * @param owed - What the change owes.
   * @param flags - What the leaf is to say; what it says already unless told.
   * @returns The frame that the page had before; `NOT_MAPPED` or `NOT_PRESENT` when no leaf maps it. O(levels), and
   * O(entries of a group).
   * @throws `VmError` for arguments out of range, misaligned or foreign. Nothing changed then.
   *
   * @example
   * ```ts
   * import { Prot } from 'pagewright/core';
   * import { FramePool, PhysicalMemory } from 'pagewright/memory';
   * import { Invalidations, PageTable } from 'pagewright/page-table';
   * import { x86Long4 } from 'pagewright/pte';
   *
   * const memory = PhysicalMemory.allocate(16 * 4096, { base: 0 });
   * const frames = new FramePool({ first: 0, frames: 16 });
   * const owed = new Invalidations({ frames });
   * const table = new PageTable({ format: x86Long4, memory, frames });
   * table.map(0x400, 0x77, table.flags({ prot: Prot.Read }), owed);
   *
   * table.remap(0x400, 0x88, owed, table.flags({ prot: Prot.Read | Prot.Write })); // => 0x77
   * table.lookup(0x400); // => 0x88
   * owed.invalidations().map((i) => [i.vpn, i.pages]); // => [[0x400, 1]]
   * ```
   */
  remap(vpn: number, pfn: number, owed: Invalidations, flags?: LeafFlags): number {
    if (flags !== undefined) this.checkFlags(flags);
    const old = this.findOwnLeaf(vpn, owed);
    if (old < 0) return old;
    const { found, shape } = this;
    const { level, pages } = found;
    this.checkFrames(found.vpn, pfn, pages, level, pages);
    if (flags !== undefined) this.widenPath(owed, vpn, level, flags.prot);
    const group = Math.log2(this.foundEntries());
    const step = shape.groupStep(level, group);
    const changed = this.changesFound(owed, (low, high, member) => {
      this.noteUse(low, high);
      const frame = pfn + member * step;
      const flagsLow = flags?.low ?? shape.flagsLow(low, level);
      const flagsHigh = flags?.high ?? shape.flagsHigh(high, level);
      this.setNew(
        shape.leafLow(frame, level, flagsLow, group),
        shape.leafHigh(frame, level, flagsHigh, group),
      );
    });
    if (changed) this.oweFound(owed);
    return old;
  }

  /**
   * Whether the leaf that maps a page was used. The members of a group count as one: hardware may set the bit in any.
   *
   * @param vpn - Any page of the leaf.
   * @returns 1 or 0; `NOT_MAPPED` or `NOT_PRESENT` when no leaf maps it. O(levels), and O(entries of a group).
   * @throws `VmError` for a page number out of range.
   */
  testAccessed(vpn: number): number {
    return this.testFound(vpn, (low) => this.shape.bits.isAccessed(low));
  }

  /**
   * Whether the leaf that maps a page was written; otherwise as `testAccessed`.
   *
   * @param vpn - Any page of the leaf.
   * @returns 1 or 0; `NOT_MAPPED` or `NOT_PRESENT` when no leaf maps it.
   * @throws `VmError` for a page number out of range.
   */
  testDirty(vpn: number): number {
    return this.testFound(vpn, (low, high) => this.shape.bits.isDirty(low, high));
  }

  /**
   * Marks the leaf that maps a page as used, or as unused.
   *
   * @param vpn - Any page of the leaf.
   * @param accessed - Which.
   * @param owed - What the change owes.
   * @returns Whether it was marked as used before: 1 or 0; `NOT_MAPPED` or `NOT_PRESENT`.
   * @throws `VmError` for a page out of range or foreign.
   */
  setAccessed(vpn: number, accessed: boolean, owed: Invalidations): number {
    checkBoolean('accessed', accessed);
    const { bits } = this.shape;
    return this.testAndChange(
      vpn,
      owed,
      (low) => bits.isAccessed(low),
      (low, high) => this.setNew(accessed ? low | bits.accessed : low & ~bits.accessed, high),
    );
  }

  /**
   * Marks the leaf that maps a page as written, or as clean. On AArch64 a clean page that may be written has AP[2] set (in
   * stage 2 S2AP[1] clear), and DBM says that it may (Arm ARM, D8 Hardware management of the dirty state).
   *
   * @param vpn - Any page of the leaf.
   * @param dirty - Which.
   * @param owed - What the change owes.
   * @returns Whether it was marked as written before: 1 or 0; `NOT_MAPPED` or `NOT_PRESENT`.
   * @throws `VmError` for a page out of range or foreign.
   */
  setDirty(vpn: number, dirty: boolean, owed: Invalidations): number {
    checkBoolean('dirty', dirty);
    const { bits } = this.shape;
    return this.testAndChange(
      vpn,
      owed,
      (low, high) => bits.isDirty(low, high),
      (low, high) => this.setNew(bits.dirtyLow(low, high, dirty), bits.dirtyHigh(low, high, dirty)),
    );
  }

  /**
   * Clears the accessed bit, as the hand of a clock does.
   *
   * @param vpn - Any page of the leaf.
   * @param owed - What the change owes: a TLB that still has the leaf would not set the bit again.
   * @returns Whether it was set: 1 or 0; `NOT_MAPPED` or `NOT_PRESENT`.
   * @throws `VmError` for a page out of range or foreign.
   *
   * @example
   * ```ts
   * import { Prot } from 'pagewright/core';
   * import { FramePool, PhysicalMemory } from 'pagewright/memory';
   * import { Invalidations, PageTable } from 'pagewright/page-table';
   * import { sv39 } from 'pagewright/pte';
   *
   * const memory = PhysicalMemory.allocate(16 * 4096, { base: 0 });
   * const frames = new FramePool({ first: 0, frames: 16 });
   * const owed = new Invalidations({ frames });
   * const table = new PageTable({ format: sv39, memory, frames });
   * table.map(0x10, 0x99, table.flags({ prot: Prot.Read }), owed);
   *
   * table.testAndClearAccessed(0x10, owed); // => 1
   * table.testAndClearAccessed(0x10, owed); // => 0
   * ```
   */
  testAndClearAccessed(vpn: number, owed: Invalidations): number {
    return this.setAccessed(vpn, false, owed);
  }

  /**
   * Clears the dirty bit, as a writeback does before it reads the page.
   *
   * @param vpn - Any page of the leaf.
   * @param owed - What the change owes.
   * @returns Whether it was set: 1 or 0; `NOT_MAPPED` or `NOT_PRESENT`.
   * @throws `VmError` for a page out of range or foreign.
   */
  testAndClearDirty(vpn: number, owed: Invalidations): number {
    return this.setDirty(vpn, false, owed);
  }

  private testFound(vpn: number, test: (low: number, high: number) => boolean): number {
    this.checkAlive();
    this.refreshWindow();
    const pfn = this.findLeaf(vpn);
    if (pfn < 0) return pfn;
    return this.someFound(test) ? 1 : 0;
  }

  private testAndChange(
    vpn: number,
    owed: Invalidations,
    test: (low: number, high: number) => boolean,
    edit: (low: number, high: number) => void,
  ): number {
    const pfn = this.findOwnLeaf(vpn, owed);
    if (pfn < 0) return pfn;
    let was = 0;
    // The words that are replaced are the ones that were tested, so that no bit that hardware sets is lost.
    const changed = this.changesFound(owed, (low, high) => {
      if (test(low, high)) was = 1;
      edit(low, high);
    });
    if (changed) this.oweFound(owed);
    return was;
  }
}
