import type { ReferenceAccess } from './replacement.js';
import { least, ReferenceMemory, type ReferencePage } from './replacement-memory.js';

/** Not recently used. Tanenbaum & Bos, Modern Operating Systems, 3.4.2. */
export class ReferenceNru extends ReferenceMemory {
  protected choose(): ReferencePage {
    // Class 0: not referenced, not modified. 1: not referenced, modified. 2: referenced, not modified. 3: both.
    const classOf = ({ modified, referenced }: ReferencePage): number =>
      2 * Number(referenced) + Number(modified);
    // The book takes one of the lowest class at random; here it is the one in the lowest frame.
    return least(this.pages, classOf, ({ frame }) => frame);
  }

  override tick(): void {
    for (const page of this.pages) page.referenced = false;
  }
}

/**
 * One bit for each way of a set. Al-Zoubi, Milenkovic and Milenkovic, "Performance evaluation of cache replacement policies
 * for the SPEC CPU2000 benchmark suite", ACM Southeast Regional Conference 2004, the policy that they call PLRUm.
 */
export class ReferenceBitNru extends ReferenceMemory {
  /** The bits belong to the ways: they stay when a page goes. */
  private bits: boolean[];

  constructor(frames: number) {
    super(frames);
    this.bits = Array.from({ length: frames }, () => false);
  }

  protected override used({ frame }: ReferencePage): void {
    // 1. The bit of the way is set.
    this.bits[frame] = true;
    // 2. If this was the last one that was clear, all others are cleared.
    if (this.bits.every((bit) => bit)) this.bits = this.bits.map((_, way) => way === frame);
  }

  protected override loaded(page: ReferencePage): void {
    this.used(page);
  }

  protected choose(): ReferencePage {
    // The lowest way whose bit is clear. A set of one way has none.
    const clear = this.bits.indexOf(false);
    return this.pages[Math.max(clear, 0)]!;
  }
}

/**
 * Tree-PLRU: the ways are the leaves of a binary tree whose nodes remember which half was used less recently. The paper of
 * {@link ReferenceBitNru}, there PLRUt.
 */
export class ReferenceTreePlru extends ReferenceMemory {
  /** The nodes, by the ways below them, as `first-last`; whether the upper half is the less recent one. */
  private readonly upperIsOlder: Map<string, boolean> = new Map();

  protected override used({ frame }: ReferencePage): void {
    // From the root to the leaf, every node points to the other half.
    let [first, last] = [0, this.frames - 1];
    while (first < last) {
      const middle = (first + last + 1) / 2;
      const inUpper = frame >= middle;
      this.upperIsOlder.set(`${first}-${last}`, !inUpper);
      [first, last] = inUpper ? [middle, last] : [first, middle - 1];
    }
  }

  protected override loaded(page: ReferencePage): void {
    this.used(page);
  }

  protected choose(): ReferencePage {
    // From the root on, go where the nodes point; at first they all point down.
    let [first, last] = [0, this.frames - 1];
    while (first < last) {
      const middle = (first + last + 1) / 2;
      const goesUp = this.upperIsOlder.get(`${first}-${last}`) ?? false;
      [first, last] = goesUp ? [middle, last] : [first, middle - 1];
    }
    return this.pages[first]!;
  }
}

/**
 * CLOCK, with one bit or a counter. Tanenbaum & Bos, 3.4.5; with counters: Smith, "Sequentiality and prefetching in database
 * systems", ACM TODS 3(3), 1978.
 */
export class ReferenceClock extends ReferenceMemory {
  private hand = 0;
  private readonly initial: number;
  private readonly maximum: number;

  constructor(frames: number, initial = 1, maximum = 1) {
    super(frames);
    this.initial = initial;
    this.maximum = maximum;
  }

  protected override loaded(page: ReferencePage): void {
    page.counter = this.initial;
  }

  protected override used(page: ReferencePage): void {
    page.counter = Math.min(page.counter + 1, this.maximum);
  }

  protected choose(): ReferencePage {
    for (;;) {
      // 1. The page under the hand is inspected, and the hand moves on.
      const page = this.pages[this.hand]!;
      this.hand = (this.hand + 1) % this.frames;
      // 2. If it was not used, it goes. Otherwise it has lost one use.
      if (page.counter === 0) return page;
      page.counter--;
    }
  }
}

/** Second chance. Tanenbaum & Bos, 3.4.4. */
export class ReferenceSecondChance extends ReferenceMemory {
  /** The page that came first is first. */
  private queue: number[] = [];

  override access(page: number, write = false): ReferenceAccess {
    const outcome = super.access(page, write);
    if (!outcome.hit) this.queue.push(page);
    return outcome;
  }

  override remove(page: number): void {
    super.remove(page);
    this.queue = this.queue.filter((queued) => queued !== page);
  }

  protected choose(): ReferencePage {
    for (;;) {
      // 1. The oldest page is inspected.
      const oldest = this.pages.find(({ page }) => page === this.queue[0])!;
      // 2. If it was not referenced, it goes.
      if (!oldest.referenced) return oldest;
      // 3. Otherwise its bit is cleared, and it goes to the end as if it had just come.
      oldest.referenced = false;
      this.queue = [...this.queue.slice(1), oldest.page];
    }
  }
}
