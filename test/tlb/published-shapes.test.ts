import { Random } from 'pagewright/core';
import { CoalescingTlb, Tlb } from 'pagewright/tlb';
import { describe, expect, it } from 'vitest';

const MiB = 2 ** 20;

/** The part of uniform accesses that misses, once the TLB is warm. */
function missRate(tlb: Tlb, pages: number, accesses: number, fill: (vpn: number) => void): number {
  const random = new Random(11);
  const access = (): void => {
    const vpn = random.below(pages);
    if (tlb.find(vpn) < 0) fill(vpn);
  };
  for (let warm = 0; warm < 20_000; warm++) access();
  const before = tlb.statistics().misses;
  for (let index = 0; index < accesses; index++) access();
  return (tlb.statistics().misses - before) / accesses;
}

describe('64 entries of true LRU under uniform accesses miss 1 - 64/N of the time', () => {
  it.each<[string, number, number, number]>([
    ['16 MiB in pages of 4 KiB', 16 * MiB, 0, 1 - 64 / 4096],
    ['16 MiB in pages of 64 KiB', 16 * MiB, 4, 1 - 64 / 256],
    ['16 MiB in pages of 2 MiB', 16 * MiB, 9, 0],
    ['256 MiB in pages of 2 MiB', 256 * MiB, 9, 1 - 64 / 128],
  ])('%s', (_what, bytes, order, expected) => {
    for (const ways of [64, 16]) {
      const tlb = new Tlb({ entries: 64, ways: order === 0 ? ways : 64 });
      const rate = missRate(tlb, bytes / 4096, 400_000, (vpn) => tlb.fill(vpn, vpn, 0, order));
      expect(Math.abs(rate - expected)).toBeLessThan(0.003);
    }
  });
});

describe('what coalescing gains', () => {
  const PAGES = 512;

  /** Misses where so many pages in a row have frames in a row, and the walker brings in the line of eight entries. */
  function misses(contiguity: number, coalesce: number): number {
    const tlb =
      coalesce > 1
        ? new CoalescingTlb({ entries: 64, ways: 4, coalesce })
        : new Tlb({ entries: 64, ways: 4 });
    // Runs of frames are apart by more than a run.
    const frameOf = (vpn: number): number =>
      Math.floor(vpn / contiguity) * 2 * contiguity + (vpn % contiguity);
    return missRate(tlb, PAGES, 100_000, (vpn) => {
      const line = coalesce > 1 ? vpn - (vpn % 8) : vpn;
      for (let page = line; page < line + (coalesce > 1 ? 8 : 1); page++) {
        // Of the line, only what is coalesced with the page is kept.
        const alike = frameOf(page) - page === frameOf(vpn) - vpn;
        if (alike) tlb.fill(page, frameOf(page), 0);
      }
    });
  }

  it('grows with contiguity, and is nothing without', () => {
    const [none, ...gains] = [1, 2, 4, 8].map((contiguity) => misses(contiguity, 8));
    const plain = misses(1, 1);
    expect(Math.abs(none! - plain)).toBeLessThan(0.01);
    expect(gains[0]).toBeLessThan(none! - 0.05);
    expect(gains[1]).toBeLessThan(gains[0]! - 0.05);
    expect(gains[2]).toBeLessThan(gains[1]! - 0.05);
    // 64 groups of 8 pages are all there are.
    expect(gains[2]).toBe(0);
  });
});
