import { InvalidArgumentError } from 'commander';

/** An entry given inline. */
export interface InlineEntry {
  readonly address: bigint;
  readonly value: bigint;
}

/** A number as people write them: decimal, or hexadecimal with `0x`; underscores may group digits. */
export function parseNumber(text: string): bigint {
  const digits = text.replaceAll('_', '');
  if (/^(0x[0-9a-f]+|[0-9]+)$/i.test(digits)) return BigInt(digits);
  throw new InvalidArgumentError('Expected a number such as 0x80200000 or 4096.');
}

/** A small count. */
export function parseCount(text: string): number {
  const value = parseNumber(text);
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw new InvalidArgumentError('Expected a number below 2^53.');
  }
  return Number(value);
}

/** `ADDRESS=VALUE`, appended to those before it. */
export function parseEntry(text: string, before: readonly InlineEntry[] = []): InlineEntry[] {
  const parts = text.split('=');
  if (parts.length !== 2) {
    throw new InvalidArgumentError('Expected ADDRESS=VALUE, such as 0x80000000=0x20000401.');
  }
  const [address, value] = parts as [string, string];
  return [...before, { address: parseNumber(address), value: parseNumber(value) }];
}
