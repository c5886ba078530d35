import { highWord, lowWord, type Plain } from '../core/index.js';
import {
  decodeSwapEntry,
  encodeSwapEntry,
  type SwapEntry,
  type SwapEntrySpec,
} from '../pte/index.js';
import { CopyOperations } from './copy-operations.js';
import type { Invalidations } from './invalidations.js';
import type { LeafFlags } from './leaf-flags.js';
import { NOT_COMPATIBLE, NOT_MAPPED, NOT_PRESENT, OUT_OF_FRAMES } from './outcome.js';

/** Entries that are not present and remember where a page went: as Linux 6.18 lays them out in each architecture. */
export abstract class SwapOperations extends CopyOperations {
  /**
   * Puts a swap entry in the place of a base page, of another software entry, or of nothing. What hardware marked in the
   * leaf up to the last moment is in `found`.
   *
   * @param vpn - The page.
   * @param entry - Type and offset, and markers.
   * @param owed - What the change owes. The frame that was mapped is the caller's.
   * @returns The frame that was mapped; `NOT_MAPPED` or `NOT_PRESENT` when none was; `NOT_COMPATIBLE` within a larger
   * page, which is to be split first, or `OUT_OF_FRAMES`: nothing changed then.
   * @throws `VmError` `unsupported` for a format in which Linux swaps nothing; for an entry that is none, and a page out
   * of range or foreign. Nothing changed then.
   *
   * @example
   * ```ts
   * import { Prot } from 'pagewright/core';
   * import { FramePool, PhysicalMemory } from 'pagewright/memory';
   * import { Invalidations, NOT_PRESENT, PageTable } from 'pagewright/page-table';
   * import { sv39 } from 'pagewright/pte';
   *
   * const memory = PhysicalMemory.allocate(16 * 4096, { base: 0 });
   * const frames = new FramePool({ first: 0, frames: 16 });
   * const owed = new Invalidations({ frames });
   * const table = new PageTable({ format: sv39, memory, frames });
   * const flags = table.flags({ prot: Prot.Read | Prot.User });
   * table.map(0x10, 0x99, flags, owed);
   *
   * table.setSwap(0x10, { type: 1, offset: 0x1234 }, owed); // => 0x99
   * table.lookup(0x10) === NOT_PRESENT; // => true
   * table.swapAt(0x10)?.offset; // => 0x1234
   * table.swapIn(0x10, 0x77, flags, owed); // => 0
   * table.lookup(0x10); // => 0x77
   * ```
   */
  setSwap(vpn: number, entry: SwapEntrySpec, owed: Invalidations): number {
    const raw = encodeSwapEntry(this.shape.format, entry);
    const low = lowWord(raw);
    const high = highWord(raw);
    const pfn = this.findOwnLeaf(vpn, owed);
    const { found } = this;
    const { level } = found;
    if (found.pages > 1 && pfn !== NOT_MAPPED) return NOT_COMPATIBLE;
    if (level > 0) {
      if (!this.reservePath(0, level)) return OUT_OF_FRAMES;
      this.extend(owed, vpn, level, 0);
    }
    this.change(owed, this.tables[0]!, this.indexes[0]!, 0, (oldLow, oldHigh) => {
      found.low = oldLow;
      found.high = oldHigh;
      this.setNew(low, high);
    });
    if (level > 0) this.link(owed, vpn, level);
    if (pfn >= 0) this.oweFound(owed);
    return pfn;
  }

  /**
   * The swap entry of a page.
   *
   * @param vpn - The page.
   * @returns Plain data; `null` where there is none, and for software entries that Linux would not make.
   * @throws `VmError` `unsupported` for a format in which Linux swaps nothing, and for a page out of range.
   */
  swapAt(vpn: number): Plain<SwapEntry> | null {
    this.checkAlive();
    this.refreshWindow();
    const pfn = this.findLeaf(vpn);
    const raw = pfn === NOT_PRESENT ? this.rawOf(this.found.low, this.found.high) : 0n;
    return decodeSwapEntry(this.shape.format, raw);
  }

  /**
   * Maps a page in the place of its software entry.
   *
   * @param vpn - The page.
   * @param pfn - The frame.
   * @param flags - What the leaf says.
   * @param owed - What the change owes: as for `map`.
   * @returns 0; `NOT_MAPPED` when there is no software entry, and nothing else.
   * @throws `VmError` `overlap` when a leaf is there; otherwise as `map`. Nothing changed then.
   */
  swapIn(vpn: number, pfn: number, flags: LeafFlags, owed: Invalidations): number {
    this.checkFlags(flags);
    const there = this.findOwnLeaf(vpn, owed);
    this.checkFrames(vpn, pfn, 1, 0, 1);
    if (there === NOT_MAPPED) return NOT_MAPPED;
    const { level } = this.found;
    if (there >= 0 || level > 0) throw this.occupied(vpn, level);
    this.widenPath(owed, vpn, 0, flags.prot);
    this.change(owed, this.tables[0]!, this.indexes[0]!, 0, () =>
      this.setNew(
        this.shape.leafLow(pfn, 0, flags.low, 0),
        this.shape.leafHigh(pfn, 0, flags.high, 0),
      ),
    );
    if ((this.fillOwes & 1) !== 0) this.owe(owed, vpn, 1, 1, 0);
    return 0;
  }
}
