import { VmError } from '../core/index.js';
import type { SweepResult, SweepRow } from './sweep.js';
import type { SweepConfiguration } from './sweep-configuration.js';

/** A column: its header, and its cell in a row. */
interface Column {
  readonly name: string;
  readonly cell: (row: SweepRow<SweepConfiguration>) => unknown;
}

/** What every row has, between its configuration and its counts. */
const MIDDLE: readonly Column[] = [
  { name: 'seed', cell: (row) => row.seed },
  { name: 'streamHash', cell: (row) => row.streamHash },
  { name: 'interval', cell: (row) => row.interval },
  { name: 'first', cell: (row) => row.first },
  { name: 'references', cell: (row) => row.references },
];

/**
 * The rows of a sweep as CSV (RFC 4180): a header, a line for each row, and CR LF at the end of each.
 *
 * The columns are `configuration.<name>` for each name of a configuration, `seed`, `streamHash`, `interval`, `first`,
 * `references`, and `counts.<name>` for each count. Names come in the order in which rows have them first. A string is
 * written as it is, everything else as JSON; what a row doesn't have is an empty cell.
 *
 * @param result - What {@link sweep} returned, or the same back from JSON.
 * @returns The text. O(rows x columns).
 * @throws `VmError` `unsupported` for another version, `bad-argument` for what is no result of a sweep.
 *
 * @example
 * ```ts
 * import { grid, sweep, sweepCsv, tlbSubject } from 'pagewright/mmu';
 * import { Tlb } from 'pagewright/tlb';
 *
 * const result = sweep({
 *   configurations: grid({ entries: [1, 2] }),
 *   make: (options) => tlbSubject(new Tlb(options)),
 *   stream: { vpns: [1, 2, 1] },
 * });
 * const [header, one, two] = sweepCsv(result).split('\r\n');
 * header?.startsWith('configuration.entries,seed,streamHash,interval,first,references,counts.hits'); // => true
 * one; // => '1,0,32e840355dfe8e71,0,0,3,0,3,3,2'
 * two; // => '2,0,32e840355dfe8e71,0,0,3,1,2,2,0'
 * ```
 * @public
 */
export function sweepCsv(result: SweepResult<SweepConfiguration>): string {
  checkResult(result);
  const { rows } = result;
  const columns: readonly Column[] = [
    ...namesIn(rows.map((row) => row.configuration)).map((name) => ({
      name: `configuration.${name}`,
      cell: ({ configuration }: SweepRow<SweepConfiguration>) => own(configuration, name),
    })),
    ...MIDDLE,
    ...namesIn(rows.map((row) => row.counts)).map((name) => ({
      name: `counts.${name}`,
      cell: ({ counts }: SweepRow<SweepConfiguration>) => own(counts, name),
    })),
  ];
  const lines = rows.map((row) => columns.map(({ cell }) => spell(cell(row))));
  return [columns.map(({ name }) => spell(name)), ...lines]
    .map((cells) => `${cells.join(',')}\r\n`)
    .join('');
}

/** Every name that an object has, in the order in which they come. */
function namesIn(objects: readonly object[]): readonly string[] {
  return [...new Set(objects.flatMap((each) => Object.keys(each)))];
}

/** What an object has by a name, and not its prototype. */
function own(object: Readonly<Record<string, unknown>>, name: string): unknown {
  return Object.hasOwn(object, name) ? object[name] : undefined;
}

/** A cell. */
function spell(value: unknown): string {
  if (value === undefined) return '';
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function checkResult(result: SweepResult<SweepConfiguration>): void {
  if (result?.kind !== 'sweep' || !Array.isArray(result.rows)) {
    const expected = 'what sweep returned';
    throw new VmError('bad-argument', { argument: 'result', value: result, expected });
  }
  if (result.v !== 1) {
    const expected = 'version 1';
    throw new VmError('unsupported', { argument: 'result.v', value: result.v, expected });
  }
}
