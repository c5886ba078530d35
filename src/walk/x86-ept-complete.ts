import { Access, checkInteger, Prot } from '../core/index.js';
import { BUS_ERROR } from '../memory/index.js';
import { EPT_PTE, eptLong4, type PteFormat } from '../pte/index.js';
import { isAccessOf } from './access-check.js';
import { UPDATE_ATTEMPTS } from './entry-access.js';
import type { FaultEncoding, LeafAttributes } from './report.js';
import type { WalkRule } from './rule.js';
import type { SecondStagePurpose } from './second-stage.js';
import { LEAF, LOCAL, NO_LEAF, POINTER, RadixWalker, ROOT_RIGHTS, SKIP } from './walker.js';
import { X86EptFault, type X86EptOptions } from './x86-ept-options.js';
import { EPT_RULES } from './x86-ept-rules.js';
import type { X86Exit } from './x86-second-stage.js';

const { R, W, X, PS, A, D, XU } = EPT_PTE;

/** In inherited rights: execution from user-mode addresses. */
const EXECUTE_USER = 32;
/** The same from all others. */
const EXECUTE = 64;

/** The accesses of a guest. */
const ACCESS_BITS = 3 | Access.User | Access.ReadModifyWrite | Access.ImplicitSupervisor;

/** Bits 51:32 of an entry: frame bits 39:20. */
export const FRAME_HIGH = 0xfffff;

/** Memory types of EPT leaves that exist, by encoding (29.3.7.2): UC, WC, WT, WP, WB. */
export const MEMORY_TYPES = 0b0111_0011;

/** An entry was no longer what had been read; beside frame numbers and faults. */
const CHANGED = Number.NEGATIVE_INFINITY;

/**
 * The complete form of the EPT walk: the manual's rules one by one, over memory of any kind, with the rule that decides
 * (Intel SDM Vol. 3C, 29.3).
 *
 * @public
 */
export abstract class X86EptCompleteWalk extends RadixWalker {
  override readonly fault: X86EptFault = new X86EptFault(EPT_RULES.notPresent);
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

  protected shape: PteFormat = eptLong4;
  protected root = 0;
  /** Whether the accessed and dirty flags are enabled. */
  protected flags = false;
  /** Bits 51:32 at and above MAXPHYADDR. */
  protected readonly reservedHigh: number;
  /** What entries allow of the last successful walk: R, W, X and XU. */
  protected leafAllowed = 0;

  /** @internal */
  protected constructor(options: X86EptOptions) {
    super(options.memory, EPT_RULES.translated);
    this.executeOnly = options.executeOnly ?? true;
    this.gigabytePages = options.gigabytePages ?? true;
    this.modeBasedExecute = options.modeBasedExecute ?? false;
    this.advancedExitInformation = options.advancedExitInformation ?? false;
    this.maxPhyAddr = checkInteger('maxPhyAddr', options.maxPhyAddr ?? 52, 32, 52);
    this.reservedHigh = -(2 ** (this.maxPhyAddr - 32)) & FRAME_HIGH;
    this.presentLow = this.modeBasedExecute ? R | W | X | XU : R | W | X;
  }

  override get format(): PteFormat {
    return this.shape;
  }

  /** Bits that every entry must have for an access. */
  protected needed(access: number): number {
    const kind = access & 3;
    if (kind === Access.Fetch) {
      return this.modeBasedExecute && (access & Access.User) !== 0 ? XU : X;
    }
    const readsToo = (access & Access.ReadModifyWrite) !== 0 ? R | W : 0;
    // With accessed and dirty flags, paging-structure accesses count as reads and writes (29.3.3.2).
    const table = (access & Access.ImplicitSupervisor) !== 0 && this.flags ? R | W : 0;
    return (kind === Access.Write ? W : R) | readsToo | table;
  }

  protected override complete(
    vpn: number,
    access: number,
    offset: number,
    _bytes: number,
    update: boolean,
  ): number {
    const { fault, path } = this;
    this.leafShift = NO_LEAF;
    this.leafLow = 0;
    this.leafHigh = 0;
    this.leafAllowed = 0;
    fault.allowed = 0;
    for (let attempt = 0; attempt < UPDATE_ATTEMPTS; attempt++) {
      path.begin(this.shape, this.top, this.root);
      if (vpn >= this.lowEnd) {
        return this.refuse(EPT_RULES.outOfRange, this.top, vpn, access, offset);
      }
      const result = this.descend(vpn, access, offset, update);
      if (result !== CHANGED) return result;
    }
    return this.refuse(EPT_RULES.contended, this.top, vpn, access, offset);
  }

  private descend(vpn: number, access: number, offset: number, update: boolean): number {
    const { fault, memory, path } = this;
    let table = this.root;
    let allowed = R | W | X | XU;
    for (let level = this.top; ; level--) {
      const index = this.indexAt(vpn, level);
      this.locate(level, table, index << 3, update);
      fault.allowed = 0;
      if (this.readEntry(level) === BUS_ERROR) {
        return this.refuse(EPT_RULES.tableMissing, level, vpn, access, offset);
      }
      const { high, low } = memory;
      path.enter(level, table, index, low, high);
      if ((low & this.presentLow) === 0) {
        return this.refuse(EPT_RULES.notPresent, level, vpn, access, offset);
      }
      const wrong = this.misconfiguration(low, high, level);
      if (wrong !== null) return this.refuse(wrong, level, vpn, access, offset);
      allowed &= low;
      fault.allowed = allowed;
      if (level === 0 || (low & PS) !== 0) {
        return this.finish(vpn, access, offset, level, allowed, update);
      }
      table = this.tableFrame(low, high);
    }
  }

  private finish(
    vpn: number,
    access: number,
    offset: number,
    level: number,
    allowed: number,
    update: boolean,
  ): number {
    const { path } = this;
    const needed = this.needed(access);
    const lacking = needed & ~allowed;
    if (lacking !== 0) {
      const refusal =
        (lacking & R) !== 0
          ? EPT_RULES.notReadable
          : (lacking & W) !== 0
            ? EPT_RULES.notWritable
            : EPT_RULES.notExecutable;
      return this.refuse(refusal, level, vpn, access, offset);
    }
    for (let above = this.top; this.flags && above >= level; above--) {
      const bits = above === level && (needed & W) !== 0 ? A | D : A;
      const missing = bits & ~path.low[above]!;
      if (missing === 0) continue;
      if (update) {
        const outcome = this.setBits(above, bits, A | D);
        if (outcome === 0) return CHANGED;
        if (outcome < 0) return this.refuse(EPT_RULES.updateMissing, above, vpn, access, offset);
      }
      path.set[above] = missing;
    }
    this.rule = EPT_RULES.translated;
    this.leafShift = 9 * level;
    this.leafLow = path.low[level]!;
    this.leafHigh = path.high[level]!;
    this.leafAllowed = allowed;
    return this.frameFor(this.leafLow, this.leafHigh, level, vpn);
  }

  /** Why a present entry is misconfigured, or `null` (29.3.3.1). */
  private misconfiguration(low: number, high: number, level: number): WalkRule | null {
    const executable = (low & X) !== 0 || (this.modeBasedExecute && (low & XU) !== 0);
    if ((low & (R | W)) === W) return EPT_RULES.writeWithoutRead;
    if ((low & R) === 0 && executable && !this.executeOnly) return EPT_RULES.executeOnly;
    if ((high & this.reservedHigh) !== 0) return EPT_RULES.reservedBits;
    const large = level > 0 && (low & PS) !== 0;
    if (level > 0 && !large) return (low & 0x78) === 0 ? null : EPT_RULES.reservedBits;
    if (large && (level > 2 || (level === 2 && !this.gigabytePages))) return EPT_RULES.reservedBits;
    if (large && (low & ((0x1000 << (9 * level)) - 0x1000)) !== 0) return EPT_RULES.reservedBits;
    return ((MEMORY_TYPES >>> ((low >>> 3) & 7)) & 1) === 0 ? EPT_RULES.memoryType : null;
  }

  /** The VM exit that the last refusal makes (28.2.1). */
  exit(
    purpose: SecondStagePurpose,
    linear: bigint | null,
    guestProt: number = Prot.Execute,
  ): X86Exit {
    const { fault } = this;
    const gpa = fault.va;
    if (fault.reason === 'bus-error') return { kind: 'bus-error', gpa };
    if (fault.reason === 'reserved-bits') return { kind: 'ept-misconfiguration', gpa };
    const { access, allowed } = fault;
    const needed = this.needed(access);
    const kinds = (needed & (R | W)) | ((access & 3) === Access.Fetch ? 4 : 0);
    const rights = ((allowed & 7) << 3) | (this.modeBasedExecute && allowed & XU ? 0x40 : 0);
    const walk = this.walkBits(purpose, guestProt);
    return { kind: 'ept-violation', qualification: BigInt(kinds | rights | walk), gpa, linear };
  }

  /**
   * Bits 11:7 of the qualification (Table 28-7). Bit 7: the linear address is valid, as it is but for the loading of
   * PDPTEs; bit 8: it is what was being translated; with advanced information, what the guest's tables say of it.
   */
  private walkBits(purpose: SecondStagePurpose, guestProt: number): number {
    if (purpose === 'pdpte-load') return 0;
    if (purpose !== 'access') return 0x80;
    if (!this.advancedExitInformation) return 0x180;
    const user = (guestProt & Prot.User) !== 0 ? 0x200 : 0;
    const writable = (guestProt & Prot.Write) !== 0 ? 0x400 : 0;
    const executeDisable = (guestProt & Prot.Execute) === 0 ? 0x800 : 0;
    return 0x180 | user | writable | executeDisable;
  }

  override classify(low: number, high: number, level: number): number {
    if ((low & this.presentLow) === 0 || this.misconfiguration(low, high, level) !== null) {
      return SKIP;
    }
    return level === 0 || (low & PS) !== 0 ? LEAF : POINTER;
  }

  override entryProt(low: number): number {
    const data = ((low & R) !== 0 ? Prot.Read : 0) | ((low & W) !== 0 ? Prot.Write : 0);
    const execute = (low & X) !== 0 ? EXECUTE : 0;
    const executeUser = (low & (this.modeBasedExecute ? XU : X)) !== 0 ? EXECUTE_USER : 0;
    return data | execute | executeUser | Prot.User | LOCAL;
  }

  override tableFrame(low: number, high: number): number {
    return (high & FRAME_HIGH) * 2 ** 20 + (low >>> 12);
  }

  override frameFor(low: number, high: number, level: number, vpn: number): number {
    const pages = 2 ** (9 * level);
    const base = this.tableFrame(low, high);
    return base - (base % pages) + (vpn % pages);
  }

  /** Executable is by itself what is so from addresses of either mode; the attributes tell which. */
  override protOf(rights: number): number {
    const executable = (rights & (EXECUTE | EXECUTE_USER)) !== 0;
    return (super.protOf(rights) & ~Prot.Execute) | (executable ? Prot.Execute : 0);
  }

  override lastPage(userPage: boolean): ReturnType<RadixWalker['lastPage']> {
    const page = super.lastPage(userPage);
    const executable = (this.leafRights() & (userPage ? EXECUTE_USER : EXECUTE)) !== 0;
    return { ...page, prot: (page.prot & ~Prot.Execute) | (executable ? Prot.Execute : 0) };
  }

  override leafAttributes(
    low: number,
    _high: number,
    level: number,
    inherited: number,
  ): LeafAttributes {
    const ept = {
      memoryType: (low >>> 3) & 7,
      ignorePat: (low & EPT_PTE.IPAT) !== 0,
      execute: (inherited & EXECUTE) !== 0,
      executeUser: (inherited & EXECUTE_USER) !== 0,
    };
    return { pageBytes: 4096 * 2 ** (9 * level), global: false, ept };
  }

  override attributeKey(low: number, _high: number, level: number): number {
    return (level << 4) | ((low >>> 3) & 15);
  }

  protected override supportsAccess(access: number): boolean {
    return isAccessOf(access, ACCESS_BITS);
  }

  protected override leafRights(): number {
    const rights = this.leafShift < 0 ? ROOT_RIGHTS : this.entryProt(this.leafAllowed);
    return this.protOf(rights) | rights;
  }

  protected override faultEncoding(): FaultEncoding {
    const forTable = (this.fault.access & Access.ImplicitSupervisor) !== 0;
    const exit = this.exit(forTable ? 'table-read' : 'access', null);
    return { x86: { vector: 0, errorCode: 0, cr2: null, exit } };
  }
}
