import fc from 'fast-check';
import { Access } from 'pagewright/core';
import { PhysicalMemory } from 'pagewright/memory';
import { X86Walker } from 'pagewright/walk';
import { describe, expect, it } from 'vitest';

/** A stretch of bits, the highest first; empty when the first is below the second. */
type Bits = readonly [number, number];

/** What the SDM's tables of chapter 4 say of one kind of entry. */
interface Row {
  readonly entry: string;
  readonly cr4: number;
  readonly efer: number;
  /** The pages of the tables above the entry's, and the bits of pointers in them. */
  readonly above: readonly number[];
  /** The entry without the bit under test: present, and PS where it maps a large page. */
  readonly bits: bigint;
  readonly bytes: 4 | 8;
  /** Reserved bits beside XD, by MAXPHYADDR. */
  readonly reserved: (maxPhyAddr: number) => readonly Bits[];
  /** Bits that lead to another table or another kind of entry, and say nothing here. */
  readonly skip: readonly number[];
}

const PAE = 0x20;
const LA57 = 0x1000;
const PSE = 0x10;
const LONG = 0x500;
const PAGE = [7];
const ROOT = 0x1000;

const long = (
  entry: string,
  depth: number,
  bits: bigint,
  low: readonly Bits[],
  skip: readonly number[] = [],
): Row => ({
  entry,
  cr4: entry.startsWith('5-level') ? PAE | LA57 : PAE,
  efer: LONG,
  above: Array.from({ length: depth }, (_, i) => i),
  bits,
  bytes: 8,
  reserved: (max) => [[51, max], ...low],
  skip,
});

const pae = (
  entry: string,
  depth: number,
  bits: bigint,
  low: readonly Bits[],
  skip = PAGE,
): Row => ({
  ...long(entry, depth, bits, low, skip),
  cr4: PAE,
  efer: 0,
  reserved: (max) => [[62, max], ...low],
});

const PS = 0x80n;
const ROWS: readonly Row[] = [
  long('5-level PML5E (table 4-14)', 0, 1n, [[7, 7]]),
  long('5-level PML4E (table 4-15)', 1, 1n, [[7, 7]]),
  long('4-level PML4E (table 4-15)', 0, 1n, [[7, 7]]),
  long('4-level PDPTE of a 1 GiB page (table 4-16)', 1, 1n | PS, [[29, 13]], PAGE),
  long('4-level PDPTE of a directory (table 4-17)', 1, 1n, [], PAGE),
  long('4-level PDE of a 2 MiB page (table 4-18)', 2, 1n | PS, [[20, 13]], PAGE),
  long('4-level PDE of a table (table 4-19)', 2, 1n, [], PAGE),
  long('4-level PTE (table 4-20)', 3, 1n, []),
  pae('PAE PDE of a 2 MiB page (table 4-9)', 0, 1n | PS, [[20, 13]]),
  pae('PAE PDE of a table (table 4-10)', 0, 1n, []),
  pae('PAE PTE (table 4-11)', 1, 1n, [], []),
  {
    entry: '32-bit PDE of a 4 MiB page (table 4-4)',
    cr4: PSE,
    efer: 0,
    above: [],
    bits: 1n | PS,
    bytes: 4,
    // M is MAXPHYADDR, but at most 40: bits (M-20):13 are bits (M-1):32 of the address.
    reserved: (max) => [[21, Math.min(max, 40) - 19]],
    skip: PAGE,
  },
  {
    entry: '32-bit PDE of a table (table 4-5)',
    cr4: PSE,
    efer: 0,
    above: [],
    bits: 1n,
    bytes: 4,
    reserved: () => [],
    skip: PAGE,
  },
  {
    entry: '32-bit PTE (table 4-6)',
    cr4: PSE,
    efer: 0,
    above: [0],
    bits: 1n,
    bytes: 4,
    reserved: () => [],
    skip: [],
  },
];

/** Whether a walk finds a reserved bit in an entry of this kind with one more bit set. */
function findsReserved(row: Row, bit: number, maxPhyAddr: number, nxe: boolean): boolean {
  const memory = PhysicalMemory.allocate(0x8000, { base: 0 });
  const table = ROOT + 0x1000 * row.above.length;
  for (const depth of row.above) {
    memory.write(ROOT + 0x1000 * depth, row.bytes, BigInt(ROOT + 0x1000 * (depth + 1)) | 1n);
  }
  memory.write(table, row.bytes, row.bits | (1n << BigInt(bit)));
  const efer = row.efer | (nxe ? 0x800 : 0);
  const registers = { cr3: ROOT, cr4: row.cr4, efer };
  const pdptes = [ROOT | 1, 0, 0, 0];
  const walker = new X86Walker({ memory, ...registers, maxPhyAddr, pdptes });
  const result = walker.walk(0, Access.Read);
  return result < 0 && walker.fault.vector === 14 && (walker.fault.errorCode & 8) !== 0;
}

function isReserved(row: Row, bit: number, maxPhyAddr: number, nxe: boolean): boolean {
  if (bit === 63) return !nxe;
  return row.reserved(maxPhyAddr).some(([high, low]) => bit <= high && bit >= low);
}

describe('which bits are reserved follows the SDM at every MAXPHYADDR', () => {
  it.each(ROWS.map((row) => [row.entry, row] as const))('%s', (_, row) => {
    const bit = fc
      .integer({ min: 0, max: 8 * row.bytes - 1 })
      .filter((at) => !row.skip.includes(at));
    const maxPhyAddr = fc.integer({ min: 32, max: 52 });
    fc.assert(
      fc.property(bit, maxPhyAddr, fc.boolean(), (at, max, nxe) => {
        expect(findsReserved(row, at, max, nxe)).toBe(isReserved(row, at, max, nxe));
      }),
      { numRuns: 500 },
    );
  });

  it('reserves bits 21:13 of a 4 MiB page without PSE-36, at any MAXPHYADDR', () => {
    for (let bit = 13; bit < 22; bit++) {
      const memory = PhysicalMemory.allocate(0x2000, { base: 0 });
      memory.write32(1, 0, 0x81 | (1 << bit));
      const machine = { memory, cr3: ROOT, cr4: PSE, efer: 0, maxPhyAddr: 52, pse36: false };
      const walker = new X86Walker(machine);
      expect(walker.walk(0, Access.Read)).toBeLessThan(0);
      expect(walker.fault.errorCode).toBe(9);
    }
  });

  it('reserves PS of a PDPTE without 1 GiB pages', () => {
    const memory = PhysicalMemory.allocate(0x3000, { base: 0 });
    memory.write32(1, 0, 0x2001);
    memory.write32(2, 0, 0x81);
    const walker = new X86Walker({ memory, cr3: ROOT, gigabytePages: false });
    expect(walker.walk(0, Access.Read)).toBeLessThan(0);
    expect(walker.fault.errorCode).toBe(9);
  });
});
