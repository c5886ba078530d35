import { VmError } from '../core/index.js';

/**
 * Goes through the lists of numbers that a snapshot keeps, such as the pairs of page and frame.
 *
 * @param argument - The name to report.
 * @param value - What a caller gave, of any shape.
 * @param length - How many numbers each has.
 * @param visit - What is done with them.
 * @throws `VmError` `bad-image` for anything else.
 */
export function eachSaved(
  argument: string,
  value: unknown,
  length: number,
  visit: (numbers: readonly number[]) => void,
): void {
  if (!Array.isArray(value)) throw damaged(argument, value, 'an array');
  value.forEach((numbers: unknown, at) => {
    const whole = Array.isArray(numbers) && numbers.length === length;
    if (!whole || numbers.some((number) => typeof number !== 'number')) {
      throw damaged(`${argument}[${at}]`, numbers, `${length} numbers`);
    }
    visit(numbers);
  });
}

/** What a snapshot says and cannot be. */
export function damaged(argument: string, value: unknown, expected: string): VmError {
  return new VmError('bad-image', { argument, value, expected });
}
