import type { WordMask } from './entry.js';

/**
 * One bit of an entry (`7`), or a run of bits with the highest first (`[6, 0]`).
 *
 * @public
 */
export type BitRange = number | readonly [high: number, low: number];

/**
 * The bit of a right: set, it grants the right; written with `not`, it takes the right away (`{ not: 63 }` as the bit of
 * `execute` is a no-execute bit).
 *
 * @public
 */
export type RightBit =
  | number
  | {
      /** The bit that takes the right away. */
      readonly not: number;
    };

/**
 * Which bits of an entry mean what. A right without a bit is granted by every entry; bits that are not named are ignored.
 *
 * @public
 */
export interface EntryBits {
  /** Set: the entry is valid. Clear: nothing is mapped, and all other bits are software's. */
  readonly valid: number;
  /** The number of a page frame, or of the frame with which the next table begins. At most 52 bits. */
  readonly frame: BitRange;
  /** The right to load. */
  readonly read?: RightBit;
  /** The right to store. */
  readonly write?: RightBit;
  /** The right to fetch instructions. */
  readonly execute?: RightBit;
  /** User mode's right to use the page. Without this bit, privilege makes no difference. */
  readonly user?: RightBit;
  /** In a leaf: the translation is valid in every address space. */
  readonly global?: number;
  /** The page has been used. One of bits 31:0. */
  readonly accessed?: number;
  /** The page has been written. One of bits 31:0. */
  readonly dirty?: number;
  /**
   * What makes an entry a huge leaf, at the levels with `huge`: a bit of its own (the page-size bit); with `not`, a bit
   * of its own that is clear, one of bits 31:0 (AArch64's table bit; all pointers are built with it, and levels without
   * `huge` do not look at it); or `'rights'`: any of read, write and execute, as on RISC-V.
   *
   * By `'rights'` the entries of the last level are judged too: with none of the three they are pointers that lead
   * nowhere. At levels without `huge`, an entry with any of them is reserved.
   */
  readonly leaf?:
    | number
    | {
        /** The bit that pointers have. */
        readonly not: number;
      }
    | 'rights';
}

/**
 * Bits that must be 0 in a valid entry: a list for all entries, or one for each kind.
 *
 * @public
 */
export type ReservedBits =
  | readonly BitRange[]
  | {
      /** In entries that point at tables. */
      readonly pointers?: readonly BitRange[];
      /** In entries that map pages. In a huge one they may be frame bits below its size. */
      readonly leaves?: readonly BitRange[];
    };

/**
 * One level of tables.
 *
 * @public
 */
export interface LevelDescription {
  /** Width of the index that the level takes from the address, 1 to 26 bits. */
  readonly bits: number;
  /** Whether an entry may map memory itself, a huge page; not at the last level, where every leaf is a base page. */
  readonly huge?: boolean;
  /** The bit that marks the huge pages of this level, where it is another than at other levels. @defaultValue `bits.leaf` */
  readonly leaf?: number;
  /** Bytes in a table of this level, which must be enough for its entries. @defaultValue one page */
  readonly tableBytes?: number;
  /** Further bits that must be 0 at this level. */
  readonly reserved?: ReservedBits;
}

/**
 * What pointers have beside the frame of the next table.
 *
 * @public
 */
export interface PointerDescription {
  /**
   * Whether pointers have rights, and an access needs them in every entry (x86); otherwise the leaf's alone count
   * (RISC-V). @defaultValue false
   */
  readonly rights?: boolean;
  /** Whether pointers have the accessed bit. @defaultValue false */
  readonly accessed?: boolean;
}

/**
 * A radix page table format as data, for `definePteFormat`.
 *
 * Sv32 to Sv57 and x86's paging of two, four and five levels fit, but for what the following list takes out; an
 * architecture that needs something of the list can be a walker of its own (docs/architecture.md). Out of scope are
 *
 * - frames: groups of entries that map one page together (Svnapot, Arm's contiguous bit); frame numbers in several pieces
 *   (PSE-36, Arm's 52-bit addresses); pointers in other units or at another place than frame numbers, as where tables
 *   are smaller than a page (SPARC's SRMMU, m68k, ARMv7's short descriptors);
 * - marks: validity in a field of several bits (SRMMU, m68k, ARMv7), by a clear bit, by any right (EPT), or by another
 *   bit at another level; bits that must be 1; values of several bits that are reserved (PBMT = 3);
 * - roles that depend on the kind of leaf: a bit that means one thing in a huge and another in a base page (LoongArch's
 *   bit 6);
 * - rights encoded in a field (Arm's AP, SRMMU's ACC, LoongArch's PLV), or one set for the user and another for the
 *   supervisor (Alpha);
 * - memory types (PAT, Svpbmt, MAIR) and protection keys;
 * - roots that are registers (PAE) or more than one (AArch64), levels left out, privileges that nothing translates
 *   (RISC-V M-mode), and second stages: a `FormatWalker` neither has nor is one.
 *
 * Supervisor access to user pages (SMEP, SMAP, SUM), write protection of supervisor code (WP), MXR and the updating of
 * accessed and dirty bits are the walker's options.
 *
 * @public
 */
export interface PteFormatDescription {
  /** The format's name, 1 to 200 characters. */
  readonly name: string;
  /** Where the format is described, for reports. @defaultValue `the definition of <name>` */
  readonly source?: string;
  /** Bytes in a base page: a power of two from 16 to 2^20. */
  readonly pageBytes: number;
  /** Bytes in an entry: 1, 2, 4 or 8; entries are little-endian. */
  readonly entryBytes: 1 | 2 | 4 | 8;
  /** The levels from the root down, 1 to 6. With the page's offset bits they make up the virtual address. */
  readonly levels: readonly LevelDescription[];
  /** Which bits mean what. */
  readonly bits: EntryBits;
  /** What pointers have beside the next table's frame. */
  readonly pointers?: PointerDescription;
  /** Bits that must be 0 in valid entries of all levels. */
  readonly reserved?: ReservedBits;
  /**
   * What frame bits below the size of a huge leaf do when they are set: the access faults, or they are ignored (those
   * that are `reserved` excepted). @defaultValue 'fault'
   */
  readonly misaligned?: 'fault' | 'ignored';
  /** Whether a leaf that may be written and not read is reserved, as on RISC-V. @defaultValue 'allowed' */
  readonly writeOnly?: 'allowed' | 'reserved';
  /**
   * Whether the address bits above repeat the top one of the virtual address (`true`) or must be 0. It needs pages of at
   * least 4 KiB. @defaultValue false
   */
  readonly signExtended?: boolean;
  /** Width of a virtual address, to be checked against the levels. @defaultValue what the levels say */
  readonly virtualBits?: number;
  /** Width of a physical address, to be checked against the frame number. @defaultValue what the frame number reaches */
  readonly physicalBits?: number;
}

/**
 * What a format from `definePteFormat` says beyond what all formats say, ready for a walk: the roles of its bits as
 * masks for the two words of an entry; 0 for a role that no bit has.
 *
 * @public
 */
export interface PteRoles {
  /** What the format was made of: plain data, and `definePteFormat` makes the same format of it. */
  readonly description: PteFormatDescription;
  /** Where the format is described. */
  readonly source: string;
  /** Bits to xor an entry with before the masks of rights are tried: those that forbid when set. */
  readonly flip: WordMask;
  /** The bit that lets loads pass. */
  readonly read: WordMask;
  /** The bit that lets stores pass. */
  readonly write: WordMask;
  /** The bit that lets fetches pass. */
  readonly execute: WordMask;
  /** The bit that lets user mode pass. */
  readonly user: WordMask;
  /** The bit of a global leaf. */
  readonly global: WordMask;
  /** The accessed bit, in the low word. */
  readonly accessed: number;
  /** The dirty bit, in the low word. */
  readonly dirty: number;
  /** Whether pointers limit rights. */
  readonly pointerRights: boolean;
  /** Whether pointers have the accessed bit. */
  readonly pointerAccessed: boolean;
  /** By level: bits that must be 0 in a pointer. */
  readonly reservedInPointers: readonly WordMask[];
  /** By level: bits that must be 0 in a leaf. */
  readonly reservedInLeaves: readonly WordMask[];
  /** Whether a huge leaf must be aligned to its size. */
  readonly alignedLeaves: boolean;
  /** Whether a leaf that may be written and not read is reserved. */
  readonly writeOnlyReserved: boolean;
}
