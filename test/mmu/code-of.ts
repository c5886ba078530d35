import { VmError } from 'pagewright/core';

/** The code of the `VmError` that something throws. */
export function codeOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (error instanceof VmError) return error.code;
    throw error;
  }
  return 'nothing thrown';
}
