import { Access, checkVersion } from '../core/index.js';
import { TlbAnswer } from './answer.js';
import { TlbContexts } from './contexts.js';
import { checkScope, type FlushScope } from './flush-scope.js';
import { bad } from './geometry.js';
import {
  checkHierarchy,
  makeCaches,
  type TlbHierarchyOptions,
  type TlbHierarchySnapshot,
  type TlbHierarchyStatistics,
} from './hierarchy-options.js';
import type { PagingStructureCache } from './paging-structure-cache.js';
import { type FilledEntry, inContexts, type Tlb } from './tlb.js';
import type { TlbFill } from './tlb-entry.js';
import {
  checkFill,
  checkInto,
  checkLevels,
  demote,
  fillOf,
  forget,
  insertInto,
  outdate,
  overlapsIn,
  type TlbLevel,
  takenOf,
  takesMore,
} from './tlb-level.js';
import { damagedTlb } from './tlb-snapshot.js';

const MISS = TlbAnswer.Miss;

/**
 * The TLBs of a CPU: first-level arrays for fetches, loads and stores, by page size where the CPU has it so, a second level
 * for all, and the caches that serve the walker. A page that no array of a level takes in its size is put in as a fragment
 * of the largest size that one takes.
 *
 * @example
 * ```ts
 * import { Access } from 'pagewright/core';
 * import { TlbAnswer, TlbHierarchy } from 'pagewright/tlb';
 *
 * const tlbs = new TlbHierarchy({
 *   fetch: [{ entries: 128, ways: 8, orders: [0] }],
 *   load: [{ entries: 64, ways: 4, orders: [0] }, { entries: 32, ways: 4, orders: [9] }],
 *   second: [{ entries: 1536, ways: 12, orders: [0, 9] }],
 * });
 * tlbs.fill({ vpn: 0x1234, pfn: 0x80, rights: 3 }, Access.Read);
 * tlbs.lookup(0x1234, 1, Access.Write); // => 0x80
 * tlbs.level; // => 1
 * tlbs.lookup(0x1234, 1, Access.Fetch); // => 0x80
 * tlbs.level; // => 2
 * tlbs.lookup(0x9999, 1, Access.Read) === TlbAnswer.Miss; // => true
 * ```
 * @public
 */
export class TlbHierarchy {
  /** The ids of all caches. */
  readonly contexts: TlbContexts;
  /** First-level arrays for fetches. */
  readonly fetch: readonly Tlb[];
  /** First-level arrays for loads. */
  readonly load: readonly Tlb[];
  /** First-level arrays for stores; the same as `load` where the CPU has no others. */
  readonly store: readonly Tlb[];
  /** Second-level arrays. */
  readonly second: readonly Tlb[];
  /** Second-level arrays for fetches; the same as `second` where the CPU has no others. */
  readonly secondFetch: readonly Tlb[];
  /** The paging-structure cache. */
  readonly structures: PagingStructureCache | null;
  /** The cache of second-stage translations; pages are guest frames, and its context has ASID 0. */
  readonly nested: Tlb | null;
  /** The paging-structure cache of the second stage; pages are guest frames, and its context has ASID 0. */
  readonly nestedStructures: PagingStructureCache | null;
  /** After a lookup: the level that answered, or 0. */
  level = 0;
  private readonly fills: 'exclusive' | 'inclusive' | 'independent';
  private contextId: number;
  private firstHits = 0;
  private secondHits = 0;
  private misses = 0;

  /**
   * @param options - See {@link TlbHierarchyOptions}.
   * @throws `VmError` for arrays that cannot be.
   */
  constructor(options: TlbHierarchyOptions) {
    this.fills = checkHierarchy(options);
    const { contexts = new TlbContexts() } = options;
    if (!(contexts instanceof TlbContexts)) throw bad('contexts', contexts, 'a TlbContexts');
    this.contexts = contexts;
    const caches = contexts.attempt(() => makeCaches(options, contexts));
    this.fetch = caches.fetch;
    this.load = caches.load;
    this.store = caches.store ?? this.load;
    this.second = caches.second;
    this.secondFetch = caches.secondFetch ?? this.second;
    this.structures = caches.structures;
    this.nested = caches.nested;
    this.nestedStructures = caches.nestedStructures;
    this.contextId = contexts.first;
    this.connect();
  }

  /** The context of lookups and fills: what `contexts.intern` returned. */
  get context(): number {
    return this.contextId;
  }

  set context(id: number) {
    // Every id that is needed first: there may be none left.
    const { root, vmid } = this.contexts.describe(id);
    const keep = [id, this.contexts.globalOf(id)];
    const nested = this.nested !== null || this.nestedStructures !== null;
    const machine = nested ? this.contexts.idFor({ asid: 0, vmid, root }, keep) : id;
    for (const tlb of this.arrays()) tlb.context = id;
    if (this.structures !== null) this.structures.context = id;
    if (this.nested !== null) this.nested.context = machine;
    if (this.nestedStructures !== null) this.nestedStructures.context = machine;
    this.contextId = id;
  }

  /**
   * Translates a page, in the first level and then in the second, whose entry also goes into the first. It does not where it
   * overlaps one of another size there, as entries may that were filled for different kinds of access, nor where it may be
   * what the second level takes of a page of which the first takes more.
   *
   * @param vpn - The page.
   * @param need - The rights that the access needs.
   * @param access - `Access` bits; the kind chooses the arrays.
   * @returns The frame, or a negative `TlbAnswer`.
   * @throws `VmError` for no kind of access.
   */
  lookup(vpn: number, need: number, access: number): number {
    const first = this.firstFor(access);
    for (let index = 0; index < first.length; index++) {
      const answer = first[index]!.lookup(vpn, need);
      if (answer === MISS) continue;
      this.level = 1;
      this.firstHits++;
      return answer;
    }
    const second = this.secondFor(access);
    for (const tlb of second) {
      const slot = tlb.find(vpn);
      if (slot < 0) continue;
      this.level = 2;
      this.secondHits++;
      const answer = tlb.pfnAt(slot, vpn);
      const allowed = (tlb.rightsAt(slot) & need) === need;
      this.promote(tlb, slot, vpn, first, second);
      return allowed ? answer : TlbAnswer.Denied;
    }
    this.level = 0;
    this.misses++;
    return MISS;
  }

  /**
   * Puts in what a walk has found.
   *
   * @param entry - The translation.
   * @param access - `Access` bits of the access that was walked for.
   * @throws `VmError` as `Tlb.insert`; `overlap` as well where an array for another page size has pages of it. Nothing has
   * changed then.
   */
  fill(entry: TlbFill, access: number): void {
    const first = this.firstFor(access);
    const second = this.secondFor(access);
    const all = checkFill(entry);
    checkInto(second, all);
    checkInto(first, all);
    if (this.fills === 'exclusive') {
      this.fillOne(first, second, all);
    } else {
      if (this.fills === 'inclusive') outdate(second, all);
      // The second level first: what it gives up may be in the first.
      insertInto(second, all);
      insertInto(first, all);
    }
  }

  /** The first level has it alone, unless it takes less of the page than the second does, and no other array there as much. */
  private fillOne(first: TlbLevel, second: TlbLevel, entry: FilledEntry): void {
    const { global, order, vpn } = entry;
    const [above, below] = [takenOf(first, order), takenOf(second, order)];
    insertInto(first, entry);
    // Every array is in the same context.
    const id = second[0]?.placeFor(global) ?? 0;
    const pages = 2 ** Math.max(above, below);
    // Among them may be what the first level has just given up.
    if (above >= 0) forget(second, id, { pages, vpn: vpn - (vpn % pages) });
    if (above >= below) return;
    const known = this.above(second).some((array) => array.hasFor(id, vpn, -(2 ** below)));
    if (!known) insertInto(second, entry);
  }

  /**
   * Drops everything in reach from every cache that the scope means.
   *
   * @param scope - What is in reach.
   * @returns How many entries were dropped.
   * @throws `VmError` for a scope that is none.
   */
  flush(scope: FlushScope): number {
    checkScope(scope);
    let dropped = 0;
    for (const tlb of this.arrays()) dropped += tlb.flush(scope);
    if (this.structures !== null) dropped += this.structures.flush(scope);
    return dropped + this.flushSecondStage(scope);
  }

  private flushSecondStage(scope: FlushScope): number {
    const { asid: _, caches, ...frames } = scope;
    const all = { ...frames, globals: true };
    const structures = caches?.secondStructures ?? 'none';
    const above = { translations: false, structures, secondStage: false };
    const translations = caches?.secondStage ? (this.nested?.flush(all) ?? 0) : 0;
    return translations + (this.nestedStructures?.flush({ ...all, caches: above }) ?? 0);
  }

  /**
   * What was counted since it was made.
   *
   * @returns Plain data; each array counts on its own, too.
   */
  statistics(): TlbHierarchyStatistics {
    const { firstHits, misses, secondHits } = this;
    return { firstHits, secondHits, misses };
  }

  /**
   * Verifies every cache, and that what is to be in both levels is, or what is to be in one of them: of an exclusive
   * hierarchy, that the second level has no entry that an array above it has in just that size.
   *
   * @throws An `Error` that names what does not hold.
   */
  checkInvariants(): void {
    for (const tlb of this.arrays()) tlb.checkInvariants();
    this.structures?.checkInvariants();
    this.nested?.checkInvariants();
    this.nestedStructures?.checkInvariants();
    if (this.fills === 'independent') return;
    const exclusive = this.fills === 'exclusive';
    for (const tlb of this.firstArrays()) checkLevels(tlb, this.below(tlb), exclusive);
  }

  /**
   * Everything but the options.
   *
   * @returns Plain data, versioned.
   */
  snapshot(): TlbHierarchySnapshot {
    const arrays = this.arrays().map((tlb) => tlb.snapshot());
    const structures = this.structures?.snapshot() ?? null;
    const nested = this.nested?.snapshot() ?? null;
    const nestedStructures = this.nestedStructures?.snapshot() ?? null;
    const { context, firstHits, misses, secondHits } = this;
    const contexts = this.contexts.snapshot();
    const counts = [firstHits, secondHits, misses];
    const walker = { structures, nested, nestedStructures };
    return { v: 1, type: 'tlb-hierarchy', context, contexts, arrays, ...walker, counts };
  }

  /**
   * The hierarchy of a snapshot.
   *
   * @param snapshot - What `snapshot` returned.
   * @param options - The options of the saved hierarchy; where it shared its contexts, the table of them restored.
   * @returns A hierarchy that answers as the saved one would have.
   * @throws `VmError` `unsupported` for another version, `bad-image` for what was tampered with.
   */
  static restore(snapshot: TlbHierarchySnapshot, options: TlbHierarchyOptions): TlbHierarchy {
    checkVersion(snapshot, 1, 'tlb-hierarchy');
    return inContexts(snapshot, options, (all) => new TlbHierarchy(all).takeOver(snapshot));
  }

  private takeOver(snapshot: TlbHierarchySnapshot): this {
    const { arrays, counts, nested, nestedStructures, structures } = snapshot;
    const all = this.arrays();
    const sound =
      Array.isArray(arrays) &&
      arrays.length === all.length &&
      (nested === null) === (this.nested === null) &&
      (nestedStructures === null) === (this.nestedStructures === null) &&
      (structures === null) === (this.structures === null);
    if (!sound) throw damagedTlb('arrays', arrays, 'the caches of the hierarchy');
    for (const [index, tlb] of all.entries()) tlb.load(arrays[index]!);
    if (structures !== null) this.structures?.load(structures);
    if (nested !== null) this.nested?.load(nested);
    if (nestedStructures !== null) this.nestedStructures?.load(nestedStructures);
    const counted = (count: unknown): boolean => Number.isSafeInteger(count) && Number(count) >= 0;
    if (!Array.isArray(counts) || counts.length !== 3 || !counts.every(counted)) {
      throw damagedTlb('counts', counts, 'three counts');
    }
    [this.firstHits = 0, this.secondHits = 0, this.misses = 0] = counts;
    this.context = snapshot.context;
    try {
      this.checkInvariants();
    } catch (error) {
      throw damagedTlb('arrays', arrays, `levels that hold together: ${String(error)}`);
    }
    return this;
  }

  private firstFor(access: number): readonly Tlb[] {
    const kind = access & 3;
    if (kind === Access.Read) return this.load;
    if (kind === Access.Write) return this.store;
    if (kind === Access.Fetch) return this.fetch;
    throw bad('access', access, 'Access bits with one kind');
  }

  private secondFor(access: number): readonly Tlb[] {
    return (access & 3) === Access.Fetch ? this.secondFetch : this.second;
  }

  /** The second level of a first-level array. */
  private below(first: Tlb): readonly Tlb[] {
    return this.fetch.includes(first) ? this.secondFetch : this.second;
  }

  /** The first level of second-level arrays. */
  private above(second: TlbLevel): TlbLevel {
    return this.firstArrays().filter((first) => this.below(first) === second);
  }

  private firstArrays(): TlbLevel {
    return [...new Set([...this.fetch, ...this.load, ...this.store])];
  }

  private arrays(): TlbLevel {
    return [...new Set([...this.firstArrays(), ...this.second, ...this.secondFetch])];
  }

  /** What one level must hear of the other. */
  private connect(): void {
    if (this.fills === 'inclusive') {
      for (const second of [this.second, this.secondFetch]) {
        const above = this.above(second);
        for (const tlb of second) {
          tlb.beforeEviction = (slot) => forget(above, tlb.contextOf(slot), tlb.entryAt(slot));
        }
      }
    }
    if (this.fills === 'exclusive') {
      for (const first of [this.fetch, this.load, this.store]) {
        for (const tlb of first) tlb.beforeEviction = (slot) => this.giveUp(tlb, slot, first);
      }
    }
  }

  /** An entry of the second level goes into the first, too, or altogether, if the first takes all of it. */
  private promote(tlb: Tlb, slot: number, vpn: number, first: TlbLevel, second: TlbLevel): void {
    const entry = tlb.entryAt(slot);
    const fill = fillOf(entry, vpn);
    const order = Math.log2(entry.pages);
    // A fragment would be in the way of its page, which the first level takes.
    if (takesMore(first, second, entry) || overlapsIn(first, fill)) return;
    if (this.fills === 'exclusive' && takenOf(first, order) === order) {
      forget([tlb], tlb.contextOf(slot), entry);
    }
    insertInto(first, fill);
  }

  /** The last first-level array that has as much of an entry as the second level takes gives it to that, where it is exclusive. */
  private giveUp(tlb: Tlb, slot: number, first: TlbLevel): void {
    const id = tlb.contextOf(slot);
    const entry = tlb.entryAt(slot);
    const second = this.below(tlb);
    // Orders from that of its part there on.
    const orders = -(2 ** takenOf(second, Math.log2(entry.pages)));
    const known = this.above(second).some((each) => {
      return each.hasFor(id, entry.vpn, each === tlb ? orders & ~entry.pages : orders);
    });
    if (!known) demote(id, entry, first, second);
  }
}
