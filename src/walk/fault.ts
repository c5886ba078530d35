import { addressFromVpn, type FaultReason } from '../core/index.js';
import type { WalkRule } from './rule.js';
import type { SecondStagePurpose } from './second-stage.js';

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
  /** log2 of the page in which `vpn` and `guestPfn` count, in bytes. */
  pageShift = 12;
  /** The stage that refused: 2 when the second stage of a nested walk did. `level` and `rule` are that stage's. */
  stage: 1 | 2 = 1;
  /** What the second stage was asked for when it refused; like `guestPfn` of no meaning while `stage` is 1. */
  purpose: SecondStagePurpose = 'access';
  /** The page number of the guest-physical address that the second stage refused. */
  guestPfn = 0;
  /** The byte of that address in its page. */
  guestOffset = 0;

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
    return addressFromVpn(this.vpn, this.offset, this.pageShift);
  }

  /** The guest-physical address that the second stage refused; of no meaning while `stage` is 1. */
  get gpa(): bigint {
    return addressFromVpn(this.guestPfn, this.guestOffset, this.pageShift);
  }
}
