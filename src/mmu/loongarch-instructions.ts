import { checkInteger, PAGE_NUMBER_END, VmError } from '../core/index.js';
import { FillChoice } from './fill-choice.js';
import { LoongArchLo, loongArchFrame } from './loongarch-entry-lo.js';
import {
  LEAST_PAGE_SHIFT,
  type LoongArchShape,
  LoongArchTlbAnswer,
  MOST_PAGE_SHIFT,
} from './loongarch-options.js';
import { LoongArchRegisters } from './loongarch-registers.js';
import { PairStore, tagOf } from './pair-store.js';
import { COUNTS, Count } from './software-tlb.js';

const { GLOBAL } = LoongArchLo;

/**
 * The instructions that maintain a LoongArch TLB, with its entries (LoongArch Reference Manual Vol. 1, 4.2.4).
 */
export abstract class LoongArchInstructions extends LoongArchRegisters {
  protected readonly store: PairStore;
  protected readonly counts: Float64Array = new Float64Array(COUNTS);
  protected readonly choice: FillChoice;
  protected stlbShift: number;
  /** Base pages in both pages of an entry of the STLB. */
  protected stlbSpan: number;

  protected constructor(shape: LoongArchShape) {
    super(shape);
    this.store = new PairStore(this.entries);
    const ways = Array.from({ length: shape.stlbSets }, () => shape.stlbWays);
    this.choice = new FillChoice([...ways, shape.mtlbEntries], shape.seed);
    this.stlbShift = shape.stlbPageShift;
    this.stlbSpan = 2 * pagesOf(this.stlbShift);
  }

  /** STLBPS.PS: the page size of the STLB. It may be written while the STLB is empty. */
  get stlbPageShift(): number {
    return this.stlbShift;
  }

  set stlbPageShift(value: number) {
    checkInteger('stlbPageShift', value, LEAST_PAGE_SHIFT, MOST_PAGE_SHIFT);
    if (value !== this.stlbShift && this.store.used().some((index) => index < this.stlbEntries)) {
      const expected = 'an empty STLB, for its entries would be of other pages';
      throw new VmError('unsupported', { argument: 'stlbPageShift', value, expected });
    }
    this.stlbShift = value;
    this.stlbSpan = 2 * pagesOf(value);
  }

  /**
   * TLBSRCH: looks for the entry of TLBEHI, in a refill exception of TLBREHI. O(ways + MTLB).
   *
   * @returns Its index, which TLBIDX then has, or -1 with TLBIDX.NE set.
   */
  search(): number {
    const found = this.find(this.pageWritten());
    this.neField = found < 0;
    if (found >= 0) this.indexField = found;
    return found;
  }

  /**
   * TLBRD: loads TLBEHI, TLBELO0, TLBELO1, TLBIDX.PS and ASID from the entry of TLBIDX; both TLBELO have the G of the entry.
   * Where there is none, TLBIDX.NE is set and everything else 0.
   */
  read(): void {
    const { indexField, store } = this;
    const even = 2 * indexField;
    this.neField = !store.isUsed(indexField);
    this.psField = this.neField ? 0 : shiftOf(store.pages[indexField]!);
    this.vppnField = store.first[indexField]! / 2;
    this.asidField = store.asid[indexField]!;
    this.elo0.load(store.low[even]!, store.high[even]!);
    this.elo1.load(store.low[even + 1]!, store.high[even + 1]!);
  }

  /**
   * TLBWR: writes TLBEHI, TLBELO0, TLBELO1 and TLBIDX.PS into the entry of TLBIDX, or takes it out when TLBIDX.NE is set; in
   * a refill exception TLBREHI, TLBRELO0 and TLBRELO1, whatever NE. O(entries).
   *
   * @returns The index; or, with nothing changed, `LoongArchTlbAnswer.MultipleHit`: another entry would match too, or
   * `LoongArchTlbAnswer.PageSize`: the entry is of the STLB, and the page is not or belongs to another set of it.
   */
  writeIndexed(): number {
    if (!this.isTlbr && this.neField) {
      this.store.clear(this.indexField);
      this.counts[Count.Writes]! += 1;
      return this.indexField;
    }
    const shift = this.isTlbr ? this.refillPsField : this.psField;
    if (shift === 0) return LoongArchTlbAnswer.PageSize;
    if (this.indexField < this.stlbEntries) {
      const set = this.indexField % this.shape.stlbSets;
      const page = this.pageWritten();
      if (shift !== this.stlbShift || this.setOf(page) !== set) return LoongArchTlbAnswer.PageSize;
    }
    if (this.conflicts(shift, this.indexField)) return LoongArchTlbAnswer.MultipleHit;
    return this.put(this.indexField, shift);
  }

  /**
   * TLBFILL: writes the same registers into an entry that the TLB chooses: of the STLB when the page size is that of STLBPS,
   * otherwise of the MTLB. O(entries).
   *
   * @returns The index; or, with nothing changed, `LoongArchTlbAnswer.MultipleHit`: an entry matches already, or
   * `LoongArchTlbAnswer.PageSize`: TLBIDX.PS is 0.
   */
  fill(): number {
    const shift = this.isTlbr ? this.refillPsField : this.psField;
    if (shift === 0) return LoongArchTlbAnswer.PageSize;
    if (this.conflicts(shift, -1)) return LoongArchTlbAnswer.MultipleHit;
    const { stlbSets } = this.shape;
    const page = this.pageWritten();
    const inStlb = shift === this.stlbShift;
    const set = inStlb ? this.setOf(page) : stlbSets;
    const way = this.choice.take(set);
    const index = inStlb ? way * stlbSets + set : this.stlbEntries + way;
    if (this.store.isUsed(index)) this.counts[Count.Evictions]! += 1;
    return this.put(index, shift);
  }

  /** Whether the registers' entry would match a page of another one. */
  private conflicts(shift: number, except: number): boolean {
    const pages = pagesOf(shift);
    const vpn = this.pageWritten();
    const tag = tagOf(this.asidField, this.writesGlobal());
    return this.store.conflict(vpn - (vpn % (2 * pages)), pages, tag, except) >= 0;
  }

  /** The even page of the registers in force. */
  private pageWritten(): number {
    return 2 * (this.isTlbr ? this.refillVppnField : this.vppnField);
  }

  private writesGlobal(): boolean {
    const [even, odd] = this.isTlbr ? [this.refillElo0, this.refillElo1] : [this.elo0, this.elo1];
    return (even.low & odd.low & GLOBAL) !== 0;
  }

  private put(index: number, shift: number): number {
    const pages = pagesOf(shift);
    const vpn = this.pageWritten();
    const even = this.isTlbr ? this.refillElo0 : this.elo0;
    const odd = this.isTlbr ? this.refillElo1 : this.elo1;
    const global = this.writesGlobal();
    this.store.write(index, vpn - (vpn % (2 * pages)), pages, this.asidField, global);
    this.writeHalf(2 * index, even.low, even.high, global);
    this.writeHalf(2 * index + 1, odd.low, odd.high, global);
    this.counts[Count.Writes]! += 1;
    return index;
  }

  /** Writes one page; its G is that of the entry. */
  protected writeHalf(half: number, low: number, high: number, global: boolean): void {
    const word = global ? low | GLOBAL : low & ~GLOBAL;
    this.store.writeHalf(half, loongArchFrame(low, high), word, high);
  }

  /**
   * TLBCLR: takes out what belongs to the address space of ASID alone: of the MTLB when TLBIDX is there, otherwise of the set
   * of the STLB that TLBIDX is in.
   *
   * @returns How many entries went.
   */
  clear(): number {
    return this.drop((index) => this.isBeside(index) && this.store.isOf(index, this.asidField));
  }

  /**
   * TLBFLUSH: the same with the entries of every address space.
   *
   * @returns How many entries went.
   */
  flush(): number {
    return this.drop((index) => this.isBeside(index));
  }

  /** Whether an entry is in the MTLB with TLBIDX, or in the set of the STLB with it. */
  private isBeside(index: number): boolean {
    const { indexField, shape, stlbEntries } = this;
    if (indexField >= stlbEntries) return index >= stlbEntries;
    return index < stlbEntries && (index - indexField) % shape.stlbSets === 0;
  }

  /**
   * INVTLB (4.2.4.7): takes out, by operation: 0 and 1 everything; 2 what is global; 3 what is not; 4 what is not, of the
   * ASID; 5 what is not, of the ASID and with the page; 6 what is global or of the ASID, with the page.
   *
   * @param op - The operation, 0 to 31.
   * @param asid - Bits 9:0 of the first register, for operations 4 to 6.
   * @param vpn - Bits 63:12 of the second, for operations 5 and 6.
   * @returns How many entries went; `LoongArchTlbAnswer.NoInstruction` for operations above 6.
   * @throws `VmError` for numbers that are none.
   */
  invalidate(op: number, asid = 0, vpn = 0): number {
    checkInteger('op', op, 0, 31);
    checkInteger('asid', asid, 0, 1023);
    checkInteger('vpn', vpn, 0, PAGE_NUMBER_END - 1);
    const { store } = this;
    const reached: readonly ((index: number) => boolean)[] = [
      () => true,
      () => true,
      (index) => store.isGlobal(index),
      (index) => !store.isGlobal(index),
      (index) => store.isOf(index, asid),
      (index) => store.isOf(index, asid) && store.matches(index, vpn, asid),
      (index) => store.matches(index, vpn, asid),
    ];
    const reach = reached[op];
    return reach === undefined ? LoongArchTlbAnswer.NoInstruction : this.drop(reach);
  }

  private drop(goes: (index: number) => boolean): number {
    const gone = this.store.used().filter(goes);
    for (const index of gone) this.store.clear(index);
    return gone.length;
  }

  /** The set of the STLB for a page. */
  protected setOf(vpn: number): number {
    return Math.floor(vpn / this.stlbSpan) % this.shape.stlbSets;
  }

  /** The entry of a page in the current address space; -1 for none. */
  protected find(vpn: number): number {
    const { asidField, stlbEntries, store } = this;
    const { stlbSets } = this.shape;
    const found = store.find(vpn, asidField, this.setOf(vpn), stlbEntries, stlbSets);
    return found >= 0 ? found : store.find(vpn, asidField, stlbEntries, store.entries, 1);
  }
}

/** Base pages in a page whose bytes are given as log2. @internal */
export function pagesOf(shift: number): number {
  return 2 ** (shift - 12);
}

/** The other way round. @internal */
export function shiftOf(pages: number): number {
  return 12 + Math.log2(pages);
}
