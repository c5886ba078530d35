import {
  type Address,
  checkBits,
  highWord,
  lowWord,
  Prot,
  VmError,
  type VmObserver,
} from '../core/index.js';
import type { PhysicalMemory } from '../memory/index.js';
import { type PteFormat, RISCV_PTE_HIGH, sv32, sv39, sv48, sv57 } from '../pte/index.js';
import { Pmp, type PmpSnapshot } from './pmp.js';
import { LEAF_RULE, RISCV_RULES, ROW_MXR, ROW_SUM } from './riscv-rules.js';
import { RadixWalker } from './walker.js';

const { N, PBMT, RSW60T59, RESERVED } = RISCV_PTE_HIGH;

/**
 * What a {@link RiscvWalker} is made from.
 *
 * @public
 */
export interface RiscvWalkerOptions {
  /** The memory that holds the tables. */
  readonly memory: PhysicalMemory;
  /** Register width of the hart. @defaultValue 64 */
  readonly xlen?: 32 | 64;
  /** The satp register. @defaultValue 0, Bare */
  readonly satp?: Address;
  /**
   * menvcfg.ADUE: hardware updates A and D (Svadu); when clear, an update that is due faults (Svade).
   * @defaultValue false, the reset value
   */
  readonly adue?: boolean;
  /** menvcfg.PBMTE: PBMT bits are defined (Svpbmt). @defaultValue false, the reset value */
  readonly pbmte?: boolean;
  /** The hart has Svnapot. @defaultValue true */
  readonly svnapot?: boolean;
  /** The hart has Svrsw60t59b: bits 60:59 belong to software. @defaultValue false */
  readonly svrsw60t59b?: boolean;
  /** Physical memory protection; without it everything is allowed. */
  readonly pmp?: Pmp;
  /** Receives the events of every walk. */
  readonly observer?: VmObserver;
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
 * What {@link RiscvState.snapshot} returns.
 *
 * @public
 */
export interface RiscvWalkerSnapshot {
  /** The version of this shape. */
  readonly v: 1;
  /** The tag. */
  readonly type: 'riscv-walker';
  /** Register width. */
  readonly xlen: 32 | 64;
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
  /** menvcfg.ADUE. */
  readonly adue: boolean;
  /** menvcfg.PBMTE. */
  readonly pbmte: boolean;
  /** The hart has Svnapot. */
  readonly svnapot: boolean;
  /** The hart has Svrsw60t59b. */
  readonly svrsw60t59b: boolean;
  /** Physical memory protection, or `null`. */
  readonly pmp: PmpSnapshot | null;
}

/**
 * The registers that rule a RISC-V page walk, and what writing them does: the part of a {@link RiscvWalker} that changes
 * seldom. Everything the walk needs of them is derived here once, into flat fields.
 *
 * @public
 */
export abstract class RiscvState extends RadixWalker {
  /** Register width of the hart. */
  readonly xlen: 32 | 64;
  /** Physical memory protection, or `null`. */
  readonly pmp: Pmp | null;

  /** mstatus.MPRV: loads and stores made in M-mode take the privilege in `mpp`. */
  mprv = false;
  private previous: 0 | 1 | 3 = 0;

  protected current: PteFormat | null = null;
  protected satpValue = 0n;
  /** SUM and MXR as row bits of LEAF_RULE. */
  protected row = 0;
  protected updates: boolean;
  protected memoryTypes: boolean;
  protected readonly svnapot: boolean;
  protected readonly svrsw60t59b: boolean;

  protected root = 0;
  protected rootRelative = -1;
  /** Bits 63:54 that must be 0 in a leaf, PBMT and N included when not enabled. */
  protected leafReserved = 0;
  /** Bits 63:54 that must be 0 in a pointer. */
  protected pointerReserved = 0;
  /** {@link LEAF_RULE} of the present SUM and MXR. */
  protected leafRule: Uint8Array = LEAF_RULE[0]!;
  /** The fast path follows a pointer whose upper word has just the wanted of these bits. */
  protected pointerHigh = 0;
  protected pointerWanted = 0;
  protected pmpVersion = -1;

  /** @internal */
  protected constructor(options: RiscvWalkerOptions) {
    super(options.memory, RISCV_RULES.bare);
    const { xlen = 64 } = options;
    if (xlen !== 32 && xlen !== 64) {
      throw new VmError('bad-argument', { argument: 'xlen', value: xlen, expected: '32 or 64' });
    }
    this.xlen = xlen;
    this.pmp = options.pmp ?? null;
    if (this.pmp !== null && (!(this.pmp instanceof Pmp) || this.pmp.xlen !== xlen)) {
      const expected = `a Pmp whose xlen is ${xlen}`;
      throw new VmError('bad-argument', { argument: 'pmp', value: this.pmp, expected });
    }
    this.updates = options.adue ?? false;
    this.memoryTypes = options.pbmte ?? false;
    this.svnapot = options.svnapot ?? true;
    this.svrsw60t59b = options.svrsw60t59b ?? false;
    this.setSatp(options.satp ?? 0n);
  }

  /**
   * The registers and extensions; `RiscvWalker.restore` makes the same walker of them, over a memory that you give.
   *
   * @returns Plain data, versioned.
   */
  snapshot(): RiscvWalkerSnapshot {
    const { xlen, sum, mxr, mprv, mpp, adue, pbmte, svnapot, svrsw60t59b } = this;
    const satp = `0x${this.satpValue.toString(16)}`;
    const pmp = this.pmp === null ? null : this.pmp.snapshot();
    const extensions = { svnapot, svrsw60t59b };
    return {
      v: 1,
      type: 'riscv-walker',
      xlen,
      satp,
      sum,
      mxr,
      mprv,
      mpp,
      adue,
      pbmte,
      ...extensions,
      pmp,
    };
  }

  protected override derived(): Readonly<Record<string, unknown>> {
    const { root, row, leafRule, leafReserved } = this;
    const { pointerReserved, pointerHigh, pointerWanted, rootRelative } = this;
    return {
      ...super.derived(),
      root,
      row,
      leafRule,
      leafReserved,
      pointerReserved,
      pointerHigh,
      pointerWanted,
      rootRelative,
    };
  }

  /** The format of satp.MODE, or `null` when it is Bare. */
  override get format(): PteFormat | null {
    return this.current;
  }

  /** The satp register. */
  get satp(): bigint {
    return this.satpValue;
  }

  /** satp.ASID, of the address space that walks are made for. */
  get asid(): number {
    return this.xlen === 32
      ? Number((this.satpValue >> 22n) & 0x1ffn)
      : Number((this.satpValue >> 44n) & 0xffffn);
  }

  /** mstatus.SUM: S-mode may load from and store to user pages. */
  get sum(): boolean {
    return (this.row & ROW_SUM) !== 0;
  }

  set sum(value: boolean) {
    this.row = value ? this.row | ROW_SUM : this.row & ~ROW_SUM;
    this.leafRule = LEAF_RULE[this.row >>> 3]!;
  }

  /** mstatus.MXR: loads may read from executable pages. */
  get mxr(): boolean {
    return (this.row & ROW_MXR) !== 0;
  }

  set mxr(value: boolean) {
    this.row = value ? this.row | ROW_MXR : this.row & ~ROW_MXR;
    this.leafRule = LEAF_RULE[this.row >>> 3]!;
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
  }

  /** menvcfg.ADUE: hardware updates A and D. */
  get adue(): boolean {
    return this.updates;
  }

  set adue(value: boolean) {
    this.updates = value;
  }

  /** menvcfg.PBMTE: PBMT bits are defined. */
  get pbmte(): boolean {
    return this.memoryTypes;
  }

  set pbmte(value: boolean) {
    this.memoryTypes = value;
    this.setReserved();
    this.windowChanged();
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
    this.satpValue = pattern;
    this.current = format;
    this.root = Number(pattern & (this.xlen === 32 ? 0x3fffffn : 0xfff_ffff_ffffn));
    if (format !== null) this.setFormat(format);
    this.setReserved();
    this.bindWindow();
    return { kind: 'written', invalidates: 'none' };
  }

  override get rootCount(): number {
    return this.current === null ? 0 : 1;
  }

  override rootAt(_slot: number): number {
    return this.root;
  }

  protected override windowChanged(): void {
    // PPN bits 43:31 of an upper word must be the window's, and reserved bits clear.
    this.pointerHigh = this.wide === 1 ? this.pointerReserved | 0x3ffe00 : 0;
    this.pointerWanted = this.wide === 1 ? this.windowHigh << 9 : 0;
    const { pmp } = this;
    const first = this.windowHigh * 2 ** 31 + this.windowLow;
    if (pmp !== null) {
      this.pmpVersion = pmp.version;
      // Table reads skip the PMP only where the whole window is open to S-mode's reads and updates.
      if (!pmp.allowsAll(first, this.frames, Prot.Read | Prot.Write)) this.closeWindow();
    }
    this.rootRelative = this.inWindow(this.root) ? (this.root - first) | 0 : -1;
  }

  private setFormat(format: PteFormat): void {
    this.top = format.levels - 1;
    this.bits = format.indexBits[0]!;
    this.wide = format.entryBytes === 8 ? 1 : 0;
    this.wideMask = format.entryBytes === 8 ? -1 : 0;
    this.entryShift = format.entryBytes === 8 ? 3 : 2;
    this.setVirtualBits(format.virtualBits, format.signExtended);
  }

  private setReserved(): void {
    const napot = this.svnapot ? 0 : N;
    const memoryTypes = this.memoryTypes ? 0 : PBMT;
    this.leafReserved = RESERVED | (this.svrsw60t59b ? 0 : RSW60T59) | napot | memoryTypes;
    this.pointerReserved = this.leafReserved | N | PBMT;
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
