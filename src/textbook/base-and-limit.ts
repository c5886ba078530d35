import {
  type Address,
  checkBits,
  checkInteger,
  checkOptions,
  type OptionNames,
} from '../core/index.js';
import { type AddressLookup, type Lookup, LookupTrace } from './lookup.js';

/**
 * What a {@link BaseAndLimit} is made from.
 *
 * @public
 */
export interface BaseAndLimitOptions {
  /** Where the address space begins in physical memory, in bytes: 0 to 2^53 - 1. */
  readonly base: number;
  /** How many bytes it has: 0 to 2^53 - 1. */
  readonly limit: number;
}

const OPTIONS: OptionNames<BaseAndLimitOptions> = { base: true, limit: true };

/**
 * Dynamic relocation: an address below the limit lies that far behind the base (OSTEP, chapter "Mechanism: Address
 * Translation"). Two registers, no memory reference.
 *
 * @example
 * ```ts
 * import { BaseAndLimit } from 'pagewright/textbook';
 *
 * const registers = new BaseAndLimit({ base: 12418, limit: 472 });
 * const hit = registers.lookup(430);
 * hit.kind === 'found' && hit.pa; // => 12848n
 * registers.lookup(472).kind; // => 'fault'
 * ```
 * @public
 */
export class BaseAndLimit implements AddressLookup {
  /** Where the address space begins. */
  readonly base: number;
  /** How many bytes it has. */
  readonly limit: number;

  /**
   * @param options - The two registers.
   * @throws `VmError` for registers out of range, or no options.
   */
  constructor(options: BaseAndLimitOptions) {
    checkOptions('', options, OPTIONS);
    this.base = checkInteger('base', options.base, 0, Number.MAX_SAFE_INTEGER);
    this.limit = checkInteger('limit', options.limit, 0, Number.MAX_SAFE_INTEGER);
  }

  lookup(va: Address): Lookup {
    const pattern = checkBits('va', va);
    const { base, limit } = this;
    const trace = new LookupTrace();
    if (!trace.check('compare with limit', limit, pattern < BigInt(limit))) {
      return trace.fault('limit');
    }
    trace.check('add base', base, true);
    return trace.found(BigInt(base) + pattern);
  }
}
