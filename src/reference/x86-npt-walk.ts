import { Access } from '../core/index.js';
import type { ReferenceX86Registers, ReferenceX86Write } from './x86-walk.js';

/** The host's registers at VMRUN; CR3 is nCR3. */
export type ReferenceNptRegisters = Omit<
  ReferenceX86Registers,
  'ac' | 'pkru' | 'pkrs' | 'pse36' | 'accessedOnFault'
>;

/** One access to a guest-physical address, and everything that its answer depends on. */
export interface ReferenceNptInput {
  /** A little-endian value, or `null` where there is no memory. */
  readonly read: (pa: bigint, bytes: number) => bigint | null;
  readonly registers: ReferenceNptRegisters;
  readonly gpa: bigint;
  /** `Access` bits; whose access it is makes no difference. */
  readonly access: number;
}

/** The answer to an access. */
export type ReferenceNptOutcome =
  | {
      readonly kind: 'page';
      readonly pa: bigint;
      readonly pageBytes: bigint;
      readonly writes: readonly ReferenceX86Write[];
    }
  | {
      readonly kind: 'fault';
      /** Bits 4:0 of EXITINFO1. */
      readonly code: bigint;
      readonly writes: readonly [];
    }
  | { readonly kind: 'bus-error'; readonly writes: readonly [] };

/** Bits `high` to `low` of a value. */
const field = (value: bigint, high: number, low: number): bigint =>
  high < low ? 0n : (value >> BigInt(low)) % 2n ** BigInt(high - low + 1);

/** Whether a bit of a value is set. */
const bit = (value: bigint, at: number): boolean => field(value, at, at) === 1n;

/** APM Vol. 2, 5.3.3 and 5.3.4: whether a present entry of long mode has a reserved bit set. Levels count from 1. */
function usesReserved(entry: bigint, level: number, registers: ReferenceNptRegisters): boolean {
  const { efer, gigabytePages, maxPhyAddr } = registers;
  if (bit(entry, 63) && !bit(efer, 11)) return true;
  if (field(entry, 51, maxPhyAddr) !== 0n) return true;
  if (level === 1 || !bit(entry, 7)) return false;
  // Bit 7 makes a page of 2 MiB or 1 GiB; above it must be 0. Bit 12 is PAT.
  if (level > 3 || (level === 3 && !gigabytePages)) return true;
  return field(entry, 11 + 9 * (level - 1), 13) !== 0n;
}

/** A walk of nested tables in a host in long mode: AMD64 APM Vol. 2, 15.25.5 and 15.25.6. */
export function referenceNptWalk(input: ReferenceNptInput): ReferenceNptOutcome {
  const { access, gpa, read, registers } = input;
  const fetch = (access & 3) === Access.Fetch;
  const write = !fetch && (access & (Access.Write | Access.ReadModifyWrite)) !== 0;
  // 15.25.6: P and RSV are given; RW, US and ID follow from the access, which is always a user's.
  const fault = (bits: bigint): ReferenceNptOutcome => {
    const id = fetch && (bit(registers.efer, 11) || bit(registers.cr4, 20)) ? 16n : 0n;
    return { kind: 'fault', code: bits | (write ? 2n : 0n) | 4n | id, writes: [] };
  };

  let level = bit(registers.cr4, 12) ? 5 : 4;
  if (field(gpa, 63, 12 + 9 * level) !== 0n) return fault(0n);
  let table = field(registers.cr3, 51, 12) * 4096n;
  let [writable, user, executable] = [true, true, true];
  const used: { readonly pa: bigint; readonly entry: bigint }[] = [];
  for (; ; level--) {
    const low = 12 + 9 * (level - 1);
    const pa = table + field(gpa, low + 8, low) * 8n;
    const entry = read(pa, 8);
    if (entry === null) return { kind: 'bus-error', writes: [] };
    if (!bit(entry, 0)) return fault(0n);
    if (usesReserved(entry, level, registers)) return fault(9n);
    writable &&= bit(entry, 1);
    user &&= bit(entry, 2);
    executable &&= !bit(entry, 63);
    used.push({ pa, entry });
    if (level > 1 && !bit(entry, 7)) {
      table = field(entry, 51, 12) * 4096n;
      continue;
    }
    if (!user || (write && !writable) || (fetch && !executable)) return fault(1n);
    const pageBytes = 2n ** BigInt(low);
    const base = field(entry, 51, low) * pageBytes;
    return { kind: 'page', pa: base + (gpa % pageBytes), pageBytes, writes: marked(used, write) };
  }
}

/** The entries that were used get A, the last one D for a write. */
function marked(
  used: readonly { readonly pa: bigint; readonly entry: bigint }[],
  dirty: boolean,
): ReferenceX86Write[] {
  const words = new Map<bigint, { readonly before: bigint; after: bigint }>();
  used.forEach(({ entry, pa }, i) => {
    const word = words.get(pa) ?? { before: entry, after: entry };
    word.after |= dirty && i === used.length - 1 ? 0x60n : 0x20n;
    words.set(pa, word);
  });
  return [...words]
    .filter(([, { after, before }]) => before !== after)
    .map(([pa, { after }]) => ({ pa, value: after }));
}
