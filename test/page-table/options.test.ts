import { VmError } from 'pagewright/core';
import { FramePool, PhysicalMemory } from 'pagewright/memory';
import { Invalidations, type PageRange, PageTable } from 'pagewright/page-table';
import { sv39 } from 'pagewright/pte';
import { describe, expect, it } from 'vitest';
import { errorOf } from '../core/errors.js';

const memory = PhysicalMemory.allocate(16 * 4096, { base: 0 });
const frames = new FramePool({ first: 0, frames: 16 });
const owed = new Invalidations({ frames });
const table = new PageTable({ format: sv39, memory, frames });
const owner = new PageTable({ format: sv39, memory, frames });

/** What a caller without types may hand over. */
const NOTHING = [null, undefined, 7, 'range'] as readonly unknown[] as readonly PageRange[];

describe('a caller without types', () => {
  it.each([
    ['share', (range: PageRange) => table.share(owner, range, owed)],
    ['unshare', (range: PageRange) => table.unshare(range, owed)],
    ['freeEmptyTables', (range: PageRange) => table.freeEmptyTables(range, owed)],
  ])('is told that %s needs a range', (_, call) => {
    for (const range of NOTHING) {
      const error = errorOf(() => call(range));
      expect(error).toBeInstanceOf(VmError);
      expect([error.code, error.details.argument]).toEqual(['bad-argument', 'range']);
    }
  });

  it('is told that destroy has no such option, and nothing is destroyed', () => {
    const misspelt: { release?: boolean } = JSON.parse('{"relase":true}');
    expect(errorOf(() => table.destroy(owed, misspelt)).details.argument).toBe('relase');
    expect(table.isDestroyed).toBe(false);
  });

  it('may hand a foreign range over as the pages to give back', () => {
    table.share(owner, { vpn: 2 ** 18, pages: 2 ** 18 }, owed);
    const [range] = table.foreignRanges;
    expect(table.unshare(range!, owed)).toBe(1);
  });
});
