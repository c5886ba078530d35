import { addressFromVpn, checkInteger, VmError } from '../core/index.js';
import { checkProt } from '../pte/index.js';
import { GLOBAL, Invalidations } from './invalidations.js';
import { LeafFlags } from './leaf-flags.js';
import { NOT_MAPPED, NOT_PRESENT, OUT_OF_FRAMES } from './outcome.js';
import type { PageSize } from './page-size.js';
import { TableTree } from './table-tree.js';

/**
 * The leaf that an operation on one page found.
 *
 * @public
 */
export interface FoundLeaf {
  /** The first page of the leaf. */
  vpn: number;
  /** Base pages of the leaf, all entries of its group together. */
  pages: number;
  /** Its level. */
  level: number;
  /**
   * Bits 31:0 of the entry, of a group one of its entries, before the operation changed it. After `unmap` and
   * `remap` it is accessed or dirty when any entry of the group was, up to the last moment.
   */
  low: number;
  /** Bits 63:32. */
  high: number;
}

/** A class, so that the optimising compiler learns from no other object what the fields hold. */
class Found implements FoundLeaf {
  vpn = 0;
  pages = 1;
  level = 0;
  low = 0;
  high = 0;
}

/** What a change makes of an entry of a leaf, by its number in the group: as an `Edit`. */
export type MemberEdit = (low: number, high: number, member: number) => void;

/** Operations on one page, in their complete form. */
export abstract class PageOperations extends TableTree {
  /** The leaf that the last operation on one page found; also a software entry's words. */
  readonly found: FoundLeaf = new Found();
  /** Whether this was destroyed. */
  protected dead = false;

  /** Checks what every operation is given, and the window. */
  protected begin(owed: Invalidations): void {
    this.checkAlive();
    if (!(owed instanceof Invalidations) || owed.frames !== this.frames) {
      const expected = 'Invalidations with the FrameSource of this page table';
      throw new VmError('bad-argument', { argument: 'owed', value: owed, expected });
    }
    this.refreshWindow();
  }

  protected checkAlive(): void {
    if (!this.dead) return;
    const expected = 'a page table that was not destroyed';
    throw new VmError('bad-argument', { argument: 'this', value: this.rootPfn, expected });
  }

  /** Checks a stretch of pages. */
  protected checkPages(vpn: number, pages: number, alignment = 1): void {
    const { shape } = this;
    checkInteger('vpn', vpn, 0, Number.MAX_SAFE_INTEGER);
    checkInteger('pages', pages, 1, shape.end);
    const last = vpn + pages - 1;
    const together = vpn < shape.lowEnd === last < shape.lowEnd;
    if (!(shape.isPage(vpn) && shape.isPage(last) && together)) {
      const expected = `pages that are addresses of ${shape.format.name}, all of them`;
      throw new VmError('out-of-range', { argument: 'vpn', value: vpn, expected });
    }
    if (vpn % alignment === 0) return;
    const expected = `a multiple of ${alignment} pages (${this.spellAddress(vpn)})`;
    const address = this.address(vpn);
    throw new VmError('misaligned', { argument: 'vpn', value: vpn, expected, address });
  }

  /** Checks the frames that leaves of a level are to map. */
  protected checkFrames(
    vpn: number,
    pfn: number,
    pages: number,
    level: number,
    alignment: number,
  ): void {
    const { pageShift } = this.shape.format;
    checkInteger('pfn', pfn, 0, Number.MAX_SAFE_INTEGER);
    const end = this.shape.leafFrameEnd[level]!;
    const outside = pfn + pages > end;
    if (!outside && pfn % alignment === 0) return;
    const expected = outside
      ? `frames below physical address 2^${Math.log2(end) + pageShift}`
      : `a multiple of ${alignment} pages`;
    const details = { argument: 'pfn', value: pfn, expected, address: this.address(vpn) };
    throw new VmError(outside ? 'out-of-range' : 'misaligned', details);
  }

  protected checkFlags(flags: LeafFlags): void {
    if (flags instanceof LeafFlags && flags.format === this.shape.format) return;
    const expected = `LeafFlags of ${this.shape.format.name}`;
    throw new VmError('bad-argument', { argument: 'flags', value: flags, expected });
  }

  /** Refuses to change what is not this table's. */
  protected checkOwn(vpn: number, pages: number): void {
    const range = this.foreignIn(vpn, pages);
    if (range === null) return;
    const level = this.seek(range.vpn, range.level);
    const found = this.spell(this.low, this.high, level);
    const expected = `pages of this table; ${this.spellAddress(range.vpn)} is ${range.kind} (${found})`;
    throw new VmError('overlap', {
      argument: 'vpn',
      value: vpn,
      expected,
      ...this.place(range.vpn),
    });
  }

  /** The refusal of pages where something is. */
  protected occupied(vpn: number, level: number): VmError {
    const found = this.spell(this.low, this.high, level);
    const expected = `nothing at ${this.spellAddress(vpn)}, where entry ${found} is`;
    return new VmError('overlap', { argument: 'vpn', value: vpn, expected, ...this.place(vpn) });
  }

  /** The address of a page and the entry that was loaded, for an error. */
  protected place(vpn: number): { readonly address: bigint; readonly entry: bigint } {
    return { address: this.address(vpn), entry: this.rawOf(this.low, this.high) };
  }

  protected address(vpn: number): bigint {
    return addressFromVpn(vpn, 0, this.shape.format.pageShift);
  }

  protected spellAddress(vpn: number): string {
    return `0x${this.address(vpn).toString(16)}`;
  }

  protected sizeOf(pages: number): PageSize {
    const size = this.shape.sizes.find((other) => other.pages === pages);
    if (size !== undefined) return size;
    const expected = `one of ${this.shape.sizes.map((other) => other.pages).join(', ')} pages`;
    throw new VmError('bad-argument', { argument: 'pages', value: pages, expected });
  }

  protected mapPage(
    vpn: number,
    pfn: number,
    flags: LeafFlags,
    owed: Invalidations,
    pages: number,
  ): number {
    this.begin(owed);
    this.checkFlags(flags);
    const size = this.sizeOf(pages);
    const { level } = size;
    this.checkPages(vpn, pages, pages);
    this.checkFrames(vpn, pfn, pages, level, pages);
    this.checkOwn(vpn, pages);
    const reached = this.seek(vpn, level);
    if ((this.low | this.high) !== 0) throw this.occupied(vpn, reached);
    if (reached === level) {
      this.checkGroupEmpty(vpn, size);
    } else if (!this.reservePath(level, reached)) {
      return OUT_OF_FRAMES;
    }
    this.widenPath(owed, vpn, reached, flags.prot);
    if (reached > level) this.extend(owed, vpn, reached, level);
    this.fillLeaves(owed, level, this.indexes[level]!, size.entries, pfn, flags, size.entries > 1);
    if (reached > level) this.link(owed, vpn, reached);
    this.oweFilling(owed, vpn, pages, level);
    return 0;
  }

  /** Records what filling entries of a level that were not present owes. */
  protected oweFilling(owed: Invalidations, vpn: number, pages: number, level: number): void {
    if (((this.fillOwes >> level) & 1) === 0) return;
    this.owe(owed, vpn, pages, this.shape.format.levelPages[level]!, 0);
  }

  /** Checks that all entries of a group are empty, the first of which was found so. */
  private checkGroupEmpty(vpn: number, { entries, level }: PageSize): void {
    const table = this.tables[level]!;
    const index = this.indexes[level]!;
    for (let member = 1; member < entries; member++) {
      this.load(table, index + member, level);
      if ((this.low | this.high) === 0) continue;
      throw this.occupied(vpn + member * this.shape.format.levelPages[level]!, level);
    }
  }

  /** Writes leaves into empty entries of the path's table. */
  protected fillLeaves(
    owed: Invalidations,
    level: number,
    index: number,
    count: number,
    pfn: number,
    flags: LeafFlags,
    grouped: boolean,
  ): void {
    const { shape } = this;
    const table = this.tables[level]!;
    const group = grouped ? shape.bits.groupBits[level]! : 0;
    const step = shape.groupStep(level, group);
    for (let entry = 0; entry < count; entry++) {
      const frame = pfn + entry * step;
      const low = shape.leafLow(frame, level, flags.low, group);
      const high = shape.leafHigh(frame, level, flags.high, group);
      if (this.put(owed, table, index + entry, level, 0, 0, low, high)) continue;
      this.attempt(Number.POSITIVE_INFINITY, table, index + entry);
    }
  }

  /** Makes pointers of the path grant what a leaf below is to grant: those of adopted tables may not. */
  protected widenPath(owed: Invalidations, vpn: number, reached: number, prot: number): void {
    for (let level = this.shape.top; level > reached; level--) {
      const table = this.tables[level]!;
      const index = this.indexes[level]!;
      this.load(table, index, level);
      this.widenEntry(owed, table, index, level, vpn, prot);
    }
  }

  /**
   * Makes the pointer that was loaded grant what a leaf below it is to grant. What it withheld from everything else below
   * it is then withheld there.
   */
  protected widenEntry(
    owed: Invalidations,
    table: number,
    index: number,
    level: number,
    vpn: number,
    prot: number,
  ): void {
    const { bits, format } = this.shape;
    if ((prot & ~bits.pointerProt(this.low, this.high, level)) === 0) return;
    this.narrowBelow(owed, level);
    this.change(owed, table, index, level, (low, high) =>
      this.setNew(bits.widenLow(low, level), bits.widenHigh(high, level)),
    );
    this.oweIntermediate(owed, this.shape.entryStart(vpn, level), format.levelPages[level]!);
  }

  /** Takes from the entries below the pointer that was loaded what it withholds: nobody can do more or less than before. */
  private narrowBelow(owed: Invalidations, pointerLevel: number): void {
    const { bits, entries, format } = this.shape;
    const above = { low: this.low, high: this.high };
    const table = format.tablePfn(above.low, above.high);
    const level = pointerLevel - 1;
    for (let index = 0; index < entries[level]!; index++) {
      this.change(owed, table, index, level, (low, high) => {
        const leaf = this.isLeaf(low, high, level);
        const newLow = bits.narrowLow(low, high, above, pointerLevel, leaf);
        const newHigh = bits.narrowHigh(low, high, above, pointerLevel, leaf);
        // An EPT pointer without any right would be none, and lose what is below it.
        const stays = leaf || this.isPointer(newLow, newHigh, level);
        if (stays && format.isPresent(low, high, level)) this.setNew(newLow, newHigh);
        else this.setNew(low, high);
      });
    }
  }

  /** Finds the leaf of a page, and notes it in `found`. */
  protected findLeaf(vpn: number): number {
    if (!this.shape.isPage(vpn)) this.checkPages(vpn, 1);
    const level = this.seek(vpn);
    return this.note(vpn, level);
  }

  private note(vpn: number, level: number): number {
    const { found, high, low, shape } = this;
    const own = shape.format.levelPages[level]!;
    const leaf = this.isLeaf(low, high, level);
    const index = this.indexes[level]!;
    const pages = leaf ? own * 2 ** this.groupAt(this.tables[level]!, index, level) : own;
    found.pages = pages;
    found.vpn = vpn - (vpn % pages);
    found.level = level;
    found.low = low;
    found.high = high;
    if (!leaf) return (low | high) === 0 ? NOT_MAPPED : NOT_PRESENT;
    return shape.entryPfn(low, high, level, index) + (vpn % own);
  }

  /** The same for an operation that changes the leaf: all entries of its group. */
  protected findOwnLeaf(vpn: number, owed: Invalidations): number {
    this.begin(owed);
    const pfn = this.findLeaf(vpn);
    this.checkOwn(vpn, 1);
    return pfn;
  }

  /** Changes the leaf that was found: each entry of its group, by its number there. */
  protected changeFound(owed: Invalidations, edit: MemberEdit): void {
    const { level } = this.found;
    const table = this.tables[level]!;
    const first = this.firstFound();
    for (let member = 0; member < this.foundEntries(); member++) {
      this.change(owed, table, first + member, level, (low, high) => edit(low, high, member));
    }
  }

  /** How many entries map the leaf that was found. */
  protected foundEntries(): number {
    return this.found.pages / this.shape.format.levelPages[this.found.level]!;
  }

  /** The index of the first of them. */
  protected firstFound(): number {
    const index = this.indexes[this.found.level]!;
    return index - (index % this.foundEntries());
  }

  /** Records what a change of the leaf that was found owes. */
  protected oweFound(owed: Invalidations): void {
    const { found, shape } = this;
    const global = shape.bits.isGlobal(found.low, found.high);
    const stride = shape.format.levelPages[found.level]!;
    this.owe(owed, found.vpn, found.pages, stride, global ? GLOBAL : 0);
  }

  protected unmapPage(vpn: number, owed: Invalidations): number {
    const pfn = this.findOwnLeaf(vpn, owed);
    if (pfn === NOT_MAPPED) return pfn;
    // Whatever hardware set up to the last moment, in any entry of a group, is in the entries that are taken away.
    this.changeFound(owed, (low, high) => {
      if (pfn >= 0) this.noteUse(low, high);
      this.setNew(0, 0);
    });
    if (pfn >= 0) this.oweFound(owed);
    this.prune(owed, vpn, this.found.level);
    return pfn;
  }

  /** Notes in `found` that an entry of the leaf was used or written. */
  protected noteUse(low: number, high: number): void {
    const { found, shape } = this;
    const { bits } = shape;
    if (bits.isAccessed(low)) found.low |= bits.accessed;
    if (!bits.isDirty(low, high)) return;
    const [oldLow, oldHigh] = [found.low, found.high];
    found.low = bits.dirtyLow(oldLow, oldHigh, true);
    found.high = bits.dirtyHigh(oldLow, oldHigh, true);
  }

  /** Whether something is true of any entry of the leaf that was found: hardware may set bits in each. */
  protected someFound(test: (low: number, high: number) => boolean): boolean {
    const { level } = this.found;
    const first = this.firstFound();
    for (let member = 0; member < this.foundEntries(); member++) {
      this.load(this.tables[level]!, first + member, level);
      if (test(this.low, this.high)) return true;
    }
    return false;
  }

  protected protectPage(vpn: number, prot: number, owed: Invalidations): number {
    checkProt(prot);
    const pfn = this.findOwnLeaf(vpn, owed);
    if (pfn < 0) return pfn;
    const { bits } = this.shape;
    const granted = bits.granted(prot);
    this.widenPath(owed, vpn, this.found.level, granted);
    if (this.changesFound(owed, (low, high) => this.reprotect(low, high, granted)))
      this.oweFound(owed);
    return pfn;
  }

  /** Changes the leaf that was found, and tells whether that made a difference. */
  protected changesFound(owed: Invalidations, edit: MemberEdit): boolean {
    let changed = false;
    this.changeFound(owed, (low, high, member) => {
      edit(low, high, member);
      changed ||= this.newLow !== low || this.newHigh !== high;
    });
    return changed;
  }

  protected reprotect(low: number, high: number, prot: number): void {
    const { bits } = this.shape;
    this.setNew(bits.protectLow(low, high, prot), bits.protectHigh(low, high, prot));
  }
}
