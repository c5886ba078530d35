import fc from 'fast-check';
import type { EntryCursor, PageTable } from 'pagewright/page-table';
import {
  aarch64,
  eptLong4,
  sv39,
  sv57,
  x86Legacy,
  x86Long4,
  x86Long5,
  x86Pae,
} from 'pagewright/pte';
import { describe, expect, it } from 'vitest';
import { expectError } from '../core/errors.js';
import { FORMATS, firstPage, makeSystem, RU, RWU, type System } from './system.js';

const flagsOf = ({ table }: System) => table.flags({ prot: RWU });
const pagesOf = (cursor: Iterable<{ readonly vpn: number }>): readonly number[] =>
  [...cursor].map(({ vpn }) => vpn);

function withPages(vpns: readonly number[], format = x86Long4): System {
  const system = makeSystem(format, { pages: 512 });
  for (const vpn of vpns) expect(system.table.map(vpn, 7, flagsOf(system), system.owed)).toBe(0);
  return system;
}

describe('entries', () => {
  it.each(FORMATS)('come in the order of their addresses ($name)', (format) => {
    const start = firstPage(format);
    const system = makeSystem(format, { pages: 128 });
    const { owed, table } = system;
    const { end, vpns } = farPages(table);
    for (const vpn of [...vpns].reverse()) table.map(vpn, 7, flagsOf(system), owed);
    expect(pagesOf(table.entries())).toEqual(vpns);
    expect(vpns[0]).toBe(start);
    expect(pagesOf(table.entries({ from: end - 1 }))).toEqual([end - 1]);
    expect(pagesOf(table.entries({ from: end }))).toEqual([]);
  });

  it('begin with the leaf that reaches over the first page', () => {
    const system = makeSystem(aarch64());
    const { owed, table } = system;
    const flags = flagsOf(system);
    table.map(5, 5, flags, owed);
    table.map(0x10, 0x10, flags, owed, 16);
    table.map(0x200, 0x200, flags, owed, 512);
    table.map(0x2000, 0x2000, flags, owed, 8192);
    table.map(2 ** 18, 0, flags, owed, 2 ** 18);
    const first = (from: number) => {
      const cursor = table.entries({ from });
      return cursor.advance() ? [cursor.vpn, cursor.pfn, cursor.pages, cursor.level] : [];
    };
    expect(first(0)).toEqual([5, 5, 1, 0]);
    expect([first(6), first(0x10), first(0x1f)]).toEqual(Array(3).fill([0x10, 0x10, 16, 0]));
    expect([first(0x20), first(0x200), first(0x3ff)]).toEqual(
      Array(3).fill([0x200, 0x200, 512, 1]),
    );
    expect([first(0x2001), first(0x3fff)]).toEqual(Array(2).fill([0x2000, 0x2000, 8192, 1]));
    expect([first(0x4000), first(2 ** 19 - 1)]).toEqual(Array(2).fill([2 ** 18, 0, 2 ** 18, 2]));
    expect(first(2 ** 19)).toEqual([]);
  });

  it('end before the end, but for a leaf that begins before it', () => {
    const system = withPages([1, 2, 3, 600]);
    system.table.map(0x400, 0, flagsOf(system), system.owed, 512);
    const upTo = (end: number) => pagesOf(system.table.entries({ end }));
    expect(upTo(0)).toEqual([]);
    expect(upTo(3)).toEqual([1, 2]);
    expect(upTo(4)).toEqual([1, 2, 3]);
    expect(upTo(0x401)).toEqual([1, 2, 3, 600, 0x400]);
    expect(pagesOf(system.table.entries({ from: 3, end: 600 }))).toEqual([3]);
    expect(pagesOf(system.table.entries({ from: 600, end: 3 }))).toEqual([]);
  });

  it.each([x86Long5, sv57])('reach to the last page of a 57-bit space ($name)', (format) => {
    const last = 2 ** 52 - 1;
    const { table } = withPages([0, 2 ** 44 - 1, 2 ** 52 - 2 ** 44, last], format);
    expect(pagesOf(table.entries())).toEqual([0, 2 ** 44 - 1, 2 ** 52 - 2 ** 44, last]);
    expect(pagesOf(table.entries({ from: last }))).toEqual([last]);
    expect(pagesOf(table.entries({ end: last }))).toHaveLength(3);
    // From where there are no addresses: the upper half is next.
    expect(pagesOf(table.entries({ from: 2 ** 50 }))).toEqual([2 ** 52 - 2 ** 44, last]);
    expect(pagesOf(table.entries({ from: 2 ** 53 }))).toEqual([]);
  });

  it('are plain data, and the hot form has the same', () => {
    const system = withPages([5]);
    system.table.setSwap(6, { type: 1, offset: 1 }, system.owed);
    const [leaf, software] = system.table.entries();
    expect(JSON.parse(JSON.stringify(leaf))).toEqual({
      kind: 'leaf',
      vpn: 5,
      pfn: 7,
      pages: 1,
      level: 0,
      prot: RWU,
      raw: '0x8000000000007067',
    });
    expect(software).toMatchObject({ kind: 'software', vpn: 6, pfn: -1, pages: 1, prot: 0 });
    const cursor = system.table.entries();
    expect(cursor.advance()).toBe(true);
    const { high, level, low, pages, pfn, vpn } = cursor;
    expect([vpn, pfn, pages, level, low, high]).toEqual([5, 7, 1, 0, 0x7067, -0x8000_0000]);
    expect(cursor.entry()).toEqual(leaf);
  });

  it('go on where a loop over them was left', () => {
    const { table } = withPages([1, 2, 3, 4]);
    const cursor = table.entries();
    for (const { vpn } of cursor) if (vpn === 2) break;
    expect(pagesOf(cursor)).toEqual([3, 4]);
    expect([cursor.advance(), cursor.advance()]).toEqual([false, false]);
  });

  it('have options that are checked', () => {
    const { table } = withPages([1]);
    expectError(() => table.entries({ from: -1 }), 'out-of-range', 'from');
    expectError(() => table.entries({ from: 1.5 }), 'bad-argument', 'from');
    expectError(() => table.entries({ end: Number.NaN }), 'bad-argument', 'end');
    const misspelt: { from?: number } = JSON.parse('{"form":1}');
    expectError(() => table.tablePages(misspelt), 'bad-argument', 'form');
  });
});

/** Pages far apart: the first, some in the middle and the last of every stretch of addresses; and the end. */
function farPages(table: PageTable): { readonly vpns: readonly number[]; readonly end: number } {
  const { format } = table;
  const space = 2 ** (format.virtualBits - format.pageShift);
  const start = firstPage(format);
  const all = 2 ** (64 - format.pageShift);
  if (!format.signExtended) {
    const vpns = [0, 1, 513, space / 2, space - 1].map((vpn) => start + vpn);
    return { vpns, end: start + space };
  }
  const half = space / 2;
  return { vpns: [0, 1, 513, half - 1, all - half, all - 600, all - 1], end: all };
}

describe('edits while a cursor is under way', () => {
  const next = (cursor: EntryCursor): number => (cursor.advance() ? cursor.vpn : -1);

  it('may take away what it has just visited, and the tables with it', () => {
    const vpns = [1, 2, 600, 601, 2 ** 20, 2 ** 30, 2 ** 52 - 1];
    const { frames, owed, table } = withPages(vpns);
    const seen: number[] = [];
    for (const cursor = table.entries(); cursor.advance(); ) {
      seen.push(cursor.vpn);
      table.unmap(cursor.vpn, owed);
      owed.complete();
    }
    expect(seen).toEqual(vpns);
    expect(frames.free).toBe(frames.frames - 1);
  });

  it('are seen ahead of it, and not behind', () => {
    const system = withPages([10, 20, 30]);
    const { owed, table } = system;
    const cursor = table.entries();
    expect(next(cursor)).toBe(10);
    table.map(5, 7, flagsOf(system), owed);
    table.map(15, 7, flagsOf(system), owed);
    table.unmap(20, owed);
    table.map(2 ** 20, 7, flagsOf(system), owed);
    table.map(2 ** 52 - 5, 7, flagsOf(system), owed);
    expect([next(cursor), next(cursor), next(cursor)]).toEqual([15, 30, 2 ** 20]);
    table.unmap(2 ** 20, owed);
    table.map(2 ** 20 + 1, 7, flagsOf(system), owed);
    expect([next(cursor), next(cursor), next(cursor)]).toEqual([2 ** 20 + 1, 2 ** 52 - 5, -1]);
  });

  it('may put tables that it went through to another use', () => {
    const system = withPages([1, 600, 1200]);
    const { owed, table } = system;
    const cursor = table.entries();
    expect(next(cursor)).toBe(1);
    // Its table, and the next one's, are given up; the frames become tables elsewhere.
    table.unmap(1, owed);
    table.unmap(600, owed);
    owed.complete();
    table.map(2 ** 34, 7, flagsOf(system), owed);
    expect([next(cursor), next(cursor), next(cursor)]).toEqual([1200, 2 ** 34, -1]);
  });

  it('may split the leaf that it is at: the pieces after it are not seen again', () => {
    const system = makeSystem(x86Long4);
    const { owed, table } = system;
    table.map(0x200, 0x200, flagsOf(system), owed, 512);
    table.map(0x400, 1, flagsOf(system), owed);
    const cursor = table.entries();
    expect(next(cursor)).toBe(0x200);
    table.split(0x200, owed);
    expect(next(cursor)).toBe(0x400);
  });

  it('may split a leaf ahead, or collapse pages into one', () => {
    const system = makeSystem(x86Long4);
    const { owed, table } = system;
    const flags = flagsOf(system);
    table.map(1, 1, flags, owed);
    table.map(0x200, 0x200, flags, owed, 512);
    table.mapRange({ vpn: 0x400, pfn: 0x400, pages: 512, pageSize: 1, flags }, owed);
    const cursor = table.entries();
    expect(next(cursor)).toBe(1);
    table.split(0x200, owed);
    expect([next(cursor), next(cursor)]).toEqual([0x200, 0x201]);
    table.collapse(0x400, 512, owed);
    for (let vpn = 0x202; vpn < 0x400; vpn++) expect(next(cursor)).toBe(vpn);
    expect([next(cursor), cursor.pages, next(cursor)]).toEqual([0x400, 512, -1]);
  });

  it('may collapse pages of which it has seen some: the leaf is there for the rest', () => {
    const system = makeSystem(x86Long4);
    const { owed, table } = system;
    const flags = flagsOf(system);
    table.mapRange({ vpn: 0x200, pfn: 0x200, pages: 512, pageSize: 1, flags }, owed);
    const cursor = table.entries();
    expect([next(cursor), next(cursor)]).toEqual([0x200, 0x201]);
    table.collapse(0x200, 512, owed);
    expect([next(cursor), cursor.pages, next(cursor)]).toEqual([0x200, 512, -1]);
  });

  it('may make groups of pages under it, and split them', () => {
    const system = makeSystem(sv39);
    const { owed, table } = system;
    const flags = flagsOf(system);
    table.mapRange({ vpn: 0x200, pfn: 0x200, pages: 64, pageSize: 1, flags }, owed);
    const cursor = table.entries();
    for (let vpn = 0x200; vpn < 0x204; vpn++) expect(next(cursor)).toBe(vpn);
    table.collapse(0x200, 16, owed);
    table.collapse(0x210, 16, owed);
    expect([next(cursor), cursor.pages]).toEqual([0x200, 16]);
    expect([next(cursor), cursor.pages]).toEqual([0x210, 16]);
    table.split(0x210, owed);
    expect([next(cursor), cursor.pages]).toEqual([0x220, 1]);
  });

  it('may destroy everything', () => {
    const { owed, table } = withPages([1, 2, 3]);
    const [entries, tables] = [table.entries(), table.tablePages()];
    expect([entries.advance(), tables.advance()]).toEqual([true, true]);
    table.destroy(owed);
    owed.complete();
    expect([entries.advance(), tables.advance()]).toEqual([false, false]);
    expectError(() => table.entries(), 'bad-argument', 'this');
    expectError(() => table.tablePages(), 'bad-argument', 'this');
  });

  it('change nothing of what is neither edited nor passed: property', () => {
    const page = fc
      .nat({ max: 40 })
      .map((i) => [0, 510, 1030, 2 ** 20, 2 ** 52 - 9][i % 5]! + (i >> 3));
    const edit = fc.record({ kind: fc.constantFrom('map', 'unmap', 'swap', 'range'), page });
    const step = fc.array(edit, { maxLength: 4 });
    fc.assert(
      fc.property(
        fc.array(page, { maxLength: 30 }),
        fc.array(step, { maxLength: 30 }),
        (pages, steps) => {
          const system = makeSystem(x86Long4, { pages: 128 });
          const { owed, table } = system;
          const model = new Set<number>();
          const apply = (kind: string, vpn: number): void => {
            if (kind === 'range') {
              table.unmapRange({ vpn, pages: 3 }, owed);
              for (let i = 0; i < 3; i++) model.delete(vpn + i);
            } else if (kind === 'unmap') {
              table.unmap(vpn, owed);
              model.delete(vpn);
            } else if (!model.has(vpn)) {
              if (kind === 'map') table.map(vpn, 7, flagsOf(system), owed);
              else table.setSwap(vpn, { type: 1, offset: 1 }, owed);
              model.add(vpn);
            }
            owed.complete();
          };
          for (const vpn of pages) apply('map', vpn);
          const cursor = table.entries();
          let position = 0;
          for (const edits of [...steps, ...Array.from({ length: 60 }, () => [])]) {
            const ahead = [...model].filter((vpn) => vpn >= position).sort((a, b) => a - b);
            if (ahead.length === 0) {
              expect(cursor.advance()).toBe(false);
              break;
            }
            expect([cursor.advance(), cursor.vpn]).toEqual([true, ahead[0]]);
            position = cursor.vpn + 1;
            for (const { kind, page: vpn } of edits) apply(kind, vpn);
          }
          table.checkInvariants();
        },
      ),
      { numRuns: 200 },
    );
  });
});

describe('table pages', () => {
  it.each([x86Legacy, x86Pae, x86Long4, sv39, eptLong4, aarch64()])(
    'come in the order of their addresses, each before those below it ($name)',
    (format) => {
      const system = makeSystem(format);
      const { owed, table } = system;
      const { vpns } = farPages(table);
      for (const vpn of [...vpns].reverse()) table.map(vpn, 7, flagsOf(system), owed);
      const tables = [...table.tablePages()];
      expect(tables[0]).toMatchObject({ kind: 'table', pfn: table.root, level: format.levels - 1 });
      const places = tables.map(({ level, vpn }) => vpn - level / 8);
      expect(places).toEqual([...places].sort((a, b) => a - b));
      expect(new Set(tables.map(({ pfn }) => pfn)).size).toBe(tables.length);
      const byLevel = table.statistics().tables;
      expect(byLevel.map((_, level) => tables.filter((t) => t.level === level).length)).toEqual(
        byLevel,
      );
      for (const { level, pfn, vpn } of tables) {
        const path = table.describe(BigInt(vpn) << BigInt(format.pageShift)).path;
        expect(path.some((at) => at.table === pfn && at.entry.level === level)).toBe(true);
      }
    },
  );

  it('are those on the way to the first page, and all after it', () => {
    const { table } = withPages([1, 600, 2 ** 30]);
    const found = (from: number) =>
      [...table.tablePages({ from })].map(({ level, vpn }) => [level, vpn]);
    expect(found(700)).toEqual([
      [3, 0],
      [2, 0],
      [1, 0],
      [0, 512],
      [2, 2 ** 27 * 8],
      [1, 2 ** 30],
      [0, 2 ** 30],
    ]);
    expect(found(2 ** 31)).toEqual([[3, 0]]);
    expect([...table.tablePages({ end: 1 })].map(({ level }) => level)).toEqual([3, 2, 1, 0]);
  });

  it('survive edits: each is seen once, and new ones ahead are', () => {
    const system = withPages([1, 600, 1200]);
    const { owed, table } = system;
    const seen: (readonly number[])[] = [];
    for (const cursor = table.tablePages(); cursor.advance(); ) {
      seen.push([cursor.level, cursor.vpn]);
      // With the first table of pages at hand, the second goes and another comes.
      if (cursor.level !== 0 || cursor.vpn !== 0) continue;
      table.unmap(600, owed);
      table.map(2000, 7, flagsOf(system), owed);
      table.map(3, 7, flagsOf(system), owed);
      table.protect(1, RU, owed);
      owed.complete();
    }
    expect(seen).toEqual([
      [3, 0],
      [2, 0],
      [1, 0],
      [0, 0],
      [0, 1024],
      [0, 1536],
    ]);
  });

  it('may go as they are visited', () => {
    const { owed, table } = withPages([1, 600, 1200, 2 ** 30]);
    const seen: number[] = [];
    for (const cursor = table.tablePages(); cursor.advance(); ) {
      if (cursor.level > 0) continue;
      seen.push(cursor.vpn);
      table.unmapRange({ vpn: cursor.vpn, pages: 512 }, owed);
      owed.complete();
    }
    expect(seen).toEqual([0, 512, 1024, 2 ** 30]);
    expect([...table.tablePages()]).toHaveLength(1);
  });
});
