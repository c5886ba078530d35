import type { InlineRule } from './inline-rule.js';

/**
 * Decides which slot of a cache, or which frame of a memory, is given to the next page. It knows slots, numbered from 0,
 * and the pages in them, and nothing of what they hold.
 *
 * The owner tells it everything that happens, in this order. A page that is there: `onHit`. A page that is not, while a
 * slot is free: `onFill` with any free slot. A page that is not, and no slot is free: `victim`, which empties a slot, and
 * then `onFill` with that slot. A page that goes for another reason - a flush, an unmapping - : `onRemove`. A page is in one
 * slot at a time. Which slots may not go - pinned, locked - a policy cannot be told: the owner keeps those out of it.
 *
 * @public
 */
export interface ReplacementPolicy {
  /** The name that the literature uses, such as `LRU` or `CLOCK`. */
  readonly name: string;
  /** How many slots there are. */
  readonly slots: number;

  /**
   * A page has come into a slot.
   *
   * @param slot - A slot that is free.
   * @param page - Its number, 0 to 2^53 - 1. Policies that remember pages after they are gone know them by it.
   * @param write - Whether the access that brought it in writes.
   * @throws `VmError` for a slot that is none or in use, or a page that is no such number.
   */
  onFill(slot: number, page: number, write?: boolean): void;

  /**
   * The page in a slot is used.
   *
   * @param slot - A slot in use.
   * @param write - Whether the access writes.
   * @throws `VmError` for a slot that is none or free.
   */
  onHit(slot: number, write?: boolean): void;

  /**
   * Chooses the slot that must go, and takes its page out.
   *
   * @param page - The page that wants to come in.
   * @returns The slot, which is free now.
   * @throws `VmError` while a slot is free.
   */
  victim(page: number): number;

  /**
   * The page in a slot has gone without having been chosen.
   *
   * @param slot - A slot in use.
   * @throws `VmError` for a slot that is none or free.
   */
  onRemove(slot: number): void;

  /** The clock interrupt, for policies that look at reference bits now and then; the others ignore it. */
  onTick(): void;

  /**
   * The page in a slot was written back, for policies that look at dirty bits; the others ignore it.
   *
   * @param slot - A slot in use.
   * @throws `VmError` for a slot that is none or free.
   */
  onClean(slot: number): void;

  /**
   * Verifies everything that the policy's state promises.
   *
   * @throws An `Error` that names what does not hold.
   */
  checkInvariants(): void;

  /**
   * Everything that decides about later victims; {@link PolicyKind.restore} makes the same policy of it.
   *
   * @returns Plain data, versioned. O(slots).
   */
  snapshot(): PolicySnapshot;
}

/**
 * A policy's state as plain data.
 *
 * @public
 */
export interface PolicySnapshot {
  /** The version of this shape. */
  readonly v: 1;
  /** The tag. */
  readonly type: 'replacement-policy';
  /** Whose state it is. */
  readonly name: string;
  /** The page in each slot, or -1. */
  readonly pages: readonly number[];
  /** The rest, in numbers that the policy understands. */
  readonly state: Readonly<Record<string, readonly number[]>>;
}

/**
 * A policy that is chosen, with its options, and not yet at work: what `lru()`, `clock()`, `opt()` and the others return,
 * and what `simulate` and TLBs take. A policy of your own is an object of this shape.
 *
 * @public
 */
export interface PolicyKind {
  /** The name that the literature uses. */
  readonly name: string;
  /**
   * The form in which a TLB runs it without a call for each hit, for the few policies that have one.
   *
   * @param ways - Slots in a set.
   * @returns The rule, or `null` for a number of ways that the form does not reach.
   */
  readonly inline?: (ways: number) => InlineRule | null;

  /** Whether `create` wants the future; `simulate` gives it to nobody else. @defaultValue false */
  readonly looksAhead?: boolean;

  /**
   * Puts it to work on empty slots.
   *
   * @param slots - How many, 1 to 2^24.
   * @param future - The pages that will be asked for, in order, for policies that look ahead: each `onFill` and each
   * `onHit` takes one. The others ignore it.
   * @returns The policy.
   * @throws `VmError` for a number of slots that the policy cannot have, or a future that is needed and missing.
   */
  create(slots: number, future?: ArrayLike<number>): ReplacementPolicy;

  /**
   * Continues from a snapshot.
   *
   * @param snapshot - What `snapshot` returned, of a policy of the same kind and options.
   * @param future - The whole future that the saved policy had.
   * @returns A policy that chooses as the saved one would have.
   * @throws `VmError` `unsupported` for another version, `bad-image` for what was tampered with.
   */
  restore(snapshot: PolicySnapshot, future?: ArrayLike<number>): ReplacementPolicy;
}

/**
 * As much of a policy as a simulation calls.
 *
 * @public
 */
export type SimulatedPolicy = Pick<ReplacementPolicy, 'onFill' | 'onHit' | 'onTick' | 'victim'>;

/**
 * As much of a policy's kind as a simulation needs: any {@link PolicyKind}, or less.
 *
 * @public
 */
export interface SimulatedKind extends Pick<PolicyKind, 'looksAhead' | 'name'> {
  /**
   * Makes the policy of a set, when its first page comes.
   *
   * @param slots - Frames of the set.
   * @param future - What the set will be asked for, where `looksAhead` is true: a list of its own.
   * @returns The policy.
   */
  create(slots: number, future?: ArrayLike<number>): SimulatedPolicy;
}
