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
  /** Pages that were written. `index` counts 4 KiB from the base; `contents` is a copy of 4096 bytes. */
  readonly pages: readonly { readonly index: number; readonly contents: Uint8Array }[];
}
