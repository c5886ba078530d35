import { addressFromVpn, checkInteger, type Plain, plain } from '../core/index.js';
import type { PteFormat } from '../pte/index.js';
import { visitsOf } from './leaf-cursor.js';
import type { LeafAttributes } from './report.js';
import { LEAF, type RadixWalker, ROOT_RIGHTS, SKIP } from './walker.js';

/** Tables visited, and ranges collected, before the merging stops. */
const VISIT_LIMIT = 2 ** 18;
const RANGE_LIMIT = 2 ** 20;

/** A range whose frames do not follow one another. */
const SCATTERED = -1;

/**
 * How to merge.
 *
 * @public
 */
export interface MergedMappingsOptions {
  /** Whether a range also ends where the frames stop following one another. @defaultValue false */
  readonly contiguous?: boolean;
  /**
   * Tables to visit at most; each (table, level, inherited rights) is visited once. A table of more than 512 entries
   * counts once for every 512 of them. @defaultValue 262144
   */
  readonly visitLimit?: number;
  /** Ranges to collect at most, those of subtrees included. @defaultValue 1048576 */
  readonly rangeLimit?: number;
}

/**
 * Neighbouring leaves of equal size, rights and attributes.
 *
 * @public
 */
export interface MappedRange extends LeafAttributes {
  /** The first virtual address. */
  readonly va: bigint;
  /** The end, exclusive: 2^64 for the last byte of the space. */
  readonly end: bigint;
  /** Base pages in the range. */
  readonly pages: number;
  /** The first physical address when the frames follow one another throughout, else `null`. */
  readonly pa: bigint | null;
  /** The effective rights, as `Prot` bits. */
  readonly prot: number;
}

/**
 * All mappings under a root, merged.
 *
 * @public
 */
export interface MergedMappings {
  /** The tag. */
  readonly type: 'merged-mappings';
  /** In the order of their addresses. */
  readonly ranges: readonly MappedRange[];
  /** Tables read: each (table, level, inherited rights) once. */
  readonly visits: number;
  /** The address from which a limit left the rest out, or `null`. */
  readonly stoppedAt: bigint | null;
}

/** What the leaves of a range have in common. */
interface RangeKind {
  readonly slot: number;
  readonly rights: number;
  readonly level: number;
  readonly low: number;
  readonly high: number;
}

/** A table, and what its ranges depend on besides. */
interface Subtree {
  /** Its frame and its first byte there. */
  readonly table: number;
  readonly byte: number;
  readonly level: number;
  /** What the entries above leave. */
  readonly rights: number;
}

/** The ranges of a subtree, relative to its first page, as parallel arrays. */
class Ranges {
  readonly start: number[] = [];
  readonly pages: number[] = [];
  readonly pfn: number[] = [];
  readonly kind: number[] = [];
}

/**
 * Merges the leaves under a walker's root into ranges of equal page size, rights and attributes. Accessed and dirty
 * bits make no difference. The ranges of a table are kept and used again wherever the same table stands at the same
 * level under the same rights, so that self-references cost no more than their ranges.
 *
 * @param walker - Whose root and rules apply.
 * @param options - Whether frames must follow one another, and limits.
 * @returns Plain data. O(visited tables + ranges).
 * @throws `VmError` for limits that are no non-negative integers.
 *
 * @example
 * ```ts
 * import { formatProt } from 'pagewright/core';
 * import { PhysicalMemory } from 'pagewright/memory';
 * import { mergedMappings, X86Walker } from 'pagewright/walk';
 *
 * const memory = PhysicalMemory.allocate(0x2000, { base: 0 });
 * memory.write(0x0, 4, 0x1007);
 * for (const [slot, entry] of [[0, 0x7005], [1, 0x3005], [2, 0x9007]] as const) memory.write(0x1000 + 4 * slot, 4, entry);
 * const walker = new X86Walker({ memory, cr0: 0x8001_0001, cr3: 0, cr4: 0x10, efer: 0 });
 *
 * const { ranges } = mergedMappings(walker);
 * ranges.map((r) => [r.va, r.end, formatProt(r.prot)]); // => [[0x0n, 0x2000n, 'r-xu'], [0x2000n, 0x3000n, 'rwxu']]
 * ranges.map((r) => r.pa); // => [null, 0x9000n]
 * ```
 * @public
 */
export function mergedMappings(
  walker: RadixWalker,
  options: MergedMappingsOptions = {},
): Plain<MergedMappings> {
  return new Merger(walker, options).run();
}

class Merger {
  private readonly walker: RadixWalker;
  private readonly contiguous: boolean;
  private readonly visitLimit: number;
  private readonly rangeLimit: number;
  private readonly kinds: RangeKind[] = [];
  private readonly kindCodes = new Map<string, number>();
  private readonly finished = new Map<string, Ranges>();
  private visits = 0;
  /** What they count for. */
  private spent = 0;
  private collected = 0;
  private stoppedAtVpn = -1;
  /** Of the present root: the format of what is below, and its level. */
  private format: PteFormat | null = null;
  /** The first root of that format: it stands for all of them, so that ranges go on across PAE's. */
  private slot = 0;
  private top = 0;

  constructor(walker: RadixWalker, options: MergedMappingsOptions) {
    const { visitLimit = VISIT_LIMIT, rangeLimit = RANGE_LIMIT } = options;
    this.walker = walker;
    this.contiguous = options.contiguous ?? false;
    this.visitLimit = checkInteger('visitLimit', visitLimit, 0, Number.MAX_SAFE_INTEGER);
    this.rangeLimit = checkInteger('rangeLimit', rangeLimit, 0, Number.MAX_SAFE_INTEGER);
  }

  run(): Plain<MergedMappings> {
    const { walker } = this;
    const all = new Ranges();
    for (let slot = 0; slot < walker.rootCount && this.stoppedAtVpn < 0; slot++) {
      const root = walker.rootAt(slot);
      const base = walker.rootBase(slot);
      if (root < 0) continue;
      const format = walker.rootFormat(slot);
      if (format !== this.format) {
        this.finished.clear();
        this.format = format;
        this.slot = slot;
      }
      this.top = walker.rootLevel(slot);
      const byte = walker.rootByte(slot);
      const whole = { table: root, byte, level: this.top, rights: ROOT_RIGHTS };
      this.appendTable(all, base, base, whole);
    }
    return plain<MergedMappings>({
      type: 'merged-mappings',
      ranges: all.start.map((_, index) => this.mappedRange(all, index)),
      visits: this.visits,
      stoppedAt:
        this.stoppedAtVpn < 0 ? null : addressFromVpn(this.stoppedAtVpn, 0, walker.pageShift),
    });
  }

  /** Appends what a table maps; `start` is relative to the receiving ranges, `vpn` the absolute page. */
  private appendTable(into: Ranges, start: number, vpn: number, subtree: Subtree): void {
    const { byte, level, rights, table } = subtree;
    const key = `${table}/${byte}/${level}/${rights}`;
    let ranges = this.finished.get(key);
    if (ranges === undefined) {
      if (this.spent >= this.visitLimit) {
        this.stoppedAtVpn = vpn;
        return;
      }
      this.visits++;
      this.spent += visitsOf(2 ** this.format!.indexBits[level]!);
      ranges = new Ranges();
      this.collect(ranges, vpn, subtree);
      this.finished.set(key, ranges);
    }
    for (let index = 0; index < ranges.start.length; index++) {
      const first = ranges.start[index]!;
      const pfn = ranges.pfn[index]!;
      if (!this.append(into, start + first, ranges.pages[index]!, pfn, ranges.kind[index]!)) {
        this.stoppedAtVpn = vpn + first;
        return;
      }
    }
  }

  private collect(into: Ranges, vpn: number, { byte, level, rights, table }: Subtree): void {
    const { walker } = this;
    const { pageShift } = walker;
    const format = this.format!;
    const pages = 2 ** (format.indexShift[level]! - pageShift);
    const signed = level === this.top && format.signExtended;
    const entries = 2 ** format.indexBits[level]!;
    for (let from = 0; this.stoppedAtVpn < 0; ) {
      const index = walker.findPresent(this.slot, table, byte, from, entries);
      if (index < 0) return;
      from = index + 1;
      const { foundLow: low, foundHigh: high } = walker;
      const kind = walker.classify(low, high, level);
      if (kind === SKIP) continue;
      const upperHalf = signed && index >= entries / 2;
      const start = index * pages + (upperHalf ? 2 ** (64 - pageShift) - entries * pages : 0);
      const left = rights & walker.entryProt(low, high, kind === LEAF);
      if (kind !== LEAF) {
        const next = walker.tableFrame(low, high);
        const first = walker.tableByte(low, high);
        const below = { table: next, byte: first, level: level - 1, rights: left };
        this.appendTable(into, start, vpn + start, below);
        continue;
      }
      const pfn = walker.frameFor(low, high, level, vpn + start);
      if (!this.append(into, start, pages, pfn, this.kindCode(low, high, level, left))) {
        this.stoppedAtVpn = vpn + start;
      }
    }
  }

  /** Adds a range or lengthens the last one; `false` when the limit leaves no room. */
  private append(into: Ranges, start: number, pages: number, pfn: number, kind: number): boolean {
    const last = into.start.length - 1;
    if (last >= 0 && into.kind[last] === kind && into.start[last]! + into.pages[last]! === start) {
      const follows = pfn !== SCATTERED && into.pfn[last]! + into.pages[last]! === pfn;
      if (follows && into.pfn[last] !== SCATTERED) {
        into.pages[last] = into.pages[last]! + pages;
        return true;
      }
      if (!this.contiguous) {
        into.pages[last] = into.pages[last]! + pages;
        into.pfn[last] = SCATTERED;
        return true;
      }
    }
    // After the stop, ranges that were collected before it still move up to the root.
    if (this.stoppedAtVpn < 0 && this.collected >= this.rangeLimit) return false;
    this.collected++;
    into.start.push(start);
    into.pages.push(pages);
    into.pfn.push(pfn);
    into.kind.push(kind);
    return true;
  }

  private kindCode(low: number, high: number, level: number, rights: number): number {
    const { slot } = this;
    const key = `${slot}/${this.walker.attributeKey(low, high, level)}/${rights}`;
    let code = this.kindCodes.get(key);
    if (code === undefined) {
      code = this.kinds.push({ slot, rights, level, low, high }) - 1;
      this.kindCodes.set(key, code);
    }
    return code;
  }

  private mappedRange(ranges: Ranges, index: number): MappedRange {
    const start = ranges.start[index]!;
    const pages = ranges.pages[index]!;
    const pfn = ranges.pfn[index]!;
    const { high, level, low, rights, slot } = this.kinds[ranges.kind[index]!]!;
    const { pageShift } = this.walker;
    this.walker.useRoot(slot);
    const va = addressFromVpn(start, 0, pageShift);
    return {
      va,
      end: va + (BigInt(pages) << BigInt(pageShift)),
      pages,
      pa: pfn === SCATTERED ? null : addressFromVpn(pfn, 0, pageShift),
      prot: this.walker.protOf(rights),
      ...this.walker.leafAttributes(low, high, level, rights),
    };
  }
}
