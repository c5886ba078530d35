import { EVERY_CONTEXT, type Invalidation, type Invalidations } from '../page-table/index.js';
import type { FlushScope } from '../tlb/index.js';
import type { RadixWalker } from '../walk/index.js';

/**
 * What owed invalidations reach in the caches of a CPU.
 *
 * @param owed - The accumulator.
 * @param walker - The CPU's walker, which knows its granule.
 * @param stage - Whose tables changed. Caches of whole translations do not know guest-physical pages: a change of the second
 * stage drops all of the virtual machine's, or, where they have no numbers, of all of them.
 */
export function owedScopes(
  owed: Invalidations,
  walker: RadixWalker,
  stage: 1 | 2,
): readonly FlushScope[] {
  return owed
    .invalidations()
    .map((one) => (stage === 1 ? scopeOf(one, walker) : guestScope(one, walker)));
}

function scopeOf(one: Invalidation, walker: RadixWalker): FlushScope {
  const { context, global, intermediate } = one;
  // Tables count in their granule, walkers of real architectures in pages of 4 KiB.
  const { format } = walker;
  const scale = format === null ? 1 : 2 ** (format.pageShift - walker.pageShift);
  const whole = one.pages >= 2 ** 52;
  const structures = intermediate ? 'pages' : 'none';
  const caches = { translations: true, structures, secondStage: false } as const;
  const every = context === EVERY_CONTEXT || !walker.tagsSpaces;
  const whose = every ? {} : { asid: context };
  const where = whole ? {} : { vpn: one.vpn * scale, pages: one.pages * scale };
  return { ...whose, globals: global || every, ...where, caches };
}

function guestScope({ context }: Invalidation, walker: RadixWalker): FlushScope {
  const whose = context === EVERY_CONTEXT || !walker.tagsMachines ? {} : { vmid: context };
  return { ...whose, exceptRoot: 0, globals: true };
}
