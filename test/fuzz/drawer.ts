import { Random } from 'pagewright/core';
import type { Draw } from '../walk/agreement/draw.js';

/** Draws from a seed, quickly and nearly uniformly: up to 2^53. */
export function drawer(seed: number): Draw {
  const random = new Random(seed);
  return (below) => {
    const word = random.word() >>> 0;
    if (below <= 2 ** 32) return Math.floor((word * below) / 2 ** 32);
    return ((random.word() >>> 6) * 2 ** 27 + (word >>> 5)) % below;
  };
}
