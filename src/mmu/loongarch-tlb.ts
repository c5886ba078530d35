import { Access, checkVersion } from '../core/index.js';
import { LoongArchLo, loongArchEntryLoFields } from './loongarch-entry-lo.js';
import { LoongArchInstructions, pagesOf, shiftOf } from './loongarch-instructions.js';
import {
  LoongArchTlbAnswer,
  type LoongArchTlbEntry,
  type LoongArchTlbOptions,
  type LoongArchTlbSnapshot,
  loongArchKind,
  loongArchShape,
  MOST_PAGE_SHIFT,
} from './loongarch-options.js';
import { damaged, savedNumbers, savedPairs, tagOf } from './pair-store.js';
import {
  COUNTS,
  Count,
  checkAsked,
  isStore,
  type SoftwareTlbHandler,
  type SoftwareTlbStatistics,
  statisticsOf,
  untilTranslated,
} from './software-tlb.js';

const { DIRTY, NO_EXECUTE, NO_READ, RESTRICTED, VALID } = LoongArchLo;

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
export class LoongArchTlb extends LoongArchInstructions {
  /**
   * @param options - See {@link LoongArchTlbOptions}.
   * @throws `VmError` for options that are none.
   */
  constructor(options: LoongArchTlbOptions = {}) {
    super(loongArchShape(options));
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
