import { Prot, VmError, type VmObserver } from '../core/index.js';
import type { PhysicalMemory } from '../memory/index.js';
import { type PteFormat, RISCV_PTE_HIGH, sv32, sv39 } from '../pte/index.js';
import { Pmp, type PmpSnapshot } from './pmp.js';
import { LEAF_RULE } from './riscv-rules.js';
import type { WalkRule } from './rule.js';
import type { SecondStage } from './second-stage.js';
import { RadixWalker } from './walker.js';

const { N, PBMT, RSW60T59, RESERVED } = RISCV_PTE_HIGH;

/**
 * What every RISC-V stage is made from.
 *
 * @public
 */
export interface RiscvStageOptions {
  /** The memory that holds the tables. */
  readonly memory: PhysicalMemory;
  /** Register width of the hart. @defaultValue 64 */
  readonly xlen?: 32 | 64;
  /**
   * menvcfg.ADUE: hardware updates A and D (Svadu); when clear, an update that is due faults (Svade). Under a second
   * stage it is henvcfg.ADUE, which can be set where that stage's `adue` is.
   * @defaultValue false, the reset value
   */
  readonly adue?: boolean;
  /**
   * menvcfg.PBMTE: PBMT bits are defined (Svpbmt). Under a second stage it is henvcfg.PBMTE, which can be set where that
   * stage's `pbmte` is.
   * @defaultValue false, the reset value
   */
  readonly pbmte?: boolean;
  /** The hart has Svnapot. @defaultValue true */
  readonly svnapot?: boolean;
  /** The hart has Svrsw60t59b: bits 60:59 belong to software. @defaultValue false */
  readonly svrsw60t59b?: boolean;
  /** Physical memory protection; without it everything is allowed. Under a second stage, that stage has it. */
  readonly pmp?: Pmp;
  /** Receives the events of every walk. */
  readonly observer?: VmObserver;
}

/**
 * What every RISC-V stage saves.
 *
 * @public
 */
export interface RiscvStageSnapshot {
  /** The version of this shape. */
  readonly v: 1;
  /** Register width. */
  readonly xlen: 32 | 64;
  /** menvcfg.ADUE, or henvcfg.ADUE. */
  readonly adue: boolean;
  /** menvcfg.PBMTE, or henvcfg.PBMTE. */
  readonly pbmte: boolean;
  /** The hart has Svnapot. */
  readonly svnapot: boolean;
  /** The hart has Svrsw60t59b. */
  readonly svrsw60t59b: boolean;
  /** Physical memory protection, or `null`. */
  readonly pmp: PmpSnapshot | null;
}

/**
 * What rules a RISC-V page walk of either stage beside its root register: the part that changes seldom. Everything the
 * walk needs of it is derived here once, into flat fields.
 *
 * @public
 */
export abstract class RiscvState extends RadixWalker {
  /** Register width of the hart. */
  readonly xlen: 32 | 64;
  /** Physical memory protection, or `null`. */
  readonly pmp: Pmp | null;

  protected current: PteFormat | null = null;
  /** The root register. */
  protected rootRegister = 0n;
  /** SUM and MXR as row bits of the leaf rules. */
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
  protected constructor(
    options: RiscvStageOptions,
    initial: WalkRule,
    secondStage: SecondStage | null,
  ) {
    super(options.memory, initial, secondStage);
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
  }

  /** What both stages save. */
  protected stageSnapshot(): RiscvStageSnapshot {
    const { xlen, adue, pbmte, svnapot, svrsw60t59b } = this;
    const pmp = this.pmp === null ? null : this.pmp.snapshot();
    return { v: 1, xlen, adue, pbmte, svnapot, svrsw60t59b, pmp };
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

  /** menvcfg.ADUE: hardware updates A and D. Under a second stage henvcfg's, which is 0 while that stage's is. */
  get adue(): boolean {
    return this.updates && this.master?.adue !== false;
  }

  set adue(value: boolean) {
    this.checkExtensions(value, false);
    this.updates = value;
  }

  /** menvcfg.PBMTE: PBMT bits are defined. Under a second stage henvcfg's, which is 0 while that stage's is. */
  get pbmte(): boolean {
    return this.memoryTypes && this.master?.pbmte !== false;
  }

  set pbmte(value: boolean) {
    this.checkExtensions(false, value);
    this.memoryTypes = value;
    this.bindWindow();
  }

  /** The second stage, whose ADUE and PBMTE are menvcfg's. */
  private get master(): RiscvState | null {
    const { secondStage } = this;
    return secondStage instanceof RiscvState ? secondStage : null;
  }

  /** Refuses extensions that the caller cannot enable here. */
  protected checkExtensions(_adue: boolean, _pbmte: boolean): void {}

  /** Takes a new root register over. */
  protected setRoot(register: bigint, format: PteFormat | null, root: number): void {
    this.rootRegister = register;
    this.current = format;
    this.root = root;
    // Without one the shape is as it is from the beginning, whatever the mode was before.
    this.setFormat(format ?? (this.xlen === 32 ? sv32 : sv39));
    this.bindWindow();
  }

  override get rootCount(): number {
    return this.current === null ? 0 : 1;
  }

  override rootAt(_slot: number): number {
    return this.root;
  }

  /** A changed PMP may have opened the window or closed it. */
  protected override bindAgainIfStale(): boolean {
    if (this.pmp === null || this.pmp.version === this.pmpVersion) return super.bindAgainIfStale();
    this.bindWindow();
    return true;
  }

  protected override windowChanged(): void {
    this.setReserved();
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
    // Under a second stage the fast path starts from the guest's frame itself, when that has 31 bits.
    const known = this.secondStage === null ? this.inWindow(this.root) : this.root < 2 ** 31;
    this.rootRelative = this.current !== null && known ? (this.root - first) | 0 : -1;
  }

  /** The shape of a format's tables. */
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
    const memoryTypes = this.pbmte ? 0 : PBMT;
    this.leafReserved = RESERVED | (this.svrsw60t59b ? 0 : RSW60T59) | napot | memoryTypes;
    this.pointerReserved = this.leafReserved | N | PBMT;
  }
}
