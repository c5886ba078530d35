import { Access, addressOf } from 'pagewright/core';
import { AArch64Stage2, AArch64Walker, type RadixWalker } from 'pagewright/walk';
import { referenceAArch64Walk } from '../../src/reference/aarch64-walk.js';
import { type AArch64Case, AT, drawAArch64Case } from '../walk/agreement/aarch64-case.js';
import {
  AArch64Trial,
  aarch64Answer,
  aarch64Expected,
  aarch64Walker,
} from '../walk/agreement/aarch64-judge.js';
import { AARCH64_PLACES } from '../walk/agreement/aarch64-places.js';
import { type Draw, once, pattern, pick } from '../walk/agreement/draw.js';
import { attempt } from './attempt.js';
import { spoil } from './garbage.js';
import { drawAccess, drawPlace, type Query } from './question.js';
import type { Judge, Kind, Machine, Subject } from './subject.js';

/** AF, and the bit that hardware clears in stage 1 and sets in stage 2. */
const SETTABLE = 0x480;
/** Questions about the garbage that the reference answers too. */
const COMPARED = 12;

type Granule = 12 | 14 | 16;
type Registers = AArch64Case['registers'];

/** Registers that are hardly wrong, or make no sense at all; never those of a big-endian machine. */
function distort(draw: Draw, registers: Registers): Registers {
  const { pan: _, ...values } = registers;
  const distorted = Object.entries(values).map(([name, value]) => {
    const wild = once(draw, 40) ? pattern(draw, 64) : value;
    const found = once(draw, 4) ? wild ^ (1n << BigInt(draw(64))) : wild;
    return [name, name === 'sctlr' ? found & ~(1n << 25n) : found];
  });
  return { ...registers, ...Object.fromEntries(distorted), pan: once(draw, 2) };
}

/** Plausible tables and registers of one or both stages, spoilt. */
function drawCase(draw: Draw, granule: Granule, nested: boolean): AArch64Case {
  const subject = drawAArch64Case(draw, granule, nested, COMPARED);
  const { length } = subject.words;
  spoil(subject.words, Math.floor(length / pick(draw, [length, 256, 32, 6])), draw);
  const registers = updating(draw, subject.registers);
  return { ...subject, registers: once(draw, 2) ? registers : distort(draw, registers) };
}

/** Hardware updates in most cases, of both stages: HA and HD. */
function updating(draw: Draw, registers: Registers): Registers {
  const { tcr, vtcr } = registers;
  return {
    ...registers,
    tcr: once(draw, 3) ? tcr : tcr | (3n << 39n),
    vtcr: once(draw, 3) ? vtcr : vtcr | (3n << 21n),
  };
}

function subjectOf({ base, words }: AArch64Case): Omit<Subject, 'make' | 'query'> {
  return {
    base,
    bytes: new Uint8Array(words.slice().buffer),
    settable: [SETTABLE],
    frameEnd: 2 ** 40,
  };
}

/** A page number of a walker's half, with a tag or not. */
function drawVpn(draw: Draw, walker: RadixWalker, half: 0 | 1): number {
  if (once(draw, 32)) return draw(2 ** 52);
  const pages = 2 ** ((walker.rootFormat(half)?.virtualBits ?? 48) - 12);
  const vpn = draw(pages) + (half === 0 ? 0 : 2 ** 52 - pages);
  return once(draw, 4) ? (vpn % 2 ** 44) + draw(256) * 2 ** 44 : vpn;
}

function drawQuery(draw: Draw, walker: RadixWalker, half: 0 | 1, further: number): Query {
  const vpn = drawVpn(draw, walker, half);
  return { vpn, access: drawAccess(draw, [further]), ...drawPlace(draw, 4096) };
}

/** An address translation instruction, as text. */
function execute(draw: Draw, walker: AArch64Walker): string {
  const va = addressOf(drawVpn(draw, walker, draw(2) === 0 ? 0 : 1), draw(4096));
  const instruction = pick(draw, AT);
  // EL1 has no S12 forms.
  const el = instruction.startsWith('S12') || once(draw, 3) ? 2 : 1;
  const result = walker.at(instruction, va, { el });
  const what = result.kind === 'par' ? [result.par] : [result.esr, result.far];
  return `${instruction} ${va}: ${result.kind} ${what.join(' ')}`;
}

/** The reference model of both stages, with the registers of the moment. */
const JUDGE: Judge = {
  ask: ({ access, offset, vpn }, ram, walker) => {
    const nested = walker.secondStage !== null;
    const outcome = referenceAArch64Walk({
      ...{ nested, access, va: addressOf(vpn, offset) },
      ...{ features: stage1Of(walker).features, registers: registersOf(stage1Of(walker)) },
      read: (pa) => ram.read(pa, 8),
    });
    for (const { pa, value } of outcome.writes) ram.write(pa, 8, value);
    return aarch64Expected(outcome, nested);
  },
  spell: (walker, outcome) => aarch64Answer(outcome, walker.secondStage !== null),
};

function stage1Of(walker: RadixWalker): AArch64Walker {
  if (walker instanceof AArch64Walker) return walker;
  throw new Error('not a walker of stage 1');
}

function registersOf(walker: AArch64Walker): Registers {
  const { hcr, mair, pan, sctlr, secondStage, tcr, ttbr0, ttbr1 } = walker;
  const { vtcr, vttbr } = secondStage instanceof AArch64Stage2 ? secondStage : NO_STAGE2;
  return { tcr, ttbr0, ttbr1, sctlr, mair, pan, hcr, vtcr, vttbr };
}

const NO_STAGE2 = { vtcr: 0n, vttbr: 0n };

/** Stage 1, and the registers of a second one. */
function drawStage1(draw: Draw, granule: Granule, nested: boolean): Subject {
  const subject = drawCase(draw, granule, nested);
  const change = (draw: Draw, walker: AArch64Walker): void => {
    const { hcr, pan, vtcr, vttbr, ...stage1 } = distort(draw, subject.registers);
    attempt(() => walker.setRegisters({ ...stage1, hcr }));
    walker.pan = pan;
    const { secondStage } = walker;
    if (!(secondStage instanceof AArch64Stage2) || once(draw, 2)) return;
    attempt(() => secondStage.setRegisters({ hcr, vtcr, vttbr }));
  };
  return {
    ...subjectOf(subject),
    make: (memory): Machine => {
      const walker = aarch64Walker(subject, memory);
      return {
        walker,
        change: (draw) => change(draw, walker),
        execute: (draw) => execute(draw, walker),
      };
    },
    query: (draw, walker) => drawQuery(draw, walker, draw(2) === 0 ? 0 : 1, Access.Unprivileged),
    judge: JUDGE,
    compare: (draw) => {
      const place = pick(draw, Object.values(AARCH64_PLACES));
      const trial = new AArch64Trial({ ...subject, words: subject.words.slice() }, place);
      for (const question of subject.questions) trial.ask(question);
    },
  };
}

/** Stage 2 alone, over the tables of both. */
function drawStage2(draw: Draw, granule: Granule): Subject {
  const subject = drawCase(draw, granule, true);
  const { features, registers } = subject;
  return {
    ...subjectOf(subject),
    make: (memory) => {
      const { hcr, vtcr, vttbr } = registers;
      const walker = new AArch64Stage2({ memory, features, hcr, vtcr, vttbr });
      const change = (draw: Draw): void => {
        const { hcr, vtcr, vttbr } = distort(draw, registers);
        attempt(() => walker.setRegisters({ hcr, vtcr, vttbr }));
      };
      return { walker, change };
    },
    query: (draw, walker) => drawQuery(draw, walker, 0, Access.ImplicitSupervisor),
  };
}

/** Each granule: stage 1, stage 2, and one over the other. */
export const AARCH64: readonly Kind[] = ([12, 14, 16] as const).flatMap((granule) => {
  const name = `AArch64, granule 2^${granule}`;
  return [
    { name, draw: (draw: Draw) => drawStage1(draw, granule, false) },
    { name: `${name}, stage 2`, draw: (draw: Draw) => drawStage2(draw, granule) },
    { name: `${name}, both stages`, draw: (draw: Draw) => drawStage1(draw, granule, true) },
  ];
});
