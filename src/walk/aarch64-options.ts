import type { Address, VmObserver } from '../core/index.js';
import type { PhysicalMemory } from '../memory/index.js';
import type { AArch64Stage2 } from './aarch64-stage2.js';
import type { SecondStageType } from './second-stage.js';

/**
 * What a CPU has. Every bit of a feature that is not there behaves as reserved: it is ignored.
 *
 * @public
 */
export interface AArch64Features {
  /** FEAT_LPA: 52-bit physical addresses with 64 KiB granules. @defaultValue true */
  readonly lpa: boolean;
  /** FEAT_LVA: 52-bit virtual addresses with 64 KiB granules. @defaultValue true */
  readonly lva: boolean;
  /** FEAT_LPA2: TCR.DS, 52-bit addresses with 4 and 16 KiB granules. @defaultValue true */
  readonly lpa2: boolean;
  /** FEAT_HAFDBS: whether hardware may set the access flag, or also keep dirty state. @defaultValue 'dirty' */
  readonly hafdbs: 'none' | 'access-flag' | 'dirty';
  /** FEAT_PAN3: SCTLR.EPAN. @defaultValue true */
  readonly pan3: boolean;
  /** FEAT_E0PD: TCR.E0PDn. @defaultValue true */
  readonly e0pd: boolean;
  /** FEAT_TTST: small address spaces, TnSZ up to 48 (47 with 64 KiB) instead of 39. @defaultValue true */
  readonly ttst: boolean;
  /** FEAT_HPDS: TCR.HPDn. @defaultValue true */
  readonly hpds: boolean;
  /** Bits of a physical address, ID_AA64MMFR0_EL1.PARange. @defaultValue 52 */
  readonly physicalBits: 32 | 36 | 40 | 42 | 44 | 48 | 52;
}

/** The features of a CPU that has them all. */
export const ALL_FEATURES: AArch64Features = {
  lpa: true,
  lva: true,
  lpa2: true,
  hafdbs: 'dirty',
  pan3: true,
  e0pd: true,
  ttst: true,
  hpds: true,
  physicalBits: 52,
};

/** The registers of stage 1 of the EL1&0 regime. @public */
export interface AArch64Registers {
  /** TCR_EL1. */
  readonly tcr: Address;
  /** TTBR0_EL1. */
  readonly ttbr0: Address;
  /** TTBR1_EL1. */
  readonly ttbr1: Address;
  /** SCTLR_EL1; EE (big-endian) must be clear. @defaultValue 0x30d00801 with M set: stage 1 is on */
  readonly sctlr: Address;
  /** MAIR_EL1. */
  readonly mair: Address;
  /** HCR_EL2: of it, stage 1 reads DC. */
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
