import { FormatWalker } from '../walk/index.js';
import { checkRoot, type GuestKind, type PreparedGuest } from './guest-kind.js';
import { formatOf } from './modes.js';

/** A machine of a course: a format and a root, no registers. */
export const textbookGuest: GuestKind = {
  title: 'textbook',
  options: ['bits'],
  roots: [],
  prepare(_found, { bits, mode, root = 0n }): PreparedGuest {
    const format = formatOf(mode!, bits);
    const { pageShift } = format;
    const frame = Number(checkRoot(root, 52, 2 ** pageShift) >> BigInt(pageShift));
    return {
      entryBytes: format.entryBytes === 1 ? 1 : 4,
      makeWalker: (memory) => new FormatWalker({ memory, format, root: frame }),
    };
  },
};
