import fc from 'fast-check';
import { PhysicalMemory } from 'pagewright/memory';
import { describe, it } from 'vitest';
import { type AArch64Case, drawAArch64Case } from './agreement/aarch64-case.js';
import { AArch64Trial } from './agreement/aarch64-judge.js';

const QUESTIONS = 12;

/** Where the tables may lie; the answers may not depend on it. */
const PLACES = {
  /** The fast path. */
  flat: (base: bigint, bytes: number) => PhysicalMemory.allocate(bytes, { base }),
  sparse: (base: bigint, bytes: number) => {
    const memory = new PhysicalMemory();
    memory.addSparse({ base, bytes });
    return memory;
  },
  /** Two regions: walks leave the fast path's window and come back. */
  split: (base: bigint, bytes: number) => {
    const memory = PhysicalMemory.allocate(8192, { base });
    memory.addRam({ base: base + 8192n, bytes: bytes - 8192 });
    return memory;
  },
} as const;

function cases(granuleBits: 12 | 14 | 16, nested: boolean): fc.Arbitrary<AArch64Case> {
  return fc.uint32Array({ minLength: 700, maxLength: 1200, size: 'max' }).map((tape) => {
    let next = 0;
    const draw = (below: number): number => (tape[next++] ?? 0) % below;
    return drawAArch64Case(draw, granuleBits, nested, QUESTIONS);
  });
}

describe('the AArch64 walker agrees with the reference in all it answers and changes', () => {
  for (const place of ['flat', 'sparse', 'split'] as const) {
    for (const granuleBits of [12, 14, 16] as const) {
      it.each([false, true])(`${place} RAM, granule 2^${granuleBits}, nested: %s`, (nested) => {
        fc.assert(
          fc.property(cases(granuleBits, nested), (subject) => {
            const words = subject.words.slice();
            const trial = new AArch64Trial(
              { ...subject, words },
              PLACES[place](subject.base, words.byteLength),
            );
            for (const question of subject.questions) trial.ask(question);
          }),
          { numRuns: 25 },
        );
      });
    }
  }
});
