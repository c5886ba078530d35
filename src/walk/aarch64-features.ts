import { VmError } from '../core/index.js';

/**
 * What a CPU has. Every bit of a feature that is not there behaves as reserved: it is ignored.
 *
 * @public
 */
export interface AArch64Features {
  /**
   * FEAT_LPA: 52-bit physical addresses with 64 KiB granules. Without it, or with fewer than 52 physical bits, bits 15:12
   * of descriptors are ignored: the manual leaves it to the implementation whether they are address bits then, which
   * would have to be 0. @defaultValue true
   */
  readonly lpa: boolean;
  /** FEAT_LVA: 52-bit virtual addresses with 64 KiB granules. @defaultValue true */
  readonly lva: boolean;
  /** FEAT_LPA2: TCR.DS, 52-bit addresses with 4 and 16 KiB granules. @defaultValue true */
  readonly lpa2: boolean;
  /** FEAT_HAFDBS: whether hardware may set the access flag, or also keep dirty state. @defaultValue 'dirty' */
  readonly hafdbs: 'none' | 'access-flag' | 'dirty';
  /** FEAT_PAN3: SCTLR.EPAN. @defaultValue true */
  readonly pan3: boolean;
  /** FEAT_E0PD: TCR.E0PDn. @defaultValue true */
  readonly e0pd: boolean;
  /** FEAT_TTST: small address spaces, TnSZ up to 48 (47 with 64 KiB) instead of 39. @defaultValue true */
  readonly ttst: boolean;
  /** FEAT_HPDS: TCR.HPDn. @defaultValue true */
  readonly hpds: boolean;
  /** Bits of a physical address, ID_AA64MMFR0_EL1.PARange. @defaultValue 52 */
  readonly physicalBits: 32 | 36 | 40 | 42 | 44 | 48 | 52;
}

const FLAGS = ['lpa', 'lva', 'lpa2', 'pan3', 'e0pd', 'ttst', 'hpds'] as const;
const HAFDBS: readonly unknown[] = ['none', 'access-flag', 'dirty'];
const PHYSICAL_BITS: readonly unknown[] = [32, 36, 40, 42, 44, 48, 52];
const NAMES: readonly string[] = [...FLAGS, 'hafdbs', 'physicalBits'];

/**
 * What a CPU has: what the caller says, and everything else.
 *
 * @param given - Features by name; one that is `undefined` is as if it were not named.
 * @returns All of them, frozen.
 * @throws `VmError` `bad-argument` for what is no feature or no value of one.
 *
 * @internal
 */
export function aarch64Features(given: Partial<AArch64Features>): AArch64Features {
  if (typeof given !== 'object' || given === null) {
    throw unfit('features', given, 'an object of features by name');
  }
  for (const name of Object.keys(given)) {
    if (!NAMES.includes(name)) throw unfit('features', name, `one of ${NAMES.join(' ')}`);
  }
  const { lpa = true, lva = true, lpa2 = true, hafdbs = 'dirty', pan3 = true } = given;
  const { e0pd = true, ttst = true, hpds = true, physicalBits = 52 } = given;
  const features = { lpa, lva, lpa2, hafdbs, pan3, e0pd, ttst, hpds, physicalBits };
  for (const name of FLAGS) {
    if (typeof features[name] !== 'boolean') throw unfit(name, features[name], 'a boolean');
  }
  if (!HAFDBS.includes(hafdbs)) throw unfit('hafdbs', hafdbs, HAFDBS.join(', '));
  if (!PHYSICAL_BITS.includes(physicalBits)) {
    throw unfit('physicalBits', physicalBits, `one of ${PHYSICAL_BITS.join(', ')}`);
  }
  return Object.freeze(features);
}

/** A value that is not what it should be. @internal */
export function unfit(argument: string, value: unknown, expected: string): VmError {
  return new VmError('bad-argument', { argument, value, expected });
}

/**
 * The names of registers that a caller writes must be those that there are.
 *
 * @param argument - The name to report.
 * @param values - What the caller passed.
 * @param names - The registers.
 * @throws `VmError` `bad-argument` for no object, or another name.
 *
 * @internal
 */
export function checkRegisterNames(values: object, names: readonly string[]): void {
  if (typeof values !== 'object' || values === null) {
    throw unfit('registers', values, 'an object of registers by name');
  }
  for (const name of Object.keys(values)) {
    if (!names.includes(name)) throw unfit('registers', name, `one of ${names.join(' ')}`);
  }
}
