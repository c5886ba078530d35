import { InspectOperations } from './inspect-operations.js';
import { AS_FOUND, LEVEL } from './table-tree.js';

/** What a check has seen so far. */
interface Seen {
  readonly tables: Set<number>;
  readonly leafEntries: Float64Array;
  readonly tableCounts: Float64Array;
}

/** The promises of a page table, checked one by one. */
export abstract class CheckOperations extends InspectOperations {
  /**
   * Verifies everything that a page table promises: every table of its own is reached exactly once and no other is, every
   * entry obeys the rules of its level, the members of groups agree, pointers grant what leaves below them grant, and the
   * counts are right. In adopted tables only the structure counts: their entries are as they came.
   *
   * @throws `VmError` `bad-image` that names what is broken: somebody else wrote into the tables.
   */
  checkInvariants(): void {
    if (this.dead) return;
    this.refreshWindow();
    const seen: Seen = {
      tables: new Set(),
      leafEntries: new Float64Array(this.leafEntries.length),
      tableCounts: new Float64Array(this.tableCounts.length),
    };
    this.checkTable(seen, this.rootPfn, this.shape.top, -1, 15);
    for (const table of this.owned.keys()) {
      if (!seen.tables.has(table)) {
        throw this.broken('table', table, 'every table of its own reachable from the root');
      }
    }
    this.checkCounts('leaves', this.leafEntries, seen.leafEntries);
    this.checkCounts('tables', this.tableCounts, seen.tableCounts);
  }

  private checkCounts(name: string, have: Float64Array, found: Float64Array): void {
    have.forEach((count, i) => {
      if (count !== found[i]) throw this.broken(`${name}[${i}]`, count, `${found[i]}, as counted`);
    });
  }

  private checkTable(
    seen: Seen,
    table: number,
    level: number,
    start: number,
    granted: number,
  ): void {
    const flags = this.owned.get(table);
    if (flags === undefined || (flags & LEVEL) !== level || seen.tables.has(table)) {
      throw this.broken('table', table, 'a table of its own, reached once');
    }
    seen.tables.add(table);
    seen.tableCounts[level]!++;
    const adopted = (flags & AS_FOUND) !== 0;
    const { bits, format } = this.shape;
    let index = this.findUsed(table, level, 0);
    for (; index >= 0; index = this.findUsed(table, level, index + 1)) {
      const { high, low } = this;
      const vpn = this.entryPage(start, index, level);
      const foreign = this.foreignIn(vpn, this.pagesAt(level));
      if (foreign !== null && foreign.level === level) {
        if (foreign.kind === 'unsound') this.countIn(seen, low, high, level);
        continue;
      }
      if (!adopted && format.isPresent(low, high, level)) this.checkEntry(low, high, level, vpn);
      if (this.isPointer(low, high, level)) {
        const left = adopted ? 15 : bits.pointerProt(low, high, level);
        this.checkTable(seen, format.tablePfn(low, high), level - 1, vpn, granted & left);
        continue;
      }
      this.countIn(seen, low, high, level);
      if (adopted || !this.isLeaf(low, high, level)) continue;
      if ((bits.protOf(low, high) & ~granted) !== 0) {
        throw this.broken('entry', this.rawOf(low, high), 'no rights that a table above withholds');
      }
      this.checkGroup(table, index, level, low, high);
    }
  }

  private countIn(seen: Seen, low: number, high: number, level: number): void {
    if (!this.isLeaf(low, high, level)) return;
    const size = this.shape.sizeIndex(low, high, level);
    seen.leafEntries[size < 0 ? this.shape.sizes.length : size]!++;
  }

  /** The rules of an entry's level: nothing reserved is set, and its frame is one that there may be. */
  private checkEntry(low: number, high: number, level: number, vpn: number): void {
    const { format, leafFrameEnd, tableFrameEnd } = this.shape;
    const raw = this.rawOf(low, high);
    const { fields, kind, pfn, pages } = format.decode(raw, level);
    const where = `at ${this.spellAddress(vpn)}, level ${level}`;
    if (kind === 'pointer' && level === 0) {
      throw this.broken('entry', raw, `no pointer in a table of the last level (${where})`);
    }
    for (const { name, role } of format.fieldsOf(kind, level)) {
      if (role === 'reserved' && fields[name] !== 0) {
        throw this.broken('entry', raw, `${name} to be 0 (${where})`);
      }
    }
    const end = kind === 'leaf' ? leafFrameEnd[level]! : tableFrameEnd;
    const aligned = kind === 'pointer' || (pfn ?? 0) % pages === 0;
    if (pfn === null || pfn + Math.max(1, pages) > end || !aligned) {
      throw this.broken('entry', raw, `a frame within the physical width, aligned (${where})`);
    }
  }

  /** The entries of a group are all there, alike but for accessed and dirty, and their frames follow one another. */
  private checkGroup(table: number, index: number, level: number, low: number, high: number): void {
    this.load(table, index, level);
    if (this.groupAt(table, index, level) === this.shape.groupOf(low, high, level)) return;
    throw this.broken('entry', this.rawOf(low, high), 'members of a group that agree');
  }
}
