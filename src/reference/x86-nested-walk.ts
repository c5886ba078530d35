import { Access } from '../core/index.js';
import { type ReferenceEptRegisters, referenceEptWalk } from './x86-ept-walk.js';
import { type ReferenceNptRegisters, referenceNptWalk } from './x86-npt-walk.js';
import { type ReferenceX86Registers, referenceX86Walk } from './x86-walk.js';

/** Memory that the walk changes as it goes: an entry of one stage may stand in a table of the other. */
export interface ReferenceNestedMemory {
  /** A little-endian value, or `null` where there is no memory. */
  read(pa: bigint, bytes: number): bigint | null;
  write(pa: bigint, bytes: number, value: bigint): void;
}

/** One access of a guest, and everything that its answer depends on. */
export interface ReferenceNestedX86Input {
  readonly memory: ReferenceNestedMemory;
  readonly guest: ReferenceX86Registers;
  readonly host:
    | { readonly kind: 'ept'; readonly registers: ReferenceEptRegisters }
    | { readonly kind: 'npt'; readonly registers: ReferenceNptRegisters };
  readonly va: bigint;
  /** `Access` bits. */
  readonly access: number;
}

/** The answer to an access. */
export type ReferenceNestedX86Outcome =
  | { readonly kind: 'page'; readonly pa: bigint }
  | { readonly kind: 'guest-fault'; readonly vector: number; readonly errorCode: number }
  | { readonly kind: 'ept-violation'; readonly qualification: bigint; readonly gpa: bigint }
  | { readonly kind: 'ept-misconfiguration' | 'bus-error'; readonly gpa: bigint }
  | { readonly kind: 'npf'; readonly exitInfo1: bigint; readonly gpa: bigint };

/** The second stage refused. */
class Exit extends Error {
  readonly outcome: ReferenceNestedX86Outcome;

  constructor(outcome: ReferenceNestedX86Outcome) {
    super('VM exit');
    this.outcome = outcome;
  }
}

/** What a guest-physical address is asked for. */
type Purpose = 'table' | 'final';

/** Through EPT (SDM Vol. 3C, 29.3): the physical address, with flags set, or an exit. */
function throughEpt(
  memory: ReferenceNestedMemory,
  registers: ReferenceEptRegisters,
  gpa: bigint,
  access: number,
  purpose: Purpose,
): bigint {
  const table = purpose === 'table' ? Access.ImplicitSupervisor : 0;
  const read = (pa: bigint, bytes: number): bigint | null => memory.read(pa, bytes);
  const outcome = referenceEptWalk({ read, registers, gpa, access: access | table });
  for (const { pa, value } of outcome.writes) memory.write(pa, 8, value);
  if (outcome.kind === 'page') return outcome.pa;
  if (outcome.kind === 'bus-error') throw new Exit({ kind: 'bus-error', gpa });
  if (outcome.kind === 'misconfiguration') throw new Exit({ kind: 'ept-misconfiguration', gpa });
  // Bit 7: the linear address is valid; bit 8: it was what was translated.
  const which = purpose === 'final' ? 0x180n : 0x80n;
  throw new Exit({ kind: 'ept-violation', qualification: outcome.qualification | which, gpa });
}

/** Through nested paging (APM Vol. 2, 15.25.5): accesses to guest tables are writes. */
function throughNpt(
  memory: ReferenceNestedMemory,
  registers: ReferenceNptRegisters,
  gpa: bigint,
  access: number,
  purpose: Purpose,
): bigint {
  const made = purpose === 'table' ? Access.Write : access;
  const read = (pa: bigint, bytes: number): bigint | null => memory.read(pa, bytes);
  const outcome = referenceNptWalk({ read, registers, gpa, access: made });
  for (const { pa, value } of outcome.writes) memory.write(pa, 8, value);
  if (outcome.kind === 'page') return outcome.pa;
  if (outcome.kind === 'bus-error') throw new Exit({ kind: 'bus-error', gpa });
  const which = purpose === 'final' ? 1n << 32n : 1n << 33n;
  throw new Exit({ kind: 'npf', exitInfo1: outcome.code | which, gpa });
}

/**
 * An access of an x86 guest through both stages. Every table that the guest's walk reads is found through the second
 * stage, then its accessed and dirty flags are set there, and at the end the address that it gives is translated.
 */
export function referenceNestedX86(input: ReferenceNestedX86Input): ReferenceNestedX86Outcome {
  const { access, guest, host, memory, va } = input;
  const through = (gpa: bigint, how: number, purpose: Purpose): bigint =>
    host.kind === 'ept'
      ? throughEpt(memory, host.registers, gpa, how, purpose)
      : throughNpt(memory, host.registers, gpa, how, purpose);
  const read = (gpa: bigint, bytes: number): bigint | null =>
    memory.read(through(gpa, Access.Read, 'table'), bytes);
  try {
    const outcome = referenceX86Walk({ read, registers: guest, va, access });
    if (outcome.kind === 'fault') {
      return { kind: 'guest-fault', vector: outcome.vector, errorCode: outcome.errorCode };
    }
    const entryBytes = (guest.cr4 >> 5n) % 2n === 1n ? 8 : 4;
    for (const { pa, value } of outcome.writes) {
      memory.write(through(pa, Access.Write, 'table'), entryBytes, value);
    }
    // Mode-based execute control asks whose page it is, not who asks.
    const kept = access & (3 | Access.ReadModifyWrite);
    const how = kept | (outcome.userAddress ? Access.User : 0);
    return { kind: 'page', pa: through(outcome.pa, how, 'final') };
  } catch (error) {
    if (error instanceof Exit) return error.outcome;
    throw error;
  }
}
