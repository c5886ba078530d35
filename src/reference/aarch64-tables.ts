import {
  bit,
  field,
  type ReferenceAArch64Stage,
  type ReferenceAArch64Status,
} from './aarch64-stage.js';

/** An entry that the walk changed. */
export interface ReferenceAArch64Write {
  readonly pa: bigint;
  readonly value: bigint;
}

/** Why a stage does not translate. */
export interface Refusal {
  readonly kind: 'refusal';
  readonly status: ReferenceAArch64Status;
  readonly level: number;
  readonly stage: 1 | 2;
  readonly ptw: boolean;
  readonly ipa: bigint | null;
  /** A read would be refused as well. */
  readonly readToo: boolean;
}

/** A leaf, found and allowed. */
export interface Leaf {
  readonly kind: 'leaf';
  readonly descriptor: bigint;
  /** Its own address, after stage 2. */
  readonly where: bigint;
  /** Its own address, before stage 2. */
  readonly place: bigint;
  readonly level: number;
  /** The bits that are set in some table above. */
  readonly tables: bigint;
  readonly output: bigint;
  readonly bytes: bigint;
}

/** Makes a refusal. */
export const refusal = (
  status: ReferenceAArch64Status,
  level: number,
  stage: 1 | 2,
  readToo = true,
): Refusal => ({ kind: 'refusal', status, level, stage, ptw: false, ipa: null, readToo });

/** Physical memory with the changes of this walk. */
export class Memory {
  readonly writes: ReferenceAArch64Write[] = [];
  private readonly below: (pa: bigint) => bigint | null;
  private readonly takesWrites: (pa: bigint) => boolean;

  constructor(below: (pa: bigint) => bigint | null, takesWrites: (pa: bigint) => boolean) {
    this.below = below;
    this.takesWrites = takesWrites;
  }

  read(pa: bigint): bigint | null {
    return this.writes.find((write) => write.pa === pa)?.value ?? this.below(pa);
  }

  /** Whether it was written: what only reads makes an external abort of it. */
  write(pa: bigint, value: bigint): boolean {
    if (!this.takesWrites(pa)) return false;
    const earlier = this.writes.findIndex((write) => write.pa === pa);
    if (earlier >= 0) this.writes.splice(earlier, 1);
    this.writes.push({ pa, value });
    return true;
  }
}

/** AArch64.BlockDescSupported. */
function hasBlocks({ descriptors, granuleBits }: ReferenceAArch64Stage, level: number): boolean {
  if (level === 2) return true;
  if (granuleBits === 12) return level === 1 || (level === 0 && descriptors === 'lpa2');
  return level === 1 && descriptors !== '48';
}

/** The address in a descriptor, aligned to `bits` (AArch64.LeafBase, AArch64.NextTableBase). */
function addressIn(stage: ReferenceAArch64Stage, descriptor: bigint, bits: number): bigint {
  const top = stage.descriptors === 'lpa2' ? 49 : 47;
  const address = field(descriptor, top, bits) << BigInt(bits);
  if (stage.descriptors === 'lpa2') return address | (field(descriptor, 9, 8) << 50n);
  if (stage.descriptors === 'lpa') return address | (field(descriptor, 15, 12) << 48n);
  return address;
}

/** AArch64.S1Walk and S2Walk: from the root to a leaf. `locate` gives the physical address of a descriptor. */
export function walkTables(
  stage: ReferenceAArch64Stage,
  number: 1 | 2,
  input: bigint,
  memory: Memory,
  locate: (place: bigint) => bigint | Refusal,
): Leaf | Refusal {
  if (stage.fault !== null) return refusal(stage.fault, 0, number);
  const stride = stage.granuleBits - 3;
  let base = stage.root;
  let tables = 0n;
  for (let level = stage.startLevel; ; level++) {
    // 1. The index: all remaining bits at the root.
    const low = stage.granuleBits + (3 - level) * stride;
    const high = level === stage.startLevel ? stage.inputBits - 1 : low + stride - 1;
    const place = base + 8n * field(input, high, low);
    // 2. Read the descriptor.
    const where = locate(place);
    if (typeof where !== 'bigint') return where;
    const descriptor = memory.read(where);
    if (descriptor === null) return refusal('ExternalAbort', level, number);
    // 3. Invalid, table, block or page.
    const block = !bit(descriptor, 1);
    if (!bit(descriptor, 0) || (block && (level === 3 || !hasBlocks(stage, level)))) {
      return refusal('Translation', level, number);
    }
    // 4. Its address must fit the output size.
    const leaf = block || level === 3;
    const address = addressIn(stage, descriptor, leaf ? low : stage.granuleBits);
    if (address >> BigInt(stage.outputBits) !== 0n) return refusal('AddressSize', level, number);
    if (leaf) {
      const bytes = 2n ** BigInt(low);
      const output = address + (input % bytes);
      return { kind: 'leaf', descriptor, where, place, level, tables, output, bytes };
    }
    tables |= descriptor;
    base = address;
  }
}
