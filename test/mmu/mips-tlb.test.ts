import { Access } from 'pagewright/core';
import { describe, expect, it } from 'vitest';
import type { MipsEntryLoFields } from '../../src/mmu/mips-entry-lo.js';
import { MipsTlbAnswer, mipsExcCode } from '../../src/mmu/mips-options.js';
import { MipsTlb } from '../../src/mmu/mips-tlb.js';
import type { SoftwareTlbHandler } from '../../src/mmu/software-tlb.js';
import { codeOf, withAt } from './code-of.js';

// One test for each rule of the MIPS64 Architecture for Programmers Vol. III.

const { Fetch, Read, ReadModifyWrite, User, Write } = Access;
const { ExecuteInhibit, Invalid, MachineCheck, Modified, ReadInhibit, Refill } = MipsTlbAnswer;

interface Made {
  readonly vpn2: number;
  readonly asid?: number;
  readonly mask?: number;
  readonly even?: MipsEntryLoFields;
  readonly odd?: MipsEntryLoFields;
}

const EVEN: MipsEntryLoFields = { pfn: 0x40, valid: true, dirty: true };
const ODD: MipsEntryLoFields = { pfn: 0x81, valid: true, dirty: true };

/** Loads the registers. */
function prepare(tlb: MipsTlb, { asid = 0, even = EVEN, mask = 0, odd = ODD, vpn2 }: Made): void {
  tlb.vpn2 = vpn2;
  tlb.asid = asid;
  tlb.pageMask = mask;
  tlb.entryLo0.set(even);
  tlb.entryLo1.set(odd);
}

function write(tlb: MipsTlb, index: number, made: Made): number {
  prepare(tlb, made);
  tlb.index = index;
  return tlb.writeIndexed();
}

function tlbOf(...entries: readonly Made[]): MipsTlb {
  const tlb = new MipsTlb({ entries: 8 });
  for (const [index, entry] of entries.entries()) write(tlb, index, entry);
  return tlb;
}

describe('translation', () => {
  it('chooses the even or the odd page by the lowest bit of the page number', () => {
    const tlb = tlbOf({ vpn2: 0x10 });
    expect([0x20, 0x21].map((vpn) => tlb.translatePage(vpn, Read))).toEqual([0x40, 0x81]);
    expect([0x1f, 0x22].map((vpn) => tlb.translatePage(vpn, Read))).toEqual([Refill, Refill]);
  });

  it.each([
    [0, 1],
    [3, 4],
    [0xf, 16],
    [0x3f, 64],
    [0xff, 256],
    [0x3ff, 1024],
    [0xfff, 4096],
    [0x3fff, 16_384],
    [0xffff, 65_536],
  ])('with PageMask %i has pages of %i', (mask, pages) => {
    const lows = pages - 1;
    const even = { ...EVEN, pfn: 0x60_0000 + lows };
    const odd = { ...EVEN, pfn: 0x70_0000 };
    // Bits of VPN2 and PFN under the mask are not looked at.
    const tlb = tlbOf({ vpn2: 5 * pages + mask, mask, even, odd });
    const first = 10 * pages;
    expect(tlb.translatePage(first, Read)).toBe(0x60_0000);
    expect(tlb.translatePage(first + lows, Read)).toBe(0x60_0000 + lows);
    expect(tlb.translatePage(first + pages, Read)).toBe(0x70_0000);
    expect(tlb.translatePage(first + 2 * pages - 1, Read)).toBe(0x70_0000 + lows);
    expect(tlb.translatePage(first - 1, Read)).toBe(Refill);
    expect(tlb.translatePage(first + 2 * pages, Read)).toBe(Refill);
  });

  it('needs the ASID, unless both halves have G', () => {
    const global = { global: true };
    const tlb = tlbOf(
      { vpn2: 1, asid: 7 },
      { vpn2: 2, asid: 7, even: { ...EVEN, ...global } },
      { vpn2: 3, asid: 7, odd: { ...ODD, ...global } },
      { vpn2: 4, asid: 7, even: { ...EVEN, ...global }, odd: { ...ODD, ...global } },
    );
    tlb.asid = 7;
    expect([2, 4, 6, 8].map((vpn) => tlb.translatePage(vpn, Read))).toEqual([64, 64, 64, 64]);
    tlb.asid = 8;
    const others = [2, 4, 6, 8].map((vpn) => tlb.translatePage(vpn, Read));
    expect(others).toEqual([Refill, Refill, Refill, 64]);
  });

  it.each<[string, Partial<MipsEntryLoFields>, number, number]>([
    ['V=0, load', { valid: false }, Read, Invalid],
    ['V=0, store', { valid: false }, Write, Invalid],
    ['V=0, fetch', { valid: false, executeInhibit: true }, Fetch, Invalid],
    ['V=0 and D=0, store', { valid: false, dirty: false }, Write, Invalid],
    ['D=0, store', { dirty: false }, Write, Modified],
    ['D=0, load of a read-modify-write', { dirty: false }, Read | ReadModifyWrite, Modified],
    ['D=0, load', { dirty: false }, Read, 0x40],
    ['D=0, fetch', { dirty: false }, Fetch, 0x40],
    ['RI, load', { readInhibit: true }, Read, ReadInhibit],
    ['RI, load of user mode', { readInhibit: true }, Read | User, ReadInhibit],
    ['RI, store', { readInhibit: true }, Write, 0x40],
    ['RI, fetch', { readInhibit: true }, Fetch, 0x40],
    ['XI, fetch', { executeInhibit: true }, Fetch, ExecuteInhibit],
    ['XI, load', { executeInhibit: true }, Read, 0x40],
  ])('%s', (_what, change, access, answer) => {
    const tlb = tlbOf({ vpn2: 0, even: { ...EVEN, ...change } });
    expect(tlb.translatePage(0, access)).toBe(answer);
    // The other page has bits of its own.
    expect(tlb.translatePage(1, access)).toBe(0x81);
  });

  it.each([
    ['none', 0x40, 0x40],
    ['invalid', Invalid, Invalid],
    ['own', ReadInhibit, ExecuteInhibit],
  ] as const)('has inhibit bits as %s says', (inhibit, load, fetch) => {
    const tlb = new MipsTlb({ entries: 8, inhibit });
    write(tlb, 0, { vpn2: 0, even: { ...EVEN, readInhibit: true, executeInhibit: true } });
    expect([tlb.translatePage(0, Read), tlb.translatePage(0, Fetch)]).toEqual([load, fetch]);
  });

  it('tells the handler where it was: BadVAddr, Context and EntryHi', () => {
    const tlb = tlbOf({ vpn2: 0 });
    tlb.translatePage(2 ** 52 - 1, Write);
    expect([tlb.badVpn, tlb.badVpn2, tlb.vpn2]).toEqual([2 ** 52 - 1, 2 ** 51 - 1, 2 ** 51 - 1]);
    tlb.vpn2 = 5;
    tlb.translatePage(1, Read);
    expect([tlb.badVpn, tlb.vpn2]).toEqual([2 ** 52 - 1, 5]);
  });

  it.each([
    [Refill, Read, 2],
    [Refill, Write, 3],
    [Invalid, Fetch, 2],
    [Invalid, Write, 3],
    [Modified, Write, 1],
    [ReadInhibit, Read, 19],
    [ExecuteInhibit, Fetch, 20],
    [MachineCheck, Read, 24],
    [0x40, Read, -1],
  ])('answer %i of access %i is ExcCode %i', (answer, access, code) => {
    expect(mipsExcCode(answer, access)).toBe(code);
  });
});

describe('instructions', () => {
  it('TLBP finds the entry of EntryHi, or sets P', () => {
    const tlb = tlbOf({ vpn2: 8 }, { vpn2: 16, mask: 3, asid: 2 });
    tlb.vpn2 = 19;
    tlb.asid = 2;
    expect([tlb.probe(), tlb.index, tlb.probeFailed]).toEqual([1, 1, false]);
    tlb.asid = 3;
    expect([tlb.probe(), tlb.index, tlb.probeFailed]).toEqual([-1, 1, true]);
  });

  it('TLBR reads what TLBWI wrote, with the G of the entry in both halves', () => {
    const tlb = tlbOf({ vpn2: 0x123, mask: 3, asid: 9, even: { ...EVEN, global: true, cache: 5 } });
    prepare(tlb, { vpn2: 0 });
    tlb.index = 0;
    tlb.read();
    expect([tlb.vpn2, tlb.pageMask, tlb.asid, tlb.entryHiInvalid]).toEqual([0x120, 3, 9, false]);
    const even = { ...EVEN, cache: 5, global: false, readInhibit: false, executeInhibit: false };
    expect(tlb.entryLo0.fields()).toEqual(even);
    expect(tlb.entryLo1.fields().pfn).toBe(0x81);
  });

  it('TLBR of an entry that is not there sets EHINV', () => {
    const tlb = new MipsTlb({ entries: 8 });
    prepare(tlb, { vpn2: 5, asid: 5, mask: 3 });
    tlb.read();
    expect([tlb.vpn2, tlb.pageMask, tlb.asid, tlb.entryHiInvalid]).toEqual([0, 0, 0, true]);
    expect([tlb.entryLo0.low, tlb.entryLo1.low]).toEqual([0, 0]);
  });

  it('TLBWI with EHINV takes an entry out; TLBWR does not look at it', () => {
    const tlb = tlbOf({ vpn2: 0 });
    tlb.entryHiInvalid = true;
    expect([tlb.writeIndexed(), tlb.content().length]).toEqual([0, 0]);
    expect([tlb.writeRandom(), tlb.content().length]).toEqual([7, 1]);
  });

  it('TLBWR goes round above Wired, and never below', () => {
    const tlb = new MipsTlb({ entries: 4 });
    tlb.wired = 2;
    const written = [0, 1, 2, 3, 4].map((vpn2) => {
      prepare(tlb, { vpn2 });
      return tlb.writeRandom();
    });
    expect(written).toEqual([3, 2, 3, 2, 3]);
    expect(tlb.statistics()).toMatchObject({ writes: 5, evictions: 3 });
    expect(tlb.content().map(({ wired }) => wired)).toEqual([false, false]);
  });

  it('writing Wired sets Random to the last entry; ticks count it down', () => {
    const tlb = new MipsTlb({ entries: 8 });
    tlb.tick(3);
    expect(tlb.random).toBe(4);
    tlb.wired = 5;
    expect(tlb.random).toBe(7);
    const seen = [1, 1, 1, 1].map((steps) => {
      tlb.tick(steps);
      return tlb.random;
    });
    expect(seen).toEqual([6, 5, 7, 6]);
    tlb.tick(3_000_000);
    expect(tlb.random).toBe(6);
  });

  const both = { even: { ...EVEN, global: true }, odd: { ...ODD, global: true } };
  it.each<[string, Made, number]>([
    ['the same pair', { vpn2: 0x10 }, MachineCheck],
    ['the same pair, not valid', { vpn2: 0x10, even: { pfn: 0 }, odd: { pfn: 0 } }, MachineCheck],
    ['a larger one around it', { vpn2: 0x13, mask: 3 }, MachineCheck],
    ['a global one', { vpn2: 0x10, asid: 1, ...both }, MachineCheck],
    ['one under the global one', { vpn2: 0x20, asid: 1 }, MachineCheck],
    ['the same pair in another space', { vpn2: 0x10, asid: 1 }, 5],
    ['the next pair', { vpn2: 0x11 }, 5],
  ])('a write refuses a second match: %s', (_what, made, answer) => {
    const tlb = tlbOf({ vpn2: 0x10 }, { vpn2: 0x20, asid: 3, ...both });
    const before = tlb.content();
    expect(write(tlb, 5, made)).toBe(answer);
    if (answer === MachineCheck) {
      expect(tlb.content()).toEqual(before);
      expect([tlb.writeRandom(), tlb.random]).toEqual([MachineCheck, 7]);
    }
    // Over itself it may be written.
    expect(write(tlb, 0, { vpn2: 0x10, mask: 3 })).toBe(
      answer === 5 && made.vpn2 === 0x11 ? -6 : 0,
    );
    tlb.checkInvariants();
  });
});

describe('a handler', () => {
  it('that does nothing gets the exception as the answer', () => {
    const tlb = new MipsTlb({ entries: 8 });
    let calls = 0;
    const refill = (): void => {
      calls++;
    };
    expect([tlb.translate(1, Read, { refill }), calls]).toEqual([Refill, 1]);
    const all = { refill, invalid: refill, modified: refill, refused: refill };
    write(tlb, 0, { vpn2: 0, even: { pfn: 1 }, odd: { ...ODD, readInhibit: true, dirty: false } });
    expect([tlb.translate(0, Read, all), calls]).toEqual([Invalid, 2]);
    expect([tlb.translate(1, Write, all), calls]).toEqual([Modified, 3]);
    expect([tlb.translate(1, Read, all), calls]).toEqual([ReadInhibit, 4]);
    expect([tlb.translate(1, Write, { refill }), calls]).toEqual([Modified, 4]);
  });

  it('may answer refill, invalid and modified one after the other', () => {
    const tlb = new MipsTlb({ entries: 8 });
    const calls: string[] = [];
    /** TLBP, TLBR, a change, TLBWI. */
    const rewrite = (fields: Partial<MipsEntryLoFields>): void => {
      expect(tlb.probe()).toBeGreaterThanOrEqual(0);
      tlb.read();
      tlb.entryLo0.set({ ...tlb.entryLo0.fields(), ...fields });
      tlb.writeIndexed();
    };
    const handler: SoftwareTlbHandler<MipsTlb> = {
      refill: ({ entryLo0, entryLo1 }) => {
        calls.push('refill');
        entryLo0.set({ pfn: 0x99 });
        entryLo1.set({ pfn: 0 });
        tlb.writeRandom();
      },
      invalid: () => {
        calls.push('invalid');
        rewrite({ valid: true });
      },
      modified: (_tlb, access) => {
        calls.push(`modified by ${access}`);
        rewrite({ dirty: true });
      },
    };
    expect(tlb.translate(6, Write, handler)).toBe(0x99);
    expect(calls).toEqual(['refill', 'invalid', 'modified by 1']);
    const counts = { hits: 1, refills: 1, invalid: 1, modified: 1, refused: 0 };
    expect(tlb.statistics()).toEqual({ ...counts, writes: 3, evictions: 0 });
  });
});

describe('EntryLo', () => {
  it('is what DMTC0 wrote, without the bits that it does not have', () => {
    const { entryLo0 } = new MipsTlb({ entries: 8 });
    entryLo0.load(-1, -1);
    expect([entryLo0.low, entryLo0.high]).toEqual([-1, 0xc01f_ffff | 0]);
    const { cache, pfn, readInhibit } = entryLo0.fields();
    expect([cache, pfn, readInhibit]).toEqual([7, 2 ** 47 - 1, true]);
    const fields = entryLo0.fields();
    entryLo0.load(0, 0);
    entryLo0.set(fields);
    expect([entryLo0.low, entryLo0.high]).toEqual([-1, 0xc01f_ffff | 0]);
  });
});

describe('mistakes', () => {
  const tlb = new MipsTlb({ entries: 8 });
  const handler = { refill: (): void => {} };
  it.each<[string, () => unknown, string]>([
    ['one entry', () => new MipsTlb({ entries: 1 }), 'out-of-range'],
    [
      'ASIDs of 9 bits',
      () => Reflect.construct(MipsTlb, [{ entries: 8, asidBits: 9 }]),
      'bad-argument',
    ],
    [
      'an inhibit of its own',
      () => Reflect.construct(MipsTlb, [{ entries: 8, inhibit: 1 }]),
      'bad-argument',
    ],
    [
      'an unknown option',
      () => Reflect.construct(MipsTlb, [{ entries: 8, ways: 2 }]),
      'bad-argument',
    ],
    ['Index', () => Object.assign(tlb, { index: 8 }), 'out-of-range'],
    ['Wired', () => Object.assign(tlb, { wired: 8 }), 'out-of-range'],
    ['VPN2', () => Object.assign(tlb, { vpn2: 2 ** 51 }), 'out-of-range'],
    ['ASID', () => Object.assign(tlb, { asid: 256 }), 'out-of-range'],
    ['PageMask', () => Object.assign(tlb, { pageMask: 1 }), 'bad-argument'],
    ['EHINV', () => Object.assign(tlb, { entryHiInvalid: 1 }), 'bad-argument'],
    ['PFN', () => tlb.entryLo0.set({ pfn: 2 ** 47 }), 'out-of-range'],
    ['C', () => tlb.entryLo0.set({ pfn: 0, cache: 8 }), 'out-of-range'],
    ['ticks', () => tlb.tick(-1), 'out-of-range'],
    ['a page', () => tlb.translatePage(2 ** 52, Read), 'out-of-range'],
    ['half a page', () => tlb.translatePage(0.5, Read), 'bad-argument'],
    ['an access', () => tlb.translate(0, 3, handler), 'bad-argument'],
    ['a handler', () => Reflect.apply(tlb.translate, tlb, [0, Read, {}]), 'bad-argument'],
  ])('%s', (_what, action, code) => {
    expect(codeOf(action)).toBe(code);
  });

  it('has 10 bits of ASID where it is told', () => {
    const wide = new MipsTlb({ entries: 8, asidBits: 10 });
    wide.asid = 1023;
    expect(codeOf(() => Object.assign(wide, { asid: 1024 }))).toBe('out-of-range');
  });
});

describe('snapshots', () => {
  const tlb = tlbOf({ vpn2: 8 }, { vpn2: 16, mask: 3, asid: 2 });
  const saved = tlb.snapshot();
  const [first, second] = saved.slots;

  it('restore the same TLB', () => {
    expect(MipsTlb.restore(structuredClone(saved)).snapshot()).toEqual(saved);
  });

  it.each<[string, object, string]>([
    ['another version', { v: 2 }, 'unsupported'],
    ['another type', { type: 'tlb' }, 'bad-image'],
    ['too few registers', { registers: saved.registers.slice(1) }, 'bad-image'],
    ['a register', { registers: withAt(saved.registers, 0, 8) }, 'bad-image'],
    ['a mask', { registers: withAt(saved.registers, 7, 1) }, 'bad-image'],
    ['counts', { counts: withAt(saved.counts, 0, -1) }, 'bad-image'],
    ['no slots', { slots: null }, 'bad-image'],
    ['a slot twice', { slots: [first, withAt(second!, 0, 0)] }, 'bad-image'],
    ['a page twice', { slots: [first, withAt(first!, 0, 1)] }, 'bad-image'],
    ['a pair that is not aligned', { slots: [withAt(first!, 1, 17)] }, 'bad-image'],
    ['a page size', { slots: [withAt(first!, 2, 2)] }, 'bad-image'],
    ['an ASID', { slots: [withAt(first!, 3, 256)] }, 'bad-image'],
    ['fewer entries', { entries: 0 }, 'out-of-range'],
  ])('refuse %s', (_what, change, code) => {
    const changed = { ...saved, ...change };
    expect(codeOf(() => Reflect.apply(MipsTlb.restore, MipsTlb, [changed]))).toBe(code);
  });
});
