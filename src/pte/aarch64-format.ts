import { checkInteger, VmError } from '../core/index.js';
import { AARCH64_PTE } from './aarch64.js';
import { aarch64Mapping } from './aarch64-mapping-options.js';
import type { BitField } from './bit-field.js';
import type { EntryKind } from './entry.js';
import { type FieldRow, fieldTable } from './field-table.js';
import { PteFormat } from './format.js';

const { Table } = AARCH64_PTE;
const SOURCE = 'Arm ARM DDI 0487, D8 Translation table descriptor formats';

/**
 * Which AArch64 format.
 *
 * @public
 */
export interface AArch64FormatOptions {
  /** Bytes in a page. @defaultValue 4096 */
  readonly granule?: 4096 | 16384 | 65536;
  /** Width of input addresses: 64 less TnSZ; above 48 with 64 KiB or 52-bit outputs. @defaultValue 48 */
  readonly virtualBits?: number;
  /**
   * Width of output addresses: 52 for the descriptors of FEAT_LPA (64 KiB), or of FEAT_LPA2 with TCR.DS=1 (4 and
   * 16 KiB). @defaultValue 48
   */
  readonly outputBits?: 48 | 52;
  /** The translation stage. @defaultValue 1 */
  readonly stage?: 1 | 2;
  /** Stage 1: which half of the address space. @defaultValue 'low' */
  readonly half?: 'low' | 'high';
  /**
   * Stage 2: number of levels, when fewer than the widths need: the root is then up to 16 concatenated tables.
   * @defaultValue as many as needed
   */
  readonly levels?: number;
}

/** The formats made so far, so that equal options give the same object. */
const made = new Map<string, PteFormat>();

/**
 * A format of the AArch64 VMSA: a granule, an input width and a stage. Equal options give the same object.
 *
 * The library counts levels from the page up; the architecture's own number is `3 - level`.
 *
 * @param options - Which one; by default 4 KiB pages, 48-bit addresses, stage 1, the half of TTBR0.
 * @returns The format.
 * @throws `VmError` for widths and levels that no configuration has.
 *
 * @example
 * ```ts
 * import { aarch64 } from 'pagewright/pte';
 *
 * const format = aarch64({ granule: 16384, virtualBits: 47 });
 * format.indexBits; // => [11, 11, 11]
 * const block = format.decode(0x60000042000705n, 1);
 * block.kind; // => 'leaf'
 * block.pageShift; // => 25
 * const { UXN, PXN, AF } = block.fields;
 * [UXN, PXN, AF]; // => [1, 1, 1]
 * ```
 * @public
 */
export function aarch64(options: AArch64FormatOptions = {}): PteFormat {
  const { granule = 4096, half = 'low', outputBits = 48, stage = 1, virtualBits = 48 } = options;
  const shift = 12 + 2 * oneOf('granule', granule, [4096, 16384, 65536]);
  oneOf('outputBits', outputBits, [48, 52]);
  oneOf('stage', stage, [1, 2]);
  oneOf('half', half, stage === 1 ? ['low', 'high'] : ['low']);
  const stride = shift - 3;
  // TnSZ is 48 at most, 47 with 64 KiB (D8 Input address size); 52-bit inputs need FEAT_LVA or descriptors of FEAT_LPA2.
  const most = shift === 16 || outputBits === 52 ? 52 : 48;
  checkInteger('virtualBits', virtualBits, Math.max(16, shift + 1), most);
  const needed = Math.ceil((virtualBits - shift) / stride);
  const { levels = needed } = options;
  // At most 16 concatenated tables: four more index bits (D8 Concatenated translation tables).
  const least = Math.max(1, Math.ceil((virtualBits - shift - (stage === 2 ? 4 : 0)) / stride));
  checkInteger('levels', levels, least, needed);
  const key = `${shift}/${virtualBits}/${outputBits}/${stage}/${half}/${levels}`;
  let format = made.get(key);
  if (format === undefined) {
    format = makeFormat({ shift, stride, virtualBits, levels, stage, half, wide: outputBits > 48 });
    made.set(key, format);
  }
  return format;
}

/** The place of an option's value in the list of all. */
function oneOf(argument: string, value: unknown, values: readonly unknown[]): number {
  const index = values.indexOf(value);
  if (index >= 0) return index;
  throw new VmError('bad-argument', { argument, value, expected: values.join(' or ') });
}

interface Shape {
  readonly shift: number;
  readonly stride: number;
  readonly virtualBits: number;
  readonly levels: number;
  readonly stage: 1 | 2;
  readonly half: 'low' | 'high';
  /** 52-bit output addresses. */
  readonly wide: boolean;
}

/** Levels that may hold blocks, as a bitmap: the largest of each granule need 52-bit output addresses (D8 Block descriptor and Page descriptor formats). */
function blockLevels({ shift, wide }: Shape): number {
  if (shift === 12) return wide ? 0b1110 : 0b0110;
  return wide ? 0b0110 : 0b0010;
}

function makeFormat(shape: Shape): PteFormat {
  const { half, levels, shift, stage, stride, virtualBits, wide } = shape;
  const byLevel = <Value>(f: (level: number) => Value): readonly Value[] =>
    Array.from({ length: levels }, (_, level) => f(level));
  const blocks = blockLevels(shape);
  const hasBlocks = (level: number): boolean => ((blocks >> level) & 1) === 1;
  // LPA: OA[51:48] in bits 15:12. LPA2: OA[51:50] in bits 9:8, the rest in its place.
  const lpa2 = wide && shift < 16;
  const frameSplit = lpa2
    ? { shift: 8, bits: 2, frameBit: 50 - shift, leaves: 0b111111, tables: true }
    : { shift: 12, bits: 4, frameBit: 48 - shift, leaves: 0b111111, tables: true };
  const width = `${virtualBits}-bit`;
  const name = `aarch64 ${stage === 2 ? 'stage 2 ' : ''}${2 ** (shift - 10)}K ${width}${wide ? ' 52-bit output' : ''}`;
  const indexBits = byLevel((level) =>
    level === levels - 1 ? virtualBits - shift - stride * (levels - 1) : stride,
  );
  return new PteFormat({
    name,
    architecture: 'aarch64',
    pageShift: shift,
    signExtended: false,
    onesExtended: stage === 1 && half === 'high',
    indexBits,
    entryBytes: 8,
    physicalBits: wide ? 52 : 48,
    frameShift: shift,
    frameBits: (lpa2 ? 50 : 48) - shift,
    required: byLevel((level) => (hasBlocks(level) ? 0 : Table)),
    leafMask: byLevel((level) => (level === 0 ? -1 : hasBlocks(level) ? Table : 0)),
    leafFlip: Table,
    leafBits: byLevel((level) => (level === 0 ? Table : 0)),
    tableBits: Table,
    ...(wide ? { frameSplit } : {}),
    swap: stage === 1 ? 'arm64' : null,
    mapping: aarch64Mapping({
      stage,
      levels,
      granule: 2 ** shift,
      indexBits,
      shareable: !lpa2,
    }),
    fields: (kind, level) => fields(shape, kind, level),
  });
}

function fields(shape: Shape, kind: EntryKind, level: number): readonly BitField[] {
  if (kind === 'not-present') {
    return fieldTable(64, SOURCE, 'software', [['VALID', 0, 0, 'flag', 'Valid: 0.']]);
  }
  if (kind === 'pointer') return fieldTable(64, SOURCE, 'ignored', tableRows(shape));
  return fieldTable(64, SOURCE, 'reserved', [
    ...(shape.stage === 1 ? upperRows() : stage2UpperRows()),
    ...addressRows(shape, level === 0 ? 'Output address of the page.' : 'Output address.', level),
    ...(shape.stage === 1 ? lowerRows(shape) : stage2LowerRows(shape)),
    ...typeRows(level === 0 ? 'Set in a page.' : 'Clear in a block.'),
  ]);
}

function typeRows(meaning: string): readonly FieldRow[] {
  return [
    ['TYPE', 1, 1, 'flag', meaning],
    ['VALID', 0, 0, 'flag', 'Valid.'],
  ];
}

/** The pieces of an address, from the highest down, to the lowest bit of the level's size. */
function addressRows(shape: Shape, meaning: string, level: number): readonly FieldRow[] {
  const { shift, stride, wide } = shape;
  const low = shift + stride * level;
  const lpa2 = wide && shift < 16;
  const rows: FieldRow[] = [['OA', lpa2 ? 49 : 47, low, 'frame', meaning]];
  if (level > 0) rows.push(['NT', 16, 16, 'flag', 'A block under change (FEAT_BBM).']);
  if (wide && shift === 16) {
    rows.push(['OA51_48', 15, 12, 'frame', 'Bits 51:48 of the address (FEAT_LPA).']);
  }
  return rows;
}

function tableRows(shape: Shape): readonly FieldRow[] {
  const { shift, stage, wide } = shape;
  const lpa2 = wide && shift < 16;
  const rows: FieldRow[] =
    stage === 2
      ? [['RSVD63_59', 63, 59, 'reserved', 'Reserved.']]
      : [
          ['NSTABLE', 63, 63, 'flag', 'Non-secure below.'],
          ['APTABLE', 62, 61, 'number', 'Limits below: bit 0 no EL0 access, bit 1 no write.'],
          ['UXNTABLE', 60, 60, 'flag', 'No execution at EL0 below.'],
          ['PXNTABLE', 59, 59, 'flag', 'No execution at EL1 below.'],
        ];
  rows.push(
    lpa2
      ? ['RSVD50', 50, 50, 'reserved', 'Reserved.']
      : ['RSVD50_48', 50, 48, 'reserved', 'Reserved.'],
    ['TABLE', lpa2 ? 49 : 47, shift, 'frame', 'Address of the next table.'],
  );
  if (wide && shift === 16) {
    rows.push(['TABLE51_48', 15, 12, 'frame', 'Bits 51:48 of the address (FEAT_LPA).']);
  } else if (shift > 12) {
    rows.push([`RSVD${shift - 1}_12`, shift - 1, 12, 'reserved', 'Reserved.']);
  }
  if (lpa2) rows.push(['TABLE51_50', 9, 8, 'frame', 'Bits 51:50 of the address (FEAT_LPA2).']);
  return [...rows, ...typeRows('Set in a table.')];
}

const SOFTWARE_ROWS: readonly FieldRow[] = [
  ['SW63', 63, 63, 'software', 'For software.'],
  ['PBHA', 62, 59, 'number', 'Page-based hardware attributes, or ignored.'],
  ['SW', 58, 55, 'software', 'For software.'],
];

const GROUP_ROWS: readonly FieldRow[] = [
  ['CONTIGUOUS', 52, 52, 'flag', 'One of a group of entries with adjacent output.'],
  ['DBM', 51, 51, 'flag', 'Dirty bit modifier: the entry is writable, and read-only means clean.'],
];

function upperRows(): readonly FieldRow[] {
  return [
    ...SOFTWARE_ROWS,
    ['UXN', 54, 54, 'flag', 'No execution at EL0.'],
    ['PXN', 53, 53, 'flag', 'No execution at EL1.'],
    ...GROUP_ROWS,
    ['GP', 50, 50, 'flag', 'Guarded page: branch targets are checked (FEAT_BTI).'],
  ];
}

function stage2UpperRows(): readonly FieldRow[] {
  return [
    ...SOFTWARE_ROWS,
    ['XN', 54, 53, 'number', 'Execution: 0 allowed, 1 not at EL1, 2 not at all, 3 not at EL0.'],
    ...GROUP_ROWS,
  ];
}

/** Bits 9:8: shareability, or with LPA2 address bits, TCR.SHn then giving shareability. */
function shareabilityRow({ shift, wide }: Shape): FieldRow {
  return wide && shift < 16
    ? ['OA51_50', 9, 8, 'frame', 'Bits 51:50 of the address (FEAT_LPA2).']
    : ['SH', 9, 8, 'number', 'Shareability: 0 none, 2 outer, 3 inner.'];
}

function lowerRows(shape: Shape): readonly FieldRow[] {
  return [
    ['NG', 11, 11, 'flag', 'Not global: the translation belongs to one ASID.'],
    ['AF', 10, 10, 'flag', 'Access flag.'],
    shareabilityRow(shape),
    ['AP2', 7, 7, 'flag', 'Read-only.'],
    ['AP1', 6, 6, 'flag', 'EL0 may access.'],
    ['NS', 5, 5, 'flag', 'Non-secure.'],
    ['ATTRINDX', 4, 2, 'number', 'Index into MAIR_EL1.'],
  ];
}

function stage2LowerRows(shape: Shape): readonly FieldRow[] {
  return [
    ['FNXS', 11, 11, 'flag', 'With FEAT_XS: the XS attribute is cleared.'],
    ['AF', 10, 10, 'flag', 'Access flag.'],
    shareabilityRow(shape),
    ['S2AP1', 7, 7, 'flag', 'May be written.'],
    ['S2AP0', 6, 6, 'flag', 'May be read.'],
    [
      'MEMATTR',
      5,
      2,
      'number',
      'Memory attributes. FWB=0: 00dd Device, else outer and inner 1 non-cacheable, 2 write-through, 3 write-back. FWB=1: 00dd Device, 5 non-cacheable, 6 write-back, 7 as stage 1 says.',
    ],
  ];
}
