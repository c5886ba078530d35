import { checkInteger, VmError } from '../core/index.js';
import type { WordRule } from './inline-rule.js';
import type { PolicyKind } from './policy.js';
import { MAX_SLOTS, type PolicyState, policyKind, SlotPolicy, savedVector } from './slot-policy.js';

/** The ways whose tree fits a word. */
const WORD_WAYS = 32;

/**
 * The nodes of the tree are numbered from the root, 1, on; below node n are 2n and 2n + 1, and leaf `slots + s` is slot s.
 * A node's bit is 1 where its upper half was used less recently.
 */
class TreePlruPolicy extends SlotPolicy {
  readonly name = 'tree-PLRU';
  private readonly bits: Uint8Array;

  constructor(slots: number) {
    super(checkWays('slots', slots));
    this.bits = new Uint8Array(slots);
  }

  protected filled(slot: number): void {
    this.touched(slot);
  }

  protected touched(slot: number): void {
    for (let node = this.slots + slot; node > 1; node >>= 1) this.bits[node >> 1] = ~node & 1;
  }

  protected choose(): number {
    let node = 1;
    while (node < this.slots) node = 2 * node + this.bits[node]!;
    return node - this.slots;
  }

  /** Hardware leaves the tree as it is. */
  protected removed(): void {}

  protected checkState(): void {
    if (this.bits.some((bit) => bit > 1)) throw new Error(`the tree has bits ${this.bits}`);
  }

  protected save(): PolicyState {
    return { tree: [...this.bits.subarray(1)] };
  }

  protected restoreState(state: PolicyState): void {
    this.bits.set(savedVector(state, 'tree', this.slots - 1, 1), 1);
  }
}

/**
 * Tree-PLRU, what caches and TLBs have instead of LRU: a binary tree above the ways, whose nodes remember which half was
 * used less recently; the victim is where they lead (Al-Zoubi, Milenkovic and Milenkovic, "Performance evaluation of cache
 * replacement policies for the SPEC CPU2000 benchmark suite", ACM-SE 2004, there PLRUt). Every event is O(log slots). Up to
 * 32 ways have an inline form.
 *
 * `create` and `inline` throw a `VmError` for a number of slots that is no power of two.
 *
 * @example
 * ```ts
 * import { simulate, treePlru } from 'pagewright/replacement';
 *
 * // 0 was used last, so the tree leads to the other half; there to 2, because 3 came after it. LRU would take 1.
 * simulate(treePlru(), 4, [0, 1, 2, 3, 0, 4]).steps.at(-1)?.victim; // => 2
 * ```
 * @public
 */
export function treePlru(): PolicyKind {
  return policyKind('tree-PLRU', (slots) => new TreePlruPolicy(slots), treeRule);
}

/** The same tree in a word: node n is bit n - 1. */
function treeRule(ways: number): WordRule | null {
  if (checkWays('ways', ways) > WORD_WAYS) return null;
  const keep = new Int32Array(ways).fill(-1);
  const put = new Int32Array(ways);
  for (let way = 0; way < ways; way++) {
    for (let node = ways + way; node > 1; node >>= 1) {
      const bit = 1 << ((node >> 1) - 1);
      keep[way]! &= ~bit;
      if (node % 2 === 0) put[way]! |= bit;
    }
  }
  const victim = (word: number): number => {
    let node = 1;
    while (node < ways) node = 2 * node + ((word >>> (node - 1)) & 1);
    return node - ways;
  };
  return { kind: 'word', keep, put, full: 0, victim };
}

function checkWays(argument: string, ways: number): number {
  checkInteger(argument, ways, 1, MAX_SLOTS);
  if ((ways & (ways - 1)) === 0) return ways;
  throw new VmError('bad-argument', { argument, value: ways, expected: 'a power of two' });
}
