import fc from 'fast-check';
import { Access } from 'pagewright/core';
import { describe, expect, it } from 'vitest';
import type { LoongArchEntryLoFields } from '../../src/mmu/loongarch-entry-lo.js';
import { LoongArchTlbAnswer } from '../../src/mmu/loongarch-options.js';
import { LoongArchTlb } from '../../src/mmu/loongarch-tlb.js';

// A LoongArch TLB against a plain list: every answer, and after each step every register and entry.

type Lo = Required<LoongArchEntryLoFields>;

interface Entry {
  readonly vpn: bigint;
  readonly shift: number;
  readonly asid: number;
  readonly global: boolean;
  readonly lo: readonly [Lo, Lo];
}

const SETS = 2;
const WAYS = 2;
const STLB = SETS * WAYS;
const MTLB = 3;
const SHIFT = 14;
const NOTHING: Lo = {
  pfn: 0,
  valid: false,
  dirty: false,
  plv: 0,
  mat: 0,
  global: false,
  noRead: false,
  noExecute: false,
  restricted: false,
};

/** Whether two pages are in one pair of pages of a size. */
const paired = (a: bigint, b: bigint, shift: number): boolean =>
  a >> BigInt(shift - 11) === b >> BigInt(shift - 11);

class Model {
  index = 0;
  shift = 12;
  missing = false;
  vpn = 0n;
  asid = 0;
  inRefill = false;
  refillVpn = 0n;
  refillShift = SHIFT;
  lo: readonly [Lo, Lo] = [NOTHING, NOTHING];
  refillLo: readonly [Lo, Lo] = [NOTHING, NOTHING];
  bad = 0;
  refillBad = 0;
  readonly slots: (Entry | null)[] = Array.from({ length: STLB + MTLB }, () => null);
  private readonly turns = [0, 0, 0];

  private hits(entry: Entry | null, vpn: bigint, asid: number): boolean {
    if (entry === null || (!entry.global && entry.asid !== asid)) return false;
    return paired(entry.vpn, vpn, entry.shift);
  }

  search(): number {
    const vpn = this.inRefill ? this.refillVpn : this.vpn;
    const found = this.slots.findIndex((entry) => this.hits(entry, vpn, this.asid));
    this.missing = found < 0;
    if (found >= 0) this.index = found;
    return found;
  }

  read(): void {
    const entry = this.slots[this.index]!;
    this.missing = entry === null;
    this.shift = entry === null ? 0 : entry.shift;
    this.asid = entry === null ? 0 : entry.asid;
    this.lo = entry === null ? [NOTHING, NOTHING] : entry.lo;
    const low = BigInt(this.shift - 11);
    this.vpn = entry === null ? 0n : (entry.vpn >> low) << low;
  }

  private entry(): Entry {
    const [even, odd] = this.inRefill ? this.refillLo : this.lo;
    const global = even.global && odd.global;
    return {
      vpn: this.inRefill ? this.refillVpn : this.vpn,
      shift: this.inRefill ? this.refillShift : this.shift,
      asid: this.asid,
      global,
      lo: [
        { ...even, global },
        { ...odd, global },
      ],
    };
  }

  private clash(entry: Entry, except: number): boolean {
    return this.slots.some((other, at) => {
      if (at === except || other === null) return false;
      if (!other.global && !entry.global && other.asid !== entry.asid) return false;
      return paired(other.vpn, entry.vpn, Math.max(other.shift, entry.shift));
    });
  }

  private set(vpn: bigint): number {
    return Number((vpn >> BigInt(SHIFT - 11)) % BigInt(SETS));
  }

  writeIndexed(): number {
    if (!this.inRefill && this.missing) {
      this.slots[this.index] = null;
      return this.index;
    }
    const entry = this.entry();
    if (entry.shift === 0) return LoongArchTlbAnswer.PageSize;
    const inStlb = this.index < STLB;
    if (inStlb && (entry.shift !== SHIFT || this.set(entry.vpn) !== this.index % SETS)) {
      return LoongArchTlbAnswer.PageSize;
    }
    if (this.clash(entry, this.index)) return LoongArchTlbAnswer.MultipleHit;
    this.slots[this.index] = entry;
    return this.index;
  }

  fill(): number {
    const entry = this.entry();
    if (entry.shift === 0) return LoongArchTlbAnswer.PageSize;
    if (this.clash(entry, -1)) return LoongArchTlbAnswer.MultipleHit;
    const inStlb = entry.shift === SHIFT;
    const set = inStlb ? this.set(entry.vpn) : SETS;
    const way = this.turns[set]!;
    this.turns[set] = (way + 1) % (inStlb ? WAYS : MTLB);
    const index = inStlb ? way * SETS + set : STLB + way;
    this.slots[index] = entry;
    return index;
  }

  drop(goes: (entry: Entry, at: number) => boolean): number {
    let count = 0;
    for (const [at, entry] of this.slots.entries()) {
      if (entry === null || !goes(entry, at)) continue;
      this.slots[at] = null;
      count++;
    }
    return count;
  }

  beside(at: number): boolean {
    if (this.index >= STLB) return at >= STLB;
    return at < STLB && at % SETS === this.index % SETS;
  }

  invalidate(op: number, asid: number, vpn: bigint): number {
    if (op > 6) return LoongArchTlbAnswer.NoInstruction;
    return this.drop((entry) => {
      const own = !entry.global && entry.asid === asid;
      const page = paired(entry.vpn, vpn, entry.shift);
      if (op < 2) return true;
      if (op === 2) return entry.global;
      if (op === 3) return !entry.global;
      if (op === 4) return own;
      return op === 5 ? own && page : (entry.global || own) && page;
    });
  }

  translate(vpn: number, access: number): number {
    const answer = this.look(BigInt(vpn), access & 3, (access & Access.User) !== 0 ? 3 : 0);
    if (answer >= 0) return answer;
    const pair = BigInt(vpn - (vpn % 2));
    if (answer === LoongArchTlbAnswer.Refill) {
      this.inRefill = true;
      this.refillBad = vpn;
      this.refillVpn = pair;
    } else {
      this.bad = vpn;
      this.vpn = pair;
    }
    return answer;
  }

  private look(vpn: bigint, kind: number, plv: number): number {
    const entry = this.slots.find((each) => this.hits(each, vpn, this.asid));
    if (entry === undefined || entry === null) return LoongArchTlbAnswer.Refill;
    const pages = 2n ** BigInt(entry.shift - 12);
    const half = entry.lo[(vpn / pages) % 2n === 1n ? 1 : 0];
    const { FetchInvalid, LoadInvalid, StoreInvalid } = LoongArchTlbAnswer;
    if (!half.valid) return [LoadInvalid, StoreInvalid, FetchInvalid][kind]!;
    if (kind === 2 && half.noExecute) return LoongArchTlbAnswer.NotExecutable;
    const allowed = half.restricted ? plv === half.plv : plv <= half.plv;
    if (!allowed) return LoongArchTlbAnswer.Privilege;
    if (kind === 0 && half.noRead) return LoongArchTlbAnswer.NotReadable;
    if (kind === 1 && !half.dirty) return LoongArchTlbAnswer.Modified;
    return Number(BigInt(half.pfn) - (BigInt(half.pfn) % pages) + (vpn % pages));
  }
}

const lo = fc.record({
  pfn: fc.oneof(fc.nat(40), fc.constantFrom(2 ** 20 - 3, 2 ** 31 + 5, 2 ** 48 - 1)),
  valid: fc.constantFrom(true, true, true, false),
  dirty: fc.boolean(),
  plv: fc.constantFrom(0, 1, 2, 3, 3, 3),
  mat: fc.nat(3),
  global: fc.boolean(),
  noRead: fc.constantFrom(false, false, true),
  noExecute: fc.constantFrom(false, false, true),
  restricted: fc.constantFrom(false, false, true),
});
const step = fc.record({
  kind: fc.constantFrom(
    ...Array<'translate'>(6).fill('translate'),
    ...Array<'fill'>(5).fill('fill'),
    ...(['indexed', 'indexed', 'search', 'read', 'return', 'return', 'space'] as const),
    ...(['clear', 'flush', 'invalidate', 'missing', 'save'] as const),
  ),
  vpn: fc
    .tuple(fc.constantFrom(0, 0, 0, 2 ** 31 - 16, 2 ** 52 - 64), fc.nat(63))
    .map(([place, near]) => place + near),
  asid: fc.nat(2),
  shift: fc.constantFrom(14, 14, 14, 12, 13, 16, 48),
  access: fc.constantFrom(0, 1, 2, 4, 5, 6),
  lo: fc.tuple(lo, lo),
  number: fc.nat(STLB + MTLB - 1),
});
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** Writes the registers of an entry in both: those in force. */
function prepare(tlb: LoongArchTlb, model: Model, { asid, lo: halves, shift, vpn }: Step): void {
  const pair = Math.floor(vpn / 2);
  tlb.asid = model.asid = asid;
  if (tlb.inRefill) {
    tlb.refillVppn = pair;
    model.refillVpn = BigInt(2 * pair);
    tlb.refillPageShift = model.refillShift = shift;
    tlb.refillElo0.set(halves[0]);
    tlb.refillElo1.set(halves[1]);
    model.refillLo = halves;
    return;
  }
  tlb.vppn = pair;
  model.vpn = BigInt(2 * pair);
  tlb.pageShift = model.shift = shift;
  tlb.elo0.set(halves[0]);
  tlb.elo1.set(halves[1]);
  model.lo = halves;
}

function run(tlb: LoongArchTlb, model: Model, made: Step): void {
  const { access, asid, kind, number, vpn } = made;
  switch (kind) {
    case 'translate':
      expect(tlb.translatePage(vpn, access)).toBe(model.translate(vpn, access));
      break;
    case 'fill':
      if (number > 0) prepare(tlb, model, made);
      expect(tlb.fill()).toBe(model.fill());
      break;
    case 'indexed':
      prepare(tlb, model, made);
      tlb.index = model.index = number;
      expect(tlb.writeIndexed()).toBe(model.writeIndexed());
      break;
    case 'search':
      expect(tlb.search()).toBe(model.search());
      break;
    case 'read':
      tlb.index = model.index = number;
      tlb.read();
      model.read();
      break;
    case 'return':
      tlb.exceptionReturn();
      model.inRefill = false;
      break;
    case 'space':
      tlb.asid = model.asid = asid;
      break;
    case 'missing':
      tlb.notExisting = model.missing = number === 0;
      break;
    case 'clear':
    case 'flush':
      tlb.index = model.index = number;
      expect(kind === 'clear' ? tlb.clear() : tlb.flush()).toBe(
        model.drop((entry, at) => {
          const own = !entry.global && entry.asid === model.asid;
          return model.beside(at) && (kind === 'flush' || own);
        }),
      );
      break;
    case 'invalidate': {
      const op = number === 6 ? 7 : number + 2 * (access % 2);
      expect(tlb.invalidate(op, asid, vpn)).toBe(model.invalidate(op, asid, BigInt(vpn)));
    }
  }
}

/** Everything that can be seen, of each. */
function seen(tlb: LoongArchTlb): unknown {
  const { asid, elo0, elo1, inRefill, index, notExisting, pageShift, refillElo0, refillElo1 } = tlb;
  return {
    registers: [index, pageShift, notExisting, 2 * tlb.vppn, asid, inRefill],
    refill: [2 * tlb.refillVppn, tlb.refillPageShift, tlb.badVpn, tlb.refillBadVpn],
    halves: [elo0, elo1, refillElo0, refillElo1].map((register) => register.fields()),
    content: tlb.content(),
  };
}

function expected(model: Model): unknown {
  const {
    asid,
    bad,
    inRefill,
    index,
    lo: halves,
    missing,
    refillBad,
    refillLo,
    shift,
    vpn,
  } = model;
  const content = model.slots.flatMap((entry, at) => {
    if (entry === null) return [];
    const low = BigInt(entry.shift - 11);
    const first = Number((entry.vpn >> low) << low);
    const [even, odd] = entry.lo;
    const head = { index: at, part: at < STLB ? 'stlb' : 'mtlb', vpn: first };
    const { global } = entry;
    return [{ ...head, pageShift: entry.shift, asid: entry.asid, global, even, odd }];
  });
  return {
    registers: [index, shift, missing, Number(vpn), asid, inRefill],
    refill: [Number(model.refillVpn), model.refillShift, bad, refillBad],
    halves: [...halves, ...refillLo],
    content,
  };
}

describe('a LoongArch TLB', () => {
  it('is as a plain list is', () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 80, size: 'max' }), (steps) => {
        const model = new Model();
        const shape = { stlbSets: SETS, stlbWays: WAYS, stlbPageShift: SHIFT, mtlbEntries: MTLB };
        let tlb = new LoongArchTlb(shape);
        for (const each of steps) {
          run(tlb, model, each);
          if (each.kind === 'save') {
            const saved = JSON.parse(JSON.stringify(tlb.snapshot()));
            tlb = LoongArchTlb.restore(saved);
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
