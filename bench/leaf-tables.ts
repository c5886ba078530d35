// The page tables of a real Debian guest, from the recorded fixture.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { PhysicalMemory } from 'pagewright/memory';

const FILE = new URL('../test/fixtures/x86/linux-x86-64/tables.bin.gz', import.meta.url);

/** Address and contents of one page of the record. */
const RECORD_BYTES = 8 + 4096;

/** RAM of the recorded guest. */
export const GUEST_RAM_BYTES: number = 256 * 2 ** 20;

export interface GuestTables {
  readonly cr0: bigint;
  readonly cr3: bigint;
  readonly cr4: bigint;
  readonly efer: bigint;
  readonly maxPhyAddr: number;
  readonly leaves: number;
  /** The records of all table pages. */
  readonly pages: Uint8Array;
}

/** Reads the recording. */
export function guestTables(): GuestTables {
  const file = gunzipSync(readFileSync(fileURLToPath(FILE)));
  const headerEnd = file.indexOf('\n');
  const header = JSON.parse(file.toString('utf8', 0, headerEnd));
  return {
    cr0: BigInt(header.cr0),
    cr3: BigInt(header.cr3),
    cr4: BigInt(header.cr4),
    efer: BigInt(header.efer),
    maxPhyAddr: header.maxphyaddr,
    leaves: header.leaves,
    pages: file.subarray(headerEnd + 1),
  };
}

/** The guest's RAM, with its tables in place. */
export function guestMemory(guest: GuestTables): PhysicalMemory {
  const ram = new Uint8Array(GUEST_RAM_BYTES);
  for (let at = 0; at < guest.pages.length; at += RECORD_BYTES) {
    const record = guest.pages.subarray(at, at + RECORD_BYTES);
    const address = new DataView(record.buffer, record.byteOffset).getBigUint64(0, true);
    ram.set(record.subarray(8), Number(address));
  }
  return PhysicalMemory.wrap(ram, { base: 0 });
}
