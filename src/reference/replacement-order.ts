import { Random } from '../core/index.js';
import { least, ReferenceMemory, type ReferencePage } from './replacement-memory.js';

/** The page that came first goes. Tanenbaum & Bos, Modern Operating Systems, 3.4.3. */
export class ReferenceFifo extends ReferenceMemory {
  protected choose(): ReferencePage {
    return least(this.pages, ({ loadedAt }) => loadedAt);
  }
}

/** The page that was not used for the longest time goes. Tanenbaum & Bos, 3.4.6. */
export class ReferenceLru extends ReferenceMemory {
  protected choose(): ReferencePage {
    return least(this.pages, ({ usedAt }) => usedAt);
  }
}

/** The page that was used last goes. Chou and DeWitt, VLDB 1985. */
export class ReferenceMru extends ReferenceMemory {
  protected choose(): ReferencePage {
    return least(this.pages, ({ usedAt }) => -usedAt);
  }
}

/**
 * The page with the fewest uses since it came goes, of those the least recently used one. Silberschatz et al., Operating
 * System Concepts, "Counting-Based Page Replacement".
 */
export class ReferenceLfu extends ReferenceMemory {
  protected choose(): ReferencePage {
    return least(
      this.pages,
      ({ uses }) => uses,
      ({ usedAt }) => usedAt,
    );
  }
}

/** Any page goes. */
export class ReferenceRandom extends ReferenceMemory {
  private readonly random: Random;

  constructor(frames: number, seed: number) {
    super(frames);
    this.random = new Random(seed);
  }

  protected choose(): ReferencePage {
    return this.pages[this.random.below(this.frames)]!;
  }
}

/** Where `at` looks from, when the page is accessed next; `future.length` if it never is. */
function nextUse(future: readonly number[], at: number, page: number): number {
  const found = future.indexOf(page, at);
  return found < 0 ? future.length : found;
}

/** Who goes of those that are used at the same time, which is never. */
export type ReferenceTies = 'earliest-loaded' | 'latest-loaded';

/** The page that is used again last goes. Belady, IBM Systems Journal 5(2), 1966; Tanenbaum & Bos, 3.4.1. */
export class ReferenceOpt extends ReferenceMemory {
  private readonly future: readonly number[];
  private readonly ties: ReferenceTies;

  constructor(frames: number, future: readonly number[], ties: ReferenceTies) {
    super(frames);
    this.future = future;
    this.ties = ties;
  }

  protected choose(): ReferencePage {
    const next = ({ page }: ReferencePage): number => nextUse(this.future, this.now, page);
    return least(this.pages, (page) => -next(page), byLoad(this.ties));
  }
}

/** The page that is used again first goes: as bad as it gets for a policy that looks ahead. OSTEP's paging-policy.py, UNOPT. */
export class ReferenceUnopt extends ReferenceMemory {
  private readonly future: readonly number[];
  private readonly ties: ReferenceTies;

  constructor(frames: number, future: readonly number[], ties: ReferenceTies) {
    super(frames);
    this.future = future;
    this.ties = ties;
  }

  protected choose(): ReferencePage {
    const next = ({ page }: ReferencePage): number => nextUse(this.future, this.now, page);
    return least(this.pages, next, byLoad(this.ties));
  }
}

function byLoad(ties: ReferenceTies): (page: ReferencePage) => number {
  return ties === 'earliest-loaded' ? ({ loadedAt }) => loadedAt : ({ loadedAt }) => -loadedAt;
}
