/**
 * What an operation returns when the `FrameSource` has no frame for a table that it needs. Everything is then as it
 * was.
 *
 * @public
 */
export const OUT_OF_FRAMES = -1;

/**
 * What an operation on one page returns when nothing is there. Nothing changed.
 *
 * @public
 */
export const NOT_MAPPED = -2;

/**
 * What an operation on one page returns when its entry is software's: not present, and not 0, such as a swap entry.
 *
 * @public
 */
export const NOT_PRESENT = -3;

/**
 * What an operation returns for leaves of the wrong size: `collapse` when they don't make one, `split` for a base page by
 * itself, `setSwap` within a large page. Nothing changed.
 *
 * @public
 */
export const NOT_COMPATIBLE = -4;
