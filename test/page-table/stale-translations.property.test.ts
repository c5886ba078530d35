import fc from 'fast-check';
import { Access } from 'pagewright/core';
import type { PageTable } from 'pagewright/page-table';
import { mappingOf } from 'pagewright/pte';
import { describe, expect, test } from 'vitest';
import type { ReferencePageTable } from '../../src/reference/page-table.js';
import { MODEL_FORMATS, type ModelFormat } from './model-formats.js';
import { ModelMachine, type Place } from './model-machine.js';
import { emptyModel, modelCommands } from './model-operations.js';
import { Places } from './model-places.js';
import { hardwareFor } from './model-walkers.js';

const ACCESSES = [Access.Read, Access.Write, Access.Fetch].flatMap((kind) => [
  kind,
  kind | Access.User,
]);

/** What hardware remembers of a page. */
interface Cached {
  /** By access: the frame, or a negative number. */
  readonly answers: readonly number[];
  /** Hardware that knows the page as written marks nothing at the next store. */
  readonly dirty: boolean;
}

/** A machine whose CPUs remember every translation until they are told to forget it. */
class CachingMachine extends ModelMachine {
  private readonly places: Places;
  private readonly caches = new Map<PageTable, Map<number, Cached>>();

  constructor(places: Places, place: Place) {
    super(places.kind, 'flat', place);
    this.places = places;
  }

  override check(models: readonly ReferencePageTable[]): void {
    this.tables.forEach((table, at) => {
      let cache = this.caches.get(table);
      if (cache === undefined) {
        cache = new Map();
        this.caches.set(table, cache);
      }
      // What is cached already stays, right or wrong.
      for (const [vpn, cached] of this.look(table, this.pagesOf(models[at]!))) {
        if (!cache.has(vpn)) cache.set(vpn, cached);
      }
    });
  }

  override complete(): void {
    const records = this.owed.invalidations();
    super.complete();
    this.tables.forEach((table, at) => {
      const cache = this.caches.get(table) ?? new Map<number, Cached>();
      for (const { context, pages, vpn } of records) {
        if (context >= 0 && context !== at + 1) continue;
        for (const page of cache.keys()) {
          if (page >= vpn && page < vpn + pages) cache.delete(page);
        }
      }
      for (const [vpn, now] of this.look(table, [...cache.keys()])) {
        expect({ vpn, stale: isStale(this.places.kind, cache.get(vpn)!, now) }).toEqual({
          vpn,
          stale: false,
        });
      }
    });
    // Tables that were taken down owe everything, and their addresses are nobody's.
    for (const table of this.caches.keys()) {
      if (!this.tables.includes(table)) this.caches.delete(table);
    }
  }

  /** Some pages of leaves, and those of interest. */
  private pagesOf(model: ReferencePageTable): readonly number[] {
    const leaves = model.firstPages.slice(-40).flatMap((vpn) => {
      const { pages } = model.leafAt(vpn)!;
      return [vpn, vpn + pages - 1];
    });
    return [...this.places.anchors, ...leaves];
  }

  private look(table: PageTable, pages: readonly number[]): readonly (readonly [number, Cached])[] {
    const { format } = this.places.kind;
    const { walker } = hardwareFor(this.memory, format, table.root);
    const unit = format.roles === null ? 2 ** (format.pageShift - 12) : 1;
    return pages.map((vpn) => {
      const answers = ACCESSES.map((access) => walker.probe(vpn * unit, access));
      return [vpn, { answers, dirty: table.testDirty(vpn) === 1 }];
    });
  }
}

/** Whether what was remembered lets something pass that should not, or to another place. */
function isStale({ format }: ModelFormat, cached: Cached, now: Cached): boolean {
  const present = cached.answers.some((answer) => answer >= 0);
  // Hardware that may remember that nothing was there would go on faulting.
  if (!present) return mappingOf(format).fillOwes % 2 === 1 && now.answers.some((pfn) => pfn >= 0);
  const differs = cached.answers.some((pfn, at) => pfn >= 0 && pfn !== now.answers[at]);
  return differs || (cached.dirty && !now.dirty);
}

function checkStale(kind: ModelFormat, numRuns: number): void {
  const places = new Places(kind);
  const commands = fc.commands(modelCommands(places), { maxCommands: 30, size: 'max' });
  fc.assert(
    fc.property(commands, fc.constantFrom<Place>('low', 'middle', 'top'), (run, place) => {
      const machine = new CachingMachine(places, place);
      fc.modelRun(() => ({ model: emptyModel(places), real: machine }), run);
      machine.complete();
    }),
    { numRuns },
  );
}

describe('what hardware remembers after it did what was owed is still true', () => {
  test.each(MODEL_FORMATS)('$name', (kind) => checkStale(kind, 4));
});
