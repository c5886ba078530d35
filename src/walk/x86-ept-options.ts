import type { Address, VmObserver } from '../core/index.js';
import type { PhysicalMemory } from '../memory/index.js';
import { WalkFault } from './fault.js';

/**
 * What an {@link X86Ept} is made from. Capabilities are those of IA32_VMX_EPT_VPID_CAP.
 *
 * @public
 */
export interface X86EptOptions {
  /** The memory that holds the EPT tables. */
  readonly memory: PhysicalMemory;
  /** EPTP: root, number of levels, whether accessed and dirty flags are enabled. */
  readonly eptp: Address;
  /** Entries may be executable without being readable. @defaultValue true */
  readonly executeOnly?: boolean;
  /** Leaves of 1 GiB. @defaultValue true */
  readonly gigabytePages?: boolean;
  /** The VM-execution control: fetches from user-mode addresses need XU. @defaultValue false */
  readonly modeBasedExecute?: boolean;
  /**
   * Qualifications of EPT violations have bits 11:9: what the guest's tables say of the linear address. In answers of
   * the EPT by itself, which knows no such tables, they are 0.
   * @defaultValue false
   */
  readonly advancedExitInformation?: boolean;
  /** MAXPHYADDR, 32 to 52. @defaultValue 52 */
  readonly maxPhyAddr?: number;
  /** Receives the events of every walk. */
  readonly observer?: VmObserver;
}

/**
 * What {@link X86Ept.snapshot} returns.
 *
 * @public
 */
export interface X86EptSnapshot {
  /** The version of this shape. */
  readonly v: 1;
  /** The tag. */
  readonly type: 'x86-ept';
  /** EPTP, as a hexadecimal string. */
  readonly eptp: string;
  /** See {@link X86EptOptions.executeOnly}. */
  readonly executeOnly: boolean;
  /** See {@link X86EptOptions.gigabytePages}. */
  readonly gigabytePages: boolean;
  /** See {@link X86EptOptions.modeBasedExecute}. */
  readonly modeBasedExecute: boolean;
  /** See {@link X86EptOptions.advancedExitInformation}. */
  readonly advancedExitInformation: boolean;
  /** See {@link X86EptOptions.maxPhyAddr}. */
  readonly maxPhyAddr: number;
}

/**
 * An EPT fault in fields.
 *
 * @public
 */
export class X86EptFault extends WalkFault {
  /** R, W, X in bits 2:0 and XU in bit 10 that all entries read so far allow; 0 when one is not present. */
  allowed = 0;
}
