/**
 * A saved region of flat RAM.
 *
 * @public
 */
export interface RamSnapshot {
  /** The tag. */
  readonly kind: 'ram';
  /** Physical address of the first byte. */
  readonly base: bigint;
  /** Whether it was, and will be, in a SharedArrayBuffer. */
  readonly shared: boolean;
  /** A copy of all bytes. */
  readonly contents: Uint8Array;
}

/**
 * A saved sparse region.
 *
 * @public
 */
export interface SparseSnapshot {
  /** The tag. */
  readonly kind: 'sparse';
  /** Physical address of the first byte. */
  readonly base: bigint;
  /** Bytes of address space. */
  readonly bytes: number;
  /** Pages that were written. */
  readonly pages: readonly {
    /** Counts 4 KiB from the base. */
    readonly index: number;
    /** A copy of its 4096 bytes. */
    readonly contents: Uint8Array;
  }[];
}
