/**
 * Data that leaves by a friendly door: plain fields, safe for `structuredClone`, and ready for `JSON.stringify`, which
 * shows bigints as hexadecimal strings with `0x`.
 *
 * @public
 */
export type Plain<T> = T & {
  /**
   * The same data with every bigint as a hexadecimal string.
   *
   * @returns What `JSON.stringify` will write.
   */
  toJSON(): unknown;
};

/** `toJSON` sits on a prototype, not on the data: `structuredClone` copies own fields only, and refuses functions. */
const prototype = {
  toJSON(): unknown {
    return withoutBigints({ ...this });
  },
};

/**
 * Gives data its `toJSON`.
 *
 * @param data - An object whose values are primitives, arrays and such objects.
 * @returns A new object with the same own fields.
 * @internal
 */
export function plain<T extends object>(data: T): Plain<T> {
  return Object.assign(Object.create(prototype) as Plain<T>, data);
}

function withoutBigints(value: unknown): unknown {
  if (typeof value === 'bigint') {
    return value < 0n ? `-0x${(-value).toString(16)}` : `0x${value.toString(16)}`;
  }
  if (Array.isArray(value)) return value.map(withoutBigints);
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, withoutBigints(v)]));
  }
  return value;
}
