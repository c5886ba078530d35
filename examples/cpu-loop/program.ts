// The user program: a sieve, and everything else that a page may be touched by.
import { Assembler, REG } from './assembler.js';
import { CROSSINGS, FACTOR, FLAGS_BASE, ROUNDS, USER_UART, WORDS_BASE } from './layout.js';

const { zero, ra, t0, t1, t2, t3, t4, t5, s0, s1, s2, s3, a0, a1, a2 } = REG;

/**
 * The program. At its ECALL a0 is the checksum, a1 the number of primes below the limit, a2 their sum.
 *
 * s0 is the address of the flags, one byte for each number; s1 the limit; s2 the checksum's factor.
 */
export function program(limit: number): Uint32Array {
  const code = new Assembler();
  code.constant(s0, FLAGS_BASE).constant(s1, limit).constant(s2, FACTOR);
  code.constant(a0, 1).constant(a1, 0).constant(a2, 0);
  touch(code);
  sieve(code);
  gather(code);
  cross(code);
  atomics(code);
  print(code);
  return code.ecall().assemble();
}

/** Reads a byte of each page: load page faults. The flags are 0 yet, so the checksum stays. */
function touch(code: Assembler): void {
  code.immediate('addi', t0, s0, 0).register('add', t1, s0, s1).lui(t2, 1);
  code.label('touch').immediate('lbu', t3, t0, 0).register('add', a0, a0, t3);
  code.register('add', t0, t0, t2).branch('bltu', t0, t1, 'touch');
}

/** Eratosthenes: each page's first store faults once more. */
function sieve(code: Assembler): void {
  code.constant(t0, 2).constant(t5, 1).register('add', t4, s0, s1);
  code.label('candidate').register('mul', t1, t0, t0).branch('bgeu', t1, s1, 'sieved');
  code.register('add', t2, s0, t0).immediate('lbu', t3, t2, 0).branch('bne', t3, zero, 'next');
  code.register('add', t1, t1, s0);
  code.label('strike').store('sb', t5, t1, 0).register('add', t1, t1, t0);
  code.branch('bltu', t1, t4, 'strike');
  code.label('next').immediate('addi', t0, t0, 1).jump(zero, 'candidate');
  code.label('sieved');
}

/** Counts the primes, adds them up and mixes them into the checksum. */
function gather(code: Assembler): void {
  code.constant(t0, 2);
  code.label('gather').branch('bgeu', t0, s1, 'gathered');
  code.register('add', t1, s0, t0).immediate('lbu', t2, t1, 0).branch('bne', t2, zero, 'composite');
  code.immediate('addi', a1, a1, 1).register('add', a2, a2, t0);
  code.register('mul', a0, a0, s2).register('add', a0, a0, t0);
  code.label('composite').immediate('addi', t0, t0, 1).jump(zero, 'gather');
  code.label('gathered');
}

/** Stores across page boundaries, loads across them at another distance. */
function cross(code: Assembler): void {
  code.constant(t0, WORDS_BASE).constant(t1, CROSSINGS).lui(t2, 1);
  code.label('cross').register('add', t0, t0, t2);
  code.store('sd', a0, t0, -3).immediate('ld', t3, t0, -5);
  code.immediate('lw', t4, t0, -1).register('xor', t3, t3, t4);
  code.register('mul', a0, a0, s2).register('add', a0, a0, t3);
  code.immediate('addi', t1, t1, -1).branch('bne', t1, zero, 'cross');
}

/** Counts in memory, by LR and SC and by AMOs. */
function atomics(code: Assembler): void {
  code.constant(t0, WORDS_BASE).constant(t1, ROUNDS).immediate('addi', t5, t0, 8);
  code.label('reserve').atomic('lr', 8, t2, zero, t0).register('add', t2, t2, t1);
  code.atomic('sc', 8, t3, t2, t0).branch('bne', t3, zero, 'reserve');
  code.atomic('amoadd', 4, t4, a0, t5).register('xor', a0, a0, t4);
  code.immediate('addi', t1, t1, -1).branch('bne', t1, zero, 'reserve');
  code.immediate('ld', t2, t0, 0).register('add', a0, a0, t2);
}

/** Prints the number of primes in decimal and a line feed, which is 10 as well. */
function print(code: Assembler): void {
  code.constant(s3, USER_UART).constant(t1, 10);
  code
    .constant(t0, WORDS_BASE + 64)
    .immediate('addi', t2, a1, 0)
    .jump(ra, 'digits');
  code.store('sb', t1, s3, 0).jump(zero, 'printed');
  code.label('digits');
  code.label('digit').register('remu', t3, t2, t1).register('divu', t2, t2, t1);
  code.immediate('addi', t3, t3, 48).immediate('addi', t0, t0, -1).store('sb', t3, t0, 0);
  code.branch('bne', t2, zero, 'digit');
  code.constant(t4, WORDS_BASE + 64);
  code.label('put').immediate('lbu', t3, t0, 0).store('sb', t3, s3, 0);
  code.immediate('addi', t0, t0, 1).branch('bltu', t0, t4, 'put').immediate('jalr', zero, ra, 0);
  code.label('printed');
}
