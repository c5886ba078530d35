import { checkList, VmError } from '../core/index.js';

/**
 * What a configuration may hold: what JSON holds, and comes out of it as it went in.
 *
 * @public
 */
export type SweepValue =
  | null
  | boolean
  | number
  | string
  | readonly SweepValue[]
  | { readonly [name: string]: SweepValue };

/**
 * A configuration: plain data by name. A type of your own must be a type alias; an interface could be extended by what is
 * no data.
 *
 * @public
 */
export type SweepConfiguration = { readonly [name: string]: SweepValue };

/** How deep a configuration may be: deeper is what holds itself. */
const MAX_DEPTH = 64;

/** How many configurations a grid may have. */
const MAX_POINTS = 2 ** 20;

/**
 * Copies a configuration as deep as it is.
 *
 * @throws `VmError` `bad-argument` for what JSON would lose.
 */
export function copyConfiguration<Configuration extends object>(
  argument: string,
  configuration: Configuration,
): Configuration {
  if (isObject(configuration)) return copyObject(argument, configuration, 0);
  const expected = 'a plain object';
  throw new VmError('bad-argument', { argument, value: configuration, expected });
}

function copyObject<Data extends object>(argument: string, object: Data, depth: number): Data {
  const copy = { ...object };
  for (const [name, value] of Object.entries(copy)) {
    Reflect.set(copy, name, copyValue(`${argument}.${name}`, value, depth + 1));
  }
  return copy;
}

function copyValue(argument: string, value: unknown, depth: number): unknown {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return value;
  if (typeof value === 'number' && Number.isFinite(value)) return value;
  if (depth < MAX_DEPTH) {
    if (Array.isArray(value)) {
      return Array.from(value, (item, at) => copyValue(`${argument}[${at}]`, item, depth + 1));
    }
    if (isObject(value)) return copyObject(argument, value, depth);
  }
  const expected = `null, a boolean, a finite number, a string, or lists and plain objects of them, not ${MAX_DEPTH} deep`;
  throw new VmError('bad-argument', { argument, value, expected });
}

/** Whether a value is an object that is nothing but its fields. */
function isObject(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/**
 * Every combination of some values: the configurations of a {@link sweep} over several dimensions. Those that make no sense
 * are for `filter` to drop.
 *
 * @param axes - By name, the values; at least one each, and at most 2^20 combinations.
 * @returns The combinations; the last name changes fastest. O(combinations x names).
 * @throws `VmError` for what is no list of values, or too many of them.
 *
 * @example
 * ```ts
 * import { grid } from 'pagewright/mmu';
 *
 * const points = grid({ entries: [4, 16], ways: [4, 8] });
 * points.length; // => 4
 * points[1]; // => { entries: 4, ways: 8 }
 * points.filter(({ entries, ways }) => ways <= entries).length; // => 3
 * ```
 * @public
 */
export function grid<Configuration extends SweepConfiguration>(
  axes: {
    readonly [Name in keyof Configuration]: readonly Configuration[Name][];
  },
): readonly Configuration[] {
  checkAxes(axes);
  const names = Object.keys(axes);
  let points: readonly Partial<Configuration>[] = [{}];
  for (const name in axes) {
    const values = axes[name];
    points = points.flatMap((point) => values.map((value) => ({ ...point, [name]: value })));
  }
  return points.filter((point): point is Configuration => {
    return names.every((name) => Object.hasOwn(point, name));
  });
}

function checkAxes(axes: Readonly<Record<string, readonly unknown[]>>): void {
  if (!isObject(axes)) {
    const expected = 'lists of values by name';
    throw new VmError('bad-argument', { argument: 'axes', value: axes, expected });
  }
  let points = 1;
  for (const [name, values] of Object.entries(axes)) {
    const argument = `axes.${name}`;
    checkList(argument, values);
    if (values.length === 0) {
      throw new VmError('bad-argument', {
        argument,
        value: values,
        expected: 'at least one value',
      });
    }
    points *= values.length;
  }
  if (points <= MAX_POINTS) return;
  const expected = `at most ${MAX_POINTS} combinations`;
  throw new VmError('out-of-range', { argument: 'axes', value: points, expected });
}
