import type { PolicySnapshot } from 'pagewright/replacement';
import type { Cache } from './cache.js';

/** Pages that are used once each. */
export const SCAN: readonly number[] = Array.from({ length: 200 }, (_, index) => 1000 + index);

/** Pages 1 and 2 are used again and again with a scan between, of which `part` pages come each time. */
export function loopWithScan(part: number): number[] {
  const rounds = Array.from({ length: SCAN.length / part }, (_, round) => round * part);
  return [1, 2, 1, 2, ...rounds.flatMap((at) => [...SCAN.slice(at, at + part), 1, 2])];
}

/** What a policy saves beside the pages. */
export const stateOf = (cache: Cache): PolicySnapshot['state'] => cache.policy.snapshot().state;
