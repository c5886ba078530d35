import { VmError } from '../core/index.js';
import type { PhysicalMemory } from '../memory/index.js';
import type { PteFormat } from '../pte/index.js';
import type { AArch64Half } from './aarch64-half.js';
import { type AArch64Features, ALL_FEATURES } from './aarch64-options.js';
import type { WalkRule } from './rule.js';
import type { SecondStage } from './second-stage.js';
import { RadixWalker } from './walker.js';

const PHYSICAL_BITS: readonly number[] = [32, 36, 40, 42, 44, 48, 52];

/** The bits of a stage's registers that say what hardware updates. @internal */
export interface AArch64Updates {
  /** HA: hardware sets the access flag. */
  readonly accessFlag: boolean;
  /** HD: hardware keeps dirty state. */
  readonly dirty: boolean;
}

/**
 * What follows from the registers of either stage, in flat fields.
 *
 * @public
 */
export abstract class AArch64State extends RadixWalker {
  /** What the CPU has. */
  readonly features: AArch64Features;

  /** Whether the stage translates. */
  protected on = false;
  /** TTBR0's half and TTBR1's; stage 2 has one. */
  protected halves: readonly AArch64Half[] = [];
  /** The half of the last walk, or that an enumeration is in. */
  protected abstract half: AArch64Half;
  /** State that counts for permission, as row bits of the permission table. */
  protected row = 0;
  /** Hardware sets the access flag. */
  protected setsAccessFlag = false;
  /** Hardware keeps dirty state, where DBM says so. */
  protected keepsDirty = false;

  /** 1 when bit 55 of an address chooses its half, 0 for stage 2. */
  protected readonly halfMask: number;
  /** Bits 47:43 of an upper word must be the window's. */
  protected pointerWanted = 0;
  /** By half: the bits of the root's index. */
  protected readonly rootMasks: Int32Array = new Int32Array(2);
  /** For the fast path, by half: see `windowChanged`. */
  protected readonly rootsRelative: Int32Array = new Int32Array(2);
  /** By half: the word of the root's first entry in its frame. */
  protected readonly rootWords: Int32Array = new Int32Array(2);
  /** By half: log2 of the 4 KiB pages that an entry of the root maps. */
  protected readonly topShifts: Int32Array = new Int32Array(2);
  /** By half: log2 of the 4 KiB frames in a granule, which is also the shift of the last level. */
  protected readonly granuleShifts: Int32Array = new Int32Array(2);
  /** By half, for data and then for fetches: the bits of the halves of a page number that must all be the half's. */
  protected readonly outsideHigh: Int32Array = new Int32Array(4);
  /** By half: the same of bits 25:0. */
  protected readonly outsideLow: Int32Array = new Int32Array(2);
  /** By half: bits of a table's high word that count as attributes: 30:27, or none with HPD. */
  protected readonly tableAttributes: Int32Array = new Int32Array(2);
  /** By half: bits of a low word that the fast path wants clear: those of addresses beyond 2^48. */
  protected readonly splitMasks: Int32Array = new Int32Array(2);
  /** By half: bits of a high word that lie beyond the output size. */
  protected readonly beyondOutput: Int32Array = new Int32Array(2);
  /** By half: bit n set: there are blocks whose shift is `n`. */
  protected readonly blockShifts: Int32Array = new Int32Array(2);
  /** By half: EL0 may not use it. */
  protected readonly userDisabled: Int32Array = new Int32Array(2);

  /** @internal */
  protected constructor(
    memory: PhysicalMemory,
    initial: WalkRule,
    secondStage: SecondStage | null,
    features: Partial<AArch64Features>,
    halves: 1 | 2,
  ) {
    super(memory, initial, secondStage);
    this.features = { ...ALL_FEATURES, ...features };
    this.halfMask = halves - 1;
    checkFeatures(this.features);
  }

  protected override derived(): Readonly<Record<string, unknown>> {
    const { keepsDirty, on, row, setsAccessFlag } = this;
    const { beyondOutput, blockShifts, granuleShifts, outsideHigh, outsideLow } = this;
    const {
      pointerWanted,
      rootMasks,
      rootWords,
      rootsRelative,
      splitMasks,
      tableAttributes,
      topShifts,
      userDisabled,
    } = this;
    const flags = { keepsDirty, on, row, setsAccessFlag };
    const shape = { beyondOutput, blockShifts, granuleShifts, outsideHigh, outsideLow, topShifts };
    const roots = {
      pointerWanted,
      rootMasks,
      rootWords,
      rootsRelative,
      splitMasks,
      tableAttributes,
      userDisabled,
    };
    return { ...super.derived(), ...flags, ...shape, ...roots };
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
    this.half = this.halves[slot]!;
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
      const known = this.secondStage === null ? this.inWindow(root) : root < 2 ** 31;
      this.rootsRelative[slot] = this.on && root >= 0 && known ? root - first : -1;
    }
  }

  /** Takes over what the registers say. */
  protected apply(
    on: boolean,
    halves: readonly AArch64Half[],
    row: number,
    updates: AArch64Updates,
  ): void {
    const { hafdbs } = this.features;
    this.on = on;
    this.halves = halves;
    this.half = halves[0]!;
    this.row = row;
    this.setsAccessFlag = hafdbs !== 'none' && updates.accessFlag;
    this.keepsDirty = this.setsAccessFlag && hafdbs === 'dirty' && updates.dirty;
    for (let slot = 0; slot < halves.length; slot++) this.applyHalf(slot);
    this.bindWindow();
  }

  private applyHalf(slot: number): void {
    const { flat, format, frameEnd, rootByte, topByteIgnored, userDisabled } = this.halves[slot]!;
    const granuleShift = format.pageShift - 12;
    const stride = format.pageShift - 3;
    this.rootWords[slot] = rootByte >>> 2;
    this.granuleShifts[slot] = granuleShift;
    this.topShifts[slot] = granuleShift + stride * (format.levels - 1);
    this.rootMasks[slot] = 2 ** format.indexBits.at(-1)! - 1;
    const pageBits = format.virtualBits - 12;
    this.outsideLow[slot] = pageBits >= 26 ? 0 : -(2 ** pageBits) & 0x3ffffff;
    const high = pageBits <= 26 ? 0x3ffffff : -(2 ** (pageBits - 26)) & 0x3ffffff;
    for (const kind of [0, 1] as const) {
      // The tag is bits 51:44 of the page number.
      this.outsideHigh[2 * slot + kind] = high & (topByteIgnored[kind] ? 0x3ffff : -1);
    }
    this.tableAttributes[slot] = flat ? 0 : 0x78000000;
    this.splitMasks[slot] = (format.splitTableMask | format.splitLeafMask[0]!) << format.splitShift;
    // Bits 49:32 of an entry, from the output size up.
    const outputBits = Math.log2(frameEnd) + 12;
    const addressHigh = format.frameBits + format.frameShift > 48 ? 0x3ffff : 0xffff;
    this.beyondOutput[slot] =
      outputBits >= 48 ? addressHigh & ~0xffff : addressHigh & -(2 ** (outputBits - 32));
    let blocks = 0;
    for (let level = 1; level < format.levels; level++) {
      if ((format.leafLevels >>> level) & 1) blocks |= 1 << (granuleShift + stride * level);
    }
    this.blockShifts[slot] = blocks;
    this.userDisabled[slot] = userDisabled ? 1 : 0;
  }
}

function checkFeatures(features: AArch64Features): void {
  const { hafdbs, physicalBits } = features;
  if (!PHYSICAL_BITS.includes(physicalBits)) {
    const expected = '32, 36, 40, 42, 44, 48 or 52';
    throw new VmError('bad-argument', { argument: 'physicalBits', value: physicalBits, expected });
  }
  if (hafdbs !== 'none' && hafdbs !== 'access-flag' && hafdbs !== 'dirty') {
    const expected = 'none, access-flag or dirty';
    throw new VmError('bad-argument', { argument: 'hafdbs', value: hafdbs, expected });
  }
}
