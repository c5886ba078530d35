import { checkVersion, VmError } from '../core/index.js';
import type { TlbContextsSnapshot } from './contexts.js';
import { CLOCK_END } from './tlb-lookup.js';

/**
 * What `snapshot` of a TLB returns. It is of one version of the library: fields are those of the implementation.
 *
 * @public
 */
export interface TlbSnapshot {
  /** The version of this shape. */
  readonly v: 1;
  /** The tag. */
  readonly type: 'tlb';
  /** Entries that there may be. */
  readonly entries: number;
  /** Entries of a set. */
  readonly ways: number;
  /** The current context. */
  readonly context: number;
  /** The table of contexts, which caches may share. */
  readonly contexts: TlbContextsSnapshot;
  /** Clock, its earlier rounds, misses, fills and evictions. */
  readonly counts: readonly number[];
  /** Hits, misses and evictions of each set, where they are counted. */
  readonly setCounts: readonly number[];
  /** Each entry: slot, first page, kind, frame, rights, memory type, order of the page; members of a group. */
  readonly slots: readonly (readonly number[])[];
  /** What decides about victims. */
  readonly order: readonly unknown[];
}

/** The refusal of a snapshot. */
export function damagedTlb(part: string, value: unknown, expected: string): VmError {
  return new VmError('bad-image', { argument: `snapshot.${part}`, value, expected });
}

/** Checks everything of a snapshot that can be checked without a TLB. */
export function checkSnapshot(snapshot: TlbSnapshot, entries: number, ways: number): void {
  checkVersion(snapshot, 1, 'tlb');
  if (snapshot.entries !== entries || snapshot.ways !== ways) {
    const value = `${snapshot.entries} entries, ${snapshot.ways} ways`;
    throw damagedTlb('entries', value, `${entries} entries, ${ways} ways`);
  }
  numbers('counts', snapshot.counts, 5);
  const [clock, earlier, , fills] = snapshot.counts;
  const positive = snapshot.counts.every((count) => count >= 0);
  if (!positive || clock! >= CLOCK_END || earlier! + clock! < fills!) {
    throw damagedTlb('counts', snapshot.counts, 'counts, with as many uses as fills or more');
  }
  numbers('setCounts', snapshot.setCounts, null);
  if (!Array.isArray(snapshot.order)) throw damagedTlb('order', snapshot.order, 'an array');
  if (!Array.isArray(snapshot.slots)) throw damagedTlb('slots', snapshot.slots, 'an array');
  for (const slot of snapshot.slots) {
    numbers('slots', slot, null);
    if (slot.length < 7) throw damagedTlb('slots', slot, 'seven numbers or more');
  }
}

function numbers(part: string, list: unknown, length: number | null): void {
  const sound =
    Array.isArray(list) &&
    (length === null || list.length === length) &&
    Array.from(list).every((item) => Number.isSafeInteger(item));
  if (!sound) throw damagedTlb(part, list, length === null ? 'integers' : `${length} integers`);
}

/** An integer of a snapshot. */
export function savedIn(part: string, value: number, low: number, high: number): number {
  if (value >= low && value <= high) return value;
  throw damagedTlb(part, value, `an integer from ${low} to ${high}`);
}
