import { addressOf, pageAndOffset } from 'pagewright/core';
import type { PhysicalMemory } from 'pagewright/memory';
import { decodePar } from 'pagewright/pte';
import { AArch64Stage2, AArch64Walker, type Translation } from 'pagewright/walk';
import {
  type ReferenceAArch64Outcome,
  referenceAArch64Walk,
} from '../../../src/reference/aarch64-walk.js';
import { type AArch64Case, type AArch64Question, atAccess } from './aarch64-case.js';

/** A CPU with tables, and the reference beside it. */
export class AArch64Trial {
  private readonly subject: AArch64Case;
  private readonly memory: PhysicalMemory;
  private readonly walker: AArch64Walker;
  private readonly found: Uint8Array;

  /** Word offset from which memory only reads. */
  private readonly writable: number;

  constructor(subject: AArch64Case, place: Place) {
    const { memory, writable } = place(subject);
    this.subject = subject;
    this.memory = memory;
    this.writable = writable;
    this.found = new Uint8Array(8 * writable);
    const { vpn, offset } = pageAndOffset(subject.base);
    memory.writeBytes(vpn, offset, bytesOf(subject.words.subarray(0, writable)));
    this.walker = aarch64Walker(subject, memory);
  }

  /**
   * Asks in every way.
   *
   * @throws An error that says what differs.
   */
  ask(question: AArch64Question): void {
    if (question.at !== null) {
      this.execute(question, question.at);
      this.execute(question, question.at);
      return;
    }
    const { walker } = this;
    const { access, va } = question;
    const { vpn, offset } = pageAndOffset(va);
    // What changes nothing does not find out that it could not.
    const dry = this.reference(question, () => true);
    check('probe', question, this.numberText(walker.probe(vpn, access, offset), va), text(dry));
    const { outcome } = walker.explain(va, access);
    check('explain', question, this.objectText(outcome), this.expectedObject(dry));
    this.compareMemory('probe and explain', question);
    const expected = this.reference(question);
    check('walk', question, this.numberText(walker.walk(vpn, access, offset), va), text(expected));
    this.apply(expected);
    this.compareMemory('walk', question);
    const again = this.reference(question);
    check(
      'again',
      question,
      this.objectText(walker.translate(va, access)),
      this.expectedObject(again),
    );
    this.apply(again);
    this.compareMemory('again', question);
    walker.checkInvariants();
  }

  private execute(
    question: AArch64Question,
    instruction: NonNullable<AArch64Question['at']>,
  ): void {
    const expected = this.reference(question);
    const { el, va } = question;
    const result = this.walker.at(instruction, va, { el });
    const got = result.kind === 'exception' ? abortText(result) : parText(result.par);
    check(instruction, question, got, atText(expected, el));
    this.apply(expected);
    this.compareMemory(instruction, question);
  }

  private reference(
    { access, at, va }: AArch64Question,
    takesWrites = (pa: bigint) => this.takesWrites(pa),
  ): ReferenceAArch64Outcome {
    const { base, features, nested, registers, words } = this.subject;
    const read = (pa: bigint): bigint | null => words[Number((pa - base) / 8n)] ?? null;
    const inside = (pa: bigint): bigint | null => (pa < base ? null : read(pa));
    const common = { read: inside, takesWrites, registers, features, nested, va };
    return at === null
      ? referenceAArch64Walk({ ...common, access })
      : referenceAArch64Walk({
          ...common,
          access: atAccess(at),
          at: { stages: at.startsWith('S12') ? 2 : 1, pan: at.endsWith('P') },
        });
  }

  private takesWrites(pa: bigint): boolean {
    return pa < this.subject.base + BigInt(8 * this.writable);
  }

  private apply({ writes }: ReferenceAArch64Outcome): void {
    const { base, words } = this.subject;
    for (const { pa, value } of writes) words[Number((pa - base) / 8n)] = value;
  }

  private numberText(result: number, va: bigint): string {
    if (result >= 0) return `pa ${addressOf(result, Number(va & 4095n)).toString(16)}`;
    const { aarch64Level: level, el, esr, far, fsc, gpa, hpfar, s1ptw, stage } = this.walker.fault;
    return faultText({ fsc, level, el, esr, far, hpfar, stage, ptw: s1ptw, ipa: gpa });
  }

  private objectText(outcome: Translation): string {
    return aarch64Answer(outcome, this.subject.nested);
  }

  private expectedObject(outcome: ReferenceAArch64Outcome): string {
    return aarch64Expected(outcome, this.subject.nested);
  }

  private compareMemory(way: string, question: AArch64Question): void {
    const { base, words } = this.subject;
    const { vpn, offset } = pageAndOffset(base);
    this.memory.readBytes(vpn, offset, this.found);
    if (Buffer.compare(this.found, bytesOf(words.subarray(0, this.writable))) === 0) return;
    const got = new BigUint64Array(this.found.buffer);
    const at = got.findIndex((word, i) => word !== words[i]);
    check(`${way}: word ${at}`, question, got[at]!.toString(16), words[at]!.toString(16));
  }
}

/** An answer as text; the size of the page where one stage alone has a say. */
export function aarch64Answer(outcome: Translation, nested: boolean): string {
  if (outcome.kind === 'fault') {
    const { aarch64, secondStage } = outcome;
    if (aarch64 === undefined) return 'no AArch64 fault';
    return faultText({ ...aarch64, ptw: aarch64.s1ptw, ipa: secondStage?.gpa ?? null });
  }
  return pageText({ ...outcome, ...outcome.aarch64 }, nested);
}

/** What the reference answers, in the same words. */
export function aarch64Expected(outcome: ReferenceAArch64Outcome, nested: boolean): string {
  return outcome.kind === 'fault' ? faultText(outcome) : pageText(outcome, nested);
}

interface Page {
  readonly pa: bigint;
  readonly pageBytes: number | bigint;
  readonly attr?: number;
  readonly sh?: number;
}

function pageText({ attr, pa, pageBytes, sh }: Page, nested: boolean): string {
  const size = nested ? '' : `, ${pageBytes} bytes`;
  return `pa ${pa.toString(16)}${size}, attr ${attr}, sh ${sh}`;
}

/** Memory for a case, and how many of its words are RAM, to be filled; the rest only reads, and is filled already. */
export type Place = (subject: AArch64Case) => {
  readonly memory: PhysicalMemory;
  readonly writable: number;
};

function bytesOf(words: BigUint64Array): Uint8Array {
  return new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
}

/** The walker of a case, with its registers. */
export function aarch64Walker(
  subject: Omit<AArch64Case, 'words' | 'questions'>,
  memory: PhysicalMemory,
): AArch64Walker {
  const { features, late, nested, registers } = subject;
  const { hcr, pan, vtcr, vttbr, ...stage1 } = registers;
  const stage2 = { hcr, vtcr, vttbr };
  const secondStage = new AArch64Stage2({ memory, features, ...(late ? {} : stage2) });
  // HCR_EL2 is one register, wherever it is written.
  const walker = new AArch64Walker({
    memory,
    features,
    ...(nested ? { secondStage } : { hcr }),
    ...(late ? { pan: !pan, tcr: 25n, sctlr: 0n } : { ...stage1, pan }),
  });
  if (!late) return walker;
  if (nested) secondStage.setRegisters({ vtcr, vttbr, hcr: hcr ^ 0x1000_1000n });
  walker.setRegisters({ ...stage1, ...(pan && { hcr }) });
  secondStage.setRegisters({ hcr });
  walker.pan = pan;
  return walker;
}

type Fault = Pick<
  Extract<ReferenceAArch64Outcome, { kind: 'fault' }>,
  'fsc' | 'level' | 'el' | 'esr' | 'far' | 'hpfar' | 'stage' | 'ptw' | 'ipa'
>;

function faultText({ el, esr, far, fsc, hpfar, ipa, level, ptw, stage }: Fault): string {
  const where = stage === 2 ? `, ipa ${ipa?.toString(16)}` : '';
  const registers = `el ${el}, esr ${esr.toString(16)}, far ${far.toString(16)}, hpfar ${hpfar?.toString(16)}`;
  return `fsc ${fsc}, level ${level}, ${registers}, stage ${stage}, ptw ${ptw}${where}`;
}

function text(outcome: ReferenceAArch64Outcome): string {
  return outcome.kind === 'page' ? `pa ${outcome.pa.toString(16)}` : faultText(outcome);
}

/** PAR_EL1 as fields. */
function parText(par: bigint): string {
  const { ATTR, F, FST, PA, PTW, S, SH } = decodePar(par).fields;
  return F === 1 ? `fst ${FST}, s ${S}, ptw ${PTW}` : `page ${PA}, attr ${ATTR}, sh ${SH}`;
}

/** The exception that an AT instruction took. */
function abortText({ el, esr, far, hpfar }: Pick<Fault, 'el' | 'esr' | 'far' | 'hpfar'>): string {
  return `abort at el ${el}, esr ${esr.toString(16)}, far ${far.toString(16)}, hpfar ${hpfar?.toString(16)}`;
}

/**
 * What an AT instruction makes of the answer (AArch64.AT): it takes an external abort itself, and at EL1 a refusal of
 * stage 2 to a walk of stage 1; all else is reported.
 */
function atText(outcome: ReferenceAArch64Outcome, from: 1 | 2): string {
  if (outcome.kind === 'page') {
    const { attr, pa, sh } = outcome;
    return `page ${pa >> 12n}, attr ${attr}, sh ${sh}`;
  }
  const { far, fsc, hpfar, ptw, stage } = outcome;
  if ((fsc >= 0x13 && fsc <= 0x17) || (from === 1 && ptw)) {
    const el = from === 2 ? 2 : outcome.el;
    const exception = el > from ? 0x24n : 0x25n;
    // IL, CM and WnR.
    const esr = (exception << 26n) | BigInt(0x200_0000 | 0x100 | 0x40 | (ptw ? 0x80 : 0) | fsc);
    return abortText({ el, esr, far, hpfar });
  }
  return `fst ${fsc}, s ${stage - 1}, ptw ${Number(ptw)}`;
}

/** Compares, and says in an error what was asked. */
function check(what: string, question: AArch64Question, got: string, expected: string): void {
  if (got === expected) return;
  const { access, at, va } = question;
  const asked = `va 0x${va.toString(16)}, access ${access}, AT ${at}`;
  throw new Error(`${what}: ${got}, but the reference says ${expected} (${asked})`);
}
