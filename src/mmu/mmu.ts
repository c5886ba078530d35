import {
  Access,
  type Address,
  checkBits,
  checkInteger,
  type Plain,
  pageAndOffset,
  plain,
  VmError,
} from '../core/index.js';
import type { FaultTranslation } from '../walk/index.js';
import type { MmuOptions } from './mmu-options.js';
import { MmuTranslation } from './translation.js';

/**
 * What {@link Mmu.read} and {@link Mmu.fetch} answer.
 *
 * @public
 */
export type GuestRead =
  | {
      /** The tag. */
      readonly kind: 'value';
      /** The bytes, little-endian. */
      readonly value: bigint;
    }
  | GuestRefusal;

/**
 * What {@link Mmu.write} and the block operations answer.
 *
 * @public
 */
export type GuestWrite =
  | {
      /** The tag. */
      readonly kind: 'ok';
    }
  | GuestRefusal;

/**
 * Why an access did not happen: a fault, whose address is the first byte on the page at fault; or translation was fine, and there is nothing at
 * the physical address.
 *
 * @public
 */
export type GuestRefusal =
  | FaultTranslation
  | {
      /** The tag. */
      readonly kind: 'bus-error';
      /** The virtual address of the first byte that has no memory. */
      readonly va: bigint;
      /** Where it is translated to: the frame, in the walker's pages. */
      readonly pfn: number;
      /** The byte in the frame. */
      readonly offset: number;
    };

/**
 * A memory management unit: a walker, the translation caches in front of it, and the registers of the walker.
 *
 * Caches hold rights and never verdicts. What an access needs in the present state (privilege, SUM, MXR, PKRU, AC, PAN) is
 * asked of the entry at each access, so that changing it costs nothing and needs no flush. Whatever no entry serves is
 * walked for: misses, entries that lack a right, stores through entries whose dirty bit is clear. So a fault is always the
 * walker's, with all that `explain` tells, and it is never an entry that refuses. Faults are not cached; on x86 a page fault drops what
 * is cached of its address (Intel SDM Vol. 3A, 4.10.4.1).
 *
 * Registers are written through the walker: the MMU hears of it, changes the context of its caches, and drops what the
 * write itself invalidates. Everything else is software's: see {@link Mmu.invalidate} and {@link Mmu.flush}. With software
 * that clears accessed bits without a flush, they may return late, as on hardware.
 *
 * @example
 * ```ts
 * import { Access } from 'pagewright/core';
 * import { PhysicalMemory } from 'pagewright/memory';
 * import { Mmu } from 'pagewright/mmu';
 * import { Tlb } from 'pagewright/tlb';
 * import { RiscvWalker } from 'pagewright/walk';
 *
 * const ram = new ArrayBuffer(0x4000);
 * const entries = new BigUint64Array(ram);
 * entries[0x0000 / 8 + 352] = 0x20000401n; // root: pointer to 0x80001000
 * entries[0x1000 / 8 + 1] = 0x200000c7n; // 2 MiB leaf at 0x80000000, R W, A and D set
 *
 * const memory = PhysicalMemory.wrap(ram, { base: 0x8000_0000 });
 * const walker = new RiscvWalker({ memory, satp: (8n << 60n) | 0x80000n });
 * const mmu = new Mmu({ walker, tlb: new Tlb({ entries: 32, ways: 4, orders: [0, 9, 18] }) });
 * mmu.translatePage(0xf_ffff_fd80_0201, Access.Read); // => 0x80001
 * mmu.translatePage(0xf_ffff_fd80_0302, Access.Write); // => 0x80102
 * mmu.statistics().walks; // => 1
 * mmu.translatePage(0xf_ffff_fd80_0302, Access.Fetch) < 0; // => true
 * mmu.fault.reason; // => 'not-executable'
 * ```
 * @public
 */
export class Mmu extends MmuTranslation {
  /** The value at hand. */
  private readonly word: Uint8Array = new Uint8Array(8);
  private readonly view: DataView = new DataView(this.word.buffer);

  /**
   * @param options - See {@link MmuOptions}.
   * @throws `VmError` for parts that do not go together.
   */
  constructor(options: MmuOptions) {
    super(options);
  }

  /**
   * Loads 1 to 8 bytes, from two pages where they cross one. Devices are read in one access where they can be.
   *
   * @param va - The first byte.
   * @param bytes - How many.
   * @param access - `Access` bits beside the kind, such as `Access.User`.
   * @returns The value, or why there is none.
   * @throws `VmError` for a bad address, size or access.
   */
  read(va: Address, bytes: number, access: number = Access.Read): Plain<GuestRead> {
    return this.load(va, bytes, checkKind(access, Access.Read));
  }

  /**
   * Fetches 1 to 8 bytes of an instruction. Of one that crosses a page, the second half is at fault when its page is.
   *
   * @param va - The first byte.
   * @param bytes - How many.
   * @param access - `Access` bits beside the kind.
   * @returns The value, or why there is none.
   * @throws `VmError` for a bad address, size or access.
   */
  fetch(va: Address, bytes: number, access: number = Access.Fetch): Plain<GuestRead> {
    return this.load(va, bytes, checkKind(access, Access.Fetch));
  }

  /**
   * Stores 1 to 8 bytes. Where they cross a page, both pages are checked before a byte is written.
   *
   * @param va - The first byte.
   * @param bytes - How many.
   * @param value - What.
   * @param access - `Access` bits beside the kind.
   * @returns Whether it was stored, or why nothing was.
   * @throws `VmError` for a bad address, size, value or access.
   */
  write(
    va: Address,
    bytes: number,
    value: Address,
    access: number = Access.Write,
  ): Plain<GuestWrite> {
    checkInteger('bytes', bytes, 1, 8);
    this.view.setBigUint64(0, checkBits('value', value, 8 * bytes), true);
    return this.store(va, this.word.subarray(0, bytes), access);
  }

  /**
   * Loads a block of any size, page after page.
   *
   * @param va - The first byte.
   * @param target - Receives it; when a page refuses, what came before it is there.
   * @param access - `Access` bits beside the kind.
   * @returns Whether all of it was read, or why not. O(pages).
   * @throws `VmError` for a bad address or access.
   */
  readBlock(va: Address, target: Uint8Array, access: number = Access.Read): Plain<GuestWrite> {
    return this.eachPage(va, target, checkKind(access, Access.Read), (pfn, offset, part) =>
      this.memory.readBytes(pfn, offset, part),
    );
  }

  /**
   * Stores a block. Every page of it is checked before a byte is written.
   *
   * @param va - The first byte.
   * @param source - What.
   * @param access - `Access` bits beside the kind.
   * @returns Whether all of it was stored, or why nothing was. O(pages).
   * @throws `VmError` for a bad address or access.
   */
  writeBlock(va: Address, source: Uint8Array, access: number = Access.Write): Plain<GuestWrite> {
    return this.store(va, source, access);
  }

  private load(va: Address, bytes: number, access: number): Plain<GuestRead> {
    checkInteger('bytes', bytes, 1, 8);
    this.view.setBigUint64(0, 0n, true);
    const done = this.eachPage(va, this.word.subarray(0, bytes), access, (pfn, offset, part) =>
      this.readPart(pfn, offset, part),
    );
    if (done.kind !== 'ok') return done;
    return plain({ kind: 'value', value: this.view.getBigUint64(0, true) });
  }

  private store(va: Address, source: Uint8Array, access: number): Plain<GuestWrite> {
    const kind = checkKind(access, Access.Write);
    const { memory } = this;
    const possible = this.eachPage(va, source, kind, (pfn, offset, part) =>
      memory.contains(pfn, offset, part.length) ? 0 : -1,
    );
    if (possible.kind !== 'ok') return possible;
    return this.eachPage(va, source, kind, (pfn, offset, part) =>
      this.writePart(pfn, offset, part),
    );
  }

  /** Does something with each page of a block; stops at the first that refuses. */
  private eachPage(
    va: Address,
    block: Uint8Array,
    access: number,
    use: (pfn: number, offset: number, part: Uint8Array) => number,
  ): Plain<GuestWrite> {
    const shift = this.walker.pageShift;
    if (shift > 12)
      throw new VmError('unsupported', { argument: 'walker', expected: 'pages of up to 4 KiB' });
    const pageBytes = 2 ** shift;
    const first = pageAndOffset(va);
    let vpn = first.vpn * 2 ** (12 - shift) + Math.floor(first.offset / pageBytes);
    let offset = first.offset % pageBytes;
    for (let done = 0; done < block.length; ) {
      const bytes = Math.min(block.length - done, pageBytes - offset);
      const frame = this.translatePage(vpn, access, offset, bytes);
      if (frame < 0) return this.walker.lastRefusal(vpn, offset, access);
      const pfn = Math.floor(frame / 2 ** (12 - shift));
      const at = (frame % 2 ** (12 - shift)) * pageBytes + offset;
      if (use(pfn, at, block.subarray(done, done + bytes)) < 0) {
        const lost = BigInt.asUintN(64, BigInt(va) + BigInt(done));
        return plain<GuestWrite>({ kind: 'bus-error', va: lost, pfn: frame, offset });
      }
      done += bytes;
      offset = 0;
      vpn = this.walker.pageAfter(vpn);
    }
    return plain<GuestWrite>({ kind: 'ok' });
  }

  /** Reads a part in one access where it has the size of one: a device counts them. */
  private readPart(pfn: number, offset: number, part: Uint8Array): number {
    const { memory } = this;
    const { byteOffset: at, length } = part;
    if (length === 8) {
      if (memory.readWords(pfn, offset) < 0) return -1;
      this.view.setInt32(0, memory.low, true);
      this.view.setInt32(4, memory.high, true);
      return 0;
    }
    const value =
      length === 4
        ? memory.read32(pfn, offset)
        : length === 2
          ? memory.read16(pfn, offset)
          : length === 1
            ? memory.read8(pfn, offset)
            : null;
    if (value === null) return memory.readBytes(pfn, offset, part);
    if (value < 0) return -1;
    if (length === 4) this.view.setUint32(at, value, true);
    else if (length === 2) this.view.setUint16(at, value, true);
    else part[0] = value;
    return 0;
  }

  private writePart(pfn: number, offset: number, part: Uint8Array): number {
    const { memory } = this;
    const view = new DataView(part.buffer, part.byteOffset, part.length);
    switch (part.length) {
      case 8:
        return memory.writeWords(pfn, offset, view.getInt32(0, true), view.getInt32(4, true));
      case 4:
        return memory.write32(pfn, offset, view.getInt32(0, true));
      case 2:
        return memory.write16(pfn, offset, view.getUint16(0, true));
      case 1:
        return memory.write8(pfn, offset, part[0]!);
      default:
        return memory.writeBytes(pfn, offset, part);
    }
  }
}

/** An access of one kind; a read-modify-write writes. */
function checkKind(access: number, kind: number): number {
  const wanted = (access & ~3) | kind;
  if ((access & 3) === kind || (access & 3) === Access.Read) return wanted;
  throw new VmError('bad-argument', {
    argument: 'access',
    value: access,
    expected: `kind ${kind}`,
  });
}
