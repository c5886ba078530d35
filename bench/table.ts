// What is printed and written: the table, the targets, JSON rows, the page for the documentation.
import type { Component, Target } from './component.js';
import { ratio, type Result } from './harness.js';

/** A row of the JSON file. Times are 20th percentiles, in nanoseconds for one operation. */
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
  const { timings, samples } = result;
  const ours = timings.get('ours')!;
  const c = timings.get('c');
  const naive = timings.get('naive');
  const peers = [...timings].filter(([name]) => !FIXED.has(name));
  return {
    component: result.component,
    case: result.case,
    oursNs: round(ours.p20),
    oursMedianNs: round(ours.median),
    ...(c && { cNs: round(c.p20) }),
    ...(naive && { naiveNs: round(naive.p20) }),
    ...(peers.length > 0 && {
      peers: Object.fromEntries(peers.map(([name, { p20 }]) => [name, round(p20)])),
    }),
    ...(c && { ratioToC: round(ours.p20 / c.p20) }),
    samples,
  };
}

/** Four significant digits. */
export function round(value: number): number {
  return Number(value.toPrecision(4));
}

/** The columns of the table, for a terminal or a Markdown page. */
export function cells(result: Result): readonly string[] {
  const { timings } = result;
  const { oursNs, oursMedianNs, cNs, naiveNs } = row(result);
  const peers = [...timings.keys()]
    .filter((name) => !FIXED.has(name))
    .map((name) => `${times(ratio(result, 'ours', name))} of ${name}`);
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

/** A table for the terminal: the first and last column to the left, numbers to the right. */
export function terminalTable(component: Component, results: readonly Result[]): string {
  const rows = [HEAD, ...results.map(cells)];
  const widths = HEAD.map((_, column) => Math.max(...rows.map((line) => line[column]!.length)));
  const lines = rows.map((line) =>
    line
      .map((cell, column) =>
        column === 0 || column === line.length - 1 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!),
      )
      .join('  ')
      .trimEnd(),
  );
  return [`${component.name}`, ...lines].join('\n');
}

/** How a target came out; `met` is `undefined` when somebody needed did not run. */
export interface Verdict {
  readonly target: Target;
  readonly met: boolean | undefined;
  readonly text: string;
}

export function judge(target: Target, results: readonly Result[]): Verdict {
  const named = results.filter((result) => target.cases.includes(result.case));
  const against = target.atLeast === undefined ? ['ours', target.against] : [target.against, 'ours'];
  const ratios = named.map((result) => ratio(result, against[0]!, against[1]!));
  if (ratios.length < target.cases.length || ratios.includes(undefined)) {
    return { target, met: undefined, text: `${target.text}: not measured` };
  }
  const values = ratios as readonly number[];
  const mean = Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);
  if (target.atLeast !== undefined) {
    const met = mean >= target.atLeast;
    const worst = Math.min(...values);
    const text = `${target.text}: ${times(mean)}, least ${times(worst)}; wanted at least ${target.atLeast}x`;
    return { target, met, text: `${text}: ${met ? 'met' : 'MISSED'}` };
  }
  const worst = Math.max(...values);
  const within = (limit: number): boolean => mean <= limit && worst <= 1.5 * limit;
  const limit = target.atMost!;
  const where = named[values.indexOf(worst)]!.case;
  const shape =
    values.length === 1 ? times(mean) : `${times(mean)}, worst ${times(worst)} (${where})`;
  const stretch =
    target.stretch === undefined
      ? ''
      : `; stretch ${target.stretch}x: ${within(target.stretch) ? 'met' : 'missed'}`;
  const met = within(limit);
  const text = `${target.text}: ${shape}; wanted at most ${limit}x: ${met ? 'met' : 'MISSED'}${stretch}`;
  return { target, met, text };
}

/** The tables as a part of docs/benchmarks.md. */
export function markdown(
  components: readonly (readonly [Component, readonly Result[]])[],
  machine: string,
): string {
  const parts = components.map(([component, results]) => {
    const line = (row: readonly string[]): string => `| ${row.join(' | ')} |`;
    const what = component.cases
      .filter(({ name }) => results.some((result) => result.case === name))
      .map(({ name, what }) => `- **${name}**: ${what}.`);
    return [
      `## ${component.name}`,
      '',
      line(HEAD),
      line(HEAD.map((_, column) => (column === 0 || column === HEAD.length - 1 ? '---' : '--:'))),
      ...results.map((result) => line(cells(result))),
      '',
      ...component.targets.map((target) => `- ${judge(target, results).text}.`),
      '',
      '### What the cases do',
      '',
      ...what,
    ].join('\n');
  });
  return [`Measured with ${machine}.`, '', parts.join('\n\n'), ''].join('\n');
}
