import { FramePool } from 'pagewright/memory';
import { aarch64, sv39, x86Long4 } from 'pagewright/pte';
import { describe, expect, it } from 'vitest';
import { expectError } from '../core/errors.js';
import { contentsOf, FORMATS, firstPage, makeSystem, RWU, type System, stateOf } from './system.js';

const flagsOf = ({ table }: System) => table.flags({ prot: RWU });

function withPages(format = x86Long4): System {
  const system = makeSystem(format, { context: 5 });
  const { owed, table } = system;
  const start = firstPage(format);
  for (const vpn of [0, 1, 5000, 70000]) table.map(start + vpn, 7, flagsOf(system), owed);
  owed.complete();
  return system;
}

describe('destroy', () => {
  it.each(FORMATS)('gives all tables back once everything is invalidated ($name)', (format) => {
    const system = withPages(format);
    const { frames, memory, owed, table } = system;
    const tables = [...table.tablePages()].map(({ pfn }) => pfn);
    const before = contentsOf(memory);
    const { free } = frames;
    table.destroy(owed);
    // Until then hardware may be at them, so that nothing changes.
    expect(contentsOf(memory)).toBe(before);
    expect(frames.free).toBe(free);
    expect([...owed.released()].sort((a, b) => a - b)).toEqual([...tables].sort((a, b) => a - b));
    expect(owed.released()[0]).toBe(table.root);
    owed.complete();
    expect(frames.free).toBe(frames.frames);
    frames.checkInvariants();
  });

  it('owes the whole context, tables and global pages as well', () => {
    const { owed, table } = withPages();
    table.destroy(owed);
    expect(owed.invalidations()).toMatchObject([
      { vpn: 0, pages: 2 ** 53, stride: 0, context: 5, intermediate: true, global: true },
    ]);
  });

  it('leaves mapped frames alone, unless told to give them back', () => {
    const system = makeSystem(aarch64(), { pages: 2048 });
    const { frames, owed, table } = system;
    const place = (): void => {
      const flags = flagsOf(system);
      table.map(3, frames.allocateFrame(), flags, owed);
      table.map(0x10, frames.allocateBlock(4), flags, owed, 16);
      table.map(0x200, frames.allocateBlock(9), flags, owed, 512);
    };
    place();
    const copy = table.clone({ copyOnWrite: false }, owed)!;
    copy.destroy(owed);
    owed.complete();
    expect(frames.free).toBeLessThan(frames.frames - 529);
    table.destroy(owed, { release: true });
    expect(frames.free).toBeLessThan(frames.frames - 529);
    owed.complete();
    expect(frames.free).toBe(frames.frames);
    frames.checkInvariants();
  });

  it('is the end: nothing else is possible but to ask for that', () => {
    const system = withPages(sv39);
    const { owed, table } = system;
    table.destroy(owed);
    owed.complete();
    const after = stateOf(system);
    expect(table.isDestroyed).toBe(true);
    for (const operation of [
      () => table.map(5, 6, flagsOf(system), owed),
      () => table.unmap(0, owed),
      () => table.lookup(0),
      () => table.describe(0n),
      () => table.testDirty(0),
      () => table.protect(0, 1, owed),
      () => table.unmapRange({ vpn: 0, pages: 5 }, owed),
      () => table.clone({}, owed),
      () => table.snapshot(),
      () => table.entries(),
      () => table.tablePages(),
      () => table.swapAt(0),
      () => table.destroy(owed),
    ]) {
      expectError(operation, 'bad-argument', 'this');
    }
    table.checkInvariants();
    expect(stateOf(system)).toEqual(after);
  });

  it('takes the accumulator of its own source', () => {
    const system = withPages();
    const other = makeSystem(x86Long4, { frames: new FramePool({ first: 1, frames: 9 }) });
    expectError(() => system.table.destroy(other.owed), 'bad-argument', 'owed');
    expect(system.table.isDestroyed).toBe(false);
  });
});
