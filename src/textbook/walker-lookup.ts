import { Access, type Address, type FaultReason } from '../core/index.js';
import type { RadixWalker } from '../walk/index.js';
import { type AddressLookup, type Lookup, type LookupFault, LookupTrace } from './lookup.js';

/** Reasons that are no question of rights. */
const ABSENT: ReadonlySet<FaultReason> = new Set<FaultReason>([
  'not-present',
  'reserved-bits',
  'misaligned-leaf',
  'no-leaf',
  'bus-error',
  'walk-disabled',
]);

function reasonOf(reason: FaultReason): LookupFault {
  if (reason === 'non-canonical' || reason === 'address-size') return 'limit';
  return ABSENT.has(reason) ? 'not-present' : 'protection';
}

/**
 * Makes a lookup of a walker: every entry that its walk reads is a step and a memory reference. Nothing is changed.
 *
 * @param walker - Any walker, such as a `FormatWalker`.
 * @returns A lookup that asks it.
 *
 * @example
 * ```ts
 * import { PhysicalMemory } from 'pagewright/memory';
 * import { ostep15 } from 'pagewright/pte';
 * import { walkerLookup } from 'pagewright/textbook';
 * import { FormatWalker } from 'pagewright/walk';
 *
 * const memory = PhysicalMemory.allocate(0x1000, { base: 0 });
 * memory.write(108 * 32 + 24, 1, 0xa1);
 * memory.write(33 * 32 + 8, 1, 0xb5);
 * const walker = new FormatWalker({ memory, format: ostep15, root: 108 });
 * const hit = walkerLookup(walker).lookup(0x611c);
 * hit.kind === 'found' && hit.pa; // => 0x6bcn
 * hit.references; // => 2
 * ```
 * @public
 */
export function walkerLookup(walker: RadixWalker): AddressLookup {
  return {
    lookup(va: Address, access: number = Access.Read): Lookup {
      const { outcome, steps } = walker.explain(va, access);
      const trace = new LookupTrace();
      for (const { address, index, kind } of steps) {
        const passed = kind !== 'not-present';
        if (address === null) trace.check('read register', index.index, passed);
        else trace.read('read entry', index.index, passed);
      }
      return outcome.kind === 'page'
        ? trace.found(outcome.pa)
        : trace.fault(reasonOf(outcome.reason));
    },
  };
}
