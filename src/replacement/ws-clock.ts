import { checkInteger, checkOptions, type OptionNames, VmError } from '../core/index.js';
import type { PolicyKind } from './policy.js';
import {
  FREE,
  type PolicyState,
  policyKind,
  SlotPolicy,
  savedNumber,
  savedVector,
} from './slot-policy.js';

/**
 * Options of {@link wsClock}.
 *
 * @public
 */
export interface WsClockOptions {
  /** The paper's T, the window of the working set, in references: older pages are not in it. 0 to 2^53 - 1. */
  readonly window: number;
  /**
   * How many pages a search may send to be written back, from 0 on.
   * @defaultValue no limit
   */
  readonly writeLimit?: number;
  /**
   * Called for each page that is to be written back. It may say at once that this is done, by `onClean`; it must not take
   * pages out. When it throws, so does `victim`: no page has gone, this one may count as sent, and the hand stays at it with
   * what it has cleared.
   *
   * @param slot - The slot; of a cache of several sets, within its set.
   * @param page - The page in it.
   */
  readonly onWriteback?: (slot: number, page: number) => void;
}

const OPTIONS: OptionNames<WsClockOptions> = { window: true, writeLimit: true, onWriteback: true };

/** The ring is the slots by number. Virtual time is the number of fills and hits so far. */
class WsClockPolicy extends SlotPolicy {
  readonly name = 'WSClock';
  private readonly window: number;
  private readonly writeLimit: number;
  private readonly onWriteback: (slot: number, page: number) => void;
  /** The R bit. */
  private readonly referenced: Uint8Array;
  /** The M bit: written since it came, was sent to be written back, or was reported clean. */
  private readonly modified: Uint8Array;
  /** When it came, or when the hand last found R set. */
  private readonly lastUses: Float64Array;
  private now = 0;
  /** The slot that is looked at next. */
  private hand = 0;

  constructor(slots: number, options: WsClockOptions) {
    super(slots);
    this.window = options.window;
    this.writeLimit = options.writeLimit ?? Number.POSITIVE_INFINITY;
    this.onWriteback = options.onWriteback ?? (() => {});
    this.referenced = new Uint8Array(slots);
    this.modified = new Uint8Array(slots);
    this.lastUses = new Float64Array(slots);
  }

  protected filled(slot: number, _page: number, write: boolean): void {
    this.touched(slot, write);
    this.lastUses[slot] = this.now;
  }

  protected touched(slot: number, write: boolean): void {
    this.now++;
    this.referenced[slot] = 1;
    // A page that is written while it is being written back is dirty again.
    if (write) this.modified[slot] = 1;
  }

  protected override cleaned(slot: number): void {
    this.modified[slot] = 0;
  }

  protected choose(): number {
    const slot = this.searchOldAndClean() ?? this.searchClean() ?? this.writeUnderHand();
    this.removed(slot);
    // As in CLOCK: the new page takes the place of the old one, and the hand goes on.
    this.hand = this.after(slot);
    return slot;
  }

  protected removed(slot: number): void {
    this.referenced[slot] = 0;
    this.cleaned(slot);
    this.lastUses[slot] = 0;
  }

  protected checkState(): void {
    const { lastUses, modified, now, pages, referenced } = this;
    for (const [slot, page] of pages.entries()) {
      const bits = referenced[slot]! + modified[slot]!;
      if (page === FREE && bits + lastUses[slot]! > 0) throw new Error(`slot ${slot} is not free`);
      if (page !== FREE && !(lastUses[slot]! > 0 && lastUses[slot]! <= now)) {
        throw new Error(`slot ${slot} was used at ${lastUses[slot]}, it is ${now}`);
      }
    }
    if (!(this.hand < this.slots)) throw new Error(`the hand is at ${this.hand}`);
  }

  protected save(): PolicyState {
    return {
      hand: [this.hand],
      now: [this.now],
      referenced: [...this.referenced],
      modified: [...this.modified],
      lastUses: [...this.lastUses],
    };
  }

  protected restoreState(state: PolicyState): void {
    this.hand = savedNumber(state, 'hand', this.slots - 1);
    this.now = savedNumber(state, 'now', Number.MAX_SAFE_INTEGER);
    this.referenced.set(savedVector(state, 'referenced', this.slots, 1));
    this.modified.set(savedVector(state, 'modified', this.slots, 1));
    this.lastUses.set(savedVector(state, 'lastUses', this.slots, this.now));
  }

  /** One revolution: a page that is out of the working set and clean goes; those that are dirty are sent to be written. */
  private searchOldAndClean(): number | null {
    let writes = 0;
    for (let step = 0; step < this.slots; step++) {
      const slot = this.hand;
      if (this.isOld(slot)) {
        if (this.modified[slot] === 0) return slot;
        if (writes < this.writeLimit) {
          writes++;
          this.send(slot);
        }
      }
      this.hand = this.after(this.hand);
    }
    return null;
  }

  /** Takes the R bit into account, and away. */
  private isOld(slot: number): boolean {
    if (this.referenced[slot] === 1) {
      this.referenced[slot] = 0;
      this.lastUses[slot] = this.now;
      return false;
    }
    return this.now - this.lastUses[slot]! > this.window;
  }

  /** M is cleared when the write begins, as systems do: what is written from now on is not part of it. */
  private send(slot: number): void {
    this.modified[slot] = 0;
    this.report(slot);
  }

  /**
   * After a full revolution. If writes were scheduled, the hand goes on until the first clean page, and finds one that was
   * sent, if none before. If none was, every page is in the working set or can't be written, and any clean page will do;
   * this takes the first one from the hand. So both are one search, in which age does not matter.
   */
  private searchClean(): number | null {
    for (let step = 0; step < this.slots; step++) {
      const slot = this.hand;
      if (this.modified[slot] === 0) return slot;
      this.hand = this.after(this.hand);
    }
    return null;
  }

  /** No page is clean, and the hand is where it began: its page is written back and goes. */
  private writeUnderHand(): number {
    this.report(this.hand);
    return this.hand;
  }

  private report(slot: number): void {
    this.onWriteback(slot, this.pages[slot]!);
    if (this.used === this.slots) return;
    const expected = 'a function that takes no pages out';
    throw new VmError('bad-argument', { argument: 'options.onWriteback', expected });
  }

  private after(slot: number): number {
    return slot + 1 === this.slots ? 0 : slot + 1;
  }
}

/**
 * WSClock: CLOCK with the working set. The hand passes pages that were used since it came by, clears their R bit and notes
 * the time; a page that was not used for longer than the window is not in the working set, and goes if it is clean. If it is
 * dirty, it is sent to be written back, and the hand goes on. After a full revolution the first clean page goes, which one
 * that was sent is by then; where all are dirty, the page at the hand is written back and goes (Carr and Hennessy, "WSClock
 * - a simple and effective algorithm for virtual memory management", SOSP 1981; Tanenbaum & Bos, Modern Operating Systems,
 * 3.4.9). A use is O(1), a victim at most two revolutions: O(slots).
 *
 * Time is virtual: the number of references so far. Pages come with R set. A write that was begun is done when the hand comes
 * round again, in this search or a later one, or when `onClean` says so.
 *
 * @param options - The window, the limit, and who is told of writes.
 * @returns The policy. Its snapshot's state has `hand`, `now`, and by slot `referenced`, `modified` and `lastUses`.
 * @throws `VmError` for a number out of range, an `onWriteback` that is no function, or another option; `victim` for an
 * `onWriteback` that took pages out.
 *
 * @example
 * ```ts
 * import { simulate, wsClock } from 'pagewright/replacement';
 *
 * const written: number[] = [];
 * const kind = wsClock({ window: 2, onWriteback: (_slot, page) => written.push(page) });
 * // Page 1 is dirty, so 2 goes first. It is old when 6 comes, and is sent to be written back; nothing else is old, and so
 * // it is the first clean page after a revolution.
 * const writes = [true];
 * const { steps } = simulate(kind, 3, [1, 2, 3, 4, 4, 4, 4, 5, 6], { writes });
 * steps.map(({ victim }) => victim).filter((page) => page !== null); // => [2, 3, 1]
 * written; // => [1]
 * ```
 * @public
 */
export function wsClock(options: WsClockOptions): PolicyKind {
  checkOptions('options', options, OPTIONS);
  const { onWriteback, window, writeLimit } = options;
  checkInteger('options.window', window, 0, Number.MAX_SAFE_INTEGER);
  if (writeLimit !== undefined) {
    checkInteger('options.writeLimit', writeLimit, 0, Number.MAX_SAFE_INTEGER);
  }
  if (onWriteback !== undefined && typeof onWriteback !== 'function') {
    const expected = 'a function';
    throw new VmError('bad-argument', {
      argument: 'options.onWriteback',
      value: onWriteback,
      expected,
    });
  }
  return policyKind('WSClock', (slots) => new WsClockPolicy(slots, { ...options }));
}
