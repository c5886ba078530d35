import { Access, type Address, type FaultReason, VmError } from '../core/index.js';
import type { RadixWalker, WalkReport } from '../walk/index.js';
import { type AddressLookup, type Lookup, type LookupFault, LookupTrace } from './lookup.js';
import { cutAddress } from './paging-arithmetic.js';

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

const SECOND_STAGE = 'read second-stage entry';

/** Notes the entries that a walk read; a second stage's walk to an entry comes before the entry. */
function noteEntries({ steps, target }: WalkReport, action: string, trace: LookupTrace): void {
  for (const { address, index, kind, secondStage } of steps) {
    if (secondStage !== null) noteEntries(secondStage, SECOND_STAGE, trace);
    const passed = kind !== 'not-present';
    if (address === null) trace.check('read register', index.index, passed);
    else trace.read(action, index.index, passed);
  }
  if (target !== null) noteEntries(target, SECOND_STAGE, trace);
}

/**
 * Makes a lookup of a walker: every entry that its walk reads is a step and a memory reference, those of a second stage
 * too. When an entry is there and still refuses, the last step is the rule in the manual's words. Nothing is changed.
 *
 * @param walker - Any walker, such as a `FormatWalker`.
 * @returns A lookup that asks it. O(levels) a lookup; it may throw as `explain`.
 * @throws `VmError` `bad-argument` for what is no walker.
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
  if (typeof walker?.explain !== 'function') {
    throw new VmError('bad-argument', { argument: 'walker', value: walker, expected: 'a walker' });
  }
  return {
    lookup(va: Address, access: number = Access.Read): Lookup {
      const trace = new LookupTrace();
      const { steps } = trace;
      // Only where pages are small there are such numbers, and a walker takes none.
      const { page } = cutAddress('va', va, 2 ** walker.pageShift);
      if (!trace.checkPage(page)) return trace.fault('limit');
      const report = walker.explain(va, access);
      const { outcome, references, rule } = report;
      noteEntries(report, 'read entry', trace);
      if (outcome.kind === 'page') return { kind: 'found', pa: outcome.pa, references, steps };
      if (steps.at(-1)?.passed !== false) trace.check(rule.text, outcome.level, false);
      return { kind: 'fault', reason: reasonOf(outcome.reason), references, steps };
    },
  };
}
