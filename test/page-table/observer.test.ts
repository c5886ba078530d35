import type { VmEvent } from 'pagewright/core';
import { PhysicalMemory } from 'pagewright/memory';
import { type Invalidation, PageTable } from 'pagewright/page-table';
import { aarch64, sv39, x86Long4 } from 'pagewright/pte';
import { describe, expect, it } from 'vitest';
import { expectError } from '../core/errors.js';
import { contentsOf, FORMATS, firstPage, makeSystem, RU, RW, RWU, type System } from './system.js';

interface Watched extends System {
  readonly events: VmEvent[];
}

function watched(format = x86Long4): Watched {
  const events: VmEvent[] = [];
  return { ...makeSystem(format, { observer: (event) => events.push(event) }), events };
}

const flagsOf = ({ table }: System) => table.flags({ prot: RWU });

/** What an operation tells. */
function eventsOf({ events }: Watched, operation: () => unknown): readonly VmEvent[] {
  events.length = 0;
  operation();
  return [...events];
}

const types = (events: readonly VmEvent[]): readonly string[] => events.map(({ type }) => type);

describe('an observer', () => {
  it('is told of every change, in the order in which memory sees it', () => {
    const system = watched();
    const { owed, table } = system;
    const first = eventsOf(system, () => table.map(0x1234, 0x99, flagsOf(system), owed));
    // Tables, from the lowest up; nothing points at them before they are complete, and the root's entry comes last.
    expect(first.map((event) => [event.type, 'level' in event ? event.level : null])).toEqual([
      ['table-allocate', 0],
      ['table-allocate', 1],
      ['entry-change', 1],
      ['table-allocate', 2],
      ['entry-change', 2],
      ['entry-change', 0],
      ['entry-change', 3],
    ]);
    const leaf = first[5]!;
    expect(leaf).toMatchObject({
      tablePfn: table.describe(0x123_4000n).path[3]!.table,
      index: 0x34,
      oldLow: 0,
      oldHigh: 0,
      low: 0x9_9067,
      high: -0x8000_0000,
    });
  });

  it('is told what is owed after the entries changed, and of tables that go after the last pointer to them', () => {
    const system = watched();
    const { owed, table } = system;
    table.map(0x1234, 0x99, flagsOf(system), owed);
    const gone = eventsOf(system, () => table.unmap(0x1234, owed));
    expect(types(gone)).toEqual([
      'entry-change',
      'invalidation-owed',
      ...Array.from({ length: 3 }, () => [
        'entry-change',
        'invalidation-owed',
        'table-release',
      ]).flat(),
    ]);
    expect(gone[1]).toMatchObject({ vpn: 0x1234, pages: 1, intermediate: false });
    expect(gone[3]).toMatchObject({ vpn: 0x1200, pages: 512, intermediate: true });
    const released = gone.flatMap((event) =>
      event.type === 'table-release' ? [event.tablePfn] : [],
    );
    expect(released).toEqual(owed.released());
  });

  it('counts events from 0, without a gap', () => {
    const system = watched();
    const { events, owed, table } = system;
    table.mapRange({ vpn: 0x100, pfn: 0, pages: 0x300, flags: flagsOf(system) }, owed);
    table.protectRange({ vpn: 0x180, pages: 0x100, prot: RU }, owed);
    table.unmapRange({ vpn: 0, pages: 0x1000 }, owed);
    expect(events.length).toBeGreaterThan(500);
    expect(events.map(({ step }) => step)).toEqual(events.map((_, i) => i));
  });

  it('hears nothing of operations that change nothing', () => {
    const system = watched();
    const { owed, table } = system;
    table.map(5, 6, flagsOf(system), owed);
    const events = eventsOf(system, () => {
      table.lookup(5);
      table.describe(0x5000n);
      table.unmap(6, owed);
      table.protect(5, RWU, owed);
      table.testAccessed(5);
      table.split(5, owed);
      table.collapse(0, 512, owed);
      table.statistics();
      [...table.entries()];
      table.checkInvariants();
      owed.complete();
    });
    expect(events).toEqual([]);
  });

  it('hears of break-before-make: the break at once, the making when everything is invalidated', () => {
    const system = watched(aarch64());
    const { owed, table } = system;
    table.map(0x200, 0x400, flagsOf(system), owed, 512);
    const broken = eventsOf(system, () => table.remap(0x200, 0x600, owed));
    expect(types(broken)).toEqual(['entry-change', 'invalidation-owed']);
    expect(broken[0]).toMatchObject({ oldLow: 0x40_0f41, low: 0x40_0f40 });
    const made = eventsOf(system, () => owed.complete());
    expect(types(made)).toEqual(['entry-change']);
    expect(made[0]).toMatchObject({ oldLow: 0x40_0f40, low: 0x60_0f41 });
  });

  it('hears of everything that is torn down', () => {
    const system = watched(sv39);
    const { owed, table } = system;
    table.map(5, 6, flagsOf(system), owed);
    const tables = [...table.tablePages()].map(({ pfn }) => pfn);
    const events = eventsOf(system, () => table.destroy(owed));
    const gone = events.flatMap((e) => (e.type === 'table-release' ? [e.tablePfn] : []));
    expect([...gone].sort()).toEqual([...tables].sort());
  });

  it('of a copy is its own', () => {
    const system = watched();
    const { owed, table } = system;
    table.map(5, 6, flagsOf(system), owed);
    const copied: VmEvent[] = [];
    const events = eventsOf(system, () =>
      table.clone({ observer: (event) => copied.push(event) }, owed),
    );
    // The original tells of the right to write that it loses.
    expect(types(events)).toEqual(['entry-change', 'invalidation-owed']);
    expect(types(copied).filter((type) => type === 'table-allocate')).toHaveLength(3);
    expect(copied.map(({ step }) => step)).toEqual(copied.map((_, i) => i));
  });

  it('is a function or null', () => {
    const { frames, memory } = makeSystem(x86Long4);
    const options = { format: x86Long4, memory, frames };
    for (const observer of [5, {}, 'x']) {
      const bad = observer as unknown as () => void; // what the compiler would refuse
      expectError(() => new PageTable({ ...options, observer: bad }), 'bad-argument', 'observer');
    }
    expect(new PageTable({ ...options, observer: null }).root).toBeGreaterThan(0);
  });
});

/** What a program of operations gave, and what each of them owed. */
interface Outcome {
  readonly results: readonly unknown[];
  readonly owed: readonly (readonly Invalidation[])[];
}

/** Operations of every kind, in an order in which each has something to do. */
function program({ owed, table }: System): Outcome {
  const { format } = table;
  const start = firstPage(format);
  const flags = table.flags({ prot: RWU });
  const { pages } = table.sizes.find(({ entries, level }) => level === 1 && entries === 1)!;
  const results: unknown[] = [];
  const records: (readonly Invalidation[])[] = [];
  const run = (operation: () => unknown): void => {
    results.push(operation(), owed.released(), table.statistics());
    records.push(owed.invalidations());
    results.push(table.lookup(start + 5), table.lookup(start + pages + 5), { ...table.found });
    owed.complete();
  };
  run(() => table.map(start + 5, 9, flags, owed));
  run(() => table.map(start + 6, 10, flags, owed));
  run(() => table.mapRange({ vpn: start + 16, pfn: 16, pages: 2 * pages, flags }, owed));
  run(() => table.protect(start + 5, RU, owed));
  run(() => table.protect(start + pages + 5, RU, owed));
  run(() => table.protectRange({ vpn: start + 17, pages: pages, prot: RW }, owed));
  run(() => table.setAccessed(start + 5, false, owed));
  run(() => table.setDirty(start + 5, false, owed));
  run(() => table.testAndClearDirty(start + pages + 5, owed));
  run(() => table.remap(start + 6, 11, owed));
  run(() => table.clone({}, owed)?.statistics());
  run(() => table.clone({ isShared: (vpn) => vpn % 2 === 0 }, owed)?.statistics());
  run(() => table.unmap(start + 6, owed));
  run(() => table.unmap(start + 5, owed));
  run(() => table.unmapRange({ vpn: start, pages: pages + 7 }, owed));
  run(() => table.mapRange({ vpn: start + 4 * pages, pfn: 0, pages, flags, pageSize: 1 }, owed));
  run(() => table.collapse(start + 4 * pages, pages, owed));
  run(() => table.split(start + 4 * pages, owed));
  run(() => table.unmapRange({ vpn: start, pages: 8 * pages }, owed));
  return { results, owed: records };
}

/** Whether everything that one list of records has is in another: loops over flat RAM round up to whole stretches. */
function covers(more: readonly Invalidation[], less: readonly Invalidation[]): boolean {
  return less.every((one) =>
    more.some(
      (other) =>
        other.context === one.context &&
        other.vpn <= one.vpn &&
        other.vpn + other.pages >= one.vpn + one.pages &&
        (other.global || !one.global) &&
        (other.intermediate || !one.intermediate),
    ),
  );
}

function expectAlike(complete: System, fast: System): void {
  const [all, quick] = [program(complete), program(fast)];
  expect(all.results).toEqual(quick.results);
  expect(contentsOf(complete.memory)).toBe(contentsOf(fast.memory));
  expect(complete.frames.snapshot()).toEqual(fast.frames.snapshot());
  expect(all.owed.map((records, i) => covers(quick.owed[i]!, records))).toEqual(
    all.owed.map(() => true),
  );
  fast.table.checkInvariants();
  complete.table.checkInvariants();
}

describe('the complete form, in which everything is done while somebody watches', () => {
  it.each(FORMATS)('makes the same tables as the fast one, and owes the same ($name)', (format) => {
    expectAlike(makeSystem(format, { observer: () => {} }), makeSystem(format));
  });

  it.each([x86Long4, sv39, aarch64()])('is that of shared memory as well ($name)', (format) => {
    expectAlike(makeSystem(format, { shared: true }), makeSystem(format));
  });

  it.each([x86Long4, sv39, aarch64()])('is that of sparse memory as well ($name)', (format) => {
    const memory = new PhysicalMemory();
    memory.addSparse({ base: 0, bytes: 256 * 4096 });
    expectAlike(makeSystem(format, { memory }), makeSystem(format));
  });
});
