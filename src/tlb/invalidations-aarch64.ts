import { checkInteger } from '../core/index.js';
import type { FlushedCaches, FlushScope } from './flush-scope.js';
import { firstStage, type InvalidationRule, secondStage } from './invalidation-rule.js';

/**
 * The `root` of a context: the translation regime.
 *
 * @public
 */
export const AArch64Regime = {
  /** EL1&0, with or without a second stage. */
  EL10: 0,
  /** EL2. */
  EL2: 1,
  /** EL2&0: EL2 with HCR_EL2.E2H. */
  EL20: 2,
  /** EL3. */
  EL3: 3,
} as const;

/**
 * A page of an address space of the EL1&0 regime.
 *
 * @public
 */
export interface AArch64Page extends AArch64Vm {
  /** The page number, in granules. */
  readonly vpn: number;
  /** The ASID of the operand. */
  readonly asid: number;
}

/**
 * The virtual machine.
 *
 * @public
 */
export interface AArch64Vm {
  /** VTTBR_EL2.VMID; 0 while EL2 is off. @defaultValue 0 */
  readonly vmid?: number;
  /** HCR_EL2.E2H and TGE are both set: the instruction is about EL2&0, which has no VMIDs. @defaultValue false */
  readonly host?: boolean;
}

/**
 * The range of a TLBI by range: from its base, (NUM + 1) x 2^(5 x SCALE + 1) granules.
 *
 * @public
 */
export interface AArch64Range {
  /** BaseADDR: the first page, in granules. */
  readonly vpn: number;
  /** SCALE, 0 to 3. */
  readonly scale: number;
  /** NUM, 0 to 31. */
  readonly num: number;
}

/**
 * A page of every address space of the EL1&0 regime.
 *
 * @public
 */
export interface AArch64PageOfAll extends AArch64Vm {
  /** The page number, in granules. */
  readonly vpn: number;
}

/**
 * A range of an address space of the EL1&0 regime.
 *
 * @public
 */
export interface AArch64RangeOfOne extends AArch64Range, AArch64Vm {
  /** The ASID of the operand. */
  readonly asid: number;
}

/**
 * A range of every address space of the EL1&0 regime; for RIPAS2E1, of guest frames.
 *
 * @public
 */
export interface AArch64RangeOfAll extends AArch64Range, AArch64Vm {}

/**
 * A guest frame.
 *
 * @public
 */
export interface AArch64GuestPage {
  /** VTTBR_EL2.VMID. @defaultValue 0 */
  readonly vmid?: number;
  /** The guest frame number: the intermediate physical address, in granules. */
  readonly ipn: number;
}

/**
 * A page of EL2's or EL3's own regime.
 *
 * @public
 */
export interface AArch64RegimePage {
  /** The page number, in granules. */
  readonly vpn: number;
  /** With HCR_EL2.E2H, of VAE2 and VALE2: the ASID in EL2&0. */
  readonly asid?: number;
}

const ARM = 'Arm ARM (DDI 0487), chapter D8';
const TLBI = `${ARM}, TLB maintenance instructions`;
const RANGE = `${ARM}, TLB range maintenance instructions`;

/** What goes of the EL1&0 regime in a virtual machine, or of EL2&0. */
function stage1(
  { host = false, vmid = 0 }: AArch64Vm,
  rest: Omit<FlushScope, 'globals' | 'root' | 'vmid'>,
  globals = true,
): readonly FlushScope[] {
  const place = host ? { root: AArch64Regime.EL20 } : { root: AArch64Regime.EL10, vmid };
  return [{ ...place, globals, ...rest }];
}

function placeOf(host = false, vmid = 0): AArch64Vm {
  return { host, vmid };
}

function pagesOf({ num, scale, vpn }: AArch64Range): { vpn: number; pages: number } {
  checkInteger('num', num, 0, 31);
  checkInteger('scale', scale, 0, 3);
  return { vpn, pages: (num + 1) * 2 ** (5 * scale + 1) };
}

const ANY_LEVEL: FlushedCaches = firstStage('pages');
const LAST_LEVEL: FlushedCaches = firstStage('none');

function byPage(
  name: string,
  caches: FlushedCaches,
  effect: string,
): InvalidationRule<AArch64Page> {
  return {
    instruction: `TLBI ${name}, Xt`,
    source: TLBI,
    effect,
    scopes: ({ asid, vpn, ...vm }) => stage1(vm, { asid, vpn, caches }),
  };
}

function byPageOfAll(
  name: string,
  caches: FlushedCaches,
  effect: string,
): InvalidationRule<AArch64PageOfAll> {
  return {
    instruction: `TLBI ${name}, Xt`,
    source: TLBI,
    effect,
    scopes: ({ vpn, ...vm }) => stage1(vm, { vpn, caches }),
  };
}

function byRange(
  name: string,
  caches: FlushedCaches,
  effect: string,
): InvalidationRule<AArch64RangeOfOne> {
  return {
    instruction: `TLBI ${name}, Xt`,
    source: RANGE,
    effect,
    scopes: ({ asid, host, vmid, ...range }) =>
      stage1(placeOf(host, vmid), { asid, ...pagesOf(range), caches }),
  };
}

function byRangeOfAll(
  name: string,
  caches: FlushedCaches,
  effect: string,
): InvalidationRule<AArch64RangeOfAll> {
  return {
    instruction: `TLBI ${name}, Xt`,
    source: RANGE,
    effect,
    scopes: ({ host, vmid, ...range }) =>
      stage1(placeOf(host, vmid), { ...pagesOf(range), caches }),
  };
}

function byGuestPage(
  name: string,
  structures: FlushedCaches['structures'],
): InvalidationRule<AArch64GuestPage> {
  return {
    instruction: `TLBI ${name}, Xt`,
    source: TLBI,
    effect:
      'second-stage translations of the address alone; what was combined from them stays until a stage 1 TLBI drops it',
    scopes: ({ ipn, vmid = 0 }) => [
      { root: AArch64Regime.EL10, vmid, globals: true, vpn: ipn, caches: secondStage(structures) },
    ],
  };
}

/** All of a regime that has no virtual machines. */
function wholeRegime(root: number): readonly FlushScope[] {
  return [{ root, globals: true, caches: firstStage('all') }];
}

/** A page of EL3, whose regime has one address space, or of EL2, which has several with HCR_EL2.E2H. */
function ofRegime(
  name: string,
  root: number,
  caches: FlushedCaches,
): InvalidationRule<AArch64RegimePage> {
  return {
    instruction: `TLBI ${name}, Xt`,
    source: TLBI,
    effect:
      "the page in the exception level's own regime; in the ASID, or global, where there are ASIDs",
    scopes: ({ asid, vpn }) => [
      asid === undefined
        ? { root, globals: true, vpn, caches }
        : { root: AArch64Regime.EL20, asid, globals: true, vpn, caches },
    ],
  };
}

/**
 * What AArch64's TLB maintenance instructions invalidate, on the PE that executes them; those with IS or OS do the same on
 * every PE of the domain, and those with nXS wait for less.
 *
 * @example
 * ```ts
 * import { aarch64Invalidations } from 'pagewright/tlb';
 *
 * const { rvae1 } = aarch64Invalidations;
 * rvae1.scopes({ vpn: 0x1000, asid: 5, scale: 1, num: 3 })[0]?.pages; // => 256
 * ```
 * @public
 */
export const aarch64Invalidations: {
  /** By address and ASID. */
  readonly vae1: InvalidationRule<AArch64Page>;
  /** By address and ASID, last level. */
  readonly vale1: InvalidationRule<AArch64Page>;
  /** By address, all ASIDs. */
  readonly vaae1: InvalidationRule<AArch64PageOfAll>;
  /** By address, all ASIDs, last level. */
  readonly vaale1: InvalidationRule<AArch64PageOfAll>;
  /** By ASID. */
  readonly aside1: InvalidationRule<Omit<AArch64Page, 'vpn'>>;
  /** All of stage 1, in the current VMID. */
  readonly vmalle1: InvalidationRule<AArch64Vm>;
  /** Both stages, in the current VMID. */
  readonly vmalls12e1: InvalidationRule<AArch64Vm>;
  /** Both stages, every VMID. */
  readonly alle1: InvalidationRule<unknown>;
  /** By address and ASID, a range. */
  readonly rvae1: InvalidationRule<AArch64RangeOfOne>;
  /** By address and ASID, a range, last level. */
  readonly rvale1: InvalidationRule<AArch64RangeOfOne>;
  /** By address, all ASIDs, a range. */
  readonly rvaae1: InvalidationRule<AArch64RangeOfAll>;
  /** By address, all ASIDs, a range, last level. */
  readonly rvaale1: InvalidationRule<AArch64RangeOfAll>;
  /** By intermediate physical address. */
  readonly ipas2e1: InvalidationRule<AArch64GuestPage>;
  /** By intermediate physical address, last level. */
  readonly ipas2le1: InvalidationRule<AArch64GuestPage>;
  /** By intermediate physical address, a range. */
  readonly ripas2e1: InvalidationRule<AArch64RangeOfAll>;
  /** By address, in EL2's regime. */
  readonly vae2: InvalidationRule<AArch64RegimePage>;
  /** By address, in EL2's regime, last level. */
  readonly vale2: InvalidationRule<AArch64RegimePage>;
  /** All of EL2's regime. */
  readonly alle2: InvalidationRule<{
    /** HCR_EL2.E2H: the regime is EL2&0. @defaultValue false */
    readonly e2h?: boolean;
  }>;
  /** By address, in EL3's regime. */
  readonly vae3: InvalidationRule<AArch64RegimePage>;
  /** By address, in EL3's regime, last level. */
  readonly vale3: InvalidationRule<AArch64RegimePage>;
  /** All of EL3's regime. */
  readonly alle3: InvalidationRule<unknown>;
} = {
  vae1: byPage('VAE1', ANY_LEVEL, 'the page in the ASID, or global, and the entries above it'),
  vale1: byPage('VALE1', LAST_LEVEL, 'the page in the ASID, or global; last-level entries only'),
  vaae1: byPageOfAll('VAAE1', ANY_LEVEL, 'the page in every ASID, and the entries above it'),
  vaale1: byPageOfAll('VAALE1', LAST_LEVEL, 'the page in every ASID; last-level entries only'),
  aside1: {
    instruction: 'TLBI ASIDE1, Xt',
    source: TLBI,
    effect: 'everything of the ASID, except global entries',
    scopes: ({ asid, ...vm }) => stage1(vm, { asid, caches: firstStage('all') }, false),
  },
  vmalle1: {
    instruction: 'TLBI VMALLE1',
    source: TLBI,
    effect: 'all of stage 1 in the current VMID, with what was combined from both stages',
    scopes: (vm) => stage1(vm, { caches: firstStage('all') }),
  },
  vmalls12e1: {
    instruction: 'TLBI VMALLS12E1',
    source: TLBI,
    effect: 'all of both stages in the current VMID',
    scopes: ({ vmid = 0 }) => [
      ...stage1({ vmid }, { caches: firstStage('all') }),
      ...stage1({ vmid }, { caches: secondStage('all') }),
    ],
  },
  alle1: {
    instruction: 'TLBI ALLE1',
    source: TLBI,
    effect: 'all of both stages of the EL1&0 regime, in every VMID',
    scopes: () => [
      { root: AArch64Regime.EL10, globals: true, caches: firstStage('all') },
      { root: AArch64Regime.EL10, globals: true, caches: secondStage('all') },
    ],
  },
  rvae1: byRange('RVAE1', ANY_LEVEL, 'as VAE1, for a range'),
  rvale1: byRange('RVALE1', LAST_LEVEL, 'as VALE1, for a range'),
  rvaae1: byRangeOfAll('RVAAE1', ANY_LEVEL, 'as VAAE1, for a range'),
  rvaale1: byRangeOfAll('RVAALE1', LAST_LEVEL, 'as VAALE1, for a range'),
  ipas2e1: byGuestPage('IPAS2E1', 'pages'),
  ipas2le1: byGuestPage('IPAS2LE1', 'none'),
  ripas2e1: {
    instruction: 'TLBI RIPAS2E1, Xt',
    source: RANGE,
    effect: 'as IPAS2E1, for a range',
    scopes: ({ vmid = 0, ...range }) =>
      stage1({ vmid }, { ...pagesOf(range), caches: secondStage('pages') }),
  },
  vae2: ofRegime('VAE2', AArch64Regime.EL2, ANY_LEVEL),
  vale2: ofRegime('VALE2', AArch64Regime.EL2, LAST_LEVEL),
  alle2: {
    instruction: 'TLBI ALLE2',
    source: TLBI,
    effect: "all of EL2's regime, with HCR_EL2.E2H of EL2&0",
    scopes: ({ e2h = false }) => wholeRegime(e2h ? AArch64Regime.EL20 : AArch64Regime.EL2),
  },
  vae3: ofRegime('VAE3', AArch64Regime.EL3, ANY_LEVEL),
  vale3: ofRegime('VALE3', AArch64Regime.EL3, LAST_LEVEL),
  alle3: {
    instruction: 'TLBI ALLE3',
    source: TLBI,
    effect: "all of EL3's regime",
    scopes: () => wholeRegime(AArch64Regime.EL3),
  },
};
