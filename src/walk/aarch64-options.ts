import type { Address, VmObserver } from '../core/index.js';
import type { PhysicalMemory } from '../memory/index.js';
import type { AArch64Features } from './aarch64-features.js';
import type { AArch64Stage2 } from './aarch64-stage2.js';
import type { SecondStageType } from './second-stage.js';

/** The registers of stage 1 of the EL1&0 regime. @public */
export interface AArch64Registers {
  /** TCR_EL1. @defaultValue 0 */
  readonly tcr: Address;
  /** TTBR0_EL1. @defaultValue 0 */
  readonly ttbr0: Address;
  /** TTBR1_EL1. @defaultValue 0 */
  readonly ttbr1: Address;
  /** SCTLR_EL1; EE (big-endian) must be clear. @defaultValue 0x30d01805: M, C and I set, and the RES1 bits of Armv8.0 */
  readonly sctlr: Address;
  /** MAIR_EL1. @defaultValue 0: Device-nGnRnE throughout */
  readonly mair: Address;
  /**
   * HCR_EL2. Stage 1 reads DC and TGE of it, either of which switches it off, and TEA, which sends external aborts to EL2.
   * A walker with a second stage has that stage's: it is one register. E2H is not read: with TGE it means the EL2&0
   * regime, which is another. @defaultValue 0, or the second stage's
   */
  readonly hcr: Address;
}

/**
 * What an {@link AArch64Walker} is made from.
 *
 * @public
 */
export interface AArch64WalkerOptions extends Partial<AArch64Registers> {
  /** The memory that holds the tables. */
  readonly memory: PhysicalMemory;
  /** PSTATE.PAN. @defaultValue false */
  readonly pan?: boolean;
  /** What the CPU has. @defaultValue everything */
  readonly features?: Partial<AArch64Features>;
  /** Stage 2 of a guest: addresses that stage 1 puts out are then intermediate ones. It must be over the same memory. */
  readonly secondStage?: AArch64Stage2;
  /** Receives the events of every walk. */
  readonly observer?: VmObserver;
}

/**
 * What `AArch64Walker.snapshot` returns: registers as hexadecimal strings.
 *
 * @public
 */
export interface AArch64WalkerSnapshot {
  /** The version of this shape. */
  readonly v: 1;
  /** The tag. */
  readonly type: 'aarch64-walker';
  /** TCR_EL1. */
  readonly tcr: string;
  /** TTBR0_EL1. */
  readonly ttbr0: string;
  /** TTBR1_EL1. */
  readonly ttbr1: string;
  /** SCTLR_EL1. */
  readonly sctlr: string;
  /** MAIR_EL1. */
  readonly mair: string;
  /** HCR_EL2. */
  readonly hcr: string;
  /** PSTATE.PAN. */
  readonly pan: boolean;
  /** What the CPU has. */
  readonly features: AArch64Features;
  /** The second stage that the walker had, which `restore` must be given again. */
  readonly secondStage: SecondStageType | null;
}

/**
 * What a write of AArch64 registers did: it takes effect, and invalidates nothing by itself. Software orders it with
 * TLBI.
 *
 * @public
 */
export interface AArch64RegisterWrite {
  /** The registers have their new values. */
  readonly kind: 'written';
  /** What the write itself invalidates. */
  readonly invalidates: 'none';
}
