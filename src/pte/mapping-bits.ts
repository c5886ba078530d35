import { checkInteger, Prot, VmError } from '../core/index.js';
import type { WordMask } from './entry.js';

const NO_BITS: WordMask = { low: 0, high: 0 };

/** All `Prot` bits. */
const ALL_RIGHTS = 15;

/**
 * What {@link MappingBits} is made of. A right whose mask is 0 is one that every leaf grants.
 *
 * @public
 */
export interface MappingBitsOptions {
  /** Bits of every leaf: those that make it present, and a memory type where 0 would be a poor one. */
  readonly base: WordMask;
  /** By level: the bits of a pointer, with all rights that pointers limit and the accessed bit where pointers have one. */
  readonly pointers: readonly WordMask[];
  /** The bits that grant loads. @defaultValue none */
  readonly read?: WordMask;
  /** The bits that grant stores. @defaultValue none */
  readonly write?: WordMask;
  /** The bits that grant fetches. @defaultValue none */
  readonly execute?: WordMask;
  /** The bits that let user mode in. @defaultValue none */
  readonly user?: WordMask;
  /** The bits that make a leaf global. @defaultValue none: no leaf is */
  readonly global?: WordMask;
  /** Those of all these bits that say it by being clear. @defaultValue none */
  readonly flip?: WordMask;
  /** Further bits that follow from rights, accessed, dirty and global, where a class of its own writes them. @defaultValue 0 */
  readonly managed?: WordMask;
  /** Whether what a pointer withholds no leaf below it grants. @defaultValue false */
  readonly pointerRights?: boolean;
  /** `Prot` bits that every leaf is to have, whatever is asked. @defaultValue 0 */
  readonly always?: number;
  /** Whether a leaf that may be written must be readable. @defaultValue false */
  readonly writeNeedsRead?: boolean;
  /**
   * `Prot` bits without any of which an entry is no leaf, so that loads are granted as well; without the right to write,
   * which may be taken away. @defaultValue 0: rights do not make a leaf
   */
  readonly leafNeeds?: number;
  /** The accessed bit, in the low word. @defaultValue 0, none */
  readonly accessed?: number;
  /** The dirty bit, in the low word. @defaultValue 0, none */
  readonly dirty?: number;
  /** By level: log2 of the entries that map one page together, 0 for none. @defaultValue no groups */
  readonly groupBits?: readonly number[];
  /** The bits of the high word that mark members of such a group. @defaultValue 0 */
  readonly groupHigh?: number;
  /** How far bit 7 of a base page's entry, x86's PAT, moves up in a large page's. @defaultValue 0 */
  readonly patShift?: number;
  /** Bit n set: filling an entry of level n that was not present owes an invalidation. @defaultValue 0 */
  readonly fillOwes?: number;
  /** Whether a live entry changes its size, output address or memory type by break-before-make alone. @defaultValue false */
  readonly breakBeforeMake?: boolean;
  /** The bits of a leaf's low word that are its memory type. @defaultValue 0 */
  readonly typeLow?: number;
  /**
   * AArch64's encoding of rights and dirtiness, by stage: rights, `accessed` and `dirty` of these options are then not
   * looked at. @defaultValue none
   */
  readonly aarch64Stage?: 1 | 2;
  /** What a root's entry has instead that points at the root itself; `null` where that does not work. @defaultValue null */
  readonly recursive?: WordMask | null;
}

/**
 * The bits with which system software writes the entries of a format: rights, accessed and dirty, groups, pointers; and
 * what a change of them owes. `PteFormat.mapping` has a format's. Methods come in pairs, one for each word of the result;
 * they check nothing.
 *
 * @example
 * ```ts
 * import { Prot } from 'pagewright/core';
 * import { mappingOf, x86Long4 } from 'pagewright/pte';
 *
 * const bits = mappingOf(x86Long4);
 * bits.protLow[Prot.Read | Prot.Write | Prot.User]; // => 6
 * bits.protHigh[Prot.Read | Prot.Write] === -0x80000000; // => true
 * bits.granted(Prot.Write); // => Prot.Read | Prot.Write
 * ```
 * @public
 */
export class MappingBits {
  /** Bits of every leaf. */
  readonly base: WordMask;
  /** By level: the bits of a pointer. */
  readonly pointers: readonly WordMask[];
  /** By `Prot` bits: the low word of the rights, that of {@link MappingBits.granted}. */
  readonly protLow: Int32Array;
  /** The high word. */
  readonly protHigh: Int32Array;
  /** All bits that follow from rights, accessed, dirty, global and size. */
  readonly managed: WordMask;
  /** The bits of the low word that rights are made of. */
  readonly rightsLow: number;
  /** The bits of the high word. */
  readonly rightsHigh: number;
  /** The bits that taking the right to write away clears in the low word. */
  readonly writeClearLow: number;
  /** The bits that it sets. */
  readonly writeSetLow: number;
  /** The bits that it clears in the high word. */
  readonly writeClearHigh: number;
  /** The bits that it sets. */
  readonly writeSetHigh: number;
  /** The bits that say whether a leaf is global; AArch64's by being clear. */
  readonly globalMask: WordMask;
  /** The accessed bit, in the low word. */
  readonly accessed: number;
  /** The dirty bit, in the low word; 0 also where dirtiness is not one bit ({@link AArch64MappingBits}). */
  readonly dirty: number;
  /** By level: log2 of the entries that map one page together. */
  readonly groupBits: readonly number[];
  /** The bits of the high word that mark members of such a group. */
  readonly groupHigh: number;
  /** How far bit 7 moves up in a large page's entry. */
  readonly patShift: number;
  /** Bit n set: filling an entry of level n that was not present owes an invalidation. */
  readonly fillOwes: number;
  /** Whether a live entry changes its size, output address or memory type by break-before-make alone. */
  readonly breakBeforeMake: boolean;
  /** The bits of a leaf's low word that are its memory type. */
  readonly typeLow: number;
  /** The bits of a root's entry that points at the root itself, or `null`. */
  readonly recursive: WordMask | null;
  /** Whether rights and dirtiness are bits of their own, so that loops may use the masks above alone. */
  readonly plain: boolean;
  private readonly options: MappingBitsOptions;
  private readonly flip: WordMask;
  /** The bits that give rights by being set. */
  private readonly grantsLow: number;
  private readonly grantsHigh: number;

  /** @param options - See {@link MappingBitsOptions}. */
  constructor(options: MappingBitsOptions) {
    const { execute = NO_BITS, read = NO_BITS, user = NO_BITS, write = NO_BITS } = options;
    const { flip = NO_BITS, global = NO_BITS } = options;
    this.options = options;
    this.base = options.base;
    this.pointers = options.pointers;
    this.flip = flip;
    this.globalMask = global;
    this.rightsLow = read.low | write.low | execute.low | user.low;
    this.rightsHigh = read.high | write.high | execute.high | user.high;
    this.grantsLow = this.rightsLow & ~flip.low;
    this.grantsHigh = this.rightsHigh & ~flip.high;
    this.writeClearLow = write.low & ~flip.low;
    this.writeSetLow = write.low & flip.low;
    this.writeClearHigh = write.high & ~flip.high;
    this.writeSetHigh = write.high & flip.high;
    this.accessed = options.accessed ?? 0;
    this.dirty = options.dirty ?? 0;
    this.groupBits = options.groupBits ?? options.pointers.map(() => 0);
    this.groupHigh = (options.groupHigh ?? 0) | 0;
    this.patShift = options.patShift ?? 0;
    this.fillOwes = options.fillOwes ?? 0;
    this.breakBeforeMake = options.breakBeforeMake ?? false;
    this.typeLow = options.typeLow ?? 0;
    this.recursive = options.recursive ?? null;
    const { managed = NO_BITS } = options;
    this.managed = {
      low: managed.low | this.rightsLow | this.accessed | this.dirty | global.low,
      high: managed.high | this.rightsHigh | this.groupHigh | global.high,
    };
    this.plain = new.target === MappingBits;
    this.protLow = new Int32Array(16);
    this.protHigh = new Int32Array(16);
    for (let prot = 0; prot < 16; prot++) {
      const given = this.granted(prot);
      const rights = [read, write, execute, user].filter((_, bit) => ((given >> bit) & 1) === 1);
      const low = rights.reduce((bits, mask) => bits | mask.low, 0);
      const high = rights.reduce((bits, mask) => bits | mask.high, 0);
      this.protLow[prot] = low ^ (flip.low & this.rightsLow);
      this.protHigh[prot] = high ^ (flip.high & this.rightsHigh);
    }
  }

  /**
   * The rights that a leaf has when these are asked for: all of them, and those that the format can't withhold.
   *
   * @param prot - `Prot` bits.
   * @returns `Prot` bits.
   */
  granted(prot: number): number {
    const { always = 0, execute, read, user, write } = this.options;
    const { leafNeeds = 0, writeNeedsRead = false } = this.options;
    return (
      prot |
      always |
      (read === undefined ? Prot.Read : 0) |
      (write === undefined ? Prot.Write : 0) |
      (execute === undefined ? Prot.Execute : 0) |
      (user === undefined ? Prot.User : 0) |
      (leafNeeds !== 0 && (prot & leafNeeds) === 0 ? Prot.Read : 0) |
      (writeNeedsRead && (prot & Prot.Write) !== 0 ? Prot.Read : 0)
    );
  }

  /**
   * The flags of a leaf, as in a base page's entry, low word.
   *
   * @param prot - `Prot` bits.
   * @param accessed - Whether it counts as used.
   * @param dirty - Whether it counts as written.
   * @param global - Whether it is in every address space.
   * @returns An int32.
   */
  leafLow(prot: number, accessed: boolean, dirty: boolean, global: boolean): number {
    return (
      this.base.low |
      this.protLow[prot]! |
      (accessed ? this.accessed : 0) |
      (dirty ? this.dirty : 0) |
      globalWord(this.globalMask.low, this.flip.low, global)
    );
  }

  /** The high word of {@link MappingBits.leafLow}. */
  leafHigh(prot: number, _dirty: boolean, global: boolean): number {
    const bits = globalWord(this.globalMask.high, this.flip.high, global);
    return this.base.high | this.protHigh[prot]! | bits;
  }

  /**
   * The rights of a leaf, by itself.
   *
   * @param low - Bits 31:0.
   * @param high - Bits 63:32.
   * @returns `Prot` bits.
   */
  protOf(low: number, high: number): number {
    const { execute, read, user, write } = this.options;
    return (
      (this.has(read, low, high) ? Prot.Read : 0) |
      (this.has(write, low, high) ? Prot.Write : 0) |
      (this.has(execute, low, high) ? Prot.Execute : 0) |
      (this.has(user, low, high) ? Prot.User : 0)
    );
  }

  /**
   * The rights that a pointer leaves to what is below it.
   *
   * @param low - Bits 31:0.
   * @param high - Bits 63:32.
   * @param level - The pointer's level.
   * @returns `Prot` bits: all of them where pointers limit nothing.
   */
  pointerProt(low: number, high: number, level: number): number {
    return this.limits(level) ? this.protOf(low, high) : ALL_RIGHTS;
  }

  /** The low word of a pointer with all rights. */
  widenLow(low: number, level: number): number {
    return this.limits(level) ? (low & ~(this.rightsLow & this.flip.low)) | this.grantsLow : low;
  }

  /** The high word of the same. */
  widenHigh(high: number, level: number): number {
    return this.limits(level)
      ? (high & ~(this.rightsHigh & this.flip.high)) | this.grantsHigh
      : high;
  }

  /**
   * The low word of an entry without the rights that the pointer above it withholds, so that the pointer may be widened.
   *
   * @param low - Bits 31:0 of the entry.
   * @param _high - Bits 63:32.
   * @param above - The pointer.
   * @param level - The pointer's level.
   * @param _leaf - Whether the entry is a leaf, rather than a pointer.
   * @returns An int32.
   */
  narrowLow(low: number, _high: number, above: WordMask, level: number, _leaf: boolean): number {
    if (!this.limits(level)) return low;
    const taken = above.low & this.rightsLow & this.flip.low;
    return (low & ~(this.grantsLow & ~above.low)) | taken;
  }

  /** The high word of the same. */
  narrowHigh(_low: number, high: number, above: WordMask, level: number, _leaf: boolean): number {
    if (!this.limits(level)) return high;
    const taken = above.high & this.rightsHigh & this.flip.high;
    return (high & ~(this.grantsHigh & ~above.high)) | taken;
  }

  /** Whether a leaf is in every address space. */
  isGlobal(low: number, high: number): boolean {
    const { globalMask } = this;
    return (globalMask.low | globalMask.high) !== 0 && this.has(globalMask, low, high);
  }

  /** The low word of a leaf with other rights; what is dirty stays so. */
  protectLow(low: number, _high: number, prot: number): number {
    return (low & ~this.rightsLow) | this.protLow[prot]!;
  }

  /** The high word of the same. */
  protectHigh(_low: number, high: number, prot: number): number {
    return (high & ~this.rightsHigh) | this.protHigh[prot]!;
  }

  /** The low word of a leaf that may not be written any more; the rest stays, and what is dirty. */
  writeProtectLow(low: number, _high: number): number {
    return (low & ~this.writeClearLow) | this.writeSetLow;
  }

  /** The high word of the same. */
  writeProtectHigh(_low: number, high: number): number {
    return (high & ~this.writeClearHigh) | this.writeSetHigh;
  }

  /** Whether a leaf was used. */
  isAccessed(low: number): boolean {
    return (low & this.accessed) !== 0;
  }

  /** Whether a leaf was written. */
  isDirty(low: number, _high: number): boolean {
    return (low & this.dirty) !== 0;
  }

  /** The low word of a leaf that was written, or was not. */
  dirtyLow(low: number, _high: number, dirty: boolean): number {
    return dirty ? low | this.dirty : low & ~this.dirty;
  }

  /** The high word of the same. */
  dirtyHigh(_low: number, high: number, _dirty: boolean): number {
    return high;
  }

  /** Whether pointers of a level have rights: PAE's PDPTEs have none. */
  private limits(level: number): boolean {
    const { grantsHigh, grantsLow } = this;
    const { high, low } = this.pointers[level]!;
    if (this.options.pointerRights !== true) return false;
    return (low & grantsLow) === grantsLow && (high & grantsHigh) === grantsHigh;
  }

  private has(mask: WordMask | undefined, low: number, high: number): boolean {
    if (mask === undefined) return true;
    const { flip } = this;
    return (
      ((low ^ flip.low) & mask.low) === mask.low && ((high ^ flip.high) & mask.high) === mask.high
    );
  }
}

/** One word of the bits that say whether a leaf is global. */
function globalWord(bits: number, flip: number, global: boolean): number {
  return global ? bits & ~flip : bits & flip;
}

/**
 * Checks `Prot` bits.
 *
 * @param prot - Any number.
 * @returns The same.
 * @throws `VmError` when it is none, or grants neither read, write nor execute.
 * @internal
 */
export function checkProt(prot: number): number {
  checkInteger('prot', prot, 0, 15);
  if ((prot & (Prot.Read | Prot.Write | Prot.Execute)) !== 0) return prot;
  const expected = 'at least one of Prot.Read, Prot.Write and Prot.Execute';
  throw new VmError('bad-argument', { argument: 'prot', value: prot, expected });
}
