import { Access } from 'pagewright/core';
import { RiscvGStage, RiscvWalker } from 'pagewright/walk';
import { doubled } from './g-stage-cases.js';
import { memoryOf } from './rule-case.js';

const { Fetch, Hlvx, Read, User, Write } = Access;

const PROTECTION = '21.5.2 Guest-Page Faults';

/** Leaf bits: D A G U X W R V. */
const RWX = 0xdfn;
const ppn = (frame: number): bigint => BigInt(frame) << 10n;
/** The G stage's root takes frames 0 to 3; the table below it is frame 4. */
const [ROOT, TABLE] = [0, 16384];
const SV32X4 = 1n << 31n;

/** A row about both stages in RV32: the guest's Sv32 root is at guest frame 8, its table at guest frame 9. */
export interface Sv32GuestCase {
  readonly section: string;
  readonly given: string;
  /** Leaf bits of guest frames that are not mapped with all rights, onto themselves; 0 for those that are not mapped. */
  readonly host?: Readonly<Record<number, bigint>>;
  /** The leaf of page 0. */
  readonly page: bigint;
  readonly access: number;
  readonly set?: (walker: RiscvWalker, stage: RiscvGStage) => void;
  readonly answer:
    | number
    | { readonly cause: number; readonly htval?: bigint; readonly tinst?: number };
}

const GUEST_PAGE = ppn(0x77) | 0xcfn;
const USER_PAGE = ppn(0x77) | RWX;
const STAGES = '21.5 Two-Stage Address Translation';
const TINST = '21.6.3 Transformed Instruction or Pseudoinstruction for mtinst or htinst';

/** Rows of both stages together. */
export const SV32_GUEST_CASES: readonly Sv32GuestCase[] = [
  {
    ...{ section: STAGES, given: 'a store of VS-mode', page: GUEST_PAGE },
    ...{ access: Write, answer: 0x77 },
  },
  {
    ...{ section: STAGES, given: "a load of VU-mode (HLV with SPVP=0) from VS-mode's page" },
    ...{ page: GUEST_PAGE, access: Read | User, answer: { cause: 13 } },
  },
  {
    ...{ section: STAGES, given: "a store (HSV with SPVP=1) to a user's page while SUM=0" },
    ...{ page: USER_PAGE, access: Write, answer: { cause: 15 } },
  },
  {
    ...{ section: STAGES, given: 'HLVX of a page that is executable alone', access: Read | Hlvx },
    ...{ page: ppn(0x77) | 0xc9n, answer: 0x77 },
  },
  {
    ...{ section: STAGES, given: 'a load of such a page with vsstatus.MXR=1' },
    page: ppn(0x77) | 0xc9n,
    set: (walker) => {
      walker.mxr = true;
    },
    ...{ access: Read, answer: 0x77 },
  },
  {
    ...{ section: STAGES, given: 'a load of such a page of both stages with HS-level MXR=1' },
    host: { 119: 0xd9n },
    page: ppn(0x77) | 0xc9n,
    set: (_, stage) => {
      stage.mxr = true;
    },
    ...{ access: Read, answer: 0x77 },
  },
  {
    ...{ section: STAGES, given: "a load of the G stage's execute-only page with vsstatus.MXR=1" },
    host: { 119: 0xd9n },
    page: GUEST_PAGE,
    set: (walker) => {
      walker.mxr = true;
    },
    ...{ access: Read, answer: { cause: 21, htval: 0x77000n >> 2n } },
  },
  {
    ...{ section: TINST, given: 'an access to a page that the G stage does not map: tinst 0' },
    ...{ host: { 119: 0n }, page: GUEST_PAGE, access: Fetch },
    answer: { cause: 20, htval: 0x77000n >> 2n, tinst: 0 },
  },
  {
    ...{ section: TINST, given: 'the root, for a store: the read of a 32-bit entry' },
    ...{ host: { 8: 0n }, page: GUEST_PAGE, access: Write },
    answer: { cause: 23, htval: 0x8000n >> 2n, tinst: 0x2000 },
  },
  {
    ...{ section: TINST, given: 'the update of a 32-bit entry that the G stage makes read-only' },
    ...{ host: { 9: 0xd3n }, page: ppn(0x77) | 0x4fn, access: Write },
    answer: { cause: 23, htval: 0x9000n >> 2n, tinst: 0x2020 },
  },
  {
    ...{ section: PROTECTION, given: 'htval above 32 bits: a guest-physical address of 34' },
    ...{ page: ppn(0x3f_ffff) | 0xcfn, access: Read },
    answer: { cause: 21, htval: 0x3_ffff_f000n >> 2n, tinst: 0 },
  },
];

/** The walker of such a row. */
export function sv32Guest(subject: Sv32GuestCase): RiscvWalker {
  const identity = Array.from({ length: 1024 }, (_, pfn): [number, bigint] => [
    TABLE + 4 * pfn,
    ppn(pfn) | (subject.host?.[pfn] ?? RWX),
  ]);
  const memory = memoryOf(
    doubled({
      [ROOT]: ppn(4) | 1n,
      ...Object.fromEntries(identity),
      [8 * 4096]: ppn(9) | 1n,
      [9 * 4096]: subject.page,
    }),
    'ram',
    0xa000,
  );
  const xlen = 32;
  const secondStage = new RiscvGStage({ memory, xlen, hgatp: SV32X4, adue: true });
  const walker = new RiscvWalker({ memory, xlen, satp: SV32X4 | 8n, secondStage, adue: true });
  subject.set?.(walker, secondStage);
  return walker;
}
