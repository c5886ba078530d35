import { Access } from 'pagewright/core';
import { type NptRuleName, X86Npt, type X86StageOptions } from 'pagewright/walk';
import { memoryOf, type RuleCase } from './rule-case.js';

const { Fetch, Read, ReadModifyWrite, User, Write } = Access;

/** EXITINFO1, or nothing that a hypervisor finds. */
type NptAnswer = { readonly exitInfo1: bigint } | 'bus-error';

/** A row for each rule of AMD64 APM Vol. 2, 15.25, for a walk of the nested tables by themselves. */
export interface NptRuleCase extends RuleCase<NptRuleName, X86StageOptions, X86Npt, NptAnswer> {
  readonly section: string;
}

const WALK = '15.25.5 Nested Table Walk';
const FAULT = '15.25.6 Nested versus Guest Page Faults, Fault Ordering';
const EXECUTE = '15.25.7 Combining Nested and Guest Attributes';

const [P, RW, US, A, D, PS, G, NX] = [1n, 2n, 4n, 0x20n, 0x40n, 0x80n, 0x100n, 1n << 63n];
const ALL = P | RW | US;
const frame = (pfn: number): bigint => BigInt(pfn) << 12n;
const page = (bits: bigint): bigint => frame(0x77) | bits;
/** Where the entries of the tables are; `last` is that of the last one. */
const [PML4E, PDPTE, PDE, PTE] = [4096, 8192, 12288, 16384];
const FINAL = 1n << 32n;
const TABLE = 1n << 33n;
/** An access to a guest's table, as `X86Npt.tableAccess` is. */
export const NPT_TABLE: number = Write | User | Access.ImplicitSupervisor;
const NO_NXE = { efer: 0x500 };
const NO_WP = { cr0: 0x8000_0001 };

type Row = Omit<NptRuleCase, 'rule' | 'section' | 'given' | 'answer'>;

const translated = (section: string, given: string, row: Row, answer = 0x77): NptRuleCase => ({
  ...{ rule: 'translated', section, given, answer },
  ...row,
});

const fault = (
  rule: NptRuleName,
  section: string,
  given: string,
  exitInfo1: bigint,
  row: Row,
): NptRuleCase => ({ rule, section, given, answer: { exitInfo1 }, ...row });

function pointers(bits: bigint): Readonly<Record<number, bigint>> {
  return { [PML4E]: frame(2) | bits, [PDPTE]: frame(3) | bits, [PDE]: frame(4) | bits };
}

const WALKS: readonly NptRuleCase[] = [
  translated(WALK, "a supervisor's write of the guest to a user page", {
    last: page(ALL),
    access: Write,
  }),
  translated(
    WALK,
    'a 1 GiB page',
    { entries: { [PDPTE]: 0x4000_0000n | PS | ALL }, va: 0x1234_5000n, access: Read },
    0x52345,
  ),
  translated(WALK, 'bit 47 as an index like any other', {
    entries: { [PML4E + 8 * 256]: frame(2) | ALL },
    last: page(ALL),
    va: 1n << 47n,
    access: Read,
  }),
  fault('nonCanonical', WALK, 'bit 48 with four levels', 0x6n | FINAL, {
    va: 1n << 48n,
    access: Write,
  }),
  fault('supervisorPage', WALK, "U/S=0 in a leaf, for a supervisor's read", 0x5n | FINAL, {
    last: page(P | RW),
    access: Read,
  }),
  fault('supervisorPage', WALK, 'U/S=0 in an upper entry alone', 0x5n | FINAL, {
    entries: { [PDPTE]: frame(3) | P | RW },
    last: page(ALL),
    access: Read | User,
  }),
  fault('supervisorPage', WALK, 'U/S=0, for a guest table', 0x7n | TABLE, {
    last: page(P | RW),
    access: NPT_TABLE,
  }),
  fault('notWritable', WALK, "R/W=0 with hCR0.WP=0: the write is a user's", 0x7n | FINAL, {
    last: page(P | US),
    options: NO_WP,
    access: Write,
  }),
  fault('notWritable', WALK, 'R/W=0 in an upper entry alone', 0x7n | FINAL, {
    entries: { [PDE]: frame(4) | P | US },
    last: page(ALL),
    access: Read | ReadModifyWrite,
  }),
  fault('notWritable', WALK, 'R/W=0, for a guest table, whose reading is a write', 0x7n | TABLE, {
    last: page(P | US),
    access: NPT_TABLE,
  }),
  {
    ...{ rule: 'tableMissing', section: WALK, given: 'a table where there is no memory' },
    ...{ entries: { [PDE]: frame(0x100) | ALL }, access: Read, answer: 'bus-error' },
  },
  translated(WALK, 'A set by a read', {
    last: page(ALL),
    access: Read,
    after: { ...pointers(ALL | A), [PTE]: page(ALL | A) },
  }),
  translated(WALK, 'A and D set by an access to a guest table', {
    last: page(ALL),
    access: NPT_TABLE,
    after: { ...pointers(ALL | A), [PTE]: page(ALL | A | D) },
  }),
  fault('notWritable', WALK, 'nothing set by a walk that ends in a fault', 0x7n | FINAL, {
    last: page(P | US),
    access: Write,
    after: { ...pointers(ALL), [PTE]: page(P | US) },
  }),
  {
    ...{ rule: 'updateMissing', section: WALK, given: 'A=0 in a table in ROM' },
    ...{ last: page(ALL), memory: 'rom', access: Read, answer: 'bus-error' },
  },
  fault('contended', WALK, 'an entry that changes whenever A is to be set', 0x4n | FINAL, {
    last: page(ALL),
    memory: 'contended',
    access: Read,
  }),
];

const FAULTS: readonly NptRuleCase[] = [
  fault('notPresent', FAULT, 'P=0 for a read: bit 2 alone', 0x4n | FINAL, {
    last: page(RW | US),
    access: Read,
  }),
  fault('notPresent', FAULT, 'P=0 for a write: bit 1', 0x6n | FINAL, { last: 0n, access: Write }),
  fault('notPresent', FAULT, 'P=0 for a fetch: bit 4', 0x14n | FINAL, { last: 0n, access: Fetch }),
  fault('notPresent', FAULT, 'P=0 for a guest table: bit 33, and a write', 0x6n | TABLE, {
    last: 0n,
    access: NPT_TABLE,
  }),
  fault('reservedBits', FAULT, 'a bit at MAXPHYADDR: bit 3', 0xdn | FINAL, {
    last: page(ALL) | (1n << 40n),
    options: { maxPhyAddr: 40 },
    access: Read,
  }),
  fault('reservedBits', FAULT, 'PS in a PML4E, for a guest table', 0xfn | TABLE, {
    entries: { [PML4E]: frame(2) | ALL | PS },
    access: NPT_TABLE,
  }),
];

const EXECUTIONS: readonly NptRuleCase[] = [
  fault('notExecutable', EXECUTE, 'NX=1 in a leaf', 0x15n | FINAL, {
    last: page(ALL) | NX,
    access: Fetch,
  }),
  fault('notExecutable', EXECUTE, 'NX=1 in an upper entry alone', 0x15n | FINAL, {
    entries: { [PML4E]: frame(2) | ALL | NX },
    last: page(ALL),
    access: Fetch | User,
  }),
  translated(EXECUTE, 'NX=1, for a read', { last: page(ALL) | NX, access: Read }),
  fault('reservedBits', EXECUTE, 'NX=1 with hEFER.NXE=0, where it is reserved', 0xdn | FINAL, {
    last: page(ALL) | NX,
    options: NO_NXE,
    access: Read,
  }),
  translated(EXECUTE, 'a fetch from a user page with hCR4.SMEP=1', {
    last: page(ALL),
    options: { cr4: 0x20 | (1 << 20) },
    access: Fetch,
  }),
  translated(EXECUTE, 'G=1 with hCR4.PGE=1, which means nothing', {
    last: page(ALL | G),
    options: { cr4: 0xa0 },
    access: Read,
  }),
];

/** All rows. */
export const NPT_CASES: readonly NptRuleCase[] = [...WALKS, ...FAULTS, ...EXECUTIONS];

/** The nested paging of a case. */
export function nptOf(row: NptRuleCase): X86Npt {
  const memory = memoryOf(
    { ...pointers(ALL), [PTE]: row.last ?? 0n, ...row.entries },
    row.memory ?? 'ram',
  );
  return new X86Npt({ memory, cr3: 0x1000, ...row.options });
}
