import { Access } from 'pagewright/core';
import {
  type AARCH64_RULES,
  type AARCH64_STAGE2_RULES,
  AArch64Stage2,
  type AArch64Stage2Options,
  AArch64Walker,
  type AArch64WalkerOptions,
} from 'pagewright/walk';
import { memoryOf, type RuleCase } from './rule-case.js';

// 4 KiB granules and 39-bit addresses of either stage: the root is a level 1 table in frame 1, level 3 is in frame 3.

const { Read, Write, Fetch, User, ImplicitSupervisor } = Access;

/** What the fault says: the status code, which holds the level. */
interface Answer {
  readonly fsc: number;
}

export type AArch64RuleCase = RuleCase<
  keyof typeof AARCH64_RULES,
  AArch64WalkerOptions,
  AArch64Walker,
  Answer
>;
export type AArch64Stage2RuleCase = RuleCase<
  keyof typeof AARCH64_STAGE2_RULES,
  AArch64Stage2Options,
  AArch64Stage2,
  Answer
>;

const frame = (pfn: number): bigint => BigInt(pfn) << 12n;
/** A table. */
const table = (pfn: number): bigint => frame(pfn) | 3n;
/** A page with AF: EL0 may use it. */
const PAGE = frame(0x77) | 0x443n;
const PXN = 1n << 53n;
const UXN = 1n << 54n;
const AP2 = 0x80n;
const TCR = 25n | (5n << 32n);
const HA = 1n << 39n;
const SCTLR = 0x30d0_1805n;
const ABOVE_32 = 1n << 32n;

/** One case for every rule of stage 1. */
export const AARCH64_CASES: readonly AArch64RuleCase[] = [
  {
    rule: 'translated',
    given: 'a write at EL0 to a page that allows it',
    last: PAGE,
    access: Write | User,
    answer: 0x77,
  },
  {
    rule: 'off',
    given: 'SCTLR.M=0',
    options: { sctlr: 0n },
    va: 0x4321_0123n,
    access: Read,
    answer: 0x43210,
  },
  {
    rule: 'offAddressSize',
    given: 'bit 52 of an address with stage 1 off',
    options: { sctlr: 0n },
    va: 1n << 52n,
    access: Read,
    answer: { fsc: 0b000000 },
  },
  {
    rule: 'outOfRange',
    given: 'bit 39 of an address of the lower half',
    va: 1n << 39n,
    access: Fetch,
    answer: { fsc: 0b000100 },
  },
  {
    rule: 'badConfiguration',
    given: 'T0SZ=10 with 4 KiB granules',
    options: { tcr: 10n | (5n << 32n) },
    access: Read,
    answer: { fsc: 0b000100 },
  },
  {
    rule: 'walkDisabled',
    given: 'EPD0=1',
    last: PAGE,
    options: { tcr: TCR | (1n << 7n) },
    access: Read,
    answer: { fsc: 0b000100 },
  },
  {
    rule: 'userDisabled',
    given: 'E0PD0=1 and LDTR',
    last: PAGE,
    options: { tcr: TCR | (1n << 55n) },
    access: Read | Access.Unprivileged,
    answer: { fsc: 0b000100 },
  },
  {
    rule: 'rootAddressSize',
    given: 'bit 32 of TTBR0 with 32-bit output',
    options: { tcr: 25n, ttbr0: 0x1000n | ABOVE_32 },
    access: Read,
    answer: { fsc: 0b000000 },
  },
  {
    rule: 'tableMissing',
    given: 'a table where there is no memory',
    entries: { 8192: table(0x100) },
    access: Write,
    answer: { fsc: 0b010111 },
  },
  {
    rule: 'invalid',
    given: 'a block at level 3',
    last: PAGE & ~2n,
    access: Read,
    answer: { fsc: 0b000111 },
  },
  {
    rule: 'tableAddressSize',
    given: 'bit 32 of a table with 32-bit output',
    entries: { 8192: table(3) | ABOVE_32 },
    options: { tcr: 25n },
    access: Read,
    answer: { fsc: 0b000010 },
  },
  {
    rule: 'leafAddressSize',
    given: 'bit 32 of a page with 32-bit output',
    last: PAGE | ABOVE_32,
    options: { tcr: 25n },
    access: Read,
    answer: { fsc: 0b000011 },
  },
  {
    rule: 'accessFlag',
    given: 'AF=0 and HA=0',
    last: PAGE & ~0x400n,
    access: Read,
    answer: { fsc: 0b001011 },
  },
  {
    rule: 'notWritable',
    given: 'APTable[1] above a writable page',
    last: PAGE,
    entries: { 4096: table(2) | (1n << 62n) },
    access: Write,
    answer: { fsc: 0b001111 },
  },
  {
    rule: 'notExecutable',
    given: 'PXN',
    last: PAGE | AP2 | PXN,
    access: Fetch,
    answer: { fsc: 0b001111 },
  },
  {
    rule: 'updateMissing',
    given: 'AF=0 in a table in ROM',
    last: PAGE & ~0x400n,
    options: { tcr: TCR | HA },
    memory: 'rom',
    access: Read,
    answer: { fsc: 0b010111 },
  },
  {
    rule: 'contended',
    given: 'a descriptor that changes whenever AF is to be set',
    last: PAGE & ~0x400n,
    options: { tcr: TCR | HA },
    memory: 'contended',
    access: Read,
    answer: { fsc: 0b001011 },
  },
  {
    rule: 'supervisorPage',
    given: 'AP[1]=0 and a fetch-free access at EL0',
    last: PAGE & ~0x40n,
    access: Read | User,
    answer: { fsc: 0b001111 },
  },
  {
    rule: 'privilegedAccessNever',
    given: 'PAN=1 and a page of EL0',
    last: PAGE,
    options: { pan: true },
    access: Read,
    answer: { fsc: 0b001111 },
  },
  {
    rule: 'userWritable',
    given: 'a fetch at EL1 from what EL0 may write',
    last: PAGE,
    access: Fetch,
    answer: { fsc: 0b001111 },
  },
  {
    rule: 'writableExecuteNever',
    given: 'WXN and a writable page',
    last: PAGE,
    options: { sctlr: SCTLR | (1n << 19n) },
    access: Fetch | User,
    answer: { fsc: 0b001111 },
  },
];

/** The walker of a case. */
export function aarch64Walker(row: AArch64RuleCase): AArch64Walker {
  const tables = { 4096: table(2), 8192: table(3), 12288: row.last ?? 0n };
  const memory = memoryOf({ ...tables, ...row.entries }, row.memory ?? 'ram');
  return new AArch64Walker({ memory, tcr: TCR, ttbr0: 0x1000n, mair: 0xffn, ...row.options });
}

/** A stage 2 page: read, write, write-back, AF. */
const PAGE2 = frame(0x77) | 0x4ffn;
const VTCR = 0x8005_0059n;
const VTCR_HA = 1n << 21n;
const NARROW = VTCR & ~(7n << 16n);

/** The same for stage 2. */
export const AARCH64_STAGE2_CASES: readonly AArch64Stage2RuleCase[] = [
  {
    rule: 'translated',
    given: 'a write to a page that allows it',
    last: PAGE2,
    access: Write,
    answer: 0x77,
  },
  {
    rule: 'off',
    given: 'HCR.VM=0',
    options: { hcr: 0x8000_0000n },
    va: 0x4321_0123n,
    access: Read,
    answer: 0x43210,
  },
  {
    rule: 'offAddressSize',
    given: 'bit 52 of an address with stage 2 off',
    options: { hcr: 0x8000_0000n },
    va: 1n << 52n,
    access: Read,
    answer: { fsc: 0b000000 },
  },
  {
    rule: 'outOfRange',
    given: 'bit 39 of an address',
    va: 1n << 39n,
    access: Read,
    answer: { fsc: 0b000100 },
  },
  {
    rule: 'badConfiguration',
    given: 'SL0=2 with 39-bit addresses',
    options: { vtcr: 0x8005_0099n },
    access: Read,
    answer: { fsc: 0b000100 },
  },
  {
    rule: 'rootAddressSize',
    given: 'bit 32 of VTTBR with 32-bit output',
    options: { vtcr: NARROW, vttbr: 0x1000n | ABOVE_32 },
    access: Read,
    answer: { fsc: 0b000000 },
  },
  {
    rule: 'tableMissing',
    given: 'a table where there is no memory',
    entries: { 8192: table(0x100) },
    access: Write,
    answer: { fsc: 0b010111 },
  },
  {
    rule: 'invalid',
    given: 'bit 0 clear',
    last: PAGE2 & ~1n,
    access: Read,
    answer: { fsc: 0b000111 },
  },
  {
    rule: 'tableAddressSize',
    given: 'bit 32 of a table with 32-bit output',
    entries: { 8192: table(3) | ABOVE_32 },
    options: { vtcr: NARROW },
    access: Read,
    answer: { fsc: 0b000010 },
  },
  {
    rule: 'leafAddressSize',
    given: 'bit 32 of a page with 32-bit output',
    last: PAGE2 | ABOVE_32,
    options: { vtcr: NARROW },
    access: Read,
    answer: { fsc: 0b000011 },
  },
  {
    rule: 'accessFlag',
    given: 'AF=0 and HA=0',
    last: PAGE2 & ~0x400n,
    access: Read,
    answer: { fsc: 0b001011 },
  },
  {
    rule: 'notWritable',
    given: 'S2AP[1]=0',
    last: PAGE2 & ~0x80n,
    access: Write,
    answer: { fsc: 0b001111 },
  },
  {
    rule: 'notExecutable',
    given: 'XN=1 at EL1',
    last: PAGE2 | PXN,
    access: Fetch,
    answer: { fsc: 0b001111 },
  },
  {
    rule: 'updateMissing',
    given: 'AF=0 in a table in ROM',
    last: PAGE2 & ~0x400n,
    options: { vtcr: VTCR | VTCR_HA },
    memory: 'rom',
    access: Read,
    answer: { fsc: 0b010111 },
  },
  {
    rule: 'contended',
    given: 'a descriptor that changes whenever AF is to be set',
    last: PAGE2 & ~0x400n,
    options: { vtcr: VTCR | VTCR_HA },
    memory: 'contended',
    access: Read,
    answer: { fsc: 0b001011 },
  },
  {
    rule: 'notReadable',
    given: 'S2AP[0]=0',
    last: PAGE2 & ~0x40n,
    access: Read | User,
    answer: { fsc: 0b001111 },
  },
  {
    rule: 'deviceTable',
    given: 'HCR.PTW and a stage 1 table in Device memory',
    last: PAGE2 & ~0x3cn,
    options: { hcr: 0x8000_0005n },
    access: Read | ImplicitSupervisor,
    answer: { fsc: 0b001111 },
  },
];

/** The stage of a case. */
export function aarch64Stage2(row: AArch64Stage2RuleCase): AArch64Stage2 {
  const tables = { 4096: table(2), 8192: table(3), 12288: row.last ?? 0n };
  const memory = memoryOf({ ...tables, ...row.entries }, row.memory ?? 'ram');
  return new AArch64Stage2({ memory, vtcr: VTCR, vttbr: 0x1000n, ...row.options });
}

/** Further ways to the same rules. */
export const AARCH64_MORE: readonly AArch64RuleCase[] = [
  {
    rule: 'notExecutable',
    given: 'UXN at EL0',
    last: PAGE | UXN,
    access: Fetch | User,
    answer: { fsc: 0b001111 },
  },
  {
    rule: 'notExecutable',
    given: 'UXNTable above a page of EL0',
    last: PAGE,
    entries: { 4096: table(2) | (1n << 60n) },
    access: Fetch | User,
    answer: { fsc: 0b001111 },
  },
  {
    rule: 'notWritable',
    given: 'AP[2]=1',
    last: PAGE | AP2,
    access: Write | User,
    answer: { fsc: 0b001111 },
  },
  {
    rule: 'supervisorPage',
    given: 'APTable[0] above a page of EL0',
    last: PAGE,
    entries: { 4096: table(2) | (1n << 61n) },
    access: Read | User,
    answer: { fsc: 0b001111 },
  },
  {
    rule: 'writableExecuteNever',
    given: 'WXN and a writable page of EL1',
    last: PAGE & ~0x40n,
    options: { sctlr: SCTLR | (1n << 19n) },
    access: Fetch,
    answer: { fsc: 0b001111 },
  },
  { rule: 'invalid', given: 'an empty root', access: Read, answer: { fsc: 0b000111 } },
  {
    rule: 'off',
    given: 'HCR.DC=1',
    options: { hcr: 0x1000n },
    va: 0x5000n,
    access: Read,
    answer: 5,
  },
  {
    rule: 'off',
    given: 'HCR.TGE=1 at EL0',
    options: { hcr: 1n << 27n },
    va: 0x5000n,
    access: Read | User,
    answer: 5,
  },
];
