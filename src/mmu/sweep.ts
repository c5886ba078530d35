import {
  checkInteger,
  checkList,
  checkOptions,
  type OptionNames,
  type Plain,
  plain,
  VmError,
} from '../core/index.js';
import {
  type CheckedStream,
  checkStream,
  hashOf,
  type ReferenceStream,
} from './reference-stream.js';
import { copyConfiguration, type SweepConfiguration } from './sweep-configuration.js';
import { SweepRun } from './sweep-run.js';

/**
 * What a configuration makes: whatever takes references and counts what they do. A TLB is one by way of {@link tlbSubject},
 * a hierarchy by way of {@link hierarchySubject}.
 *
 * @public
 */
export interface SweepSubject {
  /**
   * Does one reference.
   *
   * @param vpn - The page, in base pages, 0 to 2^52 - 1.
   * @param access - `Access` bits.
   */
  reference(vpn: number, access: number): void;
  /**
   * What was counted since it was made.
   *
   * @returns By name, finite numbers that never go down; the same names each time.
   */
  counts(): Readonly<Record<string, number>>;
}

/**
 * What a sweep is over.
 *
 * @public
 */
export interface SweepOptions<Configuration extends SweepConfiguration> {
  /** The configurations, at least one; {@link grid} makes combinations. */
  readonly configurations: readonly Configuration[];
  /** Makes a new subject; it is given a configuration of its own, and the seed for what is random in it. */
  readonly make: (configuration: Configuration, seed: number) => SweepSubject;
  /** What every subject is given; at least one reference. */
  readonly stream: ReferenceStream;
  /** The seed, as `Random` takes it: -2^31 to 2^32 - 1. @defaultValue 0 */
  readonly seed?: number;
  /** References at the beginning that are done and not reported, fewer than there are. @defaultValue 0 */
  readonly warmUp?: number;
  /** References of each row, from 1 on; the last row of a configuration has what is left. @defaultValue all that are reported */
  readonly interval?: number;
}

/**
 * What one configuration did in one interval, with everything that tells which it was.
 *
 * @public
 */
export interface SweepRow<Configuration extends SweepConfiguration> {
  /** The configuration. */
  readonly configuration: Configuration;
  /** The seed. */
  readonly seed: number;
  /** The stream's {@link streamHash}. */
  readonly streamHash: string;
  /** The number of the interval, from 0. */
  readonly interval: number;
  /** The index of its first reference in the stream. */
  readonly first: number;
  /** References in it. */
  readonly references: number;
  /** By name, what was counted in it. */
  readonly counts: Readonly<Record<string, number>>;
}

/**
 * A whole sweep.
 *
 * @public
 */
export interface SweepResult<Configuration extends SweepConfiguration> {
  /** The version of this shape. */
  readonly v: 1;
  /** The tag. */
  readonly kind: 'sweep';
  /** The stream's {@link streamHash}. */
  readonly streamHash: string;
  /** The seed. */
  readonly seed: number;
  /** References in the stream. */
  readonly references: number;
  /** Those of them that are in no row. */
  readonly warmUp: number;
  /** By configuration, in the order in which they were given, and by interval. */
  readonly rows: readonly SweepRow<Configuration>[];
}

/** A sweep that was checked, in copies. */
export interface SweepPlan<Configuration extends SweepConfiguration> {
  readonly configurations: readonly Configuration[];
  readonly make: (configuration: Configuration, seed: number) => SweepSubject;
  readonly stream: CheckedStream;
  readonly streamHash: string;
  readonly seed: number;
  readonly warmUp: number;
  readonly interval: number;
}

const OPTIONS: OptionNames<SweepOptions<SweepConfiguration>> = {
  configurations: true,
  make: true,
  stream: true,
  seed: true,
  warmUp: true,
  interval: true,
};

/**
 * Runs many configurations over one reference stream: each from a new subject, by itself, so that neither their order nor
 * the others matter. Everything is checked and copied before the first subject is made.
 *
 * @param options - Configurations, stream, warm-up and intervals.
 * @returns The rows, as plain data for JSON; {@link sweepCsv} writes them as CSV.
 * O(configurations x references), and a row for each interval.
 * @throws `VmError` for what is no option, configuration, page number or access. `bad-argument` as well, with
 * `configurations[3]` or the like for its argument and the configuration for its value, for one whose subject throws (the
 * error's `cause` is what was thrown), is none, is that of another configuration, or counts what is no finite number, goes
 * down, or has other names than before.
 *
 * @example
 * ```ts
 * import { grid, sweep, tlbSubject } from 'pagewright/mmu';
 * import { Tlb } from 'pagewright/tlb';
 *
 * const loop = Array.from({ length: 300 }, (_, index) => index % 12);
 * const { rows } = sweep({
 *   configurations: grid({ entries: [8, 16], ways: [4, 8] }),
 *   make: ({ entries, ways }) => tlbSubject(new Tlb({ entries, ways })),
 *   stream: { vpns: loop },
 *   warmUp: 100,
 *   interval: 100,
 * });
 * rows.length; // => 8
 * rows[0]?.configuration; // => { entries: 8, ways: 4 }
 * rows[0]?.counts; // => { hits: 0, misses: 100, fills: 100, evictions: 100 }
 * rows[7]?.configuration; // => { entries: 16, ways: 8 }
 * rows[7]?.first; // => 200
 * rows[7]?.counts; // => { hits: 100, misses: 0, fills: 0, evictions: 0 }
 * ```
 * @public
 */
export function sweep<Configuration extends SweepConfiguration>(
  options: SweepOptions<Configuration>,
): Plain<SweepResult<Configuration>> {
  const plan = planOf(options);
  const { configurations, seed, stream, streamHash, warmUp } = plan;
  const subjects = new WeakSet<SweepSubject>();
  const rows = configurations.flatMap((_, index) => new SweepRun(plan, index, subjects).rows());
  const references = stream.vpns.length;
  return plain({ v: 1, kind: 'sweep', streamHash, seed, references, warmUp, rows });
}

/** What a caller gave, checked and copied. */
function planOf<Configuration extends SweepConfiguration>(
  options: SweepOptions<Configuration>,
): SweepPlan<Configuration> {
  checkOptions('', options, OPTIONS);
  const { configurations, make, seed = 0, warmUp = 0 } = options;
  checkList('configurations', configurations);
  checkInteger('configurations.length', configurations.length, 1, 2 ** 32);
  if (typeof make !== 'function') {
    const expected = 'a function that makes a subject';
    throw new VmError('bad-argument', { argument: 'make', value: make, expected });
  }
  checkInteger('seed', seed, -(2 ** 31), 2 ** 32 - 1);
  const stream = checkStream('stream', options.stream);
  const length = checkInteger('stream.vpns.length', stream.vpns.length, 1, 2 ** 32);
  checkInteger('warmUp', warmUp, 0, length - 1);
  const interval = options.interval ?? length;
  checkInteger('interval', interval, 1, Number.MAX_SAFE_INTEGER);
  const copies = Array.from(configurations, (each, index) =>
    copyConfiguration(`configurations[${index}]`, each),
  );
  const streamHash = hashOf(stream);
  return { configurations: copies, make, stream, streamHash, seed, warmUp, interval };
}
