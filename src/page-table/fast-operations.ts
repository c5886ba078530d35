import type { TreeOptions } from './entry-tree.js';
import { findUsed } from './flat-runs.js';
import { GLOBAL, Invalidations } from './invalidations.js';
import { LeafFlags } from './leaf-flags.js';
import { SwapOperations } from './swap-operations.js';
import type { TableShape } from './table-shape.js';

// The optimiser knows a module's own constants, and reads imported ones at every use.
const GLOBAL_PAGE = GLOBAL;

/** A pointer that no entry is: formats whose pointers the fast form can't tell have it for their mask. */
const NEVER = 1;

/**
 * Operations on one page, with a fast form for base pages in flat RAM. It answers when the page's entry is one like those
 * of this page table itself, and nothing but that entry changes; in every other case it did nothing, and the complete
 * form begins anew.
 */
export abstract class FastOperations extends SwapOperations {
  // Numbers of the format that the hot loop needs, as fields of one object. They begin as numbers: of a field that began
  // as undefined, the optimising compiler asks at every use what it is (2x slower, measured).
  private readonly depth: number = 0;
  private readonly levelBits: number = 0;
  private readonly levelMask: number = 0;
  // Indexes are taken as words: the page number is doubled where entries have two, and so are the masks.
  private readonly topMask: number = 0;
  private readonly wordMask: number = 0;
  /** The place of the root's index in the doubled page number, or where that is too long for 32 bits, in its upper part. */
  private readonly topShift: number = 0;
  /** What takes the page number there. */
  private readonly topUnit: number = 0;
  /** The place of the highest index that is all in bits 31:0 of the doubled page number. */
  private readonly lowShift: number = 0;
  private readonly pointerMask: number = 0;
  private readonly pointerValue: number = 0;
  private readonly frameShift: number = 0;
  private readonly frameLowMask: number = 0;
  private readonly frameHighMask: number = 0;
  /** What takes the frame bits of the low word to a number of words. */
  private readonly tableShift: number = 0;
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
  // The window: the root's first word, or -1; what the numbers of its first word and of its end are to pointers; and the
  // frame bits in their high words, the same for all of it.
  private rootWord = -1;
  private windowStart = 0;
  private windowEnd = 0;
  private windowHigh = 0;
  // The table whose page was found last: its first page, how many it has (none when there is no such table), its first
  // word. A page beside the last one is found there without a walk (half the time, measured; at random it costs a tenth).
  private lastFirst = 0;
  private lastPages = 0;
  private lastWord = 0;

  protected constructor(options: TreeOptions) {
    super(options);
    const { bits, format, top } = this.shape;
    const inner = format.indexBits.slice(0, top);
    const split = format.splitTableMask !== 0 || format.splitLeafMask[0] !== 0;
    const mask = pointerMask(this.shape);
    const value = top === 0 ? 0 : bits.pointers[top]!.low & mask;
    const uniform = inner.every((width) => width === inner[0]);
    const alike = bits.pointers.slice(1).every(({ low }) => (low & mask) === value);
    const highMarks =
      format.presentHigh !== 0 || format.leafMaskHigh.some((high, l) => l > 0 && high !== 0);
    const highBits = highMarks || format.leafBitsHigh[0] !== 0 || bits.globalMask.high !== 0;
    const width = inner[0] ?? 1;
    const { frameWordShift, wide } = this;
    const lowLevels = Math.floor((32 - wide) / width);
    const topLevels = top < lowLevels ? top : top - lowLevels;
    const fits =
      width * topLevels + format.indexBits[top]! + wide <= 32 &&
      format.frameShift >= frameWordShift;
    const usable = uniform && alike && !split && !highBits && fits && this.shape.lowTells;
    this.pointerMask = usable ? mask : 0;
    this.pointerValue = usable ? value : NEVER;
    this.levelBits = width;
    this.levelMask = (2 ** width - 1) | 0;
    this.depth = top;
    this.topMask = (this.shape.entries[top]! - 1) << wide;
    this.wordMask = this.levelMask << wide;
    this.topShift = width * topLevels;
    this.topUnit = 2 ** (wide - width * (top - topLevels));
    this.lowShift = width * (lowLevels - 1);
    this.frameShift = format.frameShift;
    this.frameLowMask = format.frameLowMask;
    this.frameHighMask = format.frameHighMask;
    this.tableShift = Math.max(0, format.frameShift - frameWordShift);
    this.highUnit = format.frameHighUnit;
    this.perHighUnit = 1 / format.frameHighUnit;
    // Where the fast form can't be used for a table's entries, no frame is low enough for it.
    this.frameEnd = usable ? this.shape.leafFrameEnd[0]! : 0;
    this.leafLowBits = format.leafBits[0]!;
    this.groupHigh = bits.groupHigh;
    this.globalLow = this.shape.globalLow;
    this.globalFlip = this.shape.globalFlip;
    this.highWordMask = this.wide === 1 ? -1 : 0;
    this.anyPresent = usable ? this.shape.presentLow : 0;
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
      if (
        empty &&
        flags instanceof LeafFlags &&
        flags.format === this.shape.format &&
        this.isOwed(owed)
      ) {
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

  protected override bindWindow(): void {
    super.bindWindow();
    this.pointersChanged();
    const { frameWordShift, rootPfn, shape, skew, windowFirst, windowFrames } = this;
    const highOf = (pfn: number): number => shape.format.tableHigh(pfn, 0) & this.frameHighMask;
    this.rootWord = -1;
    // A window that goes on where the frame bits of the low word begin anew is left to the complete form.
    if (windowFrames === 0 || highOf(windowFirst) !== highOf(rootPfn)) return;
    this.rootWord = this.tableBase(rootPfn, shape.top);
    this.windowHigh = highOf(rootPfn);
    this.windowStart = ((windowFirst << frameWordShift) - skew) | 0;
    this.windowEnd = Math.min(skew + windowFrames * 2 ** frameWordShift, 2 ** 31 - 1) | 0;
  }

  /**
   * The word of a base page's entry, when pointers as this page table writes them lead to it through flat RAM; otherwise
   * -1. Everything that a page number has to be is checked.
   */
  private entryWord(vpn: number): number {
    // Not even a number: the complete form says so.
    if (typeof vpn !== 'number') return -1;
    const place = vpn - this.lastFirst;
    if (place >= 0 && place < this.lastPages && (place | 0) === place) {
      return (this.lastWord + (place << this.wide)) | 0;
    }
    return this.walkToWord(vpn);
  }

  protected override pointersChanged(): void {
    this.lastPages = 0;
  }

  /** The same by a walk from the root, which is remembered. */
  private walkToWord(vpn: number): number {
    const { foreign, shape } = this;
    if (vpn >= shape.lowEnd && (vpn < shape.highStart || vpn >= shape.end)) return -1;
    if (vpn < 0 || Math.floor(vpn) !== vpn) return -1;
    if (vpn >= foreign.first && vpn < foreign.end) return -1;
    let at = this.rootWord;
    if (at < 0) return -1;
    const { wide, words } = this;
    const low = vpn << wide;
    let bits = (vpn * this.topUnit) | 0;
    let shift = this.topShift;
    let mask = this.topMask;
    for (let level = this.depth; level > 0; level = (level - 1) | 0) {
      at = (at + ((bits >>> shift) & mask)) | 0;
      const entry = words[at]!;
      if ((entry & this.pointerMask) !== this.pointerValue) return -1;
      // Of 4-byte entries this is the same word, and no bit of it counts.
      if ((words[(at + wide) | 0]! & this.frameHighMask) !== this.windowHigh) return -1;
      at = (((entry & this.frameLowMask) >>> this.tableShift) - this.windowStart) | 0;
      if (at >>> 0 >= this.windowEnd >>> 0) return -1;
      mask = this.wordMask;
      shift = (shift - this.levelBits) | 0;
      if (shift < 0) {
        bits = low;
        shift = this.lowShift;
      }
    }
    const word = low & mask;
    // Others may write the pointers of tables that were found.
    if (!this.hasFoundTables) this.remember(vpn, at, word);
    return (at + word) | 0;
  }

  private remember(vpn: number, table: number, word: number): void {
    this.lastFirst = vpn - (word >> this.wide);
    this.lastPages = this.shape.entries[0]!;
    this.lastWord = table;
  }

  /** Whether an accumulator is one for this page table. */
  private isOwed(owed: Invalidations): boolean {
    return owed instanceof Invalidations && owed.frames === this.frames;
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

/** The bits of the low word by which a pointer is told from everything else, at levels where there are both. */
function pointerMask(shape: TableShape): number {
  const { format } = shape;
  return format.leafMask.reduce(
    (mask, leaf, level) => (level > 0 && leaf !== -1 ? mask | leaf : mask),
    format.presentLow,
  );
}
