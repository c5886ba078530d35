/**
 * Who is evicted: one interface for caches, TLBs and page reclaim, the policies of the textbooks and the papers, and what
 * a whole family of memory sizes would have missed.
 *
 * @packageDocumentation
 */
export { type AgingOptions, aging } from './aging.js';
export { arc } from './arc.js';
export { type ClockOptions, clock } from './clock.js';
export { fifo } from './fifo.js';
export type { InlineRule, RandomRule, StampRule, WordRule } from './inline-rule.js';
export { lfu } from './lfu.js';
export { lru } from './lru.js';
export { type MissCurve, missCurve, missesAt, optMissCurve } from './miss-curve.js';
export { mru } from './mru.js';
export { nextUses } from './next-use.js';
export { nfu } from './nfu.js';
export { type NruOptions, nru } from './nru.js';
export { type OptOptions, opt, unopt } from './opt.js';
export type {
  PolicyKind,
  PolicySnapshot,
  ReplacementPolicy,
  SimulatedKind,
  SimulatedPolicy,
} from './policy.js';
export { type RandomOptions, random } from './random.js';
export { type S3FifoOptions, s3Fifo } from './s3-fifo.js';
export { secondChance } from './second-chance.js';
export { sieve } from './sieve.js';
export {
  countMisses,
  type SimulateOptions,
  type Simulation,
  type SimulationStep,
  simulate,
} from './simulate.js';
export { type SrripOptions, srrip } from './srrip.js';
export { stackDistances } from './stack-distances.js';
export { treePlru } from './tree-plru.js';
export { type TwoQOptions, twoQ } from './two-q.js';
export {
  type WorkingSetCurve,
  workingSetAt,
  workingSetCurve,
  workingSetSizes,
} from './working-set.js';
export { type WsClockOptions, wsClock } from './ws-clock.js';
