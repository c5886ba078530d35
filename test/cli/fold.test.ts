import type { MappedRange } from 'pagewright/walk';
import { describe, expect, it } from 'vitest';
import { foldRanges } from '../../src/cli/fold.js';

/** What an EPT leaf says. */
const EPT = { memoryType: 6, ignorePat: false, execute: true, executeUser: true };

/** A page of a user's, at a page number. */
function page(vpn: number, change: Partial<MappedRange> = {}): MappedRange {
  const va = BigInt(vpn) * 4096n;
  return {
    va,
    end: va + 4096n,
    pages: 1,
    prot: 9,
    global: false,
    pageBytes: 4096,
    pa: va,
    x86: { patIndex: 0, protectionKey: 0 },
    riscv: { pbmt: 0, napot: false },
    ept: EPT,
    aarch64: { attr: 255, sh: 3, contiguous: false },
    ...change,
  };
}

/** How many ranges each item stands for, and how far apart they are, in pages. */
const shape = (ranges: readonly MappedRange[]): [number, number][] =>
  foldRanges(ranges).map(({ stride, times }) => [times, Number(stride) / 4096]);

describe('folding', () => {
  it('makes one item of three or more at equal distances', () => {
    expect(shape([page(0), page(4), page(8)])).toEqual([[3, 4]]);
    expect(shape([page(0), page(4)])).toEqual([
      [1, 0],
      [1, 0],
    ]);
    expect(shape([page(0), page(2), page(4), page(6), page(9), page(12), page(15)])).toEqual([
      [4, 2],
      [3, 3],
    ]);
    expect(shape([])).toEqual([]);
  });

  it('leaves apart what differs in anything but addresses', () => {
    const changes: Partial<MappedRange>[] = [
      { pages: 2 },
      { pageBytes: 2 ** 21 },
      { prot: 11 },
      { global: true },
      { pa: null },
      { x86: { patIndex: 1, protectionKey: 0 } },
      { x86: { patIndex: 0, protectionKey: 1 } },
      { riscv: { pbmt: 1, napot: false } },
      { riscv: { pbmt: 0, napot: true } },
      { ept: { ...EPT, memoryType: 0 } },
      { ept: { ...EPT, ignorePat: true } },
      { ept: { ...EPT, execute: false } },
      { ept: { ...EPT, executeUser: false } },
      { aarch64: { attr: 4, sh: 3, contiguous: false } },
      { aarch64: { attr: 255, sh: 2, contiguous: false } },
      { aarch64: { attr: 255, sh: 3, contiguous: true } },
    ];
    for (const change of changes) {
      expect(shape([page(0), page(4), page(8), page(12, change)])).toEqual([
        [3, 4],
        [1, 0],
      ]);
    }
  });
});
