import { checkInteger, VmError } from '../core/index.js';
import { type MappingBits, mappingOf, type PteFormat } from '../pte/index.js';
import { chooseSizes, type PageSize } from './page-size.js';

/** Bit 7 of an x86 base page's entry: its PAT bit, and PS in the entries of large pages. */
const PAT_SMALL = 0x80;

/** The numbers that editing needs of a format, and the flags of its leaves whatever their size. */
export class TableShape {
  readonly format: PteFormat;
  readonly bits: MappingBits;
  /** The bytes of a base page. */
  readonly pageBytes: number = 0;
  /** The root's level. */
  readonly top: number = 0;
  readonly sizes: readonly PageSize[];
  /** Entries in a table, by level. */
  readonly entries: Float64Array;
  private readonly indexMasks: Int32Array;
  /** log2 of the base pages that a table takes, by level. */
  readonly orders: readonly number[];
  /** Those base pages. */
  readonly tablePages: Float64Array;
  /** Page numbers in [lowEnd, highStart) are not virtual addresses, nor are those from `end` on. */
  readonly lowEnd: number = 0;
  readonly highStart: number = 0;
  readonly end: number = 0;
  /** What the last entry's index and the first page's number differ in, for the upper half of the root. */
  readonly signExtension: number = 0;
  /** By level: the end of the frames that a leaf and the machine can name. */
  readonly leafFrameEnd: Float64Array;
  /** The end of the frames that a pointer and the machine can name. */
  readonly tableFrameEnd: number = 0;
  /** The end of the frames that a root may have. */
  readonly rootFrameEnd: number = 0;
  /** An entry of level 0 is a leaf when one of these bits is set and, ... */
  readonly presentLow: number = 0;
  /** ... all of these. */
  readonly requiredLow: number = 0;
  /** Whether that is so: some formats of one's own have these bits in the high word. */
  readonly lowTells: boolean;
  /** A leaf of level 0 is in a group when it has this bit of the high word, ... */
  readonly groupHigh: number;
  /** ... and of these of the low word those of the code: RISC-V's other sizes are reserved. */
  readonly groupLow: number;
  readonly groupCode: number;
  /** The bit of the low word that says whether a leaf is global, ... */
  readonly globalLow: number = 0;
  /** ... and the same bit if it says so by being clear. */
  readonly globalFlip: number = 0;

  /**
   * @param format - The format.
   * @param pageSizes - The sizes that the machine has.
   * @param physicalBits - The width of its physical addresses.
   */
  constructor(format: PteFormat, pageSizes?: readonly number[], physicalBits?: number) {
    const { levels, pageShift, virtualBits } = format;
    this.format = format;
    this.bits = mappingOf(format);
    this.pageBytes = 2 ** pageShift;
    this.top = levels - 1;
    this.sizes = chooseSizes(format, pageSizes);
    if (this.sizes[0]?.pages !== 1) {
      const expected = 'a format whose last level maps pages';
      throw new VmError('unsupported', { argument: 'format', value: format.name, expected });
    }
    this.entries = Float64Array.from(format.indexBits, (bits) => 2 ** bits);
    this.indexMasks = Int32Array.from(this.entries, (count) => count - 1);
    this.orders = Array.from(this.entries, (_, level) => tableOrder(format, level));
    this.tablePages = Float64Array.from(this.orders, (order) => 2 ** order);
    const space = 2 ** (virtualBits - pageShift);
    const all = 2 ** Math.min(53, 64 - pageShift);
    this.lowEnd = format.signExtended ? space / 2 : format.onesExtended ? 0 : space;
    this.highStart = format.signExtended
      ? all - space / 2
      : format.onesExtended
        ? all - space
        : all;
    this.end = format.signExtended || format.onesExtended ? all : space;
    this.signExtension = format.signExtended || format.onesExtended ? all - space : 0;
    const widest = format.physicalBits;
    const width = checkInteger('physicalBits', physicalBits ?? widest, pageShift, widest);
    const inOnePiece = Math.min(2 ** format.frameBits, 2 ** (width - pageShift));
    this.leafFrameEnd = Float64Array.from(format.splitLeafMask, (split) =>
      split === 0 ? inOnePiece : 2 ** (width - pageShift),
    );
    this.tableFrameEnd = format.splitTableMask === 0 ? inOnePiece : 2 ** (width - pageShift);
    // CR3 has 32 bits in 32-bit and PAE paging (Intel SDM Vol. 3A, 4.3 and 4.4.1): roots are below 4 GiB.
    const narrow = format.architecture === 'x86' && format.virtualBits === 32;
    this.rootFrameEnd = narrow ? Math.min(2 ** 20, this.tableFrameEnd) : this.tableFrameEnd;
    // Where rights mark the leaves (RISC-V), an entry without any is none.
    const marked = format.leafMask[0] !== -1;
    this.presentLow = marked ? format.leafMask[0]! : format.presentLow;
    this.requiredLow = format.requiredLow[0]! | (marked ? format.presentLow : 0);
    this.lowTells = format.presentHigh === 0 && (!marked || format.leafMaskHigh[0] === 0);
    const group = this.bits.groupBits[0]!;
    const coded = group > 0 && format.napotMask !== 0;
    this.groupHigh = group > 0 ? this.bits.groupHigh : 0;
    this.groupLow = coded ? (2 ** group - 1) << format.frameShift : 0;
    this.groupCode = coded ? (2 ** (group - 1)) << format.frameShift : 0;
    const { globalMask } = this.bits;
    this.globalLow = globalMask.low;
    // AArch64's bit says it by being clear.
    this.globalFlip = this.bits.isGlobal(0, 0) ? globalMask.low : 0;
  }

  /** Whether a page number is a virtual address. */
  isPage(vpn: number): boolean {
    if (!Number.isInteger(vpn)) return false;
    return (vpn >= 0 && vpn < this.lowEnd) || (vpn >= this.highStart && vpn < this.end);
  }

  /** The index of a page number's entry in a table of a level. */
  indexOf(vpn: number, level: number): number {
    // `| 0` takes the quotient modulo 2^32.
    return ((vpn / this.format.levelPages[level]!) | 0) & this.indexMasks[level]!;
  }

  /** The first page of a table's entry, of a page number under that table. */
  entryStart(vpn: number, level: number): number {
    const pages = this.format.levelPages[level]!;
    return Math.floor(vpn / pages) * pages;
  }

  /** The first page that an entry of the root covers. */
  rootStart(index: number): number {
    const vpn = index * this.format.levelPages[this.top]!;
    return vpn >= this.lowEnd ? vpn + this.signExtension : vpn;
  }

  /** log2 of the entries that map a leaf's page together, 0 when it is alone. */
  groupOf(low: number, high: number, level: number): number {
    const { bits, format } = this;
    const group = bits.groupBits[level]!;
    if (group === 0 || (high & bits.groupHigh) === 0) return 0;
    if (format.napotMask === 0) return group;
    // A RISC-V group has its size in the frame number; other sizes are reserved.
    return format.leafPages(low, high, level) > 1 ? group : 0;
  }

  /** Base pages that a leaf's page has. */
  pagesOf(low: number, high: number, level: number): number {
    return this.format.levelPages[level]! * 2 ** this.groupOf(low, high, level);
  }

  /** The size that a leaf is of. */
  sizeIndex(low: number, high: number, level: number): number {
    const pages = this.pagesOf(low, high, level);
    return this.sizes.findIndex((size) => size.pages === pages);
  }

  /** The frame that a leaf of a group gives to its own entry; for others the first frame of its page. */
  entryPfn(low: number, high: number, level: number, index: number): number {
    const pfn = this.format.leafPfn(low, high, level);
    const napot = this.format.napotMask !== 0 && this.groupOf(low, high, level) > 0;
    return napot ? pfn + (index % 2 ** this.bits.groupBits[level]!) : pfn;
  }

  /** A leaf's bits but for frame, size and group, as a base page's entry has them; the low word. */
  flagsLow(low: number, level: number): number {
    const { bits, format } = this;
    const split = format.splitLeafMask[level]! << format.splitShift;
    let flags = low & ~(format.frameLowMask | split);
    if (level === 0) return flags & ~(format.leafBits[0]! & ~bits.base.low);
    flags &= ~format.leafBits[level]!;
    if (bits.patShift === 0) return flags;
    return (flags & ~PAT_SMALL) | ((low >>> bits.patShift) & PAT_SMALL);
  }

  /** The high word of the same. */
  flagsHigh(high: number, level: number): number {
    const { bits, format } = this;
    const frame = format.frameHighMask | format.leafBitsHigh[level]!;
    return high & ~frame & ~(bits.groupBits[level]! > 0 ? bits.groupHigh : 0);
  }

  /** The low word of a leaf of any level from flags as a base page's entry has them. */
  leafLow(pfn: number, level: number, flags: number, group: number): number {
    const { bits, format } = this;
    const pat = bits.patShift;
    const own =
      level > 0 && pat !== 0 ? (flags & ~PAT_SMALL) | ((flags & PAT_SMALL) << pat) : flags;
    // RISC-V writes the first frame of the group into all of its members, with the size code.
    const frame = group > 0 && format.napotMask !== 0 ? pfn + 2 ** (group - 1) : pfn;
    return format.leafLow(frame, level, own);
  }

  /** The high word of the same. */
  leafHigh(pfn: number, level: number, flags: number, group: number): number {
    return this.format.leafHigh(pfn, level, group > 0 ? flags | this.bits.groupHigh : flags);
  }

  /** Whether one of many leaves is global, by the or of their low words, each xored with `globalFlip`. */
  someGlobal(bits: number): boolean {
    // Of a bit in the high word the loops know nothing.
    return (bits & this.globalLow) !== 0 || this.bits.globalMask.high !== 0;
  }

  /** Whether two leaves of a level say the same but for frame, size, accessed and dirty. */
  isAlike(low: number, high: number, otherLow: number, otherHigh: number, level: number): boolean {
    const { bits } = this;
    const [one, oneHigh] = [this.flagsLow(low, level), this.flagsHigh(high, level)];
    const [two, twoHigh] = [this.flagsLow(otherLow, level), this.flagsHigh(otherHigh, level)];
    const clean = (word: number, upper: number): number =>
      bits.dirtyLow(word & ~bits.accessed, upper, false);
    const cleanHigh = (word: number, upper: number): number => bits.dirtyHigh(word, upper, false);
    return (
      clean(one, oneHigh) === clean(two, twoHigh) &&
      cleanHigh(one, oneHigh) === cleanHigh(two, twoHigh)
    );
  }

  /** How far the frames of a group's neighbours are apart: RISC-V's members are all alike. */
  groupStep(level: number, group: number): number {
    return group > 0 && this.format.napotMask !== 0 ? 0 : this.format.levelPages[level]!;
  }
}

/** log2 of the base pages that a table takes: at least one, and whatever its entries need. */
function tableOrder(format: PteFormat, level: number): number {
  const described = format.roles?.description.levels[format.levels - 1 - level]?.tableBytes ?? 0;
  const bytes = Math.max(described, 2 ** format.indexBits[level]! * format.entryBytes);
  return Math.max(0, Math.ceil(Math.log2(bytes)) - format.pageShift);
}
