import type { ReferencePmpRight, ReferencePrivilege } from './riscv-walk.js';

/** One PMP entry: its pmpcfg byte, and its pmpaddr register. */
export interface ReferencePmpEntry {
  readonly config: number;
  readonly address: bigint;
}

/** The bytes that an entry matches, as [start, end). */
function rangeOf(entries: readonly ReferencePmpEntry[], number: number): [bigint, bigint] {
  const { config, address } = entries[number]!;
  switch ((config >> 3) & 3) {
    case 1: // TOR: from the address of the entry below
      return [4n * (entries[number - 1]?.address ?? 0n), 4n * address];
    case 2: // NA4
      return [4n * address, 4n * address + 4n];
    case 3: {
      // NAPOT: n trailing ones name 2^(n + 3) bytes
      let size = 8n;
      for (let rest = address; rest % 2n === 1n; rest /= 2n) size *= 2n;
      const start = 4n * address - ((4n * address) % size);
      return [start, start + size];
    }
    default: // OFF
      return [0n, 0n];
  }
}

/** Physical memory protection: RISC-V Privileged, 3.7.1.1 "Address Matching" and 3.7.1.3 "Priority and Matching Logic". */
export function referencePmp(
  entries: readonly ReferencePmpEntry[],
): (pa: bigint, bytes: number, right: ReferencePmpRight, privilege: ReferencePrivilege) => boolean {
  return (pa, bytes, right, privilege) => {
    const end = pa + BigInt(bytes);
    for (const [number, { config }] of entries.entries()) {
      const [from, to] = rangeOf(entries, number);
      if (from >= to || pa >= to || end <= from) continue;
      if (pa < from || end > to) return false;
      const locked = (config & 0x80) !== 0;
      if (privilege === 'machine' && !locked) return true;
      return (config & { read: 1, write: 2, execute: 4 }[right]) !== 0;
    }
    return privilege === 'machine' || entries.length === 0;
  };
}
