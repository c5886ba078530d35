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
  /** Id, ASID (65536 for the global pages of a root), VMID and root of each, the least recently interned first. */
  readonly contexts: readonly (readonly [id: number, asid: number, vmid: number, root: number])[];
}

/** A cache that remembers interned contexts. */
export interface ContextUser {
  /** The context that its lookups are for. */
  readonly context: number;
  /** Forgets everything that was filled under an id, before the id means something else. */
  forgetContext(id: number): void;
}

const OPTIONS: OptionNames<TlbContextsOptions> = { limit: true };
const CONTEXT: OptionNames<TlbContext> = { asid: true, vmid: true, root: true };

/** Stands in the place of an ASID for the global pages of a root. */
const EVERY_ASID = 2 ** 16;

/**
 * Small numbers for contexts. A 57-bit page number, 16 bits of ASID and 16 of VMID do not fit one number, and a TLB that
 * compares three costs three compares; so each context that is alive has an id, and an entry one id. Caches of a CPU
 * share one table of them.
 *
 * When there are more contexts than ids, the one that was interned least recently, and is current nowhere, gives its id
 * away, after every cache has flushed what it left behind.
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
  /** Ids by key, the least recently interned first. */
  private readonly ids: Map<number, number> = new Map();
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
    const taken = new Set<number>();
    const below = [table.limit, EVERY_ASID + 1, 2 ** 16, 2 ** 20];
    const sound = (context: unknown): boolean =>
      Array.isArray(context) &&
      context.length === 4 &&
      below.every(
        (end, at) => Number.isInteger(context[at]) && context[at] >= 0 && context[at] < end,
      );
    if (!Array.isArray(contexts) || !contexts.every(sound)) {
      const expected = 'ids, ASIDs, VMIDs and roots';
      throw new VmError('bad-image', { argument: 'snapshot.contexts', value: contexts, expected });
    }
    for (const [id, asid, vmid, root] of contexts) {
      const key = keyOf(asid, vmid, root);
      table.ids.set(key, id);
      table.keys[id] = key;
      taken.add(id);
    }
    // Ids are handed out from 0 on, so that none is missing below another.
    if (taken.size !== contexts.length || table.ids.size !== taken.size || taken.has(taken.size)) {
      const expected = 'each context and each id once, from 0 on';
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
      if (this.keys[id] !== key) throw new Error(`id ${id} is of ${this.keys[id]}, not of ${key}`);
    }
    const known = this.keys.reduce((count, key) => count + Number(key >= 0), 0);
    if (known !== this.ids.size)
      throw new Error(`${known} ids are known for ${this.ids.size} contexts`);
  }

  /**
   * The id of a context. O(1).
   *
   * @param context - Its numbers.
   * @returns The id, for `tlb.context`; it stays until the context has to give it away.
   * @throws `VmError` for numbers out of range, or when every id is current somewhere.
   */
  intern(context: TlbContext): number {
    checkOptions('context', context, CONTEXT);
    const { asid = 0, root = 0, vmid = 0 } = context;
    checkInteger('asid', asid, 0, 65535);
    checkInteger('vmid', vmid, 0, 65535);
    checkInteger('root', root, 0, 2 ** 20 - 1);
    const key = keyOf(asid, vmid, root);
    this.refresh(keyOf(EVERY_ASID, vmid, root));
    this.refresh(key);
    return this.idOf(key);
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
    if (!this.isWhole(id)) {
      const expected = 'a context that is known, with that of its global pages';
      throw new VmError('bad-image', { argument: 'snapshot.context', value: id, expected });
    }
    const before = [...this.users];
    this.beginning = id;
    try {
      return make();
    } catch (error) {
      // What was refused must not keep contexts alive.
      this.users.clear();
      for (const user of before) this.users.add(user);
      throw error;
    } finally {
      this.beginning = null;
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
    return this.numbersOf(id);
  }

  /** The same of any id, those of global pages too, whose ASID means nothing. @internal */
  numbersOf(id: number): Required<TlbContext> {
    const key = this.keys[id]!;
    return { asid: asidOf(key) % EVERY_ASID, vmid: vmidOf(key), root: rootOf(key) };
  }

  /** The id under which the global pages of a context's root are kept. @internal */
  globalOf(id: number): number {
    const key = this.keyOfId(id);
    return this.idOf(keyOf(EVERY_ASID, vmidOf(key), rootOf(key)), [id]);
  }

  /** Whether pages of an id are in reach of a flush, as far as contexts decide. @internal */
  reaches(id: number, scope: FlushScope): boolean {
    const key = this.keys[id]!;
    const root = rootOf(key);
    const vmid = vmidOf(key);
    if (root !== (scope.root ?? root) || root === scope.exceptRoot) return false;
    if (vmid !== (scope.vmid ?? vmid) || vmid === scope.exceptVmid) return false;
    const asid = asidOf(key);
    if (asid === EVERY_ASID) return scope.globals;
    return scope.asid === undefined || scope.asid === asid;
  }

  /** Whether an id is in use. @internal */
  knows(id: number): boolean {
    return this.keys[id]! >= 0;
  }

  /** Whether an id is that of global pages. @internal */
  isGlobal(id: number): boolean {
    return asidOf(this.keys[id]!) === EVERY_ASID;
  }

  /** A cache whose entries carry ids of this table. @internal */
  attach(user: ContextUser): void {
    this.users.add(user);
  }

  /** Whether an id is that of a context whose global pages have an id, too: one that is current somewhere. */
  private isWhole(id: number): boolean {
    const key = Number.isInteger(id) ? (this.keys[id] ?? -1) : -1;
    return key >= 0 && asidOf(key) !== EVERY_ASID && this.withGlobal(id).length === 2;
  }

  private keyOfId(id: number): number {
    const key = Number.isInteger(id) ? this.keys[id] : undefined;
    if (key !== undefined && key >= 0 && asidOf(key) !== EVERY_ASID) return key;
    const expected = 'a context that intern returned, and that is still known';
    throw new VmError('bad-argument', { argument: 'context', value: id, expected });
  }

  /** The id of a key; another may have to give its own away, but not one of those to keep. */
  private idOf(key: number, keep: readonly number[] = []): number {
    const known = this.ids.get(key);
    if (known !== undefined) return known;
    const id = this.ids.size < this.limit ? this.ids.size : this.recycled(keep);
    this.ids.set(key, id);
    this.keys[id] = key;
    return id;
  }

  /** Makes a key the one that was interned last, if it is known. */
  private refresh(key: number): void {
    const id = this.ids.get(key);
    if (id === undefined) return;
    this.ids.delete(key);
    this.ids.set(key, id);
  }

  /** Takes an id away from the context that was interned least recently and is current nowhere. */
  private recycled(keep: readonly number[]): number {
    const used = [...this.users].flatMap(({ context }) => this.withGlobal(context));
    const current = new Set([...used, ...keep]);
    for (const [key, id] of this.ids) {
      if (current.has(id)) continue;
      for (const user of this.users) user.forgetContext(id);
      this.ids.delete(key);
      this.keys[id] = -1;
      return id;
    }
    const expected = `fewer than ${this.limit} contexts that are current at a time`;
    throw new VmError('out-of-range', { argument: 'context', expected });
  }

  private withGlobal(id: number): readonly number[] {
    const key = this.keys[id]!;
    const global = this.ids.get(keyOf(EVERY_ASID, vmidOf(key), rootOf(key)));
    return global === undefined ? [id] : [id, global];
  }
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

function asidOf(key: number): number {
  return key % 2 ** 17;
}

function vmidOf(key: number): number {
  return Math.floor(key / 2 ** 17) % 2 ** 16;
}

function rootOf(key: number): number {
  return Math.floor(key / 2 ** 33);
}
