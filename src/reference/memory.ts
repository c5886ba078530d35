import { type Address, VmError } from '../core/index.js';

/**
 * The obvious physical memory: one number for every byte that was ever written, and a list of the ranges where there is
 * memory. Slow; it is what `pagewright/memory` is tested against.
 */
export class ReferenceMemory {
  private readonly bytes: Map<bigint, number> = new Map();
  private readonly ranges: { readonly base: bigint; readonly end: bigint }[] = [];

  /** Puts memory at `base` to `base + bytes`. */
  add(base: Address, bytes: number): void {
    const start = BigInt(base);
    const end = start + BigInt(bytes);
    if (this.ranges.some((range) => start < range.end && range.base < end)) {
      throw new VmError('overlap', { argument: 'base', value: base, expected: 'unused space' });
    }
    this.ranges.push({ base: start, end });
  }

  /** Whether there is memory at an address. */
  has(address: bigint): boolean {
    return this.ranges.some((range) => range.base <= address && address < range.end);
  }

  /** Whether there is memory at each of `bytes` addresses. */
  contains(address: bigint, bytes: number): boolean {
    for (let i = 0; i < bytes; i++) {
      if (!this.has(address + BigInt(i))) return false;
    }
    return true;
  }

  /** A little-endian value, or `null` where some byte is no memory. */
  read(address: bigint, bytes: number): bigint | null {
    if (!this.contains(address, bytes)) return null;
    let value = 0n;
    for (let i = bytes - 1; i >= 0; i--) {
      value = value * 256n + BigInt(this.bytes.get(address + BigInt(i)) ?? 0);
    }
    return value;
  }

  /** Stores a little-endian value; `false`, and nothing stored, where some byte is no memory. */
  write(address: bigint, bytes: number, value: bigint): boolean {
    if (!this.contains(address, bytes)) return false;
    for (let i = 0; i < bytes; i++) {
      this.bytes.set(address + BigInt(i), Number((value >> BigInt(8 * i)) & 0xffn));
    }
    return true;
  }

  /** The value found, or `null` where there is no memory; stores `value` when it was `expected`. */
  compareExchange(address: bigint, bytes: number, expected: bigint, value: bigint): bigint | null {
    const found = this.read(address, bytes);
    if (found === expected) this.write(address, bytes, value);
    return found;
  }
}
