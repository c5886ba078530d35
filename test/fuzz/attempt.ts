import { VmError } from 'pagewright/core';

/** Does what the library may refuse as a mistake, and in no other way. */
export function attempt(run: () => unknown): void {
  try {
    run();
  } catch (error) {
    if (!(error instanceof VmError)) throw error;
  }
}
