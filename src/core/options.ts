import { VmError } from './error.js';

/**
 * The names of an object's options; the compiler sees to it that none is missing.
 *
 * @internal
 */
export type OptionNames<T> = Readonly<Record<keyof Required<T>, true>>;

/**
 * Checks that a caller gave an object, and with names that there are: a misspelt option would do nothing.
 *
 * @param argument - The path to report; `''` for the argument itself, which is then called `whole`.
 * @param value - What the caller gave.
 * @param known - The names that there are.
 * @param whole - What the argument is called where the path is empty.
 * @throws {@link VmError} `bad-argument` for no object, or a name that is not known.
 * @internal
 */
export function checkOptions(
  argument: string,
  value: unknown,
  known: Readonly<Record<string, true>>,
  whole = 'options',
): void {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    const expected = 'an object';
    throw new VmError('bad-argument', { argument: argument || whole, value, expected });
  }
  for (const name of Object.keys(value)) {
    if (Object.hasOwn(known, name)) continue;
    const expected = `one of ${Object.keys(known).join(', ')}`;
    const path = argument === '' ? name : `${argument}.${name}`;
    throw new VmError('bad-argument', { argument: path, value: name, expected });
  }
}

/**
 * Checks that a caller gave a boolean, and returns it: another value would mean what nobody said.
 *
 * @param argument - The name to report.
 * @param value - What the caller gave.
 * @throws {@link VmError} `bad-argument` for anything else.
 * @internal
 */
export function checkBoolean(argument: string, value: unknown): boolean {
  if (typeof value === 'boolean') return value;
  throw new VmError('bad-argument', { argument, value, expected: 'a boolean' });
}

/**
 * Checks that an object, which may be somebody else's, has the methods that will be called.
 *
 * @param argument - The name to report.
 * @param value - What the caller gave.
 * @param names - The methods.
 * @throws {@link VmError} `bad-argument` for one that is missing.
 * @internal
 */
export function checkMethods(argument: string, value: unknown, names: readonly string[]): void {
  if (typeof value === 'object' && value !== null) {
    if (names.every((name) => typeof Reflect.get(value, name) === 'function')) return;
  }
  const expected = `an object with ${names.join(', ')}`;
  throw new VmError('bad-argument', { argument, value, expected });
}

/**
 * Checks that a caller gave an array.
 *
 * @param argument - The name to report.
 * @param value - What the caller gave.
 * @throws {@link VmError} `bad-argument` for anything else.
 * @internal
 */
export function checkList(argument: string, value: unknown): void {
  if (Array.isArray(value)) return;
  throw new VmError('bad-argument', { argument, value, expected: 'an array' });
}
