import type { VmObserver } from '../core/index.js';
import { BUS_ERROR } from '../memory/index.js';
import type { PteFormat } from '../pte/index.js';
import { EntryAccess, SPARE_LEVEL } from './entry-access.js';

/** No words: a walker whose fast path may not be used reads out of it at once. */
export const NO_WORDS: Int32Array = new Int32Array(0);

/**
 * Where a walker's tables are: its roots, the shape of their entries, and the window of flat RAM through which the fast
 * path and the enumeration read them.
 *
 * @public
 */
export abstract class TableWindow extends EntryAccess {
  /** The format of the current mode's entries, or `null` while translation is off. */
  abstract readonly format: PteFormat | null;
  /** While one is set, the fast path rests. */
  abstract get observer(): VmObserver | null;

  /** The root's level. */
  protected top = 0;
  /** Width of a level's index in bits, or 0 where levels differ in it. */
  protected bits = 9;
  /** For a window: 1 when entries have two words, 0 when one, also their shift beyond a word. */
  protected wide = 1;
  /** An entry is worth a look when one of these bits of its low word is set; 0: every entry is. */
  protected presentLow = 1;
  /** The entry that `findPresent` found. @internal */
  foundLow = 0;
  /** Its bits 63:32. @internal */
  foundHigh = 0;

  /** Cuts the upper word of a one-word entry away. */
  protected wideMask = -1;
  /** Page numbers in [lowEnd, highStart) are not virtual addresses of the mode. */
  protected lowEnd = 0;
  /** The end of that interval. */
  protected highStart = 0;
  /** Bits 51:26 of a virtual page number plus this have none of `signMask` set. */
  protected signHalf = 0;
  /** See `signHalf`. */
  protected signMask = 0;
  /** log2 of the base pages that an entry of the root maps. */
  protected topShift = 0;
  /** `frames` for formats with 8-byte entries, 0 for others: their walks have a loop of their own. */
  protected wideFrames = 0;
  /** Frames in `words`. */
  protected frames = 0;
  /** Bits 30:0 of the first frame number in `words`; entries are compared in this form. */
  protected windowLow = 0;
  /** Bits 51:31 of the first frame number in `words`. */
  protected windowHigh = 0;
  /** Counts bindings, so that the guest of a second stage knows when to bind anew. @internal */
  windowVersion = 0;
  private boundStage = 0;
  private boundVersion = -1;
  private boundFrames = 0;
  /** Flat RAM that holds the root, or nothing: see `bindWindow`. */
  protected words: Int32Array = NO_WORDS;
  /** The words that `findPresent` may scan in a loop: all of them, or none. */
  private scanned: Int32Array = NO_WORDS;
  /** The first frame number in `words`, as the second stage gives it. */
  private hostFirst = 0;

  /** Number of root tables, 0 while translation is off. PAE has four, AArch64 two. */
  get rootCount(): number {
    return this.format === null ? 0 : 1;
  }

  /** The frame of a root table, or -1 when that root is not present. */
  abstract rootAt(slot: number): number;

  /** The format of the entries below a root. */
  rootFormat(_slot: number): PteFormat | null {
    return this.format;
  }

  /** The level of a root. */
  rootLevel(_slot: number): number {
    return this.top;
  }

  /** The first page that a root maps; where addresses are sign-extended, that of the lower half. */
  rootBase(slot: number): number {
    return slot * 2 ** (this.bits * (this.top + 1));
  }

  /** The first byte of a root table in its frame: small tables need not begin with it. */
  rootByte(_slot: number): number {
    return 0;
  }

  /** Takes the shape of its tables from a format, for a walker without a fast path of its own. */
  protected useShape(format: PteFormat): void {
    this.top = format.levels - 1;
    this.bits = 0;
    this.entryShift = Math.log2(format.entryBytes);
    this.presentLow = format.presentLow;
  }

  /**
   * Called when the window changed, so that roots can be made relative to it. Unless overridden no window is kept, and
   * every walk is complete: right for tables of any shape, wherever they are.
   */
  protected windowChanged(): void {
    this.closeWindow();
  }

  /**
   * Finds the flat RAM that holds the root for the fast path. Done again when a register or the observer changes, and
   * when a complete walk finds the window detached, as a WebAssembly memory that grew leaves it.
   */
  protected bindWindow(): void {
    let root = -1;
    const { secondStage } = this;
    const count = this.observer === null ? (secondStage ?? this).rootCount : 0;
    for (let slot = 0; root < 0 && slot < count; slot++) root = (secondStage ?? this).rootAt(slot);
    const window = root < 0 ? null : this.memory.ramWindow(root);
    this.boundVersion = this.memory.layoutVersion;
    this.windowVersion = (this.windowVersion + 1) | 0;
    this.boundStage = secondStage === null ? 0 : secondStage.windowVersion;
    this.words = window === null ? NO_WORDS : window.words;
    this.boundFrames = this.words.length >>> 10;
    // Under a second stage no frame is in the window as the guest numbers it: see `hostRelative`.
    this.frames = secondStage === null ? this.boundFrames : 0;
    const first = window === null ? 0 : window.firstPfn;
    this.hostFirst = first;
    const own = secondStage === null ? first : 0;
    // Int32, so that the fields are: a field that once held a double keeps the whole loop in doubles (2x, measured).
    this.windowLow = (own % 2 ** 31) | 0;
    this.windowHigh = Math.floor(own / 2 ** 31) | 0;
    // A second stage says where the words of a guest's frame are.
    this.scanned = secondStage === null && this.presentLow !== 0 ? this.words : NO_WORDS;
    this.windowChanged();
    this.wideFrames = this.wide === 1 ? this.frames : 0;
  }

  /** Binds the window anew when its buffer was detached or regions were added; `true` when it did. */
  protected bindAgainIfStale(): boolean {
    const { memory, secondStage } = this;
    const attached = this.boundFrames === this.words.length >>> 10;
    const known = secondStage === null || secondStage.windowVersion === this.boundStage;
    if (attached && known && memory.layoutVersion === this.boundVersion) return false;
    this.bindWindow();
    return true;
  }

  /** Which page numbers are virtual addresses: those sign-extended from `virtualBits`, or with nothing above it. */
  protected setVirtualBits(virtualBits: number, signExtended: boolean): void {
    const half = 2 ** (virtualBits - 13);
    this.lowEnd = signExtended ? half : 2 * half;
    this.highStart = signExtended ? 2 ** 52 - half : 2 ** 52;
    this.signHalf = signExtended ? 1 << (virtualBits - 39) : 0;
    this.signMask =
      0x4000000 - (signExtended ? 2 * this.signHalf : 2 ** Math.max(0, virtualBits - 38));
    this.topShift = this.top * this.bits;
  }

  /** Takes the fast path's window away: every walk is complete until the next {@link TableWindow.bindWindow}. */
  protected closeWindow(): void {
    this.words = NO_WORDS;
    this.scanned = NO_WORDS;
    this.boundFrames = 0;
    this.frames = 0;
  }

  /** Whether a frame lies in the window that is bound now. */
  protected inWindow(pfn: number): boolean {
    const first = this.windowHigh * 2 ** 31 + this.windowLow;
    return pfn >= first && pfn < first + this.frames;
  }

  /**
   * In the fast path under a second stage: where a table of the guest's is in the window.
   *
   * @param pfn - Bits 30:0 of the guest's frame; the bits above are 0.
   * @returns The frame relative to the window, or -1: the complete form decides. Always so without a second stage.
   */
  protected hostRelative(pfn: number): number {
    const { secondStage } = this;
    if (secondStage === null || pfn < 0) return -1;
    const host = secondStage.fastFrame(pfn, pfn >>> 26, secondStage.tableAccess);
    const relative = host - this.hostFirst;
    return host >= 0 && relative >= 0 && relative < this.words.length >>> 10 ? relative | 0 : -1;
  }

  /**
   * The first entry of a table, from an index on, with a present bit; its words are then in `foundLow` and `foundHigh`.
   *
   * @param _slot - The root above the table: entries then mean to `classify` and its like what they mean below it.
   * @param table - The table's frame.
   * @param byte - The table's first byte in that frame.
   * @param from - The first index.
   * @param end - The number of entries.
   * @returns The index, or -1 when there is none.
   * @internal
   */
  findPresent(_slot: number, table: number, byte: number, from: number, end: number): number {
    const { scanned, wide, presentLow } = this;
    const frame = table - (this.windowHigh * 2 ** 31 + this.windowLow);
    // Not `this.frames`: the words of a memory that grew are gone.
    if (frame < 0 || frame >= scanned.length >>> 10) {
      return this.findPresentAnywhere(table, byte, from, end);
    }
    // Int32, so that the loop has no doubles (30 % of it, measured).
    const base = ((frame << 10) + (byte >>> 2)) | 0;
    if (base + (end << wide) > scanned.length) {
      return this.findPresentAnywhere(table, byte, from, end);
    }
    for (let index = from; index < end; index++) {
      const at = (base + (index << wide)) | 0;
      const low = scanned[at]!;
      if ((low & presentLow) !== 0) {
        this.foundLow = low;
        this.foundHigh = scanned[at + wide]! & this.wideMask;
        return index;
      }
    }
    return -1;
  }

  private findPresentAnywhere(table: number, byte: number, from: number, end: number): number {
    if (this.bindAgainIfStale()) return this.findPresent(0, table, byte, from, end);
    const { memory, path, presentLow } = this;
    const entryBytes = 2 ** this.entryShift;
    for (let index = from; index < end; index++) {
      const status = this.locate(SPARE_LEVEL, table, byte + index * entryBytes, false);
      const offset = path.offset[SPARE_LEVEL]!;
      const begins = index === 0 || offset < entryBytes;
      if (status !== 0 || (begins && memory.isBlank(path.frame[SPARE_LEVEL]!))) {
        // Nothing in this frame: a table may have thousands, and an entry costs 500 ns where there is no memory.
        index += Math.floor((4095 - offset) / entryBytes);
        continue;
      }
      if (this.readEntry(SPARE_LEVEL) === BUS_ERROR) continue;
      if (presentLow !== 0 && (memory.low & presentLow) === 0) continue;
      this.foundLow = memory.low;
      this.foundHigh = memory.high;
      return index;
    }
    return -1;
  }
}
