import { checkBoolean, checkInteger } from '../core/index.js';
import { LoongArchEntryLo } from './loongarch-entry-lo.js';
import { LEAST_PAGE_SHIFT, type LoongArchShape, MOST_PAGE_SHIFT } from './loongarch-options.js';
import { savedIn } from './pair-store.js';

/**
 * The control and status registers that belong to a TLB (LoongArch Reference Manual Vol. 1, 7.5). Page sizes are log2 of
 * bytes, numbers of pages and of frames count 4 KiB.
 */
export abstract class LoongArchRegisters {
  /** TLBELO0: the even page. */
  readonly elo0: LoongArchEntryLo = new LoongArchEntryLo();
  /** TLBELO1: the odd page. */
  readonly elo1: LoongArchEntryLo = new LoongArchEntryLo();
  /** TLBRELO0: the even page, in a refill exception. */
  readonly refillElo0: LoongArchEntryLo = new LoongArchEntryLo();
  /** TLBRELO1: the odd page, in a refill exception. */
  readonly refillElo1: LoongArchEntryLo = new LoongArchEntryLo();
  protected readonly shape: LoongArchShape;
  protected indexField = 0;
  protected psField: number = LEAST_PAGE_SHIFT;
  protected neField = false;
  protected vppnField = 0;
  protected asidField = 0;
  protected isTlbr = false;
  protected refillVppnField = 0;
  protected refillPsField: number;
  protected badPage = 0;
  protected refillBadPage = 0;
  protected dwpl0 = false;

  protected constructor(shape: LoongArchShape) {
    this.shape = shape;
    this.refillPsField = shape.stlbPageShift;
  }

  /** Entries of the STLB and the MTLB together. */
  get entries(): number {
    return this.stlbEntries + this.shape.mtlbEntries;
  }

  /** Entries of the STLB, which are those of the lower indexes: index `way * sets + set`. */
  get stlbEntries(): number {
    return this.shape.stlbSets * this.shape.stlbWays;
  }

  /** TLBIDX.Index: 0 to `entries - 1`. */
  get index(): number {
    return this.indexField;
  }

  set index(value: number) {
    this.indexField = checkInteger('index', value, 0, this.entries - 1);
  }

  /** TLBIDX.PS: 12 to 48, or 0 after TLBRD has found no entry. */
  get pageShift(): number {
    return this.psField;
  }

  set pageShift(value: number) {
    this.psField = checkInteger('pageShift', value, LEAST_PAGE_SHIFT, MOST_PAGE_SHIFT);
  }

  /** TLBIDX.NE: TLBSRCH and TLBRD found no entry; TLBWR is to make none. */
  get notExisting(): boolean {
    return this.neField;
  }

  set notExisting(value: boolean) {
    this.neField = checkBoolean('notExisting', value);
  }

  /** TLBEHI.VPPN: the number of a pair of 4 KiB pages, `vpn` / 2, 0 to 2^51 - 1. */
  get vppn(): number {
    return this.vppnField;
  }

  set vppn(value: number) {
    this.vppnField = checkInteger('vppn', value, 0, 2 ** 51 - 1);
  }

  /** ASID.ASID: the address space, 0 to 1023. */
  get asid(): number {
    return this.asidField;
  }

  set asid(value: number) {
    this.asidField = checkInteger('asid', value, 0, 1023);
  }

  /** TLBRERA.IsTLBR: a refill exception is being handled, and the instructions use the registers TLBRE. */
  get inRefill(): boolean {
    return this.isTlbr;
  }

  /** TLBREHI.VPPN. */
  get refillVppn(): number {
    return this.refillVppnField;
  }

  set refillVppn(value: number) {
    this.refillVppnField = checkInteger('refillVppn', value, 0, 2 ** 51 - 1);
  }

  /** TLBREHI.PS: 12 to 48; at first that of the STLB. */
  get refillPageShift(): number {
    return this.refillPsField;
  }

  set refillPageShift(value: number) {
    checkInteger('refillPageShift', value, LEAST_PAGE_SHIFT, MOST_PAGE_SHIFT);
    this.refillPsField = value;
  }

  /** The page of BADV: of the last access with another exception than refill. */
  get badVpn(): number {
    return this.badPage;
  }

  /** The page of TLBRBADV: of the last access with a refill exception. */
  get refillBadVpn(): number {
    return this.refillBadPage;
  }

  /** MISC.DWPL0: stores at privilege level 0 do not need D. */
  get uncheckedStores(): boolean {
    return this.dwpl0;
  }

  set uncheckedStores(value: boolean) {
    this.dwpl0 = checkBoolean('uncheckedStores', value);
  }

  /** ERTN from a refill exception: clears TLBRERA.IsTLBR. `translate` does it after each handler. */
  exceptionReturn(): void {
    this.isTlbr = false;
  }

  protected saveRegisters(): readonly number[] {
    return [
      ...[this.indexField, this.psField, Number(this.neField), this.vppnField, this.asidField],
      ...[Number(this.isTlbr), this.refillVppnField, this.refillPsField],
      ...[this.badPage, this.refillBadPage, Number(this.dwpl0)],
      ...this.words().flatMap(({ high, low }) => [low, high]),
    ];
  }

  private words(): readonly LoongArchEntryLo[] {
    return [this.elo0, this.elo1, this.refillElo0, this.refillElo1];
  }

  protected loadRegisters(registers: readonly number[]): void {
    const [index, ps, ne, vppn, asid, isTlbr, refillVppn, refillPs] = registers;
    const [badPage, refillBadPage, dwpl0, ...words] = registers.slice(8);
    const saved = (value: unknown, low: number, high: number): number =>
      savedIn('registers', value, low, high);
    this.indexField = saved(index, 0, this.entries - 1);
    this.psField = ps === 0 ? 0 : saved(ps, LEAST_PAGE_SHIFT, MOST_PAGE_SHIFT);
    this.neField = saved(ne, 0, 1) === 1;
    this.vppnField = saved(vppn, 0, 2 ** 51 - 1);
    this.asidField = saved(asid, 0, 1023);
    this.isTlbr = saved(isTlbr, 0, 1) === 1;
    this.refillVppnField = saved(refillVppn, 0, 2 ** 51 - 1);
    this.refillPsField = saved(refillPs, LEAST_PAGE_SHIFT, MOST_PAGE_SHIFT);
    this.badPage = saved(badPage, 0, 2 ** 52 - 1);
    this.refillBadPage = saved(refillBadPage, 0, 2 ** 52 - 1);
    this.dwpl0 = saved(dwpl0, 0, 1) === 1;
    for (const [at, register] of this.words().entries()) {
      register.load(words[2 * at]!, words[2 * at + 1]!);
    }
  }
}
