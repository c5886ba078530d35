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
 * Everything that can be watched. One union for all rooms; tell the members apart by `type`.
 *
 * @public
 */
export type VmEvent = WalkBeginEvent | EntryReadEvent | EntryWriteEvent | WalkEndEvent;

/**
 * Receives events as they are decided. It must not change the structure that it watches, nor ask it for an answer.
 *
 * @public
 */
export type VmObserver = (event: VmEvent) => void;
