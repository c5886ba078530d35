import type { PolicyKind, PolicySnapshot, ReplacementPolicy } from 'pagewright/replacement';

/** What an access led to. */
export interface CacheAccess {
  readonly hit: boolean;
  readonly victim: number | null;
}

/** The obvious owner of a policy: pages come into the lowest free slot. */
export class Cache {
  readonly slots: (number | null)[];
  readonly kind: PolicyKind;
  policy: ReplacementPolicy;
  private readonly future: readonly number[];

  constructor(kind: PolicyKind, slots: number, future: readonly number[] = []) {
    this.kind = kind;
    this.future = future;
    this.slots = Array.from({ length: slots }, () => null);
    this.policy = kind.create(slots, future);
  }

  /** The pages that are there, in the order of their slots. */
  get pages(): number[] {
    return this.slots.filter((page) => page !== null);
  }

  access(page: number, write = false): CacheAccess {
    const slot = this.slots.indexOf(page);
    if (slot < 0) return { hit: false, victim: this.fill(page, write) };
    this.policy.onHit(slot, write);
    return { hit: true, victim: null };
  }

  /** The pages that had to go, one for each access. */
  run(pages: readonly number[]): (number | null)[] {
    return pages.map((page) => this.access(page).victim);
  }

  remove(page: number): void {
    const slot = this.slots.indexOf(page);
    if (slot < 0) return;
    this.policy.onRemove(slot);
    this.slots[slot] = null;
  }

  clean(page: number): void {
    const slot = this.slots.indexOf(page);
    if (slot >= 0) this.policy.onClean(slot);
  }

  tick(): void {
    this.policy.onTick();
  }

  /** Goes on with a policy that was made of the snapshot of this one, as a file would have kept it. */
  saveAndRestore(): void {
    const snapshot: PolicySnapshot = JSON.parse(JSON.stringify(this.policy.snapshot()));
    this.policy = this.kind.restore(snapshot, this.future);
  }

  private fill(page: number, write: boolean): number | null {
    const free = this.slots.indexOf(null);
    const slot = free < 0 ? this.policy.victim(page) : free;
    const victim = this.slots[slot] ?? null;
    this.slots[slot] = page;
    this.policy.onFill(slot, page, write);
    return victim;
  }
}
