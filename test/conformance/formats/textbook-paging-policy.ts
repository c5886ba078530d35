import {
  fifo,
  lru,
  mru,
  opt,
  type PolicyKind,
  type SimulationStep,
  simulate,
  unopt,
} from 'pagewright/replacement';
import { type Fields, Malformed } from '../fields.js';
import { ostepClock, ostepRand } from '../ostep-policies.js';
import { PythonRandom } from '../python-random.js';
import { integers } from './textbook-input.js';

/** OSTEP, paging-policy.py. */
export function ostepPagingPolicy(input: Fields): unknown {
  const name = input.oneOf('policy', ['FIFO', 'LRU', 'MRU', 'OPT', 'UNOPT', 'RAND', 'CLOCK']);
  const keys = ['policy', 'frames', 'seed', 'refs'];
  input.only(name === 'CLOCK' ? [...keys, 'clockbits'] : keys);
  const frames = input.integer('frames', 1, 2 ** 20);
  const seed = input.integer('seed', -Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
  const refs = integers(input.value('refs'), 'refs');
  if (refs.length === 0) throw new Malformed('there are no refs');
  const { hits, misses, steps } = simulate(kindOf(name, input, seed, refs), frames, refs);
  const movesOnHit = name === 'LRU' || name === 'MRU';
  return { hits, misses, hitratePct: percent(hits, refs.length), steps: shown(steps, movesOnHit) };
}

function kindOf(name: string, input: Fields, seed: number, refs: readonly number[]): PolicyKind {
  switch (name) {
    case 'LRU':
      return lru();
    case 'MRU':
      return mru();
    // The program looks for a later use with >=, and for an earlier one with <.
    case 'OPT':
      return opt({ ties: 'latest-loaded' });
    case 'UNOPT':
      return unopt({ ties: 'earliest-loaded' });
    case 'RAND':
      return ostepRand(generatorAfter(seed, refs));
    case 'CLOCK':
      return ostepClock(generatorAfter(seed, refs), input.integer('clockbits', 0, 2 ** 31));
    default:
      return fifo();
  }
}

/**
 * The generator when the simulation begins. Unless the program was given its references (`-a`), it has drawn them. The
 * problem does not say which, so the seed is asked: given references that could have been drawn with it are taken for drawn.
 */
function generatorAfter(seed: number, refs: readonly number[]): PythonRandom {
  const generator = new PythonRandom(seed);
  const draws = refs.map(() => generator.random());
  return couldBeDrawn(refs, draws) ? generator : new PythonRandom(seed);
}

/** Whether for some greatest page all of them are `int(maxpage * random.random())`. */
function couldBeDrawn(refs: readonly number[], draws: readonly number[]): boolean {
  // The least number of pages, but for rounding, with which every draw reaches its page.
  const least = refs.reduce((most, page, index) => Math.max(most, page / draws[index]!), 1);
  const candidates = [Math.floor(least), Math.floor(least) + 1];
  return candidates.some((maxpage) =>
    refs.every((page, index) => Math.floor(maxpage * draws[index]!) === page),
  );
}

/** Each step with the list of pages as the program keeps it: the next to go, of FIFO, LRU and MRU, at an end. */
function shown(steps: readonly SimulationStep[], movesOnHit: boolean): unknown {
  let memory: readonly number[] = [];
  return steps.map(({ hit, page, victim }) => {
    const gone = hit ? page : victim;
    if (!hit || movesOnHit) memory = [...memory.filter((other) => other !== gone), page];
    return { hit, memory, victim };
  });
}

/** As `%.2f` writes it: what lies in the middle, which is a multiple of an eighth, becomes even. */
function percent(part: number, whole: number): number {
  const value = (100 * part) / whole;
  if ((value * 8) % 2 !== 1) return Number(value.toFixed(2));
  const hundredths = Math.floor(value * 100);
  return (hundredths + (hundredths % 2)) / 100;
}
