/**
 * The operating system's side of paging: page tables built and edited in simulated physical memory, bit for bit what
 * hardware reads, and what every change owes to TLBs and walk caches.
 *
 * @packageDocumentation
 */
export type { IsShared } from './copy-operations.js';
export {
  type CursorOptions,
  EntryCursor,
  type PageEntry,
  TableCursor,
  type TablePage,
  TreeCursor,
} from './cursor.js';
export type { ForeignKind, ForeignRange } from './foreign-ranges.js';
export type { DescribedEntry, PageDescription, PageTableStatistics } from './inspect-operations.js';
export {
  type EntryStep,
  EVERY_CONTEXT,
  type Invalidation,
  type InvalidationStep,
  Invalidations,
  type InvalidationsOptions,
} from './invalidations.js';
export { LeafFlags, type LeafOptions, leafFlags } from './leaf-flags.js';
export * from './outcome.js';
export type { FoundLeaf } from './page-operations.js';
export { type PageSize, pageSizes } from './page-size.js';
export {
  type CloneOptions,
  PageTable,
  type PageTableOptions,
  type RestoreOptions,
} from './page-table.js';
export type { MapRange } from './range-mapping.js';
export type { PageRange, ProtectRange, UnmapRange } from './range-operations.js';
export type { PageTableSnapshot, SavedTable } from './saved-operations.js';
export type { DestroyOptions } from './sharing-operations.js';
