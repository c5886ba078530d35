// The one file of an architecture that would lie in `pte/`: what the bits of an entry mean.
import { type BitField, type EntryKind, PteFormat, type WordMask } from 'pagewright/pte';

const SOURCE = 'SPARC Architecture Manual Version 8, H.3';

/** Highest bit, lowest bit, name, role and meaning. */
type Row = readonly [number, number, string, BitField['role'], string];

const ET: Row = [1, 0, 'ET', 'number', 'Entry type: 0 invalid, 1 pointer, 2 page, 3 reserved.'];
const ROWS: Readonly<Record<EntryKind, readonly Row[]>> = {
  'not-present': [[31, 2, 'SW', 'software', 'Free for software.'], ET],
  // A table is smaller than a page: its address is that of 64 bytes, and the frame is all but the low six bits of it.
  pointer: [
    [31, 8, 'PFN', 'frame', 'Frame in which the table begins.'],
    [7, 2, 'PTP', 'number', 'Where in that frame, in units of 64 bytes.'],
    ET,
  ],
  leaf: [
    [31, 8, 'PFN', 'frame', 'Physical page number.'],
    [7, 7, 'C', 'flag', 'Cacheable.'],
    [6, 6, 'M', 'flag', 'Modified: written since the bit was cleared.'],
    [5, 5, 'R', 'flag', 'Referenced: used since the bit was cleared.'],
    [4, 2, 'ACC', 'number', 'Access permissions, see H.3.'],
    ET,
  ],
};

const bits = (low: number): WordMask => ({ low, high: 0 });

/** SPARC's reference MMU: 32-bit addresses in tables of 256, 64 and 64 entries, pages of 4 KiB, 256 KiB and 16 MiB. */
export const srmmu: PteFormat = new PteFormat({
  name: 'srmmu',
  architecture: 'custom',
  signExtended: false,
  indexBits: [6, 6, 8],
  entryBytes: 4,
  physicalBits: 36,
  frameShift: 8,
  frameBits: 24,
  present: { low: 0b11, high: 0 },
  leafMask: [0b10, 0b10, 0b10],
  leafBits: [0b10, 0b10, 0b10],
  tableBits: 0b01,
  // What an operating system writes. ACC 0 to 3 are R, RW, RX and RWX, for everybody: two bits grant, the rest always is.
  mapping: {
    base: bits(0b10),
    pointers: [bits(0b01), bits(0b01), bits(0b01)],
    write: bits(1 << 2),
    execute: bits(1 << 3),
    accessed: 1 << 5,
    dirty: 1 << 6,
  },
  fields: (kind) =>
    ROWS[kind].map(([high, low, name, role, meaning]) => ({
      ...{ high, low, name, role, meaning, source: SOURCE },
    })),
});
