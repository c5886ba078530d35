import type { ReferenceAccess, ReferencePolicy } from './replacement.js';

/** The lowest frame that is free. */
function freeFrame(frames: readonly unknown[]): number | null {
  const frame = frames.indexOf(null);
  return frame < 0 ? null : frame;
}

/**
 * SRRIP. Jaleel, Theobald, Steely and Emer, "High performance cache replacement using re-reference interval prediction
 * (RRIP)", ISCA 2010, static RRIP: what a cache hit and a cache miss do.
 */
export class ReferenceSrrip implements ReferencePolicy {
  /** The pages, and the RRPVs of those that are there. */
  private readonly pages: (number | null)[];
  private readonly rrpvs: number[];
  private readonly bits: number;
  private readonly insertion: number;
  private readonly promotion: 'hit-priority' | 'frequency';

  constructor(
    frames: number,
    bits = 2,
    insertion = 2 ** bits - 2,
    promotion: 'hit-priority' | 'frequency' = 'hit-priority',
  ) {
    this.pages = Array.from({ length: frames }, () => null);
    this.rrpvs = this.pages.map(() => 0);
    this.bits = bits;
    this.insertion = insertion;
    this.promotion = promotion;
  }

  access(page: number): ReferenceAccess {
    // Cache hit: (i) set the RRPV of the block to 0, or with frequency priority take one from it.
    const found = this.pages.indexOf(page);
    if (found >= 0) {
      const less = Math.max(0, this.rrpvs[found]! - 1);
      this.rrpvs[found] = this.promotion === 'hit-priority' ? 0 : less;
      return { hit: true, victim: null };
    }
    const frame = freeFrame(this.pages) ?? this.search();
    const victim = this.pages[frame]!;
    // Cache miss: (v) replace the block, and set its RRPV to 2^M - 2.
    this.pages[frame] = page;
    this.rrpvs[frame] = this.insertion;
    return { hit: false, victim };
  }

  remove(page: number): void {
    const frame = this.pages.indexOf(page);
    if (frame >= 0) this.pages[frame] = null;
  }

  tick(): void {}
  clean(): void {}

  private search(): number {
    for (;;) {
      // (i) Search for the first 2^M - 1 from the left. (ii) If it is found, go to step (v).
      const frame = this.rrpvs.indexOf(2 ** this.bits - 1);
      if (frame >= 0) return frame;
      // (iii) Increment all RRPVs. (iv) Go to step (i).
      for (const index of this.rrpvs.keys()) this.rrpvs[index]!++;
    }
  }
}

/** A page in the ring. */
interface RingPage {
  readonly page: number;
  r: boolean;
  m: boolean;
  /** Its write was scheduled, and the hand has not come round since. */
  scheduled: boolean;
  lastUse: number;
}

/**
 * WSClock. Carr and Hennessy, "WSClock - a simple and effective algorithm for virtual memory management", SOSP 1981; the
 * steps are those of Tanenbaum & Bos, Modern Operating Systems, 3.4.9. The ring is the frames in the order of their numbers.
 */
export class ReferenceWsClock implements ReferencePolicy {
  /** The pages whose writes were scheduled, in order. */
  readonly written: number[] = [];
  private readonly ring: (RingPage | null)[];
  private readonly window: number;
  private readonly writeLimit: number;
  private hand = 0;
  /** Virtual time: references so far. */
  private now = 0;

  constructor(frames: number, window: number, writeLimit: number = Number.POSITIVE_INFINITY) {
    this.ring = Array.from({ length: frames }, () => null);
    this.window = window;
    this.writeLimit = writeLimit;
  }

  access(page: number, write = false): ReferenceAccess {
    const found = this.find(page);
    if (found !== null) {
      this.now++;
      found.r = true;
      found.m ||= write;
      return { hit: true, victim: null };
    }
    const free = freeFrame(this.ring);
    const frame = free ?? this.search();
    const victim = free === null ? this.ring[frame]!.page : null;
    // The page that was claimed is replaced, and the hand moves on from there.
    if (free === null) this.hand = (frame + 1) % this.ring.length;
    this.now++;
    this.ring[frame] = { page, r: true, m: write, scheduled: false, lastUse: this.now };
    return { hit: false, victim };
  }

  remove(page: number): void {
    for (const [frame, present] of this.ring.entries()) {
      if (present?.page === page) this.ring[frame] = null;
    }
  }

  tick(): void {}

  clean(page: number): void {
    const found = this.find(page);
    if (found === null) return;
    found.m = false;
    found.scheduled = false;
  }

  private find(page: number): RingPage | null {
    return this.ring.find((present) => present?.page === page) ?? null;
  }

  private search(): number {
    let writes = 0;
    for (let steps = 0; steps < 2 * this.ring.length; steps++) {
      const page = this.ring[this.hand]!;
      const secondTime = steps >= this.ring.length;
      // A write that was scheduled when the hand was here last has completed.
      page.scheduled = false;
      const clean = !page.m;
      // 3. The hand has come all the way round. If writes were scheduled, the first clean page is evicted; if none was,
      // any clean page is claimed.
      if (secondTime && clean) return this.hand;
      const wasUsed = page.r;
      // 1. If R is 1, the page was used: clear R, note the time, advance.
      if (wasUsed) {
        page.r = false;
        page.lastUse = this.now;
      }
      // 2. If R is 0 and the age is greater than the window:
      if (!secondTime && !wasUsed && this.now - page.lastUse > this.window) {
        // and the page is clean: claim it.
        if (clean) return this.hand;
        // and it is dirty: schedule the write, up to a limit, advance.
        if (writes < this.writeLimit) {
          writes++;
          page.m = false;
          page.scheduled = true;
          this.written.push(page.page);
        }
      }
      this.hand = (this.hand + 1) % this.ring.length;
    }
    // 4. No page is clean: the page at the hand is the victim, and written back.
    this.written.push(this.ring[this.hand]!.page);
    return this.hand;
  }
}
