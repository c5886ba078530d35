import type { BitRange, EntryBits, LevelDescription, PteFormatDescription } from 'pagewright/pte';
import type { ReferencePolicy } from '../../../src/reference/format-walk.js';
import { type Draw, once, pattern, pick } from './draw.js';
import { drawKind } from './image.js';

/** Bytes of RAM in an image. */
export const FORMAT_RAM_BYTES = 8192;

/** A description and the bits that it leaves free. */
interface Drawn {
  readonly description: PteFormatDescription;
  readonly reservedMask: bigint;
}

/** Walks in a format that nobody has thought of. */
export interface FormatCase {
  readonly description: PteFormatDescription;
  readonly policy: ReferencePolicy;
  /** The physical address of the RAM. */
  readonly base: bigint;
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** The frame of the root table, in the format's pages. */
  readonly root: number;
  readonly questions: readonly { readonly va: bigint; readonly access: number }[];
}

/** Takes bits of an entry one by one. */
class FreeBits {
  private readonly draw: Draw;
  private readonly free: number[];

  constructor(draw: Draw, bits: number, high: number, low: number) {
    this.draw = draw;
    this.free = Array.from({ length: bits }, (_, bit) => bit).filter(
      (bit) => bit < low || bit > high,
    );
  }

  /** A bit below `end` that nobody has, or `undefined`. */
  take(end = 64): number | undefined {
    const candidates = this.free.filter((bit) => bit < end);
    if (candidates.length === 0) return undefined;
    const bit = pick(this.draw, candidates);
    this.free.splice(this.free.indexOf(bit), 1);
    return bit;
  }
}

/** An option that is there or not. */
function maybe<K extends string, V>(name: K, value: V | undefined): { readonly [k in K]?: V } {
  const option: { [k in K]?: V } = {};
  if (value !== undefined) option[name] = value;
  return option;
}

function drawBits(draw: Draw, free: FreeBits, frame: BitRange, byRights: boolean): EntryBits {
  const valid = free.take() ?? 0;
  const right = (): number | { not: number } | undefined => {
    const bit = once(draw, 3) ? undefined : free.take();
    return bit === undefined || byRights || !once(draw, 3) ? bit : { not: bit };
  };
  const flag = (end: number): number | undefined => (once(draw, 3) ? undefined : free.take(end));
  return {
    valid,
    frame,
    ...maybe('read', right()),
    ...maybe('write', right()),
    ...maybe('execute', right()),
    ...maybe('user', right()),
    ...maybe('accessed', flag(32)),
    ...maybe('dirty', flag(32)),
    ...maybe('global', once(draw, 2) ? undefined : free.take()),
  };
}

function drawLevels(draw: Draw, entryBytes: number, pageBytes: number): LevelDescription[] {
  const count = 1 + draw(4);
  return Array.from({ length: count }, () => {
    const bits = once(draw, 12) ? 8 + draw(6) : 1 + draw(4);
    const bytes = 2 ** bits * entryBytes;
    return { bits, ...maybe('tableBytes', bytes > pageBytes ? bytes : undefined) };
  });
}

/** The levels with huge pages here and there, where frame numbers have room for them. */
function withHuge(
  draw: Draw,
  levels: readonly LevelDescription[],
  frameBits: number,
): LevelDescription[] {
  let below = levels.reduce((sum, { bits }) => sum + bits, 0);
  return levels.map((level) => {
    below -= level.bits;
    return below > 0 && below < frameBits && draw(2) === 0 ? { ...level, huge: true } : level;
  });
}

/** A bit that marks huge leaves when it is set, or pointers. */
function drawMark(draw: Draw, free: FreeBits): EntryBits['leaf'] {
  const pointers = once(draw, 3);
  const bit = free.take(pointers ? 32 : 64);
  return bit === undefined || !pointers ? bit : { not: bit };
}

/** The levels, all but the first that is huge now and then with a mark of their own. */
function withMarks(
  draw: Draw,
  levels: readonly LevelDescription[],
  free: FreeBits,
): LevelDescription[] {
  const first = levels.findIndex(({ huge }) => huge === true);
  return levels.map((level, at) => {
    if (level.huge !== true || at === first || !once(draw, 2)) return level;
    return { ...level, ...maybe('leaf', free.take()) };
  });
}

/** A description that `definePteFormat` takes. */
export function drawDescription(draw: Draw): PteFormatDescription {
  return drawFormat(draw).description;
}

function drawFormat(draw: Draw): Drawn {
  const entryBytes = pick(draw, [4, 8, 2, 1] as const);
  const entryBits = 8 * entryBytes;
  const pageBytes = 2 ** pick(draw, [4, 5, 6, 8, 11, 12, 13]);
  const pageShift = Math.log2(pageBytes);
  const width = Math.min(64 - pageShift, 52, 3 + draw(entryBits - 5));
  const low = draw(entryBits - width + 1);
  const frame: BitRange = [low + width - 1, low];
  const free = new FreeBits(draw, entryBits, low + width - 1, low);
  const byRights = once(draw, 3);
  const plain = drawBits(draw, free, frame, byRights);
  const { read, write, execute, user, accessed } = plain;
  const some = [read, write, execute].some((right) => right !== undefined);
  const shape = drawLevels(draw, entryBytes, pageBytes);
  const huge = withHuge(draw, shape, width);
  const anyHuge = huge.some((level) => level.huge === true);
  const mark = byRights && some ? 'rights' : anyHuge ? drawMark(draw, free) : undefined;
  const levels =
    mark === undefined ? shape : mark === 'rights' ? huge : withMarks(draw, huge, free);
  const deep = levels.length > 1;
  const reservedBit = (): BitRange[] => {
    const bit = once(draw, 3) ? free.take() : undefined;
    return bit === undefined ? [] : [bit];
  };
  const [everywhere, inPointers, inLeaves] = [reservedBit(), reservedBit(), reservedBit()];
  const reserved =
    draw(2) === 0
      ? [...everywhere, ...inPointers, ...inLeaves]
      : { pointers: [...everywhere, ...inPointers], leaves: [...everywhere, ...inLeaves] };
  const mayHaveRights = mark !== 'rights' && (some || user !== undefined);
  const description: PteFormatDescription = {
    name: 'drawn',
    pageBytes,
    entryBytes,
    levels,
    bits: { ...plain, ...maybe('leaf', mark) },
    pointers: {
      rights: deep && mayHaveRights && draw(2) === 0,
      accessed: deep && accessed !== undefined && draw(2) === 0,
    },
    reserved,
    ...maybe(
      'misaligned',
      mark !== undefined && anyHuge && draw(2) === 0 ? ('ignored' as const) : undefined,
    ),
    ...maybe(
      'writeOnly',
      read !== undefined && write !== undefined && draw(2) === 0
        ? ('reserved' as const)
        : undefined,
    ),
    signExtended: pageShift >= 12 && draw(2) === 0,
  };
  const list = [...everywhere, ...inPointers, ...inLeaves];
  return {
    description,
    reservedMask: list.reduce((mask, bit) => mask | (1n << BigInt(Number(bit))), 0n),
  };
}

/** Writes a little-endian value where there is room for it. */
function put(bytes: Uint8Array, at: number, size: number, value: bigint): void {
  for (let i = 0; i < size && at + i < bytes.length; i++) {
    bytes[at + i] = Number((value >> BigInt(8 * i)) & 0xffn);
  }
}

/** Tables that lead to one another, and addresses that lead through them. */
export function drawFormatCase(draw: Draw, questions: number): FormatCase {
  const { description, reservedMask } = drawFormat(draw);
  const { bits, entryBytes, levels, pageBytes } = description;
  const pageShift = Math.log2(pageBytes);
  const [high, low] = typeof bits.frame === 'number' ? [bits.frame, bits.frame] : bits.frame;
  const reach = BigInt(pageBytes) << BigInt(high - low + 1);
  // Anywhere that frame numbers reach, in whole 8 KiB.
  const base = draw(2) === 0 ? 0n : (pattern(draw, 64) % reach) & ~0x1fffn;
  const firstFrame = base / BigInt(pageBytes);
  const ramFrames = FORMAT_RAM_BYTES / pageBytes;
  const tables = Array.from({ length: 5 }, (_, i) => (i === 0 ? 0 : draw(ramFrames)));
  const indexes = [draw(2), draw(2 ** 13), draw(2 ** 13)];
  const bytes = new Uint8Array(FORMAT_RAM_BYTES);
  const frameMask = (reach / BigInt(pageBytes) - 1n) << BigInt(low);
  for (const [which, table] of tables.entries()) {
    const level = levels[Math.min(which, levels.length - 1)]!;
    for (const index of indexes) {
      let frame = firstFrame + BigInt(tables[Math.min(which + 1, 4)]!);
      if (once(draw, 4)) frame = pattern(draw, 52) << BigInt(pick(draw, [0, 4, 8, 12]));
      let entry = pattern(draw, 8 * entryBytes) & ~frameMask;
      if (!once(draw, 16)) entry |= 1n << BigInt(bits.valid);
      if (!once(draw, 16)) entry &= ~reservedMask;
      entry |= (frame << BigInt(low)) & frameMask;
      put(bytes, table * pageBytes + (index % 2 ** level.bits) * entryBytes, entryBytes, entry);
    }
  }
  const width = levels.reduce((sum, level) => sum + level.bits, pageShift);
  const address = (): bigint => {
    let va = 0n;
    for (const level of levels) {
      va = (va << BigInt(level.bits)) | BigInt(pick(draw, indexes) % 2 ** level.bits);
    }
    va = (va << BigInt(pageShift)) | BigInt(draw(pageBytes));
    if (once(draw, 16)) return pattern(draw, Math.min(64, pageShift + 52));
    return description.signExtended === true ? BigInt.asUintN(64, BigInt.asIntN(width, va)) : va;
  };
  return {
    description,
    policy: drawPolicy(draw),
    base,
    bytes,
    root: Number(firstFrame),
    questions: Array.from({ length: questions }, () => ({
      va: address(),
      access: drawKind(draw) | (draw(2) === 0 ? 0 : 4),
    })),
  };
}

/** What the machine does where a format leaves it open. */
export function drawPolicy(draw: Draw): ReferencePolicy {
  return {
    updates: once(draw, 3) ? 'software' : 'hardware',
    accessedOnFault: once(draw, 3),
    supervisorOnUserPages: once(draw, 2) ? draw(16) : 15,
    supervisorIgnoresWrite: once(draw, 3),
    executableIsReadable: once(draw, 3),
  };
}
