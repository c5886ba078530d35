import type { BitField } from './bit-field.js';
import type { PteRoles } from './define-format-description.js';
import type { MappingBitsOptions } from './mapping-bits.js';
import type { SwapLayoutName } from './swap-layout.js';

/**
 * What an entry is, by its structure alone: nothing mapped, a pointer to the next table, or a leaf that maps memory.
 *
 * @public
 */
export type EntryKind = 'not-present' | 'pointer' | 'leaf';

/**
 * Whose entries a format's are: an architecture's, or `custom` for one that `definePteFormat` made.
 *
 * @public
 */
export type PteArchitecture = 'x86' | 'riscv' | 'aarch64' | 'custom';

/**
 * A mask for the two words of an entry.
 *
 * @public
 */
export interface WordMask {
  /** Of bits 31:0. */
  readonly low: number;
  /** Of bits 63:32. */
  readonly high: number;
}

/**
 * A decoded entry, as plain data.
 *
 * @public
 */
export interface DecodedEntry {
  /** Always `'entry'`. */
  readonly type: 'entry';
  /** The format's name. */
  readonly format: string;
  /** The level that it was decoded for; 0 maps base pages. */
  readonly level: number;
  /** What it is. */
  readonly kind: EntryKind;
  /** Every bit, as it stood. */
  readonly raw: bigint;
  /** A leaf's first frame, a pointer's table, in base pages; `null` when not present. */
  readonly pfn: number | null;
  /** The base pages that a leaf maps; 0 for the other kinds. */
  readonly pages: number;
  /** log2 of the bytes that a leaf maps; 0 for the other kinds. */
  readonly pageShift: number;
  /** Every field's value by name: all of `PteFormat.fieldsOf`, which together are every bit. */
  readonly fields: Readonly<Record<string, number>>;
}

/**
 * What `PteFormat.encode` needs of a {@link DecodedEntry}.
 *
 * @public
 */
export interface EntryFields {
  /** What it is: chooses the fields. */
  readonly kind: EntryKind;
  /** The level it is for. */
  readonly level: number;
  /** Values by field name; fields that are not named are 0. */
  readonly fields: Readonly<Record<string, number>>;
}

/**
 * An entry to build with `PteFormat.build`.
 *
 * @public
 */
export interface EntrySpec {
  /** What it is to be. */
  readonly kind: EntryKind;
  /** The level it is for; 0 unless told. */
  readonly level?: number;
  /** The first frame of the page, or the frame of the next table, in base pages; not for `not-present`. */
  readonly pfn?: number;
  /** The other fields by name; what is not named is 0. */
  readonly fields?: Readonly<Record<string, number>>;
}

/**
 * A further piece of the frame number, in the low word apart from the rest.
 *
 * @public
 */
export interface FrameSplit {
  /** The lowest bit of the piece in the entry. */
  readonly shift: number;
  /** Its width. */
  readonly bits: number;
  /** The bit of the frame number (in base pages) that its lowest bit is. */
  readonly frameBit: number;
  /** Bit n set: leaves of level n have it. */
  readonly leaves: number;
  /** Whether pointers have it. */
  readonly tables: boolean;
}

/**
 * What a format is made of. All formats of this package are instances made from it; `definePteFormat` makes your own.
 *
 * @public
 */
export interface PteFormatOptions {
  /** The format's name. */
  readonly name: string;
  /** Whose entries they are. */
  readonly architecture: PteArchitecture;
  /** log2 of the base page in bytes; 12 unless told. */
  readonly pageShift?: number;
  /** Whether the address bits above the implemented ones repeat the top one (`true`) or are absent. */
  readonly signExtended: boolean;
  /** Whether the address bits above must all be 1, as in AArch64's upper half; `false` unless told. */
  readonly onesExtended?: boolean;
  /** Width of each level's index, level 0 first; with `pageShift` they make up the virtual address. */
  readonly indexBits: readonly number[];
  /** Bytes in an entry. */
  readonly entryBytes: 1 | 2 | 4 | 8;
  /** The greatest width of a physical address. */
  readonly physicalBits: number;
  /** Lowest bit of the frame number in an entry. */
  readonly frameShift: number;
  /** Width of the frame number in an entry. */
  readonly frameBits: number;
  /** An entry is present when one of these bits is set; bit 0 unless told. */
  readonly present?: WordMask;
  /** By level: bits of the low word without all of which an entry is not present after all; none unless told. */
  readonly required?: readonly number[];
  /**
   * By level: a present entry is a leaf when one of these bits of its low word is set; 0 where there are no leaves, -1
   * where there is nothing else.
   */
  readonly leafMask: readonly number[];
  /** The same of the high word; unless told 0, or -1 where `leafMask` is -1. */
  readonly leafMaskHigh?: readonly number[];
  /** Bits of the low word that count for `leafMask` when they are clear; none unless told. */
  readonly leafFlip?: number;
  /** By level: the bits of the low word that every leaf has set besides those that make it present. */
  readonly leafBits: readonly number[];
  /** The same of the high word; none unless told. */
  readonly leafBitsHigh?: readonly number[];
  /** The same of every pointer; none unless told. */
  readonly tableBits?: number;
  /** A further piece of the frame number; none unless told. */
  readonly frameSplit?: FrameSplit;
  /** Whether bit 63 of a level 0 leaf marks a 16-page group (Svnapot); `false` unless told. */
  readonly napot?: boolean;
  /** What a format from `definePteFormat` says beyond this; `null` unless told. */
  readonly roles?: PteRoles;
  /** The layout of Linux's entries for swapped pages; `null` unless told. */
  readonly swap?: SwapLayoutName | null;
  /** How system software writes the entries, which `PageTable` needs; `null` unless told. */
  readonly mapping?: MappingBitsOptions;
  /**
   * The fields of a kind of entry, from the highest bit down. It is asked only for what occurs: no leaves where
   * `leafMask` is 0, no pointers where it is -1.
   */
  readonly fields: (kind: EntryKind, level: number) => readonly BitField[];
}
