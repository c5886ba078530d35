import { Access, checkInteger, checkOptions, checkVersion, Prot, VmError } from '../core/index.js';
import { BUS_ERROR } from '../memory/index.js';
import { definePteFormat, PteFormat, type PteRoles, type WordMask } from '../pte/index.js';
import { ACCESS_END, type Demands, NEVER, tabulate } from './demands.js';
import { UPDATE_ATTEMPTS } from './entry-access.js';
import { WalkFault } from './fault.js';
import {
  checkPolicy,
  DEFAULT_POLICY,
  FORMAT_POLICY,
  FORMAT_WALKER_OPTIONS,
  type FormatPolicy,
  type FormatWalkerOptions,
  type FormatWalkerSnapshot,
} from './format-options.js';
import { FORMAT_RULES, isStore, rightsRule } from './format-rules.js';
import type { KeptLeaf } from './kept-leaf.js';
import type { WalkRule } from './rule.js';
import { LEAF, LOCAL, NO_LEAF, POINTER, RadixWalker, ROOT_RIGHTS, SKIP } from './walker.js';

/** An entry was no longer what had been read; beside frame numbers and faults. */
const CHANGED = Number.NEGATIVE_INFINITY;

/**
 * The page walk of a format of your own. `vpn` and the frames that it returns count the format's pages, which may be as
 * small as 16 bytes; everything else is as with the walkers of real architectures. Only second stages are not for it: it
 * takes none, and is none for another walker.
 *
 * @example
 * ```ts
 * import { Access } from 'pagewright/core';
 * import { PhysicalMemory } from 'pagewright/memory';
 * import { definePteFormat } from 'pagewright/pte';
 * import { FormatWalker } from 'pagewright/walk';
 *
 * const format = definePteFormat({
 *   name: 'two levels of 32-byte pages',
 *   pageBytes: 32,
 *   entryBytes: 1,
 *   levels: [{ bits: 5 }, { bits: 5 }],
 *   bits: { valid: 7, frame: [6, 0] },
 * });
 * const memory = PhysicalMemory.allocate(0x1000, { base: 0 });
 * memory.write(108 * 32 + 24, 1, 0x80 | 33); // entry 24 of the root, in page 108: the table in page 33
 * memory.write(33 * 32 + 11, 1, 0x80 | 53);
 *
 * const walker = new FormatWalker({ memory, format, root: 108 });
 * walker.translate(0x616c, Access.Read).kind; // => 'page'
 * walker.walk(0x616c >> 5, Access.Read); // => 53
 * ```
 * @public
 */
export class FormatWalker extends RadixWalker {
  override readonly fault: WalkFault = new WalkFault(FORMAT_RULES.invalid);
  private readonly shape: PteFormat;
  private readonly roles: PteRoles;
  private readonly root: number;
  private machine: Required<FormatPolicy>;
  /** What accesses demand under the policy; made when somebody asks. */
  private demands: Demands | null = null;

  /**
   * @param options - Memory, format, root and what the machine does.
   * @throws `VmError` for a missing or unknown option, a format that `definePteFormat` did not make, a root out of range.
   */
  constructor(options: FormatWalkerOptions) {
    checkOptions('', options, FORMAT_WALKER_OPTIONS);
    const { format } = options;
    if (!(format instanceof PteFormat) || format.roles === null) {
      const expected = 'a format that definePteFormat made';
      throw new VmError('bad-argument', { argument: 'format', value: format, expected });
    }
    super(options.memory, FORMAT_RULES.translated, null, format.pageShift);
    this.shape = format;
    this.roles = format.roles;
    this.fault.pageShift = format.pageShift;
    this.useShape(format);
    const end = Math.min(2 ** 53, 2 ** (64 - format.pageShift));
    this.root = checkInteger('root', options.root, 0, end - 1);
    this.machine = checkPolicy(options, DEFAULT_POLICY);
    this.observer = options.observer ?? null;
  }

  /**
   * The walker of a snapshot.
   *
   * @param snapshot - What `snapshot` returned.
   * @param options - The memory, and an observer if you want one.
   * @returns A walker that answers as the saved one did.
   * @throws `VmError` `unsupported` for another version, `bad-image` for the snapshot of something else; otherwise as the
   * constructor and `definePteFormat`.
   */
  static restore(
    snapshot: FormatWalkerSnapshot,
    options: Pick<FormatWalkerOptions, 'memory' | 'observer'>,
  ): FormatWalker {
    checkVersion(snapshot, 1, 'format-walker');
    const { description, type: _, v: __, ...rest } = snapshot;
    return new FormatWalker({ ...rest, ...options, format: definePteFormat(description) });
  }

  protected override twin(): FormatWalker {
    return FormatWalker.restore(this.snapshot(), { memory: this.memory });
  }

  /**
   * Everything but the memory; `FormatWalker.restore` makes the same walker of it.
   *
   * @returns Plain data, versioned.
   */
  snapshot(): FormatWalkerSnapshot {
    const { machine, roles, root } = this;
    return { v: 1, type: 'format-walker', description: roles.description, root, ...machine };
  }

  /** What the machine does where the format leaves it open. */
  get policy(): Required<FormatPolicy> {
    return this.machine;
  }

  /**
   * Changes the policy, for the accesses that follow.
   *
   * @param changes - What changes; the rest stays.
   * @throws `VmError` as the constructor; then nothing has changed.
   */
  setPolicy(changes: FormatPolicy): void {
    checkOptions('', changes, FORMAT_POLICY, 'changes');
    this.machine = checkPolicy(changes, this.machine);
    this.demands = null;
    this.changed('rights');
  }

  override get format(): PteFormat {
    return this.shape;
  }

  override rootAt(_slot: number): number {
    return this.root;
  }

  override demandTable(): Int32Array {
    const { byRow } = this.tabulated();
    return Int32Array.from({ length: ACCESS_END }, (_, access) => byRow[access] ?? NEVER);
  }

  override keepLeaf(leaf: KeptLeaf, access: number, _pfn: number): void {
    const rights = this.leafRights();
    const { dirty } = this.roles;
    const clean = dirty !== 0 && (this.leafLow & dirty) === 0 && !isStore(access);
    leaf.order = this.keptOrder();
    leaf.grants = this.tabulated().grants[(rights & 15) | (clean ? 0 : 16)]!;
    leaf.global = (rights & LOCAL) === 0;
    leaf.memoryType = 0;
  }

  /** By access; an entry is its `Prot` bits, and whether nothing is left to set for a store. */
  private tabulated(): Demands {
    const { machine, roles } = this;
    this.demands ??= tabulate(64, 32, (access, entry) => {
      const known = (access & ~(3 | Access.User | Access.ReadModifyWrite)) === 0;
      if (!known || (access & 3) === 3 || (isStore(access) && entry < 16)) return false;
      return rightsRule(machine, access, entry & 15, !isNone(roles.user)) === null;
    });
    return this.demands;
  }

  protected override complete(
    vpn: number,
    access: number,
    offset: number,
    _bytes: number,
    update: boolean,
  ): number {
    this.leafShift = NO_LEAF;
    this.leafLow = 0;
    this.leafHigh = 0;
    for (let attempt = 0; attempt < UPDATE_ATTEMPTS; attempt++) {
      this.path.begin(this.shape, this.top, this.root);
      if (!this.isInside(vpn)) {
        return this.refuse(FORMAT_RULES.outOfRange, this.top, vpn, access, offset);
      }
      const result = this.descend(vpn, access, offset, update);
      if (result !== CHANGED) return result;
    }
    return this.refuse(FORMAT_RULES.contended, this.top, vpn, access, offset);
  }

  /** Whether a page number is one of the format's. */
  private isInside(vpn: number): boolean {
    const { pageShift, signExtended, virtualBits } = this.shape;
    const pages = 2 ** (virtualBits - pageShift);
    if (!signExtended) return vpn < pages;
    return vpn < pages / 2 || vpn >= 2 ** (64 - pageShift) - pages / 2;
  }

  private descend(vpn: number, access: number, offset: number, update: boolean): number {
    const { memory, path, shape } = this;
    let table = this.root;
    let rights = ROOT_RIGHTS;
    for (let level = this.top; ; level--) {
      const index = this.indexAt(vpn, level);
      this.locate(level, table, index * shape.entryBytes, update);
      if (this.readEntry(level) === BUS_ERROR) {
        return this.refuse(FORMAT_RULES.tableMissing, level, vpn, access, offset);
      }
      const { high, low } = memory;
      path.enter(level, table, index, low, high);
      if (!shape.isPresent(low, high, level)) {
        return this.refuse(FORMAT_RULES.invalid, level, vpn, access, offset);
      }
      const leaf = shape.isLeaf(low, high, level);
      const wrong = this.mistake(low, high, level, leaf);
      if (wrong !== null) return this.refuse(wrong, level, vpn, access, offset);
      rights &= this.entryProt(low, high, leaf);
      if (leaf) return this.finish(vpn, access, offset, level, rights, update);
      if (this.machine.accessedOnFault && this.machine.updates === 'hardware') {
        const outcome = this.mark(
          level,
          this.roles.pointerAccessed ? this.roles.accessed : 0,
          update,
        );
        if (outcome === 0) return CHANGED;
        if (outcome < 0) return this.refuse(FORMAT_RULES.updateMissing, level, vpn, access, offset);
      }
      table = shape.tablePfn(low, high);
    }
  }

  /** What is wrong with a valid entry by itself, or `null`. */
  private mistake(low: number, high: number, level: number, leaf: boolean): WalkRule | null {
    const { roles, shape } = this;
    const reserved = leaf ? roles.reservedInLeaves[level]! : roles.reservedInPointers[level]!;
    if (has(low, high, reserved)) return FORMAT_RULES.reservedBits;
    if (!leaf) return level === 0 ? FORMAT_RULES.noLeaf : null;
    const readOrWrite = this.entryProt(low, high, true) & (Prot.Read | Prot.Write);
    if (roles.writeOnlyReserved && readOrWrite === Prot.Write) return FORMAT_RULES.writeOnly;
    const misaligned = shape.leafPfn(low, high, level) !== shape.tablePfn(low, high);
    return roles.alignedLeaves && misaligned ? FORMAT_RULES.misaligned : null;
  }

  private finish(
    vpn: number,
    access: number,
    offset: number,
    level: number,
    rights: number,
    update: boolean,
  ): number {
    const { path, roles } = this;
    const store = isStore(access);
    const refusal = rightsRule(this.machine, access, rights, !isNone(roles.user));
    if (refusal !== null) return this.refuse(refusal, level, vpn, access, offset);
    for (let above = this.top; above >= level; above--) {
      const due = this.due(above, level, store) & ~path.low[above]!;
      if (due !== 0 && this.machine.updates === 'software') {
        const accessed = (due & roles.accessed) !== 0;
        const rule = accessed ? FORMAT_RULES.accessedClear : FORMAT_RULES.dirtyClear;
        return this.refuse(rule, above, vpn, access, offset);
      }
      const outcome = this.mark(above, due, update);
      if (outcome === 0) return CHANGED;
      if (outcome < 0) return this.refuse(FORMAT_RULES.updateMissing, above, vpn, access, offset);
    }
    return this.arrive(FORMAT_RULES.translated, vpn, rights);
  }

  /** Sets bits that an entry of the path lacks; 1, 0 or `BUS_ERROR` as `setBits` has it. */
  private mark(level: number, bits: number, update: boolean): number {
    const { path, roles } = this;
    const missing = bits & ~path.low[level]! & ~path.set[level]!;
    if (missing === 0) return 1;
    if (update) {
      const outcome = this.setBits(level, missing, roles.accessed | roles.dirty);
      if (outcome !== 1) return outcome;
    }
    path.set[level] = path.set[level]! | missing;
    return 1;
  }

  /** Accessed and dirty bits that an entry of the path should have. */
  private due(above: number, leafLevel: number, write: boolean): number {
    const { accessed, dirty, pointerAccessed } = this.roles;
    if (above > leafLevel) return pointerAccessed ? accessed : 0;
    return accessed | (write ? dirty : 0);
  }

  override classify(low: number, high: number, level: number): number {
    const { shape } = this;
    if (!shape.isPresent(low, high, level)) return SKIP;
    const leaf = shape.isLeaf(low, high, level);
    if (this.mistake(low, high, level, leaf) !== null) return SKIP;
    return leaf ? LEAF : POINTER;
  }

  override entryProt(low: number, high: number, leaf: boolean): number {
    const { roles } = this;
    if (!leaf && !roles.pointerRights) return ROOT_RIGHTS;
    const grants = (mask: WordMask): boolean =>
      isNone(mask) || has(low ^ roles.flip.low, high ^ roles.flip.high, mask);
    const local = leaf && has(low, high, roles.global) ? 0 : LOCAL;
    return (
      (grants(roles.read) ? Prot.Read : 0) |
      (grants(roles.write) ? Prot.Write : 0) |
      (grants(roles.execute) ? Prot.Execute : 0) |
      (grants(roles.user) ? Prot.User : 0) |
      local
    );
  }
}

function has(low: number, high: number, mask: WordMask): boolean {
  return ((low & mask.low) | (high & mask.high)) !== 0;
}

function isNone(mask: WordMask): boolean {
  return (mask.low | mask.high) === 0;
}
