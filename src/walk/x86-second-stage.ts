import type { SecondStage, SecondStagePurpose } from './second-stage.js';

/**
 * A VM exit because the second stage refused: what the hypervisor finds.
 *
 * @public
 */
export type X86VmExit =
  | {
      /** Exit reason 48: the EPT entries do not allow the access, or map nothing. */
      readonly kind: 'ept-violation';
      /** The exit qualification (`decodeEptQualification`). */
      readonly qualification: bigint;
      /** The guest-physical address. */
      readonly gpa: bigint;
      /**
       * The guest linear address; `null` when PDPTEs are loaded, where there is none, and in the stage's answers of its
       * own, which know of none.
       */
      readonly linear: bigint | null;
    }
  | {
      /** Exit reason 49: an EPT entry has a value that is never allowed. */
      readonly kind: 'ept-misconfiguration';
      /** The guest-physical address. */
      readonly gpa: bigint;
    }
  | {
      /** VMEXIT_NPF: a nested page fault. */
      readonly kind: 'npf';
      /** EXITINFO1 (`decodeNpfExitInfo`). */
      readonly exitInfo1: bigint;
      /** EXITINFO2: the guest-physical address. */
      readonly gpa: bigint;
    };

/**
 * What the refusal of a second stage comes to: a VM exit, or the platform's affair.
 *
 * @public
 */
export type X86Exit =
  | X86VmExit
  | {
      /** There is no memory where an entry of the second stage should be: the platform decides. */
      readonly kind: 'bus-error';
      /** The guest-physical address. */
      readonly gpa: bigint;
    };

/**
 * A second stage of x86: Intel's EPT or AMD's nested paging.
 *
 * @public
 */
export interface X86SecondStage extends SecondStage {
  /** Whether a PAE guest's PDPTEs are read on every walk, and not when CR3 is loaded (AMD). */
  readonly pdptesOnDemand: boolean;

  /**
   * The VM exit that the last refusal of this stage makes.
   *
   * @param purpose - What the guest's walk wanted.
   * @param linear - The guest linear address, where there is one.
   * @param guestProt - What the guest's tables allow at that address, as `Prot` bits, when they allow the access.
   * @returns Plain data.
   */
  exit(purpose: SecondStagePurpose, linear: bigint | null, guestProt?: number): X86Exit;
}
