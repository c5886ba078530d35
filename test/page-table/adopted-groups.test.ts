import { Prot } from 'pagewright/core';
import { PageTable } from 'pagewright/page-table';
import { aarch64, type PteFormat, sv39 } from 'pagewright/pte';
import { beforeEach, describe, expect, it } from 'vitest';
import { entryOf, foundEntry, makeSystem, RU, RWU, type System } from './system.js';

/** An entry says that it belongs to a group, and the others do not: a guest's mistake. */
interface Mistake {
  readonly name: string;
  readonly format: PteFormat;
  /** Base pages of each entry, and the pages in whose midst the entry is. */
  readonly unit: number;
  readonly vpn: number;
  /** What marks it as one of a group, and the frame that hardware then reads in it. */
  readonly mark: (raw: bigint) => bigint;
  readonly frame: number;
}

const CONTIGUOUS = 1n << 52n;
const NAPOT = 1n << 63n;
const granule4k = aarch64({ granule: 4096 });

const MISTAKES: readonly Mistake[] = [
  {
    name: 'a contiguous page among others',
    format: granule4k,
    unit: 1,
    vpn: 0x23,
    mark: (raw) => raw | CONTIGUOUS,
    frame: 0x8023,
  },
  {
    name: 'a contiguous block among others',
    format: granule4k,
    unit: 512,
    vpn: 3 * 512,
    mark: (raw) => raw | CONTIGUOUS,
    frame: 0x8000 + 3 * 512,
  },
  {
    name: 'a contiguous block that would be the first of its group',
    format: granule4k,
    unit: 512,
    vpn: 16 * 512,
    mark: (raw) => raw | CONTIGUOUS,
    frame: 0x8000 + 16 * 512,
  },
  {
    name: 'a NAPOT page among others',
    format: sv39,
    unit: 1,
    vpn: 0x23,
    // The frame's low bits give the size, so that the page number's count instead.
    mark: (raw) => (raw & ~0x3c00n) | 0x2000n | NAPOT,
    frame: 0x8023,
  },
];

describe.each(MISTAKES)('$name ($format.name)', ({ format, frame, mark, unit, vpn }) => {
  let system: System;
  let guest: PageTable;
  /** The page's neighbours. */
  const around = [vpn - unit, vpn + unit];

  beforeEach(() => {
    const made = makeSystem(format, { pages: 512 });
    const { frames, memory, owed, table } = made;
    const flags = table.flags({ prot: RWU });
    table.mapRange(
      { vpn: vpn - unit, pfn: 0x8000 + vpn - unit, pages: 3 * unit, flags, pageSize: unit },
      owed,
    );
    const { entry, index, table: frameOfTable } = table.describe(BigInt(vpn) << 12n).path.at(-1)!;
    memory.write(frameOfTable * 4096 + 8 * index, 8, mark(entry.raw));
    owed.complete();
    guest = new PageTable({ format, memory, frames, root: table.root, releaseTables: true });
    system = { ...made, table: guest };
  });

  it('stands alone, and is read as hardware reads it', () => {
    expect([...guest.entries()].map((entry) => [entry.vpn, entry.pages, entry.pfn])).toEqual(
      [vpn - unit, vpn, vpn + unit].map((page) => [page, unit, 0x8000 + page]),
    );
    expect(guest.lookup(vpn + unit - 1)).toBe(frame + unit - 1);
    expect(guest.found).toMatchObject({ vpn, pages: unit });
  });

  it('is changed alone', () => {
    const { owed } = system;
    const before = around.map((page) => entryOf(system, page));
    expect(guest.protect(vpn, RU, owed)).toBe(frame);
    expect(guest.setDirty(vpn, false, owed)).toBe(1);
    expect(guest.unmap(vpn, owed)).toBe(frame);
    expect(foundEntry(guest)).not.toBe(0n);
    expect(around.map((page) => entryOf(system, page))).toEqual(before);
    for (const record of owed.invalidations()) expect(record).toMatchObject({ vpn, pages: unit });
  });

  it('is released alone, by ranges and by destroy', () => {
    const { owed } = system;
    guest.unmapRange({ vpn, pages: unit, release: true }, owed);
    expect(owed.released()).toEqual([frame]);
    guest.unmapRange({ vpn: vpn - unit, pages: unit, release: true }, owed);
    expect(owed.released()).toEqual([frame, frame - unit]);
    guest.destroy(owed, { release: true });
    expect(owed.released().filter((pfn) => pfn >= 0x8000)).toEqual([
      frame,
      frame - unit,
      frame + unit,
    ]);
  });

  it('is copied alone', () => {
    const { owed } = system;
    const child = guest.clone({ isShared: (page) => page === vpn }, owed)!;
    for (const table of [guest, child]) {
      const rights = [...table.entries()].map(({ prot }) => prot & Prot.Write);
      expect(rights).toEqual([0, Prot.Write, 0]);
    }
  });
});
