// npm run fuzz -- [COUNT] [--seed N]
//
// Walks garbage page tables in every mode: there is always an answer, at most one read a level, no throw, and no write
// but accessed and dirty bits of entries on the path. Plausible tables are compared with the reference models.
import { parseArgs } from 'node:util';
import { FormatRound } from './format-round.js';
import { Round } from './round.js';

const WALKS_PER_ROUND = 2000;
const DEFAULT_WALKS = 10_000_000;

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
    // One walk of eight is in a format of its own.
    const formats = Math.floor(walks / 8);
    new Round(own).run(walks - formats);
    new FormatRound(own).run(formats);
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
