// npm run fuzz -- [COUNT] [--seed N]
//
// Walks garbage page tables in every mode, in one stage and in two: there is always an answer, a bounded number of reads,
// no throw, and no write but accessed and dirty bits of entries on the path. All kinds of RAM and every way to ask agree;
// where there is a reference model, it is asked too.
import { parseArgs } from 'node:util';
import { Round } from './round.js';

const WALKS_PER_ROUND = 1000;
const DEFAULT_WALKS = 1_000_000;

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { seed: { type: 'string', default: '1' } },
});

function integer(name: string, text: string, low: number, high: number): number {
  const value = Number(text);
  if (text !== '' && Number.isInteger(value) && value >= low && value <= high) return value;
  console.error(`${name}: expected an integer from ${low} to ${high}, not ${JSON.stringify(text)}`);
  process.exit(2);
}

const count = integer('count', positionals[0] ?? String(DEFAULT_WALKS), 1, 1e12);
const seed = integer('--seed', values.seed, 0, 2 ** 31);
console.log(`seed ${seed}`);

let done = 0;
for (let round = 0; done < count; round++) {
  const walks = Math.min(WALKS_PER_ROUND, count - done);
  const own = (seed + round) % 2 ** 32;
  try {
    new Round(own).run(walks);
  } catch (error) {
    console.error(error);
    console.error(`replay: npm run fuzz -- ${walks} --seed ${own}`);
    console.log(`${done} walks, 1 failure`);
    process.exit(1);
  }
  done += walks;
  if (round % 250 === 249) console.error(`${done} of ${count} walks`);
}
console.log(`${done} walks, 0 failures`);
