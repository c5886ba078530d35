import { Access, checkVersion } from '../core/index.js';
import { X86_PAGE_FAULT } from '../pte/index.js';
import type { SecondStagePurpose } from './second-stage.js';
import type { X86WalkerOptions, X86WalkerSnapshot } from './x86-options.js';
import type { X86Exit, X86SecondStage } from './x86-second-stage.js';
import { X86Walker } from './x86-walker.js';

/** Bits of EXITINFO1 beside the error code. */
const FINAL = 1n << 32n;
const TABLE = 1n << 33n;

/**
 * AMD's nested paging: from guest-physical to system-physical addresses through tables in the host's own paging mode
 * (AMD64 APM Vol. 2, 15.25 Nested Paging). CR3 is nCR3; CR0, CR4 and EFER are the host's at VMRUN. Every access of a
 * guest is a user access, and every access to its tables a write.
 *
 * @example
 * ```ts
 * import { Access } from 'pagewright/core';
 * import { PhysicalMemory } from 'pagewright/memory';
 * import { X86Npt, X86Walker } from 'pagewright/walk';
 *
 * const memory = PhysicalMemory.allocate(0x20_0000, { base: 0 });
 * memory.write(0x1000, 8, 0x2007n); // nested PML4E
 * memory.write(0x2000, 8, 0xe7n); // nested PDPTE: 1 GiB at 0, for users
 * const nested = new X86Npt({ memory, cr3: 0x1000 });
 *
 * memory.write(0x4000, 8, 0x5003n); // the guest's PML4E, PDPTE: a 1 GiB page at 0
 * memory.write(0x5000, 8, 0xe3n);
 * const walker = new X86Walker({ memory, cr3: 0x4000, secondStage: nested });
 * walker.walk(0x7, Access.Read); // => 7
 * walker.explain(0x7000, Access.Read).references; // => 8
 * ```
 * @public
 */
export class X86Npt extends X86Walker implements X86SecondStage {
  /** An access to the guest's tables may set bits there: it is a write (15.25.5 Nested Table Walk). */
  readonly tableAccess: number = Access.Write | Access.User;
  /** So is the setting of bits itself. */
  readonly updateAccess: number = Access.Write | Access.User;
  /** A PAE guest's PDPTEs are read on every walk (15.25.10 Legacy PAE Mode). */
  readonly pdptesOnDemand: boolean = true;

  /** @param options - Memory, nCR3 as `cr3`, and the host's registers. */
  constructor(options: Omit<X86WalkerOptions, 'secondStage'>) {
    super(options);
  }

  /**
   * The nested paging of a snapshot.
   *
   * @param snapshot - What `snapshot` returned.
   * @param options - The memory, and an observer if you want one.
   * @returns One that answers as the saved one did.
   * @throws `VmError` `unsupported` for another version; otherwise as the constructor.
   */
  static override restore(
    snapshot: X86WalkerSnapshot,
    options: Pick<X86WalkerOptions, 'memory' | 'observer'>,
  ): X86Npt {
    checkVersion(snapshot, 1, 'x86-walker');
    return new X86Npt({ ...X86Walker.optionsOf(snapshot), ...options });
  }

  protected override twin(): X86Npt {
    return X86Npt.restore(this.snapshot(), { memory: this.memory });
  }

  override walk(vpn: number, access: number, offset = 0, bytes = 1): number {
    return super.walk(vpn, userAccess(access), offset, bytes);
  }

  override probe(vpn: number, access: number, offset = 0, bytes = 1): number {
    return super.probe(vpn, userAccess(access), offset, bytes);
  }

  protected override complete(
    vpn: number,
    access: number,
    offset: number,
    bytes: number,
    update: boolean,
  ): number {
    return super.complete(vpn, userAccess(access), offset, bytes, update);
  }

  /** The fast path. @internal */
  fastFrame(low: number, high: number, access: number): number {
    return this.fastWalk(low, high, userAccess(access));
  }

  /** VMEXIT_NPF (15.25.6): the error code of a page fault, and which walk it was. */
  exit(purpose: SecondStagePurpose, _linear: bigint): X86Exit {
    const { errorCode, reason, va } = this.fault;
    if (reason === 'bus-error') return { kind: 'bus-error', gpa: va };
    const code = BigInt(errorCode | X86_PAGE_FAULT.U);
    return { kind: 'npf', exitInfo1: code | (purpose === 'access' ? FINAL : TABLE), gpa: va };
  }
}

/** Whoever makes it in the guest, for the host it is a user's. */
function userAccess(access: number): number {
  return (access & ~Access.ImplicitSupervisor) | Access.User;
}
