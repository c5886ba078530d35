import { checkList, checkOptions, VmError } from '../core/index.js';
import { PUBLISHED_CPUS, type PublishedTlb } from './cpu-tlbs.js';
import type { TlbArray, TlbHierarchyOptions } from './hierarchy-options.js';
import { TlbHierarchy } from './tlb-hierarchy.js';

/**
 * What is to be taken for something that a vendor has not published.
 *
 * @public
 */
export interface AssumedTlb {
  /** Entries of a set. */
  readonly ways?: number;
  /** Bytes of the pages that it holds. */
  readonly pageBytes?: readonly number[];
}

/**
 * How a published CPU becomes a hierarchy.
 *
 * @public
 */
export interface CpuTlbsOptions {
  /** By the array's name: what its vendor has not published. What is published stays as it is. @defaultValue nothing */
  readonly assume?: Readonly<Record<string, AssumedTlb>>;
  /** What no vendor publishes about its levels. @defaultValue 'independent' */
  readonly fills?: NonNullable<TlbHierarchyOptions['fills']>;
  /** The caches that serve the walker. @defaultValue none */
  readonly structures?: NonNullable<TlbHierarchyOptions['structures']>;
  /** The cache of second-stage translations. @defaultValue none */
  readonly nested?: NonNullable<TlbHierarchyOptions['nested']>;
  /** The paging-structure cache of the second stage. @defaultValue none */
  readonly nestedStructures?: NonNullable<TlbHierarchyOptions['nestedStructures']>;
  /** The table of contexts. @defaultValue its own */
  readonly contexts?: NonNullable<TlbHierarchyOptions['contexts']>;
}

const PAGE_BYTES = 4096;

/**
 * The TLBs of a real CPU, from its row in `PUBLISHED_CPUS`. Replacement policies are not published; they are LRU. Where two
 * arrays of a level take pages of a size, all of them go into the first: of `goldenCove`, pages of 4 KiB have one of the two
 * second-level arrays; see the row's `notes`.
 *
 * @param cpu - The row.
 * @param options - What the row leaves open.
 * @returns A hierarchy, empty.
 * @throws `VmError` `bad-argument` for no row, or something unpublished that is not told; its details name the array.
 *
 * @example
 * ```ts
 * import { cpuTlbs } from 'pagewright/tlb';
 *
 * const pageBytes = [2 ** 12, 2 ** 21, 2 ** 30];
 * const tlbs = cpuTlbs('sifiveU74', { assume: { 'L2 TLB': { pageBytes } } });
 * tlbs.load[0]?.entries; // => 40
 * tlbs.second[0]?.sets; // => 512
 * ```
 * @public
 */
export function cpuTlbs(
  cpu: keyof typeof PUBLISHED_CPUS,
  options: CpuTlbsOptions = {},
): TlbHierarchy {
  const names = {
    assume: true,
    fills: true,
    structures: true,
    nested: true,
    nestedStructures: true,
    contexts: true,
  } as const;
  checkOptions('', options, names);
  if (!Object.hasOwn(PUBLISHED_CPUS, cpu)) {
    const expected = `one of ${Object.keys(PUBLISHED_CPUS).join(', ')}`;
    throw new VmError('bad-argument', { argument: 'cpu', value: cpu, expected });
  }
  const { tlbs } = PUBLISHED_CPUS[cpu];
  const { assume = {}, ...rest } = options;
  const known = Object.fromEntries(tlbs.map(({ name }) => [name, true] as const));
  checkOptions('assume', assume, known);
  const arrays = (...serves: readonly PublishedTlb['serves'][]): readonly TlbArray[] =>
    tlbs.filter((tlb) => serves.includes(tlb.serves)).map((tlb) => arrayOf(tlb, assume[tlb.name]));
  const store = arrays('store');
  const secondFetch = arrays('second-fetch');
  return new TlbHierarchy({
    fetch: arrays('fetch'),
    load: arrays('data', 'load'),
    ...(store.length > 0 ? { store } : {}),
    second: arrays('second', 'second-data'),
    ...(secondFetch.length > 0 ? { secondFetch } : {}),
    ...rest,
  });
}

function arrayOf(published: PublishedTlb, assumed: AssumedTlb = {}): TlbArray {
  checkOptions(`assume.${published.name}`, assumed, { ways: true, pageBytes: true });
  const { entries } = published;
  const ways = published.ways ?? assumed.ways;
  const pageBytes = published.pageBytes ?? assumed.pageBytes;
  if (ways === undefined) throw unpublished(published.name, 'ways');
  if (pageBytes === undefined) throw unpublished(published.name, 'pageBytes');
  checkList(`assume.${published.name}.pageBytes`, pageBytes);
  return { entries, ways, orders: pageBytes.map((bytes) => Math.log2(bytes / PAGE_BYTES)) };
}

function unpublished(name: string, what: string): VmError {
  const expected = `the ${what} that its vendor has not published`;
  return new VmError('bad-argument', {
    argument: `assume.${name}.${what}`,
    value: undefined,
    expected,
  });
}
