import {
  checkInteger,
  checkOptions,
  checkVersion,
  type OptionNames,
  VmError,
} from '../core/index.js';
import type { FlushScope } from './flush-scope.js';

/**
 * Whose translations: what hardware compares beside the page number.
 *
 * @public
 */
export interface TlbContext {
  /** The address space: ASID or PCID, 0 to 65535. @defaultValue 0 */
  readonly asid?: number;
  /** The virtual machine: VMID or VPID, 0 to 65535. @defaultValue 0 */
  readonly vmid?: number;
  /**
   * The root above them, where a CPU keeps several apart: a translation regime of Arm, V of RISC-V, an EPT pointer; any
   * number from 0 to 2^20 - 1. @defaultValue 0
   */
  readonly root?: number;
}

/**
 * Options of {@link TlbContexts}.
 *
 * @public
 */
export interface TlbContextsOptions {
  /** Contexts known at a time, 2 to 2^20. @defaultValue 4096 */
  readonly limit?: number;
}

/**
 * What {@link TlbContexts.snapshot} returns.
 *
 * @public
 */
export interface TlbContextsSnapshot {
  /** The version of this shape. */
  readonly v: 1;
  /** The tag. */
  readonly type: 'tlb-contexts';
  /** Contexts known at a time. */
  readonly limit: number;
  /**
   * Id, ASID (65536 for the global pages of a root), VMID and root of each, the least recently used first. An id is a
   * place, counted from 0 on, and 2^20 times how often that was given away.
   */
  readonly contexts: readonly (readonly [id: number, asid: number, vmid: number, root: number])[];
}

/** A cache that remembers interned contexts. */
export interface ContextUser {
  /** The context that its lookups are for. */
  readonly context: number;
  /** Forgets everything that was filled under a place, before another context has it. */
  forgetContext(place: number): void;
}

const OPTIONS: OptionNames<TlbContextsOptions> = { limit: true };
const CONTEXT: OptionNames<TlbContext> = { asid: true, vmid: true, root: true };

/** Ids are places below this, and multiples of it: how often the place was given away. */
const PLACES = 2 ** 20;

/** Stands in the place of an ASID for the global pages of a root. */
const EVERY_ASID = 2 ** 16;

/**
 * Small numbers for contexts. A 57-bit page number, 16 bits of ASID and 16 of VMID do not fit one number, and a TLB that
 * compares three costs three compares; so each context that is alive has a place, and an entry one place. Caches of a
 * CPU share one table of them.
 *
 * When there are more contexts than places, the one that was interned or made current least recently, and is current
 * nowhere, gives its place away, after every cache has flushed what it left behind. Its id is refused from then on.
 *
 * @example
 * ```ts
 * import { Tlb, TlbAnswer, TlbContexts } from 'pagewright/tlb';
 *
 * const contexts = new TlbContexts();
 * const tlb = new Tlb({ entries: 64, ways: 4, contexts });
 * const shell = contexts.intern({ asid: 7 });
 * const editor = contexts.intern({ asid: 8 });
 * tlb.context = shell;
 * tlb.insert({ vpn: 0x1000, pfn: 0x80, rights: 1 });
 * tlb.lookup(0x1000, 1); // => 0x80
 * tlb.context = editor;
 * tlb.lookup(0x1000, 1) === TlbAnswer.Miss; // => true
 * ```
 * @public
 */
export class TlbContexts {
  /** Contexts known at a time. */
  readonly limit: number;
  /** Ids by key, the least recently used first. */
  private readonly ids: Map<number, number> = new Map();
  /** By place; -1 where there is none. */
  private readonly keys: Float64Array;
  private readonly users: Set<ContextUser> = new Set();
  /** Where caches begin that are being restored; see `beginIn`. */
  private beginning: number | null = null;

  /**
   * @param options - See {@link TlbContextsOptions}.
   * @throws `VmError` for a limit out of range.
   */
  constructor(options: TlbContextsOptions = {}) {
    checkOptions('', options, OPTIONS);
    this.limit = checkInteger('limit', options.limit ?? 4096, 2, 2 ** 20);
    this.keys = new Float64Array(this.limit).fill(-1);
  }

  /**
   * The table of a snapshot.
   *
   * @param snapshot - What `snapshot` returned.
   * @returns A table in which every context has the id that it had, and which no cache uses yet.
   * @throws `VmError` `unsupported` for another version, `bad-image` for what was tampered with.
   */
  static restore(snapshot: TlbContextsSnapshot): TlbContexts {
    checkVersion(snapshot, 1, 'tlb-contexts');
    const table = new TlbContexts({ limit: snapshot.limit });
    const { contexts } = snapshot;
    const below = [2 ** 53, EVERY_ASID + 1, 2 ** 16, 2 ** 20];
    const sound = (context: unknown): boolean =>
      Array.isArray(context) &&
      context.length === 4 &&
      below.every(
        (end, at) => Number.isInteger(context[at]) && context[at] >= 0 && context[at] < end,
      );
    const whole = Array.isArray(contexts) && contexts.every(sound);
    for (const [id, asid, vmid, root] of whole ? contexts : []) {
      const key = keyOf(asid, vmid, root);
      table.ids.set(key, id);
      table.keys[placeOf(id)] = key;
    }
    // Places are taken from 0 on, so that none is missing below another.
    const taken = table.keys.filter((key, place) => key >= 0 && place < contexts.length).length;
    if (!whole || table.ids.size !== contexts.length || taken !== contexts.length) {
      const expected = 'contexts, each once, in places from 0 on';
      throw new VmError('bad-image', { argument: 'snapshot.contexts', value: contexts, expected });
    }
    return table;
  }

  /**
   * All contexts with their ids; {@link TlbContexts.restore} makes the same table of it.
   *
   * @returns Plain data, versioned. O(contexts).
   */
  snapshot(): TlbContextsSnapshot {
    const contexts = [...this.ids].map(
      ([key, id]) => [id, asidOf(key), vmidOf(key), rootOf(key)] as const,
    );
    return { v: 1, type: 'tlb-contexts', limit: this.limit, contexts };
  }

  /**
   * Verifies that every context has an id of its own.
   *
   * @throws An `Error` that names the one that has not.
   */
  checkInvariants(): void {
    for (const [key, id] of this.ids) {
      const found = this.keys[placeOf(id)];
      if (found !== key) throw new Error(`id ${id} is of ${found}, not of ${key}`);
    }
    const known = this.keys.reduce((count, key) => count + Number(key >= 0), 0);
    if (known !== this.ids.size)
      throw new Error(`${known} ids are known for ${this.ids.size} contexts`);
  }

  /**
   * The id of a context. O(1).
   *
   * @param context - Its numbers.
   * @returns The id, for `tlb.context`; it stays until the context has to give its place away.
   * @throws `VmError` for numbers out of range, or when every id is current somewhere.
   */
  intern(context: TlbContext): number {
    checkOptions('context', context, CONTEXT);
    const { asid = 0, root = 0, vmid = 0 } = context;
    checkInteger('asid', asid, 0, 65535);
    checkInteger('vmid', vmid, 0, 65535);
    checkInteger('root', root, 0, 2 ** 20 - 1);
    const key = keyOf(asid, vmid, root);
    this.refresh(key);
    return this.idOf(key);
  }

  /** Makes a context the one that was used last. @internal */
  use(id: number): void {
    this.refresh(this.keyOfId(id));
  }

  /** The id of the context in which a new cache begins: all zeros. @internal */
  get first(): number {
    return this.beginning ?? this.idFor({ asid: 0, vmid: 0, root: 0 });
  }

  /**
   * Restores caches, which begin in the context that they were saved in. In a full table the first context may have given its
   * id away, and would take another's if it were asked for.
   *
   * @internal
   */
  beginIn<Made>(id: number, make: () => Made): Made {
    const key = this.find(id);
    if (key < 0 || !this.ids.has(globalKeyOf(key))) {
      const expected = 'a context that is known, with that of its global pages';
      throw new VmError('bad-image', { argument: 'snapshot.context', value: id, expected });
    }
    this.beginning = id;
    try {
      return this.attempt(make);
    } finally {
      this.beginning = null;
    }
  }

  /** Makes caches; when one is refused, none of them is a user any more, and keeps contexts alive. @internal */
  attempt<Made>(make: () => Made): Made {
    const before = [...this.users];
    try {
      return make();
    } catch (error) {
      this.users.clear();
      for (const user of before) this.users.add(user);
      throw error;
    }
  }

  /** The id of a context for a cache's own use: nobody interned it just now. @internal */
  idFor(context: Required<TlbContext>, keep: readonly number[] = []): number {
    return this.idOf(keyOf(context.asid, context.vmid, context.root), keep);
  }

  /**
   * The numbers of a context.
   *
   * @param id - What `intern` returned.
   * @returns All three numbers.
   * @throws `VmError` for an id that is not known.
   */
  describe(id: number): Required<TlbContext> {
    this.keyOfId(id);
    return this.numbersOf(placeOf(id));
  }

  /** The same of any place, those of global pages too, whose ASID means nothing. @internal */
  numbersOf(place: number): Required<TlbContext> {
    const key = this.keys[place]!;
    return { asid: asidOf(key) % EVERY_ASID, vmid: vmidOf(key), root: rootOf(key) };
  }

  /** The id under which the global pages of a context's root are kept. @internal */
  globalOf(id: number): number {
    return this.idOf(globalKeyOf(this.keyOfId(id)), [id]);
  }

  /** Whether pages of a place are in reach of a flush, as far as contexts decide. @internal */
  reaches(place: number, scope: FlushScope): boolean {
    const key = this.keys[place]!;
    const root = rootOf(key);
    const vmid = vmidOf(key);
    if (root !== (scope.root ?? root) || root === scope.exceptRoot) return false;
    if (vmid !== (scope.vmid ?? vmid) || vmid === scope.exceptVmid) return false;
    const asid = asidOf(key);
    if (asid === EVERY_ASID) return scope.globals;
    return scope.asid === undefined || scope.asid === asid;
  }

  /** Whether a place is in use. @internal */
  knows(place: number): boolean {
    return this.keys[place]! >= 0;
  }

  /** Whether a place is that of global pages. @internal */
  isGlobal(place: number): boolean {
    return asidOf(this.keys[place]!) === EVERY_ASID;
  }

  /** A cache whose entries carry ids of this table. @internal */
  attach(user: ContextUser): void {
    this.users.add(user);
  }

  /** The key of a context by its id, or -1 for an id that is not known, or one of global pages. */
  private find(id: number): number {
    // What is no number, a bigint say, has no place.
    if (!Number.isInteger(id)) return -1;
    const key = this.keys[placeOf(id)]!;
    return this.ids.get(key) === id && asidOf(key) !== EVERY_ASID ? key : -1;
  }

  private keyOfId(id: number): number {
    const key = this.find(id);
    if (key >= 0) return key;
    const expected = 'a context that intern returned, and that is still known';
    throw new VmError('bad-argument', { argument: 'context', value: id, expected });
  }

  /** The id of a key; another context may have to give its place away, but not one of those to keep. */
  private idOf(key: number, keep: readonly number[] = []): number {
    const known = this.ids.get(key);
    if (known !== undefined) return known;
    const id = this.ids.size < this.limit ? this.ids.size : this.recycled(keep);
    this.ids.set(key, id);
    this.keys[placeOf(id)] = key;
    return id;
  }

  /** Makes a key, with that of its global pages, the one that was used last, if it is known. */
  private refresh(key: number): void {
    for (const one of [globalKeyOf(key), key]) {
      const id = this.ids.get(one);
      if (id === undefined) continue;
      this.ids.delete(one);
      this.ids.set(one, id);
    }
  }

  /** Takes a place away from the context that was used least recently and is current nowhere; returns its next id. */
  private recycled(keep: readonly number[]): number {
    const current = new Set(keep);
    for (const { context } of this.users) {
      const global = this.ids.get(globalKeyOf(this.keys[placeOf(context)]!));
      current.add(context).add(global ?? context);
    }
    for (const [key, id] of this.ids) {
      if (current.has(id)) continue;
      for (const user of this.users) user.forgetContext(placeOf(id));
      this.ids.delete(key);
      this.keys[placeOf(id)] = -1;
      return id + PLACES;
    }
    const expected = `fewer than ${this.limit} contexts that are current at a time`;
    throw new VmError('out-of-range', { argument: 'context', expected });
  }
}

/** The place of an id: what entries carry. */
export function placeOf(id: number): number {
  return id & (PLACES - 1);
}

/**
 * ```
 *  56            37 36        17 16         0   (20 + 16 + 17 bits)
 * [      root      |    vmid    | asid, or 2^16 for global ]
 * ```
 */
function keyOf(asid: number, vmid: number, root: number): number {
  return (root * 2 ** 16 + vmid) * 2 ** 17 + asid;
}

function globalKeyOf(key: number): number {
  return key - asidOf(key) + EVERY_ASID;
}

function asidOf(key: number): number {
  return key % 2 ** 17;
}

function vmidOf(key: number): number {
  return Math.floor(key / 2 ** 17) % 2 ** 16;
}

function rootOf(key: number): number {
  return Math.floor(key / 2 ** 33);
}
