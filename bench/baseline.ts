// The ratios of the last landing. Times differ from machine to machine; ratios should not, much.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type Result, ratio } from './harness.js';
import { round } from './table.js';

const FILE = fileURLToPath(new URL('./baseline.json', import.meta.url));

/** What counts as worse. */
const TOLERANCE = 1.15;

/** By `component: case`, our time over that of each other contestant. */
type Baseline = Readonly<Record<string, Readonly<Record<string, number>>>>;

function load(): Baseline {
  return existsSync(FILE) ? JSON.parse(readFileSync(FILE, 'utf8')) : {};
}

function key(result: Result): string {
  return `${result.component}: ${result.case}`;
}

function ratios(result: Result): Record<string, number> {
  const others = [...result.slices.keys()].filter((name) => name !== 'ours');
  return Object.fromEntries(others.map((name) => [name, round(ratio(result, 'ours', name)!)]));
}

/** One line for every ratio that became more than 15 % worse. */
export function worse(results: readonly Result[]): readonly string[] {
  const baseline = load();
  return results.flatMap((result) =>
    Object.entries(ratios(result)).flatMap(([name, now]) => {
      const before = baseline[key(result)]?.[name];
      if (before === undefined || now <= before * TOLERANCE) return [];
      const percent = Math.round((now / before - 1) * 100);
      return [`${key(result)}: ${now} times ${name}, was ${before}: ${percent} % worse`];
    }),
  );
}

/** Writes the ratios of these results over the old ones. */
export function update(results: readonly Result[]): void {
  const fresh = results.map((result) => [key(result), ratios(result)] as const);
  const all = {
    ...load(),
    ...Object.fromEntries(fresh.filter(([, r]) => Object.keys(r).length > 0)),
  };
  writeFileSync(FILE, `${JSON.stringify(all, null, 2)}\n`);
}
