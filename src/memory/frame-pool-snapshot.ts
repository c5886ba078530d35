import { VmError } from '../core/index.js';

/**
 * A block in the snapshot of a pool of frames.
 *
 * @public
 */
export interface SavedBlock {
  /** Its first frame. */
  readonly pfn: number;
  /** log2 of how many frames it has. */
  readonly order: number;
}

/**
 * A saved pool of frames: plain data, fit for `structuredClone` and JSON.
 *
 * @public
 */
export interface FramePoolSnapshot {
  /** The version of this shape. */
  readonly v: 1;
  /** Always `'frame-pool'`. */
  readonly type: 'frame-pool';
  /** The first frame of the pool. */
  readonly first: number;
  /** How many frames it has. */
  readonly frames: number;
  /** How many, from the first up, were cut off for single frames. */
  readonly bumped: number;
  /** Those of them that are free; the last is the next to be handed out. */
  readonly freeFrames: readonly number[];
  /** The blocks that were cut off at the top, from the highest down. */
  readonly blocks: readonly SavedBlock[];
  /** The first frames of those that are free, by order; of each order the last is the next to be handed out. */
  readonly freeBlocks: readonly number[];
}

/** What a snapshot, or a pool, says and cannot be. */
export function damagedPool(argument: string, value: unknown, expected: string): VmError {
  return new VmError('bad-image', { argument, value, expected });
}

/** @throws VmError `bad-image` for no list. */
export function savedList<T>(argument: string, value: readonly T[]): readonly T[] {
  if (!Array.isArray(value)) throw damagedPool(argument, value, 'an array');
  return value;
}

/** @throws VmError `bad-image` for anything but an integer in `[low, high]`. */
export function savedInteger(argument: string, value: number, low: number, high: number): number {
  if (Number.isInteger(value) && value >= low && value <= high) return value;
  throw damagedPool(argument, value, `an integer from ${low} to ${high}`);
}
