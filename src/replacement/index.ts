/**
 * Who is evicted: one interface for caches, TLBs and page reclaim, the policies of the textbooks and the papers, and what
 * a whole family of memory sizes would have missed.
 *
 * @packageDocumentation
 */
export { fifo } from './fifo.js';
export type { InlineRule, RandomRule, StampRule, WordRule } from './inline-rule.js';
export { lru } from './lru.js';
export type { PolicyKind, PolicySnapshot, ReplacementPolicy } from './policy.js';
export {
  countMisses,
  type SimulateOptions,
  type Simulation,
  type SimulationStep,
  simulate,
} from './simulate.js';
