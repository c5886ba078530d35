import { addressFromVpn, VmError } from '../core/index.js';
import { BUS_ERROR, type PhysicalMemory, type RegionInfo } from '../memory/index.js';
import type { TableShape } from './table-shape.js';

/** No words: the fast forms read out of it at once, and leave everything to the complete ones. */
const NO_WORDS: Int32Array = new Int32Array(0);

/** Attempts to change an entry that other agents keep changing; each failure means that one of them succeeded. */
const ATTEMPTS = 1 << 20;

/** A page's worth of zeros. */
const ZEROS: Uint8Array = new Uint8Array(4096);

/**
 * The entries of tables, wherever they are: in flat RAM by way of one `Int32Array`, elsewhere through the memory.
 *
 * Tables are named by their frame, in the format's base pages.
 */
export abstract class TableMemory {
  /** The memory that holds the tables. */
  readonly memory: PhysicalMemory;
  /** What the format says. @internal */
  protected readonly shape: TableShape;
  /** The entry that was read last: bits 31:0. */
  protected low = 0;
  /** Bits 63:32. */
  protected high = 0;
  /** The root's frame, and its first byte in that frame: a small root need not begin with it. */
  protected rootPfn = -1;
  protected rootOffset = 0;

  /** Flat RAM that holds the root, or nothing. */
  protected words: Int32Array = NO_WORDS;
  /** log2 of the words in a frame. */
  protected readonly frameWordShift: number = 0;
  /** 1 when entries have two words, 0 when one. */
  protected readonly wide: number = 0;
  /** Where the window's first table frame begins: pages of 16 KiB need not begin with the window. */
  protected skew = 0;
  /** The first table frame of the window, and how many there are. */
  protected windowFirst = 0;
  protected windowFrames = 0;
  private boundVersion = -1;
  private devices: readonly RegionInfo[] = [];
  private devicesVersion = -1;
  /** While it is set, everything is done in the complete form. */
  protected complete = false;

  protected constructor(memory: PhysicalMemory, shape: TableShape) {
    if (typeof memory?.ramWindow !== 'function') {
      const expected = 'a PhysicalMemory';
      throw new VmError('bad-argument', { argument: 'memory', value: memory, expected });
    }
    this.memory = memory;
    this.shape = shape;
    const { entryBytes, pageShift } = shape.format;
    this.frameWordShift = Math.max(0, pageShift - 2);
    this.wide = entryBytes === 8 ? 1 : 0;
  }

  /** Finds the flat RAM that holds the root. */
  protected bindWindow(): void {
    const { memory, rootPfn, shape } = this;
    const { entryBytes, pageShift } = shape.format;
    const unit = 2 ** (pageShift - 12);
    this.boundVersion = memory.layoutVersion;
    this.words = NO_WORDS;
    this.windowFrames = 0;
    if (this.complete || entryBytes < 4) return;
    const window = memory.ramWindow(Math.floor(rootPfn * unit));
    if (window === null) return;
    const first = Math.ceil(window.firstPfn / unit);
    const skew = (first * unit - window.firstPfn) * 1024;
    const frames = Math.floor((window.words.length - skew) / 2 ** this.frameWordShift);
    // Frame numbers of 31 bits, so that a table's place in the window is an int32.
    if (first + frames > 2 ** 31 || frames <= 0) return;
    this.words = window.words;
    this.windowFirst = first;
    this.windowFrames = frames | 0;
    this.skew = skew | 0;
  }

  /** Binds the window anew when regions were added or its buffer is gone. */
  protected refreshWindow(): void {
    const gone = this.windowFrames > 0 && this.words.length === 0;
    if (gone || this.boundVersion !== this.memory.layoutVersion) this.bindWindow();
  }

  /** The first word of a table in `words`, or -1 when it is not, all of it, in the window. */
  protected tableBase(table: number, level: number): number {
    const relative = table - this.windowFirst;
    const frames = this.shape.tablePages[level]!;
    if (!(relative >= 0 && relative + frames <= this.windowFrames) || this.words.length === 0)
      return -1;
    const base = ((relative << this.frameWordShift) + this.skew) | 0;
    return table === this.rootPfn && level === this.shape.top
      ? base + (this.rootOffset >> 2)
      : base;
  }

  /** Reads an entry into `low` and `high`; 0 and `false` where there is no memory. */
  protected read(table: number, index: number, level: number): boolean {
    const base = this.tableBase(table, level);
    if (base >= 0) {
      const at = base + (index << this.wide);
      this.low = this.words[at]!;
      this.high = this.wide === 1 ? this.words[at + 1]! : 0;
      return true;
    }
    return this.readThrough(table, index, level);
  }

  private readThrough(table: number, index: number, level: number): boolean {
    const { memory } = this;
    const { entryBytes } = this.shape.format;
    const byte = this.byteOf(table, index, level);
    const pfn = this.frameOf(table, byte);
    const offset = this.offsetOf(table, byte);
    this.low = 0;
    this.high = 0;
    if (entryBytes === 8) {
      if (memory.readWords(pfn, offset) === BUS_ERROR) return false;
      this.low = memory.low;
      this.high = memory.high;
      return true;
    }
    const value =
      entryBytes === 4
        ? memory.read32(pfn, offset)
        : entryBytes === 2
          ? memory.read16(pfn, offset)
          : memory.read8(pfn, offset);
    if (value === BUS_ERROR) return false;
    this.low = value | 0;
    return true;
  }

  /** Replaces an entry that is as it was read; `false`, with the present one in `low` and `high`, when it is not. */
  protected exchange(
    table: number,
    index: number,
    level: number,
    oldLow: number,
    oldHigh: number,
    low: number,
    high: number,
  ): boolean {
    const base = this.tableBase(table, level);
    if (base >= 0) {
      // Nobody else can come between: unshared RAM.
      const at = base + (index << this.wide);
      this.words[at] = low;
      if (this.wide === 1) this.words[at + 1] = high;
      return true;
    }
    const { memory } = this;
    const { entryBytes } = this.shape.format;
    const byte = this.byteOf(table, index, level);
    const pfn = this.frameOf(table, byte);
    const offset = this.offsetOf(table, byte);
    const outcome =
      entryBytes === 8
        ? memory.compareExchangeWords(pfn, offset, oldLow, oldHigh, low, high)
        : entryBytes === 4
          ? memory.compareExchange32(pfn, offset, oldLow, low)
          : memory.compareExchangeNarrow(pfn, offset, entryBytes === 2 ? 2 : 1, oldLow, low);
    if (outcome === BUS_ERROR) throw this.noMemory(table);
    this.low = memory.low;
    this.high = memory.high;
    return outcome === 1;
  }

  /** The refusal of a table frame where there is no memory. */
  protected noMemory(table: number): VmError {
    const expected = 'a table frame in memory that can be read and written';
    return new VmError('out-of-range', { argument: 'frame', value: table, expected });
  }

  /** Counts an attempt to change an entry; throws when there were too many. */
  protected attempt(count: number, table: number, index: number): void {
    if (count < ATTEMPTS) return;
    const expected = `an entry that others leave alone for a while (entry ${index})`;
    throw new VmError('contended', { argument: 'table', value: table, expected });
  }

  /** Whether a frame can be a table of a level: all of it memory. */
  protected canHold(table: number, level: number): boolean {
    const bytes = this.bytesOf(level);
    const byte = this.byteOf(table, 0, level);
    const pfn = this.frameOf(table, byte);
    const offset = this.offsetOf(table, byte);
    return this.memory.contains(pfn, offset, bytes) && !this.meetsDevice(pfn, offset, bytes);
  }

  /** Whether a stretch reaches into a device, which may refuse what is written, or do something else. */
  private meetsDevice(pfn: number, offset: number, bytes: number): boolean {
    const { memory } = this;
    if (this.devicesVersion !== memory.layoutVersion) {
      this.devicesVersion = memory.layoutVersion;
      this.devices = memory.regions().filter(({ kind }) => kind === 'device');
    }
    if (this.devices.length === 0) return false;
    const first = addressFromVpn(pfn, offset);
    return this.devices.some(
      ({ base, bytes: size }) => first < base + BigInt(size) && base < first + BigInt(bytes),
    );
  }

  /** Fills a table with zeros; `false` where it can't be written. */
  protected clearTable(table: number, level: number): boolean {
    const base = this.tableBase(table, level);
    const bytes = this.shape.tablePages[level]! * this.shape.pageBytes;
    if (base >= 0) {
      this.words.fill(0, base, base + bytes / 4);
      return true;
    }
    for (let byte = 0; byte < bytes; byte += 4096) {
      const zeros = ZEROS.subarray(0, Math.min(4096, bytes - byte));
      const pfn = this.frameOf(table, byte);
      const offset = this.offsetOf(table, byte);
      if (this.memory.writeBytes(pfn, offset, zeros) === BUS_ERROR) return false;
    }
    return true;
  }

  /** The bytes of a table's entries. */
  private bytesOf(level: number): number {
    return this.shape.entries[level]! * this.shape.format.entryBytes;
  }

  private byteOf(table: number, index: number, level: number): number {
    const byte = index * this.shape.format.entryBytes;
    return table === this.rootPfn && level === this.shape.top ? byte + this.rootOffset : byte;
  }

  /** The 4 KiB frame of a byte of a table. */
  private frameOf(table: number, byte: number): number {
    const units = table * (this.shape.pageBytes / 4096);
    const whole = Math.floor(units);
    return whole + Math.floor(((units - whole) * 4096 + byte) / 4096);
  }

  private offsetOf(table: number, byte: number): number {
    const units = table * (this.shape.pageBytes / 4096);
    return ((units - Math.floor(units)) * 4096 + byte) % 4096;
  }
}
