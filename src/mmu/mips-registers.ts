import { checkBoolean, checkInteger, VmError } from '../core/index.js';
import { MipsEntryLo } from './mips-entry-lo.js';
import { isPageMask, type MipsTlbOptions, MOST_MASK } from './mips-options.js';
import { damaged, savedIn } from './pair-store.js';

/**
 * The registers of coprocessor 0 that belong to a TLB (MIPS64 Architecture for Programmers Vol. III, CP0 Registers).
 */
export abstract class MipsRegisters {
  /** EntryLo0: the even page of the pair. */
  readonly entryLo0: MipsEntryLo = new MipsEntryLo();
  /** EntryLo1: the odd page. */
  readonly entryLo1: MipsEntryLo = new MipsEntryLo();
  protected readonly options: Required<MipsTlbOptions>;
  protected failed = false;
  protected indexField = 0;
  protected randomField: number;
  protected wiredField = 0;
  protected vpn2Field = 0;
  protected asidField = 0;
  protected ehinv = false;
  protected maskField = 0;
  protected badPage = 0;

  protected constructor(options: Required<MipsTlbOptions>) {
    this.options = options;
    this.randomField = options.entries - 1;
  }

  /** How many entries. */
  get entries(): number {
    return this.options.entries;
  }

  /** Index.P: the last TLBP found nothing. */
  get probeFailed(): boolean {
    return this.failed;
  }

  /** Index.Index: the entry of TLBR and TLBWI, 0 to `entries - 1`. Writing it does not change P. */
  get index(): number {
    return this.indexField;
  }

  set index(value: number) {
    this.indexField = checkInteger('index', value, 0, this.entries - 1);
  }

  /** Random: the entry of the next TLBWR, from Wired to `entries - 1`. */
  get random(): number {
    return this.randomField;
  }

  /** Wired: entries below it are not for TLBWR. 0 to `entries - 1`; writing it sets Random to the last entry. */
  get wired(): number {
    return this.wiredField;
  }

  set wired(value: number) {
    this.wiredField = checkInteger('wired', value, 0, this.entries - 1);
    this.randomField = this.entries - 1;
  }

  /** EntryHi.R and VPN2: the number of a pair of 4 KiB pages, `vpn` / 2, 0 to 2^51 - 1. */
  get vpn2(): number {
    return this.vpn2Field;
  }

  set vpn2(value: number) {
    this.vpn2Field = checkInteger('vpn2', value, 0, 2 ** 51 - 1);
  }

  /** EntryHi.ASID: the address space of accesses, and of entries that are written. */
  get asid(): number {
    return this.asidField;
  }

  set asid(value: number) {
    this.asidField = checkInteger('asid', value, 0, 2 ** this.options.asidBits - 1);
  }

  /** EntryHi.EHINV: TLBWI takes the entry out; TLBR found none. */
  get entryHiInvalid(): boolean {
    return this.ehinv;
  }

  set entryHiInvalid(value: boolean) {
    this.ehinv = checkBoolean('entryHiInvalid', value);
  }

  /** PageMask.Mask: the bits of VPN2 that are not compared: 0, 3, 0xf to 0xffff for pages of 4, 16, 64 KiB to 256 MiB. */
  get pageMask(): number {
    return this.maskField;
  }

  set pageMask(value: number) {
    checkInteger('pageMask', value, 0, MOST_MASK);
    if (!isPageMask(value)) {
      const expected = 'an even number of ones';
      throw new VmError('bad-argument', { argument: 'pageMask', value, expected });
    }
    this.maskField = value;
  }

  /** The page of BadVAddr: of the last access that was refused. */
  get badVpn(): number {
    return this.badPage;
  }

  /** Context.BadVPN2 with all its bits, as XContext has it. Context is PTEBase + 16 * `badVpn2`: two entries of 8 bytes. */
  get badVpn2(): number {
    return Math.floor(this.badPage / 2);
  }

  /**
   * Counts Random down, as so many instructions would.
   *
   * @param steps - 0 to 2^32.
   * @throws `VmError` for a number that is none.
   */
  tick(steps = 1): void {
    checkInteger('steps', steps, 0, 2 ** 32);
    const top = this.entries - 1;
    this.randomField = top - ((top - this.randomField + steps) % (this.entries - this.wiredField));
  }

  protected saveRegisters(): readonly number[] {
    const { entryLo0, entryLo1 } = this;
    return [
      ...[this.indexField, Number(this.failed), this.randomField, this.wiredField],
      ...[this.vpn2Field, this.asidField, Number(this.ehinv), this.maskField],
      ...[entryLo0.low, entryLo0.high, entryLo1.low, entryLo1.high, this.badPage],
    ];
  }

  protected loadRegisters(registers: readonly number[]): void {
    const [index, failed, random, wired, vpn2, asid, ehinv, mask] = registers;
    const [low0, high0, low1, high1, badPage] = registers.slice(8);
    const last = this.entries - 1;
    this.indexField = savedIn('registers', index, 0, last);
    this.failed = savedIn('registers', failed, 0, 1) === 1;
    this.wiredField = savedIn('registers', wired, 0, last);
    this.randomField = savedIn('registers', random, this.wiredField, last);
    this.vpn2Field = savedIn('registers', vpn2, 0, 2 ** 51 - 1);
    this.asidField = savedIn('registers', asid, 0, 2 ** this.options.asidBits - 1);
    this.ehinv = savedIn('registers', ehinv, 0, 1) === 1;
    if (!isPageMask(mask!)) throw damaged('registers', mask, 'a page mask');
    this.maskField = mask!;
    this.entryLo0.load(low0!, high0!);
    this.entryLo1.load(low1!, high1!);
    this.badPage = savedIn('registers', badPage, 0, 2 ** 52 - 1);
  }
}
