import {
  countMisses,
  lru,
  missCurve,
  missesAt,
  optMissCurve,
  type PolicyKind,
  simulate,
  stackDistances,
  workingSetAt,
  workingSetSizes,
} from 'pagewright/replacement';
import { Fields, Malformed } from '../fields.js';
import { policyNamed } from '../policy-names.js';
import { integers } from './textbook-input.js';

// What books ask of reference strings.

const MOST_REFERENCES = 2 ** 24;

/** Every reference of every policy in every size. */
export function replacement(input: Fields, expected: unknown): unknown {
  input.only(['refs', 'frames']);
  const refs = references(input);
  return bySize(input, expected, (kind, frames) => {
    const { hits, misses, steps } = simulate(kind, frames, refs);
    const victims = steps.map(({ victim }) => victim);
    return { faults: misses, hits, victims, hit: steps.map(({ hit }) => hit) };
  });
}

/** The misses of every policy in every size: of stack policies, as their curves say. */
export function replacementCurve(input: Fields, expected: unknown): unknown {
  input.only(['refs', 'frames']);
  const refs = references(input);
  const curves = new Map([
    ['LRU', missCurve(refs)],
    ['OPT', optMissCurve(refs)],
  ]);
  const recorded = new Fields(expected, 'expected').value('faults');
  const faults = bySize(input, recorded, (kind, frames) => {
    const curve = curves.get(kind.name);
    return curve === undefined ? countMisses(kind, frames, refs) : missesAt(curve, frames);
  });
  return { faults };
}

/**
 * An answer for each size that the question names and each policy that the recorded answer names: which ones, only that
 * says. One that is asked for in a size is asked for in all.
 */
function bySize(
  input: Fields,
  recorded: unknown,
  answer: (kind: PolicyKind, frames: number) => unknown,
): unknown {
  const sizes = integers(input.value('frames'), 'frames');
  if (new Set(sizes).size < sizes.length) throw new Malformed('a size is asked for twice');
  const tables = [...new Fields(recorded, 'expected').entries];
  const names = new Set(
    tables.flatMap(([size, table]) =>
      [...new Fields(table, `expected ${size}`).entries].map(([name]) => name),
    ),
  );
  if (sizes.length === 0 || names.size === 0) throw new Malformed('no size or policy is asked for');
  const kinds = [...names].map(policyNamed);
  return Object.fromEntries(
    sizes.map((frames) => [
      frames,
      Object.fromEntries(kinds.map((kind) => [kind.name, answer(kind, frames)])),
    ]),
  );
}

/** A list of pages, or such a text as `repeat(0..49, 20 times)`. */
function references(input: Fields): readonly number[] {
  const refs = input.value('refs');
  if (typeof refs !== 'string') return integers(refs, 'refs');
  const [, ...numbers] = /^repeat\((\d{1,9})\.\.(\d{1,9}), (\d{1,9}) times\)$/.exec(refs) ?? [];
  const [first, last, times] = numbers.map(Number);
  if (first === undefined || last === undefined || times === undefined || last < first) {
    throw new Malformed(`${refs} is no reference string`);
  }
  const pages = last - first + 1;
  if (pages * times > MOST_REFERENCES) throw new Malformed(`${refs} is too long`);
  return Array.from({ length: pages * times }, (_, index) => first + (index % pages));
}

/** Mattson et al.: the distances, and the curve that follows from them. */
export function lruStack(input: Fields): unknown {
  input.only(['refs']);
  const refs = references(input);
  const distances = [...stackDistances(refs)].map((distance) => (distance === 0 ? null : distance));
  const [, ...misses] = missCurve(refs).misses;
  const faultsByFrames = Object.fromEntries(misses.map((count, index) => [index + 1, count]));
  return { stackDistances: distances, faultsByFrames };
}

/** Silberschatz: the pages of the last `delta` references. Time t is that after t references. */
export function workingSet(input: Fields): unknown {
  input.only(['refs', 'delta', 'times']);
  const refs = references(input);
  const delta = input.integer('delta', 1, Number.MAX_SAFE_INTEGER);
  const times = integers(input.value('times'), 'times');
  return {
    workingSets: times.map((time) => workingSetAt(refs, delta, time)),
    wssAtEveryTime: [...workingSetSizes(refs, delta)],
  };
}

/** Silberschatz, "Program Structure": an array with a row on each page, filled row by row or column by column. */
export function faults(input: Fields): unknown {
  input.only(['rows', 'cols', 'frames', 'pageHoldsRow']);
  if (input.value('pageHoldsRow') !== true) throw new Malformed('a page should hold a row');
  const rows = input.integer('rows', 1, MOST_REFERENCES);
  const cols = input.integer('cols', 1, MOST_REFERENCES / rows);
  const frames = input.integer('frames', 1, MOST_REFERENCES);
  const length = rows * cols;
  const columnMajor = Int32Array.from({ length }, (_, index) => index % rows);
  const rowMajor = Int32Array.from({ length }, (_, index) => Math.floor(index / cols));
  return {
    columnMajorFaults: countMisses(lru(), frames, columnMajor),
    rowMajorFaults: countMisses(lru(), frames, rowMajor),
  };
}
