// What the registers say about one stage of translation, as the pseudocode's "walkparams" have it
// (Arm ARM DDI 0487, "aarch64/translation/walkparams").

/** What a CPU has. */
export interface ReferenceAArch64Features {
  /** FEAT_LPA; it means 52-bit physical addresses, so without them it counts for nothing. */
  readonly lpa: boolean;
  readonly lva: boolean;
  readonly lpa2: boolean;
  readonly hafdbs: 'none' | 'access-flag' | 'dirty';
  readonly pan3: boolean;
  readonly e0pd: boolean;
  readonly ttst: boolean;
  readonly hpds: boolean;
  /** PAMax(). */
  readonly physicalBits: number;
}

/** The registers, and PSTATE.PAN. */
export interface ReferenceAArch64Registers {
  readonly tcr: bigint;
  readonly ttbr0: bigint;
  readonly ttbr1: bigint;
  readonly sctlr: bigint;
  readonly mair: bigint;
  readonly pan: boolean;
  readonly hcr: bigint;
  readonly vtcr: bigint;
  readonly vttbr: bigint;
}

/** The kinds of fault by name. */
export type ReferenceAArch64Status =
  | 'AddressSize'
  | 'Translation'
  | 'AccessFlag'
  | 'Permission'
  | 'ExternalAbort';

/** One stage, for addresses of one half. */
export interface ReferenceAArch64Stage {
  /** log2 of the granule. */
  readonly granuleBits: number;
  /** Width of input addresses. */
  readonly inputBits: number;
  /** The first level: -1 to 3. */
  readonly startLevel: number;
  /** Width of output addresses. */
  readonly outputBits: number;
  /** Where descriptors hold address bits above 47. */
  readonly descriptors: '48' | 'lpa' | 'lpa2';
  readonly root: bigint;
  /** Hardware sets AF. */
  readonly ha: boolean;
  /** Hardware keeps dirty state. */
  readonly hd: boolean;
  /** Shareability, when descriptors have no room for it. */
  readonly sh: number | null;
  /** A fault of level 0 for every address. */
  readonly fault: ReferenceAArch64Status | null;
}

/** Bits `high` to `low` of a value. */
export const field = (value: bigint, high: number, low: number): bigint =>
  (value >> BigInt(low)) % 2n ** BigInt(high - low + 1);

/** The same as a number. */
export const small = (value: bigint, high: number, low: number): number =>
  Number(field(value, high, low));

/** Whether a bit of a value is set. */
export const bit = (value: bigint, at: number): boolean => field(value, at, at) === 1n;

/**
 * DecodeTG0 and DecodeTG1: log2 of the granule. A reserved encoding is one of those that are implemented, of the
 * implementation's choice: 4 KiB.
 */
const TG0: readonly number[] = [12, 16, 14, 12];
const TG1: readonly number[] = [12, 14, 12, 16];

/** Physical address sizes by IPS, PS and PARange. 7 is reserved, and means the most there is. */
const SIZES: readonly number[] = [32, 36, 40, 42, 44, 48, 52, 52];

interface Parts {
  readonly granuleBits: number;
  readonly inputBits: number;
  readonly startLevel: number;
  readonly ds: boolean;
  readonly ps: number;
  readonly table: bigint;
  readonly bad: boolean;
  readonly ha: boolean;
  readonly hd: boolean;
  readonly sh: number | null;
}

/** What both stages have in common: output size, root table, hardware updates. */
function makeStage(parts: Parts, features: ReferenceAArch64Features): ReferenceAArch64Stage {
  const { bad, ds, granuleBits, inputBits, startLevel, table } = parts;
  const pages64 = granuleBits === 16;
  const lpa = pages64 && features.lpa && features.physicalBits === 52;
  const wide = ds || lpa;
  const outputBits = Math.min(SIZES[parts.ps]!, features.physicalBits, wide ? 52 : 48);
  // AArch64.S1TTBaseAddress: the table is aligned to its size; 52-bit addresses keep bits 51:48 in bits 5:2.
  const stride = granuleBits - 3;
  const rootBits = inputBits - granuleBits - stride * (3 - startLevel) + 3;
  const wideRoot = ds || (lpa && outputBits === 52);
  const address = wideRoot
    ? (field(table, 5, 2) << 48n) | (field(table, 47, 6) << 6n)
    : field(table, 47, 1) << 1n;
  const alignment = 2n ** BigInt(Math.max(rootBits, wideRoot ? 6 : 0, 0));
  const root = address - (address % alignment);
  const outside = root >> BigInt(outputBits) !== 0n;
  const ha = features.hafdbs !== 'none' && parts.ha;
  return {
    granuleBits,
    inputBits,
    startLevel,
    outputBits,
    descriptors: ds ? 'lpa2' : lpa ? 'lpa' : '48',
    root,
    ha,
    hd: ha && features.hafdbs === 'dirty' && parts.hd,
    sh: parts.sh,
    fault: bad ? 'Translation' : outside ? 'AddressSize' : null,
  };
}

/** AArch64.S1MaxTxSZ: the smallest address space. */
function smallest(granuleBits: number, features: ReferenceAArch64Features): number {
  return 64 - (features.ttst ? (granuleBits === 16 ? 47 : 48) : 39);
}

/** AArch64.GetS1TTWParamsEL10: stage 1 for addresses of a half. */
export function referenceStage1(
  registers: ReferenceAArch64Registers,
  features: ReferenceAArch64Features,
  upper: boolean,
): ReferenceAArch64Stage {
  const { tcr } = registers;
  const granuleBits = upper ? TG1[small(tcr, 31, 30)]! : TG0[small(tcr, 15, 14)]!;
  const inputBits = 64 - (upper ? small(tcr, 21, 16) : small(tcr, 5, 0));
  const ds = features.lpa2 && granuleBits !== 16 && bit(tcr, 59);
  // AArch64.S1MinTxSZ: the largest.
  const largest = ds || (granuleBits === 16 && features.lva) ? 52 : 48;
  const sized = inputBits <= largest && inputBits >= smallest(granuleBits, features);
  // AArch64.S1StartLevel: as many levels as the address needs.
  const stride = granuleBits - 3;
  const startLevel = 4 - Math.max(1, Math.ceil((inputBits - granuleBits) / stride));
  return makeStage(
    {
      granuleBits,
      inputBits,
      startLevel,
      ds,
      ps: small(tcr, 34, 32),
      table: upper ? registers.ttbr1 : registers.ttbr0,
      // TCR.EPDn disables walks.
      bad: !sized || bit(tcr, upper ? 23 : 7),
      ha: bit(tcr, 39),
      hd: bit(tcr, 40),
      sh: ds ? (upper ? small(tcr, 29, 28) : small(tcr, 13, 12)) : null,
    },
    features,
  );
}

/** VTCR_EL2.SL0 and SL2: AArch64.S2StartLevel, and `null` where AArch64.S2InvalidSL says so. */
function stage2StartLevel(
  vtcr: bigint,
  granuleBits: number,
  ds: boolean,
  features: ReferenceAArch64Features,
): number | null {
  const sl0 = small(vtcr, 7, 6);
  const { physicalBits } = features;
  if (granuleBits === 12) {
    if (ds && bit(vtcr, 33)) return sl0 === 0 && physicalBits === 52 ? -1 : null;
    if (sl0 === 2) return physicalBits < 44 ? null : 0;
    return sl0 === 3 ? (features.ttst ? 3 : null) : 2 - sl0;
  }
  if (granuleBits === 14) {
    if (sl0 === 3) return ds && physicalBits === 52 ? 0 : null;
    return sl0 === 2 && physicalBits < 42 ? null : 3 - sl0;
  }
  if (sl0 === 3) return null;
  return sl0 === 2 && physicalBits < 44 ? null : 3 - sl0;
}

/** AArch64.GetS2TTWParams. */
export function referenceStage2(
  registers: ReferenceAArch64Registers,
  features: ReferenceAArch64Features,
): ReferenceAArch64Stage {
  const { vtcr, vttbr } = registers;
  const granuleBits = TG0[small(vtcr, 15, 14)]!;
  const inputBits = 64 - small(vtcr, 5, 0);
  const ds = features.lpa2 && granuleBits !== 16 && bit(vtcr, 32);
  // AArch64.S2MinTxSZ: intermediate addresses are no wider than physical ones.
  const holds = ds || (granuleBits === 16 && features.lpa) ? 52 : 48;
  const largest = Math.min(holds, features.physicalBits);
  const sized = inputBits <= largest && inputBits >= smallest(granuleBits, features);
  const start = stage2StartLevel(vtcr, granuleBits, ds, features);
  // AArch64.S2InconsistentSL: the root has two entries at least, and is at most 16 tables.
  const stride = granuleBits - 3;
  const least = (3 - (start ?? 3)) * stride + granuleBits + 1;
  const most = least + (stride - 1) + 4;
  const consistent = start !== null && inputBits >= least && inputBits <= most;
  return makeStage(
    {
      granuleBits,
      inputBits,
      startLevel: start ?? 3,
      ds,
      ps: small(vtcr, 18, 16),
      table: vttbr,
      bad: !sized || !consistent,
      ha: bit(vtcr, 21),
      hd: bit(vtcr, 22),
      sh: ds ? small(vtcr, 13, 12) : null,
    },
    features,
  );
}
