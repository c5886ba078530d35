import { checkList, VmError } from '../core/index.js';
import { mappingOf, type PteFormat } from '../pte/index.js';

/**
 * A size of page that a format can map.
 *
 * @public
 */
export interface PageSize {
  /** Base pages: 1, 16 for a 64 KiB NAPOT page, 512 for 2 MiB ... A power of two, and the size's name everywhere. */
  readonly pages: number;
  /** The level of the entries that map it. */
  readonly level: number;
  /** Entries that map it together: 1, or the size of a NAPOT or contiguous group. */
  readonly entries: number;
}

/**
 * The sizes of page that a format can map, smallest first.
 *
 * @param format - Any format that says how its entries are written.
 * @returns Plain data.
 * @throws `VmError` `unsupported` for another format.
 *
 * @example
 * ```ts
 * import { pageSizes } from 'pagewright/page-table';
 * import { aarch64, sv39 } from 'pagewright/pte';
 *
 * pageSizes(sv39).map((size) => size.pages); // => [1, 16, 512, 262144]
 * pageSizes(aarch64({ granule: 65536 })).map((size) => [size.level, size.entries]); // => [[0, 1], [0, 32], [1, 1], [1, 32]]
 * ```
 * @public
 */
export function pageSizes(format: PteFormat): readonly PageSize[] {
  const bits = mappingOf(format);
  const sizes: PageSize[] = [];
  for (let level = 0; level < format.levels; level++) {
    if (!canMap(format, level)) continue;
    const pages = format.levelPages[level]!;
    sizes.push({ pages, level, entries: 1 });
    const group = bits.groupBits[level]!;
    if (group > 0) sizes.push({ pages: pages * 2 ** group, level, entries: 2 ** group });
  }
  return sizes;
}

/** Whether entries of a level may be leaves. */
function canMap(format: PteFormat, level: number): boolean {
  return ((format.leafLevels >> level) & 1) === 1;
}

/**
 * Checks the sizes that a machine has.
 *
 * @param format - The format.
 * @param wanted - Base pages in each, in any order; all sizes of the format unless given.
 * @returns The sizes, smallest first, the base page always among them.
 * @throws `VmError` `bad-argument` for a size that the format does not have, or one without those that it is split into.
 */
export function chooseSizes(
  format: PteFormat,
  wanted: readonly number[] | undefined,
): readonly PageSize[] {
  const all = pageSizes(format);
  if (wanted === undefined) return all;
  checkList('pageSizes', wanted);
  for (const pages of wanted) {
    if (all.some((size) => size.pages === pages)) continue;
    throw new VmError('bad-argument', {
      argument: 'pageSizes',
      value: pages,
      expected: `some of ${all.map((size) => size.pages).join(', ')}`,
    });
  }
  const chosen = all.filter(({ pages }) => pages === 1 || wanted.includes(pages));
  // A large page is split into pages of the level below, a group into its entries.
  const { pages: largest } = chosen.at(-1)!;
  const isMissing = (size: PageSize): boolean =>
    size.entries === 1 && size.pages < largest && !chosen.includes(size);
  if (all.some(isMissing)) {
    const expected = 'with each size all smaller ones but those of groups';
    throw new VmError('bad-argument', { argument: 'pageSizes', value: wanted, expected });
  }
  return chosen;
}
