// A tiny assembler: a method emits an instruction (RISC-V Unprivileged, RV32/64G Instruction Set Listings).

/** The registers by their names in the calling convention. */
export const REG = {
  zero: 0,
  ra: 1,
  sp: 2,
  t0: 5,
  t1: 6,
  t2: 7,
  s0: 8,
  s1: 9,
  a0: 10,
  a1: 11,
  a2: 12,
  a3: 13,
  a4: 14,
  a5: 15,
  a6: 16,
  a7: 17,
  s2: 18,
  s3: 19,
  s4: 20,
  s5: 21,
  s6: 22,
  s7: 23,
  s8: 24,
  s9: 25,
  t3: 28,
  t4: 29,
  t5: 30,
  t6: 31,
} as const;

/** The CSRs of S-mode. */
export const CSR = {
  sstatus: 0x100,
  stvec: 0x105,
  sscratch: 0x140,
  sepc: 0x141,
  scause: 0x142,
  stval: 0x143,
  satp: 0x180,
} as const;

/** R-type instructions: opcode, funct3, funct7. */
const REGISTER = {
  add: [0x33, 0, 0],
  sub: [0x33, 0, 32],
  sll: [0x33, 1, 0],
  slt: [0x33, 2, 0],
  sltu: [0x33, 3, 0],
  xor: [0x33, 4, 0],
  srl: [0x33, 5, 0],
  sra: [0x33, 5, 32],
  or: [0x33, 6, 0],
  and: [0x33, 7, 0],
  addw: [0x3b, 0, 0],
  subw: [0x3b, 0, 32],
  sllw: [0x3b, 1, 0],
  srlw: [0x3b, 5, 0],
  sraw: [0x3b, 5, 32],
  mul: [0x33, 0, 1],
  mulh: [0x33, 1, 1],
  mulhsu: [0x33, 2, 1],
  mulhu: [0x33, 3, 1],
  div: [0x33, 4, 1],
  divu: [0x33, 5, 1],
  rem: [0x33, 6, 1],
  remu: [0x33, 7, 1],
  mulw: [0x3b, 0, 1],
  divw: [0x3b, 4, 1],
  divuw: [0x3b, 5, 1],
  remw: [0x3b, 6, 1],
  remuw: [0x3b, 7, 1],
} as const;

/** I-type instructions, loads and JALR among them: opcode, funct3. */
const IMMEDIATE = {
  addi: [0x13, 0],
  slti: [0x13, 2],
  sltiu: [0x13, 3],
  xori: [0x13, 4],
  ori: [0x13, 6],
  andi: [0x13, 7],
  addiw: [0x1b, 0],
  jalr: [0x67, 0],
  lb: [0x03, 0],
  lh: [0x03, 1],
  lw: [0x03, 2],
  ld: [0x03, 3],
  lbu: [0x03, 4],
  lhu: [0x03, 5],
  lwu: [0x03, 6],
} as const;

/** Shifts by a constant: opcode, funct3, the bits above the distance. */
const SHIFT = {
  slli: [0x13, 1, 0],
  srli: [0x13, 5, 0],
  srai: [0x13, 5, 0x400],
  slliw: [0x1b, 1, 0],
  srliw: [0x1b, 5, 0],
  sraiw: [0x1b, 5, 0x400],
} as const;

/** Stores: funct3. */
const STORE = { sb: 0, sh: 1, sw: 2, sd: 3 } as const;

/** Branches: funct3. */
const BRANCH = { beq: 0, bne: 1, blt: 4, bge: 5, bltu: 6, bgeu: 7 } as const;

/** Atomic instructions: bits 31:27. */
const ATOMIC = {
  amoadd: 0,
  amoswap: 1,
  lr: 2,
  sc: 3,
  amoxor: 4,
  amoor: 8,
  amoand: 12,
  amomin: 16,
  amomax: 20,
  amominu: 24,
  amomaxu: 28,
} as const;

/** CSR instructions on a register, and on a constant of five bits: funct3. */
const CSR_ACCESS = { csrrw: 1, csrrs: 2, csrrc: 3, csrrwi: 5, csrrsi: 6, csrrci: 7 } as const;

/** A place whose label was not known yet. */
interface Fixup {
  readonly at: number;
  readonly label: string;
  readonly encode: (distance: number) => number;
}

/** Collects a program; nothing of it depends on where it will lie. */
export class Assembler {
  private readonly code: number[] = [];
  private readonly labels = new Map<string, number>();
  private readonly fixups: Fixup[] = [];

  /** Names the next instruction. */
  label(name: string): this {
    return this.labelAt(name, this.code.length * 4);
  }

  /** Names a place by its distance from the first instruction. */
  labelAt(name: string, at: number): this {
    this.labels.set(name, at);
    return this;
  }

  /** Emits any 32 bits. */
  word(word: number): this {
    this.code.push(word | 0);
    return this;
  }

  register(name: keyof typeof REGISTER, rd: number, rs1: number, rs2: number): this {
    const [opcode, funct3, funct7] = REGISTER[name];
    return this.word((funct7 << 25) | (rs2 << 20) | fields(opcode, rd, funct3, rs1));
  }

  /** Loads are written so too: `immediate('ld', rd, base, offset)`. */
  immediate(name: keyof typeof IMMEDIATE, rd: number, rs1: number, value: number): this {
    const [opcode, funct3] = IMMEDIATE[name];
    return this.word((checkedSigned(value, 12) << 20) | fields(opcode, rd, funct3, rs1));
  }

  shift(name: keyof typeof SHIFT, rd: number, rs1: number, by: number): this {
    const [opcode, funct3, above] = SHIFT[name];
    return this.word(((above | by) << 20) | fields(opcode, rd, funct3, rs1));
  }

  store(name: keyof typeof STORE, rs2: number, base: number, offset: number): this {
    const value = checkedSigned(offset, 12);
    const upper = ((value >> 5) << 25) | (rs2 << 20);
    return this.word(upper | fields(0x23, value & 31, STORE[name], base));
  }

  branch(name: keyof typeof BRANCH, rs1: number, rs2: number, label: string): this {
    return this.fix(label, (distance) => {
      const value = checkedSigned(distance, 13);
      const upper = ((value >> 12) << 31) | (((value >> 5) & 63) << 25) | (rs2 << 20);
      return upper | fields(0x63, (value & 30) | ((value >> 11) & 1), BRANCH[name], rs1);
    });
  }

  /** JAL. */
  jump(rd: number, label: string): this {
    return this.fix(label, (distance) => {
      const value = checkedSigned(distance, 21);
      const upper = ((value >> 20) << 31) | (((value >> 1) & 0x3ff) << 21);
      return upper | (((value >> 11) & 1) << 20) | (value & 0xff000) | (rd << 7) | 0x6f;
    });
  }

  /** LUI, of bits 31:12. */
  lui(rd: number, upper: number): this {
    return this.word((upper << 12) | (rd << 7) | 0x37);
  }

  /** The address of a label, by AUIPC and ADDI. */
  address(rd: number, label: string): this {
    const upper = (distance: number): number => ((distance + 0x800) >> 12) << 12;
    this.fix(label, (distance) => upper(distance) | (rd << 7) | 0x17);
    return this.fix(label, (distance) => {
      const rest = distance + 4 - upper(distance + 4);
      return (rest << 20) | fields(0x13, rd, 0, rd);
    });
  }

  /** Any constant, in up to eight instructions. */
  constant(rd: number, value: number | bigint): this {
    const wide = BigInt.asIntN(64, BigInt(value));
    const low = Number(BigInt.asIntN(12, wide));
    if (wide === BigInt(low)) return this.immediate('addi', rd, REG.zero, low);
    if (wide === BigInt.asIntN(32, wide)) {
      this.lui(rd, Number((wide - BigInt(low)) >> 12n));
      return low === 0 ? this : this.immediate('addiw', rd, rd, low);
    }
    this.constant(rd, (wide - BigInt(low)) >> 12n).shift('slli', rd, rd, 12);
    return low === 0 ? this : this.immediate('addi', rd, rd, low);
  }

  /** LR, SC and AMOs on words of 4 or 8 bytes. */
  atomic(name: keyof typeof ATOMIC, bytes: 4 | 8, rd: number, rs2: number, address: number): this {
    const upper = (ATOMIC[name] << 27) | (rs2 << 20);
    return this.word(upper | fields(0x2f, rd, bytes === 4 ? 2 : 3, address));
  }

  /** @param source - A register, or the constant of the immediate forms. */
  csr(name: keyof typeof CSR_ACCESS, rd: number, csr: number, source: number): this {
    return this.word((csr << 20) | fields(0x73, rd, CSR_ACCESS[name], source));
  }

  ecall(): this {
    return this.word(0x73);
  }

  sret(): this {
    return this.word(0x1020_0073);
  }

  /** SFENCE.VMA of an address in a register, or of all with `REG.zero`. */
  sfence(address: number): this {
    return this.word((9 << 25) | (address << 15) | 0x73);
  }

  /** The program. */
  assemble(): Uint32Array {
    const words = Uint32Array.from(this.code, (word) => word >>> 0);
    for (const { at, label, encode } of this.fixups) {
      const target = this.labels.get(label);
      if (target === undefined) throw new Error(`no label ${label}`);
      words[at / 4] = encode(target - at) >>> 0;
    }
    return words;
  }

  private fix(label: string, encode: (distance: number) => number): this {
    this.fixups.push({ at: this.code.length * 4, label, encode });
    return this.word(0);
  }
}

function fields(opcode: number, rd: number, funct3: number, rs1: number): number {
  return (rs1 << 15) | (funct3 << 12) | (rd << 7) | opcode;
}

function checkedSigned(value: number, bits: number): number {
  const end = 2 ** (bits - 1);
  if (value < -end || value >= end) throw new Error(`${value} does not fit in ${bits} bits`);
  return value;
}
