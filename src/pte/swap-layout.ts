import { onesOf } from './format-shape.js';

/**
 * The layouts of Linux's swap entries, by its architectures and their modes. A format names its own
 * (`PteFormat.swap`), so that formats, and walkers with them, come without the code for swap entries.
 *
 * @public
 */
export type SwapLayoutName = 'x86-64' | 'x86-pae' | 'x86-32' | 'riscv64' | 'riscv32' | 'arm64';

/** Swap types have 5 bits everywhere: `MAX_SWAPFILES_SHIFT` of include/linux/swap.h. */
const TYPE_BITS = 5;

/** What a {@link SwapLayout} is made of. */
export interface SwapLayoutOptions {
  /** Bytes in an entry. */
  readonly entryBytes: 4 | 8;
  /** The lowest bit of the swap type, which has 5 bits and does not cross from one word to the other. */
  readonly typeShift: number;
  /** The lowest bit of the swap offset, 1 to 31. */
  readonly offsetShift: number;
  /** The width of the field in which the swap offset stands: up to bit 31 at least, and 52 at most. */
  readonly offsetBits: number;
  /** Whether the field holds the complement of the offset; `false` unless told. */
  readonly offsetInverted?: boolean;
  /** One more than the greatest offset; as many as the field has room for unless told. */
  readonly offsetEnd?: number;
  /** The bit of the low word that marks a page of this process alone, as a mask. */
  readonly exclusive: number;
  /** The bit that remembers userfaultfd's write protection; 0 where there is none, and unless told. */
  readonly uffdWriteProtect?: number;
  /** The bit that remembers soft-dirty; 0 where there is none, and unless told. */
  readonly softDirty?: number;
}

/**
 * Where Linux keeps its fields in the non-present entries that remember swapped pages; `swapLayout` has a format's.
 * The methods are for inner loops, on two int32 words (`high` is 0 in formats of one word), and check nothing;
 * `encodeSwapEntry` and `decodeSwapEntry` are for people.
 *
 * @public
 */
export class SwapLayout {
  /** Bytes in an entry. */
  readonly entryBytes: 4 | 8;
  /** The lowest bit of the swap type. */
  readonly typeShift: number;
  /** The lowest bit of the swap offset. */
  readonly offsetShift: number;
  /** The width of the field in which the swap offset stands. */
  readonly offsetBits: number;
  /** Whether the field holds the complement of the offset. */
  readonly offsetInverted: boolean;
  /** One more than the greatest offset. */
  readonly offsetEnd: number;
  /** The mask of the bit that marks a page of this process alone. */
  readonly exclusive: number;
  /** The mask of the bit that remembers userfaultfd's write protection, or 0. */
  readonly uffdWriteProtect: number;
  /** The mask of the bit that remembers soft-dirty, or 0. */
  readonly softDirty: number;
  /** The bits of the low word that belong to no field, and are 0. */
  readonly zeroLow: number;
  /** The same of the high word. */
  readonly zeroHigh: number;
  /** The one offset that type 0 cannot have: the entry would be all zeros, by which Linux knows that nothing is there. */
  readonly offsetOfZero: number;
  /** The bits of the high word that belong to the offset. */
  private readonly offsetHighMask: number;
  /** What one unit of the high word adds to the field of the offset. */
  private readonly highUnit: number;

  /**
   * @param options - The layout's data, which are not checked.
   * @internal
   */
  constructor(options: SwapLayoutOptions) {
    const { entryBytes, offsetBits, offsetShift, typeShift } = options;
    this.entryBytes = entryBytes;
    this.typeShift = typeShift;
    this.offsetShift = offsetShift;
    this.offsetBits = offsetBits;
    this.offsetInverted = options.offsetInverted ?? false;
    this.offsetEnd = options.offsetEnd ?? 2 ** offsetBits;
    this.exclusive = options.exclusive;
    this.uffdWriteProtect = options.uffdWriteProtect ?? 0;
    this.softDirty = options.softDirty ?? 0;
    this.offsetOfZero = this.offsetInverted ? 2 ** offsetBits - 1 : 0;
    this.highUnit = 2 ** (32 - offsetShift);
    const onesHigh = (shift: number, bits: number) => onesOf(shift - 32, shift + bits - 32);
    this.offsetHighMask = onesHigh(offsetShift, offsetBits);
    const markers = this.exclusive | this.uffdWriteProtect | this.softDirty;
    const offsetLow = onesOf(offsetShift, offsetShift + offsetBits);
    this.zeroLow = ~(markers | offsetLow | onesOf(typeShift, typeShift + TYPE_BITS));
    const used = this.offsetHighMask | onesHigh(typeShift, TYPE_BITS);
    this.zeroHigh = entryBytes === 8 ? ~used : -1;
  }

  /**
   * The low word of an entry.
   *
   * @param type - The swap type, 0 to 31.
   * @param offset - The swap offset, below `offsetEnd`.
   * @param markers - Any of `exclusive`, `uffdWriteProtect` and `softDirty`; none unless told.
   * @returns An int32.
   */
  low(type: number, offset: number, markers = 0): number {
    const { offsetShift, typeShift } = this;
    const word = ((this.field(offset) % this.highUnit) << offsetShift) | markers;
    return typeShift < 32 ? word | (type << typeShift) : word;
  }

  /**
   * The high word of an entry.
   *
   * @param type - The swap type, 0 to 31.
   * @param offset - The swap offset, below `offsetEnd`.
   * @returns An int32; 0 in formats of one word.
   */
  high(type: number, offset: number): number {
    const { typeShift } = this;
    const word = (this.field(offset) / this.highUnit) | 0;
    return typeShift < 32 ? word : word | (type << (typeShift - 32));
  }

  /**
   * Whether an entry is one of this layout: no bit set outside the fields (so that it is not present), not all zeros but
   * for markers, and its offset below `offsetEnd`.
   *
   * @param low - Bits 31:0 of the entry.
   * @param high - Bits 63:32.
   * @returns `true` when it is.
   */
  matches(low: number, high: number): boolean {
    if (((low & this.zeroLow) | (high & this.zeroHigh)) !== 0) return false;
    const offset = this.offsetOf(low, high);
    if (offset === this.offsetOfZero && this.typeOf(low, high) === 0) return false;
    return offset < this.offsetEnd;
  }

  /**
   * The swap type: which swap file; see {@link SwapEntrySpec}.
   *
   * @param low - Bits 31:0 of the entry.
   * @param high - Bits 63:32.
   * @returns 0 to 31.
   */
  typeOf(low: number, high: number): number {
    const { typeShift } = this;
    return (typeShift < 32 ? low >>> typeShift : high >>> (typeShift - 32)) & 31;
  }

  /**
   * The swap offset: which page of the swap file.
   *
   * @param low - Bits 31:0 of the entry.
   * @param high - Bits 63:32.
   * @returns The offset.
   */
  offsetOf(low: number, high: number): number {
    const above = ((high & this.offsetHighMask) >>> 0) * this.highUnit;
    return this.field((low >>> this.offsetShift) + above);
  }

  /** The field of an offset, and the offset of a field. */
  private field(offset: number): number {
    return this.offsetInverted ? 2 ** this.offsetBits - 1 - offset : offset;
  }
}
