import type { PhysicalMemory } from '../memory/index.js';
import type { PteFormat } from '../pte/index.js';
import { AArch64FastHalf, NO_ROOT } from './aarch64-fast-half.js';
import { type AArch64Features, aarch64Features } from './aarch64-features.js';
import type { AArch64Half } from './aarch64-half.js';
import { type AArch64Permissions, STATE_SHIFT } from './aarch64-permission.js';
import type { WalkRule } from './rule.js';
import type { SecondStage } from './second-stage.js';
import { RadixWalker } from './walker.js';

/** The bits of a stage's registers that say what hardware updates. @internal */
export interface AArch64Updates {
  /** HA: hardware sets the access flag. */
  readonly accessFlag: boolean;
  /** HD: hardware keeps dirty state. */
  readonly dirty: boolean;
}

/**
 * What follows from the registers of either stage.
 *
 * @public
 */
export abstract class AArch64State extends RadixWalker {
  /** What the CPU has. */
  readonly features: AArch64Features;

  /** Whether the stage translates. */
  protected abstract get on(): boolean;

  /** TTBR0's half and TTBR1's; stage 2 has one. */
  protected halves: readonly AArch64Half[] = [];
  /** Which half the last walk was in, or an enumeration is. */
  protected slot = 0;
  /** State that counts for permission, as row bits of the permission table. */
  protected row = 0;
  /** Hardware sets the access flag. */
  protected setsAccessFlag = false;
  /** Hardware keeps dirty state, where DBM says so. */
  protected keepsDirty = false;

  /** 1 when bit 55 of an address chooses its half, 0 for stage 2. */
  protected readonly halfMask: number;
  /** For the fast path: TTBR0's half. */
  protected readonly lower: AArch64FastHalf = new AArch64FastHalf();
  /** TTBR1's. */
  protected readonly upper: AArch64FastHalf = new AArch64FastHalf();
  /** Bits 47:43 of an upper word must be the window's. */
  protected pointerWanted = 0;

  /** The rules of permission. */
  protected abstract readonly permissions: AArch64Permissions;

  /** @internal */
  protected constructor(
    memory: PhysicalMemory,
    initial: WalkRule,
    secondStage: SecondStage | null,
    features: Partial<AArch64Features>,
    halves: 1 | 2,
  ) {
    super(memory, initial, secondStage);
    this.features = aarch64Features(features);
    this.halfMask = halves - 1;
  }

  protected override derived(): Readonly<Record<string, unknown>> {
    const { keepsDirty, lower, on, pointerWanted, row, setsAccessFlag, upper } = this;
    const flags = { keepsDirty, on, pointerWanted, row, setsAccessFlag };
    const halves = { lower: Object.values(lower), upper: Object.values(upper) };
    return { ...super.derived(), ...flags, ...halves };
  }

  /** The half of the last walk, or that an enumeration is in. */
  protected get half(): AArch64Half {
    return this.halves[this.slot]!;
  }

  /** The format of TTBR0's half or of stage 2, or `null` while the stage is off. */
  override get format(): PteFormat | null {
    return this.on ? this.halves[0]!.format : null;
  }

  override get rootCount(): number {
    return this.on ? this.halves.length : 0;
  }

  override rootAt(slot: number): number {
    const half = this.halves[slot]!;
    return half.refusal === null ? half.root : -1;
  }

  override rootFormat(slot: number): PteFormat {
    return this.halves[slot]!.format;
  }

  override rootLevel(slot: number): number {
    return this.rootFormat(slot).levels - 1;
  }

  override rootBase(slot: number): number {
    return slot === 0 ? 0 : 2 ** 52 - this.halves[slot]!.pages;
  }

  override rootByte(slot: number): number {
    return this.halves[slot]!.rootByte;
  }

  override useRoot(slot: number): void {
    // A cursor that is at no root yet says -1.
    this.slot = Math.max(slot, 0);
  }

  override findPresent(
    slot: number,
    table: number,
    byte: number,
    from: number,
    end: number,
  ): number {
    // A walk meanwhile may have left the walker at the other root.
    this.useRoot(slot);
    return super.findPresent(slot, table, byte, from, end);
  }

  override get leafLevel(): number {
    const { format } = this.half;
    if (this.leafShift < 0) return -1;
    return Math.floor((this.leafShift + 12 - format.pageShift) / (format.pageShift - 3));
  }

  protected override windowChanged(): void {
    const first = this.windowHigh * 2 ** 31 + this.windowLow;
    // What lies beyond the output size must fault, so a window that reaches there is of no use.
    const end = Math.min(...this.halves.map(({ frameEnd }) => frameEnd));
    if (this.secondStage === null && first + this.frames > end) this.closeWindow();
    this.pointerWanted = this.windowHigh << 11;
    for (let slot = 0; slot < this.halves.length; slot++) {
      const root = this.rootAt(slot);
      this.fastHalf(slot).root = root >= 0 && this.reachesRoot(root) ? root - first : NO_ROOT;
    }
  }

  /**
   * Whether the fast path may begin at a root. Under a second stage it asks `hostRelative`, which knows whether this stage
   * is on: HCR_EL2 may change there unheard.
   */
  private reachesRoot(root: number): boolean {
    return this.secondStage === null ? this.on && this.inWindow(root) : root < 2 ** 31;
  }

  private fastHalf(slot: number): AArch64FastHalf {
    return slot === 0 ? this.lower : this.upper;
  }

  /** Takes over what the registers say. */
  protected apply(halves: readonly AArch64Half[], row: number, updates: AArch64Updates): void {
    const { hafdbs } = this.features;
    const before = this.halves;
    this.halves = halves;
    this.slot = 0;
    this.setsAccessFlag = hafdbs !== 'none' && updates.accessFlag;
    this.keepsDirty = this.setsAccessFlag && hafdbs === 'dirty' && updates.dirty;
    halves.forEach((half, slot) => {
      if (half !== before[slot]) this.fastHalf(slot).update(half, this.keepsDirty);
    });
    this.setRow(row);
    this.bindWindow();
  }

  /** The half that an address chooses, by bits 51:26 of its page number. */
  protected fastHalfOf(high: number): AArch64FastHalf {
    return this.fastHalf((high >>> 17) & this.halfMask);
  }

  /** Whether EL0 may not use the half of the last walk (E0PD). */
  protected isBarred(): boolean {
    return this.fastHalf(this.slot).barred !== 0;
  }

  /** Takes over state that counts for permission. */
  protected setRow(row: number): void {
    const { lower, upper } = this;
    const { allowed } = this.permissions;
    const state = row >> STATE_SHIFT;
    this.row = row;
    lower.allowed = allowed[state | lower.barred]!;
    upper.allowed = allowed[state | upper.barred]!;
  }
}
