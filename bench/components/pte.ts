// Entry formats: the accessors of inner loops over arrays of entries, and the friendly codecs.
import { bigintFromWords } from 'pagewright/core';
import { type PteFormat, sv39, x86Long4 } from 'pagewright/pte';
import type { Case, Component, CWork, Work } from '../component.js';
import { xorshift } from '../page-tables.js';

const ENTRIES = 65536;

/** Flags of the leaves that are built: the low word's, and bit 62. */
const BUILD_LOW = 7;
const BUILD_HIGH = 0x40000000;

interface Entries {
  readonly lows: Int32Array;
  readonly highs: Int32Array;
  readonly levels: Uint8Array;
  /** Aligned to their level. */
  readonly pfns: Float64Array;
}

/** Leaves of all sizes (three of four are of base pages), a few pointers and empty entries between them. */
function entriesOf(format: PteFormat): Entries {
  const random = xorshift();
  const entries = {
    lows: new Int32Array(ENTRIES),
    highs: new Int32Array(ENTRIES),
    levels: new Uint8Array(ENTRIES),
    pfns: new Float64Array(ENTRIES),
  };
  for (let i = 0; i < ENTRIES; i++) {
    const level = Math.max(0, (random() & 7) - 5);
    const pages = format.levelPages[level]!;
    const pfn = Math.floor((random() + (random() & 15) * 2 ** 32) / pages) * pages;
    const flags = format.architecture === 'x86' ? 0x67 : 0xd7;
    const roll = random() & 63;
    entries.levels[i] = level;
    entries.pfns[i] = pfn;
    if (roll === 0) continue;
    const pointer = roll < 4 && level > 0;
    entries.lows[i] = pointer ? format.tableLow(pfn, 1) : format.leafLow(pfn, level, flags);
    entries.highs[i] = pointer ? format.tableHigh(pfn, 0) : format.leafHigh(pfn, level, 0);
  }
  return entries;
}

const ACCESSORS = ['kindOf', 'leafPfn', 'leafPages', 'leafLow and leafHigh'] as const;
type Accessor = (typeof ACCESSORS)[number];

type Loop = (format: PteFormat, entries: Entries, start: number, end: number) => number;

/** One loop for each accessor, written out so that each has a call site of its own. */
const LOOPS: Readonly<Record<Accessor, Loop>> = {
  kindOf: (format, { lows, highs, levels }, start, end) => {
    let sum = 0;
    for (let i = start; i < end; i++) {
      if (format.kindOf(lows[i]!, highs[i]!, levels[i]!) === 'leaf') sum++;
    }
    return sum;
  },
  leafPfn: (format, { lows, highs, levels }, start, end) => {
    let sum = 0;
    for (let i = start; i < end; i++) sum += format.leafPfn(lows[i]!, highs[i]!, levels[i]!);
    return sum;
  },
  leafPages: (format, { lows, highs, levels }, start, end) => {
    let sum = 0;
    for (let i = start; i < end; i++) sum += format.leafPages(lows[i]!, highs[i]!, levels[i]!);
    return sum;
  },
  'leafLow and leafHigh': (format, { pfns, levels }, start, end) => {
    let sum = 0;
    for (let i = start; i < end; i++) {
      const low = format.leafLow(pfns[i]!, levels[i]!, BUILD_LOW);
      const high = format.leafHigh(pfns[i]!, levels[i]!, BUILD_HIGH);
      sum += (low ^ high) >>> 0;
    }
    return sum;
  },
};

/** The formats that loops choose from at run time. */
const FORMATS: readonly PteFormat[] = [x86Long4, sv39];

function accessorWork(format: PteFormat, accessor: Accessor): Work {
  const entries = entriesOf(format);
  const which = FORMATS.indexOf(format);
  const loop = LOOPS[accessor];
  return { units: ENTRIES, run: (start, end) => loop(FORMATS[which]!, entries, start, end) };
}

function cWork(format: PteFormat, accessor: Accessor): CWork {
  const { levels, pfns } = entriesOf(format);
  const building = accessor === 'leafLow and leafHigh';
  const words = building ? BigUint64Array.from(pfns, BigInt) : wordsOf(format);
  const name = building ? 'build' : accessor;
  return { source: 'pte.c', args: [format.name, name], inputs: [words, levels], units: ENTRIES };
}

function wordsOf(format: PteFormat): BigUint64Array {
  const { lows, highs } = entriesOf(format);
  return BigUint64Array.from(lows, (low, i) => bigintFromWords(low, highs[i]!));
}

/** Textbook code: a bigint entry, shifted and masked. */
class NaiveFormat {
  private readonly riscv: boolean;
  private readonly shift: bigint;
  private readonly mask: bigint;

  constructor(format: PteFormat) {
    this.riscv = format.architecture === 'riscv';
    this.shift = BigInt(format.frameShift);
    this.mask = (1n << BigInt(format.frameBits)) - 1n;
  }

  kindOf(entry: bigint, level: bigint): string {
    if ((entry & 1n) === 0n) return 'not-present';
    if (this.riscv) return (entry & 0xen) !== 0n ? 'leaf' : 'pointer';
    return level === 0n || ((entry & 0x80n) !== 0n && level < 3n) ? 'leaf' : 'pointer';
  }

  leafPfn(entry: bigint, level: bigint): bigint {
    const frame = (entry >> this.shift) & this.mask & ~((1n << (9n * level)) - 1n);
    return this.isNapot(entry, level) ? frame - 8n : frame;
  }

  leafPages(entry: bigint, level: bigint): bigint {
    return this.isNapot(entry, level) ? 16n : 1n << (9n * level);
  }

  leaf(pfn: bigint, level: bigint, flags: bigint): bigint {
    const size = !this.riscv && level > 0n ? 0x80n : 0n;
    return ((pfn & this.mask) << this.shift) | size | flags;
  }

  private isNapot(entry: bigint, level: bigint): boolean {
    if (!this.riscv || level !== 0n || entry >> 63n === 0n) return false;
    return ((entry >> this.shift) & 15n) === 8n;
  }
}

function naiveWork(format: PteFormat, accessor: Accessor): Work {
  const naive = new NaiveFormat(format);
  const words = [...wordsOf(format)];
  const { levels: small, pfns } = entriesOf(format);
  const levels = Array.from(small, BigInt);
  const frames = Array.from(pfns, BigInt);
  const flags = (BigInt(BUILD_HIGH) << 32n) | BigInt(BUILD_LOW);
  const one = (i: number): bigint => {
    switch (accessor) {
      case 'kindOf':
        return naive.kindOf(words[i]!, levels[i]!) === 'leaf' ? 1n : 0n;
      case 'leafPfn':
        return naive.leafPfn(words[i]!, levels[i]!);
      case 'leafPages':
        return naive.leafPages(words[i]!, levels[i]!);
      default: {
        const entry = naive.leaf(frames[i]!, levels[i]!, flags);
        return (entry & 0xffffffffn) ^ (entry >> 32n);
      }
    }
  };
  const run = (start: number, end: number): number => {
    let sum = 0n;
    for (let i = start; i < end; i++) sum += one(i);
    return Number(sum);
  };
  return { units: ENTRIES, run };
}

const accessorCases: readonly Case[] = FORMATS.flatMap((format) =>
  ACCESSORS.map(
    (accessor): Case => ({
      name: `${format.name} ${accessor}`,
      what: `${accessor} of 65,536 ${format.name} entries of all sizes`,
      ours: () => accessorWork(format, accessor),
      c: () => cWork(format, accessor),
      naive: () => naiveWork(format, accessor),
    }),
  ),
);

/** `decode` and `encode`, which answer people: for orientation. */
const codecCases: readonly Case[] = FORMATS.flatMap((format): Case[] => {
  const work = (one: (word: bigint, level: number) => number): Work => {
    const words = [...wordsOf(format)];
    const { levels } = entriesOf(format);
    const run = (start: number, end: number): number => {
      let sum = 0;
      for (let i = start; i < end; i++) sum += one(words[i]!, levels[i]!);
      return sum;
    };
    return { units: ENTRIES, run };
  };
  return [
    {
      name: `${format.name} decode`,
      what: `decode: a ${format.name} entry as an object with every field`,
      ours: () => work((word, level) => format.decode(word, level).pages),
    },
    {
      name: `${format.name} decode and encode`,
      what: `encode(decode(entry)): there and back, every field`,
      ours: () =>
        work((word, level) => (format.encode(format.decode(word, level)) === word ? 1 : 0)),
    },
  ];
});

export const pte: Component = {
  name: 'pte',
  cases: [...accessorCases, ...codecCases],
  targets: [
    { text: 'accessors against C', cases: accessorCases.map(({ name }) => name), against: 'c' },
    {
      text: 'accessors against textbook bigint',
      cases: accessorCases.map(({ name }) => name),
      against: 'naive',
    },
  ],
};
