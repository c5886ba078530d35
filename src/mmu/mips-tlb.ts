import { Access, checkVersion } from '../core/index.js';
import { MipsLo, mipsEntryLoFields, mipsFrame } from './mips-entry-lo.js';
import {
  isPageMask,
  MipsTlbAnswer,
  type MipsTlbEntry,
  type MipsTlbOptions,
  type MipsTlbSnapshot,
  MOST_MASK,
  mipsKind,
  mipsOptions,
} from './mips-options.js';
import { MipsRegisters } from './mips-registers.js';
import { damaged, PairStore, savedNumbers, savedPairs, tagOf } from './pair-store.js';
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

const { DIRTY, EXECUTE_INHIBIT, GLOBAL, READ_INHIBIT, VALID } = MipsLo;

/**
 * The TLB of a MIPS64 processor, which software fills (MIPS64 Architecture for Programmers Vol. III, TLB-Based Virtual
 * Address Translation): entries of two pages each, an even and an odd one, with a page mask; the registers of
 * coprocessor 0 and the four instructions that use them. A miss is an exception, and a handler answers it.
 *
 * Addresses are those of mapped segments, `vpn` with EntryHi.R on top: which segments user mode may use, and which are not
 * mapped, is decided before. Pages are of 4 KiB to 256 MiB.
 *
 * What the manual leaves to the processor: Random counts down by one at each TLBWR and at `tick`, from the last entry to
 * Wired and then to the last again. A write that would make two entries match is refused with a Machine Check; entries with
 * V=0 count. Entries are hardware-invalid at first, as after TLBWI with EntryHi.EHINV=1. TLBP that fails leaves
 * Index.Index alone. Bits of VPN2 under the mask read as 0; those of PFN as they were written.
 *
 * @example
 * ```ts
 * import { Access } from 'pagewright/core';
 * import { MipsTlb, MipsTlbAnswer, type SoftwareTlbHandler } from 'pagewright/mmu';
 *
 * const table = [0x1006, 0x1042, 0x1080, 0x10c2]; // EntryLo of pages 0 to 3
 * const handler: SoftwareTlbHandler<MipsTlb> = {
 *   refill(tlb) {
 *     tlb.entryLo0.load(table[2 * tlb.badVpn2] ?? 0, 0);
 *     tlb.entryLo1.load(table[2 * tlb.badVpn2 + 1] ?? 0, 0);
 *     tlb.writeRandom();
 *   },
 * };
 * const tlb = new MipsTlb({ entries: 16 });
 * tlb.translate(0, Access.Write, handler); // => 0x40
 * tlb.translatePage(1, Access.Read); // => 0x41
 * tlb.translatePage(1, Access.Write) === MipsTlbAnswer.Modified; // => true
 * tlb.translate(2, Access.Read, handler) === MipsTlbAnswer.Invalid; // => true
 * tlb.statistics().refills; // => 2
 * ```
 * @public
 */
export class MipsTlb extends MipsRegisters {
  private readonly store: PairStore;
  private readonly counts: Float64Array = new Float64Array(COUNTS);
  /** Where the last page was found. */
  private latest = 0;

  /**
   * @param options - See {@link MipsTlbOptions}.
   * @throws `VmError` for options that are none.
   */
  constructor(options: MipsTlbOptions) {
    super(mipsOptions(options));
    this.store = new PairStore(this.entries);
  }

  /**
   * TLBP: looks for the entry of EntryHi. O(entries).
   *
   * @returns Its index, which Index then has, or -1 with Index.P set.
   */
  probe(): number {
    const found = this.find(2 * this.vpn2Field);
    this.failed = found < 0;
    if (found >= 0) this.indexField = found;
    return found;
  }

  /**
   * TLBR: loads EntryHi, EntryLo0, EntryLo1 and PageMask from the entry of Index, EntryHi.ASID included; both EntryLo have
   * the G of the entry. Where there is none, EHINV is set and everything else 0.
   */
  read(): void {
    const { indexField, store } = this;
    const even = 2 * indexField;
    this.ehinv = !store.isUsed(indexField);
    this.maskField = store.pages[indexField]! - 1;
    this.vpn2Field = store.first[indexField]! / 2;
    this.asidField = store.asid[indexField]!;
    this.entryLo0.load(store.low[even]!, store.high[even]!);
    this.entryLo1.load(store.low[even + 1]!, store.high[even + 1]!);
  }

  /**
   * TLBWI: writes EntryHi, EntryLo0, EntryLo1 and PageMask into the entry of Index; with EHINV it takes that entry out.
   * O(entries).
   *
   * @returns The index, or `MipsTlbAnswer.MachineCheck`: another entry would match too, and nothing has changed.
   */
  writeIndexed(): number {
    if (!this.ehinv) return this.writeAt(this.indexField);
    this.store.clear(this.indexField);
    this.counts[Count.Writes]! += 1;
    return this.indexField;
  }

  /**
   * TLBWR: the same with the entry of Random, which then counts down; EHINV is not looked at. O(entries).
   *
   * @returns The index, or `MipsTlbAnswer.MachineCheck`: another entry would match too, and nothing has changed.
   */
  writeRandom(): number {
    const index = this.randomField;
    const replaces = this.store.isUsed(index);
    const written = this.writeAt(index);
    if (written < 0) return written;
    if (replaces) this.counts[Count.Evictions]! += 1;
    this.tick();
    return index;
  }

  private writeAt(index: number): number {
    const { asidField, entryLo0, entryLo1, store } = this;
    const pages = this.maskField + 1;
    const vpn = 2 * this.vpn2Field;
    const first = vpn - (vpn % (2 * pages));
    const global = entryLo0.low & entryLo1.low & GLOBAL;
    if (store.conflict(first, pages, tagOf(asidField, global !== 0), index) >= 0) {
      return MipsTlbAnswer.MachineCheck;
    }
    store.write(index, first, pages, asidField, global !== 0);
    this.writeHalf(2 * index, entryLo0.low, entryLo0.high, global);
    this.writeHalf(2 * index + 1, entryLo1.low, entryLo1.high, global);
    this.counts[Count.Writes]! += 1;
    return index;
  }

  /** Writes one page; its G is that of the entry, and where there is no RI and XI, neither has it. */
  private writeHalf(half: number, low: number, high: number, global: number): void {
    const inhibits = this.options.inhibit === 'none' ? READ_INHIBIT | EXECUTE_INHIBIT : 0;
    this.store.writeHalf(half, mipsFrame(low, high), (low & ~GLOBAL) | global, high & ~inhibits);
  }

  /** The entry of a page in the current address space; -1 for none. */
  private find(vpn: number): number {
    const { asidField, latest, store } = this;
    if (store.matches(latest, vpn, asidField)) return latest;
    const found = store.find(vpn, asidField, 0, store.entries, 1);
    if (found >= 0) this.latest = found;
    return found;
  }

  /**
   * One access, for hot loops. O(1) for the page pair of the access before, O(entries) for another; no allocation. An
   * exception has set BadVAddr, Context.BadVPN2 and EntryHi.VPN2, as the processor does.
   *
   * @param vpn - Bits 63:12 of the address.
   * @param access - `Access` bits: what is done; privilege makes no difference.
   * @returns The frame of 4 KiB, or one of `MipsTlbAnswer`.
   * @throws `VmError` for a page number or access that is none, where no page is found for it.
   */
  translatePage(vpn: number, access: number): number {
    const index = this.find(vpn);
    if (index < 0) return this.raise(MipsTlbAnswer.Refill, vpn, access);
    const { store } = this;
    const half = store.half(index, vpn);
    const low = store.low[half]!;
    const high = store.high[half]!;
    if ((low & VALID) === 0) return this.raise(MipsTlbAnswer.Invalid, vpn, access);
    if ((access & 3) === Access.Fetch) {
      if ((high & EXECUTE_INHIBIT) !== 0) return this.inhibited(-5, vpn, access);
    } else if (isStore(access)) {
      if ((low & DIRTY) === 0) return this.raise(MipsTlbAnswer.Modified, vpn, access);
    } else if ((high & READ_INHIBIT) !== 0) return this.inhibited(-4, vpn, access);
    this.counts[Count.Hits]! += 1;
    return store.frameOf(half, vpn);
  }

  private inhibited(answer: number, vpn: number, access: number): number {
    const own = this.options.inhibit === 'own';
    return this.raise(own ? answer : MipsTlbAnswer.Invalid, vpn, access);
  }

  private raise(answer: number, vpn: number, access: number): number {
    checkAsked(vpn, access);
    this.badPage = vpn;
    this.vpn2Field = Math.floor(vpn / 2);
    this.counts[mipsKind(answer)]! += 1;
    return answer;
  }

  /**
   * One access, with a handler for its exceptions. The access is made again after each; each kind of exception is handled
   * once, and when it comes again it is the answer, so that a handler that does nothing ends.
   *
   * @param vpn - Bits 63:12 of the address, 0 to 2^52 - 1.
   * @param access - `Access` bits.
   * @param handler - The operating system.
   * @returns The frame of 4 KiB, or one of `MipsTlbAnswer`.
   * @throws `VmError` for arguments that are none; what the handler throws.
   */
  translate(vpn: number, access: number, handler: SoftwareTlbHandler<MipsTlb>): number {
    checkAsked(vpn, access);
    const attempt = (): number => this.translatePage(vpn, access);
    return untilTranslated(this, access, handler, attempt, mipsKind, () => {});
  }

  /**
   * What is in it.
   *
   * @returns Every entry as plain data, by index. O(entries).
   */
  content(): readonly MipsTlbEntry[] {
    const { store } = this;
    return store.used().map((index) => ({
      index,
      vpn: store.first[index]!,
      pages: store.pages[index]!,
      asid: store.asid[index]!,
      global: store.isGlobal(index),
      wired: index < this.wiredField,
      even: mipsEntryLoFields(store.low[2 * index]!, store.high[2 * index]!),
      odd: mipsEntryLoFields(store.low[2 * index + 1]!, store.high[2 * index + 1]!),
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
   * Verifies that pairs are aligned, that no two entries match one page, and that Random is not wired.
   *
   * @throws An `Error` that names what does not hold. O(entries^2).
   */
  checkInvariants(): void {
    this.store.checkInvariants();
    if (this.randomField >= this.wiredField && this.randomField < this.entries) return;
    throw new Error(`Random is ${this.randomField}`);
  }

  /**
   * Everything; {@link MipsTlb.restore} makes the same TLB of it.
   *
   * @returns Plain data, versioned. O(entries).
   */
  snapshot(): MipsTlbSnapshot {
    const registers = this.saveRegisters();
    const counts = [...this.counts];
    const slots = this.store.save();
    return { v: 1, type: 'mips-tlb', ...this.options, registers, counts, slots };
  }

  /**
   * The TLB of a snapshot.
   *
   * @param snapshot - What `snapshot` returned.
   * @returns A TLB that answers as the saved one would have.
   * @throws `VmError` `unsupported` for another version, `bad-image` for what was tampered with, otherwise as the
   * constructor.
   */
  static restore(snapshot: MipsTlbSnapshot): MipsTlb {
    checkVersion(snapshot, 1, 'mips-tlb');
    const { asidBits, entries, inhibit } = snapshot;
    const tlb = new MipsTlb({ entries, asidBits, inhibit });
    tlb.loadRegisters(savedNumbers('registers', snapshot.registers, 13));
    tlb.counts.set(savedNumbers('counts', snapshot.counts, COUNTS));
    if (tlb.counts.some((count) => count < 0)) {
      throw damaged('counts', snapshot.counts, 'counts');
    }
    tlb.loadSlots(snapshot.slots);
    return tlb;
  }

  private loadSlots(slots: unknown): void {
    const { store } = this;
    const asids = 2 ** this.options.asidBits;
    for (const saved of savedPairs(slots, this.entries, asids, MOST_MASK + 1)) {
      const { asid, first, global, index, pages, words } = saved;
      const [low0, high0, low1, high1] = words;
      const tag = tagOf(asid, global);
      const taken = store.isUsed(index) || store.conflict(first, pages, tag, -1) >= 0;
      if (taken || !isPageMask(pages - 1)) throw damaged('slots', slots, 'entries apart');
      store.write(index, first, pages, asid, global);
      this.writeHalf(2 * index, low0, high0, Number(global));
      this.writeHalf(2 * index + 1, low1, high1, Number(global));
    }
  }
}
