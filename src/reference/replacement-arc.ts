import type { ReferenceAccess, ReferencePolicy } from './replacement.js';

/** A list without a page. Lists are arrays with the most recently used page first. */
function without(list: readonly number[], page: number | undefined): number[] {
  return list.filter((listed) => listed !== page);
}

/** ARC. Megiddo and Modha, "ARC: a self-tuning, low overhead replacement cache", FAST 2003, Fig. 4. */
export class ReferenceArc implements ReferencePolicy {
  private p = 0;
  private t1: number[] = [];
  private b1: number[] = [];
  private t2: number[] = [];
  private b2: number[] = [];
  private readonly c: number;

  constructor(frames: number) {
    this.c = frames;
  }

  access(x: number): ReferenceAccess {
    // Case I: x is in T1 or T2. Move x to MRU position in T2.
    if (this.t1.includes(x) || this.t2.includes(x)) {
      this.remove(x);
      this.t2 = [x, ...this.t2];
      return { hit: true, victim: null };
    }
    let victim: number | null;
    if (this.b1.includes(x)) victim = this.caseII(x);
    else if (this.b2.includes(x)) victim = this.caseIII(x);
    else victim = this.caseIV(x);
    return { hit: false, victim };
  }

  /** Not in the paper: no ghost is left. */
  remove(page: number): void {
    this.t1 = without(this.t1, page);
    this.t2 = without(this.t2, page);
  }

  tick(): void {}
  clean(): void {}

  private caseII(x: number): number | null {
    // ADAPTATION: p := min(p + d1, c), where d1 is 1 if |B1| >= |B2|, |B2| / |B1| otherwise.
    const d1 = this.b1.length >= this.b2.length ? 1 : this.b2.length / this.b1.length;
    this.p = Math.min(this.p + d1, this.c);
    // REPLACE(x, p). Move x from B1 to the MRU position in T2.
    const victim = this.replace(x);
    this.b1 = without(this.b1, x);
    this.t2 = [x, ...this.t2];
    return victim;
  }

  private caseIII(x: number): number | null {
    // ADAPTATION: p := max(p - d2, 0), where d2 is 1 if |B2| >= |B1|, |B1| / |B2| otherwise.
    const d2 = this.b2.length >= this.b1.length ? 1 : this.b1.length / this.b2.length;
    this.p = Math.max(this.p - d2, 0);
    // REPLACE(x, p). Move x from B2 to the MRU position in T2.
    const victim = this.replace(x);
    this.b2 = without(this.b2, x);
    this.t2 = [x, ...this.t2];
    return victim;
  }

  private caseIV(x: number): number | null {
    let victim: number | null = null;
    if (this.t1.length + this.b1.length === this.c) {
      // Case A: L1 has exactly c pages.
      if (this.t1.length < this.c) {
        // Delete the LRU page in B1. REPLACE(x, p).
        this.b1 = this.b1.slice(0, -1);
        victim = this.replace(x);
      } else {
        // B1 is empty. Delete the LRU page in T1, also from the cache.
        victim = this.t1.at(-1)!;
        this.t1 = this.t1.slice(0, -1);
      }
    } else {
      // Case B: L1 has less than c pages. Delete the LRU page in B2, if L1 and L2 have 2c.
      const all = this.t1.length + this.t2.length + this.b1.length + this.b2.length;
      if (all === 2 * this.c) this.b2 = this.b2.slice(0, -1);
      // REPLACE(x, p), if they have c or more.
      victim = this.replace(x);
    }
    // Finally, move x to the MRU position in T1.
    this.t1 = [x, ...this.t1];
    return victim;
  }

  private replace(x: number): number | null {
    // Where no page is removed, this is asked for only when the cache is full. Here it may have room.
    if (this.t1.length + this.t2.length < this.c) return null;
    const { length } = this.t1;
    const isTarget = this.b2.includes(x) && length === this.p;
    if (length > 0 && (length > this.p || isTarget)) {
      // Delete the LRU page in T1, and move it to the MRU position in B1.
      const page = this.t1.at(-1)!;
      this.t1 = this.t1.slice(0, -1);
      this.b1 = [page, ...this.b1];
      return page;
    }
    // Else delete the LRU page in T2, and move it to the MRU position in B2.
    const page = this.t2.at(-1)!;
    this.t2 = this.t2.slice(0, -1);
    this.b2 = [page, ...this.b2];
    return page;
  }
}
