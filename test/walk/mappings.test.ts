import fc from 'fast-check';
import { Access, formatProt, vpnFromAddress } from 'pagewright/core';
import { PhysicalMemory } from 'pagewright/memory';
import { sv32, sv39, sv48, x86Legacy, x86Long4, x86Pae } from 'pagewright/pte';
import { LeafCursor, mappings, type RadixWalker, RiscvWalker, X86Walker } from 'pagewright/walk';
import { describe, expect, it, test } from 'vitest';
import { expectError } from '../core/errors.js';
import { MODES, Tables } from './build-tables.js';
import { FIRST, randomTables, writeTables } from './random-tables.js';

const ram = (frames: number, base = 0): PhysicalMemory =>
  PhysicalMemory.allocate(frames * 4096, { base });

/** [first address, first frame, pages] of every leaf. */
const list = (walker: RadixWalker): (readonly [bigint, number, number])[] =>
  [...mappings(walker)].map((leaf) => [leaf.va, Number(leaf.pa >> 12n), leaf.pages]);

describe.each(MODES)('the leaves of $name', ({ format, leafLevels, walker }) => {
  const end = format.signExtended ? 2n ** 64n : 2n ** BigInt(format.virtualBits);
  const half = 2n ** BigInt(format.virtualBits - 1);
  /** The upper half begins here: sign-extended, or just the middle. */
  const upper = end - half;

  it('come in the order of their addresses, with the upper half sign-extended', () => {
    const tables = new Tables(ram(40), format, 1);
    const vas = [end - 4096n, 0n, upper + 4096n, upper, half - 4096n, 0x5000n];
    vas.forEach((va, index) => {
      tables.map(va, 0x100 + index);
    });
    expect(list(walker(tables.memory, 1))).toEqual([
      [0n, 0x101, 1],
      [0x5000n, 0x105, 1],
      [half - 4096n, 0x104, 1],
      [upper, 0x103, 1],
      [upper + 4096n, 0x102, 1],
      [end - 4096n, 0x100, 1],
    ]);
  });

  it.each(leafLevels)(
    'of level %i are as large as the level says, up to the end of the space',
    (level) => {
      const tables = new Tables(ram(20), format, 1);
      const pages = format.levelPages[level]!;
      const last = end - BigInt(pages) * 4096n;
      tables.map(0n, 0, level);
      tables.map(last, pages, level);
      const machine = walker(tables.memory, 1);
      expect(list(machine)).toEqual([
        [0n, 0, pages],
        [last, pages, pages],
      ]);
      expect(machine.probe(vpnFromAddress(end - 1n), Access.Read)).toBe(2 * pages - 1);
    },
  );

  it('tell where their entries are and what these say', () => {
    const tables = new Tables(ram(20), format, 1);
    tables.map(0x7000n, 0x77);
    const entry = tables.entryOf(0x7000n, 0);
    const [leaf, ...others] = [...mappings(walker(tables.memory, 1))];
    expect(others).toEqual([]);
    expect(leaf).toMatchObject({
      type: 'mapping',
      va: 0x7000n,
      pa: 0x77000n,
      pages: 1,
      level: 0,
      prot: 15,
      entry,
      raw: tables.read(entry),
      pageBytes: 4096,
      global: false,
    });
    expect(JSON.parse(JSON.stringify(leaf))).toMatchObject({ va: '0x7000', pa: '0x77000' });
    expect(structuredClone(leaf)).toEqual({ ...leaf });
  });

  it('are the same in sparse memory and in flat memory', () => {
    fc.assert(
      fc.property(randomTables(format), (words) => {
        const sparse = new PhysicalMemory();
        sparse.addSparse({ base: 0, bytes: 0x10_0000 });
        const flat = ram(0x100);
        for (const memory of [sparse, flat]) writeTables(memory, format, words);
        const options = { visitLimit: 200 };
        const [one, two] = [sparse, flat].map((memory) => {
          const cursor = mappings(walker(memory, FIRST), options);
          return { leaves: [...cursor], visits: cursor.visits, stoppedAt: cursor.stoppedAt };
        });
        expect(one).toEqual(two);
      }),
      { numRuns: 40 },
    );
  });

  it('all translate to their frames, and whatever translates lies in a leaf', () => {
    let hits = 0;
    fc.assert(
      fc.property(
        randomTables(format),
        fc.array(fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }), {
          minLength: 8,
          maxLength: 8,
        }),
        (words, picks) => {
          const memory = ram(0x100);
          writeTables(memory, format, words);
          const machine = walker(memory, FIRST);
          const cursor = mappings(machine, { visitLimit: 100 });
          const leaves: (readonly [number, number])[] = [];
          let before = -1;
          while (cursor.advance()) {
            const { vpn, pages, pfn } = cursor;
            expect(vpn).toBeGreaterThan(before);
            before = vpn + pages - 1;
            leaves.push([vpn, before]);
            for (const into of [0, pages - 1, Math.floor(picks[0]! * pages)]) {
              expect(machine.probe(vpn + into, Access.Read)).toBe(pfn + into);
            }
            expect(machine.leafLevel).toBe(cursor.level);
            hits++;
          }
          const space = cursor.stoppedAtVpn < 0 ? 2 ** (format.virtualBits - 12) : 0;
          for (const pick of picks) {
            // Anywhere, and near what is mapped.
            const [first, last] = leaves[Math.floor(pick * leaves.length)] ?? [0, 0];
            for (const near of [Math.floor(pick * space), first - 1, last + 1]) {
              const vpn =
                format.signExtended && near >= space / 2 && near < space
                  ? near + 2 ** 52 - space
                  : near;
              if (vpn < 0 || vpn >= (format.signExtended ? 2 ** 52 : space)) continue;
              const found = leaves.some(([from, to]) => vpn >= from && vpn <= to);
              if (space > 0) expect(machine.probe(vpn, Access.Read) >= 0).toBe(found);
            }
          }
        },
      ),
      { numRuns: 100 },
    );
    expect(hits).toBeGreaterThan(100);
  });

  it('have the rights that a translation reports', () => {
    fc.assert(
      fc.property(randomTables(format), (words) => {
        const memory = ram(0x100);
        writeTables(memory, format, words);
        const machine = walker(memory, FIRST);
        let left = 20;
        for (const leaf of mappings(machine, { visitLimit: 50 })) {
          if (left-- === 0) break;
          const { prot, level, global, pageBytes } = leaf;
          const answer = machine.explain(leaf.va, Access.Read).outcome;
          expect(answer).toMatchObject({ kind: 'page', prot, level, global, pageBytes });
        }
      }),
      { numRuns: 40 },
    );
  });
});

describe('effective rights', () => {
  it('on x86 are those that all entries on the way leave', () => {
    const memory = ram(8);
    const put = (frame: number, slot: number, entry: bigint): void => {
      memory.write(frame * 4096 + slot * 8, 8, entry);
    };
    const xd = 1n << 63n;
    put(1, 0, 0x2007n); // everything
    put(1, 1, 0x2003n | xd); // no user, no fetches
    put(2, 0, 0x3005n); // no writes
    put(3, 0, 0x4007n);
    put(4, 0, 0x9007n);
    put(4, 1, 0xa003n); // no user
    put(4, 2, 0xb007n | xd);
    const walker = new X86Walker({ memory, cr3: 0x1000 });
    expect([...mappings(walker)].map((leaf) => [leaf.va, formatProt(leaf.prot)])).toEqual([
      [0x0n, 'r-xu'],
      [0x1000n, 'r-x-'],
      [0x2000n, 'r--u'],
      [0x80_0000_0000n, 'r---'],
      [0x80_0000_1000n, 'r---'],
      [0x80_0000_2000n, 'r---'],
    ]);
  });

  it('on RISC-V are those of the leaf', () => {
    const memory = ram(2);
    const entries = [0x3n, 0x7n, 0xbn, 0x9n, 0xfn, 0x1fn, 0x19n];
    entries.forEach((entry, slot) => {
      memory.write(0x1000 + 8 * slot, 8, entry);
    });
    const walker = new RiscvWalker({ memory, satp: (8n << 60n) | 1n });
    expect([...mappings(walker)].map((leaf) => formatProt(leaf.prot))).toEqual([
      'r---',
      'rw--',
      'r-x-',
      '--x-',
      'rwx-',
      'rwxu',
      '--xu',
    ]);
  });
});

describe('32-bit paging', () => {
  const tables = (entry: number): PhysicalMemory => {
    const memory = ram(0x100);
    memory.write(0x1000, 4, entry);
    return memory;
  };
  const make = (memory: PhysicalMemory, options: object = {}): X86Walker =>
    new X86Walker({ memory, cr0: 0x8001_0001, cr3: 0x1000, cr4: 0x10, efer: 0, ...options });

  it('reaches above 4 GiB with PSE-36', () => {
    const entry = x86Legacy.build({ kind: 'leaf', level: 1, pfn: 0xab_00400, fields: { RW: 1 } });
    const memory = tables(Number(entry));
    expect(list(make(memory))).toEqual([[0n, 0xab_00400, 1024]]);
    expect(list(make(memory, { pse36: false }))).toEqual([]);
    expect(list(make(memory, { maxPhyAddr: 39 }))).toEqual([]);
  });

  it('passes over a 4 MiB page with bit 21 set', () => {
    expect(list(make(tables(0x0020_0083)))).toEqual([]);
    expect(list(make(tables(0x0040_0083)))).toEqual([[0n, 0x400, 1024]]);
  });

  it('takes PS for nothing while CR4.PSE is 0', () => {
    const memory = tables(0x0000_2087);
    memory.write(0x2004, 4, 0x9007);
    expect(list(make(memory, { cr4: 0 }))).toEqual([[0x1000n, 9, 1]]);
  });
});

describe('PAE paging', () => {
  it('goes through the four PDPTE registers and passes over those that are not present', () => {
    const tables = new Tables(ram(20), x86Pae, 1);
    tables.map(0x4000_0000n, 0x11);
    tables.map(0xffff_f000n, 0x22);
    tables.map(0xffe0_0000n - 0x20_0000n, 0x400, 1);
    const options = { cr0: 0x8001_0001, cr3: 0x1000, cr4: 0x20, efer: 0 };
    const walker = new X86Walker({ memory: tables.memory, ...options });
    expect(list(walker)).toEqual([
      [0x4000_0000n, 0x11, 1],
      [0xffc0_0000n, 0x400, 512],
      [0xffff_f000n, 0x22, 1],
    ]);
    // The registers count, not the memory that they were loaded from.
    tables.write(0x1000n + 24n, 0n);
    expect(list(walker)).toHaveLength(3);
    expect(walker.loadCr3(0x1000).kind).toBe('written');
    expect(list(walker)).toEqual([[0x4000_0000n, 0x11, 1]]);
    const none = new X86Walker({ memory: tables.memory, ...options, pdptes: [0, 0, 0, 0] });
    expect(list(none)).toEqual([]);
    expect(none.probe(0, Access.Read)).toBeLessThan(0);
  });
});

describe('RISC-V NAPOT groups', () => {
  it('are sixteen leaves, each with its own frame and the size of the group', () => {
    const tables = new Tables(ram(8), sv39, 1);
    const fields = { R: 1, N: 1, A: 1 };
    for (let page = 0n; page < 16n; page++) tables.map(0x10000n + page * 4096n, 0x5550, 0, fields);
    const walker = new RiscvWalker({ memory: tables.memory, satp: (8n << 60n) | 1n });
    const leaves = [...mappings(walker)];
    expect(leaves.map((leaf) => Number(leaf.pa >> 12n))).toEqual(
      Array.from({ length: 16 }, (_, page) => 0x5550 + page),
    );
    expect(leaves.every((leaf) => leaf.pages === 1 && leaf.pageBytes === 0x10000)).toBe(true);
    expect(leaves.every((leaf) => leaf.riscv?.napot === true)).toBe(true);
    const without = new RiscvWalker({
      memory: tables.memory,
      satp: (8n << 60n) | 1n,
      svnapot: false,
    });
    expect(list(without)).toEqual([]);
  });
});

describe('entries that fault every access are passed over', () => {
  const leaf = 0xcfn; // RISC-V: V R W X A D
  test.each([
    ['R=0 W=1', (0x10n << 10n) | 0x5n, 0],
    ['a reserved bit', (1n << 54n) | leaf, 0],
    ['bit 60 without Svrsw60t59b', (1n << 60n) | leaf, 0],
    ['PBMT=3', (3n << 61n) | leaf, 0],
    ['a bad NAPOT code', (1n << 63n) | (4n << 10n) | leaf, 0],
    ['NAPOT above level 0', (1n << 63n) | (0x200n << 10n) | leaf, 1],
    ['a misaligned 2 MiB page', (1n << 10n) | leaf, 1],
    ['a misaligned 1 GiB page', (0x200n << 10n) | leaf, 2],
    ['a pointer at level 0', (1n << 10n) | 1n, 0],
    ['a pointer with A', (1n << 10n) | 0x41n, 1],
    ['a pointer with U', (1n << 10n) | 0x11n, 1],
    ['a pointer with PBMT', (1n << 61n) | (1n << 10n) | 1n, 1],
    ['a pointer outside memory', (0x9999n << 10n) | 1n, 1],
    ['not valid', leaf & ~1n, 0],
  ])('RISC-V: %s', (_, entry, level) => {
    const tables = new Tables(ram(8), sv39, 1);
    tables.put(0x4000_0000n, level, entry);
    tables.map(0x8000_0000n, 0x42);
    const walker = new RiscvWalker({
      memory: tables.memory,
      satp: (8n << 60n) | 1n,
      pbmte: true,
      adue: true,
    });
    expect(list(walker)).toEqual([[0x8000_0000n, 0x42, 1]]);
    expect(walker.probe(0x40000, Access.Read)).toBeLessThan(0);
  });

  test.each([
    ['XD without NXE', (1n << 63n) | 0x9007n, 0],
    ['bits from MAXPHYADDR up', (1n << 40n) | 0x9007n, 0],
    ['a misaligned 2 MiB page', 0x0000_2087n, 1],
    ['a misaligned 1 GiB page', 0x0020_0087n, 2],
    ['PS in a PML4E', 0x0000_0087n, 3],
    ['a pointer outside memory', 0x999_9007n, 1],
    ['not present', 0x9006n, 0],
  ])('x86: %s', (_, entry, level) => {
    const tables = new Tables(ram(8), x86Long4, 1);
    const va = 0x80_0000_0000n;
    tables.put(va, level, entry);
    tables.map(0x100_0000_0000n, 0x42);
    const walker = new X86Walker({
      memory: tables.memory,
      cr3: 0x1000,
      efer: 0x500,
      maxPhyAddr: 40,
    });
    expect(list(walker)).toEqual([[0x100_0000_0000n, 0x42, 1]]);
    expect(walker.probe(vpnFromAddress(va), Access.Read)).toBeLessThan(0);
  });

  it('but A=0 and D=0 are no reason to pass over a leaf, nor is an execute-only page', () => {
    const tables = new Tables(ram(8), sv39, 1);
    tables.map(0n, 1, 0, { R: 1 });
    tables.map(0x1000n, 2, 0, { X: 1 });
    tables.map(0x2000n, 3, 0, { X: 1, U: 1 });
    const walker = new RiscvWalker({ memory: tables.memory, satp: (8n << 60n) | 1n });
    expect(list(walker).map(([va]) => va)).toEqual([0n, 0x1000n, 0x2000n]);
  });

  it('and so is a root outside memory', () => {
    const memory = ram(1);
    expect(list(new RiscvWalker({ memory, satp: (8n << 60n) | 77n }))).toEqual([]);
    expect(list(new RiscvWalker({ memory, xlen: 32, satp: (1n << 31n) | 77n }))).toEqual([]);
    expect(list(new X86Walker({ memory, cr3: 0x77000 }))).toEqual([]);
  });
});

describe('without translation', () => {
  it('there are no leaves', () => {
    const memory = ram(4);
    memory.write(0, 8, 0xcfn);
    for (const walker of [
      new RiscvWalker({ memory }),
      new RiscvWalker({ memory, xlen: 32 }),
      new X86Walker({ memory, cr0: 1 }),
    ]) {
      const cursor = mappings(walker);
      expect(cursor.advance()).toBe(false);
      expect(cursor.visits).toBe(0);
      expect(cursor.stoppedAt).toBeNull();
    }
  });
});

describe('the visit limit', () => {
  /** A top-level table whose last entry names the table itself, and one page far below. */
  const recursive = (): X86Walker => {
    const tables = new Tables(ram(8), x86Long4, 1);
    tables.map(0n, 0x42);
    tables.write(0x1000n + 8n * 511n, 0x1003n);
    return new X86Walker({ memory: tables.memory, cr3: 0x1000 });
  };

  it('leaves a self-reference alone when it is wide enough', () => {
    const cursor = mappings(recursive());
    const leaves = [...cursor];
    // The tables themselves appear as pages: the page table, the directory, the PDPT and the PML4 (twice over), ...
    expect(leaves[0]?.va).toBe(0n);
    expect(leaves.at(-1)).toMatchObject({ va: 0xffff_ffff_ffff_f000n, pa: 0x1000n });
    expect(cursor.stoppedAt).toBeNull();
    expect(new Set(leaves.map((leaf) => leaf.va)).size).toBe(leaves.length);
  });

  it('ends the enumeration and says at which address', () => {
    const whole = mappings(recursive());
    const leaves = [...whole];
    const { visits } = whole;
    for (let visitLimit = 0; visitLimit <= visits; visitLimit++) {
      const cursor = mappings(recursive(), { visitLimit });
      const some = [...cursor];
      expect(cursor.visits).toBe(visitLimit);
      expect(cursor.advance()).toBe(false);
      if (visitLimit === visits) {
        expect(cursor.stoppedAt).toBeNull();
        expect(some).toEqual(leaves);
      } else {
        // Everything below the address was listed, nothing from it on.
        const { stoppedAt } = cursor;
        expect(stoppedAt).not.toBeNull();
        expect(some).toEqual(leaves.filter((leaf) => leaf.va < (stoppedAt ?? 0n)));
      }
    }
  });

  it('bounds 512^4 paths', () => {
    const memory = ram(2);
    for (let slot = 0; slot < 512; slot++) memory.write(0x1000 + 8 * slot, 8, 0x1003n);
    const cursor = new LeafCursor(new X86Walker({ memory, cr3: 0x1000 }), { visitLimit: 1000 });
    let leaves = 0;
    while (cursor.advance()) leaves++;
    expect(cursor.visits).toBe(1000);
    // The table as PML4 and PDPT, twice as a directory, 996 times as a page table.
    expect(leaves).toBe(512 * (1000 - 4));
    expect(cursor.stoppedAt).toBe(BigInt(leaves) * 4096n);
  });

  it('stops before a PAE directory too', () => {
    const tables = new Tables(ram(8), x86Pae, 1);
    tables.map(0n, 0x42);
    tables.map(0xc000_0000n, 0x43);
    const walker = new X86Walker({
      memory: tables.memory,
      cr0: 0x8001_0001,
      cr3: 0x1000,
      cr4: 0x20,
      efer: 0,
    });
    const cursor = mappings(walker, { visitLimit: 2 });
    expect([...cursor].map((leaf) => leaf.va)).toEqual([0n]);
    expect(cursor.stoppedAt).toBe(0xc000_0000n);
  });

  it('is a non-negative integer', () => {
    const walker = recursive();
    expectError(() => mappings(walker, { visitLimit: -1 }), 'out-of-range', 'visitLimit');
    expectError(() => mappings(walker, { visitLimit: 1.5 }), 'bad-argument', 'visitLimit');
    expectError(() => mappings(walker, { visitLimit: Number.NaN }), 'bad-argument', 'visitLimit');
  });
});

describe('enumeration', () => {
  it('changes nothing in memory', () => {
    const tables = new Tables(ram(8), sv48, 1);
    tables.map(0n, 0x42, 0, { R: 1, W: 1 });
    const { memory } = tables;
    const before = memory.snapshot();
    const walker = new RiscvWalker({ memory, satp: (9n << 60n) | 1n, adue: true });
    expect(list(walker)).toHaveLength(1);
    expect(memory.snapshot()).toEqual(before);
  });

  it('reads tables while it moves', () => {
    const tables = new Tables(ram(8), sv32, 1);
    tables.map(0n, 0x42);
    const walker = new RiscvWalker({ memory: tables.memory, xlen: 32, satp: (1n << 31n) | 1n });
    const cursor = mappings(walker);
    expect(cursor.advance()).toBe(true);
    tables.map(0x3000n, 0x43);
    expect(cursor.advance()).toBe(true);
    expect([cursor.vpn, cursor.pfn, cursor.pages, cursor.level, cursor.prot]).toEqual([
      3, 0x43, 1, 0, 15,
    ]);
    expect(cursor.advance()).toBe(false);
    expect(cursor.advance()).toBe(false);
  });

  it('is not disturbed by an observer', () => {
    const tables = new Tables(ram(8), sv39, 1);
    tables.map(0n, 0x42);
    const walker = new RiscvWalker({ memory: tables.memory, satp: (8n << 60n) | 1n });
    const seen: string[] = [];
    walker.observer = (event) => seen.push(event.type);
    expect(list(walker)).toEqual([[0n, 0x42, 1]]);
    expect(seen).toEqual([]);
  });
});
