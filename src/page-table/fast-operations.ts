import type { TreeOptions } from './entry-tree.js';
import { FastWalk } from './fast-walk.js';
import { findUsed } from './flat-runs.js';
import { GLOBAL, Invalidations } from './invalidations.js';
import { LeafFlags } from './leaf-flags.js';

// The optimiser knows a module's own constants, and reads imported ones at every use.
const GLOBAL_PAGE = GLOBAL;

/** What no caller can hand over. */
const NOTHING = {};

/**
 * Operations on one page, with a fast form for base pages in flat RAM. It answers when the page's entry is one like those
 * of this page table itself, and nothing but that entry changes; in every other case it did nothing, and the complete
 * form begins anew.
 */
export abstract class FastOperations extends FastWalk {
  // They begin as numbers, as those of the walk.
  private readonly highUnit: number = 0;
  private readonly perHighUnit: number = 0;
  private readonly frameEnd: number = 0;
  private readonly leafLowBits: number = 0;
  private readonly groupHigh: number = 0;
  private readonly globalLow: number = 0;
  private readonly globalFlip: number = 0;
  private readonly highWordMask: number = 0;
  private readonly anyPresent: number = 0;
  private readonly allPresent: number = 0;
  private readonly oweFill: boolean = false;
  // What was found to be in order the last time is most often what comes again: telling a class by its prototypes, and
  // whose it is, takes a third of the time to map a page (measured).
  private knownOwed: object = NOTHING;
  private knownFlags: object = NOTHING;

  protected constructor(options: TreeOptions) {
    super(options);
    const { bits, format } = this.shape;
    const { walks } = this;
    this.highUnit = format.frameHighUnit;
    this.perHighUnit = 1 / format.frameHighUnit;
    // Where the fast form can't be used for a table's entries, no frame is low enough for it.
    this.frameEnd = walks ? this.shape.leafFrameEnd[0]! : 0;
    this.leafLowBits = format.leafBits[0]!;
    this.groupHigh = bits.groupHigh;
    this.globalLow = this.shape.globalLow;
    this.globalFlip = this.shape.globalFlip;
    this.highWordMask = this.wide === 1 ? -1 : 0;
    this.anyPresent = walks ? this.shape.presentLow : 0;
    this.allPresent = this.shape.requiredLow;
    this.oweFill = (this.fillOwes & 1) !== 0;
  }

  /**
   * Maps a page. Hot for base pages: numbers in, number out, no allocation but for a table that is missing.
   *
   * @param vpn - The first page, in the format's base pages, aligned to the page's size.
   * @param pfn - The first frame, aligned likewise.
   * @param flags - What the leaf says, of `leafFlags`.
   * @param owed - What the change owes: nothing on most machines, an invalidation on a RISC-V without Svvptc.
   * @param pages - The page's size in base pages, one of `sizes`; 1 unless told.
   * @returns 0, or `OUT_OF_FRAMES`: then nothing changed. O(levels).
   * @throws `VmError` `overlap` when anything is there, naming its address and entry; `misaligned`, `out-of-range` or
   * `bad-argument` for the rest. Nothing changed then.
   */
  map(vpn: number, pfn: number, flags: LeafFlags, owed: Invalidations, pages = 1): number {
    if (
      pages === 1 &&
      typeof pfn === 'number' &&
      pfn >= 0 &&
      pfn < this.frameEnd &&
      Math.floor(pfn) === pfn &&
      !this.narrow
    ) {
      const at = this.entryWord(vpn);
      const { wide, words } = this;
      const empty = at >= 0 && words[at] === 0 && words[at + wide] === 0;
      if (empty && this.areOwn(flags) && this.isOwed(owed)) {
        const low = (pfn << this.frameShift) & this.frameLowMask;
        if (wide === 1)
          words[at + 1] = ((pfn * this.perHighUnit) & this.frameHighMask) | flags.high;
        words[at] = low | this.leafLowBits | flags.low;
        this.leafEntries[0]!++;
        if (this.oweFill) owed.add(vpn, 1, 1, this.owedContext, 0);
        return 0;
      }
    }
    return this.mapPage(vpn, pfn, flags, owed, pages);
  }

  /**
   * Unmaps the leaf that maps a page, all of it, whatever its size; a software entry is forgotten. Tables that become
   * empty are given up. Hot for base pages.
   *
   * @param vpn - Any page of the leaf.
   * @param owed - What the change owes, and what it releases. The frame that was mapped is the caller's.
   * @returns The frame that the page had; `NOT_MAPPED`; `NOT_PRESENT` for a software entry. What was there is in `found`.
   * O(levels), and O(entries of a table) when the entries beside it are empty.
   * @throws `VmError` for a page out of range or foreign. Nothing changed then.
   */
  unmap(vpn: number, owed: Invalidations): number {
    const at = this.isOwed(owed) ? this.entryWord(vpn) : -1;
    if (at >= 0) {
      const { words, wide } = this;
      const low = words[at]!;
      const high = words[at + wide]! & this.highWordMask;
      if (this.isOwnPage(low, high)) {
        words[at] = 0;
        words[at + wide] = 0;
        this.leafEntries[0]!--;
        owed.add(vpn, 1, 1, this.owedContext, this.globalFlag(low));
        this.noteBasePage(vpn, low, high);
        // The next entry tells most often that the table is not empty.
        const index = vpn & this.levelMask;
        if (index === this.levelMask || words[at + 1 + wide] === 0) this.pruneAt(vpn, at, owed);
        return this.frameIn(low, high);
      }
    }
    return this.unmapPage(vpn, owed);
  }

  /**
   * Changes the rights of the leaf that maps a page, all of it; what is accessed or dirty stays so. Hot for base pages.
   *
   * @param vpn - Any page of the leaf.
   * @param prot - `Prot` bits.
   * @param owed - What the change owes: nothing when it makes no difference.
   * @returns The frame of the page; `NOT_MAPPED` or `NOT_PRESENT`. What was there is in `found`.
   * @throws `VmError` for rights that are none, a page out of range or foreign. Nothing changed then.
   */
  protect(vpn: number, prot: number, owed: Invalidations): number {
    const { bits } = this.shape;
    if (
      typeof prot === 'number' &&
      (prot & 7) !== 0 &&
      (prot & 15) === prot &&
      bits.plain &&
      !this.narrow
    ) {
      const at = this.isOwed(owed) ? this.entryWord(vpn) : -1;
      const { words, wide } = this;
      const low = at >= 0 ? words[at]! : 0;
      const high = at >= 0 ? words[at + wide]! & this.highWordMask : 0;
      if (at >= 0 && this.isOwnPage(low, high)) {
        const newLow = (low & ~bits.rightsLow) | bits.protLow[prot]!;
        const newHigh = (high & ~bits.rightsHigh) | bits.protHigh[prot]!;
        words[at] = newLow;
        if (wide === 1) words[at + 1] = newHigh;
        this.noteBasePage(vpn, low, high);
        if (((newLow ^ low) | (newHigh ^ high)) !== 0) {
          owed.add(vpn, 1, 1, this.owedContext, this.globalFlag(low));
        }
        return this.frameIn(low, high);
      }
    }
    return this.protectPage(vpn, prot, owed);
  }

  override setAccessed(vpn: number, accessed: boolean, owed: Invalidations): number {
    const at = typeof accessed === 'boolean' && this.isOwed(owed) ? this.entryWord(vpn) : -1;
    if (at >= 0) {
      const low = this.words[at]!;
      const high = this.words[at + this.wide]! & this.highWordMask;
      if (this.isOwnPage(low, high)) {
        const bit = this.shape.bits.accessed;
        return this.setBit(vpn, at, low, high, bit, accessed, owed);
      }
    }
    return super.setAccessed(vpn, accessed, owed);
  }

  override setDirty(vpn: number, dirty: boolean, owed: Invalidations): number {
    const { bits } = this.shape;
    const plain = bits.plain && typeof dirty === 'boolean' && this.isOwed(owed);
    const at = plain ? this.entryWord(vpn) : -1;
    if (at >= 0) {
      const low = this.words[at]!;
      const high = this.words[at + this.wide]! & this.highWordMask;
      if (this.isOwnPage(low, high)) {
        return this.setBit(vpn, at, low, high, bits.dirty, dirty, owed);
      }
    }
    return super.setDirty(vpn, dirty, owed);
  }

  /** Sets or clears a bit of a base page's entry; whether it was set before. */
  private setBit(
    vpn: number,
    at: number,
    low: number,
    high: number,
    bit: number,
    on: boolean,
    owed: Invalidations,
  ): number {
    const changed = on ? low | bit : low & ~bit;
    this.noteBasePage(vpn, low, high);
    if (changed !== low) {
      this.words[at] = changed;
      owed.add(vpn, 1, 1, this.owedContext, this.globalFlag(low));
    }
    return (low & bit) !== 0 ? 1 : 0;
  }

  /** The flag of a record about a base page. */
  private globalFlag(low: number): number {
    return ((low ^ this.globalFlip) & this.globalLow) !== 0 ? GLOBAL_PAGE : 0;
  }

  /**
   * The frame of a page, by the tables alone: rights do not count. Hot for base pages.
   *
   * @param vpn - The page, in the format's base pages.
   * @returns The frame; `NOT_MAPPED`; `NOT_PRESENT` for a software entry. The leaf is in `found`. O(levels).
   * @throws `VmError` for a page number that is no address of the format.
   */
  lookup(vpn: number): number {
    const at = this.entryWord(vpn);
    if (at >= 0) {
      const low = this.words[at]!;
      const high = this.words[at + this.wide]! & this.highWordMask;
      if (this.isOwnPage(low, high)) {
        this.noteBasePage(vpn, low, high);
        return this.frameIn(low, high);
      }
    }
    this.checkAlive();
    this.refreshWindow();
    return this.findLeaf(vpn);
  }

  /** Whether an accumulator is one for this page table. */
  private isOwed(owed: Invalidations): boolean {
    return owed === this.knownOwed || this.meetOwed(owed);
  }

  private meetOwed(owed: Invalidations): boolean {
    const own = owed instanceof Invalidations && owed.frames === this.frames;
    if (own) this.knownOwed = owed;
    return own;
  }

  /** Whether flags are of this page table's format. */
  private areOwn(flags: LeafFlags): boolean {
    return flags === this.knownFlags || this.meetFlags(flags);
  }

  private meetFlags(flags: LeafFlags): boolean {
    const own = flags instanceof LeafFlags && flags.format === this.shape.format;
    if (own) this.knownFlags = flags;
    return own;
  }

  /** Whether an entry is a base page by itself. */
  private isOwnPage(low: number, high: number): boolean {
    const { allPresent } = this;
    return (
      (low & this.anyPresent) !== 0 &&
      (low & allPresent) === allPresent &&
      (high & this.groupHigh) === 0
    );
  }

  private frameIn(low: number, high: number): number {
    return (
      ((low & this.frameLowMask) >>> this.frameShift) +
      ((high & this.frameHighMask) >>> 0) * this.highUnit
    );
  }

  private noteBasePage(vpn: number, low: number, high: number): void {
    const { found } = this;
    found.vpn = vpn;
    found.pages = 1;
    found.level = 0;
    found.low = low;
    found.high = high;
  }

  /** Gives up the table of a page whose entry, at a word, is empty, and the tables above, if they are too. */
  private pruneAt(vpn: number, at: number, owed: Invalidations): void {
    const { shape, wide, words } = this;
    const index = vpn & this.levelMask;
    if (shape.top === 0 || (index > 0 && words[at - 1 - wide] !== 0)) return;
    const base = at - (index << wide);
    if (findUsed(words, base, base + (shape.entries[0]! << wide)) >= 0) return;
    this.seek(vpn);
    if (this.unlink(owed, this.tables[1]!, this.indexes[1]!, 1, vpn)) this.prune(owed, vpn, 1);
  }
}
