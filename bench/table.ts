// What is printed and written: the table, the targets, JSON rows, the page for the documentation.
import type { Component } from './component.js';
import { type Result, ratio, timing } from './harness.js';
import { judge } from './target.js';

/** A row of the JSON file. Times are in nanoseconds for one operation: 20th percentiles unless they say median. */
export interface Row {
  readonly component: string;
  readonly case: string;
  readonly oursNs: number;
  readonly oursMedianNs: number;
  readonly cNs?: number;
  readonly naiveNs?: number;
  readonly peers?: Readonly<Record<string, number>>;
  readonly ratioToC?: number;
  readonly samples: number;
}

const FIXED = new Set(['ours', 'c', 'naive']);

export function row(result: Result): Row {
  const ours = timing(result, 'ours')!;
  const c = timing(result, 'c');
  const naive = timing(result, 'naive');
  const peers = peersOf(result);
  return {
    component: result.component,
    case: result.case,
    oursNs: round(ours.p20),
    oursMedianNs: round(ours.median),
    ...(c && { cNs: round(c.p20) }),
    ...(naive && { naiveNs: round(naive.p20) }),
    ...(peers.length > 0 && {
      peers: Object.fromEntries(peers.map((name) => [name, round(timing(result, name)!.p20)])),
    }),
    ...(c && { ratioToC: round(ratio(result, 'ours', 'c')!) }),
    samples: result.slices.get('ours')!.length,
  };
}

function peersOf(result: Result): readonly string[] {
  return [...result.slices.keys()].filter((name) => !FIXED.has(name));
}

/** Four significant digits. */
export function round(value: number): number {
  return Number(value.toPrecision(4));
}

/** The columns of the table, for a terminal or a Markdown page. */
export function cells(result: Result): readonly string[] {
  const { oursNs, oursMedianNs, cNs, naiveNs } = row(result);
  const peers = peersOf(result).map((name) => `${times(ratio(result, 'ours', name))} of ${name}`);
  return [
    result.case,
    short(oursNs),
    short(oursMedianNs),
    short(cNs),
    times(ratio(result, 'ours', 'c')),
    short(naiveNs),
    times(ratio(result, 'naive', 'ours')),
    peers.join(', '),
  ];
}

export const HEAD: readonly string[] = [
  'case',
  'ours ns',
  'median',
  'C ns',
  'ours/C',
  'naive ns',
  'naive/ours',
  'others',
];

function short(ns: number | undefined): string {
  if (ns === undefined) return '';
  return ns >= 100 ? ns.toFixed(0) : ns >= 10 ? ns.toFixed(1) : ns.toFixed(2);
}

function times(value: number | undefined): string {
  return value === undefined ? '' : `${value >= 100 ? value.toFixed(0) : value.toFixed(2)}x`;
}

/** Whether a column holds words, which stand to the left; numbers stand to the right. */
function isText(column: number): boolean {
  return column === 0 || column === HEAD.length - 1;
}

/** A table for the terminal. */
export function terminalTable(component: Component, results: readonly Result[]): string {
  const rows = [HEAD, ...results.map(cells)];
  const widths = HEAD.map((_, column) => Math.max(...rows.map((line) => line[column]!.length)));
  const pad = (cell: string, column: number): string =>
    isText(column) ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!);
  const lines = rows.map((line) => line.map(pad).join('  ').trimEnd());
  return [component.name, ...lines].join('\n');
}

const PAGE_HEAD = `# Benchmarks

\`npm run bench\` makes this table anew; \`npm run bench -- --help\` tells more. Times are nanoseconds for one operation and
depend on the machine; trust the ratios.

- **ours** is the built package, called as a program calls it: through an instance that is no constant to the optimiser.
  One format is alive in the process, except where a case says otherwise.
- **C** is the same work with the same checks and side effects (\`bench/c/\`), compiled on the spot with \`cc -O2\`. It reads
  the same tables and the same addresses.
- **naive** is what a textbook suggests: bigints and objects.

Every contestant has a process of its own, so that nobody else's types reach its optimised code. They work in turns, for
about a millisecond each (ten where millions of pages are mapped); the times are the 20th percentile (and for ours the
median) of these slices, the ratios the median of the rounds' ratios. All contestants must return the same checksum over
all the work, or nothing is measured.
A target is met when the geometric mean of its cases is within it and no case is above 1.5 times it.
`;

/** docs/benchmarks.md: what is measured and how, the tables, the targets. */
export function markdown(
  components: readonly (readonly [Component, readonly Result[]])[],
  machine: string,
): string {
  const parts = components.map(([component, results]) => {
    const line = (row: readonly string[]): string => `| ${row.join(' | ')} |`;
    const ran = component.cases.filter(({ name }) => results.some((r) => r.case === name));
    return [
      `## ${component.name}`,
      '',
      line(HEAD),
      line(HEAD.map((_, column) => (isText(column) ? '---' : '--:'))),
      ...results.map((result) => line(cells(result))),
      '',
      ...component.targets.map((target) => `- ${judge(target, results).text}.`),
      '',
      'What the cases do:',
      '',
      ...ran.map(({ name, what }) => `- **${name}**: ${what}.`),
    ].join('\n');
  });
  return [PAGE_HEAD, `Measured with ${machine}.`, '', parts.join('\n\n'), ''].join('\n');
}
