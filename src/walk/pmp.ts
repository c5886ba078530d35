import { type Address, checkBits, checkInteger, PAGE_BYTES, Prot, VmError } from '../core/index.js';

/** pmpcfg bits (RISC-V Privileged, 3.7.1, Figure "PMP configuration register format"). */
const CONFIG_R = 1;
const CONFIG_W = 2;
const CONFIG_X = 4;
const CONFIG_LOCK = 0x80;

/** pmpcfg.A: how the address register is to be read. */
const MODE_OFF = 0;
const MODE_TOR = 1;
const MODE_NA4 = 2;

/** Pages remembered with their rights; a power of two. */
const CACHE_PAGES = 64;

/** What a page's cached rights say when an entry begins or ends within it. */
const NOT_UNIFORM = -1;

/**
 * What a {@link Pmp} is made from.
 *
 * @public
 */
export interface PmpOptions {
  /** Number of entries: 0, 16 or 64. @defaultValue 16 */
  readonly entries?: 0 | 16 | 64;
  /** Register width, which decides how wide the address registers are. @defaultValue 64 */
  readonly xlen?: 32 | 64;
}

/**
 * A PMP as plain data.
 *
 * @public
 */
export interface PmpSnapshot {
  /** The version of this shape. */
  readonly v: 1;
  /** Register width. */
  readonly xlen: 32 | 64;
  /** The configuration bytes. */
  readonly config: readonly number[];
  /** The address registers: bits 55:2 (33:2 for RV32) of addresses, as hexadecimal strings. */
  readonly addresses: readonly string[];
}

/**
 * RISC-V physical memory protection: which physical addresses each privilege may touch (RISC-V Privileged, 3.7).
 *
 * ```text
 *  pmpcfg byte:   7   6 5   4 3   2   1   0
 *               +---+-----+-----+---+---+---+
 *               | L |  0  |  A  | X | W | R |      A: 0 OFF, 1 TOR, 2 NA4, 3 NAPOT
 *               +---+-----+-----+---+---+---+
 * ```
 *
 * The entry with the lowest number that matches any byte of an access decides; it must match all bytes. M-mode is
 * bound by locked entries only. When nothing matches, M-mode passes and the others fail, unless no entry exists.
 * The grain is 4 bytes.
 *
 * @example
 * ```ts
 * import { Prot } from 'pagewright/core';
 * import { Pmp } from 'pagewright/walk';
 *
 * const pmp = new Pmp();
 * pmp.setAddress(0, 0x2000_03ffn); // NAPOT: 0x80000000, 8 KiB
 * pmp.setConfig(0, 0x19); // NAPOT, read only
 * pmp.allows(0x80000, 0, 8, Prot.Read, false); // => true
 * pmp.allows(0x80000, 0, 8, Prot.Write, false); // => false
 * pmp.allows(0x80002, 0, 8, Prot.Read, false); // => false
 * pmp.allows(0x80002, 0, 8, Prot.Read, true); // => true
 * ```
 * @public
 */
export class Pmp {
  /** Number of entries. */
  readonly entries: number;
  /** Register width. */
  readonly xlen: 32 | 64;
  /** Counts the changes; a walker that sees another number binds its fast path anew. */
  version = 0;

  private readonly config: Uint8Array;
  private readonly addresses: BigUint64Array;
  /** Entry i matches [start, end) in frames and bytes within a frame; empty when start equals end. */
  private readonly startPfn: Float64Array;
  private readonly startOffset: Int32Array;
  private readonly endPfn: Float64Array;
  private readonly endOffset: Int32Array;
  /** Direct-mapped cache of uniform pages: rights of S/U in bits 2:0, of M in bits 6:4. */
  private readonly cachePfn: Float64Array = new Float64Array(CACHE_PAGES).fill(-1);
  private readonly cacheRights: Int32Array = new Int32Array(CACHE_PAGES);

  /** @param options - Number of entries and register width. */
  constructor(options: PmpOptions = {}) {
    const { entries = 16, xlen = 64 } = options;
    if (entries !== 0 && entries !== 16 && entries !== 64) {
      throw new VmError('bad-argument', {
        argument: 'entries',
        value: entries,
        expected: '0, 16 or 64',
      });
    }
    if (xlen !== 32 && xlen !== 64) {
      throw new VmError('bad-argument', { argument: 'xlen', value: xlen, expected: '32 or 64' });
    }
    this.entries = entries;
    this.xlen = xlen;
    this.config = new Uint8Array(entries);
    this.addresses = new BigUint64Array(entries);
    this.startPfn = new Float64Array(entries);
    this.startOffset = new Int32Array(entries);
    this.endPfn = new Float64Array(entries);
    this.endOffset = new Int32Array(entries);
  }

  /**
   * Reads a pmpaddr register.
   *
   * @param entry - The entry's number.
   * @returns Address bits 55:2 (RV64) or 33:2 (RV32).
   */
  address(entry: number): bigint {
    return this.addresses[this.checkEntry(entry)]!;
  }

  /**
   * Writes a pmpaddr register. A locked entry, or a locked TOR entry above it, makes the write ignored (3.7.1.2).
   *
   * @param entry - The entry's number.
   * @param value - Address bits 55:2 (RV64, bits above 53 are read-only zero) or 33:2 (RV32).
   * @returns Whether it was written.
   * @throws `VmError` for a bad entry number or a value wider than the register.
   */
  setAddress(entry: number, value: Address): boolean {
    this.checkEntry(entry);
    const pattern = checkBits('value', value, this.xlen);
    const above = entry + 1 < this.entries ? this.config[entry + 1]! : 0;
    const lockedAbove = (above & CONFIG_LOCK) !== 0 && modeOf(above) === MODE_TOR;
    if ((this.config[entry]! & CONFIG_LOCK) !== 0 || lockedAbove) return false;
    this.addresses[entry] = pattern & addressLimit(this.xlen);
    this.changed();
    return true;
  }

  /**
   * Reads a configuration byte.
   *
   * @param entry - The entry's number.
   * @returns 0 to 255.
   */
  configOf(entry: number): number {
    return this.config[this.checkEntry(entry)]!;
  }

  /**
   * Writes a configuration byte. A locked entry ignores it. Bits 6:5 read as zero, and the reserved R=0, W=1 is
   * stored as R=0, W=0 (3.7.1: WARL).
   *
   * @param entry - The entry's number.
   * @param value - 0 to 255.
   * @returns Whether it was written.
   * @throws `VmError` for a bad entry number or value.
   */
  setConfig(entry: number, value: number): boolean {
    this.checkEntry(entry);
    checkInteger('value', value, 0, 255);
    if ((this.config[entry]! & CONFIG_LOCK) !== 0) return false;
    this.config[entry] = legalConfig(value);
    this.changed();
    return true;
  }

  /**
   * Decides an access. Hot: no allocation; pages that no entry cuts are answered from a small cache.
   *
   * @param pfn - The frame of the first byte.
   * @param offset - The first byte in the frame.
   * @param bytes - The size; the access must end in the frame.
   * @param need - One of `Prot.Read`, `Prot.Write`, `Prot.Execute`, or several.
   * @param machine - Whether the effective privilege is M.
   * @returns `true` when allowed. Frame numbers and offsets are not checked.
   */
  allows(pfn: number, offset: number, bytes: number, need: number, machine: boolean): boolean {
    const slot = (pfn | 0) & (CACHE_PAGES - 1);
    if (this.cachePfn[slot] !== pfn) {
      this.cacheRights[slot] = this.rightsOf(pfn, 0, pfn + 1, 0);
      this.cachePfn[slot] = pfn;
    }
    let rights = this.cacheRights[slot]!;
    if (rights === NOT_UNIFORM) rights = this.rightsOf(pfn, offset, pfn, offset + bytes);
    if (rights === NOT_UNIFORM) return false;
    return ((machine ? rights >>> 4 : rights) & need) === need;
  }

  /**
   * Whether all bytes of some frames lie in one entry (or all outside every entry) and S-mode may use them.
   *
   * @param pfn - The first frame.
   * @param frames - How many.
   * @param need - {@link Prot} bits.
   * @returns `true` when every S-mode access to them is allowed.
   */
  allowsAll(pfn: number, frames: number, need: number): boolean {
    const rights = this.rightsOf(pfn, 0, pfn + frames, 0);
    return rights !== NOT_UNIFORM && (rights & need) === need;
  }

  /**
   * The registers as plain data.
   *
   * @returns A versioned snapshot.
   */
  snapshot(): PmpSnapshot {
    return {
      v: 1,
      xlen: this.xlen,
      config: [...this.config],
      addresses: [...this.addresses].map((a) => `0x${a.toString(16)}`),
    };
  }

  /**
   * A PMP with saved registers, locks included.
   *
   * @param snapshot - What {@link Pmp.snapshot} returned.
   * @returns The same behaviour.
   * @throws `VmError` `unsupported` for another version, `bad-image` for a damaged one.
   */
  static restore(snapshot: PmpSnapshot): Pmp {
    const { config, addresses, xlen } = checkSnapshot(snapshot);
    const count = config.length as 0 | 16 | 64; // just checked
    const pmp = new Pmp({ entries: count, xlen });
    addresses.forEach((address, entry) => {
      pmp.setAddress(entry, BigInt(address));
    });
    config.forEach((value, entry) => {
      pmp.setConfig(entry, value);
    });
    return pmp;
  }

  /** Verifies that the decoded ranges and the cache agree with the registers. Throws an `Error` if not. */
  checkInvariants(): void {
    const fresh = Pmp.restore(this.snapshot());
    for (const range of ['startPfn', 'startOffset', 'endPfn', 'endOffset'] as const) {
      const entry = this[range].findIndex((value, index) => value !== fresh[range][index]);
      if (entry >= 0) throw new Error(`PMP entry ${entry} is decoded wrongly`);
    }
    for (let slot = 0; slot < CACHE_PAGES; slot++) {
      const pfn = this.cachePfn[slot]!;
      if (pfn >= 0 && this.cacheRights[slot] !== fresh.rightsOf(pfn, 0, pfn + 1, 0)) {
        throw new Error(`PMP cache is stale for frame ${pfn}`);
      }
    }
  }

  /**
   * The rights of [from, to) as S/U bits and, four bits higher, M bits; `NOT_UNIFORM` when the first entry that
   * matches any of it does not match all.
   */
  private rightsOf(fromPfn: number, fromOffset: number, toPfn: number, toOffset: number): number {
    const all = CONFIG_R | CONFIG_W | CONFIG_X;
    for (let entry = 0; entry < this.entries; entry++) {
      const startPfn = this.startPfn[entry]!;
      const startOffset = this.startOffset[entry]!;
      const endPfn = this.endPfn[entry]!;
      const endOffset = this.endOffset[entry]!;
      if (!before(startPfn, startOffset, endPfn, endOffset)) continue;
      if (!before(startPfn, startOffset, toPfn, toOffset)) continue;
      if (!before(fromPfn, fromOffset, endPfn, endOffset)) continue;
      if (before(fromPfn, fromOffset, startPfn, startOffset)) return NOT_UNIFORM;
      if (before(endPfn, endOffset, toPfn, toOffset)) return NOT_UNIFORM;
      const config = this.config[entry]!;
      const rights = config & all;
      return rights | ((config & CONFIG_LOCK ? rights : all) << 4);
    }
    return (this.entries === 0 ? all : 0) | (all << 4);
  }

  private changed(): void {
    for (let entry = 0; entry < this.entries; entry++) this.decodeRange(entry);
    this.cachePfn.fill(-1);
    this.version++;
  }

  /** Finds what an entry matches (3.7.1.1 Address Matching). */
  private decodeRange(entry: number): void {
    const mode = modeOf(this.config[entry]!);
    const address = this.addresses[entry]!;
    let start = address;
    let end = address;
    if (mode === MODE_TOR) {
      start = entry === 0 ? 0n : this.addresses[entry - 1]!;
    } else if (mode === MODE_NA4) {
      end = address + 1n;
    } else if (mode !== MODE_OFF) {
      // yyyy...y0111 names the naturally aligned 2^(ones + 3) bytes around it.
      const low = address & ~(address + 1n);
      start = address & ~low;
      end = start + 2n * (low + 1n);
    }
    if (end < start) end = start;
    this.startPfn[entry] = Number(start >> 10n);
    this.startOffset[entry] = Number(start & 1023n) * 4;
    this.endPfn[entry] = Number(end >> 10n);
    this.endOffset[entry] = Number(end & 1023n) * 4;
  }

  private checkEntry(entry: number): number {
    return checkInteger('entry', entry, 0, this.entries - 1);
  }
}

/** Refuses what {@link Pmp.snapshot} never returns: it may have been tampered with. */
function checkSnapshot(snapshot: PmpSnapshot): PmpSnapshot {
  const damaged = (argument: string, value: unknown, expected: string): VmError =>
    new VmError('bad-image', { argument, value, expected });
  if (typeof snapshot !== 'object' || snapshot === null) {
    throw damaged('snapshot', snapshot, 'what Pmp.snapshot returned');
  }
  const { v, xlen, config, addresses } = snapshot;
  if (v !== 1) {
    throw new VmError('unsupported', { argument: 'snapshot.v', value: v, expected: 'version 1' });
  }
  if (xlen !== 32 && xlen !== 64) throw damaged('snapshot.xlen', xlen, '32 or 64');
  const legal = Array.isArray(config) && [0, 16, 64].includes(config.length);
  if (
    !legal ||
    !config.every((value) => (value & 0xff) === value && value === legalConfig(value))
  ) {
    throw damaged('snapshot.config', config, '0, 16 or 64 configuration bytes');
  }
  const limit = addressLimit(xlen);
  const fits = (value: unknown): boolean =>
    typeof value === 'string' && /^0x[0-9a-f]{1,16}$/.test(value) && BigInt(value) <= limit;
  if (!Array.isArray(addresses) || addresses.length !== config.length || !addresses.every(fits)) {
    throw damaged('snapshot.addresses', addresses, 'hexadecimal strings, one for each entry');
  }
  return snapshot;
}

/** What a write stores (3.7.1, WARL): bits 6:5 are 0, and the reserved R=0, W=1 becomes R=0, W=0. */
function legalConfig(value: number): number {
  const legal = (value & (CONFIG_R | CONFIG_W)) === CONFIG_W ? value & ~CONFIG_W : value;
  return legal & ~0x60;
}

/** All implemented bits of an address register set. */
function addressLimit(xlen: 32 | 64): bigint {
  return xlen === 32 ? 0xffff_ffffn : 0x3f_ffff_ffff_ffffn;
}

function modeOf(config: number): number {
  return (config >>> 3) & 3;
}

/** Whether one position comes before another, an exclusive end that may be (pfn, PAGE_BYTES) for (pfn + 1, 0). */
function before(pfn: number, offset: number, otherPfn: number, otherOffset: number): boolean {
  if (otherOffset === PAGE_BYTES) return before(pfn, offset, otherPfn + 1, 0);
  return pfn < otherPfn || (pfn === otherPfn && offset < otherOffset);
}
