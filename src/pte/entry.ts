import type { BitField } from './bit-field.js';

/**
 * What an entry is, by its structure alone: nothing mapped, a pointer to the next table, or a leaf that maps memory.
 *
 * @public
 */
export type EntryKind = 'not-present' | 'pointer' | 'leaf';

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
 * What a format is made of. All formats of this package are instances made from it, and so may be your own.
 *
 * @public
 */
export interface PteFormatOptions {
  /** The format's name. */
  readonly name: string;
  /** Whose entries they are. */
  readonly architecture: 'x86' | 'riscv';
  /** log2 of the base page in bytes; 12 unless told. */
  readonly pageShift?: number;
  /** Whether the address bits above the implemented ones repeat the top one (`true`) or are absent. */
  readonly signExtended: boolean;
  /** Width of each level's index, level 0 first; with `pageShift` they make up the virtual address. */
  readonly indexBits: readonly number[];
  /** Bytes in an entry. */
  readonly entryBytes: 4 | 8;
  /** The greatest width of a physical address. */
  readonly physicalBits: number;
  /** Lowest bit of the frame number in an entry. */
  readonly frameShift: number;
  /** Width of the frame number in an entry; it reaches bit 31 at least. */
  readonly frameBits: number;
  /** By level: a present entry is a leaf when one of these bits of its low word is set; 0 where there are no leaves. */
  readonly leafMask: readonly number[];
  /** By level: the bits of the low word that every leaf has set besides bit 0. */
  readonly leafBits: readonly number[];
  /** Whether level 1 leaves keep frame bits 27:20 in bits 20:13 (PSE-36); `false` unless told. */
  readonly pse36?: boolean;
  /** Whether bit 63 of a level 0 leaf marks a 16-page group (Svnapot); `false` unless told. */
  readonly napot?: boolean;
  /**
   * The fields of a kind of entry, from the highest bit down. It is asked only for what occurs: no leaves where
   * `leafMask` is 0, no pointers where it has bit 0 and so takes every present entry.
   */
  readonly fields: (kind: EntryKind, level: number) => readonly BitField[];
}
