// The one file of an architecture that would lie in `pte/`: what the bits of an entry mean.
import { type BitField, type EntryKind, PteFormat } from 'pagewright/pte';

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
  fields: (kind) =>
    ROWS[kind].map(([high, low, name, role, meaning]) => ({
      ...{ high, low, name, role, meaning, source: SOURCE },
    })),
});
