import { type Draw, once, pick } from '../walk/agreement/draw.js';
import { PLACES } from '../walk/agreement/places.js';
import { drawer } from './drawer.js';
import { checkEnumeration } from './enumeration.js';
import { expect } from './expect.js';
import { kindOf } from './kinds.js';
import type { Query } from './question.js';
import { Stand, type Way } from './stand.js';
import type { Kind, Subject } from './subject.js';

/** One walk of this many is compared with the reference, where there is one. */
const COMPARED = 29;
/** Subjects to choose from, and probes by which they are judged. */
const TRIES = 5;
const PROBES = 40;
/** After so many walks something else walks. */
const EXECUTED = 24;
/** In the second half registers change after so many. */
const CHANGED = 80;
/** The ways in which the second machine is asked, in turn: mostly the hot one. */
const WAYS: readonly Way[] = [
  ...Array.from({ length: 61 }, (): Way => 'walk'),
  ...(['translate', 'update', 'explain'] as const),
];

/**
 * One image of garbage, and walks over it. The seed says everything.
 *
 * Two machines answer the same questions and must agree: one has its tables where the fast path reads them, the other
 * in RAM of any kind, mostly where every walk takes the complete form.
 *
 * @throws An error that says what was wrong, and of which walk.
 */
export class Round {
  /** What walks. */
  readonly name: string;
  private readonly draw: Draw;
  private readonly subject: Subject;
  private readonly first: Stand;
  private readonly second: Stand;

  constructor(seed: number) {
    this.draw = drawer(seed);
    const kind = kindOf(seed);
    this.name = kind.name;
    this.subject = drawSubject(this.draw, kind);
    const { draw, subject } = this;
    this.first = new Stand(subject, pick(draw, [PLACES.flat, PLACES.inside]), false);
    this.second = new Stand(subject, pick(draw, Object.values(PLACES)), !once(draw, 3));
  }

  /** Asks `count` questions. */
  run(count: number): void {
    const { subject } = this;
    try {
      subject.compare?.(this.draw);
    } catch (error) {
      throw this.failure('a plausible table', error);
    }
    for (let i = 0; i < count; i++) {
      const query = subject.query(this.draw, this.first.machine.walker);
      try {
        this.ask(i, query);
        if (i % EXECUTED === 0) this.execute();
        if (2 * i > count && i % CHANGED === 0) this.change();
      } catch (error) {
        const { access, bytes, offset, vpn } = query;
        const asked = `vpn 0x${vpn.toString(16)}, access ${access}, offset ${offset}, ${bytes} bytes`;
        throw this.failure(`walk ${i} (${asked})`, error);
      }
    }
    try {
      this.finish();
    } catch (error) {
      throw this.failure('at the end', error);
    }
  }

  private ask(i: number, query: Query): void {
    const { first, subject } = this;
    const { walker } = first.machine;
    const judge = i % COMPARED === 0 ? subject.judge : undefined;
    const way = judge === undefined ? WAYS[i % WAYS.length]! : 'translate';
    // The doors in objects ask for a byte.
    const asked = way === 'walk' ? query : { ...query, bytes: 1 };
    const ram = judge === undefined ? first.ram : first.ram.copy();
    const expected = judge?.ask(asked, ram, walker);
    const probed = first.ask('probe', asked);
    if (way === 'explain') {
      const explained = first.ask('explain', asked);
      expect(explained === probed, `a probe says ${probed}, an explanation ${explained}`);
    }
    const result = first.ask(way === 'translate' ? way : 'walk', asked);
    const still = first.memory.changes === 0 || walker.secondStage === null;
    expect(!still || probed === result, `a probe says ${probed}, a walk ${result}`);
    if (judge !== undefined && expected !== undefined) {
      const found = judge.spell(walker, first.outcome);
      expect(found === expected, `${found}, but the reference says ${expected}`);
      const same = Buffer.compare(ram.bytes, first.ram.bytes) === 0;
      expect(same, 'other changes than those of the reference');
    }
    this.follow(way === 'explain' ? 'walk' : way, asked, result);
    if (i % 4 === 1) this.askAgain(asked, result);
  }

  /** The other machine answers and changes the same. */
  private follow(way: Way, query: Query, result: number): void {
    const { first, second } = this;
    const found = second.ask(way, query);
    const [wanted, got] = [first.detail(result), second.detail(found)];
    expect(got === wanted, `${wanted} from flat RAM, ${got} otherwise`);
    if (way === 'translate') {
      const [one, other] = [first, second].map(({ outcome }) => JSON.stringify(outcome));
      expect(one === other, `${one} from flat RAM, ${other} otherwise`);
    }
    expect(
      second.memory.changes === first.memory.changes,
      `${first.memory.changes} changes of flat RAM, ${second.memory.changes} otherwise`,
    );
  }

  /** Nothing is left to do: of one stage after one walk, of two unless an entry belongs to both. */
  private askAgain(query: Query, result: number): void {
    const { first } = this;
    const still = first.memory.changes === 0 || first.machine.walker.secondStage === null;
    const again = first.ask('walk', query);
    this.follow('walk', query, again);
    if (!still) return;
    expect(again === result, `${result} at first, then ${again}`);
    expect(first.memory.changes === 0, 'the second walk found bits to set');
  }

  private execute(): void {
    const [wanted, got] = this.both((stand, draw) => stand.execute(draw));
    expect(got === wanted, `${wanted} from flat RAM, ${got} otherwise`);
  }

  private change(): void {
    this.both((stand, draw) => stand.change(draw));
  }

  /** Does something with both machines, for which they draw the same. */
  private both<T>(act: (stand: Stand, draw: Draw) => T): readonly [T, T] {
    const seed = this.draw(2 ** 32);
    return [act(this.first, drawer(seed)), act(this.second, drawer(seed))];
  }

  private finish(): void {
    const { first, second } = this;
    checkEnumeration(first.machine.walker, second.machine.walker, this.draw);
    first.finish();
    second.finish();
  }

  private failure(where: string, error: unknown): Error {
    const what = error instanceof Error ? error.message : String(error);
    return new Error(`${this.name}, ${where}: ${what}`, { cause: error });
  }
}

/** Of a few subjects the first in which some walks arrive, for most garbage lets none; one of four is as it comes. */
function drawSubject(draw: Draw, kind: Kind): Subject {
  const tries = once(draw, 4) ? 1 : TRIES;
  for (let i = 1; ; i++) {
    const subject = kind.draw(draw);
    if (i === tries || arrives(draw, subject)) return subject;
  }
}

function arrives(draw: Draw, subject: Subject): boolean {
  const stand = new Stand(subject, PLACES.flat, false);
  let pages = 0;
  for (let i = 0; i < PROBES; i++) {
    if (stand.ask('probe', subject.query(draw, stand.machine.walker)) >= 0) pages++;
  }
  return pages >= PROBES / 16;
}
