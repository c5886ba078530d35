import { Access } from 'pagewright/core';
import { Pmp, type RISCV_RULES, RiscvWalker, type RiscvWalkerOptions } from 'pagewright/walk';
import { memoryOf, type RuleCase } from './rule-case.js';

const { Read, Write, Fetch, User, Machine, ReadModifyWrite } = Access;

/** Sv39: RISC-V Privileged, 12.4. Leaf bits: D A G U X W R V. */
export type RiscvRuleCase = RuleCase<
  keyof typeof RISCV_RULES,
  RiscvWalkerOptions,
  RiscvWalker,
  { cause: number }
>;

const RWX = 0xcfn; // with A and D
const ppn = (frame: number): bigint => BigInt(frame) << 10n;

/** PMP that opens all of memory but for one stretch, whose rights are given. */
function pmpWith(start: number, end: number, rights: number): Pmp {
  const pmp = new Pmp();
  pmp.setAddress(0, start / 4);
  pmp.setAddress(1, end / 4);
  pmp.setConfig(1, 0x08 | rights); // TOR
  pmp.setAddress(2, (1n << 54n) - 1n);
  pmp.setConfig(2, 0x1f); // NAPOT, everything, R W X
  return pmp;
}

/** One case for every rule, in the order of the rules. */
export const RISCV_CASES: readonly RiscvRuleCase[] = [
  {
    rule: 'translated',
    given: 'a store to a writable page, with A and D set already',
    last: ppn(0x77) | RWX,
    access: Write,
    answer: 0x77,
  },
  {
    rule: 'bare',
    given: 'a load in M-mode without MPRV',
    va: 0x4321_0123n,
    access: Read | Machine,
    answer: 0x43210,
  },
  {
    rule: 'nonCanonical',
    given: 'an address whose bit 39 differs from bit 38',
    va: 1n << 39n,
    access: Fetch,
    answer: { cause: 12 },
  },
  {
    rule: 'tableMissing',
    given: 'a pointer to where there is no memory',
    entries: { 8192: ppn(0x100) | 1n },
    access: Write,
    answer: { cause: 7 },
  },
  {
    rule: 'tableProtected',
    given: 'a table that PMP does not let S-mode read',
    last: ppn(0x77) | RWX,
    options: { pmp: pmpWith(0x3000, 0x3008, 0) },
    access: Read,
    answer: { cause: 5 },
  },
  { rule: 'invalid', given: 'V=0', last: ppn(0x77) | 0xcen, access: Read, answer: { cause: 13 } },
  {
    rule: 'writeOnly',
    given: 'W=1 with R=0',
    last: ppn(0x77) | 0xcdn,
    access: Write,
    answer: { cause: 15 },
  },
  {
    rule: 'reservedBits',
    given: 'bit 54 of a leaf',
    last: ppn(0x77) | RWX | (1n << 54n),
    access: Read,
    answer: { cause: 13 },
  },
  {
    rule: 'pbmtReserved',
    given: 'PBMT=3 while PBMT is enabled',
    last: ppn(0x77) | RWX | (3n << 61n),
    options: { pbmte: true },
    access: Read,
    answer: { cause: 13 },
  },
  {
    rule: 'pointerReserved',
    given: 'a pointer with A set',
    entries: { 4096: ppn(2) | 0x41n },
    access: Fetch,
    answer: { cause: 12 },
  },
  {
    rule: 'noLeaf',
    given: 'a pointer at level 0',
    last: ppn(4) | 1n,
    access: Read,
    answer: { cause: 13 },
  },
  {
    rule: 'supervisorPage',
    given: "a user's load of a page with U=0",
    last: ppn(0x77) | RWX,
    access: Read | User,
    answer: { cause: 13 },
  },
  {
    rule: 'userPage',
    given: "a supervisor's store to a page with U=1 while SUM=0",
    last: ppn(0x77) | RWX | 0x10n,
    access: Write,
    answer: { cause: 15 },
  },
  {
    rule: 'userPageFetch',
    given: "a supervisor's fetch from a page with U=1, whatever SUM says",
    last: ppn(0x77) | RWX | 0x10n,
    set: (walker) => {
      walker.sum = true;
    },
    access: Fetch,
    answer: { cause: 12 },
  },
  {
    rule: 'notReadable',
    given: 'a load of an execute-only page while MXR=0',
    last: ppn(0x77) | 0xc9n,
    access: Read,
    answer: { cause: 13 },
  },
  {
    rule: 'notWritable',
    given: 'an atomic read-modify-write of a read-only page',
    last: ppn(0x77) | 0xc3n,
    access: Read | ReadModifyWrite,
    answer: { cause: 15 },
  },
  {
    rule: 'notExecutable',
    given: 'a fetch from a page with X=0',
    last: ppn(0x77) | 0xc7n,
    access: Fetch,
    answer: { cause: 12 },
  },
  {
    rule: 'misaligned',
    given: 'a 2 MiB leaf whose ppn[0] is not 0',
    entries: { 8192: ppn(0x201) | RWX },
    access: Read,
    answer: { cause: 13 },
  },
  {
    rule: 'napotReserved',
    given: 'N=1 with ppn[0] of another size than 64 KiB',
    last: ppn(0x74) | RWX | (1n << 63n),
    access: Read,
    answer: { cause: 13 },
  },
  {
    rule: 'accessedClear',
    given: 'A=0 with Svade',
    last: ppn(0x77) | 0x8fn,
    access: Read,
    answer: { cause: 13 },
  },
  {
    rule: 'dirtyClear',
    given: 'a store with D=0 and Svade',
    last: ppn(0x77) | 0x4fn,
    access: Write,
    answer: { cause: 15 },
  },
  {
    rule: 'updateProtected',
    given: 'D=0 in a table that PMP does not let S-mode write',
    last: ppn(0x77) | 0x4fn,
    options: { adue: true, pmp: pmpWith(0x3000, 0x4000, 1) },
    access: Write,
    answer: { cause: 7 },
  },
  {
    rule: 'updateMissing',
    given: 'A=0 in a table in ROM',
    last: ppn(0x77) | 0x0fn,
    options: { adue: true },
    memory: 'rom',
    access: Fetch,
    answer: { cause: 1 },
  },
  {
    rule: 'contended',
    given: 'an entry that changes whenever A is to be set',
    last: ppn(0x77) | 0x0fn,
    options: { adue: true },
    memory: 'contended',
    access: Read,
    answer: { cause: 13 },
  },
  {
    rule: 'targetProtected',
    given: 'a store to a page that PMP makes read-only',
    last: ppn(0x77) | RWX,
    options: { pmp: pmpWith(0x77000, 0x78000, 1) },
    access: Write,
    answer: { cause: 7 },
  },
];

/** The walker of a case. */
export function riscvWalker(row: RiscvRuleCase): RiscvWalker {
  const tables = { 4096: ppn(2) | 1n, 8192: ppn(3) | 1n, 12288: row.last ?? 0n };
  const memory = memoryOf({ ...tables, ...row.entries }, row.memory ?? 'ram');
  const walker = new RiscvWalker({ memory, satp: (8n << 60n) | 1n, ...row.options });
  row.set?.(walker);
  return walker;
}
