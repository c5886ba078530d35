import { Access } from 'pagewright/core';
import { BUS_ERROR, PhysicalMemory } from 'pagewright/memory';
import {
  Pmp,
  RISCV_RULES,
  RiscvWalker,
  type RiscvWalkerOptions,
  X86_RULES,
  X86Walker,
  type X86WalkerOptions,
} from 'pagewright/walk';
import { describe, expect, it } from 'vitest';

// One row for every rule, made from the text of the manuals. Physical memory is 16 KiB at 0: the root in frame 1, then
// the tables of lower levels in the frames that follow. A row gives the entry of the last table, or whole tables.

const { Read, Write, Fetch, User, Machine, ReadModifyWrite, ImplicitSupervisor } = Access;
const BYTES = 0x5000;

/** Memory in which another agent changes every entry just before it would be updated. */
class ContendedMemory extends PhysicalMemory {
  override compareExchangeWords(pfn: number, offset: number): number {
    this.readWords(pfn, offset);
    this.low ^= 0x200; // a bit that software owns, on both architectures
    return 0;
  }
}

/** Memory whose page tables can be read but not written. */
function romOf(words: BigUint64Array): PhysicalMemory {
  const memory = new PhysicalMemory();
  memory.addDevice({
    base: 0,
    bytes: BYTES,
    read: (offset, _width, out) => {
      const word = words[offset / 8]!;
      out.low = Number(BigInt.asIntN(32, word));
      out.high = Number(BigInt.asIntN(32, word >> 32n));
      return 0;
    },
    write: () => BUS_ERROR,
  });
  return memory;
}

type Kind = 'ram' | 'rom' | 'contended';

function memoryOf(entries: Readonly<Record<number, bigint>>, kind: Kind): PhysicalMemory {
  const words = new BigUint64Array(BYTES / 8);
  for (const [address, entry] of Object.entries(entries)) words[Number(address) / 8] = entry;
  if (kind === 'rom') return romOf(words);
  const memory = kind === 'ram' ? new PhysicalMemory() : new ContendedMemory();
  memory.addRam({ base: 0, source: words });
  return memory;
}

interface Row<Rule, Options, Walker, Answer> {
  readonly rule: Rule;
  /** What the case is about. */
  readonly given: string;
  /** The entry of the last table; the tables above lead there. */
  readonly last?: bigint;
  /** Other entries by address; they replace those above. */
  readonly entries?: Readonly<Record<number, bigint>>;
  readonly options?: Partial<Options>;
  readonly set?: (walker: Walker) => void;
  readonly memory?: Kind;
  /** 0 unless given. */
  readonly va?: bigint;
  readonly access: number;
  /** The frame, or the architecture's fault. */
  readonly answer: number | Answer;
}

/** Sv39: RISC-V Privileged, 12.4. Leaf bits: D A G U X W R V. */
type RiscvRow = Row<keyof typeof RISCV_RULES, RiscvWalkerOptions, RiscvWalker, { cause: number }>;

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

const RISCV_ROWS: readonly RiscvRow[] = [
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

/** Four levels: Intel SDM Vol. 3A, chapter 4 in editions before December 2023. Bits: D A PCD PWT US RW P. */
type X86Row = Row<
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

const X86_ROWS: readonly X86Row[] = [
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

function riscvWalker(row: RiscvRow): RiscvWalker {
  const tables = { 4096: ppn(2) | 1n, 8192: ppn(3) | 1n, 12288: row.last ?? 0n };
  const memory = memoryOf({ ...tables, ...row.entries }, row.memory ?? 'ram');
  const walker = new RiscvWalker({ memory, satp: (8n << 60n) | 1n, ...row.options });
  row.set?.(walker);
  return walker;
}

function x86Walker(row: X86Row): X86Walker {
  const pointer = (pfn: number): bigint => frame(pfn) | 0x20n | US | RW | P;
  const tables = { 4096: pointer(2), 8192: pointer(3), 12288: pointer(4), 16384: row.last ?? 0n };
  const memory = memoryOf({ ...tables, ...row.entries }, row.memory ?? 'ram');
  const walker = new X86Walker({ memory, cr3: 0x1000, ...row.options });
  row.set?.(walker);
  return walker;
}

describe('each RISC-V rule decides its case', () => {
  it.each(RISCV_ROWS)('$rule: $given', (row) => {
    const walker = riscvWalker(row);
    const { outcome, rule } = walker.explain(row.va ?? 0n, row.access, { update: true });
    expect(rule.id).toBe(RISCV_RULES[row.rule].id);
    if (typeof row.answer === 'number') {
      expect(outcome).toMatchObject({ kind: 'page', pfn: row.answer });
      expect(RISCV_RULES[row.rule].reason).toBeNull();
    } else {
      const { reason } = RISCV_RULES[row.rule];
      const riscv = { ...row.answer, tval: row.va ?? 0n };
      expect(outcome).toMatchObject({ kind: 'fault', reason, rule: rule.id, riscv });
    }
  });

  it('and none is without a case', () => {
    expect(RISCV_ROWS.map((row) => row.rule)).toEqual(Object.keys(RISCV_RULES));
  });
});

describe('each x86 rule decides its case', () => {
  it.each(X86_ROWS)('$rule: $given', (row) => {
    const walker = x86Walker(row);
    const { outcome, rule } = walker.explain(row.va ?? 0n, row.access, { update: true });
    expect(rule.id).toBe(X86_RULES[row.rule].id);
    if (typeof row.answer === 'number') {
      expect(outcome).toMatchObject({ kind: 'page', pfn: row.answer });
      expect(X86_RULES[row.rule].reason).toBeNull();
    } else {
      const { reason } = X86_RULES[row.rule];
      const cr2 = row.answer.vector === 14 ? (row.va ?? 0n) : null;
      expect(outcome).toMatchObject({
        kind: 'fault',
        reason,
        rule: rule.id,
        x86: { ...row.answer, cr2 },
      });
    }
  });

  it('and none is without a case', () => {
    expect(X86_ROWS.map((row) => row.rule)).toEqual(Object.keys(X86_RULES));
  });
});

describe('a rule', () => {
  const rules = [...Object.values(RISCV_RULES), ...Object.values(X86_RULES)];

  it('has an identifier of its own, and says where it comes from and what it is', () => {
    expect(new Set(rules.map((rule) => rule.id)).size).toBe(rules.length);
    for (const { id, source, text } of rules) {
      expect(id).toMatch(/^(riscv|x86)\.[a-z-]+$/);
      expect(source).toMatch(/^(RISC-V Privileged|Intel SDM Vol\. \d[AB]?), /);
      expect(text.length).toBeGreaterThan(5);
    }
  });
});
