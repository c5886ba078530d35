import {
  checkBoolean,
  checkInteger,
  checkList,
  checkOptions,
  checkVersion,
  type OptionNames,
  VmError,
  type VmObserver,
} from '../core/index.js';
import type { FrameSource, PhysicalMemory } from '../memory/index.js';
import { mappingOf, type PteFormat } from '../pte/index.js';
import { type IsShared, VISIT_LIMIT } from './copy-operations.js';
import type { TreeOptions } from './entry-tree.js';
import { EVERY_CONTEXT, type Invalidations } from './invalidations.js';
import { type LeafFlags, type LeafOptions, leafFlags } from './leaf-flags.js';
import type { PageSize } from './page-size.js';
import { type PageTableSnapshot, SavedOperations } from './saved-operations.js';
import { TableShape } from './table-shape.js';
import { AS_FOUND, NOT_RELEASED } from './table-tree.js';

/**
 * Options of {@link PageTable}.
 *
 * @public
 */
export interface PageTableOptions {
  /** The format of its entries, whose base page is the unit of page and frame numbers. */
  readonly format: PteFormat;
  /** The memory that holds its tables. */
  readonly memory: PhysicalMemory;
  /** Where frames for its tables come from, in the format's base pages. */
  readonly frames: FrameSource;
  /** The address space, as records of invalidations name it: a PCID, ASID or VMID, 0 to 2^32 - 1. @defaultValue 0 */
  readonly context?: number;
  /**
   * The sizes of page that the machine has, in base pages: some of `pageSizes(format)`, and with each size all
   * smaller ones but those of groups; 1 is always among them. @defaultValue all that the format has
   */
  readonly pageSizes?: readonly number[];
  /** The width of physical addresses, in bits. @defaultValue the format's greatest */
  readonly physicalBits?: number;
  /**
   * AArch64: the level of FEAT_BBM. At level 2 a live entry may change its size without break-before-make; level 1, whose
   * nT bit is not used, counts as 0. @defaultValue 0
   */
  readonly bbm?: 0 | 1 | 2;
  /** RISC-V: Svvptc, with which filling an entry that was not valid owes nothing. @defaultValue false */
  readonly svvptc?: boolean;
  /**
   * Is told of every entry that changes, every table and every invalidation owed. Operations are slower with one.
   * @defaultValue none
   */
  readonly observer?: VmObserver | null;
  /** The frame of a root that is there already: its tables are adopted as they are. @defaultValue a new root */
  readonly root?: number;
  /** The first byte of that root in its frame, where it is smaller than a page (PAE, AArch64). @defaultValue 0 */
  readonly rootOffset?: number;
  /** Whether adopted tables came from `frames`, and go back there when they are given up. @defaultValue false */
  readonly releaseTables?: boolean;
  /** Tables to adopt at most, the root among them; what is beyond counts as foreign. @defaultValue 262144 */
  readonly visitLimit?: number;
}

/**
 * Options of {@link PageTable.restore}: those of the constructor but for what the snapshot says.
 *
 * @public
 */
export interface RestoreOptions
  extends Omit<
    PageTableOptions,
    'context' | 'root' | 'rootOffset' | 'releaseTables' | 'visitLimit'
  > {
  /** The page tables that tables of this one are on loan from. @defaultValue none */
  readonly owners?: readonly PageTable[];
}

/**
 * Options of {@link PageTable.clone}.
 *
 * @public
 */
export interface CloneOptions {
  /** Whether both copies lose the right to write, so that the first write can copy the page. @defaultValue true */
  readonly copyOnWrite?: boolean;
  /** With `copyOnWrite`: the pages that stay writable in both, as shared mappings do. @defaultValue none */
  readonly isShared?: IsShared;
  /** The copy's address space. @defaultValue that of the original */
  readonly context?: number;
  /** The copy's observer. @defaultValue none */
  readonly observer?: VmObserver | null;
}

const OPTIONS: OptionNames<PageTableOptions> = {
  format: true,
  memory: true,
  frames: true,
  context: true,
  pageSizes: true,
  physicalBits: true,
  bbm: true,
  svvptc: true,
  observer: true,
  root: true,
  rootOffset: true,
  releaseTables: true,
  visitLimit: true,
};
const CLONE: OptionNames<CloneOptions> = {
  copyOnWrite: true,
  isShared: true,
  context: true,
  observer: true,
};

const RESTORE: Readonly<Record<string, true>> = { ...OPTIONS, owners: true };

/** Contexts are 32-bit numbers. */
const MAX_CONTEXT = 2 ** 32 - 1;

/**
 * A page table as an operating system builds and edits it, in simulated physical memory: bit for bit what hardware reads.
 *
 * Pages and frames are numbers in units of the format's base page (the granule on AArch64, where walkers count 4 KiB).
 * Operations return numbers: 0 or a frame, or a negative outcome ({@link OUT_OF_FRAMES} and its like). Mistakes throw a
 * `VmError` that names the address and the entry found there. Either way nothing has changed then. Whatever an operation
 * owes to TLBs and walk caches, and the tables that it gives up, go into the {@link Invalidations} that it is handed.
 *
 * Operations on one page concern the whole leaf that maps it, whatever its size; those on ranges split leaves that reach
 * out of the range. Tables that become empty are given up.
 *
 * On RAM in a SharedArrayBuffer entries change by compare-and-exchange of the whole entry, so that no accessed or dirty
 * bit that hardware sets at the same time is lost. Two page tables may not edit the same tables at the same time.
 *
 * @example
 * ```ts
 * import { Access, Prot } from 'pagewright/core';
 * import { FramePool, PhysicalMemory } from 'pagewright/memory';
 * import { Invalidations, PageTable } from 'pagewright/page-table';
 * import { x86Long4 } from 'pagewright/pte';
 * import { X86Walker } from 'pagewright/walk';
 *
 * const memory = PhysicalMemory.allocate(64 * 4096, { base: 0 });
 * const frames = new FramePool({ first: 1, frames: 63 });
 * const table = new PageTable({ format: x86Long4, memory, frames });
 * const owed = new Invalidations({ frames });
 *
 * const flags = table.flags({ prot: Prot.Read | Prot.Write | Prot.User });
 * table.map(0x7f01_9930_7, 0x1234, flags, owed); // => 0
 * owed.isEmpty; // => true
 * table.lookup(0x7f01_9930_7); // => 0x1234
 *
 * const walker = new X86Walker({ memory, cr3: table.root * 4096 });
 * walker.walk(0x7f01_9930_7, Access.Write | Access.User); // => 0x1234
 *
 * table.unmap(0x7f01_9930_7, owed); // => 0x1234
 * owed.invalidations().map((i) => [i.vpn, i.pages, i.intermediate]); // => [[0x7f0199307, 1, true]]
 * owed.releasedCount; // => 3
 * owed.complete();
 * frames.free; // => 62
 * ```
 * @public
 */
export class PageTable extends SavedOperations {
  /** The format of its entries. */
  readonly format: PteFormat;
  /** The sizes of page that may be mapped, smallest first. */
  readonly sizes: readonly PageSize[];
  private readonly options: PageTableOptions;

  /**
   * Makes an empty page table, or with `root` adopts the one that is there: O(entries of all tables). What can't be a
   * table of its own among adopted ones (no memory, met before, too many) becomes a foreign range: passed over, never
   * changed, never given up.
   *
   * @param options - See {@link PageTableOptions}.
   * @throws `VmError` `bad-argument` or `out-of-range` for options that are none, a root that is not in memory, and a
   * source without a frame for the root; `unsupported` for a format that does not say how its entries are written.
   *
   * @example
   * ```ts
   * import { FramePool, PhysicalMemory } from 'pagewright/memory';
   * import { PageTable } from 'pagewright/page-table';
   * import { sv39 } from 'pagewright/pte';
   *
   * // A guest's table: a root at 0x80000000 with one gigapage.
   * const memory = PhysicalMemory.allocate(0x10000, { base: 0x8000_0000 });
   * memory.write(0x8000_0010n, 8, 0x2000_00cfn);
   * const frames = new FramePool({ first: 0x80008, frames: 8 });
   * const guest = new PageTable({ format: sv39, memory, frames, root: 0x80000 });
   * [...guest.entries()].map((e) => [e.vpn, e.pfn, e.pages]); // => [[0x80000, 0x80000, 0x40000]]
   * ```
   */
  constructor(options: PageTableOptions) {
    checkOptions('', options, OPTIONS);
    super(treeOptions(options));
    this.format = options.format;
    this.sizes = this.shape.sizes;
    this.options = options;
    if (options.root === undefined) this.makeRoot();
    else this.adoptRoot(options.root);
  }

  /**
   * Brings a saved page table back, on tables that are in the memory already.
   *
   * @param snapshot - What `snapshot` returned.
   * @param options - The memory, the source of frames and the rest.
   * @returns A page table that does what the saved one would have done.
   * @throws `VmError` `unsupported` for another version; `bad-image` when the snapshot and the tables in memory don't
   * agree; `bad-argument` when an owner is missing.
   *
   * @example
   * ```ts
   * import { Prot } from 'pagewright/core';
   * import { FramePool, PhysicalMemory } from 'pagewright/memory';
   * import { Invalidations, PageTable } from 'pagewright/page-table';
   * import { sv39 } from 'pagewright/pte';
   *
   * const memory = PhysicalMemory.allocate(16 * 4096, { base: 0 });
   * const frames = new FramePool({ first: 0, frames: 16 });
   * const table = new PageTable({ format: sv39, memory, frames });
   * table.map(0x10, 0x99, table.flags({ prot: Prot.Read }), new Invalidations({ frames }));
   *
   * const saved = JSON.stringify(table.snapshot());
   * const again = PageTable.restore(JSON.parse(saved), {
   *   format: sv39,
   *   memory: PhysicalMemory.restore(memory.snapshot()),
   *   frames: FramePool.restore(frames.snapshot()),
   * });
   * again.lookup(0x10); // => 0x99
   * ```
   */
  static restore(snapshot: PageTableSnapshot, options: RestoreOptions): PageTable {
    checkOptions('', options, RESTORE);
    const { owners = [], ...rest } = options;
    checkVersion(snapshot, 1, 'page-table');
    const { rootOffset } = snapshot;
    const root = checkInteger('snapshot.root', snapshot.root, 0, Number.MAX_SAFE_INTEGER);
    const context = checkInteger('snapshot.context', snapshot.context, 0, MAX_CONTEXT);
    // Adopts the root alone, before the snapshot says what is below it.
    const own = { root, rootOffset, context, visitLimit: 0 };
    const table = new PageTable({ ...rest, ...own });
    table.forgetTables();
    table.foreign.clear();
    let restored = false;
    try {
      checkList('owners', owners);
      table.restoreFrom(snapshot, owners);
      restored = true;
    } finally {
      if (!restored) table.endLoans();
    }
    if (snapshot.everyContext !== false) table.owedContext = EVERY_CONTEXT;
    return table;
  }

  /**
   * Works out what leaves are to say; see {@link leafFlags}.
   *
   * @param options - Rights, and the rest.
   * @returns Flags for `map` and its like.
   * @throws `VmError` as {@link leafFlags}.
   */
  flags(options: LeafOptions): LeafFlags {
    return leafFlags(this.format, options);
  }

  /**
   * Copies the page table: all tables, with the same leaves and software entries. With copy-on-write, leaves that may be
   * written lose that right in both copies; counting who has a frame is the caller's, in a pass over `entries`. What is
   * shared with an owner is shared with the copy, a recursive entry points at the copy's root, and adopted entries that
   * lead nowhere sound are left out.
   *
   * @param options - See {@link CloneOptions}.
   * @param owed - What the original owes for the rights that it lost.
   * @returns The copy, or `null` when there are not enough frames: then nothing changed. O(entries of all tables).
   * @throws `VmError` `unsupported` for copy-on-write in a format whose leaves can always be written, `bad-argument` or
   * `out-of-range` for options that are none; and whatever `isShared` throws. Nothing changed then.
   *
   * @example
   * ```ts
   * import { Prot } from 'pagewright/core';
   * import { FramePool, PhysicalMemory } from 'pagewright/memory';
   * import { Invalidations, PageTable } from 'pagewright/page-table';
   * import { sv39 } from 'pagewright/pte';
   *
   * const memory = PhysicalMemory.allocate(64 * 4096, { base: 0 });
   * const frames = new FramePool({ first: 0, frames: 64 });
   * const parent = new PageTable({ format: sv39, memory, frames, context: 1 });
   * const owed = new Invalidations({ frames });
   * parent.map(0x100, 0x40, parent.flags({ prot: Prot.Read | Prot.Write | Prot.User }), owed);
   * owed.complete();
   *
   * const child = parent.clone({ context: 2 }, owed);
   * child?.describe(0x10_0000).prot; // => Prot.Read | Prot.User
   * parent.describe(0x10_0000).prot; // => Prot.Read | Prot.User
   * owed.invalidations().map((i) => i.context); // => [1]
   * ```
   */
  clone(options: CloneOptions, owed: Invalidations): PageTable | null {
    checkOptions('', options, CLONE);
    this.begin(owed);
    const { copyOnWrite = true, isShared = null, observer = null } = options;
    const context = checkInteger('context', options.context ?? this.context, 0, MAX_CONTEXT);
    if (copyOnWrite && !this.canWriteProtect()) {
      const expected = 'a format that can take the right to write away';
      throw new VmError('unsupported', { argument: 'format', value: this.format.name, expected });
    }
    checkObserver(observer);
    checkBoolean('copyOnWrite', copyOnWrite);
    // Whatever the caller's function does, nothing has been touched yet.
    const shared = copyOnWrite && isShared !== null ? this.askShared(isShared) : null;
    this.begin(owed);
    const root = this.reserveRoot();
    if (root < 0) return null;
    const { visitLimit: _, ...rest } = this.options;
    const own = { root, rootOffset: 0, releaseTables: true, context, observer };
    const target = new PageTable({ ...rest, ...own });
    let copied = false;
    try {
      copied = this.copyInto({ target, owed, copyOnWrite, shared });
    } finally {
      // Also when the source hands out what can't be a table.
      if (!copied) target.abandonTables();
    }
    return copied ? target : null;
  }

  /** The first pages of the leaves that are to stay writable. */
  private askShared(isShared: IsShared): ReadonlySet<number> {
    if (typeof isShared !== 'function') {
      const expected = 'a function';
      throw new VmError('bad-argument', { argument: 'isShared', value: isShared, expected });
    }
    const shared = new Set<number>();
    for (const cursor = this.entries({ shared: false }); cursor.advance(); ) {
      if (cursor.pfn >= 0 && isShared(cursor.vpn, cursor.pages)) shared.add(cursor.vpn);
    }
    return shared;
  }

  private makeRoot(): void {
    const root = this.reserveRoot();
    if (root < 0) {
      const expected = 'a source with a frame for the root';
      throw new VmError('out-of-range', { argument: 'frames', value: root, expected });
    }
    this.rootPfn = root;
    this.own(root, this.shape.top);
    this.bindWindow();
    this.tell({ type: 'table-allocate', level: this.shape.top, tablePfn: root });
  }

  private adoptRoot(root: number): void {
    const { format, tableFrameEnd, top } = this.shape;
    const { releaseTables = false, rootOffset = 0, visitLimit = VISIT_LIMIT } = this.options;
    checkBoolean('releaseTables', releaseTables);
    this.rootPfn = checkInteger('root', root, 0, tableFrameEnd - 1);
    const bytes = this.shape.entries[top]! * format.entryBytes;
    const last = Math.max(0, 2 ** format.pageShift - bytes);
    this.rootOffset = checkInteger('rootOffset', rootOffset, 0, last);
    const frames = this.shape.tablePages[top]!;
    if (root % frames !== 0) {
      const expected = `a multiple of the ${frames} frames that the root takes`;
      throw new VmError('misaligned', { argument: 'root', value: root, expected });
    }
    if (rootOffset % Math.min(bytes, 2 ** format.pageShift) !== 0) {
      const expected = `a multiple of the root's ${bytes} bytes`;
      throw new VmError('misaligned', { argument: 'rootOffset', value: rootOffset, expected });
    }
    checkInteger('visitLimit', visitLimit, 0, Number.MAX_SAFE_INTEGER);
    this.hasFoundTables = true;
    this.bindWindow();
    this.adoptTables(visitLimit, releaseTables ? AS_FOUND : AS_FOUND | NOT_RELEASED);
  }
}

function checkObserver(observer: VmObserver | null): void {
  if (observer === null || typeof observer === 'function') return;
  const expected = 'a function, or null';
  throw new VmError('bad-argument', { argument: 'observer', value: observer, expected });
}

/** What the tree is told of the options. */
function treeOptions(options: PageTableOptions): TreeOptions {
  const { bbm = 0, context = 0, format, frames, memory, observer = null, svvptc = false } = options;
  const bits = mappingOf(format);
  if (bbm !== 0 && bbm !== 1 && bbm !== 2) {
    throw new VmError('bad-argument', { argument: 'bbm', value: bbm, expected: '0, 1 or 2' });
  }
  checkObserver(observer);
  checkBoolean('svvptc', svvptc);
  return {
    memory,
    frames,
    shape: new TableShape(format, options.pageSizes, options.physicalBits),
    context: checkInteger('context', context, 0, MAX_CONTEXT),
    fillOwes: svvptc && format.architecture === 'riscv' ? 0 : bits.fillOwes,
    resizeBreaks: bits.breakBeforeMake && bbm < 2,
    observer,
  };
}
