// The hart: RV64IMA with Zicsr and Zifencei, S-mode and U-mode. No bigint in the loop: addresses and registers are pairs
// of int32 words, page numbers are numbers.
import { Access, vpnFromWords } from 'pagewright/core';
import type { PhysicalMemory } from 'pagewright/memory';
import type { RiscvWalker } from 'pagewright/walk';
import { AtomicUnit } from './atomics.js';
import { CAUSE } from './causes.js';
import { Csrs } from './csrs.js';
import { type GuestPages, HOST_FAULT } from './guest-pages.js';
import { MemoryPort } from './memory-port.js';
import { below, Registers } from './registers.js';

/** What an instruction did. */
const NEXT = 0;
const JUMPED = 1;
/** It raised the exception that waits in the port. */
const RAISED = 2;
/** ECALL in S-mode, which the host answers as firmware would. */
const CALLED = 3;
type Outcome = typeof NEXT | typeof JUMPED | typeof RAISED | typeof CALLED;

/** What a hart is made of. */
export interface HartOptions {
  readonly ram: ArrayBuffer;
  readonly memory: PhysicalMemory;
  /** Its registers are the hart's: satp, SUM, MXR. */
  readonly walker: RiscvWalker;
  readonly pages: GuestPages;
}

/** A hart that starts in S-mode, as firmware starts an operating system: satp is Bare, there are no interrupts. */
export class Hart {
  readonly registers = new Registers();
  readonly csrs: Csrs;
  pcLow = 0;
  pcHigh = 0;
  /** Whether it is in U-mode. */
  user = false;
  /** Instructions retired. */
  retired = 0;
  /** Exceptions taken, by scause. */
  readonly traps = new Int32Array(16);

  private readonly pages: GuestPages;
  private readonly port: MemoryPort;
  private readonly atomics: AtomicUnit;
  private readonly words: Int32Array;
  private fetchAccess: number = Access.Fetch;

  constructor({ ram, memory, walker, pages }: HartOptions) {
    this.pages = pages;
    this.words = new Int32Array(ram);
    this.port = new MemoryPort(pages, memory, ram);
    this.atomics = new AtomicUnit(this.port, this.registers);
    this.csrs = new Csrs(walker);
  }

  /**
   * Executes until S-mode calls the host, with pc behind the ECALL then.
   *
   * @param limit - The most instructions, below 2^31: an int32 counts them.
   * @returns `false` when they did not suffice.
   */
  run(limit: number): boolean {
    for (let left = limit; left > 0; left--) {
      const outcome = this.step();
      if (outcome === RAISED) {
        this.trap();
        continue;
      }
      this.retired++;
      if (outcome === JUMPED) continue;
      // Instructions are aligned, so the sum that wraps is exactly 0.
      this.pcLow = (this.pcLow + 4) | 0;
      if (this.pcLow === 0) this.pcHigh = (this.pcHigh + 1) | 0;
      if (outcome === CALLED) return true;
    }
    return false;
  }

  /** Translates pc at every instruction, with the fast path and without. */
  private step(): Outcome {
    const { pcLow, pcHigh } = this;
    const page = this.pages.fetch(vpnFromWords(pcLow, pcHigh), this.fetchAccess);
    if (page < 0) {
      const cause = page === HOST_FAULT ? this.pages.fault.cause : CAUSE.fetchAccess;
      return this.raise(cause, pcLow, pcHigh);
    }
    return this.execute(this.words[(page + (pcLow & 4095)) >>> 2]!);
  }

  private execute(word: number): Outcome {
    const { low, high } = this.registers;
    const rd = (word >>> 7) & 31;
    const funct3 = (word >>> 12) & 7;
    const rs1 = (word >>> 15) & 31;
    const immediate = word >> 20;
    switch (word & 127) {
      case 0x03:
        if (funct3 === 7) return this.illegal(word);
        return this.load(rd, funct3, low[rs1]!, high[rs1]!, immediate);
      case 0x0f: // FENCE, FENCE.I: one hart, and nothing decoded is kept
        return funct3 < 2 ? NEXT : this.illegal(word);
      case 0x13:
        return this.computeImmediate(word, rd, funct3, rs1, immediate);
      case 0x17: // AUIPC
        return this.link(rd, word & ~4095, word >> 31);
      case 0x1b:
        return this.computeWordImmediate(word, rd, funct3, rs1);
      case 0x23:
        return this.store(word, funct3, rs1);
      case 0x2f:
        return this.atomic(word);
      case 0x33:
        return this.compute(word, rd, funct3, rs1);
      case 0x37: // LUI
        this.registers.setWord(rd, word & ~4095);
        return NEXT;
      case 0x3b:
        return this.computeWord(word, rd, funct3, rs1);
      case 0x63:
        return this.branch(word, funct3, rs1);
      case 0x67: // JALR: bit 0 of the sum is cleared (RISC-V Unprivileged, Unconditional Jumps)
        if (funct3 !== 0) return this.illegal(word);
        return this.jump(rd, low[rs1]!, high[rs1]!, immediate, ~1);
      case 0x6f:
        return this.jump(rd, this.pcLow, this.pcHigh, jumpOffset(word), ~0);
      case 0x73:
        return funct3 === 0 ? this.privileged(word, rd) : this.csr(word, rd, funct3, rs1);
      default:
        return this.illegal(word);
    }
  }

  private load(rd: number, funct3: number, low: number, high: number, by: number): Outcome {
    const { port } = this;
    const at = (low + by) | 0;
    if (!port.load(at, carried(low, high, at, by), funct3)) return RAISED;
    this.registers.set(rd, port.low, port.high);
    return NEXT;
  }

  private store(word: number, funct3: number, rs1: number): Outcome {
    if (funct3 > 3) return this.illegal(word);
    const { low, high } = this.registers;
    const by = ((word >> 25) << 5) | ((word >>> 7) & 31);
    const rs2 = (word >>> 20) & 31;
    const at = (low[rs1]! + by) | 0;
    const atHigh = carried(low[rs1]!, high[rs1]!, at, by);
    return this.port.store(at, atHigh, funct3, low[rs2]!, high[rs2]!) ? NEXT : RAISED;
  }

  private computeImmediate(
    word: number,
    rd: number,
    funct3: number,
    rs1: number,
    immediate: number,
  ): Outcome {
    // A shift has six bits of distance; the six above them choose (RV64I).
    const above = word >>> 26;
    const isRight = funct3 === 5;
    if (funct3 === 1 && above !== 0) return this.illegal(word);
    if (isRight && (above & ~16) !== 0) return this.illegal(word);
    this.registers.compute(rd, funct3, isRight && above !== 0, rs1, immediate, immediate >> 31);
    return NEXT;
  }

  private compute(word: number, rd: number, funct3: number, rs1: number): Outcome {
    const { registers } = this;
    const rs2 = (word >>> 20) & 31;
    const funct7 = word >>> 25;
    if (funct7 === 1) registers.multiply(rd, funct3, rs1, rs2);
    else if (!isVariant(funct7, funct3)) return this.illegal(word);
    else {
      const { low, high } = registers;
      registers.compute(rd, funct3, funct7 !== 0, rs1, low[rs2]!, high[rs2]!);
    }
    return NEXT;
  }

  private computeWordImmediate(word: number, rd: number, funct3: number, rs1: number): Outcome {
    const funct7 = word >>> 25;
    if (funct3 === 0) this.registers.computeWord(rd, 0, false, rs1, word >> 20);
    else if (funct7 !== 0 && !(funct7 === 32 && funct3 === 5)) return this.illegal(word);
    else {
      const by = (word >>> 20) & 31;
      if (!this.registers.computeWord(rd, funct3, funct7 !== 0, rs1, by)) return this.illegal(word);
    }
    return NEXT;
  }

  private computeWord(word: number, rd: number, funct3: number, rs1: number): Outcome {
    const { registers } = this;
    const rs2 = (word >>> 20) & 31;
    const funct7 = word >>> 25;
    const done =
      funct7 === 1
        ? registers.multiplyWord(rd, funct3, rs1, rs2)
        : isVariant(funct7, funct3) &&
          registers.computeWord(rd, funct3, funct7 !== 0, rs1, registers.low[rs2]!);
    return done ? NEXT : this.illegal(word);
  }

  private branch(word: number, funct3: number, rs1: number): Outcome {
    if (funct3 === 2 || funct3 === 3) return this.illegal(word);
    const { low, high } = this.registers;
    const rs2 = (word >>> 20) & 31;
    const al = low[rs1]!;
    const ah = high[rs1]!;
    const bl = low[rs2]!;
    const bh = high[rs2]!;
    // BEQ 0, BLT 4, BLTU 6; each odd neighbour is its opposite.
    const holds =
      funct3 < 2
        ? al === bl && ah === bh
        : funct3 < 6
          ? ah < bh || (ah === bh && al >>> 0 < bl >>> 0)
          : below(al, ah, bl, bh);
    if (holds !== ((funct3 & 1) === 0)) return NEXT;
    return this.jump(0, this.pcLow, this.pcHigh, branchOffset(word), ~0);
  }

  /** Jumps, and leaves the address of the next instruction in rd. */
  private jump(rd: number, low: number, high: number, by: number, mask: number): Outcome {
    const sum = (low + by) | 0;
    const target = sum & mask;
    const targetHigh = carried(low, high, sum, by);
    // The jump is blamed, not its target (RISC-V Unprivileged, Control Transfer Instructions).
    if ((target & 3) !== 0) return this.raise(CAUSE.fetchMisaligned, target, targetHigh);
    this.link(rd, 4, 0);
    this.pcLow = target;
    this.pcHigh = targetHigh;
    return JUMPED;
  }

  /** Leaves a distance from pc in rd. */
  private link(rd: number, by: number, byHigh: number): Outcome {
    const { pcLow, pcHigh } = this;
    const low = (pcLow + by) | 0;
    this.registers.set(rd, low, (pcHigh + byHigh + (low >>> 0 < pcLow >>> 0 ? 1 : 0)) | 0);
    return NEXT;
  }

  private atomic(word: number): Outcome {
    const result = this.atomics.execute(word);
    if (result === 'done') return NEXT;
    return result === 'exception' ? RAISED : this.illegal(word);
  }

  /** CSRRW, CSRRS, CSRRC and their immediate forms (RISC-V Unprivileged, Zicsr). */
  private csr(word: number, rd: number, funct3: number, rs1: number): Outcome {
    const { csrs, registers } = this;
    const number = word >>> 20;
    const operation = funct3 & 3;
    // All registers that there are belong to S-mode.
    if (operation === 0 || this.user || !csrs.read(number)) return this.illegal(word);
    const { low: oldLow, high: oldHigh } = csrs;
    const isImmediate = funct3 > 3;
    const low = isImmediate ? rs1 : registers.low[rs1]!;
    const high = isImmediate ? 0 : registers.high[rs1]!;
    if (operation === 1) csrs.write(number, low, high);
    else if (rs1 !== 0 && operation === 2) csrs.write(number, oldLow | low, oldHigh | high);
    else if (rs1 !== 0) csrs.write(number, oldLow & ~low, oldHigh & ~high);
    registers.set(rd, oldLow, oldHigh);
    return NEXT;
  }

  private privileged(word: number, rd: number): Outcome {
    // SFENCE.VMA: everything is forgotten, whatever its operands (RISC-V Privileged, 12.2.1).
    if (word >>> 25 === 9 && rd === 0 && !this.user) {
      this.pages.flush();
      return NEXT;
    }
    switch (word) {
      case 0x73: // ECALL
        return this.user ? this.raise(CAUSE.userCall, 0, 0) : CALLED;
      case 0x0010_0073: // EBREAK
        return this.raise(CAUSE.breakpoint, this.pcLow, this.pcHigh);
      case 0x1020_0073: // SRET
        return this.user ? this.illegal(word) : this.leaveTrap();
      case 0x1050_0073: // WFI: no interrupt will come, so it does not wait
        return this.user ? this.illegal(word) : NEXT;
      default:
        return this.illegal(word);
    }
  }

  private illegal(word: number): Outcome {
    return this.raise(CAUSE.illegalInstruction, word, 0);
  }

  private raise(cause: number, tvalLow: number, tvalHigh: number): Outcome {
    this.port.cause = cause;
    this.port.tvalLow = tvalLow;
    this.port.tvalHigh = tvalHigh;
    return RAISED;
  }

  private trap(): void {
    const { cause, tvalLow, tvalHigh } = this.port;
    this.traps[cause]!++;
    this.csrs.enter(this.user, cause, this.pcLow, this.pcHigh, tvalLow, tvalHigh);
    this.goOn(false);
  }

  private leaveTrap(): Outcome {
    this.goOn(this.csrs.leave());
    return JUMPED;
  }

  /** At the address that the registers have just answered. */
  private goOn(user: boolean): void {
    this.user = user;
    this.fetchAccess = user ? Access.Fetch | Access.User : Access.Fetch;
    this.port.setUser(user);
    this.pcLow = this.csrs.low;
    this.pcHigh = this.csrs.high;
  }
}

/** The high word of a sum whose low word is known: `by` is sign-extended. */
function carried(low: number, high: number, sum: number, by: number): number {
  return (high + (by >> 31) + (sum >>> 0 < low >>> 0 ? 1 : 0)) | 0;
}

/** Whether a register instruction of I is one: only SUB, SRA and their word forms have bit 30. */
function isVariant(funct7: number, funct3: number): boolean {
  return funct7 === 0 || (funct7 === 32 && (funct3 === 0 || funct3 === 5));
}

/** The immediate of B-type. */
function branchOffset(word: number): number {
  const low = ((word >>> 7) & 0x1e) | ((word >>> 20) & 0x7e0);
  return low | ((word & 0x80) << 4) | ((word >> 31) << 12);
}

/** The immediate of J-type. */
function jumpOffset(word: number): number {
  const low = ((word >>> 20) & 0x7fe) | ((word >>> 9) & 0x800);
  return low | (word & 0xff000) | ((word >> 31) << 20);
}
