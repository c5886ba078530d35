// The control and status registers of S-mode (RISC-V Privileged, 12.1). M-mode is the host's, as firmware would be.
import { bigintFromWords, highWord, lowWord } from 'pagewright/core';
import type { RiscvWalker } from 'pagewright/walk';

const SSTATUS = 0x100;
const SATP = 0x180;

const SIE = 1 << 1;
const SPIE = 1 << 5;
const SPP = 1 << 8;
const SUM = 1 << 18;
const MXR = 1 << 19;
const WRITABLE = SIE | SPIE | SPP | SUM | MXR;
/** sstatus.UXL: U-mode has 64 bits too. */
const UXL_64 = 2;

/** Where the registers that only store are kept. */
const STVEC = 0;
const SSCRATCH = 1;
const SEPC = 2;
const SCAUSE = 3;
const STVAL = 4;
const STORED: ReadonlyMap<number, number> = new Map([
  [0x105, STVEC],
  [0x140, SSCRATCH],
  [0x141, SEPC],
  [0x142, SCAUSE],
  [0x143, STVAL],
]);

/** sie, scounteren, senvcfg and sip: there is no interrupt, no counter and nothing to configure, so all are 0. */
const ZERO: ReadonlySet<number> = new Set([0x104, 0x106, 0x10a, 0x144]);

/** The registers. What rules translation is the walker's, and a write of it empties the fast path. */
export class Csrs {
  /** What was read last. */
  low = 0;
  high = 0;
  private status = 0;
  private readonly storedLow = new Int32Array(5);
  private readonly storedHigh = new Int32Array(5);
  private readonly walker: RiscvWalker;

  constructor(walker: RiscvWalker) {
    this.walker = walker;
  }

  /** Reads into `low` and `high`; `false` for a register that is not there. */
  read(number: number): boolean {
    const stored = STORED.get(number);
    if (stored !== undefined) return this.answer(this.storedLow[stored]!, this.storedHigh[stored]!);
    if (number === SSTATUS) return this.answer(this.status, UXL_64);
    if (number === SATP) return this.answer(lowWord(this.walker.satp), highWord(this.walker.satp));
    return ZERO.has(number) && this.answer(0, 0);
  }

  /** Writes a register that `read` knows. */
  write(number: number, low: number, high: number): void {
    const stored = STORED.get(number);
    if (stored !== undefined) this.store(stored, low, high);
    else if (number === SSTATUS) this.writeStatus(low & WRITABLE);
    else if (number === SATP) this.walker.setSatp(bigintFromWords(low, high));
  }

  /** Enters a trap (12.1.1 sstatus, 12.1.2 stvec); `low` and `high` are then the handler's address. */
  enter(
    user: boolean,
    cause: number,
    pcLow: number,
    pcHigh: number,
    low: number,
    high: number,
  ): void {
    this.store(SEPC, pcLow, pcHigh);
    this.store(SCAUSE, cause, 0);
    this.store(STVAL, low, high);
    const enabled = (this.status & SIE) === 0 ? 0 : SPIE;
    this.status = (this.status & (SUM | MXR)) | enabled | (user ? 0 : SPP);
    this.answer(this.storedLow[STVEC]!, this.storedHigh[STVEC]!);
  }

  /** SRET: `low` and `high` are then sepc. @returns Whether it leads to U-mode. */
  leave(): boolean {
    const user = (this.status & SPP) === 0;
    const enabled = (this.status & SPIE) === 0 ? 0 : SIE;
    this.status = (this.status & (SUM | MXR)) | enabled | SPIE;
    this.answer(this.storedLow[SEPC]!, this.storedHigh[SEPC]!);
    return user;
  }

  private answer(low: number, high: number): true {
    this.low = low;
    this.high = high;
    return true;
  }

  private store(stored: number, low: number, high: number): void {
    // Instructions are 4 bytes each: sepc[1:0] is 0 (12.1.7), and so is stvec.MODE: Direct.
    this.storedLow[stored] = stored === SEPC || stored === STVEC ? low & ~3 : low;
    this.storedHigh[stored] = high;
  }

  private writeStatus(status: number): void {
    const changed = (this.status ^ status) & (SUM | MXR);
    this.status = status;
    if (changed === 0) return;
    this.walker.sum = (status & SUM) !== 0;
    this.walker.mxr = (status & MXR) !== 0;
  }
}
