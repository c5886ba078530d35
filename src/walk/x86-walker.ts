import { Access, checkInteger, checkVersion, Prot, VmError } from '../core/index.js';
import { CR4, patIndex, X86_PTE, X86_PTE_HIGH } from '../pte/index.js';
import { ACCESS_END } from './demands.js';
import type { CacheContext, KeptLeaf } from './kept-leaf.js';
import { checkRestoredStage } from './second-stage.js';
import { inPage, isPageNumber } from './walker.js';
import {
  ALL_HOST,
  EVERY_ROW,
  entryOf,
  HOST_EXECUTE,
  HOST_READ,
  HOST_WRITE,
  keyedDemands,
  keyGrants,
  NO_KEY,
  X86_DEMAND_TABLES,
  X86_DEMANDS,
} from './x86-demands.js';
import { X86Instructions } from './x86-instructions.js';
import { type X86WalkerOptions, type X86WalkerSnapshot, x86OptionsOf } from './x86-options.js';
import { RIGHTS, ROW_AC, rowOf, X86_RULES } from './x86-rules.js';
import { KEYS_SUPERVISOR, KEYS_USER } from './x86-state.js';

const { XD } = X86_PTE_HIGH;

/** Roots of contexts have 20 bits, of which two say something else. */
const MOST_HOST_ROOTS = 2 ** 18;

/**
 * The page walk of an x86 CPU: 32-bit paging with PSE and PSE-36, PAE, four and five levels, with NX, SMEP, SMAP,
 * WP and protection keys (Intel SDM Vol. 3A, chapter 4 "Paging").
 *
 * The access says on whose behalf it is made: `Access.User`, or nothing for an explicit supervisor access, or
 * `Access.ImplicitSupervisor`. `ac`, `pkru` and `pkrs` are plain and take effect at once.
 *
 * @example
 * ```ts
 * import { Access } from 'pagewright/core';
 * import { PhysicalMemory } from 'pagewright/memory';
 * import { X86Walker } from 'pagewright/walk';
 *
 * const ram = new ArrayBuffer(0x5000);
 * const entries = new BigUint64Array(ram);
 * entries[0x1000 / 8] = 0x2007n; // PML4E: user, writable
 * entries[0x2000 / 8] = 0x3007n; // PDPTE
 * entries[0x3000 / 8] = 0x4007n; // PDE
 * entries[0x4000 / 8 + 5] = 0x1234_5005n; // PTE of page 5: user, read-only
 *
 * const memory = PhysicalMemory.wrap(ram, { base: 0 });
 * const walker = new X86Walker({ memory, cr3: 0x1000 });
 * walker.walk(5, Access.Read | Access.User); // => 0x12345
 * entries[0x4000 / 8 + 5]; // => 0x12345025n
 * walker.walk(5, Access.Write | Access.User) < 0; // => true
 * walker.fault.errorCode; // => 7
 * ```
 * @public
 */
export class X86Walker extends X86Instructions {
  /** Numbers of the second stage's roots that were seen. */
  private readonly hostRoots: Map<number, number> = new Map();
  /** Holds the demands while protection keys are in force. */
  private readonly ownDemands: Int32Array = new Int32Array(ACCESS_END);
  /** Whether the fast path has the last word: no second stage. */
  private readonly direct: boolean;

  /** @param options - Memory, registers and capabilities. */
  constructor(options: X86WalkerOptions) {
    super(options, X86_RULES.unpaged);
    this.direct = this.secondStage === null;
    this.observer = options.observer ?? null;
  }

  /**
   * The walker of a snapshot.
   *
   * @param snapshot - What `snapshot` returned.
   * @param options - The memory, a second stage if the saved walker had one, and an observer if you want one.
   * @returns A walker that answers as the saved one did.
   * @throws `VmError` `unsupported` for another version, `bad-image` for the snapshot of something else, `bad-argument` for
   * another kind of second stage than the saved walker's; otherwise as the constructor.
   */
  static restore(
    snapshot: X86WalkerSnapshot,
    options: Pick<X86WalkerOptions, 'memory' | 'observer' | 'secondStage'>,
  ): X86Walker {
    checkVersion(snapshot, 1, 'x86-walker');
    const { ac, pkrs, pkru } = snapshot;
    checkRestoredStage(snapshot.secondStage, options.secondStage);
    const walker = new X86Walker({ ...x86OptionsOf(snapshot), ...options });
    walker.ac = ac;
    walker.pkru = pkru;
    walker.pkrs = pkrs;
    return walker;
  }

  /**
   * The registers and capabilities; `X86Walker.restore` makes the same walker of them, over a memory that you give.
   *
   * @returns Plain data, versioned.
   */
  snapshot(): X86WalkerSnapshot {
    const { ac, nested, pkru, pkrs } = this;
    const secondStage = nested === null ? null : nested.stageType;
    return { ...this.stageSnapshot(), type: 'x86-walker', ac, pkru, pkrs, secondStage };
  }

  protected override twin(): X86Walker {
    const { memory, nested } = this;
    const options = nested === null ? { memory } : { memory, secondStage: nested };
    return X86Walker.restore(this.snapshot(), options);
  }

  /** EFLAGS.AC: with SMAP, explicit supervisor accesses may touch user pages. */
  get ac(): boolean {
    return (this.row & ROW_AC) !== 0;
  }

  set ac(value: boolean) {
    this.row = value ? this.row | ROW_AC : this.row & ~ROW_AC;
    this.rights = RIGHTS[this.row >>> 4]!;
    this.changed('rights');
  }

  /** PKRU: an access-disable and a write-disable bit for each of 16 keys of user pages. */
  get pkru(): number {
    return this.userKeys >>> 0;
  }

  set pkru(value: number) {
    this.userKeys = checkInteger('pkru', value, 0, 0xffffffff) | 0;
    this.changed('rights');
  }

  /** IA32_PKRS: the same for supervisor pages. */
  get pkrs(): number {
    return this.supervisorKeys >>> 0;
  }

  set pkrs(value: number) {
    this.supervisorKeys = checkInteger('pkrs', value, 0, 0xffffffff) | 0;
    this.changed('rights');
  }

  override demandTable(): Int32Array {
    const state = this.row >>> 4;
    if (this.keys === 0) return X86_DEMAND_TABLES[state]!;
    const userKeys = this.keys & KEYS_USER ? this.userKeys : 0;
    const supervisorKeys = this.keys & KEYS_SUPERVISOR ? this.supervisorKeys : 0;
    return keyedDemands(this.ownDemands, state, userKeys, supervisorKeys);
  }

  override keepLeaf(leaf: KeptLeaf, access: number, _pfn: number): void {
    const { leafAnd, leafHigh, leafLow, leafOr, leafShift, nested } = this;
    const store = (rowOf(access, 0) & 3) === Access.Write;
    const dirty = store || leafShift < 0 || (leafLow & X86_PTE.D) !== 0;
    const userPage = (leafAnd & X86_PTE.US) !== 0;
    const keyed = leafShift >= 0 && userPage && (this.keys & KEYS_USER) !== 0;
    leaf.order = this.keptOrder();
    leaf.global =
      leafShift >= 0 && (leafLow & X86_PTE.G) !== 0 && (this.registers.cr4 & CR4.PGE) !== 0;
    leaf.memoryType = leafShift < 0 ? 0 : patIndex(leafLow, this.leafLevel);
    leaf.grants =
      (leafShift < 0 ? EVERY_ROW : X86_DEMANDS.grants[entryOf(leafAnd, leafOr, dirty)]!) |
      (nested === null ? ALL_HOST : this.hostGrants(access, store)) |
      (keyed ? keyGrants((leafHigh >>> 27) & 15) : NO_KEY);
  }

  /** What a second stage grants after an access that it let through. */
  private hostGrants(access: number, store: boolean): number {
    const fetch = (access & 3) === Access.Fetch;
    const readable = (this.hostProt(access) & Prot.Read) !== 0;
    return (readable ? HOST_READ : 0) | (store ? HOST_WRITE : 0) | (fetch ? HOST_EXECUTE : 0);
  }

  override get walksBelow(): boolean {
    return this.direct && this.paging !== 'none';
  }

  override walkBelow(
    vpn: number,
    access: number,
    tablePfn: number,
    level: number,
    above: number,
  ): number {
    const { rootMask, rootRelative, topShift } = this;
    const relative = tablePfn - (this.windowHigh * 2 ** 31 + this.windowLow);
    if (relative < 0 || relative >= this.frames) return -1;
    this.rootMask = 0;
    this.rootRelative = relative | 0;
    this.topShift = (level - 1) * this.bits;
    // An address that is not canonical is in no cache, so the sign needs no look; the index alone counts.
    const pfn = this.fastWalk(vpn | 0, (vpn * 2 ** -26) | 0, access);
    this.rootMask = rootMask;
    this.rootRelative = rootRelative;
    this.topShift = topShift;
    this.leafAnd &= ~(above & (X86_PTE.RW | X86_PTE.US));
    this.leafOr |= above & XD;
    return pfn;
  }

  /** R/W and U/S where they are missing, and XD where it is set. */
  override pointerRights(low: number, high: number, above: number): number {
    return above | (~low & (X86_PTE.RW | X86_PTE.US)) | (high & XD);
  }

  override get faultsDropEntries(): boolean {
    return this.fault.vector === 14;
  }

  override cacheContext(): CacheContext {
    const { cr3, cr4 } = this.registers;
    const asid = (cr4 & CR4.PCIDE) !== 0 ? Number(cr3 & 0xfffn) : 0;
    return { asid, vmid: 0, root: this.contextRoot() };
  }

  /** CPUs tell second stages apart by where their tables are (SDM Vol. 3C, 29.4.1: EP4TA), so each root is a context. */
  protected override contextRoot(): number {
    const { nested } = this;
    const root = super.contextRoot();
    if (nested === null) return root;
    const table = nested.rootAt(0);
    const known = this.hostRoots.get(table) ?? this.hostRoots.size;
    if (known === MOST_HOST_ROOTS) {
      const expected = `at most ${MOST_HOST_ROOTS} tables of second stages`;
      throw new VmError('out-of-range', { argument: 'secondStage', value: table, expected });
    }
    this.hostRoots.set(table, known);
    return root | (known << 2);
  }

  override get tagsSpaces(): boolean {
    return (this.registers.cr4 & CR4.PCIDE) !== 0;
  }

  override walk(vpn: number, access: number, offset = 0, bytes = 1): number {
    const pfn = isPageNumber(vpn) ? this.fastWalk(vpn | 0, (vpn * 2 ** -26) | 0, access) : -1;
    return pfn >= 0 && this.direct && ((offset === 0 && bytes === 1) || inPage(offset, bytes))
      ? pfn
      : this.otherwise(pfn, vpn, access, offset, bytes, true);
  }

  override probe(vpn: number, access: number, offset = 0, bytes = 1): number {
    const pfn = isPageNumber(vpn) ? this.fastWalk(vpn | 0, (vpn * 2 ** -26) | 0, access) : -1;
    return pfn >= 0 && this.direct && ((offset === 0 && bytes === 1) || inPage(offset, bytes))
      ? pfn
      : this.otherwise(pfn, vpn, access, offset, bytes, false);
  }

  /** What is left to do when the fast path did not end the walk, or the second stage has the last word. */
  private otherwise(
    pfn: number,
    vpn: number,
    access: number,
    offset: number,
    bytes: number,
    update: boolean,
  ): number {
    const { nested } = this;
    if (pfn >= 0 && inPage(offset, bytes)) {
      if (nested === null) return pfn;
      const host = nested.fastFrame(pfn | 0, (pfn * 2 ** -26) | 0, this.hostAccess(access));
      if (host >= 0) {
        this.guestPfn = pfn;
        return host;
      }
    }
    return this.checkAndComplete(vpn, access, offset, bytes, update);
  }
}
