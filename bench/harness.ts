// Runs the contestants of a case against each other: every round asks each of them for a slice of about a millisecond,
// so that whatever slows the machine down slows all of them down.
import { compilerVersion } from './compile-c.js';
import type { Case, Component } from './component.js';
import { Contestant } from './contestant.js';

const SLICE_NS = 1e6;
/** In lockstep: long enough that caches which the others have emptied are filled again in a small part of it. */
const LONG_SLICE_NS = 10e6;
/** Work done before anything is measured, for the optimising compiler. */
const WARM_UP_NS = 300e6;

/** A contestant's time for one operation. */
export interface Timing {
  readonly p20: number;
  readonly median: number;
}

export interface Result {
  readonly component: string;
  readonly case: string;
  /** By contestant (`ours`, `c`, `naive`, and peers by their names), nanoseconds for one operation in every round. */
  readonly slices: ReadonlyMap<string, readonly number[]>;
}

/**
 * How many times longer `contestant` takes than `than`: the median of the rounds' ratios, since what slows a machine
 * down lasts longer than a round. `undefined` when one of them did not run.
 */
export function ratio(result: Result, contestant: string, than: string): number | undefined {
  const a = result.slices.get(contestant);
  const b = result.slices.get(than);
  return (
    a &&
    b &&
    percentile(
      a.map((ns, round) => ns / b[round]!),
      0.5,
    )
  );
}

/** A contestant's time for one operation; `undefined` when it did not run. */
export function timing(result: Result, contestant: string): Timing | undefined {
  const slices = result.slices.get(contestant);
  return slices && { p20: percentile(slices, 0.2), median: percentile(slices, 0.5) };
}

function percentile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) * part)]!;
}

/** @throws Error when the contestants do not agree on the answers. */
export async function measure(
  component: Component,
  benchCase: Case,
  rounds: number,
): Promise<Result> {
  const contestants = await enter(component, benchCase);
  try {
    await agree(component, benchCase, contestants);
    const counts: number[] = [];
    const sliceNs = benchCase.lockstep ? LONG_SLICE_NS : SLICE_NS;
    for (const contestant of contestants) counts.push(await warmUp(contestant, sliceNs));
    if (benchCase.lockstep) {
      counts.fill(counts[0]!);
      for (const contestant of contestants) contestant.rewind();
    }
    const slices = new Map(contestants.map(({ name }): [string, number[]] => [name, []]));
    for (let round = 0; round < Math.min(rounds, benchCase.rounds ?? rounds); round++) {
      for (let turn = 0; turn < contestants.length; turn++) {
        const who = (round + turn) % contestants.length;
        const contestant = contestants[who]!;
        slices.get(contestant.name)!.push(await contestant.slice(counts[who]!));
      }
    }
    return { component: component.name, case: benchCase.name, slices };
  } finally {
    for (const contestant of contestants) contestant.stop();
  }
}

async function enter(component: Component, benchCase: Case): Promise<Contestant[]> {
  const names = [
    'ours',
    ...(benchCase.naive ? ['naive'] : []),
    ...Object.keys(benchCase.peers ?? {}),
  ];
  const contestants: Contestant[] = [];
  for (const name of names) contestants.push(await Contestant.ofWork(component, benchCase, name));
  if (benchCase.c && compilerVersion !== null)
    contestants.push(await Contestant.ofC(benchCase.c()));
  return contestants;
}

async function agree(
  component: Component,
  benchCase: Case,
  contestants: readonly Contestant[],
): Promise<void> {
  const sums: string[] = [];
  for (const contestant of contestants) sums.push(await contestant.verify());
  if (sums.every((sum) => sum === sums[0])) return;
  const answers = contestants.map(({ name }, who) => `${name} ${sums[who]}`).join(', ');
  throw new Error(`${component.name}, ${benchCase.name}: different answers: ${answers}`);
}

/** Lets a contestant work until it is as fast as it gets; returns the units that fill a slice. */
async function warmUp(contestant: Contestant, sliceNs: number): Promise<number> {
  const { opsPerUnit } = contestant.size;
  let count = 1;
  for (let spent = 0; spent < WARM_UP_NS; ) {
    const ns = Math.max((await contestant.slice(count)) * count * opsPerUnit, 1);
    spent += ns;
    count = Math.max(1, Math.round(Math.min(sliceNs / ns, 16) * count));
  }
  return count;
}
