import fc from 'fast-check';
import type { PolicyKind } from 'pagewright/replacement';
import { expect } from 'vitest';
import type { ReferencePolicy } from '../../src/reference/replacement.js';
import { Cache } from './cache.js';

/** A policy, and the obvious version of it. */
export interface PolicyCase {
  /** For the test's name, with the options. */
  readonly name: string;
  readonly kind: PolicyKind;
  /** @param future - The pages that will be accessed. */
  reference(slots: number, future: readonly number[]): ReferencePolicy;
  /** The numbers of slots that are tried. */
  readonly slots?: readonly number[];
}

/** Something that happens to a cache. */
export type Event =
  | { readonly do: 'access'; readonly page: number; readonly write: boolean }
  | { readonly do: 'remove' | 'clean'; readonly page: number }
  | { readonly do: 'tick' | 'save' };

/** Mostly accesses; pages are few enough that many are hits, and in runs, as programs have them. */
function events(slots: number): fc.Arbitrary<Event[]> {
  const page = fc.nat({ max: slots + (slots >> 1) + 2 });
  const write = fc.boolean();
  const event: fc.Arbitrary<Event> = fc.oneof(
    { weight: 40, arbitrary: fc.record({ do: fc.constant('access'), page, write }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constantFrom('remove', 'clean'), page }) },
    { weight: 4, arbitrary: fc.record({ do: fc.constantFrom('tick', 'save') }) },
  );
  return fc.array(event, { maxLength: 12 * slots + 20, size: 'max' });
}

/** A number of slots, and what happens to them. */
function runs(slots: readonly number[]): fc.Arbitrary<[number, Event[]]> {
  const count = fc.constantFrom(...slots);
  return count.chain((ways) => fc.tuple(fc.constant(ways), events(ways)));
}

/** The pages that a run accesses, in order. */
export function futureOf(list: readonly Event[]): number[] {
  return list.flatMap((event) => (event.do === 'access' ? [event.page] : []));
}

/** What an event led to: for accesses, whether the page was there, and who had to go. */
function happen(event: Event, cache: Cache | ReferencePolicy): unknown {
  switch (event.do) {
    case 'access':
      return cache.access(event.page, event.write);
    case 'remove':
      return cache.remove(event.page);
    case 'clean':
      return cache.clean(event.page);
    case 'tick':
      return cache.tick();
    case 'save':
      return cache instanceof Cache ? cache.saveAndRestore() : undefined;
  }
}

/**
 * Drives a policy and its obvious version with the same events: each must lead to the same, leave a policy that is sound,
 * and a snapshot from which it goes on as if nothing had been.
 */
export function agreesWithReference({ kind, reference, slots }: PolicyCase, numRuns = 300): void {
  const property = fc.property(runs(slots ?? [1, 2, 3, 4, 5, 8]), ([count, list]) => {
    const future = futureOf(list);
    const cache = new Cache(kind, count, future);
    const model = reference(count, future);
    for (const [index, event] of list.entries()) {
      const outcome = happen(event, cache);
      expect({ index, event, outcome }).toEqual({ index, event, outcome: happen(event, model) });
      cache.policy.checkInvariants();
    }
  });
  fc.assert(property, { numRuns });
}
