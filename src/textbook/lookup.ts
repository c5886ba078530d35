import type { Address } from '../core/index.js';

/**
 * Why a lookup finds no address.
 *
 * - `limit`: beyond the end of a segment, or of the address space.
 * - `not-present`: nothing is mapped there.
 * - `protection`: mapped, but not for this access.
 *
 * @public
 */
export type LookupFault = 'limit' | 'not-present' | 'protection';

/**
 * One step of a lookup, for those who draw it.
 *
 * @public
 */
export interface LookupStep {
  /** What was done, such as `compare with limit` or `read entry`. */
  readonly action: string;
  /** The number that was looked at: a limit, an entry's index, a frame. */
  readonly value: number;
  /** What came of it: whether the comparison held, whether the entry matched. */
  readonly passed: boolean;
  /** Whether the step read memory. */
  readonly reference: boolean;
}

/**
 * The answer of a lookup, as plain data.
 *
 * @public
 */
export type Lookup =
  | {
      /** The tag. */
      readonly kind: 'found';
      /** The physical address. */
      readonly pa: bigint;
      /** Memory references that the lookup made: what it costs. */
      readonly references: number;
      /** What was done, in order; the last step passed. */
      readonly steps: readonly LookupStep[];
    }
  | {
      /** The tag. */
      readonly kind: 'fault';
      /** Why. */
      readonly reason: LookupFault;
      /** Memory references that the lookup made. */
      readonly references: number;
      /** What was done, in order; the last step is the one that did not pass. */
      readonly steps: readonly LookupStep[];
    };

/**
 * Anything that turns virtual into physical addresses.
 *
 * @public
 */
export interface AddressLookup {
  /**
   * Looks an address up.
   *
   * @param va - The virtual address, in bytes; all 64-bit patterns are taken.
   * @param access - `Access` bits. @defaultValue a load by the supervisor
   * @returns The physical address or a fault, with the steps.
   * @throws `VmError` for an address of more than 64 bits, no address at all, or `access` that is none where rights are
   * asked.
   */
  lookup(va: Address, access?: number): Lookup;
}

/** Collects the steps of a lookup. */
export class LookupTrace {
  readonly steps: LookupStep[] = [];

  /** Notes a step that looks at a register; returns whether it passed. */
  check(action: string, value: number, passed: boolean): boolean {
    this.steps.push({ action, value, passed, reference: false });
    return passed;
  }

  /** Whether a page number is exact, that is below 2^53; notes that no table goes so far when it is not. */
  checkPage(page: number): boolean {
    if (Number.isSafeInteger(page)) return true;
    return this.check('compare with greatest page', Number.MAX_SAFE_INTEGER, false);
  }

  /** Notes a step that reads memory; returns whether it passed. */
  read(action: string, value: number, passed: boolean): boolean {
    this.steps.push({ action, value, passed, reference: true });
    return passed;
  }

  /** The answer when there is an address. */
  found(pa: bigint): Lookup {
    const { steps } = this;
    return { kind: 'found', pa, references: this.references, steps };
  }

  /** The answer when there is none. */
  fault(reason: LookupFault): Lookup {
    const { steps } = this;
    return { kind: 'fault', reason, references: this.references, steps };
  }

  private get references(): number {
    return this.steps.filter(({ reference }) => reference).length;
  }
}
