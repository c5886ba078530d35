// LR, SC and the AMOs of the A extension. One hart, so all is atomic.
import type { MemoryPort } from './memory-port.js';
import { below, type Registers } from './registers.js';

/** What came of an atomic instruction. */
export type AtomicResult = 'done' | 'exception' | 'illegal';

const LR = 2;
const SC = 3;

/** The reservation, and who may use it. */
export class AtomicUnit {
  /** Where in RAM the last LR was; -1 when it counts no more. */
  private reserved = -1;
  private reservedBytes = 0;
  private readonly port: MemoryPort;
  private readonly registers: Registers;

  constructor(port: MemoryPort, registers: Registers) {
    this.port = port;
    this.registers = registers;
  }

  /** Executes an instruction of the opcode AMO; aq and rl order nothing that one hart could see. */
  execute(word: number): AtomicResult {
    const funct3 = (word >>> 12) & 7;
    if (funct3 !== 2 && funct3 !== 3) return 'illegal';
    const bytes = 1 << funct3;
    const operation = word >>> 27;
    const rd = (word >>> 7) & 31;
    const rs1 = (word >>> 15) & 31;
    const rs2 = (word >>> 20) & 31;
    if (operation === LR && rs2 !== 0) return 'illegal';
    if (operation > 3 && ((operation & 3) !== 0 || operation > 28)) return 'illegal';
    const { low, high } = this.registers;
    const at = this.port.atomicAddress(low[rs1]!, high[rs1]!, bytes, operation !== LR);
    if (at < 0) return 'exception';
    if (operation === LR) this.loadReserved(at, bytes, rd);
    else if (operation === SC) this.storeConditional(at, bytes, rd, rs2);
    else this.modify(operation, at, bytes, rd, rs2);
    return 'done';
  }

  private loadReserved(at: number, bytes: number, rd: number): void {
    this.reserved = at;
    this.reservedBytes = bytes;
    this.port.readRam(at, bytes);
    this.registers.set(rd, this.port.low, this.port.high);
  }

  /** Whether it succeeds or not, SC ends the reservation. */
  private storeConditional(at: number, bytes: number, rd: number, rs2: number): void {
    const { low, high } = this.registers;
    const succeeds = this.reserved === at && this.reservedBytes === bytes;
    this.reserved = -1;
    if (succeeds) this.port.writeRam(at, bytes, low[rs2]!, high[rs2]!);
    this.registers.set(rd, succeeds ? 0 : 1, 0);
  }

  private modify(operation: number, at: number, bytes: number, rd: number, rs2: number): void {
    const { port, registers } = this;
    port.readRam(at, bytes);
    const al = port.low;
    const ah = port.high;
    const bl = registers.low[rs2]!;
    const bh = bytes === 8 ? registers.high[rs2]! : bl >> 31;
    registers.set(rd, al, ah);
    switch (operation) {
      case 0: {
        const low = (al + bl) | 0;
        port.writeRam(at, bytes, low, (ah + bh + (low >>> 0 < al >>> 0 ? 1 : 0)) | 0);
        break;
      }
      case 1:
        port.writeRam(at, bytes, bl, bh);
        break;
      case 4:
        port.writeRam(at, bytes, al ^ bl, ah ^ bh);
        break;
      case 8:
        port.writeRam(at, bytes, al | bl, ah | bh);
        break;
      case 12:
        port.writeRam(at, bytes, al & bl, ah & bh);
        break;
      default: {
        // AMOMIN 16, AMOMAX 20, AMOMINU 24, AMOMAXU 28. Words were sign-extended, which keeps both orders.
        const signed = operation < 24 ? -0x8000_0000 : 0;
        const first = below(al, ah ^ signed, bl, bh ^ signed);
        const keep = first === ((operation & 4) === 0);
        port.writeRam(at, bytes, keep ? al : bl, keep ? ah : bh);
      }
    }
  }
}
