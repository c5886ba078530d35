/**
 * Hands out page frames and takes them back. Page tables, address spaces and walkers of software tables ask for
 * memory through this interface, so that any allocator can stand behind it.
 *
 * A source promises: a frame that is out is not handed out again until it is released; contents are unspecified (clear
 * a frame before you use it as a table); neither method throws because memory is short.
 *
 * @example
 * ```ts
 * import { type FrameSource } from 'pagewright/memory';
 *
 * // The simplest allocator there is: a stack of free frames.
 * class FrameStack implements FrameSource {
 *   private readonly free: number[] = [];
 *   constructor(firstPfn: number, frames: number) {
 *     for (let i = frames - 1; i >= 0; i--) this.free.push(firstPfn + i);
 *   }
 *   allocateFrame(): number {
 *     return this.free.pop() ?? -1;
 *   }
 *   releaseFrame(pfn: number): void {
 *     this.free.push(pfn);
 *   }
 * }
 *
 * const frames = new FrameStack(0x80000, 2);
 * frames.allocateFrame(); // => 0x80000
 * frames.allocateFrame(); // => 0x80001
 * frames.allocateFrame(); // => -1
 * frames.releaseFrame(0x80000);
 * frames.allocateFrame(); // => 0x80000
 * ```
 * @public
 */
export interface FrameSource {
  /**
   * Takes one frame.
   *
   * @returns Its frame number (4 KiB frames), or -1 when there is none left.
   */
  allocateFrame(): number;
  /**
   * Gives one frame back. Frames of page tables and mappings come back only when the invalidations that they owe are
   * done.
   *
   * @param pfn - A frame that {@link FrameSource.allocateFrame} returned and that was not released since.
   */
  releaseFrame(pfn: number): void;
}
