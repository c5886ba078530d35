import { checkInteger, type Plain, plain, VmError } from '../core/index.js';
import { type FieldRow, fieldTable } from './field-table.js';
import {
  type DecodedRegister,
  encodeRegister,
  type RegisterFields,
  type RegisterLayout,
  registerData,
} from './register.js';

/**
 * A memory type of x86 (Intel SDM Vol. 3A, 12.3): strong uncacheable, uncacheable that an MTRR may turn into WC, write
 * combining, write through, write protected, write back. MTRRs have no `UC-`, and no page ends up with it.
 *
 * @public
 */
export type X86MemoryType = 'UC' | 'UC-' | 'WC' | 'WT' | 'WP' | 'WB';

/** Types by encoding; 2 and 3 are reserved (Intel SDM Vol. 3A, Table 12-10). MTRRs share it, without 7 (Table 12-8). */
const TYPES = ['UC', 'WC', undefined, undefined, 'WT', 'WP', 'WB', 'UC-'] as const;

/**
 * The memory type behind an encoding in IA32_PAT or an MTRR.
 *
 * @param encoding - The field's value.
 * @returns The type, or `undefined` for a reserved encoding.
 * @public
 */
export function x86MemoryTypeOf(encoding: number): X86MemoryType | undefined {
  return TYPES[encoding];
}

/**
 * IA32_PAT after reset: WB, WT, UC-, UC, twice (Intel SDM Vol. 3A, Table 12-12).
 *
 * @public
 */
export const PAT_RESET = 0x0007040600070406n;

const PAT_ROWS: readonly FieldRow[] = [7, 6, 5, 4, 3, 2, 1, 0].map((entry) => [
  `PA${entry}`,
  8 * entry + 2,
  8 * entry,
  'number',
  `Memory type of PAT index ${entry}: 0 UC, 1 WC, 4 WT, 5 WP, 6 WB, 7 UC-.`,
]);

/**
 * IA32_PAT, as fields.
 *
 * @public
 */
export const patRegister: RegisterLayout = {
  name: 'IA32_PAT',
  bits: 64,
  fields: /* @__PURE__ */ fieldTable(
    64,
    'Intel SDM Vol. 3A, 12.12.2 IA32_PAT MSR',
    'reserved',
    PAT_ROWS,
  ),
};

/**
 * A decoded IA32_PAT: {@link DecodedRegister} and what its fields say.
 *
 * @public
 */
export interface DecodedPat extends DecodedRegister {
  /** The memory type of each index; writing a `reserved` one is #GP. */
  readonly types: readonly (X86MemoryType | 'reserved')[];
}

/**
 * Decodes IA32_PAT.
 *
 * @param value - The register.
 * @returns Plain data.
 * @throws `VmError` for a value that is no 64-bit pattern.
 *
 * @example
 * ```ts
 * import { decodePat, PAT_RESET } from 'pagewright/pte';
 *
 * decodePat(PAT_RESET).types; // => ['WB', 'WT', 'UC-', 'UC', 'WB', 'WT', 'UC-', 'UC']
 * ```
 * @public
 */
export function decodePat(value: bigint | number): Plain<DecodedPat> {
  const data = registerData(patRegister, value);
  const types = [0, 1, 2, 3, 4, 5, 6, 7].map((i) => TYPES[data.fields[`PA${i}`]!] ?? 'reserved');
  return plain({ ...data, types });
}

/**
 * Encodes IA32_PAT: the inverse of {@link decodePat}.
 *
 * @param pat - The decoded register, or just its `fields`.
 * @returns The register's bits, unsigned.
 * @throws `VmError` for an unknown field, or a value wider than its field.
 * @public
 */
export function encodePat(pat: RegisterFields): bigint {
  return encodeRegister(patRegister, pat);
}

/**
 * The PAT index that a leaf selects: 4 x PAT + 2 x PCD + PWT (Intel SDM Vol. 3A, 4.9.2). Hot: nothing is checked. An
 * entry that points at a table, and CR3, have no PAT bit: theirs is `(low >>> 3) & 3`.
 *
 * @param low - Bits 31:0 of the leaf.
 * @param level - Its level: PAT is bit 7 at level 0, bit 12 above.
 * @returns 0 to 7.
 *
 * @example
 * ```ts
 * import { patIndex } from 'pagewright/pte';
 *
 * patIndex(0x0000_0093, 0); // => 6
 * patIndex(0x0020_1083, 1); // => 4
 * ```
 * @public
 */
export function patIndex(low: number, level: number): number {
  return ((low >>> 3) & 3) | ((low >>> (level === 0 ? 5 : 10)) & 4);
}

/** The columns of {@link EFFECTIVE}. */
const PAT_COLUMNS = ['UC', 'UC-', 'WC', 'WT', 'WB', 'WP'] as const;

/** Effective memory types, by MTRR type and PAT type (Intel SDM Vol. 3A, Table 12-7; 11-7 in older editions). */
const EFFECTIVE: Readonly<Record<MtrrType, readonly X86MemoryType[]>> = {
  //     UC    UC-   WC    WT    WB    WP      in the PAT
  UC: ['UC', 'UC', 'WC', 'UC', 'UC', 'UC'],
  WC: ['UC', 'WC', 'WC', 'UC', 'WC', 'UC'],
  WT: ['UC', 'UC', 'WC', 'WT', 'WT', 'WP'],
  WB: ['UC', 'UC', 'WC', 'WT', 'WB', 'WP'],
  WP: ['UC', 'WC', 'WC', 'WT', 'WP', 'WP'],
};

/**
 * A memory type that an MTRR can give.
 *
 * @public
 */
export type MtrrType = Exclude<X86MemoryType, 'UC-'>;

/**
 * What {@link x86MemoryType} combines.
 *
 * @public
 */
export interface X86MemoryTypeOptions {
  /** The PAT index of the leaf: see {@link patIndex}. */
  readonly patIndex: number;
  /** IA32_PAT. @defaultValue {@link PAT_RESET} */
  readonly pat?: bigint | number;
  /** The type that the MTRRs give the physical page: see {@link Mtrrs}. @defaultValue 'WB', as for RAM */
  readonly mtrrType?: MtrrType;
}

/**
 * The memory type of an access through a page: what the PAT says, combined with what the MTRRs say (Intel SDM Vol. 3A,
 * Table 12-7). The table holds in normal caching mode; CR0.CD and CR0.NW switch caches, not types, and are not asked.
 *
 * @param options - The PAT index, IA32_PAT and the MTRRs' type.
 * @returns The effective type.
 * @throws `VmError` for an index outside 0 to 7, a reserved type in that entry of the PAT, which no CPU accepts,
 * or an unknown MTRR type.
 *
 * @example
 * ```ts
 * import { x86MemoryType } from 'pagewright/pte';
 *
 * x86MemoryType({ patIndex: 0 }); // => 'WB'
 * x86MemoryType({ patIndex: 2, mtrrType: 'WC' }); // => 'WC'
 * x86MemoryType({ patIndex: 0, mtrrType: 'UC' }); // => 'UC'
 * ```
 * @public
 */
export function x86MemoryType(options: X86MemoryTypeOptions): X86MemoryType {
  const { patIndex, pat = PAT_RESET, mtrrType = 'WB' } = options;
  checkInteger('patIndex', patIndex, 0, 7);
  const type = decodePat(pat).types[patIndex]!;
  if (type === 'reserved') {
    const expected = `a memory type in entry ${patIndex}`;
    throw new VmError('out-of-range', { argument: 'pat', value: pat, expected });
  }
  if (!Object.hasOwn(EFFECTIVE, mtrrType)) {
    const expected = `one of ${Object.keys(EFFECTIVE).join(' ')}`;
    throw new VmError('bad-argument', { argument: 'mtrrType', value: mtrrType, expected });
  }
  return EFFECTIVE[mtrrType][PAT_COLUMNS.indexOf(type)]!;
}
