import { type Plain, plain, VmError } from '../core/index.js';
import { type FieldRow, fieldTable } from './field-table.js';
import {
  type DecodedRegister,
  encodeRegister,
  type RegisterFields,
  type RegisterLayout,
  registerData,
} from './register.js';

/**
 * How CR3 is to be read: 32-bit paging, PAE paging, or 4-level and 5-level paging with CR4.PCIDE clear or set.
 *
 * @public
 */
export type Cr3Mode = 'legacy' | 'pae' | 'long' | 'long-pcid';

/** PWT and PCD choose the memory type of accesses to the first table. */
const CACHING: readonly FieldRow[] = [
  ['PCD', 4, 4, 'flag', 'Page-level cache disable, for the first table.'],
  ['PWT', 3, 3, 'flag', 'Page-level write-through, for the first table.'],
];

const LONG: readonly FieldRow[] = [
  ['LAM_U48', 62, 62, 'flag', 'Linear-address masking of user pointers: bits 62:48.'],
  [
    'LAM_U57',
    61,
    61,
    'flag',
    'Linear-address masking of user pointers: bits 62:57; overrides LAM_U48.',
  ],
  ['RSVD60_52', 60, 52, 'reserved', 'Reserved (must be 0).'],
  [
    'ADDR',
    51,
    12,
    'frame',
    'Bits 51:12 of the physical address of the first table; bits 51:MAXPHYADDR are reserved (must be 0).',
  ],
];

function layout(table: string, rows: readonly FieldRow[]): RegisterLayout {
  const source = `Intel SDM Vol. 3A, Table ${table}`;
  return { name: 'CR3', bits: 64, fields: fieldTable(64, source, 'ignored', rows) };
}

/**
 * CR3 as fields, by mode (Intel SDM Vol. 3A, Tables 4-3, 4-7, 4-12 and 4-13).
 *
 * @public
 */
export const cr3Registers: Readonly<Record<Cr3Mode, RegisterLayout>> = {
  legacy: /* @__PURE__ */ layout('4-3', [
    ['ADDR', 31, 12, 'frame', 'Bits 31:12 of the physical address of the page directory.'],
    ...CACHING,
  ]),
  pae: /* @__PURE__ */ layout('4-7', [
    ['ADDR', 31, 5, 'frame', 'Bits 31:5 of the physical address of the four PDPTEs.'],
  ]),
  long: /* @__PURE__ */ layout('4-12', [
    ['RSVD63', 63, 63, 'reserved', 'Reserved (must be 0).'],
    ...LONG,
    ...CACHING,
  ]),
  'long-pcid': /* @__PURE__ */ layout('4-13', [
    [
      'NOFLUSH',
      63,
      63,
      'flag',
      'In the source of MOV to CR3: keep what the TLB has for this PCID.',
    ],
    ...LONG,
    ['PCID', 11, 0, 'number', 'Process-context identifier.'],
  ]),
};

/**
 * A decoded CR3: {@link DecodedRegister} and what its fields say.
 *
 * @public
 */
export interface DecodedCr3 extends DecodedRegister {
  /** How it was read. */
  readonly mode: Cr3Mode;
  /** The physical address, in bytes, of the first table: page-aligned, but for PAE, where it is 32-byte aligned. */
  readonly base: bigint;
  /** The process-context identifier; 0 in modes without. */
  readonly pcid: number;
}

/**
 * Decodes CR3.
 *
 * @param value - The register, or the source of a MOV to it.
 * @param mode - How to read it.
 * @returns Plain data.
 * @throws `VmError` for a value that is no 64-bit pattern, or an unknown mode.
 *
 * @example
 * ```ts
 * import { decodeCr3 } from 'pagewright/pte';
 *
 * const cr3 = decodeCr3(0x8000_0000_0123_4005n, 'long-pcid');
 * cr3.base; // => 0x1234000n
 * cr3.pcid; // => 5
 * const { NOFLUSH } = cr3.fields;
 * NOFLUSH; // => 1
 * decodeCr3(0x1234_5678, 'pae').base; // => 0x12345660n
 * ```
 * @public
 */
export function decodeCr3(value: bigint | number, mode: Cr3Mode): Plain<DecodedCr3> {
  const register = cr3Register(mode);
  const data = registerData(register, value);
  const { ADDR = 0, PCID: pcid = 0 } = data.fields;
  const { low } = register.fields.find((field) => field.name === 'ADDR')!;
  return plain({ ...data, mode, base: BigInt(ADDR) << BigInt(low), pcid });
}

/**
 * Encodes CR3: the inverse of {@link decodeCr3}.
 *
 * @param cr3 - The decoded register, or just its `fields`.
 * @param mode - How it is read.
 * @returns The register's bits, unsigned.
 * @throws `VmError` for an unknown field or mode, or a value wider than its field.
 * @public
 */
export function encodeCr3(cr3: RegisterFields, mode: Cr3Mode): bigint {
  return encodeRegister(cr3Register(mode), cr3);
}

function cr3Register(mode: Cr3Mode): RegisterLayout {
  if (Object.hasOwn(cr3Registers, mode)) return cr3Registers[mode];
  const expected = `one of ${Object.keys(cr3Registers).join(' ')}`;
  throw new VmError('bad-argument', { argument: 'mode', value: mode, expected });
}
