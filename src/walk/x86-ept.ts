import {
  Access,
  type Address,
  bigintFromHex,
  checkBits,
  checkInteger,
  checkVersion,
  Prot,
  VmError,
  type VmObserver,
} from '../core/index.js';
import { BUS_ERROR, type PhysicalMemory } from '../memory/index.js';
import {
  EPT_PTE,
  eptLong4,
  eptLong4ModeBased,
  eptLong5,
  eptLong5ModeBased,
  type PteFormat,
} from '../pte/index.js';
import { UPDATE_ATTEMPTS } from './entry-access.js';
import { WalkFault } from './fault.js';
import type { FaultEncoding, LeafAttributes } from './report.js';
import type { WalkRule } from './rule.js';
import type { SecondStagePurpose } from './second-stage.js';
import {
  inPage,
  isPageNumber,
  LEAF,
  LOCAL,
  NO_LEAF,
  POINTER,
  RadixWalker,
  ROOT_RIGHTS,
  SKIP,
} from './walker.js';
import { EPT_RULES } from './x86-ept-rules.js';
import type { X86Exit, X86SecondStage } from './x86-second-stage.js';

const { R, W, X, PS, A, D, XU } = EPT_PTE;

/** In inherited rights: execution from user-mode addresses. */
const EXECUTE_USER = 32;
/** The same from all others. */
const EXECUTE = 64;

/** The accesses of a guest. */
const ACCESS_BITS = 3 | Access.User | Access.ReadModifyWrite | Access.ImplicitSupervisor;

/** Bits 51:32 of an entry: frame bits 39:20. */
const FRAME_HIGH = 0xfffff;

/** Memory types of EPT leaves that exist, by encoding (29.3.7.2): UC, WC, WT, WP, WB. */
const MEMORY_TYPES = 0b0111_0011;

/** An entry was no longer what had been read; beside frame numbers and faults. */
const CHANGED = Number.NEGATIVE_INFINITY;

/**
 * What an {@link X86Ept} is made from. Capabilities are those of IA32_VMX_EPT_VPID_CAP.
 *
 * @public
 */
export interface X86EptOptions {
  /** The memory that holds the EPT tables. */
  readonly memory: PhysicalMemory;
  /** EPTP: root, number of levels, whether accessed and dirty flags are enabled. */
  readonly eptp: Address;
  /** Entries may be executable without being readable. @defaultValue true */
  readonly executeOnly?: boolean;
  /** Leaves of 1 GiB. @defaultValue true */
  readonly gigabytePages?: boolean;
  /** The VM-execution control: fetches from user-mode addresses need XU. @defaultValue false */
  readonly modeBasedExecute?: boolean;
  /** MAXPHYADDR, 32 to 52. @defaultValue 52 */
  readonly maxPhyAddr?: number;
  /** Receives the events of every walk. */
  readonly observer?: VmObserver;
}

/**
 * What {@link X86Ept.snapshot} returns.
 *
 * @public
 */
export interface X86EptSnapshot {
  /** The version of this shape. */
  readonly v: 1;
  /** The tag. */
  readonly type: 'x86-ept';
  /** EPTP, as a hexadecimal string. */
  readonly eptp: string;
  /** See {@link X86EptOptions.executeOnly}. */
  readonly executeOnly: boolean;
  /** See {@link X86EptOptions.gigabytePages}. */
  readonly gigabytePages: boolean;
  /** See {@link X86EptOptions.modeBasedExecute}. */
  readonly modeBasedExecute: boolean;
  /** See {@link X86EptOptions.maxPhyAddr}. */
  readonly maxPhyAddr: number;
}

/**
 * An EPT fault in fields.
 *
 * @public
 */
export class X86EptFault extends WalkFault {
  /** R, W, X in bits 2:0 and XU in bit 10 that all entries read so far allow; 0 when one is not present. */
  allowed = 0;
}

/**
 * Intel's extended page tables: from guest-physical to physical addresses with four or five levels (Intel SDM Vol. 3C,
 * 29.3 The Extended Page Table Mechanism).
 *
 * In an access `User` means a user-mode linear address, which matters to mode-based execute control alone, and
 * `ImplicitSupervisor` an access to the guest's paging structures: a write, while accessed and dirty flags are enabled.
 *
 * @example
 * ```ts
 * import { Access } from 'pagewright/core';
 * import { PhysicalMemory } from 'pagewright/memory';
 * import { X86Ept, X86Walker } from 'pagewright/walk';
 *
 * const memory = PhysicalMemory.allocate(0x20_0000, { base: 0 });
 * memory.write(0x1000, 8, 0x2007n); // EPT PML4E
 * memory.write(0x2000, 8, 0x3007n); // EPT PDPTE
 * memory.write(0x3000, 8, 0xb5n); // EPT PDE: 2 MiB at 0, readable and executable, write-back
 * const ept = new X86Ept({ memory, eptp: 0x101en });
 *
 * memory.write(0x4000, 8, 0x5003n); // the guest's PML4E, PDPTE: a 1 GiB page at 0
 * memory.write(0x5000, 8, 0xe3n);
 * const walker = new X86Walker({ memory, cr3: 0x4000, secondStage: ept });
 * walker.walk(0x7, Access.Read) < 0; // => true
 * walker.fault.exit?.kind; // => 'ept-violation'
 * walker.fault.gpa; // => 0x4000n
 * ```
 * @public
 */
export class X86Ept extends RadixWalker implements X86SecondStage {
  /** A paging-structure access of the guest. */
  readonly tableAccess: number = Access.Read | Access.ImplicitSupervisor;
  /** Its accessed/dirty update. */
  readonly updateAccess: number = Access.Write | Access.ImplicitSupervisor;
  /** A PAE guest's PDPTEs are registers, loaded through EPT by MOV to CR3. */
  readonly pdptesOnDemand: boolean = false;
  override readonly fault: X86EptFault = new X86EptFault(EPT_RULES.notPresent);
  /** See {@link X86EptOptions.executeOnly}. */
  readonly executeOnly: boolean;
  /** See {@link X86EptOptions.gigabytePages}. */
  readonly gigabytePages: boolean;
  /** See {@link X86EptOptions.modeBasedExecute}. */
  readonly modeBasedExecute: boolean;
  /** See {@link X86EptOptions.maxPhyAddr}. */
  readonly maxPhyAddr: number;

  private pointer = 0n;
  private shape: PteFormat = eptLong4;
  private root = 0;
  private rootRelative = -1;
  /** Whether the accessed and dirty flags are enabled. */
  private flags = false;
  /** Bits 51:32 at and above MAXPHYADDR. */
  private readonly reservedHigh: number;
  /** What entries allow of the last successful walk: R, W, X and XU. */
  private leafAllowed = 0;

  /** @param options - Memory, EPTP and capabilities. */
  constructor(options: X86EptOptions) {
    super(options.memory, EPT_RULES.translated);
    this.executeOnly = options.executeOnly ?? true;
    this.gigabytePages = options.gigabytePages ?? true;
    this.modeBasedExecute = options.modeBasedExecute ?? false;
    this.maxPhyAddr = checkInteger('maxPhyAddr', options.maxPhyAddr ?? 52, 32, 52);
    this.reservedHigh = -(2 ** (this.maxPhyAddr - 32)) & FRAME_HIGH;
    this.presentLow = this.modeBasedExecute ? R | W | X | XU : R | W | X;
    this.setEptp(options.eptp);
    this.observer = options.observer ?? null;
  }

  /**
   * The EPT of a snapshot.
   *
   * @param snapshot - What `snapshot` returned.
   * @param options - The memory, and an observer if you want one.
   * @returns An EPT that answers as the saved one did.
   * @throws `VmError` `unsupported` for another version; otherwise as the constructor.
   */
  static restore(
    snapshot: X86EptSnapshot,
    options: Pick<X86EptOptions, 'memory' | 'observer'>,
  ): X86Ept {
    checkVersion(snapshot, 1, 'x86-ept');
    const { eptp, ...capabilities } = snapshot;
    return new X86Ept({ ...capabilities, ...options, eptp: bigintFromHex('snapshot.eptp', eptp) });
  }

  protected override twin(): X86Ept {
    return X86Ept.restore(this.snapshot(), { memory: this.memory });
  }

  /**
   * EPTP and capabilities; `X86Ept.restore` makes the same EPT of them, over a memory that you give.
   *
   * @returns Plain data, versioned.
   */
  snapshot(): X86EptSnapshot {
    const { executeOnly, gigabytePages, maxPhyAddr, modeBasedExecute } = this;
    const eptp = `0x${this.pointer.toString(16)}`;
    const capabilities = { executeOnly, gigabytePages, modeBasedExecute, maxPhyAddr };
    return { v: 1, type: 'x86-ept', eptp, ...capabilities };
  }

  protected override derived(): Readonly<Record<string, unknown>> {
    const { flags, root, rootRelative } = this;
    return { ...super.derived(), flags, root, rootRelative };
  }

  /** EPTP. */
  get eptp(): bigint {
    return this.pointer;
  }

  /**
   * Takes another EPTP, as VM entry does.
   *
   * @param eptp - The pointer: memory type 0 or 6, 4 or 5 levels, no reserved bit.
   * @throws `VmError` `out-of-range` for a pointer with which VM entry would fail; the old one stays.
   */
  setEptp(eptp: Address): void {
    const pattern = checkBits('eptp', eptp);
    const low = Number(pattern & 0xfffn);
    const levels = ((low >>> 3) & 7) + 1;
    const type = low & 7;
    const sound = (type === 0 || type === 6) && (levels === 4 || levels === 5);
    if (!sound || low >>> 7 !== 0 || pattern >> BigInt(this.maxPhyAddr) !== 0n) {
      const expected = 'an EPTP that VM entry accepts: type 0 or 6, 4 or 5 levels, no reserved bit';
      throw new VmError('out-of-range', { argument: 'eptp', value: eptp, expected });
    }
    this.pointer = pattern;
    this.flags = (low & 0x40) !== 0;
    this.root = Number(pattern >> 12n);
    this.top = levels - 1;
    const long5 = this.modeBasedExecute ? eptLong5ModeBased : eptLong5;
    const long4 = this.modeBasedExecute ? eptLong4ModeBased : eptLong4;
    this.shape = levels === 5 ? long5 : long4;
    // A page number has 52 bits: five levels translate 45 of them.
    this.setVirtualBits(this.shape.virtualBits, false);
    this.bindWindow();
  }

  override get format(): PteFormat {
    return this.shape;
  }

  override get rootCount(): number {
    return 1;
  }

  override rootAt(_slot: number): number {
    return this.root;
  }

  protected override windowChanged(): void {
    const first = this.windowHigh * 2 ** 31 + this.windowLow;
    this.rootRelative = this.inWindow(this.root) ? (this.root - first) | 0 : -1;
  }

  override walk(vpn: number, access: number, offset = 0, bytes = 1): number {
    const pfn = isPageNumber(vpn) ? this.fastFrame(vpn | 0, (vpn * 2 ** -26) | 0, access) : -1;
    if (pfn >= 0 && ((offset === 0 && bytes === 1) || inPage(offset, bytes))) return pfn;
    return this.checkAndComplete(vpn, access, offset, bytes, true);
  }

  override probe(vpn: number, access: number, offset = 0, bytes = 1): number {
    const pfn = isPageNumber(vpn) ? this.fastFrame(vpn | 0, (vpn * 2 ** -26) | 0, access) : -1;
    if (pfn >= 0 && ((offset === 0 && bytes === 1) || inPage(offset, bytes))) return pfn;
    return this.checkAndComplete(vpn, access, offset, bytes, false);
  }

  /**
   * The fast path: entries are gathered and judged at the leaf, as in `X86Walker`. @internal
   */
  fastFrame(low: number, high: number, access: number): number {
    const { wideFrames, windowLow, words } = this;
    if ((high & this.signMask) !== 0 || !this.supportsAccess(access)) return -1;
    let shift = this.topShift;
    let frame = this.rootRelative;
    let entry = 0;
    let upper = 0;
    let and = -1;
    let or = 0;
    let odd = 0;
    for (;;) {
      if (frame >>> 0 >= wideFrames >>> 0) return -1;
      const index = (shift < 27 ? low >>> shift : high >>> (shift - 26)) & 511;
      const at = (frame << 10) + (index << 1);
      entry = words[at]!;
      upper = words[at + 1]!;
      and &= entry;
      odd |= upper & this.reservedHigh;
      if (shift === 0 || (entry & PS) !== 0) break;
      // Every pointer is checked: its bits 7:3 are 0, and writable means readable.
      or |=
        (entry & 0xf8) |
        ((entry & (R | W)) === W ? 1 : 0) |
        ((upper ^ this.pointerWanted) & 0xff800);
      frame = ((entry >>> 12) | ((upper & 0x7ff) << 20)) - windowLow;
      shift -= 9;
    }
    const needed = this.needed(access);
    const wanted = needed | (this.flags ? A : 0);
    const dirty = this.flags && (needed & W) !== 0 ? D : 0;
    const type = (MEMORY_TYPES >>> ((entry >>> 3) & 7)) & 1;
    if ((or | odd) !== 0 || type === 0 || (and & wanted) !== wanted) return -1;
    // Readable entries alone: whether others exist, the complete form knows.
    if ((and & R) === 0 || (entry & dirty) !== dirty) return -1;
    if (shift > 18 || (shift !== 0 && (entry & ((0x1000 << shift) - 0x1000)) !== 0)) return -1;
    if (shift === 18 && !this.gigabytePages) return -1;
    const below = (1 << shift) - 1;
    this.leafShift = shift;
    this.leafLow = entry;
    this.leafHigh = upper;
    this.leafAllowed = and & (R | W | X | XU);
    return (upper & FRAME_HIGH) * 2 ** 20 + (((entry >>> 12) & ~below) | (low & below));
  }

  /** Bits that every entry must have for an access. */
  private needed(access: number): number {
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
  exit(purpose: SecondStagePurpose, linear: bigint): X86Exit {
    const { fault } = this;
    const gpa = fault.va;
    if (fault.reason === 'bus-error') return { kind: 'bus-error', gpa };
    if (fault.reason === 'reserved-bits') return { kind: 'ept-misconfiguration', gpa };
    const { access, allowed } = fault;
    const needed = this.needed(access);
    const kinds = (needed & (R | W)) | ((access & 3) === Access.Fetch ? 4 : 0);
    const rights = ((allowed & 7) << 3) | (this.modeBasedExecute && allowed & XU ? 0x40 : 0);
    // Bit 7: the linear address is valid; bit 8: it is what was being translated.
    const final = purpose === 'access' ? 0x180 : 0x80;
    return { kind: 'ept-violation', qualification: kinds | rights | final, gpa, linear };
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
    // A fetch is never half of a read-modify-write.
    const modify = (access & Access.ReadModifyWrite) !== 0;
    return (access & ~ACCESS_BITS) === 0 && !(modify && (access & 3) === Access.Fetch);
  }

  protected override leafRights(): number {
    const rights = this.leafShift < 0 ? ROOT_RIGHTS : this.entryProt(this.leafAllowed);
    return this.protOf(rights) | rights;
  }

  protected override faultEncoding(): FaultEncoding {
    const exit = this.exit('access', 0n);
    return { x86: { vector: 0, errorCode: 0, cr2: null, exit } };
  }

  /** Bits 43:31 of a pointer's frame must be the window's. */
  private get pointerWanted(): number {
    return this.windowHigh << 11;
  }
}
