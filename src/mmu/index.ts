/**
 * Memory management units: a walker, the translation caches before it, and what keeps them true.
 *
 * @packageDocumentation
 */
export { Mmu, type MmuReport } from './mmu.js';
export type {
  MmuCosts,
  MmuEvent,
  MmuObserver,
  MmuOptions,
  MmuStatistics,
} from './mmu-options.js';
