import { checkInteger, checkOptions, type OptionNames, VmError } from '../core/index.js';
import { definePteFormat } from './define-format.js';
import { checkPageBytes } from './define-format-check.js';
import type { PteFormat } from './format.js';

/**
 * What {@link linearFormat} makes a format of.
 *
 * @public
 */
export interface LinearFormatOptions {
  /** Width of a virtual address: 1 to 26 bits more than the page's offset has. */
  readonly virtualBits: number;
  /** Bytes in a page: a power of two from 16 to 2^20. */
  readonly pageBytes: number;
  /** Bytes in an entry. */
  readonly entryBytes: 1 | 2 | 4 | 8;
  /** The valid bit. */
  readonly valid: number;
  /** The highest and lowest bit of the frame number. */
  readonly frame: readonly [high: number, low: number];
  /** The format's name. @defaultValue 'linear' */
  readonly name?: string;
}

const LINEAR: OptionNames<LinearFormatOptions> = {
  virtualBits: true,
  pageBytes: true,
  entryBytes: true,
  valid: true,
  frame: true,
  name: true,
};

/**
 * A single-level table as a format: one entry for every page of the address space, which has at least two. For a table
 * without bits, of pages of any size, see `LinearTable` of `pagewright/textbook`.
 *
 * @param options - The shape.
 * @returns A format with one level.
 * @throws `VmError` `bad-argument` or `out-of-range` for shapes that make no format; `details.argument` is the option at
 * fault.
 *
 * @example
 * ```ts
 * import { Access } from 'pagewright/core';
 * import { PhysicalMemory } from 'pagewright/memory';
 * import { linearFormat } from 'pagewright/pte';
 * import { FormatWalker } from 'pagewright/walk';
 *
 * const format = linearFormat({ virtualBits: 14, pageBytes: 4096, entryBytes: 4, valid: 31, frame: [30, 0] });
 * const memory = PhysicalMemory.allocate(0x2000, { base: 0 });
 * memory.write(3 * 4, 4, 0x8000_000a);
 * const walker = new FormatWalker({ memory, format, root: 0 });
 * walker.walk(3, Access.Read); // => 10
 * ```
 * @public
 */
export function linearFormat(options: LinearFormatOptions): PteFormat {
  checkOptions('', options, LINEAR);
  const { entryBytes, frame, name = 'linear', pageBytes, valid, virtualBits } = options;
  const offsetBits = Math.log2(checkPageBytes(pageBytes));
  const bits =
    checkInteger('virtualBits', virtualBits, offsetBits + 1, offsetBits + 26) - offsetBits;
  // Whatever the entries are: 0 for what is no size at all, which `definePteFormat` names.
  const tableBytes = Math.max(
    pageBytes,
    2 ** bits * (Number.isInteger(entryBytes) ? entryBytes : 0),
  );
  const levels = [{ bits, tableBytes }];
  try {
    return definePteFormat({ name, pageBytes, entryBytes, levels, bits: { valid, frame } });
  } catch (error) {
    // Here the bits are options by themselves.
    if (!(error instanceof VmError) || !error.details.argument.startsWith('bits.')) throw error;
    const argument = error.details.argument.slice(5);
    throw new VmError(error.code, { ...error.details, argument });
  }
}

/**
 * The small memory system of Bryant and O'Hallaron, Computer Systems: A Programmer's Perspective, 9.6.4: 14-bit virtual
 * and 12-bit physical addresses, 64-byte pages, a linear table of 256 one-byte entries: valid in bit 7, PPN in bits 5:0.
 * The book does not say where the bits are.
 *
 * @example
 * ```ts
 * import { Access } from 'pagewright/core';
 * import { PhysicalMemory } from 'pagewright/memory';
 * import { csapp14 } from 'pagewright/pte';
 * import { FormatWalker } from 'pagewright/walk';
 *
 * const memory = PhysicalMemory.allocate(0x1000, { base: 0 });
 * memory.write(0x0f, 1, 0x80 | 0x0d); // VPN 0x0f is in PPN 0x0d
 * const walker = new FormatWalker({ memory, format: csapp14, root: 0 });
 * const answer = walker.translate(0x03d4, Access.Read);
 * answer.kind === 'page' && answer.pa; // => 0x354n
 * ```
 * @public
 */
export const csapp14: PteFormat = /* @__PURE__ */ definePteFormat({
  name: 'csapp14',
  source: "Bryant and O'Hallaron, Computer Systems: A Programmer's Perspective, 3rd edition, 9.6.4",
  pageBytes: 64,
  entryBytes: 1,
  levels: [{ bits: 8, tableBytes: 256 }],
  bits: { valid: 7, frame: [5, 0] },
});

/**
 * OSTEP's two-level system: 15-bit virtual and 12-bit physical addresses, 32-byte pages, one-byte entries with valid in
 * bit 7 and the frame in bits 6:0.
 *
 * @example
 * ```ts
 * import { splitAddress } from 'pagewright/core';
 * import { ostep15 } from 'pagewright/pte';
 *
 * splitAddress(ostep15, 0x611c).indexes.map((part) => part.index); // => [24, 8]
 * const { pfn } = ostep15.decode(0xa1, 1);
 * pfn; // => 33
 * ```
 * @public
 */
export const ostep15: PteFormat = /* @__PURE__ */ definePteFormat({
  name: 'ostep15',
  source: 'OSTEP, homework of the chapter "Paging: Smaller Tables"',
  pageBytes: 32,
  entryBytes: 1,
  levels: [{ bits: 5 }, { bits: 5 }],
  bits: { valid: 7, frame: [6, 0] },
});

/**
 * OSTEP's first paging example: a 64-byte address space of four 16-byte pages in 128 bytes of memory. The book gives no
 * bits: valid in bit 7, the frame in bits 2:0.
 *
 * @example
 * ```ts
 * import { Access } from 'pagewright/core';
 * import { PhysicalMemory } from 'pagewright/memory';
 * import { ostep6 } from 'pagewright/pte';
 * import { FormatWalker } from 'pagewright/walk';
 *
 * const memory = PhysicalMemory.allocate(4096, { base: 0 });
 * [3, 7, 5, 2].forEach((frame, page) => memory.write(page, 1, 0x80 | frame));
 * const walker = new FormatWalker({ memory, format: ostep6, root: 0 });
 * const answer = walker.translate(21, Access.Read);
 * answer.kind === 'page' && answer.pa; // => 117n
 * ```
 * @public
 */
export const ostep6: PteFormat = /* @__PURE__ */ definePteFormat({
  name: 'ostep6',
  source: 'OSTEP, chapter "Introduction to Paging"',
  pageBytes: 16,
  entryBytes: 1,
  levels: [{ bits: 2 }],
  bits: { valid: 7, frame: [2, 0] },
});

/**
 * The 32-bit machine of most textbooks: 10 bits of directory, 10 bits of table, 12 bits of offset, no huge pages. The
 * bits are where x86 has them, and do there what they do in x86's 32-bit paging without large pages: directory entries
 * limit the rights, and have an accessed bit of their own.
 *
 * @example
 * ```ts
 * import { splitAddress } from 'pagewright/core';
 * import { textbook32 } from 'pagewright/pte';
 *
 * splitAddress(textbook32, 0xc0403004).indexes.map((part) => part.index); // => [769, 3]
 * textbook32.build({ kind: 'leaf', pfn: 0x12345, fields: { W: 1 } }); // => 0x12345003n
 * textbook32.build({ kind: 'pointer', level: 1, pfn: 0x6, fields: { W: 1, U: 1 } }); // => 0x6007n
 * ```
 * @public
 */
export const textbook32: PteFormat = /* @__PURE__ */ definePteFormat({
  name: 'textbook32',
  source: 'Silberschatz, Galvin and Gagne, Operating System Concepts, "Hierarchical Paging"',
  pageBytes: 4096,
  entryBytes: 4,
  levels: [{ bits: 10 }, { bits: 10 }],
  bits: { valid: 0, write: 1, user: 2, accessed: 5, dirty: 6, frame: [31, 12] },
  pointers: { rights: true, accessed: true },
});
