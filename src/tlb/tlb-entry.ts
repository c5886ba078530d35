import type { TlbContext } from './contexts.js';

/**
 * A translation, as it is inserted.
 *
 * @public
 */
export interface TlbFill {
  /** Any page of it, in base pages, 0 to 2^52 - 1. */
  readonly vpn: number;
  /** The frame of that page, 0 to 2^52 - 1. Left out: the page is not mapped, and the TLB remembers it. */
  readonly pfn?: number;
  /** The size of the entry: 2^order base pages, aligned. @defaultValue 0 */
  readonly order?: number;
  /** What the page allows: any int32 of the caller's bits; `lookup` compares them with those that are needed. @defaultValue 0 */
  readonly rights?: number;
  /** Whether it belongs to every address space of its root. @defaultValue false */
  readonly global?: boolean;
  /** The memory type, in the caller's numbers; any int32. @defaultValue 0 */
  readonly memoryType?: number;
  /** The size of the page in the tables, where the entry is only a fragment of it. @defaultValue `order` */
  readonly pageOrder?: number;
}

/**
 * An entry that is there.
 *
 * @public
 */
export interface TlbEntry {
  /** Its number in the TLB, `set * ways + way`. */
  readonly slot: number;
  /** Its set. */
  readonly set: number;
  /** Its way. */
  readonly way: number;
  /** Its first base page. */
  readonly vpn: number;
  /** Base pages that it covers. */
  readonly pages: number;
  /** The frame of the first page, or `null`: it says that the page is not mapped. */
  readonly pfn: number | null;
  /** What the caller said that it allows. */
  readonly rights: number;
  /** The memory type, in the caller's numbers. */
  readonly memoryType: number;
  /** Whether it belongs to every address space of its root. */
  readonly global: boolean;
  /** Whose it is; the `asid` of a global entry is 0 and means nothing. */
  readonly context: Required<TlbContext>;
  /** Base pages of the page in the tables that it came from. */
  readonly pageOfPages: number;
}
