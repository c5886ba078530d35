import type { ReferenceContext } from './tlb.js';

/** A space that entries belong to: an address space, or the global pages of a root, whose ASID is `null`. */
export interface ReferenceSpace {
  readonly asid: number | null;
  readonly vmid: number;
  readonly root: number;
}

/** Which spaces a CPU's caches can tell apart: a list, the one that was used least recently first. */
export class ReferenceContexts {
  private spaces: ReferenceSpace[] = [];
  private current: ReferenceContext | null = null;
  private readonly limit: number;

  constructor(limit: number) {
    this.limit = limit;
    this.switchTo({ asid: 0, vmid: 0, root: 0 });
  }

  /** Makes a context current; returns the spaces that had to be forgotten. */
  switchTo(context: ReferenceContext): readonly ReferenceSpace[] {
    const global = { ...context, asid: null };
    const own = { ...context };
    // 1. What is known of it becomes the latest, its global pages before itself.
    for (const space of [global, own]) {
      const known = this.find(space);
      if (known) this.spaces = [...this.spaces.filter((other) => other !== known), known];
    }
    // 2. It is known from now on, and then its global pages are.
    const gone = [...this.add(own, []), ...this.add(global, [own])];
    // 3. Until another is, it is current.
    this.current = context;
    return gone;
  }

  /** Whether a context is told apart from others now. */
  knows(context: ReferenceContext): boolean {
    return this.find(context) !== undefined;
  }

  private find(space: ReferenceSpace): ReferenceSpace | undefined {
    return this.spaces.find((other) => isSame(other, space));
  }

  /** Where there are too many, the least recent one goes that is not current, and not kept. */
  private add(space: ReferenceSpace, keep: readonly ReferenceSpace[]): readonly ReferenceSpace[] {
    if (this.find(space)) return [];
    const { current } = this;
    const kept = current === null ? keep : [...keep, current, { ...current, asid: null }];
    const gone =
      this.spaces.length < this.limit
        ? []
        : this.spaces.filter((other) => !kept.some((one) => isSame(one, other))).slice(0, 1);
    this.spaces = [...this.spaces.filter((other) => !gone.includes(other)), space];
    return gone;
  }
}

function isSame(one: ReferenceSpace, other: ReferenceSpace): boolean {
  return one.asid === other.asid && one.vmid === other.vmid && one.root === other.root;
}
