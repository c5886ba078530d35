import { addressFromVpn, highWord, lowWord } from 'pagewright/core';
import { PhysicalMemory } from 'pagewright/memory';
import type { PageTable } from 'pagewright/page-table';
import {
  aarch64,
  mappingOf,
  type PteFormat,
  sv32,
  sv39,
  x86Legacy,
  x86Long4,
} from 'pagewright/pte';
import { describe, expect, it } from 'vitest';
import { errorOf } from '../core/errors.js';
import { makeSystem, RU, RWU, type System } from './system.js';

/** Memory in which something happens right before an entry is replaced. */
class RacyMemory extends PhysicalMemory {
  /** Called before each compare-and-exchange, with its place. */
  before: ((pfn: number, offset: number) => void) | null = null;

  constructor() {
    super();
    // Not flat, so that entries are replaced by compare-and-exchange as on a SharedArrayBuffer.
    this.addSparse({ base: 0, bytes: 256 * 4096 });
  }

  override compareExchangeWords(
    pfn: number,
    offset: number,
    oldLow: number,
    oldHigh: number,
    low: number,
    high: number,
  ): number {
    this.before?.(pfn, offset);
    return super.compareExchangeWords(pfn, offset, oldLow, oldHigh, low, high);
  }

  override compareExchange32(pfn: number, offset: number, expected: number, value: number): number {
    this.before?.(pfn, offset);
    return super.compareExchange32(pfn, offset, expected, value);
  }
}

interface Racy extends System {
  readonly memory: RacyMemory;
}

const VPN = 0x400;

function makeRacy(format: PteFormat): Racy {
  const memory = new RacyMemory();
  return { ...makeSystem(format, { memory }), memory };
}

const cleanFlags = (table: PageTable) => table.flags({ prot: RWU, accessed: false, dirty: false });

/** Where a page's entry is. */
function placeOf(
  { table }: System,
  vpn: number,
): { readonly pfn: number; readonly offset: number } {
  const { entryBytes, pageShift } = table.format;
  const { index, table: pfn } = table.describe(addressFromVpn(vpn, 0, pageShift)).path.at(-1)!;
  return { pfn, offset: index * entryBytes };
}

/** What hardware does when it writes a page: the entry is marked as accessed and dirty. */
function writePage(
  { memory, table }: Racy,
  place: { readonly pfn: number; readonly offset: number },
): void {
  const { pfn, offset } = place;
  const bits = mappingOf(table.format);
  const bytes = table.format.entryBytes === 8 ? 8 : 4;
  const found = memory.read(addressFromVpn(pfn, offset), bytes);
  if (found.kind !== 'value') throw new Error('no memory');
  const [low, high] = [lowWord(found.value), highWord(found.value)];
  const used = bits.dirtyLow(low | bits.accessed, high, true);
  memory.write(addressFromVpn(pfn, offset), 4, used >>> 0);
}

/** Runs an operation; when it is about to replace an entry, hardware has just written a page by another one. */
function race(system: Racy, at: number, marked: number, operation: () => unknown): unknown {
  const { memory } = system;
  const [replaced, place] = [placeOf(system, at), placeOf(system, marked)];
  let late = 0;
  memory.before = (pfn, offset) => {
    if (late > 0 || pfn !== replaced.pfn || offset !== replaced.offset) return;
    late++;
    writePage(system, place);
  };
  const result = operation();
  memory.before = null;
  expect(late).toBe(1);
  return result;
}

describe.each([x86Legacy, x86Long4, sv32, sv39, aarch64()])(
  'a bit that hardware sets in $name just before the entry is replaced',
  (format) => {
    const bits = mappingOf(format);
    const withPage = (): Racy => {
      const system = makeRacy(format);
      system.table.map(VPN, 0x55, cleanFlags(system.table), system.owed);
      return system;
    };
    const state = ({ table }: System, vpn = VPN): readonly number[] => [
      table.testAccessed(vpn),
      table.testDirty(vpn),
    ];
    const foundState = ({ table: { found } }: System): readonly boolean[] => [
      bits.isAccessed(found.low),
      bits.isDirty(found.low, found.high),
    ];

    it.each<readonly [string, (system: Racy) => unknown]>([
      ['protect', ({ owed, table }) => table.protect(VPN, RU, owed)],
      [
        'protectRange',
        ({ owed, table }) => table.protectRange({ vpn: VPN, pages: 4, prot: RU }, owed),
      ],
      ['remap', ({ owed, table }) => table.remap(VPN, 0x66, owed)],
      ['copy-on-write', ({ owed, table }) => table.clone({}, owed)],
    ])('stays after %s', (_, operate) => {
      const system = withPage();
      race(system, VPN, VPN, () => operate(system));
      system.owed.complete();
      expect(state(system)).toEqual([1, 1]);
      system.table.checkInvariants();
    });

    it.each<readonly [string, (system: Racy) => unknown]>([
      ['unmap', ({ owed, table }) => table.unmap(VPN, owed)],
      ['setSwap', ({ owed, table }) => table.setSwap(VPN, { type: 1, offset: 1 }, owed)],
      [
        'remap with other flags',
        ({ owed, table }) => table.remap(VPN, 0x66, owed, cleanFlags(table)),
      ],
    ])('is told by %s', (_, operate) => {
      const system = withPage();
      expect(race(system, VPN, VPN, () => operate(system))).toBe(0x55);
      expect(foundState(system)).toEqual([true, true]);
      system.table.checkInvariants();
    });

    it('is told by the operation that clears it, and the other one stays', () => {
      const first = withPage();
      // The accessed bit is set already, so that there is something to clear.
      first.table.setAccessed(VPN, true, first.owed);
      expect(race(first, VPN, VPN, () => first.table.testAndClearAccessed(VPN, first.owed))).toBe(
        1,
      );
      expect(state(first)).toEqual([0, 1]);
      const second = withPage();
      second.table.setDirty(VPN, true, second.owed);
      expect(race(second, VPN, VPN, () => second.table.testAndClearDirty(VPN, second.owed))).toBe(
        1,
      );
      expect(state(second)).toEqual([1, 0]);
    });

    it('is in a copy as well', () => {
      const system = withPage();
      let copy: PageTable | null = null;
      race(system, VPN, VPN, () => {
        copy = system.table.clone({}, system.owed);
      });
      expect(state({ ...system, table: copy! })).toEqual([1, 1]);
    });

    it('of a large page is in all of its pieces', () => {
      const system = makeRacy(format);
      const { owed, table } = system;
      const { pages } = table.sizes.find(({ level }) => level === 1)!;
      table.map(2 * pages, 0, cleanFlags(table), owed, pages);
      race(system, 2 * pages, 2 * pages, () => table.split(2 * pages, owed));
      owed.complete();
      for (const page of [0, 1, pages - 1]) expect(state(system, 2 * pages + page)).toEqual([1, 1]);
      table.checkInvariants();
    });

    it('of a piece is in the page that is collapsed, even until everything is invalidated', () => {
      for (const late of [false, true]) {
        const system = makeRacy(format);
        const { owed, table } = system;
        const { pages } = table.sizes.find(({ level }) => level === 1)!;
        const range = { vpn: 2 * pages, pfn: 0, pages, pageSize: 1, flags: cleanFlags(table) };
        table.mapRange(range, owed);
        owed.complete();
        const place = placeOf(system, 2 * pages + 7);
        let collapsed = false;
        system.memory.before = () => {
          if (!late && !collapsed) writePage(system, place);
          collapsed = true;
        };
        expect(table.collapse(2 * pages, pages, owed)).toBe(0);
        expect(collapsed).toBe(true);
        // A walk cache may still know the table.
        if (late) writePage(system, place);
        owed.complete();
        expect(state(system, 2 * pages)).toEqual([1, 1]);
        table.checkInvariants();
      }
    });
  },
);

describe.each([sv39, aarch64()])(
  'a bit that hardware sets in an entry of a group of $name',
  (format) => {
    const withGroup = (): Racy => {
      const system = makeRacy(format);
      system.table.map(VPN, 0x80, cleanFlags(system.table), system.owed, 16);
      return system;
    };

    it.each([0, 7, 15])('is in every page once it is split (entry %i)', (marked) => {
      for (const replaced of [0, 7, 15]) {
        if (replaced > marked) continue; // that entry is no group's any more
        const system = withGroup();
        race(system, VPN + replaced, VPN + marked, () => system.table.split(VPN, system.owed));
        system.owed.complete();
        for (let page = 0; page < 16; page++) {
          expect([page, system.table.testDirty(VPN + page)]).toEqual([page, 1]);
        }
        system.table.checkInvariants();
      }
    });

    it('is told by unmap', () => {
      const system = withGroup();
      race(system, VPN + 3, VPN + 12, () => system.table.unmap(VPN, system.owed));
      const { high, low } = system.table.found;
      expect(mappingOf(format).isDirty(low, high)).toBe(true);
    });

    it('stays when pages become a group', () => {
      const system = makeRacy(format);
      const { owed, table } = system;
      const range = { vpn: VPN, pfn: 0x80, pages: 16, pageSize: 1, flags: cleanFlags(table) };
      table.mapRange(range, owed);
      owed.complete();
      race(system, VPN + 3, VPN + 12, () => table.collapse(VPN, 16, owed));
      owed.complete();
      expect(table.testDirty(VPN)).toBe(1);
      table.checkInvariants();
    });
  },
);

describe('an entry that never stops changing', () => {
  it('ends in an error, and not in a loop without end', () => {
    const system = makeRacy(x86Long4);
    const { memory, owed, table } = system;
    table.map(VPN, 0x55, cleanFlags(table), owed);
    const { offset, pfn } = placeOf(system, VPN);
    let turn = 0;
    // Somebody flips a software bit, each time before we come.
    memory.before = () =>
      void memory.write32(pfn, offset, 0x5_5007 | (turn++ % 2 === 0 ? 0x200 : 0));
    const error = errorOf(() => table.protect(VPN, RU, owed));
    expect([error.code, error.details.argument, error.details.value]).toEqual([
      'contended',
      'table',
      pfn,
    ]);
    memory.before = null;
    expect(table.lookup(VPN)).toBe(0x55);
    table.checkInvariants();
  });
});
