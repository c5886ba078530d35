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

/** A list with one number changed. */
export function withAt(list: readonly number[], index: number, value: number): readonly number[] {
  return list.map((item, at) => (at === index ? value : item));
}
