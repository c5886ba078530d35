import { Access } from 'pagewright/core';
import {
  X86Ept,
  type X86EptOptions,
  type X86Exit,
  X86Npt,
  type X86StageOptions,
  X86Walker,
  type X86WalkerOptions,
} from 'pagewright/walk';
import { memoryOf } from './rule-case.js';

const { Fetch, Read, User, Write } = Access;

/**
 * A row about a guest over EPT or nested paging. Both map the first 2 MiB onto themselves in 4 KiB pages with all
 * rights; the guest's four tables are at 0x10000 to 0x13000, and its page 0 is frame 0x20.
 */
export interface X86GuestCase {
  readonly section: string;
  readonly given: string;
  readonly stage: 'ept' | 'npt';
  /** Low bits of the second stage's leaves for guest frames that are mapped otherwise. */
  readonly host?: Readonly<Record<number, bigint>>;
  /** Entries of the guest by address. */
  readonly guest?: Readonly<Record<number, bigint>>;
  readonly ept?: Partial<X86EptOptions>;
  readonly npt?: Partial<X86StageOptions>;
  readonly registers?: Partial<X86WalkerOptions>;
  readonly va?: bigint;
  readonly access: number;
  readonly after?: Readonly<Record<number, bigint>>;
  readonly answer: number | { readonly kind: 'page-fault'; readonly errorCode: number } | X86Exit;
}

const QUALIFICATION = 'SDM 28.2.1, Table 28-7';
const OVERVIEW = 'SDM 29.3.3.2 EPT Violations';
const FLAGS = 'SDM 29.3.5 Accessed and Dirty Flags for EPT';
const WALK = 'APM 15.25.5 Nested Table Walk';
const ORDER = 'APM 15.25.6 Nested versus Guest Page Faults, Fault Ordering';
const EXECUTE = 'APM 15.25.7 Combining Nested and Guest Attributes';
const LEGACY_PAE = 'APM 15.25.10 Legacy PAE Mode';

/** The leaf of a guest frame in the second stage: at 0x4000. */
const leafAt = (pfn: number): number => 0x4000 + 8 * pfn;
/** EPT: RWX, WB, A, D, XU. */
const EPT_ALL = 0x737n;
/** Nested paging: P, RW, US, A, D. */
const NPT_ALL = 0x67n;
const NX = 1n << 63n;
const PTE = 0x13000;
const PAGE = 0x20000n;

const violation = (qualification: bigint, gpa: bigint, linear: bigint | null = 0n): X86Exit => ({
  ...{ kind: 'ept-violation', qualification, gpa, linear },
});
const npf = (exitInfo1: bigint, gpa: bigint): X86Exit => ({ kind: 'npf', exitInfo1, gpa });
const pageFault = (errorCode: number): { kind: 'page-fault'; errorCode: number } => ({
  ...{ kind: 'page-fault', errorCode },
});

type Row = Omit<X86GuestCase, 'stage' | 'section' | 'given'>;
const ept = (section: string, given: string, row: Row): X86GuestCase => ({
  ...{ stage: 'ept', section, given },
  ...row,
});
const npt = (section: string, given: string, row: Row): X86GuestCase => ({
  ...{ stage: 'npt', section, given },
  ...row,
});

const ADVANCED = { advancedExitInformation: true };
const MODE_BASED = { modeBasedExecute: true };

const EPT_ROWS: readonly X86GuestCase[] = [
  ept(QUALIFICATION, 'bit 7 alone while a guest table is read, with the linear address', {
    host: { 17: 0n },
    va: 0x80_1234_5000n,
    guest: { [0x10000 + 8]: 0x11067n },
    access: Write,
    answer: violation(0x81n, 0x1_1000n, 0x80_1234_5000n),
  }),
  ept(QUALIFICATION, 'bits 7 and 8 for the linear address itself', {
    host: { 32: 0n },
    access: Fetch,
    answer: violation(0x184n, PAGE),
  }),
  ept(QUALIFICATION, "bit 1 while a guest's A flag is set", {
    host: { 19: 0x735n },
    guest: { [PTE]: PAGE | 0x47n },
    access: Read,
    answer: violation(0xaan, BigInt(PTE)),
  }),
  ept(FLAGS, 'the reading of a guest table as a read and write while flags are enabled', {
    host: { 19: 0x735n },
    ept: { eptp: 0x105en },
    access: Read,
    answer: violation(0xabn, BigInt(PTE)),
  }),
  ept(FLAGS, 'A and D of the page of a guest table, A of the page that is read', {
    host: { 19: 0x437n, 32: 0x437n },
    ept: { eptp: 0x105en },
    access: Read,
    after: { [leafAt(19)]: 0x1_3737n, [leafAt(32)]: 0x2_0537n },
    answer: 0x20,
  }),
  ept(OVERVIEW, "XU for the supervisor's fetch from a user page", {
    host: { 32: 0x337n },
    ept: MODE_BASED,
    access: Fetch,
    answer: violation(0x1bcn, PAGE),
  }),
  ept(OVERVIEW, 'X alone for a fetch from a supervisor page', {
    host: { 32: 0x337n },
    guest: { [PTE]: PAGE | 0x63n },
    ept: MODE_BASED,
    access: Fetch,
    answer: 0x20,
  }),
  ept(OVERVIEW, 'a supervisor page although upper entries are of user mode', {
    host: { 32: 0x733n },
    guest: { [PTE]: PAGE | 0x63n },
    ept: MODE_BASED,
    access: Fetch,
    answer: violation(0x1dcn, PAGE),
  }),
  ept(OVERVIEW, 'XU for a guest without paging, whose addresses are all of user mode', {
    host: { 32: 0x337n },
    ept: MODE_BASED,
    registers: { cr0: 1, efer: 0 },
    va: PAGE,
    access: Fetch,
    answer: violation(0x1bcn, PAGE, PAGE),
  }),
  ept(QUALIFICATION, 'bits 11:9 as 0 without advanced information', {
    host: { 32: 0n },
    access: Read,
    answer: violation(0x181n, PAGE),
  }),
  ept(QUALIFICATION, 'bits 9 and 10 for a writable user page', {
    host: { 32: 0n },
    ept: ADVANCED,
    access: Read,
    answer: violation(0x781n, PAGE),
  }),
  ept(QUALIFICATION, 'bit 11 alone for an execute-disable read-only supervisor page', {
    host: { 32: 0n },
    guest: { [PTE]: PAGE | 0x61n | NX },
    ept: ADVANCED,
    access: Read,
    answer: violation(0x981n, PAGE),
  }),
  ept(QUALIFICATION, 'bits 9 and 10 without paging', {
    host: { 32: 0n },
    ept: ADVANCED,
    registers: { cr0: 1, efer: 0 },
    va: PAGE,
    access: Read,
    answer: violation(0x781n, PAGE, PAGE),
  }),
  ept(QUALIFICATION, 'no such bits while a guest table is read', {
    host: { 19: 0n },
    ept: ADVANCED,
    access: Read,
    answer: violation(0x81n, BigInt(PTE)),
  }),
  ept(OVERVIEW, "the guest's own fault, before the page is asked for", {
    host: { 32: 0n },
    guest: { [PTE]: PAGE | 0x65n },
    access: Write | User,
    answer: pageFault(7),
  }),
];

const NPT_ROWS: readonly X86GuestCase[] = [
  npt(WALK, 'a guest table on a read-only page: a write', {
    host: { 19: 0x65n },
    access: Read,
    answer: npf(0x2_0000_0007n, BigInt(PTE)),
  }),
  npt(WALK, 'a guest table for a fetch: RW=1, ID=0', {
    host: { 19: 0n },
    access: Fetch,
    answer: npf(0x2_0000_0006n, BigInt(PTE)),
  }),
  npt(WALK, 'a guest table on a page with NX=1', {
    host: { 19: NPT_ALL | NX },
    access: Fetch,
    answer: 0x20,
  }),
  npt(WALK, 'A and D of the page of a guest table, A of the page that is read', {
    host: { 19: 7n, 32: 7n },
    access: Read,
    after: { [leafAt(19)]: 0x1_3067n, [leafAt(32)]: 0x2_0027n },
    answer: 0x20,
  }),
  npt(WALK, "the supervisor's write to a read-only nested page with hCR0.WP=0", {
    host: { 32: 0x65n },
    npt: { cr0: 0x8000_0001 },
    access: Write,
    answer: npf(0x1_0000_0007n, PAGE),
  }),
  npt(WALK, "gCR0.WP=0, which concerns the guest's tables alone", {
    guest: { [PTE]: PAGE | 0x65n },
    registers: { cr0: 0x8000_0001 },
    access: Write,
    answer: 0x20,
  }),
  npt(WALK, 'a guest without paging', {
    host: { 32: 0n },
    registers: { cr0: 1, efer: 0 },
    va: PAGE,
    access: Write,
    answer: npf(0x1_0000_0006n, PAGE),
  }),
  npt(ORDER, 'a guest entry that is not present, below a nested page that is', {
    host: { 32: 0n },
    guest: { [PTE]: 0n },
    access: Read,
    answer: pageFault(0),
  }),
  npt(ORDER, 'rights of the guest before the nested page of the final address', {
    host: { 32: 0n },
    guest: { [PTE]: PAGE | 0x63n },
    access: Read | User,
    answer: pageFault(5),
  }),
  npt(ORDER, 'the nested page of a guest table before what stands in it', {
    host: { 18: 0n },
    guest: { [0x12000]: 0n },
    access: Read,
    answer: npf(0x2_0000_0006n, 0x1_2000n),
  }),
  npt(ORDER, 'a reserved bit in a nested leaf', {
    host: { 32: NPT_ALL | (1n << 45n) },
    npt: { maxPhyAddr: 40 },
    access: Read,
    answer: npf(0x1_0000_000dn, PAGE),
  }),
  npt(EXECUTE, 'NX=1 of the nested page', {
    host: { 32: NPT_ALL | NX },
    access: Fetch,
    answer: npf(0x1_0000_0015n, PAGE),
  }),
  npt(EXECUTE, 'NX=1 of the guest page: a fault of its own', {
    guest: { [PTE]: PAGE | 0x67n | NX },
    access: Fetch,
    answer: pageFault(0x11),
  }),
  npt(LEGACY_PAE, 'a reserved bit in a PDPTE, found when it is used', {
    guest: { [0x10000]: 0x1_1007n },
    registers: { cr4: 0x20, efer: 0x800 },
    access: Read,
    answer: pageFault(9),
  }),
  npt(LEGACY_PAE, 'the nested page of the PDPTEs, as of any table', {
    host: { 16: 0x65n },
    registers: { cr4: 0x20, efer: 0x800 },
    access: Read,
    answer: npf(0x2_0000_0007n, 0x1_0000n),
  }),
];

/** All rows. */
export const X86_GUEST_CASES: readonly X86GuestCase[] = [...EPT_ROWS, ...NPT_ROWS];

/** The walker of a row. */
export function x86Guest(row: X86GuestCase): X86Walker {
  const all = row.stage === 'ept' ? EPT_ALL : NPT_ALL;
  const entries: Record<number, bigint> = {
    4096: 0x2000n | (row.stage === 'ept' ? 0x507n : NPT_ALL),
    8192: 0x3000n | (row.stage === 'ept' ? 0x507n : NPT_ALL),
    12288: 0x4000n | (row.stage === 'ept' ? 0x507n : NPT_ALL),
    [0x10000]: 0x11067n,
    [0x11000]: 0x12067n,
    [0x12000]: 0x13067n,
    [PTE]: PAGE | 0x67n,
  };
  for (let pfn = 0; pfn < 512; pfn++) {
    entries[leafAt(pfn)] = (BigInt(pfn) << 12n) | (row.host?.[pfn] ?? all);
  }
  const memory = memoryOf({ ...entries, ...row.guest }, 'ram', 0x30000);
  const secondStage =
    row.stage === 'ept'
      ? new X86Ept({ memory, eptp: 0x101en, ...row.ept })
      : new X86Npt({ memory, cr3: 0x1000, ...row.npt });
  return new X86Walker({ memory, cr3: 0x10000, secondStage, ...row.registers });
}
