import { type Address, bigintFromHex, type VmObserver } from '../core/index.js';
import type { PhysicalMemory } from '../memory/index.js';
import type { SecondStageType } from './second-stage.js';
import type { X86SecondStage } from './x86-second-stage.js';

/**
 * What every x86 stage is made from. Registers are taken as they are.
 *
 * @public
 */
export interface X86StageOptions {
  /** The memory that holds the tables. */
  readonly memory: PhysicalMemory;
  /** CR0. @defaultValue 0x80010001: PG, WP, PE */
  readonly cr0?: Address;
  /** CR3. @defaultValue 0 */
  readonly cr3?: Address;
  /** CR4. @defaultValue 0x20: PAE */
  readonly cr4?: Address;
  /** IA32_EFER. @defaultValue 0xd00: LMA, LME, NXE */
  readonly efer?: Address;
  /** CPUID.80000008H:EAX[7:0], 32 to 52: physical address bits above are reserved. @defaultValue 52 */
  readonly maxPhyAddr?: number;
  /** CPUID.80000001H:EDX.Page1GB: PS is a leaf, not reserved, in a PDPTE. @defaultValue true */
  readonly gigabytePages?: boolean;
  /** CPUID.01H:EDX.PSE-36: 4 MiB pages reach above 4 GiB. @defaultValue true */
  readonly pse36?: boolean;
  /**
   * The architecture leaves open whether a walk that ends in a fault has set A in the non-leaf entries it passed.
   * @defaultValue false: a faulting walk changes nothing
   */
  readonly accessedOnFault?: boolean;
  /**
   * The four PAE PDPTE registers as already loaded, from a dump. Without them they are read from CR3 at construction,
   * and a reserved bit is the caller's mistake.
   */
  readonly pdptes?: readonly Address[];
  /** Receives the events of every walk. */
  readonly observer?: VmObserver;
}

/**
 * What an `X86Walker` is made from. Registers are taken as they are; the `write` methods check as the
 * instructions do.
 *
 * @public
 */
export interface X86WalkerOptions extends X86StageOptions {
  /**
   * EPT or nested paging of a guest: CR3, the tables, the PDPTEs and what the walk reaches are then guest-physical. It
   * must be over the same memory.
   */
  readonly secondStage?: X86SecondStage;
}

/**
 * What every x86 stage saves: registers as hexadecimal strings.
 *
 * @public
 */
export interface X86StageSnapshot {
  /** The version of this shape. */
  readonly v: 1;
  /** CR0. */
  readonly cr0: string;
  /** CR3. */
  readonly cr3: string;
  /** CR4. */
  readonly cr4: string;
  /** IA32_EFER. */
  readonly efer: string;
  /** The PDPTE registers. */
  readonly pdptes: readonly string[];
  /** See {@link X86StageOptions.maxPhyAddr}. */
  readonly maxPhyAddr: number;
  /** See {@link X86StageOptions.gigabytePages}. */
  readonly gigabytePages: boolean;
  /** See {@link X86StageOptions.pse36}. */
  readonly pse36: boolean;
  /** See {@link X86StageOptions.accessedOnFault}. */
  readonly accessedOnFault: boolean;
}

/**
 * What the `snapshot` of an `X86Walker` returns.
 *
 * @public
 */
export interface X86WalkerSnapshot extends X86StageSnapshot {
  /** The tag. */
  readonly type: 'x86-walker';
  /** EFLAGS.AC. */
  readonly ac: boolean;
  /** PKRU. */
  readonly pkru: number;
  /** IA32_PKRS. */
  readonly pkrs: number;
  /** The second stage that the walker had, which `restore` must be given again. */
  readonly secondStage: SecondStageType | null;
}

/** Registers and capabilities of a snapshot, as options. */
export function x86OptionsOf(
  snapshot: X86StageSnapshot,
): Omit<X86StageOptions, 'memory' | 'observer'> {
  const { accessedOnFault, gigabytePages, maxPhyAddr, pse36 } = snapshot;
  const { cr0, cr3, cr4, efer, pdptes } = snapshot;
  return {
    ...{ accessedOnFault, gigabytePages, maxPhyAddr, pse36 },
    cr0: bigintFromHex('snapshot.cr0', cr0),
    cr3: bigintFromHex('snapshot.cr3', cr3),
    cr4: bigintFromHex('snapshot.cr4', cr4),
    efer: bigintFromHex('snapshot.efer', efer),
    pdptes: pdptes.map((pdpte) => bigintFromHex('snapshot.pdptes', pdpte)),
  };
}
