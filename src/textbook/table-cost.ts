import { checkInteger, checkList, checkOptions, type OptionNames, VmError } from '../core/index.js';

/**
 * A sparse address space.
 *
 * @public
 */
export interface SparseLayout {
  /** Width of virtual addresses, 1 to 64 bits. */
  readonly virtualBits: number;
  /** Bytes in a page: a power of two that leaves 1 to 52 bits of page number. */
  readonly pageBytes: number;
  /** What is mapped: first page and number of pages, in order; a range may begin where the one before ends. */
  readonly ranges: readonly {
    /** The first page. */
    readonly page: number;
    /** How many. */
    readonly pages: number;
  }[];
}

/**
 * How a page table may be organised.
 *
 * @public
 */
export type TableOrganisation =
  | {
      /** One array with an entry for every page of the address space. */
      readonly kind: 'linear';
      /** Bytes in an entry. */
      readonly entryBytes: number;
    }
  | {
      /** A tree with tables where something is mapped. */
      readonly kind: 'radix';
      /** Bytes in an entry. */
      readonly entryBytes: number;
      /** Width of each level's index, the root first; with the page's offset they make up the address. */
      readonly indexBits: readonly number[];
      /** The level of the leaves, 0 for base pages: every range must then be aligned to it. @defaultValue 0 */
      readonly leafLevel?: number;
    }
  | {
      /** Chains: a bucket array, and an element for each mapped page. */
      readonly kind: 'hashed';
      /** Bytes in a bucket. */
      readonly bucketBytes: number;
      /** Buckets. */
      readonly buckets: number;
      /** Bytes in an element: page, frame and link. */
      readonly entryBytes: number;
    }
  | {
      /** An entry for every frame of physical memory, whatever is mapped. */
      readonly kind: 'inverted';
      /** Bytes in an entry: process, page and link. */
      readonly entryBytes: number;
      /** Frames of physical memory, at least one for every page that is mapped. */
      readonly frames: number;
    };

/**
 * What a table needs.
 *
 * @public
 */
export interface TableCost {
  /** All of it, in bytes. */
  readonly bytes: number;
  /** Its parts: radix levels from the root down, or the arrays. */
  readonly parts: readonly {
    /** Such as `level 2` or `buckets`. */
    readonly name: string;
    /** Tables, arrays, or the elements of chains. */
    readonly tables: number;
    /** Bytes in all of them. */
    readonly bytes: number;
  }[];
}

/**
 * The memory that a page table of an organisation needs for a layout.
 *
 * @param layout - What is mapped.
 * @param organisation - How the table is organised.
 * @returns Bytes, in all and by part; above 2^53 they are rounded. O(ranges x levels), however much is mapped.
 * @throws `VmError` for ranges out of order or out of the address space, organisations that do not fit it, and names that
 * are no options.
 *
 * @example
 * ```ts
 * import { tableCost } from 'pagewright/textbook';
 *
 * const layout = { virtualBits: 32, pageBytes: 4096, ranges: [{ page: 0, pages: 300 }, { page: 0xbffff, pages: 1 }] };
 * tableCost(layout, { kind: 'linear', entryBytes: 4 }).bytes; // => 4194304
 * tableCost(layout, { kind: 'radix', entryBytes: 4, indexBits: [10, 10] }).bytes; // => 12288
 * tableCost(layout, { kind: 'inverted', entryBytes: 16, frames: 1024 }).bytes; // => 16384
 * ```
 * @public
 */
export function tableCost(layout: SparseLayout, organisation: TableOrganisation): TableCost {
  const pageBits = checkLayout(layout);
  checkOrganisation(organisation);
  const mapped = layout.ranges.reduce((total, range) => total + range.pages, 0);
  switch (organisation.kind) {
    case 'linear': {
      const entryBytes = checkEntryBytes(organisation.entryBytes);
      return sum([{ name: 'table', tables: 1, bytes: 2 ** pageBits * entryBytes }]);
    }
    case 'radix':
      return radixCost(layout, organisation, pageBits);
    case 'hashed': {
      const { bucketBytes, buckets, entryBytes } = organisation;
      const array = checkInteger('buckets', buckets, 1, 2 ** 40) * checkEntryBytes(bucketBytes);
      const elements = mapped * checkEntryBytes(entryBytes);
      return sum([
        { name: 'buckets', tables: 1, bytes: array },
        { name: 'elements', tables: mapped, bytes: elements },
      ]);
    }
    case 'inverted': {
      const frames = checkInteger('frames', organisation.frames, Math.max(1, mapped), 2 ** 52);
      const bytes = frames * checkEntryBytes(organisation.entryBytes);
      return sum([{ name: 'table', tables: 1, bytes }]);
    }
  }
}

/** The options of every kind of organisation. */
const ORGANISATIONS: Readonly<Record<TableOrganisation['kind'], Readonly<Record<string, true>>>> = {
  linear: { kind: true, entryBytes: true },
  radix: { kind: true, entryBytes: true, indexBits: true, leafLevel: true },
  hashed: { kind: true, bucketBytes: true, buckets: true, entryBytes: true },
  inverted: { kind: true, entryBytes: true, frames: true },
};

function checkOrganisation(organisation: TableOrganisation): void {
  const kind = typeof organisation === 'object' && organisation !== null ? organisation.kind : '';
  if (!Object.hasOwn(ORGANISATIONS, kind)) {
    const expected = 'an organisation: linear, radix, hashed or inverted';
    throw new VmError('bad-argument', { argument: 'organisation', value: organisation, expected });
  }
  checkOptions('organisation', organisation, ORGANISATIONS[organisation.kind]);
}

function sum(parts: TableCost['parts']): TableCost {
  return { bytes: parts.reduce((total, part) => total + part.bytes, 0), parts };
}

function radixCost(
  layout: SparseLayout,
  organisation: Extract<TableOrganisation, { kind: 'radix' }>,
  pageBits: number,
): TableCost {
  const { entryBytes, indexBits, leafLevel = 0 } = organisation;
  checkList('indexBits', indexBits);
  const levels = checkInteger('indexBits.length', indexBits.length, 1, 8);
  checkInteger('leafLevel', leafLevel, 0, levels - 1);
  checkEntryBytes(entryBytes);
  const widths = indexBits.map((bits) => checkInteger('indexBits', bits, 1, 52)).reverse();
  const total = widths.reduce((bits, width) => bits + width, 0);
  if (total !== pageBits) {
    const expected = `widths that add up to ${pageBits}`;
    throw new VmError('bad-argument', { argument: 'indexBits', value: indexBits, expected });
  }
  const parts: { name: string; tables: number; bytes: number }[] = [];
  let shift = 0;
  for (let level = 0; level < levels; level++) {
    if (level === leafLevel) checkAlignment(layout, 2 ** shift);
    shift += widths[level]!;
    if (level < leafLevel) continue;
    // The root is there even when nothing is mapped.
    const tables = level === levels - 1 ? 1 : distinct(layout, 2 ** shift);
    parts.unshift({
      name: `level ${level}`,
      tables,
      bytes: tables * 2 ** widths[level]! * entryBytes,
    });
  }
  return sum(parts);
}

/** How many aligned groups of pages have something mapped. */
function distinct({ ranges }: SparseLayout, group: number): number {
  let count = 0;
  let last = -1;
  for (const { page, pages } of ranges) {
    if (pages === 0) continue;
    const first = Math.max(Math.floor(page / group), last + 1);
    const end = Math.floor((page + pages - 1) / group);
    if (end < first) continue;
    count += end - first + 1;
    last = end;
  }
  return count;
}

function checkAlignment({ ranges }: SparseLayout, group: number): void {
  for (const { page, pages } of ranges) {
    if (page % group === 0 && pages % group === 0) continue;
    const expected = `ranges aligned to the leaf's ${group} pages`;
    throw new VmError('misaligned', { argument: 'ranges', value: page, expected });
  }
}

const LAYOUT: OptionNames<SparseLayout> = { virtualBits: true, pageBytes: true, ranges: true };

/** Checks a layout; returns the bits of a page number. */
function checkLayout(layout: SparseLayout): number {
  checkOptions('', layout, LAYOUT, 'layout');
  const { pageBytes, ranges, virtualBits } = layout;
  checkInteger('virtualBits', virtualBits, 1, 64);
  const offsetBits = Math.log2(checkInteger('pageBytes', pageBytes, 1, 2 ** 40));
  if (offsetBits % 1 !== 0 || offsetBits >= virtualBits || virtualBits - offsetBits > 52) {
    const expected = 'a power of two that leaves 1 to 52 bits of page number';
    throw new VmError('bad-argument', { argument: 'pageBytes', value: pageBytes, expected });
  }
  const pageBits = virtualBits - offsetBits;
  checkList('ranges', ranges);
  let next = 0;
  for (const range of ranges) {
    checkOptions('ranges', range, { page: true, pages: true });
    const { page, pages } = range;
    checkInteger('ranges.page', page, next, 2 ** pageBits - 1);
    next = page + checkInteger('ranges.pages', pages, 0, 2 ** pageBits - page);
  }
  return pageBits;
}

function checkEntryBytes(bytes: number): number {
  return checkInteger('entryBytes', bytes, 1, 4096);
}
