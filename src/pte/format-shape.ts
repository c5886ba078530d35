import { bigintFromWords, checkInteger, VmError } from '../core/index.js';
import { type BitField, checkPartition } from './bit-field.js';
import type { EntryKind, FrameSplit, PteFormatOptions } from './entry.js';

// What the constructor of `PteFormat` makes of its options.

/** In a leaf mask: every present entry is a leaf. */
export const ALWAYS = -1;

/** A frame number in one piece. */
const NO_SPLIT: FrameSplit = { shift: 0, bits: 0, frameBit: 0, leaves: 0, tables: false };

/** Base pages in a Svnapot group, the only size defined: 64 KiB, PPN[3:0] = 1000 (RISC-V Privileged, Svnapot). */
export const NAPOT_PAGES = 16;
/** The size code of such a group. */
export const NAPOT_CODE = 8;

/** The lowest address bit of each level's index, and how many bits there are in all. */
export function indexShifts(
  indexBits: readonly number[],
  pageShift: number,
): { readonly shifts: readonly number[]; readonly virtualBits: number } {
  let end = pageShift;
  const shifts = indexBits.map((bits) => {
    const from = end;
    end += checkInteger('indexBits', bits, 1, 26);
    return from;
  });
  return { shifts, virtualBits: checkInteger('virtual address bits', end, 1, 64) };
}

/** A further piece of the frame number, ready for use. */
export function checkSplit(
  split: FrameSplit | undefined,
  levels: number,
): {
  readonly shift: number;
  readonly unit: number;
  readonly tableMask: number;
  readonly leafMask: readonly number[];
} {
  const { bits, frameBit, leaves, shift, tables } = split ?? NO_SPLIT;
  const mask = 2 ** bits - 1;
  return {
    shift: checkInteger('frameSplit.shift', shift, 0, 31),
    unit: 2 ** checkInteger('frameSplit.frameBit', frameBit, 0, 52),
    tableMask: tables ? mask : 0,
    leafMask: Array.from({ length: levels }, (_, level) => ((leaves >> level) & 1 ? mask : 0)),
  };
}

/** The bit of two words when they have but one; otherwise 0. */
export function theOneBit(low: number, high: number): bigint {
  const word = bigintFromWords(low, high);
  return (word & (word - 1n)) === 0n ? word : 0n;
}

/** The levels of which something is true, as bits. */
export function levelSet(holds: (level: number) => boolean, levels: number): number {
  let set = 0;
  for (let level = 0; level < levels; level++) set |= +holds(level) << level;
  return set;
}

/** An int32 with bits `end - 1` to `from` set, as far as they are in it. */
export function onesOf(from: number, end: number): number {
  return onesFrom(from) & ~onesFrom(end);
}

/** An int32 with bits 31 to `from` set, however far `from` is outside 0 to 31. */
function onesFrom(from: number): number {
  return from > 31 ? 0 : -1 << Math.max(0, from);
}

/** A value for every level, copied. */
export function byLevel(
  argument: string,
  values: readonly number[],
  levels: number,
): readonly number[] {
  checkInteger(`${argument}.length`, values.length, levels, levels);
  return values.map((value) => checkInteger(argument, value, -(2 ** 31), 2 ** 32 - 1) | 0);
}

export function checkEntryBytes(bytes: number): number {
  if (bytes === 1 || bytes === 2 || bytes === 4 || bytes === 8) return bytes;
  const expected = '1, 2, 4 or 8';
  throw new VmError('bad-argument', { argument: 'entryBytes', value: bytes, expected });
}

/** One level's fields, by the kinds of entry that occur there. */
export type FieldLists = ReadonlyMap<EntryKind, readonly BitField[]>;

export function fieldLists(options: PteFormatOptions, level: number): FieldLists {
  const mask = options.leafMask[level]!;
  const kinds: EntryKind[] = ['not-present'];
  if (mask !== ALWAYS) kinds.push('pointer');
  if ((mask | (options.leafMaskHigh?.[level] ?? 0)) !== 0) kinds.push('leaf');
  const bits = 8 * options.entryBytes;
  const list = (kind: EntryKind): readonly BitField[] =>
    checkPartition(`fields(${kind}, ${level})`, options.fields(kind, level), bits);
  return new Map(kinds.map((kind) => [kind, list(kind)]));
}

/** The fields of a kind of entry; `where` says in which format and at which level, for messages. */
export function fieldsOfKind(
  lists: FieldLists,
  kind: EntryKind,
  where: string,
): readonly BitField[] {
  const fields = lists.get(kind);
  if (fields !== undefined) return fields;
  const expected = `a kind of entry that ${where}`;
  throw new VmError('bad-argument', { argument: 'kind', value: kind, expected });
}
