import {
  Access,
  type Address,
  bigintFromHex,
  checkBits,
  checkVersion,
  highWord,
  lowWord,
  VmError,
} from '../core/index.js';
import { type PteFormat, sv32, sv39, sv48, sv57 } from '../pte/index.js';
import { isAccessOf } from './access-check.js';
import { Pmp } from './pmp.js';
import { RiscvCachedWalk } from './riscv-cached.js';
import { protFor } from './riscv-complete.js';
import type { RiscvGStage } from './riscv-g-stage.js';
import { LEAF_RULE, ROW_HLVX, ROW_MXR, ROW_SUM, rowOf } from './riscv-rules.js';
import type { RiscvStageOptions, RiscvStageSnapshot } from './riscv-state.js';
import type { WalkRule } from './rule.js';
import { checkRestoredStage, checkSecondStage, type SecondStageType } from './second-stage.js';
import { inPage, isPageNumber } from './walker.js';

/** The accesses that a hart makes for its own address space, and for a guest's. */
const ACCESS_BITS = 3 | Access.User | Access.ReadModifyWrite;

/**
 * What a {@link RiscvWalker} is made from.
 *
 * @public
 */
export interface RiscvWalkerOptions extends RiscvStageOptions {
  /** The satp register; vsatp under a second stage. @defaultValue 0, Bare */
  readonly satp?: Address;
  /**
   * The G stage of a guest: the walker is then that of VS-mode and VU-mode, `satp` is vsatp, SUM and MXR are
   * vsstatus's. It must be over the same memory.
   */
  readonly secondStage?: RiscvGStage;
}

/**
 * What {@link RiscvWalker.snapshot} returns.
 *
 * @public
 */
export interface RiscvWalkerSnapshot extends RiscvStageSnapshot {
  /** The tag. */
  readonly type: 'riscv-walker';
  /** satp, as a hexadecimal string. */
  readonly satp: string;
  /** mstatus.SUM. */
  readonly sum: boolean;
  /** mstatus.MXR. */
  readonly mxr: boolean;
  /** mstatus.MPRV. */
  readonly mprv: boolean;
  /** mstatus.MPP. */
  readonly mpp: 0 | 1 | 3;
  /** The second stage that the walker had, which `restore` must be given again. */
  readonly secondStage: SecondStageType | null;
}

/**
 * What a write of satp did.
 *
 * @public
 */
export interface SatpWrite {
  /** `ignored`: the mode is not one that the hart has, so the write has no effect (12.1.11 satp). */
  readonly kind: 'written' | 'ignored';
  /** What the write itself invalidates: nothing. Software orders it with SFENCE.VMA. */
  readonly invalidates: 'none';
}

/**
 * The page walk of a RISC-V hart: Sv32, Sv39, Sv48, Sv57 with Svnapot, Svpbmt, Svade/Svadu, Svrsw60t59b and PMP
 * (RISC-V Privileged, 12.3.2).
 *
 * The access says on whose behalf it is made: `Access.User`, nothing for S-mode, or `Access.Machine`. SUM, MXR, MPRV
 * and MPP are plain fields of the walker and take effect at once.
 *
 * Under a second stage `Access.User` is VU-mode and nothing VS-mode. HLV and HSV are loads and stores by what
 * hstatus.SPVP says, `Access.User` when it is 0; HLVX is `Access.Read | Access.Hlvx`. `Access.Machine` does not exist
 * there, and MPRV and MPP have no effect: an M-mode access with MPV=1 is made as VS or VU by the caller.
 *
 * @example
 * ```ts
 * import { Access } from 'pagewright/core';
 * import { PhysicalMemory } from 'pagewright/memory';
 * import { RiscvWalker } from 'pagewright/walk';
 *
 * const ram = new ArrayBuffer(0x4000);
 * const entries = new BigUint64Array(ram);
 * entries[0x0000 / 8 + 352] = 0x20000401n; // root: pointer to 0x80001000
 * entries[0x1000 / 8 + 1] = 0x200000cfn; // 2 MiB leaf at 0x80000000, R W X, A and D set
 *
 * const memory = PhysicalMemory.wrap(ram, { base: 0x8000_0000 });
 * const walker = new RiscvWalker({ memory, satp: (8n << 60n) | 0x80000n });
 * walker.walk(0xf_ffff_fd80_0201, Access.Read); // => 0x80001
 * walker.walk(0xf_ffff_fd80_0201, Access.Read | Access.User) < 0; // => true
 * walker.fault.cause; // => 13
 * walker.fault.reason; // => 'supervisor-page'
 * ```
 * @public
 */
export class RiscvWalker extends RiscvCachedWalk {
  /** Whether the fast path has the last word: no PMP and no second stage. */
  private readonly direct: boolean;

  /** @param options - Memory, registers and extensions. */
  constructor(options: RiscvWalkerOptions) {
    const { secondStage = null } = options;
    super(options, secondStage);
    checkSecondStage(secondStage, ['riscv-g-stage']);
    if (secondStage !== null && (secondStage.xlen !== this.xlen || this.pmp !== null)) {
      const expected = `a G stage of xlen ${this.xlen} that has the PMP, if there is one`;
      throw new VmError('bad-argument', { argument: 'secondStage', value: secondStage, expected });
    }
    this.checkExtensions(this.updates, this.memoryTypes);
    this.direct = this.pmp === null && secondStage === null;
    // A mode that the hart does not have leaves satp as it was: Bare.
    if (this.setSatp(options.satp ?? 0n).kind === 'ignored') this.setSatp(0n);
    this.observer = options.observer ?? null;
  }

  /**
   * The walker of a snapshot, with a {@link Pmp} of its own.
   *
   * @param snapshot - What `snapshot` returned.
   * @param options - The memory, a second stage if the saved walker had one, and an observer if you want one.
   * @returns A walker that answers as the saved one did.
   * @throws `VmError` `unsupported` for another version, `bad-image` for the snapshot of something else, `bad-argument` for
   * another kind of second stage than the saved walker's; otherwise as the constructor.
   */
  static restore(
    snapshot: RiscvWalkerSnapshot,
    options: Pick<RiscvWalkerOptions, 'memory' | 'observer' | 'secondStage'>,
  ): RiscvWalker {
    checkVersion(snapshot, 1, 'riscv-walker');
    const { satp, sum, mxr, mprv, mpp, pmp, secondStage, ...rest } = snapshot;
    checkRestoredStage(secondStage, options.secondStage);
    const walker = new RiscvWalker({
      ...rest,
      ...options,
      satp: bigintFromHex('snapshot.satp', satp),
      ...(pmp === null ? {} : { pmp: Pmp.restore(pmp) }),
    });
    return Object.assign(walker, { sum, mxr, mprv, mpp });
  }

  protected override twin(): RiscvWalker {
    const { memory, gStage } = this;
    const options = gStage === null ? { memory } : { memory, secondStage: gStage };
    return RiscvWalker.restore(this.snapshot(), options);
  }

  /**
   * The registers and extensions; `RiscvWalker.restore` makes the same walker of them, over a memory that you give.
   *
   * @returns Plain data, versioned.
   */
  snapshot(): RiscvWalkerSnapshot {
    const { gStage, sum, mxr, mprv, mpp } = this;
    const satp = `0x${this.rootRegister.toString(16)}`;
    const secondStage: SecondStageType | null = gStage === null ? null : gStage.stageType;
    const state = { satp, sum, mxr, mprv, mpp, secondStage };
    return { ...this.stageSnapshot(), type: 'riscv-walker', ...state };
  }

  /** The satp register. */
  get satp(): bigint {
    return this.rootRegister;
  }

  /** satp.ASID, of the address space that walks are made for. */
  get asid(): number {
    return this.xlen === 32
      ? Number((this.rootRegister >> 22n) & 0x1ffn)
      : Number((this.rootRegister >> 44n) & 0xffffn);
  }

  /** mstatus.SUM: S-mode may load from and store to user pages. */
  get sum(): boolean {
    return (this.row & ROW_SUM) !== 0;
  }

  set sum(value: boolean) {
    this.row = value ? this.row | ROW_SUM : this.row & ~ROW_SUM;
    this.leafRule = LEAF_RULE[this.row >>> 3]!;
    this.changed('rights');
  }

  /** mstatus.MXR: loads may read from executable pages. */
  get mxr(): boolean {
    return (this.row & ROW_MXR) !== 0;
  }

  set mxr(value: boolean) {
    this.row = value ? this.row | ROW_MXR : this.row & ~ROW_MXR;
    this.leafRule = LEAF_RULE[this.row >>> 3]!;
    this.changed('rights');
  }

  /** mstatus.MPRV: loads and stores made in M-mode take the privilege in `mpp`. */
  get mprv(): boolean {
    return this.lends;
  }

  set mprv(value: boolean) {
    this.lends = value;
    this.changed('rights');
  }

  /** mstatus.MPP: 0 user, 1 supervisor, 3 machine. Anything else is a `VmError`. */
  get mpp(): 0 | 1 | 3 {
    return this.previous;
  }

  set mpp(value: 0 | 1 | 3) {
    if (value !== 0 && value !== 1 && value !== 3) {
      throw new VmError('bad-argument', { argument: 'mpp', value, expected: '0, 1 or 3' });
    }
    this.previous = value;
    this.changed('rights');
  }

  /**
   * Writes satp (12.1.11). A mode that the hart does not have leaves everything as it was.
   *
   * @param value - The register: 32 or 64 bits.
   * @returns Whether it was written, and what the write invalidates.
   * @throws `VmError` `out-of-range` when the value is wider than the register.
   */
  setSatp(value: Address): SatpWrite {
    const pattern = checkBits('satp', value, this.xlen);
    const format = satpFormat(pattern, this.xlen);
    if (format === undefined) return { kind: 'ignored', invalidates: 'none' };
    const root = Number(pattern & (this.xlen === 32 ? 0x3fffffn : 0xfff_ffff_ffffn));
    this.setRoot(pattern, format, root);
    this.changed('none');
    return { kind: 'written', invalidates: 'none' };
  }

  override walk(vpn: number, access: number, offset = 0, bytes = 1): number {
    const pfn = isPageNumber(vpn) ? this.fastWalk(vpn | 0, (vpn * 2 ** -26) | 0, access, 0) : -1;
    return pfn >= 0 && this.direct && ((offset === 0 && bytes === 1) || inPage(offset, bytes))
      ? pfn
      : this.otherwise(pfn, vpn, access, offset, bytes, true);
  }

  override probe(vpn: number, access: number, offset = 0, bytes = 1): number {
    const pfn = isPageNumber(vpn) ? this.fastWalk(vpn | 0, (vpn * 2 ** -26) | 0, access, 0) : -1;
    return pfn >= 0 && this.direct && ((offset === 0 && bytes === 1) || inPage(offset, bytes))
      ? pfn
      : this.otherwise(pfn, vpn, access, offset, bytes, false);
  }

  /** What is left to do when the fast path did not end the walk, or somebody else has the last word. */
  private otherwise(
    pfn: number,
    vpn: number,
    access: number,
    offset: number,
    bytes: number,
    update: boolean,
  ): number {
    const { gStage, pmp } = this;
    if (pfn >= 0 && inPage(offset, bytes)) {
      if (gStage !== null) {
        // The stage's PBMTE may have changed.
        if (this.bindAgainIfStale())
          return this.checkAndComplete(vpn, access, offset, bytes, update);
        const host = gStage.fastFrame(pfn | 0, (pfn * 2 ** -26) | 0, access & ~Access.User);
        if (host >= 0) {
          this.guestPfn = pfn;
          return host;
        }
      } else if (pmp === null || this.permits(pmp, pfn, access, offset, bytes)) {
        return pfn;
      }
    }
    return this.checkAndComplete(vpn, access, offset, bytes, update);
  }

  /** The final check of the fast path: `false` also when the PMP changed since the window was found open to S-mode. */
  private permits(pmp: Pmp, pfn: number, access: number, offset: number, bytes: number): boolean {
    const kind = rowOf(access, 0);
    return pmp.version === this.pmpVersion && pmp.allows(pfn, offset, bytes, protFor(kind), false);
  }

  /** Bits of henvcfg are read-only 0 while those of menvcfg are 0 (21.2.5 henvcfg). */
  protected override checkExtensions(adue: boolean, pbmte: boolean): void {
    const { gStage } = this;
    if (gStage === null || (adue <= gStage.adue && pbmte <= gStage.pbmte)) return;
    const argument = adue > gStage.adue ? 'adue' : 'pbmte';
    const expected =
      "false where the second stage's is: henvcfg's is read-only 0 while menvcfg's is 0";
    throw new VmError('bad-argument', { argument, value: true, expected });
  }

  /** Addresses have XLEN bits. */
  protected get pages(): number {
    return this.xlen === 32 ? 2 ** 20 : 2 ** 52;
  }

  protected override privilegeOf(access: number, kind: number): number {
    if ((access & Access.Machine) === 0) return access & Access.User ? 0 : 1;
    return this.mprv && kind !== Access.Fetch ? this.mpp : 3;
  }

  protected override rowNow(access: number): number {
    // HS-level MXR makes executable pages readable in both stages (21.2.1 hstatus; 21.4.1 vsstatus).
    const host = this.gStage?.mxr === true ? ROW_MXR : 0;
    return (rowOf(access, 0) & ROW_HLVX) | this.row | host;
  }

  protected override own(rule: WalkRule): WalkRule {
    return rule;
  }

  protected override supportsAccess(access: number): boolean {
    const further = this.gStage === null ? Access.Machine : Access.Hlvx;
    const load = (rowOf(access, 0) & 3) === Access.Read;
    return isAccessOf(access, ACCESS_BITS | further) && ((access & Access.Hlvx) === 0 || load);
  }
}

/** The format of a satp value, `null` for Bare, `undefined` for a mode that does not exist at this XLEN. */
function satpFormat(satp: bigint, xlen: 32 | 64): PteFormat | null | undefined {
  if (xlen === 32) return lowWord(satp) < 0 ? sv32 : null;
  switch (highWord(satp) >>> 28) {
    case 0:
      return null;
    case 8:
      return sv39;
    case 9:
      return sv48;
    case 10:
      return sv57;
    default:
      return undefined;
  }
}
