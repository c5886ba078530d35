// Whether promises are kept.
import type { Target } from './component.js';
import { type Result, ratio, timing } from './harness.js';

/** How many times worse than a limit one case may be while the mean keeps it. */
const CELL_TOLERANCE = 1.5;

/** How a target came out; `met` is `undefined` when there is no limit or somebody needed did not run. */
export interface Verdict {
  readonly met: boolean | undefined;
  readonly text: string;
}

/** Judges a target. Against `naive` the figure is how many times faster we are, otherwise how many times slower. */
export function judge(target: Target, results: readonly Result[]): Verdict {
  const { against, atLeast, atMost, cases, nsAtMost, stretch, text } = target;
  if (nsAtMost !== undefined) return judgeTime(text, nsAtMost, cases, results);
  const faster = against === 'naive';
  const named = results.filter((result) => cases.includes(result.case));
  const values = named
    .map((result) => (faster ? ratio(result, against, 'ours') : ratio(result, 'ours', against)))
    .filter((value) => value !== undefined);
  if (values.length < cases.length) return { met: undefined, text: `${text}: not measured` };
  const mean = Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);
  const worst = faster ? Math.min(...values) : Math.max(...values);
  const within = (limit: number): boolean => mean <= limit && worst <= CELL_TOLERANCE * limit;
  const parts = [`${text}: ${mean.toFixed(2)}x`];
  if (values.length > 1) {
    parts.push(`, worst ${worst.toFixed(2)}x (${named[values.indexOf(worst)]!.case})`);
  }
  let met: boolean | undefined;
  if (atMost !== undefined) {
    met = within(atMost);
    parts.push(`; wanted at most ${atMost}x: ${met ? 'met' : 'MISSED'}`);
  }
  if (atLeast !== undefined) {
    met = mean >= atLeast && worst >= atLeast / CELL_TOLERANCE;
    parts.push(`; wanted at least ${atLeast}x: ${met ? 'met' : 'MISSED'}`);
  }
  if (stretch !== undefined) {
    parts.push(`; stretch ${stretch}x: ${within(stretch) ? 'met' : 'missed'}`);
  }
  return { met, text: parts.join('') };
}

/** Every case must keep the time. */
function judgeTime(
  text: string,
  limit: number,
  cases: readonly string[],
  results: readonly Result[],
): Verdict {
  const times = results
    .filter((result) => cases.includes(result.case))
    .map((result) => timing(result, 'ours')!.median);
  if (times.length < cases.length) return { met: undefined, text: `${text}: not measured` };
  const worst = Math.max(...times);
  const met = worst <= limit;
  const verdict = `wanted at most ${limit} ns: ${met ? 'met' : 'MISSED'}`;
  return { met, text: `${text}: ${worst.toFixed(0)} ns; ${verdict}` };
}
