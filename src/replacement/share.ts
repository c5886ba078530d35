import { VmError } from '../core/index.js';

/** Checks an option that says how many slots in terms of all slots, and returns it. */
export function checkShare(argument: string, value: number, high: number): number {
  if (typeof value !== 'number' || Number.isNaN(value)) {
    throw new VmError('bad-argument', { argument, value, expected: 'a number' });
  }
  if (value >= 0 && value <= high) return value;
  throw new VmError('out-of-range', { argument, value, expected: `a number from 0 to ${high}` });
}

/** Far more than a product is off by, and far less than two shares of slots can differ by. */
const ROUNDING = 1e-6;

/** The whole slots in a share. 0.29 of 100 are 29, whatever the product says. */
export function wholeSlots(share: number, slots: number): number {
  return Math.floor(share * slots + ROUNDING);
}

/** The fewest slots that are no less than a share. */
export function slotsForShare(share: number, slots: number): number {
  return Math.ceil(share * slots - ROUNDING);
}
