import { Access, addressFromVpn, Prot } from 'pagewright/core';
import { FramePool } from 'pagewright/memory';
import type { PageTable } from 'pagewright/page-table';
import { aarch64, definePteFormat, mappingOf, sv39, x86Long4 } from 'pagewright/pte';
import { X86Walker } from 'pagewright/walk';
import { describe, expect, it } from 'vitest';
import { expectError } from '../core/errors.js';
import {
  contentsOf,
  FORMATS,
  firstPage,
  makeSystem,
  RU,
  RW,
  RWU,
  type System,
  stateOf,
} from './system.js';

const flagsOf = ({ table }: System) => table.flags({ prot: RWU });

/** Leaves as `first page, first frame, pages, rights`. */
const leavesOf = (table: PageTable): readonly (readonly number[])[] =>
  [...table.entries()].map(({ pages, pfn, prot, vpn }) => [vpn, pfn, pages, prot]);

describe.each(FORMATS)('a copy with copy-on-write in $name', (format) => {
  const start = firstPage(format);
  const bits = mappingOf(format);
  const withPages = (): System => {
    const system = makeSystem(format, { context: 3, pages: 64 });
    const { owed, table } = system;
    table.map(start, 7, table.flags({ prot: RWU, dirty: true }), owed);
    table.map(start + 1, 8, table.flags({ prot: RWU, accessed: false, dirty: false }), owed);
    table.map(start + 2, 9, table.flags({ prot: Prot.Read | Prot.Execute }), owed);
    for (const size of table.sizes.filter(({ pages: count }) => count > 1 && count <= 8192)) {
      table.map(start + 4 * size.pages, 0, flagsOf(system), owed, size.pages);
    }
    owed.complete();
    return system;
  };

  it('leaves no page that may be written in either, and changes nothing else', () => {
    const system = withPages();
    const { owed, table } = system;
    const before = leavesOf(table);
    const expected = before.map(([vpn, pfn, pages, prot]) => [
      vpn,
      pfn,
      pages,
      prot! & ~Prot.Write,
    ]);
    const copy = table.clone({}, owed)!;
    expect(leavesOf(table)).toEqual(expected);
    expect(leavesOf(copy)).toEqual(expected);
    for (const one of [table, copy]) {
      const used = [0, 1, 2].map((page) => [
        one.testAccessed(start + page),
        one.testDirty(start + page),
      ]);
      expect(used).toEqual([
        [1, 1],
        [0, 0],
        [1, 0],
      ]);
      one.checkInvariants();
    }
    expect(copy.statistics()).toEqual(table.statistics());
  });

  it('has tables of its own', () => {
    const system = withPages();
    const { frames, owed, table } = system;
    const { free } = frames;
    const copy = table.clone({}, owed)!;
    const tables = (one: PageTable) => [...one.tablePages()].map(({ pfn }) => pfn);
    expect(tables(copy).filter((pfn) => tables(table).includes(pfn))).toEqual([]);
    expect(tables(copy)).toHaveLength(tables(table).length);
    const before = leavesOf(table);
    copy.protect(start, RWU, owed);
    copy.remap(start + 1, 0x33, owed);
    copy.unmap(start + 2, owed);
    expect(leavesOf(table)).toEqual(before);
    copy.destroy(owed);
    owed.complete();
    expect(frames.free).toBe(free);
    expect(leavesOf(table)).toEqual(before);
  });

  it('leaves pages alone that are shared, in all sizes', () => {
    const system = withPages();
    const { owed, table } = system;
    const asked: (readonly number[])[] = [];
    const before = leavesOf(table);
    const isShared = (vpn: number, pages: number): boolean => {
      asked.push([vpn, pages]);
      return vpn !== start;
    };
    const copy = table.clone({ isShared }, owed)!;
    const expected = before.map(([vpn, pfn, pages, prot]) => [
      vpn,
      pfn,
      pages,
      vpn === start ? prot! & ~Prot.Write : prot,
    ]);
    expect(leavesOf(copy)).toEqual(expected);
    expect(leavesOf(table)).toEqual(expected);
    // Of the whole leaf, whatever entries it has.
    const leaves = new Set(before.map(([vpn, , pages]) => `${vpn} ${pages}`));
    expect(asked.every(([vpn, pages]) => leaves.has(`${vpn} ${pages}`))).toBe(true);
    copy.checkInvariants();
    table.checkInvariants();
  });

  it('without copy-on-write is alike, and the original stays as it is', () => {
    const system = withPages();
    const { memory, owed, table } = system;
    const pfns = [...table.tablePages()].map(({ pfn }) => pfn * 2 ** (format.pageShift - 12));
    const before = contentsOf(memory, pfns);
    const copy = table.clone({ copyOnWrite: false }, owed)!;
    expect(contentsOf(memory, pfns)).toBe(before);
    expect(leavesOf(copy)).toEqual(leavesOf(table));
    expect(owed.isEmpty).toBe(true);
    expect((bits.granted(RWU) & Prot.Write) !== 0).toBe(true);
    copy.checkInvariants();
  });

  it.each([
    ['whole', {}],
    ['page by page', { isShared: () => true }],
    ['as it is', { copyOnWrite: false }],
  ])('copied %s has nothing of what its frames held before', (_, options) => {
    const system = withPages();
    const { memory, owed, table } = system;
    const unit = 2 ** (format.pageShift - 12);
    const tables = new Set([...table.tablePages()].map(({ pfn }) => pfn));
    // A root may take up to sixteen pages.
    for (let more = 1; more < 16; more++) tables.add(table.root + more);
    const rubbish = new Uint8Array(4096).fill(0xff);
    for (let pfn = 0; pfn < 64 * unit; pfn++) {
      if (!tables.has(Math.floor(pfn / unit))) memory.writeBytes(pfn, 0, rubbish);
    }
    const copy = table.clone(options, owed)!;
    expect(leavesOf(copy)).toEqual(leavesOf(table));
    copy.checkInvariants();
  });

  it('needs frames for all of its tables, or is none, and nothing changed', () => {
    const full = withPages();
    const tables = [...full.table.tablePages()].length;
    for (let spare = 0; spare < tables; spare++) {
      const system = withPages();
      while (system.frames.free > spare) {
        if (system.frames.allocateFrame() < 0) break;
      }
      const before = stateOf(system);
      if (system.frames.free > spare) continue; // frames that only a block can have
      expect(system.table.clone({}, system.owed)).toBeNull();
      expect(stateOf(system)).toEqual(before);
    }
  });
});

describe('a copy', () => {
  it('is another address space, if told', () => {
    const system = makeSystem(x86Long4, { context: 3 });
    const { owed, table } = system;
    table.map(5, 6, flagsOf(system), owed);
    const contexts = [table.clone({}, owed)!, table.clone({ context: 9 }, owed)!].map((copy) => {
      owed.complete();
      copy.unmap(5, owed);
      return owed.invalidations().map(({ context }) => context);
    });
    expect(contexts).toEqual([[3], [9]]);
  });

  it('does what the original does: its options are its own', () => {
    const system = makeSystem(aarch64(), { bbm: 2, physicalBits: 40, pageSizes: [1, 512] });
    const { owed, table } = system;
    table.map(0x200, 0x200, flagsOf(system), owed, 512);
    const copy = table.clone({}, owed)!;
    expect(copy.sizes).toEqual(table.sizes);
    copy.split(0x200, owed);
    expect(owed.steps().filter(({ kind }) => kind === 'break')).toEqual([]);
    expectError(() => copy.map(5, 2 ** 28, copy.flags({ prot: RU }), owed), 'out-of-range', 'pfn');
  });

  it('lets a fork be written: the walker faults, the writer copies, the other one keeps its page', () => {
    const system = makeSystem(x86Long4);
    const { memory, owed, table } = system;
    table.map(5, 0x80, flagsOf(system), owed);
    const child = table.clone({}, owed)!;
    owed.complete();
    const walk = (one: PageTable) =>
      new X86Walker({ memory, cr3: one.root * 4096 }).walk(5, Access.Write | Access.User);
    expect([walk(table) < 0, walk(child) < 0]).toEqual([true, true]);
    memory.copyPage(0x80, 0x81);
    child.remap(5, 0x81, owed, child.flags({ prot: RWU }));
    // Nobody else has the page now.
    table.protect(5, RWU, owed);
    owed.complete();
    expect([walk(table), walk(child)]).toEqual([0x80, 0x81]);
  });

  it('of a copy is like one of the original', () => {
    const system = makeSystem(sv39);
    const { owed, table } = system;
    table.mapRange({ vpn: 0x1f0, pfn: 0x1f0, pages: 0x300, flags: flagsOf(system) }, owed);
    const grandchild = table.clone({}, owed)!.clone({}, owed)!;
    expect(leavesOf(grandchild)).toEqual(leavesOf(table));
    grandchild.checkInvariants();
  });

  it('with copy-on-write needs leaves that can lose the right to write', () => {
    const format = definePteFormat({
      name: 'always writable',
      pageBytes: 4096,
      entryBytes: 4,
      levels: [{ bits: 10 }, { bits: 10 }],
      bits: { valid: 0, frame: [31, 12] },
    });
    const system = makeSystem(format, { frames: new FramePool({ first: 1, frames: 9 }) });
    const { owed, table } = system;
    table.map(5, 6, table.flags({ prot: RW }), owed);
    const before = stateOf(system);
    expectError(() => table.clone({}, owed), 'unsupported', 'format');
    expect(stateOf(system)).toEqual(before);
    const copy = table.clone({ copyOnWrite: false }, owed)!;
    expect(copy.describe(addressFromVpn(5)).prot & Prot.Write).toBe(Prot.Write);
  });
});
