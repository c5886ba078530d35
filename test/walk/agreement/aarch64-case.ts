import { Access } from 'pagewright/core';
import type { AArch64Features } from 'pagewright/walk';
import type { ReferenceAArch64Registers } from '../../../src/reference/aarch64-stage.js';
import { type Draw, once, pattern, pick } from './draw.js';
import { drawKind } from './image.js';

/** What is asked: an access, or an address translation instruction. */
export interface AArch64Question {
  readonly va: bigint;
  readonly access: number;
  readonly at: (typeof AT)[number] | null;
  /** The exception level that executes that. */
  readonly el: 1 | 2;
}

/** Tables, registers and questions for an AArch64 walker. */
export interface AArch64Case {
  readonly features: AArch64Features;
  readonly registers: ReferenceAArch64Registers;
  /** Whether there is a stage 2. */
  readonly nested: boolean;
  /** Whether the registers are written after the walkers were made. */
  readonly late: boolean;
  /** Where RAM begins. */
  readonly base: bigint;
  readonly words: BigUint64Array;
  /** The first word that can't be written where part of memory only reads; at least a page can. */
  readonly writable: number;
  readonly questions: readonly AArch64Question[];
}

/** The address translation instructions. */
export const AT = [
  ...(['S1E1R', 'S1E1W', 'S1E0R', 'S1E0W', 'S1E1RP', 'S1E1WP'] as const),
  ...(['S12E1R', 'S12E1W', 'S12E0R', 'S12E0W'] as const),
] as const;

/** Tables of a stage: one for each level, and one that only wrong pointers reach. */
const TABLES = 6;
/** Different descriptors in a table; they repeat over all of its entries. */
const VARIETY = 7;
/** Tables of each stage begin at a multiple of this. */
const ALIGNMENT = 0x10000;

/** A stage whose registers are mostly sound, and what tables for it must know. */
interface Stage {
  readonly granuleBits: number;
  readonly inputBits: number;
  readonly startLevel: number;
  readonly wide: boolean;
  /** Stage 2: walks of stage 1 pass through it often, so most of it lets them. */
  readonly second: boolean;
  /** Its root is so many tables in a row. */
  readonly rootTables: number;
  /** A guest's: it finds its tables in any order, so most entries should lead on. */
  readonly guest: boolean;
}

const bits = (value: number | boolean, low: number): bigint => BigInt(Number(value)) << BigInt(low);

function drawStage(draw: Draw, granuleBits: number, second: boolean): Stage {
  const stride = granuleBits - 3;
  const levels = granuleBits === 16 ? 3 : 4;
  const startLevel = second ? 4 - 1 - draw(levels) : 0;
  // A root of up to 16 tables, of 64 KiB up to two.
  const most = second ? granuleBits + stride * (4 - startLevel) + (granuleBits < 16 ? 4 : 1) : 48;
  const least = second ? granuleBits + stride * (3 - startLevel) + 1 : 25;
  const wide = once(draw, 3);
  const top = Math.min(most, wide ? 52 : 48);
  const usual = Math.max(top - draw(Math.max(top - least, 0) + 1), 16);
  const inputBits = once(draw, 24) ? 1 + draw(63) : usual;
  const needed = 4 - Math.max(1, Math.ceil((inputBits - granuleBits) / stride));
  const rootBits = inputBits - granuleBits - stride * (4 - startLevel);
  const rootTables = second ? 2 ** Math.min(Math.max(rootBits, 0), 4) : 1;
  const first = second ? startLevel : needed;
  return { granuleBits, inputBits, startLevel: first, wide, second, rootTables, guest: false };
}

/** A descriptor; `level` is where walks mostly meet it, `next` gives the address of the table below. */
function drawDescriptor(draw: Draw, stage: Stage, level: number, next: () => bigint): bigint {
  const noise = pattern(draw, 64);
  const { second } = stage;
  if (once(draw, second ? 60 : 24)) return noise;
  const page = level >= 3;
  const block = !page && once(draw, level > 0 && !second ? 4 : 20);
  const wideBits = stage.wide ? 52n : 48n;
  const type = page ? (once(draw, second ? 60 : 16) ? 1n : 3n) : block ? 1n : 3n;
  if (!page && !block) {
    // Attributes of tables are mostly clear, or nothing would be left to do.
    const attributes = once(draw, 4) ? noise & 0x7800_0000_0000_0000n : 0n;
    return attributes | encodeAddress(next(), stage) | type;
  }
  const anywhere = (): bigint => noise % (1n << wideBits);
  const lower = (): bigint => noise % (1n << 32n);
  const near = second || stage.guest;
  const output = pick(draw, near ? [next, next, next, next, anywhere] : [next, anywhere, lower])();
  const zeros = BigInt(stage.granuleBits + (stage.granuleBits - 3) * Math.max(0, 3 - level));
  const aligned = (output >> zeros) << zeros;
  const high = pattern(draw, 64) & 0x7f8_0000_0000_0000n; // DBM, contiguous, XN, and bits of software
  const never = once(draw, 2) ? 0n : 0x60_0000_0000_0000n;
  const flags = (noise & 0xffcn) | (once(draw, second ? 8 : 3) ? 0n : 0x400n) | bits(draw(4), 6);
  const readable = second && !once(draw, 8) ? 0x40n : 0n;
  const low = stage.wide && stage.granuleBits < 16 ? flags & ~0x300n : flags;
  return (high & ~never) | encodeAddress(aligned, stage) | low | readable | type;
}

/** An address where descriptors of the stage have it. */
function encodeAddress(address: bigint, { granuleBits, wide }: Stage): bigint {
  const low = address % (1n << 48n);
  if (!wide) return low;
  if (granuleBits === 16) return low | ((address >> 48n) << 12n);
  return (address % (1n << 50n)) | ((address >> 50n) << 8n);
}

/** The byte with which a table begins, counted from the root; of {@link TABLES}, where they end. */
function tableOffset({ granuleBits, rootTables }: Stage, table: number): number {
  return table === 0 ? 0 : (rootTables - 1 + table) * 2 ** granuleBits;
}

/** Bytes of a stage's tables. */
function bytesOf(stage: Stage): number {
  return Math.ceil(tableOffset(stage, TABLES) / ALIGNMENT) * ALIGNMENT;
}

/** Fills the tables of a stage, which begin at a word. */
function fill(
  draw: Draw,
  words: BigUint64Array,
  at: number,
  stage: Stage,
  next: (table: number) => bigint,
): void {
  const entries = 2 ** (stage.granuleBits - 3);
  for (let table = 0; table < TABLES; table++) {
    const level = Math.min(3, stage.startLevel + table);
    const variety = Array.from({ length: VARIETY }, () =>
      drawDescriptor(draw, stage, level, () => next(Math.min(table + 1, TABLES - 1))),
    );
    const first = at + tableOffset(stage, table) / 8;
    const count = table === 0 ? entries * stage.rootTables : entries;
    for (let i = 0; i < count; i++) words[first + i] = variety[i % VARIETY]!;
  }
}

/** Widths of addresses by IPS. */
const SIZES = [32, 36, 40, 42, 44, 48, 52, 52] as const;

function drawTcr(draw: Draw, low: Stage, high: Stage, ips: number): bigint {
  const tg0 = { 12: 0, 14: 2, 16: 1 }[low.granuleBits]!;
  const tg1 = { 12: 2, 14: 1, 16: 3 }[high.granuleBits]!;
  const flag = (at: number, times = 3): bigint => bits(once(draw, times), at);
  return (
    bits(64 - low.inputBits, 0) |
    flag(7, 40) |
    bits(draw(4), 12) |
    bits(once(draw, 30) ? 3 : tg0, 14) |
    bits(64 - high.inputBits, 16) |
    flag(23, 40) |
    bits(draw(4), 28) |
    bits(once(draw, 30) ? 0 : tg1, 30) |
    bits(ips, 32) |
    [37, 38, 39, 40, 41, 42, 51, 52].reduce((all, at) => all | flag(at), 0n) |
    flag(55, 20) |
    flag(56, 20) |
    bits(low.wide && low.granuleBits < 16, 59)
  );
}

function drawVtcr(draw: Draw, stage: Stage): bigint {
  const { granuleBits, inputBits, startLevel, wide } = stage;
  const sl0 = granuleBits === 12 ? (startLevel === 3 ? 3 : 2 - startLevel) : 3 - startLevel;
  return (
    bits(64 - inputBits, 0) |
    bits(once(draw, 40) ? draw(4) : sl0 & 3, 6) |
    bits(draw(4), 12) |
    bits(once(draw, 30) ? 3 : { 12: 0, 14: 2, 16: 1 }[granuleBits]!, 14) |
    bits(once(draw, 6) ? draw(8) : wide ? 6 : 5, 16) |
    bits(draw(4), 21) |
    bits(1, 31) |
    bits(wide && granuleBits < 16, 32) |
    bits(once(draw, 30), 33)
  );
}

function drawFeatures(draw: Draw): AArch64Features {
  const all = !once(draw, 2);
  const has = (): boolean => all || !once(draw, 4);
  return {
    lpa: has(),
    lva: has(),
    lpa2: has(),
    hafdbs: pick(draw, ['dirty', 'dirty', 'access-flag', 'none']),
    pan3: has(),
    e0pd: has(),
    ttst: has(),
    hpds: has(),
    physicalBits: all ? 52 : pick(draw, [52, 52, 48, 52, 40, 44, 32, 36, 42]),
  };
}

function drawQuestion(draw: Draw, low: Stage, high: Stage): AArch64Question {
  const random = pattern(draw, 64);
  const upper = once(draw, 2);
  const width = Math.max(1, (upper ? high : low).inputBits);
  const inside = random % (1n << BigInt(width));
  const usual = upper ? BigInt.asUintN(64, inside - (1n << BigInt(width))) : inside;
  const tagged = once(draw, 8) ? (usual % (1n << 56n)) | (random & (0xffn << 56n)) : usual;
  const va = once(draw, 30) ? random : tagged;
  const at = once(draw, 3) ? pick(draw, AT) : null;
  const kind = drawKind(draw);
  const lent = (kind & 3) === Access.Fetch ? 0 : Access.Unprivileged;
  const whose = pick(draw, [0, Access.User, lent]);
  const el = at?.startsWith('S12') || !once(draw, 2) ? 2 : 1;
  return { va: va & ~7n, access: kind | whose, at, el };
}

/** Attributes that the manual defines: Device, Normal, tagged, and those of FEAT_XS. */
function drawMair(draw: Draw): bigint {
  let mair = 0n;
  for (let index = 0; index < 8; index++) {
    const normal = ((1 + draw(15)) << 4) | (1 + draw(15));
    const attr = pick(draw, [normal, normal, 0xff, 0x44, draw(4) << 2, 0xf0, 0x40, 0xa0]);
    mair = (mair << 8n) | BigInt(attr);
  }
  return mair;
}

/** A case for a granule: of one stage, or of both. */
export function drawAArch64Case(
  draw: Draw,
  granuleBits: 12 | 14 | 16,
  nested: boolean,
  questions: number,
): AArch64Case {
  const other = once(draw, 4) ? pick(draw, [12, 14, 16]) : granuleBits;
  const low = { ...drawStage(draw, granuleBits, false), guest: nested };
  const high = { ...drawStage(draw, other, false), wide: low.wide };
  const second = drawStage(draw, once(draw, 3) ? pick(draw, [12, 14, 16]) : granuleBits, true);
  const bytes1 = bytesOf(low);
  const bytes2 = nested ? bytesOf(second) : 0;
  const words = new BigUint64Array((bytes1 + bytes2) / 8);
  const top = low.wide ? 52 : 48;
  const end = BigInt(bytes1 + bytes2);
  const ips = once(draw, 3) ? draw(8) : low.wide ? 6 : 5;
  const size = BigInt(SIZES[ips]!);
  const base = pick(draw, [
    ...[0x4000_0000n, 0x4000_0000n, 0x4000_0000n, 0n, (1n << BigInt(top)) - end],
    // Across the end of the output size.
    (1n << size) - BigInt(nested ? bytes1 / 2 : 2 ** granuleBits * (1 + draw(3))),
  ]);
  const table1 = (table: number): bigint => base + BigInt(tableOffset(low, table));
  const table2 = (table: number): bigint =>
    base + BigInt(bytes1) + BigInt(tableOffset(second, table));
  const intermediate = (): bigint => {
    const reach = BigInt(Math.max(granuleBits + 1, Math.min(second.inputBits, 48, Number(size))));
    const within = pattern(draw, 64) % (1n << reach);
    // Sometimes just above the output size.
    const address = once(draw, 12) ? (1n << size) + (within % (1n << 20n)) : within;
    return (address >> BigInt(granuleBits)) << BigInt(granuleBits);
  };
  fill(draw, words, 0, low, (table) => (nested ? intermediate() : table1(table)));
  if (nested) {
    // What stage 2 maps is mostly where stage 1's tables are.
    fill(draw, words, bytes1 / 8, second, (table) =>
      table + second.startLevel > 3 ? table1(draw(TABLES)) : table2(table),
    );
  }
  const root = (): bigint => (nested ? intermediate() : table1(once(draw, 20) ? draw(TABLES) : 0));
  const ttbr = (address: bigint): bigint =>
    (address % (1n << 48n)) | ((address >> 48n) << 2n) | (pattern(draw, 16) << 48n);
  const flag = (at: number, times = 3): bigint => bits(once(draw, times), at);
  return {
    features: drawFeatures(draw),
    registers: {
      tcr: drawTcr(draw, low, high, ips),
      ttbr0: ttbr(root()),
      ttbr1: ttbr(root()),
      sctlr:
        0x30d0_0800n |
        bits(!once(draw, 30), 0) |
        bits(!once(draw, 4), 2) |
        bits(!once(draw, 4), 12) |
        flag(19) |
        flag(57),
      mair: drawMair(draw),
      pan: once(draw, 2),
      hcr:
        bits(1, 31) |
        bits(!once(draw, 12), 0) |
        flag(2) |
        flag(12, 16) |
        flag(27, 20) |
        flag(32) |
        flag(33) |
        flag(37) |
        flag(46),
      vtcr: drawVtcr(draw, second),
      vttbr: ttbr(table2(0)),
    },
    nested,
    late: once(draw, 2),
    base,
    words,
    writable: (1 + draw(words.length / 512 - 1)) * 512,
    questions: Array.from({ length: questions }, () => drawQuestion(draw, low, high)),
  };
}

/** The `Access` bits of an AT instruction. */
export function atAccess(instruction: (typeof AT)[number]): number {
  const kind = instruction.includes('W') ? Access.Write : Access.Read;
  return kind | (instruction.includes('E0') ? Access.User : 0);
}
