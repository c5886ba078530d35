import { bigintFromWords, highWord, lowWord } from 'pagewright/core';
import { sv39 } from 'pagewright/pte';
import { describe, expect, it } from 'vitest';
import { Assembler, CSR, REG } from '../../examples/cpu-loop/assembler.js';
import { RAM_BASE, UART_BASE } from '../../examples/cpu-loop/layout.js';
import { emptyMachine, type Machine } from '../../examples/cpu-loop/machine.js';

const { zero, ra, t0, t1, t2, t3, a0, a1, a2 } = REG;
type Binary = Parameters<Assembler['register']>[0];

/** Where a handler of the small programs ends the run. */
const HANDLER = 0x800;
/** Where their data is, and how far from the base of RAM. */
const AREA = 0x10000;
const DATA = RAM_BASE + AREA;

const s32 = (x: bigint): bigint => BigInt.asIntN(32, x);
const u32 = (x: bigint): bigint => BigInt.asUintN(32, x);
const s64 = (x: bigint): bigint => BigInt.asIntN(64, x);
const u64 = (x: bigint): bigint => BigInt.asUintN(64, x);

const value = ({ hart }: Machine, register: number): bigint =>
  s64(bigintFromWords(hart.registers.low[register]!, hart.registers.high[register]!));

function give({ hart }: Machine, register: number, content: bigint): void {
  hart.registers.set(register, lowWord(content), highWord(content));
}

/** Runs a small program at the base of RAM; an exception ends it too. */
function run(code: Assembler, machine = emptyMachine('fast')): Machine {
  const words = new Uint32Array(machine.ram);
  words.set(code.ecall().assemble());
  words[HANDLER / 4] = 0x73;
  machine.hart.pcLow = RAM_BASE | 0;
  machine.hart.csrs.write(CSR.stvec, (RAM_BASE + HANDLER) | 0, 0);
  expect(machine.hart.run(1000)).toBe(true);
  return machine;
}

/** A register of S-mode. */
function csr({ hart }: Machine, number: number): bigint {
  expect(hart.csrs.read(number)).toBe(true);
  return bigintFromWords(hart.csrs.low, hart.csrs.high);
}

/** scause and stval, when the program ended by an exception. */
const trap = (machine: Machine): readonly bigint[] => [
  csr(machine, CSR.scause),
  csr(machine, CSR.stval),
];

describe('arithmetic', () => {
  const MIN = -(2n ** 63n);
  const values = [
    ...[0n, 1n, -1n, 7n, -7n, 31n, 32n, 33n, 63n, MIN, -MIN - 1n, MIN + 1n],
    ...[0x7fff_ffffn, 0x8000_0000n, -0x8000_0000n, 0xffff_ffffn, 0x1_0000_0000n],
    ...[0x1234_5678_9abc_def0n, -0x7edc_ba98_7654_3211n],
  ];

  it.each<[Binary, (a: bigint, b: bigint) => bigint]>([
    ['add', (a, b) => a + b],
    ['sub', (a, b) => a - b],
    ['sll', (a, b) => a << (b & 63n)],
    ['srl', (a, b) => u64(a) >> (b & 63n)],
    ['sra', (a, b) => a >> (b & 63n)],
    ['slt', (a, b) => BigInt(a < b)],
    ['sltu', (a, b) => BigInt(u64(a) < u64(b))],
    ['xor', (a, b) => a ^ b],
    ['or', (a, b) => a | b],
    ['and', (a, b) => a & b],
    ['addw', (a, b) => s32(a + b)],
    ['subw', (a, b) => s32(a - b)],
    ['sllw', (a, b) => s32(a << (b & 31n))],
    ['srlw', (a, b) => s32(u32(a) >> (b & 31n))],
    ['sraw', (a, b) => s32(a) >> (b & 31n)],
    ['mul', (a, b) => a * b],
    ['mulh', (a, b) => (a * b) >> 64n],
    ['mulhsu', (a, b) => (a * u64(b)) >> 64n],
    ['mulhu', (a, b) => (u64(a) * u64(b)) >> 64n],
    ['div', (a, b) => (b === 0n ? -1n : a / b)],
    ['divu', (a, b) => (b === 0n ? -1n : u64(a) / u64(b))],
    ['rem', (a, b) => (b === 0n ? a : a % b)],
    ['remu', (a, b) => (b === 0n ? a : u64(a) % u64(b))],
    ['mulw', (a, b) => s32(a * b)],
    ['divw', (a, b) => (s32(b) === 0n ? -1n : s32(s32(a) / s32(b)))],
    ['divuw', (a, b) => (u32(b) === 0n ? -1n : s32(u32(a) / u32(b)))],
    ['remw', (a, b) => (s32(b) === 0n ? s32(a) : s32(a) % s32(b))],
    ['remuw', (a, b) => s32(u32(b) === 0n ? a : u32(a) % u32(b))],
  ])('%s is as bigints have it', (name, model) => {
    const machine = emptyMachine('fast');
    const wrong: (readonly [bigint, bigint, bigint])[] = [];
    for (const a of values) {
      for (const b of values) {
        give(machine, a0, a);
        give(machine, a1, b);
        run(new Assembler().register(name, a2, a0, a1), machine);
        const found = value(machine, a2);
        if (found !== s64(model(a, b))) wrong.push([a, b, found]);
      }
    }
    expect(wrong).toEqual([]);
  });

  it('divides by zero, and overflows, as the manual wants', () => {
    const machine = emptyMachine('fast');
    const code = new Assembler().constant(a0, MIN).constant(a1, -1);
    code.register('div', t0, a0, a1).register('rem', t1, a0, a1);
    code.register('div', t2, a0, zero).register('rem', t3, a0, zero);
    run(code, machine);
    expect([t0, t1, t2, t3].map((register) => value(machine, register))).toEqual([
      MIN,
      0n,
      -1n,
      MIN,
    ]);
  });

  it('shifts by constants, and extends immediates', () => {
    const code = new Assembler().constant(a0, -0x7edc_ba98_7654_3211n);
    code.shift('srai', t0, a0, 36).shift('srli', t1, a0, 36).shift('slli', t2, a0, 32);
    code.shift('sraiw', t3, a0, 31).immediate('sltiu', a1, a0, -1).immediate('addiw', a2, a0, 1);
    const machine = run(code);
    const a = -0x7edc_ba98_7654_3211n;
    expect([t0, t1, t2, t3, a1, a2].map((register) => value(machine, register))).toEqual([
      a >> 36n,
      u64(a) >> 36n,
      s64(a << 32n),
      s32(a) >> 31n,
      1n,
      s32(a + 1n),
    ]);
  });

  it.each(values)('makes the constant %d', (constant) => {
    expect(value(run(new Assembler().constant(a0, constant)), a0)).toBe(constant);
  });

  it('keeps x0', () => {
    const machine = run(new Assembler().constant(zero, 5).register('add', a0, zero, zero));
    expect(value(machine, a0)).toBe(0n);
  });
});

describe('jumps', () => {
  it('clear bit 0 of the address in JALR, and link', () => {
    const code = new Assembler().address(t0, 'there').immediate('jalr', ra, t0, 1);
    code.constant(a0, 1).label('there').constant(a1, 2);
    const machine = run(code);
    expect([value(machine, a0), value(machine, a1)]).toEqual([0n, 2n]);
    expect(value(machine, ra)).toBe(BigInt(RAM_BASE + 12));
  });

  it('fault at the jump when the target is not aligned, and link nothing', () => {
    const machine = run(
      new Assembler().address(t0, 'next').label('next').immediate('jalr', ra, t0, 2),
    );
    expect(trap(machine)).toEqual([0n, BigInt(RAM_BASE + 8 + 2)]);
    expect(csr(machine, CSR.sepc)).toBe(BigInt(RAM_BASE + 8));
    expect(value(machine, ra)).toBe(0n);
  });

  it.each<[Parameters<Assembler['branch']>[0], readonly string[]]>([
    ['beq', ['same']],
    ['bne', ['up', 'down']],
    ['blt', ['up']],
    ['bge', ['down', 'same']],
    ['bltu', ['down']],
    ['bgeu', ['up', 'same']],
  ])('%s compares all 64 bits', (name, taken) => {
    const pairs = { up: [-1n, 1n], down: [1n, -1n], same: [-5n, -5n] } as const;
    const found = Object.entries(pairs).filter(([, [a, b]]) => {
      const code = new Assembler().constant(a0, a).constant(a1, b).branch(name, a0, a1, 'over');
      return value(run(code.constant(a2, 1).label('over')), a2) === 0n;
    });
    expect(found.map(([key]) => key)).toEqual(
      ['up', 'down', 'same'].filter((k) => taken.includes(k)),
    );
  });
});

describe('memory', () => {
  const BYTES = 0xfedc_ba98_8765_4389n;

  it.each<[Parameters<Assembler['immediate']>[0], bigint]>([
    ['lb', -0x77n],
    ['lbu', 0x89n],
    ['lh', 0x4389n],
    ['lhu', 0x4389n],
    ['lw', s32(BYTES)],
    ['lwu', u32(BYTES)],
    ['ld', s64(BYTES)],
  ])('%s extends, in a page and across two', (name, expected) => {
    for (const offset of [0, 4095]) {
      const machine = emptyMachine('fast');
      new DataView(machine.ram).setBigUint64(AREA + offset, BYTES, true);
      give(machine, a0, BigInt(DATA + offset));
      expect(value(run(new Assembler().immediate(name, a1, a0, 0), machine), a1)).toBe(expected);
    }
  });

  it.each([4093, 4090])('stores across pages, at offset %d', (offset) => {
    const machine = emptyMachine('fast');
    give(machine, a0, BigInt(DATA + offset));
    give(machine, a1, BYTES);
    run(new Assembler().store('sd', a1, a0, 0), machine);
    expect(new DataView(machine.ram).getBigUint64(AREA + offset, true)).toBe(BYTES);
  });

  it('reaches the device, and refuses what it refuses', () => {
    const machine = emptyMachine('fast');
    give(machine, a0, BigInt(UART_BASE));
    const code = new Assembler().constant(a1, 65).store('sb', a1, a0, 0).immediate('lb', a1, a0, 0);
    run(code.store('sd', a0, a0, 0), machine);
    expect(machine.printed()).toBe('A');
    expect(value(machine, a1)).toBe(0n);
    expect(trap(machine)).toEqual([7n, BigInt(UART_BASE)]);
  });

  it('faults where there is nothing, and does not execute there', () => {
    const load = emptyMachine('fast');
    give(load, a0, 0x2000_0000n);
    expect(trap(run(new Assembler().immediate('lw', a1, a0, 4), load))).toEqual([5n, 0x2000_0004n]);
    const fetch = emptyMachine('fast');
    give(fetch, a0, BigInt(UART_BASE));
    expect(trap(run(new Assembler().immediate('jalr', ra, a0, 0), fetch))).toEqual([
      1n,
      BigInt(UART_BASE),
    ]);
  });

  it.each(['fast', 'slow'] as const)(
    'writes nothing when the second page faults, and says which byte (%s)',
    (kind) => {
      const machine = emptyMachine(kind);
      const put = (table: number, index: number, entry: bigint): void => {
        machine.memory.write(RAM_BASE + table + 8 * index, 8, entry);
      };
      const pfn = (offset: number): number => (RAM_BASE + offset) / 4096;
      const all = { R: 1, W: 1, X: 1, A: 1, D: 1 };
      put(0x4000, 2, sv39.build({ kind: 'leaf', level: 2, pfn: pfn(0), fields: all }));
      put(0x4000, 0, sv39.build({ kind: 'pointer', level: 2, pfn: pfn(0x5000) }));
      put(0x5000, 0, sv39.build({ kind: 'pointer', level: 1, pfn: pfn(0x6000) }));
      put(0x6000, 1, sv39.build({ kind: 'leaf', level: 0, pfn: pfn(AREA), fields: all }));
      const readOnly = { R: 1, A: 1 };
      put(0x6000, 2, sv39.build({ kind: 'leaf', level: 0, pfn: pfn(AREA), fields: readOnly }));
      const code = new Assembler().constant(t0, (8n << 60n) | BigInt(pfn(0x4000)));
      code.csr('csrrw', zero, CSR.satp, t0).constant(a0, 0x2000).constant(a1, -1);
      run(code.immediate('ld', a2, a0, -4).store('sd', a1, a0, -4), machine);
      expect(trap(machine)).toEqual([15n, 0x2000n]);
      expect(new DataView(machine.ram).getUint32(AREA + 4092, true)).toBe(0);
      expect(value(machine, a2)).toBe(0n);
    },
  );
});

describe('atomics', () => {
  const word = (machine: Machine): bigint => new DataView(machine.ram).getBigInt64(AREA, true);
  const values = [0n, 1n, -1n, 0x1_8000_0000n, -0x8000_0000n, 0x7fff_ffffn, -(2n ** 63n)];

  // Two signed numbers, and how an unsigned one of their width is made.
  type Model = (a: bigint, b: bigint, unsigned: (x: bigint) => bigint) => bigint;
  it.each<[Parameters<Assembler['atomic']>[0], Model]>([
    ['amoswap', (_, b) => b],
    ['amoadd', (a, b) => a + b],
    ['amoxor', (a, b) => a ^ b],
    ['amoand', (a, b) => a & b],
    ['amoor', (a, b) => a | b],
    ['amomin', (a, b) => (a < b ? a : b)],
    ['amomax', (a, b) => (a > b ? a : b)],
    ['amominu', (a, b, u) => (u(a) < u(b) ? a : b)],
    ['amomaxu', (a, b, u) => (u(a) > u(b) ? a : b)],
  ])('%s is as bigints have it, on 64 bits and on 32', (name, model) => {
    const machine = emptyMachine('fast');
    const area = new DataView(machine.ram, AREA);
    for (const bytes of [8, 4] as const) {
      const [signed, unsigned] = bytes === 8 ? [s64, u64] : [s32, u32];
      for (const a of values) {
        for (const b of values) {
          area.setBigInt64(0, a, true);
          give(machine, a0, BigInt(DATA));
          give(machine, a1, b);
          run(new Assembler().atomic(name, bytes, a2, a1, a0), machine);
          const result = unsigned(model(signed(a), signed(b), unsigned));
          expect(value(machine, a2)).toBe(signed(a));
          expect(word(machine)).toBe(bytes === 8 ? s64(result) : a - u32(a) + result);
        }
      }
    }
  });

  it('store after a reservation, once, and only there', () => {
    const machine = emptyMachine('fast');
    give(machine, a0, BigInt(DATA));
    give(machine, a1, 7n);
    const code = new Assembler().atomic('sc', 8, t0, a1, a0).atomic('lr', 8, t1, zero, a0);
    code.immediate('addi', a2, a0, 8).atomic('sc', 8, t1, a1, a2);
    code.atomic('lr', 8, t2, zero, a0).atomic('sc', 8, t2, a1, a0).atomic('sc', 8, t3, a1, a0);
    run(code, machine);
    expect([t0, t1, t2, t3].map((register) => value(machine, register))).toEqual([1n, 1n, 0n, 1n]);
    expect(word(machine)).toBe(7n);
  });

  it('must be aligned', () => {
    const address = BigInt(DATA + 4);
    const traps = (['lr', 'amoadd'] as const).map((name) => {
      const machine = emptyMachine('fast');
      give(machine, a0, address);
      return trap(run(new Assembler().atomic(name, 8, a1, zero, a0), machine));
    });
    expect(traps).toEqual([
      [4n, address],
      [6n, address],
    ]);
  });
});

describe('registers of S-mode and exceptions', () => {
  it('are written, set and cleared, and answer what they were', () => {
    const code = new Assembler().constant(t0, -1).csr('csrrw', a0, CSR.sscratch, t0);
    code.csr('csrrci', a1, CSR.sscratch, 5).csr('csrrs', a2, CSR.sscratch, zero);
    code.csr('csrrw', zero, CSR.sepc, t0).csr('csrrw', zero, CSR.sstatus, t0);
    const machine = run(code);
    expect([a0, a1, a2].map((register) => value(machine, register))).toEqual([0n, -1n, -6n]);
    expect(csr(machine, CSR.sepc)).toBe(2n ** 64n - 4n);
    expect(csr(machine, CSR.sstatus)).toBe((2n << 32n) | 0xc_0122n);
  });

  it.each([
    ['nothing', 0],
    ['no opcode', 0xffff_ffff],
    ['a load of no width', 0x0000_7003],
    ['SLLI by 64', 0x0400_1013],
    ['SLL with the bit of SRA', 0x4000_1033],
    ['MULHW, which there is not', 0x0200_103b],
    ['CSRRS of instret', 0xc020_2573],
    ['LR of two registers', 0x1010_202f],
  ])('tell of an illegal instruction: %s', (_, word) => {
    expect(trap(run(new Assembler().word(word)))).toEqual([2n, BigInt(word)]);
  });
});
