import {
  checkInteger,
  checkMethods,
  checkOptions,
  type OptionNames,
  type Plain,
  plain,
  VmError,
} from '../core/index.js';
import { PageIndex } from './page-index.js';
import type { SimulatedKind, SimulatedPolicy } from './policy.js';

/**
 * How a simulation is run.
 *
 * @public
 */
export interface SimulateOptions {
  /**
   * Sets among which pages are divided, page number modulo sets: a set-associative cache with `frames` ways.
   * @defaultValue 1
   */
  readonly sets?: number;
  /** Which references write: those with true or not 0 at the same index; beyond the end, none. @defaultValue none */
  readonly writes?: ArrayLike<boolean | number>;
  /** References between two clock interrupts, for NRU, NFU and aging; 0: never. @defaultValue 0 */
  readonly tickEvery?: number;
}

/**
 * What one reference did.
 *
 * @public
 */
export interface SimulationStep {
  /** The page. */
  readonly page: number;
  /** Whether it was there. */
  readonly hit: boolean;
  /** The page that had to go, or `null`. */
  readonly victim: number | null;
  /** The slot that it is in now; those of set s begin at s * frames. */
  readonly slot: number;
}

/**
 * A whole run.
 *
 * @public
 */
export interface Simulation {
  /** The tag. */
  readonly kind: 'simulation';
  /** The policy's name. */
  readonly policy: string;
  /** Frames, of each set. */
  readonly frames: number;
  /** Sets. */
  readonly sets: number;
  /** References that found their page. */
  readonly hits: number;
  /** Those that did not: page faults. */
  readonly misses: number;
  /** One for each reference. */
  readonly steps: readonly SimulationStep[];
}

const OPTIONS: OptionNames<SimulateOptions> = { sets: true, writes: true, tickEvery: true };

/**
 * Runs a policy over a reference string and tells what each reference did.
 *
 * @param kind - The policy, such as `lru()`.
 * @param frames - Frames, or the ways of each set; 1 to 2^24, and as many as the policy can have.
 * @param references - Page numbers, 0 to 2^53 - 1.
 * @param options - Sets, writes and clock interrupts.
 * @returns Every step, as plain data: O(references) objects. {@link countMisses} does without.
 * @throws `VmError` for what is no policy, frame count, page number or option.
 *
 * @example
 * ```ts
 * import { lru, simulate } from 'pagewright/replacement';
 *
 * const run = simulate(lru(), 2, [7, 8, 7, 9]);
 * run.misses; // => 3
 * run.steps.map(({ hit, victim }) => (hit ? 'hit' : victim)); // => [null, null, 'hit', 8]
 * ```
 * @public
 */
export function simulate(
  kind: SimulatedKind,
  frames: number,
  references: ArrayLike<number>,
  options: SimulateOptions = {},
): Plain<Simulation> {
  const cache = new SimulatedCache(kind, frames, references, options);
  const steps: SimulationStep[] = [];
  for (let index = 0; index < cache.length; index++) {
    const hit = cache.step(index);
    const { slot, victim } = cache;
    steps.push({ page: cache.pageOf(index), hit, victim: victim < 0 ? null : victim, slot });
  }
  const { hits, sets } = cache;
  const misses = cache.length - hits;
  return plain({ kind: 'simulation', policy: kind.name, frames, sets, hits, misses, steps });
}

/**
 * Counts the misses that {@link simulate} would show, without an object for each reference.
 *
 * @param kind - The policy.
 * @param frames - Frames, or the ways of each set.
 * @param references - Page numbers, 0 to 2^53 - 1.
 * @param options - Sets, writes and clock interrupts.
 * @returns The misses.
 * @throws `VmError` as `simulate`.
 *
 * @example
 * ```ts
 * import { countMisses, fifo, lru } from 'pagewright/replacement';
 *
 * const loop = Array.from({ length: 1000 }, (_, index) => index % 5);
 * countMisses(lru(), 4, loop); // => 1000
 * countMisses(fifo(), 5, loop); // => 5
 * ```
 * @public
 */
export function countMisses(
  kind: SimulatedKind,
  frames: number,
  references: ArrayLike<number>,
  options: SimulateOptions = {},
): number {
  const cache = new SimulatedCache(kind, frames, references, options);
  for (let index = 0; index < cache.length; index++) cache.step(index);
  return cache.length - cache.hits;
}

/** Slots with pages in them, and a policy for each set. */
class SimulatedCache {
  hits = 0;
  /** The slot of the last reference. */
  slot = 0;
  /** The page that the last reference drove out, or -1. */
  victim = -1;
  readonly sets: number;
  private readonly ways: number;
  /** A copy: a policy may be somebody else's. */
  private readonly references: Float64Array;
  private readonly writes: Uint8Array | null;
  private readonly tickEvery: number;
  private readonly kind: SimulatedKind;
  /** By set; made when the first page comes. */
  private readonly policies: (SimulatedPolicy | null)[];
  /** By set, what it will be asked for; empty unless the policy looks ahead. */
  private readonly futures: readonly Float64Array[];
  private readonly pageIndex: PageIndex = new PageIndex();
  /** The slot of a page by its index, or -1. A Map of pages takes twice as long (measured). */
  private slots: Int32Array = new Int32Array(64).fill(-1);
  /** By slot, the page, and its index. */
  private readonly pages: Float64Array;
  private readonly indexes: Int32Array;
  /** Slots in use of each set: they fill from the first one on, and nothing is ever removed. */
  private readonly used: Int32Array;

  constructor(
    kind: SimulatedKind,
    ways: number,
    references: ArrayLike<number>,
    options: SimulateOptions,
  ) {
    checkOptions('options', options, OPTIONS);
    const { sets = 1, tickEvery = 0, writes = null } = options;
    if (typeof kind?.create !== 'function' || typeof kind.name !== 'string') {
      const expected = 'a policy with a name, such as lru()';
      throw new VmError('bad-argument', { argument: 'kind', value: kind, expected });
    }
    this.sets = checkInteger('sets', sets, 1, 2 ** 24);
    this.ways = checkInteger('frames', ways, 1, Math.floor(2 ** 24 / sets));
    this.tickEvery = checkInteger('tickEvery', tickEvery, 0, Number.MAX_SAFE_INTEGER);
    this.kind = kind;
    this.references = pagesOf(references);
    this.writes = writes === null ? null : writesOf(writes, this.length);
    this.pages = new Float64Array(sets * ways);
    this.indexes = new Int32Array(sets * ways);
    this.used = new Int32Array(sets);
    this.policies = Array<null>(sets).fill(null);
    this.futures = kind.looksAhead === true ? divided(this.references, sets) : [];
  }

  /** References there are. */
  get length(): number {
    return this.references.length;
  }

  /** The page of a reference. */
  pageOf(index: number): number {
    return this.references[index]!;
  }

  /** Does one reference, and tells whether its page was there. */
  step(index: number): boolean {
    const page = this.references[index]!;
    const write = this.writes !== null && this.writes[index] !== 0;
    const pageIndex = this.pageIndex.indexOf(page);
    if (pageIndex >= this.slots.length) this.grow();
    const found = this.slots[pageIndex]!;
    if (found >= 0) {
      this.hits++;
      this.slot = found;
      this.victim = -1;
      const set = this.sets === 1 ? 0 : Math.floor(found / this.ways);
      this.policies[set]!.onHit(found - set * this.ways, write);
    } else {
      this.fill(index, page, pageIndex, write);
    }
    if (this.tickEvery > 0 && (index + 1) % this.tickEvery === 0) {
      // A policy that is not there has no page to look at.
      for (const policy of this.policies) policy?.onTick();
    }
    return found >= 0;
  }

  private fill(index: number, page: number, pageIndex: number, write: boolean): void {
    // A remainder of doubles, as pages may be, is a seventh of the whole time where most references miss (measured).
    const set = this.sets === 1 ? 0 : page % this.sets;
    const policy = this.policies[set] ?? this.makePolicy(set);
    const full = this.used[set] === this.ways;
    // A policy may be somebody else's: it must not reach into another set.
    const way = full ? this.checkVictim(index, policy.victim(page)) : this.used[set]!++;
    this.slot = set * this.ways + way;
    this.victim = full ? this.pages[this.slot]! : -1;
    if (full) this.slots[this.indexes[this.slot]!] = -1;
    this.pages[this.slot] = page;
    this.indexes[this.slot] = pageIndex;
    this.slots[pageIndex] = this.slot;
    policy.onFill(way, page, write);
  }

  private checkVictim(index: number, way: number): number {
    if (Number.isInteger(way) && way >= 0 && way < this.ways) return way;
    return checkInteger(`victim of reference ${index}`, way, 0, this.ways - 1);
  }

  private makePolicy(set: number): SimulatedPolicy {
    const policy = checkPolicy(this.kind.create(this.ways, this.futures[set]));
    this.policies[set] = policy;
    return policy;
  }

  private grow(): void {
    const old = this.slots;
    this.slots = new Int32Array(2 * old.length).fill(-1);
    this.slots.set(old);
  }
}

/** What each set sees of the references, in copies. */
function divided(references: Float64Array, sets: number): readonly Float64Array[] {
  if (sets === 1) return [references.slice()];
  const counts = new Float64Array(sets);
  for (const page of references) counts[page % sets]!++;
  const lists = Array.from(counts, (count) => new Float64Array(count));
  counts.fill(0);
  for (const page of references) lists[page % sets]![counts[page % sets]!++] = page;
  return lists;
}

/** A policy may be somebody else's: it must have what will be called. */
function checkPolicy(policy: SimulatedPolicy): SimulatedPolicy {
  checkMethods('kind.create()', policy, ['onFill', 'onHit', 'victim', 'onTick']);
  return policy;
}

/** Which references write, checked and copied. */
function writesOf(writes: ArrayLike<boolean | number>, length: number): Uint8Array {
  if (typeof writes !== 'object' || !Number.isSafeInteger(writes.length)) {
    const expected = 'a list with an item for each reference';
    throw new VmError('bad-argument', { argument: 'writes', value: writes, expected });
  }
  return Uint8Array.from({ length }, (_, index) => Number(Boolean(writes[index])));
}

/** A list of page numbers, checked and copied. */
function pagesOf(references: ArrayLike<number>): Float64Array {
  checkPages(references);
  return Float64Array.from(references);
}

/** Refuses what is no list of page numbers, before anything is done with it. */
export function checkPages(references: ArrayLike<number>): void {
  if (typeof references !== 'object' || references === null) {
    const expected = 'a list of page numbers';
    throw new VmError('bad-argument', { argument: 'references', value: references, expected });
  }
  checkInteger('references.length', references.length, 0, 2 ** 32);
  for (let index = 0; index < references.length; index++) {
    const page = references[index]!;
    if (Number.isSafeInteger(page) && page >= 0) continue;
    const expected = 'page numbers, 0 to 2^53 - 1';
    throw new VmError('bad-argument', { argument: `references[${index}]`, value: page, expected });
  }
}
