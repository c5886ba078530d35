/**
 * The stable codes of {@link VmError}. A code never changes its meaning; new ones may be added.
 *
 * - `bad-argument`: an argument is of the wrong type or shape.
 * - `out-of-range`: a number or bigint outside the range that the operation accepts.
 * - `misaligned`: an address or size that must be aligned is not.
 * - `overlap`: something new would overlap something that is already there.
 * - `bad-image`: a file or buffer is not what it should be (truncated, wrong magic, wrong version).
 * - `unsupported`: understood, but outside what this library does.
 * - `contended`: other agents kept changing what was to be changed.
 *
 * @public
 */
export type VmErrorCode =
  | 'bad-argument'
  | 'out-of-range'
  | 'misaligned'
  | 'overlap'
  | 'bad-image'
  | 'unsupported'
  | 'contended';

/**
 * What a {@link VmError} knows about the mistake, as plain data.
 *
 * @public
 */
export interface VmErrorDetails {
  /** The name of the argument, option or field at fault. */
  readonly argument: string;
  /** The offending value; bigints stay bigints. */
  readonly value?: unknown;
  /** What would have been accepted, in words. */
  readonly expected: string;
  /** The virtual address that it is about, where it is about one. */
  readonly address?: bigint;
  /** The page-table entry that was found there, where that is the trouble. */
  readonly entry?: bigint;
}

/**
 * Thrown when the caller breaks a contract. What a guest does wrong (a page fault, a bus error) is never thrown:
 * it is returned as a value.
 *
 * @example
 * ```ts
 * import { VmError, vpnFromAddress } from 'pagewright/core';
 *
 * let caught: VmError | undefined;
 * try {
 *   vpnFromAddress(-1n);
 * } catch (error) {
 *   if (error instanceof VmError) caught = error;
 * }
 * caught?.code; // => 'out-of-range'
 * caught?.details.argument; // => 'address'
 * ```
 *
 * @public
 */
export class VmError extends Error {
  /** Stable, for programs; the message is for people and may change. */
  readonly code: VmErrorCode;
  /** Which argument, its value, and what was expected. */
  readonly details: VmErrorDetails;

  /**
   * @param code - The stable code.
   * @param details - What was wrong, as plain data; the message is made from it.
   */
  constructor(code: VmErrorCode, details: VmErrorDetails) {
    const got = 'value' in details ? ` (got ${show(details.value)})` : '';
    super(`${details.argument}: expected ${details.expected}${got}`);
    this.name = 'VmError';
    this.code = code;
    this.details = details;
  }
}

/** A value as a short literal, whatever it is: it may come from a hostile caller. */
function show(value: unknown): string {
  switch (typeof value) {
    case 'bigint':
      return value < 0n ? `${value}n` : `0x${value.toString(16)}n`;
    case 'string':
      return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}...` : value);
    case 'function':
      return 'a function';
    case 'object':
      return value === null ? 'null' : Array.isArray(value) ? showList(value) : 'an object';
    default:
      return String(value);
  }
}

/** A short list in full, without what it holds in turn. */
function showList(list: readonly unknown[]): string {
  if (list.length > 4) return 'an array';
  return `[${list.map((item) => (Array.isArray(item) ? 'an array' : show(item))).join(', ')}]`;
}

/**
 * Checks that a number is an integer in `[low, high]` and returns it.
 *
 * @param argument - The name to report.
 * @param value - The number to check.
 * @param low - The least value accepted.
 * @param high - The greatest value accepted.
 * @returns `value`, unchanged.
 * @throws {@link VmError} `bad-argument` for a non-integer, `out-of-range` outside the interval.
 *
 * @public
 */
export function checkInteger(argument: string, value: number, low: number, high: number): number {
  if (!Number.isInteger(value)) {
    throw new VmError('bad-argument', { argument, value, expected: 'an integer' });
  }
  if (value < low || value > high) {
    const expected = `an integer from ${spell(low)} to ${spell(high)}`;
    throw new VmError('out-of-range', { argument, value, expected });
  }
  return value;
}

/**
 * Checks the version of a snapshot that is to be restored, and that it is of the right thing.
 *
 * @param snapshot - What a caller gave, of any shape.
 * @param version - The one version that is understood.
 * @param type - The tag that it should have; not looked at unless given.
 * @throws {@link VmError} `unsupported` for another version, `bad-image` for another tag.
 * @internal
 */
export function checkVersion(
  snapshot: { readonly v: unknown; readonly type?: unknown } | null | undefined,
  version: number,
  type?: string,
): void {
  const v = snapshot?.v;
  if (v !== version) {
    const expected = `version ${version}`;
    throw new VmError('unsupported', { argument: 'snapshot.v', value: v, expected });
  }
  if (type === undefined || snapshot?.type === type) return;
  const expected = `the snapshot of a ${type}`;
  throw new VmError('bad-image', { argument: 'snapshot.type', value: snapshot?.type, expected });
}

/**
 * Reads a number that a snapshot keeps as text.
 *
 * @param argument - The name to report.
 * @param text - `0x` and 1 to 16 hexadecimal digits.
 * @returns The number.
 * @throws {@link VmError} `bad-image` for anything else.
 *
 * @public
 */
export function bigintFromHex(argument: string, text: unknown): bigint {
  if (typeof text === 'string' && /^0x[0-9a-f]{1,16}$/.test(text)) return BigInt(text);
  const expected = 'a hexadecimal string of at most 64 bits';
  throw new VmError('bad-image', { argument, value: text, expected });
}

function spell(value: number): string {
  return Math.abs(value) < 65536 ? String(value) : `0x${value.toString(16)}`;
}

/**
 * Takes a 64-bit pattern as a bigint or as a safe non-negative integer, and returns it as a bigint.
 *
 * @param argument - The name to report.
 * @param value - The pattern.
 * @param bits - How many bits it may have (64 unless told).
 * @returns The pattern as an unsigned bigint.
 * @throws {@link VmError} `bad-argument` for anything but a bigint or an integer, `out-of-range` when negative, above
 * `2^bits - 1`, or a number above 2^53 - 1 (which would have lost bits already).
 *
 * @public
 */
export function checkBits(argument: string, value: bigint | number, bits = 64): bigint {
  if (typeof value === 'number') {
    if (!Number.isInteger(value)) {
      throw new VmError('bad-argument', { argument, value, expected: 'a bigint or an integer' });
    }
    if (!Number.isSafeInteger(value)) {
      throw new VmError('out-of-range', { argument, value, expected: 'a bigint, above 2^53 - 1' });
    }
  } else if (typeof value !== 'bigint') {
    throw new VmError('bad-argument', { argument, value, expected: 'a bigint or an integer' });
  }
  const pattern = BigInt(value);
  if (pattern < 0n || pattern >> BigInt(bits) !== 0n) {
    const expected = `an unsigned ${bits}-bit pattern`;
    throw new VmError('out-of-range', { argument, value, expected });
  }
  return pattern;
}
