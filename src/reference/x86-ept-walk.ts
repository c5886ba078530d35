import { Access } from '../core/index.js';
import type { ReferenceX86Write } from './x86-walk.js';

/** The fields that an EPT walk depends on, and the abilities of the processor. */
export interface ReferenceEptRegisters {
  /** EPTP, as VM entry accepts it. */
  readonly eptp: bigint;
  /** Execute-only translations are supported. */
  readonly executeOnly: boolean;
  readonly gigabytePages: boolean;
  readonly modeBasedExecute: boolean;
  readonly maxPhyAddr: number;
}

/** One access to a guest-physical address, and everything that its answer depends on. */
export interface ReferenceEptInput {
  /** A little-endian value, or `null` where there is no memory. */
  readonly read: (pa: bigint, bytes: number) => bigint | null;
  readonly registers: ReferenceEptRegisters;
  readonly gpa: bigint;
  /**
   * `Access` bits: `User` says that the linear address is a user-mode one, `ImplicitSupervisor` that a paging structure
   * of the guest is accessed.
   */
  readonly access: number;
}

/** The answer to an access. */
export type ReferenceEptOutcome =
  | {
      readonly kind: 'page';
      readonly pa: bigint;
      readonly pageBytes: bigint;
      readonly memoryType: number;
      readonly writes: readonly ReferenceX86Write[];
    }
  | {
      readonly kind: 'violation';
      /** Bits 6:0 of the exit qualification. */
      readonly qualification: bigint;
      readonly writes: readonly [];
    }
  | { readonly kind: 'misconfiguration'; readonly writes: readonly [] }
  | { readonly kind: 'bus-error'; readonly writes: readonly [] };

/** Bits `high` to `low` of a value. */
const field = (value: bigint, high: number, low: number): bigint =>
  high < low ? 0n : (value >> BigInt(low)) % 2n ** BigInt(high - low + 1);

/** Whether a bit of a value is set. */
const bit = (value: bigint, at: number): boolean => field(value, at, at) === 1n;

/** 29.3.3.1: whether a present entry has a value that is never allowed. Levels count from 1, the last one. */
function misconfigured(entry: bigint, level: number, registers: ReferenceEptRegisters): boolean {
  const { executeOnly, gigabytePages, maxPhyAddr, modeBasedExecute } = registers;
  const [readable, writable, executable] = [bit(entry, 0), bit(entry, 1), bit(entry, 2)];
  if (writable && !readable) return true;
  const executes = executable || (modeBasedExecute && bit(entry, 10));
  if (!executeOnly && !readable && executes) return true;
  if (field(entry, 51, maxPhyAddr) !== 0n) return true;
  const mapsPage = level === 1 || bit(entry, 7);
  if (!mapsPage) return field(entry, 6, 3) !== 0n;
  // A page of level 4 or 5 does not exist: bit 7 is reserved, with bits 6:3.
  if (level > 3 || (level === 3 && !gigabytePages)) return true;
  if (field(entry, 11 + 9 * (level - 1), 12) !== 0n) return true;
  return [2n, 3n, 7n].includes(field(entry, 5, 3));
}

/** The rights that an access needs, as bits of an entry (29.3.3.2). */
function rightsNeeded(access: number, registers: ReferenceEptRegisters): number[] {
  if ((access & 3) === Access.Fetch) {
    return [registers.modeBasedExecute && access & Access.User ? 10 : 2];
  }
  // 29.3.5: with flags, accesses to paging structures are treated as writes; they are reads, too.
  const table = (access & Access.ImplicitSupervisor) !== 0 && bit(registers.eptp, 6);
  const both = table || (access & Access.ReadModifyWrite) !== 0;
  if (both) return [0, 1];
  return (access & 3) === Access.Write ? [1] : [0];
}

/** An EPT walk: Intel SDM Vol. 3C, 29.3. */
export function referenceEptWalk(input: ReferenceEptInput): ReferenceEptOutcome {
  const { access, gpa, read, registers } = input;
  const needed = rightsNeeded(access, registers);
  const writes = needed.includes(1);
  // Table 28-7: what the access was, bits 2:0; what the entries allow, bits 6:3.
  const violation = (rights: bigint): ReferenceEptOutcome => {
    const kind =
      (access & 3) === Access.Fetch ? 4n : BigInt(needed.reduce((a, b) => a | (1 << b), 0));
    const user = registers.modeBasedExecute && bit(rights, 10) ? 0x40n : 0n;
    return {
      kind: 'violation',
      qualification: kind | (field(rights, 2, 0) << 3n) | user,
      writes: [],
    };
  };

  let level = Number(field(registers.eptp, 5, 3)) + 1;
  if (field(gpa, 63, 12 + 9 * level) !== 0n) return violation(0n);
  let table = field(registers.eptp, 51, 12) * 4096n;
  let rights = 0x407n;
  const used: { readonly pa: bigint; readonly entry: bigint }[] = [];
  for (; ; level--) {
    const low = 12 + 9 * (level - 1);
    const pa = table + field(gpa, low + 8, low) * 8n;
    const entry = read(pa, 8);
    if (entry === null) return { kind: 'bus-error', writes: [] };
    // 29.3.2: present when any right is given.
    const present = field(entry, 2, 0) !== 0n || (registers.modeBasedExecute && bit(entry, 10));
    if (!present) return violation(0n);
    if (misconfigured(entry, level, registers)) return { kind: 'misconfiguration', writes: [] };
    rights &= entry;
    used.push({ pa, entry });
    if (level > 1 && !bit(entry, 7)) {
      table = field(entry, 51, 12) * 4096n;
      continue;
    }
    if (!needed.every((right) => bit(rights, right))) return violation(rights);
    const pageBytes = 2n ** BigInt(low);
    return {
      kind: 'page',
      pa: field(entry, 51, low) * pageBytes + (gpa % pageBytes),
      pageBytes,
      memoryType: Number(field(entry, 5, 3)),
      writes: bit(registers.eptp, 6) ? flagged(used, writes) : [],
    };
  }
}

/** 29.3.5: the entries that were used get A, the last one D for a write. */
function flagged(
  used: readonly { readonly pa: bigint; readonly entry: bigint }[],
  dirty: boolean,
): ReferenceX86Write[] {
  const words = new Map<bigint, { readonly before: bigint; after: bigint }>();
  used.forEach(({ entry, pa }, i) => {
    const word = words.get(pa) ?? { before: entry, after: entry };
    word.after |= dirty && i === used.length - 1 ? 0x300n : 0x100n;
    words.set(pa, word);
  });
  return [...words]
    .filter(([, { after, before }]) => before !== after)
    .map(([pa, { after }]) => ({ pa, value: after }));
}
