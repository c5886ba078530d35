import type { WalkReport } from '../walk/index.js';

/**
 * What {@link Mmu.explain} tells.
 *
 * @public
 */
export interface MmuReport {
  /** Whether an entry serves the access, is there and does not grant it, or is not there. */
  readonly kind: 'hit' | 'denied' | 'miss';
  /** The entry of the page. */
  readonly entry: {
    /** The level of its cache. */
    readonly level: number;
    /** Its slot there. */
    readonly slot: number;
    /** The frame that it gives to the page. */
    readonly pfn: number;
    /** Whether it serves the access. */
    readonly serves: boolean;
  } | null;
  /** What a walk finds. */
  readonly walk: WalkReport;
}
