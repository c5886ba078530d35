import { Access } from '../core/index.js';
import { X86_PTE } from '../pte/index.js';
import { ACCESS_END, type Demands, NEVER, tabulate } from './demands.js';
import { rightsRule, rowOf } from './x86-rules.js';

const { RW, US, D } = X86_PTE;

/** XD, where the other bits of an entry's low byte are. */
const XD_BIT = 0x80;

/** The bits by which entries are told apart: R/W, U/S and D of all entries, XD of any. */
function bitsOf(entry: number): number {
  return (
    (entry & 1 ? RW : 0) | (entry & 2 ? US : 0) | (entry & 4 ? D : 0) | (entry & 8 ? XD_BIT : 0)
  );
}

/** The entry of `X86_DEMANDS` for the AND of low words and the OR of high ones. */
export function entryOf(and: number, or: number, dirty: boolean): number {
  return (and & RW ? 1 : 0) | (and & US ? 2 : 0) | (dirty ? 4 : 0) | (or < 0 ? 8 : 0);
}

/** By row (access bits 3:0, WP, SMEP, SMAP, AC), and by entry. */
export const X86_DEMANDS: Demands = /* @__PURE__ */ tabulate(256, 16, (row, entry) => {
  if ((row & 3) === 3) return false;
  const bits = bitsOf(entry);
  if ((row & 3) === Access.Write && (bits & D) === 0) return false;
  return rightsRule(row, bits, bits & XD_BIT ? -1 : 0) === null;
});

/** Without paging every row is served. */
export const EVERY_ROW: number = (1 << 11) - 1;

// What a second stage leaves. Bits 15 to 30 are those of protection keys.
export const HOST_READ: number = 1 << 11;
export const HOST_WRITE: number = 1 << 12;
export const HOST_EXECUTE: number = 1 << 13;
export const ALL_HOST: number = HOST_READ | HOST_WRITE | HOST_EXECUTE;
/** Every page but those of a key: an access demands those of all keys that it may not use. */
const KEYS = 0x7fff_8000;

/** What a page of a protection key grants. */
export function keyGrants(key: number): number {
  return KEYS & ~(1 << (15 + key));
}

/** The grants of pages that no key concerns. */
export const NO_KEY: number = KEYS;

/** The keys that PKRU forbids, as demanded bits. */
function keyDemand(keys: number, forbids: number): number {
  let demand = 0;
  for (let key = 0; key < 16; key++) {
    if (((keys >>> (2 * key)) & forbids) !== 0) demand |= 1 << (15 + key);
  }
  return demand;
}

/** The tables of all states without protection keys, by row bits 7:4. */
export const X86_DEMAND_TABLES: readonly Int32Array[] = /* @__PURE__ */ Array.from(
  { length: 16 },
  (_, state) =>
    Int32Array.from({ length: ACCESS_END }, (__, access) => {
      if (access >= 64 || (access & Access.Unprivileged) !== 0) return NEVER;
      const row = rowOf(access, state << 4);
      if ((row & 3) === 3) return NEVER;
      const host =
        (row & 3) === Access.Write
          ? HOST_WRITE
          : (row & 3) === Access.Fetch
            ? HOST_EXECUTE
            : HOST_READ;
      return X86_DEMANDS.byRow[row]! | host;
    }),
);

/**
 * The same with protection keys, into a table of the caller's. PKRU is a matter of bits, since it concerns user pages alone;
 * what IA32_PKRS forbids is walked for, whenever it forbids anything to that kind of access.
 *
 * @param table - Receives it.
 * @param state - Row bits 7:4, shifted down.
 * @param userKeys - PKRU, or 0 where it is not in force.
 * @param supervisorKeys - IA32_PKRS, or 0.
 */
export function keyedDemands(
  table: Int32Array,
  state: number,
  userKeys: number,
  supervisorKeys: number,
): Int32Array {
  table.set(X86_DEMAND_TABLES[state]!);
  // WD binds the writes that need R/W=1: a user's, and a supervisor's with CR0.WP (SDM 4.6.2).
  const [reads, writes] = [keyDemand(userKeys, 1), keyDemand(userKeys, 3)];
  const wp = (state & 1) !== 0;
  for (let access = 0; access < 64; access++) {
    const row = rowOf(access, 0);
    if (table[access] === NEVER || (row & 3) === Access.Fetch) continue;
    const user = (access & (Access.User | Access.ImplicitSupervisor)) === Access.User;
    const binds = (row & 3) === Access.Write && (user || wp) ? 3 : 1;
    const forbidden = !user && keyDemand(supervisorKeys, binds) !== 0;
    table[access]! |= forbidden ? NEVER : binds === 3 ? writes : reads;
  }
  return table;
}
