/** Demanded by an access that no entry may serve: it is walked for every time. No entry grants it. */
export const NEVER: number = 1 << 31;

/** One more than the greatest access. */
export const ACCESS_END = 256;

/**
 * What an access demands of a TLB entry, and what an entry grants, as bits: an entry serves an access when it grants all
 * that is demanded. Rules of rights are no such thing by themselves (SMAP refuses what has a bit set, MXR accepts either of
 * two), so they are tabulated: a bit stands for all the rows (an access in a state) that exactly the same entries serve.
 * An entry so keeps its rights whatever the state, and a change of state changes the demands alone.
 */
export interface Demands {
  /** By row: its bit, or {@link NEVER}. */
  readonly byRow: Int32Array;
  /** By what entries are told apart by: the bits of the rows that they serve. */
  readonly grants: Int32Array;
}

/**
 * Tabulates a rule.
 *
 * @param rows - How many rows there are.
 * @param entries - How many entries can be told apart.
 * @param serves - The rule. O(rows x entries).
 * @param firstBit - The lowest bit that may be used.
 * @throws An `Error` when there are more different rows than bits.
 */
export function tabulate(
  rows: number,
  entries: number,
  serves: (row: number, entry: number) => boolean,
  firstBit = 0,
): Demands {
  const byRow = new Int32Array(rows).fill(NEVER);
  const grants = new Int32Array(entries);
  const known = new Map<string, number>();
  for (let row = 0; row < rows; row++) {
    const column = Array.from({ length: entries }, (_, entry) => serves(row, entry));
    if (!column.includes(true)) continue;
    const key = column.map(Number).join('');
    const bit = known.get(key) ?? 1 << (firstBit + known.size);
    known.set(key, bit);
    byRow[row] = bit;
    for (let entry = 0; entry < entries; entry++) if (column[entry]) grants[entry]! |= bit;
  }
  if (firstBit + known.size > 31) throw new Error(`${known.size} kinds of rows do not fit`);
  return { byRow, grants };
}
