import { Random, VmError } from 'pagewright/core';
import {
  PagingStructureCache,
  structureLevels,
  TableEntryCache,
  x86Structures,
} from 'pagewright/tlb';
import { describe, expect, it } from 'vitest';

const X86 = x86Structures({ pde: 32, pdpte: 4, pml4e: 2 });

/** References of a walk; every entry above the leaf that it reads goes into the cache. */
function walk(cache: PagingStructureCache, vpn: number): number {
  const found = cache.find(vpn);
  const { references } = cache;
  const top = found < 0 ? X86.tableLevels - 1 : found - 1;
  for (let level = top; level >= 1; level--) cache.fill(level, vpn, 1000 + level);
  return references;
}

/** References per walk, once the cache is warm. */
function average(pages: number, next: (index: number) => number): number {
  const cache = new PagingStructureCache(X86);
  const warm = 20_000;
  let references = 0;
  for (let index = 0; index < warm + pages; index++) {
    const made = walk(cache, next(index));
    if (index >= warm) references += made;
  }
  return references / pages;
}

describe('references of a walk with caches of 32 PDEs, 4 PDPTEs and 2 PML4Es', () => {
  it.each<[string, number, (random: Random) => (index: number) => number]>([
    ['pages one after the other', 1.002, () => (index) => index],
    ['a stride of 2 MiB', 2.0, () => (index) => 512 * index],
    ['random pages of 1 GiB', 1.937, (random) => () => random.below(2 ** 18)],
    ['random pages of 64 GiB', 2.934, (random) => () => random.below(2 ** 24)],
    ['random pages of 8 TiB', 3.873, (random) => () => random.below(2 ** 31)],
  ])('%s: %f', (_what, expected, stream) => {
    const made = average(300_000, stream(new Random(3)));
    expect(Math.abs(made - expected)).toBeLessThan(0.003);
  });
});

describe('a paging-structure cache', () => {
  it('begins the walk at the table nearest to the leaf', () => {
    const cache = new PagingStructureCache(X86);
    expect([cache.find(0x12345), cache.tablePfn, cache.references]).toEqual([-1, -1, 4]);
    cache.fill(3, 0x12345, 0x80, 7);
    cache.fill(2, 0x12345, 0x81, 6);
    expect([cache.find(0x12345), cache.tablePfn, cache.rights]).toEqual([2, 0x81, 6]);
    expect([cache.find(0x12345 + 2 ** 18), cache.tablePfn, cache.rights]).toEqual([3, 0x80, 7]);
    expect(cache.used).toEqual([0, 1, 1]);
  });

  it('keeps contexts apart, and shares global entries among them', () => {
    const cache = new PagingStructureCache(X86);
    const [shell, editor] = [{ asid: 1 }, { asid: 2 }].map((one) => cache.contexts.intern(one));
    cache.context = shell!;
    cache.fill(1, 0x200, 0x10);
    cache.fill(1, 0x400, 0x20, 0, true);
    cache.context = editor!;
    expect(cache.find(0x200)).toBe(-1);
    expect([cache.find(0x400), cache.tablePfn]).toEqual([1, 0x20]);
  });

  it('has page numbers up to the top of 57-bit spaces, and a level of 256 TiB entries', () => {
    const entries = { pde: 4, pdpte: 4, pml4e: 4, pml5e: 4 };
    const cache = new PagingStructureCache(x86Structures(entries));
    const top = 2 ** 52 - 1;
    cache.fill(4, top, 0x55);
    expect([cache.find(top - 2 ** 35), cache.tablePfn]).toEqual([4, 0x55]);
    expect(cache.find(top - 2 ** 36)).toBe(-1);
  });

  it('drops what is above a page, everything of a context, or nothing', () => {
    const filled = (): PagingStructureCache => {
      const cache = new PagingStructureCache(X86);
      for (const vpn of [0, 512, 2 ** 18, 2 ** 27]) {
        for (const level of [3, 2, 1]) cache.fill(level, vpn, 1);
      }
      return cache;
    };
    const pages = { translations: true, structures: 'pages', secondStage: false } as const;
    const flush = (cache: PagingStructureCache, structures: 'all' | 'none' | 'pages'): number =>
      cache.flush({ globals: true, vpn: 600, caches: { ...pages, structures } });
    const cache = filled();
    expect([flush(cache, 'none'), cache.used]).toEqual([0, [4, 3, 2]]);
    expect([flush(cache, 'pages'), cache.used]).toEqual([3, [3, 2, 1]]);
    expect([flush(cache, 'all'), cache.used]).toEqual([6, [0, 0, 0]]);
    const range = { globals: true, vpn: 0, pages: 2 ** 18 + 1, caches: pages };
    const other = filled();
    expect([other.flush(range), other.used]).toEqual([6, [1, 1, 1]]);
  });

  it('is the same after a snapshot', () => {
    const cache = new PagingStructureCache(X86);
    const random = new Random(5);
    for (let index = 0; index < 500; index++) walk(cache, random.below(2 ** 28));
    const saved: ReturnType<typeof cache.snapshot> = JSON.parse(JSON.stringify(cache.snapshot()));
    const restored = PagingStructureCache.restore(saved, X86);
    restored.checkInvariants();
    for (let index = 0; index < 500; index++) {
      const vpn = random.below(2 ** 28);
      expect(walk(restored, vpn)).toBe(walk(cache, vpn));
    }
    expect(restored.used).toEqual(cache.used);
    expect(() => PagingStructureCache.restore({ ...saved, levels: [] }, X86)).toThrow(VmError);
  });

  it.each<[string, unknown]>([
    ['no options', undefined],
    ['levels that are none', { tableLevels: 4, levels: 3 }],
    ['a level of leaves', { tableLevels: 4, levels: [{ level: 0, order: 9, entries: 1 }] }],
    ['a level above the root', { tableLevels: 4, levels: [{ level: 4, order: 36, entries: 1 }] }],
    ['zero ways', { tableLevels: 4, levels: [{ level: 1, order: 9, entries: 4, ways: 0 }] }],
    ['zero entries', { tableLevels: 4, levels: [{ level: 1, order: 9, entries: 0 }] }],
    ['a level twice', { tableLevels: 4, levels: [X86.levels[0], X86.levels[0]] }],
    ['an option that there is not', { tableLevels: 4, levels: [], level: 3 }],
  ])('refuses %s', (_what, options) => {
    expect(() => Reflect.construct(PagingStructureCache, [options])).toThrow(VmError);
  });

  it.each([-1, 0.5, Number.NaN, 2 ** 21])('has no levels of %s entries', (entries) => {
    expect(() => x86Structures({ pde: 1, pdpte: 1, pml4e: entries })).toThrow(VmError);
    expect(() => structureLevels({ indexBits: 9, entries: [entries] })).toThrow(VmError);
  });

  it.each([null, 5, {}])('has no contexts that are %s, also without levels', (contexts) => {
    for (const options of [X86, { tableLevels: 4, levels: [] }]) {
      const make = (): unknown =>
        Reflect.construct(PagingStructureCache, [{ ...options, contexts }]);
      expect(make).toThrow(VmError);
    }
  });

  it('refuses to be filled with what is no entry above the leaves', () => {
    const cache = new PagingStructureCache(X86);
    expect(() => cache.fill(0, 0, 0)).toThrow(VmError);
    expect(() => cache.fill(1, -1, 0)).toThrow(VmError);
    expect(() => cache.fill(1, 0, Number.NaN)).toThrow(VmError);
    expect(cache.used).toEqual([0, 0, 0]);
  });
});

describe('a table-entry cache', () => {
  it('has entries by where they are, of tables of any level', () => {
    const cache = new TableEntryCache({ entries: 4, ways: 2 });
    cache.fill(0x1001, 5, -1, 0x123);
    expect([cache.find(0x1001, 5), cache.low, cache.high]).toEqual([true, -1, 0x123]);
    expect(cache.find(0x1005, 1)).toBe(false);
    expect(cache.find(0x1001, 4)).toBe(false);
  });

  it('loses everything to any flush: it does not know whose entries it has', () => {
    const cache = new TableEntryCache({ entries: 4 });
    cache.fill(1, 1, 1, 1);
    cache.fill(1, 2, 1, 1);
    expect(cache.flush({ globals: false, vpn: 7, asid: 9 })).toBe(2);
    expect(cache.used).toBe(0);
    expect(() => Reflect.apply(cache.flush, cache, [{}])).toThrow(VmError);
  });

  it('has no entry for what is no place of one', () => {
    const cache = new TableEntryCache({ entries: 4 });
    cache.fill(0, 4095, 1, 1);
    cache.fill(1, 0, 1, 1);
    const places: readonly (readonly [number, number])[] = [
      [1, -1],
      [0, -1],
      [-1, 4095],
      [0, 4096],
      [0.5, 2048],
      [Number.NaN, 0],
    ];
    expect(places.map(([pfn, index]) => cache.find(pfn, index))).toEqual(places.map(() => false));
  });

  it.each([
    ['4 KiB frames and 52 bits of a physical address', {}, 2 ** 40 - 1, 4095],
    ['64 KiB frames, whose tables have 8192 entries', { indexBits: 13 }, 2 ** 36 - 1, 8191],
  ])('reaches every entry of %s, and none above', (_what, options, pfn, index) => {
    const cache = new TableEntryCache({ entries: 2, ...options });
    cache.fill(pfn, index, 7, 8);
    cache.fill(0, 0, 1, 1);
    expect([cache.find(pfn, index), cache.low, cache.high]).toEqual([true, 7, 8]);
    const outOfRange = expect.objectContaining({ code: 'out-of-range' });
    expect(() => cache.fill(2 ** 40, 0, 0, 0)).toThrow(outOfRange);
    expect(() => cache.fill(pfn, index + 1, 0, 0)).toThrow(outOfRange);
    const saved = cache.snapshot();
    expect(TableEntryCache.restore(saved, { entries: 2, ...options }).snapshot()).toEqual(saved);
    expect(() => TableEntryCache.restore(saved, { entries: 2, indexBits: 9 })).toThrow(VmError);
  });

  it('is the same after a snapshot', () => {
    const options = { entries: 4 };
    const cache = new TableEntryCache(options);
    for (const index of [1, 2, 3, 4]) cache.fill(9, index, index, -index);
    cache.find(9, 1);
    const saved: ReturnType<typeof cache.snapshot> = JSON.parse(JSON.stringify(cache.snapshot()));
    const restored = TableEntryCache.restore(saved, options);
    restored.checkInvariants();
    restored.fill(9, 5, 5, 5);
    expect([1, 2, 3, 4, 5].map((index) => restored.find(9, index))).toEqual([
      ...[true, false, true, true, true],
    ]);
  });

  it('refuses what is no place of an entry', () => {
    const cache = new TableEntryCache({ entries: 4 });
    expect(() => cache.fill(-1, 0, 0, 0)).toThrow(VmError);
    expect(() => cache.fill(0, -1, 0, 0)).toThrow(VmError);
    expect(() => new TableEntryCache({ entries: 4, indexBits: 17 })).toThrow(VmError);
    expect(() => cache.fill(0, 0, 2 ** 31, 0)).toThrow(VmError);
    expect(() => new TableEntryCache({ entries: 4, ways: 3 })).toThrow(VmError);
  });
});
