import { addressOf, faultCode, faultReason, Random } from 'pagewright/core';
import type { RiscvWalker, X86Walker } from 'pagewright/walk';
import type { Draw } from '../walk/agreement/draw.js';
import { Trial } from '../walk/agreement/judge.js';
import {
  type Outcome,
  PLACES,
  Ram,
  referenceAnswer,
  type WalkCase,
  walkerFor,
} from '../walk/agreement/machine.js';
import { drawRiscvCase, RISCV_MODES } from '../walk/agreement/riscv-case.js';
import { drawX86Case, X86_MODES } from '../walk/agreement/x86-case.js';
import { fillWithGarbage } from './garbage.js';
import { addressSpace, randomAccess, randomVpn } from './question.js';
import { WatchedMemory } from './watched-memory.js';

const MODES = [...RISCV_MODES, ...X86_MODES];
const WAYS = ['walk', 'translate', 'explain'] as const;

/** One walk of this many is compared with the reference. */
const COMPARED = 63;
/** Every second round is watched by an observer, which counts the reads that the fast path makes otherwise. */
const OBSERVED = 2;

/**
 * One image of garbage, and walks over it. The seed says everything.
 *
 * @throws An error that says what was wrong, and of which walk.
 */
export class Round {
  readonly mode: string;
  private readonly random: Random;
  private readonly subject: WalkCase;
  private readonly ram: Ram;
  private readonly memory: WatchedMemory = new WatchedMemory();
  private readonly walker: RiscvWalker | X86Walker;
  /** The RAM as it should be, from the changes that were seen. */
  private readonly shadow: Int32Array;
  private readonly words: Int32Array;
  private readonly levels: number;
  private readonly settable: number;
  private observedReads = 0;

  constructor(seed: number) {
    this.random = new Random(seed);
    this.mode = MODES[(seed >>> 0) % MODES.length]!;
    const draw: Draw = (below) => this.random.below(below);
    const riscv = RISCV_MODES.includes(this.mode);
    this.subject = riscv ? drawRiscvCase(draw, this.mode, 6) : drawX86Case(draw, this.mode, 6);
    this.ram = new Ram({ ...this.subject.image, entries: [] });
    this.words = new Int32Array(this.ram.bytes.buffer);
    fillWithGarbage(this.words, this.subject, this.random);
    this.shadow = this.words.slice();
    this.memory.addRam({ base: this.subject.image.base, source: this.ram.bytes });
    this.walker = walkerFor(this.subject, this.memory);
    this.levels = this.walker.format?.levels ?? 0;
    this.settable = riscv ? 0xc0 : 0x60;
    if ((seed >>> 0) % (MODES.length * OBSERVED) < MODES.length) return;
    this.walker.observer = (event) => {
      if (event.type === 'entry-read' && event.tablePfn >= 0) this.observedReads++;
    };
  }

  /** Walks `count` times. */
  run(count: number): void {
    this.compareWithReference();
    const space = addressSpace(this.subject);
    const riscv = this.subject.arch === 'riscv';
    for (let i = 0; i < count; i++) {
      const vpn = randomVpn(this.random, space);
      const access = randomAccess(this.random, riscv);
      try {
        this.ask(i, vpn, access);
      } catch (error) {
        const what = error instanceof Error ? error.message : String(error);
        const question = `vpn 0x${vpn.toString(16)}, access ${access}`;
        throw new Error(`${this.mode}, walk ${i} (${question}): ${what}`, { cause: error });
      }
    }
    const stray = this.words.findIndex((word, at) => word !== this.shadow[at]);
    expect(stray === -1, `${this.mode}: word ${stray} of RAM changed behind memory's back`);
  }

  private ask(i: number, vpn: number, access: number): void {
    const { walker } = this;
    const expected = i % COMPARED === 0 ? this.expectation(vpn, access) : null;
    const probing = i % 8 === 0;
    if (i % 256 === 0) this.explain(vpn, access);
    this.begin();
    const result = probing ? walker.probe(vpn, access) : walker.walk(vpn, access);
    this.check(result, probing);
    if (expected !== null) this.compare(expected, result, probing);
    if (i % 4 !== 1) return;
    this.begin();
    const again = walker.walk(vpn, access);
    this.check(again, false);
    expect(again === result, `${result} at first, then ${again}`);
    expect(this.memory.changes === 0, 'the second walk found bits to set');
  }

  private begin(): void {
    this.memory.forget();
    this.observedReads = 0;
  }

  /** What every answer must keep to. */
  private check(result: number, probing: boolean): void {
    const { memory, walker } = this;
    if (result < 0) {
      expect(
        faultReason(result) === walker.fault.reason,
        `${result} is not ${walker.fault.reason}`,
      );
    } else {
      expect(Number.isInteger(result) && result < 2 ** 52, `${result} is no frame`);
    }
    expect(memory.reads <= this.levels, `${memory.reads} reads of ${this.levels} levels`);
    expect(this.observedReads <= this.levels, `${this.observedReads} entries observed`);
    expect(memory.changes <= (probing ? 0 : this.levels), `${memory.changes} changes`);
    expect(memory.strays === 0, 'a write that is no accessed/dirty update of an entry read');
    const other = (memory.changedLow & ~this.settable) | memory.changedHigh;
    expect(other === 0, 'other bits than A and D changed');
    for (let i = 0; i < memory.changes; i++) {
      const page = memory.changePfn[i]! - Number(this.subject.image.base >> 12n);
      const at = page * 1024 + (memory.changeOffset[i]! >> 2);
      this.shadow[at] = this.shadow[at]! ^ memory.changeBits[i]!;
    }
  }

  private explain(vpn: number, access: number): void {
    this.begin();
    const { outcome } = this.walker.explain(addressOf(vpn, 0), access);
    this.check(outcome.kind === 'page' ? outcome.pfn : -1 - faultCode(outcome.reason), true);
  }

  private expectation(vpn: number, access: number): Outcome {
    return referenceAnswer(this.subject, this.ram, { va: addressOf(vpn, 0), access, bytes: 1 });
  }

  private compare(expected: Outcome, result: number, probing: boolean): void {
    if (expected.kind === 'page') {
      const pfn = Number(expected.pa >> 12n);
      expect(result === pfn, `${result}, but the reference says ${pfn}`);
    } else {
      const { fault } = this.walker;
      const code = 'cause' in expected ? expected.cause : expected.errorCode;
      const found = 'cause' in fault ? fault.cause : fault.errorCode;
      expect(result < 0 && found === code, `${result}, ${found}, but the reference says ${code}`);
    }
    for (const { pa, value } of probing ? [] : expected.writes) {
      const found = this.ram.read(pa, this.subject.image.entryBytes);
      expect(found === value, `0x${pa.toString(16)} is ${found}, but the reference says ${value}`);
    }
  }

  /** The plausible tables that were drawn, with all answers and changes compared, in one of the kinds of RAM. */
  private compareWithReference(): void {
    const places = Object.values(PLACES);
    const trial = new Trial(this.subject, places[this.random.below(places.length)]!);
    this.subject.questions.forEach((question, i) => {
      trial.ask(question, WAYS[i % WAYS.length]!);
    });
  }
}

function expect(holds: boolean, otherwise: string): void {
  if (!holds) throw new Error(otherwise);
}
