import { hcrRegister } from '../pte/index.js';
import { fieldsOf } from './aarch64-half.js';

/** What HCR_EL2 says about translation in the EL1&0 regime. @internal */
export interface AArch64HypervisorControls {
  /** VM, or DC, which makes VM behave as 1: stage 2 translates. */
  readonly stage2: boolean;
  /** DC or TGE, either of which makes SCTLR_EL1.M behave as 0: stage 1 does not translate. */
  readonly noStage1: boolean;
  /** DC: the output of stage 1, which is off, is write-back memory. */
  readonly defaultCacheable: boolean;
  /** PTW: stage 1 tables may not lie in Device memory. */
  readonly protectsTables: boolean;
  /** FWB: memory types are stage 2's to decide. */
  readonly forced: boolean;
  /** CD: stage 2 makes Normal memory Non-cacheable for data. */
  readonly uncachedData: boolean;
  /** ID: the same for fetches. */
  readonly uncachedFetches: boolean;
  /** TGE: what EL0 would take to EL1 goes to EL2. */
  readonly takesAll: boolean;
  /** TEA: so do external aborts of both. */
  readonly takesExternalAborts: boolean;
}

/** Takes HCR_EL2 apart. @internal */
export function hypervisorControls(hcr: bigint): AArch64HypervisorControls {
  const fields = fieldsOf(hcrRegister, hcr);
  const flag = (name: string): boolean => fields(name) === 1;
  return {
    stage2: flag('VM') || flag('DC'),
    noStage1: flag('DC') || flag('TGE'),
    defaultCacheable: flag('DC'),
    protectsTables: flag('PTW'),
    forced: flag('FWB'),
    uncachedData: flag('CD'),
    uncachedFetches: flag('ID'),
    takesAll: flag('TGE'),
    takesExternalAborts: flag('TEA'),
  };
}
