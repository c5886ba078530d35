import { Access } from 'pagewright/core';
import { Tlb, TlbHierarchy, type TlbHierarchyOptions } from 'pagewright/tlb';
import { describe, expect, it } from 'vitest';
import { type SweepSubject, sweep } from '../../src/mmu/sweep.js';
import { grid } from '../../src/mmu/sweep-configuration.js';
import { hierarchySubject, tlbSubject } from '../../src/mmu/sweep-subjects.js';
import { codeOf } from '../tlb/code-of.js';

const { Fetch, Read, Write } = Access;

describe('a ready subject', () => {
  it('fills a TLB with the page itself, or with the frame that it is told', () => {
    const own = new Tlb({ entries: 4 });
    tlbSubject(own).reference(7, Write);
    expect(own.lookup(7, 0)).toBe(7);
    const other = new Tlb({ entries: 4 });
    tlbSubject(other, { frameOf: (vpn) => vpn + 100 }).reference(7, Read);
    expect(other.lookup(7, 0)).toBe(107);
  });

  it('compares page sizes: an entry of 2^order pages covers them all', () => {
    const { rows } = sweep({
      configurations: grid({ order: [0, 2, 9] }),
      make: ({ order }) => tlbSubject(new Tlb({ entries: 2 }), { order }),
      stream: { vpns: Array.from({ length: 16 }, (_, index) => index) },
    });
    expect(rows.map(({ counts }) => counts['misses'])).toEqual([16, 4, 1]);
  });

  it('looks in the array of a hierarchy that an access belongs to', () => {
    const shape: TlbHierarchyOptions = {
      fetch: [{ entries: 2 }],
      load: [{ entries: 2 }],
      second: [{ entries: 8 }],
    };
    const accesses = [Read, Write, Fetch, Fetch];
    const stream = { vpns: [5, 5, 5, 5], accesses };
    const tlbs = new TlbHierarchy(shape);
    const make = (): SweepSubject => hierarchySubject(tlbs, { frameOf: (vpn) => vpn + 1 });
    const { rows } = sweep({ configurations: [{}], make, stream });
    expect(rows[0]?.counts).toEqual({ firstHits: 2, secondHits: 1, misses: 1 });
    expect(tlbs.lookup(5, 0, Read)).toBe(6);
  });

  it('is made of a TLB or hierarchy, and of options that there are', () => {
    const tlb = new Tlb({ entries: 2 });
    const refuse = (make: (...of: never[]) => unknown, ...of: unknown[]): string =>
      codeOf(() => Reflect.apply(make, undefined, of));
    expect(refuse(tlbSubject, { entries: 2 })).toBe('bad-argument');
    expect(refuse(hierarchySubject, tlb)).toBe('bad-argument');
    expect(refuse(tlbSubject, tlb, { pfnOf: () => 0 })).toBe('bad-argument');
    expect(refuse(tlbSubject, tlb, { frameOf: 3 })).toBe('bad-argument');
    expect(refuse(tlbSubject, tlb, { order: 31 })).toBe('out-of-range');
  });
});
