import { Access, type Address, checkBits } from '../core/index.js';
import { BUS_ERROR } from '../memory/index.js';
import {
  AARCH64_PTE,
  AARCH64_PTE_HIGH,
  aarch64ContiguousBits,
  aarch64FaultStatus,
} from '../pte/index.js';
import { AArch64Fault } from './aarch64-fault.js';
import type { AArch64Half } from './aarch64-half.js';
import { ROW_EL0 } from './aarch64-permission.js';
import { AARCH64_RULES, type AArch64CommonRuleName, type AArch64Rule } from './aarch64-rules.js';
import { AArch64State } from './aarch64-state.js';
import { UPDATE_ATTEMPTS } from './entry-access.js';
import type { FaultEncoding } from './report.js';
import { LEAF, NO_LEAF, POINTER, SKIP } from './walker.js';

const { AF, AP2, SH } = AARCH64_PTE;
const { DBM, Contiguous } = AARCH64_PTE_HIGH;

/** An entry was no longer what had been read; beside frame numbers and faults. */
const CHANGED = Number.NEGATIVE_INFINITY;

/**
 * The complete form of the AArch64 walk of either stage: the manual's steps one by one, over memory of any kind, with the rule
 * that decides (Arm ARM DDI 0487, D8).
 *
 * @public
 */
export abstract class AArch64CompleteWalk extends AArch64State {
  override readonly fault: AArch64Fault = new AArch64Fault(AARCH64_RULES.invalid);

  /** Attribute bits of the tables of the last successful walk. */
  protected leafTables = 0;
  /** An AT instruction: it sets no dirty state. */
  protected translating = false;
  /** An AT S1 instruction: only the tables go through stage 2. */
  protected stage1Only = false;

  /** The rules of this stage. */
  protected abstract readonly rules: Readonly<Record<AArch64CommonRuleName, AArch64Rule>>;
  /** 0x80 when bit 7 set means writable (stage 2), 0 when it means read-only. */
  protected abstract readonly cleanFlip: number;

  /** The permission bits of a leaf, with what its tables take away. */
  protected abstract permissionOf(low: number, high: number, tables: number): number;

  /** An access as the second stage sees it. */
  protected abstract hostAccess(access: number): number;

  /** The row of an access: its kind, whose it is, and the state that counts for it. */
  protected abstract rowNow(access: number): number;

  protected override complete(
    vpn: number,
    access: number,
    offset: number,
    bytes: number,
    update: boolean,
  ): number {
    const { path } = this;
    const upper = Math.floor(vpn / 2 ** 43) & this.halfMask;
    const half = this.halves[upper]!;
    const row = this.rowNow(access);
    this.slot = upper;
    this.leafShift = NO_LEAF;
    this.leafLow = 0;
    this.leafHigh = 0;
    this.leafTables = 0;
    if (!this.on) return this.stageOff(half, vpn, access, offset, bytes, update);
    path.begin(half.format, half.format.levels - 1, half.root, half.rootByte);
    const refusal = this.halfRule(half, upper, vpn, row);
    if (refusal !== null) return this.stop(refusal, 3, vpn, access, offset);
    for (let attempt = 0; attempt < UPDATE_ATTEMPTS; attempt++) {
      if (attempt > 0) path.begin(half.format, half.format.levels - 1, half.root, half.rootByte);
      const result = this.descend(half, vpn, access, row, offset, bytes, update);
      if (result !== CHANGED) return result;
    }
    return this.stop(this.rules.contended, path.last, vpn, access, offset);
  }

  /**
   * The stage is off: the address, without a tag that is ignored, is the output (D8 The effects of disabling an address
   * translation stage).
   */
  private stageOff(
    half: AArch64Half,
    vpn: number,
    access: number,
    offset: number,
    bytes: number,
    update: boolean,
  ): number {
    this.path.begin(null, -1);
    const ignored = half.topByteIgnored[(access & 3) === Access.Fetch ? 1 : 0];
    const page = ignored ? vpn % 2 ** 44 : vpn;
    if (page >= 2 ** (this.features.physicalBits - 12)) {
      return this.stop(this.rules.offAddressSize, 3, vpn, access, offset);
    }
    this.rule = this.rules.off;
    return this.reach(page, vpn, access, offset, bytes, update);
  }

  /** Why a half translates nothing for an access, or `null`. */
  private halfRule(half: AArch64Half, upper: number, vpn: number, row: number): AArch64Rule | null {
    const ignored = half.topByteIgnored[(row & 3) === Access.Fetch ? 1 : 0];
    const width = ignored ? 2 ** 44 : 2 ** 52;
    const page = ignored ? vpn % 2 ** 44 : vpn;
    const inside = upper === 0 ? page < half.pages : page >= width - half.pages;
    if (!inside) return this.rules.outOfRange;
    // Stage 2 has no such halves.
    if (half.userDisabled && (row & ROW_EL0) !== 0) return AARCH64_RULES.userDisabled;
    return half.refusal;
  }

  private descend(
    half: AArch64Half,
    vpn: number,
    access: number,
    row: number,
    offset: number,
    bytes: number,
    update: boolean,
  ): number {
    const { memory, path } = this;
    const { format, granuleFrames } = half;
    let table = half.root;
    let byte = half.rootByte;
    let tables = 0;
    for (let level = format.levels - 1; ; level--) {
      const index = this.indexAt(vpn, level);
      if (this.locate(level, table, byte + 8 * index, update) < 0) {
        return this.refuseSecondStage(vpn, access, offset);
      }
      if (this.readEntry(level) === BUS_ERROR) {
        return this.stop(this.rules.tableMissing, level, vpn, access, offset);
      }
      const { low, high } = memory;
      path.enter(level, table, index, low, high);
      const kind = format.kindOf(low, high, level);
      if (kind === 'not-present') {
        return this.stop(this.rules.invalid, level, vpn, access, offset);
      }
      if (kind === 'leaf')
        return this.finish(vpn, access, row, offset, bytes, level, tables, update);
      table = format.tablePfn(low, high) * granuleFrames;
      byte = 0;
      if (table >= half.frameEnd) {
        return this.stop(this.rules.tableAddressSize, level, vpn, access, offset);
      }
      if (!half.flat) tables |= high;
    }
  }

  /** Output size, access flag, permission and hardware updates, once the leaf stands last in the path. */
  private finish(
    vpn: number,
    access: number,
    row: number,
    offset: number,
    bytes: number,
    level: number,
    tables: number,
    update: boolean,
  ): number {
    const { half, path } = this;
    const low = path.low[level]!;
    const high = path.high[level]!;
    // What counts is where a block begins, even if it reaches beyond the output size.
    const first = half.format.leafPfn(low, high, level) * half.granuleFrames;
    if (first >= half.frameEnd) {
      return this.stop(this.rules.leafAddressSize, level, vpn, access, offset);
    }
    if ((low & AF) === 0 && !this.setsAccessFlag) {
      return this.stop(this.rules.accessFlag, level, vpn, access, offset);
    }
    const permission = this.permissionOf(low, high, tables);
    const { rules, table } = this.permissions;
    const decisive = table[(row << 4) | permission]!;
    const refusal = decisive === 0 ? this.tableRule(access, low) : rules[decisive]!;
    if (refusal !== null) return this.stop(refusal, level, vpn, access, offset);
    const outcome = this.updateLeaf(level, row, update);
    if (outcome === 0) return CHANGED;
    if (outcome === REFUSED) return this.refuseSecondStage(vpn, access, offset);
    if (outcome < 0) return this.stop(this.rules.updateMissing, level, vpn, access, offset);
    this.rule = this.rules.translated;
    this.leafShift = half.format.indexShift[level]! - 12;
    this.leafLow = low;
    this.leafHigh = high;
    this.leafTables = tables;
    const pfn = this.frameFor(low, high, level, vpn);
    return this.reach(pfn, vpn, access, offset, bytes, update);
  }

  /** Why a stage 1 descriptor may not be read here although data may, or `null`: HCR.PTW, in stage 2. */
  protected tableRule(_access: number, _low: number): AArch64Rule | null {
    return null;
  }

  /**
   * Sets AF, and in a clean page that is written makes bit 7 say writable: clears AP[2], sets S2AP[1] (D8 The dirty state). An AT
   * instruction sets no dirty state.
   */
  private updateLeaf(level: number, row: number, update: boolean): number {
    const { path } = this;
    const low = path.low[level]!;
    const high = path.high[level]!;
    const written = (row & 3) === Access.Write && !this.translating;
    const managed = this.keepsDirty && written && (high & DBM) !== 0;
    const clean = managed ? (low ^ this.cleanFlip) & AP2 : 0;
    const set = (AF & ~low) | (clean & this.cleanFlip);
    const cleared = clean & ~this.cleanFlip;
    if ((set | cleared) === 0) return 1;
    if (this.mayUpdate(level, update) < 0) return REFUSED;
    if (update) {
      const outcome = this.setBits(level, set, AF, cleared);
      if (outcome !== 1) return outcome;
    }
    path.set[level] = set;
    path.cleared[level] = cleared;
    return 1;
  }

  /** What the output address leads to: memory, or stage 2. */
  private reach(
    pfn: number,
    vpn: number,
    access: number,
    offset: number,
    bytes: number,
    update: boolean,
  ): number {
    if (this.stage1Only) return pfn;
    const host = this.hostTarget(pfn, this.hostAccess(access), offset, bytes, update);
    return host < 0 ? this.refuseSecondStage(vpn, access, offset) : host;
  }

  /** Notes the refusal; `level` is the library's. The return value is the walk's. */
  protected stop(
    refusal: AArch64Rule,
    level: number,
    vpn: number,
    access: number,
    offset: number,
  ): number {
    const { fault, path } = this;
    const shown = Math.min(level, Math.max(path.first, 0));
    const result = this.refuse(refusal, shown, vpn, access, offset);
    fault.kind = refusal.fault;
    fault.aarch64Level = 3 - level;
    fault.fsc = aarch64FaultStatus(refusal.fault, fault.aarch64Level);
    fault.far = this.faultAddress(access);
    fault.el = this.takenAt(refusal);
    return result;
  }

  /** The exception level that takes an abort of this stage. */
  protected abstract takenAt(refusal: AArch64Rule): 1 | 2;

  protected override refuseSecondStage(vpn: number, access: number, offset: number): number {
    const { fault } = this;
    const result = super.refuseSecondStage(vpn, access, offset);
    const host = this.secondStage?.fault;
    if (host instanceof AArch64Fault) {
      fault.kind = host.kind;
      fault.aarch64Level = host.aarch64Level;
      fault.fsc = host.fsc;
    }
    fault.el = 2;
    fault.far = this.faultAddress(access);
    return result;
  }

  /** FAR: of a fetch the PC, otherwise the address. */
  private faultAddress(access: number): bigint {
    const { va } = this.fault;
    return (access & 3) === Access.Fetch ? this.branchTarget(va) : va;
  }

  /**
   * The PC after a branch: where the top byte is ignored for fetches, the branch strips it, whether stage 1
   * is on or off (D8 Address tagging).
   *
   * @param va - The address branched to.
   * @returns The address fetched from.
   * @throws `VmError` for what is no address.
   */
  branchTarget(va: Address): bigint {
    const pattern = checkBits('va', va);
    const half = this.halves[Number((pattern >> 55n) & 1n) & this.halfMask]!;
    return half.topByteIgnored[1] ? BigInt.asUintN(64, BigInt.asIntN(56, pattern)) : pattern;
  }

  override classify(low: number, high: number, level: number): number {
    const { format, frameEnd, granuleFrames } = this.half;
    const kind = format.kindOf(low, high, level);
    if (kind === 'not-present') return SKIP;
    if (kind === 'pointer') {
      return format.tablePfn(low, high) * granuleFrames < frameEnd ? POINTER : SKIP;
    }
    return format.leafPfn(low, high, level) * granuleFrames < frameEnd ? LEAF : SKIP;
  }

  override tableFrame(low: number, high: number): number {
    const { format, granuleFrames } = this.half;
    return format.tablePfn(low, high) * granuleFrames;
  }

  override frameFor(low: number, high: number, level: number, vpn: number): number {
    const { format, granuleFrames } = this.half;
    const pages = format.levelPages[level]! * granuleFrames;
    return format.leafPfn(low, high, level) * granuleFrames + (vpn % pages);
  }

  /** What a leaf of either stage maps. */
  protected shapeOf(
    high: number,
    level: number,
  ): { readonly pageBytes: number; readonly contiguous: boolean } {
    const { format, granuleFrames } = this.half;
    const granule = 4096 * granuleFrames;
    const groups = aarch64ContiguousBits(granule, level) > 0;
    const contiguous = groups && (high & Contiguous) !== 0;
    return { pageBytes: granule * format.levelPages[level]!, contiguous };
  }

  /** The shareability of a leaf of either stage. */
  protected shareabilityOf(low: number): number {
    const { shareability } = this.half;
    return shareability < 0 ? (low & SH) >>> 8 : shareability;
  }

  override attributeKey(low: number, high: number, level: number): number {
    return (level << 16) | (low & 0xffc) | (((high & Contiguous) !== 0 ? 1 : 0) << 12);
  }

  protected override faultEncoding(): FaultEncoding {
    const { aarch64Level: level, el, esr, far, fsc, hpfar, s1ptw, stage } = this.fault;
    return { aarch64: { fsc, level, el, esr, far, hpfar, stage, s1ptw } };
  }
}

/** The second stage refused an update; beside 1, 0 and BUS_ERROR. */
const REFUSED = -3;
