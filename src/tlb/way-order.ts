import { bad } from './geometry.js';

const METHODS = ['hit', 'filled', 'removed', 'victim', 'restamp', 'save', 'load'] as const;

/**
 * What decides which entry of a full set goes. A TLB tells it of every hit, fill and removal.
 *
 * @public
 */
export interface WayOrder {
  /**
   * By slot: what a hit stamps with the TLB's clock, where that is all that a hit means, or nothing at all; empty where
   * hits must be told.
   */
  readonly hitStamps: Int32Array;
  /** An entry was used; `now` is the clock. */
  hit(set: number, slot: number, now: number): void;
  /** An empty slot was filled with an entry of a kind that begins at page `tag`. */
  filled(set: number, slot: number, now: number, tag: number, kind: number): void;
  /** A slot was emptied for another reason than having been chosen. */
  removed(set: number, slot: number): void;
  /** The slot of a full set that goes for such an entry; it counts as emptied. */
  victim(set: number, tag: number, kind: number): number;
  /** The clock starts again: what was stamped keeps its order. Returns the clock's new time. */
  restamp(): number;
  /** What decides about victims, as plain data. */
  save(): readonly unknown[];
  /** The reverse, into a new one, with the slots in use; whatever was tampered with is refused with a `VmError`. */
  load(saved: readonly unknown[], used: readonly number[]): void;
}

/**
 * A policy in the form that TLBs take; `tlbPolicy` makes one of any replacement policy.
 *
 * @param sets - Sets of the TLB.
 * @param ways - Ways of each set.
 * @returns What decides in that TLB.
 * @public
 */
export type TlbPolicy = (sets: number, ways: number) => WayOrder;

/** A policy may be somebody else's: its order must have what will be called, and stamps for every slot or for none. */
export function checkOrder(order: WayOrder, entries: number): WayOrder {
  if (
    order?.hitStamps instanceof Int32Array &&
    order.hitStamps.length % entries === 0 &&
    METHODS.every((name) => typeof order[name] === 'function')
  ) {
    return order;
  }
  throw bad('policy', order, 'what tlbPolicy returned');
}
