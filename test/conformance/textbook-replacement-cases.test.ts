import { describe, expect, it } from 'vitest';
import { replayFiles } from './workbench.js';

// Problems of replacement that the recorded file does not have.

/** The runner's disagreement about one problem, or nothing. */
function disagreement(family: string, input: object, expected: unknown): string {
  const problem = { id: 'new', family, source: {}, verified: 'by hand', input, expected };
  const whole = { schema: 'vm-textbook/1', cases: [problem] };
  const { failed, files, passed } = replayFiles({ 'problems.json': JSON.stringify(whole) });
  expect(passed + failed).toBe(1);
  return files[0]!.disagreements.join();
}

/** What paging-policy.py says, its steps as text: `2,3,4-1` for a miss that leaves 2, 3, 4 and drives 1 out, `=` for a hit. */
function paging(hits: number, hitratePct: number, text: string): object {
  let memory: readonly number[] = [];
  const steps = text.split(' ').map((step) => {
    if (step === '=') return { hit: true, memory, victim: null };
    const [left = '', victim] = step.split('-');
    memory = left.split(',').map(Number);
    return { hit: false, memory, victim: victim === undefined ? null : Number(victim) };
  });
  return { hits, misses: steps.length - hits, hitratePct, steps };
}

const book = [1, 2, 3, 4, 1, 2, 5, 1, 2, 3, 4, 5];
const run = (victims: (number | null)[], hit: boolean[]): object => {
  const hits = hit.filter(Boolean).length;
  return { faults: hit.length - hits, hits, victims, hit };
};

describe('problems of known families are judged', () => {
  it.each<[string, string, object, unknown]>([
    [
      'other policies, one size',
      'replacement',
      { refs: [1, 2, 1, 3], frames: [2] },
      {
        2: {
          LRU: run([null, null, null, 2], [false, false, true, false]),
          UNOPT: run([null, null, null, 1], [false, false, true, false]),
        },
      },
    ],
    [
      'another loop',
      'replacement-curve',
      { refs: 'repeat(3..5, 4 times)', frames: [2, 3, 100] },
      {
        faults: {
          2: { LRU: 12, OPT: 7, CLOCK: 12 },
          3: { LRU: 3, OPT: 3, CLOCK: 3 },
          100: { LRU: 3, OPT: 3, CLOCK: 3 },
        },
      },
    ],
    [
      'a list for a curve',
      'replacement-curve',
      { refs: book, frames: [3, 4] },
      { faults: { 3: { FIFO: 9, OPT: 7 }, 4: { FIFO: 10, OPT: 6 } } },
    ],
    // As CPython draws: the references of the first two were given, those of the third were drawn before.
    [
      'RAND over given references',
      'ostep.paging-policy',
      { policy: 'RAND', frames: 3, seed: 3, refs: book },
      paging(3, 25, '1 1,2 1,2,3 2,3,4-1 2,4,1-3 = 2,1,5-4 = = 2,5,3-1 2,3,4-5 3,4,5-2'),
    ],
    [
      'CLOCK over given references',
      'ostep.paging-policy',
      { policy: 'CLOCK', frames: 2, seed: 3, refs: [1, 2, 1, 3, 2, 1, 3], clockbits: 1 },
      paging(2, 28.57, '1 1,2 = 2,3-1 = 2,1-3 1,3-2'),
    ],
    [
      'RAND over drawn references, a negative seed',
      'ostep.paging-policy',
      { policy: 'RAND', frames: 2, seed: -4, refs: [1, 0, 1, 0, 0, 2, 4, 4, 3] },
      paging(4, 44.44, '1 1,0 = = = 0,2-1 0,4-2 = 4,3-0'),
    ],
    ['no reference', 'lru-stack', { refs: [] }, { stackDistances: [], faultsByFrames: {} }],
    [
      'the beginning and the end of time',
      'working-set',
      { refs: [4, 3, 4], delta: 2, times: [0, 3] },
      { workingSets: [[], [3, 4]], wssAtEveryTime: [1, 2, 2] },
    ],
    [
      'a small array',
      'faults',
      { rows: 4, cols: 3, frames: 3, pageHoldsRow: true },
      { columnMajorFaults: 12, rowMajorFaults: 4 },
    ],
    [
      'counters of three bits',
      'aging',
      { pages: 2, counterBits: 3, rBitsPerTick: ['10', '01'] },
      {
        countersAfterTick: [
          ['100', '000'],
          ['010', '100'],
        ],
        victimAfterLastTick: 0,
      },
    ],
    [
      'classes from the top',
      'nru',
      {
        pages: [
          { R: 1, M: 1 },
          { R: 1, M: 0 },
        ],
      },
      { classes: [3, 2], evictLowestNonEmptyClass: true },
    ],
    [
      'one set, and an instruction',
      'set-associative-lru',
      { s: 0, E: 1, b: 4, trace: ['I  0040,4', ' L 7fff000398,8', ' M 10,1', ' S 1f,8'] },
      { hits: 2, misses: 2, evictions: 1, perLine: ['miss', 'miss eviction hit', 'hit'] },
    ],
  ])('%s', (_, family, input, expected) => {
    expect(disagreement(family, input, expected)).toBe('');
  });

  // 1/160 is 0.625%, which lies in the middle; so does 3/160, 1.875%.
  it.each([
    [1, 0.62],
    [3, 1.88],
  ])('a hit rate of %s in 160, as Python rounds it', (hits, percent) => {
    const refs = Array.from({ length: 160 }, (_, index) => Math.max(0, index - hits));
    const memory = refs.map((page) => [page]);
    const steps = refs.map((page, index) => {
      const hit = index > 0 && refs[index - 1] === page;
      const victim = hit || index === 0 ? null : refs[index - 1];
      return { hit, memory: memory[index], victim };
    });
    const expected = { hits, misses: 160 - hits, hitratePct: percent, steps };
    const input = { policy: 'FIFO', frames: 1, seed: 0, refs };
    expect(disagreement('ostep.paging-policy', input, expected)).toBe('');
  });
});

describe('what makes no problem of replacement is refused', () => {
  const good = { refs: [1], frames: [1] };
  const lru = { LRU: run([null], [false]) };

  it.each<[string, string, object, unknown, string]>([
    ['a policy that there is not', 'replacement', good, { 1: { LRUX: lru } }, 'no policy LRUX'],
    ['no policy', 'replacement', good, { 1: {} }, 'no size or policy'],
    ['no size', 'replacement', { refs: [1], frames: [] }, {}, 'no size or policy'],
    ['a size twice', 'replacement', { refs: [1], frames: [1, 1] }, { 1: lru }, 'twice'],
    [
      'a policy in one size only',
      'replacement',
      { refs: [1], frames: [1, 2] },
      { 1: lru, 2: {} },
      '',
    ],
    ['a page that is none', 'replacement', { refs: [-1], frames: [1] }, { 1: lru }, 'integers'],
    ['no pages', 'nru', { pages: [] }, {}, 'no pages'],
    [
      'a block that has no number',
      'set-associative-lru',
      { s: 0, E: 1, b: 0, trace: [' L ffffffffffffffff,1'] },
      {},
      'no block',
    ],
    [
      'R bits of another number of pages',
      'aging',
      { pages: 3, counterBits: 8, rBitsPerTick: ['01'] },
      {},
      'no R bits',
    ],
  ])('%s', (_, family, input, expected, why) => {
    const text = disagreement(family, input, expected);
    expect(text).not.toBe('');
    expect(text).toContain(why);
  });
});
