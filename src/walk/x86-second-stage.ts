import type { SecondStage, SecondStagePurpose } from './second-stage.js';

/**
 * A VM exit because the second stage refused: what the hypervisor finds.
 *
 * @public
 */
export type X86Exit =
  | {
      /** Exit reason 48: the EPT entries do not allow the access, or map nothing. */
      readonly kind: 'ept-violation';
      /** The exit qualification (`decodeEptQualification`). */
      readonly qualification: number;
      /** The guest-physical address. */
      readonly gpa: bigint;
      /** The guest linear address. */
      readonly linear: bigint;
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
    }
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
   * @param linear - The guest linear address.
   * @returns Plain data.
   */
  exit(purpose: SecondStagePurpose, linear: bigint): X86Exit;
}
