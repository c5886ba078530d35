import { addressFromVpn, bigintFromWords, checkInteger, type Plain, plain } from '../core/index.js';
import type { PteFormat } from '../pte/index.js';
import { MAX_LEVELS } from './path.js';
import type { LeafAttributes } from './report.js';
import { LEAF, type RadixWalker, ROOT_RIGHTS, SKIP } from './walker.js';

/**
 * Tables visited before an enumeration stops: enough for 512 GiB in 4 KiB pages. Seconds at the very most, since a large
 * table counts for as many as it is worth: see {@link visitsOf}.
 */
const VISIT_LIMIT = 2 ** 18;

/** Entries for which a table counts once: a format of one's own may have tables of 2^26 entries, and none need be memory. */
const ENTRIES_A_VISIT = 512;

/** What a table of so many entries counts for, where tables visited are limited. */
export function visitsOf(entries: number): number {
  return Math.max(1, Math.floor(entries / ENTRIES_A_VISIT));
}

// The optimiser knows a module's own constants, and reads imported ones at every use.
const NOTHING = SKIP;
const PAGE = LEAF;

/** A place above the root of the deepest format. */
const PLACES = MAX_LEVELS + 1;

/** More than any table holds: the index from which nothing is sign-extended in formats that never are. */
const NEVER = 2 ** 30;

/**
 * How to enumerate.
 *
 * @public
 */
export interface MappingsOptions {
  /**
   * Tables to visit at most, counting a table again each time another path reaches it: a top-level table that refers to
   * itself has 512^4 paths. A table of more than 512 entries counts once for every 512 of them. @defaultValue 262144
   */
  readonly visitLimit?: number;
}

/**
 * One leaf, as plain data.
 *
 * @public
 */
export interface Mapping extends LeafAttributes {
  /** The tag. */
  readonly type: 'mapping';
  /** The first virtual address. */
  readonly va: bigint;
  /** The first physical address; of a guest under a second stage, the guest-physical one. */
  readonly pa: bigint;
  /** Base pages that the entry maps. */
  readonly pages: number;
  /** The leaf's level. */
  readonly level: number;
  /** The effective rights, all entries on the way taken together, as `Prot` bits. */
  readonly prot: number;
  /** The entry's physical address, or guest-physical one. */
  readonly entry: bigint;
  /** The entry. */
  readonly raw: bigint;
}

/**
 * Enumerates the leaves under a walker's root in the order of their addresses, without side effects.
 *
 * Hot form: `while (cursor.advance()) use(cursor.vpn, cursor.pfn)`; the fields describe one leaf until the next call,
 * nothing is allocated. Friendly form: `for (const mapping of cursor)`. Entries that fault every access (reserved bits,
 * misaligned superpages, tables outside memory) are passed over; physical memory protection is not asked. Tables are
 * read while the cursor moves, those in devices too. Of a guest under a second stage the leaves are the guest's own, with
 * guest-physical frames; tables that the second stage does not let it read are passed over.
 *
 * @public
 */
export class LeafCursor {
  /** The first page of the leaf. */
  vpn = 0;
  /** The first frame. */
  pfn = 0;
  /** Base pages that the entry maps. */
  pages = 1;
  /** The leaf's level. */
  level = 0;
  /** Bits 31:0 of the entry. */
  low = 0;
  /** Bits 63:32. */
  high = 0;
  /** Tables visited so far. */
  visits = 0;
  /** The page at which the visit limit stopped the enumeration, or -1. */
  stoppedAtVpn = -1;

  /** What all entries leave: `prot`, and whether an entry above makes the leaf global. */
  private leafRights = 0;
  private readonly walker: RadixWalker;
  private readonly visitLimit: number;
  /** Of the present root: its number and level, the index from which pages are sign-extended, and what that adds. */
  private slot = -1;
  private top = -1;
  private signIndex = NEVER;
  private signExtension = 0;
  /** The table that the cursor is in: its level, ... */
  private depth: number;
  /** ... its frame and its first byte there, ... */
  private table = 0;
  private byte = 0;
  /** ... how many entries it has, ... */
  private entries = 0;
  /** ... the entry to read next, ... */
  private nextIndex = 0;
  /** ... the first page, the rights so far, and the pages that an entry maps. */
  private base = 0;
  private rights = 0;
  private entryPages = 1;
  /** The same of the tables above it, by level. */
  private readonly tables: Float64Array = new Float64Array(PLACES);
  private readonly nextIndexes: Int32Array = new Int32Array(PLACES);
  private readonly bytes: Float64Array = new Float64Array(PLACES);
  private readonly bases: Float64Array = new Float64Array(PLACES);
  private readonly rightsAt: Int32Array = new Int32Array(PLACES);
  /** By level: the pages that an entry maps, and the entries of a table. */
  private readonly pagesAt: Float64Array = new Float64Array(PLACES);
  private readonly entriesAt: Int32Array = new Int32Array(PLACES);
  private nextRoot = 0;
  /** What the tables visited so far count for. */
  private spent = 0;

  /**
   * @param walker - Whose root and rules apply; changing its registers meanwhile leaves the cursor undefined.
   * @param options - The visit limit.
   */
  constructor(walker: RadixWalker, options: MappingsOptions = {}) {
    const { visitLimit = VISIT_LIMIT } = options;
    this.visitLimit = checkInteger('visitLimit', visitLimit, 0, Number.MAX_SAFE_INTEGER);
    this.walker = walker;
    this.depth = 0;
  }

  /** The effective rights, as `Prot` bits. */
  get prot(): number {
    return this.walker.protOf(this.leafRights);
  }

  /** The virtual address at which the visit limit stopped the enumeration, or `null`. */
  get stoppedAt(): bigint | null {
    return this.stoppedAtVpn < 0
      ? null
      : addressFromVpn(this.stoppedAtVpn, 0, this.walker.pageShift);
  }

  /**
   * Moves to the next leaf.
   *
   * @returns `false` when there is none, or the visit limit is reached (`stoppedAt` tells where). O(1) a leaf in full
   * tables; an empty entry costs about a nanosecond.
   */
  advance(): boolean {
    const { walker } = this;
    for (;;) {
      const level = this.depth;
      if (level > this.top) {
        if (this.enterRoot()) continue;
        return false;
      }
      const { byte, entries, nextIndex, slot, table } = this;
      const index = walker.findPresent(slot, table, byte, nextIndex, entries);
      if (index < 0) {
        this.leave();
        continue;
      }
      this.nextIndex = index + 1;
      const low = walker.foundLow;
      const high = walker.foundHigh;
      const kind = walker.classify(low, high, level);
      if (kind === NOTHING) continue;
      let vpn = this.base + index * this.entryPages;
      if (level === this.top && index >= this.signIndex) vpn += this.signExtension;
      const rights = this.rights & walker.entryProt(low, high, kind === PAGE);
      if (kind === PAGE) {
        this.vpn = vpn;
        this.pfn = walker.frameFor(low, high, level, vpn);
        this.pages = this.entryPages;
        this.level = level;
        this.low = low;
        this.high = high;
        this.leafRights = rights;
        return true;
      }
      const frame = walker.tableFrame(low, high);
      if (!this.enter(level - 1, frame, walker.tableByte(low, high), vpn, rights)) return false;
    }
  }

  /**
   * The remaining leaves as objects.
   *
   * @returns An iterator over plain data.
   */
  *[Symbol.iterator](): Generator<Plain<Mapping>, void, undefined> {
    while (this.advance()) yield this.mapping();
  }

  /**
   * The current leaf as an object.
   *
   * @returns Plain data.
   */
  mapping(): Plain<Mapping> {
    const { high, level, low, pages, pfn, prot, vpn, walker } = this;
    const { pageShift } = walker;
    // A walk meanwhile may have left the walker at another root.
    walker.useRoot(this.slot);
    const entry = this.byte + (this.nextIndex - 1) * 2 ** walker.entryShift;
    return plain<Mapping>({
      type: 'mapping',
      va: addressFromVpn(vpn, 0, pageShift),
      pa: addressFromVpn(pfn, 0, pageShift),
      pages,
      level,
      prot,
      entry: addressFromVpn(this.table, 0, pageShift) + BigInt(entry),
      raw: BigInt.asUintN(8 << walker.entryShift, bigintFromWords(low, high)),
      ...walker.leafAttributes(low, high, level, this.leafRights),
    });
  }

  private enterRoot(): boolean {
    const { walker } = this;
    while (this.nextRoot < walker.rootCount) {
      const slot = this.nextRoot++;
      const root = walker.rootAt(slot);
      if (root < 0) continue;
      this.slot = slot;
      this.top = walker.rootLevel(slot);
      this.depth = this.top + 1;
      walker.useRoot(slot);
      this.useFormat(walker.rootFormat(slot)!);
      return this.enter(this.top, root, walker.rootByte(slot), walker.rootBase(slot), ROOT_RIGHTS);
    }
    return false;
  }

  /** The shape of the tables below a root. */
  private useFormat(format: PteFormat): void {
    const { pageShift } = this.walker;
    for (let level = 0; level <= this.top; level++) {
      this.pagesAt[level] = 2 ** (format.indexShift[level]! - pageShift);
      this.entriesAt[level] = 2 ** format.indexBits[level]!;
    }
    const rootEntries = this.entriesAt[this.top]!;
    this.signIndex = format.signExtended ? rootEntries / 2 : NEVER;
    this.signExtension = 2 ** (64 - pageShift) - rootEntries * this.pagesAt[this.top]!;
  }

  /** Goes down into a table, unless the visit limit is reached: then everything ends here. */
  private enter(level: number, table: number, byte: number, base: number, rights: number): boolean {
    if (this.spent >= this.visitLimit) {
      this.stoppedAtVpn = base;
      this.nextRoot = NEVER;
      this.depth = this.top + 1;
      return false;
    }
    this.visits++;
    this.tables[this.depth] = this.table;
    this.bytes[this.depth] = this.byte;
    this.nextIndexes[this.depth] = this.nextIndex;
    this.bases[this.depth] = this.base;
    this.rightsAt[this.depth] = this.rights;
    this.depth = level;
    this.table = table;
    this.nextIndex = 0;
    this.base = base;
    this.rights = rights;
    this.byte = byte;
    this.entryPages = this.pagesAt[level]!;
    this.entries = this.entriesAt[level]!;
    this.spent += visitsOf(this.entries);
    return true;
  }

  /** Goes back up to the table above. */
  private leave(): void {
    const level = this.depth + 1;
    this.depth = level;
    if (level > this.top) return;
    this.table = this.tables[level]!;
    this.byte = this.bytes[level]!;
    this.nextIndex = this.nextIndexes[level]!;
    this.base = this.bases[level]!;
    this.rights = this.rightsAt[level]!;
    this.entryPages = this.pagesAt[level]!;
    this.entries = this.entriesAt[level]!;
  }
}

/**
 * All leaves under a walker's root, in the order of their addresses.
 *
 * @param walker - Whose root and rules apply.
 * @param options - How many tables to visit at most.
 * @returns A cursor: iterate it for objects, or `advance()` it in a hot loop.
 *
 * @example
 * ```ts
 * import { PhysicalMemory } from 'pagewright/memory';
 * import { mappings, X86Walker } from 'pagewright/walk';
 *
 * const memory = PhysicalMemory.allocate(0x3000, { base: 0 });
 * memory.write(0x0, 4, 0x1003); // a page directory of 32-bit paging: one page table ...
 * memory.write(0x4, 4, 0x0080_0083); // ... and one 4 MiB page
 * memory.write(0x1008, 4, 0x7001);
 * const walker = new X86Walker({ memory, cr0: 0x8001_0001, cr3: 0, cr4: 0x10, efer: 0 });
 *
 * [...mappings(walker)].map((m) => [m.va, m.pa, m.pages]); // => [[0x2000n, 0x7000n, 1], [0x400000n, 0x800000n, 1024]]
 * ```
 * @public
 */
export function mappings(walker: RadixWalker, options: MappingsOptions = {}): LeafCursor {
  return new LeafCursor(walker, options);
}
