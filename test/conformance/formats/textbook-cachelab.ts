import { lru, type SimulationStep, simulate } from 'pagewright/replacement';
import { type Fields, Malformed, text } from '../fields.js';

/** Accesses of a line: it names the block of `2^b` bytes, and counts for one block, whatever its size. */
interface Line {
  readonly block: number;
  readonly accesses: number;
}

/** CS:APP, Cache Lab: 2^s sets of E lines of 2^b bytes, true LRU, valgrind's trace lines. */
export function cacheLab(input: Fields): unknown {
  input.only(['s', 'E', 'b', 'trace']);
  const sets = 2 ** input.integer('s', 0, 24);
  const ways = input.integer('E', 1, 2 ** 24 / sets);
  const blockBits = input.integer('b', 0, 63);
  const lines = input.list('trace').map((line) => lineOf(text(line, 'a line'), blockBits));
  // Instructions are no accesses, and the simulator says nothing of them.
  const data = lines.filter(({ accesses }) => accesses > 0);
  const blocks = data.flatMap(({ accesses, block }) => Array<number>(accesses).fill(block));
  const { hits, misses, steps } = simulate(lru(), ways, blocks, { sets });
  const evictions = steps.filter(({ victim }) => victim !== null).length;
  let next = 0;
  const perLine = data.map(({ accesses }) => {
    next += accesses;
    return steps
      .slice(next - accesses, next)
      .map(wordsOf)
      .join(' ');
  });
  return { hits, misses, evictions, perLine };
}

/** A load and a store are one access, M is a load and then a store, I none. */
const ACCESSES: Readonly<Record<string, number>> = { I: 0, ' L': 1, ' S': 1, ' M': 2 };

function lineOf(line: string, blockBits: number): Line {
  const [, kind = '', address = ''] = /^(I| [LSM]) +([0-9a-f]{1,16}),\d{1,9}$/.exec(line) ?? [];
  const accesses = ACCESSES[kind];
  if (accesses === undefined) throw new Malformed(`${line} is no line of a trace`);
  const block = BigInt(`0x${address}`) >> BigInt(blockBits);
  if (block > BigInt(Number.MAX_SAFE_INTEGER)) throw new Malformed(`${line}: no block number`);
  return { block: Number(block), accesses };
}

function wordsOf({ hit, victim }: SimulationStep): string {
  if (hit) return 'hit';
  return victim === null ? 'miss' : 'miss eviction';
}
