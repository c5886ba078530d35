import { bigintFromWords } from 'pagewright/core';
import type { PteFormat } from 'pagewright/pte';
import type { RadixWalker } from 'pagewright/walk';
import { type Fields, Malformed } from './fields.js';

/**
 * Checks that the tables of a guest hold as many entries of each kind as the header of the file counts, for translations
 * are recorded of a part of the pages only.
 *
 * @param walker - Over the tables.
 * @param counts - By half, level and kind, such as `half1 L0 leaf napot`; RISC-V's count zeros, too.
 * @throws Malformed for a count that differs.
 */
export function checkTableCounts(walker: RadixWalker, counts: Fields): void {
  const found = countEntries(walker);
  for (const [name] of counts.entries) found.set(name, found.get(name) ?? 0);
  for (const [name, count] of found) {
    const recorded = counts.has(name) ? counts.integer(name, 0, 2 ** 40) : 0;
    if (count === recorded) continue;
    throw new Malformed(`${name}: the header counts ${recorded} entries, the tables hold ${count}`);
  }
}

function countEntries(walker: RadixWalker): Map<string, number> {
  const { memory } = walker;
  const found = new Map<string, number>();
  for (let slot = 0; slot < walker.rootCount; slot++) {
    const format = walker.rootFormat(slot)!;
    const top = walker.rootLevel(slot);
    walker.useRoot(slot);
    const visit = (table: number, firstByte: number, level: number, half: number): void => {
      const entries = 2 ** format.indexBits[level]!;
      for (let index = 0; index < entries; index++) {
        const byte = firstByte + index * format.entryBytes;
        if (memory.readWords(table + (byte >>> 12), byte & 4095) < 0) continue;
        const { high, low } = memory;
        const upper = level === top && format.signExtended && 2 * index >= entries;
        const place = upper ? 1 : half;
        const kind = kindOf(format, low, high, level);
        const shown = format.architecture === 'aarch64' ? 3 - level : level;
        const name = `half${place} L${shown} ${kind}`;
        if (kind !== '') found.set(name, (found.get(name) ?? 0) + 1);
        if (kind === 'table') visit(walker.tableFrame(low, high), 0, level - 1, place);
      }
    };
    visit(walker.rootAt(slot), walker.rootByte(slot), top, slot);
  }
  return found;
}

/** As the headers call it; nothing for what they do not count. */
function kindOf(format: PteFormat, low: number, high: number, level: number): string {
  const arm = format.architecture === 'aarch64';
  if ((low | high) === 0) return arm ? '' : 'zero';
  const kind = format.kindOf(low, high, level);
  if (kind === 'not-present') return 'invalid-nonzero';
  if (kind === 'pointer') return 'table';
  const { CONTIGUOUS, N, PBMT } = format.decode(bigintFromWords(low, high), level).fields;
  if (arm) return `${level === 0 ? 'page' : 'block'}${CONTIGUOUS === 1 ? ' contig' : ''}`;
  return `leaf${N === 1 ? ' napot' : ''}${PBMT === 0 ? '' : ` pbmt${PBMT}`}`;
}
