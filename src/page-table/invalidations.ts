import {
  checkInteger,
  checkOptions,
  type OptionNames,
  type Plain,
  plain,
  VmError,
} from '../core/index.js';
import type { FrameSource } from '../memory/index.js';

/**
 * The context of a record that concerns every address space: a change below tables that are shared.
 *
 * @public
 */
export const EVERY_CONTEXT = -1;

/** More pages than any space has. @internal */
export const EVERY_PAGE: number = 2 ** 53;

/** Numbers in a record: the first page, the end, stride, context, flags. */
const FIELDS = 5;

/** In a record's flags: tables changed, so that caches of intermediate entries are concerned as well. @internal */
export const INTERMEDIATE = 1;
/** In a record's flags: at least one page was global. @internal */
export const GLOBAL = 2;

/**
 * One stretch of pages whose translations must be forgotten.
 *
 * @public
 */
export interface Invalidation {
  /** The tag. */
  readonly kind: 'invalidate';
  /** The first page, in the format's base pages. */
  readonly vpn: number;
  /** Base pages; 2^53, more than any space has, for the whole context. */
  readonly pages: number;
  /**
   * Base pages that each changed entry maps: an instruction for each multiple is enough. Entries of a group count one by
   * one, for hardware may keep them apart. 0: of several sizes.
   */
  readonly stride: number;
  /** The address space (PCID, ASID, VMID), or {@link EVERY_CONTEXT}. */
  readonly context: number;
  /** Whether entries above the leaves changed, so that paging-structure caches are concerned too. */
  readonly intermediate: boolean;
  /** Whether global pages are among them, which an invalidation by context alone leaves alone. */
  readonly global: boolean;
}

/**
 * What happens to one entry around an invalidation, where the architecture wants break-before-make.
 *
 * @public
 */
export interface EntryStep {
  /** `break`: the entry was made invalid already. `make`: it becomes what it is to be when everything is invalidated. */
  readonly kind: 'break' | 'make';
  /** The frame of its table, in the format's base pages. */
  readonly table: number;
  /** Its number there. */
  readonly index: number;
  /** The entry then. */
  readonly entry: bigint;
}

/**
 * A step of what an accumulator owes.
 *
 * @public
 */
export type InvalidationStep = EntryStep | Invalidation;

/** Somebody with entries that wait for the invalidations of an accumulator. @internal */
export interface Maker {
  /** The entries that were broken with it, or those that are to be made. */
  entrySteps(kind: 'break' | 'make', owed: Invalidations): readonly EntryStep[];
  /** Makes them. */
  makeEntries(owed: Invalidations): void;
}

/**
 * Options of {@link Invalidations}.
 *
 * @public
 */
export interface InvalidationsOptions {
  /** Where released frames go back to; that of the page tables. */
  readonly frames: FrameSource;
  /**
   * Stretches to keep apart. When there are more, they become one: the whole context, or every one. @defaultValue 256
   */
  readonly capacity?: number;
}

const OPTIONS: OptionNames<InvalidationsOptions> = { frames: true, capacity: true };

/**
 * Collects what changes of live mappings owe: stretches of pages to invalidate, and the frames and table pages that wait
 * for it. The caller owns it, hands it to each operation, does what it says to TLBs and walk caches, and then calls
 * {@link Invalidations.complete}: only then do the frames go back to their source, so that no walk cache can walk a table
 * that has become something else (Linux's mmu_gather has the same order).
 *
 * Recording allocates nothing; the list of waiting frames grows by doubling.
 *
 * @example
 * ```ts
 * import { FramePool } from 'pagewright/memory';
 * import { Invalidations } from 'pagewright/page-table';
 *
 * const owed = new Invalidations({ frames: new FramePool({ first: 0, frames: 8 }) });
 * owed.add(0x400, 1, 1, 7);
 * owed.add(0x401, 1, 1, 7); // joins the stretch before it
 * owed.count; // => 1
 * const [first] = owed.invalidations();
 * first?.pages; // => 2
 * owed.complete();
 * owed.count; // => 0
 * ```
 * @public
 */
export class Invalidations {
  /** Where released frames go back to. */
  readonly frames: FrameSource;
  /** Stretches recorded. */
  count = 0;
  // The last of them, which may still grow; where there is none, one that nothing continues.
  private first = -1;
  private end = -1;
  private stride = -1;
  private context = 0;
  private flags = 0;
  /** Those before it, `FIELDS` numbers each. */
  private readonly records: Float64Array;
  /** Frames that wait, and the order of the block that each begins. */
  private waiting: Float64Array = new Float64Array(16);
  private orders: Uint8Array = new Uint8Array(16);
  private waitingCount = 0;
  private readonly makers: Set<Maker> = new Set();

  /**
   * @param options - See {@link InvalidationsOptions}.
   * @throws `VmError` for options that are none.
   */
  constructor(options: InvalidationsOptions) {
    checkOptions('', options, OPTIONS);
    const { frames } = options;
    if (typeof frames?.releaseFrame !== 'function') {
      throw new VmError('bad-argument', {
        argument: 'frames',
        value: frames,
        expected: 'a FrameSource',
      });
    }
    const capacity = checkInteger('capacity', options.capacity ?? 256, 1, 2 ** 24);
    this.frames = frames;
    this.records = new Float64Array((capacity - 1) * FIELDS);
  }

  /** Frames and table pages that wait for {@link Invalidations.complete}; a block of several counts once. */
  get releasedCount(): number {
    return this.waitingCount;
  }

  /** Whether nothing is owed: no stretch, no frame, no entry to make. */
  get isEmpty(): boolean {
    return this.count === 0 && this.waitingCount === 0 && this.makers.size === 0;
  }

  /**
   * Records a stretch. One that continues the last, in pages of the same size, joins it. Hot: nothing is checked.
   *
   * @param vpn - The first page.
   * @param pages - Base pages.
   * @param stride - Base pages that each entry maps.
   * @param context - The address space.
   * @param flags - 1 when entries above the leaves changed, 2 when a page was global, or-ed together.
   */
  add(vpn: number, pages: number, stride: number, context: number, flags = 0): void {
    if (this.end === vpn && this.stride === stride && this.context === context) {
      this.end = vpn + pages;
      this.flags |= flags;
      return;
    }
    this.addApart(vpn, pages, stride, context, flags);
  }

  /**
   * Records that a table is gone, or that an entry above leaves changed: an invalidation that concerns intermediate
   * entries, of one page below it, is enough. The last stretch takes it on if it has such a page.
   *
   * @param vpn - The first page below the entry.
   * @param pages - Base pages below it.
   * @param context - The address space.
   */
  addIntermediate(vpn: number, pages: number, context: number): void {
    if (this.context === context && this.reachesInto(vpn, pages)) {
      this.flags |= INTERMEDIATE;
      return;
    }
    this.add(vpn, pages, pages, context, INTERMEDIATE);
  }

  /** Whether doing the last stretch, an instruction for each of its strides, does a page of another. */
  private reachesInto(vpn: number, pages: number): boolean {
    const { end, first, stride } = this;
    // Of several sizes, or everything: nobody knows where the instructions are, unless it is all of it.
    if (stride === 0) return first <= vpn && vpn + pages <= end;
    return stride <= pages && first < vpn + pages && end > vpn;
  }

  /**
   * Records that everything of a context must be forgotten.
   *
   * @param context - The address space.
   * @param flags - As for {@link Invalidations.add}.
   */
  addContext(context: number, flags = 0): void {
    this.addApart(0, EVERY_PAGE, 0, context, flags);
  }

  /**
   * Takes a frame that goes back when the invalidation is complete. It is the caller's business that nobody releases it
   * twice.
   *
   * @param pfn - The frame, or the first of a block.
   * @param order - log2 of the frames in the block; 0 unless told.
   */
  release(pfn: number, order = 0): void {
    if (this.waitingCount === this.waiting.length) {
      const waiting = new Float64Array(2 * this.waitingCount);
      waiting.set(this.waiting);
      this.waiting = waiting;
      const orders = new Uint8Array(2 * this.waitingCount);
      orders.set(this.orders);
      this.orders = orders;
    }
    this.waiting[this.waitingCount] = pfn;
    this.orders[this.waitingCount] = order;
    this.waitingCount++;
  }

  /** Remembers that somebody has entries to make. @internal */
  addMaker(maker: Maker): void {
    this.makers.add(maker);
  }

  /**
   * Says that everything recorded has been invalidated: makes the entries that wait for it, gives the frames back in the
   * order in which they came, and begins anew.
   *
   * @throws What the source throws for a frame that is not its; all others have gone back by then.
   */
  complete(): void {
    const { frames, makers, orders, waiting, waitingCount } = this;
    this.forget();
    this.waitingCount = 0;
    if (makers.size > 0) {
      for (const maker of makers) maker.makeEntries(this);
      makers.clear();
    }
    let failure: unknown;
    for (let i = 0; i < waitingCount; i++) {
      try {
        if (orders[i] === 0) frames.releaseFrame(waiting[i]!);
        else releaseBlock(frames, waiting[i]!, orders[i]!);
      } catch (error) {
        failure ??= error;
      }
    }
    if (failure !== undefined) throw failure;
  }

  /**
   * The stretches recorded, oldest first.
   *
   * @returns Plain data.
   */
  invalidations(): readonly Plain<Invalidation>[] {
    const { context, end, first, flags, records, stride } = this;
    const before = Array.from({ length: Math.max(0, this.count - 1) }, (_, i) =>
      records.subarray(i * FIELDS, (i + 1) * FIELDS),
    );
    const all = this.count === 0 ? [] : [...before, [first, end, stride, context, flags]];
    return all.map((record) => invalidation(record));
  }

  /**
   * Everything in the order in which it must happen: the entries that were broken, what to invalidate, the entries that
   * {@link Invalidations.complete} makes.
   *
   * @returns Plain data.
   */
  steps(): readonly Plain<InvalidationStep>[] {
    const entries = (kind: 'break' | 'make'): readonly Plain<EntryStep>[] =>
      [...this.makers].flatMap((maker) => maker.entrySteps(kind, this).map((step) => plain(step)));
    return [...entries('break'), ...this.invalidations(), ...entries('make')];
  }

  /**
   * The frames that wait, oldest first.
   *
   * @returns Frame numbers; the first of each block.
   */
  released(): readonly number[] {
    return [...this.waiting.subarray(0, this.waitingCount)];
  }

  private addApart(
    vpn: number,
    pages: number,
    stride: number,
    context: number,
    flags: number,
  ): void {
    if (this.isCovered(vpn, pages, context)) {
      this.flags |= flags;
      return;
    }
    const { records } = this;
    const at = (this.count - 1) * FIELDS;
    if (at === records.length) {
      this.joinAll(context, flags);
      return;
    }
    if (at >= 0) {
      records[at] = this.first;
      records[at + 1] = this.end;
      records[at + 2] = this.stride;
      records[at + 3] = this.context;
      records[at + 4] = this.flags;
    }
    this.count++;
    this.first = vpn;
    this.end = vpn + pages;
    this.stride = stride;
    this.context = context;
    this.flags = flags;
  }

  /** Whether the last record already covers a stretch, whatever the size of its pages. */
  private isCovered(vpn: number, pages: number, context: number): boolean {
    if (this.stride !== 0) return false;
    const concerned = this.context === context || this.context === EVERY_CONTEXT;
    return concerned && this.first <= vpn && vpn + pages <= this.end;
  }

  /** Makes one record of all and a further one: of the one context that they are of, or of every context. */
  private joinAll(context: number, flags: number): void {
    const { records } = this;
    let of = this.context === context ? context : EVERY_CONTEXT;
    let all = flags | this.flags;
    for (let at = 0; at < records.length; at += FIELDS) {
      if (records[at + 3] !== context) of = EVERY_CONTEXT;
      all |= records[at + 4]!;
    }
    this.forget();
    this.addContext(of, all);
  }

  private forget(): void {
    this.count = 0;
    this.first = -1;
    this.end = -1;
    this.stride = -1;
  }
}

/** A record as plain data. */
function invalidation(record: ArrayLike<number>): Plain<Invalidation> {
  const [first, end, stride, context, flags] = Array.from(record) as [
    number,
    number,
    number,
    number,
    number,
  ];
  return plain<Invalidation>({
    kind: 'invalidate',
    vpn: first,
    pages: end - first,
    stride,
    context,
    intermediate: (flags & INTERMEDIATE) !== 0,
    global: (flags & GLOBAL) !== 0,
  });
}

/** Gives a block back, to a source without blocks as the frames that it must have been made of. */
function releaseBlock(frames: FrameSource, pfn: number, order: number): void {
  if (frames.releaseBlock !== undefined) {
    frames.releaseBlock(pfn, order);
    return;
  }
  for (let frame = pfn; frame < pfn + 2 ** order; frame++) frames.releaseFrame(frame);
}
