import { checkInteger, VmError } from '../core/index.js';
import type {
  BitRange,
  EntryBits,
  LevelDescription,
  PteFormatDescription,
  ReservedBits,
  RightBit,
} from './define-format-description.js';

/** The bits of a word that have a role, and what the description calls it. */
export interface RoleMask {
  /** The path of the field, such as `bits.dirty`. */
  readonly path: string;
  /** The bits. */
  readonly mask: bigint;
}

const TOP = [
  ...['name', 'source', 'pageBytes', 'entryBytes', 'levels', 'bits', 'pointers', 'reserved'],
  ...['misaligned', 'writeOnly', 'signExtended', 'virtualBits', 'physicalBits'],
];
const BITS = [
  ...['valid', 'frame', 'read', 'write', 'execute', 'user', 'global', 'accessed', 'dirty', 'leaf'],
];
const LEVEL = ['bits', 'huge', 'tableBytes', 'reserved'];
const POINTERS = ['rights', 'accessed'];
const RESERVED = ['pointers', 'leaves'];

/** The rights in the order of `Prot`. */
export const RIGHTS = ['read', 'write', 'execute', 'user'] as const;

/** Page numbers are exact numbers. */
const PAGE_NUMBER_BITS = 52;

/** Refuses a field of a description. */
export function refused(argument: string, value: unknown, expected: string): VmError {
  return new VmError('bad-argument', { argument, value, expected });
}

/** A copy of a description of the right shape, whose numbers are of the right type and range, frozen throughout. */
export function checkShape(description: PteFormatDescription): PteFormatDescription {
  const top = copyOptions('', description, TOP);
  checkText('name', top.name);
  if (top.source !== undefined) checkText('source', top.source);
  checkPowerOfTwo('pageBytes', top.pageBytes, 16, 2 ** 20);
  checkOneOf('entryBytes', top.entryBytes, [1, 2, 4, 8]);
  checkOneOf('misaligned', top.misaligned, [undefined, 'fault', 'ignored']);
  checkOneOf('writeOnly', top.writeOnly, [undefined, 'allowed', 'reserved']);
  checkFlag('signExtended', top.signExtended);
  const pointers = top.pointers === undefined ? {} : copyOptions('pointers', top.pointers, POINTERS);
  checkFlag('pointers.rights', pointers.rights);
  checkFlag('pointers.accessed', pointers.accessed);
  const entryBits = 8 * top.entryBytes;
  return Object.freeze({
    ...top,
    levels: checkLevels(top.levels, top.entryBytes, top.pageBytes),
    bits: checkEntryBits(top.bits, entryBits),
    ...(top.pointers === undefined ? {} : { pointers: Object.freeze(pointers) }),
    ...(top.reserved === undefined
      ? {}
      : { reserved: copyReserved('reserved', top.reserved, entryBits) }),
  });
}

function checkLevels(
  levels: readonly LevelDescription[],
  entryBytes: number,
  pageBytes: number,
): readonly LevelDescription[] {
  if (!Array.isArray(levels)) throw refused('levels', levels, 'an array, the root first');
  checkInteger('levels.length', levels.length, 1, 6);
  const copies: LevelDescription[] = [];
  for (let at = 0; at < levels.length; at++) {
    const path = `levels[${at}]`;
    const level = copyOptions(path, levels[at], LEVEL);
    checkInteger(`${path}.bits`, level.bits, 1, 26);
    checkFlag(`${path}.huge`, level.huge);
    if (level.huge === true && at === levels.length - 1) {
      throw refused(`${path}.huge`, true, 'no huge pages at the last level, which maps base pages');
    }
    const { tableBytes = pageBytes, reserved } = level;
    checkInteger(`${path}.tableBytes`, tableBytes, 1, 2 ** 32);
    if (2 ** level.bits * entryBytes > tableBytes) {
      const entries = Math.floor(tableBytes / entryBytes);
      const expected = `an index into the ${entries} entries of a table of ${tableBytes} bytes`;
      throw refused(`${path}.bits`, level.bits, expected);
    }
    copies.push(
      Object.freeze({
        ...level,
        ...(reserved === undefined
          ? {}
          : { reserved: copyReserved(`${path}.reserved`, reserved, 8 * entryBytes) }),
      }),
    );
  }
  return Object.freeze(copies);
}

function checkEntryBits(bits: EntryBits, entryBits: number): EntryBits {
  const copy = copyOptions('bits', bits, BITS);
  const top = entryBits - 1;
  checkInteger('bits.valid', copy.valid, 0, top);
  const frame = copyRange('bits.frame', copy.frame, entryBits);
  const rights: { -readonly [name in (typeof RIGHTS)[number]]?: RightBit } = {};
  for (const name of RIGHTS) {
    const right = copy[name];
    if (right === undefined) continue;
    rights[name] = copyRight(`bits.${name}`, right, top);
  }
  if (copy.global !== undefined) checkInteger('bits.global', copy.global, 0, top);
  for (const name of ['accessed', 'dirty'] as const) {
    const bit = copy[name];
    if (bit !== undefined) checkInteger(`bits.${name}`, bit, 0, Math.min(31, top));
  }
  const { leaf } = copy;
  if (leaf !== undefined && leaf !== 'rights') checkInteger('bits.leaf', leaf, 0, top);
  return Object.freeze({ ...copy, ...rights, frame });
}

function copyRight(path: string, right: RightBit, top: number): RightBit {
  if (typeof right !== 'object') return checkInteger(path, right, 0, top);
  const { not } = copyOptions(path, right, ['not']);
  return Object.freeze({ not: checkInteger(`${path}.not`, not, 0, top) });
}

function copyRange(path: string, range: BitRange, entryBits: number): BitRange {
  if (!Array.isArray(range)) return checkInteger(path, Number(range), 0, entryBits - 1);
  if (range.length !== 2) throw refused(path, range, 'a bit, or the highest and the lowest bit');
  const [high, low] = range;
  checkInteger(path, high, 0, entryBits - 1);
  checkInteger(path, low, 0, high);
  return Object.freeze([high, low]);
}
