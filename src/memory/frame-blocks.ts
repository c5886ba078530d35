import { VmError } from '../core/index.js';
import { damagedPool, type SavedBlock, savedInteger, savedList } from './frame-pool-snapshot.js';

/** log2 of the most frames that a pool, and so a block, can have. */
export const MAX_ORDER = 32;

/** A block that was cut off. */
interface Block extends SavedBlock {
  /** Whether it is handed out; else it is on a stack of free blocks. */
  out: boolean;
}

/**
 * The upper part of a pool: blocks of 2^order frames, cut off from the top downwards. The frames between a block and
 * the one above it, skipped because a block is aligned to its size, belong to the lower block.
 *
 * A free block is handed out before a new one is cut off. A released block goes to the stack of its order, but the
 * lowest block goes back into the rest of the pool, and with it every free block that is then the lowest. So the
 * lowest block is always out, which makes every release the exact opposite of the allocation before it: a block that
 * came from a stack is not the lowest (that one is out) and returns to the top of its stack; a block that was cut off
 * is the lowest, and the one above it is out and ends the joining.
 */
export class FrameBlocks {
  /** One more than the last frame of the pool. */
  private readonly end: number;
  /** From the highest down. */
  private readonly blocks: Block[];
  /** By order, those that are not out; each a stack. */
  private readonly freed: readonly Block[][];

  constructor(end: number) {
    this.end = end;
    this.blocks = [];
    this.freed = Array.from({ length: MAX_ORDER + 1 }, () => []);
  }

  /** The lowest frame that was cut off; the pool's end when there is none. */
  get start(): number {
    return this.blocks.at(-1)?.pfn ?? this.end;
  }

  /** Frames of free blocks. */
  get free(): number {
    return this.freed.reduce((frames, stack, order) => frames + stack.length * 2 ** order, 0);
  }

  /** A block at or above frame `floor`, or -1. */
  allocate(order: number, floor: number): number {
    const freed = this.freed[order]!.pop();
    if (freed !== undefined) {
      freed.out = true;
      return freed.pfn;
    }
    const pfn = below(this.start, order);
    if (pfn < floor) return -1;
    this.blocks.push({ pfn, order, out: true });
    return pfn;
  }

  /** @throws VmError `bad-argument` when there is no such block out. */
  release(pfn: number, order: number): void {
    const block = this.find(pfn);
    if (block?.pfn !== pfn || !block.out) {
      const expected = 'the first frame of a block that is out';
      throw new VmError('bad-argument', { argument: 'pfn', value: pfn, expected });
    }
    if (block.order !== order) {
      const expected = `${block.order}, the order of the block`;
      throw new VmError('bad-argument', { argument: 'order', value: order, expected });
    }
    block.out = false;
    this.freed[order]!.push(block);
    if (block === this.blocks.at(-1)) this.join();
  }

  /** Whether a frame is in a block that is out. */
  isOut(pfn: number): boolean {
    return this.find(pfn)?.out ?? false;
  }

  save(): { readonly blocks: readonly SavedBlock[]; readonly freeBlocks: readonly number[] } {
    const blocks = this.blocks.map(({ pfn, order }) => ({ pfn, order }));
    return { blocks, freeBlocks: this.freed.flat().map(({ pfn }) => pfn) };
  }

  /** Fills new, empty blocks. @throws VmError `bad-image` for what {@link FrameBlocks.save} cannot have returned. */
  load(blocks: readonly SavedBlock[], freeBlocks: readonly number[]): void {
    for (const [at, saved] of savedList('snapshot.blocks', blocks).entries()) {
      const where = `snapshot.blocks[${at}]`;
      const order = savedInteger(`${where}.order`, saved?.order, 0, MAX_ORDER);
      const pfn = savedInteger(`${where}.pfn`, saved.pfn, 0, this.start - 1);
      this.blocks.push({ pfn, order, out: true });
    }
    for (const pfn of savedList('snapshot.freeBlocks', freeBlocks)) {
      const block = this.find(pfn);
      if (block?.pfn !== pfn || !block.out) {
        throw damagedPool('snapshot.freeBlocks', pfn, 'each block that is free once');
      }
      block.out = false;
      this.freed[block.order]!.push(block);
    }
  }

  /** @throws VmError `bad-image` when blocks are not where they were cut off, or stacks are not of the free ones. */
  checkInvariants(): void {
    let above = this.end;
    for (const { pfn, order } of this.blocks) {
      if (pfn !== below(above, order)) {
        throw damagedPool('blocks', pfn, 'each block right below the one above it, aligned');
      }
      above = pfn;
    }
    if (this.blocks.at(-1)?.out === false) {
      throw damagedPool('blocks', this.start, 'the lowest block to be out');
    }
    const free = this.blocks.filter(({ out }) => !out);
    const stacks = this.freed.map((stack, order) => stack.filter((block) => block.order === order));
    const onStacks = new Set(stacks.flat());
    const once = this.freed.flat().length === onStacks.size && onStacks.size === free.length;
    if (!once || !free.every((block) => onStacks.has(block))) {
      throw damagedPool('freeBlocks', free.length, 'each free block once, by order');
    }
  }

  /** Gives the lowest blocks back to the rest of the pool, as long as they are free. */
  private join(): void {
    for (let last = this.blocks.at(-1); last?.out === false; last = this.blocks.at(-1)) {
      const stack = this.freed[last.order]!;
      stack.splice(stack.lastIndexOf(last), 1);
      this.blocks.pop();
    }
  }

  /** The block that has a frame, by halving. */
  private find(pfn: number): Block | undefined {
    let low = 0;
    let high = this.blocks.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.blocks[middle]!.pfn > pfn) low = middle + 1;
      else high = middle;
    }
    const block = this.blocks[low];
    return block !== undefined && pfn < block.pfn + 2 ** block.order ? block : undefined;
  }
}

/** The highest place for a block below a frame. Not by bits: frame numbers have up to 52. */
function below(end: number, order: number): number {
  const frames = 2 ** order;
  return Math.floor(end / frames - 1) * frames;
}
