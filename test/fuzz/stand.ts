import { addressFromVpn, faultCode, faultReason, pageAndOffset } from 'pagewright/core';
import { formatWalk, type RadixWalker, type Translation } from 'pagewright/walk';
import { Ram } from '../walk/agreement/ram.js';
import { expect } from './expect.js';
import type { Query } from './question.js';
import type { Machine, Subject } from './subject.js';
import { WatchedMemory } from './watched-memory.js';

/** How often a walk may begin anew when entries change under it: UPDATE_ATTEMPTS of the walkers. */
const ATTEMPTS = 64;

/** One report of so many is made text. */
const SERIALISED = 8;

/** The ways to ask; the last three change memory. */
export type Way = 'probe' | 'explain' | 'walk' | 'translate' | 'update';

/** A machine under test. Every answer is checked for what any answer must keep to. */
export class Stand {
  readonly machine: Machine;
  readonly memory: WatchedMemory = new WatchedMemory();
  /** The RAM as it should be, from the changes that were seen. */
  readonly ram: Ram;
  private readonly subject: Subject;
  private last: Translation | null = null;
  private observed = 0;
  private reports = 0;

  constructor(
    subject: Subject,
    place: (base: bigint, bytes: number, memory: WatchedMemory) => unknown,
    observed: boolean,
  ) {
    this.subject = subject;
    const { base, bytes } = subject;
    this.ram = new Ram(base, bytes.slice());
    place(base, bytes.length, this.memory);
    const { vpn, offset } = pageAndOffset(base);
    this.memory.writeBytes(vpn, offset, bytes);
    this.machine = subject.make(this.memory);
    if (!observed) return;
    for (const walker of stagesOf(this.machine.walker)) {
      walker.observer = (event) => {
        if (event.type === 'entry-read' && event.tablePfn >= 0) this.observed++;
      };
    }
  }

  /** The last answer in an object. */
  get outcome(): Translation {
    if (this.last === null) throw new Error('there was no answer in an object');
    return this.last;
  }

  /** Asks, and checks the answer. */
  ask(way: Way, query: Query): number {
    this.begin();
    const result = this.answer(way, query);
    this.checkResult(result);
    // For a report the second stage walks twice.
    this.checkReads(way === 'explain' || way === 'update' ? 2 : 1);
    const changes = this.takeChanges();
    const still = way === 'probe' || way === 'explain';
    expect(!still || changes === 0, `${changes} changes by what should change nothing`);
    return result;
  }

  /** Writes registers, which may walk too: PAE's PDPTEs are loaded through the second stage. */
  change(draw: (below: number) => number): void {
    this.begin();
    this.machine.change?.(draw);
    this.takeChanges();
  }

  /** Whatever else walks. */
  execute(draw: (below: number) => number): string {
    this.begin();
    const text = this.machine.execute?.(draw) ?? '';
    this.checkReads(1);
    this.takeChanges();
    return text;
  }

  /** What an answer left in fields. */
  detail(result: number): string {
    const { fault, leafHigh, leafLevel, leafLow } = this.machine.walker;
    if (result >= 0) return `${result}: level ${leafLevel}, ${leafLow | 0} ${leafHigh | 0}`;
    const { guestOffset, guestPfn, level, offset, purpose, rule, stage, vpn } = fault;
    const by = stage === 1 ? '' : `, stage 2, ${purpose} at ${guestPfn} + ${guestOffset}`;
    return `${rule.id}: level ${level}, page ${vpn} + ${offset}${by}`;
  }

  /** At the end: RAM is as the changes made it, and all that was derived from registers still is. */
  finish(): void {
    const { base, bytes } = this.ram;
    const found = new Uint8Array(bytes.length);
    const { vpn, offset } = pageAndOffset(base);
    this.memory.readBytes(vpn, offset, found);
    if (Buffer.compare(found, bytes) !== 0) {
      const stray = found.findIndex((byte, at) => byte !== bytes[at]);
      throw new Error(`byte ${stray} of RAM changed behind memory's back`);
    }
    for (const walker of stagesOf(this.machine.walker)) walker.checkInvariants();
  }

  private begin(): void {
    this.memory.forget();
    this.observed = 0;
  }

  private answer(way: Way, { access, bytes, offset, vpn }: Query): number {
    const { walker } = this.machine;
    if (way === 'probe') return walker.probe(vpn, access, offset, bytes);
    if (way === 'walk') return walker.walk(vpn, access, offset, bytes);
    const va = addressFromVpn(vpn, offset, walker.pageShift);
    if (way === 'translate') return this.numberOf(walker.translate(va, access));
    const report = walker.explain(va, access, { update: way === 'update' });
    const most = mostReferences(walker);
    expect(report.references <= most, `${report.references} references, of at most ${most}`);
    expect(report.updated === (way === 'update'), 'updated although not told');
    if (this.reports++ % SERIALISED === 0) {
      expect(structuredClone(report).v === 1, 'a report that cannot be cloned');
      expect(JSON.parse(JSON.stringify(report)).v === 1, 'a report that is no JSON');
      expect(formatWalk(report).length > 0, 'a report without text');
    }
    return this.numberOf(report.outcome);
  }

  private numberOf(outcome: Translation): number {
    this.last = outcome;
    expect(structuredClone(outcome).kind === outcome.kind, 'an answer that cannot be cloned');
    return outcome.kind === 'page' ? outcome.pfn : -1 - faultCode(outcome.reason);
  }

  private checkResult(result: number): void {
    const { walker } = this.machine;
    if (result < 0) {
      const { reason } = walker.fault;
      expect(faultReason(result) === reason, `${result} is not ${reason}`);
      return;
    }
    const { frameEnd } = this.subject;
    expect(Number.isInteger(result) && result < frameEnd, `${result} is no frame`);
  }

  private checkReads(times: number): void {
    const { memory } = this;
    const { walker } = this.machine;
    // An update asks the second stage once more; a walk begins anew only when some entry has changed.
    const host = walker.secondStage === null ? 0 : levelsOf(walker.secondStage);
    const once = times * (mostReferences(walker) + host * levelsOf(walker));
    const most = memory.changes === 0 ? once : once * ATTEMPTS;
    expect(memory.reads <= most, `${memory.reads} reads, of at most ${most}`);
    expect(this.observed <= most, `${this.observed} entries observed, of at most ${most}`);
  }

  /** Checks the changes of memory and takes them over. */
  private takeChanges(): number {
    const { memory } = this;
    expect(memory.strays === 0, 'a write that is no accessed/dirty update of an entry read');
    for (let i = 0; i < memory.changes; i++) this.take(i);
    return memory.changes;
  }

  private take(change: number): void {
    const { memory, subject } = this;
    const { base, bytes } = this.ram;
    const bits = memory.changeLow[change]!;
    const known = subject.settable.some((mask) => (bits & ~mask) === 0);
    expect(known && memory.changeHigh[change] === 0, 'other bits than A and D changed');
    const { vpn, offset } = pageAndOffset(base);
    const frames = memory.changePfn[change]! - vpn;
    const at = frames * 4096 + memory.changeOffset[change]! - offset;
    for (let i = 0; i < 4; i++) bytes[at + i] = bytes[at + i]! ^ (bits >>> (8 * i));
  }
}

/** A walker and its second stage. */
function stagesOf(walker: RadixWalker): readonly RadixWalker[] {
  return walker.secondStage === null ? [walker] : [walker, walker.secondStage];
}

function levelsOf(walker: RadixWalker): number {
  let levels = 0;
  for (let slot = 0; slot < walker.rootCount; slot++) {
    levels = Math.max(levels, walker.rootFormat(slot)?.levels ?? 0);
  }
  return levels;
}

/** The most entries that a walk reads: (g + 1)(h + 1) - 1, where the stages have g and h levels. */
function mostReferences(walker: RadixWalker): number {
  const { secondStage } = walker;
  const own = levelsOf(walker);
  return secondStage === null ? own : (own + 1) * (levelsOf(secondStage) + 1) - 1;
}
