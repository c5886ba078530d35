import fc from 'fast-check';
import { describe, it } from 'vitest';
import { type AArch64Case, drawAArch64Case } from './agreement/aarch64-case.js';
import { AArch64Trial } from './agreement/aarch64-judge.js';
import { AARCH64_PLACES } from './agreement/aarch64-places.js';

const QUESTIONS = 12;

function cases(granuleBits: 12 | 14 | 16, nested: boolean): fc.Arbitrary<AArch64Case> {
  return fc.uint32Array({ minLength: 700, maxLength: 1200, size: 'max' }).map((tape) => {
    let next = 0;
    const draw = (below: number): number => (tape[next++] ?? 0) % below;
    return drawAArch64Case(draw, granuleBits, nested, QUESTIONS);
  });
}

describe('the AArch64 walker agrees with the reference in all it answers and changes', () => {
  for (const [name, place] of Object.entries(AARCH64_PLACES)) {
    for (const granuleBits of [12, 14, 16] as const) {
      it.each([false, true])(`${name}, granule 2^${granuleBits}, nested: %s`, (nested) => {
        fc.assert(
          fc.property(cases(granuleBits, nested), (subject) => {
            const trial = new AArch64Trial({ ...subject, words: subject.words.slice() }, place);
            for (const question of subject.questions) trial.ask(question);
          }),
          { numRuns: 25 },
        );
      });
    }
  }
});
