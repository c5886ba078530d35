import { Access } from '../core/index.js';

/**
 * Whether a value is an access made of some bits alone: an integer with one kind, and a fetch is never half of a
 * read-modify-write.
 */
export function isAccessOf(access: number, bits: number): boolean {
  const kind = access & 3;
  const modifies = (access & Access.ReadModifyWrite) !== 0;
  return (access & bits) === access && kind !== 3 && !(modifies && kind === Access.Fetch);
}
