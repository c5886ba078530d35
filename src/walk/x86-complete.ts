import { Access, VmError } from '../core/index.js';
import { BUS_ERROR } from '../memory/index.js';
import { CR4, EFER, patIndex, X86_PAGE_FAULT, X86_PTE } from '../pte/index.js';
import { isAccessOf } from './access-check.js';
import { UPDATE_ATTEMPTS } from './entry-access.js';
import type { FaultTranslation, LeafAttributes } from './report.js';
import type { WalkRule } from './rule.js';
import { LEAF, LOCAL, NO_LEAF, POINTER, SKIP } from './walker.js';
import { X86Fault } from './x86-fault.js';
import { isUser, needsWritable, protOf, rightsRule, rowOf, X86_RULES } from './x86-rules.js';
import { FRAME_HIGH, KEYS_SUPERVISOR, KEYS_USER, X86State } from './x86-state.js';

const { P, US, A, D, PS, G } = X86_PTE;

// The optimiser knows a module's own constants, and reads imported ones from their cells at every use (measured).
const [NOTHING, TABLE, PAGE] = [SKIP, POINTER, LEAF] as const;
const FRAME_BITS = FRAME_HIGH;

/** The accesses that x86 has. */
const ACCESS_BITS = 3 | Access.User | Access.ImplicitSupervisor | Access.ReadModifyWrite;

/**
 * The complete form of the x86 walk: the manual's rules one by one, over memory of any kind, with the rule that decides
 * (Intel SDM Vol. 3A, chapter 4).
 *
 * @public
 */
export abstract class X86CompleteWalk extends X86State {
  override readonly fault: X86Fault = new X86Fault(X86_RULES.notPresent);

  /** Low bits that all entries of the last successful walk have (D: the leaf alone), high bits that any has. */
  protected leafAnd = -1;
  protected leafOr = 0;

  /** The rights of the last successful walk, all entries taken together, as `Prot` bits. */
  get leafProt(): number {
    return protOf(this.leafAnd, this.leafOr);
  }

  protected override complete(
    vpn: number,
    access: number,
    offset: number,
    bytes: number,
    update: boolean,
  ): number {
    const long = this.paging === '4-level' || this.paging === '5-level';
    if (vpn >= 2 ** 20 && !long && !this.guestPhysical) {
      const expected = 'a page of the 32-bit address space';
      throw new VmError('out-of-range', { argument: 'vpn', value: vpn, expected });
    }
    const { path } = this;
    this.beginPath();
    this.leafShift = NO_LEAF;
    this.leafLow = 0;
    this.leafHigh = 0;
    this.leafAnd = -1;
    this.leafOr = 0;
    if (this.paging === 'none') {
      this.rule = this.own(X86_RULES.unpaged);
      return this.reach(vpn, vpn, access, offset, bytes, update);
    }
    if (vpn >= this.lowEnd && vpn < this.highStart) {
      return this.refuseAddress(X86_RULES.nonCanonical, vpn, access, offset);
    }
    for (let attempt = 0; attempt < UPDATE_ATTEMPTS; attempt++) {
      if (attempt > 0) this.beginPath();
      const result = this.descend(vpn, access, offset, bytes, update);
      if (result !== CHANGED) return result;
    }
    return this.pageFault(X86_RULES.contended, path.first, vpn, access, offset, 0);
  }

  /** This stage's form of a rule. */
  protected own(rule: WalkRule): WalkRule {
    return rule;
  }

  /** An address that is none of the mode's. */
  protected refuseAddress(rule: WalkRule, vpn: number, access: number, offset: number): number {
    const result = this.noPageFault(rule, this.top, vpn, access, offset);
    this.fault.vector = 13;
    return result;
  }

  private beginPath(): void {
    const { path, paging } = this;
    if (paging === 'none') path.begin(null, -1);
    else if (paging === 'pae') path.begin(this.format, 2, this.pdptFrame, this.pdptByte);
    else path.begin(this.format, this.top, this.roots[0]!);
  }

  /** From the root to the leaf; `CHANGED` when an entry was another one by the time that A was to be set in it. */
  private descend(
    vpn: number,
    access: number,
    offset: number,
    bytes: number,
    update: boolean,
  ): number {
    const { path, memory } = this;
    let table = this.roots[Math.floor(vpn / 2 ** 18) & this.rootMask]!;
    if (this.paging === 'pae') {
      const slot = Math.floor(vpn / 2 ** 18);
      if (this.readsPdptes) {
        const refusal = this.readPdpte(slot, vpn, access, offset, update);
        if (refusal < 0) return refusal;
        table = (memory.high & FRAME_BITS) * 2 ** 20 + (memory.low >>> 12);
      } else {
        path.enter(2, -1, slot, this.pdptes[2 * slot]!, this.pdptes[2 * slot + 1]!);
        if (table < 0) return this.pageFault(X86_RULES.notPresent, 2, vpn, access, offset, 0);
      }
    }
    let and = -1;
    let or = 0;
    for (let level = this.top; ; level--) {
      const index = this.indexAt(vpn, level);
      if (this.locate(level, table, index << this.entryShift, update) < 0) {
        return this.refuseSecondStage(vpn, access, offset);
      }
      if (this.readEntry(level) === BUS_ERROR) {
        return this.noPageFault(X86_RULES.tableMissing, level, vpn, access, offset);
      }
      const entry = memory.low;
      const upper = memory.high;
      path.enter(level, table, index, entry, upper);
      if ((entry & P) === 0) {
        return this.pageFault(X86_RULES.notPresent, level, vpn, access, offset, 0);
      }
      const leaf = this.isLeaf(entry, level);
      if (this.hasReservedBits(entry, upper, level, leaf)) {
        const code = X86_PAGE_FAULT.P | X86_PAGE_FAULT.RSVD;
        return this.pageFault(X86_RULES.reservedBits, level, vpn, access, offset, code);
      }
      or |= upper;
      if (leaf) {
        return this.finish(vpn, access, offset, bytes, level, entry & (and | D), or, update);
      }
      and &= entry;
      if (this.accessedOnFault) {
        const outcome = this.mark(level, A, update);
        if (outcome === 0) return CHANGED;
        if (outcome < 0) return this.updateFault(outcome, level, vpn, access, offset);
      }
      table = this.tableFrame(entry, upper);
    }
  }

  /** Under nested paging a PAE walk reads its PDPTE from memory (AMD APM Vol. 2, 15.25.10 Legacy PAE Mode). */
  private readPdpte(
    slot: number,
    vpn: number,
    access: number,
    offset: number,
    update: boolean,
  ): number {
    const { memory, path, pdptByte, pdptFrame } = this;
    if (this.locate(2, pdptFrame, pdptByte + 8 * slot, update) < 0) {
      return this.refuseSecondStage(vpn, access, offset);
    }
    if (this.readEntry(2) === BUS_ERROR) {
      return this.noPageFault(X86_RULES.tableMissing, 2, vpn, access, offset);
    }
    const { high, low } = memory;
    path.enter(2, pdptFrame, slot, low, high);
    if ((low & P) === 0) return this.pageFault(X86_RULES.notPresent, 2, vpn, access, offset, 0);
    if (!this.pdpteReserved(low, high)) return 0;
    const code = X86_PAGE_FAULT.P | X86_PAGE_FAULT.RSVD;
    return this.pageFault(X86_RULES.reservedBits, 2, vpn, access, offset, code);
  }

  /** Rights, accessed and dirty bits, and the frame, once the leaf stands last in the path. */
  private finish(
    vpn: number,
    access: number,
    offset: number,
    bytes: number,
    level: number,
    allowed: number,
    or: number,
    update: boolean,
  ): number {
    const { path } = this;
    const row = rowOf(access, this.row);
    const entry = path.low[level]!;
    const upper = path.high[level]!;
    const refusal = rightsRule(row, allowed, or) ?? this.keyRule(row, allowed, upper);
    if (refusal !== null) {
      const key = this.keyRule(row, allowed, upper) !== null ? X86_PAGE_FAULT.PK : 0;
      return this.pageFault(refusal, level, vpn, access, offset, X86_PAGE_FAULT.P | key);
    }
    for (let above = this.top; above >= level; above--) {
      const bits = above === level && (row & 3) === Access.Write ? A | D : A;
      const outcome = this.mark(above, bits, update);
      if (outcome === 0) return CHANGED;
      if (outcome < 0) return this.updateFault(outcome, above, vpn, access, offset);
    }
    this.rule = this.own(X86_RULES.translated);
    this.leafShift = level * this.bits;
    this.leafLow = entry;
    this.leafHigh = upper;
    this.leafAnd = allowed;
    this.leafOr = or;
    const pfn = this.frameFor(entry, upper, level, vpn);
    return this.reach(pfn, vpn, access, offset, bytes, update);
  }

  /** What a physical address leads to: memory, or the second stage. */
  private reach(
    pfn: number,
    vpn: number,
    access: number,
    offset: number,
    bytes: number,
    update: boolean,
  ): number {
    const host = this.hostTarget(pfn, this.hostAccess(access), offset, bytes, update);
    return host < 0 ? this.refuseSecondStage(vpn, access, offset) : host;
  }

  /**
   * An access as the second stage sees it: `User` says that the page is a user-mode one, whoever asks; without paging all
   * are (SDM Vol. 3C, 29.3.3 EPT Overview: mode-based execute control).
   */
  protected hostAccess(access: number): number {
    const userPage = this.leafShift < 0 || (this.leafAnd & US) !== 0;
    return (access & (3 | Access.ReadModifyWrite)) | (userPage ? Access.User : 0);
  }

  protected override refuseSecondStage(vpn: number, access: number, offset: number): number {
    const { fault, nested } = this;
    const result = super.refuseSecondStage(vpn, access, offset);
    fault.vector = 0;
    fault.errorCode = 0;
    fault.exit = nested === null ? null : nested.exit(fault.purpose, fault.va, this.leafProt);
    return result;
  }

  private updateFault(
    outcome: number,
    level: number,
    vpn: number,
    access: number,
    offset: number,
  ): number {
    return outcome === REFUSED
      ? this.refuseSecondStage(vpn, access, offset)
      : this.noPageFault(X86_RULES.updateMissing, level, vpn, access, offset);
  }

  /** Sets bits that an entry of the path lacks; 1, 0 or `BUS_ERROR` as `setBits` has it, or `REFUSED`. */
  private mark(level: number, bits: number, update: boolean): number {
    const { path } = this;
    const missing = bits & ~path.low[level]! & ~path.set[level]!;
    if (missing === 0) return 1;
    if (this.mayUpdate(level, update) < 0) return REFUSED;
    if (update) {
      const outcome = this.setBits(level, bits, A | D);
      if (outcome !== 1) return outcome;
    }
    path.set[level] = path.set[level]! | missing;
    return 1;
  }

  private isLeaf(entry: number, level: number): boolean {
    return level === 0 || (entry & PS & -((this.leafLevels >>> level) & 1)) !== 0;
  }

  /** Whether a present entry has a reserved bit set (SDM tables 4-4 to 4-20). */
  private hasReservedBits(entry: number, upper: number, level: number, leaf: boolean): boolean {
    if ((upper & this.reservedHigh) !== 0) return true;
    if (!leaf) return (entry & this.reservedPs) !== 0;
    return level > 0 && this.largeFrameHigh(entry, level) < 0;
  }

  /**
   * What the low word of a large leaf adds to its frame number, or -1 when it has a reserved bit set.
   *
   * ```text
   *  2 MiB:  bits 20:13 reserved       1 GiB:  bits 29:13 reserved
   *  4 MiB:  bits 20:13 are address bits 39:32 (PSE-36), those at or above MAXPHYADDR reserved; bit 21 reserved
   * ```
   */
  private largeFrameHigh(entry: number, level: number): number {
    if (this.wide === 1) return (entry & ((1 << (12 + 9 * level)) - 0x2000)) === 0 ? 0 : -1;
    const reach = this.pse36 ? Math.min(40, this.maxPhyAddr) - 32 : 0;
    const high = (entry >>> 13) & 0x1ff;
    return high < 1 << reach ? high * 2 ** 20 : -1;
  }

  /** The protection key rule that refuses a data access, or `null` (SDM 4.6.2). */
  protected keyRule(row: number, allowed: number, upper: number): WalkRule | null {
    if ((row & 3) === Access.Fetch) return null;
    const userPage = (allowed & US) !== 0;
    if ((this.keys & (userPage ? KEYS_USER : KEYS_SUPERVISOR)) === 0) return null;
    const rights = (userPage ? this.userKeys : this.supervisorKeys) >>> (2 * ((upper >>> 27) & 15));
    if ((rights & 1) === 0 && ((rights & 2) === 0 || !needsWritable(row))) return null;
    return userPage ? X86_RULES.userKey : X86_RULES.supervisorKey;
  }

  protected pageFault(
    rule: WalkRule,
    level: number,
    vpn: number,
    access: number,
    offset: number,
    code: number,
  ): number {
    const { cr4, efer } = this.registers;
    const kind = rowOf(access, 0) & 3;
    const noExecute = (cr4 & CR4.PAE) !== 0 && (efer & EFER.NXE) !== 0;
    const tellsFetch = (cr4 & CR4.SMEP) !== 0 || noExecute;
    this.fault.vector = 14;
    this.fault.exit = null;
    this.fault.errorCode =
      code |
      (kind === Access.Write ? X86_PAGE_FAULT.W : 0) |
      (isUser(access) ? X86_PAGE_FAULT.U : 0) |
      (kind === Access.Fetch && tellsFetch ? X86_PAGE_FAULT.I : 0);
    return this.refuse(this.own(rule), level, vpn, access, offset);
  }

  private noPageFault(
    rule: WalkRule,
    level: number,
    vpn: number,
    access: number,
    offset: number,
  ): number {
    this.fault.vector = 0;
    this.fault.errorCode = 0;
    this.fault.exit = null;
    return this.refuse(this.own(rule), level, vpn, access, offset);
  }

  override classify(low: number, high: number, level: number): number {
    if ((low & P) === 0 || (high & this.reservedHigh) !== 0) return NOTHING;
    if (level === 0) return PAGE;
    const leaf = this.isLeaf(low, level);
    if (this.hasReservedBits(low, high, level, leaf)) return NOTHING;
    return leaf ? PAGE : TABLE;
  }

  /** The rights bits of a PAE PDPTE are reserved, in a register and in memory (SDM Table 4-8). */
  protected override hasRights(level: number): boolean {
    return this.paging !== 'pae' || level !== 2;
  }

  override entryProt(low: number, high: number): number {
    // A pointer's G bit is ignored: what is global, the leaf alone says.
    return protOf(low, high) | LOCAL;
  }

  override tableFrame(low: number, high: number): number {
    return (high & FRAME_BITS) * 2 ** 20 + (low >>> 12);
  }

  override frameFor(low: number, high: number, level: number, vpn: number): number {
    const base = this.tableFrame(low, high);
    if (level === 0) return base;
    const pages = 2 ** (level * this.bits);
    return this.largeFrameHigh(low, level) + (base - (base % pages)) + (vpn % pages);
  }

  override leafAttributes(low: number, high: number, level: number): LeafAttributes {
    return {
      pageBytes: level < 0 ? 4096 : 4096 * 2 ** (level * this.bits),
      global: level >= 0 && (this.registers.cr4 & CR4.PGE) !== 0 && (low & G) !== 0,
      x86: {
        patIndex: level < 0 ? 0 : patIndex(low, level),
        protectionKey: this.keys === 0 ? 0 : (high >>> 27) & 15,
      },
    };
  }

  override attributeKey(low: number, high: number, level: number): number {
    const key = this.keys === 0 ? 0 : (high >>> 27) & 15;
    const global = this.registers.cr4 & CR4.PGE ? low & G : 0;
    return (level << 12) | global | (key << 4) | patIndex(low, level);
  }

  protected override supportsAccess(access: number): boolean {
    return isAccessOf(access, ACCESS_BITS);
  }

  protected override leafRights(): number {
    return this.leafProt | LOCAL;
  }

  protected override faultEncoding(va: bigint): Pick<FaultTranslation, 'x86'> {
    const { errorCode, exit, vector } = this.fault;
    const cr2 = vector === 14 ? va : null;
    return { x86: { vector, errorCode, cr2, ...(exit === null ? {} : { exit }) } };
  }
}

/** The second stage refused an update; beside 1, 0 and BUS_ERROR. */
const REFUSED = -3;

/** An entry was no longer what had been read; beside frame numbers and faults. */
const CHANGED = Number.NEGATIVE_INFINITY;
