import {
  Access,
  type Address,
  bigintFromHex,
  checkBits,
  checkVersion,
  Prot,
} from '../core/index.js';
import {
  AARCH64_PTE_HIGH,
  AARCH64_STAGE2_PTE,
  AARCH64_STAGE2_PTE_HIGH,
  aarch64CombineAttributes,
  aarch64CombineShareability,
  aarch64IsDevice,
  aarch64ReportedShareability,
  aarch64Uncached,
  vtcrRegister,
} from '../pte/index.js';
import { AArch64FastWalk } from './aarch64-fast.js';
import { checkRegisterNames, unfit } from './aarch64-features.js';
import { aarch64Stage2Half, fieldsOf } from './aarch64-half.js';
import { type AArch64HypervisorControls, hypervisorControls } from './aarch64-hypervisor.js';
import type { AArch64RegisterWrite } from './aarch64-options.js';
import {
  type AArch64Permissions,
  isStage2Access,
  NO_READ,
  STAGE2_PERMISSIONS,
  stage2RowOf,
  WRITABLE,
} from './aarch64-permission.js';
import type { AArch64Rule } from './aarch64-rules.js';
import type { AArch64Stage2Options, AArch64Stage2Snapshot } from './aarch64-stage2-options.js';
import { AARCH64_STAGE2_RULES, type AArch64Stage2RuleName } from './aarch64-stage2-rules.js';
import type { LeafAttributes } from './report.js';
import type { SecondStage } from './second-stage.js';
import { inPage, isPageNumber, LOCAL, ROOT_RIGHTS } from './walker.js';

const { DBM } = AARCH64_PTE_HIGH;
const { MemAttr, Read } = AARCH64_STAGE2_PTE;
const { XN } = AARCH64_STAGE2_PTE_HIGH;

/** HCR_EL2 for a guest: RW and VM. */
const HCR_GUEST = 0x8000_0001n;

/** Attributes and shareability as in PAR_EL1. */
const WRITE_BACK = 0xff;
const NON_SHAREABLE = 0;
const OUTER_SHAREABLE = 2;

const REGISTER_NAMES = ['vtcr', 'vttbr', 'hcr'] as const;

/** The registers by name, and what a caller may write. */
type Registers = Readonly<Record<(typeof REGISTER_NAMES)[number], bigint>>;
type RegisterValues = Readonly<Record<(typeof REGISTER_NAMES)[number], Address>>;

/**
 * Stage 2 of an AArch64 guest: from intermediate to physical addresses (Arm ARM DDI 0487, D8). Pages are counted in
 * 4 KiB whatever the granule.
 *
 * An access says for whom it is made as in stage 1; with `Access.ImplicitSupervisor` it reads, or as a write updates, a
 * stage 1 descriptor. Faults are stage 2's, to EL2.
 *
 * @example
 * ```ts
 * import { Access } from 'pagewright/core';
 * import { PhysicalMemory } from 'pagewright/memory';
 * import { AArch64Stage2, AArch64Walker } from 'pagewright/walk';
 *
 * const memory = PhysicalMemory.allocate(0x4000, { base: 0x4000_0000 });
 * memory.write(0x4000_0000, 8, 0x4000_07fdn); // stage 2, level 1: a 1 GiB block, read and write, AF
 * const secondStage = new AArch64Stage2({ memory, vtcr: 0x8005_0059n, vttbr: 0x4000_0000n });
 * secondStage.walk(0x1, Access.Read); // => 0x40001
 *
 * memory.write(0x4000_1000, 8, 0x40_0000_0020_0701n); // stage 1, level 1: a 1 GiB block at 0
 * const walker = new AArch64Walker({ memory, tcr: 25n | (2n << 32n), ttbr0: 0x1000n, secondStage });
 * walker.walk(0x2, Access.Read); // => 0x40002
 * walker.explain(0x2000, Access.Read).references; // => 3
 * ```
 * @public
 */
export class AArch64Stage2 extends AArch64FastWalk implements SecondStage {
  /** Which second stage it is. */
  readonly stageType = 'aarch64-stage2';
  /** The reading of a stage 1 descriptor. */
  readonly tableAccess: number = Access.Read | Access.ImplicitSupervisor;
  /** Its hardware update. */
  readonly updateAccess: number = Access.Write | Access.ImplicitSupervisor;

  protected readonly rules: Readonly<Record<AArch64Stage2RuleName, AArch64Rule>> =
    AARCH64_STAGE2_RULES;
  protected readonly permissions: AArch64Permissions = STAGE2_PERMISSIONS;
  protected readonly cleanFlip: number = 0x80;
  private registers: Registers;
  /** What HCR_EL2 says. @internal */
  controls: AArch64HypervisorControls;

  /** @param options - Memory, registers and features. */
  constructor(options: AArch64Stage2Options) {
    if (typeof options !== 'object' || options === null) {
      throw unfit('options', options, 'an object with a memory');
    }
    const { features = {}, hcr = HCR_GUEST, memory, vtcr = 0n, vttbr = 0n } = options;
    super(memory, AARCH64_STAGE2_RULES.off, null, features, 1);
    this.registers = checkRegisters({ vtcr, vttbr, hcr });
    this.controls = hypervisorControls(this.registers.hcr);
    this.applyRegisters();
    this.observer = options.observer ?? null;
  }

  /**
   * The stage of a snapshot.
   *
   * @param snapshot - What `snapshot` returned.
   * @param options - The memory, and an observer if you want one.
   * @returns A stage that answers as the saved one did.
   * @throws `VmError` `unsupported` for another version; otherwise as the constructor.
   */
  static restore(
    snapshot: AArch64Stage2Snapshot,
    options: Pick<AArch64Stage2Options, 'memory' | 'observer'>,
  ): AArch64Stage2 {
    checkVersion(snapshot, 1);
    const register = (name: 'vtcr' | 'vttbr' | 'hcr'): bigint =>
      bigintFromHex(`snapshot.${name}`, snapshot[name]);
    const registers = { vtcr: register('vtcr'), vttbr: register('vttbr'), hcr: register('hcr') };
    return new AArch64Stage2({ ...options, ...registers, features: snapshot.features });
  }

  protected override twin(): AArch64Stage2 {
    return AArch64Stage2.restore(this.snapshot(), { memory: this.memory });
  }

  /**
   * The registers and features; `AArch64Stage2.restore` makes the same stage of them, over a memory that you give.
   *
   * @returns Plain data, versioned.
   */
  snapshot(): AArch64Stage2Snapshot {
    const hex = (value: bigint): string => `0x${value.toString(16)}`;
    const { features, registers } = this;
    const { hcr, vtcr, vttbr } = registers;
    return {
      v: 1,
      type: 'aarch64-stage2',
      vtcr: hex(vtcr),
      vttbr: hex(vttbr),
      hcr: hex(hcr),
      features: { ...features },
    };
  }

  /** VTCR_EL2. */
  get vtcr(): bigint {
    return this.registers.vtcr;
  }

  /** VTTBR_EL2. */
  get vttbr(): bigint {
    return this.registers.vttbr;
  }

  /** HCR_EL2. */
  get hcr(): bigint {
    return this.registers.hcr;
  }

  /** The VMID, 8 bits unless VTCR.VS. */
  get vmid(): number {
    const wide = fieldsOf(vtcrRegister, this.vtcr)('VS') === 1;
    return Number(BigInt.asUintN(wide ? 16 : 8, this.vttbr >> 48n));
  }

  /**
   * Writes registers, several at once if you like. Reserved bits are kept and ignored.
   *
   * @param values - The registers to change, by name.
   * @returns That they are written, and that nothing is invalidated by that.
   * @throws `VmError` `bad-argument` for a name that is no register, `out-of-range` for a value that is no 64-bit pattern;
   * then nothing is written.
   */
  setRegisters(
    values: Partial<Readonly<Record<'vtcr' | 'vttbr' | 'hcr', Address>>>,
  ): AArch64RegisterWrite {
    checkRegisterNames(values, REGISTER_NAMES);
    this.registers = checkRegisters({ ...this.registers, ...values });
    this.applyRegisters();
    this.changed('none');
    return { kind: 'written', invalidates: 'none' };
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

  /** The fast path; with HCR.PTW none for tables, whose memory type matters then. @internal */
  fastFrame(low: number, high: number, access: number): number {
    const guarded = this.controls.protectsTables && (access & Access.ImplicitSupervisor) !== 0;
    return guarded ? -1 : this.fastWalk(low, high, access);
  }

  /** What follows is the access of an AT instruction. @internal */
  beginAt(): void {
    this.translating = true;
  }

  /** The AT instruction is done. @internal */
  finishAt(): void {
    this.translating = false;
  }

  /**
   * Memory attributes of stage 1 combined with those of the last translation of this stage.
   *
   * @param attr - Eight bits, as in MAIR_EL1: what stage 1 makes of memory for this access.
   * @param sh - Shareability: 0 none, 2 outer, 3 inner.
   * @param access - `Access` bits: fetches may see other memory than data. By default a read.
   * @returns The same, as PAR_EL1 reports them.
   */
  combine(
    attr: number,
    sh: number,
    access: number = Access.Read,
  ): {
    /** Eight bits, as in PAR_EL1.ATTR. */
    readonly attr: number;
    /** Two bits, as in PAR_EL1.SH. */
    readonly sh: number;
  } {
    return this.combineWith(this.leafLow, this.leafShift >= 0, attr, sh, access);
  }

  /** The same with a translation of this stage's: its low word, and whether there was any. @internal */
  combineWith(
    low: number,
    translated: boolean,
    attr: number,
    sh: number,
    access: number,
  ): { readonly attr: number; readonly sh: number } {
    if (!translated) return { attr, sh: aarch64ReportedShareability(attr, sh) };
    const type = this.combinedType(attr, low, access);
    // Device memory is outer shareable whatever its descriptor says.
    const first = aarch64IsDevice(attr) ? OUTER_SHAREABLE : sh;
    const both = aarch64CombineShareability(first, this.shareabilityOf(low));
    return { attr: type, sh: aarch64ReportedShareability(type, both) };
  }

  /** The memory type of stage 1 with that of a leaf of this stage. */
  private combinedType(attr: number, low: number, access: number): number {
    const { forced, uncachedData, uncachedFetches } = this.controls;
    const type = aarch64CombineAttributes(attr, (low & MemAttr) >>> 2, forced);
    const device = aarch64IsDevice(type);
    // HCR.ID is for fetches, to which Device memory that is not execute-never is Non-cacheable as well; CD is for data.
    const fetch = (access & 3) === Access.Fetch;
    const uncached = fetch ? device || uncachedFetches : !device && uncachedData;
    // What stage 2 alone makes Device has been of stage 1's sort of Normal memory.
    return uncached ? aarch64Uncached(device ? attr : type) : type;
  }

  private applyRegisters(): void {
    const { hcr, vtcr, vttbr } = this.registers;
    this.controls = hypervisorControls(hcr);
    const fields = fieldsOf(vtcrRegister, vtcr);
    const half = aarch64Stage2Half(fields, vttbr, this.features);
    this.apply([half], 0, { accessFlag: fields('HA') === 1, dirty: fields('HD') === 1 });
  }

  protected override get on(): boolean {
    return this.controls.stage2;
  }

  /** Faults of this stage are stage 2's, also when it is asked by itself. */
  protected override stop(
    refusal: AArch64Rule,
    level: number,
    vpn: number,
    access: number,
    offset: number,
  ): number {
    const result = super.stop(refusal, level, vpn, access, offset);
    const { fault } = this;
    const update = (access & 3) === Access.Write;
    fault.stage = 2;
    fault.purpose =
      (access & Access.ImplicitSupervisor) === 0
        ? 'access'
        : update
          ? 'table-update'
          : 'table-read';
    fault.guestPfn = vpn;
    fault.guestOffset = offset;
    return result;
  }

  protected override takenAt(): 2 {
    return 2;
  }

  protected override rowNow(access: number): number {
    return stage2RowOf(access);
  }

  protected override permissionOf(low: number, high: number, _tables: number): number {
    const writable = this.keepsDirty && (high & DBM) !== 0 ? WRITABLE : 0;
    return (((low ^ Read) >>> 6) & (NO_READ | WRITABLE)) | writable | ((high & XN) >>> 19);
  }

  /** HCR.PTW: stage 1 tables may not lie in what stage 2 makes Device. */
  protected override tableRule(access: number, low: number): AArch64Rule | null {
    const { forced, protectsTables } = this.controls;
    if (!protectsTables || (access & Access.ImplicitSupervisor) === 0) return null;
    const device = aarch64IsDevice(
      aarch64CombineAttributes(WRITE_BACK, (low & MemAttr) >>> 2, forced),
    );
    return device ? AARCH64_STAGE2_RULES.deviceTable : null;
  }

  protected override hostAccess(access: number): number {
    return access;
  }

  protected override supportsAccess(access: number): boolean {
    return isStage2Access(access);
  }

  override entryProt(low: number, high: number, leaf: boolean): number {
    if (!leaf) return ROOT_RIGHTS;
    const permission = this.permissionOf(low, high, 0);
    return (
      ((permission & NO_READ) === 0 ? Prot.Read : 0) |
      ((permission & WRITABLE) !== 0 ? Prot.Write : 0) |
      // Executable when it is at one exception level at least.
      (permission >>> 2 === 2 ? 0 : Prot.Execute) |
      Prot.User |
      LOCAL
    );
  }

  override leafAttributes(
    low: number,
    high: number,
    level: number,
    _inherited: number,
    access: number = Access.Read,
  ): LeafAttributes {
    if (level < 0) {
      const aarch64 = { attr: WRITE_BACK, sh: NON_SHAREABLE, contiguous: false };
      return { pageBytes: 4096, global: false, aarch64 };
    }
    // By itself, that is, over write-back memory of stage 1's.
    const attr = this.combinedType(WRITE_BACK, low, access);
    const { contiguous, pageBytes } = this.shapeOf(high, level);
    const sh = aarch64ReportedShareability(attr, this.shareabilityOf(low));
    const aarch64 = { attr, sh, contiguous };
    return { pageBytes, global: false, aarch64 };
  }

  protected override leafRights(): number {
    return this.leafShift < 0 ? ROOT_RIGHTS : this.entryProt(this.leafLow, this.leafHigh, true);
  }
}

function checkRegisters(values: RegisterValues): Registers {
  const { hcr, vtcr, vttbr } = values;
  return {
    vtcr: checkBits('vtcr', vtcr),
    vttbr: checkBits('vttbr', vttbr),
    hcr: checkBits('hcr', hcr),
  };
}
