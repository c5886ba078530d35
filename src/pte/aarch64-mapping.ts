import { Prot } from '../core/index.js';
import { AARCH64_PTE, AARCH64_PTE_HIGH } from './aarch64.js';
import { S2_READ, S2_WRITE, S2_XN, SOFT_DIRTY } from './aarch64-mapping-options.js';
import type { WordMask } from './entry.js';
import { MappingBits, type MappingBitsOptions } from './mapping-bits.js';

const { AP1, AP2 } = AARCH64_PTE;
const { APTable0, APTable1, DBM, PXN, PXNTable, UXN, UXNTable } = AARCH64_PTE_HIGH;

/** Stage 2: XN[1:0] is 2, execution at no exception level; 0 is execution at both. */
const S2_NEVER = 0x00400000;

/**
 * AArch64's: a page that may be written has DBM, and is dirty when the stage also lets it be written without more ado (AP[2]
 * clear, S2AP[1] set), as hardware leaves it that manages dirty state (Arm ARM DDI 0487, D8 Hardware management of the
 * dirty state). When the right to write is taken away, software's bit remembers.
 *
 * @public
 */
export class AArch64MappingBits extends MappingBits {
  private readonly stage: 1 | 2;

  /** @param options - What a format of AArch64 says. */
  constructor(options: MappingBitsOptions) {
    super(options);
    this.stage = options.aarch64Stage ?? 1;
  }

  override granted(prot: number): number {
    // Stage 1 can't withhold loads from EL1; to stage 2 all accesses are alike.
    return prot | (this.stage === 2 ? Prot.User : Prot.Read);
  }

  override leafLow(prot: number, accessed: boolean, dirty: boolean, global: boolean): number {
    const low = super.leafLow(prot, accessed, dirty, global) | this.rightsWord(prot);
    return this.writtenLow(low, dirty && (prot & Prot.Write) !== 0);
  }

  override leafHigh(prot: number, dirty: boolean, _global: boolean): number {
    const high = this.rightsUpper(prot);
    return dirty && (high & DBM) === 0 ? high | SOFT_DIRTY : high;
  }

  override protOf(low: number, high: number): number {
    const write = this.isWritable(low, high) ? Prot.Write : 0;
    if (this.stage === 2) {
      const never = (high & S2_XN) === S2_NEVER;
      return (
        ((low & S2_READ) !== 0 ? Prot.Read : 0) | write | (never ? 0 : Prot.Execute) | Prot.User
      );
    }
    const user = (low & AP1) !== 0;
    const never = (high & (user ? UXN : PXN)) !== 0;
    return Prot.Read | write | (never ? 0 : Prot.Execute) | (user ? Prot.User : 0);
  }

  override pointerProt(_low: number, high: number): number {
    if (this.stage === 2) return 15;
    const user = (high & APTable0) === 0 ? Prot.User : 0;
    const write = (high & APTable1) === 0 ? Prot.Write : 0;
    // Each exception level has a bit of its own: a limit for either counts.
    const execute = (high & (PXNTable | UXNTable)) === 0 ? Prot.Execute : 0;
    return Prot.Read | write | execute | user;
  }

  override widenLow(low: number): number {
    return low;
  }

  override widenHigh(high: number): number {
    return this.stage === 2 ? high : high & ~(APTable0 | APTable1 | PXNTable | UXNTable);
  }

  override narrowLow(
    low: number,
    _high: number,
    above: WordMask,
    _level: number,
    leaf: boolean,
  ): number {
    if (!leaf || this.stage === 2) return low;
    const mine = (above.high & APTable0) !== 0 ? low & ~AP1 : low;
    return (above.high & APTable1) !== 0 ? mine | AP2 : mine;
  }

  override narrowHigh(
    low: number,
    high: number,
    above: WordMask,
    _level: number,
    leaf: boolean,
  ): number {
    if (this.stage === 2) return high;
    if (!leaf) return high | (above.high & (APTable0 | APTable1 | PXNTable | UXNTable));
    const never =
      ((above.high & PXNTable) !== 0 ? PXN : 0) | ((above.high & UXNTable) !== 0 ? UXN : 0);
    return ((above.high & APTable1) !== 0 ? this.writeProtectHigh(low, high) : high) | never;
  }

  override protectLow(low: number, high: number, prot: number): number {
    const mask = this.stage === 1 ? AP1 | AP2 : S2_READ | S2_WRITE;
    const bare = (low & ~mask) | this.rightsWord(prot);
    return this.writtenLow(bare, (prot & Prot.Write) !== 0 && this.isDirty(low, high));
  }

  override protectHigh(low: number, high: number, prot: number): number {
    const mask = DBM | SOFT_DIRTY | (this.stage === 1 ? PXN | UXN : S2_XN);
    const bare = (high & ~mask) | this.rightsUpper(prot);
    return this.isDirty(low, high) && (prot & Prot.Write) === 0 ? bare | SOFT_DIRTY : bare;
  }

  override writeProtectLow(low: number): number {
    return this.writtenLow(low, false);
  }

  override writeProtectHigh(low: number, high: number): number {
    return (high & ~DBM) | (this.isDirty(low, high) ? SOFT_DIRTY : 0);
  }

  override isDirty(low: number, high: number): boolean {
    const marked = (high & SOFT_DIRTY) !== 0;
    return marked || ((high & DBM) !== 0 && this.mayWriteNow(low));
  }

  override dirtyLow(low: number, high: number, dirty: boolean): number {
    return (high & DBM) === 0 ? low : this.writtenLow(low, dirty);
  }

  override dirtyHigh(_low: number, high: number, dirty: boolean): number {
    return dirty && (high & DBM) === 0 ? high | SOFT_DIRTY : high & ~SOFT_DIRTY;
  }

  private isWritable(low: number, high: number): boolean {
    return (high & DBM) !== 0 || this.mayWriteNow(low);
  }

  private mayWriteNow(low: number): boolean {
    return this.stage === 1 ? (low & AP2) === 0 : (low & S2_WRITE) !== 0;
  }

  private writtenLow(low: number, dirty: boolean): number {
    if (this.stage === 1) return dirty ? low & ~AP2 : low | AP2;
    return dirty ? low | S2_WRITE : low & ~S2_WRITE;
  }

  /** The rights in the low word but for the right to write. */
  private rightsWord(prot: number): number {
    if (this.stage === 2) return (prot & Prot.Read) !== 0 ? S2_READ : 0;
    return (prot & Prot.User) !== 0 ? AP1 : 0;
  }

  /** The rights in the high word. One exception level executes a page, as in Linux: its own. */
  private rightsUpper(prot: number): number {
    const writable = (prot & Prot.Write) !== 0 ? DBM : 0;
    const execute = (prot & Prot.Execute) !== 0;
    if (this.stage === 2) return writable | (execute ? 0 : S2_NEVER);
    if (!execute) return writable | PXN | UXN;
    return writable | ((prot & Prot.User) !== 0 ? PXN : UXN);
  }
}
