import { Access, type Address, checkBits, Prot, VmError } from '../core/index.js';
import {
  AARCH64_PTE,
  AARCH64_PTE_HIGH,
  aarch64ContiguousBits,
  aarch64IsDevice,
  aarch64ReportedShareability,
} from '../pte/index.js';
import { AArch64FastWalk } from './aarch64-fast.js';
import { type AArch64Half, aarch64Half, bits, permissionBits } from './aarch64-half.js';
import type {
  AArch64Registers,
  AArch64RegisterWrite,
  AArch64WalkerOptions,
  AArch64WalkerSnapshot,
} from './aarch64-options.js';
import {
  AARCH64_RULES,
  type AArch64Rule,
  MAY_EL0,
  NO_EL0_EXECUTE,
  NO_EL1_EXECUTE,
  PERMISSION,
  READ_ONLY,
  ROW_EL0,
  ROW_EPAN,
  ROW_PAN,
  ROW_WXN,
  rowOf,
} from './aarch64-rules.js';
import type { AArch64Stage2 } from './aarch64-stage2.js';
import type { LeafAttributes } from './report.js';
import { LOCAL, ROOT_RIGHTS } from './walker.js';

const { NG } = AARCH64_PTE;
const { Contiguous } = AARCH64_PTE_HIGH;

/** SCTLR_EL1 with the MMU on: the RES1 bits of Armv8.0, I, C and M. */
const SCTLR_ON = 0x30d0_1805n;

/** The accesses of the EL1&0 regime. */
const ACCESS_BITS = 3 | Access.User | Access.Unprivileged | Access.ReadModifyWrite;

/** In inherited rights: EL0 may execute. Beside `Prot` and {@link LOCAL}. */
const EL0_EXECUTE = 32;
/** In inherited rights: EL1 may execute. */
const EL1_EXECUTE = 64;

/** Stage 1 off makes Device-nGnRnE of everything; HCR.DC write-back memory (D8.2.10). */
const OFF_ATTRIBUTES = 0x00;
const DEFAULT_CACHEABLE = 0xff;

/** The registers by name. */
type Registers = Readonly<Record<'tcr' | 'ttbr0' | 'ttbr1' | 'sctlr' | 'mair' | 'hcr', bigint>>;

/** By access: its row; 64 for what is no access of EL1&0. */
const ROWS: Int32Array = /* @__PURE__ */ Int32Array.from({ length: 128 }, (_, access) =>
  isStage1Access(access) ? rowOf(access) : 64,
);

/** A fetch is neither half of a read-modify-write nor made by LDTR; LDTR is EL1's. */
function isStage1Access(access: number): boolean {
  const unprivileged = (access & Access.Unprivileged) !== 0;
  return (
    (access & ~ACCESS_BITS) === 0 &&
    (rowOf(access) & 3) !== 3 &&
    !(unprivileged && ((access & Access.User) !== 0 || (access & 3) === Access.Fetch))
  );
}

/**
 * The registers of stage 1 of the EL1&0 regime, and what its entries mean.
 *
 * @public
 */
export abstract class AArch64Stage1 extends AArch64FastWalk {
  protected readonly stage2: AArch64Stage2 | null;
  protected registers: Registers;
  protected half: AArch64Half;
  protected readonly permissions: Uint8Array = PERMISSION;
  protected readonly cleanFlip: number = 0;
  protected readonly rows: Int32Array = ROWS;
  /** What an AT instruction without P does to PAN. */
  protected ignoresPan = false;
  private guarded: boolean;

  /** @internal */
  protected constructor(options: AArch64WalkerOptions) {
    const { features = {}, secondStage = null } = options;
    super(options.memory, AARCH64_RULES.off, secondStage, features, 2);
    this.stage2 = secondStage;
    this.guarded = options.pan ?? false;
    const { hcr = 0n, mair = 0n, sctlr = SCTLR_ON, tcr = 0n, ttbr0 = 0n, ttbr1 = 0n } = options;
    this.registers = checkRegisters({ tcr, ttbr0, ttbr1, sctlr, mair, hcr });
    this.half = aarch64Half(0, this.registers.tcr, this.registers.ttbr0, this.features);
    this.applyRegisters();
  }

  /**
   * The registers and features; `AArch64Walker.restore` makes the same walker of them, over a memory that you give.
   *
   * @returns Plain data, versioned.
   */
  snapshot(): AArch64WalkerSnapshot {
    const hex = (value: bigint): string => `0x${value.toString(16)}`;
    const { features, pan, stage2 } = this;
    const { hcr, mair, sctlr, tcr, ttbr0, ttbr1 } = this.registers;
    const tables = { tcr: hex(tcr), ttbr0: hex(ttbr0), ttbr1: hex(ttbr1) };
    const controls = { sctlr: hex(sctlr), mair: hex(mair), hcr: hex(hcr) };
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

  /** HCR_EL2; stage 1 reads DC of it. */
  get hcr(): bigint {
    return this.registers.hcr;
  }

  /** PSTATE.PAN: EL1 may not access data that EL0 may access. Takes effect at once. */
  get pan(): boolean {
    return this.guarded;
  }

  set pan(value: boolean) {
    this.guarded = value;
    this.row = value ? this.row | ROW_PAN : this.row & ~ROW_PAN;
  }

  /** The ASID of the current address space: TTBR1's with TCR.A1, else TTBR0's; 8 bits unless TCR.AS. */
  get asid(): number {
    const { tcr, ttbr0, ttbr1 } = this.registers;
    const ttbr = bits(tcr, 22, 22) === 1 ? ttbr1 : ttbr0;
    return bits(ttbr, bits(tcr, 36, 36) === 1 ? 63 : 55, 48);
  }

  /**
   * Writes registers, several at once if you like. Reserved bits are kept and ignored.
   *
   * @param values - The registers to change, by name.
   * @returns That they are written, and that nothing is invalidated by that.
   * @throws `VmError` `out-of-range` for a value that is no 64-bit pattern, `unsupported` for SCTLR.EE (big-endian); then
   * nothing is written.
   */
  setRegisters(values: Partial<AArch64Registers>): AArch64RegisterWrite {
    this.registers = checkRegisters({ ...this.registers, ...values });
    this.applyRegisters();
    return { kind: 'written', invalidates: 'none' };
  }

  private applyRegisters(): void {
    const { features } = this;
    const { hcr, sctlr, tcr, ttbr0, ttbr1 } = this.registers;
    const on = bits(sctlr, 0, 0) === 1 && bits(hcr, 12, 12) === 0;
    const row =
      (features.pan3 && bits(sctlr, 57, 57) === 1 ? ROW_EPAN : 0) |
      (bits(sctlr, 19, 19) === 1 ? ROW_WXN : 0) |
      (this.guarded ? ROW_PAN : 0);
    const halves = [aarch64Half(0, tcr, ttbr0, features), aarch64Half(1, tcr, ttbr1, features)];
    const updates = { accessFlag: bits(tcr, 39, 39) === 1, dirty: bits(tcr, 40, 40) === 1 };
    this.apply(on, halves, row, updates);
  }

  protected override own(rule: AArch64Rule): AArch64Rule {
    return rule;
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
    if (!leaf) return tableRights(this.half.flat ? 0 : high);
    return leafRights(permissionBits(low, high, 0, this.keepsDirty), low);
  }

  override leafAttributes(
    low: number,
    high: number,
    level: number,
    _inherited: number,
  ): LeafAttributes {
    const { half } = this;
    if (level < 0) {
      const dc = (this.registers.hcr & 0x1000n) !== 0n;
      const attr = dc ? DEFAULT_CACHEABLE : OFF_ATTRIBUTES;
      return { pageBytes: 4096, global: false, aarch64: this.combined(attr, 0, false) };
    }
    const attr = Number((this.registers.mair >> BigInt(8 * ((low >>> 2) & 7))) & 0xffn);
    const sh = half.shareability < 0 ? (low >>> 8) & 3 : half.shareability;
    const groups = aarch64ContiguousBits(4096 * half.granuleFrames, level) > 0;
    const contiguous = groups && (high & Contiguous) !== 0;
    return {
      pageBytes: 4096 * half.format.levelPages[level]! * half.granuleFrames,
      global: (low & NG) === 0,
      aarch64: this.combined(attr, sh, contiguous),
    };
  }

  /** Attributes as PAR_EL1 reports them, combined with those of stage 2 where that took part. */
  private combined(
    attr: number,
    sh: number,
    contiguous: boolean,
  ): NonNullable<LeafAttributes['aarch64']> {
    const { stage2 } = this;
    if (stage2 === null || this.stage1Only) {
      return { attr, sh: aarch64ReportedShareability(attr, sh), contiguous };
    }
    return { ...stage2.combine(attr, aarch64IsDevice(attr) ? 2 : sh), contiguous };
  }

  protected override leafRights(): number {
    if (this.leafShift < 0) return ROOT_RIGHTS;
    const permission = permissionBits(
      this.leafLow,
      this.leafHigh,
      this.leafTables,
      this.keepsDirty,
    );
    return this.protOf(leafRights(permission, this.leafLow)) | (this.leafLow & NG ? LOCAL : 0);
  }

  /** Execution is EL0's on EL0's pages, else EL1's; WXN and EL0's right to write take it away (D8.4.2). */
  override protOf(rights: number): number {
    const writable = (rights & Prot.Write) !== 0;
    const user = (rights & Prot.User) !== 0;
    const allowed = (rights & (user ? EL0_EXECUTE : EL1_EXECUTE)) !== 0;
    const executable = allowed && !(writable && (this.row & ROW_WXN) !== 0);
    return (rights & 11) | (executable ? Prot.Execute : 0);
  }
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
  if (bits(checked.sctlr, 25, 25) === 1) {
    const expected = 'EE clear: big-endian tables are not supported';
    throw new VmError('unsupported', { argument: 'sctlr', value: checked.sctlr, expected });
  }
  return checked;
}

/** Permission bits as inherited rights. */
function leafRights(permission: number, low: number): number {
  const readOnly = (permission & READ_ONLY) !== 0;
  const user = (permission & MAY_EL0) !== 0;
  return (
    Prot.Read |
    (readOnly ? 0 : Prot.Write) |
    (user ? Prot.User : 0) |
    ((low & NG) !== 0 ? LOCAL : 0) |
    ((permission & NO_EL0_EXECUTE) !== 0 ? 0 : EL0_EXECUTE) |
    ((permission & NO_EL1_EXECUTE) !== 0 ? 0 : EL1_EXECUTE)
  );
}

/** What a table leaves of rights. */
function tableRights(high: number): number {
  const { APTable0, APTable1, PXNTable, UXNTable } = AARCH64_PTE_HIGH;
  return (
    Prot.Read |
    ((high & APTable1) !== 0 ? 0 : Prot.Write) |
    ((high & APTable0) !== 0 ? 0 : Prot.User) |
    LOCAL |
    ((high & UXNTable) !== 0 ? 0 : EL0_EXECUTE) |
    ((high & PXNTable) !== 0 ? 0 : EL1_EXECUTE)
  );
}
