import { VmError, type VmErrorCode } from 'pagewright/core';
import { expect } from 'vitest';

/** Runs something that must throw a VmError, and returns it. */
export function errorOf(run: () => unknown): VmError {
  let caught: unknown;
  try {
    run();
  } catch (error) {
    caught = error;
  }
  expect(caught).toBeInstanceOf(VmError);
  return caught as VmError; // just checked
}

/** Expects a VmError with this code about this argument. */
export function expectError(run: () => unknown, code: VmErrorCode, argument: string): void {
  const error = errorOf(run);
  expect([error.code, error.details.argument]).toEqual([code, argument]);
}
