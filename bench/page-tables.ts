// Page tables to walk, built in a buffer; every contestant of a case gets the same bytes.
import type { PteFormat } from 'pagewright/pte';

/** The first frame of the RAM: not 0, so that no contestant may forget to subtract it. */
export const FIRST_PFN = 0x800;

const FRAME_WORDS = 1024;

/** Tables and the pages that they map. */
export interface Tables {
  readonly format: PteFormat;
  /** RAM from {@link FIRST_PFN} on: the tables, then as many free frames again. */
  readonly ram: ArrayBuffer;
  readonly root: number;
  /** The mapped pages, one after another. */
  readonly firstVpn: number;
  readonly pages: number;
}

export interface TableOptions {
  readonly format: PteFormat;
  readonly pages: number;
  /** Whether accessed and dirty bits are set already. @defaultValue true */
  readonly touched?: boolean;
  /** Whether the leaves are Svnapot groups of 16 pages. @defaultValue false */
  readonly napot?: boolean;
  /** Whether the frames follow one another from {@link COMPACT_PFN} on. @defaultValue false: in no order */
  readonly compact?: boolean;
}

/** The first of compact frames. */
export const COMPACT_PFN = 0x40000;

/** Maps user pages that can be read and written, to frames in no order. */
export function makeTables(options: TableOptions): Tables {
  const { compact = false, format, pages, touched = true, napot = false } = options;
  const { levels, levelPages, indexBits, entryBytes } = format;
  const firstVpn = firstVpnOf(format);
  let tables = 1;
  for (let level = 0; level < levels - 1; level++)
    tables += 1 + Math.ceil(pages / levelPages[level + 1]!);
  const ram = new ArrayBuffer(2 * tables * FRAME_WORDS * 4);
  const words = new Int32Array(ram);
  const flags = flagsOf(format, touched);
  const root = FIRST_PFN;
  let nextTable = root + 1;
  const slot = (table: number, vpn: number, level: number): number => {
    const index = Math.floor(vpn / levelPages[level]!) % 2 ** indexBits[level]!;
    return (table - FIRST_PFN) * FRAME_WORDS + index * (entryBytes / 4);
  };
  const put = (at: number, low: number, high: number): void => {
    words[at] = low;
    if (entryBytes === 8) words[at + 1] = high;
  };
  for (let page = 0; page < pages; page++) {
    const vpn = firstVpn + page;
    let table = root;
    for (let level = levels - 1; level > 0; level--) {
      const at = slot(table, vpn, level);
      if ((words[at]! & 1) === 0) {
        // The PDPTEs of PAE have no rights and no accessed bit.
        const pointer = format.name === 'x86Pae' && level === 2 ? 1 : flags.pointer;
        put(at, format.tableLow(nextTable, pointer), format.tableHigh(nextTable, 0));
        nextTable++;
      }
      table = format.tablePfn(words[at]!, entryBytes === 8 ? words[at + 1]! : 0);
    }
    const single = compact ? COMPACT_PFN + page : frameOf(format, page);
    const pfn = napot ? frameOf(format, page >>> 4) * 16 + 8 : single;
    const high = format.leafHigh(pfn, 0, flags.leafHigh | (napot ? -0x80000000 : 0));
    put(slot(table, vpn, 0), format.leafLow(pfn, 0, flags.leaf), high);
  }
  return { format, ram, root, firstVpn, pages };
}

/** In the lower half of the address space, far enough up that every level has another index. */
function firstVpnOf(format: PteFormat): number {
  if (format.virtualBits >= 48) return 0x7f1200000;
  return format.virtualBits === 39 ? 0x3200000 : 0x80000;
}

/** Frames above 4 GiB, where the format reaches that far. */
function frameOf(format: PteFormat, page: number): number {
  const scattered = (page * 7919) & 0x7ffff;
  return (format.entryBytes === 8 ? 0x200000 : 0x40000) + scattered;
}

function flagsOf(
  format: PteFormat,
  touched: boolean,
): { leaf: number; leafHigh: number; pointer: number } {
  // Valid, table; AF, AP[1], and UXN, as data pages have it.
  if (format.architecture === 'aarch64') {
    return { leaf: touched ? 0x441 : 0x41, leafHigh: 0x400000, pointer: 3 };
  }
  // V R W U, A D.
  if (format.architecture === 'riscv')
    return { leaf: touched ? 0xd7 : 0x17, leafHigh: 0, pointer: 1 };
  // P RW US, A D; and XD, as data pages have it.
  const leafHigh = format.entryBytes === 8 ? -0x80000000 : 0;
  return { leaf: touched ? 0x67 : 0x07, leafHigh, pointer: touched ? 0x27 : 0x07 };
}

/** In which order pages are used. */
export type Order = 'sequential' | 'random';

/** Page numbers to translate, all of them mapped: at least 65,536 and each page once on average. */
export function pageStream(tables: Tables, order: Order): Float64Array {
  const random = xorshift();
  return Float64Array.from({ length: Math.max(65536, tables.pages) }, (_, n) => {
    return tables.firstVpn + ((order === 'sequential' ? n : random()) & (tables.pages - 1));
  });
}

/** The mapped pages in random order, each once. */
export function shuffledPages({
  firstVpn,
  pages,
}: Pick<Tables, 'firstVpn' | 'pages'>): Float64Array {
  const random = xorshift();
  const vpns = Float64Array.from({ length: pages }, (_, page) => firstVpn + page);
  for (let left = pages; left > 1; left--) {
    const other = random() % left;
    [vpns[left - 1], vpns[other]] = [vpns[other]!, vpns[left - 1]!];
  }
  return vpns;
}

/** Marsaglia's 32-bit xorshift: the same numbers in every run. */
export function xorshift(): () => number {
  let state = 0x12345678;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}
