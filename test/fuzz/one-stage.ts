import { Access, addressOf } from 'pagewright/core';
import { X86Npt } from 'pagewright/walk';
import { type Draw, pick } from '../walk/agreement/draw.js';
import { IMAGE_BYTES, PAGES, type Question } from '../walk/agreement/image.js';
import { Trial } from '../walk/agreement/judge.js';
import { referenceAnswer, type WalkCase, walkerFor } from '../walk/agreement/machine.js';
import { PLACES } from '../walk/agreement/places.js';
import { drawRiscvCase, RISCV_MODES } from '../walk/agreement/riscv-case.js';
import { drawX86Case, X86_MODES, type X86Case } from '../walk/agreement/x86-case.js';
import { fillWithGarbage, STYLES } from './garbage.js';
import { drawQuery } from './question.js';
import type { Judge, Kind, Subject } from './subject.js';

const WAYS = ['walk', 'translate', 'explain'] as const;

/** A walker of one stage: plausible tables are compared with the reference, and garbage is now and then. */
function subjectOf(draw: Draw, subject: WalkCase): Subject {
  const riscv = subject.arch === 'riscv';
  return {
    base: subject.image.base,
    bytes: garbage(draw, subject),
    make: (memory) => ({ walker: walkerFor(subject, memory) }),
    query: (draw, walker) =>
      drawQuery(draw, walker, [riscv ? Access.Machine : Access.ImplicitSupervisor]),
    settable: [riscv ? 0xc0 : 0x60],
    frameEnd: frameEnd(subject),
    judge: judgeOf(subject, (question) => question),
    compare: (draw) => compare(draw, subject),
  };
}

/**
 * AMD's nested paging in one of the host's modes, alone: an x86 walker to which every access is a user's, and protection
 * keys mean nothing.
 */
function nestedPaging(draw: Draw, subject: X86Case): Subject {
  const { registers } = subject;
  const { ac: _ac, pkrs: _pkrs, pkru: _pkru, ...options } = registers;
  const { compare: _, ...common } = subjectOf(draw, subject);
  const keyless = { ...subject, registers: { ...registers, cr4: registers.cr4 & ~0x140_0000n } };
  return {
    ...common,
    make: (memory) => ({ walker: new X86Npt({ memory, ...options }) }),
    judge: judgeOf(keyless, ({ access, bytes, va }) => {
      const user = (access & ~Access.ImplicitSupervisor) | Access.User;
      const width = is32Bit(subject) ? 32 : registers.cr4 & 0x1000n ? 57 : 48;
      // The reference knows linear addresses, which are sign-extended.
      const linear = width === 32 ? va : BigInt.asUintN(64, BigInt.asIntN(width, va));
      return va >> BigInt(width) === 0n ? { va: linear, access: user, bytes } : null;
    }),
  };
}

function garbage(draw: Draw, { arch, image }: WalkCase): Uint8Array<ArrayBuffer> {
  const words = new Int32Array(IMAGE_BYTES / 4);
  const first = Number(image.base >> 12n);
  const riscv = arch === 'riscv';
  const style = riscv
    ? image.entryBytes === 4
      ? STYLES.riscv4
      : STYLES.riscv8
    : image.entryBytes === 4
      ? STYLES.x86short
      : STYLES.x86;
  fillWithGarbage(
    words,
    0,
    PAGES,
    {
      style,
      chaos: pick(draw, [2, 8]),
      // Pages are of no level: walks go round in circles.
      level: () => 1,
      table: () => first + draw(PAGES),
      // Zeros where large leaves want them.
      frame: (_, astray) => (astray ? draw(2 ** 31) : draw(2 ** 13) * 2 ** 18),
    },
    draw,
  );
  return new Uint8Array(words.buffer);
}

/** Whether addresses have 32 bits. */
function is32Bit({ registers }: X86Case): boolean {
  return (registers.efer & 0x400n) === 0n;
}

/** What lies beyond all frames of a case; without translation an address is its own. */
function frameEnd(subject: WalkCase): number {
  if (subject.arch === 'riscv') return 2 ** (subject.registers.xlen === 32 ? 22 : 52);
  const { maxPhyAddr } = subject.registers;
  return 2 ** ((subject.image.entryBytes === 8 ? maxPhyAddr : Math.min(40, maxPhyAddr)) - 12);
}

/** The reference, which is asked what a stage makes of a question, if it knows such. */
function judgeOf(subject: WalkCase, own: (question: Question) => Question | null): Judge {
  return {
    ask: ({ access, bytes, offset, vpn }, ram) => {
      const question = own({ va: addressOf(vpn, offset), access, bytes });
      if (question === null) return undefined;
      const expected = referenceAnswer(subject, ram, question);
      for (const { pa, value } of expected.writes) ram.write(pa, subject.image.entryBytes, value);
      if (expected.kind === 'page') return `frame ${expected.pa >> 12n}`;
      return `fault ${'cause' in expected ? expected.cause : expected.errorCode}`;
    },
    spell: ({ fault }, outcome) => {
      if (outcome.kind === 'page') return `frame ${outcome.pfn}`;
      if ('cause' in fault) return `fault ${fault.cause}`;
      return `fault ${'errorCode' in fault ? fault.errorCode : 'of no architecture'}`;
    },
  };
}

/** The plausible tables that were drawn, with all answers and changes compared, in one of the kinds of RAM. */
function compare(draw: Draw, subject: WalkCase): void {
  const trial = new Trial(subject, pick(draw, Object.values(PLACES)));
  subject.questions.forEach((question, i) => {
    trial.ask(question, WAYS[i % WAYS.length]!);
  });
}

/** The walkers of one stage that have a reference model of their own. */
export const ONE_STAGE: readonly Kind[] = [
  ...RISCV_MODES.map((mode) => ({
    name: mode,
    draw: (draw: Draw) => subjectOf(draw, drawRiscvCase(draw, mode, 6)),
  })),
  ...X86_MODES.map((mode) => ({
    name: mode,
    draw: (draw: Draw) => subjectOf(draw, drawX86Case(draw, mode, 6)),
  })),
  ...X86_MODES.filter((mode) => mode !== 'none').map((mode) => ({
    name: `nested paging, ${mode}`,
    draw: (draw: Draw) => nestedPaging(draw, drawX86Case(draw, mode, 0)),
  })),
];
