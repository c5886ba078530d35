import { VmError } from 'pagewright/core';
import {
  type EptMemoryTypeOptions,
  eptMemoryType,
  type MtrrType,
  type NptMemoryTypeOptions,
  nptMemoryType,
} from 'pagewright/pte';
import { describe, expect, it } from 'vitest';

/** A PAT whose entries are, from 0 on: UC, UC-, WC, WT, WB, WP. */
const PAT = 0x0000_0506_0401_0700n;
const INDEX = { UC: 0, 'UC-': 1, WC: 2, WT: 3, WB: 4, WP: 5 } as const;
const ENCODING = { UC: 0, WC: 1, WT: 4, WP: 5, WB: 6 } as const;

describe('the memory type under EPT (SDM 29.3.7.2)', () => {
  const ept = (
    memoryType: keyof typeof ENCODING,
    pat: keyof typeof INDEX,
    rest: Partial<EptMemoryTypeOptions> = {},
  ): string =>
    eptMemoryType({
      ...{ memoryType: ENCODING[memoryType], ignorePat: false, patIndex: INDEX[pat], pat: PAT },
      ...rest,
    });

  it.each([
    // The EPT's type stands for the MTRRs' in Table 12-7.
    ['UC', ['UC', 'UC', 'WC', 'UC', 'UC', 'UC']],
    ['WC', ['UC', 'WC', 'WC', 'UC', 'WC', 'UC']],
    ['WT', ['UC', 'UC', 'WC', 'WT', 'WT', 'WP']],
    ['WB', ['UC', 'UC', 'WC', 'WT', 'WB', 'WP']],
    ['WP', ['UC', 'WC', 'WC', 'WT', 'WP', 'WP']],
  ] as const)('is that of %s with UC, UC-, WC, WT, WB, WP in the PAT', (type, wanted) => {
    const pats = ['UC', 'UC-', 'WC', 'WT', 'WB', 'WP'] as const;
    expect(pats.map((pat) => ept(type, pat))).toEqual(wanted);
    // IPAT=1: the EPT's type is all.
    expect(pats.map((pat) => ept(type, pat, { ignorePat: true }))).toEqual(pats.map(() => type));
    // CR0.PG=0: the PAT type is WB.
    const unpaged = pats.map((pat) => ept(type, pat, { paging: false }));
    expect(unpaged).toEqual(pats.map(() => ept(type, 'WB')));
    // CR0.CD=1: UC, whatever else.
    for (const ignorePat of [false, true]) {
      const disabled = pats.map((pat) => ept(type, pat, { cacheDisable: true, ignorePat }));
      expect(disabled).toEqual(pats.map(() => 'UC'));
    }
  });

  it('is none for types and indexes that do not exist', () => {
    const options = { memoryType: 6, ignorePat: true, patIndex: 0 };
    for (const memoryType of [2, 3, 7, 8, -1, 0.5]) {
      expect(() => eptMemoryType({ ...options, memoryType })).toThrow(VmError);
    }
    for (const patIndex of [8, -1, 0.5]) {
      expect(() => eptMemoryType({ ...options, patIndex })).toThrow(VmError);
    }
    expect(() => eptMemoryType({ ...options, ignorePat: false, pat: 2 })).toThrow(VmError);
  });
});

describe('the memory type under nested paging (APM 15.25.8)', () => {
  const HOSTS = ['UC', 'UC-', 'WC', 'WP', 'WT', 'WB'] as const;
  const MTRRS = ['UC', 'WC', 'WP', 'WT', 'WB'] as const;
  const npt = (
    guest: keyof typeof INDEX,
    host: keyof typeof INDEX,
    mtrrType: MtrrType,
    rest: Partial<NptMemoryTypeOptions> = {},
  ): string =>
    nptMemoryType({
      ...{ guestPatIndex: INDEX[guest], guestPat: PAT, hostPatIndex: INDEX[host], hostPat: PAT },
      ...{ mtrrType, ...rest },
    });

  it.each([
    // Table 15-20, for a host of WB, which leaves the guest's type as it is but for WC and UC-.
    ['UC', 'WB', ['UC', 'CD', 'CD', 'CD', 'CD']],
    ['UC-', 'UC-', ['UC', 'WC', 'CD', 'CD', 'CD']],
    ['UC-', 'WB', ['UC', 'CD', 'CD', 'CD', 'CD']],
    ['WC', 'WC', ['WC', 'WC', 'WC', 'WC', 'WC']],
    ['WC', 'WB', ['WC', 'WC', 'WC+', 'WC+', 'WC+']],
    ['WP', 'WB', ['UC', 'CD', 'WP', 'CD', 'WP']],
    ['WT', 'WB', ['UC', 'CD', 'CD', 'WT', 'WT']],
    ['WB', 'WB', ['UC', 'WC', 'WP', 'WT', 'WB']],
  ] as const)('of %s over %s is by the MTRRs: UC, WC, WP, WT, WB', (guest, host, wanted) => {
    expect(MTRRS.map((mtrr) => npt(guest, host, mtrr))).toEqual(wanted);
  });

  it.each([
    // Table 15-19, seen through MTRRs of WB, where UC and UC- are CD.
    ['UC', ['CD', 'CD', 'CD', 'CD', 'CD', 'CD']],
    ['UC-', ['CD', 'CD', 'WC', 'CD', 'CD', 'CD']],
    ['WC', ['WC', 'WC', 'WC', 'WC+', 'WC+', 'WC+']],
    ['WP', ['CD', 'CD', 'CD', 'WP', 'CD', 'WP']],
    ['WT', ['CD', 'CD', 'CD', 'CD', 'WT', 'WT']],
    ['WB', ['CD', 'CD', 'WC', 'WP', 'WT', 'WB']],
  ] as const)('of %s is by the host: UC, UC-, WC, WP, WT, WB', (guest, wanted) => {
    expect(HOSTS.map((host) => npt(guest, host, 'WB'))).toEqual(wanted);
  });

  it('keeps UC- apart from UC until the MTRRs were asked', () => {
    expect(npt('WB', 'UC-', 'WC')).toBe('WC');
    expect(npt('WB', 'UC', 'WC')).toBe('CD');
  });

  it('is CD where CR0.CD=1 forbids caching, and that of WB in a guest without paging', () => {
    expect(HOSTS.map((host) => npt('WB', host, 'WB', { cacheDisable: true }))).toEqual([
      ...['CD', 'CD', 'WC', 'CD', 'CD', 'CD'],
    ]);
    expect(npt('UC', 'WT', 'WB', { guestPaging: false })).toBe('WT');
    expect(nptMemoryType({ guestPatIndex: 0, hostPatIndex: 0 })).toBe('WB');
  });

  it('is none for indexes and types that do not exist', () => {
    const options = { guestPatIndex: 0, hostPatIndex: 0 };
    for (const wrong of [8, -1, 0.5]) {
      expect(() => nptMemoryType({ ...options, guestPatIndex: wrong })).toThrow(VmError);
      expect(() => nptMemoryType({ ...options, hostPatIndex: wrong })).toThrow(VmError);
    }
    expect(() => nptMemoryType({ ...options, guestPat: 2 })).toThrow(VmError);
    expect(() => nptMemoryType({ ...options, hostPat: 3 })).toThrow(VmError);
    const mtrrType: MtrrType = JSON.parse('"UC-"');
    expect(() => nptMemoryType({ ...options, mtrrType })).toThrow(VmError);
  });
});
