import {
  bigintFromWords,
  checkBits,
  checkInteger,
  checkOptions,
  highWord,
  lowWord,
  type OptionNames,
  type Plain,
  plain,
  VmError,
} from '../core/index.js';
import type { PteFormat } from './format.js';
import type { SwapLayout } from './swap-layout.js';
import { SWAP_LAYOUTS } from './swap-layouts.js';

/**
 * A swap entry to encode. Markers that are not named are clear.
 *
 * @public
 */
export interface SwapEntrySpec {
  /**
   * Which swap file, 0 to 31. Linux has fewer than 32: its last types are entries that are not about swap (pages under
   * migration, poisoned pages, markers; include/linux/swap.h), in the same layout.
   */
  readonly type: number;
  /** Which page of the swap file. Page 0 is the file's header, so that Linux has no entries for it. */
  readonly offset: number;
  /** Whether the page belongs to this process alone, so that a write needs no copy. */
  readonly exclusive?: boolean;
  /** Whether userfaultfd protects the page against writes; not in RISC-V and 32-bit x86. */
  readonly uffdWriteProtect?: boolean;
  /** Whether the page counts as written since soft-dirty bits were cleared; in 64-bit x86 only. */
  readonly softDirty?: boolean;
}

/**
 * A decoded swap entry. Markers that a format does not have are `false`.
 *
 * @public
 */
export interface SwapEntry extends SwapEntrySpec {
  /** Whether the page belongs to this process alone. */
  readonly exclusive: boolean;
  /** Whether userfaultfd protects the page against writes. */
  readonly uffdWriteProtect: boolean;
  /** Whether the page counts as written since soft-dirty bits were cleared. */
  readonly softDirty: boolean;
}

const NAMES: OptionNames<SwapEntrySpec> = {
  type: true,
  offset: true,
  exclusive: true,
  uffdWriteProtect: true,
  softDirty: true,
};

const MARKERS = ['exclusive', 'uffdWriteProtect', 'softDirty'] as const;

/**
 * The non-present entry with which Linux 6.18 remembers a swapped page.
 *
 * @param format - Any format of x86 or RISC-V but those of second stages, or of stage 1 of AArch64.
 * @param entry - The page's place in a swap file, and markers.
 * @returns The entry; never 0, and never present.
 * @throws `VmError` `unsupported` for a format without such entries, or without a marker that is set; `out-of-range` for
 * a type or offset that does not fit, or a pair of both that would make an entry of zeros, by which Linux knows that
 * nothing is there: type 0 with offset 0, in 64-bit x86 with offset 2^50 - 1; `bad-argument` for what is no such entry.
 *
 * @example
 * ```ts
 * import { decodeSwapEntry, encodeSwapEntry, sv39, x86Long4 } from 'pagewright/pte';
 *
 * const place = { type: 1, offset: 0x1234 };
 * encodeSwapEntry(sv39, place); // => 0x1234080n
 * const raw = encodeSwapEntry(x86Long4, { ...place, exclusive: true });
 * raw; // => 0xfff_ffff_ffdb_9608n
 * decodeSwapEntry(x86Long4, raw)?.offset; // => 0x1234
 * decodeSwapEntry(x86Long4, 0n); // => null
 * ```
 * @public
 */
export function encodeSwapEntry(format: PteFormat, entry: SwapEntrySpec): bigint {
  const layout = swapLayout(format);
  checkOptions('', entry, NAMES, 'entry');
  const type = checkInteger('type', entry.type, 0, 31);
  const offset = checkInteger('offset', entry.offset, 0, layout.offsetEnd - 1);
  if (type === 0 && offset === layout.offsetOfZero) {
    const expected = 'another offset with type 0: this would make an entry of zeros';
    throw new VmError('out-of-range', { argument: 'offset', value: offset, expected });
  }
  let markers = 0;
  for (const name of MARKERS) {
    const set = entry[name] ?? false;
    if (typeof set !== 'boolean') {
      throw new VmError('bad-argument', { argument: name, value: set, expected: 'a boolean' });
    }
    if (set && layout[name] === 0) {
      const expected = `false: ${format.name} has no such bit`;
      throw new VmError('unsupported', { argument: name, value: set, expected });
    }
    if (set) markers |= layout[name];
  }
  return bigintFromWords(layout.low(type, offset, markers), layout.high(type, offset));
}

/**
 * What a non-present entry says about a swapped page; see {@link encodeSwapEntry}.
 *
 * @param format - The format of the entry.
 * @param raw - The entry.
 * @returns Its fields; `null` for an entry that is present or 0, or that `encodeSwapEntry` does not make.
 * @throws `VmError` `unsupported` for a format without such entries, `out-of-range` or `bad-argument` for no entry.
 * @public
 */
export function decodeSwapEntry(format: PteFormat, raw: bigint | number): Plain<SwapEntry> | null {
  const layout = swapLayout(format);
  const word = checkBits('raw', raw, 8 * format.entryBytes);
  const low = lowWord(word);
  const high = highWord(word);
  if (!layout.matches(low, high)) return null;
  return plain<SwapEntry>({
    type: layout.typeOf(low, high),
    offset: layout.offsetOf(low, high),
    exclusive: (low & layout.exclusive) !== 0,
    uffdWriteProtect: (low & layout.uffdWriteProtect) !== 0,
    softDirty: (low & layout.softDirty) !== 0,
  });
}

/**
 * The layout of a format's swap entries, for inner loops.
 *
 * @param format - A format of which `swap` is not `null`.
 * @returns The same object for every format of that layout.
 * @throws `VmError` `unsupported` for any other.
 *
 * @example
 * ```ts
 * import { sv39, swapLayout } from 'pagewright/pte';
 *
 * const layout = swapLayout(sv39);
 * const low = layout.low(3, 0x1234, layout.exclusive);
 * const high = layout.high(3, 0x1234);
 * low; // => 0x12341c0
 * layout.matches(low, high); // => true
 * layout.offsetOf(low, high); // => 0x1234
 * ```
 * @public
 */
export function swapLayout(format: PteFormat): SwapLayout {
  const name = format?.swap ?? null;
  if (name !== null && Object.hasOwn(SWAP_LAYOUTS, name)) {
    const layout = SWAP_LAYOUTS[name];
    if (layout.entryBytes === format.entryBytes) return layout;
  }
  const expected = 'a format in which Linux keeps swapped pages';
  throw new VmError('unsupported', { argument: 'format', value: format?.name, expected });
}
