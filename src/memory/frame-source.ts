/**
 * Hands out page frames and takes them back. Page tables, address spaces and walkers of software tables ask for
 * memory through this interface, so that any allocator can stand behind it.
 *
 * A source promises: a frame that is out is not handed out again until it is released; contents are unspecified (clear
 * a frame before you use it as a table); no method throws because memory is short.
 *
 * Frame numbers count the base pages of whoever asks: 4 KiB for x86 and RISC-V, the granule for AArch64, the format's
 * own page for formats of your own. {@link FramePool} is a source that is ready for use.
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
   * @returns Its frame number, or -1 when there is none left.
   */
  allocateFrame(): number;
  /**
   * Gives one frame back. Frames of page tables and mappings come back only when the invalidations that they owe are
   * done.
   *
   * @param pfn - A frame that {@link FrameSource.allocateFrame} returned and that was not released since.
   */
  releaseFrame(pfn: number): void;
  /**
   * Takes a block of contiguous frames, aligned to its size. A source may do without; tables larger than a page need
   * it, such as a Sv39x4 root of 16 KiB.
   *
   * @param order - log2 of how many frames.
   * @returns The number of the first one, or -1 when there is no such block left.
   */
  allocateBlock?(order: number): number;
  /**
   * Gives a block back, as a whole.
   *
   * @param pfn - What `allocateBlock` returned.
   * @param order - What it was asked for.
   */
  releaseBlock?(pfn: number, order: number): void;
}
