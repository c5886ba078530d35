import { Access } from 'pagewright/core';
import { type X86_RULES, X86Walker, type X86WalkerOptions } from 'pagewright/walk';
import { memoryOf, type RuleCase } from './rule-case.js';

const { Read, Write, Fetch, User, ImplicitSupervisor } = Access;

/** Four levels: Intel SDM Vol. 3A, chapter 4 in editions before December 2023. Bits: D A PCD PWT US RW P. */
export type X86RuleCase = RuleCase<
  keyof typeof X86_RULES,
  X86WalkerOptions,
  X86Walker,
  { vector: number; errorCode: number }
>;

const pf = (errorCode: number): { vector: number; errorCode: number } => ({
  vector: 14,
  errorCode,
});
const [P, RW, US] = [1n, 2n, 4n];
const SET = 0x60n; // A and D
const frame = (pfn: number): bigint => BigInt(pfn) << 12n;
const PAE = 0x20;

/** One case for every rule, in the order of the rules. */
export const X86_CASES: readonly X86RuleCase[] = [
  {
    rule: 'translated',
    given: "a user's write to a writable user page",
    last: frame(0x77) | SET | US | RW | P,
    access: Write | User,
    answer: 0x77,
  },
  {
    rule: 'unpaged',
    given: 'CR0.PG=0',
    options: { cr0: 1 },
    va: 0x4321_0123n,
    access: Write | User,
    answer: 0x43210,
  },
  {
    rule: 'nonCanonical',
    given: 'an address whose bit 48 differs from bit 47',
    va: 1n << 48n,
    access: Read,
    answer: { vector: 13, errorCode: 0 },
  },
  {
    rule: 'tableMissing',
    given: 'a PDPTE that points to where there is no memory',
    entries: { 8192: frame(0x100) | US | RW | P },
    access: Read,
    answer: { vector: 0, errorCode: 0 },
  },
  {
    rule: 'notPresent',
    given: 'P=0, for a write of a user',
    last: frame(0x77) | US | RW,
    access: Write | User,
    answer: pf(0b00110),
  },
  {
    rule: 'reservedBits',
    given: 'a bit at MAXPHYADDR, for a read of the supervisor',
    last: frame(0x77) | (1n << 40n) | P,
    options: { maxPhyAddr: 40 },
    access: Read,
    answer: pf(0b01001),
  },
  {
    rule: 'supervisorPage',
    given: "a user's read of a page with U/S=0",
    last: frame(0x77) | SET | RW | P,
    access: Read | User,
    answer: pf(0b00101),
  },
  {
    rule: 'smep',
    given: "a supervisor's fetch from a user page with CR4.SMEP=1",
    last: frame(0x77) | SET | US | P,
    options: { cr4: PAE | (1 << 20) },
    access: Fetch,
    answer: pf(0b10001),
  },
  {
    rule: 'smap',
    given: 'an implicit supervisor read of a user page with CR4.SMAP=1, although EFLAGS.AC=1',
    last: frame(0x77) | SET | US | P,
    options: { cr4: PAE | (1 << 21) },
    set: (walker) => {
      walker.ac = true;
    },
    access: Read | ImplicitSupervisor,
    answer: pf(0b00001),
  },
  {
    rule: 'notWritable',
    given: "a supervisor's write to a page with R/W=0 while CR0.WP=1",
    last: frame(0x77) | SET | US | P,
    access: Write,
    answer: pf(0b00011),
  },
  {
    rule: 'notExecutable',
    given: "a user's fetch from a page with XD=1",
    last: frame(0x77) | SET | US | P | (1n << 63n),
    access: Fetch | User,
    answer: pf(0b10101),
  },
  {
    rule: 'userKey',
    given: "a supervisor's write to a user page whose key PKRU makes read-only, with CR0.WP=1",
    last: frame(0x77) | SET | US | RW | P | (5n << 59n),
    options: { cr4: PAE | (1 << 22) },
    set: (walker) => {
      walker.pkru = 2 << 10;
    },
    access: Write,
    answer: pf(0b100011),
  },
  {
    rule: 'supervisorKey',
    given: 'a read of a supervisor page whose key IA32_PKRS forbids',
    last: frame(0x77) | SET | RW | P | (15n << 59n),
    options: { cr4: PAE | (1 << 24) },
    set: (walker) => {
      walker.pkrs = 1 << 30;
    },
    access: Read,
    answer: pf(0b100001),
  },
  {
    rule: 'updateMissing',
    given: 'A=0 in a table in ROM',
    last: frame(0x77) | US | RW | P,
    memory: 'rom',
    access: Read,
    answer: { vector: 0, errorCode: 0 },
  },
  {
    rule: 'contended',
    given: 'an entry that changes whenever A is to be set',
    last: frame(0x77) | US | RW | P,
    memory: 'contended',
    access: Write,
    answer: pf(0b00010),
  },
];

/** The walker of a case. */
export function x86Walker(row: X86RuleCase): X86Walker {
  const pointer = (pfn: number): bigint => frame(pfn) | 0x20n | US | RW | P;
  const tables = { 4096: pointer(2), 8192: pointer(3), 12288: pointer(4), 16384: row.last ?? 0n };
  const memory = memoryOf({ ...tables, ...row.entries }, row.memory ?? 'ram');
  const walker = new X86Walker({ memory, cr3: 0x1000, ...row.options });
  row.set?.(walker);
  return walker;
}
