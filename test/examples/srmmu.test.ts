import fc from 'fast-check';
import { Access, formatProt, Prot, type VmEvent } from 'pagewright/core';
import { FramePool, PhysicalMemory } from 'pagewright/memory';
import { Invalidations, PageTable } from 'pagewright/page-table';
import { walkerLookup } from 'pagewright/textbook';
import { formatWalk, mappings, mergedMappings } from 'pagewright/walk';
import { describe, expect, it } from 'vitest';
import { srmmu } from '../../examples/srmmu/format.js';
import { SrmmuWalker } from '../../examples/srmmu/walker.js';
import { errorOf } from '../core/errors.js';

// That an architecture is one file for its entries and one for its walk, made of what the package exports.

const ROOT = 0x1400;

/** A pointer at a table; its address is a multiple of 64. */
const pointer = (level: number, table: number): bigint =>
  srmmu.build({
    kind: 'pointer',
    level,
    pfn: Math.floor(table / 4096),
    fields: { PTP: (table % 4096) / 64 },
  });

/** A root at 0x1400, a table at 0x1900 and one at 0x2b00 below its first entry; a page of each size. */
function machine(memory = PhysicalMemory.allocate(0x4000, { base: 0 })): SrmmuWalker {
  memory.write(ROOT, 4, pointer(2, 0x1900));
  memory.write(
    ROOT + 4,
    4,
    srmmu.build({ kind: 'leaf', level: 2, pfn: 0x5000, fields: { ACC: 7 } }),
  );
  memory.write(0x1900, 4, pointer(1, 0x2b00));
  memory.write(0x1904, 4, srmmu.build({ kind: 'leaf', level: 1, pfn: 0x40, fields: { ACC: 2 } }));
  memory.write(0x2b00 + 4 * 5, 4, srmmu.build({ kind: 'leaf', pfn: 0x77, fields: { ACC: 1 } }));
  memory.write(0x2b00 + 4 * 6, 4, 0x7803); // ET = 3
  return new SrmmuWalker({ memory, root: ROOT });
}

describe('an architecture of two files', () => {
  it('walks, updates and faults', () => {
    const walker = machine();
    const { memory } = walker;
    expect(walker.probe(5, Access.Write | Access.User)).toBe(0x77);
    expect(memory.read32(2, 0xb14)).toBe(0x7706);
    expect(walker.walk(5, Access.Read | Access.User)).toBe(0x77);
    expect(memory.read32(2, 0xb14)).toBe(0x7726);
    expect(walker.walk(5, Access.Read | Access.ReadModifyWrite)).toBe(0x77);
    expect(memory.read32(2, 0xb14)).toBe(0x7766);
    expect(walker.leafLevel).toBe(0);
    expect(walker.walk(0x4a, Access.Fetch)).toBe(0x4a);
    expect(walker.leafLevel).toBe(1);
    expect(walker.walk(0x1abc, Access.Write)).toBe(0x5abc);
    expect(walker.leafLevel).toBe(2);
    const reasons = [
      [0x1000, Access.User, 'supervisor-page'],
      [0x4a, Access.Write, 'not-writable'],
      [5, Access.Fetch, 'not-executable'],
      [7, Access.Read, 'not-present'],
      [6, Access.Read, 'reserved-bits'],
      [2 ** 20, Access.Read, 'non-canonical'],
    ] as const;
    for (const [vpn, access, reason] of reasons) {
      expect(walker.walk(vpn, access)).toBeLessThan(0);
      expect(walker.fault.reason).toBe(reason);
    }
    walker.checkInvariants();
    expect(errorOf(() => walker.walk(1, Access.Hlvx)).details.argument).toBe('access');
  });

  it('explains itself, to people and to drawings', () => {
    const walker = machine();
    const text = formatWalk(walker.explain(0x5123, Access.Write | Access.User));
    expect(text.split('\n')).toEqual(
      [
        'user write at 0x5123 (srmmu, root 0x1400)',
        '  level 2 [  0] @0x1400 = 0x191    pointer to 0x1000, rwxu so far',
        '  level 1 [  0] @0x1900 = 0x2b1    pointer to 0x2000, rwxu so far',
        '  level 0 [  5] @0x2b14 = 0x7706   leaf at 0x77000, rw-u, sets R M',
        '  physical address 0x77123, in a 4 KiB page',
      ].map((line) => expect.stringContaining(line.trim().split(/ {2,}/)[0]!)),
    );
    const { references } = walkerLookup(walker).lookup(0x5123);
    expect(references).toBe(3);
    const seen: VmEvent['type'][] = [];
    walker.observer = (event) => seen.push(event.type);
    walker.walk(0x40, Access.Read);
    expect(seen).toEqual(['walk-begin', 'entry-read', 'entry-read', 'entry-write', 'walk-end']);
  });

  it('enumerates tables that are smaller than a page', () => {
    const walker = machine();
    const leaves = [...mappings(walker)];
    expect(leaves.map(({ entry, pa, pages, va }) => [va, pa, pages, entry])).toEqual([
      [0x5000n, 0x77000n, 1, 0x2b14n],
      [0x40000n, 0x40000n, 64, 0x1904n],
      [0x1000000n, 0x5000000n, 4096, 0x1404n],
    ]);
    const { ranges } = mergedMappings(walker);
    expect(ranges.map(({ pageBytes, prot, va }) => [va, pageBytes, formatProt(prot)])).toEqual([
      [0x5000n, 4096, 'rw-u'],
      [0x40000n, 2 ** 18, 'r-xu'],
      [0x1000000n, 2 ** 24, 'rwx-'],
    ]);
  });

  it('keeps tables apart that lie in one frame', () => {
    const walker = machine();
    walker.memory.write(ROOT + 8, 4, pointer(2, 0x1a00));
    walker.memory.write(0x1a00, 4, srmmu.build({ kind: 'leaf', level: 1, pfn: 0x80 }));
    const starts = [0x5000n, 0x40000n, 0x1000000n, 0x2000000n];
    expect([...mappings(walker)].map(({ va }) => va)).toEqual(starts);
    expect(mergedMappings(walker).ranges.map(({ va }) => va)).toEqual(starts);
  });

  it('has page tables that an operating system builds, each in a frame of its own', () => {
    const memory = PhysicalMemory.allocate(0x8000, { base: 0 });
    const frames = new FramePool({ first: 1, frames: 7 });
    const owed = new Invalidations({ frames });
    const table = new PageTable({ format: srmmu, memory, frames });
    const flags = table.flags({ prot: Prot.Write, dirty: false, fields: { C: 1 } });
    table.mapRange({ vpn: 0x3f, pfn: 0x103f, pages: 1 + 64 + 4096, flags }, owed);
    table.protect(0x40, Prot.Execute, owed);
    const walker = new SrmmuWalker({ memory, root: table.root * 4096 });
    expect(walker.walk(0x3f, Access.Write | Access.User)).toBe(0x103f);
    expect(table.testDirty(0x3f)).toBe(1);
    const leaves = mergedMappings(walker).ranges.slice(0, 2);
    expect(leaves.map(({ pageBytes, prot }) => [pageBytes, formatProt(prot)])).toEqual([
      [4096, 'rw-u'],
      [2 ** 18, 'r-xu'],
    ]);
    table.checkInvariants();
    table.destroy(owed);
    owed.complete();
    expect(frames.free).toBe(7);
  });

  it('ends on any tables, and changes nothing but R and M', () => {
    fc.assert(
      fc.property(
        fc.uint32Array({ minLength: 256, maxLength: 256 }),
        fc.array(fc.tuple(fc.nat(2 ** 20), fc.constantFrom(0, 1, 2, 4, 5, 6))),
        (words, questions) => {
          const memory = PhysicalMemory.allocate(0x4000, { base: 0 });
          const before = new Uint32Array(0x1000);
          for (let at = 0; at < before.length; at++) {
            // Frames near the tables.
            before[at] = (words[(at * 7) % 256]! ^ (at * 0x9e3779b1)) & 0x3ff;
            memory.write32(0, 4 * at, before[at]!);
          }
          const walker = new SrmmuWalker({ memory, root: ROOT });
          for (const [vpn, access] of questions) {
            const asked = walker.probe(vpn, access);
            expect(walker.walk(vpn, access)).toBe(asked);
          }
          for (let at = 0; at < before.length; at++) {
            expect((memory.read32(0, 4 * at) ^ before[at]!) & ~0x60).toBe(0);
          }
        },
      ),
      { numRuns: 20 },
    );
  });

  it('decodes every entry without loss', () => {
    for (let word = 0; word < 0x1000; word++) {
      for (const level of [0, 1, 2])
        expect(srmmu.encode(srmmu.decode(word, level))).toBe(BigInt(word));
    }
  });
});
