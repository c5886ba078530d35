// The integer registers and what is computed in them: 64 bits as two int32 words, low and high.
import { multiply, multiplyWord } from './multiply.js';

/** The integer registers x0 to x31. */
export class Registers {
  /** Bits 31:0 of each. */
  readonly low = new Int32Array(32);
  /** Bits 63:32 of each. */
  readonly high = new Int32Array(32);

  /** Writes a register; x0 stays 0. */
  set(rd: number, low: number, high: number): void {
    if (rd === 0) return;
    this.low[rd] = low;
    this.high[rd] = high;
  }

  /** Writes a 32-bit result, sign-extended as all of RV64's word instructions do. */
  setWord(rd: number, word: number): void {
    this.set(rd, word, word >> 31);
  }

  /**
   * The instructions of OP and OP-IMM (RISC-V Unprivileged, Integer Computational Instructions): x[rs1] with an operand that is a register's
   * value or a sign-extended immediate.
   *
   * @param funct3 - Which.
   * @param other - Bit 30 of the instruction where it means something: SUB for ADD, SRA for SRL.
   */
  compute(rd: number, funct3: number, other: boolean, rs1: number, bl: number, bh: number): void {
    const al = this.low[rs1]!;
    const ah = this.high[rs1]!;
    switch (funct3) {
      case 0:
        if (other) this.subtract(rd, al, ah, bl, bh);
        else this.add(rd, al, ah, bl, bh);
        break;
      case 1:
        this.shiftLeft(rd, al, ah, bl & 63);
        break;
      case 2:
        this.set(rd, ah < bh || (ah === bh && al >>> 0 < bl >>> 0) ? 1 : 0, 0);
        break;
      case 3:
        this.set(rd, below(al, ah, bl, bh) ? 1 : 0, 0);
        break;
      case 4:
        this.set(rd, al ^ bl, ah ^ bh);
        break;
      case 5:
        this.shiftRight(rd, al, ah, bl & 63, other);
        break;
      case 6:
        this.set(rd, al | bl, ah | bh);
        break;
      default:
        this.set(rd, al & bl, ah & bh);
    }
  }

  /** ADDW, SUBW, SLLW, SRLW, SRAW and their immediate forms; `false` for a `funct3` that is none of them. */
  computeWord(rd: number, funct3: number, other: boolean, rs1: number, b: number): boolean {
    const a = this.low[rs1]!;
    switch (funct3) {
      case 0:
        this.setWord(rd, other ? (a - b) | 0 : (a + b) | 0);
        return true;
      case 1:
        this.setWord(rd, a << b);
        return true;
      case 5:
        this.setWord(rd, other ? a >> b : (a >>> b) | 0);
        return true;
      default:
        return false;
    }
  }

  /** The instructions of M on 64 bits. */
  multiply(rd: number, funct3: number, rs1: number, rs2: number): void {
    const { low, high } = this;
    const words = multiply(funct3, low[rs1]!, high[rs1]!, low[rs2]!, high[rs2]!);
    this.set(rd, words[0]!, words[1]!);
  }

  /** The instructions of M on 32 bits; `false` for a `funct3` that is none of them. */
  multiplyWord(rd: number, funct3: number, rs1: number, rs2: number): boolean {
    if (funct3 !== 0 && funct3 < 4) return false;
    this.setWord(rd, multiplyWord(funct3, this.low[rs1]!, this.low[rs2]!));
    return true;
  }

  private add(rd: number, al: number, ah: number, bl: number, bh: number): void {
    const low = (al + bl) | 0;
    this.set(rd, low, (ah + bh + (low >>> 0 < al >>> 0 ? 1 : 0)) | 0);
  }

  private subtract(rd: number, al: number, ah: number, bl: number, bh: number): void {
    this.set(rd, (al - bl) | 0, (ah - bh - (al >>> 0 < bl >>> 0 ? 1 : 0)) | 0);
  }

  private shiftLeft(rd: number, low: number, high: number, by: number): void {
    if (by >= 32) this.set(rd, 0, low << by);
    else if (by === 0) this.set(rd, low, high);
    else this.set(rd, low << by, (high << by) | (low >>> (32 - by)));
  }

  private shiftRight(rd: number, low: number, high: number, by: number, signed: boolean): void {
    const sign = signed ? high >> 31 : 0;
    if (by >= 32) this.set(rd, signed ? high >> by : high >>> by, sign);
    else if (by === 0) this.set(rd, low, high);
    else this.set(rd, (low >>> by) | (high << (32 - by)), signed ? high >> by : high >>> by);
  }
}

/** Whether a is less than b, both unsigned. */
export function below(al: number, ah: number, bl: number, bh: number): boolean {
  return ah === bh ? al >>> 0 < bl >>> 0 : ah >>> 0 < bh >>> 0;
}
