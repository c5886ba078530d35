import { type AddressLayout, checkInteger, type Plain } from '../core/index.js';
import { type BitField, encodeFields } from './bit-field.js';
import type { PteRoles } from './define-format-description.js';
import type {
  DecodedEntry,
  EntryFields,
  EntryKind,
  EntrySpec,
  PteArchitecture,
  PteFormatOptions,
} from './entry.js';
import { buildEntry, decodeEntry } from './entry-codec.js';
import {
  ALWAYS,
  byLevel,
  checkEntryBytes,
  checkSplit,
  type FieldLists,
  fieldLists,
  fieldsOfKind,
  indexShifts,
  levelSet,
  NAPOT_CODE,
  NAPOT_PAGES,
  onesOf,
  theOneBit,
} from './format-shape.js';
import type { MappingBitsOptions } from './mapping-bits.js';
import type { SwapLayoutName } from './swap-layout.js';

// The optimiser knows a module's own constants, and reads imported ones at every use.
const GROUP_PAGES = NAPOT_PAGES;
const GROUP_CODE = NAPOT_CODE;

/**
 * The format of a page table: where its fields are, as same-shape data, and the codecs that run on it. One class and one
 * constructor for every architecture, so that code which meets many formats stays monomorphic.
 *
 * Entries are two int32 words (`low`, `high`; `high` is 0 in 4-byte formats) on the hot methods, which check nothing
 * and allocate nothing, and a bigint on `decode`, `encode` and `build`.
 *
 * A format says what bits mean. What control registers make of them (PS with CR4.PSE clear, XD with NXE clear, frame
 * bits above MAXPHYADDR, Svnapot switched off) is the walker's business.
 *
 * @example
 * ```ts
 * import { x86Long4 } from 'pagewright/pte';
 *
 * const entry = x86Long4.decode(0x8000_0000_4020_00e7n, 1);
 * entry.kind; // => 'leaf'
 * entry.pfn; // => 0x40200
 * entry.pages; // => 512
 * const { XD, RW } = entry.fields;
 * [XD, RW]; // => [1, 1]
 * x86Long4.encode(entry); // => 0x80000000402000e7n
 * ```
 * @public
 */
export class PteFormat implements AddressLayout {
  /** The format's name, such as `sv39`. */
  readonly name: string;
  /** Whose entries they are. */
  readonly architecture: PteArchitecture;
  /** log2 of the base page in bytes. */
  readonly pageShift: number;
  /** Implemented bits of a virtual address. */
  readonly virtualBits: number;
  /** Whether the address bits above repeat the top one (`true`) or are absent. */
  readonly signExtended: boolean;
  /** Whether the address bits above are all 1 (AArch64's upper half). */
  readonly onesExtended: boolean;
  /** Number of table levels; the root is level `levels - 1`. */
  readonly levels: number;
  /** Lowest address bit of each level's index, by level. */
  readonly indexShift: readonly number[];
  /** Width of each level's index, by level. */
  readonly indexBits: readonly number[];
  /** Bytes in an entry: 1, 2, 4 or 8. */
  readonly entryBytes: number;
  /** The greatest width of a physical address. */
  readonly physicalBits: number;
  /** Lowest bit of the frame number in an entry. */
  readonly frameShift: number;
  /** Width of the frame number in an entry. */
  readonly frameBits: number;
  /** The bits of the low word that belong to the frame number. */
  readonly frameLowMask: number;
  /** The bits of the high word that belong to the frame number. */
  readonly frameHighMask: number;
  /** By level: the bits of the low word that belong to the frame number of a leaf, aligned to its size. */
  readonly leafLowMask: readonly number[];
  /** The same of the high word. */
  readonly leafHighMask: readonly number[];
  /**
   * By level: the base pages that an entry covers, and so a leaf maps (but for a NAPOT group). Typed, because plain
   * arrays would be of two kinds: those of the formats with a value above 2^31, and the rest.
   */
  readonly levelPages: Float64Array;
  /** What one unit of the high word adds to the frame number: `2 ** (32 - frameShift)`. */
  readonly frameHighUnit: number;
  /** An entry is present when one of these bits of its low word is set, or one of `presentHigh`. */
  readonly presentLow: number;
  /** See `presentLow`. */
  readonly presentHigh: number;
  /** By level: bits of the low word without all of which an entry is not present after all. */
  readonly requiredLow: readonly number[];
  /** Bit n set: an entry of level n may be a leaf. */
  readonly leafLevels: number;
  /** By level: a present entry is a leaf when one of these bits of its low word is set; -1: always. */
  readonly leafMask: readonly number[];
  /** The same of the high word. */
  readonly leafMaskHigh: readonly number[];
  /** Bits of the low word that count for `leafMask` when they are clear. */
  readonly leafFlip: number;
  /** By level: the bits of the low word that every leaf has set besides those that make it present. */
  readonly leafBits: readonly number[];
  /** The same of the high word. */
  readonly leafBitsHigh: readonly number[];
  /** The same of every pointer. */
  readonly tableBits: number;
  /** The lowest bit in the low word of a further piece of the frame number. */
  readonly splitShift: number;
  /** What one unit of that piece adds to the frame number. */
  readonly splitUnit: number;
  /** The ones of that piece in a pointer, at bit 0; 0 when pointers have none. */
  readonly splitTableMask: number;
  /** The same for leaves, by level. */
  readonly splitLeafMask: readonly number[];
  /** Bit 31 when bit 63 of a level 0 leaf marks a 16-page group (Svnapot), else 0; an int32 mask of the high word. */
  readonly napotMask: number;
  /** What a format from `definePteFormat` says beyond this, or `null`. */
  readonly roles: PteRoles | null;
  /** The layout of Linux's entries for swapped pages, or `null`; see `swapLayout`. */
  readonly swap: SwapLayoutName | null;
  /** How system software writes the entries, or `null` for a format that does not say. */
  readonly mapping: MappingBitsOptions | null;
  /** The bit that makes an entry present; 0 when any of several do. @internal */
  readonly presentWord: bigint;
  private readonly fieldLists: readonly FieldLists[];
  /** `presentLow` and `leafMask` alone tell kinds: twice as fast as all rules, and so it is in most formats (measured). */
  private readonly simple: boolean;

  /**
   * @param options - The format's data; the fields are checked to cover every bit exactly once.
   * @throws `VmError` `bad-argument` or `out-of-range` for data that make no format.
   */
  constructor(options: PteFormatOptions) {
    const { indexBits, entryBytes, frameShift, frameBits } = options;
    this.name = options.name;
    this.architecture = options.architecture;
    this.pageShift = checkInteger('pageShift', options.pageShift ?? 12, 4, 20);
    this.signExtended = options.signExtended;
    this.onesExtended = options.onesExtended ?? false;
    this.levels = checkInteger('indexBits.length', indexBits.length, 1, 6);
    this.indexBits = [...indexBits];
    const { shifts, virtualBits } = indexShifts(indexBits, this.pageShift);
    this.virtualBits = virtualBits;
    this.indexShift = shifts;
    this.levelPages = Float64Array.from(shifts, (shift) => 2 ** (shift - this.pageShift));
    this.entryBytes = checkEntryBytes(entryBytes);
    this.physicalBits = checkInteger('physicalBits', options.physicalBits, 1, 64);
    this.frameShift = checkInteger('frameShift', frameShift, 0, 8 * entryBytes - 1);
    this.frameBits = checkInteger('frameBits', frameBits, 1, 8 * entryBytes - frameShift);
    this.frameHighUnit = 2 ** (32 - frameShift);
    const end = frameShift + frameBits;
    const leafFrom = shifts.map((shift) => frameShift + shift - this.pageShift);
    this.frameLowMask = onesOf(frameShift, end);
    this.frameHighMask = onesOf(frameShift - 32, end - 32);
    this.leafLowMask = leafFrom.map((bit) => onesOf(bit, end));
    this.leafHighMask = leafFrom.map((bit) => onesOf(bit - 32, end - 32));
    this.presentLow = (options.present?.low ?? 1) | 0;
    this.presentHigh = (options.present?.high ?? 0) | 0;
    this.presentWord = theOneBit(this.presentLow, this.presentHigh);
    const none = indexBits.map(() => 0);
    this.requiredLow = byLevel('required', options.required ?? none, this.levels);
    this.leafMask = byLevel('leafMask', options.leafMask, this.levels);
    const always = this.leafMask.map((mask) => (mask === ALWAYS ? ALWAYS : 0));
    this.leafMaskHigh = byLevel('leafMaskHigh', options.leafMaskHigh ?? always, this.levels);
    this.leafFlip = (options.leafFlip ?? 0) | 0;
    this.leafBits = byLevel('leafBits', options.leafBits, this.levels);
    this.leafBitsHigh = byLevel('leafBitsHigh', options.leafBitsHigh ?? none, this.levels);
    const { leafMaskHigh, required } = options;
    const plainHigh = this.presentHigh === 0 && leafMaskHigh === undefined;
    this.simple = plainHigh && required === undefined && this.leafFlip === 0;
    this.roles = options.roles ?? null;
    this.swap = options.swap ?? null;
    this.mapping = options.mapping ?? null;
    this.leafLevels = levelSet(
      (level) => (this.leafMask[level]! | this.leafMaskHigh[level]!) !== 0,
      this.levels,
    );
    this.tableBits = (options.tableBits ?? 0) | 0;
    const split = checkSplit(options.frameSplit, this.levels);
    this.splitShift = split.shift;
    this.splitUnit = split.unit;
    this.splitTableMask = split.tableMask;
    this.splitLeafMask = split.leafMask;
    this.napotMask = options.napot === true ? -0x80000000 : 0;
    this.fieldLists = indexBits.map((_, level) => fieldLists(options, level));
  }

  /**
   * The fields of a kind of entry, from the highest bit down. They cover every bit exactly once.
   *
   * @param kind - What the entry is.
   * @param level - Its level.
   * @returns The fields.
   * @throws `VmError` `bad-argument` when that kind does not occur at that level, `out-of-range` for a level that
   * the format does not have.
   */
  fieldsOf(kind: EntryKind, level: number): readonly BitField[] {
    checkInteger('level', level, 0, this.levels - 1);
    return fieldsOfKind(this.fieldLists[level]!, kind, `${this.name} has at level ${level}`);
  }

  /**
   * What an entry is, by structure alone: by V or P (EPT: any right), and what marks a leaf (RISC-V: any of R, W and X;
   * x86: PS; AArch64: bit 1 clear; at level 0 of all but RISC-V, nothing). Hot: nothing is checked.
   *
   * @param low - Bits 31:0 of the entry.
   * @param high - Bits 63:32.
   * @param level - The entry's level.
   * @returns The kind.
   */
  kindOf(low: number, high: number, level: number): EntryKind {
    if (this.simple) {
      if ((low & this.presentLow) === 0) return 'not-present';
      return (low & this.leafMask[level]!) !== 0 ? 'leaf' : 'pointer';
    }
    if (!this.isPresent(low, high, level)) return 'not-present';
    return this.isLeaf(low, high, level) ? 'leaf' : 'pointer';
  }

  /**
   * Whether an entry that is present is a leaf. Hot: nothing is checked.
   *
   * @param low - Bits 31:0 of the entry.
   * @param high - Bits 63:32.
   * @param level - The entry's level.
   * @returns `true` when it is.
   */
  isLeaf(low: number, high: number, level: number): boolean {
    const flags = (low ^ this.leafFlip) & this.leafMask[level]!;
    return (flags | (high & this.leafMaskHigh[level]!)) !== 0;
  }

  /**
   * Whether an entry is present: {@link PteFormat.kindOf} is not `not-present`. Hot: nothing is checked.
   *
   * @param low - Bits 31:0 of the entry.
   * @param high - Bits 63:32.
   * @param level - The entry's level.
   * @returns `true` when it is.
   */
  isPresent(low: number, high: number, level: number): boolean {
    const required = this.requiredLow[level]!;
    return (
      ((low & this.presentLow) | (high & this.presentHigh)) !== 0 && (low & required) === required
    );
  }

  /**
   * The frame number of a pointer's table: the frame bits as they stand. Hot: nothing is checked.
   *
   * @param low - Bits 31:0 of the entry.
   * @param high - Bits 63:32.
   * @returns The frame number, in base pages.
   */
  tablePfn(low: number, high: number): number {
    return (
      ((low & this.frameLowMask) >>> this.frameShift) +
      ((high & this.frameHighMask) >>> 0) * this.frameHighUnit +
      ((low >>> this.splitShift) & this.splitTableMask) * this.splitUnit
    );
  }

  /**
   * The first frame that a leaf maps: the frame bits without those below the page's size (the PAT bit of a large x86
   * page, the size code of a RISC-V NAPOT page), with the part that stands elsewhere (PSE-36, AArch64's 52-bit
   * addresses). A RISC-V superpage with such bits set is misaligned; whether it is, is for the walker to ask. Hot:
   * nothing is checked.
   *
   * @param low - Bits 31:0 of the entry.
   * @param high - Bits 63:32.
   * @param level - The entry's level.
   * @returns The frame number, in base pages.
   */
  leafPfn(low: number, high: number, level: number): number {
    let frame =
      ((low & this.leafLowMask[level]!) >>> this.frameShift) +
      ((high & this.leafHighMask[level]!) >>> 0) * this.frameHighUnit;
    const split = this.splitLeafMask[level]!;
    if (split !== 0) frame += ((low >>> this.splitShift) & split) * this.splitUnit;
    return level === 0 && this.isNapot(low, high) ? frame - GROUP_CODE : frame;
  }

  /**
   * {@link PteFormat.leafPfn} or {@link PteFormat.tablePfn}, whichever fits. Hot: nothing is checked.
   *
   * @param low - Bits 31:0 of the entry.
   * @param high - Bits 63:32.
   * @param level - The entry's level.
   * @returns The frame number in base pages; -1 when the entry is not present.
   */
  pfn(low: number, high: number, level: number): number {
    if (!this.isPresent(low, high, level)) return -1;
    if (!this.isLeaf(low, high, level)) return this.tablePfn(low, high);
    return this.leafPfn(low, high, level);
  }

  /**
   * The base pages that a leaf maps. Hot: nothing is checked.
   *
   * @param low - Bits 31:0 of the entry.
   * @param high - Bits 63:32.
   * @param level - The entry's level.
   * @returns A power of two: 16 for a NAPOT group, 1 for a reserved NAPOT encoding.
   */
  leafPages(low: number, high: number, level: number): number {
    return level === 0 && this.isNapot(low, high) ? GROUP_PAGES : this.levelPages[level]!;
  }

  /**
   * The low word of a leaf. For a NAPOT group pass its size code with the frame (`pfn | 8`). Hot: nothing is checked.
   *
   * @param pfn - The first frame, in base pages, aligned to the page's size.
   * @param level - The entry's level.
   * @param flags - The other bits of the low word; the x86 PS bit of a large page is added.
   * @returns An int32.
   */
  leafLow(pfn: number, level: number, flags: number): number {
    const low = this.frameLowBits(pfn) | this.leafBits[level]! | flags;
    const split = this.splitLeafMask[level]!;
    return split === 0 ? low : low | (((pfn / this.splitUnit) & split) << this.splitShift);
  }

  /**
   * The high word of a leaf. Hot: nothing is checked.
   *
   * @param pfn - The first frame, in base pages.
   * @param level - The entry's level.
   * @param flags - The other bits of the high word, as an int32.
   * @returns An int32; 0 in formats of one word when `flags` is 0.
   */
  leafHigh(pfn: number, level: number, flags: number): number {
    return this.tableHigh(pfn, flags) | this.leafBitsHigh[level]!;
  }

  /**
   * The low word of a pointer. Hot: nothing is checked.
   *
   * @param pfn - The frame of the table, in base pages.
   * @param flags - The other bits of the low word.
   * @returns An int32.
   */
  tableLow(pfn: number, flags: number): number {
    const split = (pfn / this.splitUnit) & this.splitTableMask;
    return this.frameLowBits(pfn) | (split << this.splitShift) | flags;
  }

  /**
   * The high word of a pointer. Hot: nothing is checked.
   *
   * @param pfn - The frame of the table, in base pages.
   * @param flags - The other bits of the high word, as an int32.
   * @returns An int32; 0 in formats of one word when `flags` is 0.
   */
  tableHigh(pfn: number, flags: number): number {
    return ((pfn / this.frameHighUnit) & this.frameHighMask) | flags;
  }

  /** The part of a frame number that stands in the low word: a frame in the high word alone has none. */
  private frameLowBits(pfn: number): number {
    return (pfn << this.frameShift) & this.frameLowMask;
  }

  /**
   * Decodes an entry into plain data, losing nothing: {@link PteFormat.encode} gives every bit back.
   *
   * @param word - The entry.
   * @param level - The level it stands at.
   * @returns Plain data. O(fields).
   * @throws `VmError` for a word wider than an entry, or a level that the format does not have.
   */
  decode(word: bigint | number, level: number): Plain<DecodedEntry> {
    return decodeEntry(this, word, level);
  }

  /**
   * Encodes field values as they are, reserved and contradictory ones too: the inverse of {@link PteFormat.decode}.
   *
   * @param entry - A decoded entry, or its kind, level and fields; fields that are not named are 0.
   * @returns The entry's bits, unsigned.
   * @throws `VmError` `bad-argument` for an unknown kind or field name, `out-of-range` for a level that the format
   * does not have or a value wider than its field.
   */
  encode(entry: EntryFields): bigint {
    return encodeFields(this.fieldsOf(entry.kind, entry.level), entry.fields);
  }

  /**
   * Builds an entry from a frame number and flags. The bits that make it the kind it is (V or P, PS of a large page) are
   * set; a RISC-V leaf and any EPT entry need at least one of their rights from you.
   *
   * @param spec - The kind, level, frame and other fields by name (`N: 1` makes a RISC-V NAPOT group of 16 pages).
   * @returns The entry's bits, unsigned.
   * @throws `VmError` `bad-argument` for unknown kinds or fields, a missing or needless `pfn`, and fields that make
   * another kind of entry; `out-of-range` for values and frames too wide; `misaligned` for a frame not aligned to the
   * page's size.
   *
   * @example
   * ```ts
   * import { sv39, x86Legacy } from 'pagewright/pte';
   *
   * sv39.build({ kind: 'leaf', pfn: 0x80210, fields: { R: 1, N: 1 } }); // => 0x8000000020086003n
   * x86Legacy.build({ kind: 'leaf', level: 1, pfn: 0x148c00, fields: { RW: 1 } }); // => 0x48c02083n
   * ```
   */
  build(spec: EntrySpec): bigint {
    return buildEntry(this, spec);
  }

  /** Whether a level 0 leaf is a NAPOT group: N set, and the one size code that is defined. */
  private isNapot(low: number, high: number): boolean {
    if ((high & this.napotMask) === 0) return false;
    return ((low >>> this.frameShift) & (GROUP_PAGES - 1)) === GROUP_CODE;
  }
}
