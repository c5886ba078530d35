import { Access } from 'pagewright/core';
import { Pmp, type RISCV_G_RULES, RiscvGStage, type RiscvGStageOptions } from 'pagewright/walk';
import { memoryOf, type RuleCase } from './rule-case.js';

const { Fetch, Hlvx, ImplicitSupervisor, Read, ReadModifyWrite, User, Write } = Access;

/** A row for each rule of RISC-V Privileged, 21.5, mostly in Sv32x4, which no recording has. */
export interface GStageRuleCase
  extends RuleCase<keyof typeof RISCV_G_RULES, RiscvGStageOptions, RiscvGStage, { cause: number }> {
  readonly section: string;
  /** In Sv39x4: for what RV32 does not have. */
  readonly wide?: boolean;
}

const GUEST = '21.5.1 Guest Physical Address Translation';
const HGATP = '21.2.10 hgatp';
const PROTECTION = '21.5.2 Guest-Page Faults';

/** Leaf bits: D A G U X W R V. */
const RWX = 0xdfn;
const ppn = (frame: number): bigint => BigInt(frame) << 10n;
/** The root takes frames 0 to 3; the table below it is frame 4, at whose entry 0 `last` stands. */
const [ROOT, TABLE] = [0, 16384];
const SV32X4 = 1n << 31n;
const SV39X4 = 8n << 60n;
const TABLE_READ = Read | ImplicitSupervisor;

/** PMP that opens all of memory but for one stretch, whose rights are given. */
function pmpWith(xlen: 32 | 64, start: number, end: number, rights: number): Pmp {
  const pmp = new Pmp({ xlen });
  pmp.setAddress(0, start / 4);
  pmp.setAddress(1, end / 4);
  pmp.setConfig(1, 0x08 | rights);
  pmp.setAddress(2, xlen === 32 ? 0xffff_ffffn : (1n << 54n) - 1n);
  pmp.setConfig(2, 0x1f);
  return pmp;
}

type Row = Omit<GStageRuleCase, 'section' | 'given'>;
const row = (section: string, given: string, rest: Row): GStageRuleCase => ({
  ...{ section, given },
  ...rest,
});

/** Rows of Sv32x4's addresses and rights. */
const NARROW: readonly GStageRuleCase[] = [
  row(GUEST, 'a 4 KiB page, by bits 21:12 as index of the last table', {
    rule: 'translated',
    entries: { [TABLE + 4 * 1023]: ppn(0x77) | RWX },
    va: 1023n << 12n,
    access: Write,
    answer: 0x77,
  }),
  row(GUEST, 'a root of 16 KiB, by bits 33:22 of 34-bit addresses', {
    rule: 'translated',
    entries: { [ROOT + 4 * 4095]: ppn(0x400) | RWX },
    va: (1n << 34n) - 4096n,
    access: Read,
    answer: 0x7ff,
  }),
  row(GUEST, 'a second quarter of the root', {
    rule: 'translated',
    // In the first quarter something else is mapped there.
    entries: { [ROOT + 4 * 1024]: ppn(0x800) | RWX, [TABLE + 4 * 5]: ppn(0x77) | RWX },
    va: (1n << 32n) + 0x5000n,
    access: Read,
    answer: 0x805,
  }),
  row(GUEST, 'a physical address of 34 bits', {
    rule: 'translated',
    last: ppn(0x3f_ffff) | RWX,
    access: Read,
    answer: 0x3f_ffff,
  }),
  row(HGATP, 'MODE=Bare', {
    rule: 'bare',
    options: { hgatp: 0n },
    va: 0x3_4321_0000n,
    access: Fetch,
    answer: 0x343210,
  }),
  row(GUEST, 'a table where there is no memory', {
    rule: 'tableMissing',
    entries: { [ROOT]: ppn(0x100) | 1n },
    access: Write,
    answer: { cause: 7 },
  }),
  row(PROTECTION, 'a table that PMP does not let S-mode read: an access fault', {
    rule: 'tableProtected',
    last: ppn(0x77) | RWX,
    options: { pmp: pmpWith(32, 0x4000, 0x4008, 0) },
    access: Fetch,
    answer: { cause: 1 },
  }),
  row(PROTECTION, 'V=0: cause 21 for a load', {
    rule: 'invalid',
    last: ppn(0x77) | 0xden,
    access: Read,
    answer: { cause: 21 },
  }),
  row(PROTECTION, 'V=0: cause 20 for a fetch', {
    rule: 'invalid',
    last: 0n,
    access: Fetch,
    answer: { cause: 20 },
  }),
  row(PROTECTION, 'V=0: cause 23 for the load of an atomic', {
    rule: 'invalid',
    last: 0n,
    access: Read | ReadModifyWrite,
    answer: { cause: 23 },
  }),
  row(GUEST, 'W=1 with R=0', {
    rule: 'writeOnly',
    last: ppn(0x77) | 0xddn,
    access: Write,
    answer: { cause: 23 },
  }),
  row(GUEST, 'a pointer with U set', {
    rule: 'pointerReserved',
    entries: { [ROOT]: ppn(4) | 0x11n },
    access: Read,
    answer: { cause: 21 },
  }),
  row(GUEST, 'a pointer at level 0', {
    rule: 'noLeaf',
    last: ppn(4) | 1n,
    access: Read,
    answer: { cause: 21 },
  }),
  row(GUEST, 'U=0: all accesses count as U-mode ones', {
    rule: 'supervisorPage',
    last: ppn(0x77) | 0xcfn,
    access: Read,
    answer: { cause: 21 },
  }),
  row(GUEST, 'U=0 for a VS-stage table', {
    rule: 'supervisorPage',
    last: ppn(0x77) | 0xcfn,
    access: TABLE_READ,
    answer: { cause: 21 },
  }),
  row(GUEST, 'a load of an execute-only page', {
    rule: 'notReadable',
    last: ppn(0x77) | 0xd9n,
    access: Read,
    answer: { cause: 21 },
  }),
  row(GUEST, 'a load of an execute-only page with HS-level MXR=1', {
    rule: 'translated',
    last: ppn(0x77) | 0xd9n,
    set: (stage) => {
      stage.mxr = true;
    },
    access: Read,
    answer: 0x77,
  }),
  row(GUEST, 'a VS-stage table on such a page, which MXR does not help', {
    rule: 'notReadable',
    last: ppn(0x77) | 0xd9n,
    set: (stage) => {
      stage.mxr = true;
    },
    access: TABLE_READ,
    answer: { cause: 21 },
  }),
  row(GUEST, 'HLVX of an execute-only page', {
    rule: 'translated',
    last: ppn(0x77) | 0xd9n,
    access: Read | Hlvx,
    answer: 0x77,
  }),
  row(GUEST, 'HLVX of a page with X=0', {
    rule: 'notReadable',
    last: ppn(0x77) | 0xd7n,
    access: Read | Hlvx,
    answer: { cause: 21 },
  }),
  row(GUEST, 'the A/D update of a VS-stage table with W=0', {
    rule: 'notWritable',
    last: ppn(0x77) | 0xd3n,
    access: Write | ImplicitSupervisor,
    answer: { cause: 23 },
  }),
  row(GUEST, 'a fetch from a page with X=0', {
    rule: 'notExecutable',
    last: ppn(0x77) | 0xd7n,
    access: Fetch | User,
    answer: { cause: 20 },
  }),
  row(GUEST, 'a 4 MiB leaf whose ppn[0] is not 0', {
    rule: 'misaligned',
    entries: { [ROOT]: ppn(0x401) | RWX },
    access: Read,
    answer: { cause: 21 },
  }),
  row(GUEST, 'A=0 with Svade', {
    rule: 'accessedClear',
    last: ppn(0x77) | 0x9fn,
    access: Read,
    answer: { cause: 21 },
  }),
  row(GUEST, 'a store with D=0 and Svade', {
    rule: 'dirtyClear',
    last: ppn(0x77) | 0x5fn,
    access: Write,
    answer: { cause: 23 },
  }),
  row(GUEST, 'a store with D=0 and Svadu', {
    rule: 'translated',
    last: ppn(0x77) | 0x1fn,
    options: { adue: true },
    access: Write,
    after: { [TABLE]: ppn(0x77) | RWX },
    answer: 0x77,
  }),
  row(GUEST, 'D=0 in a table that PMP does not let S-mode write', {
    rule: 'updateProtected',
    last: ppn(0x77) | 0x5fn,
    options: { adue: true, pmp: pmpWith(32, 0x4000, 0x5000, 1) },
    access: Write,
    answer: { cause: 7 },
  }),
  row(PROTECTION, 'a store to a page that PMP makes read-only: an access fault', {
    rule: 'targetProtected',
    last: ppn(0x77) | RWX,
    options: { pmp: pmpWith(32, 0x77000, 0x78000, 1) },
    access: Write,
    answer: { cause: 7 },
  }),
];

/** Rows of what RV64 alone has. */
const WIDE: readonly GStageRuleCase[] = [
  row(GUEST, 'address bits above the 41 of Sv39x4', {
    rule: 'nonCanonical',
    wide: true,
    va: 1n << 41n,
    access: Fetch,
    answer: { cause: 20 },
  }),
  row(GUEST, 'bit 54 of a leaf', {
    rule: 'reservedBits',
    wide: true,
    entries: { [ROOT]: RWX | (1n << 54n) },
    access: Read,
    answer: { cause: 21 },
  }),
  row(GUEST, 'PBMT=3 with Svpbmt', {
    rule: 'pbmtReserved',
    wide: true,
    entries: { [ROOT]: RWX | (3n << 61n) },
    options: { pbmte: true },
    access: Read,
    answer: { cause: 21 },
  }),
  row(GUEST, 'N=1 in a superpage', {
    rule: 'napotReserved',
    wide: true,
    entries: { [ROOT]: RWX | (1n << 63n) },
    access: Read,
    answer: { cause: 21 },
  }),
  row(GUEST, 'an entry that changes whenever A is to be set', {
    rule: 'contended',
    wide: true,
    entries: { [ROOT]: 0x1fn },
    options: { adue: true },
    memory: 'contended',
    access: Read,
    answer: { cause: 21 },
  }),
  row(GUEST, 'A=0 in a table in ROM', {
    rule: 'updateMissing',
    wide: true,
    entries: { [ROOT]: 0x1fn },
    options: { adue: true },
    memory: 'rom',
    access: Fetch,
    answer: { cause: 1 },
  }),
];

/** All rows. */
export const G_STAGE_CASES: readonly GStageRuleCase[] = [...NARROW, ...WIDE];

/** Entries of four bytes as words of eight, which is what memory is made from. */
export function doubled(entries: Readonly<Record<number, bigint>>): Record<number, bigint> {
  const words: Record<number, bigint> = {};
  for (const [address, entry] of Object.entries(entries)) {
    const at = Number(address);
    const word = at - (at % 8);
    words[word] = (words[word] ?? 0n) | (entry << BigInt(8 * (at % 8)));
  }
  return words;
}

/** The G stage of a case. */
export function gStageOf(subject: GStageRuleCase): RiscvGStage {
  const { entries, last = 0n, memory: kind = 'ram', options, set, wide = false } = subject;
  const narrow = doubled({ [ROOT]: ppn(4) | 1n, [TABLE]: last, ...entries });
  const memory = memoryOf(wide ? { ...entries } : narrow, kind);
  const mode = wide ? { hgatp: SV39X4 } : { xlen: 32 as const, hgatp: SV32X4 };
  const stage = new RiscvGStage({ memory, ...mode, ...options });
  set?.(stage);
  return stage;
}
