import { Option } from 'commander';
import { checkInteger, VmError } from '../core/index.js';
import {
  aarch64,
  csapp14,
  eptLong4,
  eptLong5,
  linearFormat,
  nptLong4,
  nptLong5,
  ostep6,
  ostep15,
  type PteFormat,
  sv32,
  sv32x4,
  sv39,
  sv39x4,
  sv48,
  sv48x4,
  sv57,
  sv57x4,
  textbook32,
  x86Legacy,
  x86Long4,
  x86Long5,
  x86Pae,
} from '../pte/index.js';
import { parseCount } from './arguments.js';

/** Whose tables a mode is of: an architecture's, the second stage's of one, or a course's. */
export type GuestKindName =
  | 'riscv'
  | 'riscv-g'
  | 'x86'
  | 'ept'
  | 'npt'
  | 'aarch64'
  | 'aarch64-s2'
  | 'textbook';

/** The width of addresses unless told. */
const AARCH64_BITS = 48;
const LINEAR_BITS = 32;

interface ModeEntry {
  readonly kind: GuestKindName;
  /** The format; where the mode leaves the width open, of `bits`, and of the half that an address is in. */
  readonly format: (bits: number | undefined, upper: boolean) => PteFormat;
  /** Whether the mode leaves the width of addresses open. */
  readonly anyWidth: boolean;
}

function fixed(kind: GuestKindName, format: PteFormat): ModeEntry {
  return { kind, format: () => format, anyWidth: false };
}

function stage1(granule: 4096 | 16384 | 65536): ModeEntry {
  const format: ModeEntry['format'] = (bits, upper) => {
    const { outputBits, virtualBits } = aarch64Widths(granule, bits);
    return aarch64({ granule, virtualBits, outputBits, half: upper ? 'high' : 'low' });
  };
  return { kind: 'aarch64', format, anyWidth: true };
}

function stage2(granule: 4096 | 16384 | 65536): ModeEntry {
  const format: ModeEntry['format'] = (bits) => {
    const { outputBits, virtualBits } = aarch64Widths(granule, bits);
    const levels = stage2Levels(granule, virtualBits);
    return aarch64({ granule, virtualBits, outputBits, stage: 2, levels });
  };
  return { kind: 'aarch64-s2', format, anyWidth: true };
}

/** Widths above 48 bits come with descriptors of 52 (FEAT_LPA, FEAT_LPA2). */
function aarch64Widths(
  granule: number,
  bits = AARCH64_BITS,
): { readonly virtualBits: number; readonly outputBits: 48 | 52 } {
  const virtualBits = checkInteger('--bits', bits, granule === 65536 ? 17 : 16, 52);
  return { virtualBits, outputBits: virtualBits > 48 ? 52 : 48 };
}

/**
 * The levels of a stage 2 that hypervisors choose: as few as there can be, with up to 16 concatenated tables at the
 * root (Arm ARM DDI 0487, D8 Translation tables).
 */
export function stage2Levels(granule: number, bits: number): number {
  const shift = Math.log2(granule);
  return Math.max(1, Math.ceil((bits - shift - 4) / (shift - 3)));
}

/** One entry for every page of 4 KiB, with the bits of OSTEP's homework: 31 valid, the others a frame. */
function linear(bits = LINEAR_BITS): PteFormat {
  const virtualBits = checkInteger('--bits', bits, 13, 38);
  return linearFormat({ virtualBits, pageBytes: 4096, entryBytes: 4, valid: 31, frame: [30, 0] });
}

/** The formats under the names that the command and the dumps use. */
const MODES = {
  sv32: fixed('riscv', sv32),
  sv39: fixed('riscv', sv39),
  sv48: fixed('riscv', sv48),
  sv57: fixed('riscv', sv57),
  'x86-32': fixed('x86', x86Legacy),
  pae: fixed('x86', x86Pae),
  'x86-64-4': fixed('x86', x86Long4),
  'x86-64-5': fixed('x86', x86Long5),
  'aarch64-4k': stage1(4096),
  'aarch64-16k': stage1(16384),
  'aarch64-64k': stage1(65536),
  sv32x4: fixed('riscv-g', sv32x4),
  sv39x4: fixed('riscv-g', sv39x4),
  sv48x4: fixed('riscv-g', sv48x4),
  sv57x4: fixed('riscv-g', sv57x4),
  ept4: fixed('ept', eptLong4),
  ept5: fixed('ept', eptLong5),
  npt4: fixed('npt', nptLong4),
  npt5: fixed('npt', nptLong5),
  'aarch64-s2-4k': stage2(4096),
  'aarch64-s2-16k': stage2(16384),
  'aarch64-s2-64k': stage2(65536),
  csapp14: fixed('textbook', csapp14),
  ostep6: fixed('textbook', ostep6),
  ostep15: fixed('textbook', ostep15),
  textbook32: fixed('textbook', textbook32),
  linear: { kind: 'textbook', format: linear, anyWidth: true },
} as const satisfies Readonly<Record<string, ModeEntry>>;

/** The name of a translation mode. */
export type Mode = keyof typeof MODES;

const NAMES = Object.keys(MODES) as Mode[];

/** Whose a mode is. */
export function kindOfMode(mode: Mode): GuestKindName {
  return MODES[mode].kind;
}

/**
 * The format of a mode.
 *
 * @param mode - Which.
 * @param bits - The width of addresses, for a mode that leaves it open.
 * @param va - An address: AArch64's upper half is another format.
 * @throws VmError for a width that the mode has not.
 */
export function formatOf(mode: Mode, bits?: number, va = 0n): PteFormat {
  const { anyWidth, format }: ModeEntry = MODES[mode];
  if (bits !== undefined && !anyWidth) {
    const expected = `no such option with ${mode}`;
    throw new VmError('bad-argument', { argument: '--bits', expected });
  }
  // Bit 55 chooses between TTBR0 and TTBR1 (Arm ARM DDI 0487, D8 Translation process).
  return format(bits, ((va >> 55n) & 1n) === 1n);
}

/** The mode of one of these formats, as a guest of a kind has it. */
export function modeOf(kind: GuestKindName, { name, pageShift }: PteFormat): Mode {
  const anyHalf = kind === 'aarch64' || kind === 'aarch64-s2';
  return NAMES.find((mode) => {
    if (kindOfMode(mode) !== kind) return false;
    const format = formatOf(mode);
    return anyHalf ? format.pageShift === pageShift : format.name === name;
  })!;
}

/** The option that chooses a mode. */
export function modeOption(): Option {
  return new Option('--mode <mode>', 'translation mode').choices(NAMES);
}

/** The option that gives the width of addresses. */
export function bitsOption(): Option {
  const description = `width of an address (default ${AARCH64_BITS} in aarch64-*, ${LINEAR_BITS} in linear; the others fix it)`;
  return new Option('--bits <n>', description).argParser(parseCount);
}
