// node scripts/run-ts.mjs examples/cpu-loop/main.ts [LIMIT]
//
// A RISC-V machine that looks for the primes below LIMIT with paging on and takes its own page faults: how fast with
// the fast path, and how fast with a page walk at every access.
import { expectedResult } from './expected.js';
import { type Outcome, type PathKind, primesMachine, runPrimes } from './machine.js';

const limit = Number(process.argv[2] ?? 2 ** 20);
if (!Number.isInteger(limit) || limit < 3 || limit > 8 * 2 ** 20) {
  console.error('the limit is a number from 3 to 8388608');
  process.exit(2);
}

const expected = expectedResult(limit);

/** The second of two runs: the first one warms the code up. */
function measure(kind: PathKind): { readonly outcome: Outcome; readonly mips: number } {
  runPrimes(primesMachine(kind, limit));
  const machine = primesMachine(kind, limit);
  const start = performance.now();
  const outcome = runPrimes(machine);
  return { outcome, mips: outcome.instructions / (performance.now() - start) / 1000 };
}

function agrees(outcome: Outcome): boolean {
  return (
    outcome.checksum === expected.checksum &&
    outcome.count === expected.count &&
    outcome.sum === expected.sum &&
    outcome.printed === expected.printed
  );
}

const count = (value: number): string => value.toLocaleString('en');

const fast = measure('fast');
const slow = measure('slow');
const { outcome } = fast;
console.log(`primes below ${count(limit)}: ${outcome.count}, sum ${outcome.sum}`);
console.log(`instructions: ${count(outcome.instructions)}`);
console.log(`page faults taken by the guest: ${count(outcome.faults)}`);
console.log(`checksum: 0x${outcome.checksum.toString(16)}`);
for (const [name, run] of [
  ['with the fast path', fast],
  ['a walk at every access', slow],
] as const) {
  const verdict = agrees(run.outcome) ? 'as the host computes' : 'DIFFERENT from the host';
  console.log(`${name}: ${run.mips.toFixed(1)} MIPS, ${verdict}`);
}
if (!agrees(fast.outcome) || !agrees(slow.outcome)) process.exitCode = 1;
