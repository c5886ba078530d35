import { BUS_ERROR, PhysicalMemory } from 'pagewright/memory';

// Physical memory is 20 KiB at 0: the root in frame 1, then the tables of lower levels in the frames that follow. A case
// gives the entry of the last table, or whole tables.

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

/** What kind of memory a case needs. */
export type Kind = 'ram' | 'rom' | 'contended';

/** Memory with the given entries in it. */
export function memoryOf(
  entries: Readonly<Record<number, bigint>>,
  kind: Kind,
  bytes: number = BYTES,
): PhysicalMemory {
  const words = new BigUint64Array(bytes / 8);
  for (const [address, entry] of Object.entries(entries)) words[Number(address) / 8] = entry;
  if (kind === 'rom') return romOf(words);
  const memory = kind === 'ram' ? new PhysicalMemory() : new ContendedMemory();
  memory.addRam({ base: 0, source: words });
  return memory;
}

/** A case made from the text of a manual, for one rule. */
export interface RuleCase<Rule, Options, Walker, Answer> {
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
  /** Entries after the access, by address; where they are given, A and D of all others are as before. */
  readonly after?: Readonly<Record<number, bigint>>;
  /** The frame, or the architecture's fault. */
  readonly answer: number | Answer;
}
