/**
 * Why an access was refused, the same list for every architecture. The architecture's own encoding (error code,
 * cause, syndrome) stands beside it in every fault. The index in this list is the fault's numeric code: hot functions
 * return `-(1 + code)`.
 *
 * @public
 */
export const FAULT_REASONS = [
  /** An entry on the way says that nothing is mapped. */
  'not-present',
  /** An entry on the way has a bit or combination set that the architecture reserves. */
  'reserved-bits',
  /** The address is not one of the mode's virtual addresses. */
  'non-canonical',
  /** The entries allow no read. */
  'not-readable',
  /** The entries allow no write. */
  'not-writable',
  /** The entries allow no instruction fetch. */
  'not-executable',
  /** A user access to a supervisor page. */
  'supervisor-page',
  /** A supervisor access to a user page, which SMEP, SMAP or SUM=0 forbids. */
  'user-page',
  /** A protection key forbids the access. */
  'protection-key',
  /** The accessed bit is clear and hardware does not set it. */
  'accessed-clear',
  /** The dirty bit is clear and hardware does not set it. */
  'dirty-clear',
  /** A large leaf whose frame is not aligned to its size. */
  'misaligned-leaf',
  /** The last level's entry points at a further table. */
  'no-leaf',
  /** Physical memory protection (RISC-V PMP) forbids it. */
  'physical-protection',
  /** There is no memory at a physical address that the walk needs. */
  'bus-error',
  /** Other agents kept changing the entry while its accessed or dirty bit was to be set. */
  'contended',
  /** An entry or register gives a physical address wider than the machine's or the register's limit. */
  'address-size',
  /** A register switches walks of this part of the address space off, or off for user accesses. */
  'walk-disabled',
] as const;

/**
 * One of {@link FAULT_REASONS}.
 *
 * @public
 */
export type FaultReason = (typeof FAULT_REASONS)[number];

/**
 * The numeric code of a reason, as hot functions return it (`-(1 + code)`).
 *
 * @param reason - One of {@link FAULT_REASONS}.
 * @returns Its index.
 *
 * @example
 * ```ts
 * import { faultCode, faultReason } from 'pagewright/core';
 *
 * const result = -(1 + faultCode('not-writable')); // what a walk would return
 * faultReason(result); // => 'not-writable'
 * ```
 * @public
 */
export function faultCode(reason: FaultReason): number {
  return FAULT_REASONS.indexOf(reason);
}

/**
 * The reason behind a negative result.
 *
 * @param result - What a hot function returned.
 * @returns The reason, or `undefined` when `result` is no fault.
 * @public
 */
export function faultReason(result: number): FaultReason | undefined {
  return result < 0 ? FAULT_REASONS[-1 - result] : undefined;
}
