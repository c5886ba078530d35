import fc from 'fast-check';
import { Access } from 'pagewright/core';
import { describe, expect, it } from 'vitest';
import type { MipsEntryLoFields } from '../../src/mmu/mips-entry-lo.js';
import { MipsTlbAnswer } from '../../src/mmu/mips-options.js';
import { MipsTlb } from '../../src/mmu/mips-tlb.js';

// A MIPS TLB against a plain list: every answer, and after each step every register and entry.

type Lo = Required<MipsEntryLoFields>;

interface Entry {
  readonly vpn2: bigint;
  readonly mask: bigint;
  readonly asid: number;
  readonly global: boolean;
  readonly lo: readonly [Lo, Lo];
}

const NOTHING: Lo = {
  pfn: 0,
  cache: 0,
  dirty: false,
  valid: false,
  global: false,
  readInhibit: false,
  executeInhibit: false,
};

class Model {
  index = 0;
  failed = false;
  random: number;
  wired = 0;
  vpn2 = 0;
  asid = 0;
  ehinv = false;
  mask = 0;
  lo: readonly [Lo, Lo] = [NOTHING, NOTHING];
  badVpn = 0;
  readonly slots: (Entry | null)[];

  constructor(entries: number) {
    this.slots = Array.from({ length: entries }, () => null);
    this.random = entries - 1;
  }

  private hits(entry: Entry | null, vpn2: bigint, asid: number): boolean {
    if (entry === null || (!entry.global && entry.asid !== asid)) return false;
    return (entry.vpn2 & ~entry.mask) === (vpn2 & ~entry.mask);
  }

  probe(): number {
    const found = this.slots.findIndex((entry) => this.hits(entry, BigInt(this.vpn2), this.asid));
    this.failed = found < 0;
    if (found >= 0) this.index = found;
    return found;
  }

  read(): void {
    const entry = this.slots[this.index]!;
    this.ehinv = entry === null;
    this.vpn2 = entry === null ? 0 : Number(entry.vpn2 & ~entry.mask);
    this.mask = entry === null ? 0 : Number(entry.mask);
    this.asid = entry === null ? 0 : entry.asid;
    this.lo = entry === null ? [NOTHING, NOTHING] : entry.lo;
  }

  write(index: number): number {
    const global = this.lo.every((half) => half.global);
    const [even, odd] = this.lo;
    const lo = [
      { ...even, global },
      { ...odd, global },
    ] as const;
    const mask = BigInt(this.mask);
    const entry = { vpn2: BigInt(this.vpn2), mask, asid: this.asid, global, lo };
    const clash = this.slots.some((other, at) => {
      if (at === index || other === null) return false;
      if (!other.global && !global && other.asid !== this.asid) return false;
      const both = ~(other.mask | mask);
      return (other.vpn2 & both) === (entry.vpn2 & both);
    });
    if (clash) return MipsTlbAnswer.MachineCheck;
    this.slots[index] = entry;
    return index;
  }

  writeIndexed(): number {
    if (!this.ehinv) return this.write(this.index);
    this.slots[this.index] = null;
    return this.index;
  }

  tick(steps: number): void {
    for (let step = 0; step < steps; step++) {
      this.random = this.random === this.wired ? this.slots.length - 1 : this.random - 1;
    }
  }

  writeRandom(): number {
    const written = this.write(this.random);
    if (written >= 0) this.tick(1);
    return written;
  }

  translate(vpn: number, access: number): number {
    const answer = this.look(BigInt(vpn), access);
    if (answer >= 0) return answer;
    this.badVpn = vpn;
    this.vpn2 = Math.floor(vpn / 2);
    return answer;
  }

  private look(vpn: bigint, access: number): number {
    const entry = this.slots.find((each) => this.hits(each, vpn >> 1n, this.asid));
    if (entry === undefined || entry === null) return MipsTlbAnswer.Refill;
    const pages = entry.mask + 1n;
    const half = entry.lo[(vpn / pages) % 2n === 1n ? 1 : 0];
    if (!half.valid) return MipsTlbAnswer.Invalid;
    if (access === Access.Read && half.readInhibit) return MipsTlbAnswer.ReadInhibit;
    if (access === Access.Fetch && half.executeInhibit) return MipsTlbAnswer.ExecuteInhibit;
    if (access === Access.Write && !half.dirty) return MipsTlbAnswer.Modified;
    return Number(BigInt(half.pfn) - (BigInt(half.pfn) % pages) + (vpn % pages));
  }
}

const lo = fc.record({
  pfn: fc.oneof(fc.nat(40), fc.constantFrom(2 ** 26 - 3, 2 ** 31 + 5, 2 ** 47 - 1)),
  cache: fc.nat(7),
  dirty: fc.boolean(),
  valid: fc.constantFrom(true, true, true, false),
  global: fc.boolean(),
  readInhibit: fc.constantFrom(false, false, true),
  executeInhibit: fc.constantFrom(false, false, true),
});
const step = fc.record({
  kind: fc.constantFrom(
    ...Array<'translate'>(6).fill('translate'),
    ...Array<'indexed'>(3).fill('indexed'),
    ...Array<'random'>(4).fill('random'),
    ...(['probe', 'read', 'tick', 'wired', 'invalid', 'space', 'save'] as const),
  ),
  vpn: fc
    .tuple(fc.constantFrom(0, 0, 0, 2 ** 31 - 8, 2 ** 52 - 64), fc.nat(63))
    .map(([place, near]) => place + near),
  asid: fc.nat(2),
  mask: fc.constantFrom(0, 0, 0, 3, 15, 0xffff),
  access: fc.constantFrom(Access.Read, Access.Write, Access.Fetch),
  lo: fc.tuple(lo, lo),
  number: fc.nat(4),
});
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** Writes the registers of an entry in both. */
function prepare(tlb: MipsTlb, model: Model, { asid, lo: halves, mask, vpn }: Step): void {
  tlb.vpn2 = model.vpn2 = Math.floor(vpn / 2);
  tlb.asid = model.asid = asid;
  tlb.pageMask = model.mask = mask;
  tlb.entryLo0.set(halves[0]);
  tlb.entryLo1.set(halves[1]);
  model.lo = halves;
}

function run(tlb: MipsTlb, model: Model, made: Step): void {
  const { access, asid, kind, number, vpn } = made;
  switch (kind) {
    case 'translate':
      expect(tlb.translatePage(vpn, access)).toBe(model.translate(vpn, access));
      break;
    case 'indexed':
      prepare(tlb, model, made);
      tlb.index = model.index = number;
      expect(tlb.writeIndexed()).toBe(model.writeIndexed());
      break;
    case 'random':
      prepare(tlb, model, made);
      expect(tlb.writeRandom()).toBe(model.writeRandom());
      break;
    case 'probe':
      tlb.vpn2 = model.vpn2 = Math.floor(vpn / 2);
      expect(tlb.probe()).toBe(model.probe());
      break;
    case 'read':
      tlb.index = model.index = number;
      tlb.read();
      model.read();
      break;
    case 'tick':
      tlb.tick(number);
      model.tick(number);
      break;
    case 'wired':
      tlb.wired = model.wired = number;
      model.random = tlb.entries - 1;
      break;
    case 'invalid':
      tlb.entryHiInvalid = model.ehinv = number === 0;
      break;
    case 'space':
      tlb.asid = model.asid = asid;
      break;
  }
}

/** Everything that can be seen, of each. */
function seen(tlb: MipsTlb): unknown {
  const { asid, badVpn, entryHiInvalid, index, pageMask, probeFailed, random, vpn2, wired } = tlb;
  const registers = [index, probeFailed, random, wired, vpn2, asid, entryHiInvalid, pageMask];
  const halves = [tlb.entryLo0.fields(), tlb.entryLo1.fields()];
  return { registers, badVpn, halves, content: tlb.content() };
}

function expected(model: Model): unknown {
  const { asid, badVpn, ehinv, failed, index, mask, random, vpn2, wired } = model;
  const content = model.slots.flatMap((entry, at) => {
    if (entry === null) return [];
    const vpn = Number(2n * (entry.vpn2 & ~entry.mask));
    const pages = Number(entry.mask + 1n);
    const [even, odd] = entry.lo;
    const head = { index: at, vpn, pages, asid: entry.asid, global: entry.global };
    return [{ ...head, wired: at < wired, even, odd }];
  });
  const registers = [index, failed, random, wired, vpn2, asid, ehinv, mask];
  return { registers, badVpn, halves: [...model.lo], content };
}

describe('a MIPS TLB', () => {
  it('is as a plain list is', () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 80, size: 'max' }), (steps) => {
        const model = new Model(5);
        let tlb = new MipsTlb({ entries: 5 });
        for (const each of steps) {
          run(tlb, model, each);
          if (each.kind === 'save') {
            const saved = JSON.parse(JSON.stringify(tlb.snapshot()));
            tlb = MipsTlb.restore(saved);
            expect(tlb.snapshot()).toEqual(saved);
          }
          expect(seen(tlb)).toEqual(expected(model));
          tlb.checkInvariants();
        }
      }),
      { numRuns: 200 },
    );
  });
});
