// The guest's operating system: it turns paging on, starts the user program, and maps its pages when they are touched.
import { Assembler, CSR, REG } from './assembler.js';
import { CAUSE } from './causes.js';
import { FLAGS_BASE, HEAP_END, KERNEL, KERNEL_DATA, USER_BASE } from './layout.js';

const { zero, sp, t0, t1, t2, t3, t4, t5, a3, a4, a5, a7 } = REG;

/** Entry bits (RISC-V Privileged, 12.4.1 Sv39). */
const VALID = 0x01;
const USER_PAGE = 0x17; // V, R, W and U
const ACCESSED = 0x40;
const DIRTY = 0x80;
const STORE_PAGE_FAULT = 15;
/** sstatus.SPP: the mode that SRET leads to is S. */
const SPP = 1 << 8;
/** The legacy extension System Shutdown of the Supervisor Binary Interface, which has no arguments. */
const SHUTDOWN = 8;

const saved = [t0, t1, t2, t3, t4, t5] as const;

/**
 * The kernel, which starts at its physical address, in S-mode, with satp Bare.
 *
 * At the end a3 is the number of page faults that it answered, a4 scause, a5 stval: 8, ECALL, unless the program did
 * what it may not.
 */
export function kernel(satp: bigint): Uint32Array {
  const code = new Assembler();
  boot(code, satp);
  trapEntry(code);
  demandPage(code);
  trapExit(code);
  return code.assemble();
}

function boot(code: Assembler, satp: bigint): void {
  // This page has both its addresses, so the next instruction is there once satp is written.
  code.constant(t0, satp).csr('csrrw', zero, CSR.satp, t0).sfence(zero);
  code.address(t1, 'data').immediate('ld', t2, t1, KERNEL.offset);
  code.register('add', t1, t1, t2).csr('csrrw', zero, CSR.sscratch, t1);
  code.address(t0, 'trap').register('add', t0, t0, t2).csr('csrrw', zero, CSR.stvec, t0);
  code.address(t0, 'high').register('add', t0, t0, t2).immediate('jalr', zero, t0, 0);
  code.label('high');
  code.constant(t0, USER_BASE).csr('csrrw', zero, CSR.sepc, t0);
  code.constant(t0, SPP).csr('csrrc', zero, CSR.sstatus, t0).sret();
}

/** Saves registers, and looks why it is here. */
function trapEntry(code: Assembler): void {
  code.label('trap').csr('csrrw', sp, CSR.sscratch, sp);
  saved.forEach((register, i) => {
    code.store('sd', register, sp, KERNEL.saved + 8 * i);
  });
  code.csr('csrrs', t0, CSR.scause, zero).csr('csrrs', t2, CSR.stval, zero);
  code.constant(t1, 12).branch('bltu', t0, t1, 'end'); // page faults are 12, 13 and 15
  code.constant(t1, FLAGS_BASE).branch('bltu', t2, t1, 'end');
  code.constant(t1, HEAP_END).branch('bgeu', t2, t1, 'end');
  code.immediate('ld', t1, sp, KERNEL.faults).immediate('addi', t1, t1, 1);
  code.store('sd', t1, sp, KERNEL.faults);
}

/** t0 is scause, t2 stval; t3 becomes the entry's address, t4 is the shift of its level, t5 the entry. */
function demandPage(code: Assembler): void {
  code.immediate('ld', t3, sp, KERNEL.root).constant(t4, 30);
  code.label('level');
  code.register('srl', t5, t2, t4).immediate('andi', t5, t5, 511).shift('slli', t5, t5, 3);
  code.register('add', t3, t3, t5).immediate('ld', t5, t3, 0);
  code.constant(t1, 12).branch('beq', t4, t1, 'leaf');
  code.branch('bne', t5, zero, 'pointer');
  takeFrame(code, VALID);
  code.store('sd', t5, t3, 0);
  code.label('pointer').shift('srli', t5, t5, 10).shift('slli', t5, t5, 12);
  code.immediate('ld', t1, sp, KERNEL.offset).register('add', t3, t5, t1);
  code.immediate('addi', t4, t4, -9).jump(zero, 'level');

  code.label('leaf').branch('bne', t5, zero, 'mark');
  takeFrame(code, USER_PAGE);
  // The hart sets neither A nor D but faults (Svade): the kernel sets them, so the first store of a page that was only
  // read comes here a second time.
  code.label('mark').immediate('ori', t5, t5, ACCESSED);
  code.constant(t1, STORE_PAGE_FAULT).branch('bne', t0, t1, 'write');
  code.immediate('ori', t5, t5, DIRTY);
  code.label('write').store('sd', t5, t3, 0).sfence(t2);
}

/** t5 becomes an entry with these bits and the next free frame. */
function takeFrame(code: Assembler, bits: number): void {
  code.immediate('ld', t5, sp, KERNEL.next);
  code.lui(t1, 1).register('add', t1, t1, t5).store('sd', t1, sp, KERNEL.next);
  code.shift('srli', t5, t5, 2).immediate('ori', t5, t5, bits);
}

function trapExit(code: Assembler): void {
  saved.forEach((register, i) => {
    code.immediate('ld', register, sp, KERNEL.saved + 8 * i);
  });
  code.csr('csrrw', sp, CSR.sscratch, sp).sret();
  code.label('end').immediate('ld', a3, sp, KERNEL.faults);
  code.immediate('addi', a4, t0, 0).immediate('addi', a5, t2, 0);
  code.constant(a7, SHUTDOWN).ecall();
  code.labelAt('data', KERNEL_DATA);
}

/** What a4 is when the program ended as it should. */
export const ENDED = CAUSE.userCall;
