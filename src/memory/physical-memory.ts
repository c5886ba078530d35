import {
  type Address,
  bigintFromWords,
  checkBits,
  highWord,
  lowWord,
  PAGE_BYTES,
  type Plain,
  pageAndOffset,
  plain,
  VmError,
} from '../core/index.js';
import type { DeviceWidth } from './device-region.js';
import {
  type DeviceOptions,
  deviceRegion,
  type FreshRamOptions,
  type RamOptions,
  type RamSource,
  ramRegion,
  type SparseOptions,
  sparseRegion,
  type WrappedRamOptions,
} from './make-region.js';
import { MemoryBus } from './memory-bus.js';
import { BUS_ERROR, type Region } from './region.js';
import { describeRegion, type RegionInfo } from './region-info.js';
import { loadRegions, type MemorySnapshot, saveRegions } from './snapshot.js';

/**
 * There is no memory at an address, or a device refused.
 *
 * @public
 */
export interface BusErrorResult {
  /** The tag. */
  readonly kind: 'bus-error';
  /** The first byte of the access. */
  readonly address: bigint;
}

/**
 * What {@link PhysicalMemory.read} answers.
 *
 * @public
 */
export type ReadResult =
  | {
      /** The tag. */
      readonly kind: 'value';
      /** What was read, unsigned. */
      readonly value: bigint;
    }
  | BusErrorResult;

/**
 * What {@link PhysicalMemory.write} answers.
 *
 * @public
 */
export type WriteResult =
  | {
      /** The tag. */
      readonly kind: 'ok';
    }
  | BusErrorResult;

/**
 * Simulated physical memory: regions of RAM, sparse RAM and devices anywhere in a 64-bit space, little-endian.
 *
 * Methods that take `pfn` and `offset` are for inner loops; those that take an `address` are for people.
 *
 * @example
 * ```ts
 * import { BUS_ERROR, PhysicalMemory } from 'pagewright/memory';
 *
 * const guestRam = new ArrayBuffer(0x10000);
 * const memory = PhysicalMemory.wrap(guestRam, { base: 0x8000_0000 }); // no copy
 * memory.write32(0x80001, 8, 0xfeedf00d); // => 0
 * new DataView(guestRam).getUint32(0x1008, true); // => 0xfeedf00d
 * memory.read16(0x80001, 8); // => 0xf00d
 * memory.read16(0x90000, 0) === BUS_ERROR; // => true
 * memory.read(0x8000_1008n, 4); // => { kind: 'value', value: 0xfeedf00dn }
 * memory.read(0n, 8); // => { kind: 'bus-error', address: 0n }
 * ```
 * @public
 */
export class PhysicalMemory extends MemoryBus {
  /** A page of scratch; absent while it is in use, for a device's callback may come back here. */
  private sparePage: Uint8Array | null;

  /**
   * Makes an empty memory.
   *
   * @throws `VmError` `unsupported` on a big-endian host.
   */
  constructor() {
    super();
    this.sparePage = null;
  }

  /**
   * A memory around RAM that you have, without a copy.
   *
   * @param source - A buffer, a view, or an object with a buffer such as a `WebAssembly.Memory`.
   * @param options - Where it lies; see {@link WrappedRamOptions}.
   * @returns A memory of one region.
   * @throws `VmError` as {@link PhysicalMemory.addRam}.
   */
  static wrap(source: RamSource, options: Omit<WrappedRamOptions, 'source'>): PhysicalMemory {
    const memory = new PhysicalMemory();
    memory.addRam({ ...options, source });
    return memory;
  }

  /**
   * A memory of new, zeroed RAM.
   *
   * @param bytes - Its size.
   * @param options - Where it lies, and whether to share it between workers.
   * @returns A memory of one region.
   * @throws `VmError` as {@link PhysicalMemory.addRam}.
   */
  static allocate(bytes: number, options: Omit<FreshRamOptions, 'bytes'>): PhysicalMemory {
    const memory = new PhysicalMemory();
    memory.addRam({ ...options, bytes });
    return memory;
  }

  /**
   * Brings a saved memory back, in buffers of its own. Regions that grew with their source have a fixed size now.
   *
   * @param snapshot - What {@link PhysicalMemory.snapshot} returned; its arrays are copied.
   * @returns A new memory.
   * @throws `VmError` `unsupported` for another version; `bad-image`, `bad-argument`, `out-of-range` or
   * `overlap` for damaged data.
   */
  static restore(snapshot: MemorySnapshot): PhysicalMemory {
    const memory = new PhysicalMemory();
    memory.insert(loadRegions(snapshot));
    return memory;
  }

  /**
   * Adds flat RAM: the fastest kind.
   *
   * @param options - {@link WrappedRamOptions} (your memory, not copied) or {@link FreshRamOptions} (new, zeroed).
   * @throws `VmError` `overlap` with a region that is there; `bad-argument` or `out-of-range` for an option. Nothing
   * has changed then.
   *
   * @example
   * ```ts
   * import { PhysicalMemory } from 'pagewright/memory';
   *
   * const memory = new PhysicalMemory();
   * memory.addRam({ base: 0, bytes: 0xa0000 });
   * memory.addRam({ base: 0xff_ffff_ffff_0000n, source: new Uint8Array(0x2000) });
   * memory.contains(0xffffffffff1, 0xfff, 1); // => true
   * memory.contains(0xffffffffff1, 0xfff, 2); // => false
   * ```
   */
  addRam(options: RamOptions): void {
    this.insert([ramRegion(options)]);
  }

  /**
   * Adds RAM whose pages take host memory only once they are written; before that they read as 0.
   *
   * @param options - Where, and how much.
   * @throws `VmError` as {@link PhysicalMemory.addRam}.
   */
  addSparse(options: SparseOptions): void {
    this.insert([sparseRegion(options)]);
  }

  /**
   * Adds a device.
   *
   * @param options - Where, how much, and its callbacks.
   * @throws `VmError` as {@link PhysicalMemory.addRam}.
   *
   * @example
   * ```ts
   * import { BUS_ERROR, PhysicalMemory } from 'pagewright/memory';
   *
   * const sent: number[] = [];
   * const memory = new PhysicalMemory();
   * memory.addDevice({
   *   base: 0x1000_0000,
   *   bytes: 8,
   *   read: (offset) => (offset === 5 ? 0x20 : 0), // transmitter empty
   *   write: (offset, width, low) => (offset === 0 && width === 1 ? sent.push(low) : BUS_ERROR),
   * });
   * memory.read8(0x10000, 5); // => 0x20
   * memory.write8(0x10000, 0, 65); // => 0
   * memory.write32(0x10000, 0, 65) === BUS_ERROR; // => true
   * sent; // => [65]
   * ```
   */
  addDevice(options: DeviceOptions): void {
    this.insert([deviceRegion(options)]);
  }

  /**
   * Adds regions, all or none.
   *
   * @internal
   */
  insert(regions: readonly Region[]): void {
    this.table.insert(regions);
    this.layoutVersion++;
  }

  /**
   * All regions, in ascending order of base, as they are now.
   *
   * @returns Plain data.
   */
  regions(): readonly Plain<RegionInfo>[] {
    return this.table.regions.map(describeRegion);
  }

  /**
   * Reads a byte string; it may span pages and regions.
   *
   * @param pfn - The frame.
   * @param offset - The first byte in it.
   * @param target - Filled wholly.
   * @returns 0, or {@link BUS_ERROR}: nothing was read if some byte is no memory, a part when a device refused.
   */
  readBytes(pfn: number, offset: number, target: Uint8Array): number {
    if (!this.contains(pfn, offset, target.length)) return BUS_ERROR;
    return this.table.eachPiece(pfn, offset, target.length, (region, at, start, end) =>
      region.readInto(at, target.subarray(start, end)),
    );
  }

  /**
   * Writes a byte string; it may span pages and regions. Devices are written byte by byte. On shared memory other
   * workers may see a part.
   *
   * @param pfn - The frame.
   * @param offset - The first byte in it.
   * @param source - The bytes.
   * @returns 0, or {@link BUS_ERROR}: nothing was written if some byte is no memory, a part when a device refused.
   */
  writeBytes(pfn: number, offset: number, source: Uint8Array): number {
    if (!this.contains(pfn, offset, source.length)) return BUS_ERROR;
    return this.table.eachPiece(pfn, offset, source.length, (region, at, start, end) =>
      region.writeFrom(at, source.subarray(start, end)),
    );
  }

  /**
   * Copies a frame.
   *
   * @param fromPfn - The frame to read.
   * @param toPfn - The frame to write.
   * @returns 0, or {@link BUS_ERROR} as {@link PhysicalMemory.writeBytes}.
   */
  copyPage(fromPfn: number, toPfn: number): number {
    const page = this.takePage();
    let status = this.readBytes(fromPfn, 0, page);
    if (status === 0) status = this.writeBytes(toPfn, 0, page);
    this.sparePage = page;
    return status;
  }

  /**
   * Fills a frame.
   *
   * @param pfn - The frame.
   * @param byte - The value of every byte; bits above 7 are ignored.
   * @returns 0, or {@link BUS_ERROR} as {@link PhysicalMemory.writeBytes}.
   */
  fillPage(pfn: number, byte: number): number {
    const page = this.takePage().fill(byte);
    const status = this.writeBytes(pfn, 0, page);
    this.sparePage = page;
    return status;
  }

  private takePage(): Uint8Array {
    const page = this.sparePage ?? new Uint8Array(PAGE_BYTES);
    this.sparePage = null;
    return page;
  }

  /**
   * Reads a value.
   *
   * @param address - Physical address of the first byte; any alignment.
   * @param bytes - 1, 2, 4 or 8.
   * @returns The unsigned value, or a bus error, as plain data.
   * @throws `VmError` for a bad address or size.
   */
  read(address: Address, bytes: DeviceWidth): Plain<ReadResult> {
    const { vpn: pfn, offset } = pageAndOffset(address);
    checkWidth(bytes);
    if (bytes === 8) {
      if (this.readWords(pfn, offset) < 0) return busError(address);
      return plain({ kind: 'value', value: bigintFromWords(this.low, this.high) });
    }
    const value =
      bytes === 4
        ? this.read32(pfn, offset)
        : bytes === 2
          ? this.read16(pfn, offset)
          : this.read8(pfn, offset);
    return value < 0 ? busError(address) : plain({ kind: 'value', value: BigInt(value) });
  }

  /**
   * Writes a value.
   *
   * @param address - Physical address of the first byte; any alignment.
   * @param bytes - 1, 2, 4 or 8.
   * @param value - Unsigned, not longer than that.
   * @returns Success or a bus error, as plain data.
   * @throws `VmError` for a bad address, size or value.
   */
  write(address: Address, bytes: DeviceWidth, value: Address): Plain<WriteResult> {
    const { vpn: pfn, offset } = pageAndOffset(address);
    checkWidth(bytes);
    const pattern = checkBits('value', value, bytes * 8);
    const low = lowWord(pattern);
    const status =
      bytes === 8
        ? this.writeWords(pfn, offset, low, highWord(pattern))
        : bytes === 4
          ? this.write32(pfn, offset, low)
          : bytes === 2
            ? this.write16(pfn, offset, low)
            : this.write8(pfn, offset, low);
    return status < 0 ? busError(address) : plain({ kind: 'ok' });
  }

  /**
   * Saves all contents, for {@link PhysicalMemory.restore}.
   *
   * @returns Versioned plain data, fit for `structuredClone`; O(bytes in use).
   * @throws `VmError` `unsupported`, naming it, when there is a device: its state is behind callbacks.
   */
  snapshot(): MemorySnapshot {
    return saveRegions(this.table.regions);
  }

  /**
   * Verifies that regions are sorted and none reaches into the next.
   *
   * @throws `VmError` `bad-image` when that is broken, which no call should be able to bring about.
   */
  checkInvariants(): void {
    this.table.checkInvariants();
  }
}

function checkWidth(value: number): void {
  if (value !== 1 && value !== 2 && value !== 4 && value !== 8) {
    throw new VmError('bad-argument', { argument: 'bytes', value, expected: '1, 2, 4 or 8' });
  }
}

function busError(address: Address): Plain<BusErrorResult> {
  return plain({ kind: 'bus-error', address: BigInt(address) });
}
