import { checkInteger, VmError } from '../core/index.js';
import {
  decodePat,
  type MtrrType,
  PAT_RESET,
  type X86MemoryType,
  x86MemoryType,
  x86MemoryTypeOf,
} from './x86-memory-type.js';

/**
 * What {@link eptMemoryType} combines. `memoryType` and `ignorePat` are those of `LeafAttributes.ept`.
 *
 * @public
 */
export interface EptMemoryTypeOptions {
  /** The type in the EPT leaf: 0 UC, 1 WC, 4 WT, 5 WP, 6 WB. */
  readonly memoryType: number;
  /** IPAT of the EPT leaf: the guest's PAT has no say. */
  readonly ignorePat: boolean;
  /** The guest leaf's index into IA32_PAT: see {@link patIndex}. */
  readonly patIndex: number;
  /** The guest's IA32_PAT. @defaultValue {@link PAT_RESET} */
  readonly pat?: bigint | number;
  /** The guest's CR0.PG: without paging its PAT type is WB. @defaultValue true */
  readonly paging?: boolean;
  /** The guest's CR0.CD: everything is UC. @defaultValue false */
  readonly cacheDisable?: boolean;
}

/**
 * The memory type of a guest's access under EPT (Intel SDM Vol. 3C, 29.3.7.2 Memory Type Used for Translated
 * Guest-Physical Addresses): the EPT leaf's type stands for the MTRRs', and is all when it ignores PAT.
 *
 * @param options - The types of both leaves, and the guest's registers.
 * @returns The effective type.
 * @throws `VmError` for a type that no EPT leaf has, an index outside 0 to 7, or a reserved type in that entry of the PAT.
 *
 * @example
 * ```ts
 * import { eptMemoryType } from 'pagewright/pte';
 *
 * const leaf = { memoryType: 6, ignorePat: false };
 * eptMemoryType({ ...leaf, patIndex: 1 }); // => 'WT'
 * eptMemoryType({ ...leaf, patIndex: 1, ignorePat: true }); // => 'WB'
 * eptMemoryType({ ...leaf, patIndex: 0, cacheDisable: true }); // => 'UC'
 * ```
 * @public
 */
export function eptMemoryType(options: EptMemoryTypeOptions): X86MemoryType {
  const { cacheDisable = false, ignorePat, memoryType, pat, paging = true, patIndex } = options;
  const type = x86MemoryTypeOf(memoryType);
  if (type === undefined || type === 'UC-') {
    const expected = 'the memory type of an EPT leaf: 0, 1, 4, 5 or 6';
    throw new VmError('out-of-range', { argument: 'memoryType', value: memoryType, expected });
  }
  checkInteger('patIndex', patIndex, 0, 7);
  if (cacheDisable) return 'UC';
  if (ignorePat) return type;
  const guest = paging ? { patIndex, pat: pat ?? PAT_RESET } : WRITE_BACK;
  return x86MemoryType({ ...guest, mtrrType: type });
}

/** A PAT that is all WB. */
const WRITE_BACK = { patIndex: 0, pat: 0x0606_0606_0606_0606n };

/**
 * A memory type of AMD (AMD64 APM Vol. 2, 7.4 Memory Types): those of {@link X86MemoryType} that a page ends up with, CD
 * (not cached, but coherent with caches), and WC+ (write combining that is coherent with caches).
 *
 * @public
 */
export type AmdMemoryType = 'UC' | 'CD' | 'WC' | 'WC+' | 'WP' | 'WT' | 'WB';

/**
 * What {@link nptMemoryType} combines. The indexes are those of `LeafAttributes.x86`, of the guest's and of the nested leaf.
 *
 * @public
 */
export interface NptMemoryTypeOptions {
  /** The guest leaf's index into the guest's PAT. */
  readonly guestPatIndex: number;
  /** The guest's PAT, gPAT. @defaultValue {@link PAT_RESET} */
  readonly guestPat?: bigint | number;
  /** gCR0.PG: without paging the guest's PAT type is WB. @defaultValue true */
  readonly guestPaging?: boolean;
  /** The nested leaf's index into the host's PAT. */
  readonly hostPatIndex: number;
  /** The host's PAT. @defaultValue {@link PAT_RESET} */
  readonly hostPat?: bigint | number;
  /** The type that the MTRRs give the system-physical page. @defaultValue 'WB', as for RAM */
  readonly mtrrType?: MtrrType;
  /** gCR0.CD or hCR0.CD: what would be cached is CD. @defaultValue false */
  readonly cacheDisable?: boolean;
}

/** The columns of {@link NESTED}, and the rows with WC+ besides of {@link EFFECTIVE}. */
const PAT_TYPES = ['UC', 'UC-', 'WC', 'WP', 'WT', 'WB'] as const;
type PatType = (typeof PAT_TYPES)[number];
type NestedPatType = PatType | 'WC+';

/** The types of a guest's and a nested leaf together (AMD64 APM Vol. 2, Table 15-19). */
const NESTED: Readonly<Record<PatType, readonly NestedPatType[]>> = {
  //      UC    UC-    WC    WP     WT     WB      of the host
  UC: ['UC', 'UC', 'UC', 'UC', 'UC', 'UC'],
  'UC-': ['UC', 'UC-', 'WC', 'UC', 'UC', 'UC'],
  WC: ['WC', 'WC', 'WC', 'WC+', 'WC+', 'WC+'],
  WP: ['UC', 'UC', 'UC', 'WP', 'UC', 'WP'],
  WT: ['UC', 'UC', 'UC', 'UC', 'WT', 'WT'],
  WB: ['UC', 'UC-', 'WC', 'WP', 'WT', 'WB'],
};

const MTRR_TYPES = ['UC', 'WC', 'WP', 'WT', 'WB'] as const;

/** That together with the MTRRs' (AMD64 APM Vol. 2, Table 15-20). */
const EFFECTIVE: Readonly<Record<NestedPatType, readonly AmdMemoryType[]>> = {
  //      UC    WC    WP     WT     WB     of the MTRRs
  UC: ['UC', 'CD', 'CD', 'CD', 'CD'],
  'UC-': ['UC', 'WC', 'CD', 'CD', 'CD'],
  WC: ['WC', 'WC', 'WC', 'WC', 'WC'],
  'WC+': ['WC', 'WC', 'WC+', 'WC+', 'WC+'],
  WP: ['UC', 'CD', 'WP', 'CD', 'WP'],
  WT: ['UC', 'CD', 'CD', 'WT', 'WT'],
  WB: ['UC', 'WC', 'WP', 'WT', 'WB'],
};

/** Types that caches hold, which CR0.CD turns into CD. */
const CACHED: ReadonlySet<AmdMemoryType> = new Set<AmdMemoryType>(['WP', 'WT', 'WB']);

/**
 * The memory type of a guest's access under AMD's nested paging (AMD64 APM Vol. 2, 15.25.8 Combining Memory Types, MTRRs):
 * first the PAT types of both leaves, then the MTRRs'; a guest has no MTRRs of its own.
 *
 * @param options - The PAT indexes of both leaves, and the registers.
 * @returns The effective type.
 * @throws `VmError` for an index outside 0 to 7, a reserved type in that entry of a PAT, or an unknown MTRR type.
 *
 * @example
 * ```ts
 * import { nptMemoryType } from 'pagewright/pte';
 *
 * nptMemoryType({ guestPatIndex: 0, hostPatIndex: 0 }); // => 'WB'
 * nptMemoryType({ guestPatIndex: 1, hostPatIndex: 0 }); // => 'WT'
 * nptMemoryType({ guestPatIndex: 3, hostPatIndex: 0 }); // => 'CD'
 * nptMemoryType({ guestPatIndex: 0, hostPatIndex: 0, mtrrType: 'UC' }); // => 'UC'
 * ```
 * @public
 */
export function nptMemoryType(options: NptMemoryTypeOptions): AmdMemoryType {
  const { guestPaging = true, guestPat = PAT_RESET, hostPat = PAT_RESET } = options;
  const { cacheDisable = false, mtrrType = 'WB' } = options;
  const ofGuest = patType('guestPat', guestPat, options.guestPatIndex);
  const ofHost = patType('hostPat', hostPat, options.hostPatIndex);
  const column = MTRR_TYPES.indexOf(mtrrType);
  if (column < 0) {
    const expected = `one of ${MTRR_TYPES.join(' ')}`;
    throw new VmError('bad-argument', { argument: 'mtrrType', value: mtrrType, expected });
  }
  const nested = NESTED[guestPaging ? ofGuest : 'WB'][PAT_TYPES.indexOf(ofHost)]!;
  const effective = EFFECTIVE[nested][column]!;
  return cacheDisable && CACHED.has(effective) ? 'CD' : effective;
}

function patType(argument: 'guestPat' | 'hostPat', pat: bigint | number, index: number): PatType {
  checkInteger(`${argument}Index`, index, 0, 7);
  const type = decodePat(pat).types[index]!;
  if (type !== 'reserved') return type;
  const expected = `a memory type in entry ${index}`;
  throw new VmError('out-of-range', { argument, value: pat, expected });
}
