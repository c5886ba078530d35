import { PAGE_BYTES, pageAndOffset } from 'pagewright/core';
import type { PhysicalMemory } from 'pagewright/memory';
import { Malformed } from './fields.js';
import type { RecordedFile } from './recorded-file.js';

/**
 * Loads the pages of a recorded guest's tables: after the header line, for each page its physical address (u64,
 * little-endian) and its 4096 bytes, in ascending order.
 *
 * @throws Malformed when the file does not hold exactly `count` such pages inside `memory`.
 */
export function loadTablePages(file: RecordedFile, count: number, memory: PhysicalMemory): void {
  const body = file.bytes.subarray(file.headerBytes);
  const record = 8 + PAGE_BYTES;
  if (body.length !== count * record) {
    throw new Malformed(`${body.length} bytes after the header are not ${count} pages`);
  }
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  let previous = -1;
  for (let at = 0; at < body.length; at += record) {
    const { vpn, offset } = pageAndOffset(view.getBigUint64(at, true));
    if (offset !== 0 || vpn <= previous) throw new Malformed('pages out of order or misaligned');
    if (memory.writeBytes(vpn, 0, body.subarray(at + 8, at + record)) < 0) {
      throw new Malformed(`frame ${vpn.toString(16)} lies outside memory`);
    }
    previous = vpn;
  }
}
