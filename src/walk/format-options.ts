import { checkInteger, type OptionNames, Prot, VmError, type VmObserver } from '../core/index.js';
import type { PhysicalMemory } from '../memory/index.js';
import type { PteFormat, PteFormatDescription } from '../pte/index.js';

/**
 * What a format leaves to the machine.
 *
 * @public
 */
export interface FormatPolicy {
  /**
   * What a walk does when an accessed or dirty bit is due: hardware sets it, or the access faults so that software may.
   * @defaultValue 'hardware'
   */
  readonly updates?: 'hardware' | 'software';
  /**
   * Whether a walk that ends in a fault has set the accessed bits of the pointers that it passed; with
   * `updates: 'hardware'`. @defaultValue false: a faulting walk changes nothing
   */
  readonly accessedOnFault?: boolean;
  /**
   * What the supervisor may do with pages of user mode, as `Prot` bits: without Execute as x86 with CR4.SMEP, without
   * Read and Write as with CR4.SMAP, nothing as RISC-V without SUM. @defaultValue everything
   */
  readonly supervisorOnUserPages?: number;
  /** Whether the supervisor may write pages that may not be written (x86 with CR0.WP=0). @defaultValue false */
  readonly supervisorIgnoresWrite?: boolean;
  /** Whether loads may read what may be executed (RISC-V MXR). @defaultValue false */
  readonly executableIsReadable?: boolean;
}

/**
 * What a `FormatWalker` is made from.
 *
 * @public
 */
export interface FormatWalkerOptions extends FormatPolicy {
  /** The memory that holds the tables. */
  readonly memory: PhysicalMemory;
  /** What `definePteFormat` returned. */
  readonly format: PteFormat;
  /** The frame of the root table, in the format's pages: 0 to 2^53 - 1, and below 2^64 bytes. */
  readonly root: number;
  /** Receives the events of every walk. */
  readonly observer?: VmObserver;
}

/**
 * What `FormatWalker.snapshot` returns.
 *
 * @public
 */
export interface FormatWalkerSnapshot extends Required<FormatPolicy> {
  /** The version of this shape. */
  readonly v: 1;
  /** The tag. */
  readonly type: 'format-walker';
  /** What the format was made of. */
  readonly description: PteFormatDescription;
  /** The frame of the root table. */
  readonly root: number;
}

/** The names of all that a policy says. */
export const FORMAT_POLICY: OptionNames<FormatPolicy> = {
  updates: true,
  accessedOnFault: true,
  supervisorOnUserPages: true,
  supervisorIgnoresWrite: true,
  executableIsReadable: true,
};

/** The names of all options. */
export const FORMAT_WALKER_OPTIONS: OptionNames<FormatWalkerOptions> = {
  ...FORMAT_POLICY,
  memory: true,
  format: true,
  root: true,
  observer: true,
};

const FLAGS = ['accessedOnFault', 'supervisorIgnoresWrite', 'executableIsReadable'] as const;

/** A whole policy; `base` has what is not given. */
export function checkPolicy(
  policy: FormatPolicy,
  base: Required<FormatPolicy>,
): Required<FormatPolicy> {
  const { supervisorOnUserPages = base.supervisorOnUserPages, updates = base.updates } = policy;
  if (updates !== 'hardware' && updates !== 'software') {
    const expected = 'hardware or software';
    throw new VmError('bad-argument', { argument: 'updates', value: updates, expected });
  }
  for (const argument of FLAGS) {
    const value = policy[argument];
    if (value === undefined || typeof value === 'boolean') continue;
    throw new VmError('bad-argument', { argument, value, expected: 'true or false' });
  }
  return {
    updates,
    accessedOnFault: policy.accessedOnFault ?? base.accessedOnFault,
    supervisorOnUserPages: checkInteger('supervisorOnUserPages', supervisorOnUserPages, 0, 15),
    supervisorIgnoresWrite: policy.supervisorIgnoresWrite ?? base.supervisorIgnoresWrite,
    executableIsReadable: policy.executableIsReadable ?? base.executableIsReadable,
  };
}

/** The policy of a walker that was told nothing. */
export const DEFAULT_POLICY: Required<FormatPolicy> = {
  updates: 'hardware',
  accessedOnFault: false,
  supervisorOnUserPages: Prot.Read | Prot.Write | Prot.Execute | Prot.User,
  supervisorIgnoresWrite: false,
  executableIsReadable: false,
};
