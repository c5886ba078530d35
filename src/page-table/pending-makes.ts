import { bigintFromWords } from '../core/index.js';
import type { EntryStep, Invalidations, Maker } from './invalidations.js';

/** An entry that was broken and waits for its invalidation. */
export interface PendingEntry {
  readonly table: number;
  readonly index: number;
  readonly level: number;
  /** What is in memory until then. */
  readonly brokenLow: number;
  readonly brokenHigh: number;
  /** What it waits for. */
  readonly owed: Invalidations;
  /** What it is to be, and for the operating system already is. */
  low: number;
  high: number;
}

/** Writes one of them into memory. */
type Make = (entry: PendingEntry) => void;

/**
 * The entries of a page table that were broken and not made yet. Until the invalidation is complete memory holds them
 * invalid, while the page table behaves as if they were made: operations see and change what they are to be.
 */
export class PendingMakes implements Maker {
  private readonly entries: Map<string, PendingEntry> = new Map();
  /** Tables whose pointer waits, and those below, by what it waits for: no hardware reads them yet. */
  private readonly unlinked: Map<number, Invalidations> = new Map();
  private readonly make: Make;

  constructor(make: Make) {
    this.make = make;
  }

  get size(): number {
    return this.entries.size;
  }

  find(table: number, index: number): PendingEntry | undefined {
    return this.entries.get(`${table}:${index}`);
  }

  add(entry: PendingEntry): void {
    this.entries.set(`${entry.table}:${entry.index}`, entry);
  }

  /** What a table waits for before hardware may read it. */
  waitsFor(table: number): Invalidations | undefined {
    return this.unlinked.get(table);
  }

  /** Notes that a table hangs below an entry that waits. */
  unlink(table: number, owed: Invalidations): void {
    this.unlinked.set(table, owed);
  }

  /** Forgets the entries of a table that is given up. */
  forget(table: number): void {
    this.unlinked.delete(table);
    for (const [key, entry] of this.entries) if (entry.table === table) this.entries.delete(key);
  }

  entrySteps(kind: 'break' | 'make', owed: Invalidations): readonly EntryStep[] {
    return this.waitingFor(owed).map(({ table, index, ...words }) => ({
      kind,
      table,
      index,
      entry:
        kind === 'break'
          ? bigintFromWords(words.brokenLow, words.brokenHigh)
          : bigintFromWords(words.low, words.high),
    }));
  }

  makeEntries(owed: Invalidations): void {
    const entries = this.waitingFor(owed);
    for (const { index, table } of entries) this.entries.delete(`${table}:${index}`);
    for (const [table, waitsFor] of this.unlinked) {
      if (waitsFor === owed) this.unlinked.delete(table);
    }
    for (const entry of entries) this.make(entry);
  }

  /** Tables below are made before anything points at them: entries of the lowest level first. */
  private waitingFor(owed: Invalidations): readonly PendingEntry[] {
    const entries = [...this.entries.values()].filter((entry) => entry.owed === owed);
    return entries.sort((a, b) => a.level - b.level);
  }
}
