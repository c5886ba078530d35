/**
 * The schemes with which courses begin - base and limit, segments, linear, inverted and hashed tables - behind one
 * lookup that tells its steps and counts its memory references.
 *
 * @packageDocumentation
 */
export { BaseAndLimit, type BaseAndLimitOptions } from './base-and-limit.js';
export { HashedTable, type HashedTableOptions, type HashedTableSnapshot } from './hashed-table.js';
export {
  InvertedTable,
  type InvertedTableOptions,
  type InvertedTableSnapshot,
} from './inverted-table.js';
export { LinearTable, type LinearTableOptions, type LinearTableSnapshot } from './linear-table.js';
export type { AddressLookup, Lookup, LookupFault, LookupStep } from './lookup.js';
export { nestedReferences, type PageAndOffset, splitPage } from './paging-arithmetic.js';
export { type Segment, SegmentTable, type SegmentTableOptions } from './segment-table.js';
export {
  type SparseLayout,
  type TableCost,
  type TableOrganisation,
  tableCost,
} from './table-cost.js';
export { walkerLookup } from './walker-lookup.js';
