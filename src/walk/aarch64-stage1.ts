import { Access, type Address, checkBits, VmError } from '../core/index.js';
import {
  AARCH64_PTE,
  AARCH64_PTE_HIGH,
  aarch64IsDevice,
  aarch64ReportedShareability,
  aarch64Uncached,
  sctlrRegister,
  tcrRegister,
} from '../pte/index.js';
import {
  AARCH64_DEMAND_TABLES,
  AARCH64_GRANTS,
  ALL_HOST,
  EL0,
  EVERY_ROW,
  hostGrants,
} from './aarch64-demands.js';
import { AArch64FastWalk } from './aarch64-fast.js';
import { checkRegisterNames, unfit } from './aarch64-features.js';
import { aarch64Half, fieldsOf } from './aarch64-half.js';
import { type AArch64HypervisorControls, hypervisorControls } from './aarch64-hypervisor.js';
import type {
  AArch64Registers,
  AArch64RegisterWrite,
  AArch64WalkerOptions,
  AArch64WalkerSnapshot,
} from './aarch64-options.js';
import {
  type AArch64Permissions,
  isStage1Access,
  permissionBits,
  ROW_EL0,
  ROW_EPAN,
  ROW_PAN,
  ROW_WXN,
  rowOf,
  STAGE1_PERMISSIONS,
  STATE_SHIFT,
} from './aarch64-permission.js';
import { grantedProt, leafGrants, tableGrants } from './aarch64-rights.js';
import { AARCH64_RULES, type AArch64Rule, type AArch64RuleName } from './aarch64-rules.js';
import type { AArch64Stage2 } from './aarch64-stage2.js';
import type { CacheContext, KeptLeaf } from './kept-leaf.js';
import type { LeafAttributes } from './report.js';
import { checkSecondStage } from './second-stage.js';
import { LOCAL, ROOT_RIGHTS } from './walker.js';

const { AP2, AttrIndx, NG } = AARCH64_PTE;
const { DBM } = AARCH64_PTE_HIGH;

/** SCTLR_EL1 with the MMU on: the RES1 bits of Armv8.0, I, C and M. */
const SCTLR_ON = 0x30d0_1805n;

/** Attributes as in MAIR_EL1. */
const DEVICE = 0x00;
const NON_CACHEABLE = 0x44;
const WRITE_THROUGH = 0xaa;
const WRITE_BACK = 0xff;

/** Shareability as in descriptors. */
const NON_SHAREABLE = 0;
const OUTER_SHAREABLE = 2;

/** NSTable aside, bits 63:59 of a table descriptor, in its upper word. */
const TABLE_ATTRIBUTES = 0x7800_0000;

/** Bits 51:44 of a page number, address bits 63:56, in bits 51:26 of it. */
const TAG_BITS = 0xff << 18;

const REGISTER_NAMES = ['tcr', 'ttbr0', 'ttbr1', 'sctlr', 'mair', 'hcr'] as const;

/** The registers by name. */
type Registers = Readonly<Record<(typeof REGISTER_NAMES)[number], bigint>>;

/**
 * The registers of stage 1 of the EL1&0 regime, and what its entries mean.
 *
 * @public
 */
export abstract class AArch64Stage1 extends AArch64FastWalk {
  protected readonly stage2: AArch64Stage2 | null;
  protected registers: Registers;
  protected readonly rules: Readonly<Record<AArch64RuleName, AArch64Rule>> = AARCH64_RULES;
  protected readonly permissions: AArch64Permissions = STAGE1_PERMISSIONS;
  protected readonly cleanFlip: number = 0;
  /** What an AT instruction without P does to PAN. */
  protected ignoresPan = false;
  private guarded: boolean;
  /** Of the last access that went through stage 2: the leaf's low word there, and whether there was one. */
  private hostLow = 0;
  private hostTranslated = false;
  /** SCTLR.M. */
  private enabled = false;
  /** SCTLR.C: data may be cached. */
  private cachesData = false;
  /** SCTLR.I: fetches may be. */
  private cachesFetches = false;
  /** HCR_EL2 of a walker without a second stage. */
  private ownControls: AArch64HypervisorControls;

  /** @internal */
  protected constructor(options: AArch64WalkerOptions) {
    const { features = {}, memory, pan = false, secondStage = null } = checkOptions(options);
    super(memory, AARCH64_RULES.off, secondStage, features, 2);
    this.stage2 = secondStage;
    this.guarded = checkPan(pan);
    const { mair = 0n, sctlr = SCTLR_ON, tcr = 0n, ttbr0 = 0n, ttbr1 = 0n } = options;
    const { hcr = secondStage === null ? 0n : secondStage.hcr } = options;
    this.registers = checkRegisters({ tcr, ttbr0, ttbr1, sctlr, mair, hcr });
    this.ownControls = hypervisorControls(this.registers.hcr);
    this.applyRegisters(null);
  }

  /**
   * The registers and features; `AArch64Walker.restore` makes the same walker of them, over a memory that you give.
   *
   * @returns Plain data, versioned.
   */
  snapshot(): AArch64WalkerSnapshot {
    const hex = (value: bigint): string => `0x${value.toString(16)}`;
    const { hcr, pan, stage2 } = this;
    const { mair, sctlr, tcr, ttbr0, ttbr1 } = this.registers;
    const tables = { tcr: hex(tcr), ttbr0: hex(ttbr0), ttbr1: hex(ttbr1) };
    const controls = { sctlr: hex(sctlr), mair: hex(mair), hcr: hex(hcr) };
    const features = { ...this.features };
    const secondStage = stage2 === null ? null : stage2.stageType;
    return { v: 1, type: 'aarch64-walker', ...tables, ...controls, pan, features, secondStage };
  }

  /** TCR_EL1. */
  get tcr(): bigint {
    return this.registers.tcr;
  }

  /** TTBR0_EL1. */
  get ttbr0(): bigint {
    return this.registers.ttbr0;
  }

  /** TTBR1_EL1. */
  get ttbr1(): bigint {
    return this.registers.ttbr1;
  }

  /** SCTLR_EL1. */
  get sctlr(): bigint {
    return this.registers.sctlr;
  }

  /** MAIR_EL1. */
  get mair(): bigint {
    return this.registers.mair;
  }

  /** HCR_EL2: with a second stage, that stage's. */
  get hcr(): bigint {
    return this.stage2 === null ? this.registers.hcr : this.stage2.hcr;
  }

  /** PSTATE.PAN: EL1 may not access data that EL0 may access. Takes effect at once. */
  get pan(): boolean {
    return this.guarded;
  }

  set pan(value: boolean) {
    this.guarded = checkPan(value);
    this.setRow(value ? this.row | ROW_PAN : this.row & ~ROW_PAN);
    this.changed('rights');
  }

  /** The ASID of the current address space: TTBR1's with TCR.A1, else TTBR0's; 8 bits unless TCR.AS. */
  get asid(): number {
    const { tcr, ttbr0, ttbr1 } = this.registers;
    const field = fieldsOf(tcrRegister, tcr);
    const ttbr = field('A1') === 1 ? ttbr1 : ttbr0;
    return Number(BigInt.asUintN(field('AS') === 1 ? 16 : 8, ttbr >> 48n));
  }

  /**
   * Writes registers, several at once if you like. Reserved bits are kept and ignored. With a second stage, HCR_EL2 is
   * that stage's: it is written there.
   *
   * @param values - The registers to change, by name.
   * @returns That they are written, and that nothing is invalidated by that.
   * @throws `VmError` `bad-argument` for a name that is no register, `out-of-range` for a value that is no 64-bit pattern,
   * `unsupported` for SCTLR.EE (big-endian); then nothing is written.
   */
  setRegisters(values: Partial<AArch64Registers>): AArch64RegisterWrite {
    checkRegisterNames(values, REGISTER_NAMES);
    const before = this.registers;
    this.registers = checkRegisters({ ...before, hcr: this.hcr, ...values });
    this.applyRegisters(before);
    this.changed('none');
    return { kind: 'written', invalidates: 'none' };
  }

  /** Takes over what the registers say; `before` is what they said so far. */
  private applyRegisters(before: Registers | null): void {
    const { features, registers, stage2 } = this;
    const { hcr } = registers;
    if (stage2 === null) this.ownControls = hypervisorControls(hcr);
    else if (stage2.hcr !== hcr) stage2.setRegisters({ hcr });
    const sctlr = fieldsOf(sctlrRegister, registers.sctlr);
    this.enabled = sctlr('M') === 1;
    this.cachesData = sctlr('C') === 1;
    this.cachesFetches = sctlr('I') === 1;
    const row =
      (features.pan3 && sctlr('EPAN') === 1 ? ROW_EPAN : 0) |
      (sctlr('WXN') === 1 ? ROW_WXN : 0) |
      (this.guarded ? ROW_PAN : 0);
    const tcr = fieldsOf(tcrRegister, registers.tcr);
    // A context switch leaves the other half as it is.
    const known = before?.tcr === registers.tcr ? before : null;
    const [lower, upper] = this.halves;
    const { ttbr0, ttbr1 } = registers;
    const halves = [
      known?.ttbr0 === ttbr0 && lower ? lower : aarch64Half(0, tcr, ttbr0, features),
      known?.ttbr1 === ttbr1 && upper ? upper : aarch64Half(1, tcr, ttbr1, features),
    ];
    this.apply(halves, row, { accessFlag: tcr('HA') === 1, dirty: tcr('HD') === 1 });
  }

  /** What HCR_EL2 says now. */
  private get controls(): AArch64HypervisorControls {
    return this.stage2 === null ? this.ownControls : this.stage2.controls;
  }

  protected override get on(): boolean {
    return this.enabled && !this.controls.noStage1;
  }

  /** Every table of a nested walk comes this way, the root first. */
  protected override hostRelative(pfn: number): number {
    return this.on ? super.hostRelative(pfn) : -1;
  }

  protected override takenAt({ fault }: AArch64Rule): 1 | 2 {
    const { takesAll, takesExternalAborts } = this.controls;
    return takesAll || (takesExternalAborts && fault === 'ExternalAbortOnWalk') ? 2 : 1;
  }

  protected override rowNow(access: number): number {
    return rowOf(access) | (this.ignoresPan ? this.row & ~ROW_PAN : this.row);
  }

  protected override permissionOf(low: number, high: number, tables: number): number {
    return permissionBits(low, high, tables, this.keepsDirty);
  }

  /** An access as stage 2 sees it: an unprivileged one is EL0's. */
  protected override hostAccess(access: number): number {
    const el0 = (rowOf(access) & ROW_EL0) !== 0 ? Access.User : 0;
    return (access & (3 | Access.ReadModifyWrite)) | el0;
  }

  protected override supportsAccess(access: number): boolean {
    return isStage1Access(access);
  }

  override entryProt(low: number, high: number, leaf: boolean): number {
    if (!leaf) return tableGrants(this.half.flat ? 0 : high);
    return leafGrants(low, high, 0, this.keepsDirty);
  }

  override leafAttributes(
    low: number,
    high: number,
    level: number,
    _inherited: number,
    access?: number,
  ): LeafAttributes {
    const fetch = access !== undefined && (access & 3) === Access.Fetch;
    if (level < 0) {
      const { attr, sh } = this.attributesOff(fetch);
      const aarch64 = { ...this.reported(attr, sh, access), contiguous: false };
      return { pageBytes: 4096, global: false, aarch64 };
    }
    const index = (low & AttrIndx) >>> 2;
    const attr = Number((this.registers.mair >> BigInt(8 * index)) & 0xffn);
    const { contiguous, pageBytes } = this.shapeOf(high, level);
    const sh = this.shareabilityOf(low);
    const aarch64 = { ...this.reported(this.effectiveAttr(attr, fetch), sh, access), contiguous };
    return { pageBytes, global: (low & NG) === 0, aarch64 };
  }

  /** What stage 1 makes of memory while it is off (D8 The effects of disabling an address translation stage). */
  private attributesOff(fetch: boolean): { readonly attr: number; readonly sh: number } {
    if (this.controls.defaultCacheable) return { attr: WRITE_BACK, sh: NON_SHAREABLE };
    if (!fetch) return { attr: DEVICE, sh: OUTER_SHAREABLE };
    // Fetches: write-through, read-allocate, while SCTLR.I lets them be cached.
    const attr = this.cachesFetches ? WRITE_THROUGH : NON_CACHEABLE;
    return { attr, sh: OUTER_SHAREABLE };
  }

  /**
   * What SCTLR.C and I leave of the attributes of a descriptor. A fetch from Device memory that has not been made
   * execute-never is from Non-cacheable memory here; the manual also allows a permission fault.
   */
  private effectiveAttr(attr: number, fetch: boolean): number {
    const device = aarch64IsDevice(attr);
    const uncached = fetch ? device || !this.cachesFetches : !device && !this.cachesData;
    return uncached ? aarch64Uncached(attr) : attr;
  }

  /** Attributes as PAR_EL1 reports them: of an access, together with those of stage 2 where that took part. */
  private reported(
    attr: number,
    sh: number,
    access: number | undefined,
  ): { readonly attr: number; readonly sh: number } {
    const { stage2 } = this;
    if (stage2 === null || this.stage1Only || access === undefined) {
      return { attr, sh: aarch64ReportedShareability(attr, sh) };
    }
    return stage2.combineWith(this.hostLow, this.hostTranslated, attr, sh, access);
  }

  /** Remembers what stage 2 gave the access: an observer may ask it for something else before the answer is made. */
  protected keepHostLeaf(stage2: AArch64Stage2): void {
    this.hostLow = stage2.leafLow;
    this.hostTranslated = stage2.leafShift >= 0;
  }

  protected override leafRights(): number {
    if (this.leafShift < 0) return ROOT_RIGHTS;
    const { leafHigh, leafLow, leafTables } = this;
    const rights = this.protOf(leafGrants(leafLow, leafHigh, leafTables, this.keepsDirty));
    return rights | ((leafLow & NG) !== 0 ? LOCAL : 0);
  }

  override demandTable(): Int32Array {
    // A read-modify-write of EL1 demands of stage 1 what a store does.
    return AARCH64_DEMAND_TABLES[this.row >>> STATE_SHIFT]!;
  }

  override keepLeaf(leaf: KeptLeaf, access: number, _pfn: number): void {
    const { half, leafHigh, leafLow, leafShift, leafTables, secondStage } = this;
    const off = leafShift < 0;
    const clean = this.keepsDirty && (leafHigh & DBM) !== 0 && (leafLow & AP2) !== 0;
    const stored = (rowOf(access) & 3) === Access.Write;
    // The bits of memory: what DBM makes writable is told by bit 4, and by AP[2] once it is dirty.
    const low = clean && stored ? leafLow & ~AP2 : leafLow;
    const bits = permissionBits(low, leafHigh, half.flat ? 0 : leafTables, false);
    const own = off ? EVERY_ROW : AARCH64_GRANTS[bits | (clean && !stored ? 16 : 0)]!;
    const host = secondStage === null ? ALL_HOST : hostGrants(this.hostProt(access), access);
    leaf.order = this.keptOrder();
    leaf.global = !off && (leafLow & NG) === 0;
    leaf.memoryType = (leafLow & AttrIndx) >>> 2;
    leaf.grants = own | host | (this.isBarred() ? 0 : EL0);
  }

  override get walksBelow(): boolean {
    return this.secondStage === null && this.on;
  }

  override walkBelow(
    vpn: number,
    access: number,
    tablePfn: number,
    level: number,
    above: number,
  ): number {
    const high = (vpn * 2 ** -26) | 0;
    const half = this.fastHalfOf(high);
    const relative = tablePfn - (this.windowHigh * 2 ** 31 + this.windowLow);
    if (half.plain !== 1 || relative < 0 || relative >= this.frames) return -1;
    const { root, rootMask, rootWord, topShift } = half;
    half.topShift = 9 * (level - 1);
    half.root = relative | 0;
    half.rootWord = 0;
    half.rootMask = 511;
    const pfn = this.fastWalk(vpn | 0, high, access);
    half.topShift = topShift;
    half.root = root;
    half.rootWord = rootWord;
    half.rootMask = rootMask;
    this.leafTables |= above;
    return pfn;
  }

  /** APTable, UXNTable and PXNTable, unless the half ignores them. */
  override pointerRights(_low: number, high: number, above: number): number {
    return above | (this.half.flat ? 0 : high & TABLE_ATTRIBUTES);
  }

  override cacheVpn(vpn: number, access: number): number {
    const high = (vpn * 2 ** -26) | 0;
    const half = this.fastHalfOf(high);
    const outside = (access & 2) === 0 ? half.outsideData : half.outsideFetch;
    if ((outside & TAG_BITS) !== 0 || !this.on) return vpn;
    // Bits 51:44 are ignored; bit 43, address bit 55, says what they would be without a tag.
    const untagged = vpn % 2 ** 44;
    return untagged >= 2 ** 43 ? untagged + 0xff * 2 ** 44 : untagged;
  }

  override get tagsSpaces(): boolean {
    return true;
  }

  override get tagsMachines(): boolean {
    return true;
  }

  override cacheContext(): CacheContext {
    const { asid, stage2 } = this;
    const root = (stage2 === null ? 0 : 1) | (this.on ? 0 : 2);
    return { asid, vmid: stage2 === null ? 0 : stage2.vmid, root };
  }

  override protOf(rights: number): number {
    return grantedProt(rights, (this.row & ROW_WXN) !== 0);
  }
}

/** What JavaScript may pass instead. */
function checkOptions(options: AArch64WalkerOptions): AArch64WalkerOptions {
  if (typeof options !== 'object' || options === null) {
    throw unfit('options', options, 'an object with a memory');
  }
  checkSecondStage(options.secondStage ?? null, ['aarch64-stage2']);
  return options;
}

function checkPan(pan: boolean): boolean {
  if (typeof pan !== 'boolean') throw unfit('pan', pan, 'a boolean');
  return pan;
}

function checkRegisters(values: Readonly<Record<keyof Registers, Address>>): Registers {
  const { hcr, mair, sctlr, tcr, ttbr0, ttbr1 } = values;
  const checked = {
    tcr: checkBits('tcr', tcr),
    ttbr0: checkBits('ttbr0', ttbr0),
    ttbr1: checkBits('ttbr1', ttbr1),
    sctlr: checkBits('sctlr', sctlr),
    mair: checkBits('mair', mair),
    hcr: checkBits('hcr', hcr),
  };
  if (fieldsOf(sctlrRegister, checked.sctlr)('EE') === 1) {
    const expected = 'EE clear: big-endian tables are not supported';
    throw new VmError('unsupported', { argument: 'sctlr', value: checked.sctlr, expected });
  }
  return checked;
}
