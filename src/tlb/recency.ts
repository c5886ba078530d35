import { checkInteger } from '../core/index.js';
import type { InlineRule, PolicyKind, ReplacementPolicy, WordRule } from '../replacement/index.js';

/** How a TLB keeps what decides about victims. */
export type RecencyForm = 'list' | 'plug' | 'random' | 'stamps' | 'word';

/** The value with which fields begin; see entry-store.ts. */
const NO_WORDS: Int32Array = new Int32Array(0);

/** No slot: the end of a list. */
const NONE = -1;

/**
 * Who goes. The entries' order of use or fill is kept in one of five forms: stamps from a clock; a linked list, where one
 * set has so many ways that looking for the least stamp would take long; an int32 word a set; nothing, where victims are
 * drawn; or, for a policy that has no form as integers, one policy object a set.
 */
export class Recency {
  readonly form: RecencyForm;
  /** Whether hits matter. */
  readonly onHit: boolean;
  /** By slot, in the form `stamps`. */
  readonly stamps: Int32Array = NO_WORDS;
  private readonly ways: number = 0;
  /** By set, in the form `word`. */
  private readonly words: Int32Array = NO_WORDS;
  private readonly word: WordRule | null;
  private readonly random: { below(end: number): number } | null;
  /** By set, in the form `plug`. */
  readonly policies: readonly ReplacementPolicy[];
  // The list, in the form `list`: the latest at the head.
  private readonly after: Int32Array = NO_WORDS;
  private readonly before: Int32Array = NO_WORDS;
  private head = NONE;
  private tail = NONE;

  constructor(kind: PolicyKind | null, sets: number, ways: number, listed: boolean) {
    const rule: InlineRule | null =
      kind === null ? { kind: 'stamps', onHit: true } : (kind.inline?.(ways) ?? null);
    const stamped = rule?.kind === 'stamps';
    this.form = rule === null ? 'plug' : stamped && listed ? 'list' : rule.kind;
    this.onHit = stamped ? rule.onHit : rule?.kind !== 'random';
    this.ways = ways;
    this.word = rule?.kind === 'word' ? rule : null;
    this.random = rule?.kind === 'random' ? rule.source : null;
    this.stamps = new Int32Array(this.form === 'stamps' ? sets * ways : 0);
    this.words = new Int32Array(this.word === null ? 0 : sets);
    this.after = new Int32Array(this.form === 'list' ? ways : 0);
    this.before = new Int32Array(this.form === 'list' ? ways : 0);
    const plugged = kind !== null && rule === null ? kind : null;
    this.policies =
      plugged === null ? [] : Array.from({ length: sets }, () => plugged.create(ways));
  }

  /** An entry was used. */
  hit(set: number, slot: number, now: number): void {
    if (!this.onHit) return;
    if (this.form === 'stamps') this.stamps[slot] = now;
    else if (this.form === 'word') this.touchWord(set, slot - set * this.ways);
    else if (this.form === 'list') this.moveToHead(slot);
    else this.policies[set]!.onHit(slot - set * this.ways);
  }

  /** A slot that was free was filled. */
  filled(set: number, slot: number, tag: number, now: number): void {
    if (this.form === 'stamps') this.stamps[slot] = now;
    else if (this.form === 'word') this.touchWord(set, slot - set * this.ways);
    else if (this.form === 'list') this.pushHead(slot);
    else if (this.form === 'plug') this.policies[set]!.onFill(slot - set * this.ways, tag);
  }

  /** A slot was emptied for another reason than having been chosen. */
  removed(set: number, slot: number): void {
    if (this.form === 'list') this.unlink(slot);
    else if (this.form === 'plug') this.policies[set]!.onRemove(slot - set * this.ways);
  }

  /** The slot of a full set that goes; the policy has let go of it. */
  victim(set: number, tag: number): number {
    const first = set * this.ways;
    if (this.form === 'stamps') return this.leastStamp(first);
    if (this.word !== null) return first + this.word.victim(this.words[set]!);
    if (this.random !== null) return first + this.random.below(this.ways);
    if (this.form === 'plug') {
      const way = this.policies[set]!.victim(tag);
      return first + checkInteger('victim', way, 0, this.ways - 1);
    }
    const slot = this.tail;
    this.unlink(slot);
    return slot;
  }

  /** Stamps start again from 0 in the same order; returns the next one. */
  restamp(): number {
    const order = [...this.stamps.keys()].sort((a, b) => this.stamps[a]! - this.stamps[b]!);
    for (const [rank, slot] of order.entries()) this.stamps[slot] = rank;
    return this.stamps.length;
  }

  /** Slots from the latest to the first to go, in the form `list`. */
  listed(): number[] {
    const slots: number[] = [];
    for (let slot = this.head; slot !== NONE; slot = this.after[slot]!) slots.push(slot);
    return slots;
  }

  private leastStamp(first: number): number {
    const { stamps } = this;
    let slot = first;
    let least = stamps[first]!;
    for (let at = first + 1, end = first + this.ways; at < end; at++) {
      if (stamps[at]! < least) {
        least = stamps[at]!;
        slot = at;
      }
    }
    return slot;
  }

  private touchWord(set: number, way: number): void {
    const { full, keep, put } = this.word!;
    const word = (this.words[set]! & keep[way]!) | put[way]!;
    this.words[set] = word === full ? put[way]! : word;
  }

  private moveToHead(slot: number): void {
    if (this.head === slot) return;
    this.unlink(slot);
    this.pushHead(slot);
  }

  private pushHead(slot: number): void {
    const { head } = this;
    this.before[slot] = NONE;
    this.after[slot] = head;
    if (head === NONE) this.tail = slot;
    else this.before[head] = slot;
    this.head = slot;
  }

  private unlink(slot: number): void {
    const after = this.after[slot]!;
    const before = this.before[slot]!;
    if (before === NONE) this.head = after;
    else this.after[before] = after;
    if (after === NONE) this.tail = before;
    else this.before[after] = before;
  }
}
