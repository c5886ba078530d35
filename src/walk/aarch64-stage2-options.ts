import type { Address, VmObserver } from '../core/index.js';
import type { PhysicalMemory } from '../memory/index.js';
import type { AArch64Features } from './aarch64-features.js';

/**
 * What an `AArch64Stage2` is made from.
 *
 * @public
 */
export interface AArch64Stage2Options {
  /** The memory that holds the tables. */
  readonly memory: PhysicalMemory;
  /** VTCR_EL2. @defaultValue 0 */
  readonly vtcr?: Address;
  /** VTTBR_EL2. @defaultValue 0 */
  readonly vttbr?: Address;
  /** HCR_EL2: VM, DC, PTW, CD, ID and FWB matter. @defaultValue 0x80000001: RW and VM */
  readonly hcr?: Address;
  /** What the CPU has. @defaultValue everything */
  readonly features?: Partial<AArch64Features>;
  /** Receives the events of every walk. */
  readonly observer?: VmObserver;
}

/**
 * What `AArch64Stage2.snapshot` returns: registers as hexadecimal strings.
 *
 * @public
 */
export interface AArch64Stage2Snapshot {
  /** The version of this shape. */
  readonly v: 1;
  /** The tag. */
  readonly type: 'aarch64-stage2';
  /** VTCR_EL2. */
  readonly vtcr: string;
  /** VTTBR_EL2. */
  readonly vttbr: string;
  /** HCR_EL2. */
  readonly hcr: string;
  /** What the CPU has. */
  readonly features: AArch64Features;
}
