import { Access, type Address, checkBits, checkVersion, VmError } from '../core/index.js';
import { nptLong4, nptLong5, type PteFormat, X86_PTE } from '../pte/index.js';
import type { FaultEncoding, LeafAttributes } from './report.js';
import type { WalkRule } from './rule.js';
import type { SecondStagePurpose } from './second-stage.js';
import { inPage, isPageNumber, SKIP } from './walker.js';
import type { X86PagingMode } from './x86-control.js';
import { X86FastWalk } from './x86-fast.js';
import { X86Fault } from './x86-fault.js';
import { NPT_RULE_OF, NPT_RULES } from './x86-npt-rules.js';
import { type X86StageOptions, type X86StageSnapshot, x86OptionsOf } from './x86-options.js';
import { asUser, NESTED_RIGHTS } from './x86-rules.js';
import type { X86Exit, X86SecondStage } from './x86-second-stage.js';

/** Bits of EXITINFO1 beside the error code. */
const FINAL = 1n << 32n;
const TABLE = 1n << 33n;

/**
 * What {@link X86Npt.snapshot} returns.
 *
 * @public
 */
export interface X86NptSnapshot extends X86StageSnapshot {
  /** The tag. */
  readonly type: 'x86-npt';
}

/**
 * AMD's nested paging: from guest-physical to system-physical addresses through tables in the host's own paging mode
 * (AMD64 APM Vol. 2, 15.25 Nested Paging). CR3 is nCR3; CR0, CR4 and EFER are the host's at VMRUN. Every access of a
 * guest is a user access, and every access to its tables a write; `ImplicitSupervisor` marks those. SMEP, SMAP and
 * protection keys of the host have no say, and guest-physical addresses are not sign-extended.
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
export class X86Npt extends X86FastWalk implements X86SecondStage {
  /** Which second stage it is. */
  readonly stageType = 'x86-npt';
  /** An access to the guest's tables may set bits there: it is a write (15.25.5 Nested Table Walk). */
  readonly tableAccess: number = Access.Write | Access.User | Access.ImplicitSupervisor;
  /** So is the setting of bits itself. */
  readonly updateAccess: number = Access.Write | Access.User | Access.ImplicitSupervisor;
  /** A PAE guest's PDPTEs are read on every walk (15.25.10 Legacy PAE Mode). */
  readonly pdptesOnDemand: boolean = true;
  /** `vector` is 0, and `errorCode` the low bits of EXITINFO1. */
  override readonly fault: X86Fault = new X86Fault(NPT_RULES.notPresent);

  /** Whether the last complete walk was made for a guest's table. */
  private forTable = false;

  /**
   * @param options - Memory, nCR3 as `cr3`, and the host's registers.
   * @throws `VmError` `out-of-range` where VMRUN ends with VMEXIT_INVALID: hCR0.PG=0, a reserved bit in nCR3 (15.25.3).
   */
  constructor(options: X86StageOptions) {
    super(options, NPT_RULES.translated);
    if (this.secondStage !== null) {
      const expected = 'none: nested paging is the second stage itself';
      throw new VmError('bad-argument', { argument: 'secondStage', expected });
    }
    if (this.mode === 'none') {
      const expected = 'PG=1: VMRUN refuses nested paging without paging in the host';
      throw new VmError('out-of-range', { argument: 'cr0', value: options.cr0, expected });
    }
    this.observer = options.observer ?? null;
  }

  /**
   * The nested paging of a snapshot.
   *
   * @param snapshot - What `snapshot` returned.
   * @param options - The memory, and an observer if you want one.
   * @returns One that answers as the saved one did.
   * @throws `VmError` `unsupported` for another version, `bad-image` for the snapshot of something else; otherwise as the
   * constructor.
   */
  static restore(
    snapshot: X86NptSnapshot,
    options: Pick<X86StageOptions, 'memory' | 'observer'>,
  ): X86Npt {
    checkVersion(snapshot, 1, 'x86-npt');
    return new X86Npt({ ...x86OptionsOf(snapshot), ...options });
  }

  protected override twin(): X86Npt {
    return X86Npt.restore(this.snapshot(), { memory: this.memory });
  }

  /**
   * Registers and capabilities; `X86Npt.restore` makes the same nested paging of them, over a memory that you give.
   *
   * @returns Plain data, versioned.
   */
  snapshot(): X86NptSnapshot {
    return { ...this.stageSnapshot(), type: 'x86-npt' };
  }

  /**
   * Takes another nCR3, as VMRUN does. A host with PAE paging loads its PDPTEs.
   *
   * @param ncr3 - The pointer.
   * @throws `VmError` for one with which VMRUN would fail; the old one stays.
   */
  setNcr3(ncr3: Address): void {
    this.takeCr3(checkBits('ncr3', ncr3));
    this.applyRegisters();
  }

  protected override get guestPhysical(): boolean {
    return true;
  }

  protected override formatOf(mode: X86PagingMode): PteFormat | null {
    if (mode === '4-level') return nptLong4;
    return mode === '5-level' ? nptLong5 : super.formatOf(mode);
  }

  /** A user's rights depend on no register. */
  protected override applyRights(): void {
    this.rights = NESTED_RIGHTS;
  }

  protected override own(rule: WalkRule): WalkRule {
    return NPT_RULE_OF.get(rule) ?? rule;
  }

  override walk(vpn: number, access: number, offset = 0, bytes = 1): number {
    const pfn = this.frameOf(vpn, access, offset, bytes);
    return pfn >= 0 ? pfn : this.checkAndComplete(vpn, access, offset, bytes, true);
  }

  override probe(vpn: number, access: number, offset = 0, bytes = 1): number {
    const pfn = this.frameOf(vpn, access, offset, bytes);
    return pfn >= 0 ? pfn : this.checkAndComplete(vpn, access, offset, bytes, false);
  }

  /** The answer of the fast path to a walk by itself, or -1. */
  private frameOf(vpn: number, access: number, offset: number, bytes: number): number {
    if (!isPageNumber(vpn) || !inPage(offset, bytes)) return -1;
    return this.fastWalk(vpn | 0, (vpn * 2 ** -26) | 0, access);
  }

  /** The fast path. @internal */
  fastFrame(low: number, high: number, access: number): number {
    return this.fastWalk(low, high, access);
  }

  protected override complete(
    vpn: number,
    access: number,
    offset: number,
    bytes: number,
    update: boolean,
  ): number {
    this.forTable = (access & Access.ImplicitSupervisor) !== 0;
    return super.complete(vpn, asUser(access), offset, bytes, update);
  }

  protected override refuseAddress(
    rule: WalkRule,
    vpn: number,
    access: number,
    offset: number,
  ): number {
    return this.pageFault(rule, this.top, vpn, access, offset, 0);
  }

  protected override pageFault(
    rule: WalkRule,
    level: number,
    vpn: number,
    access: number,
    offset: number,
    code: number,
  ): number {
    const result = super.pageFault(rule, level, vpn, access, offset, code);
    this.fault.vector = 0;
    return result;
  }

  /** An entry with U/S=0 is of no use to any access. */
  override classify(low: number, high: number, level: number): number {
    return (low & X86_PTE.US) === 0 ? SKIP : super.classify(low, high, level);
  }

  /** The G bit of nested entries is ignored: what is global, the guest's tables say (15.25.7). */
  override leafAttributes(low: number, high: number, level: number): LeafAttributes {
    return { ...super.leafAttributes(low, high, level), global: false };
  }

  /** VMEXIT_NPF (15.25.6): the error code of a page fault, and which walk it was. */
  exit(purpose: SecondStagePurpose, _linear: bigint | null, _guestProt?: number): X86Exit {
    const { errorCode, reason, va } = this.fault;
    if (reason === 'bus-error') return { kind: 'bus-error', gpa: va };
    const walk = purpose === 'access' ? FINAL : TABLE;
    return { kind: 'npf', exitInfo1: BigInt(errorCode) | walk, gpa: va };
  }

  protected override faultEncoding(): FaultEncoding {
    const exit = this.exit(this.forTable ? 'table-read' : 'access', null);
    return { x86: { vector: 0, errorCode: 0, cr2: null, exit } };
  }
}
