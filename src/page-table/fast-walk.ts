import type { TreeOptions } from './entry-tree.js';
import { SwapOperations } from './swap-operations.js';
import type { TableShape } from './table-shape.js';

/** A pointer that no entry is: formats whose pointers the fast walk can't tell have it for their mask. */
const NEVER = 1;

/** Tables of level 1 that are remembered; a power of two. */
const REGIONS = 8;

/** From there on no page is in a region. */
const NOWHERE = Number.POSITIVE_INFINITY;

/**
 * The way to a page's entry in flat RAM, in numbers alone. What was found is remembered: the table of the last page, so
 * that a page beside it needs no walk (a third of the time, measured), and some tables of level 1, so that others need
 * but one step of it (three quarters, at random). Whoever changes a pointer above forgets them.
 *
 * Of tables that were adopted nothing is remembered: others may write them.
 */
export abstract class FastWalk extends SwapOperations {
  // All of them begin as numbers: of a field that began as undefined, the optimising compiler asks at every use what it is
  // (2x slower, measured).
  /** The entries in a table of level 0, less one. */
  protected readonly levelMask: number = 0;
  protected readonly frameShift: number = 0;
  protected readonly frameLowMask: number = 0;
  protected readonly frameHighMask: number = 0;
  /** Whether there is such a way at all in the format. */
  protected readonly walks: boolean = false;
  private readonly levelBits: number = 0;
  private readonly pointerMask: number = 0;
  private readonly pointerValue: number = 0;
  /** What takes the frame bits of the low word to a number of words. */
  private readonly tableShift: number = 0;
  /** What takes a page number to that of its region, the pages below a table of level 1; the pages of one, less one. */
  private readonly regionUnit: number = 0;
  private readonly regionMask: number = 0;
  // The window: the root's first word, or -1; what the numbers of its first word and of its end are to pointers; and the
  // frame bits in their high words, the same for all of it.
  private rootWord = -1;
  private windowStart = 0;
  private windowEnd = 0;
  private windowHigh = 0;
  /** The table found last: its first page and its first word. */
  private lastFirst: number = NOWHERE;
  private lastWord = 0;
  /** Regions by the last bits of their numbers: the first page, and the word of its entry of level 1. */
  private readonly regionFirst: Float64Array = new Float64Array(REGIONS).fill(NOWHERE);
  private readonly regionWord: Int32Array = new Int32Array(REGIONS);

  protected constructor(options: TreeOptions) {
    super(options);
    const { shape } = this;
    const { bits, entries, format, top } = shape;
    const mask = pointerMask(shape);
    const value = top === 0 ? 0 : bits.pointers[top]!.low & mask;
    const alike = bits.pointers.slice(1).every(({ low }) => (low & mask) === value);
    const split = format.splitTableMask !== 0 || format.splitLeafMask[0] !== 0;
    const highMarks =
      format.presentHigh !== 0 || format.leafMaskHigh.some((high, l) => l > 0 && high !== 0);
    const highBits = highMarks || format.leafBitsHigh[0] !== 0 || bits.globalMask.high !== 0;
    // A region has pages that are addresses alone, 2^31 at most.
    const half = format.signExtended ? shape.lowEnd : shape.end;
    const region = Math.min(entries[0]! * (entries[1] ?? 1), half, 2 ** 31);
    const fits = format.frameShift >= this.frameWordShift;
    this.walks = top > 0 && alike && !split && !highBits && fits && shape.lowTells;
    this.pointerMask = this.walks ? mask : 0;
    this.pointerValue = this.walks ? value : NEVER;
    this.levelBits = format.indexBits[0]!;
    this.levelMask = (entries[0]! - 1) | 0;
    this.frameShift = format.frameShift;
    this.frameLowMask = format.frameLowMask;
    this.frameHighMask = format.frameHighMask;
    this.tableShift = Math.max(0, format.frameShift - this.frameWordShift);
    this.regionUnit = 1 / region;
    this.regionMask = (region - 1) | 0;
  }

  protected override bindWindow(): void {
    super.bindWindow();
    this.pointersChanged(this.shape.top);
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

  protected override pointersChanged(level: number): void {
    this.lastFirst = NOWHERE;
    if (level > 1) this.regionFirst.fill(NOWHERE);
  }

  /**
   * The word of a base page's entry, when pointers as this page table writes them lead to it through flat RAM; otherwise
   * -1. Everything that a page number has to be is checked.
   */
  protected entryWord(vpn: number): number {
    if (typeof vpn !== 'number') return -1;
    const place = vpn - this.lastFirst;
    if ((place & this.levelMask) === place) return (this.lastWord + (place << this.wide)) | 0;
    return this.findWord(vpn);
  }

  /** The same for a page that is not in the last table. */
  private findWord(vpn: number): number {
    const { foreign, regionFirst, wide } = this;
    if (vpn >= foreign.first && vpn < foreign.end) return -1;
    const slot = (vpn * this.regionUnit) & (REGIONS - 1);
    let place = vpn - regionFirst[slot]!;
    if ((place & this.regionMask) !== place) {
      if (!this.findRegion(vpn, slot)) return -1;
      place = vpn - regionFirst[slot]!;
    }
    const table = this.pointedAt(
      (this.regionWord[slot]! + ((place >>> this.levelBits) << wide)) | 0,
    );
    if (table < 0) return -1;
    const index = place & this.levelMask;
    if (this.hasFoundTables) {
      regionFirst[slot] = NOWHERE;
    } else {
      this.lastFirst = vpn - index;
      this.lastWord = table;
    }
    return (table + (index << wide)) | 0;
  }

  /** Walks from the root to the region of a page; `false` when there is none. */
  private findRegion(vpn: number, slot: number): boolean {
    const { shape, wide } = this;
    let table = this.walks && shape.isPage(vpn) ? this.rootWord : -1;
    for (let level = shape.top; table >= 0 && level > 1; level--) {
      table = this.pointedAt((table + (shape.indexOf(vpn, level) << wide)) | 0);
    }
    if (table < 0) return false;
    const first = Math.floor(vpn * this.regionUnit) / this.regionUnit;
    this.regionFirst[slot] = first;
    this.regionWord[slot] = table + (shape.indexOf(first, 1) << wide);
    return true;
  }

  /** The first word of the table that an entry points at, or -1. */
  private pointedAt(at: number): number {
    const { words } = this;
    const low = words[at]!;
    if ((low & this.pointerMask) !== this.pointerValue) return -1;
    // Of 4-byte entries this is the same word, and no bit of it counts.
    if ((words[(at + this.wide) | 0]! & this.frameHighMask) !== this.windowHigh) return -1;
    const table = (((low & this.frameLowMask) >>> this.tableShift) - this.windowStart) | 0;
    return table >>> 0 < this.windowEnd >>> 0 ? table : -1;
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
