import type { ReferenceAccess, ReferencePolicy } from './replacement.js';

/** Everything that a textbook ever looks at of a page in memory. */
export interface ReferencePage {
  readonly page: number;
  readonly frame: number;
  /** When it came, in accesses. */
  readonly loadedAt: number;
  /** When it was used last; coming is a use. */
  usedAt: number;
  /** How often it was used since it came; coming is the first time. */
  uses: number;
  /** The R bit. */
  referenced: boolean;
  /** The M bit. */
  modified: boolean;
  /** For policies that count in their own way. */
  counter: number;
}

/** A memory of frames, and everything that is known of the pages in it; a policy says only who goes. */
export abstract class ReferenceMemory implements ReferencePolicy {
  /** In the order of their frames. */
  protected pages: ReferencePage[] = [];
  protected readonly frames: number;
  /** Accesses so far. */
  protected now = 0;

  constructor(frames: number) {
    this.frames = frames;
  }

  access(page: number, write = false): ReferenceAccess {
    // 1. Time passes.
    this.now++;
    // 2. A page that is there is used.
    const found = this.pages.find((present) => present.page === page);
    if (found !== undefined) {
      found.usedAt = this.now;
      found.uses++;
      found.referenced = true;
      found.modified ||= write;
      this.used(found);
      return { hit: true, victim: null };
    }
    // 3. If every frame is taken, one page goes.
    let victim: number | null = null;
    if (this.pages.length === this.frames) {
      victim = this.choose().page;
      this.remove(victim);
    }
    // 4. The page comes into the lowest frame that is free.
    this.load(page, write);
    return { hit: false, victim };
  }

  remove(page: number): void {
    this.pages = this.pages.filter((present) => present.page !== page);
  }

  tick(): void {}

  clean(page: number): void {
    for (const present of this.pages) if (present.page === page) present.modified = false;
  }

  /** Who goes; every frame is taken. */
  protected abstract choose(): ReferencePage;

  /** What the policy does when a page that is there is used. */
  protected used(_page: ReferencePage): void {}

  /** What the policy does when a page has come. */
  protected loaded(_page: ReferencePage): void {}

  private load(page: number, write: boolean): void {
    const taken = this.pages.map(({ frame }) => frame);
    let frame = 0;
    while (taken.includes(frame)) frame++;
    const [loadedAt, usedAt] = [this.now, this.now];
    const times = { loadedAt, usedAt, uses: 1, counter: 0 };
    const come = { page, frame, ...times, referenced: true, modified: write };
    this.pages.push(come);
    this.pages.sort((a, b) => a.frame - b.frame);
    this.loaded(come);
  }
}

/** The page with the least of what is looked at first; of those the one with the least of the next, and so on. */
export function least(
  pages: readonly ReferencePage[],
  ...measures: readonly ((page: ReferencePage) => number)[]
): ReferencePage {
  let rest = pages;
  for (const measure of measures) {
    const minimum = Math.min(...rest.map(measure));
    rest = rest.filter((page) => measure(page) === minimum);
  }
  return rest[0]!;
}
