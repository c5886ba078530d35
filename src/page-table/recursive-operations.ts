import { addressFromVpn, checkInteger, VmError } from '../core/index.js';
import type { ForeignRange } from './foreign-ranges.js';
import { GLOBAL, INTERMEDIATE, type Invalidations } from './invalidations.js';
import { StructureOperations } from './structure-operations.js';

/** A root that is its own table, so that all tables appear in the address space. */
export abstract class RecursiveOperations extends StructureOperations {
  /**
   * Makes an entry of the root point at the root itself, so that all tables appear in the address space as pages, for
   * the supervisor alone. `recursiveAddress` tells where.
   *
   * @param index - The entry's number in the root.
   * @param owed - What the change owes.
   * @throws `VmError` `unsupported` for formats whose pointers are no leaves at the last level (RISC-V), or whose root is
   * of another size than the other tables; `overlap` when the entry is in use. Nothing changed then.
   *
   * @example
   * ```ts
   * import { Access, Prot } from 'pagewright/core';
   * import { FramePool, PhysicalMemory } from 'pagewright/memory';
   * import { Invalidations, PageTable } from 'pagewright/page-table';
   * import { x86Long4 } from 'pagewright/pte';
   * import { X86Walker } from 'pagewright/walk';
   *
   * const memory = PhysicalMemory.allocate(16 * 4096, { base: 0 });
   * const frames = new FramePool({ first: 0, frames: 16 });
   * const owed = new Invalidations({ frames });
   * const table = new PageTable({ format: x86Long4, memory, frames });
   * table.map(0x1234, 0x99, table.flags({ prot: Prot.Read | Prot.Write }), owed);
   *
   * table.mapRecursive(510, owed);
   * const va = table.recursiveAddress(510, 0x1234);
   * va; // => 0xffff_ff00_0000_91a0n
   * const found = new X86Walker({ memory, cr3: table.root * 4096 }).translate(va, Access.Read);
   * found.kind === 'page' && memory.read(found.pa, 8); // => { kind: 'value', value: 0x8000_0000_0009_9063n }
   * ```
   */
  mapRecursive(index: number, owed: Invalidations): void {
    this.begin(owed);
    const { bits, entries, format, top } = this.shape;
    const words = bits.recursive;
    checkInteger('index', index, 0, entries[top]! - 1);
    if (words === null || !this.canRecurse()) {
      const expected = 'a format whose root can be one of its own pages';
      throw new VmError('unsupported', { argument: 'format', value: format.name, expected });
    }
    const vpn = this.shape.rootStart(index);
    const pages = format.levelPages[top]!;
    this.checkOwn(vpn, pages);
    this.load(this.rootPfn, index, top);
    if ((this.low | this.high) !== 0) throw this.occupied(vpn, top);
    const low = format.tableLow(this.rootPfn, words.low);
    this.writeRoot(owed, index, low, format.tableHigh(this.rootPfn, words.high));
    this.foreign.add({ kind: 'recursive', vpn, pages, level: top });
    if (((this.fillOwes >> top) & 1) !== 0) this.oweIntermediate(owed, vpn, pages);
  }

  /**
   * Clears a recursive entry of the root.
   *
   * @param index - The entry's number in the root.
   * @param owed - What the change owes.
   * @throws `VmError` `bad-argument` when it is none. Nothing changed then.
   */
  unmapRecursive(index: number, owed: Invalidations): void {
    this.begin(owed);
    const range = this.recursiveRange(index);
    this.writeRoot(owed, index, 0, 0);
    this.foreign.remove(range);
    this.owe(owed, range.vpn, range.pages, 0, INTERMEDIATE | GLOBAL);
  }

  /**
   * Where the entry that maps a page appears in the address space, by way of a recursive entry.
   *
   * @param index - The recursive entry's number in the root.
   * @param vpn - The page.
   * @param level - The level of the entry that is wanted; 0 unless told.
   * @returns The entry's virtual address; see `mapRecursive` for an example.
   * @throws `VmError` for arguments out of range, or when the entry is not recursive.
   */
  recursiveAddress(index: number, vpn: number, level = 0): bigint {
    this.checkPages(vpn, 1);
    const { entries, format, top } = this.shape;
    checkInteger('level', level, 0, top);
    this.recursiveRange(index);
    // The walk goes through the root once for every level that it is to stop short of the page.
    let page = 0;
    for (let turn = 0; turn <= top; turn++) {
      const digit = turn <= level ? index : this.shape.indexOf(vpn, top + level + 1 - turn);
      page = page * entries[0]! + digit;
    }
    if (page >= this.shape.lowEnd) page += this.shape.signExtension;
    const offset = this.shape.indexOf(vpn, level) * format.entryBytes;
    return addressFromVpn(page, offset, format.pageShift);
  }

  /** Whether a root can be one of its own pages: its pointers are leaves at the last level, and all tables are alike. */
  protected canRecurse(): boolean {
    const { bits, entries, format } = this.shape;
    const words = bits.recursive;
    const alike = entries.every((count) => count === entries[0]);
    return words !== null && alike && format.kindOf(words.low, words.high, 0) === 'leaf';
  }

  private recursiveRange(index: number): ForeignRange {
    checkInteger('index', index, 0, this.shape.entries[this.shape.top]! - 1);
    const range = this.foreignIn(this.shape.rootStart(index), 1);
    if (range?.kind === 'recursive') return range;
    const expected = 'the number of a recursive entry of the root';
    throw new VmError('bad-argument', { argument: 'index', value: index, expected });
  }

  protected writeRoot(owed: Invalidations, index: number, low: number, high: number): void {
    this.change(owed, this.rootPfn, index, this.shape.top, () => this.setNew(low, high));
  }
}
