import type { ReferenceAccess, ReferencePolicy } from './replacement.js';

/** A queue without a page. Queues are arrays with the head first. */
function without(queue: readonly number[], page: number | undefined): number[] {
  return queue.filter((queued) => queued !== page);
}

/**
 * 2Q, full version. Johnson and Shasha, "2Q: a low overhead high performance buffer management replacement algorithm", VLDB
 * 1994: "On accessing a page X" and "reclaimfor".
 */
export class Reference2Q implements ReferencePolicy {
  private a1in: number[] = [];
  private am: number[] = [];
  private a1out: number[] = [];
  private readonly frames: number;
  private readonly kin: number;
  private readonly kout: number;

  constructor(frames: number, kin = Math.floor(frames / 4), kout = Math.floor(frames / 2)) {
    this.frames = frames;
    this.kin = kin;
    this.kout = kout;
  }

  access(x: number): ReferenceAccess {
    // If X is in Am, move X to the head of Am.
    if (this.am.includes(x)) {
      this.am = [x, ...without(this.am, x)];
      return { hit: true, victim: null };
    }
    // Else if X is in A1out, reclaimfor(X), add X to the head of Am.
    if (this.a1out.includes(x)) {
      const victim = this.reclaim();
      this.am = [x, ...this.am];
      // Not in the pseudocode: a page that is there is not remembered any more.
      this.a1out = without(this.a1out, x);
      return { hit: false, victim };
    }
    // Else if X is in A1in, do nothing.
    if (this.a1in.includes(x)) return { hit: true, victim: null };
    // Else reclaimfor(X), add X to the head of A1in.
    const victim = this.reclaim();
    this.a1in = [x, ...this.a1in];
    return { hit: false, victim };
  }

  remove(page: number): void {
    this.a1in = without(this.a1in, page);
    this.am = without(this.am, page);
  }

  tick(): void {}
  clean(): void {}

  private reclaim(): number | null {
    // If there are free page slots, put X into a free one.
    if (this.a1in.length + this.am.length < this.frames) return null;
    // Else if |A1in| > Kin (or, not in the pseudocode, Am has no page):
    if (this.a1in.length > this.kin || this.am.length === 0) {
      // page out the tail of A1in, call it Y; add the identifier of Y to the head of A1out;
      const y = this.a1in.at(-1)!;
      this.a1in = without(this.a1in, y);
      this.a1out = [y, ...this.a1out];
      // if |A1out| > Kout, remove the identifier of Z from the tail of A1out.
      this.a1out = this.a1out.slice(0, this.kout);
      return y;
    }
    // Else page out the tail of Am, call it Y. Do not put it on A1out.
    const y = this.am.at(-1)!;
    this.am = without(this.am, y);
    return y;
  }
}

/**
 * SIEVE. Zhang, Yang, Yue, Vigfusson and Rashmi, "SIEVE is simpler than LRU: an efficient turn-key eviction algorithm for web
 * caches", NSDI 2024, Algorithm 1.
 */
export class ReferenceSieve implements ReferencePolicy {
  private queue: number[] = [];
  private visited: number[] = [];
  /** The page that the hand is at, or `null`. */
  private hand: number | null = null;
  private readonly frames: number;

  constructor(frames: number) {
    this.frames = frames;
  }

  access(x: number): ReferenceAccess {
    // 1, 2. If x is in T, x.visited := 1.
    if (this.queue.includes(x)) {
      this.visited = [...without(this.visited, x), x];
      return { hit: true, victim: null };
    }
    // 4. If |T| = C:
    const victim = this.queue.length === this.frames ? this.evict() : null;
    // 15, 16. Insert x in the head of T, unvisited.
    this.queue = [x, ...this.queue];
    return { hit: false, victim };
  }

  /** Not in the paper: the hand leaves a page that goes as in line 13. */
  remove(page: number): void {
    if (this.hand === page) this.hand = this.previous(page);
    this.queue = without(this.queue, page);
    this.visited = without(this.visited, page);
  }

  tick(): void {}
  clean(): void {}

  private evict(): number {
    // 5 to 7. o := p, or the tail of T.
    let o = this.hand ?? this.queue.at(-1)!;
    // 8. While o.visited = 1:
    while (this.visited.includes(o)) {
      // 9. o.visited := 0.
      this.visited = without(this.visited, o);
      // 10 to 12. o := o.prev, or the tail of T.
      o = this.previous(o) ?? this.queue.at(-1)!;
    }
    // 13. p := o.prev.
    this.hand = this.previous(o);
    // 14. Discard o in T.
    this.queue = without(this.queue, o);
    return o;
  }

  /** The neighbour towards the head. */
  private previous(page: number): number | null {
    return this.queue[this.queue.indexOf(page) - 1] ?? null;
  }
}

/** A page in S or M. */
interface Counted {
  readonly page: number;
  freq: number;
}

/**
 * S3-FIFO. Yang, Zhang, Qiu, Yue and Rashmi, "FIFO queues are all you need for cache eviction", SOSP 2023, Algorithm 1, with
 * what section 4 says beside it. S has a part of the frames, M the others.
 */
export class ReferenceS3Fifo implements ReferencePolicy {
  private s: Counted[] = [];
  private m: Counted[] = [];
  private g: number[] = [];
  private readonly frames: number;
  private readonly small: number;
  private readonly ghosts: number;

  constructor(frames: number, small = Math.ceil(frames / 10), ghosts = frames - small) {
    this.frames = frames;
    this.small = small;
    this.ghosts = ghosts;
  }

  /** READ. */
  access(x: number): ReferenceAccess {
    // 2, 3. If x is in S or in M, x.freq := min(x.freq + 1, 3).
    const found = [...this.s, ...this.m].find(({ page }) => page === x);
    if (found !== undefined) {
      found.freq = Math.min(found.freq + 1, 3);
      return { hit: true, victim: null };
    }
    // 4 to 6. Else INSERT(x), x.freq := 0.
    return { hit: false, victim: this.insert({ page: x, freq: 0 }) };
  }

  remove(page: number): void {
    this.s = this.s.filter((entry) => entry.page !== page);
    this.m = this.m.filter((entry) => entry.page !== page);
  }

  tick(): void {}
  clean(): void {}

  private insert(x: Counted): number | null {
    // 8, 9. While the cache is full, EVICT().
    const victim = this.s.length + this.m.length < this.frames ? null : this.evict();
    // 10, 11. If x is in G, insert x to the head of M. It leaves G (section 4.2).
    if (this.g.includes(x.page)) {
      this.g = without(this.g, x.page);
      this.m = [x, ...this.m];
    } else {
      // 12, 13. Else insert x to the head of S.
      this.s = [x, ...this.s];
    }
    return victim;
  }

  private evict(): number {
    // 15 to 18. If S has its part of the cache, EVICTS(), else EVICTM().
    return this.s.length >= this.small ? this.evictS() : this.evictM();
  }

  private evictS(): number {
    // 20, 21. While nothing was evicted and S is not empty. Here EVICTM is enough, too: one frame is wanted.
    while (this.s.length > 0) {
      // 22, 30. t := the tail of S; remove t from S.
      const t = this.s.at(-1)!;
      this.s = this.s.slice(0, -1);
      if (t.freq > 1) {
        // 23, 24. If t.freq > 1, insert t to M. Its bits are cleared during the move (section 4.1).
        this.m = [{ page: t.page, freq: 0 }, ...this.m];
        // 25, 26. If M is full, EVICTM().
        if (this.m.length >= this.frames - this.small) return this.evictM();
      } else {
        // 27 to 29. Else insert t to G, which has as many entries as M (section 4.1). It is evicted.
        this.g = [t.page, ...this.g].slice(0, this.ghosts);
        return t.page;
      }
    }
    throw new Error('S is empty, and M is not full');
  }

  private evictM(): number {
    for (;;) {
      // 34. t := the tail of M.
      const t = this.m.at(-1)!;
      this.m = this.m.slice(0, -1);
      // 38 to 40. If t.freq is 0, remove t from M. It is evicted.
      if (t.freq === 0) return t.page;
      // 35 to 37. If t.freq > 0, insert t to the head of M, t.freq := t.freq - 1.
      this.m = [{ page: t.page, freq: t.freq - 1 }, ...this.m];
    }
  }
}
