import { checkInteger, checkMethods, Random, VmError } from '../core/index.js';
import type {
  PolicyKind,
  PolicySnapshot,
  ReplacementPolicy,
  WordRule,
} from '../replacement/index.js';
import { loadInts, StampOrder } from './stamp-order.js';
import type { TlbPolicy, WayOrder } from './way-order.js';

/** Hits are told. */
const NO_STAMPS: Int32Array = new Int32Array(0);

/**
 * Makes any replacement policy one that a TLB takes. FIFO, tree-PLRU, one-bit NRU and random run as integer code, as LRU
 * does, which TLBs have without it; of every other policy each set has an object that is called for each hit and fill,
 * some 20 to 200 ns.
 *
 * @param kind - The policy; not one that looks ahead.
 * @returns What {@link TlbOptions} takes.
 * @throws `VmError` for what is no policy; the TLB's constructor for a number of ways that the policy cannot have.
 *
 * @example
 * ```ts
 * import { sieve, treePlru } from 'pagewright/replacement';
 * import { Tlb, tlbPolicy } from 'pagewright/tlb';
 *
 * const tlb = new Tlb({ entries: 64, ways: 4, policy: tlbPolicy(treePlru()) });
 * const other = new Tlb({ entries: 48, policy: tlbPolicy(sieve()) });
 * [tlb.sets, other.sets]; // => [16, 1]
 * ```
 * @public
 */
export function tlbPolicy(kind: PolicyKind): TlbPolicy {
  checkMethods('kind', kind, ['create', 'restore', ...(kind?.inline ? ['inline'] : [])]);
  return (sets, ways) => {
    const rule = kind.inline?.(ways) ?? null;
    switch (rule?.kind) {
      case 'stamps':
        return new StampOrder(sets, ways, rule.onHit);
      case 'word':
        return new WordOrder(sets, ways, rule);
      case 'random':
        return new RandomOrder(sets * ways, ways, rule.seed);
      case undefined:
        return new PolicyOrder(sets, ways, kind);
    }
  };
}

/** A word for each set. */
class WordOrder implements WayOrder {
  readonly hitStamps: Int32Array = NO_STAMPS;
  private readonly words: Int32Array;
  private readonly ways: number;
  private readonly rule: WordRule;

  constructor(sets: number, ways: number, rule: WordRule) {
    this.words = new Int32Array(sets);
    this.ways = ways;
    this.rule = rule;
  }

  hit(set: number, slot: number): void {
    const way = slot - set * this.ways;
    const { full, keep, put } = this.rule;
    const word = (this.words[set]! & keep[way]!) | put[way]!;
    this.words[set] = word === full ? put[way]! : word;
  }

  filled(set: number, slot: number): void {
    this.hit(set, slot);
  }

  removed(): void {}

  victim(set: number): number {
    return set * this.ways + this.rule.victim(this.words[set]!);
  }

  restamp(): number {
    return 0;
  }

  save(): readonly unknown[] {
    return [...this.words];
  }

  load(saved: readonly unknown[]): void {
    loadInts(this.words, saved);
  }
}

/** Nothing for each set, and one generator for all. */
class RandomOrder implements WayOrder {
  /** Stamped, and never read: hits mean nothing. */
  readonly hitStamps: Int32Array;
  private readonly ways: number;
  private generator: Random;

  constructor(entries: number, ways: number, seed: number) {
    this.hitStamps = new Int32Array(entries);
    this.ways = ways;
    this.generator = new Random(seed);
  }

  hit(): void {}
  filled(): void {}
  removed(): void {}

  victim(set: number): number {
    return set * this.ways + this.generator.below(this.ways);
  }

  restamp(): number {
    return 0;
  }

  save(): readonly unknown[] {
    return this.generator.snapshot().state;
  }

  load(saved: readonly unknown[]): void {
    const state = new Int32Array(4);
    loadInts(state, saved);
    this.generator = Random.restore({ v: 1, state: [...state] });
  }
}

/** A policy may be somebody else's: it must have what will be called. */
function checkPolicy(policy: ReplacementPolicy): ReplacementPolicy {
  checkMethods('policy', policy, ['onFill', 'onHit', 'onRemove', 'victim', 'snapshot']);
  return policy;
}

/** A policy object for each set. */
class PolicyOrder implements WayOrder {
  readonly hitStamps: Int32Array = NO_STAMPS;
  private readonly ways: number;
  private readonly kind: PolicyKind;
  private policies: readonly ReplacementPolicy[];
  /** By slot, the number by which the policy knows its entry; -1 when empty. */
  private readonly names: Float64Array;
  /** That of the entry for which a victim was chosen, until it comes; -1 when none is expected. */
  private expected = -1;

  constructor(sets: number, ways: number, kind: PolicyKind) {
    this.ways = ways;
    this.kind = kind;
    this.policies = Array.from({ length: sets }, () => checkPolicy(kind.create(ways)));
    this.names = new Float64Array(sets * ways).fill(-1);
  }

  hit(set: number, slot: number): void {
    this.policies[set]!.onHit(slot - set * this.ways);
  }

  filled(set: number, slot: number, _now: number, tag: number, kind: number): void {
    const name = this.expected < 0 ? this.nameIn(set, tag, kind) : this.expected;
    this.expected = -1;
    this.policies[set]!.onFill(slot - set * this.ways, name);
    this.names[slot] = name;
  }

  removed(set: number, slot: number): void {
    this.names[slot] = -1;
    this.policies[set]!.onRemove(slot - set * this.ways);
  }

  /** A policy may be somebody else's: it must not reach into another set. */
  victim(set: number, tag: number, kind: number): number {
    const name = this.nameIn(set, tag, kind);
    const way = this.policies[set]!.victim(name);
    const slot = set * this.ways + checkInteger('victim', way, 0, this.ways - 1);
    this.names[slot] = -1;
    this.expected = name;
    return slot;
  }

  /**
   * A policy has no two entries of one number. Coalesced groups of the same pages with different frames would have, and
   * seldom others: the later one gets another.
   */
  private nameIn(set: number, tag: number, kind: number): number {
    const taken = this.names.subarray(set * this.ways, (set + 1) * this.ways);
    let name = pageOf(tag, kind);
    while (taken.includes(name)) name = (name + 2 ** 32) % 2 ** 53;
    return name;
  }

  restamp(): number {
    return 0;
  }

  save(): readonly unknown[] {
    return this.policies.map((policy) => policy.snapshot());
  }

  load(saved: readonly unknown[], used: readonly number[]): void {
    if (saved.length !== this.policies.length) throw this.damaged(saved, 'a policy for each set');
    // Each is of any shape: `restore` refuses what is no snapshot.
    const snapshots = saved.map((policy) => policy as PolicySnapshot);
    this.policies = snapshots.map((snapshot) => checkPolicy(this.kind.restore(snapshot)));
    const held = snapshots.flatMap(({ pages }, set) =>
      pages.flatMap((page, way) => (page < 0 ? [] : [set * this.ways + way])),
    );
    const alike = this.policies.every(({ slots }) => slots === this.ways);
    if (!alike || held.join() !== used.join()) throw this.damaged(saved, 'the slots in use');
    this.names.set(snapshots.flatMap(({ pages }) => pages));
  }

  private damaged(value: readonly unknown[], expected: string): VmError {
    return new VmError('bad-image', { argument: 'snapshot.order', value, expected });
  }
}

/**
 * The number by which a policy knows an entry, also when it is gone: that of the page, made another for each context and
 * size, in 21 bits: policies may rarely take one entry for another that is gone.
 */
function pageOf(tag: number, kind: number): number {
  const high = Math.imul((tag / 2 ** 32) | 0, 0x9e3779b1) ^ Math.imul(kind, 0x85ebca6b);
  return (high >>> 11) * 2 ** 32 + (tag % 2 ** 32);
}
