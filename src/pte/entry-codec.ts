import {
  bigintFromWords,
  checkBits,
  checkInteger,
  highWord,
  lowWord,
  type Plain,
  plain,
  VmError,
} from '../core/index.js';
import { decodeFields, encodeFields } from './bit-field.js';
import type { DecodedEntry, EntryFields, EntrySpec } from './entry.js';
import type { PteFormat } from './format.js';
import { NAPOT_CODE, NAPOT_PAGES } from './format-shape.js';

// The codec for people, behind `PteFormat.decode` and `PteFormat.build`: bigints, plain data, everything checked.

/** {@link PteFormat.decode}. */
export function decodeEntry(
  format: PteFormat,
  word: bigint | number,
  level: number,
): Plain<DecodedEntry> {
  const raw = checkBits('word', word, 8 * format.entryBytes);
  checkInteger('level', level, 0, format.levels - 1);
  const low = lowWord(raw);
  const high = highWord(raw);
  const kind = format.kindOf(low, high, level);
  const pages = kind === 'leaf' ? format.leafPages(low, high, level) : 0;
  return plain<DecodedEntry>({
    type: 'entry',
    format: format.name,
    level,
    kind,
    raw,
    pfn: kind === 'not-present' ? null : format.pfn(low, high, level),
    pages,
    pageShift: pages === 0 ? 0 : format.pageShift + Math.log2(pages),
    fields: decodeFields(format.fieldsOf(kind, level), low, high),
  });
}

/** {@link PteFormat.build}. */
export function buildEntry(format: PteFormat, spec: EntrySpec): bigint {
  const { kind, level = 0, pfn, fields = {} } = spec;
  const list = format.fieldsOf(kind, level);
  let word = encodeFields(list, fields);
  if (kind !== 'not-present') word |= format.presentWord | frameWord(format, spec, level, fields);
  else if (pfn !== undefined) throw badPfn(pfn, 'none in an entry that is not present');
  const low = lowWord(word);
  const high = highWord(word);
  const built = decodeFields(list, low, high);
  const asked = list.every(
    ({ name }) => !Object.hasOwn(fields, name) || built[name] === fields[name],
  );
  if (!asked || format.kindOf(low, high, level) !== kind) {
    const expected = `fields that leave it a ${format.name} ${kind} entry of level ${level}, and its frame to pfn`;
    throw new VmError('bad-argument', { argument: 'fields', value: fields, expected });
  }
  return word;
}

/** The frame number of a pointer or leaf in its place, and the bits that come with a leaf's shape. */
function frameWord(
  format: PteFormat,
  { kind, pfn }: EntrySpec,
  level: number,
  { N }: EntryFields['fields'],
): bigint {
  if (pfn === undefined) throw badPfn(pfn, `the frame of a ${kind} entry`);
  const leaf = kind === 'leaf';
  const splitMask = leaf ? format.splitLeafMask[level]! : format.splitTableMask;
  const end = Math.max(2 ** format.frameBits, (splitMask + 1) * (splitMask && format.splitUnit));
  checkInteger('pfn', pfn, 0, Math.min(end, 2 ** (64 - format.pageShift)) - 1);
  if (!leaf)
    return bigintFromWords(format.tableLow(pfn, format.tableBits), format.tableHigh(pfn, 0));
  const napot = level === 0 && format.napotMask !== 0 && N === 1;
  const pages = napot ? NAPOT_PAGES : format.levelPages[level]!;
  if (pfn % pages !== 0) {
    const expected = `a multiple of ${pages}, the pages that the entry maps`;
    throw new VmError('misaligned', { argument: 'pfn', value: pfn, expected });
  }
  const code = napot ? NAPOT_CODE << format.frameShift : 0;
  return bigintFromWords(format.leafLow(pfn, level, code), format.leafHigh(pfn, level, 0));
}

function badPfn(value: number | undefined, expected: string): VmError {
  return new VmError('bad-argument', { argument: 'pfn', value, expected });
}
