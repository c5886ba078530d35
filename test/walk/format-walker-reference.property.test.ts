import fc from 'fast-check';
import { addressFromVpn, pageAndOffset, Random } from 'pagewright/core';
import type { PhysicalMemory } from 'pagewright/memory';
import { definePteFormat } from 'pagewright/pte';
import { FormatWalker, mappings, mergedMappings, type Translation } from 'pagewright/walk';
import { describe, expect, it } from 'vitest';
import {
  type ReferenceFormatOutcome,
  type ReferenceFormatWrite,
  referenceFormatWalk,
} from '../../src/reference/format-walk.js';
import type { Draw } from './agreement/draw.js';
import { drawFormatCase, FORMAT_RAM_BYTES, type FormatCase } from './agreement/format-case.js';
import { PLACES } from './agreement/places.js';

const QUESTIONS = 10;

/** Cases drawn from a tape of numbers, which fast-check shortens and flattens to zeros when a property fails. */
function cases(): fc.Arbitrary<FormatCase> {
  return fc.uint32Array({ minLength: 150, maxLength: 300, size: 'max' }).map((tape) => {
    let next = 0;
    return drawFormatCase((below) => (tape[next++] ?? 0) % below, QUESTIONS);
  });
}

/** A walker over its own memory, and the reference over a copy. */
class Trial {
  readonly walker: FormatWalker;
  private readonly subject: FormatCase;
  private readonly bytes: Uint8Array;

  constructor(subject: FormatCase, place: (base: bigint, bytes: number) => PhysicalMemory) {
    const { base, description, policy, root } = subject;
    this.subject = subject;
    this.bytes = subject.bytes.slice();
    const memory = place(base, FORMAT_RAM_BYTES);
    const { vpn } = pageAndOffset(base);
    memory.writeBytes(vpn, 0, this.bytes);
    const format = definePteFormat(description);
    const saved = new FormatWalker({ memory, format, root, ...policy }).snapshot();
    // As one that was saved as text and made again.
    this.walker = FormatWalker.restore(JSON.parse(JSON.stringify(saved)), { memory });
  }

  reference(va: bigint, access: number): ReferenceFormatOutcome {
    const { description, policy, root } = this.subject;
    return referenceFormatWalk({
      read: (pa, bytes) => this.read(pa, bytes),
      format: description,
      policy,
      root: BigInt(root) * BigInt(description.pageBytes),
      va,
      access,
    });
  }

  /** What the walker's memory holds. */
  memory(): Uint8Array {
    const found = new Uint8Array(FORMAT_RAM_BYTES);
    this.walker.memory.readBytes(pageAndOffset(this.subject.base).vpn, 0, found);
    return found;
  }

  /** Whether it holds what it should. */
  get agrees(): boolean {
    return Buffer.compare(this.memory(), this.bytes) === 0;
  }

  apply(writes: readonly ReferenceFormatWrite[]): void {
    for (const { pa, value } of writes) {
      const at = Number(pa - this.subject.base);
      for (let i = 0; i < this.subject.description.entryBytes; i++) {
        this.bytes[at + i] = Number((value >> BigInt(8 * i)) & 0xffn);
      }
    }
  }

  private read(pa: bigint, bytes: number): bigint | null {
    const at = Number(pa - this.subject.base);
    if (at < 0 || at + bytes > FORMAT_RAM_BYTES) return null;
    let value = 0n;
    for (let i = bytes - 1; i >= 0; i--) value = value * 256n + BigInt(this.bytes[at + i]!);
    return value;
  }
}

function spoken(outcome: Translation | ReferenceFormatOutcome): string {
  if (outcome.kind === 'fault') return outcome.reason;
  const { global, pa, pageBytes, prot } = outcome;
  return `${pa.toString(16)}, ${pageBytes} bytes, prot ${prot}, ${global ? 'global' : 'local'}`;
}

function expectAgreement(subject: FormatCase, place: keyof typeof PLACES): void {
  const trial = new Trial(subject, PLACES[place]);
  const { walker } = trial;
  const { pageShift } = walker;
  const number = (result: number, offset: number): string =>
    result < 0 ? walker.fault.reason : addressFromVpn(result, offset, pageShift).toString(16);
  for (const { va, access } of subject.questions) {
    const vpn = Number(va >> BigInt(pageShift));
    const offset = Number(va % 2n ** BigInt(pageShift));
    const expected = trial.reference(va, access);
    const short = spoken(expected).split(',')[0];
    expect(number(walker.probe(vpn, access, offset), offset)).toBe(short);
    const report = walker.explain(va, access);
    expect(spoken(report.outcome)).toBe(spoken(expected));
    const foretold = report.steps.filter(({ set }) => set.length > 0).map((step) => step.address);
    expect([...new Set(foretold)].sort()).toEqual(expected.writes.map(({ pa }) => pa).sort());
    expect(trial.agrees).toBe(true);

    expect(number(walker.walk(vpn, access, offset), offset)).toBe(short);
    trial.apply(expected.writes);
    expect(trial.agrees).toBe(true);
    const again = trial.reference(va, access);
    expect(spoken(walker.translate(va, access))).toBe(spoken(again));
    trial.apply(again.writes);
    expect(trial.agrees).toBe(true);
  }
  walker.checkInvariants();
}

/** Reasons that speak of the entries alone, whoever asks. */
const UNMAPPED = ['not-present', 'reserved-bits', 'misaligned-leaf', 'no-leaf', 'bus-error'];

/** What the page of an address maps, as the reference has it when nothing but the entries can refuse. */
function pageText(trial: Trial, subject: FormatCase, va: bigint): string {
  const outcome = trial.reference(va, 0);
  if (outcome.kind === 'fault') {
    return UNMAPPED.includes(outcome.reason) ? 'nothing' : outcome.reason;
  }
  const { global, pa, prot } = outcome;
  return `${(pa - (pa % BigInt(subject.description.pageBytes))).toString(16)} ${prot} ${global}`;
}

/** Every page of the address space, as `mappings` has it and as the reference has it. */
function expectSameMappings(subject: FormatCase): void {
  const { pageBytes, signExtended } = subject.description;
  // Hardware that sets bits and a supervisor who may read everything: only the entries can refuse.
  const policy = { ...subject.policy, updates: 'hardware', supervisorOnUserPages: 15 } as const;
  const trial = new Trial(
    { ...subject, policy: { ...policy, executableIsReadable: false } },
    PLACES.flat,
  );
  const { format } = trial.walker;
  const mapped = new Map<bigint, string>();
  for (const { global, pa, pages, prot, va } of mappings(trial.walker)) {
    for (let page = 0n; page < pages; page++) {
      const at = page * BigInt(pageBytes);
      mapped.set(
        va + at,
        prot & 1 ? `${(pa + at).toString(16)} ${prot} ${global}` : 'not-readable',
      );
    }
  }
  const pages = 2 ** (format.virtualBits - format.pageShift);
  const space = BigInt(pages) * BigInt(pageBytes);
  let total = 0;
  for (let page = 0n; page < pages; page++) {
    let va = page * BigInt(pageBytes);
    if (signExtended === true && va >= space / 2n) va += 2n ** 64n - space;
    const found = mapped.get(va) ?? 'nothing';
    expect(found).toBe(pageText(trial, subject, va));
    if (found !== 'nothing') total++;
  }
  expect(mapped.size).toBe(total);
  const merged = mergedMappings(trial.walker).ranges.reduce((sum, range) => sum + range.pages, 0);
  expect(merged).toBe(total);
  expect(trial.agrees).toBe(true);
}

describe('walks in formats that were drawn agree with the reference in all they answer and change', () => {
  it.each(['flat', 'sparse'] as const)('in %s RAM', (place) => {
    fc.assert(
      fc.property(cases(), (subject) => expectAgreement(subject, place)),
      { numRuns: 400 },
    );
  });

  it('with mappings that are the pages which can be reached', () => {
    const small = cases().filter(
      ({ description }) => description.levels.reduce((sum, { bits }) => sum + bits, 0) <= 9,
    );
    fc.assert(
      fc.property(small, (subject) => expectSameMappings(subject)),
      { numRuns: 100 },
    );
  });

  it('drawn so that every reason to refuse occurs, and pages of every level', () => {
    const random = new Random(7);
    const draw: Draw = (below) => random.below(below);
    const reasons = new Set<string>();
    for (let round = 0; round < 400; round++) {
      const subject = drawFormatCase(draw, QUESTIONS);
      const trial = new Trial(subject, PLACES.flat);
      for (const { va, access } of subject.questions) {
        const { outcome } = trial.walker.explain(va, access);
        const huge = outcome.kind === 'page' && outcome.level > 0;
        reasons.add(outcome.kind === 'fault' ? outcome.reason : huge ? 'huge' : 'page');
      }
    }
    expect([...reasons].sort()).toEqual(
      [
        ...['page', 'huge', 'non-canonical', 'bus-error', 'not-present', 'reserved-bits'],
        ...['misaligned-leaf', 'no-leaf', 'supervisor-page', 'user-page', 'not-readable'],
        ...['not-writable', 'not-executable', 'accessed-clear', 'dirty-clear'],
      ].sort(),
    );
  });
});

describe('garbage in formats that were drawn', () => {
  it('always ends in an answer, after at most one read a level', () => {
    fc.assert(
      fc.property(cases(), fc.infiniteStream(fc.integer()), (subject, words) => {
        const bytes = new Uint8Array(FORMAT_RAM_BYTES);
        const noise = new Int32Array(bytes.buffer);
        for (let at = 0; at < noise.length; at++) noise[at] = words.next().value;
        const { walker } = new Trial({ ...subject, bytes }, PLACES.flat);
        let reads = 0;
        walker.observer = (event) => {
          if (event.type === 'entry-read') reads++;
        };
        for (const { va, access } of subject.questions) {
          reads = 0;
          const { kind, ...outcome } = walker.translate(va, access);
          expect(kind === 'page' || outcome.level >= 0).toBe(true);
          expect(reads).toBeLessThanOrEqual(subject.description.levels.length);
        }
        walker.observer = null;
        expect([...mappings(walker, { visitLimit: 50 })].length).toBeGreaterThanOrEqual(0);
      }),
      { numRuns: 50 },
    );
  });
});
