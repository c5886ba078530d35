import fc from 'fast-check';
import type { PhysicalMemory } from 'pagewright/memory';
import type { PteFormat } from 'pagewright/pte';

/** Frames of the tables that {@link randomTables} fills; the first is the root. */
export const FIRST = 1;
const COUNT = 5;

/** One entry: the number of the table, the slot, the word. */
export type TableWord = readonly [number, number, bigint];

/** Tables that point at each other and at themselves, with leaves of every size and some garbage. */
export function randomTables(format: PteFormat): fc.Arbitrary<readonly TableWord[]> {
  const riscv = format.architecture === 'riscv';
  const shift = BigInt(format.frameShift);
  const table = fc.integer({ min: FIRST, max: FIRST + COUNT - 1 });
  const pointer = table.map((pfn) => (BigInt(pfn) << shift) | (riscv ? 1n : 0x27n));
  // A frame that may be aligned well enough for a page of some level.
  const frame = fc
    .tuple(fc.integer({ min: 1, max: 7 }), fc.constantFrom(0, 1, 4, 9, 10, 18, 27, 36))
    .map(([unit, alignment]) => BigInt(unit) << BigInt(alignment))
    .map((pfn) => BigInt.asUintN(format.frameBits, pfn));
  // Up to four neighbours, whose frames follow one another or are all the same.
  const leaves = fc
    .tuple(frame, fc.integer({ min: 0, max: 0x1ff }), fc.integer({ min: 1, max: 4 }), fc.boolean())
    .map(([pfn, flags, count, follow]) => {
      const bits = riscv ? BigInt(flags & 0xff) | 3n : BigInt(flags) | 1n;
      const step = follow ? pfn & -pfn : 0n;
      const frames = Array.from({ length: count }, (_, index) => pfn + step * BigInt(index));
      return frames.map((at) => (BigInt.asUintN(format.frameBits, at) << shift) | bits);
    });
  const garbage = fc.bigInt({ min: 0n, max: 2n ** BigInt(8 * format.entryBytes) - 1n });
  const words = [
    { arbitrary: pointer.map((word) => [word]), weight: 4 },
    { arbitrary: leaves, weight: 5 },
    { arbitrary: garbage.map((word) => [word]), weight: 1 },
  ];
  const entries = 4096 / format.entryBytes;
  const slot = fc.oneof(
    fc.integer({ min: 0, max: 3 }),
    fc.integer({ min: entries / 2 - 2, max: entries / 2 + 1 }),
    fc.integer({ min: entries - 2, max: entries - 1 }),
    fc.integer({ min: 0, max: entries - 1 }),
  );
  // The root has an entry that goes on, or all would be empty too often.
  const first = fc.tuple(fc.constant(FIRST), fc.constantFrom(0, 1, 2), pointer);
  const rest = fc.array(fc.tuple(table, slot, fc.oneof(...words)), { minLength: 4, maxLength: 24 });
  return fc.tuple(first, rest).map(([one, more]) => {
    const runs = more.flatMap(([into, from, run]) =>
      run.map((word, index): TableWord => [into, (from + index) % entries, word]),
    );
    return [...runs, one];
  });
}

/** Writes them; of a PAE root the four PDPTEs get no reserved bits. */
export function writeTables(
  memory: PhysicalMemory,
  format: PteFormat,
  words: readonly TableWord[],
): void {
  const pae = format.name === 'x86Pae';
  for (const [table, slot, word] of words) {
    const address = table * 4096 + slot * format.entryBytes;
    memory.write(address, format.entryBytes === 4 ? 4 : 8, word);
  }
  if (!pae) return;
  for (let slot = 0; slot < 4; slot++) {
    const word = slot === 3 ? 0n : (BigInt(FIRST + 1 + slot) << 12n) | 1n;
    memory.write(FIRST * 4096 + slot * 8, 8, word);
  }
}
