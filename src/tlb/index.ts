/**
 * Translation caches: TLBs of every shape, their hierarchies, paging-structure caches, and what each invalidation of each
 * architecture reaches.
 *
 * @packageDocumentation
 */
export { TlbAnswer } from './answer.js';
export {
  type CoalescedEntry,
  CoalescingTlb,
  type CoalescingTlbOptions,
} from './coalescing-tlb.js';
export {
  type TlbContext,
  TlbContexts,
  type TlbContextsOptions,
  type TlbContextsSnapshot,
} from './contexts.js';
export type { FlushedCaches, FlushScope } from './flush-scope.js';
export type { TlbOptions } from './geometry.js';
export { Tlb } from './tlb.js';
export type { TlbEntry, TlbFill } from './tlb-entry.js';
export { tlbPolicy } from './tlb-policy.js';
export type { TlbSnapshot } from './tlb-snapshot.js';
export type { TlbSetStatistics, TlbStatistics } from './tlb-statistics.js';
export type { TlbPolicy, WayOrder } from './way-order.js';
