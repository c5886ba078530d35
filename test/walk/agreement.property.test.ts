import fc from 'fast-check';
import { describe, it } from 'vitest';
import type { Draw } from './agreement/draw.js';
import { Trial } from './agreement/judge.js';
import type { WalkCase } from './agreement/machine.js';
import { PLACES } from './agreement/places.js';
import { drawRiscvCase, RISCV_MODES } from './agreement/riscv-case.js';
import { drawX86Case, X86_MODES } from './agreement/x86-case.js';

const QUESTIONS = 8;
const WAYS = ['walk', 'translate', 'explain'] as const;

/** Cases drawn from a tape of numbers, which fast-check shortens and flattens to zeros when a property fails. */
function cases(draw: (draw: Draw) => WalkCase): fc.Arbitrary<WalkCase> {
  return fc.uint32Array({ minLength: 250, maxLength: 450, size: 'max' }).map((tape) => {
    let next = 0;
    return draw((below) => (tape[next++] ?? 0) % below);
  });
}

function expectAgreement(subject: WalkCase, place: keyof typeof PLACES): void {
  const trial = new Trial(subject, PLACES[place]);
  subject.questions.forEach((question, i) => {
    trial.ask(question, WAYS[i % WAYS.length]!);
  });
}

describe('the walkers agree with the reference in all they answer and change', () => {
  for (const place of Object.keys(PLACES) as (keyof typeof PLACES)[]) {
    it.each(RISCV_MODES)(`${place} RAM, %s`, (mode) => {
      fc.assert(
        fc.property(
          cases((draw) => drawRiscvCase(draw, mode, QUESTIONS)),
          (subject) => expectAgreement(subject, place),
        ),
        { numRuns: 60 },
      );
    });
    it.each(X86_MODES)(`${place} RAM, %s`, (mode) => {
      fc.assert(
        fc.property(
          cases((draw) => drawX86Case(draw, mode, QUESTIONS)),
          (subject) => expectAgreement(subject, place),
        ),
        { numRuns: 60 },
      );
    });
  }
});
