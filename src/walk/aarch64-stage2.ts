import {
  Access,
  type Address,
  bigintFromHex,
  checkBits,
  checkVersion,
  Prot,
  type VmObserver,
} from '../core/index.js';
import type { PhysicalMemory } from '../memory/index.js';
import {
  AARCH64_PTE_HIGH,
  aarch64CombineAttributes,
  aarch64CombineShareability,
  aarch64ContiguousBits,
  aarch64IsDevice,
  aarch64ReportedShareability,
} from '../pte/index.js';
import { AArch64FastWalk } from './aarch64-fast.js';
import { type AArch64Half, aarch64Stage2Half, bits } from './aarch64-half.js';
import type { AArch64Features, AArch64RegisterWrite } from './aarch64-options.js';
import {
  AARCH64_STAGE2_RULES,
  type AArch64Rule,
  ROW_ATOMIC,
  rowOf,
  STAGE2_PERMISSION,
  STAGE2_RULE_OF,
} from './aarch64-rules.js';
import type { LeafAttributes } from './report.js';
import type { SecondStage } from './second-stage.js';
import { inPage, isPageNumber, LOCAL, ROOT_RIGHTS } from './walker.js';

const { Contiguous, DBM } = AARCH64_PTE_HIGH;

/** The accesses of stage 1: whose they are matters to execution alone. */
const ACCESS_BITS = 3 | Access.User | Access.ReadModifyWrite | Access.ImplicitSupervisor;

/** HCR_EL2 for a guest: RW and VM. */
const HCR_GUEST = 0x8000_0001n;

/** MemAttr of write-back memory, which stage 2 off counts as. */
const WRITE_BACK = 0b1111;
const NON_CACHEABLE = 0x44;

/** By access: its row; 64 for what is no access of stage 2. */
const ROWS: Int32Array = /* @__PURE__ */ Int32Array.from({ length: 128 }, (_, access) =>
  isStage2Access(access) ? stage2Row(access) : 64,
);

/** In stage 2 a read-modify-write needs both rights, which S2AP gives one by one. */
function stage2Row(access: number): number {
  return rowOf(access) | ((access & Access.ReadModifyWrite) !== 0 ? ROW_ATOMIC : 0);
}

/** A fetch is never half of a read-modify-write. */
function isStage2Access(access: number): boolean {
  return (access & ~ACCESS_BITS) === 0 && (rowOf(access) & 3) !== 3;
}

/**
 * What an {@link AArch64Stage2} is made from.
 *
 * @public
 */
export interface AArch64Stage2Options {
  /** The memory that holds the tables. */
  readonly memory: PhysicalMemory;
  /** VTCR_EL2. @defaultValue 0 */
  readonly vtcr?: Address;
  /** VTTBR_EL2. @defaultValue 0 */
  readonly vttbr?: Address;
  /** HCR_EL2: VM, PTW, CD and FWB matter. @defaultValue 0x80000001: RW and VM */
  readonly hcr?: Address;
  /** What the CPU has. @defaultValue everything */
  readonly features?: Partial<AArch64Features>;
  /** Receives the events of every walk. */
  readonly observer?: VmObserver;
}

/**
 * What {@link AArch64Stage2.snapshot} returns: registers as hexadecimal strings.
 *
 * @public
 */
export interface AArch64Stage2Snapshot {
  /** The version of this shape. */
  readonly v: 1;
  /** The tag. */
  readonly type: 'aarch64-stage2';
  /** VTCR_EL2. */
  readonly vtcr: string;
  /** VTTBR_EL2. */
  readonly vttbr: string;
  /** HCR_EL2. */
  readonly hcr: string;
  /** What the CPU has. */
  readonly features: AArch64Features;
}

/**
 * Stage 2 of an AArch64 guest: from intermediate to physical addresses (Arm ARM DDI 0487, D8). Pages are counted in
 * 4 KiB whatever the granule.
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

  protected half: AArch64Half;
  protected readonly permissions: Uint8Array = STAGE2_PERMISSION;
  protected readonly cleanFlip: number = 0x80;
  protected readonly rows: Int32Array = ROWS;
  private registers: Readonly<Record<'vtcr' | 'vttbr' | 'hcr', bigint>>;

  /** @param options - Memory, registers and features. */
  constructor(options: AArch64Stage2Options) {
    super(options.memory, AARCH64_STAGE2_RULES.off, null, options.features ?? {}, 1);
    const { hcr = HCR_GUEST, vtcr = 0n, vttbr = 0n } = options;
    this.registers = checkRegisters({ vtcr, vttbr, hcr });
    this.half = aarch64Stage2Half(this.registers.vtcr, this.registers.vttbr, this.features);
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
      features,
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
    return bits(this.vttbr, bits(this.vtcr, 19, 19) === 1 ? 63 : 55, 48);
  }

  /**
   * Writes registers, several at once if you like. Reserved bits are kept and ignored.
   *
   * @param values - The registers to change, by name.
   * @returns That they are written, and that nothing is invalidated by that.
   * @throws `VmError` `out-of-range` for a value that is no 64-bit pattern; then nothing is written.
   */
  setRegisters(
    values: Partial<Readonly<Record<'vtcr' | 'vttbr' | 'hcr', Address>>>,
  ): AArch64RegisterWrite {
    this.registers = checkRegisters({ ...this.registers, ...values });
    this.applyRegisters();
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
    const guarded = this.guardsTables && (access & Access.ImplicitSupervisor) !== 0;
    return guarded ? -1 : this.fastWalk(low, high, access);
  }

  /**
   * Memory attributes of stage 1 combined with those of the last translation of this stage.
   *
   * @param attr - Eight bits, as in MAIR_EL1.
   * @param sh - Shareability: 0 none, 2 outer, 3 inner.
   * @returns The same, as PAR_EL1 reports them.
   */
  combine(
    attr: number,
    sh: number,
  ): {
    /** Eight bits, as in PAR_EL1.ATTR. */
    readonly attr: number;
    /** Two bits, as in PAR_EL1.SH. */
    readonly sh: number;
  } {
    const translated = this.leafShift >= 0;
    const memAttr = translated ? (this.leafLow >>> 2) & 15 : WRITE_BACK;
    const forced = translated && bits(this.hcr, 46, 46) === 1;
    const combined = aarch64CombineAttributes(attr, memAttr, forced);
    // HCR.CD: what stage 2 makes of data is not cached.
    const cached = translated && bits(this.hcr, 32, 32) === 1 && !aarch64IsDevice(combined);
    const result = cached ? NON_CACHEABLE : combined;
    const own = this.half.shareability < 0 ? (this.leafLow >>> 8) & 3 : this.half.shareability;
    const both = translated ? aarch64CombineShareability(sh, own) : sh;
    return { attr: result, sh: aarch64ReportedShareability(result, both) };
  }

  /** HCR.PTW. */
  private guardsTables = false;

  private applyRegisters(): void {
    const { hcr, vtcr, vttbr } = this.registers;
    this.guardsTables = bits(hcr, 2, 2) === 1;
    const halves = [aarch64Stage2Half(vtcr, vttbr, this.features)];
    const updates = { accessFlag: bits(vtcr, 21, 21) === 1, dirty: bits(vtcr, 22, 22) === 1 };
    this.apply(bits(hcr, 0, 0) === 1, halves, 0, updates);
  }

  protected override own(rule: AArch64Rule): AArch64Rule {
    return STAGE2_RULE_OF.get(rule) ?? rule;
  }

  protected override rowNow(access: number): number {
    return stage2Row(access);
  }

  protected override permissionOf(low: number, high: number, _tables: number): number {
    const writable = this.keepsDirty && (high & DBM) !== 0 ? 2 : 0;
    return ((low >>> 6) & 3) | writable | (((high >>> 21) & 3) << 2);
  }

  /** HCR.PTW: stage 1 tables may not lie in what stage 2 makes Device (D24.2 HCR_EL2.PTW). */
  protected override refusesTable(access: number, low: number): boolean {
    if (!this.guardsTables || (access & Access.ImplicitSupervisor) === 0) return false;
    const forced = bits(this.hcr, 46, 46) === 1;
    return (low & (forced ? 0x10 : 0x30)) === 0;
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
      ((permission & 1) !== 0 ? Prot.Read : 0) |
      ((permission & 2) !== 0 ? Prot.Write : 0) |
      // Executable when it is at one exception level at least.
      (permission >>> 2 === 2 ? 0 : Prot.Execute) |
      Prot.User |
      LOCAL
    );
  }

  override leafAttributes(low: number, high: number, level: number): LeafAttributes {
    const { half } = this;
    if (level < 0) {
      return { pageBytes: 4096, global: false, aarch64: { attr: 0xff, sh: 0, contiguous: false } };
    }
    const forced = bits(this.hcr, 46, 46) === 1;
    const attr = aarch64CombineAttributes(0xff, (low >>> 2) & 15, forced);
    const sh = half.shareability < 0 ? (low >>> 8) & 3 : half.shareability;
    const groups = aarch64ContiguousBits(4096 * half.granuleFrames, level) > 0;
    return {
      pageBytes: 4096 * half.format.levelPages[level]! * half.granuleFrames,
      global: false,
      aarch64: {
        attr,
        sh: aarch64ReportedShareability(attr, sh),
        contiguous: groups && (high & Contiguous) !== 0,
      },
    };
  }

  protected override leafRights(): number {
    return this.leafShift < 0 ? ROOT_RIGHTS : this.entryProt(this.leafLow, this.leafHigh, true);
  }
}

function checkRegisters(
  values: Readonly<Record<'vtcr' | 'vttbr' | 'hcr', Address>>,
): Readonly<Record<'vtcr' | 'vttbr' | 'hcr', bigint>> {
  const { hcr, vtcr, vttbr } = values;
  return {
    vtcr: checkBits('vtcr', vtcr),
    vttbr: checkBits('vttbr', vttbr),
    hcr: checkBits('hcr', hcr),
  };
}
