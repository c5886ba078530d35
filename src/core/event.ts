/**
 * A walk begins. First event of every walk.
 *
 * @public
 */
export interface WalkBeginEvent {
  /** The tag. */
  readonly type: 'walk-begin';
  /** Counts the observer's events, from 0. */
  readonly step: number;
  /** The page number walked for. */
  readonly vpn: number;
  /** The access, as {@link Access} bits. */
  readonly access: number;
}

/**
 * A walk read a table entry. One for each level reached, from the root down.
 *
 * @public
 */
export interface EntryReadEvent {
  /** The tag. */
  readonly type: 'entry-read';
  /** Counts the observer's events, from 0. */
  readonly step: number;
  /** The entry's level. */
  readonly level: number;
  /** The frame number of the table. */
  readonly tablePfn: number;
  /** The entry's number in the table. */
  readonly index: number;
  /** Bits 31:0 of the entry. */
  readonly low: number;
  /** Bits 63:32. */
  readonly high: number;
}

/**
 * A walk set an accessed or dirty bit. After the reads, from the root down; never from a probe.
 *
 * @public
 */
export interface EntryWriteEvent {
  /** The tag. */
  readonly type: 'entry-write';
  /** Counts the observer's events, from 0. */
  readonly step: number;
  /** The entry's level. */
  readonly level: number;
  /** The frame number of the table. */
  readonly tablePfn: number;
  /** The entry's number in the table. */
  readonly index: number;
  /** Bits 31:0 after the write. */
  readonly low: number;
  /** Bits 63:32 after the write. */
  readonly high: number;
}

/**
 * A walk ended. Last event of every walk.
 *
 * @public
 */
export interface WalkEndEvent {
  /** The tag. */
  readonly type: 'walk-end';
  /** Counts the observer's events, from 0. */
  readonly step: number;
  /** What the walk returned: a frame number, or `-(1 + code)` for a fault. */
  readonly result: number;
  /** The identifier of the rule that decided. */
  readonly rule: string;
}

/**
 * A page table changed an entry. Before it returns from the operation, in the order in which memory saw the changes.
 *
 * @public
 */
export interface EntryChangeEvent {
  /** The tag. */
  readonly type: 'entry-change';
  /** Counts the observer's events, from 0. */
  readonly step: number;
  /** The entry's level. */
  readonly level: number;
  /** The frame number of the table. */
  readonly tablePfn: number;
  /** The entry's number in the table. */
  readonly index: number;
  /** Bits 31:0 before. */
  readonly oldLow: number;
  /** Bits 63:32 before. */
  readonly oldHigh: number;
  /** Bits 31:0 now. */
  readonly low: number;
  /** Bits 63:32 now. */
  readonly high: number;
}

/**
 * A page table took a frame for a table, before any entry points at it, or gave one up, after the last entry that did is
 * gone.
 *
 * @public
 */
export interface TableEvent {
  /** The tag. */
  readonly type: 'table-allocate' | 'table-release';
  /** Counts the observer's events, from 0. */
  readonly step: number;
  /** The table's level. */
  readonly level: number;
  /** Its frame number. */
  readonly tablePfn: number;
}

/**
 * A page table noted that translations must be forgotten, after the entries were changed.
 *
 * @public
 */
export interface InvalidationOwedEvent {
  /** The tag. */
  readonly type: 'invalidation-owed';
  /** Counts the observer's events, from 0. */
  readonly step: number;
  /** The first page. */
  readonly vpn: number;
  /** Base pages. */
  readonly pages: number;
  /** Whether entries above leaves changed. */
  readonly intermediate: boolean;
}

/**
 * A TLB was asked, or an entry came or went. `tlb-evict` comes before the `tlb-fill` that it makes room for; both
 * `tlb-evict` and `tlb-flush` come while the entry is still there. Of a coalesced group that loses pages and stays, there
 * is a `tlb-flush` of one page for each of them.
 *
 * @public
 */
export interface TlbEvent {
  /** The tag. */
  readonly type: 'tlb-evict' | 'tlb-fill' | 'tlb-flush' | 'tlb-hit' | 'tlb-miss';
  /** Counts the observer's events, from 0. */
  readonly step: number;
  /** The entry's number in the TLB, or -1 for a miss. */
  readonly slot: number;
  /** The entry's first page, or the page that was missed. */
  readonly vpn: number;
  /** Base pages that the entry covers. */
  readonly pages: number;
}

/**
 * Everything that can be watched. One union for all rooms; tell the members apart by `type`.
 *
 * @public
 */
export type VmEvent =
  | WalkBeginEvent
  | EntryReadEvent
  | EntryWriteEvent
  | WalkEndEvent
  | EntryChangeEvent
  | TableEvent
  | InvalidationOwedEvent
  | TlbEvent;

/**
 * Receives events as they are decided. It must not change the structure that it watches, nor ask it for an answer.
 *
 * @public
 */
export type VmObserver = (event: VmEvent) => void;
