import { isList, mistake } from './define-format-parts.js';

/** More than any list of a description may hold: what is longer is refused, whatever it holds. */
const LIST_END = 65;

/** Deeper than any description is; a description that holds itself has no end. */
const DEPTH = 6;

/**
 * A copy that nobody else can change, to be checked and kept: own properties alone, each read once. What is inherited
 * does not count, and neither do properties that are `undefined`, for a description is what survives JSON.
 *
 * @param value - What a caller gave, of any shape.
 * @param path - Where it stands, for messages.
 */
export function copyPlain<T>(value: T, path: string): T;
export function copyPlain(value: unknown, path: string): unknown {
  return copy(value, path, 0);
}

function copy(value: unknown, path: string, depth: number): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (depth === DEPTH) throw mistake(path, value, 'what is no object');
  if (isList(value)) {
    const length = Math.min(value.length, LIST_END);
    return Array.from({ length }, (_, at) => copy(value[at], `${path}[${at}]`, depth + 1));
  }
  const entries = Object.entries(value).filter(([, inner]) => inner !== undefined);
  return Object.fromEntries(
    entries.map(([name, inner]) => [
      name,
      copy(inner, path === '' ? name : `${path}.${name}`, depth + 1),
    ]),
  );
}
