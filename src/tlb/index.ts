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
export { type AssumedTlb, type CpuTlbsOptions, cpuTlbs } from './cpu-hierarchy.js';
export { PUBLISHED_CPUS, type PublishedCpu, type PublishedTlb } from './cpu-tlbs.js';
export type { FlushedCaches, FlushScope } from './flush-scope.js';
export type { TlbOptions } from './geometry.js';
export type {
  TlbArray,
  TlbHierarchyOptions,
  TlbHierarchySnapshot,
  TlbHierarchyStatistics,
} from './hierarchy-options.js';
export type { InvalidationRule } from './invalidation-rule.js';
export { aarch64Invalidations } from './invalidations-aarch64.js';
export {
  type RiscvFence,
  type RiscvGStageFence,
  type RiscvGuestFence,
  riscvInvalidations,
} from './invalidations-riscv.js';
export {
  type AmdBroadcast,
  type AmdPage,
  type X86Page,
  type X86Place,
  x86Invalidations,
} from './invalidations-x86.js';
export {
  type AArch64El2,
  type AArch64El2Page,
  type AArch64El2Range,
  type AArch64El3Page,
  type AArch64GuestPage,
  type AArch64GuestRange,
  type AArch64Page,
  type AArch64PageOfAll,
  type AArch64Range,
  type AArch64RangeOfAll,
  type AArch64RangeOfOne,
  AArch64Regime,
  type AArch64Vm,
} from './operands-aarch64.js';
export {
  PagingStructureCache,
  type PagingStructureCacheOptions,
  type PagingStructureCacheSnapshot,
  type StructureCacheLevel,
  structureLevels,
  type X86StructureEntries,
  x86Structures,
} from './paging-structure-cache.js';
export {
  TableEntryCache,
  type TableEntryCacheOptions,
  type TableEntryCacheSnapshot,
} from './table-entry-cache.js';
export { Tlb } from './tlb.js';
export type { TlbEntry, TlbFill } from './tlb-entry.js';
export { TlbHierarchy } from './tlb-hierarchy.js';
export { tlbPolicy } from './tlb-policy.js';
export type { TlbSnapshot } from './tlb-snapshot.js';
export type { TlbSetStatistics, TlbStatistics } from './tlb-statistics.js';
export type { TlbPolicy, WayOrder } from './way-order.js';
