// The same computation in the host, in its own words.
import { CROSSINGS, FACTOR, ROUNDS } from './layout.js';

/** What the guest's program leaves in a0, a1 and a2, and what it prints. */
export interface Result {
  readonly checksum: bigint;
  readonly count: bigint;
  readonly sum: bigint;
  readonly printed: string;
}

/** What the guest must find. */
export function expectedResult(limit: number): Result {
  const primes = primesBelow(limit);
  let checksum = 1n;
  for (const prime of primes) checksum = mix(checksum, BigInt(prime));
  checksum = count(cross(checksum));
  const sum = primes.reduce((total, prime) => total + BigInt(prime), 0n);
  return { checksum, count: BigInt(primes.length), sum, printed: `${primes.length}\n` };
}

function mix(checksum: bigint, value: bigint): bigint {
  return BigInt.asUintN(64, checksum * FACTOR + value);
}

function primesBelow(limit: number): readonly number[] {
  const composite = new Uint8Array(limit);
  const primes: number[] = [];
  for (let i = 2; i < limit; i++) {
    if (composite[i] === 1) continue;
    primes.push(i);
    for (let j = i * i; j < limit; j += i) composite[j] = 1;
  }
  return primes;
}

function cross(before: bigint): bigint {
  const words = new DataView(new ArrayBuffer((CROSSINGS + 1) * 4096));
  let checksum = before;
  for (let page = 1; page <= CROSSINGS; page++) {
    const at = page * 4096;
    words.setBigUint64(at - 3, checksum, true);
    const read = words.getBigUint64(at - 5, true) ^ BigInt(words.getInt32(at - 1, true));
    checksum = mix(checksum, read);
  }
  return checksum;
}

function count(before: bigint): bigint {
  let checksum = before;
  let counter = 0n;
  let word = 0n;
  for (let round = ROUNDS; round > 0; round--) {
    counter += BigInt(round);
    const old = word;
    word = BigInt.asIntN(32, word + checksum);
    checksum = BigInt.asUintN(64, checksum ^ old);
  }
  return BigInt.asUintN(64, checksum + counter);
}
