import { type Draw, once } from '../walk/agreement/draw.js';

/** Low bits of a kind of entry. */
interface Bits {
  /** Set in every one. */
  readonly always: number;
  /** Set in most, so that walks get far. */
  readonly mostly: number;
  /** Noise beside those. */
  readonly noise: number;
}

/** What entries of a format look like, for garbage that is nearly right. */
export interface Style {
  readonly entryBytes: 4 | 8;
  /** The lowest bit of a frame number. */
  readonly frameShift: number;
  readonly pointer: Bits;
  readonly leaf: Bits;
  /** The highest level of a leaf. */
  readonly largest: number;
  /** Other pointers of level 2. */
  readonly root?: Bits;
}

/** Pointers have V alone; leaves are mostly readable. */
const RISCV = {
  frameShift: 10,
  pointer: { always: 0x1, mostly: 0, noise: 0x300 },
  leaf: { always: 0x1, mostly: 0x42, noise: 0x3bc },
  largest: 2,
};
/** Where every access is a user's; whether a guest's tables may be written is a matter of chance. */
const RISCV_G = { ...RISCV, leaf: { always: 0x1, mostly: 0x5a, noise: 0x3a4 } };
/** Pointers have rights, and A or not; leaves PS. */
const X86 = {
  frameShift: 12,
  pointer: { always: 0x1, mostly: 0x6, noise: 0xf78 & ~0x80 },
  leaf: { always: 0x81, mostly: 0x6, noise: 0xf78 },
  largest: 2,
};

/** The styles by name. */
export const STYLES = {
  riscv4: { ...RISCV, entryBytes: 4 },
  riscv8: { ...RISCV, entryBytes: 8 },
  riscvG4: { ...RISCV_G, entryBytes: 4 },
  riscvG8: { ...RISCV_G, entryBytes: 8 },
  x86short: { ...X86, entryBytes: 4 },
  x86: { ...X86, entryBytes: 8 },
  /** PDPTEs have no rights. */
  pae: { ...X86, entryBytes: 8, root: { always: 0x1, mostly: 0, noise: 0xe18 } },
  /** RWX and XU; in leaves PS and write-back memory, and W by chance. */
  ept: {
    entryBytes: 8,
    frameShift: 12,
    pointer: { always: 0, mostly: 0x407, noise: 0xb00 },
    leaf: { always: 0x80, mostly: 0x435, noise: 0xb42 },
    largest: 2,
  },
} satisfies Record<string, Style>;

/** Tables that are all garbage, or nearly right. */
export interface Tables {
  readonly style: Style;
  /** Of 64 entries so many are noise, others have a wrong bit or lead astray. */
  readonly chaos: number;
  /** The level of a page's entries. */
  readonly level: (page: number) => number;
  /** The frame in a pointer of a page's entry; `astray` when it should be a bad one. */
  readonly table: (page: number, astray: boolean) => number;
  /** The frame in a leaf. */
  readonly frame: (page: number, astray: boolean) => number;
}

/** Different entries in a page; they repeat. */
const VARIETY = 127;

/** Fills pages of RAM. */
export function fillWithGarbage(
  words: Int32Array,
  from: number,
  pages: number,
  tables: Tables,
  draw: Draw,
): void {
  const step = tables.style.entryBytes / 4;
  for (let page = 0; page < pages; page++) {
    const first = (from + page) * 1024;
    for (let at = 0; at < VARIETY; at++) {
      const [low, high] = garbage(tables, page, draw);
      words[first + at * step] = low;
      if (step === 2) words[first + at * step + 1] = high;
    }
    for (let at = VARIETY * step; at < 1024; at++) {
      words[first + at] = words[first + at - VARIETY * step]!;
    }
  }
}

function garbage(
  { chaos, frame, level, style, table }: Tables,
  page: number,
  draw: Draw,
): readonly [number, number] {
  const dice = draw(2 ** 32);
  const noise = draw(2 ** 32) | 0;
  const happens = (at: number): boolean => ((dice >>> at) & 63) < chaos;
  if (happens(0)) return [noise, draw(2 ** 32) | 0];
  // Of eight entries two map something, at the last level seven; the others point at tables.
  const many = level(page) === 0 ? 7 : level(page) > style.largest ? 0 : 2;
  const maps = ((dice >>> 6) & 7) < many;
  const pointer = (level(page) === 2 && style.root) || style.pointer;
  const { always, mostly, noise: free } = maps ? style.leaf : pointer;
  const bits = always | (happens(9) ? noise & (mostly | free) : mostly | (noise & free));
  const pfn = (maps ? frame : table)(page, happens(15));
  const unit = 2 ** (32 - style.frameShift);
  // Upper bits are noise now and then: reserved bits, XD, N, keys.
  const odd = happens(21) ? 1 << ((dice >>> 27) & 31) : 0;
  return [((pfn % unit) << style.frameShift) | bits, Math.floor(pfn / unit) | odd];
}

/** Spoils some of so many entries: noise, one bit, or what stands elsewhere, so that tables lead into each other. */
export function spoil(entries: BigUint64Array, times: number, draw: Draw): void {
  for (let i = 0; i < times; i++) {
    const at = draw(entries.length);
    if (once(draw, 4)) entries[at] = (BigInt(draw(2 ** 32)) << 32n) | BigInt(draw(2 ** 32));
    else if (once(draw, 2)) entries[at] = entries[at]! ^ (1n << BigInt(draw(64)));
    else entries[at] = entries[draw(entries.length)]!;
  }
}
