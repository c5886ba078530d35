import { addressOf, pageAndOffset } from 'pagewright/core';
import type { PhysicalMemory } from 'pagewright/memory';
import type { RiscvWalker, Translation, X86Walker } from 'pagewright/walk';
import { IMAGE_BYTES, type Question } from './image.js';
import { type Outcome, ramOf, referenceAnswer, type WalkCase, walkerFor } from './machine.js';
import type { Ram } from './ram.js';

/** A machine with a walker, and the reference beside it. */
export class Trial {
  private readonly subject: WalkCase;
  private readonly ram: Ram;
  private readonly memory: PhysicalMemory;
  private readonly walker: RiscvWalker | X86Walker;
  private readonly found: Uint8Array = new Uint8Array(IMAGE_BYTES);

  constructor(subject: WalkCase, place: (base: bigint, bytes: number) => PhysicalMemory) {
    this.subject = subject;
    this.ram = ramOf(subject.image);
    this.memory = place(subject.image.base, IMAGE_BYTES);
    const { vpn: pfn, offset } = pageAndOffset(subject.image.base);
    this.memory.writeBytes(pfn, offset, this.ram.bytes);
    this.walker = walkerFor(subject, this.memory);
  }

  /**
   * Asks in every way. `first` says which way changes memory: the next walk then finds the bits set.
   *
   * @throws An error that says what differs.
   */
  ask(question: Question, first: 'walk' | 'translate' | 'explain'): void {
    const { vpn, offset } = pageAndOffset(question.va);
    const { access, bytes } = question;
    const plain = { ...question, bytes: 1 };

    this.compareNumber('probe', question, this.walker.probe(vpn, access, offset, bytes));
    this.compareMemory('probe', question);

    const report = this.walker.explain(question.va, access);
    this.compareObject('explain', plain, report.outcome);
    this.compareMemory('explain', question);
    const changes = report.steps.filter((step) => step.set.length > 0);
    const changed = new Set(changes.map((step) => step.address));
    const expected = this.reference(plain).writes;
    check(
      'explain: entries to change',
      question,
      [...changed].sort(),
      expected.map((w) => w.pa).sort(),
    );

    if (first === 'walk') {
      const result = this.walker.walk(vpn, access, offset, bytes);
      this.compareNumber('walk', question, result);
      this.apply(question);
    } else {
      const { walker } = this;
      const outcome =
        first === 'translate'
          ? walker.translate(question.va, access)
          : walker.explain(question.va, access, { update: true }).outcome;
      this.compareObject(first, plain, outcome);
      this.apply(plain);
    }
    this.compareMemory(first, question);

    const again = this.walker.walk(vpn, access, offset, bytes);
    this.compareNumber('second walk', question, again);
    this.apply(question);
    this.compareMemory('second walk', question);
  }

  private reference(question: Question): Outcome {
    return referenceAnswer(this.subject, this.ram, question);
  }

  private apply(question: Question): void {
    for (const { pa, value } of this.reference(question).writes) {
      this.ram.write(pa, this.subject.image.entryBytes, value);
    }
  }

  private compareNumber(way: string, question: Question, result: number): void {
    const expected = this.reference(question);
    const { offset } = pageAndOffset(question.va);
    if (expected.kind === 'page') {
      check(way, question, result < 0 ? result : addressOf(result, offset), expected.pa);
      return;
    }
    check(`${way} is a fault`, question, result < 0, true);
    const { fault } = this.walker;
    check(`${way}: address`, question, fault.va, question.va);
    if ('cause' in expected && 'cause' in fault) {
      check(`${way}: cause`, question, fault.cause, expected.cause);
      check(`${way}: tval`, question, fault.tval, expected.tval);
    } else if ('vector' in expected && 'vector' in fault) {
      check(`${way}: vector`, question, fault.vector, expected.vector);
      check(`${way}: error code`, question, fault.errorCode, expected.errorCode);
    } else {
      check(`${way}: the architecture's encoding`, question, false, true);
    }
  }

  private compareObject(way: string, question: Question, outcome: Translation): void {
    const expected = this.reference(question);
    check(`${way}: kind`, question, outcome.kind, expected.kind);
    if (outcome.kind === 'page' && expected.kind === 'page') {
      const { pa, pageBytes } = outcome;
      check(`${way}: address`, question, pa, expected.pa);
      check(`${way}: page size`, question, BigInt(pageBytes), expected.pageBytes);
      const type = 'pbmt' in expected ? expected.pbmt : expected.patIndex;
      check(`${way}: memory type`, question, outcome.riscv?.pbmt ?? outcome.x86?.patIndex, type);
    } else if (outcome.kind === 'fault' && expected.kind === 'fault') {
      const { riscv, x86 } = outcome;
      if ('cause' in expected) {
        const { cause, tval } = expected;
        check(`${way}: fault`, question, [riscv?.cause, riscv?.tval], [cause, tval]);
      } else {
        const { vector, errorCode } = expected;
        const cr2 = vector === 14 ? question.va : null;
        const found = [x86?.vector, x86?.errorCode, x86?.cr2];
        check(`${way}: fault`, question, found, [vector, errorCode, cr2]);
      }
    }
  }

  private compareMemory(way: string, question: Question): void {
    const { vpn: pfn, offset } = pageAndOffset(this.subject.image.base);
    this.memory.readBytes(pfn, offset, this.found);
    if (Buffer.compare(this.found, this.ram.bytes) === 0) return;
    const at = this.found.findIndex((byte, i) => byte !== this.ram.bytes[i]);
    check(`${way}: byte ${at} of memory`, question, this.found[at], this.ram.bytes[at]);
  }
}

/** Compares plain values, and says in an error what was asked. */
function check(what: string, question: Question, found: unknown, expected: unknown): void {
  const [got, wanted] = [show(found), show(expected)];
  if (got === wanted) return;
  const { va, access, bytes } = question;
  const asked = `va 0x${va.toString(16)}, access ${access}, ${bytes} bytes`;
  throw new Error(`${what}: ${got}, but the reference says ${wanted} (${asked})`);
}

function show(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(show).join(', ')}]`;
  return typeof value === 'bigint' ? `0x${value.toString(16)}` : String(value);
}
