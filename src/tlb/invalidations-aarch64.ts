import { checkInteger } from '../core/index.js';
import type { FlushedCaches, FlushScope } from './flush-scope.js';
import { checked, firstStage, type InvalidationRule, secondStage } from './invalidation-rule.js';

import {
  type AArch64El2Page,
  type AArch64El2Range,
  type AArch64El3Page,
  type AArch64GuestPage,
  type AArch64GuestRange,
  type AArch64Page,
  type AArch64PageOfAll,
  type AArch64Range,
  type AArch64RangeOfAll,
  type AArch64RangeOfOne,
  AArch64Regime,
  type AArch64Vm,
} from './operands-aarch64.js';

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
  return checked(
    {
      instruction: `TLBI ${name}, Xt`,
      source: TLBI,
      effect,
      scopes: ({ asid, vpn, ...vm }) => stage1(vm, { asid, vpn, caches }),
    },
    'vpn',
    'asid',
    'vmid',
    'host',
  );
}

function byPageOfAll(
  name: string,
  caches: FlushedCaches,
  effect: string,
): InvalidationRule<AArch64PageOfAll> {
  return checked(
    {
      instruction: `TLBI ${name}, Xt`,
      source: TLBI,
      effect,
      scopes: ({ vpn, ...vm }) => stage1(vm, { vpn, caches }),
    },
    'vpn',
    'vmid',
    'host',
  );
}

function byRange(
  name: string,
  caches: FlushedCaches,
  effect: string,
): InvalidationRule<AArch64RangeOfOne> {
  return checked(
    {
      instruction: `TLBI ${name}, Xt`,
      source: RANGE,
      effect,
      scopes: ({ asid, host, vmid, ...range }) =>
        stage1(placeOf(host, vmid), { asid, ...pagesOf(range), caches }),
    },
    'asid',
    'vpn',
    'scale',
    'num',
    'vmid',
    'host',
  );
}

function byRangeOfAll(
  name: string,
  caches: FlushedCaches,
  effect: string,
): InvalidationRule<AArch64RangeOfAll> {
  return checked(
    {
      instruction: `TLBI ${name}, Xt`,
      source: RANGE,
      effect,
      scopes: ({ host, vmid, ...range }) =>
        stage1(placeOf(host, vmid), { ...pagesOf(range), caches }),
    },
    'vpn',
    'scale',
    'num',
    'vmid',
    'host',
  );
}

/** Second-stage entries of guest frames: EL2&0 has no second stage, so that HCR_EL2.{E2H, TGE} do not matter. */
function stage2(
  vmid: number,
  structures: FlushedCaches['structures'],
  frames: Pick<FlushScope, 'pages' | 'vpn'>,
): readonly FlushScope[] {
  const caches = secondStage(structures);
  return [{ root: AArch64Regime.EL10, vmid, globals: true, ...frames, caches }];
}

function byGuestPage(
  name: string,
  structures: FlushedCaches['structures'],
): InvalidationRule<AArch64GuestPage> {
  return checked(
    {
      instruction: `TLBI ${name}, Xt`,
      source: TLBI,
      effect:
        'second-stage translations of the address alone; what was combined from them stays until a stage 1 TLBI drops it',
      scopes: ({ ipn, vmid = 0 }) => stage2(vmid, structures, { vpn: ipn }),
    },
    'ipn',
    'vmid',
  );
}

function byGuestRange(
  name: string,
  structures: FlushedCaches['structures'],
  effect: string,
): InvalidationRule<AArch64GuestRange> {
  return checked(
    {
      instruction: `TLBI ${name}, Xt`,
      source: RANGE,
      effect,
      scopes: ({ vmid = 0, ...range }) => stage2(vmid, structures, pagesOf(range)),
    },
    'vpn',
    'scale',
    'num',
    'vmid',
  );
}

/** All of a regime that has no virtual machines. */
function wholeRegime(root: number): readonly FlushScope[] {
  return [{ root, globals: true, caches: firstStage('all') }];
}

/** What goes of EL2's regime, or of EL2&0, which has ASIDs. */
function el2(
  asid: number | undefined,
  pages: Pick<FlushScope, 'pages' | 'vpn'>,
  caches: FlushedCaches,
): readonly FlushScope[] {
  const place =
    asid === undefined ? { root: AArch64Regime.EL2 } : { root: AArch64Regime.EL20, asid };
  return [{ ...place, globals: true, ...pages, caches }];
}

function byEl2Page(name: string, caches: FlushedCaches): InvalidationRule<AArch64El2Page> {
  return checked(
    {
      instruction: `TLBI ${name}, Xt`,
      source: TLBI,
      effect: "the page in EL2's regime; with HCR_EL2.E2H in the ASID of EL2&0, or global",
      scopes: ({ asid, vpn }) => el2(asid, { vpn }, caches),
    },
    'vpn',
    'asid',
  );
}

function byEl2Range(
  name: string,
  caches: FlushedCaches,
  effect: string,
): InvalidationRule<AArch64El2Range> {
  return checked(
    {
      instruction: `TLBI ${name}, Xt`,
      source: RANGE,
      effect,
      scopes: ({ asid, ...range }) => el2(asid, pagesOf(range), caches),
    },
    'vpn',
    'scale',
    'num',
    'asid',
  );
}

/** EL3's regime has one address space. */
function byEl3Page(name: string, caches: FlushedCaches): InvalidationRule<AArch64El3Page> {
  return checked(
    {
      instruction: `TLBI ${name}, Xt`,
      source: TLBI,
      effect: "the page in EL3's regime",
      scopes: ({ vpn }) => [{ root: AArch64Regime.EL3, globals: true, vpn, caches }],
    },
    'vpn',
  );
}

function byEl3Range(
  name: string,
  caches: FlushedCaches,
  effect: string,
): InvalidationRule<AArch64Range> {
  return checked(
    {
      instruction: `TLBI ${name}, Xt`,
      source: RANGE,
      effect,
      scopes: (range) => [{ root: AArch64Regime.EL3, globals: true, ...pagesOf(range), caches }],
    },
    'vpn',
    'scale',
    'num',
  );
}

/**
 * What AArch64's TLB maintenance instructions invalidate, on the PE that executes them; those with IS or OS do the same on
 * every PE of the domain, those with nXS wait for less, and a TLBIP does what its TLBI does. PAALL and RPAOS are about
 * granule protection, and VMALLWS2E1 about dirty state: these caches have neither.
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
  readonly vmalls12e1: InvalidationRule<Pick<AArch64Vm, 'vmid'>>;
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
  readonly ripas2e1: InvalidationRule<AArch64GuestRange>;
  /** By intermediate physical address, a range, last level. */
  readonly ripas2le1: InvalidationRule<AArch64GuestRange>;
  /** By address, in EL2's regime. */
  readonly vae2: InvalidationRule<AArch64El2Page>;
  /** By address, in EL2's regime, last level. */
  readonly vale2: InvalidationRule<AArch64El2Page>;
  /** By address, in EL2's regime, a range. */
  readonly rvae2: InvalidationRule<AArch64El2Range>;
  /** By address, in EL2's regime, a range, last level. */
  readonly rvale2: InvalidationRule<AArch64El2Range>;
  /** All of EL2's regime. */
  readonly alle2: InvalidationRule<{
    /** HCR_EL2.E2H: the regime is EL2&0. @defaultValue false */
    readonly e2h?: boolean;
  }>;
  /** By address, in EL3's regime. */
  readonly vae3: InvalidationRule<AArch64El3Page>;
  /** By address, in EL3's regime, last level. */
  readonly vale3: InvalidationRule<AArch64El3Page>;
  /** By address, in EL3's regime, a range. */
  readonly rvae3: InvalidationRule<AArch64Range>;
  /** By address, in EL3's regime, a range, last level. */
  readonly rvale3: InvalidationRule<AArch64Range>;
  /** All of EL3's regime. */
  readonly alle3: InvalidationRule<unknown>;
} = {
  vae1: byPage('VAE1', ANY_LEVEL, 'the page in the ASID, or global, and the entries above it'),
  vale1: byPage('VALE1', LAST_LEVEL, 'the page in the ASID, or global; last-level entries only'),
  vaae1: byPageOfAll('VAAE1', ANY_LEVEL, 'the page in every ASID, and the entries above it'),
  vaale1: byPageOfAll('VAALE1', LAST_LEVEL, 'the page in every ASID; last-level entries only'),
  aside1: checked(
    {
      instruction: 'TLBI ASIDE1, Xt',
      source: TLBI,
      effect: 'everything of the ASID, except global entries',
      scopes: ({ asid, ...vm }) => stage1(vm, { asid, caches: firstStage('all') }, false),
    },
    'asid',
    'vmid',
    'host',
  ),
  vmalle1: checked(
    {
      instruction: 'TLBI VMALLE1',
      source: TLBI,
      effect: 'all of stage 1 in the current VMID, with what was combined from both stages',
      scopes: (vm) => stage1(vm, { caches: firstStage('all') }),
    },
    'vmid',
    'host',
  ),
  vmalls12e1: checked(
    {
      instruction: 'TLBI VMALLS12E1',
      source: TLBI,
      effect: 'all of both stages in the current VMID',
      // Of EL1&0 even where VMALLE1 would be about EL2&0 (C5.5.80: its pseudocode names no other regime).
      scopes: ({ vmid = 0 }) => [
        ...stage1({ vmid }, { caches: firstStage('all') }),
        ...stage2(vmid, 'all', {}),
      ],
    },
    'vmid',
  ),
  alle1: checked({
    instruction: 'TLBI ALLE1',
    source: TLBI,
    effect: 'all of both stages of the EL1&0 regime, in every VMID',
    scopes: () => [
      { root: AArch64Regime.EL10, globals: true, caches: firstStage('all') },
      { root: AArch64Regime.EL10, globals: true, caches: secondStage('all') },
    ],
  }),
  rvae1: byRange('RVAE1', ANY_LEVEL, 'as VAE1, for a range'),
  rvale1: byRange('RVALE1', LAST_LEVEL, 'as VALE1, for a range'),
  rvaae1: byRangeOfAll('RVAAE1', ANY_LEVEL, 'as VAAE1, for a range'),
  rvaale1: byRangeOfAll('RVAALE1', LAST_LEVEL, 'as VAALE1, for a range'),
  ipas2e1: byGuestPage('IPAS2E1', 'pages'),
  ipas2le1: byGuestPage('IPAS2LE1', 'none'),
  ripas2e1: byGuestRange('RIPAS2E1', 'pages', 'as IPAS2E1, for a range'),
  ripas2le1: byGuestRange('RIPAS2LE1', 'none', 'as IPAS2LE1, for a range'),
  vae2: byEl2Page('VAE2', ANY_LEVEL),
  vale2: byEl2Page('VALE2', LAST_LEVEL),
  rvae2: byEl2Range('RVAE2', ANY_LEVEL, 'as VAE2, for a range'),
  rvale2: byEl2Range('RVALE2', LAST_LEVEL, 'as VALE2, for a range'),
  alle2: checked(
    {
      instruction: 'TLBI ALLE2',
      source: TLBI,
      effect: "all of EL2's regime, with HCR_EL2.E2H of EL2&0",
      scopes: ({ e2h = false }) => wholeRegime(e2h ? AArch64Regime.EL20 : AArch64Regime.EL2),
    },
    'e2h',
  ),
  vae3: byEl3Page('VAE3', ANY_LEVEL),
  vale3: byEl3Page('VALE3', LAST_LEVEL),
  rvae3: byEl3Range('RVAE3', ANY_LEVEL, 'as VAE3, for a range'),
  rvale3: byEl3Range('RVALE3', LAST_LEVEL, 'as VALE3, for a range'),
  alle3: checked({
    instruction: 'TLBI ALLE3',
    source: TLBI,
    effect: "all of EL3's regime",
    scopes: () => wholeRegime(AArch64Regime.EL3),
  }),
};
