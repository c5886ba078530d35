import {
  Access,
  type Address,
  bigintFromHex,
  checkBits,
  checkVersion,
  highWord,
  lowWord,
} from '../core/index.js';
import {
  type PteFormat,
  RISCV_PTE,
  riscvGuestPageFaultCause,
  sv32x4,
  sv39x4,
  sv48x4,
  sv57x4,
} from '../pte/index.js';
import { isAccessOf } from './access-check.js';
import { Pmp } from './pmp.js';
import type { FaultEncoding } from './report.js';
import { tableInstruction } from './riscv-complete.js';
import { RiscvFastWalk } from './riscv-fast.js';
import { G_LEAF_RULE, G_RULE_OF, RISCV_G_RULES, ROW_HLVX, ROW_MXR, rowOf } from './riscv-rules.js';
import type { RiscvStageOptions, RiscvStageSnapshot } from './riscv-state.js';
import type { SatpWrite } from './riscv-walker.js';
import type { WalkRule } from './rule.js';
import type { SecondStage } from './second-stage.js';
import { inPage, isPageNumber, LEAF, SKIP } from './walker.js';

/** The accesses of a guest: whose they are makes no difference here. */
const ACCESS_BITS =
  3 | Access.User | Access.ReadModifyWrite | Access.Hlvx | Access.ImplicitSupervisor;

/** The fields of hgatp: all but bits 30:29 of RV32, bits 59:58 of RV64. */
const HGATP32 = 0x9fff_ffffn;
const HGATP64 = 0xf3ff_ffff_ffff_ffffn;
/** MODE of RV64. */
const HGATP64_MODE = 0xf000_0000_0000_0000n;

/**
 * What a {@link RiscvGStage} is made from. ADUE and PBMTE are those of menvcfg.
 *
 * @public
 */
export interface RiscvGStageOptions extends RiscvStageOptions {
  /** The hgatp register. @defaultValue 0, Bare */
  readonly hgatp?: Address;
}

/**
 * What {@link RiscvGStage.snapshot} returns.
 *
 * @public
 */
export interface RiscvGStageSnapshot extends RiscvStageSnapshot {
  /** The tag. */
  readonly type: 'riscv-g-stage';
  /** hgatp, as a hexadecimal string. */
  readonly hgatp: string;
  /** sstatus.MXR of HS-mode. */
  readonly mxr: boolean;
}

/**
 * The G stage of the RISC-V hypervisor extension: from guest-physical to supervisor-physical addresses with Sv32x4,
 * Sv39x4, Sv48x4 or Sv57x4 (RISC-V Privileged, 21.5.1 Guest Physical Address Translation). Every access counts as a
 * user's. Its own faults are those of a guest without translation of its own, or of one whose table is accessed
 * (`ImplicitSupervisor`); a {@link RiscvWalker} that has it as `secondStage` gives them the cause of its access.
 *
 * @example
 * ```ts
 * import { Access } from 'pagewright/core';
 * import { PhysicalMemory } from 'pagewright/memory';
 * import { RiscvGStage, RiscvWalker } from 'pagewright/walk';
 *
 * const memory = PhysicalMemory.allocate(0x10000, { base: 0x8000_0000 });
 * memory.write(0x8000_0000, 8, 0x2000_00dfn); // Sv39x4 root: a 1 GiB leaf for guest-physical 0 ...
 * memory.write(0x8000_4010, 8, 0x1401n); // Sv39 root of the guest, at guest-physical 0x4000: pointer to 0x5000
 * memory.write(0x8000_5000, 8, 0xdfn); // a 2 MiB leaf at guest-physical 0
 *
 * const secondStage = new RiscvGStage({ memory, hgatp: (8n << 60n) | 0x80000n });
 * const walker = new RiscvWalker({ memory, satp: (8n << 60n) | 4n, secondStage });
 * walker.walk(0x80008, Access.Read | Access.User); // => 0x80008
 * walker.explain(0x8000_8000, Access.Read | Access.User).references; // => 5
 * ```
 * @public
 */
export class RiscvGStage extends RiscvFastWalk implements SecondStage {
  /** Which second stage it is. */
  readonly stageType = 'riscv-g-stage';
  /** The reading of a VS-stage entry is a load here, for which MXR means nothing. */
  readonly tableAccess: number = Access.Read | Access.ImplicitSupervisor;
  /** Its A/D update is a store. */
  readonly updateAccess: number = Access.Write | Access.ImplicitSupervisor;

  /** @param options - Memory, registers and extensions. */
  constructor(options: RiscvGStageOptions) {
    super(options, RISCV_G_RULES.bare, null);
    this.leafRule = G_LEAF_RULE[0]!;
    this.setHgatp(options.hgatp ?? 0n);
    this.observer = options.observer ?? null;
  }

  /**
   * The G stage of a snapshot, with a {@link Pmp} of its own.
   *
   * @param snapshot - What `snapshot` returned.
   * @param options - The memory, and an observer if you want one.
   * @returns A G stage that answers as the saved one did.
   * @throws `VmError` `unsupported` for another version, `bad-image` for the snapshot of something else; otherwise as the
   * constructor.
   */
  static restore(
    snapshot: RiscvGStageSnapshot,
    options: Pick<RiscvGStageOptions, 'memory' | 'observer'>,
  ): RiscvGStage {
    checkVersion(snapshot, 1, 'riscv-g-stage');
    const { hgatp, mxr, pmp, ...rest } = snapshot;
    const stage = new RiscvGStage({
      ...rest,
      ...options,
      hgatp: bigintFromHex('snapshot.hgatp', hgatp),
      ...(pmp === null ? {} : { pmp: Pmp.restore(pmp) }),
    });
    stage.mxr = mxr;
    return stage;
  }

  protected override twin(): RiscvGStage {
    return RiscvGStage.restore(this.snapshot(), { memory: this.memory });
  }

  /**
   * The registers and extensions; `RiscvGStage.restore` makes the same G stage of them, over a memory that you give.
   *
   * @returns Plain data, versioned.
   */
  snapshot(): RiscvGStageSnapshot {
    const hgatp = `0x${this.rootRegister.toString(16)}`;
    return { ...this.stageSnapshot(), type: 'riscv-g-stage', hgatp, mxr: this.mxr };
  }

  /** The hgatp register. */
  get hgatp(): bigint {
    return this.rootRegister;
  }

  /** hgatp.VMID, of the guest that walks are made for. */
  get vmid(): number {
    return this.xlen === 32
      ? Number((this.rootRegister >> 22n) & 0x7fn)
      : Number((this.rootRegister >> 44n) & 0x3fffn);
  }

  /** sstatus.MXR of HS-mode: loads may read from executable pages, in the guest's stage too. */
  get mxr(): boolean {
    return (this.row & ROW_MXR) !== 0;
  }

  set mxr(value: boolean) {
    this.row = value ? ROW_MXR : 0;
    this.leafRule = G_LEAF_RULE[value ? 1 : 0]!;
    this.changed('rights');
  }

  /**
   * Writes hgatp (21.2.10). Unlike satp, a mode that the hart does not have is not written, and the other fields are: they
   * are WARL one by one. Reserved bits are read-only 0, and so are the two low bits of the PPN while a mode is selected:
   * the root is 16 KiB.
   *
   * @param value - The register: 32 or 64 bits.
   * @returns That it was written, and what the write invalidates: nothing; software orders it with HFENCE.GVMA.
   * @throws `VmError` `out-of-range` when the value is wider than the register.
   */
  setHgatp(value: Address): SatpWrite {
    const { xlen } = this;
    const pattern = checkBits('hgatp', value, xlen) & (xlen === 32 ? HGATP32 : HGATP64);
    const asked = hgatpFormat(pattern, xlen);
    const format = asked === undefined ? this.current : asked;
    const mode = asked === undefined ? this.hgatp & HGATP64_MODE : pattern & HGATP64_MODE;
    const fields = xlen === 32 ? pattern : (pattern & ~HGATP64_MODE) | mode;
    const written = format === null ? fields : fields & ~3n;
    const root = Number(written & (xlen === 32 ? 0x3fffffn : 0xfff_ffff_ffffn));
    this.setRoot(written, format, root);
    this.changed('none');
    return { kind: 'written', invalidates: 'none' };
  }

  override walk(vpn: number, access: number, offset = 0, bytes = 1): number {
    const pfn = this.frameOf(vpn, access, offset, bytes);
    return pfn >= 0 ? pfn : this.checkAndComplete(vpn, access, offset, bytes, true);
  }

  override probe(vpn: number, access: number, offset = 0, bytes = 1): number {
    const pfn = this.frameOf(vpn, access, offset, bytes);
    return pfn >= 0 ? pfn : this.checkAndComplete(vpn, access, offset, bytes, false);
  }

  /** The answer of the fast path to a walk by itself, or -1. */
  private frameOf(vpn: number, access: number, offset: number, bytes: number): number {
    if (!isPageNumber(vpn) || !inPage(offset, bytes)) return -1;
    return this.fastFrame(vpn | 0, (vpn * 2 ** -26) | 0, access);
  }

  /** The fast path, under a PMP none. The root's two further index bits choose one of its four pages. @internal */
  fastFrame(low: number, high: number, access: number): number {
    const { rootRelative, wide } = this;
    if (this.pmp !== null || rootRelative < 0 || rootRelative + 3 >= this.frames) return -1;
    if (wide === 0) {
      return high !== 0 || low >>> 22 !== 0
        ? -1
        : this.fastWalk(low & 0xfffff, 0, access, low >>> 20);
    }
    const shift = this.topShift - 17;
    return high >>> shift > 3 ? -1 : this.fastWalk(low, high, access, (high >>> shift) & 3);
  }

  /** Guest-physical addresses have 34 bits in RV32. */
  protected get pages(): number {
    return this.xlen === 32 ? 2 ** 22 : 2 ** 52;
  }

  protected override privilegeOf(): number {
    return 0;
  }

  protected override rowNow(access: number): number {
    const implicit = (access & Access.ImplicitSupervisor) !== 0;
    return (rowOf(access, 0) & ROW_HLVX) | (implicit ? 0 : this.row);
  }

  protected override own(rule: WalkRule): WalkRule {
    return G_RULE_OF.get(rule) ?? rule;
  }

  protected override pageFaultCause(access: number): number {
    return riscvGuestPageFaultCause(access);
  }

  protected override raise(
    cause: number,
    rule: WalkRule,
    level: number,
    vpn: number,
    access: number,
    offset: number,
  ): number {
    const { fault } = this;
    const result = super.raise(cause, rule, level, vpn, access, offset);
    fault.gva = true;
    fault.guestPfn = vpn;
    fault.guestOffset = offset;
    if (cause >= 20 && (access & Access.ImplicitSupervisor) !== 0) {
      const write = (rowOf(access, 0) & 3) === Access.Write;
      fault.tinst = tableInstruction(this.xlen, write ? 'table-update' : 'table-read');
    }
    return result;
  }

  protected override faultEncoding(va: bigint): FaultEncoding {
    const { cause, gva, htval, tinst } = this.fault;
    return { riscv: { cause, tval: va, htval, tinst, gva } };
  }

  /** A leaf with U=0 is of no use to any access. */
  override classify(low: number, high: number, level: number): number {
    const kind = super.classify(low, high, level);
    return kind === LEAF && (low & RISCV_PTE.U) === 0 ? SKIP : kind;
  }

  protected override supportsAccess(access: number): boolean {
    const load = (rowOf(access, 0) & 3) === Access.Read;
    return isAccessOf(access, ACCESS_BITS) && ((access & Access.Hlvx) === 0 || load);
  }
}

/** The format of a hgatp value, `null` for Bare, `undefined` for a mode that does not exist at this XLEN. */
function hgatpFormat(hgatp: bigint, xlen: 32 | 64): PteFormat | null | undefined {
  if (xlen === 32) return lowWord(hgatp) < 0 ? sv32x4 : null;
  switch (highWord(hgatp) >>> 28) {
    case 0:
      return null;
    case 8:
      return sv39x4;
    case 9:
      return sv48x4;
    case 10:
      return sv57x4;
    default:
      return undefined;
  }
}
