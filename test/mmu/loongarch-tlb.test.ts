import { Access } from 'pagewright/core';
import { describe, expect, it } from 'vitest';
import type { LoongArchEntryLoFields } from '../../src/mmu/loongarch-entry-lo.js';
import { LoongArchTlbAnswer, type LoongArchTlbOptions } from '../../src/mmu/loongarch-options.js';
import { LoongArchTlb } from '../../src/mmu/loongarch-tlb.js';
import type { SoftwareTlbHandler } from '../../src/mmu/software-tlb.js';
import { codeOf, withAt } from './code-of.js';

// One test for each rule of the LoongArch Reference Manual Vol. 1, 4.2.4, 5.4 and 7.5.

const { Fetch, Read, ReadModifyWrite, User, Write } = Access;
const { FetchInvalid, LoadInvalid, Modified, MultipleHit, NoInstruction, NotExecutable } =
  LoongArchTlbAnswer;
const { NotReadable, PageSize, Privilege, Refill, StoreInvalid } = LoongArchTlbAnswer;

interface Made {
  readonly vppn: number;
  readonly asid?: number;
  readonly shift?: number;
  readonly even?: LoongArchEntryLoFields;
  readonly odd?: LoongArchEntryLoFields;
}

const EVEN: LoongArchEntryLoFields = { pfn: 0x40, valid: true, dirty: true, plv: 3 };
const ODD: LoongArchEntryLoFields = { pfn: 0x81, valid: true, dirty: true, plv: 3 };
const GLOBAL = { even: { ...EVEN, global: true }, odd: { ...ODD, global: true } };
const SMALL: LoongArchTlbOptions = { stlbSets: 4, stlbWays: 2, stlbPageShift: 12, mtlbEntries: 4 };

function prepare(tlb: LoongArchTlb, made: Made): void {
  const { asid = 0, even = EVEN, odd = ODD, shift = 12, vppn } = made;
  tlb.vppn = vppn;
  tlb.asid = asid;
  tlb.pageShift = shift;
  tlb.notExisting = false;
  tlb.elo0.set(even);
  tlb.elo1.set(odd);
}

function fill(tlb: LoongArchTlb, made: Made): number {
  prepare(tlb, made);
  return tlb.fill();
}

function tlbOf(...entries: readonly Made[]): LoongArchTlb {
  const tlb = new LoongArchTlb(SMALL);
  for (const entry of entries) fill(tlb, entry);
  return tlb;
}

/** The even pages that there are. */
function pages(tlb: LoongArchTlb): readonly number[] {
  return tlb.content().map(({ vpn }) => vpn);
}

describe('translation', () => {
  it('chooses the even or the odd page by the lowest bit of the page number', () => {
    const tlb = tlbOf({ vppn: 0x10 });
    expect([0x20, 0x21].map((vpn) => tlb.translatePage(vpn, Read))).toEqual([0x40, 0x81]);
    expect([0x1f, 0x22].map((vpn) => tlb.translatePage(vpn, Read))).toEqual([Refill, Refill]);
  });

  it.each([13, 14, 16, 20, 21, 24, 30, 48])('has pages of 2^%i bytes in the MTLB', (shift) => {
    const count = 2 ** (shift - 12);
    const even = { ...EVEN, pfn: count + count - 1 };
    const odd = { ...EVEN, pfn: 3 * count };
    const tlb = tlbOf({ vppn: 5 * count + count - 1, shift, even, odd });
    const first = 10 * count;
    expect(tlb.translatePage(first, Read)).toBe(count);
    expect(tlb.translatePage(first + count - 1, Read)).toBe(count + count - 1);
    expect(tlb.translatePage(first + count, Read)).toBe(3 * count);
    expect(tlb.translatePage(first - 1, Read)).toBe(Refill);
    expect(tlb.translatePage(first + 2 * count, Read)).toBe(Refill);
    expect(tlb.content()).toMatchObject([{ part: 'mtlb', pageShift: shift, vpn: first }]);
  });

  it('needs the ASID, unless both halves have G', () => {
    const tlb = tlbOf(
      { vppn: 1, asid: 7 },
      { vppn: 2, asid: 7, even: { ...EVEN, global: true } },
      { vppn: 3, asid: 7, odd: { ...ODD, global: true } },
      { vppn: 4, asid: 7, ...GLOBAL },
    );
    expect([2, 4, 6, 8].map((vpn) => tlb.translatePage(vpn, Read))).toEqual([64, 64, 64, 64]);
    tlb.asid = 8;
    const others = [2, 4, 6, 8].map((vpn) => tlb.translatePage(vpn, Read));
    expect(others).toEqual([Refill, Refill, Refill, 64]);
  });

  it.each<[string, Partial<LoongArchEntryLoFields>, number, number]>([
    ['V=0, load', { valid: false, noRead: true }, Read, LoadInvalid],
    ['V=0, store', { valid: false, dirty: false }, Write, StoreInvalid],
    ['V=0, fetch', { valid: false, noExecute: true }, Fetch, FetchInvalid],
    ['NX, fetch', { noExecute: true }, Fetch, NotExecutable],
    ['NX before PLV', { noExecute: true, plv: 0 }, Fetch | User, NotExecutable],
    ['NX, load', { noExecute: true }, Read, 0x40],
    ['PLV 0, user', { plv: 0 }, Read | User, Privilege],
    ['PLV 2, user', { plv: 2 }, Read | User, Privilege],
    ['PLV 3, user', { plv: 3 }, Read | User, 0x40],
    ['PLV 3, level 0', { plv: 3 }, Read, 0x40],
    ['PLV before NR', { plv: 0, noRead: true }, Read | User, Privilege],
    ['PLV before D', { plv: 0, dirty: false }, Write | User, Privilege],
    ['RPLV 3, user', { plv: 3, restricted: true }, Read | User, 0x40],
    ['RPLV 3, level 0', { plv: 3, restricted: true }, Read, Privilege],
    ['RPLV 0, level 0', { plv: 0, restricted: true }, Read, 0x40],
    ['NR, load', { noRead: true }, Read, NotReadable],
    ['NR, store', { noRead: true }, Write, 0x40],
    ['NR, fetch', { noRead: true }, Fetch, 0x40],
    ['D=0, store', { dirty: false }, Write, Modified],
    ['D=0, load of a read-modify-write', { dirty: false }, Read | ReadModifyWrite, Modified],
    ['D=0, load', { dirty: false }, Read, 0x40],
  ])('%s', (_what, change, access, answer) => {
    const tlb = tlbOf({ vppn: 0, even: { ...EVEN, ...change } });
    expect(tlb.translatePage(0, access)).toBe(answer);
    expect(tlb.translatePage(1, access)).toBe(0x81);
  });

  it('with MISC.DWPL0 lets stores of level 0 pass without D', () => {
    const tlb = tlbOf({ vppn: 0, even: { ...EVEN, dirty: false } });
    tlb.uncheckedStores = true;
    expect([tlb.translatePage(0, Write), tlb.translatePage(0, Write | User)]).toEqual([
      64,
      Modified,
    ]);
  });

  it('has one set of registers for refill, and another for all else', () => {
    const tlb = tlbOf({ vppn: 0, even: { pfn: 0 } });
    tlb.translatePage(0x55, Read);
    expect([tlb.inRefill, tlb.refillBadVpn, tlb.refillVppn]).toEqual([true, 0x55, 0x2a]);
    expect([tlb.badVpn, tlb.vppn]).toEqual([0, 0]);
    tlb.exceptionReturn();
    tlb.vppn = 9;
    tlb.translatePage(0, Read);
    expect([tlb.inRefill, tlb.refillBadVpn, tlb.vppn]).toEqual([false, 0x55, 0]);
  });
});

describe('instructions', () => {
  it('TLBSRCH finds the entry of TLBEHI, in a refill of TLBREHI, or sets NE', () => {
    const tlb = tlbOf({ vppn: 8 }, { vppn: 0x100, shift: 20, asid: 2 });
    tlb.vppn = 0x17f;
    expect([tlb.search(), tlb.index, tlb.notExisting]).toEqual([8, 8, false]);
    tlb.asid = 0;
    expect([tlb.search(), tlb.index, tlb.notExisting]).toEqual([-1, 8, true]);
    tlb.translatePage(0x99, Read);
    tlb.refillVppn = 8;
    expect([tlb.search(), tlb.index, tlb.notExisting]).toEqual([0, 0, false]);
  });

  it('TLBRD reads what TLBFILL wrote, with the G of the entry in both halves', () => {
    const tlb = tlbOf({ vppn: 0x1ff, shift: 14, asid: 9, even: { ...EVEN, global: true, mat: 1 } });
    prepare(tlb, { vppn: 0 });
    tlb.index = 8;
    tlb.read();
    expect([tlb.vppn, tlb.pageShift, tlb.asid, tlb.notExisting]).toEqual([0x1fc, 14, 9, false]);
    expect(tlb.elo0.fields()).toMatchObject({ ...EVEN, mat: 1, global: false });
    tlb.index = 9;
    tlb.read();
    expect([tlb.vppn, tlb.pageShift, tlb.asid, tlb.notExisting]).toEqual([0, 0, 0, true]);
    expect([tlb.fill(), tlb.elo0.low]).toEqual([PageSize, 0]);
  });

  it('TLBWR writes the entry of TLBIDX, or takes it out with NE; in a refill NE is not looked at', () => {
    const tlb = new LoongArchTlb(SMALL);
    prepare(tlb, { vppn: 6 });
    tlb.index = 6; // way 1, set 2
    expect([tlb.writeIndexed(), pages(tlb)]).toEqual([6, [12]]);
    tlb.notExisting = true;
    expect([tlb.writeIndexed(), pages(tlb)]).toEqual([6, []]);
    tlb.translatePage(12, Read);
    expect([tlb.writeIndexed(), pages(tlb)]).toEqual([6, [12]]);
  });

  it('TLBWR refuses a place in the STLB that is not that of the page', () => {
    const tlb = new LoongArchTlb(SMALL);
    prepare(tlb, { vppn: 6 });
    tlb.index = 5;
    expect(tlb.writeIndexed()).toBe(PageSize);
    prepare(tlb, { vppn: 6, shift: 14 });
    tlb.index = 6;
    expect(tlb.writeIndexed()).toBe(PageSize);
    tlb.index = 11;
    expect(tlb.writeIndexed()).toBe(11);
  });

  it('TLBFILL goes by the page size: to the STLB when it is that of STLBPS', () => {
    const tlb = new LoongArchTlb(SMALL);
    expect([0, 4, 8, 1].map((vppn) => fill(tlb, { vppn }))).toEqual([0, 4, 0, 1]);
    const large = [1, 2, 3, 4, 5].map((at) => fill(tlb, { vppn: at << 20, shift: 21 }));
    expect(large).toEqual([8, 9, 10, 11, 8]);
    expect(tlb.statistics()).toMatchObject({ writes: 9, evictions: 2 });
  });

  it('TLBFILL at random is the same for the same seed, and reaches every way', () => {
    const filled = (seed: number): readonly number[] => {
      const tlb = new LoongArchTlb({ ...SMALL, choice: { seed } });
      return Array.from({ length: 40 }, (_, at) => fill(tlb, { vppn: at << 9, shift: 20 }));
    };
    expect(filled(1)).toEqual(filled(1));
    expect(filled(1)).not.toEqual(filled(2));
    expect([...new Set(filled(1))].sort((a, b) => a - b)).toEqual([8, 9, 10, 11]);
  });

  it.each<[string, Made, number]>([
    ['the same pair', { vppn: 0x10 }, MultipleHit],
    ['a larger one around it', { vppn: 0x13, shift: 16 }, MultipleHit],
    ['a global one', { vppn: 0x10, asid: 1, ...GLOBAL }, MultipleHit],
    ['one under the global one', { vppn: 0x20, asid: 1 }, MultipleHit],
    ['the same pair in another space', { vppn: 0x10, asid: 1 }, 4],
    ['the next pair', { vppn: 0x11 }, 1],
  ])('a write refuses a second match: %s', (_what, made, answer) => {
    const tlb = tlbOf({ vppn: 0x10 }, { vppn: 0x20, asid: 3, shift: 14, ...GLOBAL });
    expect(fill(tlb, made)).toBe(answer);
    expect(tlb.content()).toHaveLength(answer < 0 ? 2 : 3);
    tlb.checkInvariants();
  });

  /** Two sets of the STLB and the MTLB; spaces 1 and 2, and global pages. */
  const mixed = (): LoongArchTlb =>
    tlbOf(
      { vppn: 0, asid: 1 },
      { vppn: 4, asid: 2 },
      { vppn: 1, asid: 1 },
      { vppn: 5, asid: 1, ...GLOBAL },
      { vppn: 0x1000, asid: 1, shift: 20 },
      { vppn: 0x2000, asid: 2, shift: 20 },
      { vppn: 0x3000, asid: 1, shift: 20, ...GLOBAL },
    );
  const ALL = [0, 2, 8, 10, 0x2000, 0x4000, 0x6000];

  it.each<[string, (tlb: LoongArchTlb) => number, number, readonly number[]]>([
    ['TLBCLR in set 0', (tlb) => tlb.clear(), 4, [0]],
    ['TLBCLR in set 1', (tlb) => tlb.clear(), 1, [2]],
    ['TLBCLR in the MTLB', (tlb) => tlb.clear(), 9, [0x2000]],
    ['TLBFLUSH in set 0', (tlb) => tlb.flush(), 0, [0, 8]],
    ['TLBFLUSH in set 1', (tlb) => tlb.flush(), 5, [2, 10]],
    ['TLBFLUSH in the MTLB', (tlb) => tlb.flush(), 11, [0x2000, 0x4000, 0x6000]],
    ['INVTLB 0', (tlb) => tlb.invalidate(0), 0, ALL],
    ['INVTLB 1', (tlb) => tlb.invalidate(1), 0, ALL],
    ['INVTLB 2', (tlb) => tlb.invalidate(2), 0, [10, 0x6000]],
    ['INVTLB 3', (tlb) => tlb.invalidate(3), 0, [0, 2, 8, 0x2000, 0x4000]],
    ['INVTLB 4', (tlb) => tlb.invalidate(4, 1), 0, [0, 2, 0x2000]],
    ['INVTLB 5', (tlb) => tlb.invalidate(5, 1, 3), 0, [2]],
    ['INVTLB 5 in another space', (tlb) => tlb.invalidate(5, 2, 3), 0, []],
    ['INVTLB 5 of a global page', (tlb) => tlb.invalidate(5, 1, 10), 0, []],
    ['INVTLB 5 inside a large page', (tlb) => tlb.invalidate(5, 2, 0x41ff), 0, [0x4000]],
    ['INVTLB 6', (tlb) => tlb.invalidate(6, 1, 3), 0, [2]],
    ['INVTLB 6 of a global page', (tlb) => tlb.invalidate(6, 2, 11), 0, [10]],
    ['INVTLB 6 in another space', (tlb) => tlb.invalidate(6, 2, 3), 0, []],
  ])('%s', (_what, act, index, gone) => {
    const tlb = mixed();
    expect([...pages(tlb)].sort((a, b) => a - b)).toEqual(ALL);
    tlb.asid = 1;
    tlb.index = index;
    expect(act(tlb)).toBe(gone.length);
    const left = ALL.filter((vpn) => !gone.includes(vpn));
    expect([...pages(tlb)].sort((a, b) => a - b)).toEqual(left);
  });

  it('INVTLB has no operations above 6', () => {
    const tlb = mixed();
    expect([7, 31].map((op) => tlb.invalidate(op))).toEqual([NoInstruction, NoInstruction]);
    expect(pages(tlb)).toHaveLength(7);
  });

  it('STLBPS may be written while the STLB is empty', () => {
    const tlb = tlbOf({ vppn: 0 }, { vppn: 0x1000, shift: 20 });
    tlb.stlbPageShift = 12;
    expect(codeOf(() => Object.assign(tlb, { stlbPageShift: 14 }))).toBe('unsupported');
    tlb.index = 0;
    tlb.flush();
    tlb.stlbPageShift = 14;
    expect(fill(tlb, { vppn: 0x18, shift: 14 })).toBe(2);
    expect(tlb.translatePage(0x33, Read)).toBe(0x43);
    tlb.checkInvariants();
  });
});

describe('a handler', () => {
  it('that does nothing gets the exception as the answer', () => {
    const tlb = new LoongArchTlb(SMALL);
    let calls = 0;
    const refill = (): void => {
      calls++;
    };
    expect([tlb.translate(1, Read, { refill }), calls, tlb.inRefill]).toEqual([Refill, 1, false]);
    const all = { refill, invalid: refill, modified: refill, refused: refill };
    fill(tlb, { vppn: 0, even: { pfn: 1 }, odd: { ...ODD, noRead: true, dirty: false } });
    expect([tlb.translate(0, Fetch, all), calls]).toEqual([FetchInvalid, 2]);
    expect([tlb.translate(1, Write, all), calls]).toEqual([Modified, 3]);
    expect([tlb.translate(1, Read, all), calls]).toEqual([NotReadable, 4]);
  });

  it('that throws leaves no refill behind', () => {
    const tlb = new LoongArchTlb(SMALL);
    const refill = (): never => {
      throw new Error('no tables');
    };
    expect(() => tlb.translate(1, Read, { refill })).toThrow('no tables');
    expect(tlb.inRefill).toBe(false);
  });

  it('may answer refill, invalid and modified one after the other', () => {
    const tlb = new LoongArchTlb(SMALL);
    /** TLBSRCH, TLBRD, a change, TLBWR. */
    const rewrite = (fields: Partial<LoongArchEntryLoFields>): void => {
      expect(tlb.search()).toBeGreaterThanOrEqual(0);
      tlb.read();
      tlb.elo0.set({ ...tlb.elo0.fields(), ...fields });
      tlb.writeIndexed();
    };
    const handler: SoftwareTlbHandler<LoongArchTlb> = {
      refill: () => {
        tlb.refillElo0.set({ pfn: 0x99 });
        tlb.fill();
      },
      invalid: () => rewrite({ valid: true }),
      modified: () => rewrite({ dirty: true }),
    };
    expect(tlb.translate(6, Write, handler)).toBe(0x99);
    const counts = { hits: 1, refills: 1, invalid: 1, modified: 1, refused: 0 };
    expect(tlb.statistics()).toEqual({ ...counts, writes: 3, evictions: 0 });
  });
});

describe('TLBELO', () => {
  it('is what CSRWR wrote, without the bits that it does not have', () => {
    const { elo0 } = new LoongArchTlb();
    elo0.load(-1, -1);
    expect([elo0.low, elo0.high]).toEqual([0xffff_f07f | 0, 0xefff_ffff | 0]);
    const fields = elo0.fields();
    expect([fields.pfn, fields.plv, fields.mat]).toEqual([2 ** 48 - 1, 3, 3]);
    elo0.load(0, 0);
    elo0.set(fields);
    expect([elo0.low, elo0.high]).toEqual([0xffff_f07f | 0, 0xefff_ffff | 0]);
  });
});

describe('mistakes', () => {
  const tlb = new LoongArchTlb(SMALL);
  const handler = { refill: (): void => {} };
  it.each<[string, () => unknown, string]>([
    ['three sets', () => new LoongArchTlb({ stlbSets: 3 }), 'bad-argument'],
    ['no ways', () => new LoongArchTlb({ stlbWays: 0 }), 'out-of-range'],
    ['pages of 2 KiB', () => new LoongArchTlb({ stlbPageShift: 11 }), 'out-of-range'],
    ['no MTLB', () => new LoongArchTlb({ mtlbEntries: 0 }), 'out-of-range'],
    ['a seed', () => new LoongArchTlb({ choice: { seed: 0.5 } }), 'bad-argument'],
    ['a choice', () => Reflect.construct(LoongArchTlb, [{ choice: 'lru' }]), 'bad-argument'],
    ['TLBIDX.Index', () => Object.assign(tlb, { index: 12 }), 'out-of-range'],
    ['TLBIDX.PS', () => Object.assign(tlb, { pageShift: 49 }), 'out-of-range'],
    ['TLBIDX.NE', () => Object.assign(tlb, { notExisting: 0 }), 'bad-argument'],
    ['TLBEHI', () => Object.assign(tlb, { vppn: 2 ** 51 }), 'out-of-range'],
    ['ASID', () => Object.assign(tlb, { asid: 1024 }), 'out-of-range'],
    ['TLBREHI', () => Object.assign(tlb, { refillVppn: -1 }), 'out-of-range'],
    ['TLBREHI.PS', () => Object.assign(tlb, { refillPageShift: 0 }), 'out-of-range'],
    ['MISC', () => Object.assign(tlb, { uncheckedStores: 1 }), 'bad-argument'],
    ['PPN', () => tlb.elo0.set({ pfn: 2 ** 48 }), 'out-of-range'],
    ['PLV', () => tlb.elo0.set({ pfn: 0, plv: 4 }), 'out-of-range'],
    ['INVTLB', () => tlb.invalidate(32), 'out-of-range'],
    ['a page', () => tlb.translatePage(2 ** 52, Read), 'out-of-range'],
    ['an access', () => tlb.translate(0, 3, handler), 'bad-argument'],
    ['a handler', () => Reflect.apply(tlb.translate, tlb, [0, Read, null]), 'bad-argument'],
  ])('%s', (_what, action, code) => {
    expect(codeOf(action)).toBe(code);
  });
});

describe('snapshots', () => {
  const tlb = tlbOf({ vppn: 8 }, { vppn: 0x1000, shift: 20, asid: 2 });
  const saved = tlb.snapshot();
  const [first, second] = saved.slots;

  it('restore the same TLB, with the random numbers that were to come', () => {
    expect(LoongArchTlb.restore(structuredClone(saved)).snapshot()).toEqual(saved);
    const random = new LoongArchTlb({ ...SMALL, choice: { seed: 3 } });
    fill(random, { vppn: 0 });
    const again = LoongArchTlb.restore(JSON.parse(JSON.stringify(random.snapshot())));
    for (let at = 1; at < 20; at++) {
      expect(fill(again, { vppn: at })).toBe(fill(random, { vppn: at }));
    }
  });

  it.each<[string, object, string]>([
    ['another version', { v: 2 }, 'unsupported'],
    ['another type', { type: 'tlb' }, 'bad-image'],
    ['too few registers', { registers: saved.registers.slice(1) }, 'bad-image'],
    ['a register', { registers: withAt(saved.registers, 0, 12) }, 'bad-image'],
    ['counts', { counts: withAt(saved.counts, 0, -1) }, 'bad-image'],
    ['a choice', { choice: [0, 0, 0, 2, 0] }, 'bad-image'],
    ['no choice', { choice: null }, 'bad-image'],
    ['no slots', { slots: null }, 'bad-image'],
    ['a slot twice', { slots: [second, second] }, 'bad-image'],
    ['a page twice', { slots: [second, withAt(second!, 0, 9)] }, 'bad-image'],
    ['another set', { slots: [withAt(first!, 0, 1)] }, 'bad-image'],
    ['a large page in the STLB', { slots: [withAt(second!, 0, 0)] }, 'bad-image'],
    ['three sets', { stlbSets: 3 }, 'bad-argument'],
  ])('refuse %s', (_what, change, code) => {
    const changed = { ...saved, ...change };
    expect(codeOf(() => Reflect.apply(LoongArchTlb.restore, LoongArchTlb, [changed]))).toBe(code);
  });
});
