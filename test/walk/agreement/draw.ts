/** An integer from 0 to `below - 1`; 0 is the plainest, to which fast-check shrinks. */
export type Draw = (below: number) => number;

/** One of a list. */
export function pick<T>(draw: Draw, list: readonly T[]): T {
  return list[draw(list.length)]!;
}

/** True once in `times`. */
export function once(draw: Draw, times: number): boolean {
  return draw(times) === times - 1;
}

/** A pattern of up to 64 random bits. */
export function pattern(draw: Draw, bits: number): bigint {
  const whole = (BigInt(draw(2 ** 32)) << 32n) | BigInt(draw(2 ** 32));
  return BigInt.asUintN(bits, whole);
}
