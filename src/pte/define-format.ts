import { highWord, lowWord, Prot } from '../core/index.js';
import type { BitField } from './bit-field.js';
import { checkDescription } from './define-format-check.js';
import { copyPlain } from './define-format-copy.js';
import type { PteFormatDescription, PteRoles, RightBit } from './define-format-description.js';
import { ends, run } from './define-format-parts.js';
import {
  checkOverlaps,
  leafBits,
  leafMark,
  pointerBit,
  reservedBits,
  rolesOf,
  type ValidKind,
} from './define-format-roles.js';
import type { EntryKind, WordMask } from './entry.js';
import { type FieldRow, fieldTable } from './field-table.js';
import { PteFormat } from './format.js';
import type { MappingBitsOptions } from './mapping-bits.js';

/**
 * Makes a page table format of a description: the codec, and with `FormatWalker` the walks.
 *
 * @param description - The format as data. It is copied, own properties alone, before it is checked.
 * @returns A format like those of the architectures; its `roles` say which bits mean what.
 * @throws `VmError` `bad-argument` or `out-of-range` for a description that makes no sense; `details.argument` is the
 * path of the field at fault, such as `bits.dirty` or `levels[1].bits`. Refused are, among others, bits with two roles,
 * bits outside the entry, frame numbers that fit no page or not the `physicalBits`, indexes past the end of their table,
 * and names that are no options.
 *
 * @example
 * ```ts
 * import { definePteFormat } from 'pagewright/pte';
 *
 * const format = definePteFormat({
 *   name: 'toy',
 *   pageBytes: 256,
 *   entryBytes: 2,
 *   levels: [{ bits: 4, huge: true }, { bits: 4 }],
 *   bits: { valid: 0, write: 1, execute: { not: 2 }, dirty: 3, leaf: 4, frame: [15, 8] },
 * });
 * [format.virtualBits, format.physicalBits]; // => [16, 16]
 * format.build({ kind: 'leaf', level: 1, pfn: 0x20, fields: { W: 1 } }); // => 0x2013n
 * const { PFN, NX, D } = format.decode(0x1205, 0).fields;
 * [PFN, NX, D]; // => [0x12, 1, 0]
 * ```
 *
 * A mistake is named:
 *
 * ```ts
 * import { VmError } from 'pagewright/core';
 * import { definePteFormat } from 'pagewright/pte';
 *
 * let argument = '';
 * try {
 *   definePteFormat({
 *     name: 'two levels',
 *     pageBytes: 32,
 *     entryBytes: 1,
 *     levels: [{ bits: 5 }, { bits: 6 }],
 *     bits: { valid: 7, frame: [6, 0] },
 *   });
 * } catch (error) {
 *   if (error instanceof VmError) argument = error.details.argument;
 * }
 * argument; // => 'levels[1].bits'
 * ```
 * @public
 */
export function definePteFormat(description: PteFormatDescription): PteFormat {
  const own = copyPlain(description, '');
  checkDescription(own);
  checkOverlaps(own);
  const pageShift = Math.log2(own.pageBytes);
  const [high, low] = ends(own.bits.frame);
  const indexBits = own.levels.map(({ bits }) => bits).reverse();
  const byLevel = <T>(f: (level: number) => T): readonly T[] =>
    indexBits.map((_, level) => f(level));
  // At the last level, unless rights decide, every valid entry is a leaf: -1.
  const marks = byLevel((level) => leafMark(own, level) || (level === 0 ? -1n : 0n));
  const ownBits = byLevel((level) => leafBits(own, level));
  const pointersHave = pointerBit(own.bits);
  const present = wordMask(run(own.bits.valid));
  const roles = rolesAsMasks(own, byLevel);
  const mapping = mappingFrom(roles, present, pointersHave, indexBits.length);
  return new PteFormat({
    name: own.name,
    architecture: 'custom',
    pageShift,
    signExtended: own.signExtended ?? false,
    indexBits,
    entryBytes: own.entryBytes,
    physicalBits: high - low + 1 + pageShift,
    frameShift: low,
    frameBits: high - low + 1,
    present,
    leafMask: marks.map(lowWord),
    leafMaskHigh: marks.map(highWord),
    leafFlip: pointersHave,
    leafBits: ownBits.map(lowWord),
    leafBitsHigh: ownBits.map(highWord),
    tableBits: pointersHave,
    fields: (kind, level) => fieldsOf(own, kind, level),
    roles,
    ...(mapping === null ? {} : { mapping }),
  });
}

/**
 * How entries are written, by their roles; `null` where rights make a leaf and a page that may only be read has none that
 * do. Nobody says what such a machine keeps of entries that were not present.
 */
function mappingFrom(
  roles: PteRoles,
  present: WordMask,
  pointersHave: number,
  levels: number,
): MappingBitsOptions | null {
  const { accessed, bits, dirty, execute, flip, global, read, user, write } = {
    ...roles,
    ...roles.description,
  };
  const byRights = bits.leaf === 'rights';
  if (byRights && typeof bits.read !== 'number') return null;
  const leafNeeds = Prot.Read | (typeof bits.execute === 'number' ? Prot.Execute : 0);
  const rights = roles.pointerRights ? [read, write, execute, user] : [];
  const all = [present, { low: pointersHave, high: 0 }, ...rights];
  const pointer = {
    low:
      (all.reduce((mask, { low }) => mask | low, 0) & ~flip.low) |
      (roles.pointerAccessed ? accessed : 0),
    high: all.reduce((mask, { high }) => mask | high, 0) & ~flip.high,
  };
  return {
    base: present,
    pointers: Array.from({ length: levels }, () => pointer),
    ...(bits.read === undefined ? {} : { read }),
    ...(bits.write === undefined ? {} : { write }),
    ...(bits.execute === undefined ? {} : { execute }),
    ...(bits.user === undefined ? {} : { user }),
    global,
    flip,
    pointerRights: roles.pointerRights,
    writeNeedsRead: roles.writeOnlyReserved,
    leafNeeds: byRights ? leafNeeds : 0,
    accessed,
    dirty,
    fillOwes: 2 ** levels - 1,
  };
}

const wordMask = (mask: bigint): WordMask => ({ low: lowWord(mask), high: highWord(mask) });

function sourceOf({ name, source }: PteFormatDescription): string {
  return source ?? `the definition of ${name}`;
}

function rolesAsMasks(
  description: PteFormatDescription,
  byLevel: <T>(f: (level: number) => T) => readonly T[],
): PteRoles {
  const { bits, misaligned, pointers = {}, writeOnly } = description;
  const { accessed, dirty, execute, global, read, user, write } = bits;
  const word = (bit: number | undefined): number => (bit === undefined ? 0 : 1 << bit);
  const right = (bit: RightBit | undefined): bigint =>
    bit === undefined ? 0n : run(typeof bit === 'object' ? bit.not : bit);
  const forbidding = [read, write, execute, user].filter((bit) => typeof bit === 'object');
  const reserved = (kind: ValidKind): readonly WordMask[] =>
    byLevel((level) => wordMask(reservedBits(description, kind, level)));
  return {
    description,
    source: sourceOf(description),
    flip: wordMask(forbidding.reduce((mask, bit) => mask | right(bit), 0n)),
    read: wordMask(right(read)),
    write: wordMask(right(write)),
    execute: wordMask(right(execute)),
    user: wordMask(right(user)),
    global: wordMask(right(global)),
    accessed: word(accessed),
    dirty: word(dirty),
    pointerRights: pointers.rights ?? false,
    pointerAccessed: pointers.accessed ?? false,
    reservedInPointers: reserved('pointer'),
    reservedInLeaves: reserved('leaf'),
    alignedLeaves: misaligned !== 'ignored',
    writeOnlyReserved: writeOnly === 'reserved',
  };
}

function fieldsOf(
  description: PteFormatDescription,
  kind: EntryKind,
  level: number,
): readonly BitField[] {
  const bits = 8 * description.entryBytes;
  const source = sourceOf(description);
  if (kind === 'not-present') {
    const { valid } = description.bits;
    const row: FieldRow = ['V', valid, valid, 'flag', 'Valid: 0, so every other bit is free.'];
    return fieldTable(bits, source, 'software', [row]);
  }
  const roles = rolesOf(description, kind, level).map(({ row }) => row);
  const taken = roles.reduce((mask, [, high, low]) => mask | run([high, low]), 0n);
  const reserved = reservedRows(reservedBits(description, kind, level) & ~taken);
  const rows = [...roles, ...reserved].sort((a, b) => b[1] - a[1]);
  return fieldTable(bits, source, 'ignored', rows);
}

/** The fields of reserved bits, one for each run; none spans both words, for a field has at most 52 bits. */
function reservedRows(mask: bigint): readonly FieldRow[] {
  const rows: FieldRow[] = [];
  for (let low = 0; low < 64; low++) {
    let high = low;
    while (high < 64 && (mask >> BigInt(high)) & 1n && (high === low || high !== 32)) high++;
    if (high === low) continue;
    const name = high - 1 === low ? `RSVD${low}` : `RSVD${high - 1}_${low}`;
    rows.push([name, high - 1, low, 'reserved', 'Reserved: must be 0.']);
    low = high - 1;
  }
  return rows;
}
