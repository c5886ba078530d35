import { describe, expect, it } from 'vitest';
import { KINDS } from './kinds.js';
import { Round } from './round.js';

// A few walks of each kind; `npm run fuzz` makes millions.
const WALKS = 80;

describe('garbage tables', () => {
  it.each(KINDS.map(({ name }, seed) => [name, seed] as const))('%s, seed %i', (name, seed) => {
    const round = new Round(seed);
    expect(round.name).toBe(name);
    round.run(WALKS);
  });
});
