import { addressFromVpn, type Plain, VmError } from '../core/index.js';
import { BUS_ERROR, type PhysicalMemory } from '../memory/index.js';
import type { WalkFault } from './fault.js';
import { MAX_LEVELS, WalkPath } from './path.js';
import type { WalkReport } from './report.js';
import type { WalkRule } from './rule.js';
import type { SecondStage, SecondStagePurpose } from './second-stage.js';

/** A level that no format has: for reading entries outside a walk. @internal */
export const SPARE_LEVEL: number = MAX_LEVELS;
/** In `hostReports`: the walk for the access itself. @internal */
export const TARGET: number = MAX_LEVELS;
/** In `hostReports`: from here on, by level, the walks for updates. @internal */
export const UPDATES: number = MAX_LEVELS + 1;

/**
 * Attempts to set accessed/dirty bits in an entry that other agents keep changing, before the walk gives up.
 *
 * @public
 */
export const UPDATE_ATTEMPTS = 64;

/**
 * How a walk in its complete form gets at table entries, in memory of any kind and through a second stage where there is
 * one: finding them, reading them, setting bits in them, and noting why the walk ends.
 *
 * @public
 */
export abstract class EntryAccess {
  /** The memory that holds the tables. */
  readonly memory: PhysicalMemory;
  /** The second stage of a nested walk: what this walker calls physical is then the guest's. */
  readonly secondStage: SecondStage | null;
  /** The last fault; meaningful after a walk or probe returned a negative number. */
  abstract readonly fault: WalkFault;
  /** The last complete walk, which the walk itself writes down. */
  readonly path: WalkPath;
  /** The rule that decided the last complete walk. */
  rule: WalkRule;

  /** log2 of the bytes of an entry. */
  entryShift = 3;
  /** log2 of the bytes of the pages that `walk` counts in. 12 for every real architecture, whatever its granule. */
  readonly pageShift: number;
  /** Bytes of those pages. */
  protected readonly pageBytes: number;
  /** The last page number. */
  protected readonly lastVpn: number;
  /** Whether tables are where their frames say: in 4 KiB frames, and no second stage. */
  private readonly plainFrames: boolean;
  /** What the second stage was asked for last. */
  private asked: SecondStagePurpose = 'access';
  /** The guest's frame of the last access that went through a second stage. */
  protected guestPfn = 0;

  /** The second stage's walks of an explanation: by level, and at the end that of the access; `null` at other times. */
  protected hostReports: (Plain<WalkReport> | null)[] | null = null;

  /**
   * @param memory - The memory that holds the tables.
   * @param initial - The rule that stands in `rule` before any walk: one that lets accesses through.
   * @param secondStage - The second stage of a nested walk.
   * @param pageShift - log2 of the bytes of a page, 4 to 20.
   */
  protected constructor(
    memory: PhysicalMemory,
    initial: WalkRule,
    secondStage: SecondStage | null = null,
    pageShift = 12,
  ) {
    if (typeof memory?.ramWindow !== 'function') {
      const expected = 'a PhysicalMemory';
      throw new VmError('bad-argument', { argument: 'memory', value: memory, expected });
    }
    if (secondStage !== null && secondStage.memory !== memory) {
      const expected = 'a second stage over the same memory';
      throw new VmError('bad-argument', {
        argument: 'secondStage',
        value: secondStage,
        expected,
      });
    }
    this.memory = memory;
    this.rule = initial;
    this.secondStage = secondStage;
    this.pageShift = pageShift;
    this.path = new WalkPath(pageShift);
    this.plainFrames = secondStage === null && pageShift === 12;
    this.pageBytes = 2 ** pageShift;
    this.lastVpn = Math.min(2 ** 53, 2 ** (64 - pageShift)) - 1;
  }

  /** Notes why the access is refused; the return value is the walk's. */
  protected refuse(
    rule: WalkRule,
    level: number,
    vpn: number,
    access: number,
    offset: number,
  ): number {
    const { fault } = this;
    this.rule = rule;
    fault.rule = rule;
    fault.level = level;
    fault.vpn = vpn;
    fault.offset = offset;
    fault.access = access;
    fault.stage = 1;
    return rule.result;
  }

  /** Notes that the second stage refused, when `locate`, `mayUpdate` or `hostTarget` said so. */
  protected refuseSecondStage(vpn: number, access: number, offset: number): number {
    const { fault } = this;
    const host = this.secondStage!.fault;
    const result = this.refuse(host.rule, host.level, vpn, access, offset);
    fault.stage = 2;
    fault.purpose = this.asked;
    fault.guestPfn = host.vpn;
    fault.guestOffset = host.offset;
    return result;
  }

  /**
   * Finds where an entry of a table is in memory: `path.frame` and `path.offset` of the level.
   *
   * @param level - The entry's level.
   * @param table - The table's frame, in the walker's pages; the guest's under a second stage.
   * @param byte - The entry's byte, counted from that frame.
   * @param update - Whether the second stage sets accessed and dirty bits of its own.
   * @returns 0, or -1 when the second stage refuses.
   */
  protected locate(level: number, table: number, byte: number, update: boolean): number {
    const { path } = this;
    path.byte[level] = byte;
    path.frame[level] = table + (byte >>> 12);
    path.offset[level] = byte & 4095;
    return this.plainFrames ? 0 : this.locateBeyond(level, table, byte, update);
  }

  /** In pages that are not of 4 KiB, or beyond a second stage. */
  private locateBeyond(level: number, table: number, byte: number, update: boolean): number {
    const { path, secondStage } = this;
    if (this.pageShift !== 12) {
      const frames = table * 2 ** (this.pageShift - 12);
      const rest = (frames - Math.floor(frames)) * 4096 + byte;
      path.frame[level] = Math.floor(frames) + Math.floor(rest / 4096);
      path.offset[level] = rest % 4096;
    }
    if (secondStage === null) return 0;
    this.asked = 'table-read';
    const host = this.throughSecondStage(level, level, secondStage.tableAccess, update);
    if (host < 0) return -1;
    path.frame[level] = host;
    return 0;
  }

  /**
   * Asks the second stage whether accessed or dirty bits may be set in the entry of a level.
   *
   * @returns 0, or -1 when the second stage refuses.
   */
  protected mayUpdate(level: number, update: boolean): number {
    const { path, secondStage } = this;
    if (secondStage === null) return 0;
    const host = path.frame[level]!;
    path.frame[level] = path.table[level]! + Math.floor(path.byte[level]! / 4096);
    this.asked = 'table-update';
    const again = this.throughSecondStage(UPDATES + level, level, secondStage.updateAccess, update);
    path.frame[level] = again < 0 ? host : again;
    return again < 0 ? -1 : 0;
  }

  /** Translates the guest frame of the entry of a level. */
  private throughSecondStage(slot: number, level: number, access: number, update: boolean): number {
    const { path } = this;
    const bytes = 1 << this.entryShift;
    return this.hostFrame(slot, path.frame[level]!, access, path.offset[level]!, bytes, update);
  }

  /**
   * Translates what the access reaches.
   *
   * @param pfn - The guest's frame.
   * @param access - The access in the second stage.
   * @returns The host's frame, or -1 when the second stage refuses. Without a second stage, `pfn`.
   */
  protected hostTarget(
    pfn: number,
    access: number,
    offset: number,
    bytes: number,
    update: boolean,
  ): number {
    if (this.secondStage === null) return pfn;
    this.asked = 'access';
    this.guestPfn = pfn;
    return this.hostFrame(TARGET, pfn, access, offset, bytes, update);
  }

  private hostFrame(
    slot: number,
    pfn: number,
    access: number,
    offset: number,
    bytes: number,
    update: boolean,
  ): number {
    const secondStage = this.secondStage!;
    if (this.hostReports !== null) {
      // `walk` and `probe` answer as `explain` does; the report is made besides, and before bits are set.
      const report = secondStage.report(addressFromVpn(pfn, offset), access);
      this.hostReports[slot] = report;
    }
    const host = update
      ? secondStage.walk(pfn, access, offset, bytes)
      : secondStage.probe(pfn, access, offset, bytes);
    return host < 0 ? -1 : host;
  }

  /**
   * Sets and clears bits in the low word of an entry of the path, comparing all of the entry's bits. An entry that
   * differs from what was read in tolerated bits alone is still the entry that was checked.
   *
   * @returns 1 when it is done, 0 when the entry has changed otherwise, `BUS_ERROR` when it can't be written.
   */
  protected setBits(level: number, bits: number, tolerated: number, cleared = 0): number {
    const { memory, path } = this;
    const pfn = path.frame[level]!;
    const offset = path.offset[level]!;
    let low = path.low[level]!;
    const high = path.high[level]!;
    for (let attempt = 0; attempt < UPDATE_ATTEMPTS; attempt++) {
      const value = (low | bits) & ~cleared;
      const outcome =
        this.entryShift === 3
          ? memory.compareExchangeWords(pfn, offset, low, high, value, high)
          : this.entryShift === 2
            ? memory.compareExchange32(pfn, offset, low, value)
            : memory.compareExchangeNarrow(pfn, offset, this.entryShift === 1 ? 2 : 1, low, value);
      if (outcome !== 0) return outcome;
      const sameHigh = this.entryShift !== 3 || memory.high === high;
      if (!sameHigh || ((memory.low ^ low) & ~tolerated) !== 0) return 0;
      low = memory.low;
      if ((low & bits) === bits && (low & cleared) === 0) return 1;
    }
    return 0;
  }

  /** The index of a page number at a level of the path's format. */
  protected indexAt(vpn: number, level: number): number {
    const { path } = this;
    const shift = path.shift[level]!;
    // Bits 31:0 of the page number and bits 51:26: an index may span both.
    const high = (vpn * 2 ** -26) | 0;
    const part =
      shift < 26 ? ((vpn | 0) >>> shift) | (high << (26 - shift)) : high >>> (shift - 26);
    return part & path.mask[level]!;
  }

  /** Reads the entry that `locate` found; its words are then in `memory.low` and `memory.high`. */
  protected readEntry(level: number): number {
    if (this.entryShift !== 3) return this.readShortEntry(level);
    const { path } = this;
    return this.memory.readWords(path.frame[level]!, path.offset[level]!);
  }

  private readShortEntry(level: number): number {
    const { memory, path } = this;
    const pfn = path.frame[level]!;
    const offset = path.offset[level]!;
    const value =
      this.entryShift === 2
        ? memory.read32(pfn, offset)
        : this.entryShift === 1
          ? memory.read16(pfn, offset)
          : memory.read8(pfn, offset);
    if (value === BUS_ERROR) return BUS_ERROR;
    memory.low = value | 0;
    memory.high = 0;
    return 0;
  }
}
