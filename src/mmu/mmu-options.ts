import type { OptionNames } from '../core/index.js';
import type { PagingStructureCache, Tlb, TlbHierarchy } from '../tlb/index.js';
import type { RadixWalker } from '../walk/index.js';

/**
 * What an {@link Mmu} is made from.
 *
 * @public
 */
export interface MmuOptions {
  /** The page walk, of any architecture, with its registers and its memory. */
  readonly walker: RadixWalker;
  /** Its translation caches, for its own use. */
  readonly tlb: Tlb | TlbHierarchy;
  /**
   * The cache of upper entries with which walks may begin below the root; over the contexts of `tlb`. A hierarchy has its
   * own. Walks with two stages, and those of tables that are not of 4 KiB, begin at the root nevertheless.
   * @defaultValue none, or that of the hierarchy
   */
  readonly structures?: PagingStructureCache;
  /** Receives the events of the MMU. */
  readonly observer?: MmuObserver;
}

/** @internal */
export const MMU_OPTIONS: OptionNames<MmuOptions> = {
  walker: true,
  tlb: true,
  structures: true,
  observer: true,
};

/**
 * What an MMU did. In this order for an access: `mmu-walk`, then `mmu-fill` or `mmu-fault`. Hits send nothing.
 *
 * @public
 */
export type MmuEvent =
  | {
      /** A walk was made: no entry served the access. */
      readonly type: 'mmu-walk';
      /** The page. */
      readonly vpn: number;
      /** The access. */
      readonly access: number;
      /** Entries that were read. */
      readonly references: number;
      /** The level at which the paging-structure cache let it begin; -1: at the root. */
      readonly from: number;
    }
  | {
      /** An entry was made. */
      readonly type: 'mmu-fill';
      /** The page. */
      readonly vpn: number;
      /** Its frame. */
      readonly pfn: number;
      /** log2 of its pages. */
      readonly order: number;
      /** Whose it is. */
      readonly context: number;
    }
  | {
      /** The walk ended in a fault. */
      readonly type: 'mmu-fault';
      /** The page. */
      readonly vpn: number;
      /** The access. */
      readonly access: number;
      /** What `translatePage` returned. */
      readonly result: number;
    }
  | {
      /** Entries were dropped. */
      readonly type: 'mmu-flush';
      /** How many. */
      readonly dropped: number;
    }
  | {
      /** Another address space is current. */
      readonly type: 'mmu-context';
      /** Its id in the TLB's contexts. */
      readonly context: number;
    };

/**
 * Receives the events of an MMU, as they happen. It must not use the MMU.
 *
 * @public
 */
export type MmuObserver = (event: MmuEvent) => void;

/**
 * What an MMU has counted.
 *
 * @public
 */
export interface MmuStatistics {
  /** Lookups that an entry served or denied; of a hierarchy those of the first level. */
  readonly hits: number;
  /** Of a hierarchy: lookups that the second level answered. */
  readonly secondHits: number;
  /** Lookups that found no entry. */
  readonly misses: number;
  /** Walks made: for misses, and for entries that deny. */
  readonly walks: number;
  /** Table entries that walks read. */
  readonly walkReferences: number;
  /** Walks that began at an entry of the paging-structure cache. */
  readonly structureHits: number;
  /** Entries made, by log2 of their pages. */
  readonly fills: Readonly<Record<number, number>>;
  /** Walks that ended in a fault. */
  readonly faults: number;
  /** Flushes asked for or made by register writes. */
  readonly flushes: number;
  /** Entries that they dropped. */
  readonly flushed: number;
  /** Changes to another address space. */
  readonly switches: number;
}

/**
 * What each event costs, in the caller's cycles. What is left out costs nothing.
 *
 * @public
 */
export interface MmuCosts {
  /** A first-level hit. */
  readonly hit?: number;
  /** A second-level hit. */
  readonly secondHit?: number;
  /** Beginning a walk. */
  readonly walk?: number;
  /** Each table entry that is read. */
  readonly walkReference?: number;
  /** A fault. */
  readonly fault?: number;
  /** A flush. */
  readonly flush?: number;
  /** Each entry that is dropped. */
  readonly flushed?: number;
  /** A change of address space. */
  readonly switch?: number;
}
