import { Access } from '../core/index.js';
import { isAccessOf } from './access-check.js';
import type { FaultEncoding, LeafAttributes } from './report.js';
import type { WalkRule } from './rule.js';
import { TableWindow } from './table-window.js';

/**
 * `RadixWalker.classify`: nothing that any access could use.
 *
 * @public
 */
export const SKIP = 0;
/**
 * `RadixWalker.classify`: a pointer to the next table.
 *
 * @public
 */
export const POINTER = 1;
/**
 * `RadixWalker.classify`: a leaf.
 *
 * @public
 */
export const LEAF = 2;

/**
 * In what entries leave of rights, beside the `Prot` bits: no entry so far makes all below it global.
 *
 * @public
 */
export const LOCAL = 16;
/**
 * What a root leaves of rights: everything, and nothing global.
 *
 * @public
 */
export const ROOT_RIGHTS = 127;

/** The `Prot` bits of rights. */
export const ALL_PROT = 15;

/** `leafShift` when nothing was translated: a negative number above minus one level. */
export const NO_LEAF = -1;

/**
 * What an architecture says of its entries, and what a walk leaves behind. A walker overrides what its manual says
 * otherwise: `docs/architecture.md`, "Adding an architecture", tells what it must.
 *
 * @public
 */
export abstract class EntryRules extends TableWindow {
  /** log2 of the base pages of the last leaf's level, or -1 when nothing was translated. @internal */
  leafShift = 0;
  /** Bits 31:0 of the last leaf, before any accessed/dirty update. */
  leafLow = 0;
  /** Bits 63:32 of the last leaf. */
  leafHigh = 0;

  /** Level of the last successful walk's leaf: 0 is a base page. -1 when nothing was translated. */
  get leafLevel(): number {
    const { bits, leafShift } = this;
    if (bits > 0) return Math.floor(leafShift / bits);
    return leafShift < 0 ? -1 : this.format!.levelPages.indexOf(2 ** leafShift);
  }

  /** What all entries of the last walk that `arrive` noted leave. */
  private arrivedRights = ROOT_RIGHTS;

  /**
   * What an entry is to an enumeration: {@link SKIP}, {@link POINTER} or {@link LEAF}. Unless overridden, what the format
   * says; entries that fault every access for another reason should be skipped.
   */
  classify(low: number, high: number, level: number): number {
    const format = this.format!;
    if (!format.isPresent(low, high, level)) return SKIP;
    if (format.isLeaf(low, high, level)) return LEAF;
    return level === 0 ? SKIP : POINTER;
  }

  /** What an entry by itself leaves of the rights above it: `Prot` bits, {@link LOCAL}, and what `protOf` reads. */
  abstract entryProt(low: number, high: number, leaf: boolean): number;

  /** The `Prot` bits of what all entries leave. */
  protOf(rights: number): number {
    return rights & ALL_PROT;
  }

  /** Makes `classify`, `entryProt` and their like speak of what is below a root, where roots differ. */
  useRoot(_slot: number): void {}

  /** The frame that a pointer names. */
  tableFrame(low: number, high: number): number {
    return this.format!.tablePfn(low, high);
  }

  /** The first byte of the table that a pointer names, in that frame: not 0 where tables are smaller than a page. */
  tableByte(_low: number, _high: number): number {
    return 0;
  }

  /** The frame that a leaf gives to a page. */
  frameFor(low: number, high: number, level: number, vpn: number): number {
    const format = this.format!;
    return format.leafPfn(low, high, level) + (vpn % format.levelPages[level]!);
  }

  /**
   * What a leaf says beside frame and rights; `inherited` is what all entries leave. At level -1 nothing was translated. An
   * `access` is the one that it answers (AArch64's fetches see other memory than its data); without one it is asked for the
   * leaf's own sake.
   */
  leafAttributes(
    _low: number,
    _high: number,
    level: number,
    inherited: number,
    _access?: number,
  ): LeafAttributes {
    const pages = level < 0 ? 1 : this.format!.levelPages[level]!;
    return { pageBytes: this.pageBytes * pages, global: (inherited & LOCAL) === 0 };
  }

  /** The same as one number, equal for equal attributes. */
  attributeKey(_low: number, _high: number, level: number): number {
    return level;
  }

  /** The `Prot` bits that the entries of the path down to `level` leave. @internal */
  pathRights(level: number): number {
    const { path } = this;
    let rights = ROOT_RIGHTS;
    for (let above = path.first; above >= level; above--) {
      if (!this.hasRights(above)) continue;
      const low = path.low[above]!;
      const high = path.high[above]!;
      const leaf = above === path.last && path.format?.kindOf(low, high, above) === 'leaf';
      rights &= this.entryProt(low, high, leaf);
    }
    return this.protOf(rights);
  }

  /** Whether the entry of a level limits rights at all. */
  protected hasRights(_level: number): boolean {
    return true;
  }

  /**
   * Whether the walker supports this access; the others are a caller's mistake. Unless overridden, loads, stores, fetches
   * and read-modify-writes of the user and the supervisor.
   */
  protected supportsAccess(access: number): boolean {
    return isAccessOf(access, 3 | Access.User | Access.ReadModifyWrite);
  }

  /** What all entries of the last successful walk leave: `Prot` bits and {@link LOCAL}. */
  protected leafRights(): number {
    return this.arrivedRights;
  }

  /**
   * Notes that a complete walk ends at the leaf that the path ends with.
   *
   * @param rule - The rule that lets it through.
   * @param vpn - The page number.
   * @param rights - What all entries leave.
   * @returns The frame, which is what the walk returns.
   */
  protected arrive(rule: WalkRule, vpn: number, rights: number): number {
    const { path } = this;
    const level = path.last;
    this.rule = rule;
    this.leafShift = Math.log2(path.format!.levelPages[level]!);
    this.leafLow = path.low[level]!;
    this.leafHigh = path.high[level]!;
    this.arrivedRights = rights;
    return this.frameFor(this.leafLow, this.leafHigh, level, vpn);
  }

  /** The architecture's own words for the last fault. */
  protected faultEncoding(_va: bigint): FaultEncoding {
    return {};
  }
}
