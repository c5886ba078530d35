const N = 624;
const M = 397;

/**
 * CPython's `random`: MT19937, seeded by a list (Matsumoto and Nishimura, "Mersenne Twister", ACM TOMACS 8(1), 1998, and
 * their mt19937ar.c, 2002; CPython, Modules/_randommodule.c). OSTEP's homework programs draw from it.
 */
export class PythonRandom {
  private readonly state: Int32Array = new Int32Array(N);
  private next = N;

  /** `random.seed(seed)`: of its absolute value, 32 bits after the other. */
  constructor(seed: number | bigint) {
    const key: number[] = [];
    let rest = BigInt(seed) < 0n ? -BigInt(seed) : BigInt(seed);
    do {
      key.push(Number(BigInt.asIntN(32, rest)));
      rest >>= 32n;
    } while (rest > 0n);
    this.seedByList(key);
  }

  /** `random.random()`: 53 bits, below 1. */
  random(): number {
    const high = this.word() >>> 5;
    const low = this.word() >>> 6;
    return (high * 2 ** 26 + low) / 2 ** 53;
  }

  /** `init_by_array`. */
  private seedByList(key: readonly number[]): void {
    const { state } = this;
    this.seedByWord(19650218);
    let i = 1;
    const step = (factor: number, added: (round: number) => number, rounds: number): void => {
      for (let round = 0; round < rounds; round++) {
        const mixed = state[i - 1]! ^ (state[i - 1]! >>> 30);
        state[i] = (state[i]! ^ Math.imul(mixed, factor)) + added(round);
        i++;
        if (i < N) continue;
        state[0] = state[N - 1]!;
        i = 1;
      }
    };
    const length = key.length;
    step(1664525, (round) => key[round % length]! + (round % length), Math.max(N, length));
    step(1566083941, () => -i, N - 1);
    state[0] = 1 << 31;
  }

  /** `init_genrand`. */
  private seedByWord(seed: number): void {
    const { state } = this;
    state[0] = seed;
    for (let i = 1; i < N; i++) {
      state[i] = Math.imul(1812433253, state[i - 1]! ^ (state[i - 1]! >>> 30)) + i;
    }
  }

  /** `genrand_int32`. */
  private word(): number {
    if (this.next === N) this.twist();
    let word = this.state[this.next++]!;
    word ^= word >>> 11;
    word ^= (word << 7) & 0x9d2c5680;
    word ^= (word << 15) & 0xefc60000;
    return word ^ (word >>> 18);
  }

  private twist(): void {
    const { state } = this;
    for (let i = 0; i < N; i++) {
      const bits = (state[i]! & (1 << 31)) | (state[(i + 1) % N]! & 0x7fffffff);
      const odd = (bits & 1) === 1 ? 0x9908b0df : 0;
      state[i] = state[(i + M) % N]! ^ (bits >>> 1) ^ odd;
    }
    this.next = 0;
  }
}
