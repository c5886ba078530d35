import { Access, Prot, VmError } from 'pagewright/core';
import { PhysicalMemory } from 'pagewright/memory';
import { definePteFormat, linearFormat } from 'pagewright/pte';
import {
  BaseAndLimit,
  HashedTable,
  InvertedTable,
  LinearTable,
  type Lookup,
  SegmentTable,
  tableCost,
  walkerLookup,
} from 'pagewright/textbook';
import { AArch64Walker, FormatWalker } from 'pagewright/walk';
import { describe, expect, it } from 'vitest';
import { errorOf, expectError } from '../core/errors.js';

/** What callers without types may give in place of an object. */
const NOTHING = [undefined, null, 7, 'x', []] as const;

describe('options that are none, or misspelt', () => {
  const linear = { virtualBits: 16, pageBytes: 4096, entryBytes: 2, valid: 15 } as const;
  const layout = { virtualBits: 32, pageBytes: 4096, ranges: [] };

  it.each<[string, (options: never) => unknown]>([
    ['linearFormat', (options) => linearFormat(options)],
    ['BaseAndLimit', (options) => new BaseAndLimit(options)],
    ['SegmentTable', (options) => new SegmentTable(options)],
    ['LinearTable', (options) => new LinearTable(options)],
    ['HashedTable', (options) => new HashedTable(options)],
    ['InvertedTable', (options) => new InvertedTable(options)],
    ['tableCost', (options) => tableCost(options, { kind: 'linear', entryBytes: 4 })],
    ['tableCost, organisation', (options) => tableCost(layout, options)],
    ['walkerLookup', (options) => walkerLookup(options)],
  ])('are a VmError: %s', (_, make) => {
    for (const value of NOTHING)
      expect(errorOf(() => make(value as never)).code).toBe('bad-argument');
    const wrong = { spelling: 1 };
    expect(errorOf(() => make(wrong as never)).code).toBe('bad-argument');
  });

  it('are named', () => {
    const misspelt = { ...linear, frame: [14, 0], valdi: 3 } as const;
    expectError(() => linearFormat(misspelt), 'bad-argument', 'valdi');
    const size = { pageBytes: 4096, pages: 4, page: 1 };
    expectError(() => new LinearTable(size), 'bad-argument', 'page');
    const segment = { base: 1, limit: 1, port: 3 };
    const path = 'segments[0].port';
    expectError(() => new SegmentTable({ segments: [segment] }), 'bad-argument', path);
    const radix = { kind: 'radix', entryBytes: 4, indexBits: [10, 10], leaflevel: 1 } as const;
    expectError(() => tableCost(layout, radix), 'bad-argument', 'organisation.leaflevel');
    const range = { page: 1, pages: 1, size: 1 };
    const ranges = (): unknown =>
      tableCost({ ...layout, ranges: [range] }, { kind: 'linear', entryBytes: 4 });
    expectError(ranges, 'bad-argument', 'ranges.size');
  });

  it.each<[string, object, string]>([
    ['no frame', {}, 'frame'],
    ['a frame that is no run', { frame: 'high' }, 'frame'],
    ['a valid bit in the frame', { frame: [15, 0] }, 'frame'],
    ['a valid bit outside', { frame: [14, 0], valid: 16 }, 'valid'],
    ['no valid bit', { frame: [14, 0], valid: undefined }, 'valid'],
    ['entries of another size', { frame: [14, 0], entryBytes: 3 }, 'entryBytes'],
    ['entries without size', { frame: [14, 0], entryBytes: Number.NaN }, 'entryBytes'],
    ['one page', { frame: [14, 0], virtualBits: 12 }, 'virtualBits'],
    ['pages of another size', { frame: [14, 0], pageBytes: 100 }, 'pageBytes'],
    ['no name', { frame: [14, 0], name: '' }, 'name'],
  ])('of a linear format are called as the caller calls them: %s', (_, change, argument) => {
    const options = { ...linear, ...change };
    expect(errorOf(() => linearFormat(options as never)).details.argument).toBe(argument);
  });

  it('say that a frame may be one bit or several', () => {
    const { message } = errorOf(() => linearFormat({ ...linear, frame: [14] as never }));
    expect(message).toBe('frame: expected a bit, or a highest and a lowest bit (got [14])');
  });
});

describe('numbers out of range', () => {
  it('are refused by linear and inverted tables', () => {
    const linear = new LinearTable({ pageBytes: 4096, pages: 4 });
    expectError(() => linear.map(4, 1), 'out-of-range', 'page');
    expectError(() => linear.map(-1, 1), 'out-of-range', 'page');
    expectError(() => linear.map(1, -1), 'out-of-range', 'frame');
    const inverted = new InvertedTable({ pageBytes: 4096, frames: 4 });
    expectError(() => inverted.insert(-1, 1, 1), 'out-of-range', 'process');
    expectError(() => inverted.insert(1, -1, 1), 'out-of-range', 'page');
    const set = (process: unknown) => () => Object.assign(inverted, { process });
    expectError(set('7'), 'bad-argument', 'process');
    expectError(set(Number.NaN), 'bad-argument', 'process');
    expect(inverted.process).toBe(0);
  });

  it('are refused by segments, in whole numbers', () => {
    const make = (base: number, limit: number) => () =>
      new SegmentTable({ segments: [{ base, limit }] });
    expect(make(2 ** 52 - 1, 2 ** 52 - 1)().segments).toHaveLength(1);
    const message = 'expected an integer from 0 to 0xfffffffffffff (got 4503599627370496)';
    expect(errorOf(make(2 ** 52, 1)).message).toBe(`segments[0].base: ${message}`);
    expect(errorOf(make(1, 2 ** 52)).message).toBe(`segments[0].limit: ${message}`);
  });
});

describe('a read-modify-write', () => {
  it('is a store to a segment too', () => {
    const segments = [Prot.Read, Prot.Write, Prot.Read | Prot.Write].map((prot) => ({
      ...{ base: 0, limit: 8, prot },
    }));
    const table = new SegmentTable({ segments });
    const asked = (segment: number, access: number): string =>
      table.lookupIn(segment, 1, access).kind;
    const modify = Access.Read | Access.ReadModifyWrite;
    expect([0, 1, 2].map((segment) => asked(segment, modify))).toEqual(['fault', 'found', 'found']);
    expect([0, 1, 2].map((segment) => asked(segment, Access.Read))).toEqual([
      ...['found', 'fault', 'found'],
    ]);
  });
});

describe('a walk that finds no page', () => {
  const format = definePteFormat({
    name: 'by rights',
    pageBytes: 64,
    entryBytes: 2,
    levels: [{ bits: 2, huge: true }, { bits: 2 }],
    bits: { valid: 0, read: 1, write: 2, leaf: 'rights', frame: [15, 8] },
    reserved: [4],
  });

  /** The lookup of address 0 under a root with this entry, whose table is the root. */
  function lookupOf(entry: number): Lookup {
    const memory = PhysicalMemory.allocate(4096, { base: 0 });
    memory.write(0, 2, entry);
    return walkerLookup(new FormatWalker({ memory, format, root: 0 })).lookup(0);
  }

  it.each([
    ['nothing is valid', 0x0000, 'not-present'],
    ['a reserved bit is set', 0x0013, 'not-present'],
    ['a huge page is misaligned', 0x0103, 'not-present'],
    ['the last entry is a pointer', 0x0001, 'not-present'],
    ['the table is no memory', 0xff01, 'not-present'],
    ['it may not be read', 0x0005, 'protection'],
  ])('is absent or protected as its entries say: %s', (_, entry, reason) => {
    expect(lookupOf(entry)).toMatchObject({ kind: 'fault', reason });
  });

  it('beyond the addresses of the machine is past a limit', () => {
    const memory = PhysicalMemory.allocate(0x2000, { base: 0 });
    // T0SZ = 25: 39 bits; IPS = 0: physical addresses of 32 bits, and the table is above.
    const walker = new AArch64Walker({ memory, tcr: 25, ttbr0: 0x1000, sctlr: 1 });
    memory.write(0x1000, 8, 0x2_0000_0003n);
    expect(walker.translate(0, Access.Read)).toMatchObject({ reason: 'address-size' });
    expect(walkerLookup(walker).lookup(0)).toMatchObject({ kind: 'fault', reason: 'limit' });
  });
});

describe('an address beyond all page numbers', () => {
  it('is named as the caller has it', () => {
    const memory = PhysicalMemory.allocate(4096, { base: 0 });
    const format = linearFormat({
      ...{ virtualBits: 8, pageBytes: 16 },
      entryBytes: 1,
      valid: 7,
      frame: [6, 0],
    });
    const walker = new FormatWalker({ memory, format, root: 0 });
    for (const door of ['translate', 'explain'] as const) {
      expectError(() => walker[door](2n ** 58n, Access.Read), 'out-of-range', 'va');
      expect(() => walker[door](2n ** 57n - 1n, Access.Read)).not.toThrow(VmError);
    }
  });
});
