import type { EntryBits, PteFormatDescription, ReservedBits } from './define-format-description.js';
import { ends, mistake, RIGHTS, run } from './define-format-parts.js';
import type { FieldRow } from './field-table.js';

/** A kind of entry that is valid. */
export type ValidKind = 'pointer' | 'leaf';

/** Bits of an entry that have a role: where the description gives it, and the field that it makes. */
export interface Role {
  /** Such as `bits.dirty`. */
  readonly path: string;
  /** Name, highest and lowest bit, what for, meaning. */
  readonly row: FieldRow;
}

/** What the description says of a level; it counts from the root, the library from the pages. */
function at<T>(values: readonly T[], level: number): T {
  return values[values.length - 1 - level]!;
}

/** log2 of the base pages that an entry of a level covers. */
export function coveredBits({ levels }: PteFormatDescription, level: number): number {
  return levels.slice(levels.length - level).reduce((sum, { bits }) => sum + bits, 0);
}

/** The bits that tell pointers from leaves at a level; 0 where all valid entries are of one kind. */
export function leafMark({ bits, levels }: PteFormatDescription, level: number): bigint {
  const byRights = bits.leaf === 'rights';
  const { huge = false, leaf = bits.leaf } = at(levels, level);
  const marked = level === 0 ? byRights : huge;
  if (!marked || leaf === undefined) return 0n;
  if (leaf === 'rights') return anyRight(bits);
  return run(typeof leaf === 'object' ? leaf.not : leaf);
}

/** The bits that a leaf of a level has set because it is one, where a bit of its own says so. */
export function leafBits({ bits, levels }: PteFormatDescription, level: number): bigint {
  const { huge = false, leaf = bits.leaf } = at(levels, level);
  return huge && typeof leaf === 'number' ? run(leaf) : 0n;
}

/** The bit that every pointer has set because it is none of the leaves that a clear bit marks. */
export function pointerBit({ leaf }: EntryBits): number {
  return typeof leaf === 'object' ? 1 << leaf.not : 0;
}

/** Read, write and execute, where they are bits that grant. */
function anyRight({ execute, read, write }: EntryBits): bigint {
  return [read, write, execute].reduce<bigint>(
    (mask, bit) => (typeof bit === 'number' ? mask | run(bit) : mask),
    0n,
  );
}

/** Whether entries of a kind occur at a level. */
export function occurs(description: PteFormatDescription, kind: ValidKind, level: number): boolean {
  return leafMark(description, level) !== 0n || (kind === 'leaf') === (level === 0);
}

const MEANINGS = {
  read: ['R', 'NR', 'loads', 'flag'],
  write: ['W', 'NW', 'stores', 'flag'],
  execute: ['X', 'NX', 'instruction fetches', 'flag'],
  user: ['U', 'NU', 'accesses of user mode', 'flag'],
} as const;

/** The roles of the bits in a kind of entry at a level, reserved bits excepted. */
export function rolesOf(
  description: PteFormatDescription,
  kind: ValidKind,
  level: number,
): readonly Role[] {
  const { bits, pointers = {} } = description;
  const leaf = kind === 'leaf';
  const flag = (path: string, name: string, bit: number, meaning: string): Role => ({
    path,
    row: [name, bit, bit, 'flag', meaning],
  });
  const roles = [
    flag('bits.valid', 'V', bits.valid, 'Valid.'),
    frameRole(description, kind, level),
  ];
  for (const name of RIGHTS) {
    const right = bits[name];
    // Where rights mark the leaves, a pointer has them too: all 0.
    const mark = bits.leaf === 'rights' && name !== 'user' && leafMark(description, level) !== 0n;
    if (right === undefined || !(leaf || mark || pointers.rights === true)) continue;
    const [grants, forbids, what] = MEANINGS[name];
    const path = `bits.${name}`;
    if (typeof right === 'object') {
      roles.push(flag(`${path}.not`, forbids, right.not, `Set: no ${what}.`));
    } else {
      roles.push(flag(path, grants, right, `Set: ${what} are allowed.`));
    }
  }
  const { accessed, dirty, global } = bits;
  if (global !== undefined && leaf) {
    roles.push(flag('bits.global', 'G', global, 'Global: the same in every address space.'));
  }
  if (accessed !== undefined && (leaf || pointers.accessed === true)) {
    roles.push(flag('bits.accessed', 'A', accessed, 'Accessed: used since the bit was cleared.'));
  }
  if (dirty !== undefined && leaf) {
    roles.push(flag('bits.dirty', 'D', dirty, 'Dirty: written since the bit was cleared.'));
  }
  return [...roles, ...markRoles(description, kind, level)];
}

/** The bit that tells huge leaves from pointers. */
function markRoles(
  { bits, levels }: PteFormatDescription,
  kind: ValidKind,
  level: number,
): readonly Role[] {
  const { huge = false, leaf: own } = at(levels, level);
  const roles: Role[] = [];
  const add = (path: string, name: string, bit: number, meaning: string): void => {
    roles.push({ path, row: [name, bit, bit, 'flag', meaning] });
  };
  const { leaf = bits.leaf } = at(levels, level);
  if (huge && typeof leaf === 'number') {
    const path = own === undefined ? 'bits.leaf' : `levels[${levels.length - 1 - level}].leaf`;
    add(path, 'PS', leaf, 'Set: the entry maps a huge page.');
  }
  // Pointers have it set at every level, also where nothing looks at it.
  if (typeof bits.leaf === 'object' && (kind === 'pointer' || (huge && own === undefined))) {
    add('bits.leaf.not', 'PT', bits.leaf.not, 'Set: the entry points at a table.');
  }
  return roles;
}

/** The frame number; of a huge leaf whose alignment is not checked, its bits from the page's size up. */
function frameRole(description: PteFormatDescription, kind: ValidKind, level: number): Role {
  const [high, low] = ends(description.bits.frame);
  const covered = kind === 'leaf' ? coveredBits(description, level) : 0;
  const from = description.misaligned === 'ignored' ? low + covered : low;
  const aligned = covered > 0 && from === low ? `; its low ${covered} bits must be 0` : '';
  const meaning = kind === 'leaf' ? `Frame of the page${aligned}.` : 'Frame of the next table.';
  return { path: 'bits.frame', row: ['PFN', high, from, 'frame', meaning] };
}

/** A run of reserved bits, and where the description gives it. */
interface ReservedRun {
  readonly path: string;
  readonly mask: bigint;
}

function reservedRuns(
  path: string,
  reserved: ReservedBits | undefined,
  kind: ValidKind,
): readonly ReservedRun[] {
  if (reserved === undefined) return [];
  if ('length' in reserved) {
    return reserved.map((range, index) => ({ path: `${path}[${index}]`, mask: run(range) }));
  }
  const name = kind === 'leaf' ? 'leaves' : 'pointers';
  return reservedRuns(`${path}.${name}`, reserved[name], kind);
}

function allReserved(
  description: PteFormatDescription,
  kind: ValidKind,
  level: number,
): readonly ReservedRun[] {
  const { levels, reserved } = description;
  const path = `levels[${levels.length - 1 - level}].reserved`;
  return [
    ...reservedRuns('reserved', reserved, kind),
    ...reservedRuns(path, at(levels, level).reserved, kind),
  ];
}

/** Bits that must be 0 in a kind of entry at a level. */
export function reservedBits(
  description: PteFormatDescription,
  kind: ValidKind,
  level: number,
): bigint {
  const { bits } = description;
  // With rights as the mark, an entry that has some where no page may be is no pointer either.
  const rights = bits.leaf === 'rights' && leafMark(description, level) === 0n;
  return allReserved(description, kind, level).reduce(
    (mask, { mask: more }) => mask | more,
    rights ? anyRight(bits) : 0n,
  );
}

/** Checks that no bit has two roles in the same entry. */
export function checkOverlaps(description: PteFormatDescription): void {
  for (let level = 0; level < description.levels.length; level++) {
    for (const kind of ['leaf', 'pointer'] as const) {
      if (occurs(description, kind, level)) checkOverlap(description, kind, level);
    }
  }
}

function checkOverlap(description: PteFormatDescription, kind: ValidKind, level: number): void {
  const taken: { readonly path: string; readonly mask: bigint }[] = [];
  const check = (path: string, mask: bigint): void => {
    const other = taken.find((earlier) => (earlier.mask & mask) !== 0n);
    if (other === undefined) return;
    const bit = (other.mask & mask).toString(2).length - 1;
    throw mistake(path, `bit ${bit}`, `no bit that ${other.path} has in a ${kind}`);
  };
  for (const { path, row } of rolesOf(description, kind, level)) {
    const mask = run([row[1], row[2]]);
    check(path, mask);
    taken.push({ path, mask });
  }
  for (const { path, mask } of allReserved(description, kind, level)) check(path, mask);
}
