import {
  checkInteger,
  checkOptions,
  checkVersion,
  type OptionNames,
  PAGE_NUMBER_END,
  VmError,
} from '../core/index.js';
import { FrameBlocks, MAX_ORDER } from './frame-blocks.js';
import {
  damagedPool,
  type FramePoolSnapshot,
  savedInteger,
  savedList,
} from './frame-pool-snapshot.js';
import type { FrameSource } from './frame-source.js';

/**
 * Which frames a {@link FramePool} has.
 *
 * @public
 */
export interface FramePoolOptions {
  /** The number of the first frame. */
  readonly first: number;
  /** How many frames: 1 to 2^32, ending at 2^52 at most. */
  readonly frames: number;
}

const OPTIONS: OptionNames<FramePoolOptions> = { first: true, frames: true };

/**
 * The simple source of frames: single frames from the first one up, blocks of 2^order frames from the last one down.
 * What was released is handed out before anything new, the latest first.
 *
 * Frames and blocks released in the reverse order of their allocation leave the pool exactly as it was before, to the
 * order in which it will hand out frames; so whatever undoes its steps backwards leaves no trace.
 *
 * It is no buddy system. Frames released in another order stay what they were cut off for: a frame is not joined with
 * others to a block, and a free block is not cut up, unless it is the lowest. Frames skipped because blocks are aligned
 * to their size are unused until the block below them is back.
 *
 * It counts what is out in one bit for each single frame: a frame released twice, or never handed out, is an error.
 *
 * @example
 * ```ts
 * import { FramePool } from 'pagewright/memory';
 *
 * const pool = new FramePool({ first: 0x80000, frames: 16 });
 * pool.allocateFrame(); // => 0x80000
 * pool.allocateFrame(); // => 0x80001
 * pool.allocateBlock(2); // => 0x8000c
 * pool.free; // => 10
 * pool.releaseFrame(0x80000);
 * pool.isOut(0x80000); // => false
 * pool.allocateFrame(); // => 0x80000
 * FramePool.restore(pool.snapshot()).allocateFrame(); // => 0x80002
 * ```
 * @public
 */
export class FramePool implements FrameSource {
  /** The number of the first frame. */
  readonly first: number;
  /** How many frames there are, free or out. */
  readonly frames: number;
  /** How many, from the first up, were cut off for single frames. */
  private bumped: number;
  /** Those of them that are free. */
  private readonly freeFrames: number[];
  /** A bit for each of them: set while it is out. Grows with `bumped`. */
  private bits: Uint8Array;
  private readonly blocks: FrameBlocks;

  /**
   * @param options - Which frames.
   * @throws `VmError` `bad-argument` or `out-of-range` for numbers that are no such frames.
   */
  constructor(options: FramePoolOptions) {
    checkOptions('', options, OPTIONS);
    this.first = checkInteger('first', options.first, 0, PAGE_NUMBER_END - 1);
    const most = Math.min(2 ** MAX_ORDER, PAGE_NUMBER_END - this.first);
    this.frames = checkInteger('frames', options.frames, 1, most);
    this.bumped = 0;
    this.freeFrames = [];
    this.bits = new Uint8Array(64);
    this.blocks = new FrameBlocks(this.first + this.frames);
  }

  /**
   * A saved pool.
   *
   * @param snapshot - What {@link FramePool.snapshot} returned.
   * @returns A pool that will do what the saved one would have done.
   * @throws `VmError` `unsupported` for another version, `bad-image` or that of the constructor for damaged data.
   */
  static restore(snapshot: FramePoolSnapshot): FramePool {
    checkVersion(snapshot, 1, 'frame-pool');
    const { first, frames, bumped, freeFrames, blocks, freeBlocks } = snapshot;
    const pool = new FramePool({ first, frames });
    pool.bumped = savedInteger('snapshot.bumped', bumped, 0, pool.frames);
    pool.growBits(pool.bumped);
    pool.bits.fill(0xff, 0, pool.bumped >>> 3);
    for (let index = pool.bumped & ~7; index < pool.bumped; index++) pool.flipBit(index);
    for (const pfn of savedList('snapshot.freeFrames', freeFrames)) {
      savedInteger('snapshot.freeFrames', pfn, first, first + bumped - 1);
      if (!pool.isSingle(pfn)) {
        throw damagedPool('snapshot.freeFrames', pfn, 'each frame that is free once');
      }
      pool.flipBit(pfn - first);
      pool.freeFrames.push(pfn);
    }
    pool.blocks.load(blocks, freeBlocks);
    pool.checkInvariants();
    return pool;
  }

  /**
   * Frames that are left: free ones, those of free blocks, and those between both ends. A single frame is never taken
   * from a free block, and a block has to be aligned, so that -1 may come before this is 0.
   */
  get free(): number {
    const between = this.blocks.start - this.first - this.bumped;
    return this.freeFrames.length + between + this.blocks.free;
  }

  /**
   * Takes one frame: the one that was released last, else the next above those handed out.
   *
   * @returns Its number, or -1 when there is none left.
   */
  allocateFrame(): number {
    const { freeFrames } = this;
    if (freeFrames.length > 0) {
      const pfn = freeFrames.pop()!;
      this.flipBit(pfn - this.first);
      return pfn;
    }
    const pfn = this.first + this.bumped;
    if (pfn >= this.blocks.start) return -1;
    this.growBits(this.bumped + 1);
    this.flipBit(this.bumped++);
    return pfn;
  }

  /**
   * Gives one frame back.
   *
   * @param pfn - A frame from {@link FramePool.allocateFrame} that is out.
   * @throws `VmError` `bad-argument` for any other frame, one of a block included, `out-of-range` outside the pool.
   */
  releaseFrame(pfn: number): void {
    this.checkFrame(pfn);
    if (!this.isSingle(pfn)) {
      const expected = 'a frame that allocateFrame returned and that is out';
      throw new VmError('bad-argument', { argument: 'pfn', value: pfn, expected });
    }
    this.flipBit(pfn - this.first);
    // While frames are free, the border stays where it is. So the one that was released first is never the highest
    // below the border: the highest would have moved the border. Therefore a frame that came off the stack goes back
    // to it, the last one too; and a frame that moved the border up moves it down, for it finds the stack empty and
    // itself the highest. Each release is the exact opposite of the allocation before it.
    if (this.freeFrames.length === 0 && pfn === this.first + this.bumped - 1) this.bumped--;
    else this.freeFrames.push(pfn);
  }

  /**
   * Takes contiguous frames, aligned to their size: the block of this order that was released last, else the next below
   * those handed out.
   *
   * @param order - log2 of how many frames, 0 to 32.
   * @returns The number of the first one, or -1 when there is no such block left.
   * @throws `VmError` `bad-argument` or `out-of-range` for a bad order.
   */
  allocateBlock(order: number): number {
    checkInteger('order', order, 0, MAX_ORDER);
    return this.blocks.allocate(order, this.first + this.bumped);
  }

  /**
   * Gives a block back.
   *
   * @param pfn - The first frame of a block from {@link FramePool.allocateBlock} that is out.
   * @param order - The order with which it was allocated.
   * @throws `VmError` `bad-argument` for any other frame or order, `out-of-range` outside the pool.
   */
  releaseBlock(pfn: number, order: number): void {
    this.checkFrame(pfn);
    checkInteger('order', order, 0, MAX_ORDER);
    this.blocks.release(pfn, order);
  }

  /**
   * Whether a frame is handed out, by itself or in a block.
   *
   * @param pfn - Any frame number.
   * @returns `true` when it is out; `false` also for frames outside the pool.
   */
  isOut(pfn: number): boolean {
    checkInteger('pfn', pfn, 0, PAGE_NUMBER_END - 1);
    return this.isSingle(pfn) || this.blocks.isOut(pfn);
  }

  /**
   * The state, of which {@link FramePool.restore} makes the same pool.
   *
   * @returns Plain data, versioned. O(free frames + blocks).
   */
  snapshot(): FramePoolSnapshot {
    const { first, frames, bumped } = this;
    const freeFrames = [...this.freeFrames];
    return { v: 1, type: 'frame-pool', first, frames, bumped, freeFrames, ...this.blocks.save() };
  }

  /**
   * Verifies that both ends do not reach into each other, and that every frame is either out or free, once.
   *
   * @throws `VmError` `bad-image` that says what is wrong.
   */
  checkInvariants(): void {
    const { first, bumped, freeFrames } = this;
    this.blocks.checkInvariants();
    if (first + bumped > this.blocks.start) {
      throw damagedPool('bumped', bumped, 'single frames below all blocks');
    }
    if (freeFrames[0] === first + bumped - 1) {
      throw damagedPool('freeFrames', freeFrames[0], 'the first to be another than the highest');
    }
    const free = new Set(freeFrames);
    for (let index = 0; index < 8 * this.bits.length; index++) {
      const out = index < bumped && !free.has(first + index);
      if (this.bitAt(index) !== out) {
        throw damagedPool('freeFrames', first + index, 'each frame below bumped to be out or free');
      }
    }
    const inside = freeFrames.every((pfn) => pfn >= first && pfn < first + bumped);
    if (!inside || free.size < freeFrames.length) {
      throw damagedPool('freeFrames', free.size, 'frames below bumped, each once');
    }
  }

  private checkFrame(pfn: number): void {
    checkInteger('pfn', pfn, this.first, this.first + this.frames - 1);
  }

  /** Whether a frame is out by itself. */
  private isSingle(pfn: number): boolean {
    const index = pfn - this.first;
    return index >= 0 && index < this.bumped && this.bitAt(index);
  }

  private bitAt(index: number): boolean {
    return ((this.bits[index >>> 3]! >>> (index & 7)) & 1) === 1;
  }

  private flipBit(index: number): void {
    this.bits[index >>> 3]! ^= 1 << (index & 7);
  }

  /** Room for the bits of this many frames: doubled when it is short, up to what the whole pool needs. */
  private growBits(frames: number): void {
    if (frames <= 8 * this.bits.length) return;
    const most = Math.ceil(this.frames / 8);
    const bytes = Math.max(Math.ceil(frames / 8), 2 * this.bits.length);
    const bits = new Uint8Array(Math.min(bytes, most));
    bits.set(this.bits);
    this.bits = bits;
  }
}
