// Loads and stores of the hart: where the guest's address leads, by GuestPages, and the bytes there.
import { Access, vpnFromWords } from 'pagewright/core';
import { BUS_ERROR, type PhysicalMemory } from 'pagewright/memory';
import { CAUSE } from './causes.js';
import { type GuestPages, HOST_FAULT } from './guest-pages.js';

const PAGE = 4096;

/**
 * The data port. Every access answers `true`, or `false` for an exception that then waits in `cause`, `tvalLow` and
 * `tvalHigh`. What was loaded waits in `low` and `high`.
 */
export class MemoryPort {
  /** What was loaded, extended to 64 bits. */
  low = 0;
  high = 0;
  /** The exception: scause and stval. */
  cause = 0;
  tvalLow = 0;
  tvalHigh = 0;
  readonly pages: GuestPages;
  private readonly memory: PhysicalMemory;
  private readonly view: DataView;
  private readonly bytes: Uint8Array;
  private readAccess: number = Access.Read;
  private writeAccess: number = Access.Write;
  /** The two pages of an access that crosses a boundary, and their frames if they are devices. */
  private readonly page: [number, number] = [0, 0];
  private readonly pfn: [number, number] = [0, 0];

  constructor(pages: GuestPages, memory: PhysicalMemory, ram: ArrayBuffer) {
    this.pages = pages;
    this.memory = memory;
    this.view = new DataView(ram);
    this.bytes = new Uint8Array(ram);
  }

  /** Whose accesses follow. */
  setUser(user: boolean): void {
    const privilege = user ? Access.User : 0;
    this.readAccess = Access.Read | privilege;
    this.writeAccess = Access.Write | privilege;
  }

  /** A load. @param funct3 - LB 0, LH 1, LW 2, LD 3, LBU 4, LHU 5, LWU 6. */
  load(low: number, high: number, funct3: number): boolean {
    const offset = low & (PAGE - 1);
    const bytes = 1 << (funct3 & 3);
    if (offset + bytes > PAGE) {
      return this.loadAcross(low, high, bytes) && this.extend(funct3);
    }
    const page = this.pages.read(vpnFromWords(low, high), this.readAccess);
    if (page < 0) return this.loadElsewhere(page, low, high, bytes) && this.extend(funct3);
    const at = page + offset;
    switch (funct3) {
      case 0:
        this.low = this.view.getInt8(at);
        break;
      case 1:
        this.low = this.view.getInt16(at, true);
        break;
      case 2:
        this.low = this.view.getInt32(at, true);
        break;
      case 3:
        this.low = this.view.getInt32(at, true);
        this.high = this.view.getInt32(at + 4, true);
        return true;
      case 4:
        this.low = this.bytes[at]!;
        break;
      case 5:
        this.low = this.view.getUint16(at, true);
        break;
      default:
        this.low = this.view.getInt32(at, true);
    }
    this.high = funct3 < 4 ? this.low >> 31 : 0;
    return true;
  }

  /** A store. @param funct3 - SB 0, SH 1, SW 2, SD 3. */
  store(low: number, high: number, funct3: number, valueLow: number, valueHigh: number): boolean {
    const offset = low & (PAGE - 1);
    const bytes = 1 << funct3;
    if (offset + bytes > PAGE) return this.storeAcross(low, high, bytes, valueLow, valueHigh);
    const page = this.pages.write(vpnFromWords(low, high), this.writeAccess);
    if (page < 0) return this.storeElsewhere(page, low, high, bytes, valueLow, valueHigh);
    const at = page + offset;
    switch (funct3) {
      case 0:
        this.bytes[at] = valueLow;
        break;
      case 1:
        this.view.setInt16(at, valueLow, true);
        break;
      case 2:
        this.view.setInt32(at, valueLow, true);
        break;
      default:
        this.view.setInt32(at, valueLow, true);
        this.view.setInt32(at + 4, valueHigh, true);
    }
    return true;
  }

  /**
   * The address in RAM for an atomic access, or a negative number for an exception. LR faults as a load, SC and AMOs as
   * stores (RISC-V Unprivileged, "A" Extension); none may be misaligned, and the device has no atomics.
   */
  atomicAddress(low: number, high: number, bytes: number, isStore: boolean): number {
    if ((low & (bytes - 1)) !== 0) {
      this.refuse(isStore ? CAUSE.storeMisaligned : CAUSE.loadMisaligned, low, high);
      return -1;
    }
    const vpn = vpnFromWords(low, high);
    const page = isStore
      ? this.pages.write(vpn, this.writeAccess)
      : this.pages.read(vpn, this.readAccess);
    if (page >= 0) return page + (low & (PAGE - 1));
    const access = isStore ? CAUSE.storeAccess : CAUSE.loadAccess;
    this.refuse(page === HOST_FAULT ? this.pages.fault.cause : access, low, high);
    return -1;
  }

  /** Reads RAM at an address that {@link MemoryPort.atomicAddress} gave. */
  readRam(at: number, bytes: number): void {
    this.low = this.view.getInt32(at, true);
    this.high = bytes === 8 ? this.view.getInt32(at + 4, true) : this.low >> 31;
  }

  /** Writes RAM there. */
  writeRam(at: number, bytes: number, low: number, high: number): void {
    this.view.setInt32(at, low, true);
    if (bytes === 8) this.view.setInt32(at + 4, high, true);
  }

  private refuse(cause: number, low: number, high: number): false {
    this.cause = cause;
    this.tvalLow = low;
    this.tvalHigh = high;
    return false;
  }

  /** Signs what was loaded as unsigned bytes. */
  private extend(funct3: number): true {
    if (funct3 === 3) return true;
    if (funct3 === 0) this.low = (this.low << 24) >> 24;
    else if (funct3 === 1) this.low = (this.low << 16) >> 16;
    this.high = funct3 < 3 ? this.low >> 31 : 0;
    return true;
  }

  /** A load from a page that is no RAM. */
  private loadElsewhere(page: number, low: number, high: number, bytes: number): boolean {
    if (page === HOST_FAULT) return this.refuse(this.pages.fault.cause, low, high);
    const { memory } = this;
    const { pfn } = this.pages;
    const offset = low & (PAGE - 1);
    let value = 0;
    if (bytes === 8) value = memory.readWords(pfn, offset);
    else if (bytes === 4) value = memory.read32(pfn, offset);
    else if (bytes === 2) value = memory.read16(pfn, offset);
    else value = memory.read8(pfn, offset);
    if (value < 0) return this.refuse(CAUSE.loadAccess, low, high);
    this.low = bytes === 8 ? memory.low : value | 0;
    this.high = bytes === 8 ? memory.high : 0;
    return true;
  }

  /** A store to a page that is no RAM. */
  private storeElsewhere(
    page: number,
    low: number,
    high: number,
    bytes: number,
    valueLow: number,
    valueHigh: number,
  ): boolean {
    if (page === HOST_FAULT) return this.refuse(this.pages.fault.cause, low, high);
    const { memory } = this;
    const { pfn } = this.pages;
    const offset = low & (PAGE - 1);
    let status = 0;
    if (bytes === 8) status = memory.writeWords(pfn, offset, valueLow, valueHigh);
    else if (bytes === 4) status = memory.write32(pfn, offset, valueLow);
    else if (bytes === 2) status = memory.write16(pfn, offset, valueLow);
    else status = memory.write8(pfn, offset, valueLow);
    return status < 0 ? this.refuse(CAUSE.storeAccess, low, high) : true;
  }

  /** A load in two pages, byte by byte. */
  private loadAcross(low: number, high: number, bytes: number): boolean {
    if (!this.translateBoth(low, high, false)) return false;
    this.low = 0;
    this.high = 0;
    const offset = low & (PAGE - 1);
    for (let i = 0; i < bytes; i++) {
      const value = this.byteAt(offset + i);
      if (value === BUS_ERROR) return this.refuseByte(CAUSE.loadAccess, low, high, offset + i);
      if (i < 4) this.low |= value << (8 * i);
      else this.high |= value << (8 * i - 32);
    }
    return true;
  }

  /** A store in two pages: nothing is written unless both may be. */
  private storeAcross(
    low: number,
    high: number,
    bytes: number,
    valueLow: number,
    valueHigh: number,
  ): boolean {
    if (!this.translateBoth(low, high, true)) return false;
    const offset = low & (PAGE - 1);
    for (let i = 0; i < bytes; i++) {
      const value = (i < 4 ? valueLow >>> (8 * i) : valueHigh >>> (8 * i - 32)) & 0xff;
      if (this.putByte(offset + i, value) === BUS_ERROR) {
        return this.refuseByte(CAUSE.storeAccess, low, high, offset + i);
      }
    }
    return true;
  }

  /** stval is the first byte of the access on the page that refuses (RISC-V Privileged, 12.1.9 stval). */
  private refuseByte(cause: number, low: number, high: number, offset: number): false {
    if (offset < PAGE) return this.refuse(cause, low, high);
    const next = ((low | (PAGE - 1)) + 1) | 0;
    return this.refuse(cause, next, next === 0 ? (high + 1) | 0 : high);
  }

  private translateBoth(low: number, high: number, isStore: boolean): boolean {
    const first = vpnFromWords(low, high);
    // The address after the last is 0.
    const pages = [first, first === 2 ** 52 - 1 ? 0 : first + 1] as const;
    for (const side of [0, 1] as const) {
      const page = isStore
        ? this.pages.write(pages[side], this.writeAccess)
        : this.pages.read(pages[side], this.readAccess);
      if (page === HOST_FAULT)
        return this.refuseByte(this.pages.fault.cause, low, high, side * PAGE);
      this.page[side] = page;
      this.pfn[side] = this.pages.pfn;
    }
    return true;
  }

  /** The byte at an offset from the first of the two pages. */
  private byteAt(offset: number): number {
    const side = offset < PAGE ? 0 : 1;
    const within = offset & (PAGE - 1);
    const page = this.page[side];
    return page < 0 ? this.memory.read8(this.pfn[side], within) : this.bytes[page + within]!;
  }

  private putByte(offset: number, value: number): number {
    const side = offset < PAGE ? 0 : 1;
    const within = offset & (PAGE - 1);
    const page = this.page[side];
    if (page < 0) return this.memory.write8(this.pfn[side], within, value);
    this.bytes[page + within] = value;
    return 0;
  }
}
