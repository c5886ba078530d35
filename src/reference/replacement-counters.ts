import { least, ReferenceMemory, type ReferencePage } from './replacement-memory.js';

/** The page with the lowest counter goes; of those the one in the lowest frame. */
abstract class ReferenceCounters extends ReferenceMemory {
  protected choose(): ReferencePage {
    return least(
      this.pages,
      ({ counter }) => counter,
      ({ frame }) => frame,
    );
  }

  override tick(): void {
    for (const page of this.pages) {
      page.counter = this.next(page.counter, Number(page.referenced));
      page.referenced = false;
    }
  }

  protected abstract next(counter: number, referenced: number): number;
}

/** Not frequently used: at each clock interrupt R is added. Tanenbaum & Bos, Modern Operating Systems, 3.4.7. */
export class ReferenceNfu extends ReferenceCounters {
  protected next(counter: number, referenced: number): number {
    return counter + referenced;
  }
}

/**
 * Aging: at each clock interrupt counters are shifted to the right, then R is added to the leftmost bit. Tanenbaum & Bos,
 * 3.4.7.
 */
export class ReferenceAging extends ReferenceCounters {
  private readonly counterBits: number;

  constructor(frames: number, counterBits: number) {
    super(frames);
    this.counterBits = counterBits;
  }

  protected next(counter: number, referenced: number): number {
    return Math.floor(counter / 2) + referenced * 2 ** (this.counterBits - 1);
  }
}
