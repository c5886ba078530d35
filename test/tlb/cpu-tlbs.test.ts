import { Access, VmError } from 'pagewright/core';
import { cpuTlbs, PUBLISHED_CPUS } from 'pagewright/tlb';
import { describe, expect, it } from 'vitest';

const cpus = Object.keys(PUBLISHED_CPUS).filter(
  (name): name is keyof typeof PUBLISHED_CPUS => name in PUBLISHED_CPUS,
);

/** Something for everything that is not published. */
function everything(cpu: keyof typeof PUBLISHED_CPUS): Record<string, object> {
  return Object.fromEntries(
    PUBLISHED_CPUS[cpu].tlbs.map(({ entries, name }) => {
      return [name, { ways: entries, pageBytes: [4096, 2 ** 21, 2 ** 30] }];
    }),
  );
}

describe('the TLBs of real CPUs', () => {
  it.each(cpus)('%s: a document of its vendor, and arrays that can be', (cpu) => {
    const { document, tlbs, where } = PUBLISHED_CPUS[cpu];
    expect(document).toMatch(/Manual|CPUID/);
    expect(where).not.toBe('');
    for (const { entries, ways } of tlbs) {
      expect(entries).toBeGreaterThan(0);
      if (ways !== null) expect(entries % ways).toBe(0);
    }
    expect(new Set(tlbs.map(({ name }) => name)).size).toBe(tlbs.length);
  });

  it.each(cpus)('%s: translates in both levels', (cpu) => {
    const tlbs = cpuTlbs(cpu, { assume: everything(cpu) });
    for (const access of [Access.Read, Access.Write, Access.Fetch]) {
      tlbs.fill({ vpn: 0x1234, pfn: 0x99 }, access);
      tlbs.fill({ vpn: 2 ** 18 + 7, pfn: 2 ** 19 + 7, order: 9 }, access);
      expect(tlbs.lookup(0x1234, 0, access)).toBe(0x99);
      expect(tlbs.lookup(2 ** 18 + 7, 0, access)).toBe(2 ** 19 + 7);
    }
    tlbs.checkInvariants();
  });

  it('needs nothing assumed where all is published', () => {
    expect(cpuTlbs('cortexA76').load[0]?.ways).toBe(48);
    expect(cpuTlbs('cortexA72').second[0]?.sets).toBe(256);
    const assume = { 'L2 DTLB': { ways: 16 } };
    expect(cpuTlbs('zen2', { assume }).secondFetch[0]?.entries).toBe(1024);
  });

  it('does not guess what is not published', () => {
    expect(() => cpuTlbs('skylake')).toThrow(/assume.ITLB, 2 and 4 MiB.ways/);
    expect(() => cpuTlbs('sifiveU74')).toThrow(/assume.L2 TLB.pageBytes/);
    const assume = { 'ITLB, 2 and 4 MiB': { ways: 8 } };
    expect(cpuTlbs('skylake', { assume }).second.map(({ entries }) => entries)).toEqual([1536, 16]);
  });

  it('puts a page of 4 KiB into the first of two arrays that take it, which Golden Cove alone has', () => {
    const shared = cpus.filter((cpu) => {
      const sizes = PUBLISHED_CPUS[cpu].tlbs.flatMap(({ pageBytes, serves }) =>
        (pageBytes ?? []).map((bytes) => `${serves} ${bytes}`),
      );
      return new Set(sizes).size < sizes.length;
    });
    expect(shared).toEqual(['goldenCove']);
    const tlbs = cpuTlbs('goldenCove', { assume: everything('goldenCove') });
    for (let vpn = 0; vpn < 2048; vpn++) tlbs.fill({ vpn, pfn: vpn }, Access.Read);
    expect(tlbs.second.map(({ used }) => used)).toEqual([1024, 0]);
  });

  it('refuses a CPU, an array and a size that there are not', () => {
    expect(() => Reflect.apply(cpuTlbs, null, ['toString'])).toThrow(VmError);
    expect(() => cpuTlbs('cortexA76', { assume: { 'L3 TLB': { ways: 4 } } })).toThrow(VmError);
    const pageBytes = [5000];
    const assume = { 'L2 TLB': { pageBytes } };
    expect(() => cpuTlbs('sifiveU74', { assume })).toThrow(VmError);
  });

  it('does not change what is published', () => {
    const assume = { 'L1 data TLB': { ways: 2 } };
    expect(cpuTlbs('cortexA76', { assume }).load[0]?.ways).toBe(48);
  });
});
