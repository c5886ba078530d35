import { Access, type FaultReason, Prot, VmError } from '../core/index.js';
import { BUS_ERROR } from '../memory/index.js';
import {
  RISCV_PTE,
  RISCV_PTE_HIGH,
  RISCV_TINST,
  riscvAccessFaultCause,
  riscvGuestPageFaultCause,
  riscvPageFaultCause,
} from '../pte/index.js';
import { UPDATE_ATTEMPTS } from './entry-access.js';
import { WalkFault } from './fault.js';
import type { Pmp } from './pmp.js';
import type { FaultTranslation, LeafAttributes } from './report.js';
import { leafRule, RISCV_RULES, rowOf } from './riscv-rules.js';
import { RiscvState } from './riscv-state.js';
import type { WalkRule } from './rule.js';
import type { SecondStagePurpose } from './second-stage.js';
import { LEAF, LOCAL, NO_LEAF, POINTER, ROOT_RIGHTS, SKIP } from './walker.js';

const { V, R, W, X, U, G, A, D } = RISCV_PTE;
const { N, PBMT } = RISCV_PTE_HIGH;

/** Bits 53:32 of an entry: the upper half of the 44-bit PPN. */
const PPN_HIGH = 0x003fffff;

/**
 * A RISC-V fault in fields.
 *
 * @public
 */
export class RiscvFault extends WalkFault {
  /** mcause/scause: 12, 13, 15 page faults; 20, 21, 23 guest-page faults; 1, 5, 7 access faults. */
  cause = 0;
  /** htinst/mtinst: the pseudoinstruction of a guest-page fault on a VS-stage table (`RISCV_TINST`), otherwise 0. */
  tinst = 0;
  /** hstatus.GVA/mstatus.GVA: tval holds a guest virtual address. */
  gva = false;

  /** mtval/stval: the faulting virtual address; in a G stage by itself, the guest-physical one. */
  get tval(): bigint {
    return this.va;
  }

  /** htval/mtval2: of a guest-page fault the guest-physical address shifted right by 2, otherwise 0. */
  get htval(): bigint {
    return this.cause >= 20 ? this.gpa >> 2n : 0n;
  }
}

/**
 * The complete form of the RISC-V walk: the manual's steps one by one, over memory of any kind, with the rule that
 * decides (RISC-V Privileged, 12.3.2).
 *
 * @public
 */
export abstract class RiscvCompleteWalk extends RiscvState {
  override readonly fault: RiscvFault = new RiscvFault(RISCV_RULES.invalid);

  /** The OR of the low words of all entries of the last successful walk. */
  protected leafAny = 0;

  protected override complete(
    vpn: number,
    access: number,
    offset: number,
    bytes: number,
    update: boolean,
  ): number {
    const { path } = this;
    if (vpn >= this.pages) {
      throw new VmError('out-of-range', {
        argument: 'vpn',
        value: vpn,
        expected: `one of ${this.pages} pages`,
      });
    }
    const kind = rowOf(access, 0) & 3;
    const privilege = this.privilegeOf(access, kind);
    const bare = this.current === null || privilege === 3;
    if (bare) path.begin(null, -1);
    else path.begin(this.format, this.top, this.root);
    this.leafShift = NO_LEAF;
    this.leafLow = 0;
    this.leafHigh = 0;
    this.leafAny = 0;
    if (bare) {
      this.rule = this.own(RISCV_RULES.bare);
      return this.checkTarget(vpn, vpn, access, kind, offset, bytes, privilege === 3, update);
    }
    if (vpn >= this.lowEnd && vpn < this.highStart) {
      return this.pageFault(RISCV_RULES.nonCanonical, this.top, vpn, access, offset);
    }
    const row = kind | (privilege === 0 ? Access.User : 0) | this.rowNow(access);
    return this.descend(vpn, access, row, offset, bytes, update);
  }

  /** Pages of the input addresses that there are: more are the caller's mistake. */
  protected abstract readonly pages: number;

  /** On whose behalf an access is made in this stage: 0 user, 1 supervisor, 3 machine, which nothing translates. */
  protected abstract privilegeOf(access: number, kind: number): number;

  /** The row bits of SUM, MXR and HLVX for an access. */
  protected abstract rowNow(access: number): number;

  /** This stage's form of a rule. */
  protected abstract own(rule: WalkRule): WalkRule;

  /** Steps 2 to 10 of the process, from the root to the leaf. */
  private descend(
    vpn: number,
    access: number,
    row: number,
    offset: number,
    bytes: number,
    update: boolean,
  ): number {
    const { path, memory, pmp } = this;
    let table = this.root;
    let attempts = 0;
    for (let level = this.top; ; ) {
      const index = this.indexAt(vpn, level);
      if (this.locate(level, table, index << this.entryShift, update) < 0) {
        return this.refuseSecondStage(vpn, access, offset);
      }
      if (pmp !== null && !this.pmpAllows(pmp, level, Prot.Read)) {
        return this.accessFault(RISCV_RULES.tableProtected, level, vpn, access, offset);
      }
      if (this.readEntry(level) === BUS_ERROR) {
        return this.accessFault(RISCV_RULES.tableMissing, level, vpn, access, offset);
      }
      const entry = memory.low;
      const upper = memory.high;
      path.enter(level, table, index, entry, upper);
      const refusal = this.entryRule(entry, upper, level, row);
      if (refusal === null) {
        table = this.tableFrame(entry, upper);
        level--;
        continue;
      }
      const missing = refusal === RISCV_RULES.translated ? 0 : due(row) & ~entry;
      const mayUpdate =
        missing !== 0 &&
        this.adue &&
        (refusal === RISCV_RULES.accessedClear || refusal === RISCV_RULES.dirtyClear);
      if (refusal !== RISCV_RULES.translated && !mayUpdate) {
        return this.pageFault(refusal, level, vpn, access, offset);
      }
      if (missing !== 0) {
        const outcome = this.updateLeaf(level, missing, update);
        if (outcome === 0 && ++attempts < UPDATE_ATTEMPTS) continue;
        if (outcome === 0) return this.pageFault(RISCV_RULES.contended, level, vpn, access, offset);
        const failure =
          outcome === BUS_ERROR ? RISCV_RULES.updateMissing : RISCV_RULES.updateProtected;
        if (outcome === REFUSED) return this.refuseSecondStage(vpn, access, offset);
        if (outcome < 0) return this.accessFault(failure, level, vpn, access, offset);
      }
      return this.finish(vpn, access, row & 3, offset, bytes, level, update);
    }
  }

  /** `null` for a pointer to follow; otherwise the rule that decides about this entry. */
  private entryRule(entry: number, upper: number, level: number, row: number): WalkRule | null {
    if ((entry & V) === 0) return RISCV_RULES.invalid;
    const pbmt = upper & PBMT;
    if ((upper & this.leafReserved) !== 0) return RISCV_RULES.reservedBits;
    if (pbmt === PBMT) return RISCV_RULES.pbmtReserved;
    if ((entry & (R | W | X)) === 0) {
      if ((entry & (U | A | D)) !== 0 || (upper & (N | PBMT)) !== 0) {
        return RISCV_RULES.pointerReserved;
      }
      return level === 0 ? RISCV_RULES.noLeaf : null;
    }
    const leaf = leafRule(row, entry);
    // Validity comes before alignment, alignment before rights (steps 3, 5, 6).
    if (leaf === RISCV_RULES.writeOnly) return leaf;
    const ppn = this.tableFrame(entry, upper);
    if (level > 0 && ppn % 2 ** (level * this.bits) !== 0) return RISCV_RULES.misaligned;
    if (upper < 0 && (level !== 0 || (ppn & 15) !== 8)) return RISCV_RULES.napotReserved;
    return leaf;
  }

  /** Sets A and, for a store, D (step 9). */
  private updateLeaf(level: number, bits: number, update: boolean): number {
    const { path, pmp } = this;
    if (pmp !== null && !this.pmpAllows(pmp, level, Prot.Write)) return PROTECTED;
    if (this.mayUpdate(level, update) < 0) return REFUSED;
    path.set[level] = bits;
    if (!update) return 1;
    const outcome = this.setBits(level, bits, 0);
    if (outcome !== 1) path.set[level] = 0;
    return outcome;
  }

  /** Whether the PMP lets S-mode use the entry of a level so. */
  private pmpAllows(pmp: Pmp, level: number, prot: number): boolean {
    const { path } = this;
    const bytes = 1 << this.entryShift;
    return pmp.allows(path.frame[level]!, path.offset[level]!, bytes, prot, false);
  }

  /** The frame of a leaf, and the last check. */
  private finish(
    vpn: number,
    access: number,
    kind: number,
    offset: number,
    bytes: number,
    level: number,
    update: boolean,
  ): number {
    const { path } = this;
    const entry = path.low[level]!;
    const upper = path.high[level]!;
    this.rule = this.own(RISCV_RULES.translated);
    this.leafShift = level * this.bits;
    this.leafLow = entry;
    this.leafHigh = upper;
    for (let above = this.top; above >= level; above--) this.leafAny |= path.low[above]!;
    const pfn = this.frameFor(entry, upper, level, vpn);
    return this.checkTarget(pfn, vpn, access, kind, offset, bytes, false, update);
  }

  private checkTarget(
    pfn: number,
    vpn: number,
    access: number,
    kind: number,
    offset: number,
    bytes: number,
    machine: boolean,
    update: boolean,
  ): number {
    const { pmp } = this;
    // HLVX: of the physical address both rights are needed, of the tables X alone (21.3.1).
    const prot = (access & Access.Hlvx) !== 0 ? Prot.Read | Prot.Execute : protFor(kind);
    if (pmp !== null && !pmp.allows(pfn, offset, bytes, prot, machine)) {
      const level = Math.max(this.leafLevel, 0);
      return this.accessFault(RISCV_RULES.targetProtected, level, vpn, access, offset);
    }
    const host = this.hostTarget(pfn, access & ~Access.User, offset, bytes, update);
    return host < 0 ? this.refuseSecondStage(vpn, access, offset) : host;
  }

  /** An access fault of the second stage is one of the access; its page faults are guest-page faults. */
  protected override refuseSecondStage(vpn: number, access: number, offset: number): number {
    const { fault, xlen } = this;
    const result = super.refuseSecondStage(vpn, access, offset);
    const { reason } = fault;
    fault.gva = true;
    fault.tinst = 0;
    if (reason === 'bus-error' || reason === 'physical-protection') {
      fault.cause = riscvAccessFaultCause(access);
      return result;
    }
    fault.cause = riscvGuestPageFaultCause(access);
    if (fault.purpose !== 'access') fault.tinst = tableInstruction(xlen, fault.purpose);
    return result;
  }

  private pageFault(
    rule: WalkRule,
    level: number,
    vpn: number,
    access: number,
    offset: number,
  ): number {
    return this.raise(this.pageFaultCause(access), rule, level, vpn, access, offset);
  }

  private accessFault(
    rule: WalkRule,
    level: number,
    vpn: number,
    access: number,
    offset: number,
  ): number {
    return this.raise(riscvAccessFaultCause(access), rule, level, vpn, access, offset);
  }

  /** The cause of this stage's page faults. */
  protected pageFaultCause(access: number): number {
    return riscvPageFaultCause(access);
  }

  protected raise(
    cause: number,
    rule: WalkRule,
    level: number,
    vpn: number,
    access: number,
    offset: number,
  ): number {
    const { fault } = this;
    fault.cause = cause;
    fault.tinst = 0;
    fault.gva = this.secondStage !== null;
    return this.refuse(this.own(rule), level, vpn, access, offset);
  }

  override classify(low: number, high: number, level: number): number {
    // As a user's load: the rules of validity come before those of rights, A and D.
    const refusal = this.entryRule(low, high, level, Access.Read | Access.User);
    if (refusal === null) return POINTER;
    return refusal.reason === null || RIGHTS_REASONS.has(refusal.reason) ? LEAF : SKIP;
  }

  override entryProt(low: number): number {
    // G of a pointer makes all mappings below it global (RISC-V Privileged, 12.3.1 Addressing and Memory Protection).
    const local = (low & G) === 0 ? LOCAL : 0;
    // Bits 4:1, U X W R, stand in the order of Prot; a pointer limits nothing.
    return ((low & (R | W | X)) === 0 ? 15 : (low >>> 1) & 15) | local;
  }

  override tableFrame(low: number, high: number): number {
    return (high & PPN_HIGH) * 2 ** 22 + (low >>> 10);
  }

  override frameFor(low: number, high: number, level: number, vpn: number): number {
    const ppn = this.tableFrame(low, high);
    if (level === 0 && high >= 0) return ppn;
    const pages = high < 0 ? 16 : 2 ** (level * this.bits);
    return ppn - (ppn % pages) + (vpn % pages);
  }

  override leafAttributes(
    _low: number,
    high: number,
    level: number,
    inherited: number,
  ): LeafAttributes {
    const pages = level < 0 ? 1 : high < 0 ? 16 : 2 ** (level * this.bits);
    return {
      pageBytes: 4096 * pages,
      global: (inherited & LOCAL) === 0,
      riscv: { pbmt: (high & PBMT) >>> 29, napot: high < 0 },
    };
  }

  /**
   * The G stage's PBMT overrides the PMA, and the VS stage's, unless 0, that (RISC-V Privileged, 12.8 Svpbmt).
   */
  protected override effective(own: LeafAttributes, host: LeafAttributes): LeafAttributes {
    const { napot = false, pbmt = 0 } = own.riscv ?? {};
    const memoryType = pbmt === 0 ? (host.riscv?.pbmt ?? 0) : pbmt;
    return { ...own, riscv: { pbmt: memoryType, napot } };
  }

  override attributeKey(_low: number, high: number, level: number): number {
    return (level << 3) | (high >>> 29);
  }

  protected override leafRights(): number {
    if (this.leafLevel < 0) return ROOT_RIGHTS;
    const local = (this.leafAny & G) === 0 ? LOCAL : 0;
    return (this.entryProt(this.leafLow) & ~LOCAL) | local;
  }

  protected override faultEncoding(va: bigint): Pick<FaultTranslation, 'riscv'> {
    const { cause, gva, htval, tinst } = this.fault;
    const { secondStage } = this;
    return { riscv: { cause, tval: va, ...(secondStage === null ? {} : { htval, tinst, gva }) } };
  }
}

/** {@link Pmp} refused an update; beside 1, 0 and BUS_ERROR. */
const PROTECTED = -2;
/** The second stage refused an update. */
const REFUSED = -3;

/** A for every access, D for stores too. */
function due(row: number): number {
  return (row & 3) === Access.Write ? A | D : A;
}

/** The pseudoinstruction of a guest-page fault on a VS-stage table (21.6.3 Transformed Instruction). */
export function tableInstruction(xlen: 32 | 64, purpose: SecondStagePurpose): number {
  if (purpose === 'table-update') return xlen === 32 ? RISCV_TINST.Write32 : RISCV_TINST.Write64;
  return xlen === 32 ? RISCV_TINST.Read32 : RISCV_TINST.Read64;
}

/** What a kind of access needs of the PMP. */
export function protFor(kind: number): number {
  return (kind & 3) === Access.Write
    ? Prot.Write
    : (kind & 3) === Access.Fetch
      ? Prot.Execute
      : Prot.Read;
}

/** Reasons that depend on who asks, not on whether the entry maps anything. */
const RIGHTS_REASONS: ReadonlySet<FaultReason> = new Set<FaultReason>([
  'supervisor-page',
  'not-readable',
  'accessed-clear',
]);
