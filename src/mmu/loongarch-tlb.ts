import { Access, checkInteger, checkVersion, PAGE_NUMBER_END, VmError } from '../core/index.js';
import { FillChoice } from './fill-choice.js';
import { LoongArchLo, loongArchEntryLoFields, loongArchFrame } from './loongarch-entry-lo.js';
import {
  LEAST_PAGE_SHIFT,
  LoongArchTlbAnswer,
  type LoongArchTlbEntry,
  type LoongArchTlbOptions,
  type LoongArchTlbSnapshot,
  loongArchKind,
  loongArchShape,
  MOST_PAGE_SHIFT,
} from './loongarch-options.js';
import { LoongArchRegisters } from './loongarch-registers.js';
import { isStore } from './mips-options.js';
import { damaged, PairStore, savedNumbers, savedPairs, tagOf } from './pair-store.js';
import {
  COUNTS,
  Count,
  checkAsked,
  type SoftwareTlbHandler,
  type SoftwareTlbStatistics,
  statisticsOf,
  untilTranslated,
} from './software-tlb.js';

const { DIRTY, GLOBAL, NO_EXECUTE, NO_READ, RESTRICTED, VALID } = LoongArchLo;

/**
 * The TLB of a LoongArch processor, which software fills (LoongArch Reference Manual Vol. 1, 5.4; instructions 4.2.4;
 * registers 7.5): the STLB, which is set-associative and has pages of one size, and the MTLB, which is fully associative
 * and has pages of any; entries of two pages each, an even and an odd one. A miss is an exception, and a handler answers it.
 *
 * Addresses are those of mapped translation: direct map windows and addresses that are none (ADEF, ADEM) are decided
 * before. `Access.User` is privilege level 3, everything else level 0.
 *
 * What the manual leaves to the processor: TLBFILL chooses among all ways, empty or not, as `choice` says. Two entries that
 * match, for which there is no result, are refused when the second is written. G of an entry is set when both halves have
 * it. TLBSRCH that fails leaves Index alone. TLBRD that finds no entry makes ASID 0, as well as the other registers.
 *
 * @example
 * ```ts
 * import { Access } from 'pagewright/core';
 * import { LoongArchTlb, LoongArchTlbAnswer, type SoftwareTlbHandler } from 'pagewright/mmu';
 *
 * const table = [0x4000f, 0x4100d, 0x42000, 0x43003]; // of pages 0 to 3: PPN, PLV, D, V
 * const handler: SoftwareTlbHandler<LoongArchTlb> = {
 *   refill(tlb) {
 *     const even = tlb.refillBadVpn - (tlb.refillBadVpn % 2);
 *     tlb.refillElo0.load(table[even] ?? 0, 0); // LDPTE
 *     tlb.refillElo1.load(table[even + 1] ?? 0, 0);
 *     tlb.fill();
 *   },
 * };
 * const tlb = new LoongArchTlb({ stlbPageShift: 12 });
 * tlb.translate(0, Access.Write | Access.User, handler); // => 0x40
 * tlb.translatePage(1, Access.Read); // => 0x41
 * tlb.translatePage(1, Access.Write) === LoongArchTlbAnswer.Modified; // => true
 * tlb.translate(2, Access.Read, handler) === LoongArchTlbAnswer.LoadInvalid; // => true
 * tlb.translate(3, Access.Read | Access.User, handler) === LoongArchTlbAnswer.Privilege; // => true
 * tlb.statistics().refills; // => 2
 * ```
 * @public
 */
export class LoongArchTlb extends LoongArchRegisters {
  private readonly store: PairStore;
  private readonly counts: Float64Array = new Float64Array(COUNTS);
  private readonly choice: FillChoice;
  private stlbShift: number;
  /** Base pages in both pages of an entry of the STLB. */
  private stlbSpan: number;

  /**
   * @param options - See {@link LoongArchTlbOptions}.
   * @throws `VmError` for options that are none.
   */
  constructor(options: LoongArchTlbOptions = {}) {
    const shape = loongArchShape(options);
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
    const found = this.find(2 * (this.isTlbr ? this.refillVppnField : this.vppnField));
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
      const page = 2 * (this.isTlbr ? this.refillVppnField : this.vppnField);
      if (shift !== this.stlbShift || this.setOf(page) !== set) return LoongArchTlbAnswer.PageSize;
    }
    return this.writeAt(this.indexField, shift, this.indexField);
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
    const page = 2 * (this.isTlbr ? this.refillVppnField : this.vppnField);
    const inStlb = shift === this.stlbShift;
    const set = inStlb ? this.setOf(page) : stlbSets;
    const way = this.choice.take(set);
    const index = inStlb ? way * stlbSets + set : this.stlbEntries + way;
    if (this.store.isUsed(index)) this.counts[Count.Evictions]! += 1;
    return this.writeAt(index, shift, index);
  }

  /** Whether the registers' entry would match a page of another one. */
  private conflicts(shift: number, except: number): boolean {
    const pages = pagesOf(shift);
    const vpn = 2 * (this.isTlbr ? this.refillVppnField : this.vppnField);
    const tag = tagOf(this.asidField, this.writesGlobal());
    return this.store.conflict(vpn - (vpn % (2 * pages)), pages, tag, except) >= 0;
  }

  private writesGlobal(): boolean {
    const [even, odd] = this.isTlbr ? [this.refillElo0, this.refillElo1] : [this.elo0, this.elo1];
    return (even.low & odd.low & GLOBAL) !== 0;
  }

  private writeAt(index: number, shift: number, except: number): number {
    if (this.conflicts(shift, except)) return LoongArchTlbAnswer.MultipleHit;
    const pages = pagesOf(shift);
    const vpn = 2 * (this.isTlbr ? this.refillVppnField : this.vppnField);
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
  private writeHalf(half: number, low: number, high: number, global: boolean): void {
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
  private setOf(vpn: number): number {
    return Math.floor(vpn / this.stlbSpan) % this.shape.stlbSets;
  }

  /** The entry of a page in the current address space; -1 for none. */
  private find(vpn: number): number {
    const { asidField, stlbEntries, store } = this;
    const { stlbSets } = this.shape;
    for (let index = this.setOf(vpn); index < stlbEntries; index += stlbSets) {
      if (store.matches(index, vpn, asidField)) return index;
    }
    for (let index = stlbEntries; index < store.entries; index++) {
      if (store.matches(index, vpn, asidField)) return index;
    }
    return -1;
  }

  /**
   * One access, for hot loops. O(ways) for a page of the STLB, O(ways + MTLB) for another; no allocation. A refill exception
   * has set TLBRERA.IsTLBR, TLBRBADV and TLBREHI.VPPN, which lasts until `exceptionReturn`; another one BADV and TLBEHI.VPPN.
   *
   * @param vpn - Bits 63:12 of the address.
   * @param access - `Access` bits: what is done, and whether in user mode.
   * @returns The frame of 4 KiB, or one of `LoongArchTlbAnswer`.
   * @throws `VmError` for a page number or access that is none, where no page is found for it.
   */
  translatePage(vpn: number, access: number): number {
    const index = this.find(vpn);
    if (index < 0) return this.missed(vpn, access);
    const half = this.store.half(index, vpn);
    const answer = this.verdict(this.store.low[half]!, this.store.high[half]!, access);
    if (answer < 0) return this.raise(answer, vpn, access);
    this.counts[Count.Hits]! += 1;
    return this.store.frameOf(half, vpn);
  }

  /** What a page says to an access, in the manual's order (5.4.4): an answer, or 0. */
  private verdict(low: number, high: number, access: number): number {
    const fetch = (access & 3) === Access.Fetch;
    const stores = isStore(access);
    if ((low & VALID) === 0) {
      if (fetch) return LoongArchTlbAnswer.FetchInvalid;
      return stores ? LoongArchTlbAnswer.StoreInvalid : LoongArchTlbAnswer.LoadInvalid;
    }
    if (fetch && (high & NO_EXECUTE) !== 0) return LoongArchTlbAnswer.NotExecutable;
    const plv = (access & Access.User) !== 0 ? 3 : 0;
    const level = (low >>> 2) & 3;
    if ((high & RESTRICTED) !== 0 ? plv !== level : plv > level) {
      return LoongArchTlbAnswer.Privilege;
    }
    if (!fetch && !stores && (high & NO_READ) !== 0) return LoongArchTlbAnswer.NotReadable;
    const checked = stores && (plv === 3 || !this.dwpl0);
    return checked && (low & DIRTY) === 0 ? LoongArchTlbAnswer.Modified : 0;
  }

  private missed(vpn: number, access: number): number {
    checkAsked(vpn, access);
    this.isTlbr = true;
    this.refillBadPage = vpn;
    this.refillVppnField = Math.floor(vpn / 2);
    this.counts[loongArchKind(LoongArchTlbAnswer.Refill)]! += 1;
    return LoongArchTlbAnswer.Refill;
  }

  private raise(answer: number, vpn: number, access: number): number {
    checkAsked(vpn, access);
    this.badPage = vpn;
    this.vppnField = Math.floor(vpn / 2);
    this.counts[loongArchKind(answer)]! += 1;
    return answer;
  }

  /**
   * One access, with a handler for its exceptions. The access is made again after each; each kind of exception is handled
   * once, and when it comes again it is the answer, so that a handler that does nothing ends. No refill exception is being
   * handled afterwards.
   *
   * @param vpn - Bits 63:12 of the address, 0 to 2^52 - 1.
   * @param access - `Access` bits.
   * @param handler - The operating system.
   * @returns The frame of 4 KiB, or one of `LoongArchTlbAnswer`.
   * @throws `VmError` for arguments that are none; what the handler throws.
   */
  translate(vpn: number, access: number, handler: SoftwareTlbHandler<LoongArchTlb>): number {
    checkAsked(vpn, access);
    const attempt = (): number => this.translatePage(vpn, access);
    const back = (): void => this.exceptionReturn();
    try {
      return untilTranslated(this, access, handler, attempt, loongArchKind, back);
    } finally {
      back();
    }
  }

  /**
   * What is in it.
   *
   * @returns Every entry as plain data, by index. O(entries).
   */
  content(): readonly LoongArchTlbEntry[] {
    const { store } = this;
    return store.used().map((index) => ({
      index,
      part: index < this.stlbEntries ? 'stlb' : 'mtlb',
      vpn: store.first[index]!,
      pageShift: shiftOf(store.pages[index]!),
      asid: store.asid[index]!,
      global: store.isGlobal(index),
      even: loongArchEntryLoFields(store.low[2 * index]!, store.high[2 * index]!),
      odd: loongArchEntryLoFields(store.low[2 * index + 1]!, store.high[2 * index + 1]!),
    }));
  }

  /**
   * What has happened.
   *
   * @returns Counts as plain data.
   */
  statistics(): SoftwareTlbStatistics {
    return statisticsOf(this.counts);
  }

  /**
   * Verifies that pairs are aligned, that those of the STLB are of its size and in their set, and that no two entries match
   * one page.
   *
   * @throws An `Error` that names what does not hold. O(entries^2).
   */
  checkInvariants(): void {
    this.store.checkInvariants();
    for (const index of this.store.used()) {
      if (this.fits(index, this.store.first[index]!, this.store.pages[index]!)) continue;
      throw new Error(`entry ${index} is not in its set of the STLB`);
    }
  }

  private fits(index: number, first: number, pages: number): boolean {
    if (index >= this.stlbEntries) return true;
    return 2 * pages === this.stlbSpan && this.setOf(first) === index % this.shape.stlbSets;
  }

  /**
   * Everything; {@link LoongArchTlb.restore} makes the same TLB of it.
   *
   * @returns Plain data, versioned. O(entries).
   */
  snapshot(): LoongArchTlbSnapshot {
    const { mtlbEntries, stlbSets, stlbWays } = this.shape;
    const shape = { stlbSets, stlbWays, stlbPageShift: this.stlbShift, mtlbEntries };
    const registers = this.saveRegisters();
    const choice = this.choice.save();
    const counts = [...this.counts];
    const slots = this.store.save();
    return { v: 1, type: 'loongarch-tlb', ...shape, registers, choice, counts, slots };
  }

  /**
   * The TLB of a snapshot.
   *
   * @param snapshot - What `snapshot` returned.
   * @returns A TLB that answers as the saved one would have.
   * @throws `VmError` `unsupported` for another version, `bad-image` for what was tampered with, otherwise as the
   * constructor.
   */
  static restore(snapshot: LoongArchTlbSnapshot): LoongArchTlb {
    checkVersion(snapshot, 1, 'loongarch-tlb');
    const { choice, counts, mtlbEntries, stlbPageShift, stlbSets, stlbWays } = snapshot;
    const tlb = new LoongArchTlb({ mtlbEntries, stlbPageShift, stlbSets, stlbWays });
    tlb.loadRegisters(savedNumbers('registers', snapshot.registers, 19));
    tlb.choice.load(choice);
    tlb.counts.set(savedNumbers('counts', counts, COUNTS));
    if (tlb.counts.some((count) => count < 0)) throw damaged('counts', counts, 'counts');
    tlb.loadSlots(snapshot.slots);
    return tlb;
  }

  private loadSlots(slots: unknown): void {
    const { store } = this;
    for (const saved of savedPairs(slots, this.entries, 1024, pagesOf(MOST_PAGE_SHIFT))) {
      const { asid, first, global, index, pages, words } = saved;
      const [low0, high0, low1, high1] = words;
      const taken =
        store.isUsed(index) || store.conflict(first, pages, tagOf(asid, global), -1) >= 0;
      if (taken || !this.fits(index, first, pages)) {
        throw damaged('slots', slots, 'entries apart, those of the STLB in their sets');
      }
      store.write(index, first, pages, asid, global);
      this.writeHalf(2 * index, low0, high0, global);
      this.writeHalf(2 * index + 1, low1, high1, global);
    }
  }
}

/** Base pages in a page of so many bytes, as log2. */
function pagesOf(shift: number): number {
  return 2 ** (shift - 12);
}

function shiftOf(pages: number): number {
  return 12 + Math.log2(pages);
}
