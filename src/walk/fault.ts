import { addressOf, type FaultReason } from '../core/index.js';
import type { WalkRule } from './rule.js';

/**
 * The last fault, in fields: what a trap handler needs without an object being made.
 *
 * @public
 */
export class WalkFault {
  /** The rule that refused the access. */
  rule: WalkRule;
  /** The level of the entry that decided, or of the root when none was read. */
  level = 0;
  /** The page number of the access. */
  vpn = 0;
  /** The byte offset of the access in its page. */
  offset = 0;
  /** The access, as `Access` bits. */
  access = 0;

  /** @param initial - The rule that stands here before any fault. */
  constructor(initial: WalkRule) {
    this.rule = initial;
  }

  /** Why, from the list that all architectures share. */
  get reason(): FaultReason {
    return this.rule.reason ?? 'not-present';
  }

  /** The faulting virtual address: CR2 of a page fault, RISC-V tval. */
  get va(): bigint {
    return addressOf(this.vpn, this.offset);
  }
}
