import { checkInteger, checkOptions, type OptionNames } from '../core/index.js';
import type {
  BitRange,
  EntryBits,
  LevelDescription,
  PointerDescription,
  PteFormatDescription,
  ReservedBits,
} from './define-format-description.js';
import { ends, isList, mistake, RIGHTS } from './define-format-parts.js';

const TOP: OptionNames<PteFormatDescription> = {
  name: true,
  source: true,
  pageBytes: true,
  entryBytes: true,
  levels: true,
  bits: true,
  pointers: true,
  reserved: true,
  misaligned: true,
  writeOnly: true,
  signExtended: true,
  virtualBits: true,
  physicalBits: true,
};
const BITS: OptionNames<EntryBits> = {
  valid: true,
  frame: true,
  read: true,
  write: true,
  execute: true,
  user: true,
  global: true,
  accessed: true,
  dirty: true,
  leaf: true,
};
const LEVEL: OptionNames<LevelDescription> = {
  bits: true,
  huge: true,
  leaf: true,
  tableBytes: true,
  reserved: true,
};
const POINTERS: OptionNames<PointerDescription> = { rights: true, accessed: true };
const RESERVED = { pointers: true, leaves: true } as const;

/** The greatest width of a page number, for page numbers are exact numbers. */
const PAGE_NUMBER_BITS = 52;

/** Checks everything about a description but whether its bits overlap. */
export function checkDescription(description: PteFormatDescription): void {
  checkOptions('', description, TOP, 'description');
  const { entryBytes, levels, misaligned, name, pageBytes, pointers, source, writeOnly } =
    description;
  checkText('name', name);
  if (source !== undefined) checkText('source', source);
  checkOneOf('entryBytes', entryBytes, [1, 2, 4, 8]);
  checkPageBytes(pageBytes);
  if (misaligned !== undefined) checkOneOf('misaligned', misaligned, ['fault', 'ignored']);
  if (writeOnly !== undefined) checkOneOf('writeOnly', writeOnly, ['allowed', 'reserved']);
  checkFlag('signExtended', description.signExtended);
  checkLevels(description);
  checkBitNumbers(description.bits, 8 * entryBytes);
  if (pointers !== undefined) {
    checkOptions('pointers', pointers, POINTERS);
    checkFlag('pointers.rights', pointers.rights);
    checkFlag('pointers.accessed', pointers.accessed);
  }
  checkReserved('reserved', description.reserved, 8 * entryBytes);
  checkLeafMark(description);
  checkPointers(description);
  checkAddresses(description);
  if (misaligned !== undefined && !levels.some(({ huge }) => huge)) {
    throw mistake('misaligned', misaligned, 'nothing, without a level that has huge pages');
  }
}

/** Checks the size of a page, and returns it. */
export function checkPageBytes(pageBytes: number): number {
  if (Math.log2(checkInteger('pageBytes', pageBytes, 16, 2 ** 20)) % 1 === 0) return pageBytes;
  throw mistake('pageBytes', pageBytes, 'a power of two');
}

function checkLevels({ entryBytes, levels, pageBytes }: PteFormatDescription): void {
  if (!Array.isArray(levels)) throw mistake('levels', levels, 'an array, the root first');
  checkInteger('levels.length', levels.length, 1, 6);
  for (let at = 0; at < levels.length; at++) {
    const path = `levels[${at}]`;
    const level: LevelDescription = levels[at];
    checkOptions(path, level, LEVEL);
    checkInteger(`${path}.bits`, level.bits, 1, 26);
    checkFlag(`${path}.huge`, level.huge);
    if (level.leaf !== undefined) {
      checkInteger(`${path}.leaf`, level.leaf, 0, 8 * entryBytes - 1);
    }
    if (level.huge === true && at === levels.length - 1) {
      throw mistake(`${path}.huge`, true, 'no huge pages at the last level, which has base pages');
    }
    const { tableBytes = pageBytes } = level;
    checkInteger(`${path}.tableBytes`, tableBytes, entryBytes, 2 ** 32);
    const entries = Math.floor(tableBytes / entryBytes);
    if (2 ** level.bits > entries) {
      const expected = `an index into the ${entries} entries of a table of ${tableBytes} bytes`;
      throw mistake(`${path}.bits`, level.bits, expected);
    }
    checkReserved(`${path}.reserved`, level.reserved, 8 * entryBytes);
  }
}

function checkBitNumbers(bits: EntryBits, entryBits: number): void {
  checkOptions('bits', bits, BITS);
  checkInteger('bits.valid', bits.valid, 0, entryBits - 1);
  checkRange('bits.frame', bits.frame, entryBits);
  for (const name of RIGHTS) {
    const right = bits[name];
    if (right === undefined) continue;
    const path = `bits.${name}`;
    if (typeof right !== 'object') {
      checkInteger(path, right, 0, entryBits - 1);
      continue;
    }
    checkOptions(path, right, { not: true });
    checkInteger(`${path}.not`, right.not, 0, entryBits - 1);
  }
  const { accessed, dirty, global, leaf } = bits;
  if (global !== undefined) checkInteger('bits.global', global, 0, entryBits - 1);
  const low = Math.min(31, entryBits - 1);
  if (accessed !== undefined) checkInteger('bits.accessed', accessed, 0, low);
  if (dirty !== undefined) checkInteger('bits.dirty', dirty, 0, low);
  if (leaf === undefined || leaf === 'rights') return;
  if (typeof leaf !== 'object') {
    checkInteger('bits.leaf', leaf, 0, entryBits - 1);
    return;
  }
  checkOptions('bits.leaf', leaf, { not: true });
  checkInteger('bits.leaf.not', leaf.not, 0, low);
}

function checkReserved(path: string, reserved: ReservedBits | undefined, entryBits: number): void {
  if (reserved === undefined) return;
  if (!isList(reserved)) {
    checkOptions(path, reserved, RESERVED);
    const { leaves, pointers } = reserved;
    if (pointers !== undefined) checkRanges(`${path}.pointers`, pointers, entryBits);
    if (leaves !== undefined) checkRanges(`${path}.leaves`, leaves, entryBits);
    return;
  }
  checkRanges(path, reserved, entryBits);
}

function checkRanges(path: string, ranges: readonly BitRange[], entryBits: number): void {
  if (!isList(ranges)) throw mistake(path, ranges, 'a list of bits and of runs of bits');
  checkInteger(`${path}.length`, ranges.length, 0, 64);
  for (let at = 0; at < ranges.length; at++) checkRange(`${path}[${at}]`, ranges[at]!, entryBits);
}

function checkRange(path: string, range: BitRange, entryBits: number): void {
  if (Number.isInteger(range)) {
    checkInteger(path, Number(range), 0, entryBits - 1);
    return;
  }
  const expected = 'a bit, or a highest and a lowest bit';
  if (!isList(range) || range.length !== 2) throw mistake(path, range, expected);
  checkInteger(path, range[0], 0, entryBits - 1);
  checkInteger(path, range[1], 0, range[0]);
}

/** Whether the mark of huge leaves fits the levels and rights. */
function checkLeafMark({ bits, levels, writeOnly }: PteFormatDescription): void {
  const huge = levels.findIndex((level) => level.huge && level.leaf === undefined);
  if (bits.leaf === undefined && huge >= 0) {
    throw mistake('bits.leaf', undefined, `a mark for the huge pages of levels[${huge}]`);
  }
  if (bits.leaf !== undefined && bits.leaf !== 'rights' && huge < 0) {
    throw mistake('bits.leaf', bits.leaf, 'nothing, without a level whose huge pages it marks');
  }
  checkLevelMarks(levels, bits.leaf);
  if (bits.leaf === 'rights') {
    const rights = [bits.read, bits.write, bits.execute].filter((right) => right !== undefined);
    if (rights.length === 0 || rights.some((right) => typeof right === 'object')) {
      const expected = 'a bit, unless read, write and execute are bits that grant';
      throw mistake('bits.leaf', bits.leaf, expected);
    }
  }
  if (writeOnly === 'reserved' && (bits.read === undefined || bits.write === undefined)) {
    throw mistake('writeOnly', writeOnly, 'nothing, without a read bit and a write bit');
  }
}

/** Whether levels may have the marks of their own that they have. */
function checkLevelMarks(levels: readonly LevelDescription[], other: EntryBits['leaf']): void {
  for (const [at, { huge = false, leaf }] of levels.entries()) {
    if (leaf === undefined) continue;
    const path = `levels[${at}].leaf`;
    if (!huge) throw mistake(path, leaf, 'nothing, at a level without huge pages');
    if (other === 'rights') throw mistake(path, leaf, 'nothing, where rights make a leaf');
    if (typeof other === 'object' && other.not === leaf) {
      throw mistake(path, leaf, 'a bit that does not mark pointers at other levels');
    }
  }
}

function checkPointers({ bits, levels, pointers = {} }: PteFormatDescription): void {
  if (pointers.accessed === true && (bits.accessed === undefined || levels.length === 1)) {
    throw mistake('pointers.accessed', true, 'pointers, and an accessed bit that they can have');
  }
  if (pointers.rights !== true) return;
  if (levels.length === 1 || RIGHTS.every((name) => bits[name] === undefined)) {
    throw mistake('pointers.rights', true, 'pointers, and right bits that they can have');
  }
  if (bits.leaf === 'rights') {
    throw mistake('pointers.rights', true, 'false, where having rights makes an entry a leaf');
  }
}

/** Whether the virtual and the physical address have a sensible width. */
function checkAddresses(description: PteFormatDescription): void {
  const { bits, levels, pageBytes, physicalBits, signExtended, virtualBits } = description;
  const pageShift = Math.log2(pageBytes);
  const pageBits = levels.reduce((sum, level) => sum + level.bits, 0);
  const width = pageShift + pageBits;
  if (pageBits > PAGE_NUMBER_BITS || width > 64) {
    const most = Math.min(PAGE_NUMBER_BITS, 64 - pageShift);
    throw mistake('levels', `${pageBits} bits`, `at most ${most} bits of page number in all`);
  }
  if (virtualBits !== undefined && checkInteger('virtualBits', virtualBits, 1, 64) !== width) {
    throw mistake('virtualBits', virtualBits, `${width}, of which ${pageShift} are the offset's`);
  }
  if (signExtended === true && pageShift < 12) {
    throw mistake('signExtended', true, 'false, with pages of less than 4096 bytes');
  }
  const [high, low] = ends(bits.frame);
  const frameBits = high - low + 1;
  const reach = Math.min(PAGE_NUMBER_BITS, 64 - pageShift);
  if (frameBits > reach) throw mistake('bits.frame', bits.frame, `at most ${reach} bits`);
  if (physicalBits !== undefined) {
    checkInteger('physicalBits', physicalBits, 1, 64);
    const wanted = physicalBits - pageShift;
    if (wanted < 1) throw mistake('physicalBits', physicalBits, `more than ${pageShift}`);
    if (frameBits !== wanted) {
      const expected = `${wanted} bits, for physical addresses of ${physicalBits}`;
      throw mistake('bits.frame', bits.frame, expected);
    }
  }
  let below = pageBits;
  for (const [at, level] of levels.entries()) {
    below -= level.bits;
    if (level.huge === true && below >= frameBits) {
      const expected = `no huge pages of 2^${below} base pages, with 2^${frameBits} frames`;
      throw mistake(`levels[${at}].huge`, true, expected);
    }
  }
}

function checkText(argument: string, value: string): void {
  if (typeof value === 'string' && value.length > 0 && value.length <= 200) return;
  throw mistake(argument, value, 'a string of 1 to 200 characters');
}

function checkFlag(argument: string, value: boolean | undefined): void {
  if (value === undefined || typeof value === 'boolean') return;
  throw mistake(argument, value, 'true or false');
}

function checkOneOf(argument: string, value: unknown, choices: readonly unknown[]): void {
  if (!choices.includes(value)) throw mistake(argument, value, `one of ${choices.join(', ')}`);
}
