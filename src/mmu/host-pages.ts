import { checkInteger, checkOptions, type OptionNames, VmError } from '../core/index.js';
import type { WalkFault } from '../walk/index.js';
import { HostRam, type WriteCache } from './host-ram.js';
import { Mmu } from './mmu.js';

/**
 * What {@link HostPages} answers instead of an offset.
 *
 * @public
 */
export const HostPage = {
  /** The page is not in the RAM: a device, or nothing. Its frame is in `pfn`. */
  Device: -1,
  /** The access faults: the detail is in `fault`. */
  Fault: -2,
} as const;

/**
 * What {@link HostPages} are made from.
 *
 * @public
 */
export interface HostPagesOptions {
  /** The CPU's MMU. */
  readonly mmu: Mmu;
  /** The RAM, which all CPUs share. */
  readonly ram: HostRam;
  /** Tags for each kind of access, a power of two. @defaultValue 256 */
  readonly entries?: number;
}

const OPTIONS: OptionNames<HostPagesOptions> = { mmu: true, ram: true, entries: true };

/**
 * An emulator's fast path: from a page number to the place of the page in the emulator's own RAM, by one compare of a tag and one of rights.
 * Reads, writes and fetches have tags of their own, direct-mapped. Like the TLB's, its entries hold rights: privilege, SUM, MXR
 * and their like change without a flush. What the MMU is told to flush, and every write of a register, drops what is here as well.
 *
 * @example
 * ```ts
 * import { Access } from 'pagewright/core';
 * import { PhysicalMemory } from 'pagewright/memory';
 * import { HostPage, HostPages, HostRam, Mmu } from 'pagewright/mmu';
 * import { Tlb } from 'pagewright/tlb';
 * import { RiscvWalker } from 'pagewright/walk';
 *
 * const buffer = new ArrayBuffer(0x10000);
 * const memory = PhysicalMemory.wrap(buffer, { base: 0x8000_0000 });
 * const walker = new RiscvWalker({ memory });
 * const mmu = new Mmu({ walker, tlb: new Tlb({ entries: 32 }) });
 * const host = new HostPages({ mmu, ram: new HostRam({ memory, pfn: 0x80000 }) });
 *
 * const page = host.write(0x80002, Access.Write | Access.Machine);
 * page; // => 0x2000
 * new DataView(buffer).setUint32(page + 0x10, 7, true);
 * host.read(0x10000, Access.Machine) === HostPage.Device; // => true
 * host.pfn; // => 0x10000
 * ```
 * @public
 */
export class HostPages implements WriteCache {
  /** After `HostPage.Device`: the frame. */
  pfn = 0;
  private readonly mmu: Mmu;
  private readonly ram: HostRam;
  private readonly mask: number;
  private readonly demandsOf: { readonly table: Int32Array };
  private readonly readTags: Float64Array;
  private readonly writeTags: Float64Array;
  private readonly fetchTags: Float64Array;
  private readonly readGrants: Int32Array;
  private readonly writeGrants: Int32Array;
  private readonly fetchGrants: Int32Array;
  private readonly readOffsets: Float64Array;
  private readonly writeOffsets: Float64Array;
  private readonly fetchOffsets: Float64Array;

  /**
   * @param options - See {@link HostPagesOptions}.
   * @throws `VmError` for parts that do not go together.
   */
  constructor(options: HostPagesOptions) {
    checkOptions('', options, OPTIONS);
    const { mmu, ram } = options;
    const entries = checkInteger('entries', options.entries ?? 256, 1, 2 ** 20);
    if ((entries & (entries - 1)) !== 0) {
      const expected = 'a power of two';
      throw new VmError('bad-argument', { argument: 'entries', value: entries, expected });
    }
    if (!(mmu instanceof Mmu)) {
      throw new VmError('bad-argument', { argument: 'mmu', value: mmu, expected: 'an Mmu' });
    }
    if (!(ram instanceof HostRam) || ram.memory !== mmu.memory || mmu.walker.pageShift !== 12) {
      const expected = "a HostRam of the MMU's memory, and pages of 4 KiB";
      throw new VmError('bad-argument', { argument: 'ram', value: ram, expected });
    }
    this.mmu = mmu;
    this.ram = ram;
    this.mask = entries - 1;
    this.demandsOf = mmu.demandsNow;
    const tags = (): Float64Array => new Float64Array(entries).fill(Number.NaN);
    this.readTags = tags();
    this.writeTags = tags();
    this.fetchTags = tags();
    this.readGrants = new Int32Array(entries);
    this.writeGrants = new Int32Array(entries);
    this.fetchGrants = new Int32Array(entries);
    this.readOffsets = new Float64Array(entries);
    this.writeOffsets = new Float64Array(entries);
    this.fetchOffsets = new Float64Array(entries);
    ram.attach(this);
    mmu.beforeFlush(() => this.flush());
  }

  /** The last fault. */
  get fault(): WalkFault {
    return this.mmu.fault;
  }

  /**
   * Where a page is that is loaded from. Hot.
   *
   * @param vpn - The page number.
   * @param access - `Access` bits, of kind Read.
   * @returns The offset of the page's first byte in the RAM, or a negative {@link HostPage}.
   */
  read(vpn: number, access: number): number {
    const slot = vpn & this.mask;
    const demand = this.demandsOf.table[access]!;
    if (this.readTags[slot] === vpn && (this.readGrants[slot]! & demand) === demand) {
      return this.readOffsets[slot]!;
    }
    return this.enter(vpn, access, this.readTags, this.readGrants, this.readOffsets);
  }

  /**
   * Where a page is that is stored to; the store has to follow. Hot.
   *
   * @param vpn - The page number.
   * @param access - `Access` bits, of kind Write.
   * @returns As `read`.
   */
  write(vpn: number, access: number): number {
    const slot = vpn & this.mask;
    const demand = this.demandsOf.table[access]!;
    if (this.writeTags[slot] === vpn && (this.writeGrants[slot]! & demand) === demand) {
      return this.writeOffsets[slot]!;
    }
    return this.enterWrite(vpn, access);
  }

  /**
   * Where a page is that is fetched from. Hot.
   *
   * @param vpn - The page number.
   * @param access - `Access` bits, of kind Fetch.
   * @returns As `read`.
   */
  fetch(vpn: number, access: number): number {
    const slot = vpn & this.mask;
    const demand = this.demandsOf.table[access]!;
    if (this.fetchTags[slot] === vpn && (this.fetchGrants[slot]! & demand) === demand) {
      return this.fetchOffsets[slot]!;
    }
    return this.enter(vpn, access, this.fetchTags, this.fetchGrants, this.fetchOffsets);
  }

  /** Forgets everything. O(entries). */
  flush(): void {
    this.readTags.fill(Number.NaN);
    this.writeTags.fill(Number.NaN);
    this.fetchTags.fill(Number.NaN);
  }

  /** @internal */
  dropWrites(offset: number): void {
    for (let slot = 0; slot <= this.mask; slot++) {
      if (this.writeOffsets[slot] === offset) this.writeTags[slot] = Number.NaN;
    }
  }

  /** @internal */
  dropAllWrites(): void {
    this.writeTags.fill(Number.NaN);
  }

  private enter(
    vpn: number,
    access: number,
    tags: Float64Array,
    grants: Int32Array,
    offsets: Float64Array,
  ): number {
    const { mmu, ram } = this;
    const pfn = mmu.translatePage(vpn, access);
    if (pfn < 0) return HostPage.Fault;
    const offset = ram.offsetOf(pfn);
    if (offset < 0) {
      this.pfn = pfn;
      return HostPage.Device;
    }
    const granted = mmu.grantsOf(vpn, access);
    const slot = vpn & this.mask;
    tags[slot] = granted === 0 ? Number.NaN : vpn;
    grants[slot] = granted;
    offsets[slot] = offset;
    return offset;
  }

  private enterWrite(vpn: number, access: number): number {
    const { writeTags } = this;
    const offset = this.enter(vpn, access, writeTags, this.writeGrants, this.writeOffsets);
    if (offset >= 0 && !this.ram.beforeWrite(offset)) writeTags[vpn & this.mask] = Number.NaN;
    return offset;
  }
}
